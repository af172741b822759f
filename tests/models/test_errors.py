# SPDX-License-Identifier: Apache-2.0
"""The lines of an external tool's log that messages repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

from zynq_lstm.models.errors import UserError, first_error

DOCTOR = "('zynq-lstm doctor' says what installs a missing program)"


def debian(package: str) -> str:
    return f"(on Debian: apt-get install {package})"


@pytest.mark.parametrize(
    "log, said",
    [
        ("reading a.sv\n%Error: a.sv:3:1: syntax error\n%Error: exiting", "%Error: a.sv:3:1: syntax error"),
        ("a.cpp: In function\n  a.cpp:3:1: error: no x\nerror: other\n", "a.cpp:3:1: error: no x"),
        ("Fatal: out of memory", "Fatal: out of memory"),
        ("mirrors and terrors\nno luck today\n\n", "no luck today"),
        ("", "nothing"),
        (
            "make: c++: No such file or directory\n%Error: make",
            f"make: c++: No such file or directory {debian('g++')}",
        ),
        (
            "./b.sh: line 2: g++: command not found\n\nFailed",
            f"./b.sh: line 2: g++: command not found {debian('g++')}",
        ),
        ("/bin/sh: 1: make: not found\n", f"/bin/sh: 1: make: not found {debian('make')}"),
        (
            "env: 'perl': No such file or directory",
            f"env: 'perl': No such file or directory {debian('perl')}",
        ),
        ("/bin/sh: 1: vivado: not found\n", f"/bin/sh: 1: vivado: not found {DOCTOR}"),
        (
            "a.cpp:1: fatal error: b.h: No such file or directory",
            "a.cpp:1: fatal error: b.h: No such file or directory",
        ),
        ("error " + "x" * 500, "error " + "x" * 294 + "..."),
    ],
)
def test_the_first_error_of_a_log(log: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(log)
    assert first_error(path) == said


def test_what_was_there_before_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("error of an earlier run\n")
    before = path.stat().st_size
    with path.open("a") as log:
        log.write("error of this run\n")
    assert first_error(path, before) == "error of this run"
    assert "\n" not in str(UserError("two\nlines"))
