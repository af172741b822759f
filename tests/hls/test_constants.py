# SPDX-License-Identifier: Apache-2.0
"""Numbers that Python and the RTL share are stated once, and used by both."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zynq_lstm import hls, sim
from zynq_lstm.hls.engine.constants import (
    HEADER,
    JOB,
    JOB_HEADER,
    TAG,
    Destination,
    headers,
    job_word,
)

RTL = Path(hls.__file__).parent / "rtl"
CORES = Path(sim.__file__).parent / "shell"


def sources() -> dict[str, str]:
    """Return the handwritten SystemVerilog, without comments."""
    files = [*RTL.glob("*.sv"), *RTL.glob("*.svh"), *CORES.glob("*.sv")]
    return {str(path): re.sub(r"//.*", "", path.read_text()) for path in files}


def test_every_number_is_used_by_the_rtl_and_stated_nowhere_else() -> None:
    text = "\n".join(sources().values())
    for header in headers().values():
        names = re.findall(r"localparam (?:int|logic \[.*?\]) (\w+) =", header)
        assert len(names) == len(set(names))
        for name in names:
            others = header.replace(f" {name} =", "")  # a field's neighbours are placed by it
            needed = re.search(rf"\b{name}\b", text + others) or name == "TO_NOTHING"
            assert needed, f"{name} is used nowhere"
            assert not re.search(rf"localparam [^;]*\b{name} =", text), f"{name} is stated twice"


def test_literals() -> None:
    constants = headers()[HEADER]
    for line in ("ARRAY_LATENCY = 6", "SKEW_LATENCY = 2", "SEED_LATENCY = 20"):
        assert f"localparam int {line};\n" in constants
    assert "localparam logic [TO_BITS-1:0] TO_OUTPUT = 2'd2;" in headers()[JOB_HEADER]
    assert [int(to) for to in Destination] == [0, 1, 2, 3]


def test_tag_is_a_part_of_the_job_word() -> None:
    """mac_array.sv counts beats from FIRST, the lowest field of the tag."""
    names = [name for name, _ in JOB]
    assert tuple(names[names.index(TAG[0]) : names.index(TAG[-1]) + 1]) == TAG and TAG[-1] == "FIRST"


def test_job_word() -> None:
    widths = {"STAGE_BITS": 2, "ROW_BITS": 4, "STEP_BITS": 3, "ITEM_BITS": 5, "COUNT_BITS": 2}
    values = {name: 0 for name, _ in JOB}
    assert job_word(values, widths) == (0, 1 + 2 + 4 + 3 + 3 + 2 + 2 + 1 + 5 + 2)
    assert job_word(values | {"COUNT": 3, "FIRST": 1}, widths)[0] == 0b00001_11
    assert job_word(values | {"WAIT_ROOM": 1}, widths)[0] == 1 << 24
    with pytest.raises(AssertionError, match="STEPS"):
        job_word(values | {"STEPS": 8}, widths)
