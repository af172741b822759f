# SPDX-License-Identifier: Apache-2.0
"""The figures and tables of docs/architecture.md agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.tables import tables
from zynq_lstm import hls
from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.chart import chart, draw
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import estimate, fitting_array
from zynq_lstm.hls.engine.schedule import schedule
from zynq_lstm.models.description.checkpoint import Checkpoint, shipped
from zynq_lstm.models.description.spec import network_spec
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.sim.campaigns.lane_table import table_rows

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SPEC = network_spec("w8a8", vocabulary=78)


def test_registers_are_there_verbatim() -> None:
    assert registers.markdown() in TEXT


def test_chart_is_the_schedule(tmp_path: Path) -> None:
    """The files are equal if the same matplotlib drew them; other versions place text differently."""
    draw(chart(SPEC, schedule(SPEC, fitting_array(SPEC)), "generate"), tmp_path / "schedule.svg")
    texts = [folder.joinpath("schedule.svg").read_text("utf-8") for folder in (tmp_path, ROOT / "docs")]
    creators = [re.findall(r"Matplotlib v[\d.]+", text) for text in texts]
    assert len(creators[0]) == len(creators[1]) == 1
    if creators[0] != creators[1]:
        texts = [re.findall(r">([^<\n]+)</text>|fill: (#\w+)", text) for text in texts]
        assert len(texts[0]) > 50
    assert texts[0] == texts[1], "run make docs"


def test_tables() -> None:
    """All but the LUTs are checked: synthesis counts these, and tables() takes them from the page."""
    assert tables(TEXT, table_rows(SPEC, "xc7z020")) == TEXT, "run make docs"


def test_luts_stay_with_the_array_that_they_are_of() -> None:
    rows = table_rows(SPEC, "xc7z020")
    rows[0]["lut"] = 1234
    page = tables(TEXT, rows)
    assert "| 1,234 |" in page
    again = table_rows(SPEC, "xc7z020")
    assert tables(page, again) == page
    again[0]["bram36"] += 1
    del again[0]["lut"]
    assert "1,234" not in tables(page, again)


def test_cycles_and_memories() -> None:
    found = estimate(SPEC)
    assert f"**{found.cycles_generate}**" in TEXT
    assert f"| **{found.bram36:g}** |" in TEXT
    for count in found.memories.values():
        assert f"| {count:g} |" in TEXT
    narrow = estimate(network_spec("w4a8", vocabulary=78))
    assert f"`w4a8` takes {narrow.cycles_score} cycles in *score*" in TEXT
    assert f"and {narrow.cycles_generate} in *generate*" in TEXT


def test_widths() -> None:
    network = freeze(Checkpoint.load(shipped("w8a8")))
    design = Design(network, fitting_array(network.spec))
    table = dict(re.findall(r"^\| ([^|]+) \| (\d+) \|", TEXT, re.M))
    for name, bits in (
        ("accumulator", design.sum_bits),
        ("U part + x part + b", design.z_sum_bits),
        ("output sum + b", design.parameters()["OUTPUT_TOTAL_BITS"]),
    ):
        assert int(table[name]) == bits


@pytest.mark.parametrize("path", re.findall(r"`(hls/[\w/]+\.py)`", TEXT))
def test_files_exist(path: str) -> None:
    assert (Path(hls.__file__).parents[1] / path).is_file()
