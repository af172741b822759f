# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm convert``, and the shipped network through it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.hls.hls4ml_networks import random_network
from zynq_lstm import hls
from zynq_lstm.hls.hls4ml.convert import compile_model, convert
from zynq_lstm.models.description.checkpoint import Checkpoint, shipped
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.scripts.main import main

SEED = 7


@pytest.fixture(scope="module")
def network() -> IntegerNetwork:
    return random_network("w8a8", 11, (8, 8), np.random.default_rng(SEED))


@pytest.fixture(scope="module")
def checkpoint(network: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "small.safetensors"
    formats = network.spec.weight_formats()
    weights = {n: f.to_real(network.arrays[n]).astype(np.float32) for n, f in formats.items()}
    Checkpoint(network.vocabulary, weights, network.spec).save(path)
    return path


@pytest.mark.parametrize(
    "backend, file", [("Vitis", "firmware/char_lstm.cpp"), ("OpenRTL", "rtl/zynq_lstm.sv")]
)
def test_writes_a_project(
    network: IntegerNetwork,
    checkpoint: Path,
    tmp_path: Path,
    backend: str,
    file: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--checkpoint", str(checkpoint), "--backend", backend, "--output", str(tmp_path / "out")]
    assert main(["convert", *arguments]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert f"network  {network.identity}" in out
    assert (tmp_path / "out" / file).is_file()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--reuse-factor", "9"], "layer lstm1: reuse factor 9 is not possible; it must be a multiple of "),
        (["--dsp", "3"], "--dsp is an option of --backend OpenRTL, not of Vitis"),
        (["--backend", "OpenRTL", "--reuse-factor", "8"], "--reuse-factor is an option of --backend Vitis"),
        (["--backend", "OpenRTL", "--lanes", "0"], "'--lanes': 0 is not in the range x>=1"),
        (["--backend", "Quartus"], "'Quartus' is not one of"),
    ],
)
def test_refuses_in_one_line(
    checkpoint: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = ["convert", "--checkpoint", str(checkpoint), "--output", str(tmp_path / "out"), *arguments]
    assert main(given) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("zynq-lstm: error: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.hls
@pytest.mark.slow
def test_shipped_network(tmp_path: Path) -> None:
    path = shipped("w8a8")
    from zynq_lstm.models.keras.quantized import quantized_model

    quantized = Checkpoint.load(path)
    network = freeze(quantized)
    graph = convert(quantized_model(quantized), tmp_path)
    compile_model(graph)
    codes, expected = np.random.default_rng(SEED).integers(0, network.spec.vocabulary, 500), {}
    Reference(network).run(codes, trace=expected)
    actual = hls.trace(graph, codes)
    assert actual.keys() == expected.keys()
    assert all(np.array_equal(actual[name], expected[name]) for name in expected)
