# SPDX-License-Identifier: Apache-2.0
"""The cells that come with the project, one file of this folder each, and cells of files elsewhere."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from zynq_lstm.models.cells.description import Cell, load, parse
from zynq_lstm.models.errors import UserError

FOLDER = Path(__file__).parent
ENDING = ".cell"


def names() -> tuple[str, ...]:
    """The names of the project's own cells."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{ENDING}")))


@lru_cache(maxsize=64)
def cell(name: str) -> Cell:
    """A cell of the project by its name, or of a file whose name ends in ``.cell``.

    Raises:
        UserError: naming the legal names, or what is wrong in the file.
    """
    if name.endswith(ENDING):
        return load(Path(name))
    if name not in names():
        raise UserError(f"unknown cell {name!r}; legal are {', '.join(names())}, or a file *{ENDING}")
    return load(FOLDER / f"{name}{ENDING}")


def written(cell_: Cell) -> str:
    """How a file names a cell: its name if it is one of the project's, or else its description."""
    ours = cell_.name in names() and cell(cell_.name) == cell_
    return cell_.name if ours else cell_.text


@lru_cache(maxsize=64)
def read(text: str) -> Cell:
    """The cell that :func:`written` wrote.

    Raises:
        UserError: as :func:`cell`, or what is wrong in the description.
    """
    return parse(text, "cell") if "\n" in text else cell(text)
