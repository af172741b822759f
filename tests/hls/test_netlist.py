# SPDX-License-Identifier: Apache-2.0
"""Reading netlists: levels counted, every kind of fault found, and none in a small engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hls.design import Design
from hls.netlist import Netlist, NetlistReport, check
from hls.schedule import Array
from hls.synthesis import synthesize
from models.errors import UserError
from sim.rtl import write_project
from tests.networks import small_spec, with_weights

OUTPUTS = ("O", "Q", "DOADO", "P", "CO", "DOA")


class Maker:
    """A netlist in Yosys' format, cell by cell; nets are numbers."""

    def __init__(self) -> None:
        self.cells: dict[str, Any] = {}

    def cell(self, kind: str, name: str = "", parameters: dict[str, str] | None = None, **ports: Any) -> None:
        connections = {port: bits if isinstance(bits, list) else [bits] for port, bits in ports.items()}
        self.cells[name or f"c{len(self.cells)}"] = {
            "type": kind,
            "parameters": parameters or {},
            "port_directions": {p: "output" if p in OUTPUTS else "input" for p in connections},
            "connections": connections,
        }

    def register(self, d: int, q: int) -> None:
        self.cell("FDRE", C=2, CE="1", R="0", D=d, Q=q)

    def report(
        self, folder: Path, inputs: tuple[int, ...] = (), outputs: tuple[int, ...] = ()
    ) -> NetlistReport:
        ports = {f"i{b}": {"direction": "input", "bits": [b]} for b in (2, *inputs)}
        ports |= {f"o{b}": {"direction": "output", "bits": [b]} for b in outputs}
        bits = sorted(
            {b for c in self.cells.values() for x in c["connections"].values() for b in x if b != "0"},
            key=str,
        )
        names = {f"n{b}": {"hide_name": 0, "bits": [b]} for b in bits if isinstance(b, int)}
        module = {"ports": ports, "cells": self.cells, "netnames": names}
        path = folder / "netlist.json"
        path.write_text(json.dumps({"modules": {"zynq_lstm": module}}))
        return check(Netlist(path))


@pytest.fixture
def maker() -> Maker:
    return Maker()


def test_levels(maker: Maker, tmp_path: Path) -> None:
    """LUTs and inverters count; carry chains and wide multiplexers don't."""
    maker.register(3, 10)
    maker.cell("LUT2", I0=10, I1=3, O=11)
    maker.cell("INV", I=11, O=12)
    maker.cell("CARRY4", CI=12, S=10, O=13, CO=14)
    maker.cell("MUXF7", I0=14, I1=13, S=10, O=15)
    maker.cell("LUT6", I0=15, I1=13, O=16)
    maker.register(16, 17)
    maker.cell("LUT1", I0=16, O=18)
    maker.register(18, 19)
    report = maker.report(tmp_path, (3,), (17, 19))
    assert report.faults == []
    assert report.lut_levels == 4
    [path] = report.long_paths
    assert (path.levels, path.start, path.end) == (4, "n10 [FDRE]", "n19 D")
    assert report.levels == {0: 3, 3: 1, 4: 1}


def test_memory_in_luts_is_a_level_of_its_address(maker: Maker, tmp_path: Path) -> None:
    maker.register(3, 10)
    maker.cell("LUT1", I0=10, O=11)
    maker.cell("RAM64M", "u_fifo.u_words.memory.0", ADDRA=11, ADDRD=10, DIA=10, WCLK=2, WE="1", DOA=12)
    maker.register(12, 13)
    report = maker.report(tmp_path, (3,), (13,))
    assert (report.lut_levels, report.faults) == (2, [])
    assert report.lut_memories == {"u_fifo.u_words": 1}


def test_faults_are_found(maker: Maker, tmp_path: Path) -> None:
    maker.register(3, 10)
    maker.cell("LDCE", "a_latch", D=10, G=10, CLR="0", GE="1", Q=20)
    maker.cell("LUT1", I0=10, O=21)
    maker.cell("LUT1", I0=20, O=21)  # two drivers
    maker.cell("LUT2", I0=99, I1=10, O=22)  # no driver
    maker.cell("LUT2", I0=24, I1=22, O=23)  # a loop
    maker.cell("LUT1", I0=23, O=24)
    maker.cell("RAM32M", "u_somewhere.memory.0", ADDRA=10, ADDRD=10, DIA=10, WCLK=2, WE="1", DOA=25)
    maker.cell("DSP48E1", "a_dsp", {"PREG": "0", "MREG": "1"}, A=10, P=26)
    maker.cell("RAMB18E1", "a_ram", CLKARDCLK=2, ADDRARDADDR=10, DOADO=[27, 28, 29])
    maker.register(27, 30)
    maker.cell("LUT1", I0=28, O=31)
    maker.cell("SRL16E", CLK=2, CE="1", D=29, A0="0", Q=32)
    maker.cell("DSP48E1", "another", {"PREG": "1", "MREG": "1", "DREG": "1"}, D=29, P=33)
    report = maker.report(tmp_path, (3,), (20, 21, 24, 25, 26, 30, 31, 32, 33))
    assert report.latches == ["a_latch"]
    assert report.multiple_drivers == ["n21"]
    assert report.undriven == ["n99"]
    assert len(report.loops) == 1 and report.loops[0] in ("n23", "n24")
    assert report.unintended_lut_memories == ["u_somewhere"]
    assert report.dsp_unregistered == ["a_dsp"]
    assert report.bram_unregistered == ["a_ram (n28)"]
    assert report.bram_outputs == {"flip-flop": 1, "DSP48E1 or shift register": 1}
    assert len(report.faults) == 7


def test_bad_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "netlist.json"
    path.write_text("{")
    with pytest.raises(UserError, match="no netlist in Yosys' JSON format"):
        Netlist(path)
    path.write_text('{"modules": {"other": {}}}')
    with pytest.raises(UserError, match="no module 'zynq_lstm'; there are other"):
        Netlist(path)


@pytest.mark.slow
def test_small_engine_is_sound(tmp_path: Path, rng: np.random.Generator) -> None:
    network = with_weights(small_spec("w8a8", 11, (9, 8)), rng)
    write_project(Design(network, Array(2, 4, 2, 2)), tmp_path / "rtl")
    synthesize(tmp_path / "rtl")
    report = check(Netlist(tmp_path / "rtl-synthesis" / "netlist.json"))
    assert report.faults == []
    assert report.lut_levels <= MOST_LEVELS, report.long_paths[0]


MOST_LEVELS = 3
