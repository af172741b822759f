# SPDX-License-Identifier: Apache-2.0
"""The table at the end of a test run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import zynq_lstm.sim.trace
from tests import summary
from tests.networks import small_spec, with_weights
from tests.skips import ICARUS, LEGAL
from tests.summary import MADE, PROCESSOR, PROPERTY, rows
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.reference import Reference


def reports(nodeid: str, failed: bool = False, **counts: int) -> list[Any]:
    properties = (
        [(PROPERTY, {"simulations": 1, "mismatches": 0, PROCESSOR: 30.0, **counts})] if counts else []
    )
    return [
        SimpleNamespace(
            nodeid=nodeid,
            when=when,
            failed=failed and when == "call",
            skipped=False,
            outcome="passed",
            duration=1.5,
            user_properties=[("other", 1), *properties],
        )
        for when in ("setup", "call", "teardown")
    ]


def test_each_test_counts_once() -> None:
    found = rows(
        [
            *reports("a.py::x", characters=10, values=100),
            *reports("a.py::y[1::2]", characters=5, values=50),
            *reports("b.py::z"),
        ]
    )
    assert found["a.py"] == {
        "tests": 2,
        "failed": 0,
        "simulations": 2,
        "characters": 15,
        "values": 150,
        "mismatches": 0,
        "seconds": 9.0,
        "skipped": 0,
        "CPU min": 1.0,
    }
    assert found["b.py"]["tests"] == 1 and not found["b.py"]["simulations"]


def test_only_failed_tests_have_mismatches() -> None:
    """A test that plants a fault and finds it passes, and has no mismatches."""
    planted = reports("a.py::planted", characters=10, values=100, mismatches=3)
    real = reports("a.py::real", failed=True, characters=10, values=100, mismatches=7)
    found = rows([*planted, *real])
    assert (found["a.py"]["failed"], found["a.py"]["mismatches"]) == (1, 7)


def test_comparisons_are_counted(rng: np.random.Generator) -> None:
    network = with_weights(small_spec("w8a8", 4, (2,)), rng)
    signals: dict[str, Raw] = {}
    Reference(network).run([0, 1, 2], signals)
    before = summary.tally["characters"]
    assert zynq_lstm.sim.trace.compare(network, signals, signals).exact
    assert summary.tally["characters"] == before + 3


def run_pytest(code: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a module of tests, in the folder ``tests``, in its own process."""
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = tests\nmarkers = nightly\n")
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_given.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-p", "tests.summary", "-p", "no:cacheprovider", *options]
    environment = os.environ | {"PYTHONPATH": str(Path(summary.__file__).parent.parent)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_module_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    """The report of a module has no duration, and is not a test's report."""
    done = run_pytest("import nothing_of_that_name\n", tmp_path)
    assert done.returncode == 2 and not done.stderr
    assert "No module named 'nothing_of_that_name'" in done.stdout and "\ntotal" in done.stdout


SKIPS = """
import pytest
from tests.skips import ICARUS
@pytest.mark.skipif(True, reason=ICARUS)
def test_listed(): pass
@pytest.mark.skipif(LAZY, reason="no time today")
def test_unlisted(): sum(range(WORK))
"""


def skips(lazy: bool, work: int = 0) -> str:
    return SKIPS.replace("LAZY", str(lazy)).replace("WORK", str(work))


def test_a_skip_for_a_reason_that_is_not_listed_fails_the_run(tmp_path: Path) -> None:
    """Checked with one process and with several."""
    for options in ([], ["-n", "1"]):
        done = run_pytest(skips(True), tmp_path, *options)
        assert done.returncode == 1, done.stdout
        assert "skipped 1: no time today; this reason is not in tests/skips.py" in done.stdout
        assert f"skipped 1: {ICARUS}\n" in done.stdout and "::test_unlisted" in done.stdout
    done = run_pytest(skips(False), tmp_path)
    assert done.returncode == 0, done.stdout


def test_skipped_tests_are_written_down(tmp_path: Path) -> None:
    """A run of all tests of 'make test' records them with --records, which conftest.py defines."""
    (tmp_path / "conftest.py").write_text(
        "from pathlib import Path\ndef pytest_addoption(parser): parser.addoption('--records', type=Path)\n"
    )
    for some in (["-m", "not slow"], ["-m", MADE, "-k", "listed"], ["-m", MADE, "tests"]):
        run_pytest(skips(False), tmp_path, "--records=records", *some)
        assert not (tmp_path / "records").exists(), some
    done = run_pytest(skips(False, 50_000_000), tmp_path, "--records=records", "-m", MADE)
    assert done.returncode == 0, done.stdout
    found = json.loads((tmp_path / "records" / "skipped_tests.json").read_text())
    assert (found["kind"], found["tests"], found["count"]) == ("skipped tests", 2, 1)
    assert found["reasons"] == {ICARUS: 1}
    (row,) = (line.split() for line in done.stdout.splitlines() if line.startswith("total"))
    assert row[1:3] == ["2", "1"] and float(row[-1]) > 0  # tests, skipped, minutes of processor time


def test_the_list_of_skips_is_short() -> None:
    """Nobody would read a longer list; the documentation has it, too."""
    text = (Path(summary.__file__).parent.parent / "docs" / "verification.md").read_text(encoding="utf-8")
    assert len(LEGAL) <= 6
    for reason, where in LEGAL.items():
        assert f"| {reason} | {where} |" in " ".join(text.split())
