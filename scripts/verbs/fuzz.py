# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm fuzz``: run random networks on the RTL, the quantized Keras model and the HLS C++."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zynq_lstm.models.errors import CheckError, require_package
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import json_option, output_option
from zynq_lstm.sim.simulation.simulator import SIMULATORS, require

if TYPE_CHECKING:
    from zynq_lstm.sim.campaigns.random_networks import Case


@click.command(cls=Verb, name="fuzz")
@click.option(
    "--networks", type=click.IntRange(1), default=20, show_default=True, help="Number of networks to try."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Seed; equal seeds try equal networks.",
)
@click.option(
    "--simulator",
    type=click.Choice(SIMULATORS),
    default=SIMULATORS[0],
    show_default=True,
    help="Verilator builds a small network in some seconds, Icarus (Debian's package iverilog) in one.",
)
@click.option("--keras/--no-keras", default=True, show_default=True, help="The quantized Keras model, too.")
@click.option(
    "--hls",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Also run the HLS C++ of every Nth network, which g++ compiles slowly. 0: of none.",
)
@click.option(
    "--replay",
    type=Reads(folder=True),
    help="Run the saved case in this folder again instead.",
)
@output_option("build/fuzz", "Folder to build in; a failing case is left in its subfolder failing.", True)
@json_option("Write the record there.", record="random networks")
def command(
    networks: int,
    seed: int,
    simulator: str,
    keras: bool,
    hls: int,
    replay: Path | None,
    output: Path,
    json_path: Path | None,
) -> None:
    """Try random networks, arrays, formats and texts on the RTL; every signal must equal the reference's.

    Networks whose weights have QKeras' symmetric formats also run on the quantized Keras model, and some
    networks on the HLS C++.

    A network with a difference is made as small as possible and saved, for --replay. The exit code
    is then 1.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from zynq_lstm.models.store import write_json

    require_package("hypothesis")
    from zynq_lstm.sim.campaigns.random_networks import Case, Engines, search

    require(simulator)
    engines = Engines(output, simulator, hls, keras)
    if replay:
        case = Case.load(replay)
        engines.check(case)
        click.echo(f"no difference: {case}")
        return
    columns = TextColumn("networks"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[case]}")
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("", total=networks, case="")

        def show(case: Case) -> None:
            bar.update(task, advance=1, case=str(case))

        tried, failed = search(networks, seed, output, engines.check, show)
    if json_path:
        write_json(json_path, engines.record(tried, failed, seed))
    if failed:
        options = f"--simulator {simulator} --hls {hls}{'' if keras else ' --no-keras'}"
        again = f"zynq-lstm fuzz --replay {output / 'failing'} {options}"
        raise CheckError(f"{failed}; the smallest such network is saved: {again}")
    others = "".join(f"; {name} {engines.counts[name]}" for name in ("keras", "hls") if engines.counts[name])
    click.echo(
        f"{tried} random networks (seed {seed}) on {simulator}{others}: every value is the reference's"
    )
