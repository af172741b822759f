# SPDX-License-Identifier: Apache-2.0
"""Started programs end with the process that started them, however that process ends."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from tests import trees
from zynq_lstm.models import interruption, processes
from zynq_lstm.scripts.setup import bootstrap

ROOT = Path(__file__).parents[2]
#: A program that starts others: in the background, in their own session, and through a shell.
FAMILY = ["sh", "-c", "setsid sleep 1000 & (sleep 1000; true) & echo begun > begun; sleep 1000; true"]
PROGRAM = """
import os, subprocess, sys, threading
from zynq_lstm.models import interruption, processes
family = ["sh", "-c", sys.argv[2]]
def run():
    processes.run(family)
def plain():
    subprocess.run(family)
def marked():
    with processes.marked():
        subprocess.run(family)
def pool():
    with processes.pool(2) as pool:
        list(pool.map(os.system, [sys.argv[2]] * 2))
def beside():
    with processes.beside(run):
        threading.Event().wait()
def nested():
    processes.run([sys.executable, "-c", sys.argv[3], "run", *sys.argv[2:]])
if __name__ == "__main__":
    interruption.end_at_signals("probe")
    globals()[sys.argv[1]]()
"""


def begin(how: str, folder: Path, mark: str) -> subprocess.Popen[str]:
    """Start the program with standard error in a file: a pipe would stay open until the last program ends."""
    with (folder / "said").open("w") as said:
        return _begin(how, folder, mark, said)


def _begin(how: str, folder: Path, mark: str, said: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how, FAMILY[2], PROGRAM],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), trees.VARIABLE: mark},
        stderr=said,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition: Callable[[], object], mark: str) -> None:
    """Wait for a condition, as long as the tree of processes is active."""
    idle = 0
    while not condition() and idle < trees.IDLE_LOOKS:
        idle = 0 if trees.active(trees.tree(mark)) else idle + 1
        threading.Event().wait(trees.LOOK_SECONDS)
    assert condition()


@pytest.mark.parametrize(
    ("how", "number"),
    [
        (how, number)
        for how in ("run", "marked", "beside", "nested", "plain")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
        if (how, number) != ("plain", signal.SIGKILL)  # nobody watches programs started in another way
    ],
)
def test_no_program_outlives_the_process(how: str, number: signal.Signals, tmp_path: Path) -> None:
    mark = secrets.token_hex(8)
    with begin(how, tmp_path, mark) as process:
        wait_for((tmp_path / "begun").exists, mark)
        wait_for(lambda: len(trees.tree(mark)) >= 4, mark)
        process.send_signal(number)
    left = trees.wait_until_gone(mark, process.pid)
    for each in left:
        os.kill(each, signal.SIGKILL)
    assert not left
    said = (tmp_path / "said").read_text()
    assert process.returncode == (-number if number == signal.SIGKILL else 130), said
    assert said.count("probe: interrupted\n") == (number != signal.SIGKILL)


def test_the_process_ends_with_its_parent_if_that_is_wanted(tmp_path: Path) -> None:
    """make asks for this; every program that the process started ends with it."""
    mark = secrets.token_hex(8)
    command = [sys.executable, "-c", PROGRAM, "run", FAMILY[2]]
    parent = subprocess.Popen(
        ["sh", "-c", '"$@" & wait', "sh", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), trees.VARIABLE: mark, interruption.WITH_PARENT: "1"},
        stderr=subprocess.DEVNULL,
    )
    wait_for((tmp_path / "begun").exists, mark)
    parent.kill()
    parent.wait()
    assert trees.wait_until_gone(mark) == set()


def test_make_and_the_set_up_name_the_same_variable() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"demo train venv: export {interruption.WITH_PARENT} := 1\n" in makefile
    assert bootstrap.WITH_PARENT == interruption.WITH_PARENT


def test_an_exception_ends_what_was_started(tmp_path: Path) -> None:
    mark = secrets.token_hex(8)
    environment = os.environ | {trees.VARIABLE: mark}
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(FAMILY, cwd=tmp_path, env=environment, timeout=1)
    assert trees.wait_until_gone(mark) == set()
    with pytest.raises(FileNotFoundError):
        processes.run(["no such program"])


def test_the_program_gets_what_it_is_given(tmp_path: Path) -> None:
    done = processes.run(
        ["sh", "-c", "pwd; echo $X; cat; echo wrong >&2; exit 3"], cwd=tmp_path, env={"X": "x"}
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{tmp_path}\nx\n", "wrong\n")
    with (tmp_path / "log").open("w") as log:
        processes.run(["sh", "-c", "echo out; echo error >&2"], output=log)
    assert (tmp_path / "log").read_text() == "out\nerror\n"


def test_whichever_of_two_fails_first_stops_the_other() -> None:
    """An exception in the block kills the program of the work, which can't start another."""
    begun, reached = threading.Event(), []

    def work() -> None:
        begun.set()
        processes.run(["sleep", "1000"])
        processes.run(["true"])
        reached.append("the end")

    with pytest.raises(KeyError), processes.beside(work) as future:  # noqa: PT012
        begun.wait()
        raise KeyError("block")
    assert isinstance(future.exception(), processes.Stopped)
    assert not reached

    told: list[BaseException] = []

    def failing() -> None:
        raise OSError("work")

    with processes.beside(failing, told.append) as failed:
        pass
    assert told == [failed.exception()]


def test_workers_are_ended_with_their_programs(tmp_path: Path) -> None:
    with processes.pool(2) as pool:
        assert sorted(pool.map(abs, [-1, 2])) == [1, 2]
    mark = secrets.token_hex(8)
    with begin("pool", tmp_path, mark) as process:
        wait_for((tmp_path / "begun").exists, mark)
        process.kill()
    assert trees.wait_until_gone(mark, process.pid) == set()


def test_programs_are_started_in_one_place() -> None:
    """Programs started elsewhere would not be ended. Exceptions are the setup, which runs before anything is
    installed, and the compiler's wrapper, which make starts."""
    alone = {
        "models/processes.py",
        "scripts/setup/bootstrap.py",
        "scripts/setup/matrix.py",
        "sim/simulation/objcache.py",
    }
    names = ("import subprocess", "os.system(", "ProcessPoolExecutor(", "os.popen(", "os.spawn", "os.fork(")
    found = {
        str(path.relative_to(ROOT))
        for folder in ("models", "hls", "sim", "scripts")
        for path in (ROOT / folder).rglob("*.py")
        if any(name in path.read_text(encoding="utf-8") for name in names)
    }
    assert found <= alone, found - alone
