# SPDX-License-Identifier: Apache-2.0
"""Situations of a user's first hour, each with the right answer: one module per subject.

A situation is a command line that somebody typed, the files that existed, and the answer. The tables
are data; ``tests/test_situations.py`` runs them. Add a row to the module of its subject.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Situation:
    """One command line and the right answer to it.

    Args:
        line: arguments of ``zynq-lstm``, as one would type them (parsed by :func:`shlex.split`).
        said: regular expression that the answer must match: standard error where ``code`` is 1 or 2,
            standard output where it is 0.
        code: exit code; with 1 or 2 the answer is one line of standard error.
        prepare: makes the files that exist before, in the working folder.
        check: looks at the working folder afterwards; its assertions are part of the right answer.
        imports: True if the answer may take more than a second, because TensorFlow is needed to find it.
            Otherwise, a refused command must not have imported TensorFlow.
        folder: name of the working folder, such as a user might give it.
        case: True if this is one of the models on which the first import of a stranger's model failed.
    """

    line: str
    said: str
    code: int = 2
    prepare: Callable[[Path], object] | None = None
    check: Callable[[Path], object] | None = None
    imports: bool = False
    folder: str = ""
    case: bool = False
