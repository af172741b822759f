# SPDX-License-Identifier: Apache-2.0
"""Coverage of a comparison: the characters, table entries and bounds that occurred in it.

A comparison says nothing about the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.cells.description import LookUp
from zynq_lstm.models.description.spec import Layer
from zynq_lstm.models.fixed import FixedFormat, Raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.texts.text import character_name


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
        fmt, cell = layer.formats, layer.formats.description
        found = _signals(trace, k, layer)
        for name, table in cell.tables.items():
            reads = [e.index for e in cell.equations if isinstance(e, LookUp) and e.table == name]
            entries = np.unique(np.concatenate([found[index].ravel() for index in reads]))
            rows.append(
                _row(
                    f"layer {k}: entries of the table {name}", len(entries), 1 << fmt.format(table.index).bits
                )
            )
        looked_up = {e.signal for e in cell.equations if isinstance(e, LookUp)}
        for name in fmt.signals:
            if name not in looked_up:  # what is rounded may saturate
                raw = trace[f"layers.{k}.{name}"]
                rows.append(_bounds(f"layer {k}: {name}", raw, fmt.signal_format(name)))
    rows.append(_bounds("logits", trace["logits"], network.spec.output.logits))
    return rows


def _signals(trace: Mapping[str, Raw], k: int, layer: Layer) -> dict[str, Raw]:
    """Return the raw values of a layer's signals, also of those that a trace has side by side as z."""
    fmt = layer.formats
    found = {name: trace[f"layers.{k}.{name}"] for name in fmt.signals}
    if "z" in found:
        parts = np.split(found.pop("z"), len(fmt.gates), axis=-1)
        found |= {f"z_{gate}": part for gate, part in zip(fmt.gates, parts, strict=True)}
    return found


def _absent(codes: NDArray[np.integer], count: int) -> list[int]:
    """Return the codes below ``count`` that do not occur."""
    return np.flatnonzero(np.bincount(codes, minlength=count) == 0).tolist()


def _bounds(name: str, raw: Raw, fmt: FixedFormat) -> dict[str, Any]:
    reached = int(raw.min() == fmt.min_raw) + int(raw.max() == fmt.max_raw)
    return _row(f"{name} at the bounds of {fmt}", reached, 2)


def _row(what: str, seen: int, of: int) -> dict[str, Any]:
    return {"what": what, "seen": int(seen), "of": of}
