# SPDX-License-Identifier: Apache-2.0
"""Records of measurements, and ``zynq-lstm figures verification`` and ``robustness``, which read them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from zynq_lstm.models.store import write_json
from zynq_lstm.scripts.main import main
from zynq_lstm.sim.campaigns import records

FOUND = {
    records.RANDOM_NETWORKS: {"tried": 200, "mismatches": 0},
    records.MUTANTS: {"made": 400, "equivalent": 7, "killed": 393, "survivors": []},
    records.COVERAGE: {
        "bins": {"planned": 9, "hit": 8, "missed": ["x"]},
        "code": {"line": 98.5, "toggle": 95},
    },
    records.LONGEST_RUN: {"characters": 100_000, "mismatches": 0},
    records.BAD_INPUTS: {"tried": 60, "answered": 60},
    records.SITUATIONS: {"cases": {"tried": 9, "right": 8}, "situations": {"tried": 41, "right": 41}},
    records.ODD_PATHS: {"tried": 32, "passed": 32},
    records.SPECS: {"checked": 500, "disagreements": 0},
    records.INTERRUPTIONS: {"tried": 200, "hung": 0, "orphans": 0},
    records.SKIPPED: {"count": 2, "tests": 1900, "reasons": {}},
}
STAMP = {"date", "commit", "stale"}


def write_all(folder: Path) -> None:
    for kind, found in FOUND.items():
        write_json(records.path(kind, folder), records.new(kind, 7, **found))


def test_verb_prints_and_writes_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_all(tmp_path)
    path = tmp_path.with_suffix(".json")  # not among the records, which are read
    assert main(["figures", "verification", "--records", str(tmp_path), "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    for row in figures.values():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row.pop("date")) and row.pop("stale") is False
        del row["commit"]
    assert figures == {
        "random_networks": {"tried": 200, "mismatches": 0},
        "mutants": {"made": 400, "equivalent": 7, "killed": 393},
        "coverage_bins": {"planned": 9, "hit": 8},
        "code_coverage": {"line": 98.5, "toggle": 95},
        "longest_run": {"characters": 100_000, "mismatches": 0},
        "bad_inputs": {"tried": 60, "answered": 60},
    }
    out = capsys.readouterr().out
    assert "characters 100,000" in out and "not measured" not in out


def test_robustness_in_its_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_all(tmp_path)
    path = tmp_path.with_suffix(".json")  # not among the records, which are read
    assert main(["figures", "robustness", "--records", str(tmp_path), "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    parts = {
        name: {k: v for k, v in row.items() if k not in STAMP} for name, row in list(figures.items())[:4]
    }
    assert parts | dict(list(figures.items())[4:]) == {
        "cases": {"tried": 9, "right": 8},
        "situations": {"tried": 41, "right": 41},
        "odd_paths": {"tried": 32, "passed": 32},
        "interruptions": {"tried": 200, "hung": 0, "orphans": 0},
        "specs_checked": 500,
        "skipped_tests": 2,
    }
    assert "checked 500, disagreements 0" in capsys.readouterr().out


@pytest.mark.parametrize("hash_of_then", ["0" * 64, None])
def test_stale_record_is_called_so(
    hash_of_then: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record is stale if it is of other sources, or if it has no hash of them."""
    write_all(tmp_path)
    record = records.new(records.MUTANTS, **FOUND[records.MUTANTS]) | {"sources": hash_of_then}
    write_json(records.path(records.MUTANTS, tmp_path), record)
    path = tmp_path.with_suffix(".json")  # not among the records, which are read
    assert main(["figures", "verification", "--records", str(tmp_path), "--json", str(path)]) == 1
    assert {n for n, row in json.loads(path.read_text()).items() if row["stale"]} == {"mutants"}
    said = capsys.readouterr()
    assert said.out.count("stale") == 1
    assert said.err == "stale, since their sources have changed: mutants; run make nightly\n"


def test_what_is_not_there_is_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path.with_suffix(".json")  # not among the records, which are read
    write_json(
        records.path(records.MUTANTS, tmp_path), records.new(records.MUTANTS, **FOUND[records.MUTANTS])
    )
    assert main(["figures", "verification", "--records", str(tmp_path), "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert list(figures) == list(records.VERIFICATION)
    assert [name for name, row in figures.items() if row] == ["mutants"]
    assert capsys.readouterr().out.count("not measured") == 5


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "not JSON, or truncated"),
        ("[]", "is not a record of mutants"),
        ('{"kind": "coverage"}', "is not a record of mutants"),
        ('{"kind": "mutants", "made": 1}', "mutants is missing or incomplete: 'equivalent'"),
    ],
)
def test_something_else_is_refused(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mutants.json").write_text(content)
    assert main(["figures", "verification", "--records", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("wanted", [records.VERIFICATION, records.ROBUSTNESS])
def test_shipped_records_are_whole(wanted: Mapping[str, records.Figure]) -> None:
    for name, row in records.figures(wanted).items():
        assert row is None or set(row) == {*wanted[name].fields, *STAMP}


@pytest.mark.parametrize("wanted", [records.VERIFICATION, records.ROBUSTNESS])
def test_docs_have_the_shipped_figures(wanted: Mapping[str, records.Figure]) -> None:
    page = Path(__file__).parents[2] / "docs" / "verification.md"
    assert records.markdown(wanted) in page.read_text(encoding="utf-8"), "run make docs"


def test_no_seed_no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record without a seed says so, and a record can be made without git."""

    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr("zynq_lstm.models.processes.run", missing)
    record = records.new(records.BAD_INPUTS, tried=1)
    assert record["commit"] is None and "seed" not in record
