# SPDX-License-Identifier: Apache-2.0
"""The engines: each builds a network, traces its signals and writes text. One file of this folder each.

A verb takes the engines that :func:`offered` names; an engine says itself which verbs offer it. Engines
import their tools when they are used, so that their names and limits cost nothing.
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
    """A network in one implementation. Nothing is built before :meth:`build`.

    Args:
        checkpoint: the quantized network as weights.
        network: the same as integers.
        folder: to build in.
    """

    checkpoint: Checkpoint
    network: IntegerNetwork
    folder: Path

    name: ClassVar[str]
    verbs: ClassVar[tuple[str, ...]] = ()  # that offer it by its name
    limits: ClassVar[tuple[str, ...]]  # keys of models.limits.ENGINES that apply to it
    in_folder: ClassVar[bool] = False  # whether it writes files when it is built

    @abstractmethod
    def build(self) -> None:
        """Build what :meth:`trace` and :meth:`write` run.

        Raises:
            UserError: if a tool fails.
        """

    @abstractmethod
    def trace(self, codes: Codes, piece: int = PIECE) -> Iterator[dict[str, Raw]]:
        """Every signal of ``codes`` from a zero state, as raw integers, ``piece`` characters at a time.

        Raises:
            CheckError: after the last piece that could be read, if the engine found a difference itself.
        """

    @abstractmethod
    def write(self, prime: Codes, length: int, temperature_raw: int = 0, seed: int = 0) -> Iterator[int]:
        """Codes of ``length`` characters that follow ``prime``, from a zero state, as they are written.

        Raises:
            UserError: at the call, if an argument is not legal.
        """

    def whole_trace(self, codes: Codes) -> dict[str, Raw]:
        """:meth:`trace` in one piece."""
        return next(self.trace(codes, len(codes)))

    def seconds(self, codes: Codes) -> dict[str, float]:
        """Time to compute ``codes``, by the name of the clock; that of the wall has the name ''."""
        started = time.perf_counter()
        self.logits(codes)
        return {"": time.perf_counter() - started}

    def logits(self, codes: Codes) -> Raw:
        """Raw logits of ``codes`` from a zero state."""
        return self.whole_trace(codes)["logits"]

    def describe(self) -> dict[str, Any]:
        """Figures of the engine as built, and of its last runs."""
        return {}


@functools.cache
def registry() -> Mapping[str, type[Engine]]:
    """All engines by name: the classes with a name in the modules of this folder."""
    found: list[type[Engine]] = []
    for module in pkgutil.iter_modules(__path__):
        values = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        found += [x for x in values if isinstance(x, type) and issubclass(x, Engine) and "name" in vars(x)]
    order = list(limits.ENGINES)
    return {x.name: x for x in sorted(dict.fromkeys(found), key=lambda x: order.index(x.limits[0]))}


def offered(verb: str) -> tuple[str, ...]:
    """Names of the engines that a verb offers."""
    return tuple(name for name, engine in registry().items() if verb in engine.verbs)


def frozen(checkpoint: Checkpoint, *names: str) -> IntegerNetwork:
    """The integers of a quantized network; before anything heavy is imported.

    Args:
        names: of the engines that it is for.

    Raises:
        UserError: with the reason why one of the engines can't be built for it.
    """
    from zynq_lstm.models.integers.freeze import freeze

    network = freeze(checkpoint)
    for name in names:
        for limit in registry()[name].limits:
            limits.require(limit, network.spec)
    return network
