# SPDX-License-Identifier: Apache-2.0
"""Chart of one character's schedule: bars over clock cycles, and the idle cycles with their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zynq_lstm.hls.engine.constants import Destination
from zynq_lstm.hls.engine.schedule import Job, Schedule, Timing
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.integers.limits import WORD_SUMS

COLORS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f")
IDLE = "#d0d0d0"


@dataclass(frozen=True)
class Bar:
    start: int  # first and last cycle; negative during the previous character
    end: int
    label: str
    color: str


@dataclass(frozen=True)
class Row:
    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Wait:
    start: int
    cycles: int
    reason: str


@dataclass(frozen=True)
class Chart:
    """One character in steady state; cycle 0 is the start of its first job."""

    title: str
    cycles: int
    rows: tuple[Row, ...]
    waits: tuple[Wait, ...]
    issued: float  # share of the cycles in which the array takes a step
    utilisation: float  # useful products / (lanes * cycles)
    losses: dict[str, float]  # lost shares of lanes * cycles, by reason; utilisation and losses add up to 1


def chart(spec: NetworkSpec, plan: Schedule, mode: str) -> Chart:
    """Build the chart of ``plan`` in the steady state of ``mode``."""
    timing, array = plan.timing(mode), plan.array
    period = timing.cycles_per_character
    colors = {
        name: COLORS[k % len(COLORS)] for k, name in enumerate(dict.fromkeys(j.label for j in plan.jobs))
    }
    bars = [
        Bar(start, start + job.steps - 1, job.label, colors[job.label])
        for job, start in zip(plan.jobs, timing.starts, strict=True)
    ]
    idle = tuple(Wait(t, n, why) for t, n, why in _idle(plan, timing, mode))
    rows = [Row("array", (*bars, *(Bar(w.start, w.start + w.cycles - 1, "", IDLE) for w in idle)))]
    rows += [
        Row(
            _gates(plan, stage),
            (Bar(first, last, f"layer {plan.stages[stage].layer}", COLORS[(stage + 4) % len(COLORS)]),),
        )
        for stage, first, last in sorted(timing.gates)
    ]
    first, last = timing.output
    rows.append(Row("output", (Bar(first, last, "logits", COLORS[7]),)))
    if mode == "generate":
        rows.append(Row("choice", (Bar(last + 1, timing.choice, "", COLORS[6]),)))
    steps = sum(job.steps for job in plan.jobs)
    lanes = array.lanes
    useful = spec.macs_per_character() / (period * lanes)
    # First the sums of a group without a unit (or character), then the inputs of a chain without a unit.
    sums = array.group_units * WORD_SUMS
    units = sum(job.steps * (sums - _sums(plan, job)) for job in plan.jobs) / (period * sums)
    issued = steps / period
    losses = {
        "array idle": 1 - issued,
        "groups that the units, or the output's words, do not fill": units,
        "chains that the inputs do not fill, and words that the vocabulary does not": issued - units - useful,
    }
    shape = (
        f"{' + '.join(str(n) for n in plan.units)} units, {plan.vocabulary} characters, {lanes} lanes, {mode}"
    )
    return Chart(shape, period, tuple(rows), idle, issued, useful, losses)


def _layer(plan: Schedule, number: int) -> str:
    return f"layer {plan.stages[number].layer}"


def _gates(plan: Schedule, number: int) -> str:
    """Return the name of a stage's row."""
    stage = plan.stages[number]
    several = sum(other.layer == stage.layer for other in plan.stages) > 1
    return f"gates {stage.layer}" + (f", {stage.level.result}" if several else "")


def _sums(plan: Schedule, job: Job) -> int:
    """Return the useful sums of a job."""
    output = job.destination is Destination.OUTPUT
    return job.count * (WORD_SUMS if output else plan.stages[job.stage].packing.gates)


def _idle(plan: Schedule, timing: Timing, mode: str) -> list[tuple[int, int, str]]:
    """Return the stretches in which the array takes no step: start, cycles and reason."""
    stretches = []
    period = timing.cycles_per_character
    come = "chosen" if mode == "generate" else "started"
    ends = [start + job.steps for job, start in zip(plan.jobs, timing.starts, strict=True)]
    for n, job in enumerate(plan.jobs):
        before = plan.jobs[n - 1]
        end = ends[n - 1] - (0 if n else period)
        wait, gap = timing.waits[n], timing.starts[n] - end
        if gap - wait > 0:
            stretches.append((end, gap - wait, f"the sums of {before.label} leave the array"))
        if wait:
            source = plan.stages[job.source]
            needs = f"{job.label} waits for {source.level.result} of layer {source.layer}"
            if job.source == 0 and (job.destination is not Destination.WAIT or job.stage != 0):
                needs += f", whose gates wait for the character to be {come}"
            stretches.append((end + gap - wait, wait, needs))
    return stretches


def draw(shown: Chart, path: Path) -> None:
    """Draw the chart into a file, whose suffix is the format. The same chart gives the same bytes of SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    settings: Any = {"svg.hashsalt": "zynq-lstm", "svg.fonttype": "none", "font.size": 9}
    with plt.rc_context(settings):
        figure, axes = plt.subplots(figsize=(10, 0.5 * len(shown.rows) + 1.2))
        for y, row in enumerate(shown.rows):
            for bar in row.bars:
                _bar(axes, shown.cycles, y, bar)
        axes.set_yticks(range(len(shown.rows)), [row.name for row in shown.rows])
        axes.invert_yaxis()
        axes.set_xlim(0, shown.cycles)
        axes.set_xlabel("cycle")
        axes.set_title(
            f"{shown.title}: {shown.cycles:,} cycles, {100 * shown.utilisation:.1f} % of the lanes used",
            fontsize=10,
        )
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="y", length=0)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)


def _bar(axes: Any, period: int, y: int, bar: Bar) -> None:
    """Draw a bar; if it runs past the end of the period, it continues at the start."""
    start, left = bar.start % period, bar.end - bar.start + 1
    labelled = False
    while left > 0:
        width = min(left, period - start)
        axes.barh(y, width, left=start, height=0.7, color=bar.color, edgecolor="white", linewidth=0.6)
        if not labelled and width > 0.025 * period:
            axes.text(start + width / 2, y, bar.label, ha="center", va="center", fontsize=7, color="black")
            labelled = True
        start, left = 0, left - width
