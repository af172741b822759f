# SPDX-License-Identifier: Apache-2.0
"""Fixed-point formats as QKeras quantizers, with straight-through gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.limits import signal_fault, weight_fault
from zynq_lstm.models.keras.float_lstm import PACKAGE, tf
from zynq_lstm.models.keras.quiet import import_qkeras

import_qkeras()
import keras  # noqa: E402  (after TensorFlow's messages are out of the way)
from qkeras.base_quantizer import BaseQuantizer  # noqa: E402
from qkeras.quantizers import quantized_bits  # noqa: E402


@keras.saving.register_keras_serializable(package=PACKAGE)
class fixed(BaseQuantizer):  # lower case, as QKeras names its quantizers
    """QKeras quantizer for signals: a fixed-point format with the hardware's rounding.

    QKeras' own quantizers round ties to even; a hardware rounder adds half and drops bits, so ties
    go up (AP_RND).

    Args:
        format: a :class:`FixedFormat` or its text, such as ``ap_fixed<8,1>``.
    """

    def __init__(self, format: FixedFormat | str) -> None:
        super().__init__()
        self.format = FixedFormat.parse(format) if isinstance(format, str) else format
        if fault := signal_fault(self.format):
            raise UserError(fault)

    def raw(self, x: Any) -> Any:
        """Return raw integers as floats, without a gradient."""
        scaled = tf.floor(x * 2.0**self.format.frac + self.format.half)
        return tf.clip_by_value(scaled, float(self.format.min_raw), float(self.format.max_raw))

    def __call__(self, x: Any) -> Any:
        """Return ``x`` rounded to the format; the gradient passes unless the value saturates."""
        fmt = self.format

        @tf.custom_gradient
        def quantize(value: Any) -> Any:
            def gradient(upstream: Any) -> Any:
                low, high = (float(v) for v in fmt.to_real([fmt.min_raw, fmt.max_raw]))
                inside = (value >= low) & (value <= high)
                return tf.where(inside, upstream, tf.zeros_like(upstream))

            return self.raw(value) * fmt.lsb, gradient

        return quantize(tf.convert_to_tensor(x))

    def __str__(self) -> str:
        return f"fixed({self.format})"

    def max(self) -> float:
        return float(self.format.to_real(self.format.max_raw))

    def min(self) -> float:
        return float(self.format.to_real(self.format.min_raw))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> fixed:
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        return {"format": str(self.format)}


def weight_quantizer(fmt: FixedFormat) -> quantized_bits:
    """Return the QKeras quantizer whose values are those of a symmetric weight format.

    Raises:
        UserError: QKeras has no quantizer for the format; see :func:`weight_fault`.
    """
    if fault := weight_fault(fmt):
        raise UserError(fault)
    # QKeras doesn't count the sign bit among the integer bits. alpha=1.0: no scale besides 2**k.
    return quantized_bits(fmt.bits, fmt.integer - 1, symmetric=1, keep_negative=True, alpha=1.0)


def quantize_weight(quantizer: quantized_bits, fmt: FixedFormat, weight: Any) -> Any:
    """Return ``quantizer(weight)``, exactly on the grid.

    QKeras returns ``x + (xq - x)`` to pass the gradient. In floating point this can miss xq by a rounding
    error, which grows with the distance of x from the format's range. So x is clipped before, and the
    result is rounded to the grid after; the gradient passes both.
    """
    bound = float(fmt.to_real(fmt.max_raw))

    @tf.custom_gradient
    def snap(value: Any) -> Any:
        return tf.round(value * 2.0**fmt.frac) * fmt.lsb, lambda upstream: upstream

    @tf.custom_gradient
    def clip(value: Any) -> Any:
        return tf.clip_by_value(value, -bound, bound), lambda upstream: upstream

    return snap(quantizer(clip(tf.convert_to_tensor(weight))))


def raw_weights(value: Any, fmt: FixedFormat) -> NDArray[np.int64]:
    """Return the raw integers of values that are on a format's grid."""
    raw = np.asarray(value, np.float64) * 2.0**fmt.frac
    integers = raw.astype(np.int64)
    assert np.array_equal(integers, raw), f"a weight is off the grid of {fmt}"
    return integers
