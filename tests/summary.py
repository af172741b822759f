# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin that counts comparisons, and prints them in a table at the end of every run.

Comparisons are counted in the two places that all of them pass: runs of the bench (their reports) and
:func:`zynq_lstm.sim.trace.compare`. Counts travel with the tests' reports, so that they add up under
pytest-xdist. A test that is skipped for a reason that is not in :data:`tests.skips.LEGAL` makes the run
fail.
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

import zynq_lstm.sim.trace
from tests.skips import LEGAL
from zynq_lstm.models.store import write_json
from zynq_lstm.sim.bench.components import REPORT_FILE
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.simulation.simulator import Simulator

SEED = int(os.environ.get("ZYNQ_LSTM_TEST_SEED", "20150331"))
PROPERTY = "compared"
COUNTS = ("characters", "values", "mismatches")
PROCESSOR = "processor seconds"  # of the test, its fixtures and the programs that they ran
COLUMNS = ("tests", "skipped", "failed", "simulations", *COUNTS, "seconds", "CPU min")
MADE = "not nightly"  # marks of the tests that 'make test' runs
UNLISTED_SKIP = 1  # exit status of a run with a skip that is not listed: that of a failure
tally: Counter[str] = Counter()  # counts of the current test


def pytest_configure() -> None:
    Simulator.run = _counted_run(Simulator.run)  # type: ignore[method-assign]
    zynq_lstm.sim.trace.compare = _counted_compare(zynq_lstm.sim.trace.compare)


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


def _counted_compare(
    compare: Callable[..., zynq_lstm.sim.trace.Comparison],
) -> Callable[..., zynq_lstm.sim.trace.Comparison]:
    @functools.wraps(compare)
    def counted(*arguments: Any, **options: Any) -> zynq_lstm.sim.trace.Comparison:
        result = compare(*arguments, **options)
        tally.update(result.summary())
        return result

    return counted


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    tally.clear()
    tally[_BEGUN] = _processor_seconds()
    yield


_BEGUN = "begun"


def _processor_seconds() -> float:
    """Return the processor time of this process and of all its children that have ended."""
    return sum(os.times()[:4])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if call.when == "teardown":  # the last phase
        counts: dict[str, float] = {name: tally[name] for name in ("simulations", *COUNTS)}
        counts[PROCESSOR] = round(_processor_seconds() - tally[_BEGUN], 2)
        item.user_properties.append((PROPERTY, counts))  # in the JUnit XML, too
        report.user_properties = item.user_properties


def rows(reports: Iterable[Any]) -> dict[str, Counter[str]]:
    """Return counts by file. A passed test has no mismatches: it may plant a fault and find it."""
    reports = list(reports)
    failed = {report.nodeid for report in reports if report.failed}
    found: dict[str, Counter[str]] = {}
    for report in reports:
        row = found.setdefault(report.nodeid.partition("::")[0], Counter())
        row["seconds"] += report.duration
        row["skipped"] += report.outcome == "skipped"
        if report.when != "teardown":
            continue
        row.update({"tests": 1, "failed": report.nodeid in failed})
        for name, counts in report.user_properties:  # properties of all phases
            if name == PROPERTY:
                counts = {**counts, "mismatches": counts["mismatches"] * (report.nodeid in failed)}
                row["CPU min"] += counts.pop(PROCESSOR) / 60
                row.update(counts)
    return found


def skipped(reports: Iterable[Any]) -> dict[str, list[str]]:
    """Return the names of the tests that were skipped, by reason."""
    found: dict[str, list[str]] = {}
    for report in reports:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            found.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)
    return found


def record(reports: Iterable[Any]) -> dict[str, Any]:
    """Return the record of skipped tests: their number, the number of tests, and the reasons."""
    reports = list(reports)
    reasons = {reason: len(names) for reason, names in skipped(reports).items()}
    tests = len({report.nodeid for report in reports})
    return records.new(records.SKIPPED, SEED, tests=tests, count=sum(reasons.values()), reasons=reasons)


def _reports(terminalreporter: Any) -> list[pytest.TestReport | pytest.CollectReport]:
    kinds = (pytest.TestReport, pytest.CollectReport)
    some = (report for reports in terminalreporter.stats.values() for report in reports)
    return [report for report in some if isinstance(report, kinds)]


def _whole(config: pytest.Config) -> bool:
    """Return True if the run is of all tests that ``make test`` runs."""
    all_files = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return all_files and config.option.markexpr == MADE and not config.option.keyword


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return  # another process sums up
    reports = _reports(reporter)
    if session.exitstatus == pytest.ExitCode.OK and skipped(reports).keys() - LEGAL.keys():
        session.exitstatus = UNLISTED_SKIP
    folder: Path | None = session.config.getoption("--records", None)
    if folder and reports and _whole(session.config):
        write_json(records.path(records.SKIPPED, folder), record(reports))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = _reports(terminalreporter)
    found = rows(report for report in reports if isinstance(report, pytest.TestReport))
    total: Counter[str] = sum(found.values(), Counter())
    terminalreporter.section(f"what was compared, seed {SEED}")
    write = terminalreporter.write_line
    write(f"{'':44}" + "".join(f"{name:>13}" for name in COLUMNS))
    for name, row in (*sorted(found.items()), ("total", total)):
        cells = (f"{row[column]:>13,.{2 * (column == 'CPU min')}f}" for column in COLUMNS)
        write(f"{name:44}" + "".join(cells))
    for reason, names in skipped(reports).items():
        listed = "" if reason in LEGAL else "; this reason is not in tests/skips.py, so the run fails"
        write(f"skipped {len(names)}: {reason}{listed}")
        for name in names if listed else ():
            write(f"  {name}")
