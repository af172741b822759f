# SPDX-License-Identifier: Apache-2.0
"""The functions that an activation table may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the logistic function in a form that cannot overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


#: By name. The hard ones are those of Keras 3 (``hard_sigmoid``, ``hard_tanh``), and those of Keras 2 and
#: QKeras, whose ``hard_sigmoid`` are different functions.
FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "sigmoid": sigmoid,
        "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0.0, 1.0),
        "keras2_hard_sigmoid": lambda x: np.clip(x / 5 + 0.5, 0.0, 1.0),
        "qkeras_hard_sigmoid": lambda x: np.clip(x / 2 + 0.5, 0.0, 1.0),
        "tanh": np.tanh,
        "hard_tanh": lambda x: np.clip(x, -1.0, 1.0),
    }
)
