# SPDX-License-Identifier: Apache-2.0
"""The integers that a float type must hold for exact arithmetic: the proof that the float engines rely on.

A float type with p bits of mantissa holds every integer up to 2**p. If no value that a layer multiplies, adds
or rounds exceeds that, in units of the finest binary point involved, the order does not matter and the
result equals that of integer arithmetic.
"""

from __future__ import annotations

import numpy as np

from zynq_lstm.models.description.spec import GruFormats, NetworkSpec, RnnFormats
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.network import IntegerNetwork, h_range

#: Bits of mantissa by type name.
EXACT_BITS = {"float32": 24, "float64": 53}


def layer_bound(network: IntegerNetwork, index: int, *, margin: int = 1, offset: int = 0) -> int:
    """Return the largest integer in any product, sum or rounding of a layer.

    Args:
        margin: factor by which weights may still grow.
        offset: raw z that is added to the sum before the sum is rounded.
    """
    return _layer_bound(network.spec, index, margin * extent(network.accumulator_range(index)), offset)


def worst_layer_bound(spec: NetworkSpec, index: int) -> int:
    """Return :func:`layer_bound` for the worst weights that the formats hold, with the reference's offset."""
    return _layer_bound(spec, index, worst_sums(spec, index), -spec.layers[index].formats.z.min_raw)


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


def _layer_bound(spec: NetworkSpec, index: int, sums: int, offset: int) -> int:
    """Return :func:`layer_bound` for sums up to ``sums``."""
    fmt = spec.layers[index].formats
    frac = spec.accumulator_frac(index)
    sums += offset << max(0, frac - fmt.z.frac)
    if isinstance(fmt, RnnFormats):
        return _rounded(sums, frac, fmt.z)
    if isinstance(fmt, GruFormats):
        return _gru_bound(fmt, sums, frac)
    update_frac = fmt.gate.frac + max(fmt.c.frac, fmt.g.frac)
    update = magnitude(fmt.gate) * (
        (magnitude(fmt.c) << (update_frac - fmt.gate.frac - fmt.c.frac))
        + (magnitude(fmt.g) << (update_frac - fmt.gate.frac - fmt.g.frac))
    )
    return max(
        _rounded(sums, frac, fmt.z),
        _rounded(update, update_frac, fmt.c),
        _rounded(magnitude(fmt.c), fmt.c.frac, fmt.ct),
        _rounded(magnitude(fmt.gate) * magnitude(fmt.tc), fmt.gate.frac + fmt.tc.frac, fmt.h),
    )


def _gru_bound(fmt: GruFormats, sums: int, frac: int) -> int:
    """Return the bound of a GRU, given that of x.W + h.U + b at ``frac`` fraction bits for all columns."""
    # The candidate's sums: h.U + rb is rounded to p; then x.W + b + r p. ``sums`` covers their matrices.
    finest = max(frac, fmt.rb.frac, fmt.gate.frac + fmt.p.frac)
    sums <<= finest - frac
    recurrent = sums + (magnitude(fmt.rb) << (finest - fmt.rb.frac))
    candidate = sums + (magnitude(fmt.gate) * magnitude(fmt.p) << (finest - fmt.gate.frac - fmt.p.frac))
    # u c + (1 - u) n, in units in which 1 - u is an integer, too.
    gate_frac = max(fmt.gate.frac, 0)
    low, high = (raw << (gate_frac - fmt.gate.frac) for raw in (fmt.gate.min_raw, fmt.gate.max_raw))
    one = 1 << gate_frac
    state_frac = max(fmt.c.frac, fmt.n.frac)
    update_frac = gate_frac + state_frac
    update = extent((low, high)) * (magnitude(fmt.c) << (state_frac - fmt.c.frac)) + max(
        one - low, high - one
    ) * (magnitude(fmt.n) << (state_frac - fmt.n.frac))
    return max(
        _rounded(recurrent, finest, fmt.p),
        _rounded(candidate, finest, fmt.z),
        _rounded(update, update_frac, fmt.c),
        _rounded(magnitude(fmt.c), fmt.c.frac, fmt.h),
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
