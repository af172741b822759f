# SPDX-License-Identifier: Apache-2.0
"""RTL that Vitis HLS exported from the converted network; only its ports are observed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from zynq_lstm.sim.engines.rtl import Simulated


@dataclass(eq=False)
class ExportedEngine(Simulated):
    """Exported RTL in the shell with our engine's streams and registers.

    Args:
        exported: folder of the exported Verilog.
        ports: file with the names of its ports.
    """

    exported: Path = field(kw_only=True)
    ports: Path = field(kw_only=True)

    name = "exported"

    def build(self) -> None:
        from zynq_lstm.sim.shell import PortMap
        from zynq_lstm.sim.simulation.rtl import Rtl

        ports = PortMap.load(self.ports)
        self.bench = Rtl.build_exported(self.network, self.exported, ports, self.folder)
