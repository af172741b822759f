# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm convert``: convert a quantized network to HLS C++ or RTL, through hls4ml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zynq_lstm.hls.hls4ml.convert import CLOCK_PERIOD
from zynq_lstm.hls.hls4ml.reuse import require_reuse_factor
from zynq_lstm.hls.parts import DEFAULT_PART, full_part
from zynq_lstm.models.errors import UserError
from zynq_lstm.scripts.files import Folder, Verb
from zynq_lstm.scripts.options import (
    array_options,
    checkpoint_option,
    clock_option,
    known_part,
    period,
    reuse_factor_option,
)
from zynq_lstm.sim.engines import frozen

BACKENDS = ("Vitis", "OpenRTL")


@click.command(cls=Verb, name="convert")
@checkpoint_option
@click.option(
    "--backend", type=click.Choice(BACKENDS, case_sensitive=False), default="Vitis", show_default=True
)
@click.option(
    "--output",
    type=Folder(lambda given: Path("build", given["backend"].lower())),
    help="Folder; build/BACKEND if not given.",
)
@reuse_factor_option("Vitis: clock cycles of each matrix product.")
@array_options
@click.option("--part", callback=known_part, help=f"FPGA; {full_part(DEFAULT_PART)} if not given.")
@clock_option(f"Vitis: in MHz; {1000 / CLOCK_PERIOD:g} if not given.")
@click.option("--compile", "compiled", is_flag=True, help="Compile for simulation, too.")
def command(
    checkpoint: Path | None,
    backend: str,
    output: Path | None,
    reuse_factor: int | None,
    dsp: int | None,
    lanes: int | None,
    parity: bool,
    part: str | None,
    clock: float | None,
    compiled: bool,
) -> None:
    """Write the project of a quantized network: HLS C++ (Vitis) or SystemVerilog (OpenRTL)."""
    from zynq_lstm.models.description.checkpoint import load_quantized

    given: dict[str, Any] = {"dsp": dsp, "lanes": lanes, "parity": parity or None, "part": part}
    given |= {"reuse_factor": reuse_factor, "clock": clock}
    options = {name: value for name, value in given.items() if value is not None}
    for name in ("dsp", "lanes", "parity") if backend == "Vitis" else ("reuse_factor", "clock"):
        if name in options:
            other = BACKENDS[backend == "Vitis"]
            raise UserError(f"--{name.replace('_', '-')} is an option of --backend {other}, not of {backend}")
    if "clock" in options:
        options["clock_period"] = period(options.pop("clock"))
    loaded = load_quantized(checkpoint)
    spec = frozen(loaded, "keras", "hls" if backend == "Vitis" else "rtl").spec
    if reuse_factor is not None:
        require_reuse_factor(spec, reuse_factor)

    from zynq_lstm.hls.hls4ml.convert import compile_model, convert, save
    from zynq_lstm.hls.hls4ml.graph import network_from_graph
    from zynq_lstm.models.keras.quantized import quantized_model

    folder = output or Path("build", backend.lower())
    graph = convert(quantized_model(loaded), folder, backend, **options)
    if compiled:
        compile_model(graph)
    else:
        save(graph)
    click.echo(f"network  {network_from_graph(graph).identity}")
    if backend == "Vitis":
        for node in list(graph.get_layers())[1:]:
            accumulator = node.get_attr("accum_t").precision.width
            click.echo(
                f"{node.name:8s} reuse factor {node.get_attr('reuse_factor')}, "
                f"{node.get_attr('lanes') * node.get_attr('rows')} multipliers, {accumulator}-bit sums"
            )
    click.echo(f"project  {folder}")
