# SPDX-License-Identifier: Apache-2.0
"""Interruptions of the flow at random moments in every stage.

The process ends, leaves no program running and no file half-written, and the next run continues to the same
result. A moment is an amount of processor time that the tree of processes has consumed, so that it is the
same on a slow machine. With ``--records FOLDER``, the nightly campaign is recorded there, for ``zynq-lstm
figures robustness``.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import trees
from tests.networks import small_spec, with_weights
from tests.summary import SEED
from zynq_lstm.models.integers.freeze import thaw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.interruption import CODE
from zynq_lstm.models.store import load_tensors, write_json
from zynq_lstm.scripts.flow.runner import BEGUN, DONE
from zynq_lstm.scripts.flow.stages import STAGES
from zynq_lstm.sim.campaigns import records

ROOT = Path(__file__).parents[1]
WORDS = ["to", "be", "or", "not", "that", "is", "the", "question", "whether", "nobler", "mind", "suffer"]
TRAINED = """\
[model]
layers = 1
units = 4
[training]
epochs = 1.0
further_epochs = 1.0
batch = 4
steps = 16
"""
GIVEN = """\
[training]
checkpoint = "quantized.safetensors"
"""
CONFIG = """
[corpus]
file = "text.txt"
[engine]
lanes = 4
[verification]
characters = 32
generate = 16
ladder = 500
"""
#: Interruptions of each stage in the nightly campaign: fewer where a run takes longer.
NIGHTLY = {
    **dict.fromkeys(("corpus", "estimate", "rtl"), 48),
    **dict.fromkeys(("train", "quantize", "simulate", "synthesize"), 6),
    **dict.fromkeys(("evaluate", "reference", "hls", "compare"), 8),
    "report": 14,
}
FEW = {"corpus": 8, "evaluate": 2}
#: Figures of a stage that are the same after each run.
SAME = {
    "evaluate": ("bits_per_character", "ladder"),
    "compare": ("exactness", "text"),
    "synthesize": ("lut", "ff"),
}


@dataclass(frozen=True)
class Kind:
    """A way to interrupt: the signals, and whether the whole group in the terminal gets them."""

    signals: tuple[signal.Signals, ...]
    group: bool = False


KINDS = {
    "ctrl-C": Kind((signal.SIGINT,), group=True),
    "ctrl-C twice": Kind((signal.SIGINT, signal.SIGINT), group=True),
    "SIGTERM": Kind((signal.SIGTERM,)),
    "SIGKILL": Kind((signal.SIGKILL,)),
}


@dataclass
class Tally:
    tried: int = 0
    hung: int = 0
    orphans: int = 0
    seen: list[str] = field(default_factory=list)  # descriptions of what was wrong


@dataclass
class Program:
    """A run of the flow in its own process; its output is in a file."""

    folder: Path
    arguments: tuple[str, ...]
    mark: str = field(default_factory=lambda: secrets.token_hex(8))

    def __enter__(self) -> Program:
        self.output = (self.folder / "output.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zynq_lstm.scripts", "run", "flow.toml", *self.arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), trees.VARIABLE: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # If the tests run in the background, SIGINT may be ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        return self

    def __exit__(self, *_: object) -> None:
        for left in trees.tree(self.mark, self.process.pid):
            os.kill(left, signal.SIGKILL)
        self.process.wait()
        self.output.close()

    def tree(self) -> set[int]:
        return trees.tree(self.mark)

    def consume(self, seconds: float) -> bool:
        """Wait until the tree has used that much processor time; return False if it ended before."""
        idle = 0
        while self.process.poll() is None:
            processes = self.tree()
            if trees.consumed(processes) >= seconds:
                return True
            idle = 0 if trees.active(processes) else idle + 1
            assert idle < 20 * trees.IDLE_LOOKS, f"does nothing: {self.said()}"
            time.sleep(0.03)
        return False

    def ends(self) -> bool:
        """Wait for the process to end; return False if it hangs."""
        idle = 0
        while self.process.poll() is None:
            processes = self.tree()
            idle = 0 if trees.active(processes) else idle + 1
            if idle >= trees.IDLE_LOOKS:
                return False
            time.sleep(trees.LOOK_SECONDS)
        return True

    def said(self) -> str:
        self.output.seek(0)
        return self.output.read()


def finish(folder: Path, *arguments: str) -> float:
    """Run the flow to the end, and return the seconds of processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Program(folder, arguments) as program:
        assert program.ends(), program.said()
        assert program.process.returncode == 0, program.said()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interrupt(
    folder: Path, arguments: tuple[str, ...], moment: float, name: str, tally: Tally, pause: float
) -> bool:
    """Interrupt a run at a moment; return False if it had ended by itself."""
    kind = KINDS[name]
    with Program(folder, arguments) as program:
        if not program.consume(moment):
            assert program.process.returncode == 0, program.said()
            return False
        for number in kind.signals:
            if program.process.poll() is None:
                (os.killpg if kind.group else os.kill)(program.process.pid, number)
            time.sleep(pause)
        where = f"{arguments} {name} at {moment:.2f} s"
        if not program.ends():
            tally.tried, tally.hung = tally.tried + 1, tally.hung + 1
            tally.seen.append(f"hung: {where}: {program.said()}")
            return True
        code, said = program.process.returncode, program.said()
        if left := trees.wait_until_gone(program.mark, program.process.pid):
            tally.orphans += len(left)
            tally.seen.append(f"orphans {left}: {where}")
        if code == 0 or "stages ran" in said:
            return False  # it had just ended
        tally.tried += 1
        if kind.signals[0] == signal.SIGKILL:
            assert code == -signal.SIGKILL, (where, said)
        elif "run " not in said and code != CODE:  # Python had only just started
            early = code in [-number for number in kind.signals] or "KeyboardInterrupt" in said
            assert early, (where, code, said)
        else:
            assert code == CODE, (where, code, said)
            assert said.count("zynq-lstm: interrupted\n") == 1, (where, said)
            assert "Traceback" not in said, (where, said)
            assert not list((folder / "build").rglob("*.part")), where
        return True


def result(folder: Path, stage: str) -> Any:
    """Return the results of a stage, without times."""
    own = folder / "build" / "flow" / stage
    record = json.loads((own / DONE).read_text())
    assert not (own / BEGUN).exists()
    contents: dict[str, Any] = {}
    for name in record["outputs"]:
        path = own / name
        if name.endswith(".safetensors"):
            tensors = load_tensors(path)[0]
            contents[name] = {key: (a.dtype.str, a.shape, a.tobytes()) for key, a in tensors.items()}
        else:
            text = path.read_text(encoding="utf-8")
            contents[name] = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "", text)  # when the report was written
    return contents, {name: record["figures"].get(name) for name in SAME.get(stage, ())}


def interrupted(
    warm: Path, scratch: Path, stage: str, seconds: float, count: int, rng: random.Random, tally: Tally
) -> None:
    """Interrupt a stage ``count`` times, at moments spread over its whole run, and then finish it.

    Args:
        warm: a folder in which the stage and those before it are done.
        seconds: processor time that the stage took.
    """
    only = ("--until", stage)
    before, work = scratch / "before", scratch / "work"
    shutil.copytree(warm, before)
    shutil.rmtree(before / "build" / "flow" / stage)
    shutil.copytree(before, work)
    kinds = list(KINDS)
    for k in range(count):
        moment = seconds * (k + rng.random()) / count
        kind = kinds[k % len(kinds)]
        if not interrupt(work, only, moment, kind, tally, pause=rng.uniform(0, 0.05)):
            shutil.rmtree(work)  # it had finished
            shutil.copytree(before, work)
            interrupt(work, only, moment / 2, kind, tally, pause=rng.uniform(0, 0.05))
    finish(work, *only)
    assert result(work, stage) == result(warm, stage)
    assert (tally.hung, tally.orphans) == (0, 0), tally.seen


def begin(folder: Path, network: str, seed: int) -> None:
    """Write a small configuration and its files."""
    folder.mkdir()
    draw = random.Random(1)
    text = " ".join(draw.choice(WORDS) for _ in range(2000))
    (folder / "text.txt").write_text(text)
    (folder / "flow.toml").write_text(network + CONFIG)
    if network == GIVEN:
        vocabulary = "".join(sorted(set(text)))
        some = with_weights(small_spec("w8a8", len(vocabulary), (4,)), np.random.default_rng(seed))
        weights = {name: some.arrays[name] for name in some.spec.weight_formats()}
        thaw(IntegerNetwork.from_weights(some.spec, vocabulary, weights)).save(
            folder / "quantized.safetensors"
        )


@pytest.mark.slow
@pytest.mark.timeout(0)  # limits here are of progress
def test_a_few_interruptions(tmp_path: Path, seed: int) -> None:
    """Interrupt stages that take little time; one of them imports TensorFlow."""
    tally, warm, rng = Tally(), tmp_path / "warm", random.Random(seed)
    begin(warm, GIVEN, seed)
    for stage in STAGES:
        seconds = finish(warm, "--until", stage.name)
        if stage.name in FEW:
            (tmp_path / stage.name).mkdir()
            interrupted(warm, tmp_path / stage.name, stage.name, seconds, FEW[stage.name], rng, tally)
        if stage.name == list(FEW)[-1]:
            break
    assert tally.tried >= sum(FEW.values()) - 1


@pytest.fixture(scope="module")
def campaign(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, float], Tally]]:
    """Return a folder in which all stages are done, the time of each stage, and the tally of the campaign."""
    warm, tally = tmp_path_factory.mktemp("campaign") / "warm", Tally()
    begin(warm, TRAINED, SEED)
    seconds = {stage.name: finish(warm, "--until", stage.name) for stage in STAGES}
    yield warm, seconds, tally
    folder: Path | None = request.config.getoption("--records")
    if folder and tally.tried >= 200:
        found = {"tried": tally.tried, "hung": tally.hung, "orphans": tally.orphans}
        write_json(
            records.path(records.INTERRUPTIONS, folder), records.new(records.INTERRUPTIONS, SEED, **found)
        )


@pytest.mark.nightly
@pytest.mark.timeout(0)  # limits here are of progress
@pytest.mark.parametrize("stage", NIGHTLY)
def test_interruptions_of_each_stage(
    stage: str, campaign: tuple[Path, dict[str, float], Tally], tmp_path: Path, seed: int
) -> None:
    """All stages together have two hundred interruptions."""
    warm, seconds, tally = campaign
    rng = random.Random(f"{seed} {stage}")
    interrupted(warm, tmp_path, stage, seconds[stage], NIGHTLY[stage], rng, tally)
