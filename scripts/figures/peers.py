# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm figures peers``: stock hls4ml on the same models."""

from __future__ import annotations

from pathlib import Path

import click

from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import json_option, output_option


@click.command(cls=Verb, name="peers", short_help="Stock hls4ml and this project on the same Keras models.")
@click.option("--measure", is_flag=True, help="Run both instead of reading a record: some minutes.")
@click.option("--record", type=Reads(), help="Record to print; the shipped one if not given.")
@output_option("build/peers", "Folder for the models and projects of --measure.")
@json_option("Write the record there.")
@click.pass_context
def peers(
    ctx: click.Context, measure: bool, record: Path | None, output: Path, json_path: Path | None
) -> None:
    """Compare the outputs of stock hls4ml, and of this project, with those of Keras, on small random models.

    Stock hls4ml has formats of 32 bits; here the formats are those of a preset. Without --measure, they are
    read from the last run's record; exit code 1 if its sources have changed since.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.models.errors import UserError
    from zynq_lstm.models.store import read_record, write_json
    from zynq_lstm.scripts.tables import show
    from zynq_lstm.sim.campaigns import peers as campaign
    from zynq_lstm.sim.campaigns import records

    console = Console()
    if measure:
        with console.status("") as status:
            found = campaign.measure(output, progress=status.update)
    else:
        path = record or records.path(records.PEERS)
        if not path.exists():
            raise UserError(f"{path}: no such record; --measure makes one")
        found = read_record(path, records.PEERS, records.PEERS)
    table = Table(
        "recurrent layer", title=f"largest difference from a logit of Keras; hls4ml {found['hls4ml']}"
    )
    for heading in ("hls4ml", "zynq-lstm", "hls4ml on it"):
        table.add_column(heading, overflow="fold")
    for name, row in found["cases"].items():
        told = (
            f"{row[who]['largest']:.2g}" if row[who]["largest"] is not None else row[who]["said"]
            for who in ("stock", "ours")
        )
        table.add_row(name, *told, row["known"])
    show(table, console)
    if json_path:
        write_json(json_path, found)
    if not measure and records.stale(found):
        click.echo("stale, since its sources have changed; run figures peers --measure", err=True)
        ctx.exit(1)
