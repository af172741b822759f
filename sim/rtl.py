# SPDX-License-Identifier: Apache-2.0
"""The RTL as an engine: write a project, build it, run codes through it under cocotb, read every signal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hls.design import Design
from hls.generate import generate
from models.store import write_text
from sim.bench.components import PLAN_VARIABLE
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
)


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

    def generate(self, prime: Sequence[int] | NDArray[Any], length: int, run: str = "generate") -> RtlRun:
        """Prime and generate greedily on chip; ``report["generated"]`` has the codes."""
        return self._text("generate", run, {"codes": [int(c) for c in prime], "length": length})

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
