# SPDX-License-Identifier: Apache-2.0
"""Training options: their defaults and legal values. This module needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from zynq_lstm.models.errors import UserError


@dataclass(frozen=True)
class Hyperparameter:
    """A training option: its meaning, its default, and its smallest and largest legal value."""

    meaning: str
    default: float
    low: float
    high: float


#: The options that a user may choose, by name: that of the verb's option and the configuration file's key.
HYPERPARAMETERS: Mapping[str, Hyperparameter] = MappingProxyType(
    {
        "epochs": Hyperparameter("Epochs of the base, the first float network.", 12.0, 0.0, 10_000.0),
        "further_epochs": Hyperparameter(
            "Epochs after the base, of the float and of the quantized network.", 4.0, 0.0, 10_000.0
        ),
        # A batch of 128 is 10 % faster, but halves the updates per epoch, which costs more; steps likewise.
        "batch": Hyperparameter("Parallel streams of text.", 64, 1, 4096),
        "steps": Hyperparameter("Characters between truncations of the gradient.", 64, 1, 4096),
        "learning_rate": Hyperparameter("Highest learning rate of the base.", 1e-2, 0.0, 10.0),
        "further_learning_rate": Hyperparameter("Highest learning rate after the base.", 5e-3, 0.0, 10.0),
        # 4.5 M characters and 0.3 M weights: the network underfits.
        "dropout": Hyperparameter("Share of values dropped between layers.", 0.0, 0.0, 0.9),
        "clip": Hyperparameter("Largest global norm of the gradient.", 1.0, 1e-6, 1e6),
        "distill": Hyperparameter(
            "Share of the float network's probabilities in the target of the quantized one.", 0.5, 0.0, 1.0
        ),
        "seed": Hyperparameter("Seed of initial weights, order of the text, and dropout.", 1, 0, 2**31 - 1),
    }
)


@dataclass(frozen=True)
class Choice:
    """A training option that is one of several words; the first one is the default."""

    meaning: str
    words: tuple[str, ...]


#: The options of the start that a user may choose, by name: the fields of :class:`Start`.
START_CHOICES: Mapping[str, Choice] = MappingProxyType(
    {
        "output_bias": Choice(
            "Output bias at the start: the logarithm of the characters' frequencies, or zero.",
            ("frequencies", "zero"),
        ),
        "first_kernel": Choice(
            "First kernel at the start: normal with standard deviation 1, or uniform as Glorot and Bengio's.",
            ("normal", "glorot"),
        ),
    }
)


@dataclass(frozen=True)
class Start:
    """The part of the initial weights that may be chosen; ``docs/training.md`` says why it matters."""

    output_bias: str = START_CHOICES["output_bias"].words[0]
    first_kernel: str = START_CHOICES["first_kernel"].words[0]

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value not in START_CHOICES[name].words:
                raise UserError(f"{name} is {value!r}; legal are {', '.join(START_CHOICES[name].words)}")

    @classmethod
    def chosen(cls, options: Mapping[str, Any]) -> Start:
        """Return the start that options name; those that they leave out are the defaults."""
        return cls(**{name: options[name] for name in START_CHOICES if name in options})


def start_text(start: Mapping[str, str]) -> str:
    """Return a record's entry ``start`` as text."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in start.items())


#: The start before there was a choice: that of all networks whose record has no entry ``start``, neither for
#: themselves nor for their base.
PLAIN_START = Start("zero", "glorot")

#: Smallest and largest legal value of the options that a user does not choose.
_OTHERS = {"final_learning_rate": (0.0, 10.0), "warm_up": (0, 1_000_000)}


def _default(name: str) -> Any:
    return HYPERPARAMETERS[name].default


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
    """Training options; all of them are needed to reproduce a run."""

    epochs: float = _default("epochs")
    batch: int = _default("batch")  # B
    steps: int = _default("steps")  # T
    learning_rate: float = _default("learning_rate")  # the highest value of the schedule
    final_learning_rate: float = 1e-5
    warm_up: int = 200  # updates
    clip: float = _default("clip")  # global norm of the gradient
    dropout: float = _default("dropout")
    distill: float = 0.0  # share of the teacher's prediction in the target; the rest is the text
    seed: int = _default("seed")

    def __post_init__(self) -> None:
        legal = {name: (option.low, option.high) for name, option in HYPERPARAMETERS.items()} | _OTHERS
        for name, value in vars(self).items():
            low, high = legal[name]
            if not low <= value <= high:
                raise UserError(f"{name} is {value}; it must be from {low} to {high}")
