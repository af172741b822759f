# SPDX-License-Identifier: Apache-2.0
"""Text from the NumPy reference: prime, then choose each character, as the hardware does in *generate*."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.choice import Sampler, check_seed, check_temperature
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference


def generate(
    network: IntegerNetwork,
    prime: Sequence[int] | NDArray[Any],
    length: int,
    temperature_raw: int = 0,
    seed: int = 0,
) -> Raw:
    """Generate the codes (length,) that follow ``prime`` (at least one code), from a zero state.

    Args:
        temperature_raw: raw temperature in the format :data:`zynq_lstm.models.integers.choice.TEMPERATURE`;
            0 chooses the likeliest character.
        seed: seed of the draw, 0 to 2**32 - 1.

    Raises:
        UserError: ``prime`` is empty, a code is outside the vocabulary, or a value is out of range.
    """
    return np.array(list(stream(network, prime, length, temperature_raw, seed)), np.int64)


def stream(
    network: IntegerNetwork,
    prime: Sequence[int] | NDArray[Any],
    length: int,
    temperature_raw: int = 0,
    seed: int = 0,
) -> Iterator[int]:
    """Generate the same codes one by one; illegal arguments are refused at once."""
    check_lengths(len(prime), length)
    sampler = Sampler(network.spec, temperature_raw, seed)
    reference = Reference(network)
    logits = reference.run(prime)[-1]
    return _stream(reference, sampler, logits, length)


def _stream(reference: Reference, sampler: Sampler, logits: Raw, length: int) -> Iterator[int]:
    for left in range(length, 0, -1):
        code = sampler.choose(logits)
        yield code
        if left > 1:
            logits = reference.run([code])[-1]


def check_arguments(prime_length: int, length: int, temperature_raw: int, seed: int) -> None:
    """Refuse arguments with which no engine can generate.

    Raises:
        UserError: an argument is illegal; names it and its value.
    """
    check_lengths(prime_length, length)
    check_temperature(temperature_raw)
    check_seed(seed)


def check_lengths(prime_length: int, length: int) -> None:
    """Refuse an empty priming text, and a negative length.

    Raises:
        UserError: one of them is illegal; names it.
    """
    if prime_length == 0:
        raise UserError("the priming text is empty; give at least one character")
    if length < 0:
        raise UserError(f"length is {length}; it must be 0 or more")
