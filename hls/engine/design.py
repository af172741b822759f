# SPDX-License-Identifier: Apache-2.0
"""Every width, shift and bound of the RTL, derived from a network and an array; nothing is chosen twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import MappingProxyType

import numpy as np

from zynq_lstm.hls.engine import registers, stages
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.constants import FIELD_BITS, SKEW_LATENCY
from zynq_lstm.hls.engine.core import Core, kept
from zynq_lstm.hls.engine.gates import Pipeline, Widths, word_bits
from zynq_lstm.hls.engine.memory import Rom, row_bits
from zynq_lstm.hls.engine.schedule import Schedule, schedule
from zynq_lstm.hls.engine.stages import Layout
from zynq_lstm.models.description.spec import CellFormats, NetworkSpec, symmetric
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Rounding, signed_bits
from zynq_lstm.models.integers import choice
from zynq_lstm.models.integers.limits import in_array, require
from zynq_lstm.models.integers.network import IntegerNetwork, product_range

PACKED_BITS = 8  # widest factors for two products in one DSP48E1


def packable(spec: NetworkSpec) -> bool:
    """Return True if two products fit in one DSP48E1: narrow symmetric weights, narrow activations."""
    weights = [fmt for name, fmt in spec.weight_formats().items() if in_array(name)]
    return all(fmt.bits <= PACKED_BITS and symmetric(fmt) for fmt in weights) and all(
        layer.formats.h.bits <= PACKED_BITS for layer in spec.layers
    )


def spec_weight_bits(spec: NetworkSpec) -> int:
    """Return the width of the widest weight that is multiplied in the array."""
    return max(fmt.bits for name, fmt in spec.weight_formats().items() if in_array(name))


@dataclass(frozen=True)
class Design:
    """The design of an engine for one network.

    Raises:
        UserError: if the RTL does not support the network or the array; the message says what it supports.
    """

    network: IntegerNetwork
    array: Array

    def __post_init__(self) -> None:
        spec = self.network.spec
        require("rtl", spec)
        # lut_multiply adds the products of a weight's bit pairs, adder_tree those of all inputs. The first
        # DSP adds the sum SKEW_LATENCY + 2 cycles after the inputs came.
        pairs = (self.weight_bits + 1) // 2  # at most 8: models.integers.limits.WEIGHT_BITS
        most = 1 << (SKEW_LATENCY + 1 - (pairs - 1).bit_length())
        if self.array.lut_depth > most:
            raise UserError(
                f"array: lut_depth must be at most {most} with {self.weight_bits}-bit weights, "
                f"got {self.array.lut_depth}"
            )
        if self.array.pack == 2 and not packable(self.network.spec):
            raise UserError(
                f"two products per DSP need symmetric weights (AP_SAT_SYM) and h of at most {PACKED_BITS} "
                "bits; use pack=1"
            )
        largest = ((1 << (self.weight_bits - 1)) - 1) << (self.h_format.bits - 1)
        if self.array.pack == 2 and self.array.depth * largest >= 1 << (FIELD_BITS - 1):
            raise UserError(
                f"array: {self.array.depth} inputs per cycle with {self.weight_bits}-bit weights overflow "
                f"the lower sum of a packed DSP; at most {((1 << (FIELD_BITS - 1)) - 1) // largest} fit"
            )

    @cached_property
    def schedule(self) -> Schedule:
        return schedule(self.network.spec, self.array)

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.network.spec, self.array)

    @property
    def h_format(self) -> FixedFormat:
        """Format of the array's inputs, which all layers share."""
        return self.network.spec.layers[0].formats.h

    def formats(self, pipeline: stages.Pipeline) -> CellFormats:
        """Formats that a pipeline's layers share; those of W, U and b are its first layer's."""
        return self.network.spec.layers[pipeline.stages[0].layer].formats

    @property
    def weight_bits(self) -> int:
        return spec_weight_bits(self.network.spec)

    @cached_property
    def sum_bits(self) -> int:
        """Width of an accumulator: fits the proven range of any matrix product, at its own binary point."""
        network, last = self.network, len(self.network.spec.layers) - 1
        ranges = []
        for k in range(len(network.spec.layers)):
            layer = network.layer(k)
            ranges.append(product_range(layer["U"], *network.recurrent_range(k)))
            if k:
                ranges.append(product_range(layer["W"], *network.h_range(k - 1)))
        ranges.append(product_range(network.arrays["output.W"], *network.h_range(last)))
        return max(signed_bits(int(low.min()), int(high.max())) for low, high in ranges)

    @cached_property
    def sum_frac(self) -> int:
        """Fraction bits common to all layers' U part + x part + b."""
        spec = self.network.spec
        return max(spec.accumulator_frac(k) for k in range(len(spec.layers)))

    @cached_property
    def z_sum_bits(self) -> int:
        """Width of U part + x part + b at :attr:`sum_frac`, from the proven range."""
        network = self.network
        widths = []
        for k in range(len(network.spec.layers)):
            low, high = network.accumulator_range(k)
            shift = self.sum_frac - network.spec.accumulator_frac(k)
            widths.append(signed_bits(low << shift, high << shift))
        return max(widths)

    @cached_property
    def bias(self) -> list[np.ndarray]:
        """Biases of each layer, shape (gates x units,), with :attr:`sum_frac` fraction bits."""
        layers = self.network.spec.layers
        return [
            self.network.layer(k)["b"] << (self.sum_frac - layer.formats.b.frac)
            for k, layer in enumerate(layers)
        ]

    @cached_property
    def output_bias(self) -> np.ndarray:
        spec = self.network.spec
        return self.network.arrays["output.b"] << (spec.output_accumulator_frac() - spec.output.b.frac)

    @cached_property
    def weight_roms(self) -> dict[str, Rom]:
        """Weight memories of the array's segments, by name."""
        return weight_roms(self.array, self.schedule.words, self.weight_bits)

    @cached_property
    def row_roms(self) -> dict[int, Rom]:
        """Memories of the rows of layer 0's W, by number of the pipeline that reads them."""
        return row_roms(self.network.spec, self.layout)

    def table_roms(self, pipeline: stages.Pipeline) -> dict[str, Table]:
        """Activation tables of a pipeline by name; two look-ups at once share a memory with two ports."""
        return dict(
            table_roms(self.formats(pipeline))
        )  # a copy: a mapping proxy can't be sent to another process

    def parameters(self) -> dict[str, int | str]:
        """Return the parameters of network_engine.sv; a string is a Verilog literal."""
        network, spec, array, layout = self.network, self.network.spec, self.array, self.layout
        units = [layer.units for layer in spec.layers]
        output_frac = spec.output_accumulator_frac()
        return {
            "LAYERS": len(units),
            "FIRST_UNITS": units[0],
            **self._choice(),
            "IDENTITY": f"256'h{network.identity}",
            # from here on, the parameters of network_core_parameters.svh
            "STAGES": len(layout.stages),
            "STAGE_BITS": self.layout.stage_bits,
            "PIPELINES": len(layout.pipelines),
            "STAGE_PIPELINE": _packed([stage.pipeline for stage in layout.stages], 4),
            "GATE_LANES": array.gate_lanes,
            "BEATS": self.beats,
            "FIRST_BEATS": layout.stages[0].beats,
            "VOCABULARY": spec.vocabulary,
            "ROWS": self.rows,
            "GROUP_UNITS": array.group_units,
            "SEGMENT_UNITS": array.segment_units,
            "GROUP_SUMS": array.sums,
            "DSP_DEPTH": array.dsp_depth,
            "LUT_DEPTH": array.lut_depth,
            "PACK": array.pack,
            "WEIGHT_BITS": self.weight_bits,
            "SUM_BITS": self.sum_bits,
            "WORDS": self.schedule.words,
            "WEIGHT_ROW_BITS": next(iter(self.weight_roms.values())).row_bits,
            "PARITY": int(array.parity),
            "JOBS": len(self.schedule.jobs),
            "STEP_BITS": self.step_bits,
            "COUNT_BITS": _bits(array.group_units - 1),
            "ITEM_BITS": self.item_bits,
            "H_BITS": self.h_format.bits,
            "OUTPUT_BIAS_BITS": signed_bits(int(self.output_bias.min()), int(self.output_bias.max())),
            "OUTPUT_TOTAL_BITS": signed_bits(*network.output_accumulator_range()),
            "OUTPUT_SHIFT": output_frac - spec.output.W.frac - spec.layers[-1].formats.h.frac,
            "LOGIT_SHIFT": output_frac - spec.output.logits.frac,
            "LOGIT_HALF": _half(spec.output.logits),
            "LOGIT_BITS": spec.output.logits.bits,
        }

    @cached_property
    def gates(self) -> tuple[Pipeline, ...]:
        """The gate pipelines, in the layout's order."""
        return tuple(self._gates(pipeline) for pipeline in self.layout.pipelines)

    def _gates(self, pipeline: stages.Pipeline) -> Pipeline:
        spec, formats = self.network.spec, self.formats(pipeline)
        layers = [(k, spec.layers[k].formats) for k in (stage.layer for stage in pipeline.stages)]
        roms = self.table_roms(pipeline)
        widths = Widths(
            units=self.layout.beats(pipeline),
            stages=tuple(stage.number for stage in pipeline.stages),
            row_stage=next((stage.number for stage in pipeline.stages if not stage.layer), None),
            sums=self.sum_bits,
            row=spec.layers[0].formats.W.bits,
            z_sums=self.z_sum_bits,
            bias=self.bias_bits,
            frac=self.sum_frac,
            u_shift=tuple(self.sum_frac - x.U.frac - x.h.frac for _, x in layers),
            x_shift=tuple(self.sum_frac - x.W.frac - spec.input_frac(k) for k, x in layers),
            tables={name: (int(rom.low), int(rom.high)) for name, rom in roms.items()},
            table_rows={name: rom.rom.row_bits for name, rom in roms.items()},
            exported=tuple(name for writer, name in kept(self.layout) if writer is pipeline),
        )
        return Pipeline(pipeline.level, formats.by_name(), widths)

    @cached_property
    def core(self) -> Core:
        """The module of all gates."""
        first = self.layout.stages[0].beats
        return Core(
            layout=self.layout,
            pipelines=self.gates,
            row_roms=self.row_roms,
            vocabulary=self.network.spec.vocabulary,
            sum_bits=self.sum_bits,
            row_bits=self.network.spec.layers[0].formats.W.bits,
            h_bits=self.h_format.bits,
            stage_bits=self.layout.stage_bits,
            item_bits=self.item_bits,
            beat_bits=_bits(self.beats - 1),
            address_bits=_bits(first * self.network.spec.vocabulary - 1),
            rows=self.rows,
        )

    @property
    def item_bits(self) -> int:
        """Width of the number of a beat or an output word in a job."""
        words = -(-self.network.spec.vocabulary // choice.WORD_LOGITS)
        return _bits(max(words, *(self.layout.beats(p) for p in self.layout.pipelines)) - 1)

    @property
    def beats(self) -> int:
        """Beats of all stages."""
        return sum(stage.beats for stage in self.layout.stages)

    @property
    def rows(self) -> int:
        """Rows of the largest buffer of results."""
        return max(self.layout.buffer_rows(p) for p in self.layout.pipelines)

    @cached_property
    def bias_bits(self) -> int:
        """Width of the widest bias at :attr:`sum_frac`."""
        return max(signed_bits(int(b.min()), int(b.max())) for b in self.bias)

    def register_constants(self) -> dict[str, list[dict[str, int]]]:
        """Return the register fields that depend on the design: register -> a dictionary for each word."""
        spec, array, identity = self.network.spec, self.array, int(self.network.identity, 16)
        words = registers.BY_NAME["IDENTITY"].words
        shape = {"VOCABULARY": spec.vocabulary, "UNITS": spec.layers[0].units, "LAYERS": len(spec.layers)}
        return {
            "SHAPE": [shape],
            "ARRAY": [{"DEPTH": array.depth, "PACK": array.pack, "LANES": array.lanes}],
            "IDENTITY": [
                {"VALUE": identity >> registers.WORD_BITS * k & (1 << registers.WORD_BITS) - 1}
                for k in range(words)
            ],
        }

    def _choice(self) -> dict[str, int | str]:
        """Return the parameters of character_choice.sv."""
        logits, table = self.network.spec.output.logits, choice.noise_table()
        logit_shift, noise_shift = choice.score_shifts(logits)
        lowest, highest = (x * choice.TEMPERATURE.max_raw << noise_shift for x in choice.noise_bounds())
        # Positions after the vocabulary lose against the lowest logit, whatever noise the two get.
        loser = (logits.min_raw << logit_shift) + lowest - highest - 1
        bits = signed_bits(loser + lowest, (logits.max_raw << logit_shift) + highest)
        return {
            "NOISE_BITS": choice.NOISE.bits,
            "NOISE_TABLE_BITS": signed_bits(int(table.min()), int(table.max())),
            "TEMPERATURE_BITS": choice.TEMPERATURE.bits,
            "SCORE_BITS": bits,
            "SCORE_LOGIT_SHIFT": logit_shift,
            "SCORE_NOISE_SHIFT": noise_shift,
            "SCORE_LOSER": f"{bits}'h{loser % (1 << bits):x}",
            "NOISE_TAIL": _packed(choice.noise_tail().tolist(), choice.NOISE.bits),
            "RANDOM_INITIAL": _packed(list(choice.INITIAL_STATE), 32),
        }

    @cached_property
    def step_bits(self) -> int:
        return _bits(max(job.cycles for job in self.schedule.jobs) - 1)


def weight_roms(array: Array, words: int, weight_bits: int) -> dict[str, Rom]:
    """Return the segments' weight memories, for products in DSPs and in LUTs, all of the same depth."""
    widths = {}
    for segment in range(array.segments):
        units = min(array.group_units - segment * array.segment_units, array.segment_units)
        for name, depth in (("weights", array.dsp_depth), ("lut_weights", array.lut_depth)):
            if depth:
                chain = depth * array.pack * weight_bits + array.parity
                widths[f"{name}_{segment:02d}"] = units * array.unit_chains * chain
    bits = row_bits(list(widths.values()), words)
    return {name: Rom(width, words, bits) for name, width in widths.items()}


def row_roms(spec: NetworkSpec, layout: Layout) -> dict[int, Rom]:
    """Return the memories of layer 0's W by number of their pipeline.

    A memory has a row of a beat's weights for every beat and character.
    """
    found = {}
    for stage in layout.stages:
        if stage.layer == 0:
            packing = stage.packing
            width = packing.pipelines * packing.gates * spec.layers[0].formats.W.bits
            depth = stage.beats * spec.vocabulary
            found[stage.pipeline] = Rom(width, depth, row_bits([width], depth))
    return found


@dataclass(frozen=True)
class Table:
    """The memory of an activation table, and its least and largest value."""

    rom: Rom
    low: int
    high: int


@cache
def table_roms(formats: CellFormats) -> Mapping[str, Table]:
    """Activation tables, as wide as their values: no bit is constant, which synthesis would remove."""
    roms = {}
    for name, table in formats.tables.items():
        values, depth = formats.table(name), 1 << formats.format(table.index).bits
        low, high = int(values.min()), int(values.max())
        width = word_bits(low, high)
        roms[name] = Table(Rom(width, depth, row_bits([width], depth)), low, high)
    return MappingProxyType(roms)


def _bits(value: int) -> int:
    return max(1, value.bit_length())


def _half(fmt: FixedFormat) -> int:
    return int(fmt.rounding is Rounding.AP_RND)


def _packed(values: list[int], width: int) -> str:
    """Return a Verilog literal of fields of equal width, the first in the low bits."""
    number = sum(value << (width * k) for k, value in enumerate(values))
    return f"{width * len(values)}'h{number:x}"
