# SPDX-License-Identifier: Apache-2.0
"""Training options: their defaults and legal values. This module needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from zynq_lstm.models.errors import UserError

#: The smallest and the largest legal value of each option.
LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "epochs": (0.0, 10_000.0),
        "batch": (1, 4096),
        "steps": (1, 4096),
        "learning_rate": (0.0, 10.0),
        "final_learning_rate": (0.0, 10.0),
        "warm_up": (0, 1_000_000),
        "clip": (1e-6, 1e6),
        "dropout": (0.0, 0.9),
        "distill": (0.0, 1.0),
        "seed": (0, 2**31 - 1),
    }
)


def require_length(length: int, batch: int, steps: int) -> None:
    """Refuse a training text that is shorter than one batch of sequences.

    Raises:
        UserError: the text is too short; names the length that is needed.
    """
    needed = batch * (steps + 1)
    if length < needed:
        raise UserError(
            f"the training text has {length} characters, shorter than one batch of "
            f"sequences: {batch} x ({steps} + 1) = {needed}; "
            "use a longer text, or a smaller --batch or --steps"
        )


@dataclass(frozen=True)
class TrainingOptions:
    """Training options; a run is reproducible only with all of them."""

    epochs: float = 12.0
    batch: int = 64  # B: 128 is 10 % faster, but having half as many updates per epoch costs more than that
    steps: int = 64  # T: as for the batch
    learning_rate: float = 1e-2  # the highest value of the schedule
    final_learning_rate: float = 1e-5
    warm_up: int = 200  # updates
    clip: float = 1.0  # global norm of the gradient
    dropout: float = 0.0  # 4.5 M characters and 0.3 M weights: the network underfits
    distill: float = 0.0  # share of the teacher's prediction in the target; the rest is the text
    seed: int = 1

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"{name} is {value}; it must be from {low} to {high}")
