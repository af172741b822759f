# SPDX-License-Identifier: Apache-2.0
"""The register map in the forms that tools and drivers read, from :mod:`zynq_lstm.hls.engine.registers`.

SystemRDL, IP-XACT and .hwh list the registers of one engine: those for parity only if the engine has parity,
and a register of several words word by word, since each word has its own value after a reset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.registers import Access, Counts, Field, Register, Source

#: Register -> its fields' values in each word, as Design.register_constants of the engine returns them.
Constants = Mapping[str, Sequence[Mapping[str, int]]]

C_HEADER, SYSTEMRDL, PYTHON = "zynq_lstm_registers.h", "zynq_lstm.rdl", "zynq_lstm_registers.py"
ADDRESS_BITS = 8  # decoded by axil_registers.sv
#: Range in an address map: Zynq maps pages of 4 KiB to the logic. The engine's 256 bytes repeat within.
RANGE = 4096
#: A field's access in the words of IP-XACT (IEEE 1685-2009, accessType) and of Vivado's .hwh files.
ACCESS = {
    Access.RO: "read-only",
    Access.RW: "read-write",
    Access.WO: "write-only",
    Access.W1C: "read-write",
}
_TITLE = "Registers of the zynq-lstm engine"


@dataclass(frozen=True)
class Word:
    """A 32-bit word of the map.

    Args:
        name: the register's name, with ``_0``, ``_1``, ... if it has several words.
        address: byte address.
        register: the register that it is a word of.
        fields: the fields that this engine has.
        reset: value after a reset; None if it depends on a design that is not given.
    """

    name: str
    address: int
    register: Register
    fields: tuple[Field, ...]
    reset: int | None

    @property
    def access(self) -> str:
        """Access of the word's fields, in the words of IP-XACT."""
        return ACCESS[self.fields[0].access]


def listed(parity: bool) -> list[Register]:
    """Return the registers of an engine with or without parity."""
    return [register for register in registers.REGISTERS if parity or not register.parity]


def words(parity: bool, constants: Constants | None = None) -> list[Word]:
    """Return every word of an engine's map, by address."""
    found = []
    for register in listed(parity):
        fields = _fields(register, parity)
        for k, address in enumerate(register.addresses):
            name = f"{register.name}_{k}" if register.words > 1 else register.name
            found.append(Word(name, address, register, fields, _reset(register, k, constants)))
    return found


def _fields(register: Register, parity: bool) -> tuple[Field, ...]:
    return tuple(field for field in register.fields if parity or not field.parity)


def _reset(register: Register, word: int, constants: Constants | None) -> int | None:
    """Return a word's value after a reset; None if it depends on a design that is not given."""
    if constants and register.name in constants:
        return registers.pack(register.name, constants[register.name][word])
    values = {field.name: field.reset for field in register.fields}
    known = {name: value for name, value in values.items() if value is not None}
    return registers.pack(register.name, known) if len(known) == len(values) else None


def of_field(field: Field, word: int) -> int:
    """Return a field's value in a word."""
    return (word & field.mask) >> field.position


def c_header() -> str:
    """Return the C header: addresses, positions and masks of fields, and values that every engine has.

    It is the same for all engines; registers and fields that only some of them have are marked.
    """
    guard = "ZYNQ_LSTM_REGISTERS_H"
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0",
        f" * {_TITLE}: byte addresses, and shift and mask of each field.",
        " * Generated from hls/engine/registers.py. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        f"#define ZYNQ_LSTM_RANGE 0x{RANGE:X}u /* bytes in the address map */",
        f"#define ZYNQ_LSTM_ID_VALUE 0x{registers.ID:08X}u /* of the register ID */",
        f"#define ZYNQ_LSTM_VERSION_VALUE 0x{registers.VERSION:08X}u /* of the register VERSION */",
    ]
    for register in registers.REGISTERS:
        only = "; only in engines with parity" if register.parity else ""
        lines += ["", f"/* {register.access}: {_comment(register.text)}{only} */"]
        lines.append(f"#define ZYNQ_LSTM_{register.name} 0x{register.address:02X}u")
        if register.words > 1:
            lines.append(f"#define ZYNQ_LSTM_{register.name}_WORDS {register.words}u")
        for field in register.fields:
            name = f"ZYNQ_LSTM_{register.name}_{field.name}"
            only = "; 0 in engines without parity" if field.parity else ""
            lines.append(f"#define {name}_SHIFT {field.position}u /* {_comment(field.text)}{only} */")
            lines.append(f"#define {name}_MASK 0x{field.mask:08X}u")
    return "\n".join([*lines, "", f"#endif /* {guard} */"]) + "\n"


def _comment(text: str) -> str:
    assert "*/" not in text
    return text


def python_constants(parity: bool, constants: Constants) -> str:
    """Return the Python module of an engine's registers, for drivers; it imports nothing.

    ``ADDRESSES`` maps registers to the byte address of their first word, ``FIELDS`` maps (register, field) to
    position and width, and ``IDENTITY`` is the network's SHA-256 in hexadecimal.
    """
    shown = listed(parity)
    identity = "".join(f"{word['VALUE']:08x}" for word in reversed(constants["IDENTITY"]))
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        f'"""{_TITLE}. Generated from hls/engine/registers.py."""',
        "",
        f"RANGE = 0x{RANGE:X}  # bytes in the address map",
        f"ID = 0x{registers.ID:08X}",
        f"MAJOR, MINOR = {registers.MAJOR}, {registers.MINOR}",
        f'IDENTITY = "{identity}"  # SHA-256 of the network',
    ]
    for constant in ("SHAPE", "ARRAY"):
        lines += [f"{name} = {value}" for name, value in constants[constant][0].items()]
    lines += ["", "ADDRESSES = {", *(f'    "{r.name}": 0x{r.address:02X},' for r in shown), "}"]
    lines += ["", "FIELDS = {  # position of the lowest bit, and width"]
    for register in shown:
        for field in _fields(register, parity):
            lines.append(f'    ("{register.name}", "{field.name}"): ({field.position}, {field.width}),')
    return "\n".join([*lines, "}"]) + "\n"


def systemrdl(parity: bool, constants: Constants) -> str:
    """Return the map of an engine in SystemRDL 2.0 (Accellera).

    Counters that wrap are ``counter``; those that stop at their largest value are ``incrsaturate``, too.
    ``swmod`` marks a field of which every write acts, ``swacc`` one whose read keeps the value of another.
    """
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        "// Generated from hls/engine/registers.py.",
        "addrmap zynq_lstm {",
        f"  name = {_quoted(_TITLE)};",
        f"  default regwidth = {registers.WORD_BITS};",
        f"  default accesswidth = {registers.WORD_BITS};",
    ]
    for word in words(parity, constants):
        lines += ["  reg {", f"    desc = {_quoted(word.register.text)};"]
        for field in word.fields:
            lines.append("    field {")
            lines += [f"      {text};" for text in _properties(field)]
            high = field.position + field.width - 1
            assert word.reset is not None
            value = f"0x{of_field(field, word.reset):X}"
            lines.append(f"    }} {field.name}[{high}:{field.position}] = {value};")
        lines.append(f"  }} {word.name} @ 0x{word.address:02X};")
    return "\n".join([*lines, "};"]) + "\n"


def _properties(field: Field) -> Iterator[str]:
    """Yield SystemRDL's assignments for a field."""
    yield f"desc = {_quoted(field.text)}"
    software = {Access.RO: "r", Access.RW: "rw", Access.WO: "w", Access.W1C: "rw"}[field.access]
    yield f"sw = {software}"
    if field.counts is not Counts.NOT:
        yield "hw = r"
        yield "counter"
        if field.counts is Counts.SATURATES:
            yield "incrsaturate"
    else:
        yield f"hw = {'w' if field.source is Source.HARDWARE else 'r'}"
    if field.access is Access.W1C:
        yield "onwrite = woclr"
    if field.pulse:
        yield "singlepulse"
    if field.strobe:
        yield "swmod"
    if field.keeps:
        yield "swacc"


def _quoted(text: str) -> str:
    """Return a string of SystemRDL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def hwh_registers(parity: bool, constants: Constants) -> str:
    """Return the element REGISTERS of an address block in Vivado's hardware handoff file (.hwh).

    The parser of PYNQ 3 reads a register's ADDRESS_OFFSET, SIZE, ACCESS and DESCRIPTION, and a field's
    BIT_OFFSET, BIT_WIDTH, ACCESS and DESCRIPTION from it (pynq/pl_server/hwh_parser.py).
    """
    lines = ["<REGISTERS>"]
    for word in words(parity, constants):
        lines.append(f"  <REGISTER NAME={quoteattr(word.name)}>")
        lines += _hwh_properties(
            "    ",
            DESCRIPTION=word.register.text,
            ADDRESS_OFFSET=f"0x{word.address:02X}",
            SIZE=registers.WORD_BITS,
            ACCESS=word.access,
            RESET_VALUE=f"0x{word.reset or 0:X}",
        )
        lines.append("    <FIELDS>")
        for field in word.fields:
            lines.append(f"      <FIELD NAME={quoteattr(field.name)}>")
            lines += _hwh_properties(
                "        ",
                DESCRIPTION=field.text,
                ACCESS=ACCESS[field.access],
                BIT_OFFSET=field.position,
                BIT_WIDTH=field.width,
            )
            lines.append("      </FIELD>")
        lines += ["    </FIELDS>", "  </REGISTER>"]
    return "\n".join([*lines, "</REGISTERS>"]) + "\n"


def _hwh_properties(indent: str, **properties: object) -> Iterator[str]:
    for name, value in properties.items():
        yield f"{indent}<PROPERTY NAME={quoteattr(name)} VALUE={quoteattr(str(value))}/>"
