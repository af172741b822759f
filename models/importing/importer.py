# SPDX-License-Identifier: Apache-2.0
"""Import of character models that others trained, with stock layers of Keras and QKeras.

Nothing in a file is run: :mod:`zynq_lstm.models.importing.file` reads and checks it. Only then does Keras
build the model, from a new configuration made of the settings that were read.

Supported are one-hot input (B, T, V), or codes (B, T) into an Embedding; one to four LSTM, GRU and SimpleRNN
layers, or QKeras' QLSTM, QGRU and QSimpleRNN; and Dense or QDense, with or without softmax, alone or in
TimeDistributed. Dropout has no effect at inference.

Keras' blocks of columns are in our order of gates: i, f, c, o are our i, f, g, o; z, r, h of a GRU are our
u, r, n, and its z keeps the state, as our u does: h = z h' + (1 - z) n.
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
from zynq_lstm.models.description.spec import CellFormats, Layer, NetworkSpec, network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import MAX_BITS, FixedFormat
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
    grid_of,
    name_of,
    on_reals,
    rounding_of,
)

UNQUANTIZED = "not quantized"
MAX_SIGNAL_BITS = 16  # most bits of a signal, including the sign
STREAMS = 64  # windows that Keras computes at once
#: The function of a cell's tables that each of Keras' settings is.
ROLES: Mapping[str, str] = {"recurrent_activation": "sigmoid", "activation": "tanh"}


@dataclass(frozen=True)
class Rounds:
    """The rounding of signals in one layer of their model; None where there is no rounding.

    Args:
        gate: rounding after the recurrent activation: of i, f and o, or of u and r.
        tanh: rounding after the activation: of g and tanh(c), of n, or of the vanilla layer's h.
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
        biases: for each layer, the magnitudes of the biases that each column of b is the sum of.
        rounds: the rounding of signals in each layer.
        fixed: names of weight arrays, and ``layers.K.FIELD`` of signals' formats, that their quantizers set.
        theirs: their quantizer for each format field, in their notation.
        notes: notes for the user.
    """

    file: KerasFile
    model: Any
    without_softmax: Any
    spec: NetworkSpec
    weights: Mapping[str, NDArray[np.float32]]
    sizes: Reals | None
    biases: tuple[Reals, ...]
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
    biases: list[Reals] = field(default_factory=list)

    def read(self) -> Imported:
        file, chain = self.file, self.file.chain
        self.notes.extend(file.notes)
        model = build_keras(file, chain)
        cells = [layer.cell.name for layer in chain.recurrent]
        base = network_spec(self.preset, vocabulary=2, units=1, layers=len(cells), cell=cells)
        weights: dict[str, NDArray[np.float32]] = {}
        rounds, formats = [], []
        for k, layer in enumerate(chain.recurrent):
            theirs = keras_layer(model, chain, layer)
            weights |= self.recurrent_weights(layer, theirs.cell, k)
            ready, own = self.signals(layer, theirs.cell, base.layers[k].formats)
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
            tuple(self.biases),
            tuple(rounds),
            frozenset(self.fixed),
            {name: _by_layer(said) for name, said in self.said.items()},
            tuple(self.notes),
        )

    def signals(self, layer: FileLayer, cell: Any, formats: CellFormats) -> tuple[CellFormats, Rounds]:
        """Read a layer's functions, the formats that its quantizers set, and the rounding of its signals."""
        chosen: dict[str, Any] = {}
        rounding: dict[str, Quantizer | None] = {}
        of: dict[str, Any] = {}  # the activation's quantizer, by field
        for role, ours in ROLES.items():
            fields = [table.value for table in formats.tables.values() if table.function == ours]
            if not fields:  # a vanilla layer has no gates
                continue
            given = getattr(cell, role)
            chosen[ours], bits = function_of(given)
            rounding[ours] = rounding_of(given) if bits else None
            for name in fields:
                self.say(name, layer, name_of(given) if bits else f"{UNQUANTIZED} ({name_of(given)})")
                if bits:
                    chosen[name] = self.signal_format(layer, given, formats, name, bits)
                    of[name] = given
        state = getattr(cell, "state_quantizer_internal", None)
        for name in (name for name in ("c", "h") if name in formats.format_names()):
            if state is None:
                self.say(name, layer, self.said.get(name, {}).get(layer.name, UNQUANTIZED))
                continue
            self.say(name, layer, f"{name_of(state)} where it is read")
            fmt = fixed_format(state)
            if name in of:
                self.require_same(layer, name, of[name], state)
                self.say(name, layer, f"{name_of(of[name])}, which {name_of(state)} does not change")
            elif fmt is not None:
                chosen[name] = self.signal_format(layer, state, formats, name, fmt.bits, fmt.integer)
        for name in formats.signal_fields():
            self.said.setdefault(name, {}).setdefault(layer.name, UNQUANTIZED)
        self.say("output.logits", layer, UNQUANTIZED)
        self.quantized.append(frozenset(chosen) & frozenset(formats.format_names()))
        rounds = Rounds(
            rounding.get("sigmoid"), rounding.get("tanh"), on_reals(state) if state is not None else None
        )
        return dataclasses.replace(formats, **chosen), rounds

    def require_same(self, layer: FileLayer, name: str, activation: Any, state: Any) -> None:
        """Refuse a signal that is passed on with one rounding, and read in the next step with another.

        Raises:
            UserError: the state's quantizer changes a value of the activation's.
        """
        values = grid_of(activation)
        changed = values[on_reals(state)(values) != values]
        if len(changed):
            raise UserError(
                f"{self.file.path}: layer {layer.name!r}: {name_of(activation)} rounds {name}, and its "
                f"state_quantizer {name_of(state)} rounds it again where it is read ({changed[0]:g} becomes "
                f"{on_reals(state)(changed[:1])[0]:g}); the hardware has one {name}: leave out "
                "state_quantizer, or give it at least the range and the fraction bits of the activation"
            )

    def signal_format(
        self,
        layer: FileLayer,
        quantizer: Any,
        formats: CellFormats,
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

    def shared(self, layers: Sequence[CellFormats]) -> list[CellFormats]:
        """Return the layers' formats, with a common format where some layers round a signal and others don't.

        Layers of one cell share their signals' formats, and all layers that of h. A common format holds the
        values of both the quantizer and the preset. Only c may leave the preset's range; the functions keep
        the other signals within it. If quantizers' formats differ from each other, they stay as they are.
        """
        found = list(layers)
        for name in sorted(set().union(*self.quantized)):
            groups: dict[str, list[int]] = {}
            for k, fmt in enumerate(layers):
                if name in fmt.format_names():
                    groups.setdefault("" if name == "h" else fmt.cell, []).append(k)
            for group in groups.values():
                self.share(name, group, layers, found)
        return found

    def share(
        self, name: str, group: Sequence[int], layers: Sequence[CellFormats], found: list[CellFormats]
    ) -> None:
        """Change one format of the layers of a group, as :meth:`shared` says."""
        own = [k for k in group if name in self.quantized[k]]
        theirs = {layers[k].format(name) for k in own}
        if len(theirs) == 1 and len(own) < len(group):
            (fmt,) = theirs
            (ready,) = {layers[k].format(name) for k in group if k not in own}
            integer = max(fmt.integer, ready.integer) if name == "c" else ready.integer
            bits = min(MAX_SIGNAL_BITS - (not ready.signed), integer + max(fmt.frac, ready.frac))
            one = dataclasses.replace(ready, bits=bits, integer=integer)
            change: dict[str, Any] = {name: one}
            for k in group:
                found[k] = dataclasses.replace(found[k], **change)
            names = [self.file.chain.recurrent[k].name for k in group]
            said = {layer: self.said[name][layer] for layer in names}
            self.notes.append(f"{name}: {_by_layer(said)}; the layers share one format, {one}")
        if own and len(own) == len(group) and name in ("c", "h"):
            self.fixed.update(f"layers.{k}.{name}" for k in group)

    def recurrent_weights(self, layer: FileLayer, cell: Any, k: int) -> dict[str, NDArray[np.float32]]:
        found = {}
        for name, variable, role in (("W", cell.kernel, "kernel"), ("U", cell.recurrent_kernel, "recurrent")):
            at, quantizer = f"layers.{k}.{name}", getattr(cell, f"{role}_quantizer_internal", None)
            found[at] = self.array(layer, at, variable, quantizer)
        return found | self.recurrent_biases(layer, cell, k)

    def recurrent_biases(self, layer: FileLayer, cell: Any, k: int) -> dict[str, NDArray[np.float32]]:
        """Return b; and rb of a GRU with reset_after, which has a bias of the recurrent products as well.

        That bias of u and r adds up with that of the input products, and so is in b. That of n is added
        before r is multiplied, and so is the vector rb.
        """
        columns, units = cell.kernel.shape[1], cell.recurrent_kernel.shape[0]
        at, vectors = f"layers.{k}.", layer.cell.vectors
        found = {f"{at}b": np.zeros(columns, np.float32)}
        found |= {f"{at}{name}": np.zeros(units, np.float32) for name in vectors}
        if not cell.use_bias:
            self.biases.append(np.zeros(columns))
            return found
        quantizer = getattr(cell, "bias_quantizer_internal", None)
        if not vectors:
            found[f"{at}b"] = self.array(layer, f"{at}b", cell.bias, quantizer)
            self.biases.append(np.abs(found[f"{at}b"].astype(np.float64)))
            return found
        of_inputs, of_h = self.values(layer, f"{at}b", cell.bias, quantizer).astype(np.float64)
        n = columns - units  # the first column of n
        added = np.concatenate([of_h[:n], np.zeros(units)])
        b, rb = (of_inputs + added).astype(np.float32), of_h[n:].astype(np.float32)
        self.biases.append(np.abs(of_inputs) + np.abs(added))
        for name, array in (("b", b), ("rb", rb)):
            self.say(name, layer, name_of(quantizer) if quantizer is not None else UNQUANTIZED)
            if quantizer is not None:
                self.keep_format(f"{at}{name}", array, quantizer, added=name == "b")
            found[f"{at}{name}"] = array
        return found

    def dense_weights(self, layer: FileLayer, theirs: Any) -> dict[str, NDArray[np.float32]]:
        quantizers = (getattr(theirs, f"{role}_quantizer_internal", None) for role in ("kernel", "bias"))
        kernel, bias = quantizers
        W = self.array(layer, "output.W", theirs.kernel, kernel)
        if not theirs.use_bias:
            return {"output.W": W, "output.b": np.zeros(W.shape[1], np.float32)}
        return {"output.W": W, "output.b": self.array(layer, "output.b", theirs.bias, bias)}

    def array(self, layer: FileLayer, name: str, variable: Any, quantizer: Any) -> NDArray[np.float32]:
        """Return a weight array after its quantizer, and record the format if the quantizer has one."""
        key = name if name.startswith("output.") else name.rpartition(".")[2]
        self.say(key, layer, name_of(quantizer) if quantizer is not None else UNQUANTIZED)
        values = self.values(layer, name, variable, quantizer)
        if quantizer is not None:
            self.keep_format(name, values, quantizer)
        return values

    def values(self, layer: FileLayer, name: str, variable: Any, quantizer: Any) -> NDArray[np.float32]:
        """Return an array of theirs after its quantizer, if it has one."""
        if quantizer is None:
            return np.asarray(variable, np.float32)
        values = np.asarray(quantizer(variable), np.float32)
        require_finite(f"{self.file.path}: layer {layer.name!r}: {name_of(quantizer)} of {name}", values)
        return values

    def keep_format(
        self, name: str, values: NDArray[np.float32], quantizer: Any, *, added: bool = False
    ) -> None:
        """Record the format of a weight array, if its quantizer has one or there is one for its values.

        Args:
            added: the values are sums of two of the quantizer's, and may need one more bit.
        """
        fmt = fixed_format(quantizer)
        if fmt is not None and added and not np.array_equal(fmt.to_real(fmt.quantize(values)), values):
            wide = fmt.bits == MAX_BITS
            fmt = None if wide else dataclasses.replace(fmt, bits=fmt.bits + 1, integer=fmt.integer + 1)
        fmt = fmt or exact_format(values)
        if fmt is None:
            self.notes.append(
                f"{name}: no format of at most {MAX_EXACT_BITS} bits holds the values of "
                f"{name_of(quantizer)} exactly; rounded as a float array"
            )
            return
        self.formats[name] = fmt
        self.fixed.add(name)
        moved = int((fmt.to_real(fmt.quantize(values)) != values).sum())
        if moved:
            self.notes.append(
                f"{name}: {moved} of {values.size} values of {name_of(quantizer)} have no equal in {fmt} "
                "(the lowest value becomes the one above it)"
            )

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
