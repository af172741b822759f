# SPDX-License-Identifier: Apache-2.0
"""The choice of the next character in integers, as every engine makes it (``docs/numerics.md``, Sampling).

Temperature sampling uses the Gumbel-max rule: with independent Gumbel noise g(v), the code v with the largest
``logit(v) + T g(v)`` is a draw from softmax(logits / T). The noise comes from a table that a seeded
pseudo-random generator addresses, so that a seed gives the same text on every engine.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Overflow, Raw, Rounding

#: Format of the register TEMPERATURE; 0 is greedy.
TEMPERATURE = FixedFormat(12, 4, signed=False)
#: Format of Gumbel noise.
NOISE = FixedFormat(16, 6, signed=True, rounding=Rounding.AP_RND, overflow=Overflow.AP_SAT)

#: Logits in a word of output, everywhere in the hardware; the generator advances by as many numbers per word.
WORD_LOGITS = 4
#: State before seeding, Marsaglia's own; the seed is added (xor) to the first word.
INITIAL_STATE = (123456789, 362436069, 521288629, 88675123)
DISCARDED = 64  # first outputs, dropped until every bit of the seed has reached every bit of the state

OCTAVE_BITS = 24  # upper bits of a random word; the number of their leading zeros is the octave
CELL_BITS = 8  # lower bits of a random word: the cell within the octave
OCTAVES = 8  # octaves in the table; later ones are the last one, moved up by a multiple of ln 2

_MASK = 0xFFFFFFFF


class Xorshift128:
    """Marsaglia's 128-bit xorshift generator: 32 bits a step, period 2**128 - 1.

    G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003, section 3.1, with his shifts
    11, 8 and 19. It is a linear feedback shift register of four 32-bit words, made for few exclusive ORs.

    Args:
        seed: 0 to 2**32 - 1; no seed makes the state 0.
    """

    def __init__(self, seed: int) -> None:
        x, *rest = INITIAL_STATE
        self.state = (x ^ check_seed(seed), *rest)
        for _ in islice(self, DISCARDED):
            pass

    def __iter__(self) -> Xorshift128:
        return self

    def __next__(self) -> int:
        x, y, z, w = self.state
        t = x ^ (x << 11 & _MASK)
        self.state = (y, z, w, w ^ w >> 19 ^ t ^ t >> 8)
        return self.state[-1]


class Sampler:
    """Chooses characters; its generator advances by whole words of logits for every character chosen.

    Args:
        spec: gives the logits' format and the size of the vocabulary.
        temperature_raw: raw temperature in the format :data:`TEMPERATURE`; 0 takes the largest logit.
        seed: 0 to 2**32 - 1.

    Raises:
        UserError: the temperature or the seed is out of range.
    """

    def __init__(self, spec: NetworkSpec, temperature_raw: int = 0, seed: int = 0) -> None:
        self.spec = spec
        self.temperature_raw = temperature_raw
        self.reseed(seed)

    @property
    def temperature_raw(self) -> int:
        return self._temperature_raw

    @temperature_raw.setter
    def temperature_raw(self, raw: int) -> None:
        self._temperature_raw = check_temperature(raw)

    def reseed(self, seed: int) -> None:
        """Start the random sequence of a seed."""
        self._random = Xorshift128(seed)

    def noise(self) -> Raw:
        """Draw raw noise for one character, (vocabulary,); the generator advances by whole words of four."""
        vocabulary = self.spec.vocabulary
        words = list(islice(self._random, -(-vocabulary // WORD_LOGITS) * WORD_LOGITS))
        return noise(np.array(words[:vocabulary], np.int64))

    def choose(self, logits: NDArray[Any]) -> int:
        """Choose the next character's code from raw logits, (vocabulary,).

        The code with the best score wins, the lowest code among equals.
        """
        if logits.shape != (self.spec.vocabulary,):
            raise ValueError(f"logits must be of shape {(self.spec.vocabulary,)}, got {logits.shape}")
        return int(np.argmax(scores(logits, self.noise(), self.temperature_raw, self.spec.output.logits)))


def scores(logits: Raw, noise_raw: Raw, temperature_raw: int | Raw, fmt: FixedFormat) -> Raw:
    """Compute logit + T noise exactly, at the finer of the two binary points."""
    logit_shift, noise_shift = score_shifts(fmt)
    return (np.asarray(logits, np.int64) << logit_shift) + (temperature_raw * noise_raw << noise_shift)


def score_shifts(fmt: FixedFormat) -> tuple[int, int]:
    """Return the left shifts that align logits of a format, and T noise.

    Raises:
        UserError: a score would not fit int64.
    """
    frac = TEMPERATURE.frac + NOISE.frac
    if max(fmt.bits, TEMPERATURE.bits + NOISE.bits) + abs(frac - fmt.frac) > 60:
        raise UserError(f"logits in {fmt} are too coarse or too fine to be sampled with a temperature")
    return max(0, frac - fmt.frac), max(0, fmt.frac - frac)


def noise(words: Raw) -> Raw:
    """Look up raw Gumbel noise for random words of 32 bits."""
    top = words >> (32 - OCTAVE_BITS)
    octave = OCTAVE_BITS - np.frexp(top.astype(np.float64))[1]  # leading zeros; frexp is exact here
    cell = words & ((1 << CELL_BITS) - 1)
    return noise_table()[np.minimum(octave, OCTAVES - 1) << CELL_BITS | cell] + noise_tail()[octave]


@lru_cache(maxsize=1)
def noise_table() -> Raw:
    """Return the noise -ln(-ln(1 - v)) at the middle v of every cell, by octave and cell.

    The shape is (OCTAVES 2**CELL_BITS,). v is the probability of larger noise: octave n holds v from
    2**-(n+1) to 2**-n in equal cells.
    """
    cells = 1 << CELL_BITS
    octave, cell = np.divmod(np.arange(OCTAVES * cells), cells)
    v = 2.0 ** -(octave + 1.0) * (1 + (cell + 0.5) / cells)
    table = NOISE.quantize(-np.log(-np.log1p(-v)))
    table.flags.writeable = False
    return table


@lru_cache(maxsize=1)
def noise_tail() -> Raw:
    """Return what is added to the table's noise, by octave, (OCTAVE_BITS + 1,).

    It is ln 2 for each octave after the table's last one, as each halves v.
    """
    behind = np.maximum(np.arange(OCTAVE_BITS + 1) - (OCTAVES - 1), 0)
    tail = NOISE.quantize(behind * math.log(2))
    tail.flags.writeable = False
    return tail


def noise_bounds() -> tuple[int, int]:
    """Return the smallest and the largest possible raw noise."""
    table, tail = noise_table(), noise_tail()
    return int(table.min()), int((table[-(1 << CELL_BITS) :].max() + tail[-1]).max())


def probabilities(logits: Raw, temperature_raw: int, fmt: FixedFormat) -> NDArray[np.float64]:
    """Compute each code's probability of being drawn, if the generator's bits were independent and fair.

    Only the generator's own bias is left out. The result is exact up to float64: it sums over every noise
    that the table can give, including ties, which go to the lowest code.
    """
    octave = np.arange(OCTAVE_BITS + 1)
    share = 2.0 ** -np.minimum(octave + 1.0, OCTAVE_BITS)
    cells = 1 << CELL_BITS
    values = (
        noise_table().reshape(OCTAVES, cells)[np.minimum(octave, OCTAVES - 1)] + noise_tail()[:, np.newaxis]
    )
    values, inverse = np.unique(values, return_inverse=True)
    weight = np.bincount(inverse.ravel(), np.repeat(share / cells, cells))
    below = np.concatenate([[0.0], np.cumsum(weight)])
    score = scores(np.asarray(logits)[:, np.newaxis], values, temperature_raw, fmt)  # (vocabulary, values)
    result = np.empty(len(score))
    for code, own in enumerate(score):
        chance = weight.copy()
        for other, theirs in enumerate(score):
            if other < code:  # a lower code wins a tie
                chance *= below[np.searchsorted(theirs, own, side="left")]
            elif other > code:
                chance *= below[np.searchsorted(theirs, own, side="right")]
        result[code] = chance.sum()
    return result


def temperature_to_raw(temperature: float) -> int:
    """Return the nearest raw temperature.

    Raises:
        UserError: the temperature is negative, not a number, or too large for the register.
    """
    if not 0 <= temperature <= TEMPERATURE.max_raw * TEMPERATURE.lsb:  # false for nan, too
        raise UserError(
            f"temperature is {temperature}; the hardware has 0 to {TEMPERATURE.max_raw * TEMPERATURE.lsb:g}"
        )
    return int(TEMPERATURE.quantize(temperature))


def check_temperature(raw: int) -> int:
    """Return a raw temperature that fits the register.

    Raises:
        UserError: it does not fit.
    """
    if not 0 <= raw <= TEMPERATURE.max_raw:
        raise UserError(f"the raw temperature must be 0 to {TEMPERATURE.max_raw}, got {raw}")
    return int(raw)


def check_seed(seed: int) -> int:
    """Return a seed that fits the register.

    Raises:
        UserError: it does not fit.
    """
    if not 0 <= seed <= _MASK:
        raise UserError(f"the seed must be 0 to {_MASK}, got {seed}")
    return int(seed)
