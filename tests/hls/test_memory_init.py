# SPDX-License-Identifier: Apache-2.0
"""After synthesis, memories hold the content of their files: simulation alone would not check that."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zynq_lstm import hls
from zynq_lstm.hls.synthesis.yosys import _RUN

RTL = Path(hls.__file__).parent / "rtl"


@pytest.mark.parametrize("width, depth", [(7, 5), (9, 16), (40, 20), (3, 1)])
def test_lut_rom_in_yosys(width: int, depth: int, tmp_path: Path, rng: np.random.Generator) -> None:
    words = [int(x) for x in rng.integers(0, 1 << width, depth)]
    (tmp_path / "words.mem").write_text("".join(f"{word:0{-(-width // 4)}x}\n" for word in words))
    bits = max(1, (depth - 1).bit_length())
    ports = f"input logic [{bits - 1}:0] address_i, output logic [{width - 1}:0] data_o"
    instance = f'lut_rom #(.WIDTH({width}), .DEPTH({depth}), .FILE("words.mem")) u_rom (.*);'
    (tmp_path / "top.sv").write_text(f"module top ({ports});\n  {instance}\nendmodule\n")
    script = [
        f"read_verilog -sv -defer {RTL}/lut_rom.sv top.sv",
        "synth_xilinx -family xc7 -top top -flatten -noiopad -run begin:map_cells",
        *(f"eval -set address_i {k} -show data_o" for k in range(depth)),
    ]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    values = re.findall(r"Eval result: \\data_o = (\d+)'([01]+|\d+)\.", done.stdout)
    assert [int(v, 2) for _, v in values] == words
