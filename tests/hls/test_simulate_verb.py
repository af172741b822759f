# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm simulate``; of a netlist, it is in test_netlist_simulation.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.hls.hls4ml_networks import random_network
from tests.networks import save_checkpoint
from zynq_lstm.models.integers.choice import temperature_to_raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.text import generate
from zynq_lstm.models.texts.corpus import decode
from zynq_lstm.scripts.main import main
from zynq_lstm.scripts.verbs import simulate


@pytest.fixture(scope="module")
def network(seed: int) -> IntegerNetwork:
    return random_network("w8a8", 11, (8, 8), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def checkpoint(network: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(network, tmp_path_factory.mktemp("checkpoint") / "small.safetensors")


@pytest.mark.rtl
@pytest.mark.slow
def test_text_in_pieces_and_what_the_rtl_writes_behind_it(
    network: IntegerNetwork,
    checkpoint: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulate, "PIECE", 7)
    codes = np.random.default_rng(1).integers(0, 11, 20)
    text = decode(codes.tolist(), network.vocabulary)
    common = ["simulate", "--checkpoint", str(checkpoint), "--output", str(tmp_path), "--text", text]
    assert main([*common, "--generate", "30", "--temperature", "1.5", "--seed", "4"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    values = 49 * (12 * 16 + 11)
    assert out.startswith(f"{values:,} values of 49 characters equal to the reference's, ")
    written = generate(network, codes, 30, temperature_to_raw(1.5), 4).tolist()
    assert out.endswith(f"\n{decode(written, network.vocabulary)}\n")
    assert out.count("cycles per character") == 2
    assert main(common) == 0
    out = capfd.readouterr().out
    assert f"{20 * (12 * 16 + 11):,} values of 20 characters" in out and "generate" not in out
    assert main([*common[:-1], text[:1], "--generate", "1"]) == 0
    assert " values of 1 characters" in capfd.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--generate", "-1"], "--generate is -1; it must be 0 or more"),
        (["--temperature", "16"], "temperature is 16.0; the hardware has 0 to "),
        (["--seed", "-1"], "the seed must be 0 to 4294967295, got -1"),
        (["--characters", "0"], "Invalid value for '--characters': 0 is not in the range x>=1"),
        (["--characters", "10000000"], "--characters is 10000000; the validation split has "),
        (["--text", ""], "there is no character to run"),
    ],
)
def test_what_is_wrong_is_said(
    checkpoint: Path, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = [] if arguments[0] == "--characters" else ["--checkpoint", str(checkpoint)]
    assert main(["simulate", *path, *arguments]) == 2
    assert f"error: {message}" in capfd.readouterr().err
