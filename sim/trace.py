# SPDX-License-Identifier: Apache-2.0
"""Traces of all signals, by name, and the comparison that every claim of exactness rests on.

A trace is a dictionary from signal name (``layers.K.S`` for S in the signals of the cell, and ``logits``) to raw
integers of shape (characters, width), whichever engine it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Raw
from zynq_lstm.models.integers.choice import WORD_LOGITS
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


def trace_files(run_dir: Path, gate_lanes: int) -> dict[str, Path]:
    """Return the plusargs of the RTL's trace monitors: one per gate pipeline and one for the logits."""
    units = {f"trace_units_{lane}": run_dir / f"units_{lane}.hex" for lane in range(gate_lanes)}
    return units | {"trace_logits": run_dir / "logits.hex"}


def read_rtl_trace(network: IntegerNetwork, run_dir: Path, gate_lanes: int = 1) -> dict[str, Raw]:
    """Read everything that the RTL's trace monitors wrote.

    Raises:
        UserError: if a file is missing or empty, ends within a character, or holds undefined bits.
    """
    reader = RtlTraceReader(network, run_dir, gate_lanes)
    trace = reader.read()
    reader.finish()
    return trace


class RtlTraceReader:
    """Reads the files of the RTL's trace monitors, even while they are being written.

    Args:
        network: the network that the RTL computes.
        run_dir: folder of the files.
        gate_lanes: number of gate pipelines.
        discard: empty the files as they are read, so that a run of any length needs little disk space. The
            monitors append. Nothing is lost unless they write at the same moment, which cannot happen: the
            bench runs in the simulator's own process.
    """

    def __init__(
        self, network: IntegerNetwork, run_dir: Path, gate_lanes: int = 1, *, discard: bool = False
    ) -> None:
        self._network = network
        *units, logits = trace_files(run_dir, gate_lanes).values()
        # All layers of the RTL have the same cell.
        self._signals = network.spec.layers[0].formats.description.signals
        self._unit_files = [_WordFile(path, 1 + len(self._signals), discard) for path in units]
        self._logits_file = _WordFile(logits, WORD_LOGITS, discard)
        # The last beat of a layer is padded with unused units.
        self._sizes = [-(-layer.units // gate_lanes) * gate_lanes for layer in network.spec.layers]
        self._beats = -(-network.spec.vocabulary // WORD_LOGITS)  # per character
        # Lines read, but for characters that are not complete yet.
        self._units = np.empty((0, 1 + len(self._signals)), np.int16)
        self._logits = np.empty((0, WORD_LOGITS), np.int16)

    def read(self) -> dict[str, Raw]:
        """Return every signal of the characters completed since the last call, possibly none.

        Raises:
            UserError: if a file is missing, cut off within a line, or holds undefined bits.
        """
        lines = np.concatenate([self._units, *(file.read() for file in self._unit_files)])
        logits = np.concatenate([self._logits, self._logits_file.read()])
        count = np.bincount(lines[:, 0].astype(np.uint16), minlength=sum(self._sizes))
        if len(count) > sum(self._sizes):
            raise UserError(f"{self._unit_files[0].path}: there is no unit {len(count) - 1}")
        characters = min(int(count.min()), len(logits) // self._beats)
        # Units are numbered across all layers. Each unit's lines come in character order, but layers of
        # neighbouring characters may overlap in time.
        order = np.argsort(lines[:, 0], kind="stable")
        nth = np.arange(len(lines)) - np.repeat(np.cumsum(count) - count, count)
        whole = lines[order[nth < characters]].astype(np.int64)
        whole = whole.reshape(sum(self._sizes), characters, 1 + len(self._signals))
        self._units = lines[order[nth >= characters]]
        trace: dict[str, Raw] = {}
        base = 0
        for k, (size, layer) in enumerate(zip(self._sizes, self._network.spec.layers, strict=True)):
            words = whole[base : base + layer.units, :, 1:].transpose(1, 2, 0)  # (characters, words, units)
            found = {name: words[:, at] for at, name in enumerate(self._signals)}
            for name in layer.formats.signals:
                if name not in found:  # z, of all gates side by side
                    found[name] = np.concatenate([found[f"z_{g}"] for g in layer.formats.gates], axis=1)
                trace[f"layers.{k}.{name}"] = found[name]
            base += size
        rows = logits[: characters * self._beats].reshape(characters, self._beats * WORD_LOGITS)
        trace["logits"] = rows[:, : self._network.spec.vocabulary].astype(np.int64)
        self._logits = logits[characters * self._beats :]
        return trace

    def finish(self) -> None:
        """Check that no data is left over, and that there was some.

        Raises:
            UserError: if not; it names the file that ends too early.
        """
        for file in (*self._unit_files, self._logits_file):
            file.finish()
        units_path, logits_path = self._unit_files[0].path, self._logits_file.path
        if len(self._logits) % self._beats:
            raise UserError(f"{logits_path}: {len(self._logits)} beats are not a whole number of characters")
        count = np.bincount(self._units[:, 0], minlength=sum(self._sizes))
        if np.ptp(count):
            raise UserError(f"{units_path}: units have different numbers of lines")
        if len(self._units) or len(self._logits):
            path = logits_path if len(self._units) else units_path
            raise UserError(f"{path}: ends at an earlier character than the other files")


class _WordFile:
    """A file of lines of hexadecimal 16-bit words that grows while it is read."""

    def __init__(self, path: Path, columns: int, discard: bool) -> None:
        self.path = path
        self._columns = columns
        self._discard = discard
        self._offset = self._lines = 0
        self._rest = b""  # start of a line that is not complete yet

    def read(self) -> NDArray[np.int16]:
        """Return the lines completed since the last call, (lines, columns)."""
        try:
            with self.path.open("rb+") as file:
                file.seek(self._offset)
                data = self._rest + file.read()
                if self._discard:
                    file.truncate(0)
                else:
                    self._offset = file.tell()
        except FileNotFoundError:
            raise UserError(f"{self.path}: no such file; the simulation recorded nothing") from None
        width = 4 * self._columns + 1
        whole, self._rest = data[: len(data) // width * width], data[len(data) // width * width :]
        ends = np.frombuffer(whole, np.uint8).reshape(-1, width)[:, -1] == ord("\n")
        if not ends.all() or data.count(b"\n") != len(ends):
            raise self._cut_off()
        try:
            words = bytes.fromhex(whole.decode("ascii"))
        except ValueError:
            line = next(n for n, line in enumerate(whole.splitlines(), 1) if re.search(rb"[^0-9a-f]", line))
            raise UserError(f"{self.path}: undefined bits in line {self._lines + line}") from None
        self._lines += len(ends)
        return np.frombuffer(words, ">i2").reshape(-1, self._columns).astype(np.int16)

    def finish(self) -> None:
        """Check that the file is not empty and does not end within a line."""
        if self._rest or not self._lines:
            raise self._cut_off()

    def _cut_off(self) -> UserError:
        return UserError(f"{self.path}: a line does not have {self._columns} words; the file is cut off")
