# SPDX-License-Identifier: Apache-2.0
"""The coverage plan, its measurement, and the record."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from docs.tables import VERIFICATION, verification
from tests.networks import small_spec, with_weights
from tests.skips import needs_python_3_11
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import generate
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import Sum
from zynq_lstm.models.description.formats import CellFormats
from zynq_lstm.models.description.spec import network_spec, with_formats
from zynq_lstm.models.errors import CheckError
from zynq_lstm.models.fixed import FixedFormat, Raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.scripts.verbs.cover import LINE_GOAL, TOGGLE_GOAL, command
from zynq_lstm.sim.bench.components import COVERAGE_FILE
from zynq_lstm.sim.campaigns import coverage_exclusions, records
from zynq_lstm.sim.campaigns.coverage import (
    OTHER_CELLS,
    CodePoint,
    code_figures,
    designs,
    measure,
    merge_bins,
    merge_code,
)
from zynq_lstm.sim.campaigns.coverage_cells import FORMATS, narrow_formats, possible
from zynq_lstm.sim.campaigns.coverage_exclusions import Exclusion
from zynq_lstm.sim.campaigns.coverage_plan import BINS, PLAN
from zynq_lstm.sim.simulation.rtl import Rtl
from zynq_lstm.sim.simulation.simulator import QUICK

RECORD = records.path(records.COVERAGE)


def test_bins_are_unique_and_explained() -> None:
    assert len(set(BINS)) == len(BINS) > 300
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


def value_bins(network: IntegerNetwork, codes: list[list[int]]) -> set[tuple[str, str]]:
    from zynq_lstm.sim.bench.coverage_values import Values

    reference, values, found = Reference(network), Values(network), set()
    for sequence in codes:
        before, trace = reference.state, {}
        reference.run(sequence, trace)
        found |= values.bins(before, sequence, trace)
    return found


@functools.cache
def some_designs(seed: int) -> dict[str, Design]:
    return designs(seed)


def bins_of(cell: str) -> set[tuple[str, str]]:
    return {b for b in BINS if b[1].startswith(f"{cell}:")}


@needs_python_3_11
@pytest.mark.parametrize("more", range(3))
def test_weights_take_every_accumulator_to_its_ends(seed: int, more: int) -> None:
    found = value_bins(designs(seed + more)["extremes"].network, [[0] * 60, [1] * 60])
    wanted = {b for b in BINS if b[0] in ("accumulators", "sums")} - {
        ("sums", "logits, lowest"),
        ("sums", "logits, highest"),
    }
    assert wanted <= found


@needs_python_3_11
def test_value_bins_are_not_hit_by_anything(rng: np.random.Generator) -> None:
    """Ordinary weights and a short text reach no proven bound, and hardly any corner of a table."""
    network = with_weights(small_spec("w8a8", 11, (7, 10)), rng)
    found = value_bins(network, [[3]])
    assert not {b for b in found if b[0] in ("accumulators", "sums")}
    assert len(found) < len(bins_of("lstm")) / 2


@needs_python_3_11
def test_formats_of_the_plan_are_those_of_the_designs(seed: int) -> None:
    """The plan leaves out what its formats exclude: a design with other formats might hit it."""
    used: dict[str, list[dict[str, FixedFormat]]] = {name: [] for name in catalogue.names()}
    for design in some_designs(seed).values():
        for layer in design.network.spec.layers:
            used[layer.cell].append(signal_formats(layer.formats))
    assert list(FORMATS) == list(used)
    for cell, formats in FORMATS.items():
        planned = [signal_formats(each) for each in formats]
        assert all(each in planned for each in used[cell]) and all(each in used[cell] for each in planned)


def test_designs_have_every_part_around_the_gates(seed: int) -> None:
    """A module that no design has would not count as missed."""
    texts = [generate(design)["network_gates.sv"] for design in some_designs(seed).values()]
    for part in ("gearbox", "lane_memory"):
        assert any(f"  {part} #(" in text for text in texts), part


def signal_formats(formats: CellFormats) -> dict[str, FixedFormat]:
    return {name: formats.format(name) for name in formats.signal_fields()}


@needs_python_3_11
@pytest.mark.parametrize("cell", OTHER_CELLS)
def test_designs_reach_every_bin_of_their_cell(cell: str) -> None:
    """Random text is enough: a bin missed in simulation is then a matter of its length."""
    network = some_designs(1)[cell].network
    codes = np.random.default_rng(1).integers(0, network.spec.vocabulary, (10, 30)).tolist()
    found = value_bins(network, codes)
    assert bins_of(cell) <= found <= set(BINS)


@needs_python_3_11
@pytest.mark.parametrize("cell", catalogue.names())
@pytest.mark.parametrize("preset", ["w8a8", "w4a8", "q8.8", "narrow"])
def test_exact_sums_are_those_of_the_reference(cell: str, preset: str, rng: np.random.Generator) -> None:
    """Rounded, they are the trace. No bin is hit that the formats exclude."""
    from zynq_lstm.sim.bench.coverage_values import Values, exact_sum

    narrow = preset == "narrow"
    spec = network_spec("w8a8" if narrow else preset, vocabulary=9, units=6, cell=cell)
    network = with_weights(with_formats(spec, narrow_formats(cell)) if narrow else spec, rng, extreme=True)
    reference, values = Reference(network), Values(network)
    for _ in range(2):
        before, codes = reference.state, rng.integers(0, 9, 12).tolist()
        trace: dict[str, Raw] = {}
        reference.run(codes, trace)
        for k, layer in enumerate(network.spec.layers):
            factors, _ = values.factors(k, before, codes, trace)
            for e in layer.formats.description.equations:
                fmt = layer.formats.format(e.format)
                if isinstance(e, Sum):
                    assert np.array_equal(fmt.requantize(*exact_sum(e.terms, factors)), factors[e.signal][0])
                else:
                    table = network.layer(k)[e.table]
                    assert np.array_equal(table[factors[e.index][0]], factors[e.signal][0])  # -1: the last
        found = {b for b in values.bins(before, codes, trace) if b[1].startswith(f"{cell}:")}
        assert found <= possible(network.spec.layers[0].formats)


def test_formats_exclude_bins() -> None:
    """No tie without a shift, no saturation where the exact sum stays within the format."""

    def excluded(cell: str, preset: str = "w8a8") -> set[str]:
        spec = network_spec(preset, vocabulary=2, cell=cell)
        kinds = possible(spec.layers[0].formats)
        return {f"{p} {n}" for p, n in bins_of(cell) if (p, n) not in kinds}

    assert excluded("rnn") == set()
    assert excluded("gru") == {"saturation gru: h, lowest"}  # c is as low as -1, and so is h
    assert {"rounding lstm: ct, tie, positive", "saturation lstm: h, highest"} <= excluded("lstm", "q8.8")
    assert not [name for _, name in BINS if name.startswith("gru_reset_before: s,") and "est" in name]


@needs_python_3_11
def test_hit_of_a_bin_that_is_not_planned_fails() -> None:
    from zynq_lstm.sim.bench.coverage import Coverage

    with pytest.raises(AssertionError, match="no bin saturation: gru_reset_before: s, lowest"):
        Coverage.hit(object.__new__(Coverage), "saturation", "gru_reset_before: s, lowest")


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
    files = {name for design in some_designs(1).values() for name in generate(design)}
    for entry in coverage_exclusions.EXCLUSIONS:
        assert entry.file in files, entry
        assert entry.kind in ("line", "toggle"), entry
        assert len(entry.why) > 20, entry


@needs_python_3_11
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


@needs_python_3_11
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


@needs_python_3_11
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
