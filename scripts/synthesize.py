# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm synthesize``: what the RTL of a network takes of a part, by Yosys."""

from __future__ import annotations

import json
from pathlib import Path

import click

from scripts.options import array_options


@click.command(name="synthesize")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Quantized network; the shipped w8a8.")
@click.option("--part", default="xc7z020", show_default=True)
@array_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/synthesize"),
    show_default=True,
    help="Folder for the project, netlist and log.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the report there, too.")
@click.pass_context
def command(
    ctx: click.Context,
    checkpoint: Path | None,
    part: str,
    dsp: int | None,
    lanes: int | None,
    parity: bool,
    output: Path,
    json_path: Path | None,
) -> None:
    """Write the RTL of a network, synthesize it, and print LUTs, flip-flops, DSPs and block RAMs.

    Exit code 1 if the netlist has a fault; 'zynq-lstm figures engine --help' says which there are.
    """
    from rich.console import Console
    from rich.table import Table

    from hls.design import Design
    from hls.estimate import fitting_array
    from hls.netlist import Netlist, check, summary
    from hls.synthesis import PARTS, part_name, results, synthesize
    from models.checkpoint import Checkpoint, shipped
    from models.freeze import freeze
    from models.store import claim, write_text
    from sim.rtl import write_project

    part = part_name(part)
    network = freeze(Checkpoint.load(checkpoint or shipped("w8a8")))
    project = output / "rtl"
    claim(output)
    write_project(Design(network, fitting_array(network.spec, part, dsp, lanes, parity)), project)
    console = Console()
    with console.status("Yosys; some minutes for a full engine"):
        report = synthesize(project, part)
    table = Table("", "used", f"{part} has", "", title=report["tool"])
    for name, has in PARTS[part].items():
        table.add_row(name, f"{report[name]:g}", f"{has:,}", f"{100 * report[name] / has:.0f} %")
    console.print(table)
    found = check(Netlist(results(project) / "netlist.json"))
    for line in summary(found):
        console.print(line, highlight=False, markup=False)
    if json_path:
        write_text(json_path, json.dumps(report, indent=2) + "\n")
    if found.faults:
        ctx.exit(1)
