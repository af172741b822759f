# SPDX-License-Identifier: Apache-2.0
"""Estimate an engine's resource use and speed before any tool has run, and choose the best array.

Cycles per character are exact, from the schedule that the RTL runs. So are DSP48E1s and block RAMs, from the
shapes that the RTL is generated with (:mod:`zynq_lstm.hls.engine.memory`). Tests compare them with simulation
and synthesis. LUTs are approximate (:mod:`zynq_lstm.hls.engine.luts`); only synthesis counts flip-flops. The
estimate depends on the network's shape and formats only, not on its weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from zynq_lstm.hls.engine import gates
from zynq_lstm.hls.engine.array import MAX_GROUP, Array
from zynq_lstm.hls.engine.design import packable, row_roms, spec_weight_bits, table_roms, weight_roms
from zynq_lstm.hls.engine.luts import luts
from zynq_lstm.hls.engine.memory import halves
from zynq_lstm.hls.engine.schedule import busy_cycles, schedule, steps
from zynq_lstm.hls.engine.stages import Layout, Level
from zynq_lstm.hls.parts import DEFAULT_PART, part_name, parts
from zynq_lstm.models.description.spec import CellFormats, NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import signed_bits
from zynq_lstm.models.integers import choice
from zynq_lstm.models.integers.limits import require

#: DSP48E1s for temperature times noise, added to the logit: one for each logit of a word.
CHOICE_DSP = choice.WORD_LOGITS
DSP_DEPTH = 4  # 8 x 8-bit products whose sum fits in one field of a packed DSP48E1
SEGMENT_UNITS = 9  # approximate: at most 36 chains share one set of registers
NARROW_BITS = 4  # widest weights for which products in LUTs are worth their area


@dataclass(frozen=True)
class Estimate:
    """Cost of one design: its cycles and its resource use, with block RAM in units of 36 Kb."""

    part: str
    layers: tuple[int, ...]  # units of each layer
    vocabulary: int
    preset: str
    array: Array
    cycles_generate: int
    cycles_score: int
    macs_per_character: int
    dsp: int
    bram36: float
    memories: dict[str, float]  # block RAM by use
    lut_about: int
    weight_bits: int  # total of all weights and biases
    fits: bool
    binds: tuple[str, ...]  # those of lut, dsp and bram36 that this engine exceeds, or a faster one would

    @property
    def mac_lanes(self) -> int:
        return self.array.lanes

    @property
    def utilisation(self) -> float:
        """Useful share of the array's multiply-accumulates, in generate mode."""
        return self.macs_per_character / (self.cycles_generate * self.mac_lanes)

    def characters_per_second(self, clock_mhz: float) -> float:
        """Return the speed in generate mode, at a clock rate that only place and route can confirm."""
        return clock_mhz * 1e6 / self.cycles_generate

    def to_dict(self) -> dict[str, Any]:
        data = asdict(self)
        data["cycles_per_character"] = {
            "generate": data.pop("cycles_generate"),
            "score": data.pop("cycles_score"),
        }
        return data | {"mac_lanes": self.mac_lanes, "mac_utilisation": round(self.utilisation, 4)}


def estimate(spec: NetworkSpec, array: Array | None = None, part: str = DEFAULT_PART) -> Estimate:
    """Estimate the cost of ``spec`` on ``array``, by default the fastest array that fits the part.

    Raises:
        UserError: for an unknown part, or a network that the RTL can't be built for.
    """
    require("rtl", spec)
    part = part_name(part)
    array = array or fitting_array(spec, part)
    plan = schedule(spec, array)
    memories = _memories(spec, array, plan.words)
    return Estimate(
        part,
        tuple(layer.units for layer in spec.layers),
        spec.vocabulary,
        spec.preset,
        array,
        plan.timing("generate").cycles_per_character,
        plan.timing("score").cycles_per_character,
        spec.macs_per_character(),
        _dsp(spec, array),
        sum(memories.values()),
        memories,
        luts(spec, array, plan.words),
        sum(fmt.bits * math.prod(spec.weight_shapes()[name]) for name, fmt in spec.weight_formats().items()),
        fits(spec, array, part),
        binds(spec, array, part),
    )


@lru_cache(4096)
def needs(spec: NetworkSpec, array: Array) -> Mapping[str, float]:
    """Return the LUTs (approximate), DSP48E1s and block RAMs that a design uses."""
    words = steps(spec, array)
    bram36 = sum(_memories(spec, array, words).values())
    return MappingProxyType({"lut": luts(spec, array, words), "dsp": _dsp(spec, array), "bram36": bram36})


def exceeded(spec: NetworkSpec, array: Array, part: str) -> tuple[str, ...]:
    """Return the resources (lut, dsp, bram36) of which a design uses more than the part has."""
    return parts()[part].exceeded(needs(spec, array))


def fits(spec: NetworkSpec, array: Array, part: str) -> bool:
    """Return True if the part has enough DSP48E1s, block RAMs and (approximately) LUTs for a design."""
    return not exceeded(spec, array, part)


def binds(spec: NetworkSpec, array: Array, part: str) -> tuple[str, ...]:
    """Return the resources that a design exceeds or, if it fits, those that the next faster one would exceed.

    Empty if the faster design fits, too (a smaller array was chosen), or if there is none.
    """
    over = exceeded(spec, array, part)
    cycles = busy_cycles(spec, array)
    faster = [a for a in arrays_within(spec) if busy_cycles(spec, a) < cycles] if not over else []
    faster = [replace(a, parity=array.parity) for a in faster]
    return exceeded(spec, faster[-1], part) if faster else over


def fitting_array(
    spec: NetworkSpec,
    part: str = DEFAULT_PART,
    dsp: int | None = None,
    lanes: int | None = None,
    parity: bool = False,
) -> Array:
    """Return the fastest array of at most ``dsp`` DSP48E1s and ``lanes`` lanes whose design fits a part.

    If none fits, return the fastest whose design has no more DSP48E1s than the part. With ``parity`` its
    weight memory has parity.

    Raises:
        UserError: for an unknown part, fewer than one DSP or lane, or a network that the RTL can't be built
            for.
    """
    part = part_name(part)
    require("rtl", spec)
    arrays = arrays_within(spec, dsp, lanes)
    left = [array for array in arrays if _dsp(spec, array) <= parts()[part].dsp] or arrays[-1:]
    arrays = [replace(array, parity=parity) for array in left]
    return next((a for a in arrays if fits(spec, a, part)), arrays[0])


def arrays_within(spec: NetworkSpec, dsp: int | None = None, lanes: int | None = None) -> list[Array]:
    """Return the arrays of at most ``dsp`` DSP48E1s and ``lanes`` lanes: fastest first, then smallest.

    Raises:
        UserError: for fewer than one DSP or lane.
    """
    for name, limit in (("DSP", dsp), ("lane", lanes)):
        if limit is not None and limit < 1:
            raise UserError(f"an array needs at least 1 {name}, got {limit}")
    return [
        array
        for array in _arrays(spec)
        if (dsp is None or array.dsp <= dsp) and (lanes is None or array.lanes <= lanes)
    ]


@lru_cache(64)
def _arrays(spec: NetworkSpec) -> list[Array]:
    """Return every array that may be the best within some limits: fastest first, then smallest."""
    packed = packable(spec)
    widest = max(*(layer.units for layer in spec.layers), -(-spec.vocabulary // choice.WORD_LOGITS))
    found = []
    for depth in range(1, DSP_DEPTH + 1):
        for sums in (1, 2):
            found.append(Array(1, depth, 2 if packed and sums > 1 else 1, 1, sums=sums))
        found += [_even(group, depth, packed) for group in range(1, min(widest, MAX_GROUP) + 1)]
    if spec_weight_bits(spec) <= NARROW_BITS:
        # As many products in LUTs as in DSPs, and a second gate pipeline to keep up.
        for group in range(2, min(widest + 1, MAX_GROUP) + 1, 2):
            found.append(_even(group, DSP_DEPTH, packed, DSP_DEPTH, 2))
    return sorted(found, key=lambda a: (busy_cycles(spec, a), a.lanes, a.dsp, -a.sums, -a.dsp_depth))


def _even(group: int, depth: int, packed: bool, lut_depth: int = 0, gate_lanes: int = 1) -> Array:
    """Return an array of whole units in segments of about the same size."""
    segments = -(-group // SEGMENT_UNITS)
    segment = -(-group // (segments * gate_lanes)) * gate_lanes
    return Array(group, depth, 2 if packed else 1, segment, lut_depth, gate_lanes)


def _dsp(spec: NetworkSpec, array: Array) -> int:
    return array.dsp + gate_dsp(spec, array) + CHOICE_DSP


def _memories(spec: NetworkSpec, array: Array, words: int) -> dict[str, float]:
    layout = Layout(spec, array)
    tables = sum(
        pipeline.packing.pipelines
        * _table_halves(spec.layers[pipeline.stages[0].layer].formats, pipeline.level)
        for pipeline in layout.pipelines
    )
    bounds = int(choice.noise_table().min()), int(choice.noise_table().max())
    rows = choice.OCTAVES.bit_length() - 1 + choice.CELL_BITS
    noise = choice.WORD_LOGITS // 2 * halves(signed_bits(*bounds), rows, ports=2)
    return {
        "weights": sum(rom.halves for rom in weight_roms(array, words, spec_weight_bits(spec)).values()) / 2,
        "rows of the first layer's W": sum(rom.halves for rom in row_roms(spec, layout).values()) / 2,
        "activation tables": tables / 2,
        "noise tables": noise / 2,
    }


def _table_halves(formats: CellFormats, level: Level) -> int:
    """Half block RAMs of a gate pipeline's tables."""
    tables, count = table_roms(formats), 0
    for memory in gates.roms(level):
        rom = tables[memory.table].rom
        index = formats.format(formats.tables[memory.table].index).bits
        count += rom.halves if len(memory.signals) == 1 else halves(rom.width, index, ports=2)
    return count


def gate_dsp(spec: NetworkSpec, array: Array) -> int:
    """DSP48E1 of all gate pipelines."""
    return sum(
        pipeline.packing.pipelines * gates.dsp(pipeline.level, spec.layers[pipeline.stages[0].layer].formats)
        for pipeline in Layout(spec, array).pipelines
    )
