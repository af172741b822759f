# SPDX-License-Identifier: Apache-2.0
"""The last run in a flow's folder: whether it still runs, in which stage, and with which overrides.

A run holds a lock on a file of the folder for as long as its process lives, and writes ``run.json`` when it
begins, at each stage, and when it ends. A run that was killed holds no lock, and its record has no end.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.interruption import at_interruption
from zynq_lstm.models.store import FLOW_LOCK, write_json

RECORD = "run.json"
FINISHED, INTERRUPTED, FAILED = "finished", "interrupted", "failed"
_ATTEMPTS = 20  # to get the lock, which a 'status' holds for a moment


@dataclass(frozen=True)
class LastRun:
    """The record that a run writes of itself."""

    process: int
    since: str
    changes: tuple[str, ...] = ()  # its --set options
    stage: str | None = None  # the last stage that it began
    stage_since: str | None = None
    outcome: str | None = None  # how it ended; None while it runs, or if it was killed
    ended: str | None = None

    def told(self, running: bool) -> str:
        """Return one line about the run, for the user."""
        where = f" in stage {self.stage}" if self.stage else ""
        if running:
            stage = f": stage {self.stage}, since {self.stage_since}" if self.stage else ""
            return f"running since {self.since} as process {self.process}{stage}"
        if self.outcome is None:
            return (
                f"the last run (process {self.process}, since {self.since}) was killed{where}; "
                "the same command continues from there"
            )
        if self.outcome == FINISHED:
            return f"the last run finished at {self.ended}"
        return f"the last run {self._was} at {self.ended}{where}; the same command continues from there"

    @property
    def _was(self) -> str:
        return "was interrupted" if self.outcome == INTERRUPTED else "failed"


class Recorder:
    """Writes the record of the run that holds the lock."""

    def __init__(self, folder: Path, changes: tuple[str, ...]) -> None:
        self._path = folder / RECORD
        self._write(LastRun(os.getpid(), _now(), changes))

    def begin(self, stage: str) -> None:
        """Record that a stage begins."""
        self._write(replace(self._run, stage=stage, stage_since=_now()))

    def end(self, outcome: str) -> None:
        self._write(replace(self._run, outcome=outcome, ended=_now()))

    def _write(self, run: LastRun) -> None:
        self._run = run
        write_json(self._path, asdict(run))


@contextlib.contextmanager
def only_run(folder: Path, changes: tuple[str, ...]) -> Iterator[Recorder]:
    """Keep other runs out of a flow's folder, and record this one.

    Raises:
        UserError: if another run works in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FLOW_LOCK).open("a") as lock:
        for attempt in range(_ATTEMPTS):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if attempt + 1 == _ATTEMPTS:
                    raise UserError(
                        f"{folder}: another 'zynq-lstm run' is working there{_of(folder)}"
                    ) from None
                time.sleep(0.02)
        recorder = Recorder(folder, changes)
        try:
            with at_interruption(lambda: recorder.end(INTERRUPTED)):
                yield recorder
        except KeyboardInterrupt:
            recorder.end(INTERRUPTED)
            raise
        except BaseException:
            recorder.end(FAILED)
            raise
        recorder.end(FINISHED)


def _of(folder: Path) -> str:
    last = read(folder)
    return f" (process {last.process}, since {last.since}); wait for it, or give another name" if last else ""


def read(folder: Path) -> LastRun | None:
    """Return the last run in a folder; None if there was none."""
    try:
        data = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return LastRun(**{**data, "changes": tuple(data["changes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_running(folder: Path) -> bool:
    """Return True if a run holds the lock now."""
    try:
        with (folder / FLOW_LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _now() -> str:
    return datetime.now().isoformat(" ", "seconds")
