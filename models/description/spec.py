# SPDX-License-Identifier: Apache-2.0
"""The one description of a network: its shape, and presets of the formats of every signal in it.

The formats themselves are in :mod:`zynq_lstm.models.description.formats`, whose names this module re-exports.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import Sum
from zynq_lstm.models.cells.functions import FUNCTIONS, Function, sigmoid
from zynq_lstm.models.description.formats import (
    CELLS,
    GATES,
    UNIT_SIGNALS,
    CellFormats,
    DenseFormats,
    LstmFormats,
    activation_table,
    cell_formats_type,
    checked_object,
    formats_from_dict,
    formats_of,
    formats_to_dict,
    symmetric,
    table_address,
)
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat

__all__ = [
    "CELLS",
    "DEFAULT_PRESET",
    "FIRST_KERNEL",
    "FULL_RANGE",
    "FUNCTIONS",
    "GATES",
    "PRESETS",
    "UNIT_SIGNALS",
    "CellFormats",
    "DenseFormats",
    "Function",
    "Layer",
    "LstmFormats",
    "NetworkSpec",
    "activation_table",
    "cell_formats_type",
    "fit_weight_formats",
    "formats_from_dict",
    "formats_of",
    "formats_to_dict",
    "network_spec",
    "sigmoid",
    "symmetric",
    "table_address",
]

MAX_LAYERS, MAX_UNITS = 4, 512
MAX_VOCABULARY = 256  # codes travel as one byte through the model, the HLS C++ and the AXI4-Stream
MAX_SUM_BITS = 62  # width of any sum of products with these formats, so that int64 holds it


@dataclass(frozen=True)
class Layer:
    """One recurrent layer; the type of its formats is its cell."""

    units: int
    formats: Any  # of a type that formats_of makes from a cell

    @property
    def cell(self) -> str:
        return str(self.formats.cell)


@dataclass(frozen=True)
class NetworkSpec:
    """Shape and formats of a character-level recurrent network.

    Raises:
        UserError: a field is illegal; names the field, its value and what is legal.
    """

    preset: str  # where the formats came from; selects FULL_RANGE, otherwise for information only
    vocabulary: int
    layers: tuple[Layer, ...]
    output: DenseFormats

    def __post_init__(self) -> None:
        _in_range("vocabulary", self.vocabulary, 2, MAX_VOCABULARY)
        _in_range("number of layers", len(self.layers), 1, MAX_LAYERS)
        for index, layer in enumerate(self.layers):
            _in_range(f"layers[{index}].units", layer.units, 1, MAX_UNITS)
        self._check_names()
        self._check_sums()

    def _check_names(self) -> None:
        """Refuse two cells of one name, since generated code is named after them."""
        first: dict[str, int] = {}
        for index, layer in enumerate(self.layers):
            other = first.setdefault(layer.cell, index)
            if layer.formats.description != self.layers[other].formats.description:
                raise UserError(
                    f"layers[{index}] is another {layer.cell!r} than layers[{other}]: give it a name "
                    "of its own"
                )

    def _check_sums(self) -> None:
        """Refuse formats so wide that a sum might overflow int64 for some weights."""
        # the sum -> for each kind of term: width, fraction bits and number of the terms
        sums: dict[str, tuple[tuple[int, int, int], ...]] = {}
        for index, layer in enumerate(self.layers):
            fmt, below = layer.formats, self.layers[index - 1].formats.h.bits if index else 0
            x_W = (
                fmt.W.bits + below,
                fmt.W.frac + self.input_frac(index),
                self.inputs(index) if index else 1,
            )
            h_U = (fmt.U.bits + fmt.h.bits, fmt.U.frac + fmt.h.frac, layer.units)
            sums[f"layers[{index}]: x.W + h.U + b"] = (x_W, h_U, (fmt.b.bits, fmt.b.frac, 1))
            of = {"x": (x_W, (fmt.b.bits, fmt.b.frac, 1)), "u": (h_U,)}
            for equation in fmt.description.equations:
                if isinstance(equation, Sum):
                    sums[f"layers[{index}]: {equation}"] = tuple(
                        size for term in equation.terms for size in _sizes(fmt, term.factors, of)
                    )
        out, last = self.output, self.layers[-1]
        sums["output: h.W + b"] = (
            (out.W.bits + last.formats.h.bits, out.W.frac + last.formats.h.frac, last.units),
            (out.b.bits, out.b.frac, 1),
        )
        for where, terms in sums.items():
            finest = max(frac for _, frac, _ in terms)
            width = 2 + max(bits + finest - frac + (count - 1).bit_length() for bits, frac, count in terms)
            if width > MAX_SUM_BITS:
                raise UserError(
                    f"{where} might need {width} bits, more than {MAX_SUM_BITS}; use narrower formats"
                )

    def inputs(self, index: int) -> int:
        """Return the width of layer ``index``'s input: the one-hot vocabulary, or the units below."""
        return self.layers[index - 1].units if index else self.vocabulary

    def input_frac(self, index: int) -> int:
        """Return the fraction bits of layer ``index``'s input; a one-hot input is the integer 1."""
        return self.layers[index - 1].formats.h.frac if index else 0

    def accumulator_frac(self, index: int) -> int:
        """Return the fraction bits at which layer ``index`` sums x.W + h.U + b without loss."""
        fmt = self.layers[index].formats
        return max(fmt.W.frac + self.input_frac(index), fmt.U.frac + fmt.h.frac, fmt.b.frac)

    def output_accumulator_frac(self) -> int:
        """Return the fraction bits at which the output layer sums h.W + b without loss."""
        return max(self.output.W.frac + self.layers[-1].formats.h.frac, self.output.b.frac)

    def macs_per_character(self) -> int:
        """Count the multiply-accumulates of one character; the first layer's one-hot product is a look-up."""
        shapes = self.weight_shapes()
        matrices = [name for name in shapes if name.endswith((".W", ".U")) and name != "layers.0.W"]
        return sum(math.prod(shapes[name]) for name in matrices)

    def weight_formats(self) -> dict[str, FixedFormat]:
        """Return the format of every weight array by the name that it has in every file and dictionary."""
        named = {
            f"layers.{k}.{name}": getattr(layer.formats, name)
            for k, layer in enumerate(self.layers)
            for name in layer.formats.weights
        }
        return named | {"output.W": self.output.W, "output.b": self.output.b}

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight array by the names of :meth:`weight_formats`."""
        shapes: dict[str, tuple[int, ...]] = {}
        for k, layer in enumerate(self.layers):
            for name, shape in layer.formats.weight_shapes(self.inputs(k), layer.units).items():
                shapes[f"layers.{k}.{name}"] = shape
        shapes["output.W"] = (self.layers[-1].units, self.vocabulary)
        shapes["output.b"] = (self.vocabulary,)
        return shapes

    def with_weight_formats(self, formats: Mapping[str, FixedFormat]) -> NetworkSpec:
        """Return the same spec with other formats for the named weight arrays."""
        unknown = set(formats) - set(self.weight_formats())
        if unknown:
            raise UserError(
                f"unknown weight array {sorted(unknown)[0]!r}; legal are {', '.join(self.weight_formats())}"
            )
        layers = tuple(
            dataclasses.replace(
                layer,
                formats=dataclasses.replace(
                    layer.formats,
                    **{
                        n: formats[f"layers.{k}.{n}"]
                        for n in layer.formats.weights
                        if f"layers.{k}.{n}" in formats
                    },
                ),
            )
            for k, layer in enumerate(self.layers)
        )
        output = dataclasses.replace(
            self.output, **{n: formats[f"output.{n}"] for n in "Wb" if f"output.{n}" in formats}
        )
        return dataclasses.replace(self, layers=layers, output=output)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; :meth:`from_dict` reads it back."""
        return {
            "preset": self.preset,
            "vocabulary": self.vocabulary,
            "layers": [
                # An LSTM has no key "cell": files written before there were other cells keep their hashes.
                ({} if name == "lstm" else {"cell": name})
                | {"units": x.units, "formats": formats_to_dict(x.formats)}
                for x in self.layers
                for name in [catalogue.written(x.formats.description)]
            ],
            "output": formats_to_dict(self.output),
        }

    @classmethod
    def from_dict(cls, data: Any) -> NetworkSpec:
        """Check and read plain data.

        Raises:
            UserError: names an unknown or missing key, a wrong type or an illegal value.
        """
        data = checked_object(data, "spec", ("preset", "vocabulary", "layers", "output"))
        if not isinstance(data["preset"], str):
            raise UserError(f"spec: preset must be a string, got {type(data['preset']).__name__}")
        if not isinstance(data["layers"], (list, tuple)):
            raise UserError(f"spec: layers must be a list, got {type(data['layers']).__name__}")
        layers = []
        for k, item in enumerate(data["layers"]):
            item = checked_object(item, f"spec.layers[{k}]", ("units", "formats"), optional=("cell",))
            formats_type = cell_formats_type(item.get("cell", "lstm"))
            formats = formats_from_dict(formats_type, item["formats"], f"spec.layers[{k}].formats")
            layers.append(Layer(item["units"], formats))
        output = formats_from_dict(DenseFormats, data["output"], "spec.output")
        return cls(data["preset"], data["vocabulary"], tuple(layers), output)


def _formats(text: Mapping[str, str]) -> dict[str, FixedFormat]:
    return {name: FixedFormat.parse(value) for name, value in text.items()}


_ACTIVATIONS_8 = {
    "b": "ap_fixed<16,4,AP_RND_CONV,AP_SAT_SYM>",
    "z": "ap_fixed<10,4>",
    "gate": "ap_ufixed<8,0>",
    "g": "ap_fixed<8,1>",
    "c": "ap_fixed<16,5>",
    "ct": "ap_fixed<10,3>",
    "tc": "ap_fixed<8,1>",
    "h": "ap_fixed<8,1>",
}
_Q8_8 = "ap_fixed<16,8>"
_Q4_8 = "ap_fixed<12,4>"  # Q8.8 clipped to +-8, where both tables have already become flat

#: Formats by preset. Weights are symmetric (never -2**(bits-1)), which the packed multipliers need;
#: the binary point of W and U is a starting point, which :func:`fit_weight_formats` moves.
PRESETS: Mapping[str, tuple[CellFormats, DenseFormats]] = {
    name: (
        LstmFormats(**cast(Any, _formats({"W": weights, "U": weights, **rest}))),
        DenseFormats(**_formats({"W": output, "b": rest["b"], "logits": logits})),
    )
    for name, weights, output, logits, rest in (
        (
            "w8a8",
            "ap_fixed<8,2,AP_RND_CONV,AP_SAT_SYM>",
            "ap_fixed<8,2,AP_RND_CONV,AP_SAT_SYM>",
            "ap_fixed<16,6>",
            _ACTIVATIONS_8,
        ),
        (
            "w4a8",
            "ap_fixed<4,2,AP_RND_CONV,AP_SAT_SYM>",
            "ap_fixed<4,2,AP_RND_CONV,AP_SAT_SYM>",
            "ap_fixed<16,6>",
            _ACTIVATIONS_8,
        ),
        (
            "w2a8",  # two bits without -2: every weight is -1, 0 or 1 times a power of two
            "ap_fixed<2,1,AP_RND_CONV,AP_SAT_SYM>",
            "ap_fixed<2,1,AP_RND_CONV,AP_SAT_SYM>",
            "ap_fixed<16,6>",
            _ACTIVATIONS_8,
        ),
        (
            "q8.8",
            "ap_fixed<16,8,AP_RND_CONV,AP_SAT_SYM>",
            "ap_fixed<16,8,AP_RND_CONV,AP_SAT_SYM>",
            _Q8_8,
            dict.fromkeys(("gate", "g", "c", "tc", "h"), _Q8_8)
            | dict.fromkeys(("z", "ct"), _Q4_8)
            | {"b": "ap_fixed<16,8,AP_RND_CONV,AP_SAT_SYM>"},
        ),
    )
}

#: Format of a preset's first kernel where it differs. The kernel is a look-up of rows: nothing is multiplied
#: by it, and its width costs block RAM only.
FIRST_KERNEL: Mapping[str, FixedFormat] = {"w2a8": PRESETS["w8a8"][0].W}

DEFAULT_PRESET = "w8a8"

FULL_RANGE = frozenset({"q8.8"})  # presets whose binary points are their definition and never move


def network_spec(
    preset: str = DEFAULT_PRESET,
    *,
    vocabulary: int,
    units: int = 128,
    layers: int = 2,
    cell: str | Sequence[str] = "lstm",
) -> NetworkSpec:
    """Return a spec of ``layers`` equally large layers with a preset's formats.

    Raises:
        UserError: the preset or cell is unknown (names the legal ones), or the shape is illegal.
    """
    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}; legal are {', '.join(PRESETS)}")
    lstm, dense = PRESETS[preset]
    first = lstm.changed(W=FIRST_KERNEL.get(preset, lstm.W))
    _in_range("number of layers", layers, 1, MAX_LAYERS)
    cells = [cell] * layers if isinstance(cell, str) else list(cell)
    if len(cells) != layers:
        raise UserError(f"{len(cells)} cells for {layers} layers; give one cell, or one for each layer")
    starts = [first, *[lstm] * (layers - 1)][:layers]
    formats = [_formats_of_cell(start, one) for start, one in zip(starts, cells, strict=True)]
    return NetworkSpec(preset, vocabulary, tuple(Layer(units, one) for one in formats), dense)


def with_formats(spec: NetworkSpec, formats: Mapping[str, FixedFormat]) -> NetworkSpec:
    """Return the same spec with other formats by field name in all layers; W and b also in the output layer.

    Raises:
        UserError: neither kind of layer has a field of that name; names the legal ones.
    """
    legal = dict.fromkeys(f.name for f in dataclasses.fields(DenseFormats))
    legal = dict.fromkeys(name for layer in spec.layers for name in layer.formats.format_names()) | legal
    for name in formats:
        if name not in legal:
            raise UserError(f"there is no format {name!r}; legal are {', '.join(legal)}")

    def changed(old: Any) -> Any:
        names = {field.name for field in dataclasses.fields(old)}
        return dataclasses.replace(old, **{name: fmt for name, fmt in formats.items() if name in names})

    layers = tuple(dataclasses.replace(layer, formats=changed(layer.formats)) for layer in spec.layers)
    return dataclasses.replace(spec, layers=layers, output=changed(spec.output))


def _formats_of_cell(lstm: CellFormats, cell: str) -> CellFormats:
    """Return a preset's formats for another cell: those of the LSTM's signals with the same role."""
    cls: Any = cell_formats_type(cell)

    def like(name: str) -> FixedFormat:
        own = cls.description.formats.get(name)
        if own is None:
            return lstm.format(name)
        return dataclasses.replace(lstm.format(own.like), integer=lstm.format(own.integer).integer)

    return cast(CellFormats, cls(**{name: like(name) for name in cls.format_names()}))


def fit_weight_formats(spec: NetworkSpec, weights: Mapping[str, NDArray[Any]]) -> NetworkSpec:
    """Move the binary point of every W and U to where rounding these weights has the least squared error.

    The presets of :data:`FULL_RANGE` keep their binary points.

    Args:
        weights: float arrays by the names of :meth:`NetworkSpec.weight_formats`.
    """
    if spec.preset in FULL_RANGE:
        return spec
    fitted = {}
    for name, fmt in spec.weight_formats().items():
        if name.endswith("b"):
            continue
        array = np.asarray(weights[name], np.float64)
        candidates = [dataclasses.replace(fmt, integer=integer) for integer in range(-3, 5)]
        errors = [np.square(c.to_real(c.quantize(array)) - array).sum() for c in candidates]
        fitted[name] = candidates[int(np.argmin(errors))]
    return spec.with_weight_formats(fitted)


def _sizes(
    fmt: CellFormats, factors: tuple[str, ...], of: Mapping[str, tuple[tuple[int, int, int], ...]]
) -> tuple[tuple[int, int, int], ...]:
    """Width, fraction bits and number of what a term of a cell's sum adds; ``of`` has those of x and u."""
    kind = factors[0].partition("_")[0]
    if len(factors) == 1 and fmt.is_product(factors[0]):
        return of[kind]
    formats = [fmt.factor_format(factor) for factor in factors]
    return ((sum(one.bits for one in formats), sum(one.frac for one in formats), 1),)


def _in_range(what: str, value: Any, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UserError(f"{what} must be a whole number from {low} to {high}, got {value!r}")
