# SPDX-License-Identifier: Apache-2.0
"""Every cell on every engine: ``zynq-lstm figures cells``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zynq_lstm.sim.campaigns.every_cell as every_cell
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import network_spec
from zynq_lstm.models.store import write_json
from zynq_lstm.scripts.main import main
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.engines.hls import HlsEngine
from zynq_lstm.sim.engines.rtl import RtlEngine

UNITS = {"lstm": 128, "gru": 149, "gru_reset_before": 149, "rnn": 261, "peephole": 128, "coupled": 149}
CYCLES = {"lstm": 1, "gru": 1.2, "gru_reset_before": 1.4, "rnn": 1.35, "peephole": 1, "coupled": 1.2}

MUTANTS = {"made": 100, "equivalent": 10, "killed": 89}


def row(**more: Any) -> dict[str, Any]:
    engine = {"characters": 16, "values": 1000, "mismatches": 0, "generated": 8}
    cost = {"dsp": 215, "bram36": 59.5, "lut": 8000, "gate_latency": 24, "units": 128}
    engines = dict.fromkeys(every_cell.ENGINES, engine)
    cycles = {"generate": 512, "score": 488}
    return {**engines, **cost, "cycles": cycles, "mutants": MUTANTS | {"survivors": []}, **more}


def test_units_are_those_of_equally_large_networks() -> None:
    assert {name: every_cell.fair_units(name) for name in catalogue.names()} == UNITS


def test_the_verb_reads_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "records").mkdir()

    def said(**more: Any) -> tuple[int, str]:
        found = records.new(records.CELLS, 1, cells={"lstm": row()}) | more
        speed = records.new(records.REFERENCE_SPEED, ratio=0.97, earlier="0123abcd")
        write_json(records.path(records.REFERENCE_SPEED, tmp_path / "records"), speed)
        write_json(records.path(records.CELLS, tmp_path / "records"), found)
        figures = tmp_path / "figures.json"
        figures.unlink(missing_ok=True)
        done = main(["figures", "cells", "--records", str(tmp_path / "records"), "--json", str(figures)])
        return done, "".join(capsys.readouterr())

    done, text = said()
    assert done == 0 and "0.97 of that of commit 0123abcd" in text
    assert json.loads((tmp_path / "figures.json").read_text()) == {
        "cells": {"lstm": row(mutants=MUTANTS)},
        "fuzz": None,
        "reference_speed_ratio": 0.97,
    }
    done, text = said(sources="of another tree")
    assert done == 1 and "stale, since its sources have changed" in text
    wrong = row(rtl={"characters": 16, "values": 1000, "mismatches": 1, "generated": 8})
    assert said(cells={"lstm": wrong})[0] == 1
    done, text = said(cells={"lstm": row(mutants=MUTANTS | {"killed": 87})})
    assert done == 1 and "96.7 %" in text


def test_without_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figures", "cells", "--records", str(tmp_path)]) == 2
    assert "there is no record of cells; --measure makes one" in capsys.readouterr().err


def test_an_earlier_version_needs_its_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "earlier").mkdir()
    places = ["--earlier", str(tmp_path / "earlier"), "--output", str(tmp_path / "build")]
    assert main(["figures", "cells", "--measure", *places]) == 2
    assert "there is no .venv/bin/zynq-lstm; run 'make venv' there" in capsys.readouterr().err


@pytest.mark.rtl
@pytest.mark.hls
@pytest.mark.slow
def test_differences_are_counted(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal of the RTL and a character of the HLS C++ are changed; each counts once."""
    rtl_trace, hls_write = RtlEngine.whole_trace, HlsEngine.write

    def trace(self: RtlEngine, codes: Any) -> Any:
        found = rtl_trace(self, codes)
        found["layers.1.n"] = np.array(found["layers.1.n"])
        found["layers.1.n"][3, 2] ^= 1
        return found

    def write(self: HlsEngine, *asked: Any) -> list[int]:
        first, *others = hls_write(self, *asked)
        return [first ^ 1, *others]

    monkeypatch.setattr(RtlEngine, "whole_trace", trace)
    monkeypatch.setattr(HlsEngine, "write", write)
    spec = network_spec(vocabulary=6, units=4, cell="gru")
    found = every_cell.measure(spec, Array(2, 2, 2, 2), tmp_path, 24, 20, seed)
    assert [found[name]["mismatches"] for name in ("keras", "hls", "rtl")] == [0, 1, 1]
    assert {found[name]["characters"] for name in every_cell.ENGINES} == {24}
    # p, z_u, z_r, z_n, u, r, n, c and h of 4 units in 2 layers, and 6 logits.
    assert {found[name]["values"] for name in every_cell.ENGINES} == {24 * (9 * 4 * 2 + 6)}
    assert found["gate_latency"] == 26


@pytest.mark.nightly
@pytest.mark.timeout(20_000)
def test_every_cell(tmp_path: Path, seed: int, write_record: Callable[..., None]) -> None:
    found = every_cell.measure_all(tmp_path, seed)
    write_record(found)
    cells = found["cells"]
    assert set(cells) == set(catalogue.names())
    for name, cell in cells.items():
        for engine in every_cell.ENGINES:
            assert (cell[engine]["mismatches"], cell[engine]["characters"]) == (0, 2048), (name, engine)
            assert cell[engine]["generated"] == 2000
        assert cell["mutants"]["killed"] >= 0.97 * (cell["mutants"]["made"] - cell["mutants"]["equivalent"])
        assert cell["cycles"]["generate"] <= CYCLES[name] * cells["lstm"]["cycles"]["generate"], name
