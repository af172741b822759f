# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm compare``: a wrong rounding in each engine in turn is found and named where it is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zynq_lstm.models.integers.reference
import zynq_lstm.models.keras.quantized
from tests.hls.hls4ml_networks import random_network
from tests.networks import save_checkpoint
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.fixed import Rounding
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.scripts.main import main

CHARACTERS = 24


@pytest.fixture(scope="module")
def network(seed: int) -> IntegerNetwork:
    return random_network("w8a8", 11, (8, 8), np.random.default_rng(seed))


@pytest.fixture
def arguments(network: IntegerNetwork, tmp_path: Path, seed: int) -> list[str]:
    """Return the arguments of every comparison: a small network, and a text."""
    checkpoint = save_checkpoint(network, tmp_path / "small.safetensors")
    codes = np.random.default_rng(seed).integers(0, 11, CHARACTERS)
    text = "".join(network.vocabulary[code] for code in codes)
    folder, result = tmp_path / "compare", tmp_path / "result.json"
    options = ["--checkpoint", str(checkpoint), "--output", str(folder), "--json", str(result)]
    return [*options, "--text-file", str(_write(tmp_path / "text.txt", text))]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _truncating(spec: NetworkSpec) -> NetworkSpec:
    """Return the spec with c of layer 1 rounded down."""
    layer = spec.layers[1]
    wrong = dataclasses.replace(layer.formats.c, rounding=Rounding.AP_TRN)
    layers = (spec.layers[0], dataclasses.replace(layer, formats=dataclasses.replace(layer.formats, c=wrong)))
    return dataclasses.replace(spec, layers=layers)


def _first(network: IntegerNetwork, codes: Any) -> tuple[int, int, int, int]:
    """Return where a network that rounds c of layer 1 down first differs: character, unit, both values."""
    wrong = IntegerNetwork.from_weights(_truncating(network.spec), network.vocabulary, network.arrays)
    right_trace: dict[str, Any] = {}
    wrong_trace: dict[str, Any] = {}
    Reference(network).run(codes, right_trace)
    Reference(wrong).run(codes, wrong_trace)
    a, b = right_trace["layers.1.c"], wrong_trace["layers.1.c"]
    character, unit = np.argwhere(a != b)[0]
    return int(character), int(unit), int(a[character, unit]), int(b[character, unit])


def test_engines_that_agree(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "keras", "reference", *arguments]) == 0
    values = CHARACTERS * (2 * 8 * (8 + 4) + 11)  # i f g o c ct tc h, and z of four gates
    assert capfd.readouterr().out == f"{values:,} values of {CHARACTERS} characters, 0 differ\n"
    assert json.loads(Path(arguments[5]).read_text())["first"] is None


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["keras", "hls"])
def test_wrong_rounding_in_keras_or_hls(
    engine: str,
    network: IntegerNetwork,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    right: Callable[[Checkpoint], Any] = zynq_lstm.models.keras.quantized.quantized_model
    monkeypatch.setattr(
        zynq_lstm.models.keras.quantized,
        "quantized_model",
        lambda checkpoint: right(dataclasses.replace(checkpoint, spec=_truncating(checkpoint.spec))),
    )
    _check(main(["compare", "reference", engine, *arguments]), network, arguments, capfd)


def test_wrong_rounding_in_the_reference(
    network: IntegerNetwork,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def wrong(network: IntegerNetwork) -> Reference:
        spec = _truncating(network.spec)
        return Reference(IntegerNetwork.from_weights(spec, network.vocabulary, network.arrays))

    monkeypatch.setattr(zynq_lstm.models.integers.reference, "Reference", wrong)
    status = main(["compare", "keras", "reference", *arguments])
    monkeypatch.undo()
    _check(status, network, arguments, capfd)


@pytest.mark.rtl
@pytest.mark.slow
def test_wrong_rounding_in_the_rtl(
    network: IntegerNetwork, arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Test a project that the user changed; the result has the simulation time, and a waveform from there."""
    project = tmp_path / "project"
    assert main(["convert", "--backend", "OpenRTL", *arguments[:2], "--output", str(project)]) == 0
    source = project / "rtl" / "lstm_gates.sv"
    text = source.read_text()
    before, found, after = text.partition(") u_round_c (")
    assert found and ".HALF(1'b1)" in before
    at = before.rindex(".HALF(1'b1)")
    source.write_text(before[:at] + before[at:].replace("1'b1", "1'b0") + found + after)
    capfd.readouterr()
    status = main(["compare", "keras", "rtl", *arguments, "--rtl-project", str(project / "rtl")])
    out = capfd.readouterr().out
    assert status == 1
    found = json.loads(Path(arguments[5]).read_text())
    # One pipeline for both layers: the fault shows in layer 0 first.
    assert found["first"]["signal"] == "c" and found["first"]["layer"] == 0
    keras, rtl = (found["first"]["values"][engine] for engine in ("keras", "rtl"))
    assert rtl == keras - 1 and f"the reference has {keras}, as keras" in out
    waves = Path(found["waveform"])
    assert 0 < waves.stat().st_size < 2_000_000
    assert f"rtl: character taken at ns {found['character_taken_at_ns']}\n" in out


def _check(
    status: int,
    network: IntegerNetwork,
    arguments: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = Path(arguments[7]).read_text(encoding="utf-8")
    codes = [network.vocabulary.index(character) for character in text]
    character, unit, right, wrong = _first(network, codes)
    out = capfd.readouterr().out
    assert status == 1
    found = json.loads(Path(arguments[5]).read_text())
    first = found["first"]
    assert (first["character"], first["layer"], first["signal"], first["unit"]) == (character, 1, "c", unit)
    assert sorted(first["values"].values()) == sorted((right, wrong))
    assert first["bits"] == [n for n in range(16) if (right ^ wrong) >> n & 1]
    assert f"first difference: character {character} (" in out and f"c, layer 1, unit {unit}, bit" in out


@pytest.mark.parametrize(
    "more, message",
    [
        (["keras", "keras"], "keras is one engine; give two of"),
        (["keras", "reference", "--rtl-project", "."], "--rtl-project is for rtl and icarus"),
        (["keras", "reference", "--text", "a"], "give --text or --text-file, not both"),
        (["keras", "vivado"], "'vivado' is not one of"),
    ],
)
def test_refuses(
    more: list[str], message: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *more, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_refuses_a_project_of_another_network(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    assert main(["compare", "keras", "rtl", *arguments, "--rtl-project", str(tmp_path / "other")]) == 2
    assert "not an RTL project; 'zynq-lstm convert --backend OpenRTL' writes one" in capsys.readouterr().err
