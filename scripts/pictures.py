# SPDX-License-Identifier: Apache-2.0
"""What the pictures of measurements share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import click

from models.errors import UserError

Command = TypeVar("Command", bound=Callable[..., object])

#: Of files that pictures are written to.
ENDINGS = (".svg", ".png", ".pdf")
COLORS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1")


def picture_option(*names: str, text: str = "Draw it there") -> Callable[[Command], Command]:
    """An option for the file of a picture, whose ending is checked before any work."""

    def checked(_: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
        if path is not None and path.suffix.lower() not in ENDINGS:
            raise UserError(
                f"{parameter.opts[0]} {path}: pictures end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
            )
        return path

    return click.option(
        *names,
        type=click.Path(path_type=Path, dir_okay=False),
        callback=checked,
        help=f"{text} ({', '.join(ENDINGS)}).",
    )


@contextmanager
def on_page(dark: bool) -> Iterator[None]:
    """Pictures drawn meanwhile have no background, and colours for a page that is light or dark."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    with plt.style.context("dark_background") if dark else nullcontext():  # noqa: SIM117
        with plt.rc_context({"savefig.transparent": True}):
            yield


@contextmanager
def picture(
    path: Path, columns: int, size: tuple[float, float] = (9.5, 3.8), grid: str = "y", **options: Any
) -> Iterator[Any]:
    """Axes side by side, written to ``path`` at the end; the same drawing gives the same bytes.

    Args:
        size: of the whole, in inches.
        grid: across which axis lines are drawn.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    settings: Any = {"svg.hashsalt": "zynq-lstm", "svg.fonttype": "none", "font.size": 9}
    with plt.rc_context(settings):
        figure, axes = plt.subplots(1, columns, figsize=size, layout="constrained", **options)
        yield axes
        for one in figure.axes:
            one.set_axisbelow(True)
            one.grid(axis=grid, color="0.9" if plt.rcParams["text.color"] == "black" else "0.3")
            one.spines[["top", "right"]].set_visible(False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close("all")
