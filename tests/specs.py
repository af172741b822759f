# SPDX-License-Identifier: Apache-2.0
"""Networks drawn far beyond what any one engine takes, for tests of each engine's limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from models.errors import UserError
from models.spec import CELLS, FUNCTIONS, PRESETS, DenseFormats, Layer, LstmFormats, NetworkSpec
from sim.fixed import FixedFormat, Overflow, Rounding

#: Widths and shapes at which limits lie, drawn more often than others.
EDGES = (1, 2, 8, 9, 14, 15, 16, 17)
UNITS = st.one_of(*[st.integers(1, 16)] * 8, st.sampled_from((1, 127, 128, 129, 512)))
VOCABULARIES = st.one_of(st.integers(2, 40), st.sampled_from((2, 3, 4, 5, 255, 256)))


@st.composite
def any_format(draw: st.DrawFn, like: FixedFormat) -> FixedFormat:
    """Any width and binary point; modes and sign of ``like``, or any."""
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
    """A format of the same kind as ``like``, of any width up to 16 bits."""
    bits = draw(st.one_of(st.integers(1, 16), st.sampled_from([n for n in EDGES if n <= 16])))
    rounding = like.rounding
    if rounding is not Rounding.AP_RND_CONV:
        rounding = draw(st.sampled_from((Rounding.AP_RND, Rounding.AP_TRN)))
    return dataclasses.replace(like, bits=bits, integer=draw(st.integers(-2, bits + 2)), rounding=rounding)


@st.composite
def _fields(draw: st.DrawFn, like: Any, wild: int) -> dict[str, Any]:
    """Every field of formats ``like`` these; about one in ``wild`` is anything at all, 0: none."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(like):
        old = getattr(like, field.name)
        if isinstance(old, str):
            found[field.name] = draw(st.sampled_from(sorted(FUNCTIONS)))
        elif wild and draw(st.integers(1, wild)) == wild:
            found[field.name] = draw(any_format(old))
        else:
            found[field.name] = draw(st.one_of(st.just(old), near_format(old)))
            if field.name in ("z", "ct"):  # or few would have tables that are small enough
                found[field.name] = dataclasses.replace(
                    found[field.name], bits=min(found[field.name].bits, 10)
                )
    return found


@st.composite
def specs(draw: st.DrawFn) -> NetworkSpec:
    """Any network that :class:`NetworkSpec` accepts: most of them near what the engines take."""
    lstm, dense = PRESETS[draw(st.sampled_from(sorted(PRESETS)))]
    wild = draw(st.sampled_from((0, 0, 12, 30)))
    cell = draw(st.sampled_from(("lstm",) * 9 + tuple(CELLS)))
    try:
        first: Mapping[str, Any] = draw(_fields(lstm, wild))
        layers = []
        for _ in range(draw(st.sampled_from((1, 1, 2, 2, 3, 4)))):
            own = draw(_fields(lstm, wild))
            shared = draw(st.integers(0, 9)) > 0  # all but weights as in the first layer
            layer = {n: own[n] if n in lstm.weights or not shared else first[n] for n in own}
            layers.append(Layer(draw(UNITS), _of_cell(LstmFormats(**layer), cell)))
        output = DenseFormats(**draw(_fields(dense, wild)))
        return NetworkSpec("drawn", draw(VOCABULARIES), tuple(layers), output)
    except (UserError, ValueError):  # a table too large, sums too wide: no network at all
        reject()


def _of_cell(lstm: LstmFormats, cell: str) -> Any:
    """These formats for another cell."""
    if cell == "lstm":
        return lstm
    cls: Any = CELLS[cell]
    spare = {"rb": lstm.b, "p": lstm.z, "n": lstm.g}
    return cls(**{name: spare.get(name) or lstm.format(name) for name in cls.format_names()})
