# SPDX-License-Identifier: Apache-2.0
"""Traces of all signals, by name, and the comparison that every claim of exactness rests on.

A trace is a dictionary from signal name (``layers.K.S`` for S in the signals of the cell, and ``logits``) to
raw integers of shape (characters, width), whichever engine it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Raw
from zynq_lstm.models.integers.network import IntegerNetwork

Trace = Mapping[str, Raw]


@dataclass(frozen=True)
class Mismatch:
    """First value at which two traces differ, in the order in which the network computes."""

    character: int
    signal: str
    layer: int | None  # None: the output layer
    unit: int  # unit of the layer; for logits, the code
    expected: int
    actual: int
    format: FixedFormat

    def pick(self, network: IntegerNetwork, trace: Trace) -> int:
        """Return a trace's value at this place."""
        if self.layer is None:
            return int(trace["logits"][self.character, self.unit])
        layer, name, column = network.spec.layers[self.layer], self.signal, self.unit
        if name not in layer.formats.signals:  # of one gate; a trace has z of all of them
            name, _, gate = name.partition("_")
            column += layer.formats.gates.index(gate) * layer.units
        return int(trace[f"layers.{self.layer}.{name}"][self.character, column])

    def __str__(self) -> str:
        where = "output layer" if self.layer is None else f"layer {self.layer}"
        return (
            f"character {self.character}, {where}, {self.signal}, "
            f"{'code' if self.layer is None else 'unit'} {self.unit}: "
            f"expected raw {self.expected}, got {self.actual} ({self.format})"
        )


@dataclass(frozen=True)
class Comparison:
    """Result of :func:`compare`. ``values`` counts the values compared; zero values are not a success."""

    characters: int
    values: int
    mismatches: int
    first: Mismatch | None

    @property
    def exact(self) -> bool:
        return self.mismatches == 0 and self.values > 0

    def __add__(self, later: Comparison) -> Comparison:
        """Combine the results for two successive stretches of one trace."""
        return Comparison(
            self.characters + later.characters,
            self.values + later.values,
            self.mismatches + later.mismatches,
            self.first or later.first,
        )

    def summary(self) -> dict[str, int]:
        return {"characters": self.characters, "values": self.values, "mismatches": self.mismatches}


def signal_order(network: IntegerNetwork) -> list[str]:
    """Return the names of all signals, in the order in which they are computed for a character."""
    layers = enumerate(network.spec.layers)
    return [f"layers.{k}.{name}" for k, layer in layers for name in layer.formats.signals] + ["logits"]


def compare(network: IntegerNetwork, expected: Trace, actual: Trace, start: int = 0) -> Comparison:
    """Compare every value of every signal of every character, with no tolerance.

    Args:
        network: for the signals' names, order and formats.
        expected: trace of the engine that is right by definition.
        actual: trace of the engine under test.
        start: number of the traces' first character, so that the first mismatch names the right one.

    Raises:
        UserError: if a signal is missing from either trace, or the shapes differ: silence is not agreement.
    """
    order = signal_order(network)
    values = mismatches = 0
    firsts: list[tuple[int, int, str]] = []
    for rank, name in enumerate(order):
        for which, trace in (("expected", expected), ("actual", actual)):
            if name not in trace:
                raise UserError(f"signal {name} is missing in the {which} trace")
        a, b = expected[name], actual[name]
        if a.shape != b.shape:
            raise UserError(f"signal {name}: expected {a.shape} (characters, width), got {b.shape}")
        wrong = np.any(a != b, axis=1)
        values += a.size
        if wrong.any():
            mismatches += int(np.count_nonzero(a != b))
            firsts.append((int(np.argmax(wrong)), rank, name))
    length = len(expected["logits"])
    first = None
    if firsts:
        character, _, name = min(firsts)
        first = _describe(network, expected, actual, character, name)
        first = replace(first, character=start + character)
    return Comparison(length, values, mismatches, first)


def _describe(network: IntegerNetwork, expected: Trace, actual: Trace, character: int, name: str) -> Mismatch:
    a, b = expected[name][character], actual[name][character]
    column = int(np.argmax(a != b))
    values = int(a[column]), int(b[column])
    if name == "logits":
        return Mismatch(character, "logits", None, column, *values, network.spec.output.logits)
    _, index, signal = name.split(".")
    layer = network.spec.layers[int(index)]
    fmt = layer.formats.signal_format(signal)
    if signal == "z":
        signal, column = f"z_{layer.formats.gates[column // layer.units]}", column % layer.units
    return Mismatch(character, signal, int(index), column, *values, fmt)
