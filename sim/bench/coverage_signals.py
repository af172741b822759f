# SPDX-License-Identifier: Apache-2.0
"""Bins of the coverage plan that signals hit: at the ports, and inside where the design has them by name.

Each class looks at one part of the design once per cycle: its ``look`` yields the bins that the cycle hits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.constants import Destination
from zynq_lstm.hls.engine.stages import Layout, Stage
from zynq_lstm.models.integers.choice import WORD_LOGITS
from zynq_lstm.sim.campaigns.coverage_plan import MODES, PHASES

Found = list[tuple[str, str]]

WORD_MASK = 0xFFFFFFFF
OKAY = 0
_STROBES = {0: "none", 1: "0 only", 2: "1 only", 4: "2 only", 8: "3 only", 15: "all"}


def _bind(scope: Any, *names: str) -> SimpleNamespace:
    """Look up handles once: looking one up by name takes longer than reading it."""
    return SimpleNamespace(**{name: getattr(scope, name) for name in names})


def _length(characters: int) -> str:
    if characters < 3:
        return str(characters)
    return "3 to 99" if characters < 100 else "100 or more" if characters < WORD_MASK else "2^32 - 1"


def _level(stage: Stage) -> str:
    return f", level {stage.level.number}" if stage.level.number else ""


class Streams:
    """Bins of s_axis that need its port only."""

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


class Registers:
    """Bins of s_axil that need its port only, and of the engine's activity at a write."""

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
        self._names = {address: register.name for address, register in registers.BY_ADDRESS.items()}

    def look(self) -> Iterator[Found]:
        ports = self._ports
        # Requests taken but not answered yet, oldest first; those of writes with their cycle.
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


class Inside:
    """Bins of signals inside the RTL."""

    def __init__(self, dut: Any, vocabulary: int, layout: Layout) -> None:
        engine = dut.u_engine
        self._dut = _bind(
            dut,
            *("rst_i", "s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast"),
            *("m_axis_tvalid", "m_axis_tready"),
        )
        self._engine = _bind(
            engine,
            *("busy", "generating", "generate_mode", "auto_reset", "length", "reset_state", "stop"),
            *("sampled", "sampled_last", "character_valid", "logits_valid", "room", "x_grant"),
        )
        self._core = _bind(engine.u_core, "step_valid", "step_to", "step_stage")
        gates, names = engine.u_core.u_gates, ("writes", "write_stages")
        self._gates = [_bind(gates, *(f"p{p.number}_{name}" for name in names)) for p in layout.pipelines]
        self._layout = layout
        self._control = _bind(
            engine.u_characters,
            *("in_flight_q", "in_sequence_q", "generate_q", "stop_q", "x_valid_q", "credit_left_q"),
        )
        self._sequencer = _bind(
            engine.u_core.u_sequencer, "next_loaded_q", "free_q", "ready_q", "next_wait_room"
        )
        self._choice = _bind(engine.u_choice, "valid_8_q")
        self._fifo = _bind(engine.u_fifo, "count_q", "room_o")
        self._own = _bind(
            engine.u_registers,
            *("clear", "bad_code_q", "bad_code_now_q", "errors_full_q"),
            *("characters_q", "cycles_carry_q", "cycles_high_q"),
        )
        self._vocabulary = vocabulary
        words = -(-vocabulary // WORD_LOGITS)
        depth = 2 << max(1, (words - 1).bit_length())  # FIFO_DEPTH of network_engine.sv
        self._most = depth - 1  # its RESERVE is one word more than a character has
        self._mode: int | None = None  # mode of the previous sequence
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
        engine, core = self._engine, self._core
        if not int(self._control.in_flight_q.value) and not engine.generating.value:
            return ["idle"]
        phases = []
        if core.step_valid.value:
            phases.append(self._product(Destination(int(core.step_to.value)), int(core.step_stage.value)))
        else:
            phases.append("waiting")
        for p, gates in enumerate(self._gates):
            if int(getattr(gates, f"p{p}_writes").value) & 1:
                number = int(getattr(gates, f"p{p}_write_stages").value) & (1 << self._layout.stage_bits) - 1
                stage = self._layout.stages[number]
                phases.append(f"gates {stage.layer}{_level(stage)}")
        if engine.logits_valid.value or self._choice.valid_8_q.value or engine.character_valid.value:
            phases.append("choice")
        return [phase for phase in phases if phase in PHASES]  # layers after the second are not planned

    def _product(self, to: Destination, number: int) -> str:
        """Return the name of a matrix product by the place where its sums go."""
        if to is Destination.OUTPUT:
            return "Wy"
        if to is Destination.NOTHING:
            return ""
        stage = self._layout.stages[number]
        starts_with = "U" if stage.level.number else "W"
        waits = "W" if stage.level.number else "U"
        return f"{starts_with if to is Destination.START else waits}{stage.layer}{_level(stage)}"

    def _accepted(self) -> Found:
        """Return the bins of a character that is taken."""
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
