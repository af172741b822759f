# SPDX-License-Identifier: Apache-2.0
"""The RTL as an engine: write a project, build it, run codes through it under cocotb, read every signal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hls.design import Design
from hls.generate import generate
from models.store import write_text
from sim.bench.components import PLAN_VARIABLE, STREAM_FILE
from sim.fixed import Raw
from sim.simulator import Simulator, build
from sim.trace import read_rtl_trace, trace_files

PROTOCOL_TESTS = (
    "register_map",
    "score_back_to_back",
    "score_with_pauses",
    "score_with_long_stall",
    "state_reset",
    "bad_codes",
    "generate_closed_loop",
    "generate_stop",
    "sample_with_temperature",
    "sample_again",
    "seed_right_before",
    "temperature_while_generating",
)

STREAM_SECONDS = 0.05  # between looks at what has been generated


@dataclass(frozen=True)
class RtlRun:
    """What one bench run measured; ``trace`` has every signal of every character."""

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

    @classmethod
    def build(cls, design: Design, folder: Path, *, simulator: str = "verilator", waves: bool = False) -> Rtl:
        """Write the project to ``folder/rtl`` and build it."""
        folder = folder.resolve()
        network_file = folder / "network.safetensors"
        design.network.save(network_file)
        write_project(design, folder / "rtl")
        return cls(design, network_file, build(folder / "rtl", simulator, waves=waves))

    def score(self, codes: Sequence[int] | NDArray[Any], run: str = "score") -> RtlRun:
        """Logits and every signal for ``codes``, from a zero state.

        Raises:
            CheckError: if anything differs from the reference; the message names the first difference.
        """
        return self._text("score", run, {"codes": [int(c) for c in codes]})

    def generate(
        self,
        prime: Sequence[int] | NDArray[Any],
        length: int,
        run: str = "generate",
        *,
        temperature_raw: int = 0,
        seed: int = 0,
    ) -> RtlRun:
        """Prime and generate on chip; ``report["generated"]`` has the codes.

        Args:
            temperature_raw: in the format :data:`sim.sampling.TEMPERATURE`; 0 is greedy.
            seed: of the random sequence.

        Raises:
            UserError: if anything differs from the reference; the message names the first difference.
        """
        options = {"codes": [int(c) for c in prime], "length": length}
        return self._text("generate", run, options | {"temperature": temperature_raw, "seed": seed})

    def stream(
        self, prime: Sequence[int] | Raw, length: int, *, temperature_raw: int = 0, seed: int = 0
    ) -> Iterator[int]:
        """The characters of :meth:`generate` as they come.

        Raises:
            UserError: as :meth:`generate`, behind the last character.
        """
        if not length:
            return
        run = "stream"
        file = self.network_file.parent / f"run-{run}" / STREAM_FILE
        file.unlink(missing_ok=True)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(
                self.generate, prime, length, run=run, temperature_raw=temperature_raw, seed=seed
            )
            seen = 0
            while True:
                over = done.done()
                text = file.read_text(encoding="ascii") if file.exists() else ""
                codes = text[: text.rfind("\n") + 1].splitlines()
                yield from map(int, codes[seen:])
                seen = len(codes)
                if over:
                    break
                wait([done], timeout=STREAM_SECONDS)
            done.result()

    def protocol(self, test: str, seed: int | None = None) -> Path:
        """Run one of PROTOCOL_TESTS; returns its JUnit XML."""
        return self._run("sim.bench.protocol", test, test, {}, seed)[1]

    def _text(self, test: str, run: str, options: dict[str, Any]) -> RtlRun:
        run_dir, _ = self._run("sim.bench.text", test, run, options)
        report = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
        return RtlRun(report, self.trace(run))

    def trace(self, run: str) -> dict[str, Raw]:
        """Every signal of the last run of that name, also if it failed."""
        folder = self.network_file.parent / f"run-{run}"
        return read_rtl_trace(self.design.network, folder, self.design.array.gate_lanes)

    def _run(
        self, module: str, test: str, run: str, options: dict[str, Any], seed: int | None = None
    ) -> tuple[Path, Path]:
        run_dir = self.network_file.parent / f"run-{run}"
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / "report.json").unlink(missing_ok=True)
        plan = run_dir / "plan.json"
        lanes = self.design.array.gate_lanes
        data = {
            "network": str(self.network_file),
            "run_dir": str(run_dir),
            "gate_lanes": lanes,
            "cycles_per_character": self.design.schedule.timing("generate").cycles_per_character,
            "options": options,
        }
        traces = trace_files(run_dir, lanes)
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
        )
        return run_dir, results


def write_project(design: Design, folder: Path) -> None:
    """Write the generated files; what is there and equal stays untouched, so that nothing is rebuilt."""
    folder.mkdir(parents=True, exist_ok=True)
    files = generate(design)
    for old in folder.iterdir():
        if old.is_file() and old.name not in files and old.suffix in (".sv", ".svh", ".mem"):
            old.unlink()
    for name, text in files.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
