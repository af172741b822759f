# SPDX-License-Identifier: Apache-2.0
"""Check the files that a verb reads and writes, before it begins any work.

An option's type says whether its path is read (:class:`Reads`) or written (:class:`Writes`, :class:`Folder`);
:class:`Verb` checks all of them together. No verb overwrites a file that it reads, whatever the spelling of
its path. No verb replaces a file of another kind, or writes into a folder that holds other files, unless
``--overwrite`` is given.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from zynq_lstm.models.description.checkpoint import FLOAT, QUANTIZED, shipped_files
from zynq_lstm.models.errors import UserError, note
from zynq_lstm.models.store import FLOW_LOCK, LOCK_FILE, as_json, header

PICTURES = (".svg", ".pdf", ".png")
_DRAWN_BY = b"matplotlib"  # near the beginning or the end of every picture that it writes, in any case
_ENDS = 4096


@dataclass(frozen=True)
class Kind:
    """A kind of file that verbs write.

    Args:
        name: shown in messages.
        ours: returns True if a file's content is of this kind, as this program writes it.
        endings: legal endings of the file's name; any if empty.
    """

    name: str
    ours: Callable[[Path], bool]
    endings: tuple[str, ...] = ()


def _is_network(path: Path) -> bool:
    return header(path).get("kind") in (FLOAT, QUANTIZED)


def _is_picture(path: Path) -> bool:
    data = path.read_bytes()
    return _DRAWN_BY in (data[:_ENDS] + data[-_ENDS:]).lower()


def _json(path: Path) -> Any:
    """Return the content of a file if it is JSON as this program writes it, else None."""
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if as_json(data) == text else None


def _key(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, dict) else None


def figures(kind: str | None = None) -> Kind:
    """Return the kind of JSON files that a verb writes: figures, or records of ``kind``."""

    def ours(path: Path) -> bool:
        data = _json(path)
        return data is not None and _key(data, "kind") == kind and _key(data, "stage") is None

    return Kind(f"a record of {kind}" if kind else "figures that this program wrote", ours)


TRAINING = Kind("a record of training", lambda path: _key(_json(path), "stage") is not None)
NETWORK = Kind("a float or quantized network", _is_network)
PICTURE = Kind("a picture that this program drew", _is_picture, PICTURES)
TEXT = Kind("a text", lambda path: False)  # its content does not show which program wrote it


class Reads(click.Path):
    """The path of a file, a folder, or either (``folder`` is None) that the verb reads."""

    def __init__(self, folder: bool | None = False) -> None:
        super().__init__(path_type=Path)
        self.folder = folder


class Writes(click.Path):
    """The path of a file that the verb writes."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(path_type=Path)
        self.kind = kind


class Folder(click.Path):
    """The path of a folder that the verb fills.

    Args:
        default: returns the folder if the option is not given, from the values of all options; None if there
            is no such folder.
        holds_inputs: True if the verb may read files in the folder, and protects them itself.
    """

    def __init__(
        self,
        default: Callable[[Mapping[str, Any]], Path | None] = lambda _: None,
        holds_inputs: bool = False,
    ) -> None:
        super().__init__(path_type=Path, file_okay=False)
        self.default = default
        self.holds_inputs = holds_inputs


@dataclass(frozen=True)
class Named:
    """A path and the option that gave it."""

    option: str
    path: Path
    type: click.ParamType[Any]
    by_default: bool = False


class Verb(click.Command):
    """A verb: a command whose files are checked before it runs."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        writes = any(isinstance(param.type, (Writes, Folder)) for param in self.params)
        if writes and all(param.name != "overwrite" for param in self.params):
            self.params.append(
                click.Option(
                    ["--overwrite"],
                    is_flag=True,
                    expose_value=False,
                    callback=lambda ctx, _, value: ctx.meta.__setitem__(__name__, value),
                    help="Write over files of another kind, and into folders that hold other files.",
                )
            )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a command line in which options may have their old names; note each old name."""
        return super().parse_args(ctx, list(self._renamed(args)))

    def _renamed(self, args: Sequence[str]) -> Iterable[str]:
        options = [param for param in self.params if isinstance(param, click.Option)]
        old = {name: (param, how) for param in options for name, how in getattr(param, "old", {}).items()}
        valued = {name for param in options if not (param.is_flag or param.count) for name in param.opts}
        words = iter(args)
        for word in words:
            if word == "--":
                yield word
                break
            name, equals, value = word.partition("=")
            if name not in old:
                yield word
                if name in valued and not equals:
                    yield from itertools.islice(words, 1)
                continue
            param, how = old[name]
            new = max(param.opts, key=len)
            note(f"{name} is now {new}{'' if how is None else f', in {how[0]}'}; the old name still works")
            yield new
            for given in (value,) if equals else itertools.islice(words, 1):
                yield given if how is None else how[1](given)
        yield from words

    def invoke(self, ctx: click.Context) -> Any:
        """Check the files, mark the folders that the verb fills as this program's, and run the verb."""
        named = list(_named(ctx))
        check(named, bool(ctx.params.get("overwrite", ctx.meta.get(__name__))))
        with contextlib.ExitStack() as marks:
            for one in named:
                if isinstance(one.type, Folder):
                    marks.enter_context(marked(one.path))
            return super().invoke(ctx)


def _named(ctx: click.Context) -> Iterable[Named]:
    """Yield all paths of a command line, given or by default."""
    for param in ctx.command.params:
        name = str(param.name)
        if not isinstance(param.type, (Reads, Writes, Folder)):
            continue
        value = ctx.params.get(name)
        if value is None and isinstance(param.type, Folder):
            value = param.type.default(ctx.params)
        option = max(param.opts, key=len) if isinstance(param, click.Option) else name.upper()
        by_default = ctx.get_parameter_source(name) is ParameterSource.DEFAULT
        for path in value if isinstance(value, tuple) else () if value is None else (value,):
            yield Named(option, path, param.type, by_default)


def check(named: Sequence[Named], overwrite: bool = False) -> None:
    """Refuse inputs that do not exist, and outputs that would destroy a file.

    Raises:
        UserError: naming the option and the path, the reason, and a way out.
    """
    reads = [one for one in named if isinstance(one.type, Reads)]
    for one in reads:
        require_input(one)
    given = [
        *reads,
        *(Named("the network that comes with the program", path, Reads()) for path in shipped_files()),
    ]
    written = [one for one in named if not isinstance(one.type, Reads)]
    for number, one in enumerate(written):
        for other in given:
            if not (isinstance(one.type, Folder) and one.type.holds_inputs):
                require_apart(one, other)
        for other in written[:number]:
            if same(one.path, other.path):
                raise UserError(f"{one.option} {one.path}: {other.option} names that, too; give another name")
    for one in written:
        if isinstance(one.type, Writes):
            require_output(one, one.type.kind, overwrite)
        else:
            require_folder(one.path, overwrite, one.by_default, one.option)


def require_input(one: Named) -> None:
    """Refuse an input that does not exist, a folder instead of a file, or a file instead of a folder.

    Raises:
        UserError: naming the option and the path.
    """
    assert isinstance(one.type, Reads)
    try:
        there, is_folder = one.path.exists(), one.path.is_dir()
    except (OSError, ValueError):
        return  # a name that no file can have: the reader reports it
    if not there and not one.path.is_symlink():
        raise UserError(f"{one.option} {one.path}: no such {'folder' if one.type.folder else 'file'}")
    if there and one.type.folder not in (None, is_folder):
        is_it, needed = ("folder", "file") if is_folder else ("file", "folder")
        raise UserError(f"{one.option} {one.path}: is a {is_it}, not a {needed}")


def require_output(one: Named, kind: Kind, overwrite: bool = False) -> None:
    """Refuse a file that cannot be written, or that would replace a file of another kind.

    Raises:
        UserError: naming the option and the path.
    """
    path, where = one.path, f"{one.option} {one.path}"
    if kind.endings and path.suffix.lower() not in kind.endings:
        raise UserError(
            f"{where}: {f'{path.suffix} is unknown' if path.suffix else 'its name has no ending'}; "
            f"legal are {', '.join(kind.endings)}"
        )
    if path.is_dir():
        raise UserError(f"{where}: is a folder; name a file")
    if not path.exists():
        require_place(where, path.parent)
        return
    if not path.is_file():
        raise UserError(f"{where}: is not a regular file; name another")
    if not os.access(path.absolute().parent, os.W_OK):
        raise UserError(f"{where}: nothing can be written in that folder; name another")
    if not overwrite and path.stat().st_size and not kind.ours(path):
        raise UserError(
            f"{where}: already exists and is not {kind.name}; choose another name, or give --overwrite"
            if kind is not TEXT
            else f"{where}: already exists; choose another name, or give --overwrite"
        )


def require_place(where: str, folder: Path) -> None:
    """Refuse a folder that neither exists nor can be made."""
    nearest = next((one for one in (folder, *folder.absolute().parents) if one.exists()), None)
    if nearest is not None and not nearest.is_dir():
        raise UserError(f"{where}: {nearest} is not a folder")
    if nearest is not None and not os.access(nearest, os.W_OK):
        raise UserError(f"{where}: nothing can be written in {nearest.absolute()}; name another folder")


def require_folder(
    folder: Path,
    overwrite: bool = False,
    by_default: bool = False,
    option: str = "",
    marker: str = LOCK_FILE,
    way_out: str = "choose another folder, or give --overwrite",
) -> None:
    """Refuse to fill a folder that holds other files.

    Args:
        by_default: True if no option named the folder; then one of this program's folders in it is enough.
        option: the option that named the folder.
        marker: name of the file that marks a folder as this program's.
        way_out: what the user can do, for the message.

    Raises:
        UserError: naming the folder.
    """
    where = f"{option} {folder}".strip()
    if not folder.exists():
        require_place(where, folder.parent)
    elif not os.access(folder, os.W_OK):
        raise UserError(f"{where}: nothing can be written there; name another folder")
    elif not overwrite and any(folder.iterdir()) and not (folder / marker).exists():
        inside = any(folder.glob(f"*/{marker}")) and not (folder / FLOW_LOCK).exists()
        if not (by_default and inside):
            raise UserError(f"{where}: holds other files; {way_out}")


@contextlib.contextmanager
def marked(folder: Path) -> Iterator[None]:
    """Mark a folder as this program's while it is filled, so that a killed run can be repeated.

    The mark, and every folder made for it, is removed again if nothing was written.
    """
    absent = [one for one in (folder, *folder.absolute().parents) if not one.exists()]
    marker = folder / LOCK_FILE
    before = marker.exists()
    folder.mkdir(parents=True, exist_ok=True)
    marker.touch()
    try:
        yield
    finally:
        if not before and [one.name for one in folder.iterdir()] == [LOCK_FILE]:
            marker.unlink()
            for one in absent:
                with contextlib.suppress(OSError):  # it holds other files by now
                    one.rmdir()


def require_apart(written: Named, read: Named) -> None:
    """Refuse to overwrite an input, to write into an input folder, or to fill a folder that holds an input.

    Raises:
        UserError: naming both options.
    """
    out, given = written.path, read.path
    if same(out, given):
        raise UserError(
            f"{written.option} {out}: is {_what(read)}, which would be overwritten; choose another name"
        )
    if given.is_dir() and _inside(out, given):
        raise UserError(
            f"{written.option} {out}: is inside {_what(read)}, which is read; choose another place"
        )
    if isinstance(written.type, Folder) and _inside(given, out):
        raise UserError(
            f"{written.option} {out}: holds {_what(read)}, and its files may be overwritten; "
            "choose another folder"
        )


def _what(read: Named) -> str:
    return f"{read.option} {read.path}" if read.option.startswith("-") else f"{read.path} ({read.option})"


def same(one: Path, other: Path) -> bool:
    """Return True if two paths name the same file, even through links or other spellings."""
    try:
        if one.samefile(other):
            return True
    except (OSError, ValueError):
        pass
    return _resolved(one) == _resolved(other)


def _inside(one: Path, folder: Path) -> bool:
    return _resolved(one).is_relative_to(_resolved(folder))


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a name that no file can have
        return path.absolute()
