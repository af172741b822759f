# SPDX-License-Identifier: Apache-2.0
"""The engines, in the modules of this folder: each builds a network, traces its signals and generates text.

A verb offers the engines that :func:`offered` returns; each engine's class names the verbs that offer it.
Engines import their tools only when they are used, so that reading their names and limits costs nothing.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.integers import limits

if TYPE_CHECKING:
    from zynq_lstm.models.description.checkpoint import Checkpoint
    from zynq_lstm.models.fixed import Raw
    from zynq_lstm.models.integers.network import IntegerNetwork

Codes = NDArray[np.integer[Any]]
PIECE = 4096  # characters traced at once: 100 MB for two layers of 128 units


@dataclass(eq=False)
class Engine(ABC):
    """One implementation of a network. Nothing is built before :meth:`build`.

    Args:
        checkpoint: the quantized network as weights.
        network: the same network as integers.
        folder: folder to build in.
    """

    checkpoint: Checkpoint
    network: IntegerNetwork
    folder: Path

    name: ClassVar[str]
    verbs: ClassVar[tuple[str, ...]] = ()  # verbs that offer the engine by its name
    limits: ClassVar[tuple[str, ...]]  # keys of models.integers.limits.ENGINES that apply to the engine
    in_folder: ClassVar[bool] = False  # True if building the engine writes files

    @abstractmethod
    def build(self) -> None:
        """Build the program that :meth:`trace` and :meth:`write` run.

        Raises:
            UserError: if a tool fails.
        """

    @abstractmethod
    def trace(self, codes: Codes, piece: int = PIECE) -> Iterator[dict[str, Raw]]:
        """Yield every raw signal for ``codes`` from a zero state, in pieces of ``piece`` characters.

        Raises:
            CheckError: if the engine itself finds a difference; after the last piece that could be read.
        """

    @abstractmethod
    def write(self, prime: Codes, length: int, temperature_raw: int = 0, seed: int = 0) -> Iterator[int]:
        """Iterate over the ``length`` codes that follow ``prime``, from a zero state, as they are generated.

        Raises:
            UserError: if an argument is not legal; raised by the call, not by the iterator.
        """

    def whole_trace(self, codes: Codes) -> dict[str, Raw]:
        """Return :meth:`trace` in one piece."""
        return next(self.trace(codes, len(codes)))

    def seconds(self, codes: Codes) -> dict[str, float]:
        """Return the seconds to compute ``codes``, by the clock's name; the wall clock has the name ''."""
        started = time.perf_counter()
        self.logits(codes)
        return {"": time.perf_counter() - started}

    def logits(self, codes: Codes) -> Raw:
        """Return the raw logits for ``codes`` from a zero state."""
        return self.whole_trace(codes)["logits"]

    def describe(self) -> dict[str, Any]:
        """Return figures of the engine as built, and of its last runs."""
        return {}


@functools.cache
def registry() -> Mapping[str, type[Engine]]:
    """Return all engines by name: the classes with a name in the modules of this folder."""
    found: list[type[Engine]] = []
    for module in pkgutil.iter_modules(__path__):
        values = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        found += [x for x in values if isinstance(x, type) and issubclass(x, Engine) and "name" in vars(x)]
    order = list(limits.ENGINES)
    return {x.name: x for x in sorted(dict.fromkeys(found), key=lambda x: order.index(x.limits[0]))}


def offered(verb: str) -> tuple[str, ...]:
    """Return the names of the engines that a verb offers."""
    return tuple(name for name, engine in registry().items() if verb in engine.verbs)


def frozen(checkpoint: Checkpoint, *names: str) -> IntegerNetwork:
    """Return a quantized network as integers; check that engines support it, before heavy imports.

    Args:
        names: names of the engines.

    Raises:
        UserError: if one of the engines can't be built for the network; the message gives the reason.
    """
    from zynq_lstm.models.integers.freeze import freeze

    network = freeze(checkpoint)
    for name in names:
        for limit in registry()[name].limits:
            limits.require(limit, network.spec)
    return network
