# SPDX-License-Identifier: Apache-2.0
"""About how many LUTs an engine takes, from the few things that they grow with.

The shapes are counted exactly, what one of each costs is fitted to Yosys' counts: unlike DSPs and block
RAMs (:mod:`zynq_lstm.hls.engine.estimate`), LUTs are what an optimizer makes of them.
``tests/hls/test_estimate.py`` holds the counts, and the model to within :data:`ERROR` of each.
"""

from __future__ import annotations

from zynq_lstm.hls.engine.design import row_rom, spec_weight_bits, weight_roms
from zynq_lstm.hls.engine.schedule import Array
from zynq_lstm.models.description.spec import GATES, NetworkSpec

ERROR = 0.1  # of Yosys' count

# LUTs for one of each.
CONTROL = 1250.0  # sequencer, registers, streams, choice of characters: the same in every engine
GATE_BIT = 11.5  # of a gate pipeline's signals: rounding, saturation, adders
SUM_BIT = 2.1  # of a sum: its accumulator, and its place in the shift register
FOLD_BIT = 0.53  # of a row of a folded memory, of which one word is picked
MEMORY_BIT = 0.025  # of memories in LUTs: a RAM64M holds 3 x 64 bits in 4 LUTs, with the logic around it
PRODUCT_BIT = 2.5  # of a product in LUTs, for every two bits of the weight: its carry chain and its sum


def luts(spec: NetworkSpec, array: Array, words: int) -> int:
    """LUTs of an engine, to within :data:`ERROR` or so.

    Args:
        words: rows of weights, the schedule's steps.
    """
    formats, weight_bits = spec.layers[0].formats, spec_weight_bits(spec)
    widest = max(layer.units for layer in spec.layers)
    # Weights use a quarter of what their format allows, about.
    sum_bits = weight_bits + formats.h.bits + (widest - 1).bit_length() - 2
    sums = array.group_units * array.sums
    beats = sum(-(-layer.units // array.gate_lanes) for layer in spec.layers)
    gate_bits = formats.z.bits + formats.c.bits + 3 * formats.h.bits
    roms = [*weight_roms(array, words, weight_bits).values(), row_rom(spec, array)]
    # U sums, c, biases of each unit; h twice.
    state_bits = len(GATES) * (sum_bits + formats.b.bits) + formats.c.bits
    memory = array.gate_lanes * beats * state_bits + 2 * formats.h.bits * sum(x.units for x in spec.layers)
    return round(
        CONTROL
        + GATE_BIT * array.gate_lanes * gate_bits
        + SUM_BIT * sums * sum_bits
        + FOLD_BIT * sum(rom.width * rom.folds for rom in roms if rom.folds > 1)
        + MEMORY_BIT * memory
        + PRODUCT_BIT * sums * array.lut_depth * -(-weight_bits // 2) * (formats.h.bits + 2)
    )
