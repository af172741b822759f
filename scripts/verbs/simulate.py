# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm simulate``: simulate a network's RTL or netlist under cocotb, on your text or held-out text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.choice import TEMPERATURE, check_seed, temperature_to_raw
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import (
    array_options,
    checkpoint_option,
    json_option,
    output_option,
    text_codes,
    text_options,
)
from zynq_lstm.sim.simulation.simulator import SIMULATORS, require

PIECE = 1000  # characters scored as one sequence: limits the memory used


@click.command(cls=Verb, name="simulate")
@checkpoint_option
@text_options
@click.option(
    "--generate",
    "length",
    default=0,
    show_default=True,
    help="Number of characters that the RTL writes after that.",
)
@click.option(
    "--temperature",
    default=0.0,
    show_default=True,
    help=f"Temperature of that text, below {1 << TEMPERATURE.integer}; 0: always the likeliest.",
)
@click.option("--simulator", type=click.Choice(SIMULATORS), default=SIMULATORS[0], show_default=True)
@click.option(
    "--netlist", is_flag=True, help="Simulate the netlist that Yosys makes: minutes for a full engine."
)
@click.option("--hls", "with_hls", is_flag=True, help="The hls4ml C++, with the engine's interfaces.")
@click.option(
    "--exported",
    type=Reads(folder=True),
    help="Folder of Verilog that Vitis HLS exported, with the engine's interfaces; needs --ports.",
)
@click.option("--ports", type=Reads(), help="TOML file with the names of its ports; see the docs.")
@click.option("--waves", is_flag=True, help="Write a waveform (FST); slower.")
@click.option("--protocol", is_flag=True, help="Also run the tests of streams, registers and modes.")
@click.option(
    "--seed",
    default=1,
    show_default=True,
    help="Seed of the text and of the protocol tests.",
)
@array_options
@output_option("build/simulate")
@json_option("Write a record of it there.", record="longest run")
def command(
    checkpoint: Path | None,
    text: str | None,
    text_file: Path | None,
    characters: int,
    length: int,
    temperature: float,
    simulator: str,
    netlist: bool,
    with_hls: bool,
    exported: Path | None,
    ports: Path | None,
    waves: bool,
    protocol: bool,
    seed: int,
    dsp: int | None,
    lanes: int | None,
    parity: bool,
    output: Path,
    json_path: Path | None,
) -> None:
    """Simulate a network's RTL and compare every signal with the reference, at every character.

    Use of memory and disk does not depend on the number of characters, except for some bytes per character.
    A netlist has no signals of these names: everything at its ports is compared instead. Exit code 1 with
    the first difference (character, layer, gate, unit, raw values; or the beat at the port) if there is one.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from zynq_lstm.hls.engine.estimate import fitting_array
    from zynq_lstm.models.description.checkpoint import load_quantized
    from zynq_lstm.models.store import write_json
    from zynq_lstm.models.texts.corpus import decode, note_rest
    from zynq_lstm.sim.campaigns import records
    from zynq_lstm.sim.engines import frozen, registry
    from zynq_lstm.sim.engines.rtl import Simulated
    from zynq_lstm.sim.simulation.rtl import PROTOCOL_TESTS, Sequence

    if length < 0:
        raise UserError(f"--generate is {length}; it must be 0 or more")
    if (exported is None) != (ports is None):
        raise UserError("--exported and --ports need each other")
    if netlist + with_hls + (exported is not None) > 1:
        raise UserError("--netlist, --hls and --exported exclude each other")
    if (with_hls or exported) and (waves or simulator != "verilator"):
        raise UserError("--hls and --exported run on Verilator, without waveforms")
    require(simulator)
    raw, seed = temperature_to_raw(temperature), check_seed(seed)
    loaded = load_quantized(checkpoint)
    name = "exported" if exported else "hls-shell" if with_hls else "netlist" if netlist else "rtl"
    network = frozen(loaded, name)
    codes = text_codes(loaded, text, text_file, characters)
    console = Console()
    options: dict[str, Any] = {}
    if exported:
        options = {"exported": exported, "ports": ports}
    elif not with_hls:
        array = fitting_array(network.spec, dsp=dsp, lanes=lanes, parity=parity)
        options = {"array": array, "simulator": simulator, "waves": waves}
    engine = registry()[name](loaded, network, output, **options)
    assert isinstance(engine, Simulated)
    with console.status(f"building with {'Yosys and ' * netlist}{simulator}"):
        engine.build()
    rtl = engine.bench
    for test in PROTOCOL_TESTS if protocol else ():
        with console.status(test):
            rtl.protocol(test, seed)
        console.print(f"passed  {test}")
    # The last character primes the generation: the state is carried from one sequence to the next.
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
            bar.update(task, completed=characters, rate=f"{bar.tasks[0].speed or 0:,.0f} per second")

        try:
            report = rtl.verify(sequences, "text", temperature_raw=raw, seed=seed, progress=show)
        finally:
            if json_path and (ran := rtl.report("text")):  # none if the simulation did not get so far
                write_json(json_path, records.longest_run(ran, seed))
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
        written = decode(last["generated"], network.vocabulary)
        console.print(escape(written), highlight=False)
        note_rest(written, loaded.rest)
    if waves:
        console.print(f"waveform: {output / 'run-text' / 'waves.fst'}")


def _cycles(sequence: dict[str, float | None]) -> str:
    cycles = sequence["cycles_per_character"]
    return "too short to time" if cycles is None else f"{cycles:.1f} cycles per character"
