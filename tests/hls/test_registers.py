# SPDX-License-Identifier: Apache-2.0
"""The register map: consistent, and the same for RTL and docs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from zynq_lstm import hls
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.registers import (
    BY_ADDRESS,
    BY_NAME,
    ID,
    REGISTERS,
    VERSION,
    WORD_BITS,
    Access,
    Counts,
    Source,
    address,
    bit,
    markdown,
    pack,
    unpack,
    verilog_header,
)
from zynq_lstm.models.integers import choice


def test_map_is_consistent() -> None:
    addresses = [a for register in REGISTERS for a in register.addresses]
    assert addresses == sorted(set(addresses)) == list(BY_ADDRESS)
    assert all(a % 4 == 0 and a < 256 for a in addresses)
    assert BY_NAME["IDENTITY"].words == 8 and address("IDENTITY") % 32 == 0  # as axil_registers.sv decodes it
    assert len({register.name for register in REGISTERS}) == len(REGISTERS)
    for register in REGISTERS:
        assert register.text and len({field.access for field in register.fields}) == 1
        assert len({field.name for field in register.fields}) == len(register.fields)
        free = 0
        for field in register.fields:
            assert field.position >= free and field.width > 0 and field.text
            free = field.position + field.width
            assert (field.reset is None) == (field.source is Source.DESIGN)
            assert field.reset is None or 0 <= field.reset < 1 << field.width
        assert free <= WORD_BITS


def test_side_effects_are_consistent() -> None:
    """Fields have only side effects that their access allows, on registers that exist."""
    for register in REGISTERS:
        for field in register.fields:
            where = f"{register.name}.{field.name}"
            assert field.pulse == (field.access is Access.WO), where
            assert not field.clears or field.pulse, where
            assert not field.strobe or field.access is Access.RW, where
            assert (field.source is Source.SOFTWARE) == (field.access in (Access.RW, Access.WO)), where
            assert field.counts is Counts.NOT or field.source is Source.HARDWARE, where
            assert {field.keeps, *field.clears} - {""} <= set(BY_NAME), where
    counters = {r.name for r in REGISTERS if any(f.counts is not Counts.NOT for f in r.fields)}
    assert set(BY_NAME["CONTROL"].field("CLEAR_COUNTERS").clears) == counters


def test_widths_are_those_of_other_definitions() -> None:
    assert BY_NAME["TEMPERATURE"].field("VALUE").width == choice.TEMPERATURE.bits
    assert unpack("VERSION", VERSION) == {"MINOR": 2, "MAJOR": 1}


def test_fields_are_packed() -> None:
    values = {"LAYERS": 2, "UNITS": 128, "VOCABULARY": 78}
    assert pack("SHAPE", values) == 0x0208_004E
    assert unpack("SHAPE", 0x0208_004E) == values
    assert pack("REFUSED", {"WRITES": 3}) == 3 << 16
    with pytest.raises(ValueError, match=r"SHAPE\.LAYERS is 0 to 255, not 256"):
        pack("SHAPE", {"LAYERS": 256})
    with pytest.raises(KeyError, match="SHAPE has VOCABULARY, UNITS, LAYERS, not GATES"):
        pack("SHAPE", {"GATES": 4})


def test_constants_of_a_design(rng: np.random.Generator) -> None:
    network = with_weights(small_spec("w8a8", vocabulary=9, units=(6, 5)), rng)
    constants = Design(network, Array(4, 2, 2, 2)).register_constants()
    assert constants["SHAPE"] == [{"VOCABULARY": 9, "UNITS": 6, "LAYERS": 2}]
    assert constants["ARRAY"] == [{"DEPTH": 2, "PACK": 2, "LANES": 32}]
    words = [word["VALUE"] for word in constants["IDENTITY"]]
    assert "".join(f"{word:08x}" for word in reversed(words)) == network.identity
    design = {r.name for r in REGISTERS if any(f.source is Source.DESIGN for f in r.fields)}
    assert set(constants) == design


def test_literals() -> None:
    """Existing drivers rely on these values: a change needs a new major VERSION, an addition a minor one."""
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
    with pytest.raises(KeyError, match="CONTROL has RESET_STATE, STOP, CLEAR_COUNTERS, not NOTHING"):
        bit("CONTROL", "NOTHING")


def test_verilog_header_is_what_the_rtl_names() -> None:
    header = verilog_header()
    defined = dict(re.findall(r"localparam (?:logic \[\d+:0\]|int) (\w+) = (\S+);", header))
    for register in REGISTERS:
        assert defined[f"REG_{register.name}"] == f"6'd{register.address // 4}"
    assert (defined["ID"], defined["VERSION"]) == ("32'h5A4C5354", "32'h00010002")
    rtl = Path(hls.__file__).parent / "rtl"
    used = {
        name
        for source in ("axil_registers.sv", "network_engine.sv")
        for name in re.findall(r"\b[A-Z_]+\b", (rtl / source).read_text())
    }
    assert {name for name in defined if name.startswith("REG_")} <= used  # every register is there
    for register in REGISTERS:
        for field in register.fields:
            if field.width < WORD_BITS:
                name = f"{register.name}_{field.name}"
                assert int(defined[name]) == field.position and int(defined[f"{name}_BITS"]) == field.width
                # VERSION is a constant as a whole.
                assert name in used or register.name == "VERSION", name


def test_markdown_has_a_row_for_each() -> None:
    lines = markdown().splitlines()
    assert lines[0] == "| address | register, field | bits | access | reset | meaning |"
    fields = [len(register.fields) for register in REGISTERS]
    assert len(lines) == 2 + len(REGISTERS) + sum(count for count in fields if count > 1)
    at = lines.index("| 0x18 | `ERRORS` | | w1c | | errors since they were cleared |")
    assert lines[at + 1].startswith("| | `BAD_CODE` | [0] | w1c | 0 | a code outside the vocabulary")
    assert "| | `WRITES` | [31:16] | ro | 0 | writes, up to 65,535 |" in lines
    identity = "| 0x40 to 0x5C | `IDENTITY` | [31:0] | ro | of the design | SHA-256 of the network, 8 words, "
    assert identity in "\n".join(lines)
