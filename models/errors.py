# SPDX-License-Identifier: Apache-2.0
"""The two exceptions that the command line reports in one line, notes, and helpers for error messages.

Any other exception is a bug in this project.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path

_ERROR_LINE = re.compile(r"\b(?:error|fatal)\b", re.I)
#: Message of a shell, env or make about a program that is missing.
_MISSING = re.compile(r"^\S+: .*(?:\bnot found|No such file or directory)$")
#: Debian package of each program.
PACKAGES = {
    **{name: name for name in ("g++", "make", "perl", "iverilog", "gtkwave")},
    "c++": "g++",
    "vvp": "iverilog",
    "ar": "binutils",
    "as": "binutils",
    "ld": "binutils",
}
_LONGEST = 300  # characters of a tool's line that are quoted


class _OneLine(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UserError(_OneLine, ValueError):
    """The user's input is wrong. Exit code 2.

    The message is one line and says what is wrong, where, what is legal and what to do.
    """


class CheckError(_OneLine):
    """Results that must be equal differ, or a test failed. Exit code 1; the message names the first place."""


#: Where notes go; the command line shows them on standard error.
NOTES = logging.getLogger("zynq_lstm.notes")


def note(message: str) -> None:
    """Tell the user about something that is legal but may be unexpected."""
    NOTES.warning("%s", " ".join(message.split()))


def require_package(name: str) -> Path:
    """Return the folder of a Python package without importing it.

    Raises:
        UserError: the package is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UserError(f"Python package {name} is not installed; install it with pip")
    return Path(spec.origin).parent


def installs(program: str) -> str:
    """Return the command that installs a program of :data:`PACKAGES` on Debian."""
    return f"apt-get install {PACKAGES[program]}"


def first_error(log: Path, start: int = 0, error: re.Pattern[str] = _ERROR_LINE) -> str:
    """Return a failed tool's own message: the first line of its log with an error, or else the last line.

    If a program was not found, the message also says how to install it.

    Args:
        start: byte offset at which the tool began to write to the log.
        error: pattern that matches a line with an error.
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
