# SPDX-License-Identifier: Apache-2.0
"""Read the configuration of a third party's Keras model.

A configuration is data. Each class, function and setting in it must be listed in
:mod:`zynq_lstm.models.importing.kinds`. A new configuration is made of the known ones
(:meth:`zynq_lstm.models.importing.chain.Chain.config`), so that Keras never sees anything else. The files of
Keras 2 and Keras 3 describe the same model in different ways; both become the same configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zynq_lstm.models.description.spec import MAX_UNITS
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.importing.chain import (
    Chain,
    FileLayer,
    check_chain,
    check_order,
    check_sizes,
    keras_object,
)
from zynq_lstm.models.importing.kinds import (
    DENSE,
    DTYPES,
    EVERY,
    HOPELESS,
    KINDS,
    LEGAL,
    MODELS,
    NO_TABLE,
    NOTHING,
    REASONS,
    RECURRENT,
    TRAINING,
    UNBOUNDED,
)


def read_chain(path: Path, config: Any) -> Chain:
    """Read the chain of layers that a model's configuration describes.

    Args:
        path: path of the file, for messages.
        config: configuration as Keras 2 or Keras 3 writes it.

    Raises:
        UserError: the model is not supported; names the layer, and what is legal.
    """
    kind = config.get("class_name") if isinstance(config, dict) else None
    inner = config.get("config") if isinstance(config, dict) else None
    if kind not in ("Model", *MODELS):
        raise UserError(f"{path}: holds a {kind}; legal are {' and '.join(MODELS)} models")
    if isinstance(inner, list):  # Keras 1 and early Keras 2
        inner = {"layers": inner}
    if not isinstance(inner, dict) or not isinstance(inner.get("layers"), list):
        raise UserError(f"{path}: not a Keras model: its configuration has no layers")
    _plain_names(path, "the model", config, kind)
    entries = inner["layers"]
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
            raise UserError(f"{path}: not a Keras model: a layer without a configuration")
    for entry in entries:  # first, because a mask adds layers that the model's author did not write
        if entry["config"].get("mask_zero"):
            _check_fixed(path, _label(entry), "Embedding", entry["config"])
    sequential = kind == "Sequential"
    if sequential:
        entries = _with_input(path, config, entries)
    read = [_layer(path, entry, sequential, entries[k - 1] if k else None) for k, entry in enumerate(entries)]
    inputs = [layer for layer in read if layer.kind == "InputLayer"]
    layers = tuple(layer for layer in read if layer.kind != "InputLayer")
    if not inputs:
        raise UserError(f"{path}: the model has no input")
    given = (
        (f"{layers[-1].name}#0",)
        if sequential and layers
        else tuple(f"{name}#{use}" for name, use, _ in _references(inner.get("output_layers")))
    )
    shape = inputs[0].settings["batch_shape"]
    window = shape[1] if len(shape) > 1 else None
    chain = Chain(layers, inputs[0].name, window, given, sequential)
    check_chain(path, chain, inputs)
    check_order(path, chain)
    check_sizes(path, chain, shape)
    return chain


def _with_input(path: Path, config: Mapping[str, Any], entries: list[Any]) -> list[Any]:
    """Return the layers of a Sequential with its input first, which files keep in different places."""
    if not entries or entries[0].get("class_name") == "InputLayer":
        return entries
    inner = config["config"] if isinstance(config["config"], dict) else {}
    build = config.get("build_config")
    shape = (
        entries[0]["config"].get("batch_input_shape")
        or inner.get("build_input_shape")
        or (build.get("input_shape") if isinstance(build, dict) else None)
    )
    if not isinstance(shape, list):
        raise UserError(f"{path}: the model was never built: it has no input shape and no weights")
    name = "input"
    while any(entry["config"].get("name") == name for entry in entries):
        name += "_"
    return [{"class_name": "InputLayer", "config": {"name": name, "batch_shape": shape}}, *entries]


def _label(entry: Mapping[str, Any]) -> str:
    return f"layer {entry['config'].get('name', entry.get('name'))!r}"


def _kind(entry: Mapping[str, Any]) -> str:
    """Return the class name; HDF5 files write QKeras' classes with their package."""
    kind = entry.get("class_name")
    return str(kind).removeprefix("qkeras>")


def _layer(path: Path, entry: Mapping[str, Any], sequential: bool, before: Any) -> FileLayer:
    kind, config, label = _kind(entry), entry["config"], _label(entry)
    if kind == "Lambda":
        raise UserError(f"{path}: {label} is a Lambda, which would run code from the file; {LEGAL}")
    if kind not in KINDS:
        why = f"{HOPELESS[kind]}; " if kind in HOPELESS else ""
        raise UserError(f"{path}: {label} is a {kind}: {why}{LEGAL}")
    _plain_names(path, label, entry, kind)
    name = config.get("name", entry.get("name"))
    if not isinstance(name, str) or not name or "#" in name or "/" in name:
        raise UserError(f"{path}: {label}: its name must be text without # or /")
    source: Iterable[tuple[str, ...]]
    if sequential:
        source = [] if before is None else [(str(before["config"].get("name", before.get("name"))) + "#0",)]
    else:
        source = _sources(path, label, entry.get("inbound_nodes"))
    wrapped, dtype = "", _dtype(path, label, None if kind == "InputLayer" else config.get("dtype"))
    settings = _settings(path, label, kind, config)
    if kind == "TimeDistributed":
        inner = config.get("layer")
        if not isinstance(inner, dict) or _kind(inner) not in DENSE or not isinstance(inner["config"], dict):
            held = _kind(inner) if isinstance(inner, dict) else inner
            raise UserError(f"{path}: {label} wraps a {held}; TimeDistributed may hold a Dense or QDense")
        _plain_names(path, label, inner, _kind(inner))
        kind, wrapped = _kind(inner), str(inner["config"].get("name") or "dense")
        settings = _settings(path, label, kind, inner["config"])
        policy = _dtype(path, label, inner["config"].get("dtype"))
        dtype = policy if dtype == "float32" else dtype
    return FileLayer(kind, name, settings, dtype, tuple(source), wrapped)


def _settings(path: Path, label: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that change the result of a layer; refuse any that isn't known."""
    known = KINDS[kind]
    _check_fixed(path, label, kind, config)
    called = known.called or {}
    settings: dict[str, Any] = {}
    for key, value in config.items():
        if kind == "InputLayer" and key == "batch_input_shape":
            key = "batch_shape"
        if key in called:
            settings[key] = _called(path, label, key, value, *called[key])
        elif key in known.kept:
            settings[key] = value
        elif not (key in (*EVERY, *known.ignored) or key in (known.fixed or {}) or key.endswith(TRAINING)):
            raise UserError(f"{path}: {label}: the setting {key}={value!r} of {kind} isn't supported")
    _check_settings(path, label, kind, settings)
    return settings


def _check_fixed(path: Path, label: str, kind: str, config: Mapping[str, Any]) -> None:
    for key, legal in (KINDS[kind].fixed or {}).items():
        value = config.get(key, legal)
        if value != legal and value is not None:
            why = f": {REASONS[key]}" if key in REASONS else ""
            raise UserError(f"{path}: {label}: {key}={value!r}; {legal} is legal{why}")


def _check_settings(path: Path, label: str, kind: str, settings: dict[str, Any]) -> None:
    """Check the types and ranges of settings, and add the defaults that old files leave out."""
    whole = dict.fromkeys((*RECURRENT, *DENSE), ("units",)) | {"Embedding": ("input_dim", "output_dim")}
    for key in whole.get(kind, ()):
        value = settings.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{path}: {label}: {key} must be a whole number, got {value!r}")
    if kind in (*RECURRENT, *DENSE):
        settings.setdefault("use_bias", True)
    if kind in RECURRENT:
        settings.setdefault("return_sequences", False)
        if "reset_after" in KINDS[kind].kept:
            settings.setdefault("reset_after", False)  # files without it are older than the setting
        if settings["units"] > MAX_UNITS:
            raise UserError(f"{path}: {label}: has {settings['units']} units; at most {MAX_UNITS} are legal")
    for key in ("use_bias", "return_sequences", "reset_after"):
        if key in settings and not isinstance(settings[key], bool):
            raise UserError(f"{path}: {label}: {key} must be true or false, got {settings[key]!r}")
    if kind in NOTHING and not isinstance(settings.get(NOTHING[kind]), int | float):
        raise UserError(f"{path}: {label}: {NOTHING[kind]} must be a number")
    if kind == "InputLayer":
        shape = settings.get("batch_shape")
        if isinstance(shape, dict):  # how some files write a tuple
            shape = settings["batch_shape"] = shape.get("items")
        if not isinstance(shape, list) or not all(isinstance(n, int) or n is None for n in shape):
            raise UserError(f"{path}: {label}: its shape must be a list of numbers, got {shape!r}")


def _called(
    path: Path, label: str, key: str, value: Any, functions: Sequence[str], quantizers: Sequence[str]
) -> Any:
    """Return a function or quantizer, rebuilt from its known settings."""
    legal = f"legal are {', '.join([*functions, *quantizers])}"
    if value is None:
        if key.endswith("_quantizer"):
            return None
        value = "linear"  # Keras' meaning of None
    if isinstance(value, str):
        if value not in functions:
            why = f"; {value} {NO_TABLE}" if value in UNBOUNDED and "tanh" in functions else ""
            raise UserError(f"{path}: {label} has {key}={value!r}; {legal}{why}")
        return value
    if not isinstance(value, dict):
        raise UserError(f"{path}: {label}: {key} must name a function, got {value!r}; {legal}")
    kind, config = _kind(value), value.get("config")
    _plain_names(path, label, value, kind)
    if kind not in quantizers:
        raise UserError(f"{path}: {label} has {key} of class {kind}, which isn't supported; {legal}")
    if not isinstance(config, dict):
        raise UserError(f"{path}: {label}: {key} has no configuration")
    for name, setting in config.items():
        items = setting if isinstance(setting, list) else [setting]
        if not all(item is None or isinstance(item, bool | int | float | str) for item in items):
            raise UserError(f"{path}: {label}: {name} of its {key} isn't a number")
        if name in ("bits", "integer") and (not isinstance(setting, int) or isinstance(setting, bool)):
            raise UserError(f"{path}: {label}: {name} of its {key} must be a whole number, got {setting!r}")
    if key == "state_quantizer" and config.get("alpha") in ("auto", "auto_po2"):
        raise UserError(
            f"{path}: {label}: the scale of its state_quantizer (alpha={config['alpha']!r}) changes with the "
            "data; None and 1 are legal"
        )
    return keras_object(kind, config)


def _plain_names(path: Path, label: str, value: Mapping[str, Any], kind: Any) -> None:
    """Refuse a class under another name: Keras goes by the registered name first, then by the module."""
    registered, module = value.get("registered_name"), value.get("module")
    if registered not in (None, kind, f"qkeras>{kind}"):
        raise UserError(f"{path}: {label} says {kind}, but is registered as {registered!r}")
    if module is not None and str(module).split(".")[0] not in ("keras", "qkeras", "tf_keras", "builtins"):
        raise UserError(f"{path}: {label} is of the module {module!r}; legal are those of Keras and QKeras")


def _dtype(path: Path, label: str, dtype: Any) -> str:
    """Return the name of a layer's policy; its weights are read as float32."""
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name") if isinstance(inner, dict) else dtype.get("class_name")
    if dtype is None:
        return "float32"
    if dtype not in DTYPES:
        raise UserError(f"{path}: {label}: dtype {dtype}; legal are {', '.join(DTYPES)}")
    return str(dtype)


def _references(value: Any) -> Iterator[tuple[str, int, int]]:
    """Yield every (layer, use, tensor) in a structure of lists and objects."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__" and isinstance(value.get("config"), dict):
            yield from _references(value["config"].get("keras_history"))
        else:
            for item in value.values():
                yield from _references(item)
    elif isinstance(value, list):
        head = value[:3]
        if len(head) == 3 and isinstance(head[0], str) and all(isinstance(n, int) for n in head[1:]):
            yield head[0], head[1], head[2]
            value = value[3:]
        for item in value:
            yield from _references(item)


def _keywords(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keywords of a layer's use: Keras 3 keeps them beside its inputs, Keras 2 after each input."""
    if isinstance(node, dict) and isinstance(node.get("kwargs"), dict):
        yield from node["kwargs"].items()
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, list):
                yield from _keywords(item)
            elif isinstance(item, dict):
                yield from item.items()


def _sources(path: Path, label: str, nodes: Any) -> Iterator[tuple[str, ...]]:
    """Yield for each use of a layer the layers that it reads, as ``NAME#USE``."""
    for node in nodes if isinstance(nodes, list) else []:
        for key, value in _keywords(node):
            if value is not None and value is not False:
                what = value if isinstance(value, bool | int | float | str) else "another layer's output"
                raise UserError(f"{path}: {label} is called with {key}={what}; only its input is legal")
        found = []
        for name, use, tensor in _references(node):
            if tensor:
                raise UserError(f"{path}: {label} reads a state of layer {name!r}; only its output is legal")
            found.append(f"{name}#{use}")
        yield tuple(found)
