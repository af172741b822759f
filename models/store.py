# SPDX-License-Identifier: Apache-2.0
"""One kind of file for checkpoints and networks: safetensors with a JSON header of our own.

A safetensors file holds raw arrays after a JSON index: loading it executes nothing, and memory is bounded by
the file's size. This module adds a format version, a SHA-256 over all content, and atomic writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as safetensors_load
from safetensors.numpy import save as safetensors_save

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.interruption import at_interruption

T = TypeVar("T")
Tensors = Mapping[str, NDArray[Any]]

FORMAT_VERSION = "1"
MAX_BYTES = 1 << 30  # size of a file; the largest network has some 10 MB
MAX_NAME = 200  # bytes of a file's name that its temporary file's name repeats; Linux allows 255 in all
FULL_BYTES = 1 << 20  # a disk with less left counts as full
LOCK_FILE = ".zynq-lstm.lock"  # in a folder that a verb has filled
FLOW_LOCK = ".lock"  # in a folder that a flow has filled

_claimed: dict[Path, int] = {}  # folders that this process has claimed -> open files that hold their locks


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Make a temporary file beside ``path`` that replaces it if the block succeeds, and is removed if not.

    Raises:
        OSError: writing failed; names ``path``, even if the disk is full or the temporary file is at fault.
    """
    path = Path(path)
    try:
        with _part(path) as part:
            yield part
    except OSError as error:
        if error.errno is None or (error.filename is not None and not _is_part(error.filename, path)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _is_part(name: object, path: Path) -> bool:
    """Return True if ``name`` is a temporary file that :func:`_part` makes for ``path``."""
    return isinstance(name, str) and Path(name).name.startswith(_part_prefix(path))


def _part_prefix(path: Path) -> str:
    """Return the beginning of a temporary file's name; it leaves room below the longest legal name."""
    return f".{os.fsencode(path.name)[:MAX_NAME].decode('utf-8', 'ignore')}."


@contextlib.contextmanager
def _part(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f"{_part_prefix(path)}{secrets.token_hex(4)}.part"

    def remove() -> None:
        part.unlink(missing_ok=True)

    with at_interruption(remove):
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            yield part
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.chmod(0o666 & ~_umask())
            part.replace(path)
        finally:
            remove()


def claim(folder: Path) -> None:
    """Keep other processes out of a build folder until this process ends; make the folder if need be.

    Two runs would overwrite each other's files. The process that holds a folder may claim it again.

    Raises:
        UserError: another process holds the folder.
    """
    folder = folder.resolve()
    if folder in _claimed:
        if (folder / LOCK_FILE).exists():
            return
        os.close(_claimed.pop(folder))  # the lock file was removed since
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise UserError(
            f"{folder}: another run (process {owner}) is working there; wait for it, or give another folder"
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
    _claimed[folder] = handle


def if_full(folder: Path) -> str:
    """Return what to add to a message about a failure in ``folder``: that the disk is full, or nothing."""
    return "; the disk is full" if shutil.disk_usage(folder).free < FULL_BYTES else ""


def write_text(path: Path | str, text: str) -> None:
    """Write a whole text file atomically."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def as_json(data: object) -> str:
    """Return figures or a record as JSON text that people can read, too."""
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def write_json(path: Path | str, data: object) -> None:
    """Write figures or a record atomically."""
    write_text(path, as_json(data))


def read_record(path: Path, kind: str, name: str) -> dict[str, Any]:
    """Read a record that :func:`write_json` wrote.

    Args:
        kind: value of its key ``kind``.
        name: name of that kind in an error message.

    Raises:
        UserError: the file holds something else.
        FileNotFoundError: there is no such file.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON, or truncated") from None
    if not isinstance(record, dict) or record.get("kind") != kind:
        raise UserError(f"{path}: is not a record of {name}")
    return record


def content_hash(tensors: Tensors, metadata: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of names, dtypes, shapes and bytes of all arrays, and of the canonical metadata."""
    digest = hashlib.sha256(_canonical(metadata).encode())
    for name in sorted(tensors):
        array = np.asarray(tensors[name], order="C")
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def save_tensors(path: Path | str, tensors: Tensors, metadata: Mapping[str, Any]) -> str:
    """Write arrays and JSON metadata to one file, atomically; return the content hash."""
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    sha256 = content_hash(arrays, metadata)
    header = {"version": FORMAT_VERSION, "sha256": sha256, "metadata": _canonical(metadata)}
    with atomic_path(path) as part:
        part.write_bytes(_ordered(safetensors_save(arrays, header)))
    return sha256


def header(path: Path) -> dict[str, Any]:
    """Read the metadata of a :func:`save_tensors` file, but not its arrays; empty for any other file."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            text = file.read(size) if size <= path.stat().st_size else b""
        metadata = json.loads(json.loads(text)["__metadata__"]["metadata"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def load_tensors(path: Path | str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read a file that :func:`save_tensors` wrote.

    Raises:
        UserError: the file is missing, truncated, altered, or of another kind or version.
    """
    path = Path(path)
    blob = _read(path)
    try:
        tensors = safetensors_load(blob)
        size = int.from_bytes(blob[:8], "little")
        header = json.loads(blob[8 : 8 + size])["__metadata__"]
        version, sha256 = header["version"], header["sha256"]
        metadata = json.loads(header["metadata"])
        if not isinstance(metadata, dict):
            raise TypeError("metadata is not an object")
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise UserError(f"{path}: not a zynq-lstm file, or truncated; make or fetch it again") from None
    if version != FORMAT_VERSION:
        raise UserError(f"{path}: file version {version!r}, this zynq-lstm reads version {FORMAT_VERSION!r}")
    if content_hash(tensors, metadata) != sha256:
        raise UserError(f"{path}: content does not match its hash; the file was altered or damaged")
    return tensors, metadata


def _read(path: Path) -> bytes:
    """Read a file's content; refuse, unread, a path that is not a file, or a file too large to be ours."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path}: is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: is not a file")
    if status.st_size > MAX_BYTES:
        raise UserError(f"{path}: has {status.st_size} bytes; at most {MAX_BYTES} are read")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def typed(metadata: Mapping[str, Any], key: str, kind: type[T]) -> T:
    """Return a value of the header.

    Raises:
        UserError: the value is missing or of another type.
    """
    if key not in metadata:
        raise UserError(f"key {key!r} is missing in its header")
    value = metadata[key]
    if not isinstance(value, kind):
        raise UserError(f"{key} in its header must be of type {kind.__name__}, got {type(value).__name__}")
    return value


def _ordered(blob: bytes) -> bytes:
    """Return the same file with its header's keys sorted; safetensors writes them in random order."""
    size = int.from_bytes(blob[:8], "little")
    header = _canonical(json.loads(blob[8 : 8 + size])).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + blob[8 + size :]


def _canonical(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
