# SPDX-License-Identifier: Apache-2.0
"""Estimate of an engine's LUTs, from the few quantities that they grow with.

The quantities are counted exactly; the LUTs for one of each are fitted to Yosys' counts. Unlike DSPs and
block RAMs (:mod:`zynq_lstm.hls.engine.estimate`), LUTs depend on an optimizer.
``tests/hls/test_estimate.py`` has Yosys' counts and holds the estimate to within :data:`ERROR` of each.
"""

from __future__ import annotations

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import row_roms, spec_weight_bits, weight_roms
from zynq_lstm.hls.engine.stages import Layout
from zynq_lstm.models.description.spec import GATES, NetworkSpec

ERROR = 0.1  # relative to Yosys' count

# LUTs for one of each.
CONTROL = 1250.0  # sequencer, registers, streams, choice of characters: the same in every engine
GATE_BIT = 11.5  # for a bit of a gate pipeline's signals: rounding, saturation, adders
SUM_BIT = 2.1  # for a bit of a sum: its accumulator, and its place in the shift register
FOLD_BIT = 0.53  # for a bit of a row of a folded memory, from which one word is selected
MEMORY_BIT = 0.025  # for a bit of memory in LUTs (a RAM64M: 3 x 64 bits in 4 LUTs), with the logic around it
PRODUCT_BIT = 2.5  # for a bit of a product in LUTs and every two bits of the weight: carry chain and sum


def luts(spec: NetworkSpec, array: Array, words: int) -> int:
    """Return the LUTs of an engine, to within about :data:`ERROR`.

    Args:
        words: words of the weight memory, which are the schedule's steps.
    """
    formats, weight_bits = spec.layers[0].formats, spec_weight_bits(spec)
    widest = max(layer.units for layer in spec.layers)
    # Weights use about a quarter of their format's range.
    sum_bits = weight_bits + formats.h.bits + (widest - 1).bit_length() - 2
    sums = array.group_units * array.sums
    beats = sum(-(-layer.units // array.gate_lanes) for layer in spec.layers)
    gate_bits = formats.z.bits + (formats.c.bits if formats.has_c else 0) + 3 * formats.h.bits
    roms = [*weight_roms(array, words, weight_bits).values(), *row_roms(spec, Layout(spec, array)).values()]
    # U sums, c and biases of each unit; h twice.
    state_bits = len(GATES) * (sum_bits + formats.b.bits) + (formats.c.bits if formats.has_c else 0)
    memory = array.gate_lanes * beats * state_bits + 2 * formats.h.bits * sum(x.units for x in spec.layers)
    return round(
        CONTROL
        + GATE_BIT * array.gate_lanes * gate_bits
        + SUM_BIT * sums * sum_bits
        + FOLD_BIT * sum(rom.width * rom.folds for rom in roms if rom.folds > 1)
        + MEMORY_BIT * memory
        + PRODUCT_BIT * sums * array.lut_depth * -(-weight_bits // 2) * (formats.h.bits + 2)
    )
