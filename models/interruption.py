# SPDX-License-Identifier: Apache-2.0
"""Ending the program at a signal, at any moment: while it computes, imports, waits or writes.

Python's own way, an exception wherever the program happens to be, does not end it reliably: third-party code
swallows the exception, Python waits for threads, and nothing happens while a library computes. Here the
signal handler ends the process. It kills the programs that the process has started, calls the functions
registered by :func:`at_interruption`, and does no more: files are only ever replaced by whole ones, so
nothing needs to be unwound. If the handler can't run, because the main thread is inside a library, a thread
ends the process after :data:`GRACE` seconds.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from zynq_lstm.models import processes

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CODE = 130  # exit code of an interrupted program
GRACE = 2.0  # seconds for the main thread to end the process by itself
#: If this variable is set, the program ends when its parent does; make sets it for the programs it starts.
WITH_PARENT = "ZYNQ_LSTM_ENDS_WITH_PARENT"

_PR_SET_PDEATHSIG = 1  # option of Linux's prctl
_SHOW_CURSOR = b"\r\x1b[K\x1b[?25h"  # on a terminal, after a progress display

_acts: list[Callable[[], object]] = []
_ending = threading.Lock()


class _Streams:
    """Copies of standard output and error, made before anything redirects them; None until then."""

    out: int | None = None
    error: int | None = None
    installed = False


def end_at_signals(name: str) -> None:
    """Make signals end this process from now on, with exit code :data:`CODE` and a message.

    Signals that are ignored stay ignored, as under nohup.

    Args:
        name: name of the program, for its last line.
    """
    _Streams.out, _Streams.error = _copy(1), _copy(2)
    _Streams.installed = True
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: _end(CODE, f"{name}: interrupted"))
    threading.Thread(target=_impatient, args=(read, f"{name}: interrupted"), daemon=True).start()
    if os.environ.pop(WITH_PARENT, ""):
        import ctypes

        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent ended before the call
            _end(CODE, f"{name}: interrupted")


@contextlib.contextmanager
def at_interruption(act: Callable[[], object]) -> Iterator[None]:
    """Call ``act`` if the process is interrupted within the block; the latest registered is called first.

    ``act`` must not wait, import anything, or use anything that a thread may have locked, such as a console.
    """
    _acts.append(act)
    try:
        yield
    finally:
        _acts.remove(act)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that is removed at the end of the block, or at an interruption."""
    with tempfile.TemporaryDirectory() as name, at_interruption(lambda: shutil.rmtree(name, True)):
        yield Path(name)


def say(text: str, error: bool = False) -> None:
    """Write a line from within an ``act``: bypass all buffers, and write nothing if that would block."""
    descriptor = _Streams.error if error else _Streams.out
    if descriptor is None:
        return
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [descriptor], [], 0)[1]:
            os.write(descriptor, f"{text}\n".encode(errors="replace"))


def end(code: int, said: str) -> None:
    """End the process now, from any thread, with a last line; do nothing without :func:`end_at_signals`."""
    if _Streams.installed:
        _end(code, said)


def _copy(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # closed
        return None


def _impatient(pipe: int, said: str) -> None:
    """End the process if a signal has come and the main thread has not ended it."""
    while not set(os.read(pipe, 64)) & set(SIGNALS):
        pass
    for act in (lambda: _end(CODE, said), lambda: os._exit(CODE)):
        threading.Event().wait(GRACE)
        threading.Thread(target=act, daemon=True).start()


def _end(code: int, said: str) -> None:
    if not _ending.acquire(blocking=False):
        return  # the process is ending already
    with contextlib.suppress(Exception):
        processes.end_all()
    if _Streams.out is not None and os.isatty(_Streams.out):
        with contextlib.suppress(OSError):
            os.write(_Streams.out, _SHOW_CURSOR)
    for act in reversed(_acts):
        with contextlib.suppress(Exception):
            act()
    say(said, error=True)
    os._exit(code)
