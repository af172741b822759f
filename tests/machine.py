# SPDX-License-Identifier: Apache-2.0
"""What tests ask of the machine that they run on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import scripts

needs_icarus = pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not installed")


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, where the packages can be imported."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(scripts.__file__).parent.parent,
    )
