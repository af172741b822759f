# SPDX-License-Identifier: Apache-2.0
"""Runs Vivado and Vitis HLS, if they are installed on this machine."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from zynq_lstm.models import processes
from zynq_lstm.models.errors import UserError, first_error

#: A line that reports an error; a line that only mentions errors does not match.
ERROR_LINE = re.compile(r"^(CRITICAL )?ERROR\b|^@E ")

#: Programs that start each tool, with their options before the script. The first installed one is used.
PROGRAMS = {
    "vivado": (("vivado", "-mode", "batch", "-nojournal", "-nolog", "-source"),),
    # vitis-run since 2025.1, which no longer has vitis_hls.
    "vitis-hls": (("vitis_hls", "-f"), ("vitis-run", "--mode", "hls", "--tcl")),
}


def command_line(program: Sequence[str], script: Path) -> str:
    """Return the command line that a person types to run a script."""
    return shlex.join([*program, str(script)])


def run(tool: str, script: Path) -> Path:
    """Run a tool on a script, in the script's folder, and return the tool's log.

    Raises:
        UserError: if the tool is not installed, with the alternatives; or if it fails, with its first error.
    """
    there = [command for command in PROGRAMS[tool] if shutil.which(command[0])]
    if not there:
        names = " or ".join(program for program, *_ in PROGRAMS[tool])
        typed = command_line(PROGRAMS[tool][0], script)
        raise UserError(
            f"{names} is not on the PATH; source settings64.sh of its installation, or take the project, "
            f"which is complete, to a machine that has it: {typed}; or use --tool yosys, which is installed "
            "with zynq-lstm"
        )
    program, *options = there[0]
    log = script.parent / f"{tool}.log"
    with log.open("w", encoding="utf-8") as output:
        done = processes.run([program, *options, script.name], cwd=script.parent, output=output)
    if done.returncode:
        raise UserError(f"{program} failed: {first_error(log, error=ERROR_LINE)}; see {log}")
    return log
