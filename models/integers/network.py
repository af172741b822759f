# SPDX-License-Identifier: Apache-2.0
"""The frozen integer network, from which the reference, the HLS C++ and the RTL are all made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.cells.description import LookUp
from zynq_lstm.models.description.spec import CellFormats, NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Raw
from zynq_lstm.models.store import content_hash, load_tensors, save_tensors, typed

KIND = "integer network"
MAX_SUM = 1 << 52  # above every sum, so that float64 holds the sum, and half of its last bit, exactly


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """Integers, formats, tables and vocabulary of a quantized network; validated and read-only.

    Args:
        spec: shape and formats.
        vocabulary: the ``spec.vocabulary`` different characters, in code order.
        arrays: raw values by name. For an LSTM ``layers.K.W`` (inputs, 4 units), ``layers.K.U`` (units, 4
            units), ``layers.K.b`` (4 units,), columns in blocks of
            :data:`zynq_lstm.models.description.spec.GATES`; ``layers.K.sigmoid``, ``layers.K.tanh``
            (2**z.bits,), ``layers.K.tanh_c`` (2**ct.bits,). For other cells,
            :class:`zynq_lstm.models.description.spec.CellFormats` gives names and shapes. For all cells,
            ``output.W`` (units, vocabulary) and ``output.b`` (vocabulary,).

    Raises:
        UserError: the vocabulary or an array is illegal; names the array and what is wrong with it.
    """

    spec: NetworkSpec
    vocabulary: str
    arrays: Mapping[str, Raw]

    def __post_init__(self) -> None:
        if len(self.vocabulary) != self.spec.vocabulary:
            raise UserError(
                f"vocabulary has {len(self.vocabulary)} characters, the spec says {self.spec.vocabulary}"
            )
        if len(set(self.vocabulary)) != len(self.vocabulary):
            raise UserError("vocabulary contains a character twice")
        expected = _expected_arrays(self.spec)
        for name in [*expected, *self.arrays]:
            if name not in self.arrays:
                raise UserError(f"array {name!r} is missing")
            if name not in expected:
                raise UserError(f"unknown array {name!r}; legal are {', '.join(expected)}")
        frozen = {}
        for name, (shape, fmt) in expected.items():
            array = np.asarray(self.arrays[name])
            if array.shape != shape:
                raise UserError(f"array {name!r} has shape {array.shape}, must be {shape}")
            if not np.issubdtype(array.dtype, np.integer):
                raise UserError(f"array {name!r} must hold integers, got {array.dtype}")
            if not fmt.contains(array):
                raise UserError(
                    f"array {name!r} holds {int(array.min())}..{int(array.max())}, outside {fmt} "
                    f"({fmt.min_raw}..{fmt.max_raw})"
                )
            frozen[name] = array.astype(np.int64)
            frozen[name].flags.writeable = False
        object.__setattr__(self, "arrays", frozen)
        for index in range(len(self.spec.layers)):
            low, high = self.accumulator_range(index)
            if max(-low, high) >= MAX_SUM:
                raise UserError(
                    f"layers[{index}]: accumulator reaches 2**52, beyond what is exact in float64"
                )

    @classmethod
    def from_weights(
        cls, spec: NetworkSpec, vocabulary: str, weights: Mapping[str, NDArray[Any]]
    ) -> IntegerNetwork:
        """Make a network of raw weights, and of the activation tables that the formats define."""
        tables = {
            f"layers.{k}.{name}": layer.formats.table(name)
            for k, layer in enumerate(spec.layers)
            for name in layer.formats.tables
        }
        return cls(spec, vocabulary, {**weights, **tables})

    def layer(self, index: int) -> dict[str, Raw]:
        """Return the arrays of one layer by short name: W, U, b, ... and tables."""
        prefix = f"layers.{index}."
        return {name.removeprefix(prefix): a for name, a in self.arrays.items() if name.startswith(prefix)}

    def h_range(self, index: int) -> tuple[int, int]:
        """Smallest and largest raw h that layer ``index`` can produce, by its tables; holds 0."""
        return _h_range(self.spec.layers[index].formats, self.layer(index))

    def recurrent_range(self, index: int) -> tuple[int, int]:
        """Smallest and largest raw value that layer ``index`` multiplies by U; holds 0.

        That is h of the step before, or another signal in the format of h.
        """
        low, high = self.h_range(index)
        fmt = self.spec.layers[index].formats
        if fmt.description.recurrent:
            low, high = min(low, fmt.h.min_raw), max(high, fmt.h.max_raw)
        return low, high

    def accumulator_range(self, index: int) -> tuple[int, int]:
        """Return proven bounds of every partial sum of layer ``index``'s x.W + h.U + b, in any order.

        The bounds are raw values at ``spec.accumulator_frac(index)``. Each term's own range is extended to
        include 0, so that the bounds cover every subset of the terms and not only the final sum.
        """
        layer, fmt = self.layer(index), self.spec.layers[index].formats
        frac = self.spec.accumulator_frac(index)
        low, high = product_range(layer["U"], *self.recurrent_range(index), frac - fmt.U.frac - fmt.h.frac)
        shift = frac - fmt.W.frac - self.spec.input_frac(index)
        if index:
            w_low, w_high = product_range(layer["W"], *self.h_range(index - 1), shift)
        else:  # one row of W
            w_low = np.minimum(layer["W"].min(axis=0), 0) << shift
            w_high = np.maximum(layer["W"].max(axis=0), 0) << shift
        bias = layer["b"] << (frac - fmt.b.frac)
        low, high = low + w_low + np.minimum(bias, 0), high + w_high + np.maximum(bias, 0)
        return int(low.min()), int(high.max())

    def output_accumulator_range(self) -> tuple[int, int]:
        """Return the same bounds for the output layer's h.W + b, at ``spec.output_accumulator_frac()``."""
        last, out = len(self.spec.layers) - 1, self.spec.output
        frac = self.spec.output_accumulator_frac()
        shift = frac - out.W.frac - self.spec.layers[last].formats.h.frac
        low, high = product_range(self.arrays["output.W"], *self.h_range(last), shift)
        bias = self.arrays["output.b"] << (frac - out.b.frac)
        return int((low + np.minimum(bias, 0)).min()), int((high + np.maximum(bias, 0)).max())

    @cached_property
    def sha256(self) -> str:
        """Content hash of the file: integers, formats, tables and vocabulary."""
        return content_hash(*self._content())

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the computation, without vocabulary and preset name: the hash in the RTL's registers."""
        spec = self.spec.to_dict() | {"preset": ""}
        return hashlib.sha256(content_hash(self._narrow(), spec).encode()).hexdigest()

    def save(self, path: Path | str) -> str:
        """Write one file, atomically; return its content hash."""
        return save_tensors(path, *self._content())

    @classmethod
    def load(cls, path: Path | str) -> IntegerNetwork:
        """Read a file that :meth:`save` wrote.

        Raises:
            UserError: the file is missing, truncated, altered, or holds something else; names the file.
        """
        tensors, metadata = load_tensors(path)
        if metadata.get("kind") != KIND:
            raise UserError(f"{path}: holds a {metadata.get('kind', 'file')!r}, not an {KIND}")
        try:
            return cls(
                NetworkSpec.from_dict(typed(metadata, "spec", dict)),
                typed(metadata, "vocabulary", str),
                tensors,
            )
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def _content(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        return self._narrow(), {
            "kind": KIND,
            "spec": self.spec.to_dict(),
            "vocabulary": self.vocabulary,
        }

    def _narrow(self) -> dict[str, NDArray[Any]]:
        """Return the arrays in the smallest integer type that holds their format."""
        expected = _expected_arrays(self.spec)
        return {name: a.astype(_dtype(expected[name][1])) for name, a in self.arrays.items()}


def _expected_arrays(spec: NetworkSpec) -> dict[str, tuple[tuple[int, ...], FixedFormat]]:
    """Return shape and format of every array of a network with this spec."""
    shapes, formats = spec.weight_shapes(), spec.weight_formats()
    expected = {name: (shapes[name], formats[name]) for name in shapes}
    for k, layer in enumerate(spec.layers):
        fmt = layer.formats
        for name, table in fmt.tables.items():
            expected[f"layers.{k}.{name}"] = ((1 << fmt.format(table.index).bits,), fmt.format(table.value))
    return expected


@lru_cache(256)
def h_range(fmt: CellFormats) -> tuple[int, int]:
    """:meth:`IntegerNetwork.h_range` of any network with these formats."""
    return _h_range(fmt, {name: fmt.table(name) for name in fmt.tables})


def _h_range(fmt: CellFormats, tables: Mapping[str, Raw]) -> tuple[int, int]:
    """Smallest and largest raw h, or 0: of its table, or of its sum with every factor at its ends."""
    equation = fmt.description.equation("h")
    if isinstance(equation, LookUp):
        low, high = _signal_range(fmt, "h", tables)
    else:
        terms = [
            (term.sign, [(f, *_factor(fmt, f, tables)) for f in term.factors]) for term in equation.terms
        ]
        if any(fmt.is_product(f) for f in equation.reads):
            return min(0, fmt.h.min_raw), max(0, fmt.h.max_raw)
        finest = max(sum(frac for _, frac, _ in factors) for _, factors in terms)
        low = high = 0
        for sign, factors in terms:
            corners = [sign << (finest - sum(frac for _, frac, _ in factors))]
            for _, _, ends in factors:
                corners = [corner * end for corner in corners for end in ends]
            low, high = low + min(corners), high + max(corners)
        low, high = (int(fmt.h.requantize(np.array(end), finest)) for end in (low, high))
    return min(0, low), max(0, high)


def _factor(fmt: CellFormats, factor: str, tables: Mapping[str, Raw]) -> tuple[int, tuple[int, int]]:
    """Fraction bits of a factor, and its smallest and largest raw value."""
    if fmt.is_product(factor):
        return 0, (0, 0)
    form = fmt.factor_format(factor)
    if factor in fmt.description.signals:
        return form.frac, _signal_range(fmt, factor, tables)
    return form.frac, (form.min_raw, form.max_raw)


def _signal_range(fmt: CellFormats, signal: str, tables: Mapping[str, Raw]) -> tuple[int, int]:
    equation = fmt.description.equation(signal)
    if isinstance(equation, LookUp):
        return int(tables[equation.table].min()), int(tables[equation.table].max())
    form = fmt.format(equation.format)
    return form.min_raw, form.max_raw


def product_range(weights: Raw, low: int, high: int, shift: int = 0) -> tuple[Raw, Raw]:
    """Return for each column the bounds of any subset sum of ``weights[k] * h[k] << shift``.

    Each h[k] is in low..high, which must include 0.
    """
    ends = np.stack([weights * low, weights * high])
    return ends.min(axis=0).sum(axis=0) << shift, ends.max(axis=0).sum(axis=0) << shift


def _dtype(fmt: FixedFormat) -> np.dtype[Any]:
    kind = "int" if fmt.signed else "uint"
    return np.dtype(f"{kind}{next(n for n in (8, 16, 32) if fmt.bits <= n)}")
