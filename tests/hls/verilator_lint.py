# SPDX-License-Identifier: Apache-2.0
"""Verilator's lint, with all of its warnings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from hls.generate import TOP
from sim.simulator import verilator_root


def lint(project: Path, *options: str) -> tuple[int, str]:
    """Exit code and warnings for the SystemVerilog files of a folder."""
    root = verilator_root()
    done = subprocess.run(
        [
            root / "bin" / "verilator",
            *("--lint-only", "-Wall", "--top-module", TOP, *options),
            *sorted(path.name for path in project.glob("*.sv")),
        ],
        cwd=project,
        env={**os.environ, "VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr
