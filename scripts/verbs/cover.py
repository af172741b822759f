# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm cover``: measure how much of its plan and of the RTL's code the bench covers."""

from __future__ import annotations

from pathlib import Path

import click

from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import json_option, output_option

LINE_GOAL, TOGGLE_GOAL = 98.0, 95.0  # percent


@click.command(cls=Verb, name="cover")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the weights and the tests."
)
@output_option("build/cover", "Folder for builds, runs and the record.")
@json_option("Record; OUTPUT/coverage.json if not given.", record="coverage")
def command(seed: int, output: Path, json_path: Path | None) -> None:
    """Run the bench on small designs, and measure its coverage.

    Bins are those of the plan in docs/verification.md; Verilator counts lines and toggled bits of the RTL.
    Exit code 1 if a bin is missed, or fewer than 98 % of the lines or 95 % of the toggles are hit.
    """
    import importlib.util

    from zynq_lstm.models.errors import CheckError, UserError
    from zynq_lstm.models.store import write_json

    if importlib.util.find_spec("cocotb_coverage") is None:
        raise UserError("Python package cocotb-coverage is not installed; install it with pip")
    from zynq_lstm.sim.campaigns import records
    from zynq_lstm.sim.campaigns.coverage import designs, measure

    data = measure(designs(seed), output, seed, lambda design, test: click.echo(f"{design:20}{test}"))
    path = json_path or records.path(records.COVERAGE, output)
    write_json(path, data)
    bins, code = data["bins"], data["code"]
    for name in bins["missed"]:
        click.echo(f"missed  {name}")
    click.echo(f"{bins['hit']} of {bins['planned']} bins hit")
    for kind in ("line", "toggle"):
        click.echo(f"{kind:8}{code[kind]:.2f} % of {code[f'{kind}_points']['counted']:,} points hit")
    click.echo(path)
    if bins["missed"] or code["line"] < LINE_GOAL or code["toggle"] < TOGGLE_GOAL:
        raise CheckError("the bench does not cover what it should")
