# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm hls-project``: HLS C++ with scripts, vectors and a test bench for Vitis HLS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts.options import output_option, reuse_factor_option

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint

CHARACTERS = 32  # cosim runs the RTL of each for thousands of cycles


@click.command(name="hls-project")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Quantized network; the shipped w8a8.")
@click.option(
    "--part", default="xc7z020", show_default=True, help="Device, or device with package and speed."
)
@click.option("--clock-period", type=float, help="In ns; 10 if not given.")
@reuse_factor_option()
@click.option("--characters", default=CHARACTERS, show_default=True, help="Random ones, for the test bench.")
@output_option("build/hls-project")
def command(checkpoint: Path | None, part: str, output: Path, **options: Any) -> None:
    """Write all that Vitis HLS needs for C simulation, synthesis, RTL simulation and an IP.

    The test bench compares every logit with the reference's. 'zynq-lstm synth --tool vitis-hls' also runs it.
    """
    from hls.vendor.projects import VITIS_SCRIPT
    from hls.vendor.run import PROGRAMS, command_line
    from models.checkpoint import Checkpoint, shipped

    given = {name: value for name, value in options.items() if value is not None}
    project = write_project(Checkpoint.load(checkpoint or shipped("w8a8")), part, output, given)
    click.echo(f"project  {project}")
    for program in PROGRAMS["vitis-hls"]:
        click.echo(f"run      {command_line(program, project / VITIS_SCRIPT)}")


def write_project(checkpoint: Checkpoint, part: str, folder: Path, given: dict[str, Any]) -> Path:
    """Convert through hls4ml and add script, test bench and vectors.

    Args:
        given: ``reuse_factor``, ``clock_period`` (ns) and ``characters``, each or none.

    Raises:
        UserError: a float network, an unknown part, an impossible value.
    """
    import numpy as np

    from hls.convert import CLOCK_PERIOD, PROJECT, convert, save
    from hls.graph import network_from_graph
    from hls.synthesis import full_part
    from hls.vendor.projects import add_vitis, check_characters
    from models.freeze import freeze
    from models.quantized import quantized_model

    part, period = full_part(part), given.get("clock_period", CLOCK_PERIOD)
    network = freeze(checkpoint)
    count = given.get("characters", CHARACTERS)
    check_characters(count)
    codes = np.random.default_rng(0).integers(network.spec.vocabulary, size=count)
    model = quantized_model(checkpoint)
    graph = convert(model, folder, reuse_factor=given.get("reuse_factor"), part=part, clock_period=period)
    save(graph)
    assert network_from_graph(graph).identity == network.identity
    add_vitis(folder, network, codes, PROJECT, part, period)
    return folder
