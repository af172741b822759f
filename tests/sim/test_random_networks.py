# SPDX-License-Identifier: Apache-2.0
"""Random networks on the RTL: a network with a difference is found, made small, saved and replayed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zynq_lstm.sim.simulation.rtl
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import generate
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.scripts.main import main
from zynq_lstm.sim.campaigns.random_networks import CASE_FILE, Case, Engines, search
from zynq_lstm.sim.simulation.simulator import SIMULATORS


@pytest.mark.rtl
@pytest.mark.hls
@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_twenty_networks(half: int, seed: int, tmp_path: Path) -> None:
    """All run on the RTL and the reference, most in Keras, some as HLS C++."""
    engines = Engines(tmp_path, SIMULATORS[0], hls=5, keras=True)
    tried, failed = search(10, seed + half, tmp_path, engines.check)
    assert (tried, failed) == (10, "")
    assert (
        engines.counts["rtl"] == 10 and engines.counts["keras"] >= 5 and engines.counts["hls"] >= (half == 0)
    )


@pytest.mark.nightly
@pytest.mark.timeout(72_000)
def test_two_hundred_networks(seed: int, tmp_path: Path, write_record: Callable[..., None]) -> None:
    engines = Engines(tmp_path, SIMULATORS[0], hls=20, keras=True)
    tried, failed = search(200, seed + 2, tmp_path, engines.check)
    write_record(engines.record(tried, failed, seed + 2))
    assert (tried, failed) == (200, "")


def test_failing_case_is_made_small_and_saved(tmp_path: Path, seed: int) -> None:
    seen: list[Case] = []

    def wrong_from_five_characters(case: Case) -> None:
        if case.design.network.spec.vocabulary >= 5 and len(case.codes) >= 2:
            raise CheckError("wrong")

    tried, failed = search(50, seed, tmp_path, wrong_from_five_characters, seen.append)
    assert failed == "wrong" and tried == len(seen) > 1
    case = Case.load(tmp_path / "failing")
    assert re.fullmatch(r"1 units \(\w+\), 5 characters, \d lanes, 2 codes", str(case))
    assert case.codes == (0, 0)
    case.save(tmp_path / "again")
    assert (tmp_path / "again" / CASE_FILE).read_bytes() == (tmp_path / "failing" / CASE_FILE).read_bytes()


def test_equal_seeds_try_equal_networks(tmp_path: Path, seed: int) -> None:
    runs: list[list[str]] = [[], []]
    for seen in runs:
        search(8, seed, tmp_path, lambda c: seen.append(c.design.network.sha256))  # noqa: B023
    assert runs[0] == runs[1] and len(set(runs[0])) > 4


@pytest.mark.rtl
@pytest.mark.slow
def test_replay(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A saved case passes; with a fault in the RTL it fails, and says where."""
    saved: list[Case] = []
    search(1, seed, tmp_path, saved.append)
    saved[0].save(tmp_path / "failing")
    arguments = ["fuzz", "--replay", str(tmp_path / "failing"), "--output", str(tmp_path / "build")]
    assert main(arguments) == 0
    assert capfd.readouterr().out == f"no difference: {saved[0]}\n"

    def faulty(design: Design) -> dict[str, str]:
        """Invert what the first table gives."""
        files = generate(design)
        name = f"{design.gates[0].module}.sv"
        files[name], count = re.subn(r"s_(\w+)_word\)\);", r"~s_\1_word));", files[name], count=1)
        assert count == 1
        return files

    monkeypatch.setattr(zynq_lstm.sim.simulation.rtl, "generate", faulty)
    assert main(arguments) == 1
    assert re.search(r"first: character 0, layer 0, \w+, unit 0", capfd.readouterr().err)


@pytest.mark.rtl
@pytest.mark.slow
def test_difference_of_another_engine_is_found(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras' output gate wrong by one: the engine, the signal and the place are named."""
    from zynq_lstm.models.keras import quantized

    saved: list[Case] = []
    search(20, seed, tmp_path, saved.append)
    case = next(case for case in saved if case.trainable)
    right = quantized.trace

    def wrong(*arguments: Any) -> dict[str, Any]:
        signals = right(*arguments)
        signals["layers.0.o"][0, 0] += 1
        return signals

    monkeypatch.setattr(quantized, "trace", wrong)
    with pytest.raises(CheckError, match="keras: 1 values differ, first: character 0, layer 0, o, unit 0"):
        Engines(tmp_path, SIMULATORS[0], keras=True).check(case)


def test_replay_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    assert main(["fuzz", "--replay", str(tmp_path)]) == 2
    assert "no such file" in capsys.readouterr().err
    search(1, seed, tmp_path, lambda case: case.save(tmp_path))
    for content in ("", "[]", "{}", '{"array": {}, "asked": 1}', '{"array": {"lanes": 1}, "asked": {}}'):
        (tmp_path / CASE_FILE).write_text(content)
        with pytest.raises(UserError, match="not a case of a random network"):
            Case.load(tmp_path)
    (tmp_path / CASE_FILE).unlink()
    with pytest.raises(UserError, match="no such file"):
        Case.load(tmp_path)


@pytest.mark.rtl
def test_verb_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    arguments = [
        "fuzz",
        "--networks",
        "1",
        "--seed",
        "3",
        "--hls",
        "0",
        "--output",
        str(tmp_path),
        "--json",
        str(path),
    ]
    assert main(arguments) == 0
    record = json.loads(path.read_text())
    assert record["kind"] == "random networks" and len(record["date"]) == 10 and "commit" in record
    assert (record["tried"], record["mismatches"], record["seed"]) == (1, 0, 3)
    assert "1 random networks (seed 3) on verilator" in capsys.readouterr().out
