# SPDX-License-Identifier: Apache-2.0
"""Build Keras' model of a chain of layers with a file's weights, and run it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.importing.chain import Chain, FileLayer
from zynq_lstm.models.importing.file import KerasFile
from zynq_lstm.models.importing.quantizers import Reals
from zynq_lstm.models.keras.quiet import import_qkeras, quiet_stderr


def build_keras(file: KerasFile, chain: Chain) -> Any:
    """Build Keras' model of a chain, with the file's weights."""
    import_qkeras()  # makes its layers known to Keras
    import keras

    try:
        with quiet_stderr():
            model = keras.Model.from_config(chain.config())
            for layer in chain.layers:
                theirs = keras_layer(model, chain, layer)
                if file.weights[layer.name]:
                    theirs.set_weights(list(file.weights[layer.name].values()))
                for role in ("activation", "recurrent_activation"):
                    hard = layer.settings.get(role) == "hard_sigmoid"
                    if hard and file.keras2 and layer.kind in ("LSTM", "GRU", "SimpleRNN"):
                        setattr(theirs.cell, role, keras2_hard_sigmoid)
            computed(model, inputs(chain, np.zeros((1, 1), np.int64)))  # quantizers raise when they are used
    except Exception as error:  # Keras raises whatever its layers happen to raise
        raise UserError(f"{file.path}: Keras can't build or run it: {_shortened(error)}") from None
    return model


def keras_layer(model: Any, chain: Chain, layer: FileLayer) -> Any:
    """Return a layer of the chain from Keras' model, by place; QKeras' recurrent layers lose their names."""
    layers = [one for one in model.layers if type(one).__name__ != "InputLayer"]
    return layers[chain.layers.index(layer)]


def keras2_hard_sigmoid(x: Any) -> Any:
    """Compute the hard sigmoid of Keras 2; that of Keras 3 has a different slope."""
    import keras

    return keras.ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


def without_softmax(chain: Chain) -> Chain:
    """Return the same chain with logits as its output."""

    def changed(layer: FileLayer) -> FileLayer:
        kind = "Activation" if layer.kind == "Softmax" else layer.kind
        settings = dict(layer.settings)
        if layer.has_softmax:
            settings.pop("axis", None)
            settings["activation"] = "linear"
        return dataclasses.replace(layer, kind=kind, settings=settings)

    return dataclasses.replace(chain, layers=tuple(map(changed, chain.layers)))


def inputs(chain: Chain, codes: NDArray[np.integer]) -> NDArray[Any]:
    """Return the input of a model for codes (S, T): the codes themselves, or one-hot vectors."""
    if chain.embedding:
        return codes.astype(np.int32)
    return np.eye(chain.vocabulary, dtype=np.float32)[codes]


def computed(layer: Any, x: NDArray[Any]) -> Reals:
    """Compute the output of Keras on the processor: a GPU's products may be less exact than float32."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        return np.asarray(layer(x, training=False), np.float64)


def _shortened(error: Exception, most: int = 200) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= most else text[:most] + "..."
