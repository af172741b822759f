# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin: what was compared, in a table at the end of every run, and how a failure is repeated.

Comparisons are counted where all of them go through: runs of the bench (their reports) and
:func:`sim.trace.compare`. Counts travel with the tests' reports, so that they add up under pytest-xdist.
"""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sim.trace
from sim.bench.components import REPORT_FILE
from sim.simulator import Simulator

SEED = int(os.environ.get("ZYNQ_LSTM_TEST_SEED", "20150331"))
PROPERTY = "compared"
COUNTS = ("characters", "values", "mismatches")
COLUMNS = ("tests", "failed", "simulations", *COUNTS, "seconds")
tally: Counter[str] = Counter()  # of the test that runs


def pytest_configure() -> None:
    Simulator.run = _counted_run(Simulator.run)  # type: ignore[method-assign]
    sim.trace.compare = _counted_compare(sim.trace.compare)


def _counted_run(run: Callable[..., Path]) -> Callable[..., Path]:
    @functools.wraps(run)
    def counted(self: Simulator, module: str, run_dir: Path, **options: Any) -> Path:
        tally["simulations"] += 1
        try:
            return run(self, module, run_dir, **options)
        finally:
            report = run_dir / REPORT_FILE
            if report.exists():
                found = json.loads(report.read_text(encoding="utf-8"))
                tally.update({name: found.get(name, 0) for name in COUNTS})

    return counted


def _counted_compare(compare: Callable[..., sim.trace.Comparison]) -> Callable[..., sim.trace.Comparison]:
    @functools.wraps(compare)
    def counted(*arguments: Any, **options: Any) -> sim.trace.Comparison:
        result = compare(*arguments, **options)
        tally.update(result.summary())
        return result

    return counted


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if tally:
        counts = {name: tally[name] for name in ("simulations", *COUNTS)}
        item.user_properties.append((PROPERTY, counts))  # in the JUnit XML, too
        report.user_properties = item.user_properties
        tally.clear()


def rows(reports: Iterable[Any]) -> dict[str, Counter[str]]:
    """Counts by file. A fault that a test plants and finds is no mismatch: a passed test has none."""
    reports = list(reports)
    failed = {report.nodeid for report in reports if report.failed}
    found: dict[str, Counter[str]] = {}
    for report in reports:
        row = found.setdefault(report.nodeid.partition("::")[0], Counter())
        row["seconds"] += report.duration
        if report.when != "teardown":
            continue
        row.update({"tests": 1, "failed": report.nodeid in failed})
        for name, counts in report.user_properties:  # of all phases
            if name == PROPERTY:
                row.update({**counts, "mismatches": counts["mismatches"] * (report.nodeid in failed)})
    return found


def pytest_terminal_summary(terminalreporter: Any) -> None:
    some = (report for reports in terminalreporter.stats.values() for report in reports)
    found = rows(report for report in some if isinstance(report, pytest.TestReport))
    total: Counter[str] = sum(found.values(), Counter())
    terminalreporter.section(f"what was compared, seed {SEED}")
    write = terminalreporter.write_line
    write(f"{'':44}" + "".join(f"{name:>13}" for name in COLUMNS))
    for name, row in (*sorted(found.items()), ("total", total)):
        write(f"{name:44}" + "".join(f"{row[column]:>13,.0f}" for column in COLUMNS))
