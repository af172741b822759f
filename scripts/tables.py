# SPDX-License-Identifier: Apache-2.0
"""Print tables on a terminal of any width."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

UNLIMITED = 1000  # columns of a terminal on which nothing wraps


def show(table: Table, console: Console | None = None) -> None:
    """Print a table whose cells wrap between words, but are never cut: half a figure is worse than none.

    Where not even single words fit side by side, lines are longer than the terminal's width.
    """
    console = console or Console()
    wide = console.options.update_width(UNLIMITED)
    excess = Measurement.get(console, wide, table).maximum - console.width
    if excess > 0:
        sizes = []
        for column in table.columns:
            cells = [*column.cells, *([column.header] if table.show_header else [])]
            found = [Measurement.get(console, wide, cell) for cell in cells]
            longest = max((size.maximum for size in found), default=0)
            word = longest if column.no_wrap else max((size.minimum for size in found), default=0)
            sizes.append([longest, word])
        while excess > 0 and any(width > word for width, word in sizes):
            widest = max((size for size in sizes if size[0] > size[1]), key=lambda size: size[0])
            widest[0] -= 1
            excess -= 1
        for column, (width, _) in zip(table.columns, sizes, strict=True):
            column.width = width
        table.width = console.width + excess
    console.print(table, crop=False)
