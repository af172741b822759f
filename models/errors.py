# SPDX-License-Identifier: Apache-2.0
"""The two exceptions that the command line reports in one line, notes, and what raises errors in many places.

Any other exception is a defect of ours.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path

_ERROR_LINE = re.compile(r"\b(?:error|fatal)\b", re.I)
#: What a shell, env or make says of a program that is not there.
_MISSING = re.compile(r"^\S+: .*(?:\bnot found|No such file or directory)$")
#: Debian's package of a program.
PACKAGES = {
    **{name: name for name in ("g++", "make", "perl", "iverilog", "gtkwave")},
    "c++": "g++",
    "vvp": "iverilog",
    "ar": "binutils",
    "as": "binutils",
    "ld": "binutils",
}
_LONGEST = 300  # characters of a tool's line that are repeated


class _OneLine(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UserError(_OneLine, ValueError):
    """Something a person gave us is wrong. Exit code 2.

    The message is one line and says what is wrong, where, what is legal and what to do.
    """


class CheckError(_OneLine):
    """What should have been equal is not, or a test failed. Exit code 1; the message has the first place."""


#: Where notes go; the command line shows them on standard error.
NOTES = logging.getLogger("zynq_lstm.notes")


def note(message: str) -> None:
    """Tell a person about something that is legal, and that they may not expect."""
    NOTES.warning("%s", " ".join(message.split()))


def require_package(name: str) -> Path:
    """The folder of a Python package, which is not imported.

    Raises:
        UserError: it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UserError(f"Python package {name} is not installed; install it with pip")
    return Path(spec.origin).parent


def installs(program: str) -> str:
    """The command that installs a program of :data:`PACKAGES` on Debian."""
    return f"apt-get install {PACKAGES[program]}"


def first_error(log: Path, start: int = 0, error: re.Pattern[str] = _ERROR_LINE) -> str:
    """What a tool that failed says itself: the first line of its log with an error, or else its last line.

    Of a program that it has not found, also what installs it.

    Args:
        start: where in the log it began to write, in bytes.
        error: what such a line has.
    """
    text = log.read_bytes()[start:].decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines()]
    found = next((line for line in lines if error.search(line) or _MISSING.search(line)), None)
    if found and not error.search(found):
        missing = next((word for word in re.split(r"[\s:'\"‘’]+", found)[::-1] if word in PACKAGES), None)
        if missing:
            return f"{found} (on Debian: {installs(missing)})"
        return f"{found} ('zynq-lstm doctor' says what installs a missing program)"
    said = found or next((line for line in reversed(lines) if line), "nothing")
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
