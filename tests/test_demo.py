# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm demo`` on a small network: four engines that agree, and the message if one does not."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import trees
from tests.networks import small_spec, with_weights
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.integers.freeze import freeze, thaw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.text import generate
from zynq_lstm.models.keras import quantized
from zynq_lstm.models.texts.corpus import encode
from zynq_lstm.scripts.flow import GENERATED
from zynq_lstm.scripts.main import main

LETTERS = "abcde"


@pytest.fixture
def arguments(tmp_path: Path, rng: np.random.Generator) -> list[str]:
    network = with_weights(small_spec("w8a8", len(LETTERS), (4, 4)), rng)
    weights = {name: network.arrays[name] for name in network.spec.weight_formats()}
    checkpoint = thaw(IntegerNetwork.from_weights(network.spec, LETTERS, weights))
    checkpoint.save(tmp_path / "quantized")
    dataclasses.replace(checkpoint, spec=None).save(tmp_path / "float")
    (tmp_path / "text.txt").write_text("".join(rng.choice(list(LETTERS), 2000)))
    files = {
        "--checkpoint": "quantized",
        "--float-checkpoint": "float",
        "--text-file": "text.txt",
        "--output": "demo",
    }
    return ["demo", "--no-synthesis", *(str(x) for k, v in files.items() for x in (k, tmp_path / v))]


@pytest.mark.rtl
@pytest.mark.hls
@pytest.mark.slow
def test_engines_agree_and_one_that_does_not_is_named(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    characters = 64
    assert main([*arguments, "--characters", str(characters)]) == 0
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    signals = (4 + 4) * 12 + len(LETTERS)  # z of four gates, the gates, c, ct, tc, h
    equal = {"characters": characters, "values": characters * signals, "mismatches": 0}
    assert summary["exactness"] == {"keras": equal, "hls": equal, "rtl": equal}
    bits = summary["bits_per_character"]
    assert bits["quantized"] == bits["reference"] != bits["float"]
    assert summary["resources"] is None and set(summary["rtl"]["cycles_per_character"]) == {
        "score",
        "generate",
    }
    network = freeze(Checkpoint.load(tmp_path / "quantized"))
    held_out = (tmp_path / "text.txt").read_text()[1800:1900]  # the validation split
    prime = encode(held_out[: characters // 8], LETTERS)
    text = "".join(LETTERS[code] for code in generate(network, prime, GENERATED))
    assert f"\n{held_out[: characters // 8]}{text}\n" in (tmp_path / "demo" / "summary.md").read_text()
    capsys.readouterr()

    trace = quantized.trace

    def wrong(*given: object) -> dict[str, np.ndarray]:
        signals = trace(*given)
        signals["layers.1.c"][5, 2] ^= 1
        return signals

    monkeypatch.setattr(quantized, "trace", wrong)
    assert main([*arguments, "--characters", str(characters)]) == 1
    out, err = capsys.readouterr()
    first = "NOT EXACT: keras: character 5, layer 1, c, unit 2"
    assert first in out[: out.index("HLS C++")]  # at once
    assert first in err
    assert not (tmp_path / "demo" / "summary.json").exists()  # the first run's summary


ENDLESS = "class Design: pass\ndef run_pass(*_):\n    import time\n    time.sleep(100_000)\n"
REFUSING = "class Design: pass\ndef run_pass(*_):\n    raise SystemExit('ERROR: not today')\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("yosys", "compiler", "failure"),
    [
        (
            ENDLESS,
            "echo 'error: no compiler today'; exit 1",
            r"HLS C\+\+ by hls4ml, compiled with g\+\+: compiling .*today",
        ),
        (REFUSING, "exec sleep 100000", "synthesis with Yosys: Yosys refuses .*ERROR: not today"),
    ],
    ids=["compiler", "synthesis"],
)
def test_the_first_failure_ends_the_demo_at_once(
    yosys: str, compiler: str, failure: str, arguments: list[str], tmp_path: Path
) -> None:
    """The parallel stage, which here would never end, is stopped."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "g++").write_text(f"#!/bin/sh\n{compiler}\n")
    (tmp_path / "bin" / "g++").chmod(0o755)
    (tmp_path / "python" / "pyosys").mkdir(parents=True)
    (tmp_path / "python" / "pyosys" / "__init__.py").touch()
    (tmp_path / "python" / "pyosys" / "libyosys.py").write_text(yosys)
    root, mark = str(Path(__file__).parents[1]), secrets.token_hex(8)
    done = subprocess.run(
        [sys.executable, "-m", "zynq_lstm.scripts", *arguments, "--synthesis", "--characters", "16"],
        cwd=root,
        env={
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{tmp_path / 'python'}{os.pathsep}{root}",
            trees.VARIABLE: mark,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.fullmatch(f"zynq-lstm: error: {failure}.*\n", done.stderr), done.stderr
    assert trees.wait_until_gone(mark) == set()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--characters", "15"], "--characters is 15; it must be at least 16"),
        (["--characters", "100"], "the validation split has 100 characters"),
        (["--part", "xc6slx9"], "unknown part 'xc6slx9'"),
        (["--cell", "gru"], "--cell gru takes the shipped network; leave out --checkpoint"),
    ],
)
def test_refused_before_any_work(
    arguments: list[str],
    more: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments, *more]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_each_network_must_be_of_its_kind(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = [{"quantized": "float", "float": "quantized"}.get(Path(x).name, "") for x in arguments]
    assert (
        main([str(tmp_path / name) if name else x for name, x in zip(swapped, arguments, strict=True)]) == 2
    )
    assert "is a quantized network; this takes a float one" in capsys.readouterr().err
