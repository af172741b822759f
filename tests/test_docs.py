# SPDX-License-Identifier: Apache-2.0
"""Numbers in the docs agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import contributing, tables
from zynq_lstm.models.description.spec import PRESETS
from zynq_lstm.models.fixed import FixedFormat, Overflow, Rounding

ROOT = Path(__file__).parents[1]
NUMERICS = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8")

# A row of the table -> the fields of LstmFormats, or, after a dot, of DenseFormats.
ROWS = {
    "W, U": ("W", "U", ".W"),
    "b": ("b", ".b"),
    "z": ("z",),
    "i, f, o": ("gate",),
    "g": ("g",),
    "c": ("c",),
    "ct": ("ct",),
    "tanh(c)": ("tc",),
    "h": ("h",),
    "logits": (".logits",),
}


def table() -> dict[str, list[str]]:
    """Return the table of formats as cells by row; row 'signal' has the presets' names."""
    lines = [
        line
        for line in NUMERICS.split("## Formats")[1].split("\n### ")[0].splitlines()
        if line.startswith("|")
    ]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in rows if not set(row[0]) <= {"-"}}


def test_table_of_formats_has_every_signal_and_preset() -> None:
    names = [re.match(r"`([^`]+)`", cell).group(1) for cell in table()["signal"]]  # type: ignore[union-attr]
    assert names == list(PRESETS)
    assert set(table()) == {"signal", *ROWS}
    fields = {field for fields in ROWS.values() for field in fields}
    lstm, dense = PRESETS["w8a8"]
    assert fields == {*lstm.format_names(), *(f".{name}" for name in vars(dense))}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("column, preset", enumerate(PRESETS))
def test_table_of_formats_is_the_presets(row: str, column: int, preset: str) -> None:
    """In W and U, 'I' is a fitted value; '...' means the modes of the first preset."""
    lstm, dense = PRESETS[preset]
    cell, before = (table()[row][k].strip("`") for k in (column, 0))
    if "..." in cell:
        cell = cell.replace("...", before.split(",", 2)[2][:-1])
    for field in ROWS[row]:
        fmt = getattr(dense, field[1:]) if field.startswith(".") else getattr(lstm, field)
        text = re.sub(r"<(\d+),I,", rf"<\1,{fmt.integer},", cell)
        assert FixedFormat.parse(text) == fmt, (preset, field)


def test_tables_of_the_flow_are_its_definitions() -> None:
    page = tables.FLOW.read_text(encoding="utf-8")
    assert tables.flow(page) == page, "run make docs"
    assert "| `engine.lanes` |" in page and "| `synthesize` |" in page


def test_tables_of_training_are_the_records() -> None:
    page = tables.TRAINING.read_text(encoding="utf-8")
    assert tables.training(page) == page, "run make docs"
    results = page.split("## Results")[1]
    assert results.index("validation BPC") < results.index("test BPC")
    assert "| `tinyshakespeare` | `w2a8` |" in results and "| weights (and biases) |" in page


def test_table_of_cells_is_the_record() -> None:
    page = tables.CELLS.read_text(encoding="utf-8")
    assert tables.cells(page) == page, "run make docs"
    assert page.count("| gru | 149 |") == 1


def test_tables_about_stock_hls4ml_are_the_record() -> None:
    page = tables.PEERS.read_text(encoding="utf-8")
    assert tables.compared(page) == page, "run make docs"
    assert "| `SimpleRNN` |" in page


def test_modes_are_all_explained() -> None:
    modes = re.findall(r"^\| `(AP_\w+)` \|", NUMERICS, re.M)
    used = set()
    for lstm, dense in PRESETS.values():
        for fmt in [*map(lstm.format, lstm.format_names()), *vars(dense).values()]:
            used |= {fmt.rounding.value, fmt.overflow.value}
    assert used <= set(modes) <= {mode.value for mode in [*Rounding, *Overflow]}


def test_files_to_touch_exist_and_are_those_of_the_page() -> None:
    page = tables.CONTRIBUTING.read_text(encoding="utf-8")
    assert tables.contribution(page) == page, "run make docs"
    assert len(contributing.QUESTIONS) == 6
    for question, files in contributing.QUESTIONS.items():
        assert 1 <= len(files) <= 3, question
        for name in files:
            path = ROOT / name
            assert path.is_dir() if name.endswith("/") else path.is_file(), f"{question}: {name}"
