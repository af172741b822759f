# SPDX-License-Identifier: Apache-2.0
"""Coverage of a comparison: the characters, table entries and bounds that occurred in it.

A comparison says nothing about the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.spec import GATES
from zynq_lstm.models.fixed import FixedFormat, Raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.texts.text import character_name

#: Signals that may saturate.
SATURATING = ("z", "c", "ct", "h")


def coverage(
    network: IntegerNetwork, codes: NDArray[np.integer], trace: Mapping[str, Raw]
) -> list[dict[str, Any]]:
    """Return rows of a name (``what``), how many there are (``of``), and how many occurred (``seen``).

    The row of the characters names those that did not occur: ``missing``.

    Args:
        trace: every signal for ``codes``, as :meth:`zynq_lstm.models.integers.reference.Reference.run`
            records it.
    """
    missing = [character_name(network.vocabulary[k]) for k in _absent(codes, network.spec.vocabulary)]
    seen = network.spec.vocabulary - len(missing)
    rows = [_row("characters of the vocabulary", seen, network.spec.vocabulary) | {"missing": missing}]
    for k, layer in enumerate(network.spec.layers):
        z, fmt = trace[f"layers.{k}.z"].reshape(len(codes), len(GATES), layer.units), layer.formats
        candidate = GATES.index("g")
        tables = {
            "sigmoid": (np.delete(z, candidate, axis=1), fmt.z),
            "tanh of the candidate": (z[:, candidate], fmt.z),
            "tanh of the cell state": (trace[f"layers.{k}.ct"], fmt.ct),
        }
        for name, (raw, index) in tables.items():
            rows.append(_row(f"layer {k}: entries of the table {name}", len(np.unique(raw)), 1 << index.bits))
        for name in SATURATING:
            rows.append(_bounds(f"layer {k}: {name}", trace[f"layers.{k}.{name}"], fmt.format(name)))
    rows.append(_bounds("logits", trace["logits"], network.spec.output.logits))
    return rows


def _absent(codes: NDArray[np.integer], count: int) -> list[int]:
    """Return the codes below ``count`` that do not occur."""
    return np.flatnonzero(np.bincount(codes, minlength=count) == 0).tolist()


def _bounds(name: str, raw: Raw, fmt: FixedFormat) -> dict[str, Any]:
    reached = int(raw.min() == fmt.min_raw) + int(raw.max() == fmt.max_raw)
    return _row(f"{name} at the bounds of {fmt}", reached, 2)


def _row(what: str, seen: int, of: int) -> dict[str, Any]:
    return {"what": what, "seen": int(seen), "of": of}
