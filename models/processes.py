# SPDX-License-Identifier: Apache-2.0
"""Start other programs so that none of them keeps running after this process, however it ends.

Every program has a mark in its environment, which the programs that it starts inherit: the compilers that
make starts have make's mark. Before the first program, a watcher is started. It is a small process that holds
one end of a pipe; only this process holds the other end. When this process has ended, even by SIGKILL, the
watcher finds the pipe closed and kills every process that still has a mark.

:func:`run` starts a program, and :func:`marked` is for third-party code that starts programs. :func:`pool` is
for work in other processes, and :func:`beside` for work in another thread. This file is also the watcher's
program, and therefore imports nothing from the project.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")

VARIABLE = "ZYNQ_LSTM_PROGRAM"
_PROC = Path("/proc")
_ROUNDS = 500  # most rounds of killing, since a process that waits for a disk may be impossible to kill


class Stopped(RuntimeError):
    """A program was to be started in a thread whose work was stopped."""


@dataclass(frozen=True)
class _Watcher:
    """The watcher of a process; a fork of that process does not share it."""

    owner: int  # id of the process that is watched
    token: str  # the beginning of every mark
    process: int  # id of the watcher
    pipe: int  # open for as long as the owner lives


_lock = threading.RLock()
_watcher: _Watcher | None = None
_numbers = itertools.count()
_threads: dict[str, int] = {}  # programs running now: mark -> thread that started them
_stopped: set[int] = set()  # threads that may start no more programs


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    output: IO[Any] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end. It has no standard input and no terminal.

    If an exception ends the wait, the program and all programs that it has started are killed.

    Args:
        output: an open file for the program's standard output and error. If None, both are in the result.
        timeout: limit in seconds.

    Raises:
        OSError: the program can't be started.
        subprocess.TimeoutExpired: the program took longer than ``timeout``.
    """
    with _mark() as mark:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**(os.environ if env is None else env), VARIABLE: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.PIPE if output is None else subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # ctrl-C in a terminal reaches only this process, which ends its programs
        )
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@contextlib.contextmanager
def marked() -> Iterator[None]:
    """Mark the programs that third-party code starts inside the block; an exception kills them."""
    with _mark() as mark:
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = mark
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(VARIABLE, None)
            else:
                os.environ[VARIABLE] = before


@contextlib.contextmanager
def pool(
    workers: int, prepare: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Start worker processes; an exception kills them and all programs that they have started.

    Args:
        prepare: called first in each worker, with ``arguments``.
    """
    from multiprocessing import get_context

    with marked():
        context = get_context("spawn")  # a fork would share our end of the watcher's pipe
        executor = ProcessPoolExecutor(workers, context, _begin_worker, (prepare, arguments))
        try:
            yield executor
        except BaseException:
            for process in list((executor._processes or {}).values()):
                process.kill()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _begin_worker(prepare: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, lambda *_: None)  # the process that has the pool ends it
    if prepare:
        prepare(*arguments)


@contextlib.contextmanager
def beside(
    work: Callable[[], T], failed: Callable[[BaseException], object] = lambda _: None
) -> Iterator[Future[T]]:
    """Do some work in a thread of its own while the block runs, then wait for its end.

    An exception in the block stops the work: its programs are killed, and it can start no more.

    Args:
        failed: called at once with the work's exception, in the work's thread.
    """
    future: Future[T] = Future()

    def body() -> None:
        try:
            result = work()
        except BaseException as error:
            if threading.get_ident() not in _stopped:
                failed(error)
            future.set_exception(error)
        else:
            future.set_result(result)

    thread = threading.Thread(target=body, daemon=True)  # the interpreter never waits for it at its end
    thread.start()
    try:
        yield future
    except BaseException:
        _stop(thread)
        raise
    thread.join()


def _stop(thread: threading.Thread) -> None:
    ident = thread.ident
    assert ident is not None
    _stopped.add(ident)
    try:
        while thread.is_alive():
            end_started_by(ident)
            thread.join(0.1)
    finally:
        _stopped.discard(ident)


def end_started_by(thread: int) -> None:
    """Kill the programs that a thread has started and waits for."""
    for mark, owner in list(_threads.items()):
        if owner == thread:
            _kill(mark)


def end_all() -> None:
    """Kill all programs of this process: those with its marks, and all its descendants."""
    watcher = _watcher
    if watcher is not None and watcher.owner == os.getpid():
        _kill(watcher.token)
    for _ in range(_ROUNDS):
        left = _descendants(os.getpid()) - {watcher.process if watcher else 0}
        if not left:
            return
        _kill_each(left)


@contextlib.contextmanager
def _mark() -> Iterator[str]:
    """Make a mark for programs; an exception in the block kills the programs that have it."""
    thread = threading.get_ident()
    with _lock:
        mark = f"{_watched()}{next(_numbers)}."
        _threads[mark] = thread
    try:
        if thread in _stopped:
            raise Stopped("the work of this thread was stopped")
        yield mark
    except BaseException:
        _kill(mark)
        raise
    finally:
        _threads.pop(mark, None)


def _watched() -> str:
    """Start this process's watcher if there is none yet, and return the token that begins all its marks."""
    global _watcher
    if _watcher is None or _watcher.owner != os.getpid():
        token = f"{os.getpid()}-{secrets.token_hex(8)}:"
        read, write = os.pipe()
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(read), token],
                env={},  # no mark: no other watcher may kill this one, which must outlive its process
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[read],
                start_new_session=True,
                cwd="/",
            )
        finally:
            os.close(read)
        process.returncode = 0  # no one waits for the watcher, which ends after this process
        _watcher = _Watcher(os.getpid(), token, process.pid, write)
    return _watcher.token


def _kill(mark: str) -> None:
    """Kill every process whose mark begins with ``mark``, until there is none."""
    for _ in range(_ROUNDS):
        found = _with_mark(mark)
        if not found:
            return
        _kill_each(found)


def _kill_each(processes: set[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
    time.sleep(0.01)


def _with_mark(mark: str) -> set[int]:
    wanted = f"{VARIABLE}={mark}".encode()
    found = set()
    for process in _processes():
        with contextlib.suppress(OSError):
            environment = (_PROC / str(process) / "environ").read_bytes()
            if any(entry.startswith(wanted) for entry in environment.split(b"\0")):
                found.add(process)
    return found - {os.getpid()}


def _descendants(ancestor: int) -> set[int]:
    """Return all descendants of a process that have not ended."""
    children: dict[int, list[int]] = {}
    for process in _processes():
        with contextlib.suppress(OSError):
            stat = (_PROC / str(process) / "stat").read_text("utf-8", "replace")
            state, parent, *_ = stat.rpartition(")")[2].split()  # a name may contain blanks and parentheses
            if state != "Z":
                children.setdefault(int(parent), []).append(process)
    found: set[int] = set()
    new = children.get(ancestor, [])
    while new:
        found.update(new)
        new = [child for process in new for child in children.get(process, [])]
    return found


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_PROC) if name.isdecimal()]  # noqa: PTH208
    except OSError:  # no /proc: nothing can be found
        return []


def _watch(pipe: int, token: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.read(pipe, 1)  # returns at end of file: the process that held the other end is gone
    _kill(token)


if __name__ == "__main__":
    _watch(int(sys.argv[1]), sys.argv[2])
