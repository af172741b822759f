# SPDX-License-Identifier: Apache-2.0
"""The interface that a stage works with, and functions that several stages share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.texts.corpus import Corpus, from_text, read_text
from zynq_lstm.scripts.flow.config import Config
from zynq_lstm.scripts.flow.load import Flow
from zynq_lstm.scripts.flow.runner import Figures, Stage

if TYPE_CHECKING:
    from zynq_lstm.hls.engine.array import Array

T = TypeVar("T")
Result = tuple[Sequence[str], Figures]


class Work(Protocol):
    """The interface that a stage works with."""

    flow: Flow
    folder: Path  # of the stage
    resume: bool  # the folder holds the files of the same run, which was interrupted

    def at(self, stage: str) -> Path:
        """Return the folder of another stage."""

    def stages(self) -> Sequence[Stage]:
        """Return all stages that the configuration asks for."""

    def record(self, stage: str) -> dict[str, Any]:
        """Return the record of another stage; empty if it has not run or is left out."""

    def figures(self, stage: str) -> Figures:
        """Return the figures of another stage."""

    def step(self, title: str, run: Callable[[], T], show: Callable[[T], str] | None = None) -> T:
        """Run a step and show its title, its time, and the text that ``show`` makes of the result."""

    def count(self, title: str, total: int, run: Callable[[Callable[[int], object]], T]) -> T:
        """Run a step that reports its progress, out of ``total``."""

    def say(self, text: str) -> None:
        """Show a line to the user."""


def text_of(work: Work) -> Corpus:
    """Return the corpus as the first stage left it."""
    found = work.figures("corpus")
    corpus = from_text(found["name"], read_text(work.at("corpus") / "text.txt", as_is=True))
    return replace(corpus, folded=found.get("folded", {}))


def checkpoint_of(work: Work) -> tuple[Checkpoint, IntegerNetwork]:
    """Return the quantized network, as weights and as integers."""
    folder = work.at("quantize")
    return (
        Checkpoint.load(folder / "quantized.safetensors"),
        IntegerNetwork.load(folder / "network.safetensors"),
    )


def verified(work: Work, network: IntegerNetwork) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the held-out characters that engines are compared on, and those that prime their text."""
    held_out = text_of(work).with_vocabulary(network.vocabulary).split().validation
    codes = held_out[: work.flow.config.verification.characters]
    return codes, codes[: len(codes) // 8]


def array_of(config: Config, spec: NetworkSpec) -> Array:
    """Return the array of the engine that the configuration asks for."""
    from zynq_lstm.hls.engine.estimate import fitting_array

    return fitting_array(spec, config.engine.part, config.engine.dsp, config.engine.lanes)
