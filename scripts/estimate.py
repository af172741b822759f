# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm estimate``: cycles, DSPs and block RAMs of a design before any tool has run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts.options import array_options

if TYPE_CHECKING:
    from hls.estimate import Estimate
    from models.spec import NetworkSpec

#: Limits of the arrays in the table of lanes; what is best for each part stands there, too.
TABLE_LANES = (1, 2, 4, 8, 16, 32, 64, 144, 208, 264)


@click.command(name="estimate")
@click.option("--layers", default=2, show_default=True)
@click.option("--units", default=128, show_default=True, help="Of every layer.")
@click.option("--vocabulary", default=78, show_default=True)
@click.option("--preset", default="w8a8", show_default=True)
@click.option("--network", type=click.Path(path_type=Path), help="A frozen network or a checkpoint instead.")
@array_options
@click.option("--part", default="xc7z020", show_default=True)
@click.option("--table", is_flag=True, help="Lanes against cycles and resources, from the least to the most.")
@click.option("--synthesize", is_flag=True, help="With --table: count LUTs, too, with Yosys; minutes each.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures there, too.")
def command(
    layers: int,
    units: int,
    vocabulary: int,
    preset: str,
    network: Path | None,
    dsp: int | None,
    lanes: int | None,
    parity: bool,
    part: str,
    table: bool,
    synthesize: bool,
    json_path: Path | None,
) -> None:
    """Predict cycles a character, DSP48E1 and block RAM of an engine, exactly, and whether it fits.

    LUTs and flip-flops are not predicted; 'zynq-lstm synthesize' counts them.
    """
    from hls.estimate import estimate, fitting_array
    from models.errors import UserError
    from models.spec import network_spec
    from models.store import write_text

    if synthesize and not table:
        raise UserError("--synthesize goes with --table; 'zynq-lstm synthesize' counts one design")
    spec = (
        spec_of(network)
        if network
        else network_spec(preset, vocabulary=vocabulary, units=units, layers=layers)
    )
    if table:
        rows = table_rows(spec, part, synthesize)
        click.echo(lanes_table(rows))
    else:
        one = estimate(spec, fitting_array(spec, part, dsp, lanes, parity), part)
        rows = [one.to_dict()]
        _print(one)
    if json_path:
        write_text(json_path, json.dumps(rows, indent=2) + "\n")


def table_rows(spec: NetworkSpec, part: str, synthesize: bool = False) -> list[dict[str, Any]]:
    """Figures of the fastest arrays of TABLE_LANES and of each part; if asked for, LUTs by synthesis, too."""
    from hls.estimate import arrays_within, estimate, fits, fitting_array
    from hls.synthesis import PARTS

    arrays = {arrays_within(spec, lanes=n)[0] for n in TABLE_LANES}
    best = {name: fitting_array(spec, name) for name in PARTS}
    arrays |= {array for name, array in best.items() if fits(spec, array, name)}
    rows = []
    for array in sorted(arrays, key=lambda a: a.lanes):
        one = estimate(spec, array, part)
        rows.append(one.to_dict() | ({"lut": _luts(spec, one)} if synthesize else {}))
    return rows


def lanes_table(rows: list[dict[str, Any]]) -> str:
    """Lanes against the rest, as Markdown."""
    lines = [
        "| lanes | cycles, generate | cycles, score | lanes busy | DSP48E1 | block RAM | LUT | fits |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cycles = row["cycles_per_character"]
        lines.append(
            f"| {row['mac_lanes']} | {cycles['generate']:,} | {cycles['score']:,} "
            f"| {100 * row['mac_utilisation']:.1f} % | {row['dsp']} | {row['bram36']:g} "
            f"| {format(row['lut'], ',') if 'lut' in row else '—'} | {_smallest_part(row) or 'none'} |"
        )
    return "\n".join(lines)


def _smallest_part(row: dict[str, Any]) -> str | None:
    from hls.synthesis import PARTS

    fits = [p for p, has in PARTS.items() if all(row.get(k, 0) <= has[k] for k in ("dsp", "bram36", "lut"))]
    return min(fits, key=lambda p: PARTS[p]["lut"], default=None)


def spec_of(path: Path) -> NetworkSpec:
    """Of a frozen network, or of a quantized checkpoint."""
    from models.checkpoint import Checkpoint
    from models.errors import UserError
    from models.network import IntegerNetwork

    try:
        return IntegerNetwork.load(path).spec
    except UserError as first:
        try:
            spec = Checkpoint.load(path).spec
        except UserError:
            raise first from None
        if spec is None:
            raise UserError(f"{path} holds a float network; quantize it first") from None
        return spec


def _luts(spec: NetworkSpec, one: Estimate) -> int:
    """LUTs by Yosys, of a network with random weights."""
    from tempfile import TemporaryDirectory

    import numpy as np

    from hls.design import Design
    from hls.synthesis import synthesize
    from models.network import IntegerNetwork
    from sim.rtl import write_project

    rng = np.random.default_rng(0)
    formats = spec.weight_formats()
    weights = {
        name: np.clip(
            rng.normal(0, formats[name].max_raw / 4, shape).astype(np.int64),
            formats[name].min_raw,
            formats[name].max_raw,
        )
        for name, shape in spec.weight_shapes().items()
    }
    network = IntegerNetwork.from_weights(spec, "".join(map(chr, range(256, 256 + spec.vocabulary))), weights)
    with TemporaryDirectory() as folder:
        write_project(Design(network, one.array), Path(folder, "rtl"))
        return int(synthesize(Path(folder, "rtl"), one.part)["lut"])


def _print(one: Estimate) -> None:
    from rich.console import Console
    from rich.table import Table

    from hls.synthesis import PARTS

    has = PARTS[one.part]
    table = Table("", "", show_header=False)
    array = one.array
    chains = f"{array.dsp_depth} in DSPs" + (f", {array.lut_depth} in LUTs" if array.lut_depth else "")
    for name, value in (
        ("network", f"{' + '.join(map(str, one.layers))} units, {one.vocabulary} characters, {one.preset}"),
        ("array", f"{array.group_units} units x 4 sums x {array.depth} inputs ({chains})"),
        ("multiply-accumulates a cycle", f"{one.mac_lanes}"),
        ("cycles a character, generate", f"{one.cycles_generate:,}"),
        ("cycles a character, score", f"{one.cycles_score:,}"),
        ("lanes busy with useful work", f"{100 * one.utilisation:.1f} %"),
        ("DSP48E1", f"{one.dsp} of {has['dsp']}"),
        ("block RAM (36 Kb)", f"{one.bram36:g} of {has['bram36']}"),
        *((f"  {use}", f"{n:g}") for use, n in one.memories.items()),
        (f"fits {one.part}", "yes, LUTs aside" if one.fits else "no"),
    ):
        table.add_row(name, value)
    Console().print(table)
