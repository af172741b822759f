# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm mutate``: plant faults in the RTL, and count those that the bench finds."""

from __future__ import annotations

import os
from pathlib import Path

import click

from zynq_lstm.models.cells import catalogue
from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import Number, json_option, output_option

GOAL = 0.97  # share of the mutants, without equivalent ones, that must be found


@click.command(cls=Verb, name="mutate")
@click.option("--count", default=400, show_default=True, help="Number of mutants.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Seed of the mutants, the weights and the tests.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    show_default=True,
    help="Number of simulations at once.",
)
@click.option(
    "--cell",
    help=f"Plant faults in the gate pipelines of this cell alone: {', '.join(catalogue.names())}, or a file "
    f"*{catalogue.ENDING}; in all of an LSTM's design if not given.",
)
@click.option("--only", help="Try these mutants alone, by number, as 12,57; no record is written.")
@click.option(
    "--goal",
    type=Number(0, 1),
    default=GOAL,
    show_default=True,
    help="Share of the mutants, without equivalent ones, that must be found.",
)
@output_option("build/mutate", "Folder for the build and the record.")
@json_option("Record; OUTPUT/mutants.json if not given.", record="mutants")
def command(
    count: int,
    seed: int,
    jobs: int,
    cell: str | None,
    only: str | None,
    goal: float,
    output: Path,
    json_path: Path | None,
) -> None:
    """Plant single faults in the RTL of a small design, and run the bench's protocol tests on each.

    Lists the mutants that no test finds. Exit code 1 if the share found of the mutants that are neither
    proved nor argued to be equivalent is below --goal; or if a mutant argued to be equivalent is found.
    """
    from zynq_lstm.models.errors import CheckError, UserError
    from zynq_lstm.models.store import write_json
    from zynq_lstm.sim.campaigns import records
    from zynq_lstm.sim.campaigns.mutants import (
        GATE_TESTS,
        TESTS,
        check_arguments,
        gate_modules,
        make,
        record,
        search,
        small_design,
    )

    asked = set(only.split(",")) if only else set()
    if wrong_number := next((text for text in sorted(asked) if not text.isdecimal()), None):
        raise UserError(f"--only {only}: {wrong_number!r} is not a mutant number; write them as 12,57")
    if beyond := next((text for text in sorted(asked) if not 1 <= int(text) <= count), None):
        raise UserError(f"--only {only}: there is no mutant {beyond}; --count makes those from 1 to {count}")
    design = small_design(seed, catalogue.written(catalogue.cell(cell or "lstm")))
    mutants, rtl = make(design, output, count, seed, gate_modules(design) if cell else ())
    click.echo(f"{len(mutants)} mutants built")
    if only:
        mutants = [mutant for mutant in mutants if str(mutant.number) in asked]
        if len(mutants) < len(asked):
            raise UserError(f"--only {only}: no such mutant, or it is given twice")

    def show(test: str, found: int) -> None:
        click.echo(f"  {test:30}{found:6} found")

    killed, proved = search(mutants, rtl, output, seed, show, GATE_TESTS if cell else TESTS, jobs)
    alive = [mutant for mutant in mutants if mutant.number not in killed]
    data = record(mutants, killed, seed, proved)
    for mutant, row in zip(alive, data["survivors"], strict=True):
        click.echo(f"{mutant}{' (equivalent)' if row['equivalent'] else ''}")
    share = data["killed_of_rest"]
    click.echo(
        f"{data['killed']} of {data['made']} found, {data['equivalent']} equivalent: "
        f"{100 * share:.1f} % of the others"
    )
    if not only:
        path = json_path or records.path(records.MUTANTS, output)
        write_json(path, data)
        click.echo(f"record: {path}")
    check_arguments(mutants, killed)
    if share < goal:
        raise CheckError(f"{100 * share:.1f} % of the mutants are found, less than {100 * goal:.1f} %")
