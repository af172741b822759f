# SPDX-License-Identifier: Apache-2.0
"""The number of weights of a network of equal layers of a cell, and the units for a number of weights.

A cell is given as :mod:`zynq_lstm.models.cells.catalogue` reads it.
"""

from __future__ import annotations

import math

from zynq_lstm.models.cells import catalogue

MOST_UNITS = 1024


def shapes(cell: str, layers: int, units: int, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight array."""
    description = catalogue.read(cell)
    width = len(description.gates) * units
    found: dict[str, tuple[int, ...]] = {}
    for k in range(layers):
        found |= {f"layers.{k}.W": (units if k else vocabulary, width), f"layers.{k}.U": (units, width)}
        found[f"layers.{k}.b"] = (width,)
        found |= {f"layers.{k}.{name}": (units,) for name in description.vectors}
    return found | {"output.W": (units, vocabulary), "output.b": (vocabulary,)}


def parameters(cell: str, layers: int, units: int, vocabulary: int) -> int:
    """Return the number of weights."""
    return sum(map(math.prod, shapes(cell, layers, units, vocabulary).values()))


def macs_per_character(cell: str, layers: int, units: int, vocabulary: int) -> int:
    """Count multiply-accumulates: the weights of all matrices but the first kernel, which is a look-up."""
    found = shapes(cell, layers, units, vocabulary)
    return sum(math.prod(s) for name, s in found.items() if len(s) > 1 and name != "layers.0.W")


def units_like_lstm(cell: str, layers: int, vocabulary: int, lstm_units: int) -> int:
    """Return the units per layer with about as many parameters as an LSTM's with ``lstm_units``."""
    return units_for(cell, layers, vocabulary, parameters("lstm", layers, lstm_units, vocabulary))


def units_for(cell: str, layers: int, vocabulary: int, budget: int) -> int:
    """Return the units per layer with which a network of a cell comes nearest to ``budget`` parameters."""
    return min(
        range(1, MOST_UNITS + 1), key=lambda units: abs(parameters(cell, layers, units, vocabulary) - budget)
    )
