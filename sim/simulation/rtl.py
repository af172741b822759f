# SPDX-License-Identifier: Apache-2.0
"""The RTL or its netlist as an engine: write a project, build it, and run codes through it under cocotb."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import PROJECT_FILE, generate
from zynq_lstm.hls.engine.schedule import MODES
from zynq_lstm.hls.synthesis.yosys import results, synthesize
from zynq_lstm.models import processes
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.choice import WORD_LOGITS
from zynq_lstm.models.integers.limits import SIGNAL_BITS
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.store import claim, write_text
from zynq_lstm.sim import shell
from zynq_lstm.sim.bench.components import (
    BAD_INPUTS_FILE,
    MUTANTS_FILE,
    PLAN_VARIABLE,
    PROGRESS_FILE,
    REPORT_FILE,
    STREAM_FILE,
)
from zynq_lstm.sim.shell import PortMap
from zynq_lstm.sim.simulation.rtl_trace import RtlTraceReader, read_rtl_trace, trace_files
from zynq_lstm.sim.simulation.simulator import WAVES, Simulator, build, build_netlist, build_shell

PROTOCOL_TESTS = (
    "score_back_to_back",
    "register_map",
    "registers_at_random",
    "registers_interleaved",
    "strobes",
    "counters",
    "counts_of_errors",
    "score_with_pauses",
    "score_with_long_stall",
    "state_reset",
    "bad_codes",
    "generate_closed_loop",
    "last_missing",
    "last_early",
    "generate_stop",
    "sample_with_temperature",
    "sample_again",
    "seed_right_before",
    "temperature_while_generating",
)
LONG_PROTOCOL_TESTS = ("score_long", "sample_long")
CORNER_TESTS = (
    "reset_in_every_cycle",
    "pace",
    "character_in_every_cycle",
    "clear_state_in_every_cycle",
    "every_transition",
    "controls_at_any_time",
    "registers_while_busy",
    "output_buffer_full",
    "what_is_left_to_generate",
    "same_code_again",
    "choices_by_a_hair",
    "error_bits",
    "write_of_no_byte",
    "requests_at_once",
)

SOURCES = (".sv", ".svh", ".mem")  # suffixes of a project's sources
SHELL_ARRAY = Array(1, 1, 1, 1)  # what the registers say of the array where there is none
LOOK_SECONDS = 0.05  # interval between looks at what has been generated or compared


@dataclass(frozen=True)
class Sequence:
    """Characters that enter on s_axis up to a TLAST.

    Args:
        codes: character codes, at least one.
        length: number of characters that the engine then generates; None: the codes are scored.
    """

    codes: Iterable[int] | NDArray[Any]
    length: int | None = None

    def plan(self) -> dict[str, Any]:
        codes = [int(code) for code in self.codes]
        if not codes or (self.length is not None and self.length < 1):
            raise UserError(f"a sequence of {len(codes)} codes and length {self.length} has no output")
        return {"codes": codes, "length": self.length}


@dataclass(frozen=True)
class RtlRun:
    """Results of one bench run; ``trace`` has every signal of every character, and is empty for a netlist."""

    report: dict[str, Any]
    trace: dict[str, Raw]

    @property
    def logits(self) -> Raw:
        return self.trace["logits"]


@dataclass(frozen=True)
class Rtl:
    """A network's engine, built for a simulator."""

    design: Design
    network_file: Path
    simulator: Simulator
    traced: bool = True  # every signal is seen; False for a netlist, of which only the ports are

    @classmethod
    def build(
        cls,
        design: Design,
        folder: Path,
        *,
        simulator: str = "verilator",
        waves: bool = False,
        coverage: bool = False,
        quick: bool = False,
        upsets: bool = False,
        project: Path | None = None,
    ) -> Rtl:
        """Write the project to ``folder/rtl``, or copy ``project``, which may have been changed; build it.

        Other arguments are those of :func:`zynq_lstm.sim.simulation.simulator.build`.

        Raises:
            UserError: if ``project`` is not an RTL project, or was written for another network or array.
        """
        written, network_file = _write(design, folder)
        if project:
            _copy(project, written)
        options = {"waves": waves, "coverage": coverage, "quick": quick, "upsets": upsets}
        return cls(design, network_file, build(written, simulator, **options))

    @classmethod
    def build_netlist(
        cls, design: Design, folder: Path, *, simulator: str = "verilator", waves: bool = False
    ) -> Rtl:
        """Write the project to ``folder/rtl``, synthesize it with Yosys, and build the netlist."""
        project, network_file = _write(design, folder)
        synthesize(project)
        netlist = results(project) / "netlist.v"
        return cls(design, network_file, build_netlist(netlist, simulator, waves=waves), traced=False)

    @classmethod
    def build_hls(cls, network: IntegerNetwork, library: Path, function: str, folder: Path) -> Rtl:
        """Build a simulation of compiled hls4ml C++ with the engine's interfaces; every signal is seen.

        Args:
            library: the shared library that hls4ml compiled from a converted model.
            function: name of its top function for doubles.
        """
        design = Design(network, SHELL_ARRAY)
        project, network_file = _write(design, folder, shell.project(design, shell.text("dpi_kernel.sv")))
        defined = {
            "NETWORK": function,
            "WORD_LOGITS": WORD_LOGITS,
            "SIGNAL_BITS": SIGNAL_BITS,
        }
        options = ["-CFLAGS", " ".join(f"-DZYNQ_LSTM_{name}={value}" for name, value in defined.items())]
        source = Path(shell.__file__).parent / shell.DPI
        built = build_shell(project, sources=[source], library=library, options=options)
        return cls(design, network_file, built)

    @classmethod
    def build_exported(cls, network: IntegerNetwork, exported: Path, ports: PortMap, folder: Path) -> Rtl:
        """Build a simulation of RTL that Vitis HLS exported from a converted model; only ports are seen.

        Args:
            exported: folder of the Verilog and of the files that it reads.
            ports: names of its ports.

        Raises:
            UserError: if there is no Verilog, or Verilator does not accept it.
        """
        sources = sorted(path for path in exported.glob("*") if path.suffix in shell.SOURCES)
        if not sources:
            raise UserError(f"{exported}: no Verilog in this folder")
        design = Design(network, SHELL_ARRAY)
        kernel = ports.kernel(network.spec.vocabulary)
        project, network_file = _write(design, folder, shell.project(design, kernel))
        for path in exported.iterdir():  # the simulation reads memory files from its own folder
            if path.is_file() and path.suffix not in shell.SOURCES:
                shutil.copyfile(path, project / path.name)
        return cls(design, network_file, build_shell(project, sources=sources), traced=False)

    def score(
        self,
        codes: Iterable[int] | NDArray[Any],
        run: str = "score",
        progress: Callable[[int], object] | None = None,
    ) -> RtlRun:
        """Return logits and every signal for ``codes``, from a zero state.

        In all runs, only the ports of a netlist are seen and compared.

        Args:
            progress: called from time to time with the number of characters compared so far.

        Raises:
            CheckError: if anything differs from the reference; the message names the first difference.
        """
        return self._traced(Sequence(codes), run, progress=progress)

    def generate(
        self,
        prime: Iterable[int] | NDArray[Any],
        length: int,
        run: str = "generate",
        *,
        temperature_raw: int = 0,
        seed: int = 0,
    ) -> RtlRun:
        """Prime and generate on chip; ``report["generated"]`` has the codes.

        Args:
            temperature_raw: in the format :data:`zynq_lstm.models.integers.choice.TEMPERATURE`; 0 is greedy.
            seed: seed of the random sequence.

        Raises:
            CheckError: if anything differs from the reference; the message names the first difference.
        """
        return self._traced(Sequence(prime, length), run, temperature_raw=temperature_raw, seed=seed)

    def verify(
        self,
        sequences: Iterable[Sequence],
        run: str = "verify",
        *,
        temperature_raw: int = 0,
        seed: int = 0,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, Any]:
        """Run any number of characters, and compare every signal as they come; no trace is kept.

        The state is kept from one sequence to the next. Memory and disk use grow with the longest sequence,
        by only a few bytes per character.

        Args:
            progress: called from time to time with the number of characters compared so far.

        Returns:
            The report; its ``sequences`` have each sequence's ``cycles_per_character`` and ``generated``.

        Raises:
            CheckError: if anything differs from the reference; the message names the first difference.
        """
        options = {"keep_trace": False, "temperature": temperature_raw, "seed": seed}
        return self._followed(sequences, run, options, progress)

    def stream(
        self, prime: Iterable[int] | NDArray[Any], length: int, *, temperature_raw: int = 0, seed: int = 0
    ) -> Iterator[int]:
        """Yield the characters of :meth:`generate` as they come.

        Raises:
            CheckError: as :meth:`generate`, but after the last character.
        """
        if not length:
            return
        options = {"keep_trace": False, "temperature": temperature_raw, "seed": seed}
        for lines in self._text([Sequence(prime, length)], "stream", options, STREAM_FILE):
            yield from map(int, lines)

    def protocol(self, test: str, seed: int | None = None) -> Path:
        """Run one of PROTOCOL_TESTS, LONG_PROTOCOL_TESTS or CORNER_TESTS; return its JUnit XML."""
        return self._run(_module(test), test, test, {}, seed)[1]

    def cover(self, test: str, seed: int | None = None, **more: Any) -> Path:
        """Run a test as :meth:`protocol` does, counting its coverage; return the run's folder.

        ``steps`` is the greatest number of steps of a sweep over a character's cycles.
        """
        options = {"module": _module(test), "test": test, **more}
        return self._run("zynq_lstm.sim.bench.coverage", "covered", f"cover-{test}", options, seed)[0]

    def protocol_at_once(self, seed: int | None = None) -> Path:
        """Run all PROTOCOL_TESTS in one simulation of a netlist (of RTL, the traces of all would add up)."""
        assert not self.traced
        return self._run("zynq_lstm.sim.bench.protocol", PROTOCOL_TESTS, "protocol", {}, seed)[1]

    def upset(self, codes: Iterable[int], places: dict[int, dict[str, Any]]) -> RtlRun:
        """Score ``codes`` with bits of memories flipped at some characters; compare nothing.

        :mod:`zynq_lstm.sim.campaigns.upsets.rtl` defines a place, and compares.
        """
        options = {"codes": [int(code) for code in codes], "places": places}
        self._run("zynq_lstm.sim.bench.upsets", "upset", "upset", options)
        return RtlRun(self._finished("upset"), self.trace("upset"))

    def bad_inputs(self) -> dict[str, str | None]:
        """Run the cases of :mod:`zynq_lstm.sim.bench.bad_inputs`; return each case's error or None."""
        run_dir = self._run("zynq_lstm.sim.bench.bad_inputs", "bad_inputs", "bad_inputs", {})[0]
        lines = (run_dir / BAD_INPUTS_FILE).read_text(encoding="ascii").splitlines()
        return {row["name"]: row["wrong"] for row in map(json.loads, lines)}

    def run_mutants(self, runs: list[tuple[str, int, int]], seed: int, share: int = 0) -> Path:
        """Run tests on mutants, given as (test, mutant, limit in cycles); return the file of the results.

        Runs of other shares may go on at the same time, in other processes.
        """
        run = f"mutants-{share}"
        results = self._run_dir(run) / MUTANTS_FILE
        results.unlink(missing_ok=True)
        with contextlib.suppress(CheckError):  # tests should fail on mutants
            self._run("zynq_lstm.sim.bench.mutants", None, run, {"runs": runs}, seed)
        return results

    def _traced(
        self,
        sequence: Sequence,
        run: str,
        *,
        temperature_raw: int = 0,
        seed: int = 0,
        progress: Callable[[int], object] | None = None,
    ) -> RtlRun:
        """Run one sequence, and keep its trace."""
        options = {"keep_trace": True, "temperature": temperature_raw, "seed": seed}
        report = self._followed([sequence], run, options, progress)
        return RtlRun(report | report["sequences"][0], self.trace(run) if self.traced else {})

    def _followed(
        self,
        sequences: Iterable[Sequence],
        run: str,
        options: dict[str, Any],
        progress: Callable[[int], object] | None,
    ) -> dict[str, Any]:
        """Run the bench of real text, telling how many characters are compared; return its report."""
        for lines in self._text(sequences, run, options, PROGRESS_FILE):
            if progress and lines:
                progress(int(lines[-1]))
        return self._finished(run)

    def _text(
        self, sequences: Iterable[Sequence], run: str, options: dict[str, Any], watched: str
    ) -> Iterator[list[str]]:
        """Run the bench of real text; meanwhile, yield the new whole lines of a file that it writes."""
        file = self._run_dir(run) / watched
        for old in (STREAM_FILE, PROGRESS_FILE):
            (file.parent / old).unlink(missing_ok=True)
        options = options | {"sequences": [sequence.plan() for sequence in sequences]}
        seen = 0
        with processes.beside(lambda: self._run("zynq_lstm.sim.bench.text", "text", run, options)) as done:
            over = False
            while not over:
                wait([done], timeout=LOOK_SECONDS)
                over = done.done()
                if file.exists():
                    with file.open(encoding="ascii") as stream:
                        stream.seek(seen)
                        new = stream.read()
                    new = new[: new.rfind("\n") + 1]
                    seen += len(new)
                    yield new.splitlines()
            done.result()

    def report(self, run: str) -> dict[str, Any] | None:
        """Return the report of the last run of that name, even if it failed; None if there is none."""
        path = self._run_dir(run) / REPORT_FILE
        if not path.exists():
            return None
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return report

    def _finished(self, run: str) -> dict[str, Any]:
        report = self.report(run)
        assert report is not None, f"run {run} left no report"
        return report

    def _run_dir(self, run: str) -> Path:
        return self.network_file.parent / f"run-{run}"

    def window(self, codes: Iterable[int] | NDArray[Any], start_ns: int) -> Path:
        """Score ``codes`` once more for a waveform from ``start_ns`` on; return its path (FST).

        A difference from the reference ends the run, and is not an error here.
        """
        path = self._run_dir("window") / WAVES
        path.unlink(missing_ok=True)
        options = {"keep_trace": True, "temperature": 0, "seed": 0, "sequences": [Sequence(codes).plan()]}
        with contextlib.suppress(CheckError):
            self._run("zynq_lstm.sim.bench.text", "text", "window", options, waves_from_ns=start_ns)
        if not path.exists():
            raise CheckError(f"the simulation wrote no waveform; see {path.parent / 'simulation.log'}")
        return path

    def recorded(self, run: str) -> dict[str, Raw]:
        """Return every signal of the characters finished in the last run of that name, even if it failed."""
        return RtlTraceReader(self.design.network, self._run_dir(run), self.design.layout).read()

    def trace(self, run: str) -> dict[str, Raw]:
        """Return every signal of the last run of that name, even if it failed."""
        return read_rtl_trace(self.design.network, self._run_dir(run), self.design.layout)

    def _run(
        self,
        module: str,
        test: str | tuple[str, ...] | None,
        run: str,
        options: dict[str, Any],
        seed: int | None = None,
        waves_from_ns: int | None = None,
    ) -> tuple[Path, Path]:
        run_dir = self._run_dir(run)
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / REPORT_FILE).unlink(missing_ok=True)
        plan = run_dir / "plan.json"
        array = self.design.array
        data = {
            "network": str(self.network_file),
            "run_dir": str(run_dir),
            "array": asdict(array),
            "periods": {mode: self.design.schedule.timing(mode).cycles_per_character for mode in MODES},
            "constants": self.design.register_constants(),
            "parity": array.parity,
            "traced": self.traced,
            "options": options,
        }
        traces = trace_files(run_dir, self.design.layout)
        for file in traces.values():
            file.unlink(missing_ok=True)
        write_text(plan, json.dumps(data))
        results = self.simulator.run(
            module,
            run_dir,
            testcase=test,
            environment={PLAN_VARIABLE: str(plan)},
            plusargs={name: str(file) for name, file in traces.items()},
            seed=seed,
            waves_from_ns=waves_from_ns,
        )
        return run_dir, results


def _module(test: str) -> str:
    """Return the module of a test."""
    return "zynq_lstm.sim.bench.corners" if test in CORNER_TESTS else "zynq_lstm.sim.bench.protocol"


def _write(design: Design, folder: Path, files: dict[str, str] | None = None) -> tuple[Path, Path]:
    """Write the project (or ``files`` instead) and the network for the bench; return their paths."""
    folder = folder.resolve()
    claim(folder)
    network_file = folder / "network.safetensors"
    design.network.save(network_file)
    write_project(design, folder / "rtl", files)
    return folder / "rtl", network_file


def _copy(project: Path, folder: Path) -> None:
    """Replace a written project's sources with those of another project of the same network and array."""
    theirs = project / PROJECT_FILE
    if not theirs.is_file():
        raise UserError(f"{project}: not an RTL project; 'zynq-lstm convert --backend OpenRTL' writes one")
    ours, other = (
        json.loads((where / PROJECT_FILE).read_text(encoding="utf-8")) for where in (folder, project)
    )
    for name in ("identity", "array"):
        if ours[name] != other.get(name):
            raise UserError(f"{theirs}: {name} is {other.get(name)}, of the network to run {ours[name]}")
    for path in _sources(folder):
        path.unlink()
    for path in _sources(project):
        shutil.copyfile(path, folder / path.name)


def _sources(project: Path) -> list[Path]:
    return [path for path in project.iterdir() if path.suffix in SOURCES and path.is_file()]


def write_project(design: Design, folder: Path, files: dict[str, str] | None = None) -> None:
    """Write the generated files; equal files stay untouched, so that they cause no rebuild."""
    folder.mkdir(parents=True, exist_ok=True)
    files = files or generate(design)
    for old in _sources(folder):
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
