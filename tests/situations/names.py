# SPDX-License-Identifier: Apache-2.0
"""Options by their old names, which still work and tell the new names."""

from __future__ import annotations

import json
from pathlib import Path

from tests.prepared import text, written
from tests.situations import Situation
from tests.situations.files import made
from tests.situations.texts import PLAIN


def _clock(folder: Path) -> None:
    """Check that a clock of 4 ns became one of 250 MHz."""
    assert "4.000" in (folder / "p" / "settings.tcl").read_text(encoding="utf-8")


def _note(old: str, new: str) -> str:
    return rf"note: {old} is now {new}; the old name still works"


SITUATIONS = {
    "estimate --network": Situation(
        "estimate --network net.safetensors --json x.json",
        _note("--network", "--checkpoint"),
        0,
        made(),
        lambda folder: json.loads((folder / "x.json").read_text(encoding="utf-8")) and None,
    ),
    "schedule --network": Situation(
        "schedule --network=net.safetensors", _note("--network", "--checkpoint"), 0, made()
    ),
    "schedule --output": Situation(
        "schedule --output x.svg",
        _note("--output", "--plot"),
        0,
        None,
        written("x.svg"),
    ),
    "corpus --corpus-file": Situation(
        "corpus --corpus-file a.txt --write b.txt",
        rf"{_note('--corpus-file', '--text-file')}\n.*{_note('--write', '--output')}",
        0,
        text(PLAIN),
        written("b.txt"),
    ),
    "import-keras --text": Situation(
        "import-keras nothere --text a.txt -o x", _note("--text", "--text-file")
    ),
    "demo --float": Situation(
        "demo --float nothere",
        rf"{_note('--float', '--float-checkpoint')}\n.*--float-checkpoint nothere: no such file",
    ),
    "sample --characters": Situation("sample --characters 3 --prime I", _note("--characters", "--length"), 0),
    "convert --clock-period": Situation(
        "convert --clock-period nan",
        r"note: --clock-period is now --clock, in MHz; .*\n.*'--clock': nan is not",
    ),
    "hls-project --clock-period": Situation(
        "hls-project --checkpoint net.safetensors --clock-period 4 --output p",
        r"note: --clock-period is now --clock, in MHz",
        0,
        made(),
        _clock,
    ),
    "a value that is an old name": Situation(
        "simulate --text --network --characters 0", r"error: Invalid value for '--characters': 0"
    ),
    "an old name without its value": Situation(
        "estimate --network", r"Option '--checkpoint' requires an argument"
    ),
}
