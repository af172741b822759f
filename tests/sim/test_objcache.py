# SPDX-License-Identifier: Apache-2.0
"""Code that all designs share is compiled once; changed code and all other code is compiled anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zynq_lstm.sim.simulation.objcache import PORTS, PROGRAM
from zynq_lstm.sim.simulation.verilator import OBJECT_CACHE

#: A compiler that copies its source to the object, and logs each call.
COMPILER = '#!/bin/sh\nfor source; do :; done\necho "$source" >> calls\ncp "$source" "$4"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "include").mkdir()
    for name in ("include/library.cpp", "include/library.h", PROGRAM, str(PORTS), "Vtop.cpp"):
        (tmp_path / name).write_text(name)
    (tmp_path / "cc").write_text(COMPILER)
    (tmp_path / "cc").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    "source, changed, calls",
    [
        ("include/library.cpp", None, 1),
        ("include/library.cpp", str(PORTS), 1),
        ("include/library.cpp", "include/library.h", 2),
        ("include/library.cpp", "include/library.cpp", 2),
        (PROGRAM, None, 1),
        (PROGRAM, str(PORTS), 2),
        (PROGRAM, PROGRAM, 2),
        ("Vtop.cpp", None, 2),
    ],
)
def test_compiled_again_if_what_it_depends_on_has_changed(
    source: str, changed: str | None, calls: int, folder: Path
) -> None:
    for build in range(2):
        if build and changed:
            (folder / changed).write_text("changed")
        compiler = ["./cc", "-c", "-O0", "-o", "o", source]
        command = [sys.executable, "-I", "-S", str(OBJECT_CACHE), "kept", *compiler]
        environment = os.environ | {"VERILATOR_ROOT": "."}
        subprocess.run(command, cwd=folder, env=environment, check=True)
        assert (folder / "o").read_text() == (folder / source).read_text()
        (folder / "o").unlink()
    assert (folder / "calls").read_text().splitlines() == [source] * calls
