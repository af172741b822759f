# SPDX-License-Identifier: Apache-2.0
"""What follows from a cell's description: its levels, formats, cost and generated code, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import fitting_array
from zynq_lstm.hls.engine.gates import Pipeline
from zynq_lstm.hls.engine.schedule import MODES, schedule
from zynq_lstm.hls.engine.stages import cell_levels
from zynq_lstm.hls.vitis.cell import header
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import Cell, LookUp
from zynq_lstm.models.cells.sizes import parameters, units_like_lstm
from zynq_lstm.models.description.spec import CellFormats, NetworkSpec, network_spec
from zynq_lstm.models.integers.limits import reasons, require
from zynq_lstm.models.integers.network import IntegerNetwork

#: The network whose number of parameters other cells get, and whose array they run on.
LIKE: dict[str, Any] = {"layers": 2, "units": 128, "vocabulary": 78}


@dataclass(frozen=True)
class Portrait:
    """A cell in a network of two layers on the array of the LSTM's.

    Args:
        cell: the cell.
        preset: formats.
        given_units: units of each layer; None for as many parameters as the LSTM of 128 units has.
    """

    cell: Cell
    preset: str
    given_units: int | None = None

    @cached_property
    def units(self) -> int:
        """Units of each layer."""
        if self.given_units is not None:
            return self.given_units
        return units_like_lstm(self.written, LIKE["layers"], LIKE["vocabulary"], LIKE["units"])

    @property
    def written(self) -> str:
        """The cell as files name it."""
        return catalogue.written(self.cell)

    @cached_property
    def spec(self) -> NetworkSpec:
        """The network that the cycles are of."""
        return network_spec(self.preset, **(LIKE | {"units": self.units}), cell=self.written)

    @property
    def formats(self) -> CellFormats:
        """Formats of a layer above the first, by name."""
        formats = self.spec.layers[-1].formats
        assert isinstance(formats, CellFormats)
        return formats

    @cached_property
    def array(self) -> Array:
        """The array of the LSTM's engine."""
        return fitting_array(network_spec(self.preset, **LIKE))

    @cached_property
    def refused(self) -> tuple[str, ...]:
        """Reasons why the RTL can't compute the cell."""
        return reasons("rtl", self.spec)

    @cached_property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """The gate pipeline of each level; none if the RTL can't compute the cell."""
        if self.refused:
            return ()
        return tuple(Pipeline(level, self.formats.by_name()) for level in cell_levels(self.cell))

    @property
    def latency(self) -> tuple[int, ...]:
        """Cycles from the start of a unit to its result, by level."""
        return tuple(pipeline.latency for pipeline in self.pipelines)

    @property
    def dsp(self) -> int:
        """DSP48E1s of one pipeline of each level."""
        return sum(pipeline.dsp for pipeline in self.pipelines)

    @cached_property
    def cycles(self) -> dict[str, int]:
        """Cycles per character, by mode."""
        if self.refused:
            return {}
        plan = schedule(self.spec, self.array)
        return {mode: plan.timing(mode).cycles_per_character for mode in MODES}

    def cpp(self) -> str:
        """The C++ of a layer."""
        return header((self.cell,))

    def verilog(self) -> str:
        """The SystemVerilog of the gate pipelines, for the largest weights that the formats hold.

        The widths of sums do for all other weights; those of a network may be narrower.
        """
        require("rtl", self.spec)
        shapes = self.spec.weight_shapes()
        weights = {n: np.full(shapes[n], fmt.max_raw) for n, fmt in self.spec.weight_formats().items()}
        characters = "".join(chr(0xE000 + code) for code in range(self.spec.vocabulary))
        design = Design(IntegerNetwork.from_weights(self.spec, characters, weights), self.array)
        return "\n".join(gates.text for gates in design.gates)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the code, as JSON data."""
        cell, formats = self.cell, self.formats
        return {
            "cell": cell.name,
            "title": cell.title,
            "source": cell.source,
            "preset": self.preset,
            "gates": list(cell.gates),
            "vectors": list(cell.vectors),
            "state": list(cell.state),
            "recurrent": dict(cell.recurrent),
            "equations": [str(equation) for equation in cell.equations],
            "signals": {e.signal: str(formats.format(e.format)) for e in cell.equations},
            "weights": {name: str(formats.format(name)) for name in formats.weights},
            "tables": {
                name: {
                    "function": getattr(formats, table.function),
                    "entries": 1 << formats.format(table.index).bits,
                    "look_ups": sum(isinstance(e, LookUp) and e.table == name for e in cell.equations),
                }
                for name, table in cell.tables.items()
            },
            "levels": [
                {
                    "gates": list(pipeline.level.gates),
                    "signals": list(pipeline.level.signals),
                    "result": pipeline.level.result,
                    "latency": pipeline.latency,
                    "dsp": pipeline.dsp,
                }
                for pipeline in self.pipelines
            ],
            "layers": LIKE["layers"],
            "units": self.units,
            "vocabulary": LIKE["vocabulary"],
            "parameters": parameters(self.written, LIKE["layers"], self.units, LIKE["vocabulary"]),
            "lanes": self.array.lanes,
            "cycles": self.cycles,
            "not_for_the_rtl": list(self.refused),
        }
