# SPDX-License-Identifier: Apache-2.0
"""Which files a verb reads and writes, and the check of them before it begins any work.

An option's type says whether its path is read (:class:`Reads`) or written (:class:`Writes`, :class:`Folder`);
:class:`Verb` checks all of them together. No verb overwrites what it reads, under whatever name. None
replaces a file of another kind, or writes into a folder that holds something else, unless ``--overwrite`` is
given.
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
_DRAWN_BY = b"matplotlib"  # near the beginning or the end of every picture that it writes, in some case
_ENDS = 4096


@dataclass(frozen=True)
class Kind:
    """A kind of file that verbs write.

    Args:
        name: for people.
        ours: returns whether a file's content is of this kind, as this program writes it.
        endings: of its name; any if empty.
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
    """The content of a file if it is JSON as this program writes it, or else None."""
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if as_json(data) == text else None


def _key(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, dict) else None


def figures(kind: str | None = None) -> Kind:
    """JSON that a verb writes: figures, or the record of a kind."""

    def ours(path: Path) -> bool:
        data = _json(path)
        return data is not None and _key(data, "kind") == kind and _key(data, "stage") is None

    return Kind(f"a record of {kind}" if kind else "figures that this program wrote", ours)


TRAINING = Kind("a record of training", lambda path: _key(_json(path), "stage") is not None)
NETWORK = Kind("a float or quantized network", _is_network)
PICTURE = Kind("a picture that this program drew", _is_picture, PICTURES)
TEXT = Kind("a text", lambda path: False)  # whose it is cannot be told by its content


class Reads(click.Path):
    """The path of a file, a folder, or (``folder`` is None) of either, which the verb reads."""

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
        default: the folder by the values of all options, if none is given; None if there is none.
        holds_inputs: the verb may read files in it, and looks after them itself.
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
    """A path, and the option that gave it."""

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
                    help="Write over files of another kind, and into folders that hold something else.",
                )
            )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a command line in which options may have their old names, which is noted."""
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
        """Check the files, and run the verb; the folders that it fills are marked as this program's."""
        named = list(_named(ctx))
        check(named, bool(ctx.params.get("overwrite", ctx.meta.get(__name__))))
        with contextlib.ExitStack() as marks:
            for one in named:
                if isinstance(one.type, Folder):
                    marks.enter_context(marked(one.path))
            return super().invoke(ctx)


def _named(ctx: click.Context) -> Iterable[Named]:
    """All paths of a command line."""
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
    """Refuse files that are not there, and whatever would destroy a file.

    Raises:
        UserError: naming option and path, the reason, and a way out.
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
    """Refuse a file or folder that is not there.

    Raises:
        UserError: naming option and path.
    """
    assert isinstance(one.type, Reads)
    try:
        there, is_folder = one.path.exists(), one.path.is_dir()
    except (OSError, ValueError):
        return  # a name that no file can have: whatever reads it says so
    if not there and not one.path.is_symlink():
        raise UserError(f"{one.option} {one.path}: no such {'folder' if one.type.folder else 'file'}")
    if there and one.type.folder not in (None, is_folder):
        is_it, needed = ("folder", "file") if is_folder else ("file", "folder")
        raise UserError(f"{one.option} {one.path}: is a {is_it}, not a {needed}")


def require_output(one: Named, kind: Kind, overwrite: bool = False) -> None:
    """Refuse a file that cannot be written, or that would replace one of another kind.

    Raises:
        UserError: naming option and path.
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
            f"{where}: is there already and is not {kind.name}; choose another name, or give --overwrite"
            if kind is not TEXT
            else f"{where}: is there already; choose another name, or give --overwrite"
        )


def require_place(where: str, folder: Path) -> None:
    """Refuse a folder that neither is there nor can be made."""
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
    """Refuse to fill a folder that holds something else.

    Args:
        by_default: nobody named it; then a folder inside that is this program's is enough.
        option: that named it.
        marker: name of the file that tells that the folder is this program's.
        way_out: what to do about it, for people.

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
            raise UserError(f"{where}: holds files of something else; {way_out}")


@contextlib.contextmanager
def marked(folder: Path) -> Iterator[None]:
    """Mark a folder as this program's while it is filled, so that a run that is killed can be repeated.

    The folder and its mark vanish again if nothing was written.
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
                with contextlib.suppress(OSError):  # something else is in it by now
                    one.rmdir()


def require_apart(written: Named, read: Named) -> None:
    """Refuse to write over what is read, or into a folder that is read, or to fill a folder that holds it.

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
    """True if two paths name one file, even through links or other spellings."""
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
