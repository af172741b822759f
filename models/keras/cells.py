# SPDX-License-Identifier: Apache-2.0
"""Well-known recurrent cells in floating point, for comparison with the LSTM.

Shapes: T steps, B streams, H units, V characters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zynq_lstm.models.keras.float_lstm import (
    PACKAGE,
    Recurrent,
    State,
    keras,
    recurrent_layers,
    step_array,
    tf,
)

Weights = Mapping[str, Any]
"""What a cell has beside W, U and b, by name."""

Step = Callable[[Any, Any, Any, Any, Weights], State]
"""x.W + b (B, G H), h.U (B, G H), h, c (B, H) -> h and c; a cell without c returns h twice."""


@dataclass(frozen=True)
class Cell:
    """Equations of one cell.

    Column block k of W, U and b (each H wide) belongs to gates[k].
    """

    gates: tuple[str, ...]
    step: Step
    keeps: str | None  # the gate whose bias starts at 1, so that the state is kept
    has_c: bool  # True if there is a state c besides h
    more: Mapping[str, int]  # further weights: name -> number of values per unit


def _rnn(x: Any, hU: Any, h: Any, c: Any, more: Weights) -> State:
    h = tf.tanh(x + hU)
    return h, h


def _gru(x: Any, hU: Any, h: Any, c: Any, more: Weights) -> State:
    xu, xr, xn = tf.split(x, 3, axis=1)
    hu, hr, hn = tf.split(hU, 3, axis=1)
    u, r = tf.sigmoid(xu + hu), tf.sigmoid(xr + hr)
    h = u * h + (1 - u) * tf.tanh(xn + r * (hn + more["rb"]))
    return h, h


def _lstm(x: Any, hU: Any, h: Any, c: Any, more: Weights) -> State:
    i, f, g, o = tf.split(x + hU, 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def _peephole(x: Any, hU: Any, h: Any, c: Any, more: Weights) -> State:
    i, f, g, o = tf.split(x + hU, 4, axis=1)
    pi, pf, po = tf.split(more["p"], 3)
    c, before = tf.sigmoid(f + pf * c) * c, c
    c += tf.sigmoid(i + pi * before) * tf.tanh(g)
    return tf.sigmoid(o + po * c) * tf.tanh(c), c


def _coupled(x: Any, hU: Any, h: Any, c: Any, more: Weights) -> State:
    f, g, o = tf.split(x + hU, 3, axis=1)
    f = tf.sigmoid(f)
    c = f * c + (1 - f) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


#: The cells of Elman 1990; Cho et al. 2014 (reset gate after the product, as in cuDNN); Gers, Schmidhuber and
#: Cummins 2000; Gers and Schmidhuber 2000; Greff et al. 2017 (CIFG: i = 1 - f).
FLOAT_CELLS: Mapping[str, Cell] = {
    "rnn": Cell(("h",), _rnn, None, False, {}),
    "gru": Cell(("u", "r", "n"), _gru, "u", False, {"rb": 1}),
    "lstm": Cell(("i", "f", "g", "o"), _lstm, "f", True, {}),
    "peephole": Cell(("i", "f", "g", "o"), _peephole, "f", True, {"p": 3}),
    "coupled": Cell(("f", "g", "o"), _coupled, "f", True, {}),
}


@keras.saving.register_keras_serializable(package=PACKAGE)
class FloatCells(Recurrent):
    """A layer of any of :data:`FLOAT_CELLS`."""

    def __init__(self, cell: str, units: int, input_size: int, one_hot: bool = False, **kwargs: Any) -> None:
        super().__init__(units, input_size, one_hot, **kwargs)
        self.cell = cell
        self.gates = FLOAT_CELLS[cell].gates
        self.keeps = FLOAT_CELLS[cell].keeps

    def build(self, input_shape: Any) -> None:
        """Create W (input_size, G H), U (H, G H), b (G H) and the cell's further weights."""
        super().build(input_shape)
        self.more = {
            name: self.add_weight(shape=(values * self.units,), initializer="zeros", name=name)
            for name, values in FLOAT_CELLS[self.cell].more.items()
        }

    def step(self, inputs: Any, state: State) -> State:
        """Compute one step: x.W + b (B, G H) and the state before -> the state after."""
        h, c = state
        more = {name: tf.convert_to_tensor(weight) for name, weight in self.more.items()}
        return FLOAT_CELLS[self.cell].step(inputs, tf.matmul(h, self.recurrent_kernel), h, c, more)

    def scan(self, x: Any, state: State) -> tuple[Any, State]:
        """Compute h of every step and the state after the last: (T, B) or (T, B, M) -> (T, B, H)."""
        inputs = self.inputs(x)
        steps, streams, _ = inputs.shape

        def step(t: Any, h: Any, c: Any, hidden: Any) -> tuple[Any, ...]:
            h, c = self.step(inputs[t], (h, c))
            return t + 1, h, c, hidden.write(t, h)

        start = (0, *state, step_array(steps, (streams, self.units), inputs.dtype))
        _, h, c, hidden = tf.while_loop(lambda t, *_: t < steps, step, start, maximum_iterations=steps)
        return hidden.stack(), (tf.stop_gradient(h), tf.stop_gradient(c))

    def get_config(self) -> dict[str, Any]:
        """Return the settings that :meth:`from_config` needs."""
        return {**super().get_config(), "cell": self.cell}


def build_cells(cell: str, layers: int, units: int, vocabulary: int) -> keras.Model:
    """Build a float model of a cell: codes (1, 1) int32 -> logits; longer input goes through ``forward``."""
    x = codes = keras.Input((1,), batch_size=1, dtype="int32", name="codes")
    for k in range(layers):
        x = FloatCells(cell, units, units if k else vocabulary, one_hot=not k, name=f"{cell}{k + 1}")(x)
    return keras.Model(codes, keras.layers.Dense(vocabulary, name="logits")(x), name=f"float_{cell}")


def shapes(cell: str, layers: int, units: int, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight array."""
    width = len(FLOAT_CELLS[cell].gates) * units
    found: dict[str, tuple[int, ...]] = {}
    for k in range(layers):
        found |= {f"layers.{k}.W": (units if k else vocabulary, width), f"layers.{k}.U": (units, width)}
        found[f"layers.{k}.b"] = (width,)
        found |= {f"layers.{k}.{name}": (n * units,) for name, n in FLOAT_CELLS[cell].more.items()}
    return found | {"output.W": (units, vocabulary), "output.b": (vocabulary,)}


def parameters(cell: str, layers: int, units: int, vocabulary: int) -> int:
    """Return the number of weights."""
    return sum(map(math.prod, shapes(cell, layers, units, vocabulary).values()))


def macs_per_character(cell: str, layers: int, units: int, vocabulary: int) -> int:
    """Count multiply-accumulates: all weights but biases and the first kernel, which is a look-up."""
    found = shapes(cell, layers, units, vocabulary)
    return sum(math.prod(s) for name, s in found.items() if not name.endswith("b") and name != "layers.0.W")


def units_for(cell: str, layers: int, vocabulary: int, budget: int) -> int:
    """Return the units per layer with which a network of a cell comes nearest to ``budget`` parameters."""
    return min(range(1, 1025), key=lambda units: abs(parameters(cell, layers, units, vocabulary) - budget))


def gradient_by_distance(model: keras.Model, codes: Any, distance: int) -> list[float]:
    """Compute the norm of the gradient of one character's loss with respect to each earlier state.

    A state is h and c of all layers together, from which the next step starts. Entry d - 1 belongs to the
    state d steps before the character whose prediction is scored: the norm's geometric mean over streams.

    Args:
        codes: the text, (T + 1, B) with T > distance; the state before it is zero.
        distance: number of states, counted back from the scored character.
    """
    layers = recurrent_layers(model)
    states: list[list[Any]] = []  # for each step, the arrays that it starts from
    with tf.GradientTape() as tape:
        x = tf.constant(codes[:-1], tf.int32)
        steps = x.shape[0]
        carried: list[list[Any]] = [[] for _ in range(steps)]
        for layer in layers:
            inputs = layer.inputs(x)
            state = layer.zero_state(x.shape[1])
            hidden = []
            for t in range(steps):
                # Copies, because the layer above gets h by another path, which isn't through the state.
                state = tuple(tf.identity(value) for value in state)
                tape.watch(state)
                carried[t] += state if FLOAT_CELLS[layer.cell].has_c else state[:1]
                h, c = layer.step(inputs[t], state)
                state = (h, c) if FLOAT_CELLS[layer.cell].has_c else (h, h)
                hidden.append(h)
            x = tf.stack(hidden)
        logits = model.get_layer("logits")(x[-1])
        loss = tf.reduce_sum(
            tf.nn.sparse_softmax_cross_entropy_with_logits(tf.constant(codes[-1], tf.int32), logits)
        )
        states = carried[steps - distance :]
    norms = []
    for gradients in reversed(tape.gradient(loss, states)):
        square = tf.add_n([tf.reduce_sum(tf.square(g), axis=1) for g in gradients])
        norms.append(float(tf.exp(tf.reduce_mean(0.5 * tf.math.log(square + 1e-60)))))
    return norms
