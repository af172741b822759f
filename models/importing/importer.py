# SPDX-License-Identifier: Apache-2.0
"""Import of character models that others trained: stock Keras LSTM and stock QKeras QLSTM.

Nothing in a file is run: :mod:`zynq_lstm.models.importing.file` reads and checks it. Only then does Keras
build the model, from a new configuration made of the settings that were read.

Supported are one-hot input (B, T, V), or codes (B, T) into an Embedding; one to four LSTM or QLSTM layers;
and Dense or QDense, with or without softmax, alone or in TimeDistributed. Dropout has no effect at inference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.checkpoint import require_finite
from zynq_lstm.models.description.spec import Layer, LstmFormats, NetworkSpec, network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.importing.build import build_keras, computed, inputs, keras_layer, without_softmax
from zynq_lstm.models.importing.chain import Chain, FileLayer
from zynq_lstm.models.importing.file import KerasFile, read_file
from zynq_lstm.models.importing.quantizers import (
    MAX_EXACT_BITS,
    Quantizer,
    Reals,
    exact_format,
    fixed_format,
    function_of,
    name_of,
    on_reals,
    rounding_of,
)

UNQUANTIZED = "not quantized"
MAX_SIGNAL_BITS = 16  # most bits of a signal, including the sign
STREAMS = 64  # windows that Keras computes at once


@dataclass(frozen=True)
class Rounds:
    """The rounding of signals in one layer of their model; None where there is no rounding.

    Args:
        gate: rounding of i, f and o, after their function.
        tanh: rounding of g and tanh(c), after their function.
        state: rounding of h and c where the next step reads them.
    """

    gate: Quantizer | None = None
    tanh: Quantizer | None = None
    state: Quantizer | None = None


@dataclass(frozen=True)
class Imported:
    """A model that was trained elsewhere.

    Args:
        file: the file as it was read.
        model: their model, as Keras builds it from the file's own graph.
        without_softmax: the same, or one of the same graph and weights with logits as its output.
        spec: formats that their quantizers set; all others are a preset's.
        weights: their weights after their quantizers, by our names.
        sizes: |embedding| @ |first kernel|, which bounds the error of their product; None without embedding.
        rounds: the rounding of signals in each layer.
        fixed: names of weight arrays, and fields of signals' formats, that their quantizers set.
        theirs: their quantizer for each format field, in their notation.
        notes: notes for the user.
    """

    file: KerasFile
    model: Any
    without_softmax: Any
    spec: NetworkSpec
    weights: Mapping[str, NDArray[np.float32]]
    sizes: Reals | None
    rounds: tuple[Rounds, ...]
    fixed: frozenset[str]
    theirs: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def chain(self) -> Chain:
        """The layers of the file."""
        return self.file.chain

    def inputs(self, codes: NDArray[np.integer]) -> NDArray[Any]:
        """Return the input of their model for codes (S, T)."""
        return inputs(self.chain, codes)

    def logits(self, codes: NDArray[np.integer]) -> Reals:
        """Compute their model's logits for windows that each start from zero: (S, T) -> (S, T or 1, V)."""
        parts = [codes[start : start + STREAMS] for start in range(0, len(codes), STREAMS)]
        logits = np.concatenate([computed(self.without_softmax, self.inputs(part)) for part in parts])
        return logits[:, None] if self.chain.last_only else logits

    @property
    def window(self) -> int | None:
        """Characters that their model takes at once; None for any number."""
        return self.chain.window


def import_model(source: KerasFile | Path | str, preset: str) -> Imported:
    """Build a model that was read, and check that our equations give the same results.

    Args:
        source: result of :func:`zynq_lstm.models.importing.file.read_file`, or the file's path.
        preset: preset whose formats are used for all values that their model leaves unquantized.

    Raises:
        UserError: the model is not supported; names the layer, and what is legal.
        CheckError: our equations are not the model's.
    """
    from zynq_lstm.models.importing.check import check_import

    file = source if isinstance(source, KerasFile) else read_file(Path(source))
    imported = _Reader(file, preset).read()
    check_import(imported)
    return imported


@dataclass
class _Reader:
    """Reads weights, formats and rounding from Keras' model."""

    file: KerasFile
    preset: str
    notes: list[str] = field(default_factory=list)
    fixed: set[str] = field(default_factory=set)
    formats: dict[str, FixedFormat] = field(default_factory=dict)  # of weight arrays
    #: The quantizer that each layer has for a format field, by field and then by the layer's name.
    said: dict[str, dict[str, str]] = field(default_factory=dict)
    #: For each layer, the fields of signals whose formats its quantizers set.
    quantized: list[frozenset[str]] = field(default_factory=list)

    def read(self) -> Imported:
        file, chain = self.file, self.file.chain
        self.notes.extend(file.notes)
        model = build_keras(file, chain)
        base = network_spec(self.preset, vocabulary=2, units=1, layers=1)
        weights: dict[str, NDArray[np.float32]] = {}
        rounds, formats = [], []
        for k, layer in enumerate(chain.recurrent):
            theirs = keras_layer(model, chain, layer)
            weights |= self.recurrent_weights(layer, theirs.cell, k)
            ready, own = self.signals(layer, theirs.cell, base.layers[0].formats)
            formats.append(ready)
            rounds.append(own)
        sizes = None
        if chain.embedding is not None:
            vectors = file.weights[chain.embedding.name]["embeddings"].astype(np.float64)
            sizes = np.abs(vectors) @ np.abs(weights["layers.0.W"].astype(np.float64))
            weights["layers.0.W"] = self.fold(chain.embedding, vectors, weights["layers.0.W"])
        dense = keras_layer(model, chain, chain.dense)
        weights |= self.dense_weights(chain.dense, getattr(dense, "layer", dense))
        layers = tuple(
            Layer(int(layer.settings["units"]), fmt)
            for layer, fmt in zip(chain.recurrent, self.shared(formats), strict=True)
        )
        spec = NetworkSpec("imported", chain.vocabulary, layers, base.output)
        return Imported(
            file,
            model,
            build_keras(file, without_softmax(chain)) if chain.softmax else model,
            spec.with_weight_formats(self.formats),
            weights,
            sizes,
            tuple(rounds),
            frozenset(self.fixed),
            {name: _by_layer(said) for name, said in self.said.items()},
            tuple(self.notes),
        )

    def signals(self, layer: FileLayer, cell: Any, formats: LstmFormats) -> tuple[LstmFormats, Rounds]:
        """Read a layer's functions, the formats that its quantizers set, and the rounding of its signals."""
        chosen: dict[str, Any] = {}
        rounding: dict[str, Quantizer | None] = {}
        for role, ours, fields in (
            ("recurrent_activation", "sigmoid", ("gate",)),
            ("activation", "tanh", ("g", "tc")),
        ):
            given = getattr(cell, role)
            chosen[ours], bits = function_of(given)
            rounding[ours] = rounding_of(given) if bits else None
            for name in fields:
                self.say(name, layer, name_of(given) if bits else f"{UNQUANTIZED} ({name_of(given)})")
                if bits:
                    chosen[name] = self.signal_format(layer, given, formats, name, bits)
        state = getattr(cell, "state_quantizer_internal", None)
        fmt = fixed_format(state)
        for name in ("c", "h"):
            self.say(name, layer, f"{name_of(state)} where it is read" if state else UNQUANTIZED)
            if fmt is not None:
                chosen[name] = self.signal_format(layer, state, formats, name, fmt.bits, fmt.integer)
        for name in ("z", "ct", "output.logits"):
            self.say(name, layer, UNQUANTIZED)
        self.quantized.append(frozenset(chosen) & frozenset(formats.format_names()))
        rounds = Rounds(rounding["sigmoid"], rounding["tanh"], on_reals(state) if state else None)
        return dataclasses.replace(formats, **chosen), rounds

    def signal_format(
        self,
        layer: FileLayer,
        quantizer: Any,
        formats: LstmFormats,
        name: str,
        bits: int,
        integer: int | None = None,
    ) -> FixedFormat:
        """Return the format of a signal in the width of a quantizer.

        Raises:
            UserError: the quantizer is wider than the signal may be.
        """
        ready = formats.format(name)
        most = MAX_SIGNAL_BITS - (not ready.signed)
        if bits > most:
            raise UserError(
                f"{self.file.path}: layer {layer.name!r}: {name_of(quantizer)} has {bits} bits; at most "
                f"{most} are legal for {name}"
            )
        return dataclasses.replace(ready, bits=bits, integer=ready.integer if integer is None else integer)

    def say(self, name: str, layer: FileLayer, what: str) -> None:
        self.said.setdefault(name, {})[layer.name] = what

    def shared(self, layers: Sequence[LstmFormats]) -> list[LstmFormats]:
        """Return the layers' formats, with a common format where some layers round a signal and others don't.

        A common format holds the values of both the quantizer and the preset. Only c may leave the preset's
        range; the functions keep the other signals within it. If quantizers' formats differ from each other,
        they stay as they are.
        """
        found = list(layers)
        for name in sorted(set().union(*self.quantized)):
            theirs = {
                fmt.format(name) for fmt, own in zip(layers, self.quantized, strict=True) if name in own
            }
            everywhere = all(name in own for own in self.quantized)
            if len(theirs) == 1 and not everywhere:
                (fmt,) = theirs
                (ready,) = {
                    one.format(name)
                    for one, own in zip(layers, self.quantized, strict=True)
                    if name not in own
                }
                integer = max(fmt.integer, ready.integer) if name == "c" else ready.integer
                bits = min(MAX_SIGNAL_BITS - (not ready.signed), integer + max(fmt.frac, ready.frac))
                one = dataclasses.replace(ready, bits=bits, integer=integer)
                change: dict[str, Any] = {name: one}
                found = [dataclasses.replace(formats, **change) for formats in found]
                self.notes.append(f"{name}: {_by_layer(self.said[name])}; the layers share one format, {one}")
            if everywhere and name in ("c", "h"):
                self.fixed.add(name)
        return found

    def recurrent_weights(self, layer: FileLayer, cell: Any, k: int) -> dict[str, NDArray[np.float32]]:
        arrays = {
            "W": (cell.kernel, getattr(cell, "kernel_quantizer_internal", None)),
            "U": (cell.recurrent_kernel, getattr(cell, "recurrent_quantizer_internal", None)),
        }
        if cell.use_bias:
            arrays["b"] = (cell.bias, getattr(cell, "bias_quantizer_internal", None))
        found = {
            f"layers.{k}.{name}": self.array(layer, f"layers.{k}.{name}", *pair)
            for name, pair in arrays.items()
        }
        # Keras' gate order i, f, c, o is the same as ours: i, f, g, o.
        return {f"layers.{k}.b": np.zeros(cell.kernel.shape[1], np.float32)} | found

    def dense_weights(self, layer: FileLayer, theirs: Any) -> dict[str, NDArray[np.float32]]:
        quantizers = (getattr(theirs, f"{role}_quantizer_internal", None) for role in ("kernel", "bias"))
        kernel, bias = quantizers
        W = self.array(layer, "output.W", theirs.kernel, kernel)
        if not theirs.use_bias:
            return {"output.W": W, "output.b": np.zeros(W.shape[1], np.float32)}
        return {"output.W": W, "output.b": self.array(layer, "output.b", theirs.bias, bias)}

    def array(self, layer: FileLayer, name: str, variable: Any, quantizer: Any) -> NDArray[np.float32]:
        """Return a weight array after its quantizer, and record the format if the quantizer has one."""
        latent = np.asarray(variable, np.float32)
        key = name if name.startswith("output.") else name.rpartition(".")[2]
        self.say(key, layer, name_of(quantizer) if quantizer is not None else UNQUANTIZED)
        if quantizer is None:
            return latent
        values = np.asarray(quantizer(variable), np.float32)
        require_finite(f"{self.file.path}: layer {layer.name!r}: {name_of(quantizer)} of {name}", values)
        fmt = fixed_format(quantizer) or exact_format(values)
        if fmt is None:
            self.notes.append(
                f"{name}: no format of at most {MAX_EXACT_BITS} bits holds the values of "
                f"{name_of(quantizer)} exactly; rounded as a float array"
            )
            return values
        self.formats[name] = fmt
        self.fixed.add(name)
        moved = int((fmt.to_real(fmt.quantize(values)) != values).sum())
        if moved:
            self.notes.append(
                f"{name}: {moved} of {values.size} values of {name_of(quantizer)} have no equal in {fmt} "
                "(the lowest value becomes the one above it)"
            )
        return values

    def fold(self, embedding: FileLayer, vectors: Reals, W: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return embedding @ W: looking up a row of the product equals multiplying the looked-up row by W."""
        self.fixed.discard("layers.0.W")
        if self.formats.pop("layers.0.W", None):
            self.notes.append(
                "layers.0.W: the product with the embedding isn't on its quantizer's grid; rounded anew"
            )
        self.notes.append(
            f"layer {embedding.name!r} ({vectors.shape[1]} columns) is folded into layers.0.W: looking a row "
            "up and multiplying it is looking it up in the product"
        )
        return (vectors @ W.astype(np.float64)).astype(np.float32)


def _by_layer(said: Mapping[str, str]) -> str:
    """Return the texts with their layers; a single text if all are the same."""
    different = set(said.values())
    return different.pop() if len(different) == 1 else ", ".join(f"{a}: {b}" for a, b in said.items())
