# SPDX-License-Identifier: Apache-2.0
"""Files of Keras models, written without Keras in the layouts of Keras 2 and Keras 3."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

KERAS2, KERAS3 = "2.15.0", "3.15.1"
SEED = 3

Entry = dict[str, Any]
Arrays = dict[str, list[np.ndarray]]


def layer(kind: str, name: str, **config: Any) -> Entry:
    """Return a layer's entry in a configuration."""
    return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}


def lstm(units: int, name: str = "lstm", keras2: bool = False, **config: Any) -> Entry:
    """An LSTM with the settings that Keras writes."""
    settings: dict[str, Any] = {
        "return_sequences": True,
        "return_state": False,
        "go_backwards": False,
        "stateful": False,
        "unroll": False,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
        "unit_forget_bias": True,
        "dropout": 0.0,
    }
    settings |= {"time_major": False, "implementation": 2} if keras2 else {"seed": None}
    return layer("LSTM", name, units=units, **(settings | config))


def gru(units: int, name: str = "gru", **config: Any) -> Entry:
    """A GRU, with the settings of an LSTM that it has and Keras 3's ``reset_after``."""
    return _like_lstm("GRU", units, name, {"reset_after": True} | config)


def simple_rnn(units: int, name: str = "simple_rnn", **config: Any) -> Entry:
    """A vanilla layer, with the settings of an LSTM that it has."""
    entry = _like_lstm("SimpleRNN", units, name, config)
    entry["config"].pop("recurrent_activation", None)
    return entry


def _like_lstm(kind: str, units: int, name: str, config: dict[str, Any]) -> Entry:
    entry = lstm(units, name, **config)
    del entry["config"]["unit_forget_bias"]
    return {**entry, "class_name": kind}


def dense(units: int, name: str = "dense", **config: Any) -> Entry:
    """A Dense layer."""
    return layer("Dense", name, **({"units": units, "activation": "linear", "use_bias": True} | config))


def first(shape: Sequence[int | None], keras2: bool = False, name: str = "input") -> Entry:
    """Return the input layer of a model; ``shape`` is without the batch."""
    key = "batch_input_shape" if keras2 else "batch_shape"
    return layer("InputLayer", name, **{key: [None, *shape], "sparse": False, "ragged": False})


def sequential(*layers: Entry) -> Entry:
    """A Sequential model; the first layer is its input."""
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": list(layers)}}


def functional(
    layers: Sequence[tuple[Entry, Sequence[Sequence[tuple[str, int]]]]],
    outputs: Sequence[tuple[str, int]],
    keras2: bool = False,
) -> Entry:
    """Return a model with a graph: for each use of a layer, the (layer, use) that it reads."""
    entries, inputs = [], []
    for entry, uses in layers:
        name = entry["config"]["name"]
        if entry["class_name"] == "InputLayer":
            inputs.append([name, 0, 0])
        nodes: list[Any] = []
        for reads in uses:
            if keras2:
                nodes.append([[source, use, 0, {}] for source, use in reads])
            else:
                tensors = [
                    {
                        "class_name": "__keras_tensor__",
                        "config": {"shape": [None], "dtype": "float32", "keras_history": [source, use, 0]},
                    }
                    for source, use in reads
                ]
                nodes.append({"args": tensors, "kwargs": {"training": False, "mask": None}})
        entries.append({**entry, "name": name, "inbound_nodes": nodes})
    graph = {"input_layers": inputs, "output_layers": [[name, use, 0] for name, use in outputs]}
    return {"class_name": "Functional", "config": {"name": "model", "layers": entries, **graph}}


def arrays_of(config: Entry, scale: float = 0.5) -> Arrays:
    """Return random arrays for every layer of a configuration."""
    rng, width, found = np.random.default_rng(SEED), 0, {}
    for entry in config["config"]["layers"]:
        settings, name = entry["config"], entry["config"]["name"]
        inner = settings.get("layer", entry)
        kind, own = inner["class_name"].removeprefix("qkeras>"), inner["config"]
        shapes: list[tuple[int, ...]] = []
        if kind == "InputLayer":
            width = (own.get("batch_shape") or own["batch_input_shape"])[-1] or 0
        elif kind == "Embedding":
            shapes, width = [(own["input_dim"], own["output_dim"])], own["output_dim"]
        elif "units" in own:
            gates = GATES.get(kind.removeprefix("Q"))
            columns = own["units"] * (gates or 1)
            shapes = [(width, columns), *([(own["units"], columns)] if gates else [])]
            bias = (2, columns) if own.get("reset_after") else (columns,)
            shapes += [bias] if own.get("use_bias", True) else []
            width = own["units"]
        found[name] = [rng.normal(0, scale, shape).astype(np.float32) for shape in shapes]
    return found


#: Blocks of columns of each recurrent layer.
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
ROLES = {
    "LSTM": ("kernel", "recurrent_kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "Embedding": ("embeddings",),
}


def _kind(entry: Entry) -> str:
    return str(entry["class_name"]).removeprefix("qkeras>")


def write_archive(path: Path, config: Entry, arrays: Mapping[str, Any], version: str = KERAS3) -> Path:
    """Write a ``.keras`` file."""
    stored = io.BytesIO()
    write_places(stored, config, arrays)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", stored.getvalue())
    return path


def write_places(path: Any, config: Entry, arrays: Mapping[str, Any]) -> None:
    """Write weights by class and number, as in ``.keras`` and ``.weights.h5`` files."""
    import h5py

    counts: dict[str, int] = {}
    with h5py.File(path, "w") as file:
        for entry in config["config"]["layers"]:
            kind = _kind(entry)
            number = counts[kind] = counts.get(kind, -1) + 1
            snake = {
                "TimeDistributed": "time_distributed",
                "QDense": "q_dense",
                "SimpleRNN": "simple_rnn",
                "QSimpleRNN": "q_simple_rnn",
            }.get(kind, kind.lower())
            inner = "layer/" if kind == "TimeDistributed" else ""
            inner = "cell/" if kind.removeprefix("Q") in GATES else inner
            place = f"layers/{snake}" + (f"_{number}" if number else "")
            file.require_group(f"{place}/vars")
            for k, array in enumerate(arrays.get(entry["config"]["name"], [])):
                file[f"{place}/{inner}vars/{k}"] = array


def write_names(
    path: Path, config: Entry, arrays: Mapping[str, Any], version: str = KERAS2, whole: bool = True
) -> Path:
    """Write an ``.h5`` file: weights by the layers' names, and the model if ``whole``."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        if whole:
            file.attrs["model_config"] = json.dumps(config)
        groups = file.create_group("model_weights") if whole else file
        for entry in config["config"]["layers"]:
            name, inner = entry["config"]["name"], entry["config"].get("layer", entry)
            own = arrays.get(name, [])
            roles = ROLES.get(_kind(inner).removeprefix("Q"), ROLES["LSTM"])[: len(own)]
            names = [f"{name}/{role}:0" for role in roles]
            group = groups.create_group(name)
            group.attrs["weight_names"] = [one.encode() for one in names]
            for one, array in zip(names, own, strict=True):
                group[one] = array
    return path
