# SPDX-License-Identifier: Apache-2.0
"""What a ``.keras`` file names, checked before Keras sees it.

Nothing in a file is run. Its configuration is read as JSON first, and every class, function and quantizer
that it names must be one of those listed here.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.errors import UserError

RECURRENT = ("LSTM", "QLSTM")
DENSE = ("Dense", "QDense")
NOTHING = ("Dropout", "SpatialDropout1D", "GaussianNoise")  # at inference
LEGAL_LAYERS = (
    *RECURRENT,
    *DENSE,
    *NOTHING,
    "InputLayer",
    "Embedding",
    "TimeDistributed",
    "Activation",
    "Softmax",
)
LEGAL = "legal are one-hot input or Embedding, 1 to 4 LSTM or QLSTM, Dense or QDense, softmax"
MODELS = ("Sequential", "Functional")
QUANTIZERS = (
    "quantized_bits",
    "quantized_linear",
    "quantized_po2",
    "quantized_tanh",
    "quantized_sigmoid",
    "ternary",
    "binary",
)
#: Modules of classes that only set a model up.
SETTING_UP = ("keras.initializers", "keras.regularizers", "keras.constraints", "keras.dtype_policies")
HELPERS = ("DTypePolicy", "QInitializer", "Clip", "__keras_tensor__")
#: Where a string names what is to be called.
CALLED = ("activation", "recurrent_activation", "quantizer")
ACTIVATIONS = ("tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "softmax", "linear")

MAX_CONFIG_BYTES = 1 << 24


def check_file(path: Path) -> None:
    """Refuse a file that isn't a ``.keras`` archive of the layers that are taken in, before Keras sees it."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("config.json").file_size
            if size > MAX_CONFIG_BYTES:
                raise UserError(
                    f"{path}: its config.json has {size} bytes; at most {MAX_CONFIG_BYTES} are read"
                )
            config = json.loads(archive.read("config.json"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{path}: not a .keras file; save the model with model.save('name.keras') of Keras 3"
        ) from None
    if not isinstance(config, dict) or config.get("class_name") not in MODELS:
        kind = config.get("class_name") if isinstance(config, dict) else None
        raise UserError(f"{path}: holds a {kind}; legal are {' and '.join(MODELS)} models")
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(layers, list):
        raise UserError(f"{path}: not a .keras file: its configuration has no layers")
    for layer in layers:
        _check_layer(path, layer)
    # What stands beside the layers: the model's own settings.
    _check_objects(
        path,
        "model",
        {**config, "compile_config": None, "class_name": None, "config": {**inner, "layers": []}},
    )


def _check_layer(path: Path, layer: Any) -> None:
    if not isinstance(layer, dict) or not isinstance(layer.get("config"), dict):
        raise UserError(f"{path}: not a .keras file: a layer without a configuration")
    kind, config = layer.get("class_name"), layer["config"]
    name = f"layer {config.get('name', layer.get('name'))!r}"
    wrapped = config.get("layer") if kind == "TimeDistributed" else None
    if kind == "Lambda":
        raise UserError(f"{path}: {name} is a Lambda, which would run code from the file; {LEGAL}")
    if kind not in LEGAL_LAYERS:
        why = "there is no hardware for it; " if kind in ("GRU", "QGRU", "SimpleRNN", "QSimpleRNN") else ""
        raise UserError(f"{path}: {name} is a {kind}: {why}{LEGAL}")
    if wrapped is not None:
        if not isinstance(wrapped, dict) or wrapped.get("class_name") not in DENSE:
            kind = wrapped.get("class_name") if isinstance(wrapped, dict) else wrapped
            raise UserError(f"{path}: {name} wraps a {kind}; TimeDistributed may hold a Dense or QDense")
        _check_layer(path, wrapped)
        config = {**config, "layer": None}
    _check_names(path, name, layer, kind)
    around = {key: value for key, value in layer.items() if key not in ("config", "class_name")}
    _check_objects(path, name, around)
    _check_objects(path, name, config)


def _check_objects(path: Path, name: str, value: Any, key: str = "") -> None:
    """Refuse every class and function in a configuration that isn't known to be harmless."""
    if isinstance(value, list):
        for item in value:
            _check_objects(path, name, item, key)
    elif isinstance(value, dict):
        kind = value.get("class_name")
        if kind is not None:
            module = str(value.get("module"))
            known = kind in HELPERS or kind in QUANTIZERS or module in SETTING_UP
            if not known:
                raise UserError(
                    f"{path}: {name} has {key or 'an object'} of class {kind}, which isn't taken in"
                )
            _check_names(path, name, value, kind)
        for inner_key, item in value.items():
            _check_objects(path, name, item, inner_key)
    elif isinstance(value, str) and key.endswith(CALLED) and value not in ACTIVATIONS:
        raise UserError(f"{path}: {name} has {key}={value!r}; legal are {', '.join(ACTIVATIONS)}")


def _check_names(path: Path, name: str, value: Mapping[str, Any], kind: str) -> None:
    """A class must be what it says: Keras goes by the registered name first, then by the module."""
    registered, module = value.get("registered_name"), value.get("module")
    if registered not in (None, kind, f"qkeras>{kind}"):
        raise UserError(f"{path}: {name} says {kind}, but is registered as {registered!r}")
    if module is not None and str(module).split(".")[0] not in ("keras", "qkeras", "builtins"):
        raise UserError(f"{path}: {name} is of the module {module!r}; legal are those of Keras and QKeras")
