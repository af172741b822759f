# SPDX-License-Identifier: Apache-2.0
"""The classes, functions, quantizers and settings that a Keras model may name, and why others are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zynq_lstm.models.description.spec import MAX_LAYERS

#: Recurrent layers, those of Keras and those of QKeras.
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "QLSTM", "QGRU", "QSimpleRNN")
DENSE = ("Dense", "QDense")
#: Layers that have no effect at inference, and the setting that Keras needs to build them.
NOTHING: Mapping[str, str] = {
    "Dropout": "rate",
    "SpatialDropout1D": "rate",
    "GaussianDropout": "rate",
    "GaussianNoise": "stddev",
}
MODELS = ("Sequential", "Functional")
LEGAL = (
    f"legal are one-hot input or Embedding, 1 to {MAX_LAYERS} LSTM, GRU, SimpleRNN (or QLSTM, QGRU, "
    "QSimpleRNN), Dense or QDense, softmax, one after the other"
)

#: Advice for a model with too many characters.
FEWER = (
    "train it on a text with the rare characters replaced by one ('zynq-lstm corpus --fold-rare' writes it)"
)

GATE_QUANTIZERS, TANH_QUANTIZERS = ("quantized_sigmoid",), ("quantized_tanh",)
QUANTIZERS = (
    "quantized_bits",
    "quantized_linear",
    "quantized_po2",
    "ternary",
    "binary",
    *TANH_QUANTIZERS,
    *GATE_QUANTIZERS,
)
GATES = ("sigmoid", "hard_sigmoid")
TANHS = (
    "tanh",
    "hard_tanh",
    "sigmoid",
    "hard_sigmoid",
)  # their values are within -1..1, as a table's must be
OUTPUTS = ("softmax", "linear")


@dataclass(frozen=True)
class Kind:
    """The settings of a class of layers.

    Args:
        kept: settings that change the layer's result, and are copied.
        called: settings that name a function or a quantizer: the legal functions, and the legal quantizers.
        fixed: settings that must have this value if they are present.
        ignored: settings that matter only for training or speed.
    """

    kept: tuple[str, ...] = ()
    called: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] | None = None
    fixed: Mapping[str, Any] | None = None
    ignored: tuple[str, ...] = ()


#: Settings of any class that change nothing here.
EVERY = (
    "name",
    "trainable",
    "dtype",
    "batch_input_shape",
    "autocast",
    "seed",
    "noise_shape",
    "input_dim",
    "input_length",
    "lora_alpha",
)
#: Ends of the names of settings that only training needs.
TRAINING = ("_initializer", "_regularizer", "_constraint", "_range")
_LSTM = Kind(
    ("units", "use_bias", "return_sequences"),
    {"activation": (TANHS, TANH_QUANTIZERS), "recurrent_activation": (GATES, GATE_QUANTIZERS)},
    {"go_backwards": False, "return_state": False, "time_major": False},
    (
        "unit_forget_bias",
        "dropout",
        "recurrent_dropout",
        "implementation",
        "stateful",
        "unroll",
        "zero_output_for_mask",
        "use_cudnn",
    ),
)
_SIMPLE = Kind(_LSTM.kept, {"activation": (TANHS, TANH_QUANTIZERS)}, _LSTM.fixed, _LSTM.ignored)
_GRU = Kind((*_LSTM.kept, "reset_after"), _LSTM.called, _LSTM.fixed, _LSTM.ignored)
_DENSE = Kind(
    ("units", "use_bias"),
    {"activation": (OUTPUTS, ())},
    {"lora_rank": None, "quantization_config": None},
)
_WEIGHTS: tuple[tuple[str, ...], tuple[str, ...]] = ((), QUANTIZERS)


def _quantized(kind: Kind, *names: str) -> Kind:
    more = dict.fromkeys((f"{name}_quantizer" for name in names), _WEIGHTS)
    return Kind(kind.kept, {**(kind.called or {}), **more}, kind.fixed, kind.ignored)


KINDS: Mapping[str, Kind] = {
    "LSTM": _LSTM,
    "GRU": _GRU,
    "SimpleRNN": _SIMPLE,
    "QLSTM": _quantized(_LSTM, "kernel", "recurrent", "bias", "state"),
    "QGRU": _quantized(_GRU, "kernel", "recurrent", "bias", "state"),
    "QSimpleRNN": _quantized(_SIMPLE, "kernel", "recurrent", "bias", "state"),
    "Dense": _DENSE,
    "QDense": _quantized(_DENSE, "kernel", "bias"),
    "Embedding": Kind(
        ("input_dim", "output_dim"),
        fixed={"mask_zero": False, "lora_rank": None, "quantization_config": None},
    ),
    "TimeDistributed": Kind(("layer",)),
    "Activation": Kind(called={"activation": (OUTPUTS, ())}),
    "Softmax": Kind(("axis",)),
    **{name: Kind((setting,)) for name, setting in NOTHING.items()},
    "InputLayer": Kind(
        ("batch_shape",), fixed={"sparse": False, "ragged": False, "optional": False, "input_tensor": None}
    ),
}
#: Why a setting of :attr:`Kind.fixed` is refused.
REASONS: Mapping[str, str] = {
    "mask_zero": "the hardware cannot skip characters",
    "go_backwards": "text is read forwards",
    "return_state": "the hardware keeps its state",
    "time_major": "the first axis is the batch",
}
#: Functions that a user may expect to work in a recurrent layer, and why they don't.
UNBOUNDED = ("relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "softplus", "linear")
NO_TABLE = "has values outside -1..1, which a cell's table can't hold: train it with tanh"
#: Classes that a user may expect to work, and why they don't.
HOPELESS: Mapping[str, str] = {
    **dict.fromkeys(
        ("RNN", "StackedRNNCells"),
        "a cell inside another layer is not read; build the model with the layer LSTM, GRU or SimpleRNN",
    ),
    **dict.fromkeys(("Bidirectional", "QBidirectional"), "text is read forwards only"),
    **dict.fromkeys(
        ("Sequential", "Functional", "Model"),
        "models may not be nested; add the inner model's layers directly",
    ),
    "Masking": "the hardware cannot skip characters",
    "CuDNNLSTM": "load it in Keras 2 into the same model made of LSTM layers, and save that",
    "CuDNNGRU": "load it in Keras 2 into the same model made of GRU layers (reset_after=True), and save that",
}
DTYPES = (
    "float32",
    "float16",
    "bfloat16",
    "float64",
    "mixed_float16",
    "mixed_bfloat16",
)
