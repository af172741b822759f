# SPDX-License-Identifier: Apache-2.0
"""Recover the frozen integer network from an hls4ml graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zynq_lstm.models.description.spec import DenseFormats, Layer, NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.network import IntegerNetwork

INPUTS = ("Input", "InputLayer")


#: The input port: bits 0 to 14 hold a character's code; bit 15 clears the state before this character.
CODE_BITS = 15
RESET = 1 << CODE_BITS


def not_compiled() -> UserError:
    """Return the error for running a graph that was only converted."""
    return UserError(
        "the model is not compiled yet; call zynq_lstm.hls.hls4ml.convert.compile_model(model) first"
    )


def chain(node: Any) -> list[Any]:
    """Return the layers from the first after the graph's input up to ``node``.

    Raises:
        UserError: naming a layer that is not ours.
    """
    layers: list[Any] = []
    while node is not None and node.class_name not in INPUTS:
        if not hasattr(node, "formats_class"):
            raise UserError(
                f"layer {node.name} ({node.class_name}) is not supported; a network is QuantizedLSTM "
                "layers and one QuantizedDense after them"
            )
        layers.insert(0, node)
        node = node.get_input_node()
    return layers


def network_from_graph(graph: Any, vocabulary: str | None = None) -> IntegerNetwork:
    """Return the network that a graph computes: its integers, formats and tables.

    A graph does not know its characters. Without ``vocabulary`` the network gets placeholders, which leave
    its identity the same.

    Raises:
        UserError: if the graph is not one chain of our layers, in their order and with one output.
    """
    nodes = [node for node in graph.get_layers() if node.class_name not in INPUTS]
    for node in nodes:
        chain(node)
    if len(graph.outputs) != 1 or not nodes:
        raise UserError(f"a graph must have one output, this one has {len(graph.outputs)}")
    layers = chain(nodes[-1])
    if len(layers) != len(nodes):
        raise UserError(f"layer {nodes[-1].name}: the layers must form one chain, without branches")
    if layers[-1].class_name != "FixedDense":
        raise UserError(f"layer {layers[-1].name}: the last layer must be a QuantizedDense")
    return network_from_chain(layers, vocabulary)


def network_from_chain(layers: Sequence[Any], vocabulary: str | None = None) -> IntegerNetwork:
    """Return the network of these layers; an output layer that is not there (yet) counts as zero."""
    for position, node in enumerate(layers):
        if node.class_name == "FixedDense" and (position == 0 or node is not layers[-1]):
            raise UserError(f"layer {node.name}: a QuantizedDense must be the last layer, after an LSTM")
        if node.class_name != "FixedDense" and node.get_attr("one_hot") != (position == 0):
            raise UserError(
                f"layer {node.name}: one_hot={node.get_attr('one_hot')} in layer {position}; "
                "it must be set in the first layer and only there"
            )
    recurrent = [node for node in layers if node.class_name != "FixedDense"]
    size = layers[0].get_attr("n_in")
    vocabulary = vocabulary or "".join(chr(0xE000 + code) for code in range(size))
    weights = {
        f"layers.{k}.{name}": array
        for k, node in enumerate(recurrent)
        for name, array in node.integers.items()
    }
    if layers[-1].class_name == "FixedDense":
        output = layers[-1].formats
        integers = layers[-1].integers
    else:
        output = DenseFormats(*[FixedFormat(8, 1)] * 3)
        integers = {
            "W": np.zeros((recurrent[-1].get_attr("n_out"), size), np.int64),
            "b": np.zeros(size, np.int64),
        }
    weights |= {f"output.{name}": array for name, array in integers.items()}
    spec = NetworkSpec("", size, tuple(Layer(n.get_attr("n_out"), n.formats) for n in recurrent), output)
    return IntegerNetwork.from_weights(spec, vocabulary, weights)
