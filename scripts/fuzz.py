# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm fuzz``: the RTL of random networks against the reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.errors import CheckError, UserError

if TYPE_CHECKING:
    from sim.random_networks import Case


@click.command(name="fuzz")
@click.option("--networks", type=click.IntRange(1), default=20, show_default=True, help="How many to try.")
@click.option("--seed", default=1, show_default=True, help="Equal seeds try equal networks.")
@click.option(
    "--simulator",
    type=click.Choice(("icarus", "verilator")),
    default="icarus",
    show_default=True,
    help="Icarus builds a small network in a second, Verilator in half a minute.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run the case in this folder once more instead.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/fuzz"),
    show_default=True,
    help="Folder to build in; a failing case is left in its subfolder failing.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures there, too.")
def command(
    networks: int, seed: int, simulator: str, replay: Path | None, output: Path, json_path: Path | None
) -> None:
    """Try random networks, arrays, formats and texts on the RTL; every signal must be the reference's.

    A network on which it isn't is made as small as it gets and saved, for --replay. Exit code 1 then.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from models.store import write_text
    from sim.simulator import available

    try:
        from sim.random_networks import Case, check, search
    except ModuleNotFoundError as error:
        raise UserError(f"Python package {error.name} is not installed; install it with pip") from None
    if not available(simulator):
        raise UserError(f"simulator {simulator} is not installed; --simulator has another")
    if replay:
        case = Case.load(replay)
        check(case, output, simulator)
        click.echo(f"no difference: {case}")
        return
    columns = TextColumn("networks"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[case]}")
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("", total=networks, case="")

        def show(case: Case) -> None:
            bar.update(task, advance=1, case=str(case))

        tried, failed = search(networks, seed, output, simulator, show)
    if json_path:
        write_text(
            json_path, json.dumps({"tried": tried, "mismatches": int(bool(failed)), "seed": seed}) + "\n"
        )
    if failed:
        raise CheckError(
            f"{failed}; the smallest such network is saved: zynq-lstm fuzz --replay {output / 'failing'} "
            f"--simulator {simulator}"
        )
    click.echo(f"{tried} random networks (seed {seed}) on {simulator}: every value is the reference's")
