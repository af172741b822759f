# SPDX-License-Identifier: Apache-2.0
"""The AXI4-Lite register map: RTL (through the include file), bench, driver and docs read it here."""

from __future__ import annotations

from dataclasses import dataclass

#: First register: tells this engine from anything else on the bus ("ZLST").
ID = 0x5A4C5354
#: Version of this map, major in the upper half.
VERSION = 0x0001_0002


#: The register that only engines with parity of the weight memory have.
PARITY_ERRORS = "PARITY_ERRORS"


@dataclass(frozen=True)
class Register:
    name: str
    address: int  # in bytes
    access: str  # RO, RW, W1S (write one to act), W1C (write one to clear)
    text: str
    bits: tuple[tuple[str, int, str], ...] = ()  # name, position, meaning


REGISTERS = (
    Register("ID", 0x00, "RO", "0x5A4C5354"),
    Register("VERSION", 0x04, "RO", "version of this map, major in the upper 16 bits"),
    Register(
        "CONTROL",
        0x08,
        "W1S",
        "actions; reads as 0",
        (
            ("RESET_STATE", 0, "h and c are zero for the next character from s_axis"),
            ("STOP", 1, "generate: the character under way is the last one (TLAST)"),
            ("CLEAR_COUNTERS", 2, "all that counts cycles, characters and errors starts again from 0"),
        ),
    ),
    Register(
        "STATUS",
        0x0C,
        "RO",
        "what the engine does",
        (
            ("BUSY", 0, "a character is being worked on, or output waits to be taken"),
            ("GENERATING", 1, "characters are being generated; s_axis waits"),
            ("OPEN", 2, "a sequence has begun, and its TLAST has not come"),
        ),
    ),
    Register(
        "MODE",
        0x10,
        "RW",
        "holds for sequences that start after the write",
        (
            ("GENERATE", 0, "0: score, 1: generate"),
            ("AUTO_RESET", 1, "every sequence starts from h = c = 0"),
        ),
    ),
    Register("LENGTH", 0x14, "RW", "generate: number of characters; 0 primes only"),
    Register(
        "ERRORS",
        0x18,
        "W1C",
        "what went wrong",
        (
            ("BAD_CODE", 0, "a code outside the vocabulary came in, and was taken as code 0"),
            ("BAD_ACCESS", 1, "an access to these registers was answered with SLVERR"),
            (
                "INPUT_WAITED",
                2,
                "a character was offered while others were generated; it waited, and is not lost",
            ),
            ("WEIGHT_PARITY", 3, "engines with parity: a word of weight memory was read with a bit flipped"),
        ),
    ),
    Register("ERROR_COUNT", 0x1C, "RO", "codes outside the vocabulary, up to 2^32 - 1"),
    Register("CHARACTERS", 0x20, "RO", "characters consumed, generated ones included"),
    Register(
        "CYCLES_LOW", 0x24, "RO", "clock cycles in which BUSY was set; keeps CYCLES_HIGH for the next read"
    ),
    Register("CYCLES_HIGH", 0x28, "RO", "upper half"),
    Register("SHAPE", 0x2C, "RO", "layers [31:24], units of layer 0 [23:12], vocabulary [11:0]"),
    Register(
        "ARRAY", 0x30, "RO", "multiply-accumulates a cycle [31:16], products a DSP [15:8], chain depth [7:0]"
    ),
    Register(
        "SEED",
        0x34,
        "RW",
        "generate: a write starts the random sequence of this seed, for characters chosen from now on",
    ),
    Register(
        "TEMPERATURE",
        0x38,
        "RW",
        "generate: temperature in 1/256 [11:0], 0 takes the likeliest character; "
        "holds for characters whose logits come after the write",
    ),
    Register(
        "REFUSED",
        0x3C,
        "RO",
        "accesses answered with SLVERR: writes [31:16], reads [15:0], each up to 65,535",
    ),
    Register("IDENTITY", 0x40, "RO", "SHA-256 of the network, 8 words, least significant first"),
    Register("WAITS", 0x60, "RO", "generations during which a character was offered, up to 65,535"),
    Register(
        PARITY_ERRORS,
        0x64,
        "RO",
        "engines with parity: cycles in which a word with a bit flipped was read, up to 65,535",
    ),
)

BY_NAME = {register.name: register for register in REGISTERS}


def address(name: str) -> int:
    return BY_NAME[name].address


def bit(register: str, name: str) -> int:
    """Mask of a named bit."""
    return next(1 << at for bit_name, at, _ in BY_NAME[register].bits if bit_name == name)


def verilog_header() -> str:
    """The include file for axil_registers.sv: word addresses and bit positions as local parameters."""
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        "// Generated from hls/registers.py.",
        f"localparam logic [31:0] ID = 32'h{ID:08X};",
        f"localparam logic [31:0] VERSION = 32'h{VERSION:08X};",
    ]
    for register in REGISTERS:
        lines.append(f"localparam logic [5:0] REG_{register.name} = 6'd{register.address // 4};")
        for name, at, _ in register.bits:
            if "W" in register.access:
                lines.append(f"localparam int {register.name}_{name} = {at};")
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """The table of the docs."""
    rows = ["| address | register | access | meaning |", "|---|---|---|---|"]
    for register in REGISTERS:
        bits = "".join(f"<br>bit {at} `{name}`: {text}" for name, at, text in register.bits)
        rows.append(
            f"| 0x{register.address:02X} | `{register.name}` | {register.access} | {register.text}{bits} |"
        )
    return "\n".join(rows) + "\n"
