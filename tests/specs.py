# SPDX-License-Identifier: Apache-2.0
"""Random networks far beyond the limits of any engine, for tests of each engine's limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from zynq_lstm.models.description.spec import (
    CELLS,
    FUNCTIONS,
    PRESETS,
    DenseFormats,
    Layer,
    LstmFormats,
    NetworkSpec,
)
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Overflow, Rounding

#: Widths and shapes at the limits, which are drawn more often than others.
EDGES = (1, 2, 8, 9, 14, 15, 16, 17)
UNITS = st.one_of(*[st.integers(1, 16)] * 8, st.sampled_from((1, 127, 128, 129, 512)))
VOCABULARIES = st.one_of(st.integers(2, 40), st.sampled_from((2, 3, 4, 5, 255, 256)))


@st.composite
def any_format(draw: st.DrawFn, like: FixedFormat) -> FixedFormat:
    """Draw any width and binary point, with the modes and sign of ``like``, or any."""
    bits = draw(st.one_of(st.integers(1, 24), st.sampled_from(EDGES), st.integers(1, 32)))
    integer = draw(st.integers(-4, bits + 4))
    keeps = draw(st.booleans())
    return FixedFormat(
        bits,
        integer,
        like.signed if keeps else draw(st.booleans()),
        like.rounding if keeps else draw(st.sampled_from(Rounding)),
        like.overflow if keeps else draw(st.sampled_from(Overflow)),
    )


@st.composite
def near_format(draw: st.DrawFn, like: FixedFormat) -> FixedFormat:
    """Draw a format of the same kind as ``like``, of any width up to 16 bits."""
    bits = draw(st.one_of(st.integers(1, 16), st.sampled_from([n for n in EDGES if n <= 16])))
    rounding = like.rounding
    if rounding is not Rounding.AP_RND_CONV:
        rounding = draw(st.sampled_from((Rounding.AP_RND, Rounding.AP_TRN)))
    return dataclasses.replace(like, bits=bits, integer=draw(st.integers(-2, bits + 2)), rounding=rounding)


@st.composite
def free_format(draw: st.DrawFn) -> FixedFormat:
    """Draw a signal's format of any sign and binary point, in modes that every engine but the RTL has."""
    bits = draw(st.one_of(st.integers(1, 16), st.sampled_from(EDGES)))
    return FixedFormat(
        bits,
        draw(st.one_of(st.integers(-4, bits + 4), st.integers(-1, 4))),
        draw(st.booleans()),
        draw(st.sampled_from((Rounding.AP_RND, Rounding.AP_TRN))),
        draw(st.sampled_from((Overflow.AP_SAT, Overflow.AP_SAT_SYM))),
    )


@st.composite
def _fields(draw: st.DrawFn, like: Any, wild: int, free: bool = False) -> dict[str, Any]:
    """Draw every field of formats ``like`` these.

    Args:
        wild: about every ``wild``-th format is drawn from all formats; none if 0.
        free: True if signals have a :func:`free_format`.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(like):
        old = getattr(like, field.name)
        if isinstance(old, str):
            found[field.name] = draw(st.sampled_from(sorted(FUNCTIONS)))
        elif wild and draw(st.integers(1, wild)) == wild:
            found[field.name] = draw(any_format(old))
        else:
            of_signal = free and field.name not in LstmFormats.weights
            fmt = draw(free_format() if of_signal else st.one_of(st.just(old), near_format(old)))
            if field.name in ("z", "ct"):  # otherwise few networks would have tables that are small enough
                fmt = dataclasses.replace(fmt, bits=min(fmt.bits, 10))
            found[field.name] = fmt
    return found


@st.composite
def specs(draw: st.DrawFn) -> NetworkSpec:
    """Draw any network that :class:`NetworkSpec` accepts; most are near the engines' limits."""
    wild = draw(st.sampled_from((0, 0, 12, 30)))
    cell = draw(st.sampled_from(("lstm",) * 9 + tuple(CELLS)))
    return draw(_specs(UNITS, VOCABULARIES, wild, cell))


def small_specs(free: bool) -> st.SearchStrategy[NetworkSpec]:
    """Draw LSTMs of a few units; with ``free``, each layer's signals have a :func:`free_format`."""
    return _specs(st.integers(1, 5), st.integers(2, 11), free=free)


@st.composite
def _specs(
    draw: st.DrawFn,
    units: st.SearchStrategy[int],
    vocabularies: st.SearchStrategy[int],
    wild: int = 0,
    cell: str = "lstm",
    free: bool = False,
) -> NetworkSpec:
    lstm, dense = PRESETS[draw(st.sampled_from(sorted(PRESETS)))]
    try:
        first: Mapping[str, Any] = draw(_fields(lstm, wild, free))
        layers = []
        for _ in range(draw(st.sampled_from((1, 1, 2, 2, 3, 4)))):
            own = draw(_fields(lstm, wild, free))
            shared = not free and draw(st.integers(0, 9)) > 0  # signals as in the first layer
            layer = {n: own[n] if n in lstm.weights or not shared else first[n] for n in own}
            layers.append(Layer(draw(units), _of_cell(LstmFormats(**layer), cell)))
        output = DenseFormats(**draw(_fields(dense, wild, free)))
        return NetworkSpec("drawn", draw(vocabularies), tuple(layers), output)
    except (UserError, ValueError):  # a table too large or sums too wide: not a network
        reject()


def _of_cell(lstm: LstmFormats, cell: str) -> Any:
    """Return these formats for another cell."""
    if cell == "lstm":
        return lstm
    cls: Any = CELLS[cell]
    like = {name: own.like for name, own in cls.description.formats.items()}
    return cls(**{name: lstm.format(like.get(name, name)) for name in cls.format_names()})
