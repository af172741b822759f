# SPDX-License-Identifier: Apache-2.0
"""The last step of every import: compare our equations, with the model's own rounding, to Keras' values.

Keras computes in float32, this module in float64. A difference in the last bit becomes a whole step where a
signal is rounded, and a recurrence may amplify it without bound. So each step starts from Keras' own h and
inputs, and each signal is an interval: all values that a float32 computation can give, in any order of its
additions. The functions and the quantizers are monotone, so it is enough to apply them to the ends of an
interval. Keras' value must be in the interval in each layer, unit and step, and at the model's own output. An
interval is a few millionths wide where nothing is rounded; near a tie it holds both neighbours.

Bounds: the error of a sum of n products is at most n 2**-24 times the sum of the products' magnitudes
(Higham, "Accuracy and Stability of Numerical Algorithms", 3.1); twice that is allowed. The error allowed for
a function is 2**-20.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.cells.description import Cell, LookUp, Sum, Term
from zynq_lstm.models.description.spec import FUNCTIONS
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.importing.build import computed, keras_layer
from zynq_lstm.models.importing.importer import Imported
from zynq_lstm.models.importing.quantizers import Quantizer, Reals

UNIT = 2.0**-24  # relative rounding error of float32
FUNCTION_ERROR = 2.0**-20
TINY = 2.0**-100  # allowed loss on a processor that takes the smallest numbers for zero
WINDOWS, STEPS = 64, 8
SEED = 7


class Interval(NamedTuple):
    """Lowest and highest values that a signal may have."""

    low: Reals
    high: Reals

    def __mul__(self, other: Any) -> Interval:
        corners = [a * b for a in self for b in other]
        return Interval(np.minimum.reduce(corners), np.maximum.reduce(corners)).wider(UNIT)

    def plus(self, other: Interval) -> Interval:
        """Return the sum."""
        return Interval(self.low + other.low, self.high + other.high).wider(UNIT)

    def wider(self, relative: float, absolute: float = 0.0) -> Interval:
        """Return the interval widened by twice the relative error, and by the absolute one."""
        error = 2 * relative * np.maximum(np.abs(self.low), np.abs(self.high)) + absolute
        return Interval(self.low - error, self.high + error)

    def through(self, function: Callable[[Reals], Reals]) -> Interval:
        """Return the image of the interval under a monotone function."""
        return Interval(function(self.low), function(self.high))

    def rounded(self, quantizer: Quantizer | None) -> Interval:
        """Return the interval after a quantizer, if there is one; its own arithmetic is float32."""
        return self.through(quantizer).wider(UNIT) if quantizer else self

    def first_outside(self, values: Reals) -> tuple[int, ...] | None:
        """Return the index of the first of ``values`` outside the interval; a NaN is always outside."""
        outside = np.argwhere(~((self.low <= values) & (values <= self.high)))
        return tuple(map(int, outside[0])) if len(outside) else None


@dataclass(frozen=True)
class Observed:
    """Keras' results for some codes.

    Args:
        codes: the codes, (S, T).
        h: h of every recurrent layer, (S, T, H).
        logits: the logits, (S, T, V), or (S, V) of a model that answers only after the last character.
        probabilities: the probabilities, shaped likewise; None for a model without softmax.
    """

    codes: NDArray[np.integer]
    h: tuple[Reals, ...]
    logits: Reals
    probabilities: Reals | None


def check_import(imported: Imported) -> None:
    """Compare every step of every layer, and the model's output, with Keras' results.

    Raises:
        CheckError: a value differs; gives the layer, the place, Keras' value and our interval.
    """
    compare(imported, observe(imported))


def observe(imported: Imported) -> Observed:
    """Run Keras on codes drawn with a fixed seed.

    Each character of the vocabulary is the last one of a window at least once.

    Raises:
        UserError: the model's own signals are not finite.
    """
    vocabulary, chain = imported.spec.vocabulary, imported.chain
    codes = np.random.default_rng(SEED).integers(0, vocabulary, (max(WINDOWS, vocabulary), STEPS))
    codes[:, -1] = np.arange(len(codes)) % vocabulary
    x = first = imported.inputs(codes)
    if chain.embedding is not None:
        x = computed(keras_layer(imported.model, chain, chain.embedding), x)
    found: list[Reals] = []
    for layer in chain.recurrent:
        found.append(_sequence(keras_layer(imported.model, chain, layer), x))
        x = found[-1].astype(np.float32)
    logits = computed(imported.without_softmax, first)
    for what, values in (*((f"h of layer {k}", h) for k, h in enumerate(found)), ("output", logits)):
        if not np.isfinite(values).all():
            raise UserError(
                f"{imported.file.path}: {what} in Keras is not finite: the weights are too large for float32"
            )
    return Observed(codes, tuple(found), logits, computed(imported.model, first) if chain.softmax else None)


def compare(imported: Imported, observed: Observed) -> None:
    """Compare Keras' values with our equations, layer by layer and at the output.

    Raises:
        CheckError: a value differs; gives the layer, the place, Keras' value and our interval.
    """
    below: Reals | None = None
    for k, layer in enumerate(imported.chain.recurrent):
        h = observed.h[k]
        if below is None:
            inputs = _first_sums(imported, observed.codes)
        else:
            inputs = _product(below, imported.weights[f"layers.{k}.W"])
        _require(imported, f"layer {layer.name!r}", "h", _layer(imported, k, inputs, h), h)
        below = h
    assert below is not None
    logits = _product(below, imported.weights["output.W"], imported.weights["output.b"])
    if imported.chain.last_only:
        logits = Interval(logits.low[:, -1], logits.high[:, -1])
    _require(imported, "the model", "its logit", logits, observed.logits)
    if observed.probabilities is not None:
        _require(imported, "the model", "its probability", _softmax(logits), observed.probabilities)


def _require(imported: Imported, where: str, what: str, allowed: Interval, values: Reals) -> None:
    begin = f"{imported.file.path}: {where}: {what} in Keras"
    end = "the import is wrong; please report it with this file"
    if allowed.low.shape != values.shape:
        raise CheckError(f"{begin} has the shape {values.shape}, by our equations {allowed.low.shape}: {end}")
    at = allowed.first_outside(values)
    if at is not None:
        raise CheckError(
            f"{begin} is {values[at]:.9g}, by our equations {allowed.low[at]:.9g} to {allowed.high[at]:.9g} "
            f"at [{', '.join(map(str, at))}]: {end}"
        )


def _sequence(layer: Any, x: NDArray[Any]) -> Reals:
    """Compute h of every step of a Keras layer, even if the layer itself returns only the last."""
    returned, layer.return_sequences = layer.return_sequences, True
    try:
        return computed(layer, x)
    finally:
        layer.return_sequences = returned


def _exact(values: NDArray[Any]) -> Interval:
    """Return the interval of values that are known."""
    values = values.astype(np.float64)
    return Interval(values, values)


def _product(x: Reals, W: NDArray[Any], b: NDArray[Any] | None = None) -> Interval:
    """Return the interval of x @ W + b in float32."""
    x, W = x.astype(np.float64), W.astype(np.float64)
    value, size = x @ W, np.abs(x) @ np.abs(W)
    if b is not None:
        value, size = value + b, size + np.abs(b.astype(np.float64))
    error = 2 * (len(W) + 2) * UNIT * size + TINY
    return Interval(value - error, value + error)


def _products(x: Interval, U: NDArray[Any]) -> Interval:
    """Return the interval of x @ U in float32, for an x within an interval."""
    middle, radius = (x.low + x.high) / 2, (x.high - x.low) / 2
    exact = _product(middle, U)
    error = (1 + 2 * (len(U) + 2) * UNIT) * (radius @ np.abs(U.astype(np.float64)))
    return Interval(exact.low - error, exact.high + error)


def _first_sums(imported: Imported, codes: NDArray[np.integer]) -> Interval:
    """Return the first layer's x @ W: a row of W, which is exact, or of the product with the embedding."""
    rows = imported.weights["layers.0.W"].astype(np.float64)[codes]
    error = 0.0
    if imported.sizes is not None:
        assert imported.chain.embedding is not None
        columns = imported.chain.embedding.settings["output_dim"]
        error = 2 * (columns + 2) * UNIT * imported.sizes[codes]
    return Interval(rows - error, rows + error)


def _layer(imported: Imported, k: int, inputs: Interval, h: Reals) -> Interval:
    """Return the interval of h in every step of layer k, (S, T, H), given Keras' h of the step before."""
    formats, rounds = imported.spec.layers[k].formats, imported.rounds[k]
    cell, U = formats.description, imported.weights[f"layers.{k}.U"]
    blocks = {gate: slice(n * h.shape[2], (n + 1) * h.shape[2]) for n, gate in enumerate(cell.gates)}
    x = inputs.plus(_exact(imported.weights[f"layers.{k}.b"]))
    # Keras may add the biases apart from each other, and in any order.
    error = 4 * UNIT * imported.biases[k]
    x = Interval(x.low - error, x.high + error)
    vectors = {name: _exact(imported.weights[f"layers.{k}.{name}"]) for name in cell.vectors}
    roundings = {"sigmoid": rounds.gate, "tanh": rounds.tanh}
    before = _exact(np.zeros_like(h[:, 0]))  # Keras' own h
    kept = dict.fromkeys(cell.state, before)
    found = []
    for t in range(h.shape[1]):
        values = {f"{name}'": value.rounded(rounds.state) for name, value in kept.items()}
        values["h'"] = before if rounds.state is None else before.through(rounds.state)
        values |= vectors
        products = _products(values["h'"], U)
        for gate, block in blocks.items():
            values[f"x_{gate}"] = Interval(x.low[:, t, block], x.high[:, t, block])
            if gate not in cell.recurrent:
                values[f"u_{gate}"] = Interval(products.low[:, block], products.high[:, block])
        for equation in cell.equations:
            if isinstance(equation, LookUp):
                name = cell.tables[equation.table].function
                function = FUNCTIONS[getattr(formats, name)]
                value = values[equation.index].through(function).wider(UNIT, FUNCTION_ERROR)
                values[equation.signal] = value.rounded(roundings[name])
            else:
                values[equation.signal] = _sum(equation, values)
            for gate, signal in cell.recurrent.items():
                if signal == equation.signal:
                    values[f"u_{gate}"] = _products(values[signal], U[:, blocks[gate]])
        found.append(values["h"])
        before = _exact(h[:, t])
        # Where h is c itself, Keras has no c: its h is what the next step reads.
        kept = {name: before if _is_copy(cell, name) else values[name] for name in kept}
    return Interval(np.stack([x.low for x in found], axis=1), np.stack([x.high for x in found], axis=1))


def _is_copy(cell: Cell, name: str) -> bool:
    """Return True for h, and for a signal that h is equal to but for rounding."""
    equation = cell.equation("h")
    return name == "h" or (isinstance(equation, Sum) and equation.terms == (Term(1, (name,)),))


def _sum(equation: Sum, values: Mapping[str, Interval]) -> Interval:
    """Return the interval of a sum of products, none of them rounded to a format."""
    total: Interval | None = None
    for term in equation.terms:
        value = values[term.factors[0]]
        for factor in term.factors[1:]:
            value = value * values[factor]
        if term.sign < 0:
            value = Interval(-value.high, -value.low)
        total = value if total is None else total.plus(value)
    assert total is not None
    return total


def _softmax(logits: Interval) -> Interval:
    """Return the interval of the probabilities in float32."""
    middle = (logits.low + logits.high) / 2
    error = float((logits.high - logits.low).max())
    shares = np.exp(middle - middle.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return Interval(shares, shares).wider(np.expm1(error), FUNCTION_ERROR)
