# SPDX-License-Identifier: Apache-2.0
"""Check of component.xml against the standard's elements, the files, the top's ports and the register map.

The schema of IEEE 1685-2009 may be copied only unchanged, so it isn't part of this project. Instead,
:data:`ELEMENTS` has the elements that occur here, in the schema's order, with those that it requires. A test
also validates component.xml with the schema itself, which a package for development brings.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from xml.etree.ElementTree import Element

from zynq_lstm.hls.board.ipxact import SPIRIT
from zynq_lstm.hls.board.register_map import ACCESS, Word
from zynq_lstm.hls.board.top import MODULE, Port
from zynq_lstm.hls.engine.registers import WORD_BITS, Access

_NAME = f"{{{SPIRIT}}}"
#: Element -> its children in order; ``!`` marks those that must occur, ``*`` those that may be repeated.
ELEMENTS = {
    "component": "vendor! library! name! version! busInterfaces memoryMaps model fileSets "
    "description parameters vendorExtensions",
    "busInterfaces": "busInterface!*",
    "busInterface": "name! displayName description busType! abstractionType master slave portMaps parameters",
    "portMaps": "portMap!*",
    "portMap": "logicalPort! physicalPort!",
    "logicalPort": "name! vector",
    "physicalPort": "name! vector",
    "memoryMaps": "memoryMap!*",
    "memoryMap": "name! displayName description addressBlock*",
    "addressBlock": "name! displayName description baseAddress! range! width! usage volatile access "
    "register*",
    "register": "name! displayName description addressOffset! size! volatile access reset field*",
    "reset": "value! mask",
    "field": "name! displayName description bitOffset! bitWidth! volatile access modifiedWriteValue",
    "model": "views ports",
    "views": "view!*",
    "view": "name! displayName description envIdentifier!* language modelName fileSetRef*",
    "fileSetRef": "localName!",
    "ports": "port!*",
    "port": "name! displayName description wire!",
    "wire": "direction! vector wireTypeDefs driver",
    "vector": "left! right!",
    "wireTypeDefs": "wireTypeDef!*",
    "wireTypeDef": "typeName! typeDefinition viewNameRef!*",
    "fileSets": "fileSet!*",
    "fileSet": "name! displayName description file*",
    "file": "name! fileType* userFileType* isIncludeFile",
    "parameters": "parameter!*",
    "parameter": "name! displayName description value!",
}
#: Bus -> the signals that it must have, and whether the slave drives them. TLAST is optional in AXI4-Stream,
#: but not here.
SIGNALS = {
    "aximm": {f"AW{s}": False for s in ("ADDR", "PROT", "VALID")}
    | {f"AR{s}": False for s in ("ADDR", "PROT", "VALID")}
    | {f"W{s}": False for s in ("DATA", "STRB", "VALID")}
    | {"BREADY": False, "RREADY": False, "AWREADY": True, "ARREADY": True, "WREADY": True}
    | {"BVALID": True, "BRESP": True, "RVALID": True, "RDATA": True, "RRESP": True},
    "axis": {"TVALID": False, "TREADY": True, "TDATA": False, "TLAST": False},
    "clock": {"CLK": False},
    "reset": {"RST": False},
}


def faults(text: str, files: Collection[str], ports: Sequence[Port], words: Sequence[Word]) -> list[str]:
    """Return what is wrong with a component.xml, one line each; empty if nothing is.

    Args:
        text: content of component.xml.
        files: paths of the files beside it, all of which it should list.
        ports: ports of the top module.
        words: words of the register map.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        return [f"not XML: {error}"]
    if root.tag != f"{_NAME}component":
        return [f"the root is {root.tag}, not component of IEEE 1685-2009"]
    if found := list(_elements(root)):
        return found  # the other checks rely on the elements
    return [
        *_interfaces(root, {port.name: port for port in ports}),
        *_clock_and_reset(root),
        *_registers(root, words),
        *_ports(root, ports),
        *_files(root, files),
    ]


def _elements(parent: Element) -> Iterator[str]:
    """Yield elements that are unknown to the standard, missing, repeated, out of order or empty."""
    tag = _tag(parent)
    if tag not in ELEMENTS:
        return
    legal = [entry.rstrip("!*") for entry in ELEMENTS[tag].split()]
    where = _where(parent)
    children = [_tag(child) for child in parent]
    for name in children:
        if name not in legal:
            yield f"{where}: {name} is not an element of {tag} in IEEE 1685-2009"
    places = [legal.index(name) for name in children if name in legal]
    if places != sorted(places):
        yield f"{where}: elements are not in the order {', '.join(legal)}"
    counts = Counter(children)
    for entry, name in zip(ELEMENTS[tag].split(), legal, strict=True):
        if "!" in entry and not counts[name]:
            yield f"{where}: {name} is missing"
        if "*" not in entry and counts[name] > 1:
            yield f"{where}: {name} occurs {counts[name]} times"
    for child in parent:
        if _tag(child) in ("name", "value", "localName", "vendor", "library", "version") and not _text(child):
            yield f"{where}: {_tag(child)} is empty"
        yield from _elements(child)


def _interfaces(root: Element, ports: dict[str, Port]) -> Iterator[str]:
    mapped: Counter[str] = Counter()
    maps = {_of(element, "name") for element in root.iterfind(f"{_NAME}memoryMaps/{_NAME}memoryMap")}
    for bus in root.iterfind(f"{_NAME}busInterfaces/{_NAME}busInterface"):
        name, kind = _of(bus, "name"), _kind(bus)
        if kind not in SIGNALS:
            yield f"{name}: {kind} is not a bus type that the IP has"
            continue
        for tag, ending in (("busType", ""), ("abstractionType", "_rtl")):
            library = "signal" if kind in ("clock", "reset") else "interface"
            vlnv = ":".join(_type(bus, tag).values())
            if vlnv != f"xilinx.com:{library}:{kind}{ending}:1.0":
                yield f"{name}: {tag} is {vlnv}, not Vivado's of {kind}"
        master = bus.find(f"{_NAME}master") is not None
        signals = {}
        for entry in bus.iter(f"{_NAME}portMap"):
            signal, port = (_of(entry, f"{part}Port/{_NAME}name") for part in ("logical", "physical"))
            signals[signal] = port
            mapped[port] += 1
            if port not in ports:
                yield f"{name}: {signal} is mapped to {port}, which is not a port of the top"
            elif signal not in SIGNALS[kind]:
                yield f"{name}: {signal} is not a signal of {kind}"
            elif ports[port].output != (SIGNALS[kind][signal] != master):
                role = "master" if master else "slave"
                yield f"{name}: {port} has the wrong direction for {signal} of a {role}"
        for signal in SIGNALS[kind]:
            if signal not in signals:
                yield f"{name}: {signal} is not mapped"
        yield from _widths(name, kind, signals, ports, _parameters(bus))
        reference = bus.find(f"{_NAME}slave/{_NAME}memoryMapRef")
        if kind == "aximm" and (reference is None or reference.get(f"{_NAME}memoryMapRef") not in maps):
            yield f"{name}: refers to no memory map that exists"
    for port in ports:
        if mapped[port] != 1:
            yield f"{port}: is in {mapped[port]} interfaces, not in one"


def _widths(
    name: str, kind: str, signals: dict[str, str], ports: dict[str, Port], parameters: dict[str, str]
) -> Iterator[str]:
    """Yield parameters of a bus that contradict the widths of its ports."""
    widths = {signal: ports[port].width for signal, port in signals.items() if port in ports}
    if kind == "aximm":
        expected = {"DATA_WIDTH": widths.get("WDATA"), "ADDR_WIDTH": widths.get("AWADDR")}
        if parameters.get("PROTOCOL") != "AXI4LITE":
            yield f"{name}: PROTOCOL is {parameters.get('PROTOCOL')}, not AXI4LITE"
        if widths.get("WSTRB", 0) * 8 != widths.get("WDATA"):
            yield f"{name}: WSTRB does not have a bit for each byte of WDATA"
    elif kind == "axis":
        expected = {"TDATA_NUM_BYTES": widths.get("TDATA", 0) // 8, "HAS_TLAST": int("TLAST" in signals)}
    else:
        return
    for parameter, value in expected.items():
        if parameters.get(parameter) != str(value):
            yield f"{name}: {parameter} is {parameters.get(parameter)}, but the ports have {value}"


def _kind(bus: Element) -> str:
    return _type(bus, "busType")["name"]


def _type(bus: Element, tag: str) -> dict[str, str]:
    """Return vendor, library, name and version of a bus or abstraction type; empty where there is none."""
    found = bus.find(f"{_NAME}{tag}")
    names = ("vendor", "library", "name", "version")
    return {name: "" if found is None else found.get(f"{_NAME}{name}", "") for name in names}


def _parameters(bus: Element) -> dict[str, str]:
    return {_of(entry, "name"): _of(entry, "value") for entry in bus.iter(f"{_NAME}parameter")}


def _clock_and_reset(root: Element) -> Iterator[str]:
    """Yield what is wrong with the association of the buses with the clock and the reset."""
    all_buses = list(root.iterfind(f"{_NAME}busInterfaces/{_NAME}busInterface"))
    clocks = [bus for bus in all_buses if _kind(bus) == "clock"]
    resets = [bus for bus in all_buses if _kind(bus) == "reset"]
    buses = [bus for bus in all_buses if bus not in (*clocks, *resets)]
    if len(clocks) != 1 or len(resets) != 1:
        yield f"there are {len(clocks)} clocks and {len(resets)} resets, not one of each"
        return
    clock, reset = _parameters(clocks[0]), _parameters(resets[0])
    associated = clock.get("ASSOCIATED_BUSIF", "").split(":")
    for bus in buses:
        if _of(bus, "name") not in associated:
            yield f"{_of(bus, 'name')}: is not in ASSOCIATED_BUSIF of the clock"
    for name in associated:
        if name not in [_of(bus, "name") for bus in buses]:
            yield f"ASSOCIATED_BUSIF of the clock names {name!r}, which is not a bus"
    port = next((_of(entry, "name") for entry in resets[0].iter(f"{_NAME}physicalPort")), "")
    if clock.get("ASSOCIATED_RESET") != port:
        yield f"ASSOCIATED_RESET of the clock is {clock.get('ASSOCIATED_RESET')}, not the reset's port {port}"
    polarity = "ACTIVE_LOW" if port.endswith("n") else "ACTIVE_HIGH"
    if reset.get("POLARITY") != polarity:
        yield f"{port}: POLARITY is {reset.get('POLARITY')}, not {polarity} as the port's name says"


def _registers(root: Element, words: Sequence[Word]) -> Iterator[str]:
    """Yield registers and fields that overlap, leave the address block, or differ from the register map."""
    expected = {word.name: word for word in words}
    taken: dict[int, str] = {}
    blocks = list(root.iter(f"{_NAME}addressBlock"))
    if len(blocks) != 1:
        yield f"there are {len(blocks)} address blocks, not one"
        return
    size = _number(_of(blocks[0], "range"))
    for register in blocks[0].iterfind(f"{_NAME}register"):
        name, offset = _of(register, "name"), _number(_of(register, "addressOffset"))
        if not 0 <= offset <= size - WORD_BITS // 8 or offset % (WORD_BITS // 8):
            yield f"{name}: address offset {offset:#x} is not that of a word in the block"
        if offset in taken:
            yield f"{name}: has the address of {taken[offset]}"
        taken[offset] = name
        word = expected.pop(name, None)
        if word is None:
            yield f"{name}: is not in the register map, or occurs twice"
            continue
        reset = register.find(f"{_NAME}reset/{_NAME}value")
        value = None if reset is None else _number(_text(reset))
        if offset != word.address:
            yield f"{name}: address offset is {offset:#x}, in the register map {word.address:#x}"
        if _of(register, "access") != word.access:
            yield f"{name}: access is {_of(register, 'access')}, in the register map {word.access}"
        if value != word.reset:
            yield f"{name}: value after a reset is {_shown(value)}, in the register map {_shown(word.reset)}"
        yield from _fields(register, word)
    for name in expected:
        yield f"{name}: is missing"


def _fields(register: Element, word: Word) -> Iterator[str]:
    used = 0
    found = {}
    for field in register.iterfind(f"{_NAME}field"):
        name = f"{word.name}.{_of(field, 'name')}"
        position, width = _number(_of(field, "bitOffset")), _number(_of(field, "bitWidth"))
        mask = ((1 << max(width, 0)) - 1) << max(position, 0)
        if mask >> WORD_BITS or not mask:
            yield f"{name}: bits {position} to {position + width - 1} are not in the register"
        if used & mask:
            yield f"{name}: overlaps another field"
        used |= mask
        clears = _of(field, "modifiedWriteValue") == "oneToClear"
        found[_of(field, "name")] = (position, width, _of(field, "access"), clears)
    expected = {f.name: (f.position, f.width, ACCESS[f.access], f.access is Access.W1C) for f in word.fields}
    for name in expected | found:
        if found.get(name) != expected.get(name):
            yield f"{word.name}.{name}: is not as in the register map"


def _shown(value: int | None) -> str:
    return "unknown" if value is None else f"{value:#x}"


def _ports(root: Element, ports: Sequence[Port]) -> Iterator[str]:
    found: dict[str, Port] = {}
    for element in root.iterfind(f"{_NAME}model/{_NAME}ports/{_NAME}port"):
        name, direction = _of(element, "name"), _of(element, f"wire/{_NAME}direction")
        if name in found:
            yield f"{name}: the port occurs twice"
        if direction not in ("in", "out"):
            yield f"{name}: direction is {direction}, not in or out"
        left, right = (_of(element, f"wire/{_NAME}vector/{_NAME}{side}") or "0" for side in ("left", "right"))
        if right != "0":
            yield f"{name}: the lowest bit is {right}, not 0"
        found[name] = Port(name, direction == "out", _number(left) + 1)
    for port in ports:
        if port.name not in found:
            yield f"{port.name}: the top's port is missing"
        elif found[port.name] != port:
            yield f"{port.name}: the port's direction or width is not the top's"
    for name in found:
        if name not in [port.name for port in ports]:
            yield f"{name}: is not a port of the top"


def _files(root: Element, files: Collection[str]) -> Iterator[str]:
    listed: set[str] = set()
    sets = {}
    for file_set in root.iterfind(f"{_NAME}fileSets/{_NAME}fileSet"):
        paths = [_of(file, "name") for file in file_set.iterfind(f"{_NAME}file")]
        sets[_of(file_set, "name")] = file_set
        listed |= set(paths)
        for path, count in Counter(paths).items():
            if count > 1:
                yield f"{path}: is listed {count} times in {_of(file_set, 'name')}"
        for file in file_set.iterfind(f"{_NAME}file"):
            include = _of(file, "isIncludeFile") == "true"
            if include != _of(file, "name").endswith(".svh"):
                yield f"{_of(file, 'name')}: isIncludeFile is {str(include).lower()}"
    for path in sorted(listed - set(files)):
        yield f"{path}: is listed, but is not there"
    for path in sorted(set(files) - listed):
        yield f"{path}: is in no file set"
    used = set()
    for view in root.iterfind(f"{_NAME}model/{_NAME}views/{_NAME}view"):
        name, model = _of(view, "name"), _of(view, "modelName")
        reference = _of(view, f"fileSetRef/{_NAME}localName")
        used.add(reference)
        if reference not in sets:
            yield f"view {name}: its file set {reference!r} does not exist"
        if model and model != MODULE:
            yield f"view {name}: its model is {model}, not the top {MODULE}"
    for name in ("synthesis", "simulation"):
        if not any(_of(view, "envIdentifier").endswith(f":{name}") for view in root.iter(f"{_NAME}view")):
            yield f"there is no view for {name}"
    for name in sets:
        if name not in used:
            yield f"file set {name}: no view refers to it"


def _tag(element: Element) -> str:
    return element.tag.removeprefix(_NAME)


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _of(parent: Element, path: str) -> str:
    """Return the text of a child of the standard; empty if there is none."""
    child = parent.find(f"{_NAME}{path}")
    return "" if child is None else _text(child)


def _where(element: Element) -> str:
    """Return an element's tag, with its name if it has one."""
    name = _of(element, "name")
    return f"{_tag(element)} {name}" if name else _tag(element)


def _number(text: str) -> int:
    """Return an integer in decimal or hexadecimal digits; -1 if the text is not one."""
    return int(text, 0) if re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", text) else -1
