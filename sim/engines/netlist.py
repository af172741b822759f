# SPDX-License-Identifier: Apache-2.0
"""The netlist that Yosys makes from the RTL; only its ports are observed."""

from __future__ import annotations

from dataclasses import dataclass

from zynq_lstm.sim.engines.rtl import Designed


@dataclass(eq=False)
class NetlistEngine(Designed):
    """The RTL after synthesis."""

    name = "netlist"

    def build(self) -> None:
        from zynq_lstm.sim.simulation.rtl import Rtl

        self.bench = Rtl.build_netlist(self.design, self.folder, simulator=self.simulator, waves=self.waves)
