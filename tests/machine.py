# SPDX-License-Identifier: Apache-2.0
"""What tests ask of the machine that they run on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import scripts
from sim.simulator import SIMULATORS, available
from tests.skips import ICARUS

needs_icarus = pytest.mark.skipif(not available("icarus"), reason=ICARUS)


def on_simulators() -> list[object]:
    """Every simulator, as parameters of a test; those that are not here are skipped."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(name == "icarus" and not available(name), reason=ICARUS))
        for name in SIMULATORS
    ]


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, where the packages can be imported."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(scripts.__file__).parent.parent,
    )
