# SPDX-License-Identifier: Apache-2.0
"""Situations of reports, the ladder and the figures of training."""

from __future__ import annotations

from pathlib import Path

from tests.situations import Situation


def _old_record(folder: Path) -> None:
    (folder / "old.json").write_text('{"kind": "cells"}')


SITUATIONS = {
    "figures of training": Situation(
        "figures training", code=0, said=r"(?s)validation .*above .*test .*above .*-0\.0039"
    ),
    "ladder with noise": Situation("ladder", code=0, said=r"±0\.\d{4}"),
    "ladder of another kind of record": Situation(
        "ladder --record old.json",
        said="old.json: is not a record of 'zynq-lstm ladder'",
        prepare=_old_record,
    ),
}
