# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm figures``: measure the figures of the documentation, print them, write them as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from models.network import IntegerNetwork

ENGINE_PRESETS = ("w8a8", "w4a8")


@click.group(name="figures")
def command() -> None:
    """Measure the figures of the documentation; one group of them a subcommand."""


@command.command(name="engine")
@click.option(
    "--preset", "presets", type=click.Choice(ENGINE_PRESETS), multiple=True, help="Both if not given."
)
@click.option("--characters", default=2000, show_default=True, help="To simulate; as many are generated / 4.")
@click.option("--part", default="xc7z020", show_default=True)
@click.option("--synthesis/--no-synthesis", default=True, show_default=True, help="Yosys: minutes a preset.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/figures"),
    show_default=True,
    help="Folder for projects, netlists and logs.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures there, too.")
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
    """The RTL engine of the shipped network: cycles in simulation, resources and LUT levels by Yosys.

    Exit code 1 if the netlist has a latch, a net with several drivers or none, a combinational loop, a
    memory in LUTs that is not meant to be, or a DSP or block RAM without register.
    """
    from rich.console import Console

    from hls.synthesis import part_name
    from models.store import write_text

    part = part_name(part)
    console = Console()
    figures: dict[str, dict[str, Any]] = {}
    sound = True
    for preset in presets or ENGINE_PRESETS:
        figures[preset], faults = _measure(console, preset, characters, part, synthesis, output / preset)
        sound = sound and not faults
        if json_path:  # at once: the next preset takes minutes
            write_text(json_path, json.dumps(figures, indent=2) + "\n")
    _print(console, figures)
    if not sound:
        ctx.exit(1)


def _measure(
    console: Any, preset: str, characters: int, part: str, synthesis: bool, folder: Path
) -> tuple[dict[str, Any], list[str]]:
    """Figures of a preset, and the faults of its netlist."""
    import numpy as np

    from hls.design import Design
    from hls.estimate import fitting_array
    from hls.netlist import Netlist, check, summary
    from hls.synthesis import results, synthesize
    from sim.rtl import Rtl, write_project

    network = _network(preset)
    design = Design(network, fitting_array(network.spec, part))
    codes = np.random.default_rng(0).integers(0, network.spec.vocabulary, characters)
    with console.status(f"{preset}: simulation"):
        rtl = Rtl.build(design, folder)
        scored = rtl.score(codes).report
        written = rtl.generate(codes[:8], max(16, characters // 4)).report
    cycles = {name: run["cycles_per_character"] for name, run in (("generate", written), ("score", scored))}
    macs, lanes = network.spec.macs_per_character(), design.array.lanes
    figures: dict[str, Any] = {
        "cycles_per_character": cycles,
        "mac_utilisation": round(macs / (lanes * max(cycles.values())), 4),
        "mac_lanes": lanes,
        "macs_per_character": macs,
        "rtl_chars_per_s": round(scored["characters"] / scored["seconds"]),
    }
    if not synthesis:
        return figures, []
    with console.status(f"{preset}: synthesis with Yosys, some minutes"):
        write_project(design, folder / "rtl")
        report = synthesize(folder / "rtl", part)
    found = check(Netlist(results(folder / "rtl") / "netlist.json"))
    for line in summary(found):
        console.print(f"{preset}: {line}", highlight=False, markup=False)
    resources = {name: report[name] for name in ("dsp", "bram36", "lut", "ff")}
    return figures | resources | {"lut_levels": found.lut_levels}, found.faults


def _network(preset: str) -> IntegerNetwork:
    """The shipped network; rounded from the shipped float one, if none of this preset is shipped."""
    from models.checkpoint import Checkpoint, shipped
    from models.errors import UserError
    from models.freeze import freeze, freeze_weights
    from models.network import IntegerNetwork
    from models.spec import fit_weight_formats, network_spec

    try:
        return freeze(Checkpoint.load(shipped(preset)))
    except UserError:
        loaded = Checkpoint.load(shipped("float"))
    spec = fit_weight_formats(network_spec(preset, vocabulary=len(loaded.vocabulary)), loaded.weights)
    return IntegerNetwork.from_weights(spec, loaded.vocabulary, freeze_weights(spec, loaded.weights))


def _print(console: Any, figures: dict[str, dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("", *figures)
    names = [n for n in next(iter(figures.values())) if n != "cycles_per_character"]
    for mode in ("generate", "score"):
        table.add_row(
            f"cycles a character, {mode}", *(f"{f['cycles_per_character'][mode]:g}" for f in figures.values())
        )
    for name in names:
        table.add_row(name.replace("_", " "), *(f"{f.get(name, ''):,}" for f in figures.values()))
    console.print(table)
