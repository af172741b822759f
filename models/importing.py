# SPDX-License-Identifier: Apache-2.0
"""Character models that others trained, from ``.keras`` files: stock Keras LSTM and stock QKeras QLSTM.

Nothing in a file is run: :mod:`models.keras_file` checks what it names; only then Keras builds the model, in
safe mode.

What is taken in: one-hot input (B, T, V), or codes (B, T) into an Embedding; one to four LSTM or QLSTM
layers; Dense or QDense, with or without softmax, alone or in TimeDistributed.
Dropout is nothing at inference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from models.keras_file import DENSE, LEGAL, NOTHING, RECURRENT, check_file
from models.quiet import import_qkeras, quiet_stderr
from models.spec import MAX_VOCABULARY, Layer, LstmFormats, NetworkSpec, network_spec
from sim.fixed import FixedFormat, Overflow, Rounding

#: The way out for a model with too many characters.
FEWER = (
    "train it on a text with the rare characters replaced by one ('zynq-lstm corpus --fold-rare' writes it)"
)
UNQUANTIZED = "not quantized"
MAX_EXACT_BITS = 16  # of a weight format that is to hold another quantizer's values exactly


@dataclass(frozen=True)
class Imported:
    """A model of somebody else's.

    Args:
        model: theirs, without its softmax.
        spec: formats that their quantizers set; the rest is a preset's.
        weights: what their quantizers make of their weights, by our names.
        fixed: names of weight arrays, and fields of signals' formats, that their quantizers set.
        theirs: what they have for each format field, in their words.
        notes: what a person should know.
        embedding: whether the input is codes.
        last_only: whether the model answers after a window's last character only.
    """

    model: Any
    spec: NetworkSpec
    weights: Mapping[str, NDArray[np.float32]]
    fixed: frozenset[str]
    theirs: Mapping[str, str]
    notes: tuple[str, ...]
    embedding: bool
    last_only: bool

    def logits(self, codes: NDArray[np.integer]) -> NDArray[np.float64]:
        """Their model's logits for windows that each start from zero: (S, T) -> (S, T or 1, V)."""
        size = self.model.inputs[0].shape[0] or 64
        parts = []
        for start in range(0, len(codes), size):
            part = codes[start : start + size]
            padded = np.zeros((size, codes.shape[1]), np.int32)
            padded[: len(part)] = part
            x = padded if self.embedding else np.eye(self.spec.vocabulary, dtype=np.float32)[padded]
            for layer in self.model.layers:
                if getattr(layer, "stateful", False):
                    layer.reset_state()
            parts.append(np.asarray(self.model([x], training=False), np.float64)[: len(part)])
        logits = np.concatenate(parts)
        return logits[:, None] if self.last_only else logits

    @property
    def rounds_signals(self) -> bool:
        """Whether their model quantizes more than weights."""
        fields = ("gate", "g", "c", "h")
        return any(not self.theirs[field].startswith(UNQUANTIZED) for field in fields)

    @property
    def window(self) -> int | None:
        """Characters that their model takes at once; None for any number."""
        steps = self.model.inputs[0].shape[1]
        return None if steps is None else int(steps)


def import_model(path: Path | str, preset: str) -> Imported:
    """Read and check a ``.keras`` file.

    Args:
        preset: widths of what their model leaves unquantized.

    Raises:
        UserError: naming the layer, and what is legal.
    """
    path = Path(path)
    check_file(path)
    import_qkeras()  # makes its layers known to Keras
    import keras

    try:
        with quiet_stderr():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what its layers happen to raise
        raise UserError(f"{path}: Keras can't load it: {_shortened(error)}") from None
    return _Reader(path, model, preset).read()


class _Reader:
    """Takes a loaded model apart."""

    def __init__(self, path: Path, model: Any, preset: str) -> None:
        self.path, self.model, self.preset = path, model, preset
        self.notes: list[str] = []
        self.theirs: dict[str, str] = {}
        self.fixed: set[str] = set()
        self.formats: dict[str, FixedFormat] = {}  # of weight arrays

    def refuse(self, layer: Any, what: str, legal: str) -> UserError:
        return UserError(f"{self.path}: layer {layer.name!r}: {what}; {legal}")

    def read(self) -> Imported:
        import keras

        embedding, recurrent, dense = self.chain()
        if len(self.model.inputs) != 1 or len(self.model.outputs) != 1:
            raise UserError(f"{self.path}: the model must have one input and one output")
        vocabulary = int(dense.units)
        if not 2 <= vocabulary <= MAX_VOCABULARY:
            raise UserError(
                f"{self.path}: layer {dense.name!r} answers with {vocabulary} characters; "
                f"a network has 2 to {MAX_VOCABULARY}: {FEWER}"
            )
        base = network_spec(self.preset, vocabulary=2, units=1, layers=1)
        layers = []
        weights: dict[str, NDArray[np.float32]] = {}
        for k, layer in enumerate(recurrent):
            self.check_recurrent(layer, last=k == len(recurrent) - 1)
            weights |= self.recurrent_weights(layer, k)
            layers.append(Layer(int(layer.cell.units), self.lstm_formats(layer, base.layers[0].formats)))
        if embedding is not None:
            weights["layers.0.W"] = self.fold(embedding, weights["layers.0.W"])
        rows = weights["layers.0.W"].shape[0]
        if rows != vocabulary:
            raise UserError(
                f"{self.path}: layer {recurrent[0].name!r} reads {rows} different characters, "
                f"layer {dense.name!r} answers with {vocabulary}; they must be as many"
            )
        weights |= self.dense_weights(dense)
        spec = NetworkSpec("imported", vocabulary, tuple(layers), base.output)
        spec = spec.with_weight_formats(self.formats)
        self.check_activation(dense, ("softmax", "linear"))
        dense.activation = keras.activations.linear
        logits = next(layer for layer in self.model.layers if dense in (layer, getattr(layer, "layer", None)))
        return Imported(
            keras.Model(self.model.inputs, logits.output),
            spec,
            weights,
            frozenset(self.fixed),
            self.theirs,
            tuple(self.notes),
            embedding is not None,
            not recurrent[-1].return_sequences,
        )

    def chain(self) -> tuple[Any, list[Any], Any]:
        """The embedding (or None), the recurrent layers and the dense one, refusing any other order."""
        embedding, recurrent, dense = None, [], None
        layers = [x for x in self.model.layers if type(x).__name__ != "InputLayer"]
        for before, layer in zip([None, *layers], layers, strict=False):
            source = getattr(layer.input, "_keras_history", (None,))[0]
            if not (source is before or (before is None and type(source).__name__ == "InputLayer")):
                raise self.refuse(layer, "its input isn't the layer before", "the layers must be a chain")
            kind = type(layer).__name__
            if kind == "Embedding" and before is None:
                embedding = layer
            elif kind in RECURRENT and dense is None:
                recurrent.append(layer)
            elif kind in (*DENSE, "TimeDistributed") and recurrent and dense is None:
                dense = layer.layer if kind == "TimeDistributed" else layer
            elif kind == "Softmax" and dense is not None:
                pass
            elif kind == "Activation" and dense is not None:
                self.check_activation(layer, ("softmax", "linear"))
            elif kind not in NOTHING:
                raise self.refuse(layer, f"a {kind} is not possible in this place", LEGAL)
        if not recurrent or dense is None:
            raise UserError(
                f"{self.path}: the model has no {'Dense' if recurrent else 'LSTM'} layer; {LEGAL}"
            )
        return embedding, recurrent, dense

    def check_activation(self, layer: Any, legal: tuple[str, ...]) -> None:
        name = getattr(layer.activation, "__name__", str(layer.activation))
        if layer.activation is not None and name not in legal:
            raise self.refuse(layer, f"activation {name}", f"legal are {', '.join(legal)}")

    def check_recurrent(self, layer: Any, last: bool) -> None:
        if layer.go_backwards:
            raise self.refuse(layer, "go_backwards=True", "text is read forwards: False is legal")
        if layer.return_state:
            raise self.refuse(layer, "return_state=True", "False is legal; the hardware keeps its state")
        if not layer.return_sequences and not last:
            raise self.refuse(layer, "return_sequences=False", "True is legal below another layer")

    def lstm_formats(self, layer: Any, formats: LstmFormats) -> LstmFormats:
        """Functions, and the formats that the layer's own quantizers set."""
        cell = layer.cell
        chosen: dict[str, Any] = {}
        for role, legal, fields in (
            ("recurrent_activation", ("sigmoid", "hard_sigmoid", "qkeras_hard_sigmoid"), ("gate",)),
            ("activation", ("tanh", "hard_tanh"), ("g", "tc")),
        ):
            given = getattr(cell, role)
            function, bits = _function(given)
            if function not in legal:
                raise self.refuse(
                    layer, f"{role} {_name(given)}", f"legal are {', '.join(legal)}, or QKeras' of them"
                )
            chosen["sigmoid" if role == "recurrent_activation" else "tanh"] = function
            for field in fields:
                self.theirs[field] = _name(given) if bits else f"{UNQUANTIZED} ({_name(given)})"
                if bits:
                    integer = formats.format(field).integer
                    chosen[field] = dataclasses.replace(formats.format(field), bits=bits, integer=integer)
        state = getattr(cell, "state_quantizer_internal", None)
        for field in ("c", "h"):
            self.theirs[field] = f"{_name(state)} where it is read" if state else UNQUANTIZED
            fmt = _fixed_format(state)
            if fmt is not None:
                chosen[field] = dataclasses.replace(formats.format(field), bits=fmt.bits, integer=fmt.integer)
                self.fixed.add(field)
        for field in ("z", "ct"):
            self.theirs[field] = UNQUANTIZED
        self.theirs["output.logits"] = UNQUANTIZED
        return dataclasses.replace(formats, **chosen)

    def recurrent_weights(self, layer: Any, k: int) -> dict[str, NDArray[np.float32]]:
        cell = layer.cell
        arrays = {
            "W": (cell.kernel, getattr(cell, "kernel_quantizer_internal", None)),
            "U": (cell.recurrent_kernel, getattr(cell, "recurrent_quantizer_internal", None)),
        }
        if cell.use_bias:
            arrays["b"] = (cell.bias, getattr(cell, "bias_quantizer_internal", None))
        found = {f"layers.{k}.{n}": self.array(f"layers.{k}.{n}", *pair) for n, pair in arrays.items()}
        # Keras' gate order i, f, c, o is ours, i, f, g, o.
        return {f"layers.{k}.b": np.zeros(cell.kernel.shape[1], np.float32)} | found

    def dense_weights(self, layer: Any) -> dict[str, NDArray[np.float32]]:
        W = self.array("output.W", layer.kernel, getattr(layer, "kernel_quantizer_internal", None))
        if not layer.use_bias:
            return {"output.W": W, "output.b": np.zeros(W.shape[1], np.float32)}
        quantizer = getattr(layer, "bias_quantizer_internal", None)
        return {"output.W": W, "output.b": self.array("output.b", layer.bias, quantizer)}

    def array(self, name: str, variable: Any, quantizer: Any) -> NDArray[np.float32]:
        """A weight array as its quantizer makes it; notes the format if it has one."""
        latent = np.asarray(variable, np.float32)
        key = name if name.startswith("output.") else name.rpartition(".")[2]
        self.theirs[key] = _name(quantizer) if quantizer is not None else UNQUANTIZED
        if quantizer is None:
            return latent
        values = np.asarray(quantizer(variable), np.float32)
        fmt = _fixed_format(quantizer) or _exact_format(values)
        if fmt is None:
            self.notes.append(
                f"{name}: no format of at most {MAX_EXACT_BITS} bits holds the values of {_name(quantizer)} "
                "exactly; rounded as a float array"
            )
            return values
        self.formats[name] = fmt
        self.fixed.add(name)
        moved = int((fmt.to_real(fmt.quantize(values)) != values).sum())
        if moved:
            self.notes.append(
                f"{name}: {moved} of {values.size} values of {_name(quantizer)} have no equal in {fmt} "
                "(the lowest value becomes the one above it)"
            )
        return values

    def fold(self, embedding: Any, W: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embedding @ W: a row look-up of a product's rows is the product of the looked-up rows."""
        if embedding.mask_zero:
            raise self.refuse(embedding, "mask_zero=True", "False is legal: the hardware skips no character")
        self.fixed.discard("layers.0.W")
        if self.formats.pop("layers.0.W", None):
            self.notes.append(
                "layers.0.W: the product with the embedding isn't on its quantizer's grid; rounded anew"
            )
        vectors = np.asarray(embedding.embeddings, np.float64)
        self.notes.append(
            f"layer {embedding.name!r} ({vectors.shape[1]} columns) is folded into layers.0.W: looking a row "
            "up and multiplying it is looking it up in the product"
        )
        return (vectors @ W.astype(np.float64)).astype(np.float32)


def _fixed_format(quantizer: Any) -> FixedFormat | None:
    """The symmetric format of a ``quantized_bits`` without a scale; QKeras doesn't count the sign bit."""
    if type(quantizer).__name__ != "quantized_bits" or quantizer.alpha not in (None, 1, 1.0):
        return None
    if not quantizer.keep_negative or quantizer.bits < 2:
        return None
    return FixedFormat(
        int(quantizer.bits),
        int(quantizer.integer) + 1,
        rounding=Rounding.AP_RND_CONV,
        overflow=Overflow.AP_SAT_SYM,
    )


def _exact_format(values: NDArray[np.float32]) -> FixedFormat | None:
    """The narrowest symmetric format that holds ``values`` exactly, if there is one."""
    largest = float(np.abs(values).max())
    integer = 1 + int(np.floor(np.log2(largest))) + 1 if largest else 1
    for bits in range(2, MAX_EXACT_BITS + 1):
        fmt = FixedFormat(bits, integer, rounding=Rounding.AP_RND_CONV, overflow=Overflow.AP_SAT_SYM)
        if np.array_equal(fmt.to_real(fmt.quantize(values)), values):
            return fmt
    return None


def _function(given: Any) -> tuple[str, int]:
    """Which of :data:`models.spec.FUNCTIONS` an activation is, and its bits if it is rounded."""
    kind = type(given).__name__
    if kind == "quantized_tanh":
        return ("tanh" if given.use_real_tanh else "hard_tanh"), int(given.bits)
    if kind == "quantized_sigmoid":
        return ("sigmoid" if given.use_real_sigmoid else "qkeras_hard_sigmoid"), int(given.bits)
    name = getattr(given, "__name__", "linear" if given is None else kind)
    if name == "hard_sigmoid" and getattr(given, "__module__", "").startswith("qkeras"):
        name = "qkeras_hard_sigmoid"
    return name, 0


def _name(given: Any) -> str:
    """As QKeras writes a quantizer, or a function's name."""
    return str(getattr(given, "__name__", given))


def _shortened(error: Exception, most: int = 200) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= most else text[:most] + "..."
