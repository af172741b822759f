# SPDX-License-Identifier: Apache-2.0
"""Seeds found by solving equations, and choices that one bit decides."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np
import pytest

from zynq_lstm.models.integers.choice import CELL_BITS, OCTAVE_BITS, WORD_LOGITS, Sampler, Xorshift128, scores
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.sim.bench.near_ties import CELLS, near_ties, seed_of
from zynq_lstm.sim.campaigns.mutants import small_design


@pytest.mark.parametrize("lane", range(WORD_LOGITS))
def test_a_seed_has_the_word_that_was_asked_for(lane: int, seed: int) -> None:
    rng = random.Random(seed)
    missing = 0
    for octave in range(OCTAVE_BITS + 1):
        for cell in (0, CELLS - 1, rng.randrange(CELLS)):
            found = seed_of(lane, octave, cell, rng)
            if found is None:  # no seed gives some words of rare octaves
                missing += 1
                continue
            word = next(islice(Xorshift128(found), lane, None))
            assert (word >> CELL_BITS).bit_length() == OCTAVE_BITS - octave
            assert word % CELLS == cell
    assert missing <= 6


def scored(network: IntegerNetwork, prime: int, seed: int, temperature_raw: int, change: np.ndarray) -> int:
    """Return the code chosen after a change to the noise of each code."""
    logits = Reference(network).run([prime])[0]
    noise = Sampler(network.spec, seed=seed).noise() + change
    return int(np.argmax(scores(logits, noise, temperature_raw, network.spec.output.logits)))


def test_one_lsb_of_noise_decides(seed: int) -> None:
    network = small_design(seed).network
    ties = near_ties(network, random.Random(seed))
    lsb = np.eye(network.spec.vocabulary, dtype=np.int64)[:WORD_LOGITS]
    decided = dict.fromkeys((1, -1), 0)
    for tie in ties:
        arguments = network, tie.prime, tie.seed, tie.temperature_raw
        before = scored(*arguments, np.zeros_like(lsb[0]))
        for sign in decided:
            decided[sign] += any(scored(*arguments, sign * one) != before for one in lsb)
    # Every lane and octave has ties for both directions, with few exceptions.
    assert len(ties) >= 2 * 0.9 * WORD_LOGITS * (OCTAVE_BITS + 1)
    assert min(decided.values()) >= 0.4 * len(ties)
