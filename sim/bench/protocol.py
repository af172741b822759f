# SPDX-License-Identifier: Apache-2.0
"""cocotb tests of the engine's interfaces and modes on any (small) network.

Each test has a time limit. It sends through the streams, and compares every beat and, if recorded, every
signal inside with the model. Tests are independent: sim/simulation/rtl.py runs each in a simulation of its
own, or all in one.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiResp
from cocotbext.axi.axil_channels import AxiLiteAWTransaction, AxiLiteWTransaction

from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.constants import CHOICE_LATENCY
from zynq_lstm.models.integers.choice import TEMPERATURE, temperature_to_raw
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.sim.bench.components import COUNTERS, LIMIT, REFUSALS, Bench, clock_cycle
from zynq_lstm.sim.bench.register_model import BYTES, Registers

WRITABLE = ("LENGTH", "SEED", "TEMPERATURE", "MODE")
ERROR_REGISTERS = ("CONTROL", "ERRORS", "REFUSED")  # changed by refused accesses and by clearing
UNMAPPED = (0x68, 0x80, 0xFC)


@cocotb.test(**LIMIT)
async def register_map(dut: Any) -> None:
    """Every field reads as the map or the design says; illegal accesses get an error and change nothing."""
    bench = await Bench.on(dut)
    for register in registers.REGISTERS:
        if register.parity and not bench.plan.parity:
            continue
        words = [await bench.read(register.name, BYTES * k) for k in range(register.words)]
        values = [registers.unpack(register.name, word) for word in words]
        resets = {field.name: field.reset for field in register.fields}
        assert values == bench.plan.constants.get(register.name, [resets] * register.words), register.name
        packed = [registers.pack(register.name, fields) for fields in values]
        assert packed == words, f"{register.name}: a bit without a field is set"
        if register.name == "IDENTITY":
            identity = sum(word << registers.WORD_BITS * k for k, word in enumerate(words))
            assert f"{identity:064x}" == bench.network.identity
    await bench.write("LENGTH", 0x12345678)
    assert await bench.read("LENGTH") == 0x12345678
    await bench.registers.write(registers.address("LENGTH") + 1, b"\xaa")  # one byte by its strobe
    assert await bench.read("LENGTH") == 0x1234AA78
    await bench.write("SEED", 0xFFFFFFFF)
    assert await bench.read("SEED") == 0xFFFFFFFF
    await bench.write("TEMPERATURE", 0xFFFFFFFF)
    assert await bench.read("TEMPERATURE") == TEMPERATURE.max_raw
    refused = (registers.address("ID"), registers.address("STATUS"), *UNMAPPED)
    for address in refused:
        response = await bench.registers.write(address, b"\xff\xff\xff\xff")
        assert response.resp == AxiResp.SLVERR, f"write to 0x{address:02x}: {response.resp!r}"
    for address in UNMAPPED:
        response = await bench.registers.read(address, 4)
        assert response.resp == AxiResp.SLVERR, f"read of 0x{address:02x}: {response.resp!r}"
    counts = {"WRITES": len(refused), "READS": len(UNMAPPED)}
    assert registers.unpack("REFUSED", await bench.read("REFUSED")) == counts
    assert await bench.read("ERRORS") == registers.bit("ERRORS", "BAD_ACCESS")
    await bench.write("ERRORS", registers.bit("ERRORS", "BAD_ACCESS"))
    assert await bench.read("ERRORS") == 0
    assert await bench.read("ID") == registers.ID
    assert await bench.read("STATUS") == 0


@cocotb.test(**LIMIT)
async def registers_at_random(dut: Any) -> None:
    """Access every address, and parts of words: two reads beside two writes, with pauses on every channel."""
    bench = await Bench.on(dut)
    model, rng, master = Registers(bench), bench.rng, bench.registers
    write, read = master.write_if, master.read_if
    words = [4 * k for k in range(64)] + 4 * [registers.address(name) for name in WRITABLE]
    counted = {registers.address(name) for name in ERROR_REGISTERS}
    words += 4 * sorted(counted)
    for share in (0.0, 0.5, 0.8):
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(bench.pauses(share, 6))
        rng.shuffle(words)
        for some in zip(words[::2], words[1::2], strict=True):
            # The order of a simultaneous write and read is not specified.
            unrelated = not counted & set(some)
            others = [4 * k for k in range(64) if 4 * k not in counted | set(some)]
            others = rng.sample([a for a in others if unrelated or model.maps(a)], 2)
            reading = [cocotb.start_soon(master.read(address, 4)) for address in others]
            writing = []
            for word in some:
                first = rng.randrange(4)
                data = rng.randbytes(rng.randint(1, 4 - first))
                expected = model.write(word + first, data)
                writing.append((word, expected, cocotb.start_soon(master.write(word + first, data))))
            for word, expected, task in writing:
                assert (await task).resp == expected, f"write to 0x{word:02x}"
            reading += [cocotb.start_soon(master.read(address, 4)) for address in some]
            for address, task in zip((*others, *some), reading, strict=True):
                response = await task
                got = response.resp, int.from_bytes(response.data, "little")
                assert got == model.read(address), (
                    f"read of 0x{address:02x}: {got}, not {model.read(address)}"
                )


async def _write_strobed(bench: Bench, address: int, value: int, strobes: int) -> AxiResp:
    """Write with any strobes, bypassing the master, which must have nothing under way."""
    interface = bench.registers.write_if
    await interface.aw_channel.send(AxiLiteAWTransaction(awaddr=address, awprot=0))
    await interface.w_channel.send(AxiLiteWTransaction(wdata=value, wstrb=strobes))
    return AxiResp(int((await interface.b_channel.recv()).bresp))


@cocotb.test(**LIMIT)
async def strobes(dut: Any) -> None:
    """Write every register with every pattern of byte strobes, including none and those with gaps."""
    bench = await Bench.on(dut)
    model = Registers(bench)
    for register in registers.REGISTERS:
        for pattern in range(1 << BYTES):
            value = bench.rng.getrandbits(32)
            answer = await _write_strobed(bench, register.address, value, pattern)
            assert answer == model.write_strobed(register.address, value, pattern), register.name
            for address in (register.address, registers.address("REFUSED")):
                got = await bench.read_raw(address)
                assert got == model.read(address), f"0x{address:02x} after strobes {pattern:04b}: {got}"


@cocotb.test(**LIMIT)
async def registers_interleaved(dut: Any) -> None:
    """Up to a dozen writes and reads are under way at once, in any order, while text is scored: each is
    answered, none is lost, and none changes a logit."""
    bench = await Bench.on(dut)
    model, rng, master = Registers(bench), bench.rng, bench.registers
    constant = [registers.address(name) for name in ("ID", "VERSION", "SHAPE", "ARRAY", "IDENTITY")]
    held = ("LENGTH", "TEMPERATURE")  # without influence on scoring
    written = {registers.address(name): {0} for name in held}
    await bench.configure()
    bench.send(bench.codes(12))
    for share in (0.0, 0.7):
        for channel in (
            *(master.write_if.aw_channel, master.write_if.w_channel, master.write_if.b_channel),
            *(master.read_if.ar_channel, master.read_if.r_channel),
        ):
            channel.set_pause_generator(bench.pauses(share, 4))
        for _ in range(40):
            writes, reads = [], []
            for _ in range(rng.randint(1, 12)):
                if rng.random() < 0.5:
                    address, data = rng.choice([*written, *constant, *UNMAPPED]), rng.randbytes(BYTES)
                    task = cocotb.start_soon(master.write(address, data))
                    writes.append((address, task, model.write(address, data)))
                    if address in written:
                        written[address].add(model.peek(address))
                else:
                    address = rng.choice([*written, *constant, *UNMAPPED])
                    task = cocotb.start_soon(master.read(address, BYTES))
                    reads.append((address, task, model.read(address)))
                if rng.random() < 0.3:
                    await ClockCycles(dut.clk_i, rng.randint(1, 6))
            for address, task, answer in writes:
                assert (await task).resp == answer, f"write to 0x{address:02x}"
            for address, task, (answer, value) in reads:
                response = await task
                got = int.from_bytes(response.data, "little")
                assert response.resp == answer, f"read of 0x{address:02x}"
                assert got == value or got in written.get(address, ()), f"read of 0x{address:02x}: {got:x}"
            for address in (*written, registers.address("REFUSED"), registers.address("ERRORS")):
                assert await bench.read_raw(address) == model.read(address), f"0x{address:02x}"
    await bench.receive()
    await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def counts_of_errors(dut: Any) -> None:
    """REFUSED and WAITS count from zero and over every carry, stay at their ends, and can be cleared."""
    bench = await Bench.on(dut)
    inside = getattr(dut, "u_engine", None)
    starts = [0]
    if inside is not None:  # a count with a single 0 is not the end, either
        starts += [(1 << bit + 1) - 1 for bit in range(16)] + [0xFFFF ^ 1 << bit for bit in range(16)]
    refused, status = registers.address("ID"), registers.address("STATUS")
    await bench.configure(generate=True, length=1)
    for count in starts:
        if count and inside is not None:
            for name in REFUSALS:
                getattr(inside.u_registers, name).value = count
            await ClockCycles(dut.clk_i, 2)
        both = min(count + 2, 0xFFFF)
        for address in (refused, status):
            assert (await bench.registers.write(address, bytes(BYTES))).resp == AxiResp.SLVERR
            assert (await bench.registers.read(UNMAPPED[0], BYTES)).resp == AxiResp.SLVERR
        assert registers.unpack("REFUSED", await bench.read("REFUSED")) == {"WRITES": both, "READS": both}
        bench.send(bench.codes(1))
        bench.send(bench.codes(1))  # offered while the answer to the first one is chosen
        await bench.receive()
        await bench.receive()
        await bench.idle()
        assert await bench.read("WAITS") == min(count + 1, 0xFFFF)
    bench.report(bench.check())
    assert await bench.read("ERRORS") == registers.bit("ERRORS", "BAD_ACCESS") | registers.bit(
        "ERRORS", "INPUT_WAITED"
    )
    await bench.write("CONTROL", registers.bit("CONTROL", "CLEAR_COUNTERS"))
    assert await bench.read("REFUSED") == await bench.read("WAITS") == 0


@cocotb.test(**LIMIT)
async def counters(dut: Any) -> None:
    """CHARACTERS, ERROR_COUNT and CYCLES: from zero, over every carry, at their ends, and after clearing."""
    bench = await Bench.on(dut)
    await bench.configure()
    inside = getattr(dut, "u_engine", None)  # a netlist is flat, and its counters can't be set
    assert inside is not None or not bench.plan.traced
    bad = bench.network.spec.vocabulary < 256
    busy = 0
    for bit in range(65 if inside is not None else 1):
        start = [(1 << bit) - 1 >> low & 0xFFFFFFFF for low in (0, 32)]  # the halves of CYCLES
        count = start[bit > 32]
        # ERROR_COUNT also starts with a single 0: it must go on from there.
        errors = count if bit <= 32 else ~(1 << bit - 33) & 0xFFFFFFFF
        if bit and inside is not None:
            for name, value in zip(COUNTERS, (count, errors, *start), strict=True):
                getattr(inside.u_registers, name).value = value
            await ClockCycles(dut.clk_i, 2)
        taken = len(bench.monitor.taken)
        bench.send([255 if bad else 0])
        await bench.receive()
        sent = clock_cycle()
        await bench.idle()
        cycles = await bench.read("CYCLES_LOW")
        if inside is not None:  # the upper half was saved with the lower one
            inside.u_registers.cycles_high_q.value = 0x5A5A5A5A
        cycles |= await bench.read("CYCLES_HIGH") << 32
        if not bit:
            busy = cycles
            # The output may wait in the buffer for some cycles when the engine is idle, and the choice of a
            # character, which scoring makes and does not use, may end after it.
            assert -6 <= busy - (sent - bench.monitor.taken[taken]) <= CHOICE_LATENCY, busy
        assert cycles == (start[1] << 32 | start[0]) + busy & 0xFFFFFFFF_FFFFFFFF, f"CYCLES {cycles:x}"
        assert await bench.read("CHARACTERS") == count + 1 & 0xFFFFFFFF
        assert await bench.read("ERROR_COUNT") == min(errors + bad, 0xFFFFFFFF)
    bench.report(bench.check())
    await bench.write("CONTROL", registers.bit("CONTROL", "CLEAR_COUNTERS"))
    for name in ("CHARACTERS", "ERROR_COUNT", "CYCLES_LOW", "CYCLES_HIGH"):
        assert await bench.read(name) == 0, name
    assert await bench.read("ERRORS") == bad


async def _score(bench: Bench, sequences: int, longest: int) -> None:
    lengths = [1, 2] + [bench.rng.randint(1, longest) for _ in range(sequences - 2)]
    for length in lengths:
        bench.send(bench.codes(length))
    for _ in lengths:
        await bench.receive()
    await bench.idle()
    bench.report(bench.check())
    assert await bench.read("CHARACTERS") == sum(lengths)
    assert await bench.read("ERRORS") == 0


@cocotb.test(**LIMIT)
async def score_back_to_back(dut: Any) -> None:
    """Score sequences without a gap between them; the state is kept from one to the next."""
    bench = await Bench.on(dut)
    await bench.configure()
    await _score(bench, 6, 12)


@cocotb.test(**LIMIT)
async def score_with_pauses(dut: Any) -> None:
    """Score with random gaps and back-pressure, half of the time."""
    bench = await Bench.on(dut)
    bench.pause_randomly(0.5)
    await bench.configure()
    await _score(bench, 6, 12)


@cocotb.test(**LIMIT)
async def score_with_long_stall(dut: Any) -> None:
    """Take no output until it has filled up; nothing is lost, and BUSY stays until the last beat is taken."""
    bench = await Bench.on(dut)
    await bench.configure()
    for length in (1, 24):
        bench.send(bench.codes(length))
        bench.sink.pause = True
        await ClockCycles(dut.clk_i, 500 * length)
        assert await bench.read("STATUS") & registers.bit("STATUS", "BUSY")
        bench.sink.pause = False
        await bench.receive()
        await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def state_reset(dut: Any) -> None:
    """Reset the state between sequences, inside one, and automatically at the start of each."""
    bench = await Bench.on(dut)
    await bench.configure()
    for _ in range(2):
        bench.send(bench.codes(5))
        await bench.receive()
        await bench.idle()
        await bench.reset_state()
    # inside a sequence: TLAST comes only with the second part
    for part, last in ((bench.codes(4), False), (bench.codes(4), True)):
        await bench.offer(part, last)
        await bench.quiet()
        if not last:
            await bench.reset_state()
    await bench.receive()
    await bench.idle()
    await bench.configure(auto_reset=True)
    for _ in range(3):
        bench.send(bench.codes(bench.rng.randint(1, 4)))
    for _ in range(3):
        await bench.receive()
    await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def bad_codes(dut: Any) -> None:
    """Codes outside the vocabulary are answered as code 0, flagged and counted."""
    bench = await Bench.on(dut)
    await bench.configure()
    codes = bench.codes(8)
    wrong = [code for code in (bench.network.spec.vocabulary, 255) if code >= bench.network.spec.vocabulary]
    for k, code in enumerate(wrong):
        codes[2 + 3 * k] = code
    bench.send(codes)
    await bench.receive()
    await bench.idle()
    bench.report(bench.check())
    await bench.configure(generate=True, length=3)
    bench.send(wrong + bench.codes(1) + wrong)  # the last one primes what is generated
    await bench.receive()
    await bench.idle()
    bench.report(bench.check())
    assert bench.model.bad_codes == 3 * len(wrong)
    assert await bench.read("ERRORS") == bool(wrong)
    assert await bench.read("ERROR_COUNT") == 3 * len(wrong)
    await bench.write("ERRORS", 1)
    assert await bench.read("ERRORS") == 0


@cocotb.test(**LIMIT)
async def generate_closed_loop(dut: Any) -> None:
    """Prime, then generate; twice more with other lengths and back-pressure; then prime only, and score."""
    bench = await Bench.on(dut)
    for length, prime in ((1, 3), (9, 1), (5, 6)):
        await bench.configure(generate=True, length=length)
        bench.send(bench.codes(prime))
        await bench.receive()
        await bench.idle()
        bench.pause_randomly(0.4)
    await bench.configure(generate=True, length=0)
    bench.send(bench.codes(4))
    await bench.quiet()
    await bench.configure()
    bench.send(bench.codes(4))
    await bench.receive()
    await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def last_missing(dut: Any) -> None:
    """Without TLAST a sequence stays open, and STATUS says so: no new mode, generation or automatic reset.
    The characters so far are answered, and the engine idles until more come."""
    bench = await Bench.on(dut)
    is_open, busy = registers.bit("STATUS", "OPEN"), registers.bit("STATUS", "BUSY")
    await bench.configure(generate=True, auto_reset=True, length=4)
    for part, last in ((bench.codes(3), False), (bench.codes(2), True)):
        await bench.offer(part, last)
        if not last:
            await bench.quiet()
            await ClockCycles(dut.clk_i, 3000)
            assert await bench.read("STATUS") == is_open
            assert bench.sink.empty() and not dut.m_axis_tvalid.value
            await bench.configure(length=4)  # to score: takes effect after the TLAST
            bench.generate_mode = True
    await bench.receive()
    await bench.idle()
    bench.generate_mode = False
    await bench.offer(bench.codes(3), False)
    while await bench.read("STATUS") & busy:  # logits come for each character, though none is the last
        assert bench.sink.empty()
        await ClockCycles(dut.clk_i, 100)
    assert await bench.read("STATUS") == is_open
    await bench.offer(bench.codes(1), True)
    await bench.receive()
    await bench.idle()
    assert await bench.read("STATUS") == 0 == await bench.read("ERRORS")
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def last_early(dut: Any) -> None:
    """After a TLAST too early, the next characters wait until the text is generated, and are a new sequence.
    Each wait is flagged and counted once; nothing is lost, even while the output is not taken."""
    bench = await Bench.on(dut)
    await bench.configure(generate=True, length=20)
    sequences = [bench.codes(length) for length in (1, 5, 1, 1, 2)]
    bench.sink.pause = True
    for codes in sequences:
        bench.send(codes)
    waited = registers.bit("ERRORS", "INPUT_WAITED")
    for _ in range(1000):
        if await bench.read("ERRORS") == waited:
            break
        await ClockCycles(dut.clk_i, 20)
    assert await bench.read("WAITS") == 1
    await ClockCycles(dut.clk_i, 6000)
    bench.sink.pause = False
    for _ in sequences:
        await bench.receive()
    await bench.idle()
    bench.report(bench.check())
    assert await bench.read("WAITS") == len(sequences) - 1
    assert await bench.read("CHARACTERS") == sum(map(len, sequences)) + 19 * len(sequences)
    await bench.write("ERRORS", waited)
    await _generate(bench, 2, 1)
    assert await bench.read("ERRORS") == 0 and await bench.read("WAITS") == len(sequences) - 1
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def generate_stop(dut: Any) -> None:
    """STOP ends a generation of any length with TLAST, and the engine goes on working."""
    bench = await Bench.on(dut)
    await bench.configure(generate=True, length=0xFFFFFFFF)
    bench.model.configure(generate=True, auto_reset=False, length=0)
    bench.send(bench.codes(2))
    await ClockCycles(dut.clk_i, 4000)
    assert await bench.read("STATUS") & registers.bit("STATUS", "GENERATING")
    await bench.write("CONTROL", registers.bit("CONTROL", "STOP"))
    await bench.receive()
    await bench.idle()
    assert len(bench.beats) > 1
    assert await bench.read("CHARACTERS") == 2 + len(bench.beats) - 1
    bench.beats.clear()
    await bench.reset_state()
    await bench.configure()
    bench.send(bench.codes(3))
    await bench.receive()
    await bench.idle()
    # The model does not know when STOP came: compare the answers, which start from a reset state.
    bench.model.finish()
    assert bench.beats == bench.model.beats[-len(bench.beats) :]


async def _generate(bench: Bench, length: int, prime: int) -> list[int]:
    """Run one generation to its end; return its characters."""
    await bench.configure(generate=True, length=length)
    bench.send(bench.codes(prime))
    before = len(bench.beats)
    await bench.receive()
    await bench.idle()
    return [values[0] for values, _ in bench.beats[before:]]


@cocotb.test(**LIMIT)
async def sample_with_temperature(dut: Any) -> None:
    """Sample with seeds (0 if none is written) and temperatures to the extremes, under back-pressure; then
    generate greedily."""
    bench = await Bench.on(dut)
    bench.pause_randomly(0.3)
    for seed, raw in (
        (None, temperature_to_raw(1.0)),
        (1, temperature_to_raw(0.7)),
        (0xFFFFFFFF, TEMPERATURE.max_raw),
        (bench.rng.getrandbits(32), 1),
        (bench.rng.getrandbits(32), bench.rng.randint(0, TEMPERATURE.max_raw)),
    ):
        if seed is not None:
            await bench.seed(seed)
        await bench.set_temperature(raw)
        await _generate(bench, bench.rng.randint(8, 16), bench.rng.randint(1, 3))
    await bench.set_temperature(0)
    await _generate(bench, 6, 2)
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def sample_again(dut: Any) -> None:
    """A seed gives the same text again from the same prime and state, and another seed does not.

    The random sequence goes on from one sequence to the next, whatever is primed or scored between them.
    """
    bench = await Bench.on(dut)
    await bench.set_temperature(TEMPERATURE.max_raw)
    texts = []
    for seed in (0, 5, 0, 0x80000000):
        await bench.seed(seed)
        await bench.reset_state()
        bench.rng.seed(1)
        texts.append(await _generate(bench, 24, 3))
    assert texts[0] == texts[2] and len({tuple(text) for text in texts}) == 3, texts
    await bench.configure(generate=True, length=0)  # primes only
    bench.send(bench.codes(2))
    await bench.quiet()
    await bench.configure()
    bench.send(bench.codes(3))
    await bench.receive()
    await bench.idle()
    for length in (1, 1, 7):
        assert await _write_strobed(bench, registers.address("SEED"), 0, 0) == AxiResp.OKAY  # writes nothing
        await _generate(bench, length, 1)
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def seed_right_before(dut: Any) -> None:
    """The priming character may follow the seed immediately: the generator is ready before its logits are."""
    bench = await Bench.on(dut)
    await bench.set_temperature(TEMPERATURE.max_raw)
    for seed in (3, 4, 3):
        await bench.seed(seed)
        await bench.configure(generate=True, length=5)
        bench.source.pause = True
        bench.send(bench.codes(1))
        bench.model.reseed(~seed & 0xFFFFFFFF)
        write = cocotb.start_soon(bench.write("SEED", ~seed & 0xFFFFFFFF))
        while not (dut.s_axil_wvalid.value and dut.s_axil_wready.value):
            await ClockCycles(dut.clk_i, 1)
        bench.source.pause = False
        await write
        await bench.receive()
        await bench.idle()
    bench.report(bench.check())


@cocotb.test(**LIMIT)
async def temperature_while_generating(dut: Any) -> None:
    """A temperature written meanwhile applies to whole characters: 0 makes the rest exactly greedy."""
    bench = await Bench.on(dut)
    await bench.set_temperature(TEMPERATURE.max_raw)
    await bench.configure(generate=True, length=60)
    prime = bench.codes(2)
    bench.send(prime)
    for _ in range(20):
        await RisingEdge(dut.m_axis_tvalid)
    assert await bench.read("STATUS") & registers.bit("STATUS", "GENERATING")
    await bench.write("TEMPERATURE", 0)
    await bench.receive()
    await bench.idle()
    text = [values[0] for values, _ in bench.beats]
    logits = Reference(bench.network).run(prime + text[:-1])[len(prime) - 1 :]
    wrong = [k for k, code in enumerate(text) if np.argmax(logits[k]) != code]
    assert wrong and wrong[-1] < len(text) - 20, wrong
    assert len(text) == 60
    assert all(code < bench.network.spec.vocabulary for code in text)


@cocotb.test(timeout_time=200, timeout_unit="ms")
async def score_long(dut: Any) -> None:
    """Score enough characters that the low bits of weights, biases and sums decide some roundings."""
    bench = await Bench.on(dut)
    await bench.configure()
    # A repeated code drives states to their bounds.
    for code in range(bench.network.spec.vocabulary):
        bench.send([code] * 40)
        await bench.receive()
    await bench.idle()
    bench.compared = bench.check()
    await bench.write("CONTROL", registers.bit("CONTROL", "CLEAR_COUNTERS"))
    await _score(bench, 12, 120)


@cocotb.test(timeout_time=200, timeout_unit="ms")
async def sample_long(dut: Any) -> None:
    """Sample enough characters that the low bits of noise, temperature and logits decide some of them."""
    bench = await Bench.on(dut)
    for raw in (TEMPERATURE.max_raw, temperature_to_raw(1.0), 1):
        await bench.seed(bench.rng.getrandbits(32))
        await bench.set_temperature(raw)
        await _generate(bench, 1500, 1)
        bench.compared = bench.check()
    bench.report(bench.compared)
