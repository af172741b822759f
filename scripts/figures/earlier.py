# SPDX-License-Identifier: Apache-2.0
"""The reference's speed against that of an earlier version of the project, in one run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from zynq_lstm.models import processes
from zynq_lstm.models.errors import UserError
from zynq_lstm.sim.campaigns import records

TURNS = 5
CHARACTERS = 5000


def reference_speed(earlier: Path, folder: Path) -> dict[str, Any]:
    """Return the record of the reference's speed on the shipped LSTM, as a multiple of an earlier version's.

    The two versions take turns, and the fastest run of each counts: other programs only make a run slower.

    Args:
        earlier: checkout of the earlier version, after ``make venv`` in it.
        folder: folder to write in.

    Raises:
        UserError: if the checkout has no virtual environment, or its benchmark fails.
    """
    program = earlier / ".venv" / "bin" / "zynq-lstm"
    if not program.is_file():
        raise UserError(f"{earlier}: there is no .venv/bin/zynq-lstm; run 'make venv' there")
    folder.mkdir(parents=True, exist_ok=True)
    programs = {"this": [sys.executable, "-m", "zynq_lstm.scripts"], "earlier": [str(program.resolve())]}
    rates: dict[str, list[int]] = {name: [] for name in programs}
    for _ in range(TURNS):
        for name, command in programs.items():
            rates[name].append(_rate(command, folder / name))
    ratio = max(rates["this"]) / max(rates["earlier"])
    return records.new(records.REFERENCE_SPEED, ratio=ratio, earlier=records.commit(earlier))


def _rate(program: list[str], folder: Path) -> int:
    """Return characters per second of the reference, as the verb ``benchmark`` measures them."""
    figures = folder.with_suffix(".json")
    options = ["--engine", "reference", "--characters", str(CHARACTERS), "--output", str(folder)]
    done = processes.run([*program, "benchmark", *options, "--json", str(figures), "--overwrite"])
    if done.returncode:
        told = done.stderr.strip().splitlines()
        raise UserError(f"{program[0]}: the benchmark fails: {told[-1] if told else done.returncode}")
    return int(json.loads(figures.read_text())["reference_chars_per_s"])
