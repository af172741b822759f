# SPDX-License-Identifier: Apache-2.0
"""Runs of the flow that run, were killed, or had other values than the file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tests.situations import Situation
from zynq_lstm.models.store import FLOW_LOCK
from zynq_lstm.scripts.flow.last_run import RECORD, Recorder, only_run

_held = contextlib.ExitStack()  # locks of runs that seem to be running, until the tests end


def _flow(folder: Path) -> Path:
    """Write a configuration, and return the folder of its results."""
    (folder / "text.txt").write_text("to be or not to be\n" * 4000)
    (folder / "flow.toml").write_text('[corpus]\nfile = "text.txt"\n')
    results = folder / "build" / "flow"
    results.mkdir(parents=True)
    (results / FLOW_LOCK).touch()
    return results


def _killed(folder: Path) -> None:
    Recorder(_flow(folder), ()).begin("train")


def _finished_with_overrides(folder: Path) -> None:
    Recorder(_flow(folder), ("model.units=64", "verification.characters=32")).end("finished")


def _running(folder: Path) -> None:
    _held.enter_context(only_run(_flow(folder), ())).begin("train")


def _still_running(folder: Path) -> None:
    assert f'"process": {os.getpid()}' in (folder / "build" / "flow" / RECORD).read_text()


SITUATIONS = {
    "status before any run": Situation("status", r"^flow  flow.toml -> build/flow", 0, _flow),
    "status while a run runs": Situation(
        "status",
        rf"^running since \d+-\d+-\d+ \d+:\d+:\d+ as process {os.getpid()}: stage train, since \d+",
        0,
        _running,
    ),
    "a run where another one runs": Situation(
        "run --until corpus",
        r"build/flow: another 'zynq-lstm run' is working there \(process \d+, since .*\); wait for it",
        prepare=_running,
        check=_still_running,
    ),
    "status after a run was killed": Situation(
        "status",
        r"^the last run \(process \d+, since .*\) was killed in stage train; the same command continues",
        0,
        _killed,
    ),
    "status after a run with other values than the file's": Situation(
        "status",
        r"--set model.units=64 \(flow.toml says 128\)\n"
        r"--set verification.characters=32 \(flow.toml says 2048\)\n",
        0,
        _finished_with_overrides,
    ),
    "status with values of its own": Situation(
        "status --set model.units=65",
        r"--set model.units=65 \(flow.toml says 128\)\nflow  ",
        0,
        _finished_with_overrides,
    ),
    "a run that does not repeat the last one's --set": Situation(
        "run -n --set model.units=64",
        r"^note: the last run had --set verification.characters=32; this one takes the value of flow.toml\n",
        0,
        _finished_with_overrides,
    ),
    "a run that repeats them all": Situation(
        "run -n --set model.units=64 --set verification.characters=32",
        "^┏",
        0,
        _finished_with_overrides,
    ),
}
