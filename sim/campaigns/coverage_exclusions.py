# SPDX-License-Identifier: Apache-2.0
"""The lines and signals that the RTL's code coverage leaves out, each with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Exclusion:
    """Points that code coverage leaves out.

    Args:
        kind: line or toggle.
        file: source file.
        what: regular expression for Verilator's whole name of the point, such as ``data_q[3]:0->1``.
        why: reason for leaving them out.
    """

    kind: str
    file: str
    what: str
    why: str

    def matches(self, kind: str, file: str, what: str) -> bool:
        return (kind, file) == (self.kind, self.file) and re.fullmatch(self.what, what) is not None


EXCLUSIONS = (
    Exclusion("toggle", "lut_rom.sv", r"memory\[.*", "content of a read-only memory, loaded once"),
    Exclusion("toggle", "round_saturate.sv", r"half\[.*", "a constant, of the parameters SHIFT and HALF"),
    Exclusion(
        "toggle",
        "xorshift128.sv",
        r"(gen_word\[\d\]\.(word|left)|w)\[(3[2-9]|[45]\d)\].*",
        "zeros after the 32 bits of a word, so that shifts can be written as indices",
    ),
    Exclusion(
        "toggle",
        "xorshift128.sv",
        r"gen_word\[\d\]\.left\[(\d|10)\].*",
        "zeros that the shift to the left by 11 brings in",
    ),
    Exclusion(
        "toggle",
        "network_gates.sv",
        r"p0_(row_base|beat_base)\[.*",
        "picked by layer from constants that number the rows and units of small designs",
    ),
    Exclusion(
        "toggle",
        "network_gates.sv",
        r"p0_place_q\[([4-9]|1\d)\].*",
        "a unit's place in its layer, 16 bits for 512 units; layers of these designs have 10",
    ),
    Exclusion(
        "toggle",
        "lut_ram.sv",
        r"memory\[(1[3-5]|2[6-9]|3[01])\].*",
        "rows that no unit has: the depth is the next power of two",
    ),
    *(
        Exclusion("toggle", file, r"s_axil_[br]resp\[0\].*", "always 0: OKAY is 00, SLVERR is 10")
        for file in ("axil_registers.sv", "network_engine.sv", "zynq_lstm.sv")
    ),
    Exclusion(
        "toggle",
        "character_choice.sv",
        r"gen_score\[\d\]\.temperature_4_q\[12\].*",
        "the sign of an unsigned number, written down for the signed multiplier",
    ),
)
