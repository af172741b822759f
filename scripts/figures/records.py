# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm figures verification`` and ``robustness``: the records of the nightly suite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import json_option

if TYPE_CHECKING:
    from zynq_lstm.sim.campaigns.records import Figure


records_option = click.option(
    "--records",
    "folder",
    type=Reads(folder=True),
    help="Folder of the records, as make nightly leaves them; the shipped ones if not given.",
)


@click.command(cls=Verb, name="verification", short_help="Results of verification.")
@records_option
@json_option()
@click.pass_context
def verification(ctx: click.Context, folder: Path | None, json_path: Path | None) -> None:
    """Print the results of verification: random networks, mutants, coverage, the longest run, bad inputs.

    They are read from the last runs' records, each with its date and commit (+: with changes); nothing runs.
    Exit code 1 if the sources of a record have changed since it was made.
    """
    from zynq_lstm.sim.campaigns import records

    _show_records(ctx, records.VERIFICATION, folder, json_path)


@click.command(cls=Verb, name="robustness", short_help="Results of bad input and interruptions.")
@records_option
@json_option()
@click.pass_context
def robustness(ctx: click.Context, folder: Path | None, json_path: Path | None) -> None:
    """Print the results on strangers' models, typing mistakes, odd folder names, odd formats, interruptions.

    They are read from the last runs' records, as for "figures verification". "cases" are models and
    "situations" command lines, each with its right answer; "specs" are random networks for which estimate's
    verdict was compared with building each engine; "skipped tests" are those of the last "make test". Exit
    code 1 if the sources of a record have changed since it was made.
    """
    from zynq_lstm.sim.campaigns import records

    _show_records(ctx, records.ROBUSTNESS, folder, json_path)


def _show_records(
    ctx: click.Context, wanted: Mapping[str, Figure], folder: Path | None, json_path: Path | None
) -> None:
    """Print the figures of records and write them; exit code 1 if one is stale."""
    from rich.table import Table

    from zynq_lstm.models.store import write_json
    from zynq_lstm.scripts.tables import show
    from zynq_lstm.sim.campaigns import records

    folder = folder or records.FOLDER
    figures = records.figures(wanted, folder)
    table = Table("figure", "found", "date", "commit", "")
    for name, row in zip(figures, records.rows(wanted, folder), strict=True):
        found = figures[name]
        table.add_row(*row, "stale" if found and found["stale"] else "")
    show(table)
    if json_path:
        write_json(json_path, records.as_json(wanted, folder))
    kinds = {wanted[name].kind for name, row in figures.items() if row and row["stale"]}
    if kinds:
        click.echo(
            f"stale, since their sources have changed: {', '.join(sorted(kinds))}; run make nightly", err=True
        )
        ctx.exit(1)
