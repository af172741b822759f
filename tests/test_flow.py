# SPDX-License-Identifier: Apache-2.0
"""The whole flow, from a small text to a report, and a second run."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.scripts.flow.load import load
from zynq_lstm.scripts.flow.runner import BEGUN, Pipeline
from zynq_lstm.scripts.flow.stages import STAGES
from zynq_lstm.scripts.main import main

ROOT = Path(__file__).parents[1]
WORDS = ["to", "be", "or", "not", "that", "is", "the", "question", "whether", "nobler", "mind", "suffer"]
CONFIG = """\
[corpus]
file = "text.txt"
[model]
layers = 1
units = 4
[training]
epochs = 1.0
further_epochs = 1.0
batch = 4
steps = 16
[engine]
lanes = 4
synthesis = false
[verification]
characters = 32
generate = 16
"""


def prepare(folder: Path) -> None:
    draw = random.Random(1)
    (folder / "text.txt").write_text(" ".join(draw.choice(WORDS) for _ in range(2000)))
    (folder / "small.toml").write_text(CONFIG)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A whole run, without interruption: its folder and output."""
    folder, out = tmp_path_factory.mktemp("whole"), io.StringIO()
    prepare(folder)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.chdir(folder)
        assert main(["run", "small.toml"]) == 0
    return folder, out.getvalue()


@pytest.fixture
def run_again(whole: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Work in a copy of that folder; return the output."""
    folder = tmp_path / "again"
    shutil.copytree(whole[0], folder, symlinks=True)
    monkeypatch.chdir(folder)
    return whole[1]


def ran(out: str) -> list[str]:
    """Return the stages that a run reports as run."""
    return [line.split()[2].rstrip(":") for line in out.splitlines() if line.startswith("run ")]


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.hls
def test_from_a_text_to_a_report(run_again: str, capfd: pytest.CaptureFixture[str]) -> None:
    expected = [stage.name for stage in STAGES if stage.name != "synthesize"]
    assert ran(run_again) == expected
    assert "report: build/small/report.html" in run_again
    record = json.loads(Path("build/small/compare/stage.json").read_text())
    values = 32 * (12 * 4 + len(set(Path("text.txt").read_text())))
    for engine in ("keras", "hls", "rtl"):
        row = record["figures"]["exactness"][engine]
        assert (row["characters"], row["values"], row["mismatches"]) == (32, values, 0)
        assert row.get("written_different", 0) == 0
    bits = json.loads(Path("build/small/evaluate/stage.json").read_text())["figures"]["bits_per_character"]
    assert bits["quantized"] == bits["reference"]
    units = json.loads(Path("build/small/evaluate/stage.json").read_text())["figures"]["memory"]["networks"]
    trained = json.loads(Path("build/small/quantize/quantized.json").read_text())
    assert units["w8a8"] == trained["memory"] and "float" in units
    assert "start" not in trained and trained["base"]["start"]["output_bias"] == "frequencies"
    assert "base from" in Path("build/small/report.html").read_text()  # learning curves
    assert main(["run", "small.toml"]) == 0
    assert ran(capfd.readouterr().out) == []
    assert main(["run", "small.toml", "--set", "verification.ladder=0"]) == 0
    assert ran(capfd.readouterr().out) == ["evaluate", "report"]
    assert "The ladder" not in Path("build/small/report.html").read_text()


@pytest.mark.slow
def test_an_engine_that_differs_stops_the_flow(run_again: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Here the frozen network differs from the Keras model's."""
    only = ["--set", "verification.engines=['keras']", "--set", "formats.method=calibrate"]
    run = ["run", "small.toml", *only]
    Path("build/small/report.html").unlink()
    assert main([*run, "--until", "quantize"]) == 0
    assert ran(capfd.readouterr().out) == ["estimate", "quantize"]
    path = Path("build/small/quantize/quantized.safetensors")
    before = Checkpoint.load(path)
    weights = {name: array.copy() for name, array in before.weights.items()}
    weights["output.b"][0] += 0.5
    Checkpoint(before.vocabulary, weights, before.spec, before.corpus, before.record).save(path)
    stage = path.parent / "stage.json"
    pipeline = Pipeline(load(Path("small.toml"), [x for x in run[2:] if x != "--set"]), STAGES)
    record = json.loads(stage.read_text())
    record["outputs"]["quantized.safetensors"] = hashlib.sha256(path.read_bytes()).hexdigest()
    stage.write_text(json.dumps(record))
    assert pipeline.state(pipeline.named("quantize")).word == "done"
    assert main(run) == 1
    assert "differ" in capfd.readouterr().err
    assert not Path("build/small/report.html").exists()


@pytest.mark.slow
def test_ctrl_c_stops_and_the_next_run_goes_on(
    whole: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The run is interrupted after training the base; the weights equal those of an uninterrupted run."""
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = ["run", "small.toml", "--until", "train"]
    process = subprocess.Popen(
        [sys.executable, "-m", "zynq_lstm.scripts", *command],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # If the tests run in the background, SIGINT may be ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    begun, base = Path("build/small/train") / BEGUN, Path("build/small/train/base.json")
    while not base.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, out + err
    assert err.endswith("zynq-lstm: interrupted\n")
    assert "Traceback" not in err
    assert "continues from there" in out
    assert begun.exists()
    capfd.readouterr()
    assert main(command) == 0
    out = capfd.readouterr().out
    assert "(did not finish)" in out
    assert "base: resumed at step" in out
    for name in ("base", "float"):
        path = Path("build/small/train", f"{name}.safetensors")
        assert Checkpoint.load(path).sha256 == Checkpoint.load(whole[0] / path).sha256
