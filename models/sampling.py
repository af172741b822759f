# SPDX-License-Identifier: Apache-2.0
"""Text from a float or a quantized Keras model, one character after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError


def choose(logits: NDArray[np.float64], temperature: float, rng: np.random.Generator) -> int:
    """The next character's code: the likeliest, the lowest code among equals, if temperature is 0.

    That tie rule is the hardware's; a higher temperature draws from softmax(logits / temperature).
    """
    if temperature == 0:
        return int(np.argmax(logits))
    scaled = (logits - logits.max()) / temperature
    cumulative = np.cumsum(np.exp(scaled))
    place = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
    return int(min(place, len(logits) - 1))


def generate(
    model: Any,
    prime: NDArray[np.integer],
    length: int,
    temperature: float = 0.0,
    seed: int = 1,
) -> Iterator[int]:
    """Codes of ``length`` characters that follow ``prime``.

    Args:
        model: a float or quantized Keras model of ours.
        prime: at least one character, read from a zero state.
        length: how many characters to write.
        temperature: 0 for the likeliest character each time, 1 for the model's own distribution.
        seed: of the draw.

    Raises:
        UserError: nothing to start from, or a negative length or temperature.
    """
    if len(prime) == 0:
        raise UserError("the priming text is empty; give at least one character")
    if length < 0:
        raise UserError(f"length is {length}; it must be 0 or more")
    if not (np.isfinite(temperature) and temperature >= 0):
        raise UserError(f"temperature is {temperature}; it must be 0 or more")
    return _generate(model, np.asarray(prime, np.int32), length, temperature, seed)


def _generate(
    model: Any, prime: NDArray[np.int32], length: int, temperature: float, seed: int
) -> Iterator[int]:
    from models.float_lstm import forward, tf, zero_state

    rng = np.random.default_rng(seed)
    step = tf.function(lambda codes, states: forward(model, codes, states), jit_compile=True)
    states: Any = zero_state(model, 1)
    for code in prime[:-1]:
        _, states = step(tf.constant([[code]]), states)
    code = int(prime[-1])
    for _ in range(length):
        logits, states = step(tf.constant([[code]], tf.int32), states)
        code = choose(np.asarray(logits[0, 0], np.float64), temperature, rng)
        yield code
