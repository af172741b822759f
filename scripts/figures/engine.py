# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm figures engine``: the RTL engines of the shipped networks, simulated and synthesized."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import json_option, output_option, part_option

if TYPE_CHECKING:
    from zynq_lstm.models.description.checkpoint import Checkpoint

ENGINE_PRESETS = ("w8a8", "w4a8")


@click.command(cls=Verb, name="engine", short_help="The RTL engine: cycles, resources, LUT levels.")
@click.option(
    "--preset", "presets", type=click.Choice(ENGINE_PRESETS), multiple=True, help="Preset; both if not given."
)
@click.option(
    "--characters",
    type=click.IntRange(8),
    default=2000,
    show_default=True,
    help="Characters to score; a quarter as many are generated.",
)
@part_option()
@click.option(
    "--synthesis/--no-synthesis", default=True, show_default=True, help="Run Yosys: minutes per preset."
)
@output_option("build/figures", "Folder for projects, netlists and logs.")
@json_option()
@click.pass_context
def engine(
    ctx: click.Context,
    presets: tuple[str, ...],
    characters: int,
    part: str,
    synthesis: bool,
    output: Path,
    json_path: Path | None,
) -> None:
    """Measure the RTL engine of a shipped network: cycles by simulation, resources and LUT levels by Yosys.

    Exit code 1 if the netlist has a latch, a net with several drivers or none, a combinational loop, a
    memory in LUTs that is not meant to be, or a DSP or block RAM without register.
    """
    from rich.console import Console

    from zynq_lstm.hls.parts import part_name
    from zynq_lstm.models.store import write_json

    part = part_name(part)
    console = Console()
    figures: dict[str, dict[str, Any]] = {}
    sound = True
    for preset in presets or ENGINE_PRESETS:
        figures[preset], faults = _measure(console, preset, characters, part, synthesis, output / preset)
        sound = sound and not faults
        if json_path:  # at once: the next preset takes minutes
            write_json(json_path, figures)
    _print(console, figures)
    if not sound:
        ctx.exit(1)


def _measure(
    console: Any, preset: str, characters: int, part: str, synthesis: bool, folder: Path
) -> tuple[dict[str, Any], list[str]]:
    """Return the figures of a preset, and the faults of its netlist."""
    import numpy as np

    from zynq_lstm.hls.engine.estimate import fitting_array
    from zynq_lstm.hls.synthesis.netlist import check, summary, synthesized
    from zynq_lstm.hls.synthesis.yosys import synthesize
    from zynq_lstm.sim.engines import frozen
    from zynq_lstm.sim.engines.rtl import RtlEngine
    from zynq_lstm.sim.simulation.rtl import write_project

    checkpoint = _checkpoint(preset)
    network = frozen(checkpoint)
    engine = RtlEngine(checkpoint, network, folder, array=fitting_array(network.spec, part))
    codes = np.random.default_rng(0).integers(0, network.spec.vocabulary, characters)
    with console.status(f"{preset}: simulation"):
        engine.build()
        engine.whole_trace(codes)
        list(engine.write(codes[:8], max(16, characters // 4)))
    figures = engine.describe()
    figures["rtl_chars_per_s"] = figures.pop("characters_per_second")
    if not synthesis:
        return figures, []
    with console.status(f"{preset}: synthesis with Yosys, some minutes"):
        write_project(engine.design, folder / "rtl")
        report = synthesize(folder / "rtl", part)
    found = check(synthesized(folder / "rtl"))
    for line in summary(found):
        console.print(f"{preset}: {line}", highlight=False, markup=False)
    resources = {name: report[name] for name in ("dsp", "bram36", "lut", "ff")}
    return figures | resources | {"lut_levels": found.lut_levels}, found.faults


def _checkpoint(preset: str) -> Checkpoint:
    """Return the shipped network of a preset; if there is none, the shipped float network, rounded."""
    from zynq_lstm.models.description.checkpoint import Checkpoint, preset_spec, shipped
    from zynq_lstm.models.errors import UserError

    try:
        return Checkpoint.load(shipped(preset))
    except UserError:
        loaded = Checkpoint.load(shipped("float"))
    return dataclasses.replace(loaded, spec=preset_spec(loaded, preset))


def _print(console: Any, figures: dict[str, dict[str, Any]]) -> None:
    from rich.table import Table

    from zynq_lstm.hls.engine.schedule import MODES
    from zynq_lstm.scripts.tables import show

    table = Table("", *figures)
    names = [n for n in next(iter(figures.values())) if n != "cycles_per_character"]
    for mode in MODES:
        table.add_row(
            f"cycles per character, {mode}",
            *(f"{f['cycles_per_character'][mode]:g}" for f in figures.values()),
        )
    for name in names:
        table.add_row(name.replace("_", " "), *(f"{f.get(name, ''):,}" for f in figures.values()))
    show(table, console)
