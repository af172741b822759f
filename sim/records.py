# SPDX-License-Identifier: Apache-2.0
"""Records of what verification found: a JSON file a kind, with date, commit and seed.

A record's file is named after its kind; the last ones are shipped, for ``zynq-lstm figures verification``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from models.errors import UserError
from models.store import read_record

FOLDER = Path(__file__).parent / "measured"
RANDOM_NETWORKS, MUTANTS, LONGEST_RUN = "random networks", "mutants", "longest run"
COVERAGE, BAD_INPUTS = "coverage", "bad inputs"
SITUATIONS = "situations"

#: Figure -> kind of record, the part of it that has them ("": the record itself), their names there.
FIGURES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "random_networks": (RANDOM_NETWORKS, "", ("tried", "mismatches")),
    "mutants": (MUTANTS, "", ("made", "equivalent", "killed")),
    "coverage_bins": (COVERAGE, "bins", ("planned", "hit")),
    "code_coverage": (COVERAGE, "code", ("line", "toggle")),
    "longest_run": (LONGEST_RUN, "", ("characters", "mismatches")),
    "bad_inputs": (BAD_INPUTS, "", ("tried", "answered")),
}


def new(kind: str, seed: int | None = None, **found: Any) -> dict[str, Any]:
    """A record of today, and of the sources that run."""
    stamp = {"kind": kind, "date": datetime.now(timezone.utc).date().isoformat(), "commit": commit()}
    return stamp | ({} if seed is None else {"seed": seed}) | found


def longest_run(report: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Record of a long run, from the bench's report."""
    counts = {name: report[name] for name in ("characters", "values", "mismatches")}
    return new(LONGEST_RUN, seed, **counts, seconds=round(report["seconds"]))


def path(kind: str, folder: Path = FOLDER) -> Path:
    """Where the record of a kind is."""
    return folder / f"{kind.replace(' ', '_')}.json"


def read(kind: str, folder: Path = FOLDER) -> dict[str, Any] | None:
    """The record of a kind; None if there is none.

    Raises:
        UserError: if the file holds something else.
    """
    try:
        return read_record(path(kind, folder), kind, kind)
    except FileNotFoundError:
        return None


def figures(folder: Path = FOLDER) -> dict[str, dict[str, Any] | None]:
    """:data:`FIGURES` with date and commit, None where there is no record.

    Raises:
        UserError: if a record lacks one of its figures.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for name, (kind, part, fields) in FIGURES.items():
        record = read(kind, folder)
        if record is None:
            found[name] = None
            continue
        try:
            values = {field: (record[part] if part else record)[field] for field in fields}
            found[name] = values | {"date": record["date"], "commit": record["commit"]}
        except (KeyError, TypeError) as error:
            raise UserError(f"{path(kind, folder)}: {name} is missing or incomplete: {error}") from None
    return found


def rows(folder: Path = FOLDER) -> list[tuple[str, str, str, str]]:
    """The same as text: figure, what was found, date, commit.

    Raises:
        UserError: as :func:`figures`.
    """
    found = []
    for name, row in figures(folder).items():
        told = "not measured"
        if row is not None:
            told = ", ".join(f"{key} {row[key]:,}" for key in FIGURES[name][2])
        stamp = (row["date"], row["commit"] or "") if row else ("", "")
        found.append((name.replace("_", " "), told, *stamp))
    return found


def markdown() -> str:
    """The table of the docs."""
    lines = ["| figure | found | date | commit |", "|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows())]) + "\n"


def commit() -> str | None:
    """The commit of the sources that run, with a + if they were changed since; None outside a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:  # no git
        return None
    return done.stdout.strip() or None
