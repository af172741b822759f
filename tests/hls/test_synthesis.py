# SPDX-License-Identifier: Apache-2.0
"""Synthesis with Yosys, and the counts of its report; whole engines are in test_netlist_simulation.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from zynq_lstm import hls
from zynq_lstm.hls.parts import full_part, part_name, parts
from zynq_lstm.hls.synthesis import yosys
from zynq_lstm.hls.synthesis.yosys import count, count_blocks, synthesize
from zynq_lstm.models.errors import UserError


def cells_file(folder: Path, **cells: int) -> Path:
    path = folder / "cells.json"
    path.write_text(
        json.dumps({"creator": "Yosys 0.70 (git sha1 abc)", "design": {"num_cells_by_type": cells}})
    )
    return path


def test_counting(tmp_path: Path) -> None:
    cells = {"LUT6": 10, "LUT2": 5, "INV": 1, "SRL16E": 2, "RAM32M": 3, "FDRE": 7, "FDSE": 1, "CARRY4": 9}
    cells |= {"DSP48E1": 4, "RAMB36E1": 2, "RAMB18E1": 3}
    assert count(cells_file(tmp_path, **cells)).to_dict() == {
        "part": "xc7z020",
        "tool": "Yosys 0.70",
        "lut": 10 + 5 + 1 + 2 + 3 * 4,
        "ff": 8,
        "dsp": 4,
        "bram36": 3.5,
        "fits": True,
    }


@pytest.mark.parametrize(
    "cell, limit, weight",
    [("LUT6", 53_200, 1), ("FDRE", 106_400, 1), ("DSP48E1", 220, 1), ("RAMB18E1", 140, 2)],
)
def test_fits_up_to_the_part(tmp_path: Path, cell: str, limit: int, weight: int) -> None:
    assert count(cells_file(tmp_path, **{cell: limit * weight})).fits
    assert not count(cells_file(tmp_path, **{cell: limit * weight + 1})).fits


def test_unknown_memory_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="memory cell RAM512X1S is not in the table of LUT costs"):
        count(cells_file(tmp_path, RAM512X1S=1))


def test_parts(tmp_path: Path) -> None:
    assert part_name("xc7z020") == part_name("xc7z020clg484-1") == "xc7z020"
    assert part_name("xc7z010clg225-1") == "xc7z010"
    assert part_name("XC7Z020") == part_name("xc7z020iclg400-1L") == "xc7z020"
    assert full_part("XC7Z020CLG400-1") == "xc7z020clg400-1"
    assert full_part("XC7Z020") == full_part("xc7z020")
    for part in ("xc7z100", "", "ice40", "xc7z020clg400", "xc7z0200", "xc7z020clg400-9"):
        with pytest.raises(
            UserError, match=f"unknown part '{part}'; known are {', '.join(parts())} and their packages"
        ):
            synthesize(tmp_path, part)
    assert list(tmp_path.iterdir()) == []


def test_sources_that_yosys_refuses_name_the_log(tmp_path: Path) -> None:
    project = tmp_path / "rtl"
    project.mkdir()
    (project / "project.json").write_text('{"top": "zynq_lstm"}')
    (project / "zynq_lstm.sv").write_text("module zynq_lstm (\n")
    with pytest.raises(UserError, match=r"Yosys refuses .*/rtl; see .*check\.log") as error:
        synthesize(project)
    assert re.search(r"\.log: .*zynq_lstm\.sv:\d+", str(error.value))  # the tool's own words
    assert "zynq_lstm.sv:" in Path(str(error.value).split("see ")[1].split(": ")[0]).read_text()


def test_multiplexer_comes_before_an_adders_second_operand(tmp_path: Path) -> None:
    """An adder's operands are exchanged, which keeps the sum; a subtracter's are not."""
    shape = ".A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(8), .B_WIDTH(8), .Y_WIDTH(8)"
    (tmp_path / "top.v").write_text(
        "module top (input f, input [7:0] a, b, output [7:0] sum, difference);\n"
        "wire [7:0] x1, c1, x2, c2;\n"
        f"\\$alu #({shape}) add (.A(f ? 8'd0 : a), .B(b), .CI(1'b0), .BI(1'b0), .Y(sum), .X(x1), .CO(c1));\n"
        f"\\$alu #({shape}) sub "
        "(.A(f ? 8'd0 : a), .B(b), .CI(1'b1), .BI(1'b1), .Y(difference), .X(x2), .CO(c2));\n"
        "endmodule\n"
    )
    muxed = "t:$mux %co1:+[Y] w:* %i %co1:+[{}] t:$alu %i"
    script = [
        *("read_verilog -icells top.v", "proc", "opt_clean", "copy top gold", "cd top"),
        f"select -assert-count 2 {muxed.format('A')}",
        *yosys._exchanged_operands(),
        f"select -assert-count 1 {muxed.format('A')}",
        f"select -assert-count 1 {muxed.format('B')}",
        *("select -clear", "cd", "miter -equiv -flatten gold top miter"),
        "sat -verify -prove trigger 0 miter",
    ]
    yosys.run_yosys(script, tmp_path, tmp_path / "yosys.log")


@pytest.mark.slow
def test_chain_of_dsps_keeps_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yosys 0.70 by itself leaves a sign bit of this chain without a driver; a later version may not."""
    (tmp_path / "rtl").mkdir()
    for name in ("mac_chain.sv", "delay.sv"):
        (tmp_path / "rtl" / name).write_text((Path(hls.__file__).parent / "rtl" / name).read_text())
    (tmp_path / "rtl" / "project.json").write_text('{"top": "top"}')
    (tmp_path / "rtl" / "top.sv").write_text(
        "module top (input logic clk_i, input logic [99:0] weights_i, input logic [31:0] activations_i,\n"
        "output logic signed [35:0] sum_o);\n"
        "mac_chain u_chain (.addend_i(36'd65536), .*);\nendmodule\n"
    )
    assert count_blocks(tmp_path / "rtl", tmp_path).dsp == 4
    script = yosys._script
    monkeypatch.setattr(
        yosys, "_script", lambda *a: [command for command in script(*a) if command != "wreduce"]
    )
    with pytest.raises(UserError, match="Yosys refuses"):
        count_blocks(tmp_path / "rtl", tmp_path)
    assert "is used but has no driver" in (tmp_path / "yosys.log").read_text()
