# SPDX-License-Identifier: Apache-2.0
"""A compiler wrapper (make's OBJCACHE) that compiles the code that all designs share once per machine.

That code is Verilator's run-time library and cocotb's main program: most of g++'s work for a small design.
It is called as::

    python -I -S objcache.py FOLDER c++ OPTIONS... -c -o OBJECT SOURCE

The object of a source below ``$VERILATOR_ROOT/include``, or of the main program, is copied from FOLDER if an
equal command has made one from equal sources before; a new object is kept there. Everything else is compiled
as if without the wrapper. If FOLDER cannot be written to, only time is lost. The wrapper runs many times per
build, so it imports the standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

#: The main program, and the only design header that it includes: the ports, which are equal for most designs.
PROGRAM, PORTS = "verilator.cpp", Path("Vtop.h")


def main(folder: str, command: list[str]) -> int:
    """Compile, or copy an object compiled before; return the compiler's exit code."""
    include = Path(os.environ.get("VERILATOR_ROOT", ""), "include")
    source = Path(command[-1])
    shared = source.is_relative_to(include) or source.name == PROGRAM
    if "-c" not in command or "-o" not in command or not shared:
        os.execvp(command[0], command)
    target = Path(command[command.index("-o") + 1])
    kept = Path(folder, f"{_key(command, include, source)}.o")
    try:
        _copy(kept, target)
        return 0
    except OSError:  # not there yet
        pass
    code = os.waitstatus_to_exitcode(os.spawnvp(os.P_WAIT, command[0], command) << 8)
    if code == 0:
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            _copy(target, kept)
        except OSError:
            pass
    return code


def _copy(old: Path, new: Path) -> None:
    """Copy the whole file or nothing: other builds may read and write it at the same time."""
    part = new.with_name(f"{new.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(old, part)
        part.replace(new)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _key(command: list[str], include: Path, source: Path) -> str:
    """Return the hash of everything that the object depends on: compiler, options, source and headers."""
    found = hashlib.sha256()
    compiler = Path(shutil.which(command[0]) or command[0]).resolve()
    found.update(repr((command, compiler)).encode())
    if compiler.exists():
        stat = compiler.stat()
        found.update(repr((stat.st_size, stat.st_mtime_ns)).encode())
    ports = [PORTS] if source.name == PROGRAM else []
    for path in (source, *ports, *sorted(include.glob("*.h"))):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
