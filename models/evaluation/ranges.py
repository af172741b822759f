# SPDX-License-Identifier: Apache-2.0
"""Formats from data: how the signals of a network use their formats, and which binary points fit better.

A calibrated format keeps its width; only the binary point moves, to where rounding has the least error.
All layers of a cell share the format of a signal, as they do in the hardware; each weight array has its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from zynq_lstm.models.cells.description import Cell
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import (
    FULL_RANGE,
    FUNCTIONS,
    Function,
    NetworkSpec,
    fit_weight_formats,
    with_formats,
)
from zynq_lstm.models.evaluation.bpc import bits_of_streams
from zynq_lstm.models.evaluation.partial import PartlyQuantized, format_names
from zynq_lstm.models.fixed import MAX_BITS, FixedFormat

Reals = NDArray[np.float64]

SAMPLE = 200_000  # about as many values of a signal decide on its format

#: Signals whose range follows from data; the range of the others follows from their function.
FITTED = ("z", "p", "c", "ct", "logits")


@dataclass(frozen=True)
class Usage:
    """How a signal or weight array uses its format, on one text."""

    name: str  # layers.K.SIGNAL, logits, or the name of a weight array
    format: FixedFormat
    low: float  # range of the float network's values
    high: float
    saturated: int  # number of the quantized network's values on the format's bounds
    values: int  # number of values
    rounding: float  # root mean square of the error of rounding the float network's values
    drift: float  # root mean square of the difference between the quantized and the float network's values
    suggestion: FixedFormat  # the format itself, if no binary point is better

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data."""
        return dataclasses.asdict(self) | {"format": str(self.format), "suggestion": str(self.suggestion)}


def calibrate(
    spec: NetworkSpec,
    weights: Mapping[str, NDArray[Any]],
    codes: NDArray[np.integer],
    fixed: Collection[str] = (),
) -> NetworkSpec:
    """Return the spec with binary points fitted to float weights and to the signals on a text.

    Args:
        weights: float arrays by the names of :meth:`NetworkSpec.weight_formats`.
        codes: the text, (S, T) streams that each start from zero.
        fixed: names of weight arrays, and fields of signals' formats, that keep their format; a field of
            one layer is ``layers.K.FIELD``.

    The presets of :data:`FULL_RANGE` stay as they are.
    """
    if spec.preset in FULL_RANGE:
        return spec
    signals: dict[str, Reals] = {}
    PartlyQuantized(spec, weights).run(codes, signals)
    fitted = fit_weight_formats(spec, weights).weight_formats()
    for name, fmt in spec.weight_formats().items():
        if name.endswith("b"):
            fitted[name] = _wide_enough(fmt, float(np.abs(weights[name]).max()))
        if name in fixed:
            fitted[name] = fmt
    spec = spec.with_weight_formats(fitted)
    for group in _by_cell(spec):
        formats = spec.layers[group[0]].formats
        chosen = {
            field: best_format(
                formats.format(field),
                [signals[f"layers.{k}.{field}"] for k in group],
                functions_behind(formats, field),
            )
            for field in FITTED
            if field in formats.format_names()
            and not {field, *(f"layers.{k}.{field}" for k in group)} & set(fixed)
        }
        spec = _with_layers_formats(spec, group, chosen)
    return with_formats(spec, {"logits": best_format(spec.output.logits, [signals["logits"]])})


def _by_cell(spec: NetworkSpec) -> list[list[int]]:
    """Return the layers of each cell, which share the formats of their signals."""
    groups: dict[Cell, list[int]] = {}
    for k, layer in enumerate(spec.layers):
        groups.setdefault(layer.formats.description, []).append(k)
    return list(groups.values())


def _with_layers_formats(
    spec: NetworkSpec, group: Collection[int], formats: Mapping[str, FixedFormat]
) -> NetworkSpec:
    """Return the same spec with other formats of signals in some of its layers."""
    layers = tuple(
        dataclasses.replace(layer, formats=dataclasses.replace(layer.formats, **formats))
        if k in group
        else layer
        for k, layer in enumerate(spec.layers)
    )
    return dataclasses.replace(spec, layers=layers)


def calibrate_by_loss(
    spec: NetworkSpec,
    weights: Mapping[str, NDArray[Any]],
    codes: NDArray[np.integer],
    progress: Callable[[str], None] = lambda _: None,
) -> NetworkSpec:
    """Return the spec with binary points moved, one format at a time, as long as the BPC of the text falls.

    This is slower than :func:`calibrate`, as each step is a run over the text, but better: the squared error
    of a cell state counts errors that the tanh after it doesn't see. All layers of a cell keep one format per
    signal.

    Args:
        codes: the text, (S, T + 1) streams that each start from zero.
        progress: called with the name of the format that is tried next.
    """
    if spec.preset in FULL_RANGE:
        return spec

    def loss(candidate: NetworkSpec) -> float:
        with threadpool_limits(1):  # the products are too small to share
            logits = PartlyQuantized(candidate, weights, format_names(candidate)).run(codes[:, :-1])
        return bits_of_streams(logits, codes)

    best = loss(spec)
    groups = _by_cell(spec)
    shared = [
        f if len(groups) == 1 else f"layers.{group[0]}.{f}"
        for group in groups
        for f in FITTED
        if f in spec.layers[group[0]].formats.format_names()
    ]
    for name in [*spec.weight_formats(), *shared, "logits"]:
        progress(name)
        for step in (1, -1):
            while (moved := _moved(spec, name, step)) is not None and (found := loss(moved)) < best:
                spec, best = moved, found
    return spec


def calibrated(source: Checkpoint, spec: NetworkSpec) -> Checkpoint:
    """Return a float network with the formats of ``spec``, which were fitted to it."""
    record = {"calibrated": spec.preset, "from": source.sha256}
    return Checkpoint(source.vocabulary, source.weights, spec, source.corpus, record)


def _moved(spec: NetworkSpec, name: str, step: int) -> NetworkSpec | None:
    """Return the spec with ``step`` more integer bits for ``name``, or None if that makes no sensible format.

    Args:
        name: a weight array; a field of all layers; a field of all layers of layer K's cell, as
            ``layers.K.FIELD``; or ``logits``.
    """
    formats = spec.weight_formats()
    if name in formats:
        fmt = dataclasses.replace(formats[name], integer=formats[name].integer + step)
        return spec.with_weight_formats({name: fmt}) if _sensible(fmt) else None
    _, layer, field = name.split(".") if "." in name else ("", "0", name)
    k = int(layer)
    fmt = spec.output.logits if name == "logits" else spec.layers[k].formats.format(field)
    fmt = dataclasses.replace(fmt, integer=fmt.integer + step)
    if not _sensible(fmt):
        return None
    if "." not in name:
        return with_formats(spec, {name: fmt})
    (group,) = [group for group in _by_cell(spec) if k in group]
    return _with_layers_formats(spec, group, {field: fmt})


def _sensible(fmt: FixedFormat) -> bool:
    return -3 <= fmt.integer <= fmt.bits


def usage(spec: NetworkSpec, weights: Mapping[str, NDArray[Any]], codes: NDArray[np.integer]) -> list[Usage]:
    """Measure how every weight array and signal of a network uses its format on a text, (S, T)."""
    real: dict[str, Reals] = {}
    rounded: dict[str, Reals] = {}
    PartlyQuantized(spec, weights).run(codes, real)
    PartlyQuantized(spec, weights, format_names(spec)).run(codes, rounded)
    fitted = fit_weight_formats(spec, weights).weight_formats()
    rows = []
    for name, fmt in spec.weight_formats().items():
        values = np.asarray(weights[name], np.float64)
        better = _wide_enough(fmt, float(np.abs(values).max())) if name.endswith("b") else fitted[name]
        rows.append(_usage(name, fmt, values, fmt.to_real(fmt.quantize(values)), better))
    for name, fmt, functions in _signals(spec):
        better = fmt
        if name.rpartition(".")[2] in FITTED:
            better = best_format(fmt, [real[name]], functions)
        rows.append(_usage(name, fmt, real[name], rounded[name], better))
    return rows


def best_format(fmt: FixedFormat, values: Sequence[Reals], functions: Sequence[Function] = ()) -> FixedFormat:
    """Return ``fmt`` with the binary point that rounds ``values`` with the least squared error.

    The format's own binary point is kept if none is better.

    Args:
        functions: for the index of tables: the functions whose values are compared instead of the index.
    """
    sample = np.concatenate([_thinned(array.reshape(-1)) for array in values])
    wanted = [function(sample) for function in functions] or [sample]

    def error(candidate: FixedFormat) -> float:
        rounded = candidate.to_real(candidate.quantize(sample))
        got = [function(rounded) for function in functions] or [rounded]
        return math.fsum(float(np.square(a - b).mean()) for a, b in zip(got, wanted, strict=True))

    others = (dataclasses.replace(fmt, integer=n) for n in range(-3, min(fmt.bits, MAX_BITS) + 1))
    return min([fmt, *others], key=error)


def functions_behind(formats: Any, field: str) -> list[Function]:
    """Return the functions whose tables a signal indexes."""
    return [FUNCTIONS[getattr(formats, t.function)] for t in formats.tables.values() if t.index == field]


def _signals(spec: NetworkSpec) -> Iterator[tuple[str, FixedFormat, list[Function]]]:
    for k, layer in enumerate(spec.layers):
        for name in layer.formats.signals:
            field = layer.formats.signal_field(name)
            yield f"layers.{k}.{name}", layer.formats.format(field), functions_behind(layer.formats, field)
    yield "logits", spec.output.logits, []


def _usage(name: str, fmt: FixedFormat, real: Reals, rounded: Reals, better: FixedFormat) -> Usage:
    low, high = fmt.to_real([fmt.min_raw, fmt.max_raw])
    # The lowest value of an unsigned format is 0, which does not count as saturated.
    outside = (rounded >= high) | ((rounded <= low) & fmt.signed)
    return Usage(
        name,
        fmt,
        float(real.min()),
        float(real.max()),
        int(outside.sum()),
        real.size,
        _rms(fmt.to_real(fmt.quantize(real)) - real),
        _rms(rounded - real),
        better,
    )


def _wide_enough(fmt: FixedFormat, largest: float) -> FixedFormat:
    """Return ``fmt`` with as many more integer bits as ``largest`` needs, if any."""
    while largest > fmt.to_real(fmt.max_raw) and fmt.frac > 0:
        fmt = dataclasses.replace(fmt, integer=fmt.integer + 1)
    return fmt


def _thinned(values: Reals) -> Reals:
    return values[:: max(1, len(values) // SAMPLE)]


def _rms(values: Reals) -> float:
    return math.sqrt(float(np.square(values).mean()))
