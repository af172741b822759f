# SPDX-License-Identifier: Apache-2.0
"""The records that are shipped: of how networks were trained, and of long measurements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import models
from models.errors import UserError

FOLDER = Path(models.__file__).parent


def training_records() -> list[dict[str, Any]]:
    """How the shipped networks, and some that aren't, were trained."""
    found = sorted((FOLDER / "checkpoints").glob("*.json"))
    return [read_training_record(path) for path in found]


def read_training_record(path: Path) -> dict[str, Any]:
    """What ``zynq-lstm train`` wrote beside a network."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def load_record(kind: str, path: Path | None = None) -> dict[str, Any]:
    """A measurement's record: the shipped one, or one that the verb ``kind`` wrote to ``path``.

    Raises:
        UserError: the file is missing, or holds something else.
    """
    path = path or FOLDER / "measured" / f"{kind}.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; make it with 'zynq-lstm {kind} --measure --json'") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON, or truncated") from None
    if not isinstance(record, dict) or record.get("kind") != kind:
        raise UserError(f"{path}: is no record of 'zynq-lstm {kind}'")
    return record
