# SPDX-License-Identifier: Apache-2.0
"""Show a flow in the terminal: the tree of its stages, and the progress of the stage that runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.tree import Tree

from zynq_lstm.scripts.flow.config import Config
from zynq_lstm.scripts.flow.last_run import LastRun
from zynq_lstm.scripts.flow.load import Flow, toml
from zynq_lstm.scripts.flow.runner import Figures, Pipeline, Stage, State, value

T = TypeVar("T")
STYLES = {"done": "green", "to do": "yellow", "begun": "yellow", "running": "cyan"}


def duration(seconds: float | None) -> str:
    """Return a duration in words; ``unknown`` for None."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def running_as(states: Sequence[State], run: LastRun) -> list[State]:
    """Return the states with the current stage of a run as running."""
    return [
        replace(state, word="running", reason=f"since {run.stage_since}, process {run.process}")
        if state.stage.name == run.stage and state.word != "done"
        else state
        for state in states
    ]


def overrides(flow: Flow, file: Config) -> list[str]:
    """Return a line for each value of a flow that differs from the file's."""
    keys = dict.fromkeys(change.partition("=")[0].strip() for change in flow.changes)
    return [
        f"--set {key}={toml(value(flow.config, key))} ({flow.file} says {toml(value(file, key))})"
        for key in keys
        if value(flow.config, key) != value(file, key)
    ]


def tree(pipeline: Pipeline, states: Sequence[State]) -> Tree:
    """Return the tree of the stages: state, reason, time and folder of each, and the cost of redoing it."""
    flow = pipeline.flow
    root = Tree(f"[bold]{flow.name}[/]  {escape(str(flow.file))} -> {escape(str(flow.folder))}")
    for state in states:
        record, name = state.record, state.stage.name
        line = f"[{STYLES[state.word]}]{state.word:8}[/] [bold]{name}[/]  {state.stage.what}"
        branch = root.add(line)
        if state.reason:
            branch.add(f"[yellow]{escape(state.reason)}[/]")
        if record:
            cost = pipeline.cost(name)
            branch.add(
                f"{record['ended'][:19]}, {duration(record['seconds'])}; "
                f"to redo it and what depends on it: {duration(cost)}; {escape(str(pipeline.folder(name)))}"
            )
    for stage in pipeline.left_out:
        root.add(f"[dim]left out {stage.name}  {stage.what}[/]")
    return root


def plan(states: Sequence[State]) -> Table:
    """Return a table of what a run would do."""
    table = Table("stage", "would", "because", "last time took", pad_edge=False)
    for state in states:
        word = "run" if state.word == "to do" else "go on" if state.word == "begun" else "stay as it is"
        table.add_row(state.stage.name, word, escape(state.reason), duration(state.seconds))
    return table


@dataclass
class Terminal:
    """:class:`zynq_lstm.scripts.flow.work.Work` that shows the steps in a terminal."""

    flow: Flow
    stage: Stage
    resume: bool
    pipeline: Pipeline
    console: Console
    quiet: bool = False  # show finished steps only, no progress

    @property
    def folder(self) -> Path:
        return self.at(self.stage.name)

    def at(self, stage: str) -> Path:
        return self.pipeline.folder(stage)

    def stages(self) -> Sequence[Stage]:
        return self.pipeline.stages

    def record(self, stage: str) -> dict[str, Any]:
        left_out = stage in [one.name for one in self.pipeline.left_out]
        return {} if left_out else self.pipeline.record(stage)

    def figures(self, stage: str) -> Figures:
        figures: Figures = self.record(stage).get("figures", {})
        return figures

    def step(self, title: str, run: Callable[[], T], show: Callable[[T], str] | None = None) -> T:
        with self._progress(SpinnerColumn(), TimeElapsedColumn()) as bar:
            bar.add_task(title)
            return self._timed(title, run, show)

    def count(self, title: str, total: int, run: Callable[[Callable[[int], object]], T]) -> T:
        columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
        with self._progress(*columns) as bar:
            task = bar.add_task(title, total=total)
            return self._timed(title, lambda: run(lambda done: bar.update(task, completed=done)))

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False, soft_wrap=True)

    def _progress(self, *columns: object) -> Progress:
        more: tuple[object, ...] = (TextColumn("  {task.description}"), *columns)
        quiet = self.quiet or not self.console.is_terminal
        return Progress(*more, console=self.console, transient=True, disable=quiet)  # type: ignore[arg-type]

    def _timed(self, title: str, run: Callable[[], T], show: Callable[[T], str] | None = None) -> T:
        started = time.monotonic()
        result = run()
        more = f"  [bold]{show(result)}[/]" if show else ""
        self.say(f"[dim]{duration(time.monotonic() - started):>10}[/]  {escape(title)}{more}")
        return result
