# SPDX-License-Identifier: Apache-2.0
"""The cells that come with the project, one file of this folder each, and cells of files elsewhere."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from zynq_lstm.models.cells.description import Cell
from zynq_lstm.models.cells.parser import load, parse
from zynq_lstm.models.errors import UserError

FOLDER = Path(__file__).parent
ENDING = ".cell"


def names() -> tuple[str, ...]:
    """The names of the project's own cells."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{ENDING}")))


def cell(name: str) -> Cell:
    """A cell of the project by its name, or of a file whose name ends in ``.cell``.

    Raises:
        UserError: naming the legal names, or what is wrong in the file.
    """
    if name.endswith(ENDING):
        return load(Path(name))  # anew each time: the file may have changed
    if name not in names():
        raise UserError(f"unknown cell {name!r}; legal are {', '.join(names())}, or a file *{ENDING}")
    return _ours(name)


@lru_cache(maxsize=64)
def _ours(name: str) -> Cell:
    return load(FOLDER / f"{name}{ENDING}")


def is_ours(cell_: Cell) -> bool:
    """True for a cell of the project; False for a cell of one's own, even if it has the name of one."""
    return cell_.name in names() and _ours(cell_.name) == cell_


def written(cell_: Cell) -> str:
    """How a file names a cell: its name if it is one of the project's, or else its description."""
    return cell_.name if is_ours(cell_) else cell_.text


def shown(written_: str) -> str:
    """How a command line names the cell that :func:`written` wrote; the folder of a file is private."""
    own = "\n" in written_
    return f"{read(written_).name}{ENDING}" if own else written_


@lru_cache(maxsize=64)
def read(text: str) -> Cell:
    """The cell that :func:`written` wrote.

    Raises:
        UserError: as :func:`cell`, or what is wrong in the description.
    """
    return parse(text, "cell") if "\n" in text else cell(text)
