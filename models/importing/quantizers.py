# SPDX-License-Identifier: Apache-2.0
"""The activations and quantizers of a third party's layers: their functions, roundings and formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.fixed import MAX_BITS, FixedFormat, Overflow, Rounding

MAX_EXACT_BITS = 16  # most bits of a weight format that is to hold another quantizer's values exactly

Reals = NDArray[np.float64]
Quantizer = Callable[[Reals], Reals]


def rounding_of(given: Any) -> Quantizer:
    """Return the rounding of ``quantized_tanh`` or ``quantized_sigmoid``: half to even, and clipped."""
    step, low = _step_and_low(given)

    def rounded(x: Reals) -> Reals:
        return np.clip(np.round(x / step) * step, low, 1.0 - step)

    return rounded


def grid_of(given: Any) -> Reals:
    """Return all values of ``quantized_tanh`` or ``quantized_sigmoid``."""
    step, low = _step_and_low(given)
    return np.arange(low / step, 1 / step) * step


def _step_and_low(given: Any) -> tuple[float, float]:
    """Return the step of ``quantized_tanh`` or ``quantized_sigmoid``, and its lowest value."""
    is_tanh = type(given).__name__ == "quantized_tanh"
    step = 2.0 ** -(int(given.bits) - is_tanh)
    return step, (-1.0 if is_tanh else 0.0) + step * bool(given.symmetric)


def on_reals(quantizer: Any) -> Quantizer:
    """Return one of their quantizers, which works in float32, as a function on float64."""

    def rounded(x: Reals) -> Reals:
        return np.asarray(quantizer(np.asarray(x, np.float32)), np.float64)

    return rounded


def fixed_format(quantizer: Any) -> FixedFormat | None:
    """Return the symmetric format of a ``quantized_bits`` without a scale; None for any other quantizer.

    QKeras doesn't count the sign bit among the integer bits.
    """
    if type(quantizer).__name__ != "quantized_bits" or quantizer.alpha not in (None, 1, 1.0):
        return None
    if not quantizer.keep_negative or not 2 <= quantizer.bits <= MAX_BITS:
        return None
    return FixedFormat(
        int(quantizer.bits),
        int(quantizer.integer) + 1,
        rounding=Rounding.AP_RND_CONV,
        overflow=Overflow.AP_SAT_SYM,
    )


def exact_format(values: NDArray[np.float32]) -> FixedFormat | None:
    """Return the narrowest symmetric format that holds ``values`` exactly, if there is one."""
    largest = float(np.abs(values).max())
    integer = 1 + int(np.floor(np.log2(largest))) + 1 if largest else 1
    for bits in range(2, MAX_EXACT_BITS + 1):
        fmt = FixedFormat(bits, integer, rounding=Rounding.AP_RND_CONV, overflow=Overflow.AP_SAT_SYM)
        if np.array_equal(fmt.to_real(fmt.quantize(values)), values):
            return fmt
    return None


def function_of(given: Any) -> tuple[str, int]:
    """Return the name of an activation in :data:`.FUNCTIONS`, and its bits; 0 if it is not rounded."""
    kind = type(given).__name__
    if kind == "quantized_tanh":
        return ("tanh" if given.use_real_tanh else "hard_tanh"), int(given.bits)
    if kind == "quantized_sigmoid":
        return ("sigmoid" if given.use_real_sigmoid else "qkeras_hard_sigmoid"), int(given.bits)
    name = str(given.__name__)
    if name == "hard_sigmoid" and given.__module__.startswith("qkeras"):
        name = "qkeras_hard_sigmoid"
    return name, 0


def name_of(given: Any) -> str:
    """Return a quantizer in QKeras' notation, or the name of a function."""
    return str(getattr(given, "__name__", given))
