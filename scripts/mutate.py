# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm mutate``: faults planted in the RTL, and how many of them the bench finds."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="mutate")
@click.option("--count", default=400, show_default=True, help="Mutants.")
@click.option("--seed", default=1, show_default=True, help="Of the mutants, the weights and the tests.")
@click.option(
    "--goal", default=0.97, show_default=True, help="Share that must be found, without equivalents."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/mutate"),
    show_default=True,
    help="Folder for the build and the record.",
)
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="Record; OUTPUT/mutants.json if not given."
)
def command(count: int, seed: int, goal: float, output: Path, json_path: Path | None) -> None:
    """Plant single faults in the RTL of a small design, and run the bench's protocol tests on each.

    Lists the mutants that no test finds. Exit code 1 if fewer are found than --goal asks for, of those that
    are not known to be equivalent.
    """
    from models.errors import CheckError
    from sim import records
    from sim.mutants import hunt, make, record, small_design

    design = small_design(seed)
    mutants, rtl = make(design, output, count, seed)
    click.echo(f"{len(mutants)} mutants built")
    killed = hunt(mutants, rtl, seed, lambda test, found: click.echo(f"  {test:30}{found:6} found"))
    data = record(mutants, killed, seed)
    path = json_path or records.path(records.MUTANTS, output)
    records.write(path, data)
    for mutant in mutants:
        if mutant.number not in killed:
            click.echo(f"{mutant}{' (equivalent)' if mutant.equivalent else ''}")
    share = data["killed_of_rest"]
    click.echo(
        f"{data['killed']} of {data['made']} found, {data['equivalent']} equivalent: "
        f"{100 * share:.1f} % of the others; {path}"
    )
    if share < goal:
        raise CheckError(f"{100 * share:.1f} % of the mutants are found, less than {100 * goal:.1f} %")
