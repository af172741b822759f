# SPDX-License-Identifier: Apache-2.0
"""What tests ask of the machine that they run on."""

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
    """Every simulator, as parameters of a test; those that are not here are skipped."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(name == "icarus" and not available(name), reason=ICARUS))
        for name in SIMULATORS
    ]


def verilator_lint(folder: Path, *arguments: str | Path) -> str:
    """What ``verilator --lint-only -Wall`` says of the sources in a project's folder; empty if nothing."""
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
    """Run Python code in a process of its own, where the packages can be imported."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(scripts.__file__).parent.parent,
    )
