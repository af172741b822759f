# SPDX-License-Identifier: Apache-2.0
"""The float network: LSTM layers and a dense output layer over one-hot characters.

The layers compute the same as ``keras.layers.LSTM`` (gate order i, f, g, o; Keras calls g 'c'), three to
five times as fast on a CPU. The input products of all steps are one matrix product (a row look-up for
one-hot input). Each step is one product ``h @ U`` for the four gates. The gradient is written out by
hand, so that the weights' gradients are one product over all steps as well.

Shapes: T steps, B streams, H units, V characters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import GATES
from zynq_lstm.models.keras.quiet import import_tensorflow

tf = import_tensorflow()
import keras as keras  # noqa: E402  (after TensorFlow's messages are out of the way)

State = tuple[Any, Any]
"""h and c of one layer, each (B, H)."""

PACKAGE = "zynq_lstm"


@tf.custom_gradient
def select_rows(kernel: Any, codes: Any) -> Any:
    """Compute ``one_hot(codes) @ kernel`` as a row look-up: (V, N), (T, B) -> (T, B, N)."""

    def gradient(upstream: Any) -> tuple[Any, None]:
        # A matrix product, because scatter-add sums in an order that depends on timing.
        rows, width = kernel.shape
        one_hot = tf.one_hot(tf.reshape(codes, (-1,)), rows, dtype=upstream.dtype)
        return tf.matmul(one_hot, tf.reshape(upstream, (-1, width)), transpose_a=True), None

    return tf.gather(kernel, codes), gradient


def project(x: Any, kernel: Any) -> Any:
    """Compute ``x @ kernel`` over the last axis as one matrix product: (T, B, M), (M, N) -> (T, B, N)."""
    steps, streams = x.shape[0], x.shape[1]
    flat = tf.matmul(tf.reshape(x, (-1, x.shape[2])), kernel)
    return tf.reshape(flat, (steps, streams, kernel.shape[1]))


def outer_sum(x: Any, y: Any) -> Any:
    """Sum the outer products over steps and streams: (T, B, M), (T, B, N) -> (M, N)."""
    return tf.matmul(tf.reshape(x, (-1, x.shape[2])), tf.reshape(y, (-1, y.shape[2])), transpose_a=True)


class StepSignals(NamedTuple):
    """The signals that the gradient through one step needs."""

    gates: Any  # i, f, g, o, (B, 4H)
    gate_slopes: Any  # the derivative of each with respect to its z, (B, 4H)
    c_before: Any  # (B, H)
    tanh_c: Any  # of c after the step, (B, H)
    tanh_c_slope: Any
    pass_c: Any = 1.0  # 0 where c saturated


def backward_scan(dh_out: Any, recurrent_kernel: Any, signals: Callable[[Any], StepSignals]) -> Any:
    """Compute the gradient with respect to the pre-activations z, back through T steps.

    Args:
        dh_out: gradient with respect to each step's h from above, (T, B, H).
        recurrent_kernel: U, (H, 4H).
        signals: function that returns the signals of a step. It is called inside the loop, so that it
            works on one step's arrays while they are in the cache, and not on all steps through memory.

    Returns:
        The gradient, (T, B, 4H).
    """
    steps, streams, units = dh_out.shape

    def back(t: Any, dh: Any, dc: Any, dz_all: Any) -> tuple[Any, ...]:
        s = signals(t)
        i, f, g, o = tf.split(s.gates, 4, axis=1)
        dh = dh_out[t] + dh
        dc = (dc + dh * o * s.tanh_c_slope) * s.pass_c
        dz = s.gate_slopes * tf.concat([dc * g, dc * s.c_before, dc * i, dh * s.tanh_c], axis=1)
        return t - 1, tf.matmul(dz, recurrent_kernel, transpose_b=True), dc * f, dz_all.write(t, dz)

    zeros = tf.zeros((streams, units), dh_out.dtype)
    return tf.while_loop(
        lambda t, *_: t >= 0,
        back,
        (steps - 1, zeros, zeros, step_array(steps, (streams, 4 * units), dh_out.dtype)),
        maximum_iterations=steps,
    )[-1].stack()


def gate_scale(units: int, dtype: Any) -> NDArray[Any]:
    """Return 1 for g and 1/2 for i, f, o, (4H,): every gate is then ``tanh(scale z) scale + 1 - scale``."""
    return np.repeat([1.0 if gate == "g" else 0.5 for gate in GATES], units).astype(dtype)


def step_array(steps: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Make room for one tensor of this shape per step."""
    return tf.TensorArray(dtype, steps, element_shape=shape)


@tf.custom_gradient
def lstm_scan(inputs: Any, recurrent_kernel: Any, h0: Any, c0: Any) -> Any:
    """Run the recurrence over T steps.

    Args:
        inputs: x.W + b of every step, (T, B, 4H).
        recurrent_kernel: U, (H, 4H).
        h0, c0: the state before the first step, (B, H).

    Returns:
        h of every step (T, B, H), and h and c after the last step. The gradient stops at h0 and c0,
        where back-propagation is truncated.
    """
    steps, streams, width = inputs.shape
    units = width // 4
    dtype = inputs.dtype
    scale = gate_scale(units, dtype.as_numpy_dtype)

    def step(t: Any, h: Any, c: Any, gates: Any, cells: Any, hidden: Any) -> tuple[Any, ...]:
        z = inputs[t] + tf.matmul(h, recurrent_kernel)  # (B, 4H)
        values = tf.tanh(z * scale) * scale + (1 - scale)
        i, f, g, o = tf.split(values, 4, axis=1)
        c = f * c + i * g
        h = o * tf.tanh(c)
        return t + 1, h, c, gates.write(t, values), cells.write(t + 1, c), hidden.write(t + 1, h)

    start = (
        0,
        h0,
        c0,
        step_array(steps, (streams, width), dtype),
        step_array(steps + 1, (streams, units), dtype).write(0, c0),
        step_array(steps + 1, (streams, units), dtype).write(0, h0),
    )
    _, h, c, *arrays = tf.while_loop(lambda t, *_: t < steps, step, start, maximum_iterations=steps)
    gates, cells, hidden = (array.stack() for array in arrays)

    def gradient(dh_out: Any, _dh: Any, _dc: Any) -> tuple[Any, ...]:
        def signals(t: Any) -> StepSignals:
            slopes = tf.where(scale == 1, 1 - gates[t] ** 2, gates[t] * (1 - gates[t]))
            tanh_c = tf.tanh(cells[t + 1])
            return StepSignals(gates[t], slopes, cells[t], tanh_c, 1 - tanh_c**2)

        dz = backward_scan(dh_out, recurrent_kernel, signals)
        zeros = tf.zeros((streams, units), dtype)
        return dz, outer_sum(hidden[:-1], dz), zeros, zeros

    return (hidden[1:], h, c), gradient


class Recurrent(keras.layers.Layer):
    """A recurrent layer of G gates that returns h of every step; subclasses have the equations in ``scan``.

    Args:
        units: H.
        input_size: rows of the kernel W: the vocabulary's size, or the units of the layer below.
        one_hot: the input is character codes (B, T) instead of vectors (B, T, input_size).
    """

    gates: Sequence[str]
    keeps: str | None  # the gate whose bias starts at 1, so that the state is kept

    def __init__(self, units: int, input_size: int, one_hot: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.input_size = input_size
        self.one_hot = one_hot

    def build(self, input_shape: Any) -> None:
        """Create W (input_size, G H), U (H, G H) and b (G H)."""
        width = len(self.gates) * self.units
        self.kernel = self.add_weight(shape=(self.input_size, width), initializer="zeros", name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, width), initializer="zeros", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def inputs(self, x: Any) -> Any:
        """Compute x.W + b of every step: (T, B) or (T, B, M) -> (T, B, G H)."""
        product = select_rows if self.one_hot else lambda kernel, value: project(value, kernel)
        return product(tf.convert_to_tensor(self.kernel), x) + self.bias

    def scan(self, x: Any, state: State) -> tuple[Any, State]:
        """Compute h of every step and the state after the last: (T, B) or (T, B, M) -> (T, B, H)."""
        raise NotImplementedError

    def zero_state(self, streams: Any) -> State:
        """Return the state before the first character."""
        zeros = tf.zeros((streams, self.units), self.compute_dtype)
        return zeros, zeros

    def call(self, inputs: Any) -> Any:
        """Compute h of every step from a zero state, batch first: (B, T) or (B, T, M) -> (B, T, H)."""
        x = tf.transpose(inputs, (1, 0) if self.one_hot else (1, 0, 2))
        hidden, _ = self.scan(x, self.zero_state(tf.shape(x)[1]))
        return tf.transpose(hidden, (1, 0, 2))

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return (B, T, H)."""
        return (input_shape[0], input_shape[1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the settings that :meth:`from_config` needs."""
        return {
            **super().get_config(),
            "units": self.units,
            "input_size": self.input_size,
            "one_hot": self.one_hot,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class FloatLSTM(Recurrent):
    """The LSTM, with a gradient written out by hand."""

    gates = GATES
    keeps = "f"

    def scan(self, x: Any, state: State) -> tuple[Any, State]:
        """Compute h of every step and the state after the last: (T, B) or (T, B, M) -> (T, B, H)."""
        hidden, h, c = lstm_scan(self.inputs(x), tf.convert_to_tensor(self.recurrent_kernel), *state)
        return hidden, (h, c)


def build_float(
    layers: int, units: int, vocabulary: int, time_steps: int = 1, batch: int | None = 1
) -> keras.Model:
    """Build a float model: codes (B, T) int32 -> logits (B, T, V).

    Args:
        layers: number of LSTM layers.
        units: H, the same for each layer.
        vocabulary: V, the number of characters.
        time_steps, batch: the input shape of the Keras model itself; training and evaluation go
            through :func:`forward`, which takes any shape.
    """
    x = codes = keras.Input((time_steps,), batch_size=batch, dtype="int32", name="codes")
    for index in range(layers):
        x = FloatLSTM(units, units if index else vocabulary, one_hot=not index, name=f"lstm{index + 1}")(x)
    logits = keras.layers.Dense(vocabulary, name="logits")(x)
    return keras.Model(codes, logits, name="float_lstm")


def load_weights(model: keras.Model, weights: Mapping[str, Any]) -> None:
    """Set a model's weights from arrays by the names ``layers.K.W``, ``output.b`` and so on."""
    for index, layer in enumerate(recurrent_layers(model)):
        layer.set_weights([weights[f"layers.{index}.{name}"] for name in ("W", "U", "b")])
    model.get_layer("logits").set_weights([weights["output.W"], weights["output.b"]])


def read_weights(model: keras.Model) -> dict[str, Any]:
    """Read the model's weights as float32 arrays by the same names; a cell's further weights by theirs."""
    arrays = {}
    for index, layer in enumerate(recurrent_layers(model)):
        names = ("W", "U", "b", *getattr(layer, "more", ()))
        for name, array in zip(names, layer.get_weights(), strict=True):
            arrays[f"layers.{index}.{name}"] = array
    for name, array in zip(("W", "b"), model.get_layer("logits").get_weights(), strict=True):
        arrays[f"output.{name}"] = array
    return arrays


def float_model(checkpoint: Checkpoint) -> keras.Model:
    """Build the float model with a checkpoint's weights (for a quantized one, those before quantization)."""
    model = build_float(checkpoint.layers, checkpoint.units, len(checkpoint.vocabulary))
    load_weights(model, checkpoint.weights)
    return model


def recurrent_layers(model: keras.Model) -> list[Any]:
    """Return the model's recurrent layers, first to last."""
    return [layer for layer in model.layers if hasattr(layer, "scan")]


def zero_state(model: keras.Model, streams: int) -> list[State]:
    """Return the state before the first character, for each layer."""
    return [layer.zero_state(streams) for layer in recurrent_layers(model)]


def forward(
    model: keras.Model,
    codes: Any,
    states: list[State],
    dropout: float = 0.0,
    seed: Any = None,
) -> tuple[Any, list[State]]:
    """Compute logits of every step and the states after the last, for a float or a quantized model.

    Args:
        model: from :func:`build_float` or ``zynq_lstm.models.keras.quantized.build_quantized``.
        codes: (T, B) int32.
        states: h and c for each layer.
        dropout: share of each layer's h that is dropped on its way up (never in the recurrence).
        seed: two int32; each (seed, layer) has a mask of its own, so repeating a step gives the same result.

    Returns:
        The logits, (T, B, V), and the states.
    """
    x = codes
    after = []
    for index, (layer, state) in enumerate(zip(recurrent_layers(model), states, strict=True)):
        x, state = layer.scan(x, state)
        after.append(state)
        if dropout:
            noise = tf.random.stateless_uniform(x.shape, seed + tf.constant([0, index << 24]))
            x = tf.where(noise < dropout, tf.zeros_like(x), x / (1 - dropout))
    return model.get_layer("logits")(x), after
