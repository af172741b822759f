# SPDX-License-Identifier: Apache-2.0
"""Files of Keras models: the chain of layers and the weights in them, read without Keras.

Nothing in a file is run. A configuration is read as JSON and checked by
:mod:`zynq_lstm.models.importing.config`. Weights are read from HDF5, where they are found by the layer's name
or place. Each array must have the right shape and be finite.

Supported are the ``.keras`` files of Keras 2 and 3, HDF5 files of ``model.save('name.h5')``, and the JSON of
``model.to_json()`` with a file of weights.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.checkpoint import require_finite
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.importing.chain import Chain, FileLayer
from zynq_lstm.models.importing.config import read_chain
from zynq_lstm.models.importing.kinds import DENSE, RECURRENT
from zynq_lstm.models.store import MAX_BYTES

MAX_CONFIG_BYTES = 1 << 24
ZIP, HDF5 = b"PK", b"\x89HDF\r\n\x1a\n"  # the first bytes of the files
#: Names of the folder of layers in the weights of a ``.keras`` file, the newer one first.
LAYERS = ("layers", "_layer_checkpoint_dependencies")
LEGAL = (
    "legal are a .keras file, the .h5 file of model.save('name.h5'), and the .json of model.to_json() with "
    "--weights"
)
AS_H5 = (
    'convert it where it was made, or after pip install tf_keras: TF_USE_LEGACY_KERAS=1 python -c "import '
    "tf_keras; tf_keras.models.load_model('FOLDER').save('name.h5')\"; name.h5 can be imported"
)


@dataclass(frozen=True)
class KerasFile:
    """A model as its file describes it.

    Args:
        path: path of the model.
        chain: its layers.
        weights: float32 arrays by layer and role: ``kernel``, ``recurrent_kernel``, ``bias``, ``embeddings``.
        keras2: True if Keras 2 wrote the file; its ``hard_sigmoid`` is a different function.
        notes: notes for the user.
    """

    path: Path
    chain: Chain
    weights: Mapping[str, Mapping[str, NDArray[np.float32]]]
    keras2: bool
    notes: tuple[str, ...]


def read_file(path: Path, weights: Path | None = None) -> KerasFile:
    """Read a model's file, and check everything that can be checked without Keras.

    Args:
        weights: file of the weights, if ``path`` holds only a configuration.

    Raises:
        UserError: the model can't be read; names the file, the layer or array, and what is legal.
    """
    import h5py

    try:
        begin = _begin(path)
        if begin.startswith(ZIP):
            config, version, stored = _archive(path)
            source: Any = io.BytesIO(stored)
        elif begin.startswith(HDF5):
            config, version, source = *_saved_in_hdf5(path), path
        else:
            config, version, source = *_json_alone(path), weights
        if source is None:
            raise UserError(f"{path}: holds no weights; give their file with --weights")
        if source is not weights and weights is not None:
            raise UserError(f"{path}: holds its weights itself; leave out --weights")
        chain = read_chain(path, config)
        if source is weights and not _begin(source).startswith(HDF5):
            raise UserError(
                f"{source}: not HDF5; save the weights with model.save_weights('name.weights.h5')"
            )
        where = weights or path
        with h5py.File(source, "r") as file:
            arrays = {layer.name: _weights(where, file, chain, layer) for layer in chain.layers}
        keras2 = _is_keras2(version, config)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: can't be read, or is damaged: {error}; {LEGAL}") from None
    policies = {layer.name: layer.dtype for layer in chain.layers if layer.dtype != "float32"}
    notes = [
        f"layer {name!r} computes in {policy}; its weights and all its values are taken as float32"
        for name, policy in policies.items()
    ]
    return KerasFile(path, chain, arrays, keras2, tuple(notes))


def _begin(path: Path) -> bytes:
    """Read the first bytes of a file; refuse a folder, a missing file, and one that is too large."""
    if path.is_dir():
        if (path / "keras_metadata.pb").exists():
            raise UserError(f"{path}: is a SavedModel of Keras 2: {AS_H5}")
        if (path / "saved_model.pb").exists():
            raise UserError(
                f"{path}: is a SavedModel without layers, as model.export() writes it; save the model itself "
                "with model.save('name.keras')"
            )
        raise UserError(f"{path}: is a folder; {LEGAL}")
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: has {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
    with path.open("rb") as file:
        return file.read(len(HDF5))


def _parsed(path: Path, text: str | bytes) -> Any:
    if len(text) > MAX_CONFIG_BYTES:
        raise UserError(
            f"{path}: its configuration has {len(text)} bytes; at most {MAX_CONFIG_BYTES} are read"
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(f"{path}: its configuration isn't JSON; {LEGAL}") from None


def _archive(path: Path) -> tuple[Any, Any, bytes]:
    """Read configuration, version of Keras, and weights of a ``.keras`` file."""

    def read(name: str, most: int) -> bytes:
        if name not in archive.namelist():
            raise UserError(f"{path}: not a .keras file: it has no {name}; {LEGAL}")
        size = archive.getinfo(name).file_size
        if size > most:
            raise UserError(f"{path}: its {name} has {size} bytes; at most {most} are read")
        return archive.read(name)

    with zipfile.ZipFile(path) as archive:
        config = _parsed(path, read("config.json", MAX_CONFIG_BYTES))
        metadata = _parsed(path, read("metadata.json", MAX_CONFIG_BYTES))
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        return config, version, read("model.weights.h5", MAX_BYTES)


def _saved_in_hdf5(path: Path) -> tuple[Any, Any]:
    """Read the configuration in a file of ``model.save('name.h5')``, and the version of Keras."""
    import h5py

    with h5py.File(path, "r") as file:
        config, version = (_text(file.attrs.get(key)) for key in ("model_config", "keras_version"))
    if config is None:
        raise UserError(
            f"{path}: holds weights but no model; give the model's configuration, open('name.json', 'w')."
            f"write(model.to_json()), and this file with --weights"
        )
    return _parsed(path, config), version


def _json_alone(path: Path) -> tuple[Any, Any]:
    """Read the configuration that ``model.to_json()`` writes, and the version of Keras."""
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise UserError(f"{path}: not a model's file; {LEGAL}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not a model's file; {LEGAL}") from None
    return config, config.get("keras_version") if isinstance(config, dict) else None


def _text(value: Any) -> str | None:
    return value.decode("utf-8") if isinstance(value, bytes) else None if value is None else str(value)


def _is_keras2(version: Any, config: Any) -> bool:
    """Return True for Keras 2, by its version or, without one, by a key that Keras 3 writes differently."""
    if isinstance(version, str) and version[:1].isdigit():
        return int(re.split(r"\D", version)[0]) < 3
    return "batch_input_shape" in json.dumps(config)


def _shapes(chain: Chain, layer: FileLayer) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of a layer, in the order in which Keras keeps them."""
    settings = layer.settings
    if layer.kind == "Embedding":
        return {"embeddings": (settings["input_dim"], settings["output_dim"])}
    if layer.kind not in (*RECURRENT, *DENSE):
        return {}
    units, below = settings["units"], _width_below(chain, layer)
    columns = len(layer.cell.gates) * units if layer.kind in RECURRENT else units
    shapes: dict[str, tuple[int, ...]] = {"kernel": (below, columns)}
    if layer.kind in RECURRENT:
        shapes["recurrent_kernel"] = (units, columns)
    # A GRU with reset_after has two biases: of the input products, and of the recurrent ones.
    bias = (2, columns) if settings.get("reset_after") else (columns,)
    return shapes | ({"bias": bias} if settings["use_bias"] else {})


def _width_below(chain: Chain, layer: FileLayer) -> int:
    """Return the number of columns of a layer's input."""
    width = chain.vocabulary  # one-hot
    for other in chain.layers:
        if other is layer:
            break
        width = int(other.settings.get("units", other.settings.get("output_dim", width)))
    return width


def _weights(path: Path, file: Any, chain: Chain, layer: FileLayer) -> dict[str, NDArray[np.float32]]:
    """Read the arrays of a layer by role."""
    shapes = _shapes(chain, layer)
    found = dict(_by_place(path, file, chain, layer, tuple(shapes)) or _by_name(path, file, layer))
    arrays = {}
    for role, shape in shapes.items():
        what = f"{path}: layer {layer.name!r}: {role}"
        if role not in found:
            raise UserError(f"{what} is missing")
        dataset = found[role]
        if dataset.shape != shape:
            raise UserError(f"{what} has the shape {dataset.shape}, must be {shape}")
        values = dataset[()]
        if values.dtype == np.dtype("V2"):  # bfloat16: the upper half of a float32
            values = (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        if not np.issubdtype(values.dtype, np.floating):
            raise UserError(f"{what} must hold floating-point numbers, got {values.dtype}")
        with np.errstate(over="ignore"):
            arrays[role] = values.astype(np.float32)
        require_finite(what, arrays[role])
    return arrays


def _dataset(path: Path, group: Any, name: str) -> Any:
    """Return the array of a name in an HDF5 file; refuse a name that the file itself does not hold."""
    import h5py

    for part in name.strip("/").split("/"):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise UserError(f"{path}: {name!r} isn't an array in this file")
        group = group[part]
    if not isinstance(group, h5py.Dataset) or group.external or group.is_virtual:
        raise UserError(f"{path}: {name!r} isn't an array in this file")
    return group


def _by_name(path: Path, file: Any, layer: FileLayer) -> Iterator[tuple[str, Any]]:
    """Yield the arrays of a layer in a file that keeps them by the layer's name, as ``.h5`` files do."""
    groups = file.get("model_weights", file)
    if layer.name not in groups:
        return
    group = groups[layer.name]
    roles = Counter[str]()
    for name in map(_text, group.attrs.get("weight_names", ())):
        role = str(name).rpartition("/")[2].partition(":")[0]
        roles[role] += 1
        if roles[role] > 1:
            raise UserError(f"{path}: layer {layer.name!r} has two arrays named {role}")
        yield role, _dataset(path, group, str(name))


def _by_place(
    path: Path, file: Any, chain: Chain, layer: FileLayer, roles: tuple[str, ...]
) -> Iterator[tuple[str, Any]] | None:
    """Return the arrays of a layer in a file that numbers the layers of a class, as ``.keras`` files do."""
    root = next((name for name in LAYERS if name in file), None)
    if root is None:
        return None

    def kind(one: FileLayer) -> str:
        return "TimeDistributed" if one.wrapped else one.kind

    before = [kind(one) for one in chain.layers[: chain.layers.index(layer)]].count(kind(layer))
    place = _snake(kind(layer)) + (f"_{before}" if before else "")
    inner = "layer/" if layer.wrapped else "cell/" if layer.kind in RECURRENT else ""
    if not roles:
        return iter(())
    name = _text(file[root][place]["vars"].attrs.get("name")) if place in file[root] else None
    if name not in (None, layer.name):
        raise UserError(f"{path}: holds weights of layer {name!r} in the place of layer {layer.name!r}")
    folder = f"{root}/{place}/{inner}vars"
    if folder not in file:
        raise UserError(f"{path}: layer {layer.name!r} has no weights in it ({folder} is missing)")
    return iter(
        [
            (role, _dataset(path, file, f"{folder}/{k}"))
            for k, role in enumerate(roles)
            if str(k) in file[folder]
        ]
    )


def _snake(kind: str) -> str:
    """Return a class name in snake case, as Keras writes it."""
    name = re.sub(r"\W+", "", kind)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
