# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm figures training``."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from zynq_lstm.models.description.checkpoint import shipped_files
from zynq_lstm.models.evaluation.shipped_records import network_name, training_figures
from zynq_lstm.models.training import throughput
from zynq_lstm.scripts.main import main


def record(stage: str, test: float, updates: int = 10, base: str = "a") -> dict[str, Any]:
    return {
        "stage": stage,
        "corpus": {"name": "shakespeare"},
        "bits_per_character": {"validation": test + 1, "test": test},
        "options": {"batch": 2, "steps": 3},
        "updates": updates,
        "minutes": 2.0,
        "base": {"sha256": base, "minutes": 3.0, "updates": 20},
    }


def test_delta_and_minutes() -> None:
    figures = training_figures([record("w8a8", 2.5), record("float", 2.25)])
    assert figures == {
        "shakespeare": {
            "float": {"validation_bpc": 3.25, "test_bpc": 2.25, "minutes": 2.0},
            "w8a8": {
                "validation_bpc": 3.5,
                "test_bpc": 2.5,
                "delta_validation_bpc": 0.25,
                "delta_test_bpc": 0.25,
                "minutes": 2.0,
            },
        },
        "minutes": 7.0,
    }


def test_units_are_those_of_the_record() -> None:
    units = {"units": [8, 8], "stuck": [1, 2], "saturated": [0, 3], "characters": 50_000}
    row = training_figures([record("float", 2.25) | {"memory": units}])["shakespeare"]["float"]
    assert (row["stuck"], row["saturated"], row["units"]) == ([1, 2], [0, 3], [8, 8])


def test_cells_have_networks_of_their_own() -> None:
    given = [record("w8a8", 2.5), record("float", 2.25)]
    given += [one | {"cells": ["gru", "gru"]} for one in (record("w8a8", 2.375), record("float", 2.5))]
    figures = training_figures(given)["shakespeare"]
    assert list(figures) == ["float", "w8a8", "gru-float", "gru-w8a8"]
    assert (figures["w8a8"]["delta_test_bpc"], figures["gru-w8a8"]["delta_test_bpc"]) == (0.25, -0.125)
    assert network_name(record("float", 2.5) | {"cells": ["gru", "lstm"]}) == "gru-lstm-float"


@pytest.mark.parametrize("other", [{"updates": 11}, {"base": "b"}])
def test_no_delta_of_unequal_training(other: dict[str, Any]) -> None:
    figures = training_figures([record("w8a8", 2.5), record("float", 2.25, **other)])
    assert "delta_test_bpc" not in figures["shakespeare"]["w8a8"]


def test_training_anew_is_as_long_as_base_and_float_together() -> None:
    for updates, equal in ((30, True), (10, False)):
        anew = record("w8a8", 2.5, updates) | {"quantized_from": "seed"}
        figures = training_figures([anew, record("float", 2.25)])
        assert ("delta_test_bpc" in figures["shakespeare"]["w8a8"]) == equal


def test_no_delta_without_float() -> None:
    assert "delta_test_bpc" not in training_figures([record("w8a8", 2.5)])["shakespeare"]["w8a8"]


def test_shipped_records_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    assert main(["figures", "training", "--json", str(path)]) == 0
    written, printed = json.loads(path.read_text()), capsys.readouterr().out
    assert {"float", "w8a8"} <= set(written["shakespeare"])
    assert printed.index("validation") < printed.index("test")
    shipped = {file.stem for file in shipped_files()}
    for corpus, networks in ((name, written[name]) for name in ("shakespeare", "tinyshakespeare")):
        for name, row in networks.items():
            assert ("delta_test_bpc" in row) == (not name.endswith(("base", "float")))
            # Not all weights are shipped.
            assert ("stuck" in row) == (f"{corpus}-{name}" in shipped)
            for key in ("stuck", "saturated"):
                assert len(row.get(key, (0, 0))) == 2
            assert f"{row['test_bpc']:.4f}" in printed
            if "delta_validation_bpc" in row:
                assert f"{row['delta_validation_bpc']:+.4f}" in printed
    assert "throughput_ratio" not in written


def test_ratio_is_of_each_round_to_the_faster_stock() -> None:
    rates = {"stock, XLA": [1.0, 4.0, 1.0], "stock": [2.0, 2.0, 2.0], "float": [4.0, 4.0, 6.0]}
    rates["quantized"] = copy.copy(rates["stock"])
    assert throughput.ratios(rates) == {"float": 2.0, "quantized": 1.0}


def test_cells_are_compared_by_products_within_a_round() -> None:
    rates = {"lstm": [10.0, 20.0, 40.0], "gru": [8.0, 18.0, 10.0]}
    assert throughput.ratios_of_cells(rates) == {"lstm": 1.0, "gru": 0.8}
