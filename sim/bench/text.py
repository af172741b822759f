# SPDX-License-Identifier: Apache-2.0
"""The cocotb test that runs real text through the engine, from which every figure comes."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from zynq_lstm.sim.bench.components import STREAM_FILE, Bench, PatientSource, clock_cycle


@cocotb.test(timeout_time=10_000, timeout_unit="sec")
async def text(dut: Any) -> None:
    """Run the plan's sequences one after another, from a zero state; compare text and every signal."""
    bench = Bench(dut, PatientSource)
    await bench.start()
    await bench.set_temperature(bench.plan.options["temperature"])
    await bench.seed(bench.plan.options["seed"])
    comparing = cocotb.start_soon(bench.compare_while_running())
    done = [await _run(bench, **sequence) for sequence in bench.plan.options["sequences"]]
    comparing.cancel()
    bench.report(bench.compared, sequences=done)


async def _run(bench: Bench, codes: list[int], length: int | None) -> dict[str, Any]:
    """Score the codes, or let them prime ``length`` characters; return the sequence's part of the report."""
    await bench.configure(generate=length is not None, length=length or 0)
    before = len(bench.monitor.taken)
    offered: list[int] = []
    watching = cocotb.start_soon(_watch_output(bench, offered)) if length else None
    bench.send(codes)
    await bench.receive(limit_cycles=bench.plan.limit_cycles(len(codes) + (length or 0)))
    await bench.idle()
    written = [values[0] for values, _ in bench.beats] if length else []
    bench.check()
    if watching:
        watching.cancel()
    cycles = offered if length else bench.monitor.taken[before:]
    return {"cycles_per_character": _period(cycles[2:]), "generated": written}


async def _watch_output(bench: Bench, beats: list[int]) -> None:
    """Record the clock cycle in which each beat is offered; write the codes to a file."""
    dut = bench.dut
    with (bench.plan.run_dir / STREAM_FILE).open("a", encoding="ascii", buffering=1) as file:
        while True:
            await RisingEdge(dut.m_axis_tvalid)
            await ReadOnly()
            beats.append(clock_cycle())
            print(int(dut.m_axis_tdata.value), file=file)


def _period(cycles: list[int]) -> float | None:
    """Return the mean distance of events; None if there are fewer than two."""
    if len(cycles) < 2:
        return None
    return (cycles[-1] - cycles[0]) / (len(cycles) - 1)
