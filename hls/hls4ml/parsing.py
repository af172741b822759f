# SPDX-License-Identifier: Apache-2.0
"""Handlers that read our Keras layers for hls4ml (its Keras 3 front end).

hls4ml looks its handlers up by the full name of the layer's class, so this module does not import Keras and
affects no other class.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from hls4ml.converters.keras_v3._base import KerasV3LayerHandler

from zynq_lstm.hls.hls4ml.layers import know
from zynq_lstm.models.description.spec import formats_to_dict
from zynq_lstm.models.errors import UserError

# Options of Keras' recurrent layers that change the result, and the values that they must have.
RECURRENT_OPTIONS = {"go_backwards": False, "return_state": False, "time_major": False}

#: Packages that hls4ml's profiling needs and that an installation may lack.
PROFILING = ("matplotlib", "pandas", "seaborn")

Node = dict[str, Any]  # a layer as hls4ml's graph takes it


class QuantizedRecurrentHandler(KerasV3LayerHandler):
    handles = (
        "zynq_lstm.models.keras.quantized.QuantizedLSTM",
        "zynq_lstm.models.keras.quantized.QuantizedRecurrent",
    )

    def handle(self, layer: Any, in_tensors: Sequence[Any], out_tensors: Sequence[Any]) -> tuple[Node, ...]:
        _name_weights_for_profiling()
        for option, value in RECURRENT_OPTIONS.items():
            given = getattr(layer, option, value)
            if given != value:
                raise UserError(f"layer {layer.name}: {option}={given} is not supported; use {value}")
        name = know(layer.formats.description)
        return (_layer(layer, name, in_tensors, out_tensors) | {"one_hot": bool(layer.one_hot)},)


class QuantizedDenseHandler(KerasV3LayerHandler):
    handles = ("zynq_lstm.models.keras.quantized.QuantizedDense",)

    def handle(self, layer: Any, in_tensors: Sequence[Any], out_tensors: Sequence[Any]) -> tuple[Node, ...]:
        return (_layer(layer, "FixedDense", in_tensors, out_tensors),)


def _name_weights_for_profiling() -> None:
    """Tell hls4ml's profiling of Keras models, if it is installed, that our LSTM has three weight arrays."""
    if all(importlib.util.find_spec(name) for name in PROFILING):
        from hls4ml.model.profiling import keras_process_layer_map

        keras_process_layer_map["QuantizedLSTM"] = keras_process_layer_map["QLSTM"]


def _layer(layer: Any, kind: str, in_tensors: Sequence[Any], out_tensors: Sequence[Any]) -> Node:
    """What both layers have: names, shapes, formats and raw integers."""
    if len(in_tensors) != 1 or len(out_tensors) != 1:
        raise UserError(
            f"layer {layer.name}: must have one input and one output, has {len(in_tensors)} and "
            f"{len(out_tensors)}; initial states can't be given, the hardware keeps its state"
        )
    steps = in_tensors[0].shape[1]
    if steps != 1:
        raise UserError(
            f"layer {layer.name}: the hardware takes one character per call, the model takes "
            f"{steps or 'any number of'} steps; build it with time_steps=1"
        )
    integers = {name: np.asarray(array, np.int64) for name, array in layer.integer_weights().items()}
    return {
        "name": layer.name,
        "class_name": kind,
        "module": layer.__module__,
        "input_keras_tensor_names": [tensor.name for tensor in in_tensors],
        "output_keras_tensor_names": [tensor.name for tensor in out_tensors],
        "input_shape": [list(in_tensors[0].shape[1:])],
        "output_shape": list(out_tensors[0].shape[1:]),
        "n_in": integers["W"].shape[0],
        "n_out": layer.units,
        "formats": formats_to_dict(layer.formats),
        "integers": integers,
    }
