# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm hls-project``: write HLS C++ with scripts, vectors and a test bench for Vitis HLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zynq_lstm.hls.hls4ml.convert import CLOCK_PERIOD
from zynq_lstm.hls.vendor.projects import CHARACTERS, MIN_CHARACTERS, VITIS_SCRIPT, write_vitis
from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import (
    checkpoint_option,
    clock_option,
    output_option,
    part_option,
    period,
    reuse_factor_option,
)


@click.command(cls=Verb, name="hls-project")
@checkpoint_option
@part_option()
@clock_option(f"In MHz; {1000 / CLOCK_PERIOD:g} if not given.")
@reuse_factor_option()
@click.option(
    "--characters",
    type=click.IntRange(MIN_CHARACTERS),
    default=CHARACTERS,
    show_default=True,
    help="Number of random characters for the test bench.",
)
@output_option("build/hls-project")
def command(checkpoint: Path | None, part: str, output: Path, **options: Any) -> None:
    """Write everything that Vitis HLS needs for C simulation, synthesis, RTL simulation and an IP.

    The test bench compares every logit with the reference's. 'zynq-lstm synth --tool vitis-hls' also runs it.
    """
    from zynq_lstm.hls.vendor.run import PROGRAMS, command_line
    from zynq_lstm.models.description.checkpoint import load_quantized

    given = {name: value for name, value in options.items() if value is not None}
    if "clock" in given:
        given["clock_period"] = period(given.pop("clock"))
    write_vitis(load_quantized(checkpoint), part, output, given)
    click.echo(f"project  {output}")
    for program in PROGRAMS["vitis-hls"]:
        click.echo(f"run      {command_line(program, output / VITIS_SCRIPT)}")
