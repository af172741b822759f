# SPDX-License-Identifier: Apache-2.0
"""A block bootstrap: how far a mean over a text would move with another text of the same kind.

Neighbouring characters are not independent: a passage that is hard to predict is hard throughout. So the
bootstrap does not resample characters but blocks of neighbours (H. R. Kuensch, The jackknife and the
bootstrap for general stationary observations, Annals of Statistics 17, 1989). The text is closed to a circle,
so that each character is in as many blocks as any other (D. N. Politis and J. P. Romano, A circular
block-resampling procedure for stationary data, 1992).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

#: Characters of a block: more than the networks here remember in nearly all cases.
BLOCK = 1024
#: Least number of blocks in a text; with fewer, their spread is not known well.
FEWEST_BLOCKS = 20
#: Standard errors on each side of a mean that hold 95 % of a normal distribution.
WIDTH = 1.96
#: The bound, in words.
METHOD = f"95 %, circular block bootstrap over the text, blocks of {BLOCK:,} characters at most"


def block_length(count: int) -> int:
    """Return the characters of a block in a text of ``count``: :data:`BLOCK`, or fewer in a short text."""
    return max(1, min(BLOCK, count // FEWEST_BLOCKS))


def standard_error(values: ArrayLike, block: int | None = None) -> float:
    """Compute the standard error of the mean of values that depend on their neighbours, (N,).

    The mean of a resampled text is the mean of N / block block means, drawn independently from the N blocks
    of the circle. Its variance is therefore the variance of the block means divided by N / block. Infinitely
    many draws would give just this, so no random numbers are needed.

    Args:
        values: one value per character, in text order; for a comparison, the differences.
        block: length of a block in characters; :func:`block_length` of N if not given.

    Raises:
        ValueError: fewer than two values, or a block length outside 1 to N.
    """
    array = np.asarray(values, np.float64)
    count = len(array)
    block = block_length(count) if block is None else block
    if array.ndim != 1 or count < 2 or not 1 <= block <= count:
        shape = f"values of shape {array.shape}, blocks of {block}"
        raise ValueError(f"{shape}: need 2 values, a block of 1 to N")
    centred = array - array.mean()
    sums = np.cumsum(np.concatenate([[0.0], centred, centred[: block - 1]]))
    means = (sums[block:] - sums[:-block]) / block
    return math.sqrt(float(np.mean(means**2)) * block / count)


def noise_bound(values: ArrayLike, block: int | None = None) -> float:
    """Compute half the width of the interval around the mean that :data:`METHOD` describes."""
    return WIDTH * standard_error(values, block)
