# SPDX-License-Identifier: Apache-2.0
"""Counts the bins of the coverage plan while one of the bench's tests runs, with cocotb-coverage.

Ports are watched in every cycle, and so are signals inside where the design has them by name (RTL). Values
are the model's, which the test compares with the engine's.
"""

from __future__ import annotations

import copy
from importlib import import_module
from itertools import islice
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotb_coverage.coverage import CoverPoint, coverage_db

from zynq_lstm.hls.engine.stages import Layout
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.choice import (
    CELL_BITS,
    OCTAVE_BITS,
    OCTAVES,
    TEMPERATURE,
    WORD_LOGITS,
    Sampler,
    noise,
    scores,
)
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import State
from zynq_lstm.sim.bench.components import COVERAGE_FILE, Plan
from zynq_lstm.sim.bench.coverage_signals import Inside, Registers, Streams
from zynq_lstm.sim.bench.coverage_values import Values
from zynq_lstm.sim.bench.model import EngineModel
from zynq_lstm.sim.campaigns.coverage_plan import BINS, PLAN

SETTLE = 3  # cycles of the first reset, after which no register is undefined


@cocotb.test()
async def covered(dut: Any) -> None:
    """Run a test of another module, and count its coverage."""
    plan = Plan.load()
    network = IntegerNetwork.load(plan.network)
    coverage = Coverage(dut, network, Layout(network.spec, plan.array))
    EngineModel.observer = coverage
    await getattr(import_module(plan.options["module"]), plan.options["test"]).func(dut)
    coverage_db.export_to_yaml(str(plan.run_dir / COVERAGE_FILE))


class Coverage:
    """Watches the engine and the model."""

    def __init__(self, dut: Any, network: IntegerNetwork, layout: Layout) -> None:
        self._dut, self._network, self._layout = dut, network, layout
        self._sample = {
            point.name: CoverPoint(f"plan.{point.name}", xf=lambda name: name, bins=list(point.bins))(
                lambda name: None
            )
            for point in PLAN
        }
        self._values = Values(network)
        self._before: set[tuple[str, str]] = set()
        self._temperature: int | None = None
        cocotb.start_soon(self._run())

    def hit(self, point: str, name: str) -> None:
        """Count a bin, which must exist: otherwise coverage would be lost silently."""
        assert (point, name) in _BINS, f"no bin {point}: {name}"
        self._sample[point](name)

    # ---- values, from the model
    def computed(self, before: State, codes: list[int], trace: dict[str, Raw]) -> None:
        for point, name in self._values.bins(before, codes, trace):
            self.hit(point, name)

    def chosen(self, sampler: Sampler, logits: Raw) -> None:
        vocabulary, raw = len(logits), sampler.temperature_raw
        random = copy.copy(sampler._random)
        words = np.array(list(islice(random, -(-vocabulary // WORD_LOGITS) * WORD_LOGITS)), np.int64)[
            :vocabulary
        ]
        ranked = scores(logits, noise(words), raw, self._network.spec.output.logits)
        best = np.flatnonzero(ranked == ranked.max())
        words_of_best = len(set((best // WORD_LOGITS).tolist()))
        if len(best) > words_of_best:
            self.hit("equal scores", "within a word")
        if words_of_best > 1:
            self.hit("equal scores", "in two words")
        for code, name in ((0, "first"), (vocabulary - 1, "last")):
            if best[0] == code:
                self.hit("first and last code", f"out, {name}")
        named = {0: "0", 1: "1 raw", TEMPERATURE.max_raw: "largest"}
        self.hit("temperature", named.get(raw, "between"))
        if self._temperature is not None and bool(raw) != bool(self._temperature):
            self.hit("temperature", "0 to more" if raw else "more to 0")
        self._temperature = raw
        for word in words.tolist() if raw else ():
            octave = OCTAVE_BITS - (word >> (32 - OCTAVE_BITS)).bit_length()
            entry = min(octave, OCTAVES - 1) << CELL_BITS | word & ((1 << CELL_BITS) - 1)
            for name, values in _OCTAVES.items():
                if octave in values:
                    self.hit("noise", name)
            for name, address in (("first entry", 0), ("last entry", (OCTAVES << CELL_BITS) - 1)):
                if entry == address:
                    self.hit("noise", name)

    # ---- signals
    async def _run(self) -> None:
        """Count the bins that are reached in a cycle but were not reached in the cycle before."""
        dut, edge = self._dut, RisingEdge(self._dut.clk_i)
        inside = hasattr(dut, "u_engine")
        resets = 0
        while resets < SETTLE:
            await edge
            resets += bool(dut.rst_i.value)
        vocabulary = self._network.spec.vocabulary
        looks = [Streams(dut, vocabulary).look(), Registers(dut).look()]
        if inside:
            looks.append(Inside(dut, vocabulary, self._layout).look())
        while True:
            await edge
            now = {found for look in looks for found in next(look)}
            for point, name in now - self._before:
                self.hit(point, name)
            self._before = now


_BINS = frozenset(BINS)
_OCTAVES = {
    "octave 0": range(1),
    "octave 1 to 6": range(1, OCTAVES - 1),
    f"octave {OCTAVES - 1}": range(OCTAVES - 1, OCTAVES),
    f"octave {OCTAVES} to {OCTAVE_BITS - 1}": range(OCTAVES, OCTAVE_BITS),
    f"octave {OCTAVE_BITS}": range(OCTAVE_BITS, OCTAVE_BITS + 1),
}
