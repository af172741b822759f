# SPDX-License-Identifier: Apache-2.0
"""The description of the IP in IP-XACT (IEEE 1685-2009), with Vivado's names of views and bus types.

The elements, and their order, are those of the standard's schema. Names of views, file sets and environments,
and the extensions, are those of files that Vivado's packager wrote.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from xml.etree.ElementTree import Element

from zynq_lstm.hls.board.register_map import ACCESS, RANGE, Word
from zynq_lstm.hls.board.top import MODULE, Interface, Port
from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.project import TOP
from zynq_lstm.hls.engine.registers import Access, Field, Source

SPIRIT = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
XILINX = "http://www.xilinx.com"
FILE = "component.xml"
VENDOR, LIBRARY, NAME = "zynq-lstm", "ip", TOP
VERSION = f"{registers.MAJOR}.{registers.MINOR}"  # of the register map
TITLE = "Quantized LSTM engine"
FAMILY = "zynq"  # of every part in hls/parts
MEMORY_MAP, BLOCK = "s_axil", "registers"
#: View -> (title, environment, language and model if it has sources).
VIEWS = {
    "xilinx_anylanguagesynthesis": ("Synthesis", ":vivado.xilinx.com:synthesis", True),
    "xilinx_anylanguagebehavioralsimulation": ("Simulation", ":vivado.xilinx.com:simulation", True),
    "xilinx_xpgui": ("UI Layout", ":vivado.xilinx.com:xgui.ui", False),
}


def gui_file() -> str:
    """Return the path of the Tcl file that describes the IP's dialog."""
    return f"xgui/{NAME}_v{VERSION.replace('.', '_')}.tcl"


def component(
    ports: Sequence[Port],
    interfaces: Sequence[Interface],
    words: Sequence[Word],
    sources: Sequence[str],
    identity: str,
) -> str:
    """Return component.xml.

    Args:
        sources: paths of the RTL's files from component.xml's folder, in the order in which tools read them.
        identity: of the network.
    """
    root = Element("spirit:component", {"xmlns:xilinx": XILINX, "xmlns:spirit": SPIRIT})
    _vlnv(root)
    buses = _add(root, "busInterfaces")
    for interface in interfaces:
        _bus(buses, interface)
    block = _add(_named(_add(root, "memoryMaps"), "memoryMap", MEMORY_MAP), "addressBlock")
    _add(block, "name", BLOCK)
    _add(block, "baseAddress", "0", format="long")
    _add(block, "range", str(RANGE), format="long")
    _add(block, "width", str(registers.WORD_BITS), format="long")
    _add(block, "usage", "register")
    for word in words:
        _register(block, word)
    model = _add(root, "model")
    _views(_add(model, "views"))
    listed = _add(model, "ports")
    for port in ports:
        _port(listed, port)
    _file_sets(_add(root, "fileSets"), sources)
    _add(root, "description", f"{TITLE}. Network {identity}.")
    parameter = _named(_add(root, "parameters"), "parameter", "Component_Name")
    value = f"{NAME}_v{VERSION.replace('.', '_')}"
    _add(parameter, "value", value, resolve="user", id="PARAM_VALUE.Component_Name", order="1")
    _extensions(_add(root, "vendorExtensions"))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    """Add an element of the standard, and return it."""
    names = {f"spirit:{name}": value for name, value in attributes.items()}
    child = ElementTree.SubElement(parent, f"spirit:{tag}", names)
    child.text = text
    return child


def _named(parent: Element, tag: str, name: str) -> Element:
    child = _add(parent, tag)
    _add(child, "name", name)
    return child


def _vlnv(root: Element) -> None:
    for tag, text in (("vendor", VENDOR), ("library", LIBRARY), ("name", NAME), ("version", VERSION)):
        _add(root, tag, text)


def _bus(parent: Element, interface: Interface) -> None:
    bus = _named(parent, "busInterface", interface.name)
    definition = {"vendor": "xilinx.com", "library": interface.library, "version": "1.0"}
    _add(bus, "busType", name=interface.kind, **definition)
    _add(bus, "abstractionType", name=f"{interface.kind}_rtl", **definition)
    mode = _add(bus, "master" if interface.master else "slave")
    if interface.name == MEMORY_MAP:
        _add(mode, "memoryMapRef", memoryMapRef=MEMORY_MAP)
    maps = _add(bus, "portMaps")
    for signal, port in interface.signals.items():
        entry = _add(maps, "portMap")
        _named(entry, "logicalPort", signal)
        _named(entry, "physicalPort", port)
    if interface.parameters:
        parameters = _add(bus, "parameters")
        for name, value in interface.parameters.items():
            parameter = _named(parameters, "parameter", name)
            _add(parameter, "value", value, id=f"BUSIFPARAM_VALUE.{interface.name.upper()}.{name}")


def _register(block: Element, word: Word) -> None:
    register = _named(block, "register", word.name)
    _add(register, "description", word.register.text)
    _add(register, "addressOffset", f"0x{word.address:X}")
    _add(register, "size", str(registers.WORD_BITS), format="long")
    _add(register, "volatile", _flag(any(_volatile(field) for field in word.fields)))
    _add(register, "access", word.access)
    assert word.reset is not None
    _add(_add(register, "reset"), "value", f"0x{word.reset:X}", format="long")
    for field in word.fields:
        _field(register, field)


def _field(register: Element, field: Field) -> None:
    element = _named(register, "field", field.name)
    _add(element, "description", field.text)
    _add(element, "bitOffset", str(field.position))
    _add(element, "bitWidth", str(field.width), format="long")
    _add(element, "volatile", _flag(_volatile(field)))
    _add(element, "access", ACCESS[field.access])
    if field.access is Access.W1C:
        _add(element, "modifiedWriteValue", "oneToClear")


def _volatile(field: Field) -> bool:
    """Return True if a read may give another value than the last write, or the last read."""
    return field.source is Source.HARDWARE or field.pulse


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _views(parent: Element) -> None:
    for name, (title, environment, sources) in VIEWS.items():
        view = _named(parent, "view", name)
        _add(view, "displayName", title)
        _add(view, "envIdentifier", environment)
        if sources:
            _add(view, "language", "Verilog")
            _add(view, "modelName", MODULE)
        _add(_add(view, "fileSetRef"), "localName", f"{name}_view_fileset")


def _port(parent: Element, port: Port) -> None:
    wire = _add(_named(parent, "port", port.name), "wire")
    _add(wire, "direction", "out" if port.output else "in")
    if port.width > 1:
        vector = _add(wire, "vector")
        _add(vector, "left", str(port.width - 1), format="long")
        _add(vector, "right", "0", format="long")
    definition = _add(_add(wire, "wireTypeDefs"), "wireTypeDef")
    _add(definition, "typeName", "wire")
    for name, (_, _, sources) in VIEWS.items():
        if sources:
            _add(definition, "viewNameRef", name)


#: Ending -> (element, type) of a file.
_TYPES: Mapping[str, tuple[str, str]] = {
    "v": ("fileType", "verilogSource"),
    "sv": ("fileType", "systemVerilogSource"),
    "svh": ("fileType", "systemVerilogSource"),
    "mem": ("userFileType", "mem"),
    "tcl": ("fileType", "tclSource"),
}


def _file_sets(parent: Element, sources: Sequence[str]) -> None:
    for view, (_, _, has_sources) in VIEWS.items():
        files: Iterable[str] = sources if has_sources else (gui_file(),)
        file_set = _named(parent, "fileSet", f"{view}_view_fileset")
        for path in files:
            ending = path.rsplit(".", 1)[1]
            file = _named(file_set, "file", path)
            _add(file, *_TYPES[ending])
            if ending == "tcl":
                _add(file, "userFileType", "XGUI_VERSION_2")
            if ending == "svh":
                _add(file, "isIncludeFile", "true")


def _extensions(parent: Element) -> None:
    core = ElementTree.SubElement(parent, "xilinx:coreExtensions")
    families = ElementTree.SubElement(core, "xilinx:supportedFamilies")
    ElementTree.SubElement(families, "xilinx:family", {"xilinx:lifeCycle": "Pre-Production"}).text = FAMILY
    taxonomies = ElementTree.SubElement(core, "xilinx:taxonomies")
    ElementTree.SubElement(taxonomies, "xilinx:taxonomy").text = "/UserIP"
    ElementTree.SubElement(core, "xilinx:displayName").text = TITLE
    ElementTree.SubElement(core, "xilinx:coreRevision").text = "1"
