# SPDX-License-Identifier: Apache-2.0
"""The layers of an hls4ml graph for our LSTM and its output layer.

They are separate classes, not hls4ml's LSTM and Dense: every signal has its own type, and passes and kernels
written for the stock layers don't apply to them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from hls4ml.model.attributes import Attribute, ConfigurableAttribute, TypeAttribute, WeightAttribute
from hls4ml.model.layers import Layer, layer_map, register_layer
from hls4ml.model.types import FixedPrecisionType, NamedType

from zynq_lstm.hls.hls4ml.graph import CODE_BITS, chain, network_from_chain
from zynq_lstm.hls.hls4ml.reuse import Product
from zynq_lstm.hls.vitis.cell import class_name
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import Cell
from zynq_lstm.models.cells.groups import groups
from zynq_lstm.models.description.spec import CellFormats, DenseFormats, formats_from_dict, formats_of
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Overflow, Raw, Rounding, signed_bits

#: Type of the input port. It saturates, so that a negative number given to ``predict`` is a code, too.
INPUT_FORMAT = FixedFormat(CODE_BITS + 1, CODE_BITS + 1, False, Rounding.AP_TRN, Overflow.AP_SAT)

BACKENDS = ("Vitis", "OpenRTL")
STRATEGIES = ("latency", "resource")  # the first is hls4ml's default; both select our only kernel
LAYER_OPTIONS = ("Precision", "ReuseFactor", "Strategy", "Trace")


class _FixedLayer(Layer):
    """Base of both layers: takes types from the trained formats; refuses options that would change them."""

    formats_class: type[Any]

    _expected_attributes: tuple[Attribute, ...] = (
        Attribute("n_in"),
        Attribute("n_out"),
        Attribute("formats", value_type=dict),
        Attribute("integers", value_type=dict),
        ConfigurableAttribute("reuse_factor", default=1),
        TypeAttribute("accum", configurable=False),
    )

    @property
    def formats(self) -> Any:
        """Formats of a cell, or :class:`DenseFormats`."""
        return formats_from_dict(self.formats_class, self.get_attr("formats"), f"layer {self.name}")

    @property
    def format_names(self) -> tuple[str, ...]:
        """Names of the formats' fields that are types; the others name functions."""
        values = vars(self.formats).items()
        return tuple(name for name, value in values if isinstance(value, FixedFormat))

    @property
    def integers(self) -> Mapping[str, Raw]:
        """Raw W, U, b in the layout of :class:`zynq_lstm.models.integers.network.IntegerNetwork`."""
        return self.get_attr("integers")

    def refuse(self, what: str, alternative: str) -> NoReturn:
        raise UserError(f"layer {self.name} ({self.class_name}): {what}; {alternative}")

    def check_options(self) -> None:
        """Refuse, by name, every option that would be ignored or would change the arithmetic."""
        config = self.model.config
        hls = config.config["HLSConfig"]
        if config.backend.name not in BACKENDS:
            self.refuse(f"backend {config.backend.name} has no kernel for it", f"use {' or '.join(BACKENDS)}")
        io_type = config.get_config_value("IOType")
        if config.backend.name == "Vitis" and io_type != "io_parallel":
            self.refuse(f"io_type {io_type!r} is not supported", "use 'io_parallel'")
        reuse = config.get_reuse_factor(self)
        if config.backend.name == "OpenRTL" and reuse != 1:
            self.refuse(
                f"ReuseFactor {reuse} applies to Vitis only", "set the size of the RTL's array with dsp="
            )
        strategy = config.get_strategy(self).lower()
        if strategy not in STRATEGIES:
            self.refuse(f"Strategy {strategy!r} is not supported", f"use {' or '.join(STRATEGIES)}")
        if config.pipeline_style == "pipeline" or config.pipeline_ii is not None:
            self.refuse(
                "PipelineStyle 'pipeline' and PipelineInterval would unroll every loop",
                "leave them out: the layers are pipelined internally and run as a dataflow",
            )
        if config.get_compression(self):
            self.refuse("Compression is not supported", "leave it out")
        if config.get_target_cycles(self) is not None:
            self.refuse("TargetCycles is not supported", "set ReuseFactor")
        if "Optimizers" in hls:
            self.refuse(
                "HLSConfig's Optimizers, which hls4ml.model.profiling sets, are not supported",
                "'zynq-lstm ranges' measures the signals of this network",
            )
        if hls.get("Model", {}).get("BitExact"):
            self.refuse("bit_exact=True would replace the trained types", "leave it out: they are exact")
        for option in config.get_layer_config(self):
            if option not in LAYER_OPTIONS:
                self.refuse(f"option {option!r} is not supported", f"legal are {', '.join(LAYER_OPTIONS)}")
        self.check_precision(config.get_layer_config(self).get("Precision"))

    def check_precision(self, given: Any) -> None:
        """Refuse a precision that differs from the trained one; ``auto`` means the trained one."""
        trained = {name: self.get_attr("formats")[name] for name in self.format_names}
        trained["result"] = trained["h" if "h" in trained else "logits"]
        if given is not None and not isinstance(given, dict):
            given = dict.fromkeys(trained, given)
        for name, text in (given or {}).items():
            if name not in trained:
                self.refuse(f"Precision of {name!r} can't be set", f"its types are {', '.join(trained)}")
            if text != "auto" and not self.is_type(text, FixedFormat.parse(trained[name])):
                self.refuse(
                    f"Precision {name}={text} contradicts the trained {trained[name]}",
                    "leave it out, or train with another format",
                )

    def is_type(self, text: Any, fmt: FixedFormat) -> bool:
        wanted, given = precision(fmt), self.model.config.backend.convert_precision_string(text)
        names = ("width", "integer", "signed", "rounding_mode", "saturation_mode")
        return all(getattr(given, name) == getattr(wanted, name) for name in names)

    def add_types(self) -> None:
        for name in self.format_names:
            named = NamedType(f"layer{self.index}_{name}_t", precision(getattr(self.formats, name)))
            self.set_attr(f"{name}_t", named)

    def add_weight(self, name: str, raw: Raw, fmt: FixedFormat, field: str) -> None:
        """A weight array or table; values are written as decimals with every fraction bit."""
        self.add_weights_variable(
            name=name,
            var_name=name + "{index}",
            type_name=f"layer{self.index}_{field}_t",
            precision=precision(fmt),
            data=fmt.to_real(raw),
        )

    def set_accumulator(self, bounds: tuple[int, int], frac: int) -> None:
        """Set the narrowest accumulator type for proven bounds of every partial sum."""
        width = signed_bits(*bounds)
        accum = NamedType(f"layer{self.index}_accum_t", FixedPrecisionType(width, width - frac))
        self.set_attr("accum_t", accum)

    def set_lanes(self, inner: int, also: int, columns: int, suffix: str = "") -> None:
        """Spread products of ``inner`` rows by ``columns`` over the cycles that the reuse factor allows.

        :mod:`zynq_lstm.hls.hls4ml.reuse` describes how. OpenRTL has its own array and ignores the result.

        Raises:
            UserError: if the reuse factor is not possible; the message names the possible ones.
        """
        product = Product(inner, also, columns)
        reuse = self.model.config.get_reuse_factor(self)
        spread = product.spread(reuse)
        if spread is None:
            self.refuse(f"ReuseFactor {reuse!r} is not possible", product.legal)
        rows, groups = spread
        lanes = -(-columns // groups)
        self.set_attr("reuse_factor", groups * inner // rows)
        self.set_attr(f"rows{suffix}", rows)
        self.set_attr(f"lanes{suffix}", lanes)
        self.set_attr(f"columns{suffix}", -(-columns // lanes) * lanes)

    def padded(self, array: Raw, suffix: str = "") -> Raw:
        """Columns filled up with zeros to a whole number of groups."""
        missing = self.get_attr(f"columns{suffix}") - array.shape[-1]
        return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])


class FixedCell(_FixedLayer):
    """A recurrent layer; the first of a graph reads character codes, the others the h of the one below.

    Each cell has a subclass, see :func:`cell_layer`.
    """

    formats_class: type[CellFormats]

    def initialize(self) -> None:
        self.check_options()
        self.add_types()
        formats, units = self.formats, self.get_attr("n_out")
        cell = formats.description
        inputs = units if self.get_attr("one_hot") else self.get_attr("n_in")
        for group in groups(cell):
            s, count = group.suffix, len(group.gates)
            self.set_lanes(units, inputs, count * units, s)
            for name in ("W", "U", "b"):
                array = self.integers[name]
                blocks = array.reshape(*array.shape[:-1], len(cell.gates), units)
                chosen = blocks[..., [cell.gates.index(gate) for gate in group.gates], :]
                # Column count u + k for gate k of unit u: see the kernel.
                columns = chosen.swapaxes(-1, -2).reshape(*array.shape[:-1], count * units)
                self.add_weight(name + s, self.padded(columns, s), formats.format(name), name)
        for name in cell.vectors:
            self.add_weight(name, self.integers[name], formats.format(name), name)
        for name, table in formats.tables.items():
            self.add_weight(name, formats.table(name), formats.format(table.value), table.value)
        index = len(chain(self)) - 1
        network = network_from_chain(chain(self))
        self.set_accumulator(network.accumulator_range(index), network.spec.accumulator_frac(index))
        if self.get_attr("one_hot"):
            self.set_input()
        if self.model.config.pipeline_style == "auto":
            self.model.config.pipeline_style = "dataflow"
        self.add_output_variable(
            self.get_attr("output_shape"),
            type_name=f"layer{self.index}_h_t",
            precision=precision(formats.h),
        )

    def set_input(self) -> None:
        """Give the graph's input the type of the input port."""
        node = self.get_input_node()
        if node.class_name not in ("Input", "InputLayer"):
            self.refuse(f"its input is {node.name} ({node.class_name})", "it must be the model's input")
        given = self.model.config.get_layer_config(node).get("Precision")
        for text in given.values() if isinstance(given, dict) else [given]:
            if text not in (None, "auto") and not self.is_type(text, INPUT_FORMAT):
                self.refuse(f"Precision {text} of {node.name} can't be used", f"leave it out: {INPUT_FORMAT}")
        node.get_output_variable().type.precision = precision(INPUT_FORMAT)


class FixedDense(_FixedLayer):
    """The output layer."""

    formats_class = DenseFormats

    _expected_attributes = (
        TypeAttribute("logits", configurable=False),
        WeightAttribute("W"),
        WeightAttribute("b"),
    )

    def initialize(self) -> None:
        self.check_options()
        self.add_types()
        inputs, outputs = self.get_attr("n_in"), self.get_attr("n_out")
        self.set_lanes(inputs, inputs, outputs)
        for name in ("W", "b"):
            self.add_weight(name, self.padded(self.integers[name]), getattr(self.formats, name), name)
        network = network_from_chain(chain(self))
        self.set_accumulator(network.output_accumulator_range(), network.spec.output_accumulator_frac())
        self.add_output_variable(
            self.get_attr("output_shape"),
            type_name=f"layer{self.index}_logits_t",
            precision=precision(self.formats.logits),
        )


@functools.cache
def cell_layer(cell: Cell) -> type[FixedCell]:
    """The class of a cell's layer; hls4ml knows those of the project's cells (:data:`LAYERS`)."""
    formats = formats_of(cell)
    names = [*cell.tables, *cell.vectors, *(n + g.suffix for g in groups(cell) for n in ("W", "U", "b"))]
    attributes = (
        Attribute("one_hot", value_type=bool),
        *(TypeAttribute(name, configurable=False) for name in formats.signal_fields()),
        *(WeightAttribute(name) for name in names),
    )
    return type(
        class_name(cell), (FixedCell,), {"formats_class": formats, "_expected_attributes": attributes}
    )


def know(cell: Cell) -> str:
    """Let hls4ml know the layer of a cell, if it doesn't yet; return the layer's name."""
    layer = cell_layer(cell)
    if layer.__name__ not in layer_map:  # a cell of one's own
        register_layer(layer.__name__, layer)
    return layer.__name__


LAYERS = (*(cell_layer(catalogue.cell(name)) for name in catalogue.names()), FixedDense)


def precision(fmt: FixedFormat) -> FixedPrecisionType:
    """Return hls4ml's type for a format."""
    return FixedPrecisionType(
        fmt.bits,
        fmt.integer,
        fmt.signed,
        fmt.rounding.value.removeprefix("AP_"),
        fmt.overflow.value.removeprefix("AP_"),
    )
