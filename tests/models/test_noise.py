# SPDX-License-Identifier: Apache-2.0
"""The noise of a mean over a text agrees with resampling, and with the theory of known series."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zynq_lstm.models.evaluation.noise import (
    BLOCK,
    FEWEST_BLOCKS,
    METHOD,
    WIDTH,
    block_length,
    noise_bound,
    standard_error,
)


def test_it_is_what_many_draws_of_blocks_give(rng: np.random.Generator) -> None:
    """The closed form against the procedure itself: blocks drawn, joined, averaged, 20,000 times."""
    count, block, draws = 240, 12, 20_000
    values = np.convolve(rng.normal(size=count + 9), np.ones(10))[9 : count + 9]
    starts = rng.integers(0, count, (draws, count // block))
    at = (starts[:, :, None] + np.arange(block)) % count
    means = values[at].mean(axis=(1, 2))
    assert standard_error(values, block) == pytest.approx(means.std(), rel=0.03)  # its error is 0.5 %


def test_independent_values_have_the_error_of_the_textbook(rng: np.random.Generator) -> None:
    values = rng.normal(3, 2, 1000)
    assert standard_error(values, 1) == pytest.approx(values.std() / math.sqrt(1000), rel=1e-9)
    assert noise_bound(values, 1) == WIDTH * standard_error(values, 1)


def test_neighbours_that_agree_count_less(rng: np.random.Generator) -> None:
    """Values repeated 16 times give no more information: blocks show that, single characters do not."""
    once = rng.normal(size=4000)
    values = np.repeat(once, 16)
    true = once.std() / math.sqrt(len(once))
    assert standard_error(values, 1) == pytest.approx(true / 4, rel=1e-9)
    assert standard_error(values, 512) == pytest.approx(true, rel=0.25)


def test_a_constant_difference_has_no_noise() -> None:
    assert noise_bound(np.full(5000, 0.25)) == 0


def test_blocks_of_a_short_text_are_shorter() -> None:
    assert block_length(1_000_000) == BLOCK
    assert f"{BLOCK:,}" in METHOD
    assert block_length(1000) == 1000 // FEWEST_BLOCKS
    assert block_length(3) == 1


@pytest.mark.parametrize(("values", "block"), [([], None), ([1.0], None), ([1.0, 2.0], 3), ([1.0, 2.0], 0)])
def test_too_little_is_refused(values: list[float], block: int | None) -> None:
    with pytest.raises(ValueError, match="need 2 values, a block of 1 to N"):
        standard_error(values, block)
