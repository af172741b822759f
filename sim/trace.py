# SPDX-License-Identifier: Apache-2.0
"""Traces of all signals, by name, and the comparison that every claim of exactness rests on.

A trace is a dictionary from signal name (``layers.K.S`` for S in LAYER_SIGNALS, and ``logits``) to raw
integers of shape (characters, width), whichever engine it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import UserError
from models.network import IntegerNetwork
from models.spec import GATES
from sim.fixed import FixedFormat, Raw
from sim.reference import LAYER_SIGNALS

Trace = Mapping[str, Raw]

# The words of a line that gate_pipeline.sv's monitor writes, behind the unit's number.
_UNIT_WORDS = (*(f"z_{gate}" for gate in GATES), *GATES, "c", "ct", "tc", "h")


@dataclass(frozen=True)
class Mismatch:
    """The first place at which two traces differ, in the order in which a network computes."""

    character: int
    signal: str
    layer: int | None  # None: the output layer
    unit: int  # for logits, the code
    expected: int
    actual: int
    format: FixedFormat

    def __str__(self) -> str:
        where = "output layer" if self.layer is None else f"layer {self.layer}"
        return (
            f"character {self.character}, {where}, {self.signal}, "
            f"{'code' if self.layer is None else 'unit'} {self.unit}: "
            f"expected raw {self.expected}, got {self.actual} ({self.format})"
        )


@dataclass(frozen=True)
class Comparison:
    """Result of :func:`compare`. ``values`` counts what was compared; zero values are no success."""

    characters: int
    values: int
    mismatches: int
    first: Mismatch | None

    @property
    def exact(self) -> bool:
        return self.mismatches == 0 and self.values > 0

    def summary(self) -> dict[str, int]:
        return {"characters": self.characters, "values": self.values, "mismatches": self.mismatches}


def signal_order(network: IntegerNetwork) -> list[str]:
    """Names of all signals in the order in which they are computed for a character."""
    layers = range(len(network.spec.layers))
    return [f"layers.{k}.{name}" for k in layers for name in LAYER_SIGNALS] + ["logits"]


def compare(network: IntegerNetwork, expected: Trace, actual: Trace) -> Comparison:
    """Compare every value of every signal of every character; no tolerance.

    Raises:
        UserError: if a signal is missing in either, or the lengths differ: silence is not agreement.
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
    return Comparison(length, values, mismatches, first)


def _describe(network: IntegerNetwork, expected: Trace, actual: Trace, character: int, name: str) -> Mismatch:
    a, b = expected[name][character], actual[name][character]
    column = int(np.argmax(a != b))
    values = int(a[column]), int(b[column])
    if name == "logits":
        return Mismatch(character, "logits", None, column, *values, network.spec.output.logits)
    _, index, signal = name.split(".")
    layer = network.spec.layers[int(index)]
    fmt = getattr(layer.formats, "gate" if signal in ("i", "f", "o") else signal)
    if signal == "z":
        signal, column = f"z_{GATES[column // layer.units]}", column % layer.units
    return Mismatch(character, signal, int(index), column, *values, fmt)


def trace_files(run_dir: Path, gate_lanes: int) -> dict[str, Path]:
    """Plusargs of the RTL's trace monitors, one for each gate pipeline and one for the logits."""
    units = {f"trace_units_{lane}": run_dir / f"units_{lane}.hex" for lane in range(gate_lanes)}
    return units | {"trace_logits": run_dir / "logits.hex"}


def read_rtl_trace(network: IntegerNetwork, run_dir: Path, gate_lanes: int = 1) -> dict[str, Raw]:
    """Read what the RTL's trace monitors wrote.

    Raises:
        UserError: if a file is missing or empty, ends within a character, or holds undefined bits.
    """
    *unit_files, logits_file = trace_files(run_dir, gate_lanes).values()
    units_file = unit_files[0]
    # The last beat of a layer is filled up with units that do nothing.
    sizes = [-(-layer.units // gate_lanes) * gate_lanes for layer in network.spec.layers]
    lines = np.concatenate([_words(file, 1 + len(_UNIT_WORDS)) for file in unit_files])
    if not len(lines) or len(lines) % sum(sizes):
        raise UserError(f"{units_file}: {len(lines)} units are no whole number of characters")
    # Units of all layers are numbered through. Each layer's come in the order of characters, but layers
    # of neighbouring characters may overlap in time.
    lines = lines[np.argsort(lines[:, 0], kind="stable")].reshape(sum(sizes), -1, 1 + len(_UNIT_WORDS))
    if not np.array_equal(lines[:, 0, 0], np.arange(sum(sizes))):
        raise UserError(f"{units_file}: units do not come equally often")
    trace: dict[str, Raw] = {}
    base = 0
    for k, (size, layer) in enumerate(zip(sizes, network.spec.layers, strict=True)):
        words = lines[base : base + layer.units, :, 1:].transpose(1, 2, 0)  # (characters, words, units)
        trace[f"layers.{k}.z"] = words[:, : len(GATES)].reshape(len(words), -1)
        for at, name in enumerate(_UNIT_WORDS[len(GATES) :], len(GATES)):
            trace[f"layers.{k}.{name}"] = words[:, at]
        base += size
    vocabulary = network.spec.vocabulary
    beats = -(-vocabulary // 4)
    logits = _words(logits_file, 4)
    if not len(logits) or len(logits) % beats:
        raise UserError(f"{logits_file}: {len(logits)} beats are no whole number of characters")
    trace["logits"] = logits.reshape(-1, beats * 4)[:, :vocabulary]
    return trace


def _words(path: Path, columns: int) -> Raw:
    if not path.exists():
        raise UserError(f"{path}: no such file; the simulation recorded nothing")
    text = path.read_text(encoding="ascii")
    if "x" in text or "z" in text:
        line = next(n for n, line in enumerate(text.splitlines(), 1) if "x" in line or "z" in line)
        raise UserError(f"{path}: undefined bits in line {line}")
    if any(len(line) != 4 * columns for line in text.splitlines()):
        raise UserError(f"{path}: a line has not the {columns} words that it must have; the file is cut off")
    return np.frombuffer(bytes.fromhex(text), ">i2").reshape(-1, columns).astype(np.int64)
