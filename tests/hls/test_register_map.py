# SPDX-License-Identifier: Apache-2.0
"""The register map for tools and drivers: each form is read back and compared with the description."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from systemrdl import RDLCompiler
from systemrdl.node import RegNode

from zynq_lstm.hls.board import register_map
from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.registers import REGISTERS, Access, Counts

IDENTITY = "".join(f"{k:02x}" for k in range(200, 232))
CONSTANTS = {
    "SHAPE": [{"VOCABULARY": 78, "UNITS": 128, "LAYERS": 2}],
    "ARRAY": [{"DEPTH": 4, "PACK": 2, "LANES": 416}],
    "IDENTITY": [{"VALUE": int(IDENTITY, 16) >> 32 * k & 0xFFFF_FFFF} for k in range(8)],
}


def expected(parity: bool) -> dict[str, tuple[int, registers.Register, int]]:
    """Return name -> (address, register, number of the word), directly from the description."""
    return {
        f"{register.name}_{k}" if register.words > 1 else register.name: (address, register, k)
        for register in REGISTERS
        if parity or not register.parity
        for k, address in enumerate(register.addresses)
    }


def reset(register: registers.Register, field: registers.Field, word: int) -> int:
    return CONSTANTS[register.name][word][field.name] if field.reset is None else field.reset


@pytest.mark.parametrize("parity", [False, True])
def test_systemrdl_is_read_back(parity: bool, tmp_path: Path) -> None:
    """systemrdl-compiler, which is not of this project, finds every register and field, and nothing else."""
    path = tmp_path / register_map.SYSTEMRDL
    path.write_text(register_map.systemrdl(parity, CONSTANTS), encoding="utf-8")
    compiler = RDLCompiler()
    compiler.compile_file(str(path))
    read: dict[str, Any] = {
        node.inst_name: node
        for node in compiler.elaborate().top.descendants(unroll=True)
        if isinstance(node, RegNode)
    }
    assert list(read) == list(expected(parity))
    software = {Access.RO: "r", Access.RW: "rw", Access.WO: "w", Access.W1C: "rw"}
    for name, (address, register, word) in expected(parity).items():
        node = read[name]
        assert node.absolute_address == address and node.size == 4, name
        assert node.get_property("desc") == register.text
        fields = {field.inst_name: field for field in node.fields()}
        assert list(fields) == [field.name for field in register.fields if parity or not field.parity]
        for field in register.fields:
            if field.parity and not parity:
                continue
            found, where = fields[field.name], f"{name}.{field.name}"
            assert (found.low, found.width) == (field.position, field.width), where
            assert found.get_property("sw").name == software[field.access], where
            assert found.get_property("reset") == reset(register, field, word), where
            assert found.get_property("desc") == field.text, where
            cleared = found.get_property("onwrite")
            assert (cleared is not None and cleared.name == "woclr") == (field.access is Access.W1C), where
            flags = {
                "singlepulse": field.pulse,
                "swmod": field.strobe,
                "swacc": bool(field.keeps),
                "counter": field.counts is not Counts.NOT,
            }
            for flag, value in flags.items():
                assert bool(found.get_property(flag)) == value, f"{where} {flag}"
            if flags["counter"]:
                saturates = bool(found.get_property("incrsaturate"))
                assert saturates == (field.counts is Counts.SATURATES), where


def test_c_header_compiles_to_the_same_numbers(tmp_path: Path) -> None:
    header = register_map.c_header()
    (tmp_path / register_map.C_HEADER).write_text(header, encoding="utf-8")
    names = re.findall(r"^#define (\w+) \S", header, re.M)
    assert len(names) == len(set(names))
    values = {"ZYNQ_LSTM_ID_VALUE": registers.ID, "ZYNQ_LSTM_VERSION_VALUE": registers.VERSION}
    for register in REGISTERS:
        values[f"ZYNQ_LSTM_{register.name}"] = register.address
        for field in register.fields:
            values[f"ZYNQ_LSTM_{register.name}_{field.name}_SHIFT"] = field.position
            values[f"ZYNQ_LSTM_{register.name}_{field.name}_MASK"] = field.mask
    words = {f"ZYNQ_LSTM_{r.name}_WORDS": r.words for r in REGISTERS if r.words > 1}
    assert set(names) == {*values, *words, "ZYNQ_LSTM_RANGE"}
    lines = [f'#include "{register_map.C_HEADER}"', f'#include "{register_map.C_HEADER}"']
    lines += [f'static_assert({name} == {value}u, "{name}");' for name, value in (values | words).items()]
    (tmp_path / "check.cpp").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = ["g++", "-std=c++11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "check.cpp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("parity", [False, True])
def test_python_constants_are_the_map(parity: bool) -> None:
    text = register_map.python_constants(parity, CONSTANTS)
    assert "import" not in text.replace("imports", "")
    module: dict[str, Any] = {}
    exec(compile(text, register_map.PYTHON, "exec"), module)
    shown = [register for register in REGISTERS if parity or not register.parity]
    assert module["ADDRESSES"] == {register.name: register.address for register in shown}
    assert module["FIELDS"] == {
        (register.name, field.name): (field.position, field.width)
        for register in shown
        for field in register.fields
        if parity or not field.parity
    }
    assert module["ID"] == registers.ID and module["IDENTITY"] == IDENTITY
    assert (module["VOCABULARY"], module["UNITS"], module["LAYERS"], module["LANES"]) == (78, 128, 2, 416)
    assert (module["MAJOR"] << 16 | module["MINOR"]) == registers.VERSION


@pytest.mark.parametrize("parity", [False, True])
def test_hwh_section_is_the_map(parity: bool) -> None:
    root = ElementTree.fromstring(register_map.hwh_registers(parity, CONSTANTS))
    found = {}
    for element in root:
        properties = {p.get("NAME"): p.get("VALUE") for p in element.iterfind("PROPERTY")}
        fields = [
            {p.get("NAME"): p.get("VALUE") for p in field} | {"": field.get("NAME")}
            for field in element.iterfind("FIELDS/FIELD")
        ]
        found[element.get("NAME")] = properties, fields
    assert list(found) == list(expected(parity))
    access = {Access.RO: "read-only", Access.WO: "write-only"}
    for name, (address, register, word) in expected(parity).items():
        properties, fields = found[name]
        assert int(str(properties["ADDRESS_OFFSET"]), 16) == address and properties["SIZE"] == "32"
        assert properties["DESCRIPTION"] == register.text
        kept = [field for field in register.fields if parity or not field.parity]
        value = sum(reset(register, field, word) << field.position for field in kept)
        assert int(str(properties["RESET_VALUE"]), 16) == value
        assert fields == [
            {
                "": field.name,
                "DESCRIPTION": field.text,
                "ACCESS": access.get(field.access, "read-write"),
                "BIT_OFFSET": str(field.position),
                "BIT_WIDTH": str(field.width),
            }
            for field in kept
        ]


def test_words_without_a_design_have_no_values_of_one() -> None:
    words = {word.name: word for word in register_map.words(parity=True)}
    assert words["SHAPE"].reset is words["ARRAY"].reset is words["IDENTITY_7"].reset is None
    assert words["ID"].reset == registers.ID and words["STATUS"].reset == 0
