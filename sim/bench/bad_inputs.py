# SPDX-License-Identifier: Apache-2.0
"""Bad inputs to streams and registers: each case checks the answer, and the engine must go on working.

One cocotb test runs the cases one after another and writes the result of each; tests/test_bad_inputs.py reads
and counts the results.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiResp

from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.registers import address, bit
from zynq_lstm.sim.bench.components import BAD_INPUTS_FILE, Bench
from zynq_lstm.sim.bench.model import Beat, EngineModel

Case = Callable[[Bench], Awaitable[None]]
CASES: dict[str, tuple[str, Case]] = {}  # name -> kind, function
WORD = 4
ALL = b"\xff" * WORD


def case(kind: str) -> Callable[[Case], Case]:
    def enter(function: Case) -> Case:
        CASES[function.__name__] = kind, function
        return function

    return enter


async def begin(bench: Bench, *, generate: bool = False, length: int = 0) -> None:
    """Reset the state, clear errors and counters, and set a mode."""
    await bench.write("CONTROL", bit("CONTROL", "RESET_STATE") | bit("CONTROL", "CLEAR_COUNTERS"))
    await bench.write("ERRORS", 0xFFFFFFFF)
    await bench.configure(generate=generate, length=length)
    bench.beats.clear()


def answer(bench: Bench, *sequences: list[int], generate: bool = False, length: int = 0) -> list[Beat]:
    """Return the expected beats for sequences from a zero state."""
    model = EngineModel(bench.network)
    model.configure(generate=generate, auto_reset=False, length=length)
    for codes in sequences:
        for k, code in enumerate(codes):
            model.accept(code, k == len(codes) - 1)
    model.finish()
    return model.beats


async def received(bench: Bench, frames: int = 1) -> list[Beat]:
    for _ in range(frames):
        await bench.receive(limit_cycles=20_000)
    await bench.idle()
    return bench.beats


async def errors(bench: Bench) -> int:
    return await bench.read("ERRORS")


# ---- registers


def _refuses(name: str, where: int, write: bool) -> None:
    """Add a case for an access that is answered with SLVERR, flagged and counted."""

    async def refused(bench: Bench) -> None:
        if write:
            assert (await bench.registers.write(where, ALL)).resp == AxiResp.SLVERR
        else:
            response = await bench.registers.read(where, WORD)
            assert (response.resp, response.data) == (AxiResp.SLVERR, bytes(WORD))
        assert await errors(bench) == bit("ERRORS", "BAD_ACCESS")
        assert await bench.read("REFUSED") == registers.pack("REFUSED", {"WRITES" if write else "READS": 1})

    refused.__name__ = name
    case("registers")(refused)


for _register in registers.REGISTERS:
    if not (_register.writable or _register.parity):
        _refuses(f"write_to_{_register.name}", _register.address, True)
for _where in (0x68, 0xFC):
    _refuses(f"write_to_0x{_where:02X}", _where, True)
    _refuses(f"read_of_0x{_where:02X}", _where, False)


@case("registers")
async def reserved_bits(bench: Bench) -> None:
    """Reserved bits of registers that may be written read as 0."""
    await bench.write("MODE", 0xFFFFFFFC)
    await bench.write("ERRORS", 0xFFFFFFF0)
    await bench.write("CONTROL", 0xFFFFFFF8)
    await bench.write("TEMPERATURE", 0xFFFFF000)
    for name in ("MODE", "ERRORS", "CONTROL", "TEMPERATURE"):
        assert await bench.read(name) == 0, name


@case("registers")
async def stop_while_idle(bench: Bench) -> None:
    """STOP has nothing to stop: the next generation has its full length."""
    await bench.write("CONTROL", bit("CONTROL", "STOP"))
    await begin(bench, generate=True, length=3)
    bench.send([1])
    assert await received(bench) == answer(bench, [1], generate=True, length=3)


@case("registers")
async def mode_within_a_sequence(bench: Bench) -> None:
    """The mode applies from the next sequence on."""
    bench.send([1, 2, 0, 1])
    await ClockCycles(bench.dut.clk_i, 100)
    await bench.configure(generate=True, length=2)
    bench.generate_mode = False
    assert await received(bench) == answer(bench, [1, 2, 0, 1])


@case("registers")
async def length_while_generating(bench: Bench) -> None:
    """The length was taken when the generation began; a later one does not apply."""
    await begin(bench, generate=True, length=20)
    bench.send([1])
    await RisingEdge(bench.dut.m_axis_tvalid)
    await bench.write("LENGTH", 0)
    assert await received(bench) == answer(bench, [1], generate=True, length=20)


@case("registers")
async def response_not_taken(bench: Bench) -> None:
    """The response waits, and so do later requests; streams do not."""
    channels = bench.registers.write_if.b_channel, bench.registers.read_if.r_channel
    for channel in channels:
        channel.pause = True
    write = cocotb.start_soon(bench.registers.write(address("ID"), ALL))
    reads = [cocotb.start_soon(bench.registers.read(address("ID"), WORD)) for _ in range(3)]
    bench.send([1, 2])
    await bench.receive(limit_cycles=20_000)
    assert not write.done() and not any(read.done() for read in reads)
    for channel in channels:
        channel.pause = False
    assert (await write).resp == AxiResp.SLVERR
    for read in reads:
        assert int.from_bytes((await read).data, "little") == registers.ID
    assert bench.beats == answer(bench, [1, 2])


@case("registers")
async def data_long_before_its_address(bench: Bench) -> None:
    """The write waits for its address; reads go on."""
    bench.registers.write_if.aw_channel.pause = True
    write = cocotb.start_soon(bench.registers.write(address("SEED"), ALL))
    await ClockCycles(bench.dut.clk_i, 300)
    assert await bench.read("SEED") == 0 and not write.done()
    bench.registers.write_if.aw_channel.pause = False
    assert (await write).resp == AxiResp.OKAY
    assert await bench.read("SEED") == 0xFFFFFFFF
    await bench.write("SEED", 0)


# ---- streams


@case("streams")
async def code_just_outside(bench: Bench) -> None:
    await _bad_codes(bench, [1, bench.network.spec.vocabulary, 2])


@case("streams")
async def largest_code(bench: Bench) -> None:
    await _bad_codes(bench, [1, 255, 2])


@case("streams")
async def nothing_but_bad_codes(bench: Bench) -> None:
    await _bad_codes(bench, [255, 254, bench.network.spec.vocabulary, 128])


@case("streams")
async def bad_code_that_primes(bench: Bench) -> None:
    await begin(bench, generate=True, length=3)
    await _bad_codes(bench, [1, 255], generate=True, length=3)


async def _bad_codes(bench: Bench, codes: list[int], **mode: Any) -> None:
    """Check that bad codes are taken as code 0, flagged and counted."""
    bench.send(codes)
    assert await received(bench) == answer(bench, codes, **mode)
    assert await errors(bench) == bit("ERRORS", "BAD_CODE")
    assert await bench.read("ERROR_COUNT") == sum(c >= bench.network.spec.vocabulary for c in codes)


@case("streams")
async def last_missing_in_score(bench: Bench) -> None:
    """Characters are answered without TLAST, and the sequence is open until it comes."""
    await _open(bench)
    bench.send([2])
    assert await received(bench) == answer(bench, [1, 2, 2])


@case("streams")
async def last_missing_in_generate(bench: Bench) -> None:
    """Nothing is generated until TLAST comes."""
    await begin(bench, generate=True, length=3)
    await _open(bench)
    assert not bench.dut.m_axis_tvalid.value
    bench.send([2])
    assert await received(bench) == answer(bench, [1, 2, 2], generate=True, length=3)


async def _open(bench: Bench) -> None:
    """Offer codes 1 and 2 without TLAST, and check that the sequence is open."""
    await bench.offer([1, 2], last=False)
    await ClockCycles(bench.dut.clk_i, 500)
    assert await bench.read("STATUS") == bit("STATUS", "OPEN")
    assert await errors(bench) == 0


@case("streams")
async def last_too_early(bench: Bench) -> None:
    """Later characters wait until the text is generated, flagged and counted, and form a new sequence."""
    await begin(bench, generate=True, length=4)
    bench.send([1])
    bench.send([2, 3])
    assert await received(bench, 2) == answer(bench, [1], [2, 3], generate=True, length=4)
    assert await errors(bench) == bit("ERRORS", "INPUT_WAITED")
    assert await bench.read("WAITS") == 1


@case("streams")
async def valid_withdrawn(bench: Bench) -> None:
    """Against the protocol, VALID is withdrawn: a character that has not been taken does not count."""
    dut = bench.dut
    bench.send([1, 2])  # keeps TREADY low for a while
    await RisingEdge(dut.clk_i)
    before = await received(bench)
    assert before == answer(bench, [1, 2])
    await bench.offer([3], last=False)
    for _ in range(5):
        dut.s_axis_tdata.value, dut.s_axis_tvalid.value = 2, 1
        await ClockCycles(dut.clk_i, 1)
        if dut.s_axis_tready.value:
            break
        dut.s_axis_tvalid.value = 0
        await ClockCycles(dut.clk_i, 1)
    dut.s_axis_tvalid.value = 0
    await bench.idle()
    await bench.offer([1], last=True)
    await received(bench)
    assert await bench.read("CHARACTERS") in (4, 5)
    assert await errors(bench) == 0


@case("streams")
async def last_and_data_without_valid(bench: Bench) -> None:
    """TLAST and TDATA have no effect without TVALID."""
    dut = bench.dut
    dut.s_axis_tdata.value, dut.s_axis_tlast.value = 255, 1
    await ClockCycles(dut.clk_i, 300)
    assert await bench.read("STATUS") == 0 and await bench.read("CHARACTERS") == 0
    assert await errors(bench) == 0


@case("streams")
async def output_not_taken(bench: Bench) -> None:
    """The engine waits when its buffer is full, and loses nothing."""
    bench.sink.pause = True
    codes = [k % 3 for k in range(12)]
    bench.send(codes)
    await ClockCycles(bench.dut.clk_i, 1000)
    assert await bench.read("STATUS") & bit("STATUS", "BUSY")
    bench.sink.pause = False
    assert await received(bench) == answer(bench, codes)


@case("streams")
async def output_not_taken_while_generating(bench: Bench) -> None:
    await begin(bench, generate=True, length=12)  # more than the buffer of a small network holds
    bench.sink.pause = True
    bench.send([1])
    await ClockCycles(bench.dut.clk_i, 1500)
    assert await bench.read("STATUS") & bit("STATUS", "GENERATING")
    bench.sink.pause = False
    assert await received(bench) == answer(bench, [1], generate=True, length=12)


@case("streams")
async def reset_within_a_character(bench: Bench) -> None:
    """A reset discards everything: state, mode, the open sequence, and output that waits."""
    await bench.offer([1], last=False)
    await ClockCycles(bench.dut.clk_i, 30)
    bench.dut.rst_i.value = 1
    await ClockCycles(bench.dut.clk_i, 3)
    bench.dut.rst_i.value = 0
    await ClockCycles(bench.dut.clk_i, 2)
    assert await bench.read("STATUS") == 0 and await bench.read("CHARACTERS") == 0


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def bad_inputs(dut: Any) -> None:
    """Run every case, check after each that the engine still works, and write a line for each."""
    bench = Bench(dut)
    await bench.start()
    with (bench.plan.run_dir / BAD_INPUTS_FILE).open("w", encoding="ascii") as file:
        for name, (kind, run) in CASES.items():
            wrong = None
            try:
                await begin(bench)
                await run(bench)
                await begin(bench)
                bench.send([1, 0, 2])
                assert await received(bench) == answer(bench, [1, 0, 2]), "the engine does not work any more"
                assert await errors(bench) == 0 == await bench.read("STATUS")
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
            print(json.dumps({"name": name, "kind": kind, "wrong": wrong}), file=file, flush=True)
            if wrong:  # later results would mean nothing
                break
