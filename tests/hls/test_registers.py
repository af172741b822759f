# SPDX-License-Identifier: Apache-2.0
"""The register map: consistent, and the same for RTL and docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hls
from hls.registers import ID, REGISTERS, VERSION, address, bit, markdown, verilog_header


def test_map_is_consistent() -> None:
    addresses = [register.address for register in REGISTERS]
    assert addresses == sorted(set(addresses))
    assert all(a % 4 == 0 and a < 256 for a in addresses)
    assert address("IDENTITY") == 0x40 and 0x40 % 32 == 0  # 8 words, and nothing else among them
    assert [a for a in addresses if 0x40 <= a < 0x60] == [0x40]
    assert len({register.name for register in REGISTERS}) == len(REGISTERS)
    for register in REGISTERS:
        assert register.access in ("RO", "RW", "W1S", "W1C") and register.text
        positions = [at for _, at, _ in register.bits]
        assert positions == sorted(set(positions)) and all(0 <= at < 32 for at in positions)


def test_literals() -> None:
    """What a driver in the field relies on; a change here is a new major VERSION, more a minor one."""
    assert int.from_bytes(b"ZLST", "big") == ID
    assert VERSION == 0x00010002
    assert {register.name: register.address for register in REGISTERS} == {
        "ID": 0x00,
        "VERSION": 0x04,
        "CONTROL": 0x08,
        "STATUS": 0x0C,
        "MODE": 0x10,
        "LENGTH": 0x14,
        "ERRORS": 0x18,
        "ERROR_COUNT": 0x1C,
        "CHARACTERS": 0x20,
        "CYCLES_LOW": 0x24,
        "CYCLES_HIGH": 0x28,
        "SHAPE": 0x2C,
        "ARRAY": 0x30,
        "SEED": 0x34,
        "TEMPERATURE": 0x38,
        "REFUSED": 0x3C,
        "IDENTITY": 0x40,
        "WAITS": 0x60,
        "PARITY_ERRORS": 0x64,
    }
    assert bit("CONTROL", "RESET_STATE") == 1 and bit("CONTROL", "STOP") == 2
    assert bit("CONTROL", "CLEAR_COUNTERS") == 4
    assert bit("STATUS", "BUSY") == 1 and bit("STATUS", "GENERATING") == 2 and bit("STATUS", "OPEN") == 4
    assert bit("MODE", "GENERATE") == 1 and bit("MODE", "AUTO_RESET") == 2
    assert bit("ERRORS", "BAD_CODE") == 1 and bit("ERRORS", "BAD_ACCESS") == 2
    assert bit("ERRORS", "INPUT_WAITED") == 4 and bit("ERRORS", "WEIGHT_PARITY") == 8


def test_unknown_names() -> None:
    with pytest.raises(KeyError):
        address("NOTHING")
    with pytest.raises(StopIteration):
        bit("CONTROL", "NOTHING")


def test_verilog_header_is_what_the_rtl_names() -> None:
    header = verilog_header()
    defined = dict(re.findall(r"localparam (?:logic \[\d+:0\]|int) (\w+) = (\S+);", header))
    for register in REGISTERS:
        assert defined[f"REG_{register.name}"] == f"6'd{register.address // 4}"
    assert (defined["ID"], defined["VERSION"]) == ("32'h5A4C5354", "32'h00010002")
    source = (Path(hls.__file__).parent / "rtl" / "axil_registers.sv").read_text()
    used = set(re.findall(r"\b(?:REG|CONTROL|MODE|ERRORS)_[A-Z_]+\b", source))
    assert used <= set(defined)
    assert {name for name in defined if name.startswith("REG_")} <= used  # every register is there


def test_markdown_has_a_row_for_each() -> None:
    lines = markdown().splitlines()
    assert lines[0] == "| address | register | access | meaning |"
    assert len(lines) == 2 + len(REGISTERS)
    assert "| 0x18 | `ERRORS` | W1C | what went wrong<br>bit 0 `BAD_CODE`: " in lines[8]
