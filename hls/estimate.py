# SPDX-License-Identifier: Apache-2.0
"""What a network takes of a part, and how fast it is, before any tool has run.

Exact: cycles a character, from the schedule that the RTL runs; DSP48E1 and block RAM, from the shapes that
the RTL is generated with (:mod:`hls.memory`). Tests compare with simulation and synthesis. Depends on the
network's shape and formats only, not on its weights. LUTs and flip-flops are for synthesis to count.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hls.design import (
    fitting_array,
    row_rom,
    spec_weight_bits,
    table_roms,
    weight_roms,
)
from hls.memory import halves
from hls.schedule import Array, schedule
from hls.synthesis import PARTS, part_name
from models.spec import NetworkSpec
from sim import sampling
from sim.fixed import signed_bits

#: Yosys makes smaller products of LUTs.
DSP_MIN_PRODUCT_BITS = 9
#: Temperature times noise, added to the logit, for each of a word's logits.
CHOICE_DSP = sampling.LANES


@dataclass(frozen=True)
class Estimate:
    """Cost of one design; block RAM in units of 36 Kb."""

    part: str
    layers: tuple[int, ...]  # units of each
    vocabulary: int
    preset: str
    array: Array
    cycles_generate: int
    cycles_score: int
    macs_per_character: int
    dsp: int
    bram36: float
    memories: dict[str, float]  # block RAM by use
    fits: bool  # as far as DSP48E1 and block RAM go

    @property
    def mac_lanes(self) -> int:
        return self.array.lanes

    @property
    def utilisation(self) -> float:
        """Useful share of the array's multiply-accumulates, in generate mode."""
        return self.macs_per_character / (self.cycles_generate * self.mac_lanes)

    def to_dict(self) -> dict[str, Any]:
        data = asdict(self)
        data["cycles_per_character"] = {
            "generate": data.pop("cycles_generate"),
            "score": data.pop("cycles_score"),
        }
        return data | {"mac_lanes": self.mac_lanes, "mac_utilisation": round(self.utilisation, 4)}


def estimate(spec: NetworkSpec, array: Array | None = None, part: str = "xc7z020") -> Estimate:
    """Cost of ``spec`` on ``array``, or on the default array for the part.

    Raises:
        UserError: for an unknown part.
    """
    part = part_name(part)
    array = array or fitting_array(spec, part)
    plan = schedule(spec, array)
    memories = _memories(spec, array, plan.words)
    dsp = array.dsp + array.gate_lanes * gate_dsp(spec) + CHOICE_DSP
    bram36 = sum(memories.values())
    return Estimate(
        part,
        tuple(layer.units for layer in spec.layers),
        spec.vocabulary,
        spec.preset,
        array,
        plan.timing("generate").cycles_per_character,
        plan.timing("score").cycles_per_character,
        spec.macs_per_character(),
        dsp,
        bram36,
        memories,
        dsp <= PARTS[part]["dsp"] and bram36 <= PARTS[part]["bram36"],
    )


def _memories(spec: NetworkSpec, array: Array, words: int) -> dict[str, float]:
    formats = spec.layers[0].formats
    tables = table_roms(formats)
    sigmoid = tables["sigmoid"]
    gates = tables["tanh"].halves + tables["tanh_c"].halves + sigmoid.halves
    gates += halves(sigmoid.width, formats.z.bits, ports=2)
    bounds = int(sampling.noise_table().min()), int(sampling.noise_table().max())
    rows = sampling.OCTAVES.bit_length() - 1 + sampling.CELL_BITS
    noise = sampling.LANES // 2 * halves(signed_bits(*bounds), rows, ports=2)
    return {
        "weights": sum(rom.halves for rom in weight_roms(array, words, spec_weight_bits(spec)).values()) / 2,
        "rows of the first layer's W": row_rom(spec, array).halves / 2,
        "activation tables": array.gate_lanes * gates / 2,
        "noise tables": noise / 2,
    }


def gate_dsp(spec: NetworkSpec) -> int:
    """DSP48E1 of one gate pipeline: f c, i g and o tanh(c), as far as they are worth one."""
    fmt = spec.layers[0].formats
    gate = fmt.gate.bits + (not fmt.gate.signed)
    products = ((gate, fmt.c.bits), (gate, fmt.g.bits), (gate, fmt.tc.bits))
    return sum(a + b >= DSP_MIN_PRODUCT_BITS for a, b in products)
