# SPDX-License-Identifier: Apache-2.0
"""The module ``network_gates``: everything between the array's sums and the values that the array reads next.

It has the gate pipelines of a network's cells (:mod:`zynq_lstm.hls.engine.gates`), the memories through which
they read each other's signals, and the buffers of their results.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from zynq_lstm.hls.engine import gates
from zynq_lstm.hls.engine.memory import Rom
from zynq_lstm.hls.engine.stages import Layout, Pipeline
from zynq_lstm.models.integers.choice import WORD_LOGITS
from zynq_lstm.models.integers.limits import WORD_SUMS


@dataclass(frozen=True)
class Core:
    """What the module is made from.

    Args:
        layout: stages and pipelines.
        pipelines: the gate pipelines, in the layout's order.
        row_roms: memory of the rows of layer 0's W by number of the pipeline, for those that read it.
        vocabulary: number of characters.
        sum_bits, row_bits, h_bits: bits of a sum, of a weight of layer 0's W, and of the array's inputs.
        stage_bits: bits of a stage's number in a job.
        item_bits: bits of the number of a beat or output word in a job.
        beat_bits: bits of the number of a beat of layer 0.
        address_bits: bits of an address of the rows of layer 0's W.
        rows: rows of the largest buffer of results.
    """

    layout: Layout
    pipelines: tuple[gates.Pipeline, ...]
    row_roms: dict[int, Rom]
    vocabulary: int
    sum_bits: int
    row_bits: int
    h_bits: int
    stage_bits: int
    item_bits: int
    beat_bits: int
    address_bits: int
    rows: int

    def text(self) -> str:
        """The module's text."""
        layout = self.layout
        body = [line for pipeline in layout.pipelines for line in self._pipeline(pipeline)]
        body += [line for writer, name in kept(layout) for line in self._kept(writer, name)]
        first = layout.pipelines[0]
        stage_0 = "p0_stage == '0 && p0_wait" if first.packing.dense else "sums_credit_i"
        grant = "!p0_start" if _starts_by_sums(first) else "1'b1"
        finished = ", ".join(f"finished_{stage.number}_q" for stage in reversed(layout.stages))
        text = _MODULE.format(
            pipelines=len(layout.pipelines),
            stages=len(layout.stages),
            sums=layout.array.gate_lanes * WORD_SUMS * self.sum_bits,
            stage_bits=self.stage_bits,
            item_bits=self.item_bits,
            beat_bits=self.beat_bits,
            address_bits=self.address_bits,
            row_address_bits=_address_bits(self.rows),
            activations=layout.array.depth * self.h_bits,
            body="\n".join(body),
            credit=stage_0,
            grant=grant,
            finished=finished,
            finished_names=", ".join(f"finished_{stage.number}_q" for stage in layout.stages),
            read="\n".join(self._read()),
            unused=", ".join(self._unused()),
        )
        return re.sub(r"\[(\d+)-1:0\] +", lambda width: f"[{int(width[1]) - 1}:0] ", text)

    def _unused(self) -> Iterator[str]:
        """Yield the names of inputs that not every network needs."""
        yield from ("sums_i", "sums_credit_i", "sums_start_i", "sums_wait_i", "read_stage_i", "read_row_i")
        yield from ("sums_item_i", "sums_stage_i", "beat_i", "fresh_by_phase_i")

    def _pipeline(self, pipeline: Pipeline) -> Iterator[str]:
        """Yield the lines of one pipeline: its sums, lanes, finished counters, and buffer of results."""
        p, lanes, text = f"p{pipeline.number}", pipeline.packing.pipelines, self.pipelines[pipeline.number]
        level, layout = pipeline.level, self.layout
        size = len(level.gates) * self.sum_bits
        unit_bits = _address_bits(layout.beats(pipeline))
        first = pipeline.number == 0
        by_sums = _starts_by_sums(pipeline)
        yield ""
        yield f"  // ---- {level.cell.title}{_level(pipeline)}: {_layers(pipeline)}"
        yield f"  logic {p}_wait, {p}_start, {p}_phase, {p}_last;"
        yield f"  logic [STAGE_BITS-1:0] {p}_stage;"
        yield f"  logic [ITEM_BITS-1:0] {p}_item;"
        yield f"  logic [{lanes * size - 1}:0] {p}_sums;"
        yield from self._sums(pipeline, size)
        yield f"  logic [STAGE_BITS-1:0] {p}_start_stage;"
        yield f"  logic [{unit_bits - 1}:0] {p}_start_unit;"
        yield f"  logic {p}_starts, {p}_start_fresh, {p}_start_phase, {p}_start_last;"
        if first:
            # Layer 0 starts when the character is known; finished sums go first, since they cannot wait.
            pick = f"{p}_start ? " if by_sums else ""
            for name, from_sums, from_control in (
                ("stage", f"{p}_stage", "'0"),
                ("unit", f"{unit_bits}'({p}_item)", f"{unit_bits}'(beat_i)"),
                ("fresh", f"fresh_by_phase_i[{p}_phase]", "fresh_i"),
                ("phase", f"{p}_phase", "phase_i"),
                ("last", f"{p}_last", "beat_last_i"),
            ):
                value = f"{pick}{from_sums} : {from_control}" if by_sums else from_control
                yield f"  assign {p}_start_{name} = {value};"
            yield f"  assign {p}_starts = {f'{p}_start || ' if by_sums else ''}start_i;"
        else:
            yield f"  assign {p}_start_stage = {p}_stage;"
            yield f"  assign {p}_start_unit = {unit_bits}'({p}_item);"
            yield f"  assign {p}_start_fresh = fresh_by_phase_i[{p}_phase];"
            yield f"  assign {{{p}_starts, {p}_start_phase, {p}_start_last}} ="
            yield f"      {{{p}_start, {p}_phase, {p}_last}};"
        yield f"  logic [{lanes * size - 1}:0] {p}_sums_2;"
        if by_sums:
            yield f"  delay #(.WIDTH({lanes * size}), .CYCLES(2)) u_{p}_sums ("
            yield f"      .clk_i, .data_i({p}_sums), .data_o({p}_sums_2));"
        else:
            yield f"  assign {p}_sums_2 = '0;"
        yield from self._rows(pipeline)
        yield from self._lanes(pipeline, text, size, unit_bits)
        yield from self._results(pipeline, unit_bits)

    def _sums(self, pipeline: Pipeline, size: int) -> Iterator[str]:
        """Yield how a pipeline's sums come out of the array's words."""
        p, packing, n = f"p{pipeline.number}", pipeline.packing, pipeline.number
        if packing.dense:
            yield "  gearbox #("
            yield f"      .LANES({packing.lanes}), .SUM_BITS({self.sum_bits}), "
            yield f"      .TAG_BITS(STAGE_BITS + 1), .ITEM_BITS(ITEM_BITS), .WORDS({self._burst(pipeline)})"
            yield f"  ) u_{p}_gearbox ("
            yield "      .clk_i, .rst_i,"
            yield f"      .flags_i({{sums_start_i[{n}], sums_wait_i[{n}]}}),"
            yield "      .tag_i({sums_phase_i, sums_stage_i}),"
            yield "      .item_i(sums_item_i), .last_i(sums_last_i), .final_i(sums_final_i), .sums_i,"
            yield f"      .flags_o({{{p}_start, {p}_wait}}), .tag_o({{{p}_phase, {p}_stage}}),"
            yield f"      .item_o({p}_item), .last_o({p}_last), .sums_o({p}_sums));"
            return
        yield f"  assign {{{p}_start, {p}_wait}} = {{sums_start_i[{n}], sums_wait_i[{n}]}};"
        yield f"  assign {{{p}_phase, {p}_stage, {p}_item}} = {{sums_phase_i, sums_stage_i, sums_item_i}};"
        yield f"  assign {p}_last = sums_final_i && sums_last_i;"
        for lane in range(packing.pipelines):
            word, unit = divmod(lane, packing.per_word)
            place = word * WORD_SUMS * self.sum_bits + unit * size
            yield f"  assign {p}_sums[{lane * size}+:{size}] = sums_i[{place}+:{size}];"

    def _burst(self, pipeline: Pipeline) -> int:
        """Most words of a job."""
        stage = pipeline.stages[0]
        return stage.packing.drain(min(stage.capacity, max(s.units for s in pipeline.stages)))

    def _rows(self, pipeline: Pipeline) -> Iterator[str]:
        """Yield the memory of the rows of layer 0's W."""
        p, rom = f"p{pipeline.number}", self.row_roms.get(pipeline.number)
        width = pipeline.packing.pipelines * len(pipeline.level.gates) * self.row_bits
        yield f"  logic [{width - 1}:0] {p}_row;"
        if rom is None:
            yield f"  assign {p}_row = '0;"
            return
        address = "row_address_i"
        if pipeline.number:  # beat by beat as well, from the code of the character that started last
            address = f"{p}_row_address_q"
            stage = next(s for s in pipeline.stages if s.layer == 0)
            yield f"  logic [{self.address_bits - 1}:0] {address};"
            # With one row a code there is no next one, and as many codes may be too large a number.
            next_row = self.vocabulary % (1 << self.address_bits)
            yield "  always_ff @(posedge clk_i) begin"
            yield f"    if (start_i && beat_i == '0) {address} <= row_address_i;"
            yield f"    else if ({p}_start && {p}_stage == STAGE_BITS'({stage.number}))"
            yield f"      {address} <= {address} + {self.address_bits}'d{next_row};"
            yield "  end"
        yield f"  rom #(.WIDTH({rom.width}), .DEPTH({rom.depth}), .ROW_BITS({rom.row_bits}),"
        yield f'      .FILE("{pipeline.level.name}_rows.mem")) u_{p}_rows ('
        bits = _address_bits(rom.depth)
        yield f"      .clk_i, .address_i({bits}'({address})), .data_o({p}_row));"

    def _lanes(self, pipeline: Pipeline, text: gates.Pipeline, size: int, unit_bits: int) -> Iterator[str]:
        """Yield the pipelines side by side, which run in step."""
        p, lanes = f"p{pipeline.number}", pipeline.packing.pipelines
        row, result = len(pipeline.level.gates) * self.row_bits, self.h_bits
        yield f"  logic [{lanes - 1}:0] {p}_writes, {p}_write_phases, {p}_write_lasts;"
        yield f"  logic [{lanes}*STAGE_BITS-1:0] {p}_write_stages;"
        yield f"  logic [{lanes * unit_bits - 1}:0] {p}_write_units;"
        yield f"  logic [{lanes * result - 1}:0] {p}_values;"
        connections = [
            f".store_i({p}_wait), .store_unit_i({unit_bits}'({p}_item)), "
            f".store_sums_i({p}_sums[k*{size}+:{size}]),",
            f".start_i({p}_starts), .stage_i({p}_start_stage), .unit_i({p}_start_unit), "
            f".fresh_i({p}_start_fresh),",
            f".phase_i({p}_start_phase), .last_i({p}_start_last), .sums_i({p}_sums_2[k*{size}+:{size}]),",
            f".row_i({p}_row[k*{row}+:{row}]),",
        ]
        for name in pipeline.level.taken:
            plain = name.removesuffix("'")
            bits = text.bits(plain)
            yield f"  logic [{lanes * unit_bits - 1}:0] {p}_{plain}_read_units;"
            yield f"  logic [{lanes * bits - 1}:0] {p}_{plain}_taken;"
            connections += [
                f".{plain}_read_unit_o({p}_{plain}_read_units[k*{unit_bits}+:{unit_bits}]),",
                f".{plain}_i({p}_{plain}_taken[k*{bits}+:{bits}]),",
            ]
        for name in text.widths.exported:
            bits = text.bits(name)
            yield f"  logic [{lanes - 1}:0] {p}_{name}_writes;"
            yield f"  logic [{lanes * unit_bits - 1}:0] {p}_{name}_write_units;"
            yield f"  logic [{lanes * bits - 1}:0] {p}_{name}_values;"
            connections += [
                f".{name}_write_o({p}_{name}_writes[k]),",
                f".{name}_write_unit_o({p}_{name}_write_units[k*{unit_bits}+:{unit_bits}]),",
                f".{name}_o({p}_{name}_values[k*{bits}+:{bits}]),",
            ]
        connections += [
            f".write_o({p}_writes[k]), .write_stage_o({p}_write_stages[k*STAGE_BITS+:STAGE_BITS]),",
            f".write_unit_o({p}_write_units[k*{unit_bits}+:{unit_bits}]), "
            f".write_phase_o({p}_write_phases[k]),",
            f".write_last_o({p}_write_lasts[k]), .write_result_o({p}_values[k*{result}+:{result}]));",
        ]
        yield f"  for (genvar k = 0; k < {lanes}; k++) begin : gen_{p}_lane"
        yield f"    {text.module} #(.LANE(k), .LANES({lanes}), .STAGE_BITS(STAGE_BITS)) u_gates ("
        yield "        .clk_i, .rst_i,"
        yield from (f"        {line}" for line in connections)
        yield "  end"

    def _results(self, pipeline: Pipeline, unit_bits: int) -> Iterator[str]:
        """Yield the buffer of a pipeline's results; a beat's place is known a cycle before its write."""
        p, layout = f"p{pipeline.number}", self.layout
        lanes, depth, rows = pipeline.packing.pipelines, layout.array.depth, layout.buffer_rows(pipeline)
        places, row_bits = depth // lanes, _address_bits(rows)
        yield f"  logic {p}_write_q, {p}_write_phase_q, {p}_write_last_q;"
        yield f"  logic [STAGE_BITS-1:0] {p}_write_stage_q;"
        yield f"  logic [{lanes * self.h_bits - 1}:0] {p}_values_q;"
        yield f"  logic [15:0] {p}_place_q, {p}_beat_base, {p}_row_base;"
        yield "  always_comb begin"
        yield f"    {p}_beat_base = '0;"
        yield f"    {p}_row_base = '0;"
        for stage in pipeline.stages:
            at = f"STAGE_BITS'({stage.number})"
            yield (
                f"    if ({p}_write_stages[STAGE_BITS-1:0] == {at}) "
                f"{p}_beat_base = 16'd{layout.first_beat(stage)};"
            )
            yield f"    if ({p}_write_stage_q == {at}) {p}_row_base = 16'd{layout.first_row(stage)};"
        yield "  end"
        yield "  always_ff @(posedge clk_i) begin"
        yield f"    {p}_place_q <= 16'({p}_write_units[{unit_bits - 1}:0]) - {p}_beat_base;"
        yield f"    {{{p}_write_stage_q, {p}_write_phase_q, {p}_values_q}} <="
        yield f"        {{{p}_write_stages[STAGE_BITS-1:0], {p}_write_phases[0], {p}_values}};"
        yield "    if (rst_i) begin"
        yield f"      {p}_write_q <= 1'b0;"
        yield f"      {p}_write_last_q <= 1'b0;"
        for stage in pipeline.stages:
            yield f"      finished_{stage.number}_q <= '0;"
        yield "    end else begin"
        yield f"      {p}_write_q <= {p}_writes[0];"
        yield f"      {p}_write_last_q <= {p}_writes[0] && {p}_write_lasts[0];"
        for stage in pipeline.stages:
            yield (
                f"      if ({p}_write_last_q && {p}_write_stage_q == STAGE_BITS'({stage.number})) "
                f"finished_{stage.number}_q <= finished_{stage.number}_q + 2'd1;"
            )
        yield "    end"
        yield "  end"
        yield f"  logic [{depth * self.h_bits - 1}:0] {p}_activations;"
        yield f"  hidden_buffer #(.LANES({depth}), .WRITES({lanes}), .WIDTH({self.h_bits}), .ROWS({rows}))"
        yield f"  u_{p}_hidden ("
        yield f"      .clk_i, .write_i({p}_write_q), .write_phase_i({p}_write_phase_q),"
        yield f"      .write_row_i({row_bits}'({p}_row_base + {p}_place_q / 16'd{places})),"
        yield f"      .write_place_i({_address_bits(places)}'({p}_place_q % 16'd{places})),"
        yield f"      .write_data_i({p}_values_q), .read_phase_i, .read_row_i({row_bits}'(read_row_i)),"
        yield f"      .read_data_o({p}_activations));"
        names = (
            *("writes", "write_phases", "write_lasts", "write_stages", "write_units"),
            *("start", "sums", "phase", "last", "stage", "item"),
        )
        yield f"  logic {p}_unused;"
        yield f"  assign {p}_unused = ^{{{', '.join(f'{p}_{name}' for name in names)}}};"

    def _read(self) -> Iterator[str]:
        """Yield the choice of the buffer that the array reads."""
        pipelines = self.layout.pipelines
        if len(pipelines) == 1:
            yield "  assign activations_o = p0_activations;"
            return
        yield "  logic [STAGE_BITS-1:0] read_stage_2;"
        yield "  delay #(.WIDTH(STAGE_BITS), .CYCLES(2)) u_read_stage ("
        yield "      .clk_i, .data_i(read_stage_i), .data_o(read_stage_2));"
        yield "  always_comb begin"
        yield "    activations_o = p0_activations;"
        for stage in self.layout.stages:
            if stage.pipeline:
                yield (
                    f"    if (read_stage_2 == STAGE_BITS'({stage.number})) "
                    f"activations_o = p{stage.pipeline}_activations;"
                )
        yield "  end"

    def _kept(self, writer: Pipeline, name: str) -> Iterator[str]:
        """Yield the memory of a signal that other pipelines read."""
        text = self.pipelines[writer.number]
        bits, w = text.bits(name), f"p{writer.number}_{name}"
        for reader in self.layout.pipelines:
            taken = [x.removesuffix("'") for x in reader.level.taken]
            if reader.level.cell != writer.level.cell or name not in taken:
                continue
            r = f"p{reader.number}_{name}"
            depths = [self.layout.beats(x) for x in (writer, reader)]
            lanes = [x.packing.pipelines for x in (writer, reader)]
            banks = max(lanes)
            depth = max(d * n // banks + (d * n % banks > 0) for d, n in zip(depths, lanes, strict=True))
            write_bits, read_bits = (_address_bits(d) for d in depths)
            yield ""
            yield f"  lane_memory #(.WIDTH({bits}), .WRITES({lanes[0]}), .READS({lanes[1]}), .DEPTH({depth}),"
            yield f"      .WRITE_BITS({write_bits}), .READ_BITS({read_bits})) u_{r}_kept ("
            yield f"      .clk_i, .write_i({w}_writes[0]),"
            yield f"      .write_beat_i({w}_write_units[{write_bits - 1}:0]),"
            yield f"      .write_data_i({w}_values), .read_beat_i({r}_read_units[{read_bits - 1}:0]),"
            yield f"      .read_data_o({r}_taken));"
            yield f"  logic {r}_unused;"
            yield f"  assign {r}_unused = ^{{{w}_writes, {w}_write_units, {r}_read_units}};"


def kept(layout: Layout) -> list[tuple[Pipeline, str]]:
    """Return the signals that a pipeline reads and another computes, each with the one that computes it."""
    found: dict[tuple[int, str], tuple[Pipeline, str]] = {}
    for reader in layout.pipelines:
        for name in (name.removesuffix("'") for name in reader.level.taken):
            writer = next(
                p for p in layout.pipelines if p.level.cell == reader.level.cell and name in p.level.signals
            )
            found[writer.number, name] = writer, name
    return list(found.values())


def _starts_by_sums(pipeline: Pipeline) -> bool:
    """Return True if a unit of the pipeline may be started by sums: all but those of layer 0's level 0."""
    return any(stage.layer or stage.level.number for stage in pipeline.stages)


def _level(pipeline: Pipeline) -> str:
    return f", level {pipeline.level.number}" if pipeline.level.name != pipeline.level.cell.name else ""


def _layers(pipeline: Pipeline) -> str:
    layers = [str(stage.layer) for stage in pipeline.stages]
    return f"layer{'s' * (len(layers) > 1)} {', '.join(layers)}"


def _address_bits(depth: int) -> int:
    return max(1, (depth - 1).bit_length())


assert WORD_LOGITS == WORD_SUMS  # an output word is a word of the array

_MODULE = """// SPDX-License-Identifier: Apache-2.0
// Generated by hls/engine/core.py. From finished sums to the values that the array multiplies next: the
// gates of all layers and the buffers of their results.
module network_gates (
    input  logic clk_i,
    input  logic rst_i,
    // finished sums: a beat of words; the flags have a bit for each pipeline
    input  logic [{pipelines}-1:0] sums_wait_i,
    input  logic [{pipelines}-1:0] sums_start_i,
    input  logic sums_credit_i,  // sums that wait for the first stage
    input  logic sums_phase_i,
    input  logic sums_final_i,   // of the last job of a product
    input  logic sums_last_i,    // the job's last beat
    input  logic [{stage_bits}-1:0] sums_stage_i,
    input  logic [{item_bits}-1:0] sums_item_i,
    input  logic [{sums}-1:0] sums_i,
    // layer 0: a beat starts
    output logic credit_o,
    output logic grant_o,
    input  logic start_i,
    input  logic [{beat_bits}-1:0] beat_i,
    input  logic beat_last_i,
    input  logic fresh_i,
    input  logic phase_i,
    input  logic [{address_bits}-1:0] row_address_i,
    input  logic [1:0] fresh_by_phase_i,
    // results: characters finished by each stage, modulo 4; a row of them, 2 cycles after its address
    output logic [{stages}*2-1:0] finished_o,
    input  logic read_phase_i,
    input  logic [{stage_bits}-1:0] read_stage_i,
    input  logic [{row_address_bits}-1:0] read_row_i,
    output logic [{activations}-1:0] activations_o
);
  `include "zynq_lstm_constants.svh"
  localparam int STAGE_BITS = {stage_bits};
  localparam int ITEM_BITS = {item_bits};
  logic [1:0] {finished_names};
{body}

  assign credit_o = {credit};
  assign grant_o = {grant};
  assign finished_o = {{{finished}}};
{read}
  logic unused;
  assign unused = ^{{{unused}}};
endmodule
"""
