# SPDX-License-Identifier: Apache-2.0
"""The float network: LSTM layers and a dense output layer over one-hot characters.

The layers compute the same as ``keras.layers.LSTM`` (gate order i, f, g, o; Keras calls g 'c'), three to
five times as fast on a CPU. The input products of all steps are one matrix product (a row look-up for
one-hot input). Each step is one product ``h @ U`` for the four gates. The gradient is written out by
hand, so that the weights' gradients are one product over all steps as well.

Shapes: T steps, B streams, H units, V characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.checkpoint import Checkpoint
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


def step_array(steps: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Make room for one tensor of this shape per step."""
    return tf.TensorArray(dtype, steps, element_shape=shape)


@keras.saving.register_keras_serializable(package=PACKAGE)
class FloatRecurrent(keras.layers.Layer):
    """A recurrent layer of any cell that returns h of every step.

    Args:
        units: H.
        input_size: rows of the kernel W: the vocabulary's size, or the units of the layer below.
        cell: of all layers, or of each, as :mod:`zynq_lstm.models.cells.catalogue` reads it.
        one_hot: the input is character codes (B, T) instead of vectors (B, T, input_size).
    """

    def __init__(
        self, units: int, input_size: int, cell: str = "lstm", one_hot: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.input_size = input_size
        self.cell_name = cell
        self.description = catalogue.read(cell)
        self.one_hot = one_hot

    @property
    def gates(self) -> Sequence[str]:
        """The column blocks of W, U and b."""
        return self.description.gates

    @property
    def keeps(self) -> str | None:
        """The gate whose bias starts at 1, so that the state is kept."""
        return self.description.opens

    @property
    def more(self) -> Sequence[str]:
        """The weights beside W, U and b."""
        return self.description.vectors

    @cached_property
    def steps(self) -> Any:
        """The equations, in TensorFlow."""
        from zynq_lstm.models.keras.steps import Steps

        return Steps(self.description, self.units, self.compute_dtype)

    def build(self, input_shape: Any) -> None:
        """Create W (input_size, G H), U (H, G H), b (G H) and the cell's vectors (H)."""
        width = len(self.gates) * self.units
        self.kernel = self.add_weight(shape=(self.input_size, width), initializer="zeros", name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, width), initializer="zeros", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        self.vectors = {
            name: self.add_weight(shape=(self.units,), initializer="zeros", name=name) for name in self.more
        }

    def inputs(self, x: Any) -> Any:
        """Compute x.W + b of every step: (T, B) or (T, B, M) -> (T, B, G H)."""
        product = select_rows if self.one_hot else lambda kernel, value: project(value, kernel)
        return product(tf.convert_to_tensor(self.kernel), x) + self.bias

    def recurrent_weights(self) -> dict[str, Any]:
        """Return U and the vectors."""
        named = {"U": self.recurrent_kernel, **self.vectors}
        return {name: tf.convert_to_tensor(weight) for name, weight in named.items()}

    def named(self, state: State) -> dict[str, Any]:
        """Return the state by the names of the cell's signals."""
        return dict(zip(self.description.state, state, strict=False))

    def scan(self, x: Any, state: State) -> tuple[Any, State]:
        """Compute h of every step and the state after the last: (T, B) or (T, B, M) -> (T, B, H)."""
        hidden, *after = self.steps.differentiable_scan(
            self.inputs(x), self.recurrent_weights(), self.named(state)
        )
        return hidden, (after[0], after[-1])

    def signals(self, x: Any, state: State, keep: list[str]) -> dict[str, Any]:
        """Signals of every step by name, see :meth:`zynq_lstm.models.keras.steps.Steps.scan`."""
        return self.steps.scan(self.inputs(x), self.recurrent_weights(), self.named(state), keep)

    def step(self, inputs: Any, state: State) -> State:
        """Compute one step: x.W + b (B, G H) and the state before -> the state after."""
        weights, before = self.recurrent_weights(), self.named(state)
        values = self.steps.run(inputs, tf.matmul(before["h"], weights["U"]), before, weights)
        after = [values[name] for name in self.description.state]
        return after[0], after[-1]

    def zero_state(self, streams: Any) -> State:
        """Return the state before the first character; a cell without c has h twice."""
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
            "cell": self.cell_name,
            "one_hot": self.one_hot,
        }


def build_float(
    layers: int,
    units: int,
    vocabulary: int,
    time_steps: int = 1,
    batch: int | None = 1,
    cell: str | Sequence[str] = "lstm",
) -> keras.Model:
    """Build a float model: codes (B, T) int32 -> logits (B, T, V).

    Args:
        layers: number of recurrent layers.
        cell: of all layers, or of each, as :mod:`zynq_lstm.models.cells.catalogue` reads it.
        units: H, the same for each layer.
        vocabulary: V, the number of characters.
        time_steps, batch: the input shape of the Keras model itself; training and evaluation go
            through :func:`forward`, which takes any shape.
    """
    x = codes = keras.Input((time_steps,), batch_size=batch, dtype="int32", name="codes")
    for index in range(layers):
        size = units if index else vocabulary
        one = cell if isinstance(cell, str) else cell[index]
        x = FloatRecurrent(units, size, one, one_hot=not index, name=f"lstm{index + 1}")(x)
    logits = keras.layers.Dense(vocabulary, name="logits")(x)
    return keras.Model(codes, logits, name="float_lstm")


def load_weights(model: keras.Model, weights: Mapping[str, Any]) -> None:
    """Set a model's weights from arrays by the names ``layers.K.W``, ``output.b`` and so on."""
    for index, layer in enumerate(recurrent_layers(model)):
        names = ("W", "U", "b", *getattr(layer, "more", ()))
        layer.set_weights([weights[f"layers.{index}.{name}"] for name in names])
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


def float_cells(model: keras.Model) -> tuple[str, ...]:
    """Return the cell of each layer of a float model, as the catalogue writes it."""
    return tuple(catalogue.written(layer.description) for layer in recurrent_layers(model))


def float_model(checkpoint: Checkpoint) -> keras.Model:
    """Build the float model with a checkpoint's weights (for a quantized one, those before quantization)."""
    model = build_float(
        checkpoint.layers, checkpoint.units, len(checkpoint.vocabulary), cell=checkpoint.cells
    )
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
