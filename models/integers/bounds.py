# SPDX-License-Identifier: Apache-2.0
"""The integers that a float type must hold for exact arithmetic: the proof that the float engines rely on.

A float type with p bits of mantissa holds every integer up to 2**p. If no value that a layer multiplies, adds
or rounds exceeds that, in units of the finest binary point involved, the order does not matter and the
result equals that of integer arithmetic.
"""

from __future__ import annotations

import math

import numpy as np

from zynq_lstm.models.cells.description import Sum, Term
from zynq_lstm.models.description.spec import CellFormats, NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.network import IntegerNetwork, h_range

#: Bits of mantissa by type name.
EXACT_BITS = {"float32": 24, "float64": 53}


def layer_bound(network: IntegerNetwork, index: int, *, offset: bool = False) -> int:
    """Largest integer that any product, sum or rounding of a layer meets.

    Args:
        offset: True if the lowest index of a table is subtracted from a sum before it is rounded.
    """
    return _layer_bound(network.spec, index, extent(network.accumulator_range(index)), offset)


def worst_layer_bound(spec: NetworkSpec, index: int) -> int:
    """The same with the worst weights that the formats hold, and the reference's own offset."""
    return _layer_bound(spec, index, worst_sums(spec, index), True)


def worst_sums(spec: NetworkSpec, index: int) -> int:
    """Return the largest magnitude of a partial sum of x.W + h.U + b, for the formats' worst weights."""
    layer, frac = spec.layers[index], spec.accumulator_frac(index)
    fmt = layer.formats
    if index:
        x = spec.inputs(index) * extent(h_range(spec.layers[index - 1].formats))
    else:
        x = 1  # one row of W
    recurrent = layer.units * extent(h_range(fmt)) * magnitude(fmt.U)
    return (
        (x * magnitude(fmt.W) << (frac - fmt.W.frac - spec.input_frac(index)))
        + (recurrent << (frac - fmt.U.frac - fmt.h.frac))
        + (magnitude(fmt.b) << (frac - fmt.b.frac))
    )


def _layer_bound(spec: NetworkSpec, index: int, sums: int, offset: bool) -> int:
    """:func:`layer_bound` for sums up to ``sums``."""
    fmt, frac = spec.layers[index].formats, spec.accumulator_frac(index)
    return max(_sum_bound(fmt, equation, sums, frac, offset) for equation in _sums(fmt))


def _sums(fmt: CellFormats) -> list[Sum]:
    return [equation for equation in fmt.description.equations if isinstance(equation, Sum)]


def _sum_bound(fmt: CellFormats, equation: Sum, sums: int, frac: int, offset: bool) -> int:
    """Largest integer that one of a cell's sums meets.

    Args:
        sums, frac: the largest sum of products with W and U, and its fraction bits.
        offset: as in :func:`layer_bound`.
    """
    result = fmt.format(equation.format)
    parts = []  # largest integer and fraction bits of each
    if _has_product(fmt, equation):
        lowest = -result.min_raw << max(0, frac - result.frac) if offset else 0
        parts.append((sums + lowest, frac))
    for term in _other_terms(fmt, equation):
        formats = [fmt.factor_format(factor) for factor in term.factors]
        parts.append((math.prod(map(magnitude, formats)), sum(one.frac for one in formats)))
    finest = max(frac for _, frac in parts)
    return _rounded(sum(part << (finest - frac) for part, frac in parts), finest, result)


def _has_product(fmt: CellFormats, equation: Sum) -> bool:
    return any(fmt.is_product(factor) for factor in equation.reads)


def _other_terms(fmt: CellFormats, equation: Sum) -> list[Term]:
    """The terms that are no sums of products with W or U."""
    return [term for term in equation.terms if not fmt.is_product(term.factors[0])]


def wide_sums(fmt: CellFormats) -> frozenset[str]:
    """Return the signals whose sums float32 might not hold exactly, however small the weights are.

    These are sums of products of signals that are wide by their formats, and sums that add anything to a
    product with W or U.
    """
    return frozenset(
        equation.signal
        for equation in _sums(fmt)
        if _other_terms(fmt, equation)
        and (
            _has_product(fmt, equation)
            or _sum_bound(fmt, equation, 0, 0, offset=False) > 1 << EXACT_BITS["float32"]
        )
    )


def keras_layer_bound(network: IntegerNetwork, index: int, *, margin: int = 1) -> int:
    """Largest integer that a layer's float type must hold in the Keras model.

    That model computes :func:`wide_sums` in float64, so only their results count.

    Args:
        margin: factor by which weights may still grow.
    """
    fmt, frac = network.spec.layers[index].formats, network.spec.accumulator_frac(index)
    sums, wide = margin * extent(network.accumulator_range(index)), wide_sums(fmt)
    return max(
        sums,
        *(
            magnitude(fmt.format(equation.format))
            if equation.signal in wide
            else _sum_bound(fmt, equation, sums, frac, offset=False)
            for equation in _sums(fmt)
        ),
    )


def output_bound(network: IntegerNetwork, *, margin: int = 1) -> int:
    """Return the largest integer in any product, sum or rounding of the output layer."""
    return _output_bound(network.spec, margin * extent(network.output_accumulator_range()))


def worst_output_bound(spec: NetworkSpec) -> int:
    """Return :func:`output_bound` for the worst weights that the formats hold."""
    out, last, frac = spec.output, spec.layers[-1], spec.output_accumulator_frac()
    products = last.units * extent(h_range(last.formats)) * magnitude(out.W)
    sums = products << (frac - out.W.frac - last.formats.h.frac)
    return _output_bound(spec, sums + (magnitude(out.b) << (frac - out.b.frac)))


def _output_bound(spec: NetworkSpec, sums: int) -> int:
    return _rounded(sums, spec.output_accumulator_frac(), spec.output.logits)


def exact_float(bound: int) -> type[np.float32] | type[np.float64]:
    """Return the cheapest float type in which every integer up to ``bound`` in magnitude is exact.

    Raises:
        UserError: there is no such type.
    """
    if bound <= 1 << EXACT_BITS["float32"]:
        return np.float32
    if bound <= 1 << EXACT_BITS["float64"]:
        return np.float64
    raise UserError(f"an accumulator reaches {bound}, beyond 2**53: no float type holds it exactly")


def magnitude(fmt: FixedFormat) -> int:
    """Return the largest magnitude of a raw value."""
    return extent((fmt.min_raw, fmt.max_raw))


def extent(bounds: tuple[int, int]) -> int:
    return max(-bounds[0], bounds[1])


def _rounded(bound: int, frac: int, result: FixedFormat) -> int:
    """Return the largest integer met when values up to ``bound`` are rounded to ``result``: half is added."""
    shift = frac - result.frac
    return bound + (1 << (shift - 1)) if shift > 0 else bound << -shift
