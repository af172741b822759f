# SPDX-License-Identifier: Apache-2.0
"""Axes and colours that the pictures of measurements share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

COLORS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1")


@contextmanager
def on_page(dark: bool) -> Iterator[None]:
    """Draw pictures within the context without a background, in colours for a light or a dark page."""
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
    """Yield axes side by side, and write them to ``path`` at the end; equal drawings give equal bytes.

    Args:
        size: width and height of the picture in inches.
        grid: axis that has grid lines: ``x`` or ``y``.
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
