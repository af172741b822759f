# SPDX-License-Identifier: Apache-2.0
"""Files that a test starts with: texts, configurations, small networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.networks import save_checkpoint, small_spec, with_weights
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.integers.freeze import thaw

Prepare = Callable[[Path], object]  # makes files in a folder


def text(content: str, name: str = "a.txt") -> Prepare:
    """Return a step that writes a text file with the line ends of ``content``."""
    return lambda folder: (folder / name).write_bytes(content.encode())


def both(*steps: Prepare) -> Prepare:
    """Combine preparations, one after the other."""
    return lambda folder: [step(folder) for step in steps]


def flow(content: str) -> Prepare:
    """Writes flow.toml."""
    return text(content, "flow.toml")


def network(folder: Path, vocabulary: str, folded: Any = None, name: str = "net.safetensors") -> Checkpoint:
    """Write a small quantized network with this vocabulary."""
    made = thaw(with_weights(small_spec("w8a8", len(vocabulary), (4,)), np.random.default_rng(0)))
    corpus = {"name": "a.txt"} | ({"folded": folded} if folded else {})
    checkpoint = dataclasses.replace(made, vocabulary=vocabulary, corpus=corpus)
    checkpoint.save(folder / name)
    return checkpoint


def checkpoint(units: Sequence[int] = (4,), **formats: str) -> Prepare:
    """Writes net.safetensors: a quantized network of these layers and formats."""

    def prepare(folder: Path) -> None:
        save(small_spec("w8a8", 5, units, **formats), folder)

    return prepare


def save(spec: NetworkSpec, folder: Path) -> None:
    """Write net.safetensors: a quantized network of random weights."""
    save_checkpoint(with_weights(spec, np.random.default_rng(1)), folder / "net.safetensors")


def written(name: str) -> Prepare:
    """Checks that a file was written."""

    def check(folder: Path) -> None:
        assert (folder / name).stat().st_size

    return check
