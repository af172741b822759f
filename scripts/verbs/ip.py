# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm ip``: package a network's engine as an IP for Vivado's block designs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from zynq_lstm.hls.parts import part_name
from zynq_lstm.scripts.files import Folder, Verb
from zynq_lstm.scripts.options import array_options, checkpoint_option, part_option
from zynq_lstm.sim.engines import frozen


@click.command(cls=Verb, name="ip")
@checkpoint_option
@part_option()
@array_options
@click.option("--embed", is_flag=True, help="Memories hold constants instead of reading files.")
@click.option(
    "-o",
    "--output",
    type=Folder(),
    default=Path("build", "ip"),
    show_default=True,
    help="Folder to fill.",
)
def command(
    checkpoint: Path | None,
    part: str,
    dsp: int | None,
    lanes: int | None,
    parity: bool,
    embed: bool,
    output: Path,
) -> None:
    """Write an IP: component.xml, sources, and the registers as C header, SystemRDL and Python.

    docs/board.md says how to add it to a block design, and what has not been run on hardware.
    """
    from zynq_lstm.hls.board import ipxact
    from zynq_lstm.hls.board.packaged import SCRIPT, packaged
    from zynq_lstm.hls.engine.design import Design
    from zynq_lstm.hls.engine.estimate import fitting_array
    from zynq_lstm.hls.engine.feasibility import misfit
    from zynq_lstm.hls.vendor.run import PROGRAMS, command_line
    from zynq_lstm.models.description.checkpoint import load_quantized
    from zynq_lstm.models.store import claim

    network = frozen(load_quantized(checkpoint), "rtl")
    device = part_name(part)
    array = fitting_array(network.spec, device, dsp, lanes, parity)
    if reason := misfit(network.spec, array, device):
        click.echo(f"this will not fit the {device}: {reason}", err=True)
    claim(output)
    _write(packaged(Design(network, array), part, embed), output)
    vlnv = ":".join((ipxact.VENDOR, ipxact.LIBRARY, ipxact.NAME, ipxact.VERSION))
    click.echo(f"network  {network.identity}")
    click.echo(f"IP       {vlnv} in {output}")
    click.echo(f"packager {command_line(PROGRAMS['vivado'][0], output / SCRIPT)}")


def _write(files: Mapping[str, str], folder: Path) -> None:
    """Write the files, and remove sources that an earlier IP in the folder had and this one doesn't have."""
    from zynq_lstm.hls.board.packaged import SOURCES
    from zynq_lstm.models.store import write_text

    for old in (folder / SOURCES).glob("*"):
        if f"{SOURCES}/{old.name}" not in files and old.suffix in (".mem", ".sv", ".svh", ".v"):
            old.unlink()
    for name, text in files.items():
        write_text(folder / name, text)
