# SPDX-License-Identifier: Apache-2.0
"""Choices that a single bit decides: seeds and temperatures at which two codes score (nearly) the same.

With random seeds such a choice is rare, and so are random words with many leading zeros. The generator is
linear over GF(2): a seed that gives a certain random word is the solution of linear equations.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np

from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.choice import (
    CELL_BITS,
    OCTAVE_BITS,
    OCTAVES,
    TEMPERATURE,
    WORD_LOGITS,
    Sampler,
    Xorshift128,
    score_shifts,
    scores,
)
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference

WORD_BITS = OCTAVE_BITS + CELL_BITS
CELLS = 1 << CELL_BITS
MOST_PRIMES = 16  # codes tried, to find the closest logits
MOST_SEEDS = 20  # seeds tried for each lane and octave


@dataclass(frozen=True)
class NearTie:
    """After ``prime`` from a zero state, with this seed and temperature, two codes score nearly the same."""

    seed: int
    temperature_raw: int
    prime: int


def near_ties(network: IntegerNetwork, rng: random.Random) -> list[NearTie]:
    """Return near ties for random words of every octave in every lane: a word's code just wins or loses.

    The margin is less than the effect of one LSB of the noise, if one of a few seeds gives that; otherwise it
    is the least that they give.
    """
    vocabulary = network.spec.vocabulary
    primes = rng.sample(range(vocabulary), min(vocabulary, MOST_PRIMES))
    logits = Reference(network, len(primes)).run(np.array(primes)[:, np.newaxis])[:, 0]
    found = []
    for lane in range(min(WORD_LOGITS, vocabulary)):
        for octave in range(OCTAVE_BITS + 1):
            choices = [[rng.randrange(CELLS) for _ in range(MOST_SEEDS)]]
            # Also the table's first entry and its last one.
            choices += [[0]] * (octave == 0) + [[CELLS - 1]] * (octave == OCTAVES - 1)
            for cells in choices:
                closest: dict[bool, tuple[float, NearTie]] = {}
                for cell in cells:
                    seed = seed_of(lane, octave, cell, rng)
                    for wins, gap, tie in _around(network, seed, lane, primes, logits):
                        if wins not in closest or gap < closest[wins][0]:
                            closest[wins] = gap, tie
                    if len(closest) == 2 and max(gap for gap, _ in closest.values()) < 1:
                        break
                found += [tie for _, tie in closest.values()]
    return found


def seed_of(position: int, octave: int, cell: int, rng: random.Random) -> int | None:
    """Return a seed whose random word at a position has an octave (leading zeros) and a cell, or None."""
    kept = min(octave + 1, OCTAVE_BITS)
    top = int(octave < OCTAVE_BITS) << OCTAVE_BITS - kept
    wanted = top << CELL_BITS | cell
    # Each bit of the word is a parity of bits of the seed. Rows by their highest bit, for elimination.
    rows: dict[int, tuple[int, int]] = {}
    constant, masks = _parities(position)
    for bit in (*range(CELL_BITS), *range(WORD_BITS - kept, WORD_BITS)):
        mask, parity = masks[bit], (wanted ^ constant) >> bit & 1
        while mask and mask.bit_length() in rows:
            other = rows[mask.bit_length()]
            mask, parity = mask ^ other[0], parity ^ other[1]
        if mask:
            rows[mask.bit_length()] = mask, parity
        elif parity:
            return None
    seed = rng.getrandbits(WORD_BITS)
    for length, (mask, parity) in sorted(rows.items()):
        if _parity(mask & seed) != parity:
            seed ^= 1 << length - 1
    return seed


@lru_cache
def _parities(position: int) -> tuple[int, list[int]]:
    """Return the random word at a position for seed 0, and for each bit of it the seed bits that flip it."""
    constant = _word(0, position)
    turned = [_word(1 << bit, position) ^ constant for bit in range(WORD_BITS)]
    return constant, [sum((t >> bit & 1) << k for k, t in enumerate(turned)) for bit in range(WORD_BITS)]


def _word(seed: int, position: int) -> int:
    return next(islice(Xorshift128(seed), position, None))


def _parity(bits: int) -> int:
    return bits.bit_count() & 1


def _around(
    network: IntegerNetwork, seed: int | None, code: int, primes: list[int], logits: Raw
) -> Iterator[tuple[bool, float, NearTie]]:
    """Yield where ``code`` wins by the least, and where it loses by the least, in LSBs of its noise.

    Args:
        seed: None yields nothing.
        logits: logits after each of the primes, (primes, vocabulary).
    """
    if seed is None:
        return
    noise = Sampler(network.spec, seed=seed).noise()
    raw = np.arange(1, TEMPERATURE.max_raw + 1)
    fmt = network.spec.output.logits
    ranked = scores(logits[:, np.newaxis], noise, raw[:, np.newaxis], fmt)  # (primes, temperatures, codes)
    lead = ranked[..., code] - np.delete(ranked, code, axis=2).max(axis=2)
    lead = lead / (raw << score_shifts(fmt)[1])
    for wins in (True, False):
        gap = np.where((lead > 0) == wins, np.abs(lead), np.inf)
        prime, at = np.unravel_index(np.argmin(gap), gap.shape)
        if gap[prime, at] < np.inf:
            yield wins, float(gap[prime, at]), NearTie(seed, int(raw[at]), primes[prime])
