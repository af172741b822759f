# SPDX-License-Identifier: Apache-2.0
"""The files of the packaged IP. Nothing is written here; equal designs give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import PurePosixPath

from zynq_lstm.hls.board import checks, ipxact, register_map, top
from zynq_lstm.hls.board.embedded import MEMORY, embedded
from zynq_lstm.hls.board.register_map import Word
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import PROJECT_FILE, generate
from zynq_lstm.hls.parts import full_part
from zynq_lstm.models.errors import CheckError

SOURCES, SOFTWARE = "src", "software"
SCRIPT, SETTINGS = "package_ip.tcl", "package_settings.tcl"


def packaged(design: Design, part: str, embed: bool = False) -> dict[str, str]:
    """Return the IP (path -> content): component.xml and what it lists, and the registers for drivers.

    Args:
        part: device for ``package_ip.tcl``; the IP itself is for all Zynq-7000 devices.
        embed: memories hold constants; otherwise they read files.

    Raises:
        UserError: for an unknown part.
        CheckError: if component.xml contradicts the files or the register map.
    """
    project = generate(design)
    description = project.pop(PROJECT_FILE)
    identity = design.network.identity
    engine = top.engine_ports(project)
    if embed:
        project = embedded(project)
    project[f"{top.MODULE}.v"] = top.verilog(engine, identity)
    files = {f"{SOURCES}/{name}": text for name, text in project.items()}
    parity, constants = design.array.parity, design.register_constants()
    words = register_map.words(parity, constants)
    own = top.ports(engine)
    files[ipxact.gui_file()] = _GUI
    listed = sorted(files, key=_order)
    sources = [path for path in listed if path.startswith(f"{SOURCES}/")]
    known = top.interfaces(own)
    files[ipxact.FILE] = ipxact.component(own, known, words, sources, identity)
    if found := checks.faults(files[ipxact.FILE], listed, own, words):
        raise CheckError(f"{ipxact.FILE}: {found[0]}")
    files[PROJECT_FILE] = description
    files[SCRIPT] = (resources.files("zynq_lstm.hls") / "board" / SCRIPT).read_text(encoding="utf-8")
    files[SETTINGS] = _settings(words, known, part)
    files[f"{SOFTWARE}/{register_map.C_HEADER}"] = register_map.c_header()
    files[f"{SOFTWARE}/{register_map.SYSTEMRDL}"] = register_map.systemrdl(parity, constants)
    files[f"{SOFTWARE}/{register_map.PYTHON}"] = register_map.python_constants(parity, constants)
    return files


def _order(path: str) -> tuple[int, str]:
    """Order of reading: include files, memories, sources, and the top last."""
    return (".svh", MEMORY, ".sv", ".v", ".tcl").index(PurePosixPath(path).suffix), path


_GUI = """# SPDX-License-Identifier: Apache-2.0
# The IP's dialog: a name only, since the engine is generated for one network.
proc init_gui { IPINST } {
  ipgui::add_param $IPINST -name "Component_Name"
}
"""


def _settings(words: Sequence[Word], known: Sequence[top.Interface], part: str) -> str:
    """Return the variables of package_ip.tcl."""
    values: Mapping[str, str] = {
        "part": full_part(part),
        "top": top.MODULE,
        "vendor": ipxact.VENDOR,
        "library": ipxact.LIBRARY,
        "name": ipxact.NAME,
        "version": ipxact.VERSION,
        "title": _tcl(ipxact.TITLE),
        "interfaces": _tcl(*(interface.name for interface in known)),
        "memory_map": ipxact.MEMORY_MAP,
        "block": ipxact.BLOCK,
        "range": str(register_map.RANGE),
    }
    lines = ["# SPDX-License-Identifier: Apache-2.0"]
    lines += [f"set {name} {value}" for name, value in values.items()]
    lines.append("# name, offset, access, value after a reset, description, fields")
    lines.append("# a field: name, lowest bit, width, access")
    lines.append("set registers {")
    for word in words:
        fields = [
            _tcl(field.name, field.position, field.width, register_map.ACCESS[field.access])
            for field in word.fields
        ]
        head = f"{word.name} 0x{word.address:X} {word.access} 0x{word.reset or 0:X}"
        lines.append(f"    {{{head} {_tcl(word.register.text)} {{{' '.join(fields)}}}}}")
    return "\n".join([*lines, "}"]) + "\n"


def _tcl(*words: object) -> str:
    """Return a Tcl list in braces."""
    text = " ".join(map(str, words))
    assert not set(text) & set("{}\\"), f"{text} needs quoting in Tcl"
    return f"{{{text}}}"
