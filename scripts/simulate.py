# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm simulate``: a network's RTL or netlist under cocotb, on text of yours or held-out text."""

from __future__ import annotations

from pathlib import Path

import click

from models.errors import UserError
from scripts.options import array_options
from sim.sampling import TEMPERATURE, check_seed, temperature_to_raw

PIECE = 1000  # characters scored as one sequence: a bound on memory


@click.command(name="simulate")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Quantized network; the shipped w8a8.")
@click.option("--text", help="What to run; the start of the validation split if not given.")
@click.option("--text-file", type=click.Path(path_type=Path), help="UTF-8 file of what to run.")
@click.option("--characters", default=256, show_default=True, help="Of the validation split.")
@click.option(
    "--generate",
    "length",
    default=0,
    show_default=True,
    help="Then let the RTL write so many.",
)
@click.option(
    "--temperature",
    default=0.0,
    show_default=True,
    help=f"Of what it writes; below {1 << TEMPERATURE.integer}. 0: always the likeliest.",
)
@click.option(
    "--simulator", type=click.Choice(("verilator", "icarus")), default="verilator", show_default=True
)
@click.option("--netlist", is_flag=True, help="The netlist that Yosys makes, minutes for a full engine.")
@click.option("--waves", is_flag=True, help="Write a waveform (FST); slower.")
@click.option("--protocol", is_flag=True, help="Also run the tests of streams, registers and modes.")
@click.option(
    "--seed",
    default=1,
    show_default=True,
    help="Of what it writes and of the protocol tests.",
)
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
    temperature: float,
    simulator: str,
    netlist: bool,
    waves: bool,
    protocol: bool,
    seed: int,
    dsp: int | None,
    lanes: int | None,
    output: Path,
) -> None:
    """Simulate a network's RTL and compare every signal with the reference, at every character.

    Any number of characters takes the same memory and disk, but for some bytes a character. Of a netlist,
    which has no signals of that name, everything that the ports say is compared. Exit code 1 with the first
    difference (character, layer, gate, unit, raw values; or the beat at the port) if there is one.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from hls.design import Design
    from hls.estimate import fitting_array
    from models.checkpoint import Checkpoint, shipped
    from models.corpus import decode, encode, load_corpus, read_text
    from models.freeze import freeze
    from sim.rtl import PROTOCOL_TESTS, Rtl, Sequence

    if text is not None and text_file is not None:
        raise UserError("give --text or --text-file, not both")
    if length < 0:
        raise UserError(f"--generate is {length}; it must be 0 or more")
    raw, seed = temperature_to_raw(temperature), check_seed(seed)
    network = freeze(Checkpoint.load(checkpoint or shipped("w8a8")))
    if text is None and text_file is None:
        corpus = load_corpus().with_vocabulary(network.vocabulary)
        held_out = corpus.split().part("validation")
        if not 1 <= characters <= len(held_out):
            raise UserError(f"--characters is {characters}; the validation split has {len(held_out)}")
        codes = held_out[:characters]
    else:
        source = str(text_file) if text_file else "--text"
        codes = encode(text if text is not None else read_text(Path(source)), network.vocabulary, source)
    if not len(codes):
        raise UserError("there is no character to run")
    console = Console()
    design = Design(network, fitting_array(network.spec, dsp=dsp, lanes=lanes))
    build, what = (Rtl.build_netlist, "Yosys and ") if netlist else (Rtl.build, "")
    with console.status(f"building with {what}{simulator}"):
        rtl = build(design, output, simulator=simulator, waves=waves)
    for test in PROTOCOL_TESTS if protocol else ():
        with console.status(test):
            rtl.protocol(test, seed)
        console.print(f"passed  {test}")
    # The last character primes what is generated: the state goes on from one sequence to the next.
    scored = codes[:-1] if length else codes
    sequences = [Sequence(scored[at : at + PIECE]) for at in range(0, len(scored), PIECE)]
    if length:
        sequences.append(Sequence(codes[-1:], length))
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn()
    title, quiet = TextColumn("characters"), not console.is_terminal
    with Progress(title, *columns, console=console, transient=True, disable=quiet) as bar:
        # The last character generated is not fed back.
        task = bar.add_task("", total=len(codes) + max(0, length - 1), rate="")

        def show(characters: int) -> None:
            bar.update(task, completed=characters, rate=f"{bar.tasks[0].speed or 0:,.0f} a second")

        report = rtl.verify(sequences, "text", temperature_raw=raw, seed=seed, progress=show)
    console.print(
        f"{report['values']:,} values of {report['characters']:,} characters equal to the reference's, "
        f"{report['characters'] / report['seconds']:,.0f} characters/s",
        soft_wrap=True,
    )
    if len(scored):
        console.print(f"score: {_cycles(report['sequences'][0])}")
    if length:
        last = report["sequences"][-1]
        console.print(f"generate: {_cycles(last)}")
        console.print(escape(decode(last["generated"], network.vocabulary)), highlight=False)
    if waves:
        console.print(f"waveform: {output / 'run-text' / 'waves.fst'}")


def _cycles(sequence: dict[str, float | None]) -> str:
    cycles = sequence["cycles_per_character"]
    return "too short to time" if cycles is None else f"{cycles:.1f} cycles a character"
