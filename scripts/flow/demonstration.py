# SPDX-License-Identifier: Apache-2.0
"""The demonstration: the flow with the preset ``shipped``, without its estimate and its report.

Every stage runs anew, whatever an earlier demonstration left in the folder. Synthesis runs in parallel with
the other stages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape

from zynq_lstm.models import interruption, processes
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.store import write_json, write_text
from zynq_lstm.scripts.flow.engines import load_trace
from zynq_lstm.scripts.flow.load import Flow, load, preset_file
from zynq_lstm.scripts.flow.runner import Pipeline, Stage
from zynq_lstm.scripts.flow.show import Terminal
from zynq_lstm.scripts.flow.stages import STAGES
from zynq_lstm.scripts.main import PROG

T = TypeVar("T")

SUMMARY, READABLE = "summary.json", "summary.md"
LEFT_OUT = ("estimate", "report")
BESIDE, NEEDED = "synthesize", "rtl"  # the stage that takes longest, and the last stage that it needs
RTL = ("mac_lanes", "macs_per_character", "cycles_per_character", "mac_utilisation")  # figures shown
MARGIN = 15 * " "


def run(output: Path, **changes: Mapping[str, Any]) -> None:
    """Run the stages, then write and print the summary.

    Args:
        output: folder for the stages and the summary.
        changes: values that replace the preset's, by section and key; they are known to be legal.

    Raises:
        CheckError: for the first engine that differs, or the first tool that fails.
    """
    file = preset_file("shipped")
    config = load(file).config
    sections = {name: getattr(config, name).model_copy(update=keys) for name, keys in changes.items()}
    flow = Flow(file, config.model_copy(update=sections), output=output)
    demonstration = Demonstration(
        Pipeline(flow, [stage for stage in STAGES if stage.name not in LEFT_OUT]), Console()
    )
    for name in (SUMMARY, READABLE):
        (output / name).unlink(missing_ok=True)
    demonstration.run()


@dataclass
class Lines(Terminal):
    """Shows a stage's steps as lines of the demonstration; an error names the step that failed."""

    check: Callable[[], None] = lambda: None  # raises the failure of the parallel stage

    def say(self, text: str) -> None:
        self.console.print(f"{MARGIN}{text}", highlight=False, soft_wrap=True)

    def _timed(self, title: str, run: Callable[[], T], show: Callable[[T], str] | None = None) -> T:
        started = time.monotonic()
        try:
            result = run()
        except UserError as error:  # a tool failed: the command line is not at fault
            self.check()
            raise CheckError(f"{title}: {error}") from error
        except CheckError:
            self.check()
            raise
        self.check()
        more = f"  [bold]{show(result)}[/]" if show else ""
        seconds = time.monotonic() - started
        self.console.print(f"[green]done[/] {seconds:6.1f} s  {escape(title)}{more}", soft_wrap=True)
        return result


@dataclass
class Demonstration:
    """The stages of the flow, and the summary of what they found."""

    pipeline: Pipeline
    console: Console
    failure: BaseException | None = field(init=False, default=None)  # of the stage that runs in parallel

    def run(self) -> None:
        """Run every stage anew."""
        stages = {stage.name: stage for stage in self.pipeline.stages}
        beside, steps = stages.pop(BESIDE, None), threading.get_ident()
        first = list(stages).index(NEEDED) + 1
        for stage in list(stages.values())[:first]:
            self._stage(stage)

        def failed(error: BaseException) -> None:
            self.failure = error
            interruption.end(1, f"{PROG}: error: {error}")
            processes.end_started_by(steps)

        def synthesis() -> None:
            if beside:
                self._stage(beside, quiet=True)

        with processes.beside(synthesis, failed) as done:
            for stage in list(stages.values())[first:]:
                self._stage(stage)
            done.result()
        self._conclude()

    def _stage(self, stage: Stage, quiet: bool = False) -> None:
        def work(stage: Stage, resume: bool) -> Lines:
            check = (lambda: None) if quiet else self._check
            return Lines(self.pipeline.flow, stage, resume, self.pipeline, self.console, quiet, check)

        self.pipeline.run(stage, True, work)

    def _check(self) -> None:
        if self.failure:
            raise self.failure

    def _conclude(self) -> None:
        """Write the summary, and print it with the text that the RTL wrote."""
        found = {stage.name: self.pipeline.record(stage.name)["figures"] for stage in self.pipeline.stages}
        compared, rtl = found["compare"], found["simulate"]
        speeds = {"reference": found["reference"], "hls": found["hls"], "rtl": rtl}
        bits = found["evaluate"]
        summary = {
            "corpus": found["corpus"],
            "bits_per_character": {"split": bits["split"], **bits["bits_per_character"]},
            "exactness": {
                engine: {key: row[key] for key in ("characters", "values", "mismatches")}
                for engine, row in compared["exactness"].items()
            },
            "rtl": {key: rtl[key] for key in RTL},
            "resources": found.get(BESIDE),
            "speed": {f"{name}_chars_per_s": one["characters_per_second"] for name, one in speeds.items()},
        }
        folder, before = self.pipeline.flow.folder, compared["before"]
        text = self._written()
        write_json(folder / SUMMARY, summary)
        write_text(folder / READABLE, "\n".join([*_readable(summary), "```", before + text, "```", ""]))
        self.console.rule("text written by the RTL, greedy, after the held-out text")
        self.console.print(f"[dim]{escape(before)}[/]{escape(text)}", highlight=False)
        self.console.rule()
        self.console.print(*_figures(summary), sep="\n", highlight=False)
        self.console.print(f"Exact everywhere. Summary: {folder / SUMMARY}, {folder / READABLE}")

    def _written(self) -> str:
        """Return the text that the RTL wrote."""
        vocabulary = IntegerNetwork.load(self.pipeline.folder("quantize") / "network.safetensors").vocabulary
        return "".join(vocabulary[code] for code in load_trace(self.pipeline.folder("simulate"))[1])


def _readable(summary: dict[str, Any]) -> list[str]:
    """Return the summary as lines of Markdown."""
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
    """Return lines with the RTL's cycles and resource use, and the speed of each engine."""
    rtl, taken, speed = summary["rtl"], summary["resources"], summary["speed"]
    cycles = ", ".join(f"{name} {value:.0f}" for name, value in rtl["cycles_per_character"].items())
    lanes = f"RTL: {rtl['mac_lanes']} multiply-accumulates per cycle"
    lines = [f"{lanes}; {cycles or 'unknown'} cycles per character"]
    if rtl["mac_utilisation"]:
        lines[0] += f"; {100 * rtl['mac_utilisation']:.1f} % of the array in use"
    if taken:
        names = {"lut": "LUT", "ff": "FF", "dsp": "DSP48E1", "bram36": "block RAMs"}
        used = ", ".join(f"{taken[key]:,g} {name}" for key, name in names.items())
        fits = "fits" if taken["fits"] else "does not fit"
        lines.append(f"{taken['part']} by {taken['tool']}: {used}: {fits}")
    rates = ", ".join(f"{name.split('_')[0]} {value:,}" for name, value in speed.items())
    return [*lines, f"characters/s on this machine: {rates}"]
