# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests that depend on the programs of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import ICARUS
from zynq_lstm import scripts
from zynq_lstm.sim.simulation.simulator import SIMULATORS, TOP, available
from zynq_lstm.sim.simulation.verilator import verilator_command, verilator_root

needs_icarus = pytest.mark.skipif(not available("icarus"), reason=ICARUS)


def on_simulators() -> list[object]:
    """Return all simulators as parameters of a test; a missing one is skipped."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(name == "icarus" and not available(name), reason=ICARUS))
        for name in SIMULATORS
    ]


def verilator_lint(folder: Path, *arguments: str | Path) -> str:
    """Return the messages of ``verilator --lint-only -Wall`` on a project's sources; empty if none."""
    root = verilator_root()
    done = subprocess.run(
        [
            *verilator_command(root),
            *("--lint-only", "-Wall", "--top-module", TOP, *arguments),
            *sorted(path.name for path in folder.glob("*.sv")),
        ],
        cwd=folder,
        env={**os.environ, "VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in its own process, where the packages can be imported."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(scripts.__file__).parent.parent,
    )
