# SPDX-License-Identifier: Apache-2.0
"""The HLS C++ by hls4ml: as a library, and in the shell with the RTL's streams and registers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zynq_lstm.sim.engines import PIECE, Codes, Engine
from zynq_lstm.sim.engines.rtl import Simulated

if TYPE_CHECKING:
    from zynq_lstm.models.fixed import Raw


@dataclass(eq=False)
class HlsEngine(Engine):
    """The C++ compiled with g++.

    Args:
        options: options of :func:`zynq_lstm.hls.hls4ml.convert.convert`.
    """

    options: dict[str, Any] = field(default_factory=dict)

    name = "hls"
    verbs = ("compare", "sample", "benchmark", "flow")
    limits = ("hls",)
    in_folder = True

    @cached_property
    def graph(self) -> Any:
        """hls4ml's graph of the network, converted but not yet written."""
        import zynq_lstm.sim.hls4ml.plugin  # noqa: F401 - hls4ml loads it by its entry point: a source of this
        from zynq_lstm.hls.hls4ml.convert import convert
        from zynq_lstm.models.keras import quantized

        return convert(quantized.quantized_model(self.checkpoint), self.folder, "Vitis", **self.options)

    def build(self) -> None:
        from zynq_lstm.hls.hls4ml.convert import compile_model

        compile_model(self.graph)

    def trace(self, codes: Codes, piece: int = PIECE) -> Iterator[dict[str, Raw]]:
        from zynq_lstm.hls.hls4ml import simulate

        simulate.reset(self.graph)
        for at in range(0, len(codes), piece):
            yield simulate.trace(self.graph, codes[at : at + piece])

    def write(self, prime: Codes, length: int, temperature_raw: int = 0, seed: int = 0) -> Iterator[int]:
        from zynq_lstm.hls.hls4ml import simulate
        from zynq_lstm.models.integers.text import check_arguments

        check_arguments(len(prime), length, temperature_raw, seed)
        return simulate.stream(self.graph, prime, length, temperature_raw, seed)

    def logits(self, codes: Codes) -> Raw:
        from zynq_lstm.hls.hls4ml import simulate

        simulate.reset(self.graph)
        return simulate.run(self.graph, codes)

    def describe(self) -> dict[str, Any]:
        layers = [
            {
                "layer": node.name,
                "reuse_factor": node.get_attr("reuse_factor"),
                "multipliers": node.get_attr("lanes") * node.get_attr("rows"),
            }
            for node in list(self.graph.get_layers())[1:]
        ]
        return {"layers": layers}


@dataclass(eq=False)
class ShellEngine(Simulated):
    """The compiled C++ in the shell with the RTL's streams and registers."""

    name = "hls-shell"
    limits = ("rtl", "hls")

    def build(self) -> None:
        from zynq_lstm.hls.hls4ml.convert import library
        from zynq_lstm.sim.simulation.rtl import Rtl

        inner = HlsEngine(self.checkpoint, self.network, self.folder / "hls")
        inner.build()
        self.bench = Rtl.build_hls(self.network, *library(inner.graph), self.folder)
