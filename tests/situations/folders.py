# SPDX-License-Identifier: Apache-2.0
"""Working and output folders whose names have blanks, quotes, brackets, ``$``, ``#`` and other letters."""

from __future__ import annotations

import json
from pathlib import Path

from tests.prepared import checkpoint
from tests.situations import Situation

ODD = "a b'c $d #1 é"


def _estimated(folder: Path) -> None:
    assert json.loads((folder / 'q"[1]' / "e.json").read_text(encoding="utf-8"))


SITUATIONS = {
    # The text has '"', which a user's shell needs quoted.
    "simulation in a folder with a blank": Situation(
        "simulate --checkpoint net.safetensors --text '!\"#$'",
        r"^\d+ values of 4 characters equal to the reference's",
        code=0,
        prepare=checkpoint((2,)),
        folder=ODD,
        case=True,
    ),
    "doctor in a folder with a blank": Situation("doctor", "all that is needed is there", code=0, folder=ODD),
    "figures into a folder with quotes and brackets": Situation(
        "estimate --network net.safetensors --json 'q\"[1]/e.json'",
        "fits",
        code=0,
        prepare=checkpoint((2,)),
        check=_estimated,
        folder=ODD,
    ),
    "configuration in a folder with a blank": Situation(
        "run engine.toml --dry-run",
        "rtl",
        code=0,
        prepare=lambda folder: (folder / "engine.toml").write_text("[corpus]\n", encoding="utf-8"),
        folder=ODD,
    ),
    "output named like a folder that is not there": Situation(
        "corpus --corpus-file 'no such $folder/b.txt'", r"no such \$folder/b\.txt", folder=ODD
    ),
}
