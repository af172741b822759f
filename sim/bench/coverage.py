# SPDX-License-Identifier: Apache-2.0
"""Counts the bins of sim/coverage_plan.py while one of the bench's tests runs, with cocotb-coverage.

Ports are watched in every cycle; signals inside, too, where the design has them by name (RTL). Values are the
model's, which the test compares with the engine's.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from types import SimpleNamespace
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotb_coverage.coverage import CoverPoint, coverage_db

from hls import registers
from models.network import IntegerNetwork, product_range
from models.spec import GATES
from sim.bench.components import COVERAGE_FILE, Plan
from sim.bench.model import EngineModel
from sim.coverage_plan import BINS, MODES, PHASES, PLAN
from sim.fixed import FixedFormat, Raw, Rounding
from sim.reference import State
from sim.sampling import CELL_BITS, LANES, OCTAVE_BITS, OCTAVES, TEMPERATURE, Sampler, noise, scores

WORD_MASK = 0xFFFFFFFF
OKAY = 0
_STROBES = {0: "none", 1: "0 only", 2: "1 only", 4: "2 only", 8: "3 only", 15: "all"}
SETTLE = 3  # cycles of the first reset, after which no register is undefined


@cocotb.test()
async def covered(dut: Any) -> None:
    """A test of another module, with its coverage counted."""
    plan = Plan.load()
    coverage = Coverage(dut, IntegerNetwork.load(plan.network))
    EngineModel.observer = coverage
    await getattr(import_module(plan.options["module"]), plan.options["test"]).func(dut)
    coverage_db.export_to_yaml(str(plan.run_dir / COVERAGE_FILE))


class Coverage:
    """Watches the engine and the model."""

    def __init__(self, dut: Any, network: IntegerNetwork) -> None:
        self._dut, self._network = dut, network
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
        """Count a bin; there must be one, or coverage would be lost silently."""
        assert (point, name) in _BINS, f"no bin {point}: {name}"
        self._sample[point](name)

    # ---- values, from the model
    def computed(self, before: State, codes: list[int], trace: dict[str, Raw]) -> None:
        for point, name in self._values.bins(before, codes, trace):
            self.hit(point, name)

    def chosen(self, sampler: Sampler, logits: Raw) -> None:
        vocabulary, raw = len(logits), sampler.temperature_raw
        random = copy.copy(sampler._random)
        words = np.array(list(islice(random, -(-vocabulary // LANES) * LANES)), np.int64)[:vocabulary]
        ranked = scores(logits, noise(words), raw, self._network.spec.output.logits)
        best = np.flatnonzero(ranked == ranked.max())
        words_of_best = len(set((best // LANES).tolist()))
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
        """Bins that are reached in a cycle, and were not in the cycle before."""
        dut, edge = self._dut, RisingEdge(self._dut.clk_i)
        inside = hasattr(dut, "u_engine")
        resets = 0
        while resets < SETTLE:
            await edge
            resets += bool(dut.rst_i.value)
        vocabulary = self._network.spec.vocabulary
        looks = [_Streams(dut, vocabulary).look(), _Registers(dut).look()]
        if inside:
            looks.append(_Inside(dut, vocabulary).look())
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

Found = list[tuple[str, str]]


def _bind(scope: Any, *names: str) -> SimpleNamespace:
    """Handles, looked up once: by name that takes longer than to read them."""
    return SimpleNamespace(**{name: getattr(scope, name) for name in names})


def _length(characters: int) -> str:
    if characters < 3:
        return str(characters)
    return "3 to 99" if characters < 100 else "100 or more" if characters < WORD_MASK else "2^32 - 1"


class _Streams:
    """s_axis: what needs the port only."""

    def __init__(self, dut: Any, vocabulary: int) -> None:
        self._ports = _bind(dut, "rst_i", "s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast")
        self._vocabulary = vocabulary

    def look(self) -> Iterator[Found]:
        ports, length = self._ports, 0
        while True:
            found: Found = []
            if ports.rst_i.value:
                length = 0
            elif ports.s_axis_tvalid.value and ports.s_axis_tready.value:
                length += 1
                code = int(ports.s_axis_tdata.value)
                if code in (0, self._vocabulary - 1):
                    found.append(("first and last code", "in, last" if code else "in, first"))
                if ports.s_axis_tlast.value:
                    found.append(("sequence length", _length(length)))
                    length = 0
            yield found


class _Registers:
    """s_axil: what needs the port only, and what a write meets inside."""

    def __init__(self, dut: Any) -> None:
        self._rst_i = dut.rst_i
        self._channels = {
            name: (getattr(dut, f"s_axil_{name.lower()}valid"), getattr(dut, f"s_axil_{name.lower()}ready"))
            for name in ("AW", "W", "B", "AR", "R")
        }
        self._ports = _bind(
            dut,
            *(
                "s_axil_awaddr",
                "s_axil_wdata",
                "s_axil_wstrb",
                "s_axil_bresp",
                "s_axil_araddr",
                "s_axil_rresp",
            ),
        )
        self._engine = getattr(dut, "u_engine", None)
        self._names = {register.address: register.name for register in registers.REGISTERS}
        self._names |= {registers.address("IDENTITY") + 4 * k: "IDENTITY" for k in range(8)}

    def look(self) -> Iterator[Found]:
        ports = self._ports
        # What was taken and has no response yet, oldest first; of writes with the cycle.
        addresses: deque[tuple[int, int]] = deque()
        words: deque[tuple[int, int, int]] = deque()
        reads: deque[int] = deque()
        cycle = 0
        while True:
            cycle += 1
            found: Found = []
            if self._rst_i.value:
                for waiting in (addresses, words, reads):
                    waiting.clear()
                yield found
                continue
            done = set()
            for name, (valid, ready) in self._channels.items():
                if valid.value:
                    if ready.value:
                        done.add(name)
                    else:
                        found.append(("AXI4-Lite back-pressure", name))
            if "AW" in done:
                addresses.append((cycle, int(ports.s_axil_awaddr.value) & ~3))
            if "W" in done:
                words.append((cycle, int(ports.s_axil_wdata.value), int(ports.s_axil_wstrb.value)))
            if "AR" in done:
                reads.append(int(ports.s_axil_araddr.value) & ~3)
            if "B" in done:
                address_taken, address = addresses.popleft()
                word_taken, data, strobes = words.popleft()
                order = int(np.sign(word_taken - address_taken))
                found.append(("AXI4-Lite order", ("together", "address first", "data first")[order]))
                found += self._written(address, data, strobes, int(ports.s_axil_bresp.value) == OKAY)
            if "R" in done:
                read_address = reads.popleft()
                if int(ports.s_axil_rresp.value) == OKAY:
                    found.append(("register read", self._names[read_address]))
                else:
                    found.append(("error responses", "read of unmapped"))
            if {"B", "R"} <= done:
                found.append(("AXI4-Lite order", "read beside write"))
            yield found

    def _written(self, address: int, data: int, strobes: int, okay: bool) -> Found:
        name = self._names.get(address)
        found: Found = []
        if strobes in _STROBES:
            found.append(("byte strobes", _STROBES[strobes]))
        if not okay:
            return [*found, ("error responses", f"write to {'read-only' if name else 'unmapped'}")]
        assert name is not None, f"OKAY to a write to 0x{address:02x}"
        found.append(("register written", name))
        if name == "SEED" and strobes == 15:
            found.append(("seed", {0: "0", WORD_MASK: "2^32 - 1"}.get(data, "another")))
        if self._engine is not None:
            if name in ("MODE", "LENGTH", "SEED", "TEMPERATURE") and self._engine.busy.value:
                found.append(("write while busy", name))
            cleared = strobes & data & 1
            if name == "ERRORS" and not cleared and self._engine.u_registers.bad_code_q.value:
                found.append(("bad codes", "kept by 0"))
        return found


class _Inside:
    """Signals inside the RTL."""

    def __init__(self, dut: Any, vocabulary: int) -> None:
        engine = dut.u_engine
        self._dut = _bind(
            dut,
            *("rst_i", "s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast"),
            *("m_axis_tvalid", "m_axis_tready"),
        )
        self._engine = _bind(
            engine,
            *("busy", "generating", "generate_mode", "auto_reset", "length", "reset_state", "stop"),
            *("sampled", "sampled_last", "character_valid", "logits_valid", "write_h", "write_layer"),
            *("step_valid", "step_tag", "room", "x_grant"),
        )
        self._control = _bind(
            engine.u_characters,
            *("in_flight_q", "in_sequence_q", "generate_q", "stop_q", "x_valid_q", "credit_left_q"),
        )
        self._sequencer = _bind(engine.u_sequencer, "next_loaded_q", "free_q", "ready_q", "next_wait_room")
        self._choice = _bind(engine.u_choice, "valid_8_q")
        self._fifo = _bind(engine.u_fifo, "count_q", "room_o")
        self._own = _bind(
            engine.u_registers,
            *("clear", "bad_code_q", "bad_code_now_q", "errors_full_q"),
            *("characters_q", "cycles_carry_q", "cycles_high_q"),
        )
        self._vocabulary = vocabulary
        words = -(-vocabulary // LANES)
        depth = 2 << max(1, (words - 1).bit_length())  # FIFO_DEPTH of lstm_engine.sv
        self._most = depth - 1  # its RESERVE is one word more than a character has
        self._mode: int | None = None  # of the sequence before
        self._flag = False
        self._characters = 0

    def look(self) -> Iterator[Found]:
        was_reset = True
        while True:
            reset = bool(self._dut.rst_i.value)
            if reset:
                yield [] if was_reset else [("reset", phase) for phase in self._phases()]
                self._mode, self._flag = None, False
            else:
                yield self._accepted() + self._events() + self._waiting() + self._counters()
            was_reset = reset

    def _phases(self) -> list[str]:
        engine = self._engine
        if not int(self._control.in_flight_q.value) and not engine.generating.value:
            return ["idle"]
        phases = []
        if engine.step_valid.value:
            tag = engine.step_tag.value
            to, layer = int(tag) >> len(tag) - 2, int(tag) >> len(tag) - 4 & 3
            phases.append((f"U{layer}", f"W{layer}", "Wy", "")[to])
        else:
            phases.append("waiting")
        if engine.write_h.value:
            phases.append(f"gates {int(engine.write_layer.value)}")
        if engine.logits_valid.value or self._choice.valid_8_q.value or engine.character_valid.value:
            phases.append("choice")
        return [phase for phase in phases if phase in PHASES]  # those of layers behind two are not planned

    def _accepted(self) -> Found:
        """A character is taken."""
        dut, engine = self._dut, self._engine
        if not (dut.s_axis_tvalid.value and dut.s_axis_tready.value):
            return []
        found: Found = []
        opened = bool(self._control.in_sequence_q.value)
        generate = bool(self._control.generate_q.value if opened else engine.generate_mode.value)
        length = int(engine.length.value)
        if not opened:
            mode = 0 if not generate else 1 if length else 2
            kept = "auto reset" if engine.auto_reset.value else "state kept"
            found.append(("mode", f"{MODES[mode]}, {kept}"))
            if self._mode is not None:
                found.append(("mode transition", f"{MODES[self._mode]} to {MODES[mode]}"))
            self._mode = mode
        if generate and dut.s_axis_tlast.value:
            found.append(("generated length", _length(length)))
        code = int(dut.s_axis_tdata.value)
        if code >= self._vocabulary:
            found.append(("bad codes", "while priming" if generate else "while scoring"))
            if code == self._vocabulary:
                found.append(("bad codes", "first code outside"))
            if code == 255:
                found.append(("bad codes", "255"))
        return found

    def _events(self) -> Found:
        engine, own = self._engine, self._own
        found: Found = []
        if engine.sampled.value and engine.sampled_last.value:
            found.append(("generation ends", "by STOP" if self._control.stop_q.value else "by LENGTH"))
        if engine.reset_state.value:
            found += [("state reset", phase) for phase in self._phases()]
        clear = bool(own.clear.value)
        for name, now in (
            ("RESET_STATE", engine.reset_state.value),
            ("STOP", engine.stop.value),
            ("CLEAR_COUNTERS", clear),
        ):
            if now:
                doing = (
                    "generating" if engine.generating.value else "scoring" if engine.busy.value else "idle"
                )
                found.append(("control", f"{name} while {doing}"))
        if clear and engine.busy.value:
            found.append(("counters", "cleared while counting"))
        flag, bad = bool(own.bad_code_q.value), bool(own.bad_code_now_q.value)
        if flag != self._flag:
            found.append(("bad codes", "set" if flag else "cleared by 1"))
        if flag and bad:
            found.append(("bad codes", "set again while set"))
            if own.errors_full_q.value:
                found.append(("counters", "ERROR_COUNT stays at its end"))
        self._flag = flag
        return found

    def _waiting(self) -> Found:
        dut, control, sequencer = self._dut, self._control, self._sequencer
        found: Found = []
        mode = "generate" if self._engine.generating.value else "score"
        for name, valid, ready in (
            ("m_axis", dut.m_axis_tvalid, dut.m_axis_tready),
            ("s_axis", dut.s_axis_tvalid, dut.s_axis_tready),
        ):
            if valid.value and not ready.value:
                found.append(("stream back-pressure", f"{name}, {mode}"))
        if dut.s_axis_tready.value and not dut.s_axis_tvalid.value and control.in_sequence_q.value:
            found.append(("stream back-pressure", "s_axis starved"))
        point = "internal back-pressure"
        if sequencer.free_q.value and sequencer.next_loaded_q.value:
            if not sequencer.ready_q.value:
                found.append((point, "array for hidden states"))
            elif sequencer.next_wait_room.value and not self._engine.room.value:
                found.append((point, f"array for room in the output buffer, {mode}"))
        if control.x_valid_q.value:
            if not control.credit_left_q.value:
                found.append((point, "layer 0 for its sums of U"))
            elif not self._engine.x_grant.value:
                found.append((point, "layer 0 for the gates"))
        if int(control.in_flight_q.value) == 3:
            found.append((point, "three characters under way"))
        words = int(self._fifo.count_q.value)
        named = {0: "empty", 1: "one", self._most: "as many as ever"}
        if words in named:
            found.append(("output buffer", named[words]))
        if not self._fifo.room_o.value:
            found.append(("output buffer", "no room"))
        return found

    def _counters(self) -> Found:
        found: Found = []
        characters = int(self._own.characters_q.value)
        if self._characters == WORD_MASK and not characters:
            found.append(("counters", "CHARACTERS wraps"))
        self._characters = characters
        if self._own.cycles_carry_q.value:
            wraps = int(self._own.cycles_high_q.value) == WORD_MASK
            found.append(("counters", "CYCLES wraps" if wraps else "CYCLES carries to its upper half"))
        return found


class Values:
    """Bins of values: what is rounded, looked up and summed, worked out anew from a trace."""

    def __init__(self, network: IntegerNetwork) -> None:
        self._network = network
        spec = network.spec
        self._ranges: dict[str, tuple[int, int]] = {}
        for k in range(len(spec.layers)):
            layer = network.layer(k)
            self._ranges[f"U{k}"] = _ends(product_range(layer["U"], *network.h_range(k)))
            if k:
                self._ranges[f"W{k}"] = _ends(product_range(layer["W"], *network.h_range(k - 1)))
            self._ranges[f"z of layer {k}"] = network.accumulator_range(k)
        last = len(spec.layers) - 1
        self._ranges["Wy"] = _ends(product_range(network.arrays["output.W"], *network.h_range(last)))
        self._ranges["logits"] = network.output_accumulator_range()

    def bins(self, before: State, codes: list[int], trace: dict[str, Raw]) -> set[tuple[str, str]]:
        """What characters from a state on have hit."""
        spec, found = self._network.spec, set()
        x: Raw | None = None
        for k, layer in enumerate(spec.layers):
            fmt, own = layer.formats, self._network.layer(k)
            signals = {name: trace[f"layers.{k}.{name}"] for name in (*GATES, "z", "c", "ct", "h")}
            h, c = (np.concatenate([getattr(before, n)[k], signals[n][:-1]]) for n in ("h", "c"))
            frac = spec.accumulator_frac(k)
            products = {f"U{k}": h @ own["U"]}
            total = (products[f"U{k}"] << frac - fmt.U.frac - fmt.h.frac) + (own["b"] << frac - fmt.b.frac)
            if x is None:
                part = own["W"][codes]
            else:
                part = products[f"W{k}"] = x @ own["W"]
            total = total + (part << frac - fmt.W.frac - spec.input_frac(k))
            found |= self._accumulators(products, f"z of layer {k}", total)
            update_frac = fmt.gate.frac + max(fmt.c.frac, fmt.g.frac)
            update = (signals["f"] * c << update_frac - fmt.gate.frac - fmt.c.frac) + (
                signals["i"] * signals["g"] << update_frac - fmt.gate.frac - fmt.g.frac
            )
            found |= _rounded("z", total, frac, fmt.z)
            found |= _rounded("c", update, update_frac, fmt.c)
            found |= _rounded("ct", signals["c"], fmt.c.frac, fmt.ct)
            tc = trace[f"layers.{k}.tc"]
            found |= _rounded("h", signals["o"] * tc, fmt.gate.frac + fmt.tc.frac, fmt.h)
            units = layer.units
            for block, gate in enumerate(GATES):
                table = f"{'tanh' if gate == 'g' else 'sigmoid'} of {gate}"
                found |= _looked_up(table, signals["z"][:, block * units : (block + 1) * units], fmt.z)
            found |= _looked_up("tanh of c", signals["ct"], fmt.ct)
            x = signals["h"]
        out, arrays = spec.output, self._network.arrays
        frac = spec.output_accumulator_frac()
        assert x is not None
        product = x @ arrays["output.W"]
        total = (product << frac - out.W.frac - spec.layers[-1].formats.h.frac) + (
            arrays["output.b"] << frac - out.b.frac
        )
        found |= self._accumulators({"Wy": product}, "logits", total)
        return found | _rounded("logits", total, frac, out.logits)

    def _accumulators(self, products: dict[str, Raw], name: str, total: Raw) -> set[tuple[str, str]]:
        found = set()
        for point, key, values in [("accumulators", n, v) for n, v in products.items()] + [
            ("sums", name, total)
        ]:
            low, high = self._ranges[key]
            if values.min() == low:
                found.add((point, f"{key}, lowest"))
            if values.max() == high:
                found.add((point, f"{key}, highest"))
        return found & _BINS  # layers behind two are not planned


def _ends(bounds: tuple[Raw, Raw]) -> tuple[int, int]:
    return int(bounds[0].min()), int(bounds[1].max())


def _rounded(name: str, raw: Raw, frac: int, fmt: FixedFormat) -> set[tuple[str, str]]:
    """Saturation, and ties in rounding."""
    found, shift = set(), frac - fmt.frac
    half = 1 << shift - 1 if shift > 0 else 0
    exact = raw << -shift if shift <= 0 else raw + half * (fmt.rounding is Rounding.AP_RND) >> shift
    if exact.min() < fmt.min_raw:
        found.add(("saturation", f"{name}, lowest"))
    if exact.max() > fmt.max_raw:
        found.add(("saturation", f"{name}, highest"))
    if half:
        ties = raw[raw & (1 << shift) - 1 == half]
        if (ties > 0).any():
            found.add(("rounding", f"{name}, tie, positive"))
        if (ties < 0).any():
            found.add(("rounding", f"{name}, tie, negative"))
    return found


def _looked_up(table: str, index: Raw, fmt: FixedFormat) -> set[tuple[str, str]]:
    ends = {
        "lowest argument": fmt.min_raw,
        "highest argument": fmt.max_raw,
        "first address": 0,
        "last address": -1,
    }
    return {("tables", f"{table}, {name}") for name, raw in ends.items() if (index == raw).any()}
