# SPDX-License-Identifier: Apache-2.0
"""Reading netlists: levels counted, and every kind of fault found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from zynq_lstm.hls.synthesis.netlist import Netlist, NetlistReport, check
from zynq_lstm.hls.synthesis.yosys import results, synthesize
from zynq_lstm.models.errors import UserError

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
    with pytest.raises(UserError, match="not a netlist in Yosys' JSON format"):
        Netlist(path)
    path.write_text('{"modules": {"other": {}}}')
    with pytest.raises(UserError, match="no module 'zynq_lstm'; there are other"):
        Netlist(path)


# ---- faults in SystemVerilog, through synthesis


INPUTS = "input logic clk_i, input logic [7:0] a, b, input logic [3:0] s"


def synthesized(body: str, folder: Path, *, width: int = 8, modules: str = "") -> NetlistReport:
    """The report of a module whose output is ``q``; ``modules`` are those below it."""
    project = folder / "rtl"
    project.mkdir()
    (project / "project.json").write_text('{"top": "zynq_lstm"}')
    (project / "zynq_lstm.sv").write_text(
        f"{modules}module zynq_lstm ({INPUTS}, output logic [{width - 1}:0] q);\n{body}\nendmodule\n"
    )
    synthesize(project)
    return check(Netlist(results(project) / "netlist.json"))


SOUND = "logic [7:0] w; assign w = a & b; always_ff @(posedge clk_i) q <= w;"


@pytest.mark.slow
def test_sound_module_has_no_fault(tmp_path: Path) -> None:
    report = synthesized(SOUND, tmp_path)
    assert (report.faults, report.lut_levels, report.levels) == ([], 1, {0: 8, 1: 8})


#: A module's body, and its faults, in the order of the report.
FAULTY = {
    "latch": (
        "logic [7:0] w; always @* if (s[0]) w = a; always_ff @(posedge clk_i) q <= w;",
        8 * [r"latch: .*"],
    ),
    "memory": (
        "logic [7:0] m[0:15]; always_ff @(posedge clk_i) m[s] <= a; assign q = m[b[3:0]];",
        2 * [r"memory in LUTs that is not meant to be: .*\bm\..*"],
    ),
    "dsp": (
        "always_ff @(posedge clk_i) q <= 8'((17'(a) * 17'({b, s}) + 17'({a, b})) >> 9);",
        [r"DSP48E1 without registers: .*"],
    ),
    "block_ram": (  # its output through a LUT
        "logic [7:0] m[0:4095], w; logic [11:0] k; always_ff @(posedge clk_i) begin\n"
        "k <= {s, a}; m[k] <= b; w <= m[{s, b}]; q <= w ^ a; end",
        8 * [r"block RAM without register at its output: .*\bm\..*"],
    ),
}


@pytest.mark.slow
def test_faults_are_seen_in_the_netlist(tmp_path: Path) -> None:
    """One netlist has a module with each fault, and a sound one."""
    bodies = {"sound": SOUND} | {name: body for name, (body, _) in FAULTY.items()}
    modules = (
        f"module {name} ({INPUTS}, output logic [7:0] q);\n{body}\nendmodule\n"
        for name, body in bodies.items()
    )
    instances = (f"{name} u_{name} (.q(q[{8 * k}+:8]), .*);" for k, name in enumerate(bodies))
    found = synthesized(
        "\n".join(instances), tmp_path, width=8 * len(bodies), modules="".join(modules)
    ).faults
    expected = [pattern for _, patterns in FAULTY.values() for pattern in patterns]
    assert len(found) == len(expected), found
    for line, pattern in zip(found, expected, strict=True):
        assert re.fullmatch(pattern, line), line


@pytest.mark.slow
@pytest.mark.parametrize(
    "body, warning",
    {
        "two assignments": (
            SOUND + " assign w = a ^ b;",
            r"multiple conflicting drivers for zynq_lstm\.\$xor\S* \[7\]",
        ),
        "two processes": (
            "always_ff @(posedge clk_i) q <= a; always_ff @(posedge clk_i) q <= b;",
            r"multiple conflicting drivers for zynq_lstm\.\\q \[7\]",
        ),
        "no driver": (
            "logic [7:0] w; assign w[3:0] = a[3:0]; always_ff @(posedge clk_i) q <= w ^ b;",
            r"Wire zynq_lstm\.\\w \[7\] is used but has no driver",
        ),
        "loop": (
            "logic [7:0] w; assign w = (w ^ a) & b; always_ff @(posedge clk_i) q <= w;",
            "found logic loop in module zynq_lstm",
        ),
    }.values(),
    ids=("two assignments", "two processes", "no driver", "loop"),
)
def test_fault_is_seen_before_synthesis(body: str, warning: str, tmp_path: Path) -> None:
    """Yosys would choose one of several drivers, and assume a value for a net without a driver."""
    with pytest.raises(UserError, match=r"Yosys refuses .*/rtl; see .*check\.log") as error:
        synthesized(body, tmp_path)
    log = Path(str(error.value).split("see ")[1].split(": ")[0]).read_text()
    assert re.search(f"Warning: {warning}", log)
    assert "ERROR: Found" in log and "'check -assert'" in log
