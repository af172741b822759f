# SPDX-License-Identifier: Apache-2.0
"""Building blocks of the report's pages, whatever their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Text:
    """A paragraph; ``mark`` is ``good``, ``bad``, ``soft`` or nothing."""

    kind: ClassVar[str] = "text"
    text: str
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Args:
        columns: headings; all empty for pairs of name and value.
        rows: cells; the first one names the row.
        numbers: indices of the columns that hold numbers.
        marks: ``good`` or ``bad`` by (row, column).
        wide: True if a narrow page is to show each row as a list.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: tuple[int, ...] = ()
    marks: Mapping[tuple[int, int], str] | None = None
    wide: bool = False

    def classes(self, row: int, column: int) -> str:
        """Classes of a cell of the HTML page."""
        number = ["n"] if column in self.numbers else []
        return " ".join([*number, *filter(None, [(self.marks or {}).get((row, column))])])


@dataclass(frozen=True)
class Picture:
    """A picture in the stage's folder, by name; ``wide`` if it may be wider than the page."""

    kind: ClassVar[str] = "picture"
    name: str
    wide: bool = False


@dataclass(frozen=True)
class Sample:
    """Text that the network wrote, after text that it read."""

    kind: ClassVar[str] = "sample"
    before: str
    text: str


@dataclass(frozen=True)
class Names:
    """A list of short names, shown so that each can be told from the next."""

    kind: ClassVar[str] = "names"
    text: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines of a file."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Items:
    """A list of names, each with its explanation."""

    kind: ClassVar[str] = "items"
    items: tuple[tuple[str, str], ...]


Block = Text | Table | Picture | Sample | Names | Code | Heading | Items


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Args:
        name: identifier, for links.
        title: heading.
        short: its name in the table of contents.
        blocks: its content.
        folded: content that a page may hide at first, by its heading.
    """

    name: str
    title: str
    short: str
    blocks: Sequence[Block]
    folded: Mapping[str, Sequence[Block]] | None = None


@dataclass(frozen=True)
class Card:
    """A figure at the head of the page."""

    figure: str
    text: str
    more: str = ""
    mark: str = ""
