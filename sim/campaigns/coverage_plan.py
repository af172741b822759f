# SPDX-License-Identifier: Apache-2.0
"""The coverage plan: every bin of functional coverage that the bench must hit, with its meaning.

The bench counts the hits (sim/bench/coverage.py), ``zynq-lstm cover`` merges them over tests and designs, and
the table in docs/verification.md is generated from this module.
"""

from __future__ import annotations

from dataclasses import dataclass

from zynq_lstm.hls.engine import registers
from zynq_lstm.sim.campaigns.coverage_cells import ENDS, TIES, value_bins

#: Activities of the engine in a cycle, for networks of two layers; several may go on at a time. Level 1 of a
#: cell has the gates whose recurrent product waits for a signal of the same step.
PHASES = (
    *("idle", "waiting", "W1", "U0", "Wy", "U1", "gates 0", "gates 1", "choice"),
    *("W1, level 1", "U0, level 1", "U1, level 1", "gates 0, level 1", "gates 1, level 1"),
)
MODES = ("score", "generate", "prime")
PRODUCTS = ("U0", "W1", "U1", "Wy")
SUMS = ("z of layer 0", "z of layer 1", "logits")
ACTIVITIES = ("idle", "scoring", "generating")


@dataclass(frozen=True)
class Point:
    """A coverage point: bins that belong together."""

    name: str
    meaning: str
    bins: tuple[str, ...]


def _cross(first: tuple[str, ...], second: tuple[str, ...], join: str = ", ") -> tuple[str, ...]:
    return tuple(f"{a}{join}{b}" for a in first for b in second)


_WRITABLE = tuple(r.name for r in registers.REGISTERS if r.writable)
# Engines of these designs have no parity; tests/hls/test_parity.py reads its register.
_READABLE = tuple(r.name for r in registers.REGISTERS if not r.parity)
_CONTROLS = tuple(field.name for field in registers.BY_NAME["CONTROL"].fields)

PLAN = (
    Point(
        "mode",
        "mode and AUTO_RESET when a sequence's first character is taken; prime is generate with LENGTH 0",
        _cross(MODES, ("state kept", "auto reset")),
    ),
    Point("mode transition", "modes of a sequence and of the one after it", _cross(MODES, MODES, " to ")),
    Point(
        "generation ends",
        "cause: length reached, or STOP",
        ("by LENGTH", "by STOP"),
    ),
    Point(
        "control",
        "a bit of CONTROL written, and the engine's activity",
        _cross(_CONTROLS, ACTIVITIES, " while "),
    ),
    Point(
        "write while busy",
        "a register for later characters, written while characters are under way",
        ("MODE", "LENGTH", "SEED", "TEMPERATURE"),
    ),
    Point(
        "reset",
        "rst_i set in a cycle in which the array issues a step of a product or waits, the gates of a layer "
        "write results, or a character is being chosen; level 1: of gates whose product waits for others",
        PHASES,
    ),
    Point("state reset", "RESET_STATE taken in a cycle as for reset", PHASES),
    Point(
        "stream back-pressure",
        "VALID without READY at a stream, in a mode; s_axis without a character within a sequence",
        ("m_axis, score", "m_axis, generate", "s_axis, score", "s_axis, generate", "s_axis starved"),
    ),
    Point(
        "internal back-pressure",
        "a stage that waits for the one before it or after it",
        (
            "array for room in the output buffer, score",
            "array for room in the output buffer, generate",
            "array for hidden states",
            "layer 0 for its sums of U",
            "layer 0 for the gates",
            "three characters under way",
        ),
    ),
    Point("output buffer", "words in it", ("empty", "one", "no room", "as many as ever")),
    Point(
        "AXI4-Lite back-pressure",
        "VALID without READY on each channel",
        ("AW", "W", "B", "AR", "R"),
    ),
    Point(
        "AXI4-Lite order",
        "address and data of a write; a read and a write answered in one cycle",
        ("address first", "data first", "together", "read beside write"),
    ),
    Point("byte strobes", "WSTRB of a write", ("none", "0 only", "1 only", "2 only", "3 only", "all")),
    Point("register read", "OKAY to a read", _READABLE),
    Point("register written", "OKAY to a write", _WRITABLE),
    Point(
        "error responses",
        "SLVERR",
        ("write to read-only", "write to unmapped", "read of unmapped"),
    ),
    Point(
        "bad codes",
        "codes outside the vocabulary, and the life of ERRORS and ERROR_COUNT",
        (
            "first code outside",
            "255",
            "while scoring",
            "while priming",
            "set",
            "cleared by 1",
            "kept by 0",
            "set again while set",
        ),
    ),
    Point(
        "counters",
        "at their ends (the bench sets them there), and cleared",
        (
            "CHARACTERS wraps",
            "ERROR_COUNT stays at its end",
            "CYCLES carries to its upper half",
            "CYCLES wraps",
            "cleared while counting",
        ),
    ),
    Point("sequence length", "characters up to TLAST", ("1", "2", "3 to 99", "100 or more")),
    Point(
        "generated length",
        "LENGTH at the TLAST of a sequence that generates",
        ("0", "1", "2", "3 to 99", "100 or more", "2^32 - 1"),
    ),
    Point("first and last code", "taken from s_axis, and chosen", _cross(("in", "out"), ("first", "last"))),
    Point(
        "temperature",
        "of a character that is chosen, and of two neighbours",
        ("0", "1 raw", "between", "largest", "0 to more", "more to 0"),
    ),
    Point("seed", "written", ("0", "2^32 - 1", "another")),
    Point(
        "noise",
        "octave (leading zeros of 24 random bits) and address in the noise table of a word that is used",
        ("octave 0", "octave 1 to 6", "octave 7", "octave 8 to 23", "octave 24", "first entry", "last entry"),
    ),
    Point("equal scores", "two best scores equal: the lower code wins", ("within a word", "in two words")),
    Point(
        "saturation",
        "a value beyond its format, cut off; z: the sums of a cell's gates",
        (*value_bins("saturation"), *_cross(("logits",), ENDS)),
    ),
    Point(
        "rounding",
        "a value exactly between two values of its format, by the sign of what is rounded",
        (*value_bins("rounding"), *_cross(("logits",), TIES)),
    ),
    Point(
        "tables",
        "entry of an activation table that is looked up for a signal",
        value_bins("tables"),
    ),
    Point(
        "accumulators",
        "a product's sum at an end of its proven range (IntegerNetwork), over all columns",
        _cross(PRODUCTS, ENDS),
    ),
    Point(
        "sums",
        "a whole sum (products and bias) at an end of its proven range",
        _cross(SUMS, ENDS),
    ),
)

BINS = tuple((point.name, name) for point in PLAN for name in point.bins)


def markdown() -> str:
    """Return the table for the docs."""
    rows = [f"{len(BINS)} bins.", "", "| point | hit by | bins |", "|---|---|---|"]
    for point in PLAN:
        lines: dict[str, list[str]] = {}  # a cell's bins on a line of their own
        for name in point.bins:
            lines.setdefault(name.partition(": ")[0] if ": " in name else "", []).append(name)
        rows.append(f"| {point.name} | {point.meaning} | {'<br>'.join(map('; '.join, lines.values()))} |")
    return "\n".join(rows) + "\n"
