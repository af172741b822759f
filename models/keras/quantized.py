# SPDX-License-Identifier: Apache-2.0
"""The quantized network: Keras layers whose forward pass is the hardware's arithmetic.

The layers derive from QKeras' and use its quantizers for weights. The recurrence is our own,
because QLSTM does not model the hardware: it has one type for h and c, computes its activations in
float and rounds nothing in between. Here every signal has the format that the spec gives it,
activations are look-ups in the very tables that the hardware holds, and every product and sum in
between is exact (``docs/numerics.md``).

Signals are real numbers on their format's grid. Exactness: a sum is exact in a float type if every
partial sum, counted in units of the finest binary point involved, is at most 2**24 (float32) or
2**53 (float64). :func:`check_exact` proves this from the actual weights.

Gradients are straight-through: rounding passes them, saturation stops them, a table look-up has
the derivative of the real sigmoid or tanh at the rounded pre-activation.

Shapes: T steps, B streams, H units, V characters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import Cell
from zynq_lstm.models.description.checkpoint import Checkpoint, preset_spec
from zynq_lstm.models.description.spec import (
    DEFAULT_PRESET,
    CellFormats,
    DenseFormats,
    Layer,
    LstmFormats,
    NetworkSpec,
    formats_from_dict,
    formats_to_dict,
)
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.bounds import EXACT_BITS
from zynq_lstm.models.integers.freeze import arithmetic_bounds, freeze
from zynq_lstm.models.integers.limits import require
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import State as RawState
from zynq_lstm.models.keras.float_lstm import (
    PACKAGE,
    State,
    load_weights,
    project,
    recurrent_layers,
    select_rows,
    tf,
)
from zynq_lstm.models.keras.quantized_cell import QuantizedCell, read_formats
from zynq_lstm.models.keras.quantizers import fixed, quantize_weight, raw_weights, weight_quantizer
from zynq_lstm.models.keras.quiet import import_qkeras

import_qkeras()
import keras  # noqa: E402  (after TensorFlow's messages are out of the way)
from qkeras.qlayers import QDense  # noqa: E402
from qkeras.qrecurrent import QLSTM  # noqa: E402


@keras.saving.register_keras_serializable(package=PACKAGE)
class QuantizedRecurrent(keras.layers.RNN):
    """A recurrent layer in the hardware's arithmetic; returns h of every step from a zero state.

    Args:
        units: H.
        input_size: rows of the kernel W: the vocabulary's size, or the units of the layer below.
        formats: of every signal and weight; their type is the cell.
        one_hot: the input is character codes (B, T) instead of h (B, T, input_size).
        arithmetic: float type of the sums, ``float32`` or ``float64``.
    """

    def __init__(
        self,
        units: int,
        input_size: int,
        formats: CellFormats,
        one_hot: bool = False,
        arithmetic: str = "float32",
        **kwargs: Any,
    ) -> None:
        unknown = set(kwargs) - {"name", "dtype", "trainable"}
        if unknown:
            raise UserError(
                f"{type(self).__name__}: unknown option {sorted(unknown)[0]!r}; it has units, input_size, "
                "formats, one_hot, arithmetic, name and trainable"
            )
        keras.layers.RNN.__init__(
            self, QuantizedCell(units, formats, arithmetic), return_sequences=True, **kwargs
        )
        self.input_spec = None
        self.input_size = input_size
        self.one_hot = one_hot

    @property
    def units(self) -> int:
        """H."""
        return int(self.cell.units)

    @property
    def formats(self) -> CellFormats:
        """Formats of every signal and weight."""
        return self.cell.formats

    @property
    def description(self) -> Cell:
        """The cell's equations."""
        return self.formats.description

    @property
    def arithmetic(self) -> str:
        """Float type of the sums."""
        return str(self.cell.arithmetic)

    @property
    def gates(self) -> tuple[str, ...]:
        """The column blocks of W, U and b."""
        return self.formats.gates

    @property
    def keeps(self) -> str | None:
        """The gate whose bias starts at 1."""
        return self.formats.description.opens

    @property
    def more(self) -> tuple[str, ...]:
        """The weights beside W, U and b."""
        return self.formats.description.vectors

    def build(self, input_shape: Any) -> None:
        """Create the latent weights."""
        if not self.one_hot and input_shape[-1] != self.input_size:
            raise UserError(
                f"layer {self.name}: input has {input_shape[-1]} columns, input_size is {self.input_size}"
            )
        self.cell.build((None, self.input_size))
        self.built = True

    def zero_state(self, streams: Any) -> State:
        """Return the state before the first character; a cell without c has h twice."""
        zeros = tf.zeros((streams, self.units), self.arithmetic)
        return zeros, zeros

    def named(self, state: State) -> dict[str, Any]:
        """Return the state by the names of the cell's signals."""
        return dict(zip(self.formats.description.state, state, strict=False))

    def sums(self, x: Any) -> tuple[Any, dict[str, Any]]:
        """Compute x.W + b of every step (T, B, G H); return it and the other quantized weights."""
        weights = self.cell.quantized_weights()
        kernel, bias = weights.pop("W"), weights.pop("b")
        if self.one_hot:
            return select_rows(kernel, x) + bias, weights
        return project(tf.cast(x, self.arithmetic), kernel) + bias, weights

    def scan(self, x: Any, state: State) -> tuple[Any, State]:
        """Compute h of every step and the state after the last: (T, B) or (T, B, M) -> (T, B, H)."""
        inputs, weights = self.sums(x)
        hidden, *after = self.cell.steps.differentiable_scan(inputs, weights, self.named(state))
        return hidden, (after[0], after[-1])

    def signals(self, x: Any, state: State, keep: list[str]) -> dict[str, Any]:
        """Signals of every step by name, see :meth:`zynq_lstm.models.keras.steps.Steps.scan`."""
        return self.cell.steps.scan(*self.sums(x), self.named(state), keep)

    def call(self, sequences: Any, training: bool = False) -> Any:
        """Compute h of every step from a zero state, batch first: (B, T) or (B, T, M) -> (B, T, H)."""
        x = tf.transpose(sequences, (1, 0) if self.one_hot else (1, 0, 2))
        hidden, _ = self.scan(x, self.zero_state(tf.shape(x)[1]))
        return tf.cast(tf.transpose(hidden, (1, 0, 2)), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any, *_: Any) -> tuple[Any, ...]:
        """Return (B, T, H)."""
        return (input_shape[0], input_shape[1], self.units)

    def integer_weights(self) -> dict[str, NDArray[np.int64]]:
        """Return the raw weights by name."""
        return {
            name: raw_weights(value, self.formats.format(name))
            for name, value in self.cell.quantized_weights().items()
        }

    def get_config(self) -> dict[str, Any]:
        """Return the settings that :meth:`from_config` needs."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "units": self.units,
            "input_size": self.input_size,
            **(
                {}
                if isinstance(self.formats, LstmFormats)
                else {"cell": catalogue.written(self.formats.description)}
            ),
            "formats": formats_to_dict(self.formats),
            "one_hot": self.one_hot,
            "arithmetic": self.arithmetic,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> QuantizedRecurrent:
        return cls(**read_formats(config))


@keras.saving.register_keras_serializable(package=PACKAGE)
class QuantizedLSTM(QuantizedRecurrent, QLSTM):
    """The LSTM layer; a QLSTM for whoever asks."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class QuantizedDense(QDense):
    """The output layer: ``logits = q(h.W + b)``.

    Args:
        units: V.
        formats: formats of W, b and the logits.
        arithmetic: float type of the sums, ``float32`` or ``float64``.
    """

    def __init__(self, units: int, formats: DenseFormats, arithmetic: str = "float32", **kwargs: Any) -> None:
        if arithmetic not in EXACT_BITS:
            raise UserError(f"arithmetic must be {' or '.join(EXACT_BITS)}, got {arithmetic!r}")
        super().__init__(
            units,
            kernel_quantizer=weight_quantizer(formats.W),
            bias_quantizer=weight_quantizer(formats.b),
            kernel_initializer="zeros",
            **kwargs,
        )
        self.formats = formats
        self.arithmetic = arithmetic
        self.logits_quantizer = fixed(formats.logits)

    def quantized_weights(self) -> tuple[Any, Any]:
        """Return W and b on their formats' grids, in the arithmetic's float type."""
        return tuple(
            tf.cast(quantize_weight(quantizer, fmt, weight), self.arithmetic)
            for quantizer, fmt, weight in (
                (self.kernel_quantizer_internal, self.formats.W, self.kernel),
                (self.bias_quantizer_internal, self.formats.b, self.bias),
            )
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Compute the logits: (..., H) -> (..., V)."""
        kernel, bias = self.quantized_weights()
        logits = project(tf.cast(inputs, self.arithmetic), kernel) + bias
        return tf.cast(self.logits_quantizer(logits), self.compute_dtype)

    def integer_weights(self) -> dict[str, NDArray[np.int64]]:
        """Return raw W and b."""
        return {
            name: raw_weights(value, getattr(self.formats, name))
            for name, value in zip("Wb", self.quantized_weights(), strict=True)
        }

    def get_config(self) -> dict[str, Any]:
        """Return the settings that :meth:`from_config` needs."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "units": self.units,
            "formats": formats_to_dict(self.formats),
            "arithmetic": self.arithmetic,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> QuantizedDense:
        formats = formats_from_dict(DenseFormats, config["formats"], "formats")
        return cls(**{**config, "formats": formats})


def build_quantized(
    spec: NetworkSpec,
    time_steps: int = 1,
    batch: int | None = None,
    arithmetic: Mapping[str, str] | None = None,
) -> keras.Model:
    """Build a quantized model with zero weights: codes (B, T) int32 -> logits (B, T, V).

    Args:
        spec: shape and formats.
        time_steps, batch: the input shape of the Keras model itself.
        arithmetic: float type of each layer's sums by layer name; float64 if not given.
    """
    chosen = dict(arithmetic or {})
    x = codes = keras.Input((time_steps,), batch_size=batch, dtype="int32", name="codes")
    for index, layer in enumerate(spec.layers):
        name = f"lstm{index + 1}"
        kind = QuantizedLSTM if isinstance(layer.formats, LstmFormats) else QuantizedRecurrent
        x = kind(
            layer.units,
            spec.inputs(index),
            layer.formats,
            one_hot=not index,
            arithmetic=chosen.get(name, "float64"),
            name=name,
        )(x)
    logits = QuantizedDense(spec.vocabulary, spec.output, chosen.get("logits", "float64"), name="logits")(x)
    return keras.Model(codes, logits, name="quantized_lstm")


def quantize(
    checkpoint: Checkpoint,
    preset: str = DEFAULT_PRESET,
    formats: Mapping[str, FixedFormat] = MappingProxyType({}),
) -> Checkpoint:
    """Return a float checkpoint's weights with a preset's formats, and binary points fitted to the weights.

    Args:
        formats: replace the preset's; see :func:`zynq_lstm.models.description.spec.with_formats`.
    """
    return dataclasses.replace(checkpoint, spec=preset_spec(checkpoint, preset, formats), record={})


def quantized_model(checkpoint: Checkpoint, time_steps: int = 1, batch: int | None = None) -> keras.Model:
    """Build the model with a quantized checkpoint's weights.

    Sums run in float32 if the weights may still double without leaving its exact range, which gives
    further training some room, and otherwise in float64.

    Raises:
        UserError: the checkpoint is of a float network, or exceeds the Keras model's
            :mod:`zynq_lstm.models.integers.limits`.
    """
    network = freeze(checkpoint)
    require("keras", network.spec, network)
    arithmetic = {
        name: "float32" if bound <= 1 << EXACT_BITS["float32"] else "float64"
        for name, bound in arithmetic_bounds(network, margin=2).items()
    }
    model = build_quantized(network.spec, time_steps, batch, arithmetic)
    load_weights(model, checkpoint.weights)
    check_exact(model)
    return model


def spec_of_model(model: keras.Model, preset: str = "") -> NetworkSpec:
    """Return the shape and formats of a quantized model."""
    dense = model.get_layer("logits")
    layers = tuple(Layer(layer.units, layer.formats) for layer in recurrent_layers(model))
    return NetworkSpec(preset, dense.units, layers, dense.formats)


def integer_weights(model: keras.Model) -> dict[str, NDArray[np.int64]]:
    """Return the raw weights of a quantized model by the names ``layers.K.W``, ``output.b`` and so on."""
    arrays: dict[str, NDArray[np.int64]] = {}
    for index, layer in enumerate(recurrent_layers(model)):
        arrays |= {f"layers.{index}.{n}": a for n, a in layer.integer_weights().items()}
    dense = model.get_layer("logits").integer_weights()
    return arrays | {f"output.{name}": array for name, array in dense.items()}


def freeze_model(model: keras.Model, vocabulary: str) -> IntegerNetwork:
    """Return the integer network of a quantized model.

    Args:
        vocabulary: the characters in code order.

    Raises:
        UserError: sums are not exact; names the layer, the bound and the float type. Also if the network
            exceeds the Keras model's :mod:`zynq_lstm.models.integers.limits`.
    """
    network = IntegerNetwork.from_weights(spec_of_model(model), vocabulary, integer_weights(model))
    require("keras", network.spec, network)
    for name, bound in arithmetic_bounds(network).items():
        arithmetic = model.get_layer(name).arithmetic
        if bound > 1 << EXACT_BITS[arithmetic]:
            raise UserError(
                f"layer {name}: sums reach {bound}, above the 2**{EXACT_BITS[arithmetic]} up to "
                f"which {arithmetic} is exact"
            )
    return network


def check_exact(model: keras.Model) -> None:
    """Prove from the model's weights that its sums are exact.

    Raises:
        UserError: sums are not exact; as in :func:`freeze_model`.
    """
    freeze_model(model, "".join(map(chr, range(spec_of_model(model).vocabulary))))  # any characters


def trace(
    model: keras.Model, codes: NDArray[np.integer], state: RawState | None = None
) -> dict[str, NDArray[np.int64]]:
    """Compute every signal as raw integers, named and shaped as in the reference's trace.

    Args:
        model: a quantized model.
        codes: (T,) for one stream or (B, T).
        state: raw h and c before the first character; zero if not given.
    """
    codes = np.asarray(codes)
    check_exact(model)
    steps = tf.constant(np.atleast_2d(codes).T.astype(np.int32))

    def shaped(array: Any, fmt: FixedFormat, scale: float) -> NDArray[np.int64]:
        raw = np.asarray(np.asarray(array, np.float64) * scale)
        integers = raw.astype(np.int64)
        assert np.array_equal(integers, raw), f"a value is off the grid of {fmt}"
        integers = np.moveaxis(integers, 0, 1)
        return integers[0] if codes.ndim == 1 else integers

    signals: dict[str, NDArray[np.int64]] = {}
    x: Any = steps
    for index, layer in enumerate(recurrent_layers(model)):
        fmt, cell = layer.formats, layer.formats.description
        before = layer.zero_state(steps.shape[1])
        if state is not None:
            values = {"h": state.h[index], "c": state.c[index]}
            before = tuple(
                tf.constant(fmt.signal_format(name).to_real(values[name]), layer.arithmetic)
                for name in cell.state
            )
        groups = layer.cell.steps.groups
        grouped = [name for group in groups for name in group.sums]
        keep = [name for name in cell.signals if name not in grouped] + [
            f"group {k}" for k in range(len(groups))
        ]
        run = tf.function(lambda x, state, layer=layer, keep=keep: layer.signals(x, state, keep))
        found = {name: np.asarray(value) for name, value in run(x, before).items()}
        found |= {name: found[name][1:] for name in cell.state}
        for k, group in enumerate(groups):
            found |= dict(
                zip(group.sums, np.split(found[f"group {k}"], len(group.sums), axis=2), strict=True)
            )
        if "z" in fmt.signals and "z" not in found:
            found["z"] = np.concatenate([found[f"z_{gate}"] for gate in fmt.gates], axis=2)
        for name in fmt.signals:
            f = fmt.signal_format(name)
            signals[f"layers.{index}.{name}"] = shaped(found[name], f, 2.0**f.frac)
        x = tf.constant(found["h"])
    dense = model.get_layer("logits")
    signals["logits"] = shaped(dense(x), dense.formats.logits, 2.0**dense.formats.logits.frac)
    return signals
