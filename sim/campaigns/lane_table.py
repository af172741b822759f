# SPDX-License-Identifier: Apache-2.0
"""The table of lanes: arrays from the smallest to the fastest, with cycles and resources."""

from __future__ import annotations

from typing import Any

import numpy as np

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import Estimate, arrays_within, estimate, fits, fitting_array
from zynq_lstm.hls.parts import parts
from zynq_lstm.hls.synthesis.yosys import synthesize
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.interruption import temporary_folder
from zynq_lstm.sim.simulation.rtl import write_project

#: Lane limits of the arrays in the table of lanes; the table also has the best array for each part.
TABLE_LANES = (1, 2, 4, 8, 16, 32, 64, 144, 208, 264)


def table_rows(spec: NetworkSpec, part: str, synthesize: bool = False) -> list[dict[str, Any]]:
    """Return the figures of the fastest arrays within each of TABLE_LANES and each part.

    Args:
        spec: the network's shape and formats.
        part: part that the figures are for.
        synthesize: also count LUTs by synthesis.
    """
    arrays = {arrays_within(spec, lanes=n)[0] for n in TABLE_LANES}
    best = {name: fitting_array(spec, name) for name in parts()}
    arrays |= {array for name, array in best.items() if fits(spec, array, name)}
    rows = []
    for array in sorted(arrays, key=lambda a: a.lanes):
        one = estimate(spec, array, part)
        rows.append(one.to_dict() | ({"lut": _luts(spec, one)} if synthesize else {}))
    return rows


def lanes_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of lanes as Markdown."""
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
    used: dict[str, float] = {name: row[name] for name in ("dsp", "bram36", "lut") if name in row}
    return next((name for name, part in parts().items() if not part.exceeded(used)), None)


def _luts(spec: NetworkSpec, one: Estimate) -> int:
    """Synthesize a network with random weights with Yosys; return its number of LUTs."""
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
    with temporary_folder() as folder:
        write_project(Design(network, one.array), folder / "rtl")
        return int(synthesize(folder / "rtl", one.part)["lut"])
