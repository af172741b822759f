# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of one time step of a quantized LSTM layer, and its gradient.

:mod:`zynq_lstm.models.keras.quantized` describes exactness and gradients.

Shapes: T steps, B streams, H units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zynq_lstm.models.description.spec import GATES, LstmFormats, formats_from_dict, formats_to_dict
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.bounds import EXACT_BITS
from zynq_lstm.models.keras.float_lstm import (
    PACKAGE,
    StepSignals,
    backward_scan,
    gate_scale,
    outer_sum,
    step_array,
    tf,
)
from zynq_lstm.models.keras.quantizers import fixed, quantize_weight, weight_quantizer
from zynq_lstm.models.keras.quiet import import_qkeras

import_qkeras()
import keras  # noqa: E402  (after TensorFlow's messages are out of the way)
from qkeras.qrecurrent import QLSTMCell  # noqa: E402

#: The signals that :meth:`QuantizedLSTMCell.step` returns; "gates" are i, f, g, o side by side.
SIGNALS = ("z", "gates", "c", "ct", "tc", "h")


class QuantizedLSTMCell(QLSTMCell):
    """One LSTM layer's weights and the arithmetic of one time step.

    Args:
        units: H.
        formats: formats of every signal and weight.
        arithmetic: float type of the sums, ``float32`` or ``float64``.
    """

    def __init__(self, units: int, formats: LstmFormats, arithmetic: str = "float32", **kwargs: Any) -> None:
        if arithmetic not in EXACT_BITS:
            raise UserError(f"arithmetic must be {' or '.join(EXACT_BITS)}, got {arithmetic!r}")
        super().__init__(
            units,
            activation=None,  # tables instead
            recurrent_activation=None,
            kernel_quantizer=weight_quantizer(formats.W),
            recurrent_quantizer=weight_quantizer(formats.U),
            bias_quantizer=weight_quantizer(formats.b),
            kernel_initializer="zeros",
            recurrent_initializer="zeros",
            unit_forget_bias=False,
            kernel_constraint=None,
            recurrent_constraint=None,
            bias_constraint=None,
            **kwargs,
        )
        self.formats = formats
        self.arithmetic = arithmetic
        self.q_z, self.q_c, self.q_ct, self.q_h = (
            fixed(getattr(formats, name)) for name in ("z", "c", "ct", "h")
        )
        # Real values by address; address 0 is the lowest index, so that a raw index needs only an
        # offset. The tanh table follows the sigmoid table, so that one look-up serves all four gates.
        sigmoid = formats.gate.to_real(np.roll(formats.table("sigmoid"), -formats.z.min_raw))
        tanh = formats.g.to_real(np.roll(formats.table("tanh"), -formats.z.min_raw))
        self._gate_table = np.concatenate([sigmoid, tanh]).astype(arithmetic)
        self._gate_offset = np.repeat(
            [len(sigmoid) * (gate == "g") - formats.z.min_raw for gate in GATES], units
        ).astype(np.int32)
        self._tanh_c_table = formats.tc.to_real(np.roll(formats.table("tanh_c"), -formats.ct.min_raw)).astype(
            arithmetic
        )

    def quantized_weights(self) -> tuple[Any, Any, Any]:
        """Return W, U, b on their formats' grids, in the arithmetic's float type."""
        return tuple(
            tf.cast(quantize_weight(quantizer, fmt, weight), self.arithmetic)
            for quantizer, fmt, weight in (
                (self.kernel_quantizer_internal, self.formats.W, self.kernel),
                (self.recurrent_quantizer_internal, self.formats.U, self.recurrent_kernel),
                (self.bias_quantizer_internal, self.formats.b, self.bias),
            )
        )

    def step(self, a: Any, c: Any) -> tuple[Any, ...]:
        """Compute all signals from the sum ``a = x.W + h(t-1).U + b`` and c(t-1): (B, 4H), (B, H).

        Returns:
            Raw z (B, 4H), the four gates (B, 4H), c, raw ct, tc and h (B, H). All but z and ct are reals.
        """
        z = self.q_z.raw(a)
        gates = tf.gather(self._gate_table, tf.cast(z, tf.int32) + self._gate_offset)
        i, f, g, o = tf.split(gates, 4, axis=1)
        c = self.q_c.raw(f * c + i * g) * self.formats.c.lsb
        ct = self.q_ct.raw(c)
        tc = tf.gather(self._tanh_c_table, tf.cast(ct, tf.int32) - self.formats.ct.min_raw)
        h = self.q_h.raw(o * tc) * self.formats.h.lsb
        return z, gates, c, ct, tc, h

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Compute one step for ``keras.layers.RNN``; for inference only, as no gradient passes through it."""
        kernel, recurrent, bias = self.quantized_weights()
        h, c = (tf.cast(s, self.arithmetic) for s in states)
        a = tf.matmul(tf.cast(inputs, self.arithmetic), kernel) + tf.matmul(h, recurrent) + bias
        *_, c, _, _, h = self.step(a, c)
        return h, [h, c]

    def recurrence(
        self, inputs: Any, recurrent_kernel: Any, h0: Any, c0: Any, keep: Sequence[str] = SIGNALS
    ) -> dict[str, Any]:
        """Compute signals of T steps, each (T, B, width); ``c`` and ``h`` (T + 1, B, H) begin with c0 and h0.

        Args:
            inputs: x.W + b, (T, B, 4H).
            recurrent_kernel: quantized U.
            h0, c0: the state before the first step, (B, H).
            keep: names of the signals to keep, with c and h among them; each one costs time.
        """
        steps, streams, width = inputs.shape
        kinds = {name: width if name in ("z", "gates") else width // 4 for name in keep}

        def step(t: Any, h: Any, c: Any, *arrays: Any) -> tuple[Any, ...]:
            values = self.step(inputs[t] + tf.matmul(h, recurrent_kernel), c)
            signals = dict(zip(SIGNALS, values, strict=True))
            written = (
                array.write(t + (name in "ch"), signals[name])
                for name, array in zip(kinds, arrays, strict=True)
            )
            return t + 1, signals["h"], signals["c"], *written

        arrays = {
            name: step_array(steps + (name in "ch"), (streams, size), inputs.dtype)
            for name, size in kinds.items()
        }
        arrays["c"] = arrays["c"].write(0, c0)
        arrays["h"] = arrays["h"].write(0, h0)
        ended = tf.while_loop(
            lambda t, *_: t < steps,
            step,
            (0, h0, c0, *arrays.values()),
            maximum_iterations=steps,
        )
        return {name: array.stack() for name, array in zip(kinds, ended[3:], strict=True)}

    def differentiable_scan(self, inputs: Any, recurrent_kernel: Any, h0: Any, c0: Any) -> Any:
        """Compute h of every step, and h and c after the last; gradients stop at h0 and c0."""

        @tf.custom_gradient
        def scan(inputs: Any, recurrent_kernel: Any) -> Any:
            s = self.recurrence(inputs, recurrent_kernel, h0, c0, keep=("z", "c", "h"))

            def gradient(dh_out: Any, _dh: Any, _dc: Any) -> tuple[Any, Any]:
                dz = backward_scan(dh_out, recurrent_kernel, lambda t: self._step_signals(s, t))
                return dz, outer_sum(s["h"][:-1], dz)

            return (s["h"][1:], s["h"][-1], s["c"][-1]), gradient

        return scan(inputs, recurrent_kernel)

    def _step_signals(self, kept: Mapping[str, Any], t: Any) -> StepSignals:
        """Compute values and slopes of the real functions at a step's rounded z and ct.

        Slopes are 0 where z or ct saturates. The values may differ from the tables' by their rounding. In a
        straight-through gradient that makes no difference, and computing them again takes less time than
        keeping them.
        """
        fmt = self.formats
        scale = gate_scale(self.units, self.arithmetic)
        z, c = kept["z"][t], kept["c"][t + 1]
        wave = tf.tanh(z * (scale * fmt.z.lsb))
        ct = self.q_ct.raw(c)
        tanh_c = tf.tanh(ct * fmt.ct.lsb)
        return StepSignals(
            gates=wave * scale + (1 - scale),
            gate_slopes=scale**2 * (1 - wave**2) * _unsaturated(z, fmt.z),
            c_before=kept["c"][t],
            tanh_c=tanh_c,
            tanh_c_slope=(1 - tanh_c**2) * _unsaturated(ct, fmt.ct),
            pass_c=_unsaturated(c * 2.0**fmt.c.frac, fmt.c),
        )

    def get_config(self) -> dict[str, Any]:
        """Return the settings that :meth:`from_config` needs."""
        return {
            "name": self.name,
            "units": self.units,
            "formats": formats_to_dict(self.formats),
            "arithmetic": self.arithmetic,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> QuantizedLSTMCell:
        formats = formats_from_dict(LstmFormats, config["formats"], "formats")
        return cls(**{**config, "formats": formats})


keras.saving.register_keras_serializable(package=PACKAGE)(QuantizedLSTMCell)


def _unsaturated(raw: Any, fmt: FixedFormat) -> Any:
    """Return 1 where a raw signal is strictly inside its format's bounds, 0 on them."""
    return tf.cast((raw > fmt.min_raw) & (raw < fmt.max_raw), raw.dtype)
