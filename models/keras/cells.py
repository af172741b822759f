# SPDX-License-Identifier: Apache-2.0
"""Well-known recurrent cells in floating point, for comparison with the LSTM.

Shapes: T steps, B streams, H units, V characters.
"""

from __future__ import annotations

from typing import Any

from zynq_lstm.models.cells.sizes import macs_per_character, parameters, shapes, units_for
from zynq_lstm.models.keras.float_lstm import build_float, keras, recurrent_layers, tf

__all__ = [
    "build_cells",
    "gradient_by_distance",
    "macs_per_character",
    "parameters",
    "shapes",
    "units_for",
]


def build_cells(cell: str, layers: int, units: int, vocabulary: int) -> keras.Model:
    """Build a float model of a cell: codes (1, 1) int32 -> logits; longer input goes through ``forward``."""
    return build_float(layers, units, vocabulary, cell=cell)


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
                carried[t] += state[: len(layer.description.state)]
                h, c = layer.step(inputs[t], state)
                state = (h, c)
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
