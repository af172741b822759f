# SPDX-License-Identifier: Apache-2.0
"""Draw the pictures of the report, each for a light and a dark page, and describe them in words."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.training.recipe import TRAINING_CURVE as TRAINING
from zynq_lstm.models.training.recipe import VALIDATION_CURVE as VALIDATION
from zynq_lstm.scripts.pictures import COLORS, on_page, picture

if TYPE_CHECKING:
    from zynq_lstm.scripts.flow.work import Work

SMALL = (4.8, 2.6)  # inches; the text stays readable on a phone

Facts = dict[str, Any]


def pictures(work: Work, found: Facts) -> list[Facts]:
    """Return each picture for a light and a dark page, as data URLs, with a description in words."""
    shown = []
    for name, draw, says in (
        ("resources", _draw_resources, _say_resources(found)),
        ("ladder", _draw_ladder, _say_ladder(found)),
        ("curves", _draw_curves, _say_curves(found)),
        ("schedule", _draw_schedule, "Which matrix product, gates and output are worked on in which cycle."),
    ):
        if not says:
            continue
        one: Facts = {"name": name, "says": says}
        for scheme in ("light", "dark"):
            path = work.folder / f"{name}-{scheme}.svg"
            with on_page(scheme == "dark"):
                draw(work, found, path)
            one[scheme] = f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
        one["file"] = f"{work.folder.name}/{name}-light.svg"  # from the report's folder
        shown.append(one)
    return shown


def _say_resources(found: Facts) -> str:
    return ", ".join(f"{row['name']} {100 * row['share']:.0f} %" for row in found["resources"])


def _draw_resources(_: Work, found: Facts, path: Path) -> None:
    rows = found["resources"]
    with picture(path, 1, SMALL, "x") as axes:
        colors = [COLORS[0] if row["share"] <= 1 else COLORS[3] for row in rows]
        bars = axes.barh([row["name"] for row in rows], [100 * row["share"] for row in rows], color=colors)
        axes.bar_label(bars, [f"{100 * row['share']:.0f} %" for row in rows], padding=3)
        axes.invert_yaxis()
        axes.set_xlim(0, max(110, *(115 * row["share"] for row in rows)))
        axes.axvline(100, color=COLORS[3], lw=1)
        axes.set_xlabel(f"% of the {found['part']}")


def _say_ladder(found: Facts) -> str:
    return ", ".join(f"{row['step']} {row['above']:+.4f} ± {row['noise']:.4f}" for row in found["ladder"][1:])


def _draw_ladder(_: Work, found: Facts, path: Path) -> None:
    from matplotlib import pyplot as plt

    rows = found["ladder"][1:]
    with picture(path, 1, SMALL, "x") as axes:
        bars = axes.barh(
            [row["step"] for row in rows],
            [row["above"] for row in rows],
            xerr=[row["noise"] for row in rows],
            color=COLORS[1],
            error_kw={"ecolor": plt.rcParams["text.color"], "elinewidth": 1, "capsize": 3},
        )
        axes.bar_label(bars, [f"{row['above']:+.4f}" for row in rows], padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.3)
        axes.locator_params(axis="x", nbins=4)  # labels of small steps have seven digits
        axes.axvline(0, color="0.5", lw=1)
        axes.set_xlabel("bits per character above float; lines: noise (95 %)")


def _say_curves(found: Facts) -> str:
    said = []
    for name, curves in found["curves"].items():
        points = curves[VALIDATION] or curves[TRAINING]
        said.append(f"{name} from {points[0][1]:.3f} to {points[-1][1]:.3f} after {points[-1][0]:,} updates")
    return "; ".join(said)


def _draw_curves(_: Work, found: Facts, path: Path) -> None:
    with picture(path, 1, SMALL) as axes:
        for color, (name, curves) in zip(COLORS, found["curves"].items(), strict=False):
            axes.plot(*_columns(curves[TRAINING]), color=color, lw=1, alpha=0.7)
            axes.plot(*_columns(curves[VALIDATION]), "o-", color=color, ms=3, lw=1.5, label=name)
        axes.set_xlabel("update (thin: training text, dots: validation)")
        axes.set_ylabel("bits per character")
        axes.legend(frameon=False)


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def _draw_schedule(work: Work, found: Facts, path: Path) -> None:
    from zynq_lstm.hls.engine.chart import chart, draw
    from zynq_lstm.hls.engine.schedule import schedule
    from zynq_lstm.scripts.flow.work import array_of

    spec = NetworkSpec.from_dict(work.figures("quantize")["spec"])
    draw(chart(spec, schedule(spec, array_of(work.flow.config, spec)), "generate"), path)
