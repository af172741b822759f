# SPDX-License-Identifier: Apache-2.0
"""The coverage plan, its measurement, and the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from docs.tables import VERIFICATION, verification
from tests.networks import small_spec, with_weights
from tests.skips import needs_cocotb_coverage
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import generate
from zynq_lstm.models.errors import CheckError
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.scripts.verbs.cover import LINE_GOAL, TOGGLE_GOAL, command
from zynq_lstm.sim.bench.components import COVERAGE_FILE
from zynq_lstm.sim.campaigns import coverage_exclusions, records
from zynq_lstm.sim.campaigns.coverage import CodePoint, code_figures, designs, measure, merge_bins, merge_code
from zynq_lstm.sim.campaigns.coverage_exclusions import Exclusion
from zynq_lstm.sim.campaigns.coverage_plan import BINS, PLAN
from zynq_lstm.sim.campaigns.mutants import small_design
from zynq_lstm.sim.simulation.rtl import Rtl
from zynq_lstm.sim.simulation.simulator import QUICK

RECORD = records.path(records.COVERAGE)
VALUE_POINTS = ("saturation", "rounding", "tables", "accumulators", "sums")


def test_bins_are_unique_and_explained() -> None:
    assert len(set(BINS)) == len(BINS) > 200
    assert len({point.name for point in PLAN}) == len(PLAN)
    assert all(point.meaning and point.bins for point in PLAN)


def test_table_of_the_docs_is_the_plan() -> None:
    text = VERIFICATION.read_text(encoding="utf-8")
    assert verification(text) == text and f"{len(BINS)} bins" in text, "run make docs"


def test_record_is_of_this_plan() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    bins, code = record["bins"], record["code"]
    assert record["kind"] == "coverage" and record["commit"] and record["date"]
    assert (bins["planned"], bins["hit"]) == (len(BINS), len(BINS) - len(bins["missed"]))
    assert code["line"] >= LINE_GOAL and code["toggle"] >= TOGGLE_GOAL
    assert [entry["why"] for entry in code["excluded"]] == [
        entry.why for entry in coverage_exclusions.EXCLUSIONS
    ]


def value_bins(design: Design, codes: list[list[int]]) -> set[tuple[str, str]]:
    from zynq_lstm.sim.bench.coverage_values import Values

    network = design.network
    reference, values, found = Reference(network), Values(network), set()
    for sequence in codes:
        before, trace = reference.state, {}
        reference.run(sequence, trace)
        found |= values.bins(before, sequence, trace)
    return found


@needs_cocotb_coverage
@pytest.mark.parametrize("more", range(3))
def test_weights_take_every_accumulator_to_its_ends(seed: int, more: int) -> None:
    found = value_bins(designs(seed + more)["extremes"], [[0] * 60, [1] * 60])
    wanted = {b for b in BINS if b[0] in ("accumulators", "sums")} - {
        ("sums", "logits, lowest"),
        ("sums", "logits, highest"),
    }
    assert wanted <= found


@needs_cocotb_coverage
def test_value_bins_are_not_hit_by_anything(rng: np.random.Generator) -> None:
    """Ordinary weights and a short text reach no proven bound, and hardly any corner of a table."""
    network = with_weights(small_spec("w8a8", 11, (7, 10)), rng)
    found = value_bins(Design(network, Array(4, 2, 2, 2)), [[3]])
    assert not {b for b in found if b[0] in ("accumulators", "sums")}
    assert len(found) < len([b for b in BINS if b[0] in VALUE_POINTS]) / 2


def point(kind: str, what: str, hits: int, line: int = 3) -> str:
    fields = {"f": "FILE", "l": line, "n": 7, "t": kind, "page": f"v_{kind}/top", "o": what, "h": "top.a"}
    return "C '" + "".join(f"\x01{key}\x02{value}" for key, value in fields.items()) + f"' {hits}\n"


def test_code_points_are_merged_by_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "some.sv"
    source.write_text("a\nb\nc\n`ifdef ZYNQ_LSTM_TRACE\nd\n`endif\ne\n")
    first = point("toggle", "a[0]:0->1", 0) + point("toggle", "a[1]:0->1", 0) + point("branch", "if", 2)
    second = point("toggle", "a[0]:0->1", 3) + point("line", "block", 0, 5) + point("line", "block", 0, 7)
    files = []
    for k, (text, name) in enumerate(((first, str(source)), (second, source.name))):  # relative: of links
        files.append(tmp_path / f"{k}.dat")
        files[-1].write_text("# SystemC::Coverage-3\n" + text.replace("FILE", name))
    points = merge_code(dict.fromkeys(files, tmp_path))
    assert points == {
        CodePoint("toggle", "some.sv", 3, 7, "a[0]:0->1"): 3,
        CodePoint("toggle", "some.sv", 3, 7, "a[1]:0->1"): 0,
        CodePoint("line", "some.sv", 3, 7, "if"): 2,
        CodePoint("line", "some.sv", 7, 7, "block"): 0,
    }
    figures = code_figures(points)
    assert (figures["line"], figures["toggle"]) == (50, 50)
    assert figures["toggle_missed"] == ["some.sv:3 a[1]:0->1"]
    entry = Exclusion("toggle", "some.sv", r"a\[1\].*", "constant")
    monkeypatch.setattr("zynq_lstm.sim.campaigns.coverage.EXCLUSIONS", (entry,))
    figures = code_figures(points)
    assert figures["toggle"] == 100 and figures["excluded"][0]["points"] == 1


def test_every_exclusion_is_of_rtl_that_there_is() -> None:
    files = generate(small_design(1))
    for entry in coverage_exclusions.EXCLUSIONS:
        assert entry.file in files, entry
        assert entry.kind in ("line", "toggle"), entry
        assert len(entry.why) > 20, entry


@needs_cocotb_coverage
@pytest.mark.rtl
@pytest.mark.slow
def test_bench_counts_what_a_test_does(tmp_path: Path, seed: int) -> None:
    """On a small design, check bins that two tests must hit, and bins that they cannot hit."""
    network = with_weights(small_spec("w8a8", 3, (2, 1)), np.random.default_rng(seed), extreme=True)
    design = Design(network, Array(1, 1, 1, 1))
    rtl = Rtl.build(design, tmp_path, coverage=True)
    runs = [rtl.cover(test, seed) for test in ("every_transition", "error_bits")]
    hits = [merge_bins([run / COVERAGE_FILE], tmp_path / "merged.yml") for run in runs]
    assert all(hits[0][bin_] for bin_ in BINS if bin_[0] in ("mode", "mode transition"))
    assert not any(hits[0][bin_] for bin_ in BINS if bin_[0] in ("bad codes", "seed", "counters"))
    assert hits[1]["bad codes", "kept by 0"] and not hits[1]["mode transition", "score to score"]
    both = merge_bins([run / COVERAGE_FILE for run in runs], tmp_path / "merged.yml")
    assert both == {bin_: hits[0][bin_] + hits[1][bin_] for bin_ in BINS}


@needs_cocotb_coverage
@pytest.mark.rtl
@pytest.mark.nightly
@pytest.mark.timeout(36_000)
def test_plan_is_covered(
    tmp_path: Path, write_record: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measure as ``zynq-lstm cover`` does."""
    monkeypatch.delenv(QUICK)
    data = measure(designs(1), tmp_path, 1)
    write_record(data)
    assert set(data["bins"]["missed"]) <= set(
        json.loads(RECORD.read_text(encoding="utf-8"))["bins"]["missed"]
    )
    assert data["code"]["line"] >= LINE_GOAL and data["code"]["toggle"] >= TOGGLE_GOAL


@needs_cocotb_coverage
def test_verb_fails_below_its_goals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data: dict[str, Any] = {
        "bins": {"planned": 2, "hit": 1, "missed": ["reset: choice"]},
        "code": {
            "line": 99.0,
            "toggle": 96.0,
            "line_points": {"counted": 9},
            "toggle_points": {"counted": 9},
        },
    }
    monkeypatch.setattr("zynq_lstm.sim.campaigns.coverage.measure", lambda *_: data)
    done = CliRunner().invoke(command, ["--output", str(tmp_path)])
    assert isinstance(done.exception, CheckError) and "missed  reset: choice\n1 of 2 bins" in done.output
    data["bins"] = {"planned": 2, "hit": 2, "missed": []}
    assert CliRunner().invoke(command, ["--output", str(tmp_path)]).exit_code == 0
    assert json.loads((tmp_path / "coverage.json").read_text()) == data
    data["code"]["toggle"] = 94.9
    assert isinstance(CliRunner().invoke(command, ["--output", str(tmp_path)]).exception, CheckError)
