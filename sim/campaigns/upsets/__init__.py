# SPDX-License-Identifier: Apache-2.0
"""Soft errors: the effect of a flipped bit in the engine's memories on its output, and how long it lasts.

A flip of state (h, c, or the finished sums U.h that wait for the next character) is over when the network has
forgotten it: after some character, all state is again what it would be without the flip. A flip of a weight
stays until the memory is rewritten.

The flips are in the RTL's memories. :mod:`zynq_lstm.sim.campaigns.upsets.state` and
:mod:`zynq_lstm.sim.campaigns.upsets.weights` compute their effects with the reference, in exact arithmetic
and with the RTL's widths; :mod:`zynq_lstm.sim.campaigns.upsets.rtl` flips the same bits in the RTL. This
module makes tables of the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

KIND = "upsets"  # kind of the record
QUANTILES = (0.5, 0.9)


def markdown(record: Mapping[str, Any]) -> str:
    """Return the tables for the docs."""
    horizon = record["horizon"]
    lines = [
        "| mode | flipped | layer | flips | no effect | characters until forgotten: mean | median | 90 % "
        f"| not within {horizon} | characters with other logits | with another choice |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for mode, rows in record["state"].items():
        for signal, layer in dict.fromkeys((row["signal"], row["layer"]) for row in rows):
            mine = [row for row in rows if (row["signal"], row["layer"]) == (signal, layer)]
            flips = sum(row["flips"] for row in mine)
            times = np.sort(np.concatenate([row["forgotten"] for row in mine]))
            late = sum(row["beyond_horizon"] for row in mine)
            quantiles = [np.quantile(times, q, method="higher") for q in QUANTILES]
            lines.append(
                f"| {mode} | {signal} | {layer} | {flips:,} "
                f"| {_percent(sum(row['no_effect'] for row in mine) / flips)} "
                f"| {'≥ ' if late else ''}{times.mean():.1f} "
                + "".join(f"| {'> ' if q == horizon and late else ''}{q:.0f} " for q in quantiles)
                + f"| {_percent(late / flips)} "
                f"| {np.mean([row['logits_mean'] for row in mine]):.1f} "
                f"| {np.mean([row['choices_mean'] for row in mine]):.2f} |"
            )
    memories = list(dict.fromkeys(row["memory"] for row in record["weights"]))
    by_place = {(row["memory"], row["bit"]): row for row in record["weights"]}
    lines += ["", f"| bit | {' | '.join(memories)} |", "|---|" + len(memories) * "---|"]
    for bit in sorted({bit for _, bit in by_place}):
        found = [by_place.get((memory, bit)) for memory in memories]
        cells = [
            f"{_percent(row['logits'])}, {_percent(row['choices'])}, {row['bits_lost_worst']:.4f}"
            if row
            else ""
            for row in found
        ]
        lines.append(f"| {bit} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
