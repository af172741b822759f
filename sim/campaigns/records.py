# SPDX-License-Identifier: Apache-2.0
"""Records of measurements: one JSON file per kind, with date, commit, seed and a hash of the sources.

A record's file is named after its kind. The latest records are shipped, for ``zynq-lstm figures
verification`` and ``robustness``. A record is stale if the sources that it was made with have changed since.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from zynq_lstm import sim
from zynq_lstm.models import processes
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.store import read_record
from zynq_lstm.sim.campaigns import sources

FOLDER = Path(sim.__file__).parent / "measured"
_HERE = Path(__file__).parent
RANDOM_NETWORKS, MUTANTS, LONGEST_RUN = "random networks", "mutants", "longest run"
COVERAGE, BAD_INPUTS = "coverage", "bad inputs"
CELLS, REFERENCE_SPEED = "cells", "reference speed"
SITUATIONS, ODD_PATHS, SPECS = "situations", "odd paths", "specs"
INTERRUPTIONS, SKIPPED, PEERS = "interruptions", "skipped tests", "peers"


@dataclass(frozen=True)
class Figure:
    """A figure of a record.

    Args:
        kind: kind of the record.
        part: name of the record's part that has the values; "" for the record itself.
        fields: names of the values there.
        number: name of the first value in the JSON, if that alone is wanted there.
    """

    kind: str
    part: str
    fields: tuple[str, ...]
    number: str = ""


VERIFICATION: Mapping[str, Figure] = {
    "random_networks": Figure(RANDOM_NETWORKS, "", ("tried", "mismatches")),
    "mutants": Figure(MUTANTS, "", ("made", "equivalent", "killed")),
    "coverage_bins": Figure(COVERAGE, "bins", ("planned", "hit")),
    "code_coverage": Figure(COVERAGE, "code", ("line", "toggle")),
    "longest_run": Figure(LONGEST_RUN, "", ("characters", "mismatches")),
    "bad_inputs": Figure(BAD_INPUTS, "", ("tried", "answered")),
}
ROBUSTNESS: Mapping[str, Figure] = {
    "cases": Figure(SITUATIONS, "cases", ("tried", "right")),
    "situations": Figure(SITUATIONS, "situations", ("tried", "right")),
    "odd_paths": Figure(ODD_PATHS, "", ("tried", "passed")),
    "specs": Figure(SPECS, "", ("checked", "disagreements"), number="specs_checked"),
    "interruptions": Figure(INTERRUPTIONS, "", ("tried", "hung", "orphans")),
    "skipped_tests": Figure(SKIPPED, "", ("count", "tests"), number="skipped_tests"),
}
_ENGINES = ("zynq_lstm.sim.engines.*",)  # whose registry imports them by name
_COMMAND = ("zynq_lstm.scripts.*", "zynq_lstm.scripts.verbs.*", "zynq_lstm.scripts.flow.*", *_ENGINES)
#: Kind of record -> the modules that were measured, or that measured, and further files that count.
MEASURED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    RANDOM_NETWORKS: (("zynq_lstm.sim.campaigns.random_networks", *_ENGINES), ()),
    MUTANTS: (("zynq_lstm.sim.campaigns.mutants",), ()),
    COVERAGE: (("zynq_lstm.sim.campaigns.coverage",), ()),
    CELLS: (("zynq_lstm.sim.campaigns.every_cell", *_ENGINES), ()),
    REFERENCE_SPEED: (("zynq_lstm.sim.engines.reference",), ()),
    LONGEST_RUN: (("tests.hls.test_long_run",), ("models/checkpoints/shakespeare-w8a8.safetensors",)),
    BAD_INPUTS: (("tests.test_bad_inputs", *_COMMAND), ()),
    SITUATIONS: (("tests.test_situations", "tests.situations.*", *_COMMAND), ()),
    ODD_PATHS: (("tests.test_odd_paths", *_COMMAND, "zynq_lstm.scripts.setup.*"), ("Makefile",)),
    SPECS: (("tests.hls.test_limits",), ()),
    INTERRUPTIONS: (("tests.test_interruptions", *_COMMAND), ()),
    PEERS: (("zynq_lstm.sim.campaigns.peers",), ()),
    SKIPPED: (("tests.*", "tests.hls.*", "tests.models.*", "tests.sim.*"), ()),
}


def new(kind: str, seed: int | None = None, **found: Any) -> dict[str, Any]:
    """Return a new record with today's date, the commit, and the hash of the sources that run."""
    stamp = {"kind": kind, "date": datetime.now(timezone.utc).date().isoformat(), "commit": commit()}
    stamp |= {"sources": digest(kind)} if kind in MEASURED else {}
    return stamp | ({} if seed is None else {"seed": seed}) | found


@functools.cache
def digest(kind: str) -> str | None:
    """Return the hash of the sources that a kind of record depends on; None where some are not installed."""
    modules, files = MEASURED[kind]
    try:
        return sources.digest(modules, files)
    except (ModuleNotFoundError, FileNotFoundError):  # tests are not part of an installed package
        return None


def stale(record: Mapping[str, Any]) -> bool:
    """Return True if the sources that a record was made with have changed since."""
    now = digest(record["kind"])
    return now is not None and record.get("sources") != now


def longest_run(report: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return the record of a long run, from the bench's report."""
    counts = {name: report[name] for name in ("characters", "values", "mismatches")}
    return new(LONGEST_RUN, seed, **counts, seconds=round(report["seconds"]))


def path(kind: str, folder: Path = FOLDER) -> Path:
    """Return the path of a kind of record."""
    return folder / f"{kind.replace(' ', '_')}.json"


def read(kind: str, folder: Path = FOLDER) -> dict[str, Any] | None:
    """Return the record of a kind; None if there is none.

    Raises:
        UserError: if the file has other content.
    """
    try:
        return read_record(path(kind, folder), kind, kind)
    except FileNotFoundError:
        return None


def figures(wanted: Mapping[str, Figure], folder: Path = FOLDER) -> dict[str, dict[str, Any] | None]:
    """Return figures with date, commit and whether they are stale; None for a figure without a record.

    Raises:
        UserError: if a record lacks one of its figures.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for name, figure in wanted.items():
        record = read(figure.kind, folder)
        if record is None:
            found[name] = None
            continue
        try:
            part = record[figure.part] if figure.part else record
            values = {field: part[field] for field in figure.fields}
            stamp = {"date": record["date"], "commit": record["commit"], "stale": stale(record)}
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{path(figure.kind, folder)}: {name} is missing or incomplete: {error}"
            ) from None
        found[name] = values | stamp
    return found


def as_json(wanted: Mapping[str, Figure], folder: Path = FOLDER) -> dict[str, Any]:
    """Return figures for a JSON file, where a figure with a ``number`` is that number alone.

    Raises:
        UserError: as :func:`figures`.
    """
    found: dict[str, Any] = dict(figures(wanted, folder))
    for name, figure in wanted.items():
        if figure.number:
            row = found.pop(name)
            found[figure.number] = row and row[figure.fields[0]]
    return found


def rows(wanted: Mapping[str, Figure], folder: Path = FOLDER) -> list[tuple[str, str, str, str]]:
    """Return figures as text: figure, values found, date, commit.

    Raises:
        UserError: as :func:`figures`.
    """
    found = []
    for name, row in figures(wanted, folder).items():
        told = "not measured"
        if row is not None:
            told = ", ".join(f"{key} {row[key]:,}" for key in wanted[name].fields)
        stamp = (row["date"], row["commit"] or "") if row else ("", "")
        found.append((name.replace("_", " "), told, *stamp))
    return found


def markdown(wanted: Mapping[str, Figure] = VERIFICATION) -> str:
    """Return the table for the docs."""
    lines = ["| figure | found | date | commit |", "|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows(wanted))]) + "\n"


def commit(folder: Path = _HERE) -> str | None:
    """Return the commit of a folder, with a + if its files have changed; None outside a repository.

    Args:
        folder: that of the sources that run, if not given.
    """
    try:
        done = processes.run(
            ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
            cwd=folder,
        )
    except FileNotFoundError:  # no git
        return None
    return done.stdout.strip() or None
