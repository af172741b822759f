# SPDX-License-Identifier: Apache-2.0
"""The files of the RTL's trace monitors, read as a trace, even while they are being written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.hls.engine.stages import Layout, Pipeline
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.choice import WORD_LOGITS
from zynq_lstm.models.integers.network import IntegerNetwork


def trace_files(run_dir: Path, layout: Layout) -> dict[str, Path]:
    """Return the plusargs of the RTL's trace monitors: one for each gate pipeline, one for the logits."""
    names = [name for pipeline in layout.pipelines for name in _unit_traces(pipeline)]
    return {name: run_dir / f"{name.removeprefix('trace_')}.hex" for name in (*names, "trace_logits")}


def _unit_traces(pipeline: Pipeline) -> list[str]:
    return [f"trace_{pipeline.level.name}_{lane:x}" for lane in range(pipeline.packing.pipelines)]


def read_rtl_trace(network: IntegerNetwork, run_dir: Path, layout: Layout) -> dict[str, Raw]:
    """Read everything that the RTL's trace monitors wrote.

    Raises:
        UserError: if a file is missing or empty, ends within a character, or holds undefined bits.
    """
    reader = RtlTraceReader(network, run_dir, layout)
    trace = reader.read()
    reader.finish()
    return trace


class RtlTraceReader:
    """Reads the files of the RTL's trace monitors, even while they are being written.

    Args:
        network: the network that the RTL computes.
        run_dir: folder of the files.
        layout: pipelines and lanes of the RTL.
        discard: empty the files as they are read, so that a run of any length needs little disk space. The
            monitors append. Nothing is lost unless they write at the same moment, which cannot happen: the
            bench runs in the simulator's own process.
    """

    def __init__(
        self, network: IntegerNetwork, run_dir: Path, layout: Layout, *, discard: bool = False
    ) -> None:
        self._network = network
        files = trace_files(run_dir, layout)
        self._pipelines = [
            _UnitFiles(pipeline, layout, [files[name] for name in _unit_traces(pipeline)], discard)
            for pipeline in layout.pipelines
        ]
        self._logits_file = _WordFile(files["trace_logits"], WORD_LOGITS, discard)
        self._beats = -(-network.spec.vocabulary // WORD_LOGITS)  # per character
        self._logits = np.empty((0, WORD_LOGITS), np.int16)  # read, but for characters that are not complete

    def read(self) -> dict[str, Raw]:
        """Return every signal of the characters completed since the last call, possibly none.

        Raises:
            UserError: if a file is missing, cut off within a line, or holds undefined bits.
        """
        for pipeline in self._pipelines:
            pipeline.read()
        logits = np.concatenate([self._logits, self._logits_file.read()])
        characters = min(len(logits) // self._beats, *(x.characters() for x in self._pipelines))
        found: dict[str, Raw] = {}
        for pipeline in self._pipelines:
            found |= pipeline.take(characters)
        trace: dict[str, Raw] = {}
        for k, layer in enumerate(self._network.spec.layers):
            for name in layer.formats.signals:
                if name in layer.formats.description.signals:
                    trace[f"layers.{k}.{name}"] = found[f"layers.{k}.{name}"]
                else:  # z, of all gates side by side
                    parts = [found[f"layers.{k}.z_{gate}"] for gate in layer.formats.gates]
                    trace[f"layers.{k}.{name}"] = np.concatenate(parts, axis=1)
        rows = logits[: characters * self._beats].reshape(characters, self._beats * WORD_LOGITS)
        trace["logits"] = rows[:, : self._network.spec.vocabulary].astype(np.int64)
        self._logits = logits[characters * self._beats :]
        return trace

    def finish(self) -> None:
        """Check that no data is left over, and that there was some.

        Raises:
            UserError: if not; it names the file that ends too early.
        """
        for pipeline in self._pipelines:
            pipeline.finish()
        self._logits_file.finish()
        logits_path = self._logits_file.path
        if len(self._logits) % self._beats:
            raise UserError(f"{logits_path}: {len(self._logits)} beats are not a whole number of characters")
        longer = next((x for x in self._pipelines if x.characters()), None)
        if longer or len(self._logits):
            shorter = next((x.path for x in self._pipelines if not x.characters()), logits_path)
            path = logits_path if longer and not len(self._logits) else shorter
            raise UserError(f"{path}: ends at an earlier character than the other files")


class _UnitFiles:
    """The files of a gate pipeline, one for each lane.

    Units are numbered through all stages of the pipeline. Each unit's lines come in character order, but
    layers of neighbouring characters may overlap in time.
    """

    def __init__(self, pipeline: Pipeline, layout: Layout, paths: Sequence[Path], discard: bool) -> None:
        self._signals = pipeline.level.signals
        columns = 1 + len(self._signals)
        self._files = [_WordFile(path, columns, discard) for path in paths]
        self.path = paths[0]
        self._stages = [(stage.layer, layout.first_unit(stage), stage.units) for stage in pipeline.stages]
        # All units that write lines, among them the unused ones that pad a layer's last beat.
        self._units = np.concatenate(
            [
                layout.first_unit(stage) + np.arange(stage.beats * stage.packing.pipelines)
                for stage in pipeline.stages
            ]
        )
        self._lines = np.empty((0, columns), np.int16)  # read, but for characters that are not complete yet

    def read(self) -> None:
        """Read the lines written since the last call."""
        self._lines = np.concatenate([self._lines, *(file.read() for file in self._files)])

    def _count(self) -> NDArray[np.intp]:
        numbers = self._lines[:, 0].astype(np.uint16)
        count = np.bincount(numbers, minlength=self._units[-1] + 1)
        unknown = np.setdiff1d(np.flatnonzero(count), self._units)
        if len(unknown):
            raise UserError(f"{self.path}: there is no unit {unknown[-1]}")
        return count

    def characters(self) -> int:
        """Return the number of characters whose lines are all there."""
        return int(self._count()[self._units].min())

    def take(self, characters: int) -> dict[str, Raw]:
        """Return the signals of the next characters: name -> (characters, units)."""
        lines, count = self._lines, self._count()
        order = np.argsort(lines[:, 0].astype(np.uint16), kind="stable")
        nth = np.arange(len(lines)) - np.repeat(np.cumsum(count) - count, count)
        whole = lines[order[nth < characters]].astype(np.int64)
        whole = whole.reshape(len(self._units), characters, lines.shape[1])
        self._lines = lines[order[nth >= characters]]
        found: dict[str, Raw] = {}
        for layer, first, units in self._stages:
            at = int(np.searchsorted(self._units, first))
            words = whole[at : at + units, :, 1:].transpose(1, 2, 0)  # (characters, words, units)
            found |= {f"layers.{layer}.{name}": words[:, k] for k, name in enumerate(self._signals)}
        return found

    def finish(self) -> None:
        """Check that all units have the same number of lines, and that the files are whole."""
        for file in self._files:
            file.finish()
        if np.ptp(self._count()[self._units]):
            raise UserError(f"{self.path}: units have different numbers of lines")


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
