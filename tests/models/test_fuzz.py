# SPDX-License-Identifier: Apache-2.0
"""Damaged and hostile files: each is refused with one line, or still loads as a legal file.

Nothing in our files is executed on loading (safetensors), so a file can only have wrong content: bytes
changed, cut off or swapped, or content that matches its hash but is meaningless.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.networks import save_checkpoint, small_spec, with_weights
from zynq_lstm.models import store
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.store import load_tensors, save_tensors

LOAD: dict[str, Callable[[Path], Any]] = {"network": IntegerNetwork.load, "checkpoint": Checkpoint.load}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "w8a8", "ap_fixed<8,1>", "ap_fixed<99999999,1>", "../../x", "\x00", "\ud800"])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write one good file of each kind."""
    folder = tmp_path_factory.mktemp("good")
    network = with_weights(small_spec("w8a8", 5, (3, 2)), np.random.default_rng(0))
    network.save(folder / "network.safetensors")
    return {
        "network": folder / "network.safetensors",
        "checkpoint": save_checkpoint(network, folder / "checkpoint.safetensors"),
    }


def _refused(kind: str, path: Path) -> None:
    """Check that the file is refused as a user's mistake, in one line that names it."""
    with pytest.raises(UserError) as error:
        LOAD[kind](path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", LOAD)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes(kind: str, files: dict[str, Path], tmp_path: Path, data: st.DataObject) -> None:
    good = files[kind].read_bytes()
    at = data.draw(st.integers(0, len(good) - 1), "at")
    change = data.draw(st.sampled_from(["flip", "cut", "insert", "swap", "zero"]), "change")
    if change == "flip":
        bad = good[:at] + bytes([good[at] ^ 1 << data.draw(st.integers(0, 7), "bit")]) + good[at + 1 :]
    elif change == "cut":
        bad = good[:at]
    elif change == "insert":
        bad = good[:at] + data.draw(st.binary(min_size=1, max_size=9), "bytes") + good[at:]
    elif change == "swap":
        bad = good[at:] + good[:at]
    else:
        bad = good[:at] + bytes(len(good) - at)
    path = tmp_path / "bad"
    path.write_bytes(bad)
    if bad != good:
        _refused(kind, path)


@pytest.mark.parametrize("kind", LOAD)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_header(kind: str, files: dict[str, Path], tmp_path: Path, data: st.DataObject) -> None:
    """The hash is correct, as if changed on purpose; a file that loads must give a network that runs."""
    tensors, metadata = load_tensors(files[kind])
    where = data.draw(st.sampled_from(list(_places(metadata))), "where")
    value = data.draw(JSON, "value")
    path = tmp_path / "bad"
    save_tensors(path, tensors, _replaced(metadata, where, value))
    with contextlib.suppress(UserError):
        loaded = LOAD[kind](path)
        loaded.save(path)
        network = loaded if isinstance(loaded, IntegerNetwork) else freeze(loaded)
        Reference(network).run([0, len(network.vocabulary) - 1])


@pytest.mark.parametrize("kind", LOAD)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_arrays(kind: str, files: dict[str, Path], tmp_path: Path, data: st.DataObject) -> None:
    """Arrays of another shape, type or value than in the header; one array too many, or one too few."""
    tensors, metadata = load_tensors(files[kind])
    name = data.draw(st.sampled_from(sorted(tensors)), "name")
    array = tensors[name]
    bad: Any = data.draw(
        st.sampled_from(
            [
                array[:-1],
                array.reshape(-1, 1),
                array.astype(np.complex64),
                np.full(array.shape, 2**62, np.int64),
                np.full(array.shape, np.nan, np.float32),
                np.empty((0,), np.int8),
                None,
            ]
        ),
        "array",
    )
    tensors = {key: value for key, value in tensors.items() if key != name} | (
        {} if bad is None else {name: bad}
    )
    if data.draw(st.booleans(), "one more"):
        tensors["layers.9.W"] = np.zeros(1, np.int8)
    path = tmp_path / "bad"
    save_tensors(path, tensors, metadata)
    _refused(kind, path)


class Bomb:
    """Code that a pickle would run on loading."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("kind", LOAD)
def test_files_of_other_kinds(
    kind: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad"
    contents = {
        "nothing": b"",
        "pickle": pickle.dumps(Bomb()),
        "header of 2^63 bytes": (2**63 - 1).to_bytes(8, "little") + b"{}",
        "header of 2^40 bytes": (2**40).to_bytes(8, "little") + b"{}",
        "deep header": (200_008).to_bytes(8, "little") + b"[" * 200_008,
        "text": b"ROMEO: " * 100,
        "index behind the end": _index({"a": {"dtype": "I8", "shape": [2**40], "data_offsets": [0, 2**40]}}),
        "no metadata": _index({}),
    }
    for content in contents.values():
        path.write_bytes(content)
        _refused(kind, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped", "x")
    _refused(kind, path)
    np.savez(tmp_path / "bad.npz", a=np.array([Bomb()], object))
    _refused(kind, tmp_path / "bad.npz")
    other = next(name for name in LOAD if name != kind)
    _refused(kind, files[other])
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("kind", LOAD)
def test_places_that_are_no_files(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for path in (tmp_path, tmp_path / "none", tmp_path / "loop", tmp_path / "endless", Path("/dev/null")):
        _refused(kind, path)
    _refused(kind, tmp_path / ("x" * 5000))
    with pytest.raises(UserError):
        LOAD[kind](Path("a\x00b"))
    (tmp_path / "big").write_bytes(bytes(9))
    monkeypatch.setattr(store, "MAX_BYTES", 8)
    with pytest.raises(UserError, match="has 9 bytes; at most 8 are read"):
        LOAD[kind](tmp_path / "big")


def _index(header: dict[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def _places(value: Any, prefix: tuple[Any, ...] = ()) -> Any:
    """Yield the paths of everything within a JSON value, except the value itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*prefix, key)
        yield from _places(inner, (*prefix, key))


def _replaced(value: Any, where: tuple[Any, ...], new: Any) -> Any:
    if not where:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[where[0]] = _replaced(copy[where[0]], where[1:], new)
    return copy
