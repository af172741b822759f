# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm demo``: the main job, from the shipped checkpoint to four engines that agree."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zynq_lstm.models import interruption, processes
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.main import PROG
from zynq_lstm.scripts.options import Option, checkpoint_option, corpus_options, output_option, part_option
from zynq_lstm.sim.engines import Engine, frozen
from zynq_lstm.sim.engines.hls import HlsEngine
from zynq_lstm.sim.engines.keras import KerasEngine
from zynq_lstm.sim.engines.reference import ReferenceEngine
from zynq_lstm.sim.engines.rtl import RtlEngine

if TYPE_CHECKING:
    from rich.console import Console

    from zynq_lstm.sim.trace import Comparison

T = TypeVar("T")

SYNTHESIS = "synthesis with Yosys"
GENERATED = 400  # characters of text that the RTL writes
MINIMUM = 16  # characters; the state has then been through all of the schedule's overlaps


@click.command(cls=Verb, name="demo")
@click.option("--characters", default=2048, show_default=True, help="Held-out characters to compare on.")
@output_option("build/demo", "Folder for projects, logs and summary.json.")
@corpus_options
@click.option(
    "--float-checkpoint",
    "float_file",
    cls=Option,
    old={"--float": None},
    type=Reads(),
    help="A float network; the shipped one if not given.",
)
@checkpoint_option
@part_option("Zynq-7000 device to synthesize for.")
@click.option("--synthesis/--no-synthesis", default=True, show_default=True, help="Run Yosys, too.")
def command(
    characters: int,
    output: Path,
    corpus: str,
    corpus_file: Path | None,
    float_file: Path | None,
    checkpoint: Path | None,
    part: str,
    synthesis: bool,
) -> None:
    """Evaluate, convert, compile, simulate, and prove four engines equal on held-out text.

    Compares every gate, state and logit of the quantized Keras model, the HLS C++ and the RTL with the
    NumPy reference, at every character; lets the RTL write text; counts what it takes of the chip. Exit
    code 1 if anything differs.
    """
    from rich.console import Console

    from zynq_lstm.hls.parts import part_name
    from zynq_lstm.models.description.checkpoint import load_float, load_quantized
    from zynq_lstm.models.store import claim
    from zynq_lstm.models.texts.corpus import load_corpus

    if characters < MINIMUM:
        raise UserError(f"--characters is {characters}; it must be at least {MINIMUM}")
    part = part_name(part)
    floating = load_float(float_file)
    quantized = load_quantized(checkpoint)
    text = load_corpus(corpus, corpus_file, vocabulary=quantized.vocabulary, rest=quantized.rest)
    held_out = text.split().part("validation")
    if len(held_out) <= characters:
        raise UserError(f"--characters is {characters}; the validation split has {len(held_out)} characters")
    console = Console()
    claim(output)
    demo = Demo(output, console)
    demo.run(text, held_out, characters, floating, quantized, part if synthesis else None)
    if not demo.exact:
        raise CheckError(f"NOT EXACT: {demo.first}")
    console.print(f"Exact everywhere. Summary: {output / 'summary.json'}, {output / 'summary.md'}")


class Demo:
    """The steps of the main job; each prints one line when it is done."""

    def __init__(self, output: Path, console: Console) -> None:
        self.output, self.console = output, console
        self.exact = True
        self.first = ""
        self.beside_failed: BaseException | None = None  # of the work beside these steps

    def run(
        self, text: Any, held_out: Any, characters: int, floating: Any, quantized: Any, part: str | None
    ) -> None:
        """Everything, in the order in which data flows; leaves the summary in the folder."""
        from zynq_lstm.hls.synthesis.yosys import synthesize
        from zynq_lstm.sim.simulation.rtl import write_project

        self.output.mkdir(parents=True, exist_ok=True)
        network = frozen(quantized, "keras", "hls", "rtl")
        network.save(self.output / "network.safetensors")
        codes = held_out[:characters]
        reference = ReferenceEngine(quantized, network, self.output)
        keras = KerasEngine(quantized, network, self.output)
        keras.build()
        hls = HlsEngine(quantized, network, self.output / "hls")
        rtl = RtlEngine(quantized, network, self.output / "rtl")

        # Yosys takes longest and needs only the network: it runs beside the rest, on the other core.
        write_project(rtl.design, self.output / "rtl" / "rtl")
        steps = threading.get_ident()

        def synthesis_failed(error: BaseException) -> None:
            self.beside_failed = error
            interruption.end(1, f"{PROG}: error: {_failed(SYNTHESIS, error)}")
            processes.end_started_by(steps)

        def synthesis() -> dict[str, Any] | None:
            return synthesize(self.output / "rtl" / "rtl", part) if part else None

        with processes.beside(synthesis, synthesis_failed) as synthesized:
            bits = self._evaluate(floating, keras.model, network, held_out)
            expected = self._step("reference, every signal", lambda: reference.whole_trace(codes))
            some = held_out[:20_000]
            speed = {"reference_chars_per_s": round(len(some) / reference.seconds(some)[""])}

            exactness = {}
            found = self._step("quantized Keras model, every signal", lambda: keras.whole_trace(codes))
            exactness["keras"] = self._compare("keras", network, expected, found)

            found, speed["hls_chars_per_s"] = self._hls(hls, codes)
            exactness["hls"] = self._compare("hls", network, expected, found)

            self._step("RTL, built with Verilator", rtl.build)
            found = self._step("RTL under cocotb, every signal", lambda: self._recorded(rtl, codes))
            seen = {name: signal[: len(found["logits"])] for name, signal in expected.items()}
            exactness["rtl"] = self._compare("rtl", network, seen, found)
            prime = codes[: len(codes) // 8]
            written = self._step(
                "RTL, text in closed loop", lambda: self._until_failure(rtl.write(prime, GENERATED))
            )
            figures = rtl.describe()
            if "characters_per_second" in figures:
                speed["rtl_chars_per_s"] = figures.pop("characters_per_second")
            resources = self._step(SYNTHESIS, synthesized.result) if part else None

        summary = {
            "corpus": text.record,
            "bits_per_character": bits,
            "exactness": exactness,
            "rtl": figures,
            "resources": resources,
            "speed": speed,
        }
        decode = "".join(network.vocabulary[code] for code in written)
        before = "".join(network.vocabulary[code] for code in prime[-120:])
        self._write(summary, before, decode)

    def _evaluate(self, floating: Any, model: Any, network: Any, held_out: Any) -> dict[str, Any]:
        """Bits per character of the float network, the quantized model and the integers."""
        from zynq_lstm.models.evaluation.bpc import evaluate_keras, evaluate_reference
        from zynq_lstm.models.keras.float_lstm import float_model

        size = f"{len(held_out):,} characters"
        bits: dict[str, Any] = {"split": "validation"}
        for name, run in (
            ("float", lambda: evaluate_keras(float_model(floating), held_out)),
            ("quantized", lambda: evaluate_keras(model, held_out)),
            ("reference", lambda: evaluate_reference(network, held_out)),
        ):
            bits[name] = self._step(f"bits per character, {name}, {size}", run, "{:.4f}".format)
        if bits["quantized"] != bits["reference"]:
            self._fail("bits per character of the quantized model and the reference differ")
        return bits

    def _hls(self, engine: HlsEngine, codes: Any) -> tuple[dict[str, Any], int]:
        """Every signal of the HLS C++, and how many characters a second it computes without them."""
        self._step("HLS C++ by hls4ml, compiled with g++", engine.build)
        found = self._step("HLS C++, every signal", lambda: engine.whole_trace(codes))
        return found, round(len(codes) / engine.seconds(codes)[""])

    def _step(self, title: str, run: Callable[[], T], show: Callable[[T], str] | None = None) -> T:
        started = time.monotonic()
        try:
            with self.console.status(f"{title} ..."):
                result = run()
        except UserError as error:  # a tool gave up: nothing that was typed is wrong
            self._raise_failure_beside()
            raise CheckError(_failed(title, error)) from error
        self._raise_failure_beside()
        more = f"  [bold]{show(result)}[/]" if show else ""
        self.console.print(f"[green]done[/] {time.monotonic() - started:6.1f} s  {title}{more}")
        return result

    def _raise_failure_beside(self) -> None:
        if self.beside_failed:
            raise CheckError(_failed(SYNTHESIS, self.beside_failed)) from self.beside_failed

    def _recorded(self, engine: Engine, codes: Any) -> dict[str, Any]:
        """Every signal of an engine, up to the difference that it found itself, which is noted."""
        pieces = self._until_failure(engine.trace(codes, len(codes)))
        if not pieces:
            raise CheckError(f"NOT EXACT: {self.first}")
        return pieces[0]

    def _until_failure(self, values: Iterator[T]) -> list[T]:
        """The values that come before a difference, which is noted."""
        found: list[T] = []
        try:
            found.extend(values)
        except CheckError as error:
            self._raise_failure_beside()
            self._fail(str(error))
        return found

    def _compare(self, engine: str, network: Any, expected: Any, found: Any) -> dict[str, int]:
        from zynq_lstm.sim.trace import compare

        result: Comparison = compare(network, expected, found)
        self.console.print(
            f"               {engine}: {result.values:,} values of {result.characters:,} characters, "
            f"{result.mismatches} differ"
        )
        if not result.exact:
            self._fail(f"{engine}: {result.first}")
        return result.summary()

    def _fail(self, reason: str) -> None:
        if self.exact:
            self.console.print(f"[bold red]NOT EXACT[/]: {_escape(reason)}")
        self.first = self.first or reason
        self.exact = False

    def _write(self, summary: dict[str, Any], before: str, text: str) -> None:
        from zynq_lstm.models.store import write_json, write_text

        write_json(self.output / "summary.json", summary)
        readable = [*_readable(summary), "```", before + text, "```", ""]
        write_text(self.output / "summary.md", "\n".join(readable))
        self.console.rule("text written by the RTL, greedy, behind the held-out text")
        self.console.print(f"[dim]{_escape(before)}[/]{_escape(text)}", highlight=False)
        self.console.rule()
        if self.exact:
            self.console.print(*_figures(summary), sep="\n", highlight=False)


def _failed(title: str, error: BaseException) -> str:
    """The last line of a demo in which a step failed."""
    return f"{title}: {error}"


def _readable(summary: dict[str, Any]) -> list[str]:
    """The summary for people, as Markdown."""
    from zynq_lstm.models.evaluation.bpc import METRIC

    corpus, bits = summary["corpus"], summary["bits_per_character"]
    return [
        "# Four engines, one network",
        "",
        f"Corpus {corpus['name']}: {corpus['characters']:,} characters, {corpus['vocabulary']} symbols.",
        "",
        f"| engine | BPC, {bits['split']} |",
        "|---|---|",
        *(f"| {name} | {bits[name]:.4f} |" for name in ("float", "quantized", "reference")),
        "",
        f"BPC: {METRIC}.",
        "",
        "| against the reference | characters | values | different |",
        "|---|---|---|---|",
        *(
            f"| {name} | {row['characters']:,} | {row['values']:,} | {row['mismatches']} |"
            for name, row in summary["exactness"].items()
        ),
        "",
        *(f"- {line}" for line in _figures(summary)),
        "",
    ]


def _figures(summary: dict[str, Any]) -> list[str]:
    """What the RTL does and takes, and how fast each engine ran."""
    rtl, taken, speed = summary["rtl"], summary["resources"], summary["speed"]
    cycles = ", ".join(f"{name} {value:.0f}" for name, value in rtl["cycles_per_character"].items())
    lanes = f"RTL: {rtl['mac_lanes']} multiply-accumulates a cycle"
    lines = [f"{lanes}; {cycles or 'unknown'} cycles a character"]
    if rtl["mac_utilisation"]:
        lines[0] += f"; {100 * rtl['mac_utilisation']:.1f} % of the array in use"
    if taken:
        names = {"lut": "LUT", "ff": "FF", "dsp": "DSP48E1", "bram36": "block RAMs"}
        used = ", ".join(f"{taken[key]:,g} {name}" for key, name in names.items())
        fits = "fits" if taken["fits"] else "does not fit"
        lines.append(f"{taken['part']} by {taken['tool']}: {used}: {fits}")
    rates = ", ".join(f"{name.split('_')[0]} {value:,}" for name, value in speed.items())
    return [*lines, f"characters/s on this machine: {rates}"]


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
