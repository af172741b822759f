# SPDX-License-Identifier: Apache-2.0
"""What the gates of a network consist of: levels of its cells, pipelines, and how a unit's sums are packed.

A cell has one level, or more if the recurrent product of a gate waits for a signal of the same step: the
sums of level 1 are products with a signal that level 0 computes. A *stage* is a level of a layer. It takes
two sums of each gate, one of which waits in memory until the other *starts* the unit:

* level 0: the recurrent sum waits, the sum of inputs (or the row of the first layer's W) starts;
* further levels: the sum of inputs waits, the recurrent sum starts.

All stages of the same level of the same cell share a *pipeline*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.models.cells.description import Cell, LookUp, Sum
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.integers.limits import WORD_SUMS


@dataclass(frozen=True)
class Level:
    """The equations of a cell that are computed together."""

    cell: Cell
    number: int

    @cached_property
    def gates(self) -> tuple[str, ...]:
        """The gates whose sums the level takes."""
        return tuple(gate for gate in self.cell.gates if self.cell.levels[f"u_{gate}"] == self.number)

    @cached_property
    def equations(self) -> tuple[Sum | LookUp, ...]:
        return tuple(e for e in self.cell.equations if self.cell.levels[e.signal] == self.number)

    @cached_property
    def signals(self) -> tuple[str, ...]:
        return tuple(equation.signal for equation in self.equations)

    @cached_property
    def result(self) -> str:
        """The signal that the array multiplies next: h, or the one that the next level's gates wait for."""
        if "h" in self.signals:
            return "h"
        return next(signal for signal in self.cell.recurrent.values() if signal in self.signals)

    @cached_property
    def vectors(self) -> tuple[str, ...]:
        return tuple(name for name in self.cell.vectors if name in self.reads)

    @cached_property
    def taken(self) -> tuple[str, ...]:
        """Signals of other levels that this one reads; with ``'``, their values of the step before."""
        return tuple(
            name
            for name in self.reads
            if name.removesuffix("'") in self.cell.signals and name.removesuffix("'") not in self.signals
        )

    @property
    def reads(self) -> tuple[str, ...]:
        """What the equations read; with ``'``, a signal of the step before."""
        return tuple(dict.fromkeys(name for equation in self.equations for name in equation.reads))

    @property
    def name(self) -> str:
        """The beginning of the names of its files."""
        return self.cell.name if len(cell_levels(self.cell)) == 1 else f"{self.cell.name}_{self.number}"


@cache
def cell_levels(cell: Cell) -> tuple[Level, ...]:
    """Return the levels of a cell."""
    return tuple(Level(cell, number) for number in range(1 + max(cell.levels.values())))


@dataclass(frozen=True)
class Packing:
    """How the sums of a stage's units lie in the words of four sums that leave the array.

    Args:
        gates: sums of a unit.
        lanes: words that leave the array in a cycle (Array.gate_lanes).
        per_word: whole units in a word.
        dense: units follow each other without a gap, whatever the words: four units of three sums in three
            words.
    """

    gates: int
    lanes: int
    per_word: int
    dense: bool

    @property
    def pipelines(self) -> int:
        """Units in a beat, each of which has a gate pipeline."""
        return self.lanes * self.per_word

    def capacity(self, words: int) -> int:
        """Units in so many words, the most of a job."""
        if self.dense:
            return words // self.lanes * WORD_SUMS // self.gates * self.lanes
        return words * self.per_word

    def drain(self, units: int) -> int:
        """Cycles in which the sums of so many units leave the array."""
        per_cycle = WORD_SUMS * self.lanes if self.dense else self.pipelines
        return -(-units * (self.gates if self.dense else 1) // per_cycle)

    def beats(self, units: int) -> int:
        """Beats of units that so many units make, the last of which may be padded with unused units."""
        if self.dense:  # as many as there are whole ones in the words
            return self.drain(units) * WORD_SUMS // self.gates
        return self.drain(units)

    def places(self, units: int) -> NDArray[np.intp]:
        """Places of the sums of so many units in a job's words, shape (units, gates)."""
        unit, gate = np.arange(units)[:, np.newaxis], np.arange(self.gates)
        if self.dense:
            return unit * self.gates + gate
        return unit // self.per_word * WORD_SUMS + unit % self.per_word * self.gates + gate


@dataclass(frozen=True)
class Stage:
    """A level of a layer.

    Args:
        number: in the order in which results are computed.
        layer: the layer.
        level: the level of its cell.
        pipeline: number of the pipeline that computes it.
        units: units of the layer.
        packing: of its sums.
        input: stage whose results the input product reads; None for the first layer.
        recurrent: stage whose results the recurrent product reads.
        capacity: most units of a job.
    """

    number: int
    layer: int
    level: Level
    pipeline: int
    units: int
    packing: Packing
    input: int | None
    recurrent: int
    capacity: int

    @property
    def beats(self) -> int:
        """Beats of the layer's units."""
        whole, rest = divmod(self.units, self.capacity)
        return whole * self.packing.beats(self.capacity) + (self.packing.beats(rest) if rest else 0)


@dataclass(frozen=True)
class Pipeline:
    """The stages that share gate pipelines and a buffer of results."""

    number: int
    level: Level
    packing: Packing
    stages: tuple[Stage, ...]


class Layout:
    """The stages and pipelines of a network on an array, and where each unit is found in their memories."""

    def __init__(self, spec: NetworkSpec, array: Array) -> None:
        self.array = array
        self.stages = tuple(_stages(spec, array))
        numbers = range(1 + max(stage.pipeline for stage in self.stages))
        of = [tuple(stage for stage in self.stages if stage.pipeline == k) for k in numbers]
        self.pipelines = tuple(
            Pipeline(k, stages[0].level, stages[0].packing, stages) for k, stages in enumerate(of)
        )
        self.last = self.stages[-1].number

    @property
    def stage_bits(self) -> int:
        """Width of a stage's number in a job."""
        return max(2, (len(self.stages) - 1).bit_length())

    def first_unit(self, stage: Stage) -> int:
        """Number of a stage's first unit in the memories of its pipeline, which number beats through.

        The same in all pipelines of a cell, so that one can read what another wrote.
        """
        first = 0
        for layer in range(stage.layer):
            of_layer = [s for s in self.stages if s.layer == layer]
            if of_layer[0].level.cell == stage.level.cell:
                widest = max(s.packing.pipelines for s in of_layer)
                most = max(s.beats * s.packing.pipelines for s in of_layer)
                first += -(-most // widest) * widest
        return first

    def first_beat(self, stage: Stage) -> int:
        """Number of a stage's first beat in its pipeline."""
        return self.first_unit(stage) // stage.packing.pipelines

    def beats(self, pipeline: Pipeline) -> int:
        """Depth of a pipeline's memories."""
        last = pipeline.stages[-1]
        return self.first_beat(last) + last.beats

    def rows(self, stage: Stage) -> int:
        """Rows of the buffer of results that a stage has."""
        return -(-stage.beats * stage.packing.pipelines // self.array.depth)

    def first_row(self, stage: Stage) -> int:
        """Row of a stage's first unit in its pipeline's buffer."""
        before = [s for s in self.stages if s.pipeline == stage.pipeline and s.number < stage.number]
        return sum(self.rows(s) for s in before)

    def buffer_rows(self, pipeline: Pipeline) -> int:
        """Rows of a pipeline's buffer of results, in one phase."""
        return sum(self.rows(stage) for stage in pipeline.stages)


def packing(gates: int, array: Array) -> Packing:
    """Return how units of so many sums are packed: as many in a word as the buffers of results can take."""
    lanes = array.gate_lanes
    # Powers of two, so that the lanes of two levels divide each other.
    per_word = next(n for n in (4, 2, 1) if n * gates <= WORD_SUMS and array.depth % (lanes * n) == 0)
    padded = Packing(gates, lanes, per_word, dense=False)
    dense = Packing(gates, lanes, 1, dense=True)
    if per_word == 1 and gates == 3 and dense.capacity(array.group_units) > array.group_units:
        return dense
    return padded


def _stages(spec: NetworkSpec, array: Array) -> Iterator[Stage]:
    pipelines: dict[Level, int] = {}
    number, below = 0, None
    for k, layer in enumerate(spec.layers):
        found = cell_levels(layer.formats.description)
        for level in found:
            shape = packing(len(level.gates), array)
            recurrent = number - 1 if level.number else number + len(found) - 1
            pipeline = pipelines.setdefault(level, len(pipelines))
            yield Stage(
                number, k, level, pipeline, layer.units, shape, below, recurrent,
                shape.capacity(array.group_units),
            )  # fmt: skip
            number += 1
        below = number - 1


def results(stages: Sequence[Stage], layer: int) -> Stage:
    """Return the stage that computes a layer's h."""
    return [stage for stage in stages if stage.layer == layer][-1]
