# SPDX-License-Identifier: Apache-2.0
"""A Keras model as a chain of layers, and the checks that there is hardware for the chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import Cell
from zynq_lstm.models.description.spec import MAX_LAYERS, MAX_VOCABULARY
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.importing.kinds import DENSE, FEWER, LEGAL, NOTHING, QUANTIZERS, RECURRENT


@dataclass(frozen=True)
class FileLayer:
    """A layer of the chain.

    Args:
        kind: the layer's class; for a TimeDistributed, the class of the layer in it.
        name: name in the file; for a TimeDistributed, its own name.
        settings: the settings of :attr:`Kind.kept` and :attr:`Kind.called`, ready for Keras.
        dtype: name of the layer's policy.
        sources: for each use of the layer, the layers that it reads.
        wrapped: name of the layer in a TimeDistributed; empty for other layers.
    """

    kind: str
    name: str
    settings: Mapping[str, Any]
    dtype: str
    sources: tuple[tuple[str, ...], ...]
    wrapped: str = ""

    @property
    def cell(self) -> Cell:
        """The description of a recurrent layer's equations."""
        name = self.kind.removeprefix("Q")
        if name == "GRU":
            return catalogue.cell("gru" if self.settings["reset_after"] else "gru_reset_before")
        return catalogue.cell({"LSTM": "lstm", "SimpleRNN": "rnn"}[name])

    @property
    def has_softmax(self) -> bool:
        """True if the layer ends with a softmax."""
        return "softmax" in (self.kind.lower(), self.settings.get("activation"))

    def config(self) -> dict[str, Any]:
        """Return the configuration from which Keras 3 builds the layer."""
        inner = {"name": self.wrapped or self.name, "dtype": "float32", **self.settings}
        own = keras_object(self.kind, inner)
        if self.wrapped:
            own = keras_object("TimeDistributed", {"name": self.name, "dtype": "float32", "layer": own})
        return own


@dataclass(frozen=True)
class Chain:
    """A model that is a chain of layers.

    Args:
        layers: the layers in order, without the input.
        input_name: name of the input layer.
        window: number of characters that the model takes at once; None for any number.
        outputs: the layers whose outputs are the model's, each as ``NAME#USE``.
        sequential: True if the file holds a Sequential model; otherwise it holds a graph.
    """

    layers: tuple[FileLayer, ...]
    input_name: str
    window: int | None
    outputs: tuple[str, ...]
    sequential: bool

    def of(self, *kinds: str) -> list[FileLayer]:
        """Return the layers of these classes."""
        return [layer for layer in self.layers if layer.kind in kinds]

    @property
    def embedding(self) -> FileLayer | None:
        """The embedding, for a model that reads codes; otherwise it reads one-hot vectors."""
        return next(iter(self.of("Embedding")), None)

    @property
    def recurrent(self) -> list[FileLayer]:
        """The recurrent layers."""
        return self.of(*RECURRENT)

    @property
    def dense(self) -> FileLayer:
        """The output layer."""
        return self.of(*DENSE)[0]

    @property
    def vocabulary(self) -> int:
        """Number of characters."""
        return int(self.dense.settings["units"])

    @property
    def last_only(self) -> bool:
        """True if the model answers only after the last character of a window."""
        return not self.recurrent[-1].settings["return_sequences"]

    @property
    def softmax(self) -> FileLayer | None:
        """The layer with a softmax; None if there is none."""
        return next((layer for layer in self.layers if layer.has_softmax), None)

    def config(self) -> dict[str, Any]:
        """Return the configuration from which Keras 3 builds the model.

        It has the file's own graph, for any number of characters. All layers are float32. Settings that only
        training needs are left out.
        """
        shape = [None, None] if self.embedding else [None, None, self.vocabulary]
        kind = "int32" if self.embedding else "float32"
        first = keras_object("InputLayer", {"batch_shape": shape, "dtype": kind, "name": self.input_name})
        layers = [{**first, "name": self.input_name, "inbound_nodes": []}]
        for layer in self.layers:
            nodes = [
                {"args": [_tensor(*_use(name)) for name in names], "kwargs": {}} for names in layer.sources
            ]
            layers.append({**layer.config(), "name": layer.name, "inbound_nodes": nodes})
        ends = [[*_use(name), 0] for name in self.outputs]
        graph = {
            "input_layers": [self.input_name, 0, 0],
            "output_layers": ends[0] if len(ends) == 1 else ends,
        }
        return {"name": "theirs", "layers": layers, **graph}


def keras_object(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object in the form that Keras 3 writes."""
    if kind in QUANTIZERS:
        module, registered = "qkeras.quantizers", f"qkeras>{kind}"
    elif kind.startswith("Q"):
        module, registered = "qkeras", f"qkeras>{kind}"
    else:
        module, registered = "keras.layers", None
    return {"module": module, "class_name": kind, "config": dict(config), "registered_name": registered}


def _tensor(name: str, use: int) -> dict[str, Any]:
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, use, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def _use(source: str) -> tuple[str, int]:
    """Split ``NAME#USE``, which :mod:`zynq_lstm.models.importing.config` writes, into layer and use."""
    name, _, use = source.rpartition("#")
    return name, int(use)


def check_chain(path: Path, chain: Chain, inputs: Sequence[FileLayer]) -> None:
    """Refuse any graph but a chain, in which each layer is used once, on the output of the layer before.

    Raises:
        UserError: the graph is not a chain; names the layer.
    """
    if len(inputs) != 1 or len(chain.outputs) != 1:
        raise UserError(
            f"{path}: the model has {len(inputs)} inputs and {len(chain.outputs)} outputs; "
            "one of each is legal"
        )
    names = [inputs[0].name, *(layer.name for layer in chain.layers)]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}: layer {name!r} occurs twice; each layer may occur once")
    for before, layer in zip(names, chain.layers, strict=False):
        label = f"{path}: layer {layer.name!r}"
        if len(layer.sources) != 1:
            raise UserError(f"{label} is applied {len(layer.sources)} times; once is legal")
        (read,) = layer.sources
        if len(read) != 1:
            raise UserError(f"{label} has {len(read)} inputs; one is legal")
        if read != (f"{before}#0",):
            raise UserError(
                f"{label} reads layer {_use(read[0])[0]!r}, not the layer before it, {before!r}; {LEGAL}"
            )
    if chain.outputs != (f"{names[-1]}#0",):
        raise UserError(
            f"{path}: the model's output is of layer {_use(chain.outputs[0])[0]!r}; it must be of the last "
            f"layer, {names[-1]!r}"
        )


def check_order(path: Path, chain: Chain) -> None:
    """Refuse layers in a place for which there is no hardware."""
    recurrent = dense = softmax = None
    for k, layer in enumerate(chain.layers):
        kind, label = layer.kind, f"{path}: layer {layer.name!r}"
        legal = (
            (kind == "Embedding" and k == 0)
            or (kind in RECURRENT and dense is None)
            or (kind in DENSE and recurrent is not None and dense is None)
            or (kind in ("Softmax", "Activation") and dense is not None)
            or kind in NOTHING
        )
        if not legal:
            raise UserError(f"{label}: a {kind} is not possible in this place; {LEGAL}")
        if kind in RECURRENT:
            if recurrent is not None and not recurrent.settings["return_sequences"]:
                raise UserError(
                    f"{path}: layer {recurrent.name!r}: return_sequences=False; True is legal below another "
                    "layer"
                )
            recurrent = layer
        dense = layer if kind in DENSE else dense
        if layer.has_softmax:
            if softmax is not None:
                raise UserError(f"{label}: a softmax after that of layer {softmax.name!r}; one is legal")
            softmax = layer
    if recurrent is None or dense is None:
        raise UserError(f"{path}: the model has no {'Dense' if recurrent else 'recurrent'} layer; {LEGAL}")
    if len(chain.recurrent) > MAX_LAYERS:
        raise UserError(
            f"{path}: layer {chain.recurrent[MAX_LAYERS].name!r} is recurrent layer {MAX_LAYERS + 1}; "
            f"at most {MAX_LAYERS} are legal"
        )
    for layer in chain.of("Softmax"):
        last, axis = (1 if chain.last_only else 2), layer.settings.get("axis", -1)
        if axis not in (-1, last, [-1], [last]):
            raise UserError(
                f"{path}: layer {layer.name!r}: softmax over axis {axis}; the last, -1, is legal: the others "
                "mix characters of the text"
            )
    if dense.wrapped and chain.last_only:
        raise UserError(
            f"{path}: layer {dense.name!r} is a TimeDistributed, but layer {recurrent.name!r} has "
            "return_sequences=False; True is legal below it"
        )


def check_sizes(path: Path, chain: Chain, shape: Sequence[int | None]) -> None:
    """Refuse an input that isn't text, and a vocabulary of an illegal size."""
    dense, first = chain.dense, chain.embedding or chain.recurrent[0]
    wanted = 2 if chain.embedding else 3
    if len(shape) != wanted:
        raise UserError(
            f"{path}: the input has the shape {tuple(shape)}; legal are one-hot (batch, time, characters), "
            "or (batch, time) into an Embedding"
        )
    read = chain.embedding.settings["input_dim"] if chain.embedding else shape[2]
    if read != chain.vocabulary:
        raise UserError(
            f"{path}: layer {first.name!r} reads {read} different characters, layer {dense.name!r} answers "
            f"with {chain.vocabulary}; they must be as many"
        )
    if not 2 <= chain.vocabulary <= MAX_VOCABULARY:
        raise UserError(
            f"{path}: layer {dense.name!r} answers with {chain.vocabulary} characters; a network has 2 to "
            f"{MAX_VOCABULARY}: {FEWER}"
        )
