# SPDX-License-Identifier: Apache-2.0
"""From trained weights to the frozen integer network. This module needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.integers.bounds import keras_layer_bound, output_bound
from zynq_lstm.models.integers.network import IntegerNetwork


def freeze_weights(spec: NetworkSpec, weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
    """Return raw weights, bit for bit equal to those of QKeras' quantizers in the quantized model."""
    return {name: fmt.quantize(weights[name]) for name, fmt in spec.weight_formats().items()}


def freeze(checkpoint: Checkpoint) -> IntegerNetwork:
    """Return the integer network of a quantized checkpoint.

    :func:`zynq_lstm.models.keras.quantized.freeze_model` returns that of a Keras model.

    Raises:
        UserError: the checkpoint is of a float network.
    """
    spec = checkpoint.quantized_spec
    return IntegerNetwork.from_weights(spec, checkpoint.vocabulary, freeze_weights(spec, checkpoint.weights))


def thaw(network: IntegerNetwork) -> Checkpoint:
    """Return a quantized checkpoint that freezes to this network."""
    formats = network.spec.weight_formats()
    weights = {name: fmt.to_real(network.arrays[name]).astype(np.float32) for name, fmt in formats.items()}
    return Checkpoint(network.vocabulary, weights, network.spec)


def arithmetic_bounds(network: IntegerNetwork, margin: int = 1) -> dict[str, int]:
    """Return, for each Keras layer by name, the largest integer that its float type must hold to be exact.

    Args:
        network: its weights bound the accumulators; its formats bound all other values.
        margin: factor by which weights may still grow.
    """
    indices = range(len(network.spec.layers))
    layers = {f"lstm{k + 1}": keras_layer_bound(network, k, margin=margin) for k in indices}
    return layers | {"logits": output_bound(network, margin=margin)}
