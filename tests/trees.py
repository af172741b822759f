# SPDX-License-Identifier: Apache-2.0
"""Trees of processes: the processor time that they have used, and whether they are still active.

Limits are of progress, not of seconds: on a machine that is ten times slower, everything takes ten times
longer, but a process that hangs still consumes nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

PROC = Path("/proc")
VARIABLE = "ZYNQ_LSTM_TEST_TREE"  # marks a tree: its processes inherit it
IDLE_LOOKS = 100  # consecutive looks at which no process of a tree runs or waits for a disk
LOOK_SECONDS = 0.1
TICKS = os.sysconf("SC_CLK_TCK")


def tree(mark: str, watched: int | None = None) -> set[int]:
    """Return the processes with a mark in their environment, and the watcher of a process."""
    found = set()
    watcher = f"\0{watched}-".encode()
    for name in os.listdir(PROC):  # noqa: PTH208
        if name.isdecimal() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                environment = (PROC / name / "environ").read_bytes().split(b"\0")
                command = (PROC / name / "cmdline").read_bytes()
                if f"{VARIABLE}={mark}".encode() in environment or (
                    watched and b"processes.py\0" in command and watcher in command
                ):
                    found.add(int(name))
    return found


def consumed(processes: set[int]) -> float:
    """Return the processor time, in seconds, of processes and of their ended children."""
    ticks = 0
    for process in processes:
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(PROC / str(process))[11:15]))
    return ticks / TICKS


def active(processes: set[int]) -> bool:
    """Return True if a thread of the processes runs, is ready to run, or waits for a disk."""
    for process in processes:
        with contextlib.suppress(OSError):
            if any(_stat(task)[0] in "RD" for task in (PROC / str(process) / "task").iterdir()):
                return True
    return False


def wait_until_gone(mark: str, watched: int | None = None) -> set[int]:
    """Wait for the processes of a tree to end; return those that are idle and have not ended."""
    idle, before = 0, 0.0
    while idle < IDLE_LOOKS and (left := tree(mark, watched)):
        now = consumed(left)
        idle = 0 if active(left) or now != before else idle + 1
        before = now
        time.sleep(LOOK_SECONDS)
    return tree(mark, watched)


def _stat(folder: Path) -> list[str]:
    """Return the fields of a stat file, from the state on."""
    return (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
