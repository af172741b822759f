# SPDX-License-Identifier: Apache-2.0
"""Text from a float or a quantized Keras model, one character after the other.

A quantized model chooses characters as the hardware does (:mod:`zynq_lstm.models.integers.choice`), so it
writes the same text as every integer engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.choice import Sampler, check_seed, temperature_to_raw
from zynq_lstm.models.integers.text import check_lengths


def choose(logits: NDArray[np.float64], temperature: float, rng: np.random.Generator) -> int:
    """Choose the next character's code.

    Temperature 0 chooses the likeliest character, and the lowest code among equals, as the hardware does. A
    higher temperature draws from softmax(logits / temperature).
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
    """Generate the codes of ``length`` characters that follow ``prime``.

    Args:
        model: a float or quantized Keras model of ours.
        prime: at least one character, read from a zero state.
        length: number of characters to write.
        temperature: 0 for the likeliest character each time, 1 for the model's own distribution. For a
            quantized model it is rounded to the hardware's register.
        seed: seed of the draw, 0 to 2**32 - 1; for a quantized model, that of the hardware's generator.

    Raises:
        UserError: ``prime`` is empty, the length or temperature is negative, or the hardware does not have
            such a temperature or seed.
    """
    check_lengths(len(prime), length)
    if not (np.isfinite(temperature) and temperature >= 0):
        raise UserError(f"temperature is {temperature}; it must be 0 or more")
    if hasattr(model.get_layer("logits"), "formats"):
        from zynq_lstm.models.keras.quantized import spec_of_model

        sampler = Sampler(spec_of_model(model), temperature_to_raw(temperature), seed)
        scale = 2.0**sampler.spec.output.logits.frac

        def pick(logits: NDArray[np.float64]) -> int:
            return sampler.choose((logits * scale).astype(np.int64))  # exact

    else:
        rng = np.random.default_rng(check_seed(seed))

        def pick(logits: NDArray[np.float64]) -> int:
            return choose(logits, temperature, rng)

    return _generate(model, np.asarray(prime, np.int32), length, pick)


def _generate(
    model: Any, prime: NDArray[np.int32], length: int, pick: Callable[[NDArray[np.float64]], int]
) -> Iterator[int]:
    from zynq_lstm.models.keras.float_lstm import forward, tf, zero_state

    step = tf.function(lambda codes, states: forward(model, codes, states), jit_compile=True)
    states: Any = zero_state(model, 1)
    for code in prime[:-1]:
        _, states = step(tf.constant([[code]]), states)
    code = int(prime[-1])
    for _ in range(length):
        logits, states = step(tf.constant([[code]], tf.int32), states)
        code = pick(np.asarray(logits[0, 0], np.float64))
        yield code
