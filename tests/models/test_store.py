# SPDX-License-Identifier: Apache-2.0
"""Atomic writing: an old file stays complete until the new file is complete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.skips import not_as_root
from zynq_lstm.models import store
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.store import atomic_path, content_hash, load_tensors, save_tensors, write_text


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file.txt"
    write_text(path, "ä\n")
    assert path.read_bytes() == b"\xc3\xa4\n"
    write_text(path, "second\n")
    assert path.read_text() == "second\n"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_failure_inside_leaves_the_old_content_alone(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as part:  # noqa: PT012
        part.write_text("half of the n")
        assert path.read_text() == "old"
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_failure_inside_leaves_no_new_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "file.txt") as part:  # noqa: PT012
        part.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_failure_to_serialise_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "tensors"
    save_tensors(path, {"a": np.arange(3)}, {})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_tensors(path, {"a": np.arange(3)}, {"not json": object()})
    with pytest.raises(Exception):  # noqa: B017 - safetensors' own
        save_tensors(path, {"a": np.array([object()])}, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["tensors"]


def test_killed_writer_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    program = (
        "import os, signal, sys\n"
        "from zynq_lstm.models.store import atomic_path\n"
        "with atomic_path(sys.argv[1]) as part:\n"
        "    part.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=root)
    assert done.returncode < 0
    assert path.read_text() == "old"
    write_text(path, "new")  # files left by the killed process do not disturb
    assert path.read_text() == "new"


def test_rights_are_those_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file", "")
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@not_as_root
def test_folder_without_write_permission(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            write_text(path, "new")
        with pytest.raises(PermissionError):
            write_text(tmp_path / "folder" / "file", "new")
        assert path.read_text() == "old"
    finally:
        tmp_path.chmod(0o700)


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError):
        write_text(tmp_path / "file" / "below", "new")
    assert (tmp_path / "file").read_text() == "old"


def test_target_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "folder", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_full_disk_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


TENSORS = {
    "b": np.arange(6, dtype=np.int16).reshape(2, 3),
    "a": np.array([-1.5, np.inf], np.float32),
    "empty": np.empty((0, 3), np.uint8),
    "scalar": np.array(7, np.int64),
    "transposed": np.arange(6).reshape(2, 3).T,
}
METADATA = {
    "text": "\u00e4 \u2192 \U0001f600 \0 \"'\n",
    "list": [1, 2.5, None, True],
    "nested": {"z": 1, "a": {}},
}


def test_tensors_round_trip(tmp_path: Path) -> None:
    sha256 = save_tensors(tmp_path / "t", TENSORS, METADATA)
    tensors, metadata = load_tensors(tmp_path / "t")
    assert metadata == METADATA
    assert set(tensors) == set(TENSORS)
    for name, array in TENSORS.items():
        assert tensors[name].dtype == array.dtype
        assert np.array_equal(tensors[name], array) and tensors[name].shape == array.shape
    assert sha256 == content_hash(tensors, metadata)
    save_tensors(tmp_path / "again", dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "t").read_bytes()


def test_hash_tells_names_types_shapes_and_values_apart() -> None:
    base = {"a": np.zeros((2, 3), np.int8)}
    others = [
        ({"b": np.zeros((2, 3), np.int8)}, {}),
        ({"a": np.zeros((3, 2), np.int8)}, {}),
        ({"a": np.zeros((2, 3), np.uint8)}, {}),
        ({"a": np.eye(2, 3, dtype=np.int8)}, {}),
        ({"a": np.zeros((2, 3), np.int8), "b": np.zeros(0, np.int8)}, {}),
        (base, {"a": 1}),
        (base, {"a": "1"}),
    ]
    hashes = {content_hash(base, {}), *(content_hash(*other) for other in others)}
    assert len(hashes) == 1 + len(others)


def test_user_error_is_one_line() -> None:
    assert str(UserError("two\nlines  and\ttabs ")) == "two lines and tabs"
    assert issubclass(UserError, ValueError)


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", Path("/proc/x.json")):
        with pytest.raises(OSError) as error:
            write_text(path, "")
        assert error.value.filename == str(path) and error.value.filename2 is None


@pytest.mark.parametrize("name", [255 * "n", 85 * "日", 63 * "\U0001f600" + "abc"])
def test_name_as_long_as_a_name_may_be(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "text")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["text"]
    with pytest.raises(OSError, match="no space") as error, atomic_path(tmp_path / name) as part:
        raise OSError(28, "no space", str(part))
    assert error.value.filename == str(tmp_path / name)
