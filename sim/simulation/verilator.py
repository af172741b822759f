# SPDX-License-Identifier: Apache-2.0
"""Verilator's command line: its options, and the libraries and the compiler that its makefile uses."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from zynq_lstm.hls.engine.project import TOP
from zynq_lstm.models.errors import require_package
from zynq_lstm.sim.simulation.links import Links

OBJECT_CACHE = Path(__file__).parent / "objcache.py"

# Verilator's default is -Os, even for its library, through which every callback of cocotb goes.
RTL_OPTIONS = (
    *("--x-assign", "fast", "--x-initial", "fast"),
    *("-MAKEFLAGS", "OPT_FAST=-O2 OPT_GLOBAL=-O2"),
)
# Most of the code is counters, which take long to compile.
COVERAGE = ("--coverage-line", "--coverage-toggle")
COVERAGE_OPTIONS = (
    *("--x-assign", "fast", "--x-initial", "fast", *COVERAGE),
    *("-MAKEFLAGS", "OPT_FAST=-O1 OPT_GLOBAL=-O1"),
)
# Compilation takes longer than the simulation. Up to thousands of cells, a single file without precompiled
# headers compiles fastest.
_SHORT_RUN = ("--output-split", "200000", "-MAKEFLAGS", "OPT_FAST=-O0 OPT_GLOBAL=-O2")
QUICK_OPTIONS = ("--x-assign", "fast", "--x-initial", "fast", *_SHORT_RUN)
# Builds with waveforms or coverage have a library of their own, which few share.
QUICK_LIBRARY = ("-MAKEFLAGS", "OPT_GLOBAL=-O0")
# Undefined bits become random, since nothing may depend on them.
NETLIST_OPTIONS = ("--x-assign", "unique", "--x-initial", "unique", *_SHORT_RUN)


def build_command(
    root: str, sources: list[str], links: Links, waves: bool, options: Sequence[str]
) -> list[str]:
    """Return the command that builds a simulation.

    It is cocotb's own recipe, except that only the top's ports are visible: everything else stays optimised.
    """
    from cocotb_tools import config

    waveform: list[str] = []
    if waves:
        # Verilator's FST writer needs liblz4 and zlib. The headers in sim/simulation/fst have the few
        # functions that it calls; the libraries that its makefile asks for are empty.
        for name in ("lz4", "z"):
            (links.folder / f"lib{name}.a").write_bytes(b"!<arch>\n")
        headers = links.to("fst", Path(__file__).parent / "fst")
        waveform = ["--trace-fst", "-CFLAGS", f"-I{headers}", "-LDFLAGS", "-L."]
    library = f"{linked(links.to('cocotb', config.libs_dir))} -lcocotbvpi_verilator"
    jobs = str(os.cpu_count() or 1)
    return [
        *verilator_command(root),
        *("--cc", "--exe", "--build", "-j", jobs, "-O3", "-Wno-fatal", "--vpi", *options),
        *("--prefix", "Vtop", "--top-module", TOP, "-o", TOP, "-Mdir", "."),
        *("--timescale", "1ns/1ps", "-LDFLAGS", library),
        # The packaged Verilator's makefile was never configured for a machine: it lacks g++'s option that
        # includes a precompiled header, and it expects a command `python`. It also refuses to work in a
        # folder with a blank in its path (CURDIR), although it takes no path from it.
        *("-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include PYTHON3=python3 OPT_SLOW=-O0 CURDIR=."),
        *waveform,
        links.to("verilator.cpp", config.share_dir / "lib" / "verilator" / "verilator.cpp"),
        *links.files("sim", [Path(__file__).parent / "verilator.vlt"]),
        *sources,
    ]


def verilator_command(root: Path | str) -> list[str]:
    """Return the command that starts the Verilator in a folder.

    It starts the program itself, not the Perl script around it, which splits paths at blanks. Like that
    script, it lifts the stack limit for large designs.
    """
    program = f"{root}/bin/verilator_bin"
    return ["sh", "-c", 'ulimit -s unlimited 2>/dev/null; exec "$@"', "verilator", program]


def linked(folder: str) -> str:
    """Return the linker options that find the libraries of a linked folder, at link time and at run time."""
    return f"-L{folder} -Wl,-rpath,'$$ORIGIN/{folder}'"


def verilator_root() -> Path:
    """Return the folder of the Verilator that comes as a Python package.

    Raises:
        UserError: if it is not installed.
    """
    return require_package("verilator")


def object_cache() -> str:
    """Return the command through which make calls the compiler, quoted for a makefile."""
    from platformdirs import user_cache_path

    folder = user_cache_path("zynq-lstm") / "verilator"
    return shlex.join([sys.executable, "-I", "-S", str(OBJECT_CACHE), str(folder)]).replace("$", "$$")
