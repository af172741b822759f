# SPDX-License-Identifier: Apache-2.0
"""cocotb tests for the bins of the coverage plan that protocol.py leaves open.

As there, each test runs in a simulation of its own, on any (small) network.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiProt, AxiResp

from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.schedule import STEADY
from zynq_lstm.models.integers.choice import TEMPERATURE, temperature_to_raw
from zynq_lstm.sim.bench.components import LEFT, LIMIT, Bench, clock_cycle
from zynq_lstm.sim.bench.near_ties import near_ties

# Sweeps over the cycles of a character take no more steps than this, unless the plan says otherwise.
MOST_STEPS = 40


def _cycles(bench: Bench, periods: int = 1) -> range:
    """Return the cycles of ``periods`` characters: all, or as many as there are steps, evenly spaced."""
    cycles = periods * bench.plan.periods["generate"]
    return range(0, cycles, -(-cycles // bench.plan.options.get("steps", MOST_STEPS)))


@cocotb.test(**LIMIT)
async def reset_in_every_cycle(dut: Any) -> None:
    """After rst_i at any time, registers are as at the start, and the next answers are right."""
    bench = await Bench.on(dut)
    bench.plan = replace(bench.plan, traced=False)  # monitors have seen parts of characters
    for k, cycles in enumerate(_cycles(bench, 2)):
        generate = k % 2 == 1
        await bench.configure(generate=generate, auto_reset=k % 3 == 0, length=9)
        bench.send(bench.codes(2 + k % 2))
        await ClockCycles(dut.clk_i, 1 + cycles)
        await bench.restart(1 + k % 3)
        for name in ("MODE", "LENGTH", "STATUS", "CHARACTERS", "CYCLES_LOW"):
            assert await bench.read(name) == 0, f"{name} after a reset {cycles} cycles in"
        bench.send(bench.codes(2))
        await bench.receive()
        await bench.idle()
        bench.report(bench.check())


@cocotb.test(**LIMIT)
async def pace(dut: Any) -> None:
    """The engine waits as the schedule says and no longer: characters come at the scheduled distances."""
    bench = await Bench.on(dut)
    await bench.configure()
    bench.send(bench.codes(STEADY + 8))
    await bench.receive()
    await bench.idle()
    assert _distances(bench.monitor.taken[STEADY:]) == {bench.plan.periods["score"]}
    await bench.configure(generate=True, length=STEADY + 8)
    bench.send(bench.codes(1))
    offered = []
    for _ in range(STEADY + 8):
        await RisingEdge(dut.m_axis_tvalid)
        offered.append(clock_cycle())
    assert _distances(offered[STEADY:]) == {bench.plan.periods["generate"]}
    await bench.receive()
    await bench.idle()
    bench.report(bench.check())


def _distances(cycles: list[int]) -> set[int]:
    return {after - before for before, after in pairwise(cycles)}


@cocotb.test(**LIMIT)
async def character_in_every_cycle(dut: Any) -> None:
    """The next character comes at any time: before, during and after the array's other work."""
    bench = await Bench.on(dut)
    await bench.configure()
    for cycles in _cycles(bench, 2):
        await bench.offer(bench.codes(1), False)
        await ClockCycles(dut.clk_i, 1 + cycles)
        await bench.offer(bench.codes(1), True)
        await bench.receive()
        await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def clear_state_in_every_cycle(dut: Any) -> None:
    """RESET_STATE while characters are under way applies to the next character, not to them."""
    bench = await Bench.on(dut)
    await bench.configure()
    for cycles in _cycles(bench):
        await bench.offer(bench.codes(2), False)
        await ClockCycles(dut.clk_i, 1 + cycles)
        await bench.reset_state()
    await bench.offer(bench.codes(2), True)
    await bench.receive()
    await bench.idle()
    await bench.reset_state()
    await bench.configure(generate=True, length=20)
    bench.send(bench.codes(2))
    while not await bench.read("STATUS") & registers.bit("STATUS", "GENERATING"):
        pass
    await bench.reset_state()
    await bench.receive()
    await bench.idle()
    await bench.configure()
    bench.send(bench.codes(3))
    await bench.receive()
    await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def every_transition(dut: Any) -> None:
    """Each mode follows each mode, with the state kept and with automatic resets."""
    bench = await Bench.on(dut)
    for auto_reset in (False, True):
        for mode in "ssggppspgs":  # every pair of neighbours
            length = {"s": 3, "g": 2, "p": 0}[mode]
            await bench.configure(generate=mode != "s", auto_reset=auto_reset, length=length)
            bench.send(bench.codes(bench.rng.randint(1, 3)))
            if mode == "p":
                await bench.quiet()
            else:
                await bench.receive()
            await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def controls_at_any_time(dut: Any) -> None:
    """STOP does nothing unless characters are being generated; counters may be cleared while they count."""
    bench = await Bench.on(dut)
    stop, clear = (registers.bit("CONTROL", name) for name in ("STOP", "CLEAR_COUNTERS"))
    await bench.write("CONTROL", 0xFFFFFFFF)  # other bits mean nothing
    await bench.configure()
    bench.model.reset_state()
    await bench.offer(bench.codes(3), False)
    await bench.write("CONTROL", stop | clear)
    await bench.quiet()
    assert await bench.read("CHARACTERS") == 0
    await bench.offer(bench.codes(2), True)
    await bench.receive()
    await bench.idle()
    assert await bench.read("CHARACTERS") == 2
    await bench.configure(generate=True, length=12)
    await bench.offer(bench.codes(2), False)
    await bench.write("CONTROL", stop)  # while priming
    await bench.offer(bench.codes(1), True)
    while not await bench.read("STATUS") & registers.bit("STATUS", "GENERATING"):
        pass
    await bench.write("CONTROL", clear)
    await bench.receive()
    await bench.idle()
    assert await bench.read("CHARACTERS") < 12
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def registers_while_busy(dut: Any) -> None:
    """MODE and LENGTH apply from the next sequence on; SEED has no effect without a temperature."""
    bench = await Bench.on(dut)
    await bench.configure()
    await bench.offer(bench.codes(2), False)
    await bench.configure(generate=True, auto_reset=True, length=7)
    await bench.write("SEED", 99)
    bench.generate_mode = False
    await bench.offer(bench.codes(2), True)
    await bench.receive()
    bench.generate_mode = True
    bench.send(bench.codes(2))
    while not await bench.read("STATUS") & registers.bit("STATUS", "GENERATING"):
        pass
    await bench.write("SEED", 98)
    await bench.write("LENGTH", 1)
    await bench.write("MODE", 0)
    await bench.receive()
    await bench.idle()
    await bench.seed(3)
    await bench.set_temperature(TEMPERATURE.max_raw)
    await bench.configure(generate=True, length=6)
    bench.send(bench.codes(1))
    await bench.receive()
    await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def output_buffer_full(dut: Any) -> None:
    """Take no output, then take beats one by one: the output buffer reaches every level."""
    bench = await Bench.on(dut)
    period = bench.plan.periods["generate"]
    for generate in (False, True):
        await bench.configure(generate=generate, length=30)
        bench.sink.pause = True
        bench.send(bench.codes(2 if generate else 20))
        if generate:
            bench.send(bench.codes(3))  # waits until the generation has ended
        await ClockCycles(dut.clk_i, 20 * period)
        for _ in range(24):
            bench.sink.pause = False
            await RisingEdge(dut.clk_i)
            bench.sink.pause = True
            await ClockCycles(dut.clk_i, bench.rng.randint(1, 2 * period))
        bench.sink.pause = False
        for _ in range(1 + generate):
            await bench.receive()
        await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def what_is_left_to_generate(dut: Any) -> None:
    """The count of characters left of LENGTH, set by the bench, counts down over every borrow to its end."""
    bench = await Bench.on(dut)
    left = getattr(dut.u_engine.u_characters, LEFT)
    starts = [*(1 << bit for bit in range(31, 1, -1)), 2]
    await bench.configure(generate=True, length=0xFFFFFFFF)
    bench.model.configure(generate=True, auto_reset=False, length=2 * len(starts) + 1)  # the resulting length
    bench.send(bench.codes(1))
    for start in starts:
        await RisingEdge(dut.m_axis_tvalid)
        await ClockCycles(dut.clk_i, 10)
        left.value = start
        await RisingEdge(dut.m_axis_tvalid)
        await ClockCycles(dut.clk_i, 10)
        assert int(left.value) == start - 1
    await bench.receive()
    await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def same_code_again(dut: Any) -> None:
    """Repeat each of the first two codes until states reach their ends; then take over a hundred others."""
    bench = await Bench.on(dut)
    await bench.configure()
    for codes in ([0] * 60, [1 % bench.network.spec.vocabulary] * 60, [0] * 60, bench.codes(120)):
        bench.send(codes)
        await bench.receive()
        await bench.idle()
    await bench.set_temperature(temperature_to_raw(1.0))
    await bench.configure(generate=True, length=120)
    bench.send(bench.codes(1))
    await bench.receive()
    await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def choices_by_a_hair(dut: Any) -> None:
    """Scores are so close that any bit of noise, temperature, product or logit decides; in every octave."""
    bench = await Bench.on(dut)
    await bench.configure(generate=True, auto_reset=True, length=1)
    for tie in near_ties(bench.network, bench.rng):
        await bench.seed(tie.seed)
        await bench.set_temperature(tie.temperature_raw)
        bench.send([tie.prime])
        await bench.receive()
        await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def error_bits(dut: Any) -> None:
    """Send bad codes in every mode; BAD_CODE is cleared only by writing 1, and can be set again."""
    bench = await Bench.on(dut)
    vocabulary = bench.network.spec.vocabulary
    assert vocabulary < 256
    await bench.configure()
    bench.send([vocabulary, 0, 255])
    await bench.receive()
    await bench.idle()
    assert await bench.read("ERRORS") == 1
    await bench.write("ERRORS", 0)
    assert await bench.read("ERRORS") == 1
    await bench.configure(generate=True, length=2)
    bench.send([0, vocabulary])
    await bench.receive()
    await bench.idle()
    await bench.write("ERRORS", 1)
    assert await bench.read("ERRORS") == 0
    assert await bench.read("ERROR_COUNT") == 3
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def write_of_no_byte(dut: Any) -> None:
    """A write whose WSTRB is 0 is answered with OKAY, and changes nothing."""
    bench = await Bench.on(dut)
    await bench.write("LENGTH", 0x12345678)
    dut.s_axil_awaddr.value = registers.address("LENGTH")
    dut.s_axil_wdata.value = 0xFFFFFFFF
    dut.s_axil_wstrb.value = 0
    dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 1
    await RisingEdge(dut.clk_i)
    assert dut.s_axil_awready.value and dut.s_axil_wready.value
    dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 0
    await RisingEdge(dut.s_axil_bvalid)
    assert int(dut.s_axil_bresp.value) == 0
    await ClockCycles(dut.clk_i, 3)
    bench.registers.write_if.b_channel.clear()  # the master did not ask for that answer
    assert await bench.read("LENGTH") == 0x12345678


@cocotb.test(**LIMIT)
async def requests_at_once(dut: Any) -> None:
    """Offer reads and writes of single bytes before earlier ones are answered; AxPROT has no effect."""
    bench = await Bench.on(dut)
    master, everything = bench.registers, AxiProt.PRIVILEGED | AxiProt.NONSECURE | AxiProt.INSTRUCTION
    for prot in (AxiProt(0), everything, AxiProt(0)):
        data = bench.rng.randbytes(4)
        first, ident = registers.address("LENGTH"), registers.ID.to_bytes(4, "little")
        writes = [cocotb.start_soon(master.write(first + k, data[k : k + 1], prot=prot)) for k in range(4)]
        reads = [cocotb.start_soon(master.read(registers.address("ID") + k, 1, prot=prot)) for k in range(4)]
        for write in writes:
            assert (await write).resp == AxiResp.OKAY
        for k, read in enumerate(reads):
            response = await read
            assert (response.resp, response.data) == (AxiResp.OKAY, ident[k : k + 1])
        assert await bench.read("LENGTH") == int.from_bytes(data, "little")
