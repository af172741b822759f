# SPDX-License-Identifier: Apache-2.0
"""Progress of training in the terminal: a bar and lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zynq_lstm.models.training.bptt import Progress, Trainer

LINE_SECONDS = 30  # between lines where there is no terminal for a bar


class Terminal:
    """A :class:`zynq_lstm.models.training.recipe.Show` on standard output."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console()

    def say(self, text: str) -> None:
        self.console.print(text)

    @contextmanager
    def progress(self, stage: str, trainer: Trainer) -> Iterator[Callable[[Progress], None]]:
        """Show loss, BPC, speed and time left: a bar on a terminal, elsewhere a line every LINE_SECONDS."""
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        if not self.console.is_terminal:
            shown = time.monotonic()

            def line(p: Progress) -> None:
                nonlocal shown
                if time.monotonic() - shown >= LINE_SECONDS:
                    shown = time.monotonic()
                    self.console.print(f"{stage}: {p.step}/{p.total}  {_figures(p)}", soft_wrap=True)

            yield line
            return
        columns = (
            TextColumn(stage),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[figures]}"),
        )
        with Bar(*columns, console=self.console) as bar:
            task = bar.add_task("", total=trainer.total, completed=trainer.step, figures="compiling")
            yield lambda p: bar.update(task, completed=p.step, figures=_figures(p))


def _figures(p: Progress) -> str:
    minutes, seconds = divmod(round(p.seconds_left), 60)
    return (
        f"loss {p.smooth:.4f}  BPC {p.bits_per_character:.4f}  {p.characters_per_second:,.0f} characters/s  "
        f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d} left"
    )
