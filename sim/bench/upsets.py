# SPDX-License-Identifier: Apache-2.0
"""A cocotb test that flips bits in memories of the RTL while text is scored (sim/campaigns/upsets)."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from zynq_lstm.sim.bench.components import Bench


@cocotb.test(timeout_time=1, timeout_unit="sec")
async def upset(dut: Any) -> None:
    """Score characters one at a time, with the engine idle between them; results are not compared here."""
    bench = Bench(dut)
    await bench.start()
    await bench.configure()
    options = bench.plan.options
    for n, code in enumerate(options["codes"]):
        flipping, place = None, options["places"].get(str(n))
        if place and place["written"] is None:
            _flip(dut, **place)
        elif place:
            flipping = cocotb.start_soon(_flip_as_written(dut, **place))
        bench.send([code])
        await bench.receive()
        await bench.idle()
        # The sums for the next character may take somewhat longer.
        await ClockCycles(dut.clk_i, 2 * bench.plan.periods["generate"] + 50)
        if flipping:
            assert flipping.done()
            await flipping
    parity = await bench.read("PARITY_ERRORS") if bench.plan.parity else None
    bench.report(bench.compared, errors=await bench.read("ERRORS"), parity_errors=parity)


def _instance(dut: Any, path: list[str]) -> Any:
    """Return the instance at a path below the core."""
    found = dut.u_engine.u_core
    for part in path:
        name, _, index = part.partition("[")
        found = getattr(found, name)
        if index:
            found = found[int(index[:-1])]
    return found


def _flip(dut: Any, memory: str, word: int, bit: int, written: Any = None) -> None:
    entry = _instance(dut, memory.split("/")).memory[word]
    entry.value = int(entry.value) ^ 1 << bit


async def _flip_as_written(dut: Any, memory: str, word: int, bit: int, written: list[int]) -> None:
    """Flip a bit half a cycle after the edge that writes its word."""
    hidden = _instance(dut, memory.split("/")[:-2])  # the buffer that has the memory in one of its lanes
    ports = hidden.write_phase_i, hidden.write_row_i, hidden.write_place_i
    while True:
        await RisingEdge(dut.clk_i)
        if hidden.write_i.value and [int(port.value) for port in ports] == written:
            break
    await FallingEdge(dut.clk_i)
    _flip(dut, memory, word, bit)
