# SPDX-License-Identifier: Apache-2.0
"""Estimate of an engine's LUTs, from the few quantities that they grow with.

The quantities are counted exactly; the LUTs for one of each are fitted to Yosys' counts. Unlike DSPs and
block RAMs (:mod:`zynq_lstm.hls.engine.estimate`), LUTs depend on an optimizer.
``tests/hls/test_estimate.py`` has Yosys' counts and holds the estimate to within :data:`ERROR` of each.
"""

from __future__ import annotations

from functools import lru_cache

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.core import kept
from zynq_lstm.hls.engine.design import row_roms, spec_weight_bits, table_roms, weight_roms
from zynq_lstm.hls.engine.gates import Pipeline, Widths
from zynq_lstm.hls.engine.gates import roms as table_memories
from zynq_lstm.hls.engine.stages import Layout, Level
from zynq_lstm.models.description.spec import CellFormats, NetworkSpec
from zynq_lstm.models.integers.limits import WORD_SUMS

ERROR = 0.1  # relative to Yosys' count

# LUTs for one of each.
CONTROL = 1375.0  # sequencer, registers, streams, choice of characters: the same in every engine
GATE_BIT = 0.635  # for a bit that a gate pipeline's adders, roundings, multiplexers and delays put out
SUM_BIT = 2.1  # for a bit of a sum: its accumulator, and its place in the shift register
FOLD_BIT = 0.53  # for a bit of a row of a folded memory, from which one word is selected
MEMORY_BIT = 0.031  # for a bit of memory in LUTs (a RAM64M: 3 x 64 bits in 4 LUTs), with the logic around it
PRODUCT_BIT = 2.68  # for a bit of a product in LUTs and every two bits of the weight: carry chain and sum


def luts(spec: NetworkSpec, array: Array, words: int) -> int:
    """Return the LUTs of an engine, to within about :data:`ERROR`.

    Args:
        words: words of the weight memory, which are the schedule's steps.
    """
    found = quantities(spec, array, words)
    each = (GATE_BIT, SUM_BIT, FOLD_BIT, MEMORY_BIT, PRODUCT_BIT)
    return round(CONTROL + sum(cost * n for cost, n in zip(each, found, strict=True)))


def quantities(spec: NetworkSpec, array: Array, words: int) -> tuple[int, int, int, int, int]:
    """Return the bits of gates, sums, folded rows, memories and products in LUTs: see :func:`luts`."""
    layout, weight_bits = Layout(spec, array), spec_weight_bits(spec)
    h_bits = spec.layers[0].formats.h.bits
    widest = max(layer.units for layer in spec.layers)
    # Weights use about a quarter of their format's range.
    sum_bits = weight_bits + h_bits + (widest - 1).bit_length() - 2
    sums = array.group_units * array.sums
    gates = memory = 0
    roms = [*weight_roms(array, words, weight_bits).values(), *row_roms(spec, layout).values()]
    for pipeline in layout.pipelines:
        formats, level = spec.layers[pipeline.stages[0].layer].formats, pipeline.level
        lanes, packing = pipeline.packing.pipelines, pipeline.packing
        gates += lanes * _gate_bits(level, formats, sum_bits)
        if packing.dense:  # words become beats
            gates += 2 * WORD_SUMS * packing.lanes * sum_bits
        waits = not level.number or len(pipeline.stages) > 1 or pipeline.stages[0].layer > 0
        word = len(level.gates) * (formats.b.bits + waits * sum_bits)
        word += sum(formats.format(name).bits for name in level.vectors)
        word += sum(_bits(formats, name) for name in level.signals if f"{name}'" in level.reads)
        memory += lanes * layout.beats(pipeline) * word
        memory += 2 * array.depth * layout.buffer_rows(pipeline) * h_bits
        tables = table_roms(formats)
        roms += lanes * [tables[rom.table].rom for rom in table_memories(level) if len(rom.signals) == 1]
    for writer, name in kept(layout):
        formats = spec.layers[writer.stages[0].layer].formats
        memory += writer.packing.pipelines * layout.beats(writer) * _bits(formats, name)
    folds = sum(rom.width * rom.folds for rom in roms if rom.folds > 1)
    products = sums * array.lut_depth * -(-weight_bits // 2) * (h_bits + 2)
    return gates, sums * sum_bits, folds, memory, products


def _bits(formats: CellFormats, signal: str) -> int:
    return formats.format(formats.signal_field(signal)).bits


@lru_cache(1024)
def _gate_bits(level: Level, formats: CellFormats, sum_bits: int) -> int:
    """Bits of logic in a gate pipeline; a sum with the bias is one bit wider than a sum."""
    frac = formats.W.frac + formats.h.frac
    widths = Widths(sums=sum_bits, row=formats.W.bits, z_sums=sum_bits + 1, bias=formats.b.bits, frac=frac)
    return Pipeline(level, formats.by_name(), widths).logic_bits
