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
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.stages import Layout
from zynq_lstm.models.integers.choice import WORD_LOGITS
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.sim.bench.model import Beat, EngineModel
from zynq_lstm.sim.simulation.rtl_trace import RtlTraceReader
from zynq_lstm.sim.trace import Comparison, compare

PERIOD_NS = 5
# Files in the run's folder:
STREAM_FILE = "generated.txt"  # the codes as they come, one per line
PROGRESS_FILE = "progress.txt"  # number of characters compared so far, a line from time to time
REPORT_FILE = "report.json"  # counts of a test's comparison, and measurements
MUTANTS_FILE = "mutants.jsonl"  # a line when a test begins on a mutant, another one if it passes
BAD_INPUTS_FILE = "bad_inputs.jsonl"  # result of each case of sim/bench/bad_inputs.py
COVERAGE_FILE = "coverage.yml"  # bins and their hits

COMPARE_CYCLES = 1 << 16  # cycles between comparisons; 128 characters of the default engine
# The bench sets these counters, since nothing else could count to their ends. In axil_registers.sv:
COUNTERS = ("characters_q", "error_count_q", "cycles_low_q", "cycles_high_q")
REFUSALS = ("writes_refused_q", "reads_refused_q", "waits_q")  # 16 bits each
LEFT = "left_q"  # characters left of LENGTH, in character_control.sv
LIMIT = {"timeout_time": 20, "timeout_unit": "ms"}  # time limit of a test on a small network
PLAN_VARIABLE = "ZYNQ_LSTM_BENCH"  # path of the plan, JSON; see sim/simulation/rtl.py


def clock_cycle() -> int:
    """Return the current clock cycle, counted from the start of the simulation."""
    return int(cocotb.utils.get_sim_time("ns")) // PERIOD_NS


@dataclass(frozen=True)
class Plan:
    """The runner's instructions to the bench."""

    network: Path
    run_dir: Path
    array: Array
    periods: dict[str, int]  # scheduled cycles per character in each mode
    constants: dict[str, list[dict[str, int]]]  # register fields that the design decides, by word
    parity: bool  # the weight memory has parity
    traced: bool  # signals inside are recorded; a netlist has ports only
    options: dict[str, Any]

    @classmethod
    def load(cls) -> Plan:
        data = json.loads(Path(os.environ[PLAN_VARIABLE]).read_text(encoding="utf-8"))
        array = Array(**data.pop("array"))
        return cls(Path(data.pop("network")), Path(data.pop("run_dir")), array, **data)

    def limit_cycles(self, characters: int) -> int:
        """Return the number of cycles after which an unfinished engine is taken to hang."""
        return 2 * characters * self.periods["generate"] + 100_000


class PatientSource(AxiStreamSource):
    """cocotbext-axi's source, except that it sleeps while TREADY is low instead of looking at every edge.

    A character takes the engine hundreds of cycles, and the next one is offered during all of them: waking up
    in each would take half of a simulation's time. This source does not pause.
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
            # Sleep while nothing can be taken: waking up in every cycle would take most of the run's time.
            if not dut.s_axis_tready.value:
                await RisingEdge(dut.s_axis_tready)
            elif not dut.s_axis_tvalid.value:
                await RisingEdge(dut.s_axis_tvalid)
            await RisingEdge(dut.clk_i)
            if dut.s_axis_tvalid.value and dut.s_axis_tready.value:
                self.taken.append(clock_cycle())
                self.model.accept(int(dut.s_axis_tdata.value), bool(dut.s_axis_tlast.value))


class Bench:
    """The engine, drivers and monitors of its buses, and the model."""

    def __init__(self, dut: Any, source: type[AxiStreamSource] = AxiStreamSource) -> None:
        self.dut = dut
        self.plan = Plan.load()
        self.network = IntegerNetwork.load(self.plan.network)
        self.model = EngineModel(self.network)
        self.rng = random.Random(cocotb.RANDOM_SEED)
        for name in ("cocotb.zynq_lstm", "cocotbext", f"cocotb.{dut._name}"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.source = source(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk_i, dut.rst_i, byte_lanes=1)
        # A beat is one "byte" of 64 bits: the sink reads TDATA once per beat.
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
            Layout(self.network.spec, self.plan.array),
            discard=not self.plan.options.get("keep_trace", True),
        )
        self.compared = Comparison(0, 0, 0, None)
        self.started = time.perf_counter(), time.process_time()
        self.comparing = 0.0  # processor time

    @classmethod
    async def on(cls, dut: Any) -> Bench:
        """Return a bench of an engine whose clock runs and which has been reset."""
        bench = cls(dut)
        await bench.start()
        return bench

    async def start(self) -> None:
        """Start the clock, and reset the engine."""
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

        Monitors inside may have seen parts of characters, so only ports can be compared afterwards.
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
        """Return answer and data of a read at any address."""
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
        """Set the temperature of characters to come; only while none is being generated."""
        await self.write("TEMPERATURE", raw)
        self.model.set_temperature(raw)

    async def seed(self, seed: int) -> None:
        """Start a random sequence; only while no character is being generated."""
        await self.write("SEED", seed)
        self.model.reseed(seed)

    async def reset_state(self) -> None:
        """Reset the state for the next character; only while no character is being offered."""
        await self.write("CONTROL", registers.bit("CONTROL", "RESET_STATE"))
        self.model.reset_state()

    async def quiet(self) -> None:
        """Wait until all that was sent is taken and no character is under way (output may still wait)."""
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
        """Return ``length`` random character codes."""
        return [self.rng.randrange(self.network.spec.vocabulary) for _ in range(length)]

    async def offer(self, codes: list[int], last: bool) -> None:
        """Offer characters without cocotbext's framing, so that a sequence can be left open."""
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
        """Queue one sequence; TLAST comes with its last character."""
        self.source.send_nowait(AxiStreamFrame(bytes(codes)))

    async def receive(self, limit_cycles: int = 2_000_000) -> None:
        """Receive one frame from m_axis, and keep it for the check."""
        frame = await with_timeout(self.sink.recv(), limit_cycles * PERIOD_NS, "ns")
        words = np.array(frame.tdata, "<u8")
        rows = words.reshape(-1, 1) if self.generate_mode else words.view("<i2").reshape(-1, WORD_LOGITS)
        self.beats += [(tuple(row), k == len(rows) - 1) for k, row in enumerate(rows.tolist())]

    def pause_randomly(self, share: float) -> None:
        """Make gaps on s_axis and back-pressure on m_axis, for about ``share`` of the cycles."""
        self.source.set_pause_generator(self.pauses(share))
        self.sink.set_pause_generator(self.pauses(share))

    def pauses(self, share: float, longest: int = 40) -> Iterator[bool]:
        """Yield True for about ``share`` of the cycles, in stretches of up to ``longest``."""
        rng = random.Random(self.rng.random())
        while True:
            pause = rng.random() < share
            for _ in range(rng.randint(1, longest)):
                yield pause

    # ---- verdict
    async def compare_while_running(self) -> None:
        """Compare in pieces, so that memory and disk use do not grow with the length of a run."""
        if not self.plan.traced:
            return  # beats are compared at the end of a sequence
        file = self.plan.run_dir / PROGRESS_FILE
        with file.open("w", encoding="ascii", buffering=1) as progress:
            while True:
                await Timer(COMPARE_CYCLES * PERIOD_NS, "ns")
                self.compare()
                print(self.compared.characters, file=progress)

    def compare(self, *, all_of_it: bool = False) -> None:
        """Compare every signal inside with the model, for the characters finished since the last call.

        Args:
            all_of_it: the engine is idle, so that nothing may be left over on either side.

        Raises:
            AssertionError: if a value differs; it names the first one.
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
        """Compare all new output and, if recorded, every signal inside with the model.

        New output is that since the last call. Call this only while the engine is idle.

        Raises:
            AssertionError: if a value differs; it names the first one.
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
        """Write the report that the runner reads: counts of the comparison, and measurements."""
        wall, processor = self.started
        seconds = {
            "seconds": time.perf_counter() - wall,
            "processor_seconds": time.process_time() - processor,
            "comparing_seconds": self.comparing,  # included in these
        }
        data = {**result.summary(), **seconds, **more}
        if self.plan.options.get("keep_trace"):
            data["taken_ns"] = [cycle * PERIOD_NS for cycle in self.monitor.taken]
        (self.plan.run_dir / REPORT_FILE).write_text(json.dumps(data), encoding="utf-8")
