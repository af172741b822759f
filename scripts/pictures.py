# SPDX-License-Identifier: Apache-2.0
"""What the pictures of measurements share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COLORS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1")


@contextmanager
def picture(path: Path, columns: int, **options: Any) -> Iterator[Any]:
    """Axes side by side, written to ``path`` at the end; the same drawing gives the same bytes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from models.errors import UserError

    legal = plt.figure().canvas.get_supported_filetypes()
    if path.suffix[1:] not in legal:
        raise UserError(f"{path}: no picture has this suffix; legal are .{', .'.join(sorted(legal))}")
    settings: Any = {"svg.hashsalt": "zynq-lstm", "svg.fonttype": "none", "font.size": 9}
    with plt.rc_context(settings):
        figure, axes = plt.subplots(1, columns, figsize=(9.5, 3.8), layout="constrained", **options)
        yield axes
        for one in axes:
            one.set_axisbelow(True)
            one.grid(axis="y", color="0.9")
            one.spines[["top", "right"]].set_visible(False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close("all")
