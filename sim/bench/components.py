# SPDX-License-Identifier: Apache-2.0
"""Driver, monitors and checker around the engine; bus protocols are cocotbext-axi's."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from zynq_lstm.hls.engine import registers
from zynq_lstm.models.integers.choice import WORD_LOGITS
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.sim.bench.model import Beat, EngineModel
from zynq_lstm.sim.trace import Comparison, RtlTraceReader, compare

PERIOD_NS = 5
STREAM_FILE = "generated.txt"  # in the run's folder: the codes as they come, one a line
PROGRESS_FILE = "progress.txt"  # there, too: how many characters have been compared, a line from time to time
REPORT_FILE = "report.json"  # there, too: what a test has compared
MUTANTS_FILE = "mutants.jsonl"  # there, too: a line as a test begins on a mutant, another one if it passes
BAD_INPUTS_FILE = "bad_inputs.jsonl"  # there, too: what became of each case of sim/bench/bad_inputs.py
COVERAGE_FILE = "coverage.yml"  # there, too: bins and how often they were hit
COMPARE_CYCLES = 1 << 16  # between comparisons; 128 characters of the default engine
# The bench sets these, since nothing else could count to where they end. In axil_registers.sv:
COUNTERS = ("characters_q", "error_count_q", "cycles_low_q", "cycles_high_q")
REFUSALS = ("writes_refused_q", "reads_refused_q", "waits_q")  # of 16 bits
LEFT = "left_q"  # of LENGTH, in character_control.sv
LIMIT = {"timeout_time": 20, "timeout_unit": "ms"}  # of a test on a small network
PLAN_VARIABLE = "ZYNQ_LSTM_BENCH"  # path of the plan, JSON; see sim/simulation/rtl.py


def clock_cycle() -> int:
    """The one that it is, since the simulation began."""
    return int(cocotb.utils.get_sim_time("ns")) // PERIOD_NS


@dataclass(frozen=True)
class Plan:
    """What the runner asks of the bench."""

    network: Path
    run_dir: Path
    gate_lanes: int
    periods: dict[str, int]  # cycles from character to character by the schedule, in each mode
    constants: dict[str, list[dict[str, int]]]  # fields of registers that the design decides, word by word
    parity: bool  # of the weight memory
    traced: bool  # signals inside are recorded; a netlist only has ports
    options: dict[str, Any]

    @classmethod
    def load(cls) -> Plan:
        data = json.loads(Path(os.environ[PLAN_VARIABLE]).read_text(encoding="utf-8"))
        return cls(Path(data.pop("network")), Path(data.pop("run_dir")), **data)

    def limit_cycles(self, characters: int) -> int:
        """Cycles after which an engine that should have finished is taken to hang."""
        return 2 * characters * self.periods["generate"] + 100_000


class PatientSource(AxiStreamSource):
    """cocotbext-axi's source, except that it sleeps while TREADY is low instead of looking at every edge.

    A character takes the engine hundreds of cycles, in all of which the next one is offered: waking up in
    each would be half of a simulation's time. It does not pause.
    """

    async def _run(self) -> None:
        edge, ready = RisingEdge(self.clock), RisingEdge(self.bus.tready)
        while True:
            await edge
            if self.queue.empty():
                self.active = False
                self.idle_event.set()
                self.active_event.clear()
                await self.active_event.wait()
                continue
            frame = self.queue.get_nowait()
            self.dequeue_event.set()
            self.queue_occupancy_bytes -= len(frame)
            self.queue_occupancy_frames -= 1
            self.active = True
            for k, value in enumerate(frame.tdata, 1):
                self.bus.tdata.value = value
                self.bus.tlast.value = k == len(frame.tdata)
                self.bus.tvalid.value = 1
                await edge
                while not self.bus.tready.value:
                    await ready
                    await edge
            self.bus.tvalid.value = 0


class InputMonitor:
    """Tells the model of every character that s_axis takes, in the cycle in which it is taken."""

    def __init__(self, dut: Any, model: EngineModel) -> None:
        self._dut, self.model = dut, model
        self.taken: list[int] = []  # clock cycles
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut = self._dut
        while True:
            # Sleep while nothing can be taken: a wake-up every cycle would be most of the run's time.
            if not dut.s_axis_tready.value:
                await RisingEdge(dut.s_axis_tready)
            elif not dut.s_axis_tvalid.value:
                await RisingEdge(dut.s_axis_tvalid)
            await RisingEdge(dut.clk_i)
            if dut.s_axis_tvalid.value and dut.s_axis_tready.value:
                self.taken.append(clock_cycle())
                self.model.accept(int(dut.s_axis_tdata.value), bool(dut.s_axis_tlast.value))


class Bench:
    """The engine with its buses driven and watched, and the model beside it."""

    def __init__(self, dut: Any, source: type[AxiStreamSource] = AxiStreamSource) -> None:
        self.dut = dut
        self.plan = Plan.load()
        self.network = IntegerNetwork.load(self.plan.network)
        self.model = EngineModel(self.network)
        self.rng = random.Random(cocotb.RANDOM_SEED)
        for name in ("cocotb.zynq_lstm", "cocotbext", f"cocotb.{dut._name}"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.source = source(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk_i, dut.rst_i, byte_lanes=1)
        # A beat as one "byte" of 64 bits: the sink reads TDATA once for each.
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk_i, dut.rst_i, byte_lanes=1)
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, dut.rst_i)
        for part in (self.source, self.sink):
            part.log.setLevel(logging.WARNING)
        for part in (self.registers.write_if, self.registers.read_if):
            part.log.setLevel(logging.WARNING)
        self.beats: list[Beat] = []
        self.generate_mode = False
        self.trace = RtlTraceReader(
            self.network,
            self.plan.run_dir,
            self.plan.gate_lanes,
            discard=not self.plan.options.get("keep_trace", True),
        )
        self.compared = Comparison(0, 0, 0, None)
        self.started = time.perf_counter(), time.process_time()
        self.comparing = 0.0  # processor time

    @classmethod
    async def on(cls, dut: Any) -> Bench:
        """Of an engine that has had its clock and its reset."""
        bench = cls(dut)
        await bench.start()
        return bench

    async def start(self) -> None:
        """Clock and reset."""
        self.dut.rst_i.value = 1
        await Timer(PERIOD_NS, "ns")  # the bus models see the reset before the first edge
        cocotb.start_soon(Clock(self.dut.clk_i, PERIOD_NS, "ns", impl="gpi").start())
        await ClockCycles(self.dut.clk_i, 8)
        for name in ("s_axis_tready", "m_axis_tvalid", "s_axil_bvalid", "s_axil_rvalid"):
            assert not getattr(self.dut, name).value, f"{name} while in reset"
        self.dut.rst_i.value = 0
        await ClockCycles(self.dut.clk_i, 2)
        self.monitor = InputMonitor(self.dut, self.model)

    async def restart(self, cycles: int) -> None:
        """Reset again, whatever is under way; the model and the buses forget it.

        Monitors inside may have seen parts of characters: only ports can be compared then.
        """
        assert not self.plan.traced
        self.dut.rst_i.value = 1
        await ClockCycles(self.dut.clk_i, cycles)
        self.source.clear()
        self.sink.clear()
        self.beats.clear()
        self.compared = Comparison(0, 0, 0, None)
        self.generate_mode = False
        self.model = self.monitor.model = EngineModel(self.network)
        self.dut.rst_i.value = 0
        await ClockCycles(self.dut.clk_i, 2)

    # ---- registers
    async def write(self, name: str, value: int) -> None:
        response = await self.registers.write(registers.address(name), value.to_bytes(4, "little"))
        assert response.resp == AxiResp.OKAY, f"write to {name}: {response.resp!r}"

    async def read(self, name: str, offset: int = 0) -> int:
        response = await self.registers.read(registers.address(name) + offset, 4)
        assert response.resp == AxiResp.OKAY, f"read of {name}: {response.resp!r}"
        return int.from_bytes(response.data, "little")

    async def read_raw(self, address: int) -> tuple[AxiResp, int]:
        """Answer and data of any address."""
        response = await self.registers.read(address, 4)
        return response.resp, int.from_bytes(response.data, "little")

    async def configure(self, *, generate: bool = False, auto_reset: bool = False, length: int = 0) -> None:
        """Set the mode of sequences to come, in engine and model."""
        await self.write("LENGTH", length)
        mode = registers.bit("MODE", "GENERATE") * generate
        await self.write("MODE", mode | registers.bit("MODE", "AUTO_RESET") * auto_reset)
        self.model.configure(generate=generate, auto_reset=auto_reset, length=length)
        self.generate_mode = generate

    async def set_temperature(self, raw: int) -> None:
        """For characters to come; only while none is being generated."""
        await self.write("TEMPERATURE", raw)
        self.model.set_temperature(raw)

    async def seed(self, seed: int) -> None:
        """Start a random sequence; only while no character is being generated."""
        await self.write("SEED", seed)
        self.model.reseed(seed)

    async def reset_state(self) -> None:
        """State reset for the next character; only while no character is being offered."""
        await self.write("CONTROL", registers.bit("CONTROL", "RESET_STATE"))
        self.model.reset_state()

    async def quiet(self) -> None:
        """Wait until what was sent has been taken and no character is under way (output may still wait)."""
        for _ in range(200):
            await ClockCycles(self.dut.clk_i, 50)
            if self.source.idle() and not await self.read("STATUS") & registers.bit("STATUS", "BUSY"):
                return
        raise AssertionError("the engine stayed busy")

    async def idle(self) -> None:
        """Wait until the engine has finished what it was given."""
        while await self.read("STATUS") & registers.bit("STATUS", "BUSY"):
            await ClockCycles(self.dut.clk_i, 20)

    # ---- streams
    def codes(self, length: int) -> list[int]:
        """So many of the vocabulary, by chance."""
        return [self.rng.randrange(self.network.spec.vocabulary) for _ in range(length)]

    async def offer(self, codes: list[int], last: bool) -> None:
        """Characters without cocotbext's framing, so that a sequence can be left open."""
        dut = self.dut
        for k, code in enumerate(codes):
            dut.s_axis_tdata.value = code
            dut.s_axis_tlast.value = int(last and k == len(codes) - 1)
            dut.s_axis_tvalid.value = 1
            await RisingEdge(dut.clk_i)
            while not dut.s_axis_tready.value:
                await RisingEdge(dut.clk_i)
            dut.s_axis_tvalid.value = 0

    def send(self, codes: list[int]) -> None:
        """Queue one sequence; TLAST with its last character."""
        self.source.send_nowait(AxiStreamFrame(bytes(codes)))

    async def receive(self, limit_cycles: int = 2_000_000) -> None:
        """One frame from m_axis, kept for the check."""
        frame = await with_timeout(self.sink.recv(), limit_cycles * PERIOD_NS, "ns")
        words = np.array(frame.tdata, "<u8")
        rows = words.reshape(-1, 1) if self.generate_mode else words.view("<i2").reshape(-1, WORD_LOGITS)
        self.beats += [(tuple(row), k == len(rows) - 1) for k, row in enumerate(rows.tolist())]

    def pause_randomly(self, share: float) -> None:
        """Gaps on s_axis and back-pressure on m_axis, for about ``share`` of the cycles."""
        self.source.set_pause_generator(self.pauses(share))
        self.sink.set_pause_generator(self.pauses(share))

    def pauses(self, share: float, longest: int = 40) -> Iterator[bool]:
        """For about ``share`` of the cycles, in stretches of up to ``longest``."""
        rng = random.Random(self.rng.random())
        while True:
            pause = rng.random() < share
            for _ in range(rng.randint(1, longest)):
                yield pause

    # ---- verdict
    async def compare_while_running(self) -> None:
        """Compare in pieces, so that memory and disk do not grow with the length of a run."""
        if not self.plan.traced:
            return  # beats are compared at the end of a sequence
        file = self.plan.run_dir / PROGRESS_FILE
        with file.open("w", encoding="ascii", buffering=1) as progress:
            while True:
                await Timer(COMPARE_CYCLES * PERIOD_NS, "ns")
                self.compare()
                print(self.compared.characters, file=progress)

    def compare(self, *, all_of_it: bool = False) -> None:
        """Every signal inside of the characters finished since the last call, against the model.

        Args:
            all_of_it: the engine is idle, so that nothing may be left over on either side.

        Raises:
            AssertionError: naming the first difference.
        """
        started = time.process_time()
        actual = self.trace.read()
        if all_of_it:
            self.trace.finish()
        characters = len(actual["logits"])
        if characters or all_of_it:
            expected = self.model.finish() if all_of_it else self.model.take(characters)
            new = compare(self.network, expected, actual, self.compared.characters)
            self.compared = self.compared + new
            if new.first:
                self.report(self.compared)
            assert new.first is None, (
                f"{self.compared.mismatches} of {self.compared.values} values differ, first: {new.first}"
            )
        self.comparing += time.process_time() - started

    def check(self) -> Comparison:
        """Everything that came out and, if it is recorded, every signal inside, against the model.

        That is, what is new since the last call. Only while the engine is idle.

        Raises:
            AssertionError: naming the first difference.
        """
        # Signals first: they name the origin of a wrong answer.
        if self.plan.traced:
            self.compare(all_of_it=True)
        else:
            self.model.finish()
        assert self.sink.empty(), "the engine sent more than it was asked for"
        for k, (got, want) in enumerate(zip(self.beats, self.model.beats, strict=False)):
            assert got == want, f"m_axis beat {k}: expected (values, TLAST) {want}, got {got}"
        assert len(self.beats) == len(self.model.beats), (
            f"m_axis: expected {len(self.model.beats)} beats, got {len(self.beats)}"
        )
        if not self.plan.traced:
            new = self.model.characters - self.compared.characters
            self.compared += Comparison(new, sum(len(values) for values, _ in self.beats), 0, None)
        self.beats.clear()
        self.model.beats.clear()
        assert self.compared.characters == self.model.characters > 0, "no character was compared"
        assert self.compared.exact, "no value was compared"
        return self.compared

    def report(self, result: Comparison, **more: Any) -> None:
        """What the runner reads: counts of the comparison, and measurements."""
        wall, processor = self.started
        seconds = {
            "seconds": time.perf_counter() - wall,
            "processor_seconds": time.process_time() - processor,
            "comparing_seconds": self.comparing,  # of these
        }
        data = {**result.summary(), **seconds, **more}
        if self.plan.options.get("keep_trace"):
            data["taken_ns"] = [cycle * PERIOD_NS for cycle in self.monitor.taken]
        (self.plan.run_dir / REPORT_FILE).write_text(json.dumps(data), encoding="utf-8")
