# SPDX-License-Identifier: Apache-2.0
"""cocotb tests that run real text through the engine: the main run behind every figure."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from sim.bench.components import PERIOD_NS, STREAM_FILE, Bench


@cocotb.test(timeout_time=100, timeout_unit="sec")
async def score(dut: Any) -> None:
    """The plan's codes as one sequence from a zero state; every signal of every character compared."""
    bench = Bench(dut)
    await bench.start()
    await bench.configure()
    codes = bench.plan.options["codes"]
    bench.send(codes)
    await bench.receive(limit_cycles=bench.plan.limit_cycles(len(codes)))
    await bench.idle()
    result = bench.check()
    bench.report(result, cycles_per_character=_period(bench.monitor.taken[2:]), characters_in=len(codes))


@cocotb.test(timeout_time=100, timeout_unit="sec")
async def generate(dut: Any) -> None:
    """Prime with the plan's codes and generate; text and every signal compared."""
    bench = Bench(dut)
    await bench.start()
    length = bench.plan.options["length"]
    await bench.set_temperature(bench.plan.options.get("temperature", 0))
    await bench.seed(bench.plan.options.get("seed", 0))
    await bench.configure(generate=True, length=length)
    bench.send(bench.plan.options["codes"])
    beats: list[int] = []
    cocotb.start_soon(_watch_output(bench, beats))
    await bench.receive(limit_cycles=bench.plan.limit_cycles(length + len(bench.plan.options["codes"])))
    await bench.idle()
    result = bench.check()
    text = [values[0] for values, _ in bench.beats]
    bench.report(result, cycles_per_character=_period(beats[2:]), generated=text)


async def _watch_output(bench: Bench, beats: list[int]) -> None:
    """Clock cycles in which a beat is offered, for its distance from the next; the codes go to a file."""
    dut = bench.dut
    with (bench.plan.run_dir / STREAM_FILE).open("w", encoding="ascii", buffering=1) as file:
        while True:
            await RisingEdge(dut.m_axis_tvalid)
            await ReadOnly()
            beats.append(int(cocotb.utils.get_sim_time("ns")) // PERIOD_NS)
            print(int(dut.m_axis_tdata.value), file=file)


def _period(cycles: list[int]) -> float | None:
    """Mean distance of events in steady state."""
    if len(cycles) < 2:
        return None
    return (cycles[-1] - cycles[0]) / (len(cycles) - 1)
