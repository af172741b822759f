# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm figures cells``: every cell on every engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zynq_lstm.scripts.figures.records import records_option
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import json_option, output_option
from zynq_lstm.scripts.verbs.mutate import GOAL


@click.command(cls=Verb, name="cells", short_help="Every cell on every engine, and its cost in RTL.")
@click.option("--measure", is_flag=True, help="Run them instead of reading a record: an hour.")
@click.option(
    "--characters",
    type=click.IntRange(16),
    default=2048,
    show_default=True,
    help="--measure: characters whose signals are compared.",
)
@click.option(
    "--length",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    help="--measure: characters that each engine writes, with a temperature.",
)
@click.option(
    "--earlier",
    type=Reads(folder=True),
    help="Checkout of an earlier version, to measure the reference's speed against.",
)
@click.option(
    "--mutants",
    type=click.IntRange(1),
    default=150,
    show_default=True,
    help="--measure: faults to plant in each cell's gate pipelines, one at a time.",
)
@records_option
@output_option("build/every-cell", "Folder to build in with --measure.")
@json_option("Write the figures there.")
@click.pass_context
def cells(
    ctx: click.Context,
    measure: bool,
    characters: int,
    length: int,
    earlier: Path | None,
    mutants: int,
    folder: Path | None,
    output: Path,
    json_path: Path | None,
) -> None:
    """Compare every signal of every cell in Keras, the HLS C++ and the RTL with the reference.

    Each cell has two layers with as many parameters as an LSTM's of 128 units, and random weights. Cycles are
    measured, for an array of 416 products per cycle. "Mutants found" is the share of single faults in a
    cell's gate pipelines that the bench finds, of those that change an output ("mutate --cell").

    Without --measure, figures are read from the last run's record. Exit code 1 if a value differs, if fewer
    than 97 % of the faults are found, or if the record's sources have changed since.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.models.errors import CheckError, UserError
    from zynq_lstm.models.store import write_json
    from zynq_lstm.scripts.figures.earlier import reference_speed
    from zynq_lstm.scripts.tables import show
    from zynq_lstm.sim.campaigns import every_cell, records
    from zynq_lstm.sim.campaigns.mutants import share

    console = Console()
    folder = folder or records.FOLDER
    if earlier:
        with console.status("the reference's speed"):
            speed: dict[str, Any] | None = reference_speed(earlier, output / "speed")
        write_json(output / records.path(records.REFERENCE_SPEED).name, speed)
    else:
        speed = records.read(records.REFERENCE_SPEED, folder)
    if measure:
        with console.status("") as status:
            found = every_cell.measure_all(output, 1, characters, length, status.update, faults=mutants)
        write_json(output / records.path(records.CELLS).name, found)
    else:
        read = records.read(records.CELLS, folder)
        if read is None:
            raise UserError(f"{folder}: there is no record of cells; --measure makes one")
        found = read
    first, *others = every_cell.HEADINGS
    table = Table(first, pad_edge=False)
    for heading in others:
        table.add_column(heading, justify="right")
    for told in every_cell.rows(found):
        table.add_row(*told)
    show(table, console)
    if speed:
        click.echo(
            f"speed of the reference for the LSTM: {speed['ratio']:.2f} of that of commit {speed['earlier']}"
        )
    if json_path:
        fuzz = records.figures({"fuzz": records.VERIFICATION["random_networks"]}, folder)["fuzz"]
        shown = {name: row | {"mutants": _counts(row["mutants"])} for name, row in found["cells"].items()}
        ratio = speed and speed["ratio"]
        write_json(json_path, {"cells": shown, "fuzz": fuzz, "reference_speed_ratio": ratio})
    differ = any(row[e]["mismatches"] for row in found["cells"].values() for e in every_cell.ENGINES)
    stale = not measure and records.stale(found)
    if stale:
        click.echo("stale, since its sources have changed; run figures cells --measure", err=True)
    if speed and records.stale(speed):
        click.echo("stale, since the reference has changed; run figures cells --earlier", err=True)
        stale = True
    for name, row in found["cells"].items():
        if (found_share := share(row["mutants"])) < GOAL:
            raise CheckError(
                f"{name}: {100 * found_share:.1f} % of the faults are found, less than {100 * GOAL:.1f} %"
            )
    if differ or stale:
        ctx.exit(1)


def _counts(mutants: Mapping[str, Any]) -> dict[str, int]:
    """Return the figures of a cell's mutants without the list of survivors, which the record has."""
    return {name: mutants[name] for name in ("made", "equivalent", "killed")}
