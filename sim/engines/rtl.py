# SPDX-License-Identifier: Apache-2.0
"""The RTL, simulated with cocotb on Verilator or Icarus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.sim.engines import PIECE, Codes, Engine

if TYPE_CHECKING:
    from zynq_lstm.hls.engine.array import Array
    from zynq_lstm.hls.engine.design import Design
    from zynq_lstm.models.fixed import Raw
    from zynq_lstm.sim.simulation.rtl import Rtl


@dataclass(eq=False)
class Simulated(Engine):
    """An engine with the RTL's streams and registers, which a simulator runs.

    The bench compares the engine with the reference as it runs. At a difference the bench stops and the trace
    ends.

    Args:
        progress: called from time to time with the number of characters traced so far.
    """

    limits: ClassVar[tuple[str, ...]] = ("rtl",)
    in_folder = True

    simulator: str = "verilator"
    progress: Callable[[int], object] | None = None
    bench: Rtl = field(init=False, repr=False)  # set by build()
    ran: set[str] = field(init=False, repr=False, default_factory=set)  # runs of the bench

    def trace(self, codes: Codes, piece: int = PIECE) -> Iterator[dict[str, Raw]]:
        failure = None
        try:
            signals = self.whole_trace(codes)
        except CheckError as error:
            failure = error
            try:
                signals = self.bench.recorded("score")
            except UserError:
                raise error from None
        for at in range(0, len(signals["logits"]), piece):
            yield {name: signal[at : at + piece] for name, signal in signals.items()}
        if failure:
            raise failure

    def whole_trace(self, codes: Codes) -> dict[str, Raw]:
        self.ran.add("score")
        return self.bench.score(codes, progress=self.progress).trace

    def write(self, prime: Codes, length: int, temperature_raw: int = 0, seed: int = 0) -> Iterator[int]:
        from zynq_lstm.models.integers.text import check_arguments

        check_arguments(len(prime), length, temperature_raw, seed)
        self.ran.add("stream")
        return self.bench.stream(prime, length, temperature_raw=temperature_raw, seed=seed)

    def seconds(self, codes: Codes) -> dict[str, float]:
        """Return the time of simulation and bench, without the start of Python; also as processor time."""
        from zynq_lstm.sim.simulation.rtl import Sequence

        report = self.bench.verify([Sequence(codes)])
        return {"": report["seconds"], "_processor": report["processor_seconds"]}


@dataclass(eq=False)
class Designed(Simulated):
    """RTL that is generated from a network and an array.

    Args:
        array: by default the fastest array that fits the default part.
        waves: if True, write waveforms, which is slower.
    """

    array: Array | None = None
    waves: bool = False

    @cached_property
    def design(self) -> Design:
        """The design of the network on the array."""
        from zynq_lstm.hls.engine.design import Design
        from zynq_lstm.hls.engine.estimate import fitting_array

        return Design(self.network, self.array or fitting_array(self.network.spec))


@dataclass(eq=False)
class RtlEngine(Designed):
    """The RTL on Verilator, or on another simulator.

    Args:
        project: project to simulate instead, written by ``zynq-lstm convert`` and maybe changed since.
        quick: if True, the build is quick rather than the simulation.
    """

    project: Path | None = None
    quick: bool = False

    name = "rtl"
    verbs: ClassVar[tuple[str, ...]] = ("compare", "sample", "benchmark", "flow")

    def build(self) -> None:
        from zynq_lstm.sim.simulation.rtl import Rtl

        self.bench = Rtl.build(
            self.design,
            self.folder,
            simulator=self.simulator,
            waves=self.waves,
            quick=self.quick,
            project=self.project,
        )

    def describe(self) -> dict[str, Any]:
        """Return measured cycles and the array's utilisation for runs of :meth:`trace` and :meth:`write`."""
        macs, lanes = self.network.spec.macs_per_character(), self.design.array.lanes
        runs = {"score": "score", "stream": "generate"}  # run of the bench: mode of the hardware
        reports = {mode: self.bench.report(run) or {} for run, mode in runs.items() if run in self.ran}
        whole = {mode: report for mode, report in reports.items() if "sequences" in report}  # did not fail
        cycles = {mode: report["sequences"][0]["cycles_per_character"] for mode, report in whole.items()}
        figures: dict[str, Any] = {
            "mac_lanes": lanes,
            "macs_per_character": macs,
            "cycles_per_character": cycles,
            "mac_utilisation": round(macs / (lanes * max(cycles.values())), 4) if cycles else None,
        }
        if scored := whole.get("score"):
            figures["characters_per_second"] = round(scored["characters"] / scored["seconds"])
        return figures


@dataclass(eq=False)
class IcarusEngine(RtlEngine):
    """The RTL on Icarus."""

    simulator: str = "icarus"

    name = "icarus"
    verbs = ("compare",)
