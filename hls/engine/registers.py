# SPDX-License-Identifier: Apache-2.0
"""The AXI4-Lite register map as data for the RTL (through an include file), the bench, drivers and docs.

A register is a 32-bit word, or several consecutive words, made of fields. Bits outside all fields read as 0,
and writing them does nothing. A write changes the bytes whose strobes are set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

HEADER = "zynq_lstm_registers.svh"  # the include file of the RTL

WORD_BITS = 32
WORD_BYTES = 4

#: Value of the first register, by which software recognizes this engine on the bus ("ZLST").
ID = 0x5A4C5354
#: Version of this map. Software may rely on everything in an earlier map of the same major version.
MAJOR, MINOR = 1, 2
VERSION = MAJOR << 16 | MINOR


class Access(Enum):
    """Software's access to a field."""

    RO = "ro"  # read; writing a register without a writable field is answered with SLVERR
    RW = "rw"  # read and write
    WO = "wo"  # write; reads as 0
    W1C = "w1c"  # read; writing a one clears that bit


class Source(Enum):
    """Source of a field's value."""

    MAP = "map"  # constant, the same for all engines with this map: the reset value
    DESIGN = "design"  # constant of the network or the array, see hls.engine.design.Design.register_constants
    SOFTWARE = "software"  # the last value written
    HARDWARE = "hardware"  # changed by the hardware


class Counts(Enum):
    """Behaviour of a counter at its largest value."""

    NOT = ""
    WRAPS = "wraps"
    SATURATES = "saturates"


@dataclass(frozen=True)
class Field:
    """Neighbouring bits of a register.

    Args:
        name: unique in its register.
        position: position of the lowest bit.
        width: width in bits.
        access: access that software has.
        text: description.
        source: source of the value.
        reset: value after a reset; None if it depends on the design.
        counts: for counters, the behaviour at the largest value.
        pulse: writing a one acts once; nothing is stored.
        clears: names of the registers that are set to their reset values by writing a one.
        strobe: every write acts, even if it does not change the value.
        keeps: name of the register whose value is kept for its next read when this one is read.
        parity: the field exists only in engines with parity of the weight memory; in others it reads as 0.
    """

    name: str
    position: int
    width: int
    access: Access
    text: str
    source: Source = Source.HARDWARE
    reset: int | None = 0
    counts: Counts = Counts.NOT
    pulse: bool = False
    clears: tuple[str, ...] = ()
    strobe: bool = False
    keeps: str = ""
    parity: bool = False

    @property
    def mask(self) -> int:
        """Mask of the field in the register's word."""
        return ((1 << self.width) - 1) << self.position

    @property
    def bits(self) -> str:
        """The field's bits as the documentation writes them: ``[31:16]``, or ``[3]``."""
        high = self.position + self.width - 1
        return f"[{high}:{self.position}]" if self.width > 1 else f"[{high}]"


@dataclass(frozen=True)
class Register:
    """One word of the map, or several.

    Args:
        name: unique.
        address: byte address of the first word.
        text: description.
        fields: fields from the lowest bit up; for a register of several words, the fields of each word.
        words: number of words, at successive addresses; the first is the least significant.
        parity: the register exists only in engines with parity of the weight memory; others answer accesses
            with SLVERR.
    """

    name: str
    address: int
    text: str
    fields: tuple[Field, ...]
    words: int = 1
    parity: bool = False

    @property
    def writable(self) -> bool:
        """True if a write is accepted."""
        return any(field.access is not Access.RO for field in self.fields)

    @property
    def access(self) -> str:
        """Access of the fields, which is the same for all of them."""
        return self.fields[0].access.value

    @property
    def addresses(self) -> range:
        """Addresses of the register's words."""
        return range(self.address, self.address + WORD_BYTES * self.words, WORD_BYTES)

    def field(self, name: str) -> Field:
        """Return the field called ``name``.

        Raises:
            KeyError: if there is none; the message names the register's fields.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"{self.name} has {', '.join(f.name for f in self.fields)}, not {name}")


def _value(access: Access, text: str, **more: object) -> tuple[Field]:
    """Return the only field of a register that is one number of 32 bits."""
    return (Field("VALUE", 0, WORD_BITS, access, text, **more),)  # type: ignore[arg-type]


def _constant(name: str, position: int, width: int, text: str) -> Field:
    return Field(name, position, width, Access.RO, text, Source.DESIGN, None)


#: Registers that CONTROL.CLEAR_COUNTERS sets to 0.
COUNTERS = (
    "ERROR_COUNT",
    "CHARACTERS",
    "CYCLES_LOW",
    "CYCLES_HIGH",
    "REFUSED",
    "WAITS",
    "PARITY_ERRORS",
)

_RO, _RW, _WO, _W1C = Access
_MAP, _DESIGN, _SOFTWARE, _HARDWARE = Source
_COUNT = {"source": _HARDWARE, "counts": Counts.SATURATES}

REGISTERS = (
    Register("ID", 0x00, "identifies this engine", _value(_RO, '"ZLST"', source=_MAP, reset=ID)),
    Register(
        "VERSION",
        0x04,
        "version of this map",
        (
            Field("MINOR", 0, 16, _RO, "grows when something is added", _MAP, MINOR),
            Field("MAJOR", 16, 16, _RO, "grows when something is changed or removed", _MAP, MAJOR),
        ),
    ),
    Register(
        "CONTROL",
        0x08,
        "actions; reads as 0",
        (
            Field(
                "RESET_STATE",
                0,
                1,
                _WO,
                "h and c are zero for the next character from s_axis",
                _SOFTWARE,
                pulse=True,
            ),
            Field(
                "STOP",
                1,
                1,
                _WO,
                "generate: the current character is the last one (TLAST)",
                _SOFTWARE,
                pulse=True,
            ),
            Field(
                "CLEAR_COUNTERS",
                2,
                1,
                _WO,
                "restarts all counters of cycles, characters and errors from 0",
                _SOFTWARE,
                pulse=True,
                clears=COUNTERS,
            ),
        ),
    ),
    Register(
        "STATUS",
        0x0C,
        "state of the engine",
        (
            Field("BUSY", 0, 1, _RO, "a character is being processed, or output waits to be taken"),
            Field("GENERATING", 1, 1, _RO, "characters are being generated; s_axis waits"),
            Field("OPEN", 2, 1, _RO, "a sequence has begun, and its TLAST has not come"),
        ),
    ),
    Register(
        "MODE",
        0x10,
        "holds for sequences that start after the write",
        (
            Field("GENERATE", 0, 1, _RW, "0: score, 1: generate", _SOFTWARE),
            Field("AUTO_RESET", 1, 1, _RW, "every sequence starts from h = c = 0", _SOFTWARE),
        ),
    ),
    Register(
        "LENGTH",
        0x14,
        "generate: number of characters",
        _value(_RW, "with 0, the sequence only primes the state", source=_SOFTWARE),
    ),
    Register(
        "ERRORS",
        0x18,
        "errors since they were cleared",
        (
            Field("BAD_CODE", 0, 1, _W1C, "a code outside the vocabulary came in, and was taken as code 0"),
            Field("BAD_ACCESS", 1, 1, _W1C, "an access to these registers was answered with SLVERR"),
            Field(
                "INPUT_WAITED",
                2,
                1,
                _W1C,
                "a character was offered while others were generated; it waited, and is not lost",
            ),
            Field(
                "WEIGHT_PARITY",
                3,
                1,
                _W1C,
                "a word of weight memory was read with a flipped bit",
                parity=True,
            ),
        ),
    ),
    Register(
        "ERROR_COUNT", 0x1C, "number of bad codes", _value(_RO, "codes outside the vocabulary", **_COUNT)
    ),
    Register(
        "CHARACTERS",
        0x20,
        "number of characters",
        _value(_RO, "characters consumed, generated ones included", counts=Counts.WRAPS),
    ),
    Register(
        "CYCLES_LOW",
        0x24,
        "clock cycles in which BUSY was set, lower half",
        _value(_RO, "reading keeps CYCLES_HIGH for its next read", counts=Counts.WRAPS, keeps="CYCLES_HIGH"),
    ),
    Register(
        "CYCLES_HIGH",
        0x28,
        "clock cycles in which BUSY was set, upper half",
        _value(_RO, "value when CYCLES_LOW was read", counts=Counts.WRAPS),
    ),
    Register(
        "SHAPE",
        0x2C,
        "shape of the network",
        (
            _constant("VOCABULARY", 0, 12, "character codes"),
            _constant("UNITS", 12, 12, "units of layer 0"),
            _constant("LAYERS", 24, 8, "layers"),
        ),
    ),
    Register(
        "ARRAY",
        0x30,
        "shape of the multiply-accumulate array",
        (
            _constant("DEPTH", 0, 8, "inputs per cycle (chain depth)"),
            _constant("PACK", 8, 8, "products per DSP"),
            _constant("LANES", 16, 16, "multiply-accumulates per cycle"),
        ),
    ),
    Register(
        "SEED",
        0x34,
        "generate: seed of the random sequence",
        _value(
            _RW,
            "a write starts the random sequence of this seed, for characters chosen after the write",
            source=_SOFTWARE,
            strobe=True,
        ),
    ),
    Register(
        "TEMPERATURE",
        0x38,
        "generate: holds for characters whose logits come after the write",
        (Field("VALUE", 0, 12, _RW, "in 1/256; 0 chooses the likeliest character", _SOFTWARE),),
    ),
    Register(
        "REFUSED",
        0x3C,
        "accesses answered with SLVERR",
        (
            Field("READS", 0, 16, _RO, "reads", counts=Counts.SATURATES),
            Field("WRITES", 16, 16, _RO, "writes", counts=Counts.SATURATES),
        ),
    ),
    Register(
        "IDENTITY",
        0x40,
        "SHA-256 of the network, 8 words, least significant first",
        _value(_RO, "32 bits of the hash", source=_DESIGN, reset=None),
        words=8,
    ),
    Register(
        "WAITS",
        0x60,
        "number of generations that input waited for",
        (
            Field(
                "COUNT",
                0,
                16,
                _RO,
                "generations during which a character was offered",
                counts=Counts.SATURATES,
            ),
        ),
    ),
    Register(
        "PARITY_ERRORS",
        0x64,
        "number of parity errors",
        (
            Field(
                "COUNT",
                0,
                16,
                _RO,
                "cycles in which a word with a flipped bit was read",
                counts=Counts.SATURATES,
            ),
        ),
        parity=True,
    ),
)

BY_NAME = {register.name: register for register in REGISTERS}
BY_ADDRESS = {address: register for register in REGISTERS for address in register.addresses}


def address(name: str) -> int:
    """Return the address of a register's first word."""
    return BY_NAME[name].address


def bit(register: str, name: str) -> int:
    """Return the mask of a one-bit field."""
    field = BY_NAME[register].field(name)
    assert field.width == 1, f"{register}.{name} has {field.width} bits"
    return field.mask


def pack(register: str, values: Mapping[str, int]) -> int:
    """Return the word of a register from its fields' values; fields without a value are 0.

    Raises:
        KeyError: if the register does not have a field.
        ValueError: if a value does not fit its field.
    """
    word = 0
    for name, value in values.items():
        field = BY_NAME[register].field(name)
        if not 0 <= value < 1 << field.width:
            raise ValueError(f"{register}.{name} is 0 to {(1 << field.width) - 1}, not {value}")
        word |= value << field.position
    return word


def unpack(register: str, word: int) -> dict[str, int]:
    """Return field name -> value for the word of a register."""
    return {field.name: (word & field.mask) >> field.position for field in BY_NAME[register].fields}


def verilog_header() -> str:
    """Return the RTL's include file: word addresses, and position and width of fields below 32 bits."""
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        "// Generated from hls/engine/registers.py.",
        "// verilator lint_off UNUSEDPARAM  // no module needs all of them",
        f"localparam logic [31:0] ID = 32'h{ID:08X};",
        f"localparam logic [31:0] VERSION = 32'h{VERSION:08X};",
    ]
    for register in REGISTERS:
        lines.append(f"localparam logic [5:0] REG_{register.name} = 6'd{register.address // WORD_BYTES};")
        for field in register.fields:
            if field.width < WORD_BITS:
                lines.append(f"localparam int {register.name}_{field.name} = {field.position};")
                lines.append(f"localparam int {register.name}_{field.name}_BITS = {field.width};")
    return "\n".join([*lines, "// verilator lint_on UNUSEDPARAM"]) + "\n"


def markdown() -> str:
    """Return the register table of the docs."""
    rows = ["| address | register, field | bits | access | reset | meaning |", "|---|---|---|---|---|---|"]
    for register in REGISTERS:
        last = register.addresses[-1]
        where = f"0x{register.address:02X}" + (f" to 0x{last:02X}" if register.words > 1 else "")
        text = ("engines with parity: " if register.parity else "") + register.text
        if len(register.fields) == 1:
            field = register.fields[0]
            columns = f"{field.bits} | {register.access} | {_reset(field)} | {text}; {_meaning(field)}"
            rows.append(f"| {where} | `{register.name}` | {columns} |")
            continue
        rows.append(f"| {where} | `{register.name}` | | {register.access} | | {text} |")
        for field in register.fields:
            columns = f"{field.bits} | {field.access.value} | {_reset(field)} | {_meaning(field)}"
            rows.append(f"| | `{field.name}` | {columns} |")
    return "\n".join(rows) + "\n"


def _reset(field: Field) -> str:
    if field.reset is None:
        return "of the design"
    return f"0x{field.reset:X}" if field.reset > 9 else str(field.reset)


def _meaning(field: Field) -> str:
    text = ("engines with parity: " if field.parity else "") + field.text
    if field.counts is Counts.SATURATES:
        text += f", up to {(1 << field.width) - 1:,}"
    elif field.counts is Counts.WRAPS:
        text += "; wraps"
    return text
