# SPDX-License-Identifier: Apache-2.0
"""The cost model against synthesis and against itself; cycles against simulation are in test_rtl.py."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.networks import small_spec, with_weights
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import arrays_within, estimate, exceeded, fits, fitting_array
from zynq_lstm.hls.engine.feasibility import changes, fastest
from zynq_lstm.hls.engine.luts import ERROR
from zynq_lstm.hls.engine.memory import Rom, halves, row_bits
from zynq_lstm.hls.engine.schedule import busy_cycles
from zynq_lstm.hls.parts import parts
from zynq_lstm.hls.synthesis.yosys import count_blocks
from zynq_lstm.models.description.spec import network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.sim.simulation.rtl import write_project

# preset, vocabulary, units, array (None: the default of a Zynq-7020); the cells, if not all are LSTMs
SHAPES: dict[str, tuple[Any, ...]] = {
    "gru": ("w8a8", 7, (3,), Array(4, 2, 2, 4), "gru"),
    "gru_reset_before": ("w8a8", 7, (3,), Array(2, 2, 2, 2), "gru_reset_before"),
    "rnn": ("w8a8", 7, (3,), Array(2, 1, 2, 2), "rnn"),
    "peephole": ("w8a8", 7, (3,), Array(2, 2, 2, 2), "peephole"),
    "coupled": ("w8a8", 7, (3,), Array(2, 2, 2, 2), "coupled"),
    "two levels, wide formats": ("q8.8", 20, (10, 6), Array(3, 3, 1, 3), "gru_reset_before"),
    "mixed cells": ("w8a8", 30, (12, 8, 9), Array(4, 4, 2, 4), ("gru_reset_before", "rnn", "lstm")),
    "mixed cells on two gate pipelines": ("w4a8", 20, (12, 12), Array(4, 2, 2, 4, 2, 2), ("gru", "peephole")),
    "one unit a group": ("w8a8", 10, (9, 8), Array(1, 4, 2, 1)),
    "one lane": ("w8a8", 2, (8,), Array(1, 1, 1, 1, sums=1)),
    "two lanes": ("w8a8", 256, (8, 8, 8, 8), Array(1, 1, 2, 1, sums=2)),
    "single products": ("q8.8", 37, (8, 11, 9), Array(3, 3, 1, 2)),
    "few single products": ("q8.8", 7, (3, 4, 2), Array(2, 2, 1, 2)),
    "two gate pipelines": ("w4a8", 30, (12, 17), Array(6, 4, 2, 4, 4, 2)),
    "deep weights": ("w8a8", 19, (40, 24), Array(2, 2, 2, 2)),
    "four layers": ("w4a8", 256, (8, 16, 12, 10), Array(6, 4, 2, 6)),
    "odd depth": ("w8a8", 65, (50,), Array(7, 3, 2, 4)),
    "small default": ("w8a8", 41, (33, 20), None),
    "wide default": ("q8.8", 65, (64, 32), None),
    "narrow default": ("w4a8", 65, (64, 64), None),
    "one layer": ("w8a8", 96, (256,), None),
    "three layers": ("w8a8", 78, (96, 64, 80), None),
    "shipped": ("w8a8", 78, (128, 128), None),
    "shipped, narrow": ("w4a8", 78, (128, 128), None),
    "one layer of 512": ("w8a8", 2, (512,), Array(8, 4, 2, 8)),
    "sixteen lanes": ("w8a8", 78, (128, 128), Array(1, 4, 2, 1)),
    "shipped, one lane": ("w8a8", 78, (128, 128), Array(1, 1, 1, 1, sums=1)),
    "two gate pipelines, parity": ("w4a8", 30, (12, 17), Array(6, 4, 2, 4, 4, 2, parity=True)),
    "one lane, parity": ("w8a8", 2, (8,), Array(1, 1, 1, 1, sums=1, parity=True)),
    "few units on two gate pipelines": ("w4a8", 30, (3, 4), Array(2, 2, 2, 2, 2, 2)),
    "few units on two gate pipelines, parity": ("w4a8", 30, (3, 4), Array(2, 2, 2, 2, 2, 2, parity=True)),
    "shipped, parity": ("w8a8", 78, (128, 128), Array(parity=True)),
    "shipped, for a Zynq-7010": ("w8a8", 78, (128, 128), Array(13, 2, 2, 7)),
}
# Yosys 0.70's LUTs of networks with random weights: preset, vocabulary, units, array, cells, LUTs. Those of
# the shipped shape are in docs/architecture.md.
COUNTED = (
    ("w8a8", 30, (16,), Array(8, 2, 2, 8), "lstm", 3041),
    ("w8a8", 30, (16,), Array(8, 2, 2, 8), "gru", 3198),
    ("w8a8", 30, (16,), Array(8, 2, 2, 8), "gru_reset_before", 3331),
    ("w8a8", 30, (16,), Array(8, 2, 2, 8), "rnn", 2746),
    ("w8a8", 30, (16,), Array(8, 2, 2, 8), "peephole", 3226),
    ("w8a8", 30, (16,), Array(8, 2, 2, 8), "coupled", 3126),
    ("w8a8", 30, (12, 8), Array(4, 4, 2, 4), ("gru_reset_before", "rnn"), 3390),
    ("w4a8", 20, (12, 12), Array(4, 2, 2, 4, 2, 2), "gru", 4334),
    ("q8.8", 20, (10, 6), Array(3, 3, 1, 3), "peephole", 3054),
    ("w8a8", 78, (128, 128), Array(1, 2, 2, 1), "lstm", 5272),
    ("w8a8", 65, (32, 32), Array(17, 2, 2, 9), "lstm", 4968),
    ("w4a8", 78, (128, 128), None, "lstm", 29658),
)
QUICK = (
    "gru",
    "gru_reset_before",
    "one unit a group",
    "one lane",
    "few single products",
    "few units on two gate pipelines",
    "few units on two gate pipelines, parity",
)


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=[pytest.mark.nightly, pytest.mark.slow]) for n in SHAPES],
)
def test_blocks_are_those_of_synthesis(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    preset, vocabulary, units, array, *cells = SHAPES[name]
    spec = small_spec(preset, vocabulary, units, *cells)
    array = array or fitting_array(spec)
    write_project(Design(with_weights(spec, rng), array), tmp_path / "rtl")
    counted, expected = count_blocks(tmp_path / "rtl", tmp_path), estimate(spec, array)
    assert (counted.dsp, counted.bram36) == (expected.dsp, expected.bram36)


def test_shipped_shape() -> None:
    """The figures of the documentation."""
    found = estimate(network_spec("w8a8", vocabulary=78))
    assert (found.cycles_generate, found.cycles_score) == (512, 512)
    assert found.mac_lanes == 416 and found.fits


def test_cost_of_parity() -> None:
    """Parity takes one bit per chain: free where words leave room in block RAM, one RAMB36E1 by default."""
    for spec, array, halves_more in (
        (network_spec("w8a8", vocabulary=78), Array(), 2),
        (network_spec("w8a8", vocabulary=78), Array(26, 4, 2, 13), 0),
    ):
        plain, guarded = (estimate(spec, dataclasses.replace(array, parity=p)) for p in (False, True))
        assert guarded.bram36 - plain.bram36 == halves_more / 2
        assert guarded.cycles_generate == plain.cycles_generate and guarded.dsp == plain.dsp


def test_is_a_matter_of_milliseconds() -> None:
    spec = network_spec("w8a8", vocabulary=77)  # used by no other test, so nothing is cached yet
    started = time.process_time()
    estimate(spec, part="xc7z007s")
    list(changes(spec, "xc7z007s"))
    assert time.process_time() - started < 10  # half a second on a quiet machine


@pytest.mark.parametrize("preset, vocabulary, units, array, cells, counted", COUNTED)
def test_luts_are_about_those_of_synthesis(
    preset: str,
    vocabulary: int,
    units: tuple[int, ...],
    array: Array | None,
    cells: str | tuple[str, ...],
    counted: int,
) -> None:
    found = estimate(small_spec(preset, vocabulary, units, cells), array)
    assert found.lut_about == pytest.approx(counted, rel=ERROR)


def test_luts_are_about_those_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("<!-- lanes")[1].split("<!-- end")[0]
    cells = [[cell.strip().replace(",", "") for cell in line.split("|")] for line in table.splitlines()]
    counted = {int(row[1]): int(row[7]) for row in cells if len(row) > 8 and row[7].isdigit()}
    assert len(counted) >= 9
    spec = network_spec("w8a8", vocabulary=78)
    for lanes, lut in counted.items():
        (array, *_) = arrays_within(spec, lanes=lanes)
        assert array.lanes == lanes
        assert estimate(spec, array).lut_about == pytest.approx(lut, rel=ERROR), lanes


def test_what_binds() -> None:
    spec = network_spec("w8a8", vocabulary=78)
    found = {part: estimate(spec, part=part) for part in parts()}
    # The network is too large for the xc7z007s; a faster array is too large for the xc7z010, has too many
    # DSPs for the xc7z020, and does not exist for the xc7z030.
    assert [found[part].binds for part in ("xc7z007s", "xc7z010", "xc7z030")] == [
        ("bram36",),
        ("bram36",),
        (),
    ]
    assert "dsp" in found["xc7z020"].binds
    assert [one.fits for one in found.values()] == [False, True, True, True, True]
    # With fewer lanes than would fit, no resource of the part binds.
    assert estimate(spec, fitting_array(spec, "xc7z020", lanes=16)).binds == ()


def test_luts_bind_where_weights_are_narrow() -> None:
    spec = network_spec("w4a8", vocabulary=78)
    largest = max(arrays_within(spec), key=lambda a: a.lanes)
    assert "lut" in exceeded(spec, largest, "xc7z007s")
    for part in parts():
        assert estimate(spec, part=part).lut_about <= parts()[part].lut


def test_changes_make_it_fit() -> None:
    spec = network_spec("w8a8", vocabulary=78)
    found = list(changes(spec, "xc7z007s"))
    assert found == ["--part xc7z010", "--preset w4a8", "--units 112"]
    assert not fastest(spec, "xc7z007s") and fastest(spec, "xc7z010")
    assert fastest(network_spec("w4a8", vocabulary=78), "xc7z007s")
    assert fastest(network_spec("w8a8", vocabulary=78, units=112), "xc7z007s")
    assert not fastest(network_spec("w8a8", vocabulary=78, units=120), "xc7z007s")
    # There is no larger part and no narrower preset.
    assert list(changes(small_spec("w2a8", 256, (512,) * 4), "xc7z045")) == ["--units 504"]


def test_weight_memory_and_speed() -> None:
    found = estimate(network_spec("w8a8", vocabulary=78))
    # W, U and b of both layers, W and b of the output: 8 bits, biases 16.
    weights = 4 * 128 * (78 + 128 + 128 + 128) + 128 * 78
    assert found.weight_bits == 8 * weights + 16 * (2 * 4 * 128 + 78)
    assert found.characters_per_second(100.0) == pytest.approx(100e6 / 512)


@pytest.mark.parametrize("part", parts())
def test_fitting_arrays_fit(part: str) -> None:
    spec = network_spec("w8a8", vocabulary=65, units=112)
    found = estimate(spec, part=part)
    assert found.fits, found
    assert found.dsp <= parts()[part].dsp and found.bram36 <= parts()[part].bram36
    faster = [a for a in arrays_within(spec) if busy_cycles(spec, a) < busy_cycles(spec, found.array)]
    assert not any(fits(spec, array, part) for array in faster)


def test_array_of_a_network_that_fits_no_memory() -> None:
    """The array is the fastest for the DSPs, and the estimate says that it does not fit."""
    spec = network_spec("w8a8", vocabulary=78)
    found = estimate(spec, part="xc7z007s")
    assert not found.fits and found.bram36 > parts()["xc7z007s"].bram36
    assert found.dsp <= parts()["xc7z007s"].dsp


def test_arrays_are_sorted_and_within() -> None:
    spec = small_spec("w8a8", 30, (20, 17))
    for dsp in (2, 3, 8, 40, 208):
        arrays = arrays_within(spec, dsp)
        assert all(array.dsp <= dsp for array in arrays)
    assert arrays_within(spec, 2)[0].lanes == 4
    for lanes in (*range(1, 9), 16, 100):
        arrays = arrays_within(spec, lanes=lanes)
        assert all(array.lanes <= lanes for array in arrays)
        assert arrays[0].lanes == {5: 4, 7: 6, 100: 80}.get(lanes, lanes)
    for limits, message in (
        ({"dsp": 0}, "an array needs at least 1 DSP, got 0"),
        ({"lanes": 0}, "an array needs at least 1 lane, got 0"),
    ):
        with pytest.raises(UserError, match=message):
            arrays_within(spec, **limits)


def test_block_ram_literals() -> None:
    """From AMD UG473: 512 x 72, 1K x 36, 2K x 18, 4K x 9, 8K x 4, 16K x 2 in a RAMB36E1."""
    for bits, width in ((9, 72), (10, 36), (11, 18), (12, 9), (13, 4), (14, 2)):
        assert halves(width, bits) == 2
        assert halves(width + 1, bits) == 3 if bits not in (12,) else True
    assert halves(36, 9) == 1 and halves(1, 0) == 1 and halves(36, 9, ports=2) == 2
    with pytest.raises(ValueError, match="15 address bits"):
        halves(8, 15)


def test_row_bits_take_the_fewest() -> None:
    assert Rom(32, 9984, row_bits([32], 9984)).halves == 18
    for width in (1, 7, 32, 100, 1152):
        for depth in (1, 5, 512, 513, 1536, 9984, 20000):
            chosen = Rom(width, depth, row_bits([width], depth))
            assert chosen.rows * chosen.folds >= depth
            assert chosen.halves <= min(Rom(width, depth, bits).halves for bits in range(9, 15))


def test_verb(tmp_path: Path) -> None:
    from zynq_lstm.scripts.verbs.estimate import command

    arguments = ["--vocabulary", "78", "--clock", "50", "--json", str(tmp_path / "x.json")]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "97,656" in result.output and all(part in result.output for part in parts())
    data = json.loads((tmp_path / "x.json").read_text())
    assert data[0]["cycles_per_character"] == {"generate": 512, "score": 512}
    assert "512" in result.output
    assert data[0]["part"] == "xc7z020" and {row["part"] for row in data} == set(parts())


def test_verb_says_what_to_change() -> None:
    from zynq_lstm.scripts.verbs.estimate import command

    result = CliRunner().invoke(command, ["--vocabulary", "78", "--part", "xc7z007s"])
    assert result.exit_code == 0, result.output
    assert "To make it fit, one of: --part xc7z010, --preset w4a8, --units 112" in result.output
