# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm simulate``: a network's RTL under cocotb, on text of yours or held-out text."""

from __future__ import annotations

from pathlib import Path

import click

from models.errors import UserError
from scripts.options import array_options


@click.command(name="simulate")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Quantized network; the shipped w8a8.")
@click.option("--text", help="What to run; the start of the validation split if not given.")
@click.option("--text-file", type=click.Path(path_type=Path), help="UTF-8 file of what to run.")
@click.option("--characters", default=256, show_default=True, help="Of the validation split.")
@click.option("--generate", "length", default=0, show_default=True, help="Then let the RTL write so many.")
@click.option(
    "--simulator", type=click.Choice(("verilator", "icarus")), default="verilator", show_default=True
)
@click.option("--waves", is_flag=True, help="Write a waveform (FST); slower.")
@click.option("--protocol", is_flag=True, help="Also run the tests of streams, registers and modes.")
@click.option("--seed", type=int, help="Of the protocol tests' random choices.")
@array_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/simulate"),
    show_default=True,
)
def command(
    checkpoint: Path | None,
    text: str | None,
    text_file: Path | None,
    characters: int,
    length: int,
    simulator: str,
    waves: bool,
    protocol: bool,
    seed: int | None,
    dsp: int | None,
    lanes: int | None,
    output: Path,
) -> None:
    """Simulate a network's RTL and compare every signal with the reference, at every character.

    Exit code 2 with the first difference (character, layer, gate, unit, raw values) if there is one.
    """
    from rich.console import Console
    from rich.markup import escape

    from hls.design import Design
    from hls.estimate import fitting_array
    from models.checkpoint import Checkpoint, shipped
    from models.corpus import decode, encode, load_corpus, read_text
    from models.freeze import freeze
    from sim.rtl import PROTOCOL_TESTS, Rtl

    if text is not None and text_file is not None:
        raise UserError("give --text or --text-file, not both")
    network = freeze(Checkpoint.load(checkpoint or shipped("w8a8")))
    if text is None and text_file is None:
        corpus = load_corpus().with_vocabulary(network.vocabulary)
        codes = corpus.split().part("validation")[:characters]
    else:
        source = str(text_file) if text_file else "--text"
        codes = encode(text if text is not None else read_text(Path(source)), network.vocabulary, source)
    if not len(codes):
        raise UserError("there is no character to run")
    console = Console()
    design = Design(network, fitting_array(network.spec, dsp=dsp, lanes=lanes))
    with console.status(f"building with {simulator}"):
        rtl = Rtl.build(design, output, simulator=simulator, waves=waves)
    for test in PROTOCOL_TESTS if protocol else ():
        with console.status(test):
            rtl.protocol(test, seed)
        console.print(f"passed  {test}")
    with console.status("score"):
        report = rtl.score(codes).report
    console.print(
        f"score: {report['values']:,} values of {report['characters']:,} characters equal to the "
        f"reference's, {_cycles(report)}, "
        f"{report['characters'] / report['seconds']:,.0f} characters/s simulated"
    )
    if length:
        with console.status("generate"):
            report = rtl.generate(codes, length).report
        console.print(f"generate: {report['values']:,} values equal, {_cycles(report)}")
        console.print(escape(decode(report["generated"], network.vocabulary)), highlight=False)
    if waves:
        console.print(f"waveform: {output / 'run-score' / 'waves.fst'}")


def _cycles(report: dict[str, float | None]) -> str:
    cycles = report["cycles_per_character"]
    return "too short to time" if cycles is None else f"{cycles:.1f} cycles a character"
