# SPDX-License-Identifier: Apache-2.0
"""Builds that are killed, that run at the same time, and that fill the disk."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from tests.skips import NAME_SPACES
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import generate
from zynq_lstm.models import store
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.store import LOCK_FILE, claim
from zynq_lstm.sim.simulation import simulator
from zynq_lstm.sim.simulation.rtl import Rtl, write_project
from zynq_lstm.sim.simulation.simulator import UNFINISHED, build

ROOT = Path(__file__).parent.parent


def run_and_kill(program: str, folder: Path, after: float) -> None:
    """Kill a program ``after`` seconds after it has printed that it is ready."""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(after)
        process.kill()


def small_design() -> Design:
    network = with_weights(small_spec("w8a8", 6, (3, 4)), np.random.default_rng(0))
    return Design(network, Array(2, 2, 2, 1))


# ---- two runs in one folder

CLAIM = """
import sys
from pathlib import Path
from zynq_lstm.models.store import claim
claim(Path(sys.argv[1]))
print("mine", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_one_processs(tmp_path: Path) -> None:
    folder = tmp_path / "build"
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        for _ in range(2):
            with pytest.raises(
                UserError, match=rf"build: another run \(process {other.pid}\) is working there"
            ):
                Rtl.build(small_design(), folder)
        assert [path.name for path in folder.iterdir()] == [LOCK_FILE]  # nothing was touched
        other.kill()
    claim(folder)  # the lock ended with the process
    claim(folder)  # and may be taken twice
    shutil.rmtree(folder)
    claim(folder)  # and again if the folder was removed
    assert (folder / LOCK_FILE).exists()
    assert (folder / LOCK_FILE).read_text() == f"{os.getpid()}\n"


# ---- killed at any moment

WRITE = """
import sys, time
from pathlib import Path
import numpy as np
from zynq_lstm.sim.simulation.rtl import write_project
from tests.test_interrupted import small_design
design = small_design()
print("ready", flush=True)
while True:
    write_project(design, Path(sys.argv[1]))
    for path in Path(sys.argv[1]).iterdir():
        path.unlink()
"""


def test_project_written_by_a_killed_process_is_completed(tmp_path: Path, seed: int) -> None:
    """Files are complete or absent, and the next run writes the missing ones."""
    project, expected = tmp_path / "rtl", generate(small_design())
    rng = random.Random(seed)
    run_and_kill(WRITE, project, after=rng.uniform(0, 0.2))
    for path in project.iterdir():
        if not path.name.endswith(".part"):
            assert path.read_text() == expected[path.name]
    write_project(small_design(), project)
    assert {path.name for path in project.iterdir() if not path.name.endswith(".part")} == set(expected)
    assert all((project / name).read_text() == text for name, text in expected.items())


def test_unfinished_build_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a file that is as new as its sources is not used."""
    project = tmp_path / "rtl"
    project.mkdir()
    monkeypatch.setattr(simulator, "available", lambda _: True)
    made = "test -e half && cat half > sim.vvp || echo whole > sim.vvp"

    def compiler(script: str) -> None:
        monkeypatch.setattr(simulator, "_icarus", lambda *_: ["sh", "-c", script])

    compiler("echo half > half; kill -9 $$")
    with pytest.raises(UserError, match="icarus could not build"):
        build(project, "icarus")
    build_dir = tmp_path / "rtl-icarus"
    assert (build_dir / "half").exists() and (build_dir / UNFINISHED).exists()
    compiler(made)
    assert build(project, "icarus").build_dir == build_dir
    assert (build_dir / "sim.vvp").read_text() == "whole\n"
    assert not (build_dir / UNFINISHED).exists()
    (build_dir / "kept").touch()  # a complete build is reused
    build(project, "icarus")
    assert (build_dir / "kept").exists()


BUILD = """
import sys
from pathlib import Path
from zynq_lstm.sim.simulation.rtl import Rtl
from tests.test_interrupted import small_design
print("ready", flush=True)
Rtl.build(small_design(), Path(sys.argv[1]), quick=True)
"""


@pytest.mark.rtl
@pytest.mark.slow
def test_killed_build_is_completed(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(3):
        run_and_kill(BUILD, tmp_path, after=rng.uniform(0, 4))
    rtl = Rtl.build(small_design(), tmp_path, quick=True)
    assert rtl.score([1, 2, 3]).report["mismatches"] == 0


# ---- a full disk


def run_limited(limit: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command with a limit on the size of files."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    return subprocess.run(
        [sys.executable, "-m", "zynq_lstm.scripts", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=limited,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_file_that_may_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "estimate.json"
    path.write_text('"old"\n')
    done = run_limited(100, "estimate", "--json", path)
    assert done.returncode == 2
    assert done.stderr == f"zynq-lstm: error: {path}: File too large\n"
    assert path.read_text() == '"old"\n'
    assert [p.name for p in tmp_path.iterdir()] == ["estimate.json"]


# A file system of a few pages, in a separate name space, which needs no privileges.
FULL = """
set -e
mount -t tmpfs -o size=16k none "$1"
echo '"old"' > "$1/estimate.json"
dd if=/dev/zero of="$1/rest" bs=4k 2>/dev/null || true
"$2" -m zynq_lstm.scripts estimate --json "$1/estimate.json" >/dev/null || status=$?
cat "$1/estimate.json"
ls -A "$1"
exit ${status:-0}
"""
UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]


def can_unshare() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason=NAME_SPACES)
def test_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", FULL, "sh", str(tmp_path), sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == f"zynq-lstm: error: {tmp_path}/estimate.json: No space left on device\n"
    assert done.stdout.split() == ['"old"', "estimate.json", "rest"]


def test_tool_that_fails_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "rtl"
    project.mkdir()
    monkeypatch.setattr(simulator, "available", lambda _: True)
    monkeypatch.setattr(simulator, "_icarus", lambda *_: ["false"])
    with pytest.raises(UserError, match=r"icarus could not build .*rtl; see"):
        build(project, "icarus")
    monkeypatch.setattr(store, "FULL_BYTES", 1 << 62)
    with pytest.raises(UserError, match=r"icarus could not build .*rtl; the disk is full; see"):
        build(project, "icarus")
