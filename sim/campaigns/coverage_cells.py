# SPDX-License-Identifier: Apache-2.0
"""The bins of the coverage plan that follow from the equations of a cell and from the formats of its designs.

Every sum can saturate at two ends and have ties of two signs; every look-up has four corners. A bin is
planned if one of the formats in :data:`FORMATS` makes it possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import LookUp, Sum
from zynq_lstm.models.description.formats import CellFormats, cell_formats_type
from zynq_lstm.models.description.spec import network_spec, with_formats
from zynq_lstm.models.fixed import FixedFormat, Rounding, shift_round

ENDS = ("lowest", "highest")
TIES = ("tie, positive", "tie, negative")
CORNERS = ("lowest argument", "highest argument", "first address", "last address")

#: Formats by field name; b is coarse enough for ties of z.
_NARROW = {
    "b": "ap_fixed<12,4,AP_RND_CONV,AP_SAT_SYM>",
    "z": "ap_fixed<9,1>",
    "p": "ap_fixed<9,0>",
    "gate": "ap_fixed<10,2>",
    "g": "ap_fixed<9,1>",
    "n": "ap_fixed<9,1>",
    "c": "ap_fixed<12,0>",  # it may lie between the state before and a candidate, and saturates if that does
    "ct": "ap_fixed<9,-1>",
    "h": "ap_fixed<7,-2>",
    "logits": "ap_fixed<10,2>",
}
#: Those of the LSTM, whose other designs have the ties.
_TRUNCATED = {
    "b": "ap_fixed<16,4,AP_RND_CONV,AP_SAT_SYM>",
    "z": "ap_fixed<9,4,AP_TRN>",
    "c": "ap_fixed<12,3,AP_TRN>",
    "ct": "ap_fixed<9,2,AP_TRN>",
    "h": "ap_fixed<7,0,AP_TRN>",
    "logits": "ap_fixed<10,2,AP_TRN>",
}
_OWN = {"lstm": _TRUNCATED, "rnn": {"z": "ap_fixed<8,2>", "h": "ap_fixed<7,1>"}}  # the latter is looked up


def narrow_formats(cell: str) -> dict[str, FixedFormat]:
    """Return formats of a cell's signals and of the logits, so narrow that every quantizer saturates."""
    legal = (*cell_formats_type(cell).format_names(), "logits")
    chosen = _NARROW | _OWN.get(cell, {})
    return {name: FixedFormat.parse(text) for name, text in chosen.items() if name in legal}


def _formats() -> Iterator[tuple[str, tuple[CellFormats, ...]]]:
    for name in catalogue.names():
        specs = [with_formats(network_spec(vocabulary=2, cell=name), narrow_formats(name))]
        if name == "lstm":
            specs += [network_spec(preset, vocabulary=2) for preset in ("w8a8", "q8.8")]
        yield name, tuple(spec.layers[0].formats for spec in specs)


#: Formats of the designs by cell; those of weights may differ.
FORMATS: Mapping[str, tuple[CellFormats, ...]] = dict(_formats())


def group(formats: CellFormats, signal: str) -> str:
    """Return the name of a sum's bins: the cell and the signal, or z for all gates."""
    of_gate = signal not in formats.signals  # its column is in the trace's z
    return f"{formats.cell}: {'z' if of_gate else signal}"


def tie(fmt: FixedFormat, frac: int) -> int:
    """Return half a last bit of a format, for values of so many fraction bits; 0 if nothing is rounded."""
    shift = frac - fmt.frac
    return 1 << shift - 1 if shift > 0 and fmt.rounding is not Rounding.AP_TRN else 0


def value_bins(point: str) -> tuple[str, ...]:
    """Return the bins of the point saturation, rounding or tables, for all cells."""
    found = []
    for of_cell in FORMATS.values():
        there = {bin_ for formats in of_cell for bin_ in possible(formats)}
        of_all = (bin_ for e in of_cell[0].description.equations for bin_ in _all(of_cell[0], e))
        found += [name for kind, name in dict.fromkeys(of_all) if kind == point and (kind, name) in there]
    return tuple(found)


def _all(formats: CellFormats, equation: Sum | LookUp) -> list[tuple[str, str]]:
    if isinstance(equation, LookUp):
        return [("tables", f"{formats.cell}: {equation.signal}, {corner}") for corner in CORNERS]
    name = group(formats, equation.signal)
    return [("saturation", f"{name}, {end}") for end in ENDS] + [
        ("rounding", f"{name}, {sign}") for sign in TIES
    ]


def possible(formats: CellFormats) -> set[tuple[str, str]]:
    """Return the bins that interval arithmetic does not exclude."""
    found = set()
    ranges: dict[str, tuple[int, int]] = {}  # of the signals, raw
    for e in formats.description.equations:
        bins, fmt = _all(formats, e), formats.format(e.format)
        if isinstance(e, LookUp):
            low, high = ranges[e.index]
            index = formats.format(formats.tables[e.table].index)
            wanted = (index.min_raw, index.max_raw, 0, -1)
            found |= {bin_ for bin_, raw in zip(bins, wanted, strict=True) if low <= raw <= high}
            table = formats.table(e.table)
            ranges[e.signal] = int(table.min()), int(table.max())
            continue
        ranges[e.signal] = fmt.min_raw, fmt.max_raw
        if any(formats.is_product(factor) for factor in e.reads):
            rounds = fmt.rounding is not Rounding.AP_TRN  # weights can take the sum anywhere
            found |= {bin_ for bin_ in bins if rounds or bin_[0] != "rounding"}
            continue
        low, high, frac = _interval(formats, e, ranges)
        shift = frac - fmt.frac
        ends = [int(shift_round(raw, shift, fmt.rounding)) for raw in (low, high)]
        saturates = ends[0] < fmt.min_raw, ends[1] > fmt.max_raw
        half = tie(fmt, frac)
        tied = (high >= half, low <= -half) if half else (False, False)
        found |= {bin_ for bin_, yes in zip(bins, saturates + tied, strict=True) if yes}
        ranges[e.signal] = max(ends[0], fmt.min_raw), min(ends[1], fmt.max_raw)
    return found


def _interval(
    formats: CellFormats, equation: Sum, ranges: Mapping[str, tuple[int, int]]
) -> tuple[int, int, int]:
    """Return bounds of an exact sum without products, and their fraction bits; of ``h'`` those of its format.

    Terms are taken as independent, which makes the bounds wider, never narrower.
    """
    low = high = 0
    fracs = [sum(formats.factor_format(f).frac for f in term.factors) for term in equation.terms]
    for term, frac in zip(equation.terms, fracs, strict=True):
        corners = [term.sign << max(fracs) - frac]
        for factor in term.factors:
            fmt = formats.factor_format(factor)
            ends = ranges.get(factor, (fmt.min_raw, fmt.max_raw))
            corners = [corner * end for corner in corners for end in ends]
        low, high = low + min(corners), high + max(corners)
    return low, high, max(fracs)
