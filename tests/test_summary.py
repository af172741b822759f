# SPDX-License-Identifier: Apache-2.0
"""The table at the end of a test run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import sim.trace
from sim.fixed import Raw
from sim.reference import Reference
from tests import summary
from tests.networks import small_spec, with_weights
from tests.summary import PROPERTY, rows


def reports(nodeid: str, failed: bool = False, **counts: int) -> list[Any]:
    properties = [(PROPERTY, {"simulations": 1, "mismatches": 0, **counts})] if counts else []
    return [
        SimpleNamespace(
            nodeid=nodeid,
            when=when,
            failed=failed and when == "call",
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
    }
    assert found["b.py"]["tests"] == 1 and not found["b.py"]["simulations"]


def test_only_failed_tests_have_mismatches() -> None:
    """A test that plants a fault and finds it passes."""
    planted = reports("a.py::planted", characters=10, values=100, mismatches=3)
    real = reports("a.py::real", failed=True, characters=10, values=100, mismatches=7)
    found = rows([*planted, *real])
    assert (found["a.py"]["failed"], found["a.py"]["mismatches"]) == (1, 7)


def test_comparisons_are_counted(rng: np.random.Generator) -> None:
    network = with_weights(small_spec("w8a8", 4, (2,)), rng)
    signals: dict[str, Raw] = {}
    Reference(network).run([0, 1, 2], signals)
    before = summary.tally["characters"]
    assert sim.trace.compare(network, signals, signals).exact
    assert summary.tally["characters"] == before + 3


def test_a_module_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    """Its report has no duration, and is none of a test's."""
    (tmp_path / "test_broken.py").write_text("import nothing_of_that_name\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.summary", "-p", "no:cacheprovider"]
    root = Path(summary.__file__).parent.parent
    done = subprocess.run([*command, str(tmp_path)], cwd=root, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stderr
    assert "No module named 'nothing_of_that_name'" in done.stdout and "\ntotal" in done.stdout
