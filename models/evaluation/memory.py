# SPDX-License-Identifier: Apache-2.0
"""Units that do not use their memory: stuck ones, whose tanh(c) hardly moves, and saturated ones.

A stuck unit gives the layers above a constant (or, with an output gate, a constant times that gate), and its
other gates compute nothing. In training it gets hardly any gradient, so it stays as it is. Both definitions
are those of :func:`stuck` and :func:`saturated`, for float networks and for integers, for every cell.

Shapes: S streams, T steps, H units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from zynq_lstm.models.cells.description import Cell, LookUp, Sum
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.partial import PartlyQuantized
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.texts.corpus import windows

Reals = NDArray[np.floating[Any]]

#: The text: so many streams, spread evenly; in each, characters are read before those that count. The
#: characters that count are of all streams together.
STREAMS, WARM_UP, CHARACTERS = 4, 1000, 50_000
NEEDED = STREAMS * WARM_UP + CHARACTERS  # characters of the text
CENTRAL, SPAN = 0.99, 0.1  # a stuck unit's central share of values spans less
EDGE, SHARE = 0.95, 0.99  # a saturated unit is beyond the edge, on one side, for a larger share of values
#: More stuck units than this share of all are worth a warning.
TOLERATED = 1 / 32
CHUNK = 500  # steps that are computed at once

METHOD = (
    f"stuck: the central {100 * CENTRAL:g} % of tanh(c) (of h in a cell without it) span less than {SPAN:g}; "
    f"saturated: beyond {EDGE:g} with one sign for more than {100 * SHARE:g} %; "
    f"{STREAMS} streams, after {WARM_UP:,} characters each"
)

Source = Callable[[NDArray[np.integer]], Iterator[list[Reals]]]
"""Runs streams of codes (S, T) from a zero state; yields the values of each layer (S, t, H), part by part."""


@dataclass(frozen=True)
class Memory:
    """The numbers of stuck and of saturated units of each layer, and how they were measured."""

    units: tuple[int, ...]
    stuck: tuple[int, ...]
    saturated: tuple[int, ...]
    characters: int  # that count

    @property
    def many_stuck(self) -> bool:
        """True if more units are stuck than :data:`TOLERATED`."""
        return sum(self.stuck) > TOLERATED * sum(self.units)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data."""
        return {
            "units": list(self.units),
            "stuck": list(self.stuck),
            "saturated": list(self.saturated),
            "characters": self.characters,
        }

    def __str__(self) -> str:
        return (
            f"stuck {by_layer(self.stuck)}, saturated {by_layer(self.saturated)} of {by_layer(self.units)} "
            f"units ({self.characters:,} characters)"
        )


def by_layer(counts: tuple[int, ...] | list[int]) -> str:
    """Return the numbers of the layers as text, the first layer's first."""
    return " + ".join(map(str, counts))


def stuck(values: Reals) -> NDArray[np.bool_]:
    """Find the units whose central :data:`CENTRAL` of values span less than :data:`SPAN`: (N, H) -> (H,).

    Args:
        values: tanh(c), or h in a cell without it (:func:`signal`), at N characters.
    """
    low, high = np.quantile(values, ((1 - CENTRAL) / 2, (1 + CENTRAL) / 2), axis=0)
    return high - low < SPAN


def saturated(values: Reals) -> NDArray[np.bool_]:
    """Find the units beyond :data:`EDGE` with one sign for more than :data:`SHARE`: (N, H) -> (H,).

    Args:
        values: as for :func:`stuck`.
    """
    above, below = (values > EDGE).mean(axis=0), (values < -EDGE).mean(axis=0)
    return np.maximum(above, below) > SHARE


def signal(cell: Cell) -> str:
    """Return the signal of a cell that shows its memory: the function of c that it looks up, or else h."""
    copies = {"c"}  # of c, in other formats
    for equation in cell.equations if "c" in cell.state else ():
        if isinstance(equation, LookUp) and equation.index in copies:
            return equation.signal
        if isinstance(equation, Sum) and len(equation.terms) == 1:
            (term,) = equation.terms
            if term.sign > 0 and len(term.factors) == 1 and term.factors[0] in copies:
                copies.add(equation.signal)
    return "h"


def measure(source: Source, codes: NDArray[np.integer], characters: int = CHARACTERS) -> Memory:
    """Count the stuck and the saturated units of each layer over a text: (N,).

    Args:
        source: the network, from :func:`float_source`, :func:`integer_source` or :func:`keras_source`.
        codes: held-out text. A shorter one than :data:`NEEDED` is used whole, and at most half of each stream
            is read before its values count; :attr:`Memory.characters` has the number of those that do.
        characters: number of characters that count.

    Raises:
        UserError: the text has less than two characters for each stream.
    """
    length = min(WARM_UP + characters // STREAMS, len(codes) // STREAMS)
    if length < 2:
        raise UserError(f"the text has {len(codes)} characters; {2 * STREAMS} are needed to look at units")
    first = min(WARM_UP, length // 2)
    parts = list(source(windows(np.asarray(codes), length, STREAMS)))
    layers = [np.concatenate(pieces, axis=1)[:, first:] for pieces in zip(*parts, strict=True)]
    flat = [values.reshape(-1, values.shape[2]) for values in layers]
    return Memory(
        tuple(values.shape[1] for values in flat),
        tuple(int(stuck(values).sum()) for values in flat),
        tuple(int(saturated(values).sum()) for values in flat),
        len(flat[0]),
    )


def float_source(spec: NetworkSpec, weights: Mapping[str, NDArray[Any]]) -> Source:
    """Return a network in float64, with no signal rounded; the spec gives its shape and functions."""

    def run(codes: NDArray[np.integer]) -> Iterator[list[Reals]]:
        network = PartlyQuantized(spec, weights)
        with threadpool_limits(1):  # the products are too small to share
            for part in _parts(codes):
                trace: dict[str, NDArray[np.float64]] = {}
                network.run(part, trace, carry=True)
                yield [trace[name] for name in _traced(spec)]

    return run


def integer_source(network: IntegerNetwork) -> Source:
    """Return an integer network in the reference; the values are real numbers."""
    from zynq_lstm.models.integers.reference import Reference

    def run(codes: NDArray[np.integer]) -> Iterator[list[Reals]]:
        reference = Reference(network, len(codes))
        for part in _parts(codes):
            trace: dict[str, NDArray[np.int64]] = {}
            reference.run(part, trace)
            yield [
                layer.formats.signal_format(name.rpartition(".")[2]).to_real(trace[name])
                for layer, name in zip(network.spec.layers, _traced(network.spec), strict=True)
            ]

    return run


def keras_source(model: Any) -> Source:
    """Return a Keras model of ours, float or quantized; it is compiled once, and may train between uses."""
    from zynq_lstm.models.keras.float_lstm import recurrent_layers, tf, zero_state

    layers = recurrent_layers(model)

    @tf.function(jit_compile=True)
    def steps(x: Any, states: Any) -> Any:
        found, after = [], []
        for layer, state in zip(layers, states, strict=True):
            name = signal(layer.description)
            signals = layer.signals(x, state, [name])
            x = signals["h"][1:]  # the first one is the state before
            found.append(x if name == "h" else signals[name])
            ends = [signals[one][-1] for one in layer.description.state]
            after.append((ends[0], ends[-1]))
        return found, after

    def run(codes: NDArray[np.integer]) -> Iterator[list[Reals]]:
        states: Any = zero_state(model, len(codes))
        for part in _parts(codes):
            # Every call has the same shape, so that one compilation serves; the padding is cut off.
            padded = np.zeros((CHUNK, len(codes)), np.int32)
            padded[: part.shape[1]] = part.T
            found, states = steps(tf.constant(padded), states)
            yield [np.asarray(values).transpose(1, 0, 2)[:, : part.shape[1]] for values in found]

    return run


def _parts(codes: NDArray[np.integer]) -> Iterator[NDArray[np.integer]]:
    for start in range(0, codes.shape[1], CHUNK):
        yield codes[:, start : start + CHUNK]


def _traced(spec: NetworkSpec) -> list[str]:
    """Return the name in a trace of each layer's :func:`signal`."""
    return [f"layers.{k}.{signal(layer.formats.description)}" for k, layer in enumerate(spec.layers)]
