# SPDX-License-Identifier: Apache-2.0
"""The gate pipeline of a cell in SystemVerilog, from its description: one unit per cycle, from sums to h.

A cell with several levels has a pipeline for each (:mod:`zynq_lstm.hls.engine.stages`). The time of every
equation follows from what it reads: a sum adds two parts per cycle, as they come; a product takes the three
registers of a DSP48E1; a rounding and a table take two cycles each. Widths follow from the formats, so that
nothing is lost before the one rounding of an equation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

from zynq_lstm.hls.engine.gates_module import module_text
from zynq_lstm.hls.engine.stages import Level
from zynq_lstm.models.cells.description import LookUp, Sum, Term
from zynq_lstm.models.description.formats import CellFormats
from zynq_lstm.models.fixed import FixedFormat, Rounding, signed_bits

U_READY, X_READY = 3, 4  # cycles after a unit's start: its waiting sums, its x part
PRODUCT, ROUND, TABLE = 3, 2, 2  # cycles that each takes
STATE_READY = 2  # a memory's word, if it is read at once
DSP_MIN_PRODUCT_BITS = 11  # Yosys makes smaller products of LUTs


@dataclass(frozen=True)
class Wire:
    """A value in the pipeline: raw integers times 2**-frac, signed, from a cycle on."""

    name: str
    bits: int
    frac: int
    time: int


@dataclass(frozen=True)
class TableRom:
    """A memory with an activation table."""

    file: str
    table: str
    signals: tuple[str, ...]  # one, or two of a memory with two ports


@dataclass(frozen=True)
class Widths:
    """What a pipeline's text depends on beside the formats.

    Args:
        units: depth of its memories: the beats of all its stages.
        stages: numbers of its stages.
        row_stage: the one of layer 0, whose sums of inputs are rows of W; None if there is none.
        sums, row, z_sums, bias: bits of a finished sum, a weight of layer 0's W, x.W + h.U + b, a bias.
        frac: fraction bits of x.W + h.U + b.
        u_shift, x_shift: left shifts of each stage that align its sums.
        tables: least and largest value of each table.
        table_rows: address bits of each table's rows (rom.sv).
        exported: signals that other pipelines read.
    """

    units: int = 1
    stages: tuple[int, ...] = (0,)
    row_stage: int | None = 0
    sums: int = 1
    row: int = 1
    z_sums: int = 1
    bias: int = 1
    frac: int = 0
    u_shift: tuple[int, ...] = (0,)
    x_shift: tuple[int, ...] = (0,)
    tables: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    table_rows: Mapping[str, int] = field(default_factory=dict)
    exported: tuple[str, ...] = ()


class Pipeline:
    """The pipeline of a level of a cell.

    Args:
        level: its equations.
        formats: of its signals; none gives the times only.
        widths: of the design.
    """

    def __init__(
        self, level: Level, formats: Mapping[str, FixedFormat] | None = None, widths: Widths | None = None
    ) -> None:
        self.level, self._formats, self.widths = level, formats, widths or Widths()
        self.cell = level.cell
        self.lines: list[str] = []
        self.ports: list[str] = []  # for what other pipelines keep
        self.products: list[tuple[int, int]] = []  # bits of the factors of each DSP48E1
        self.roms: list[TableRom] = []
        self.logic_bits = 0  # bits that adders, roundings, multiplexers and delays put out
        self._delayed: dict[tuple[str, int], str] = {}
        self._values: dict[str, Wire] = {}
        self._fresh: dict[int, str] = {}
        # Name of a wire -> its gate, and which of X, B and U it is the sum of.
        self._proved: dict[str, tuple[str, str]] = {}
        self.together: set[str] = set()  # gates whose h.U is added to x.W or b before anything else
        self._inputs()
        for equation in level.equations:
            self.lines.append(f"\n  // {equation}")
            if isinstance(equation, LookUp):
                self._values[equation.signal] = self._look_up(equation)
            else:
                self._values[equation.signal] = self._rounded(equation, self._sum(equation))
        self._tables()
        self.latency = max(self._values[name].time for name in level.signals)

    def format(self, name: str) -> FixedFormat:
        return FixedFormat(8, 4) if self._formats is None else self._formats[name]

    def bits(self, signal: str) -> int:
        """Bits of a signal, with a sign."""
        fmt = self.format(self.cell.equation(signal).format)
        return fmt.bits + (not fmt.signed)

    def signal(self, name: str) -> Wire:
        """A signal of the step."""
        return self._values[name]

    def at(self, wire: Wire, time: int) -> str:
        """The wire's name in a later cycle."""
        assert time >= wire.time, (wire, time)
        if time == wire.time:
            return wire.name
        key = wire.name, time
        if key not in self._delayed:
            self.logic_bits += wire.bits
            name = self._delayed[key] = f"{wire.name}_{time}"
            self.lines.append(f"  logic signed [{wire.bits - 1}:0] {name};")
            self.lines.append(
                f"  delay #(.WIDTH({wire.bits}), .CYCLES({time - wire.time})) u_{name} "
                f"(.clk_i, .data_i({wire.name}), .data_o({name}));"
            )
        return self._delayed[key]

    def at_the_end(self, signals: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the names of signals in the pipeline's last cycle, and the lines that delay them until then.

        Signals that an equation or an earlier call has delayed so far need no lines.
        """
        before = len(self.lines)
        names = [self.at(self._values[signal], self.latency) for signal in signals]
        lines, self.lines = self.lines[before:], self.lines[:before]
        return names, lines

    def register(self, name: str, bits: int, expression: str) -> None:
        """A register."""
        self.lines.append(f"  logic signed [{bits - 1}:0] {name};")
        self.lines.append(f"  always_ff @(posedge clk_i) {name} <= {expression};")

    # ---- what a unit begins with

    def _inputs(self) -> None:
        """The sums of the level's gates: those of U are there a cycle before those of W and the bias.

        At level 0 the sums of U waited in memory and those of W start the unit, at others it is the reverse.
        Those of layer 0's W are a row of that matrix.
        """
        w = self.widths
        wide = max(w.row, w.sums)
        for k, gate in enumerate(self.level.gates):
            self._values[f"U {gate}"] = Wire(f"u_{gate}_3_q", w.z_sums, w.frac, U_READY)
            self._values[f"B {gate}"] = Wire(f"b_{gate}_3_q", w.z_sums, w.frac, U_READY)
            self._values[f"X {gate}"] = Wire(f"x_{gate}_4_q", w.z_sums, w.frac, X_READY)
            self._proved |= {self._values[f"{kind} {gate}"].name: (gate, kind) for kind in "UBX"}
            # The choice of x, the alignment of each, and their sum with the bias.
            self.logic_bits += wide + 4 * w.z_sums
            waits, starts = (f"{name}[{k * w.sums}+:{w.sums}]" for name in ("waiting", "sums_i"))
            u_sum, x_sum = (starts, waits) if self.level.number else (waits, starts)
            x_sum, row = f"{wide}'($signed({x_sum}))", f"{wide}'($signed(row_i[{k * w.row}+:{w.row}]))"
            if len(w.stages) == 1:
                x_sum = x_sum if w.row_stage is None else row
            elif w.row_stage is not None:
                x_sum = f"stage_2 == STAGE_BITS'({w.row_stage}) ? {row} : {x_sum}"
            self.lines += [
                f"  logic signed [{wide - 1}:0] x_{gate}_3_q;",
                f"  logic signed [{w.z_sums - 1}:0] u_{gate}_aligned, x_{gate}_aligned;",
                f"  logic signed [{w.z_sums - 1}:0] u_{gate}_3_q, b_{gate}_3_q, x_{gate}_4_q;",
                "  always_comb begin",
                f"    u_{gate}_aligned = '0;",
                f"    x_{gate}_aligned = '0;",
            ]
            for stage, u, x in zip(w.stages, w.u_shift, w.x_shift, strict=True):
                self.lines += [
                    f"    if (stage_2 == STAGE_BITS'({stage})) "
                    f"u_{gate}_aligned = {w.z_sums}'($signed({u_sum})) <<< {u};",
                    f"    if (stage_3_q == STAGE_BITS'({stage})) "
                    f"x_{gate}_aligned = {w.z_sums}'(x_{gate}_3_q) <<< {x};",
                ]
            fresh = "" if self.level.number else "fresh_2 ? '0 : "
            self.lines += [
                "  end",
                "  always_ff @(posedge clk_i) begin",
                f"    u_{gate}_3_q <= {fresh}u_{gate}_aligned;",
                f"    x_{gate}_3_q <= {x_sum};",
                f"    b_{gate}_3_q <= {w.z_sums}'($signed(bias_2_q[{k * w.bias}+:{w.bias}]));",
                f"    x_{gate}_4_q <= x_{gate}_aligned;",
                "  end",
            ]

    def fresh(self, time: int) -> str:
        """The flag "the state before is zero" in a cycle."""
        if time == STATE_READY:
            return "fresh_2"
        if time not in self._fresh:
            name = self._fresh[time] = f"fresh_{time}"
            self.lines += [
                f"  logic {name};",
                f"  delay #(.WIDTH(1), .CYCLES({time - STATE_READY})) u_{name} "
                f"(.clk_i, .data_i(fresh_2), .data_o({name}));",
            ]
        return self._fresh[time]

    def _kept(self, key: str) -> Wire:
        """A signal from memory: of the step before (``h'``), or of an earlier level.

        It is read so late that it is there in the cycle of its first use.
        """
        if key not in self._values:
            name, before = key.removesuffix("'"), key.endswith("'")
            bits, frac = self.bits(name), self.format(self.cell.equation(name).format).frac
            read = max(0, self._first_use(key) - STATE_READY)
            wire = Wire(f"{name}_before" if before else f"{name}_taken", bits, frac, read + STATE_READY)
            self._values[key] = wire
            unit = "unit_i"
            if read:
                unit = f"unit_{read}"
                self.lines += [
                    f"  logic [UNIT_BITS-1:0] {unit};",
                    f"  delay #(.WIDTH(UNIT_BITS), .CYCLES({read})) u_{unit} "
                    f"(.clk_i, .data_i(unit_i), .data_o({unit}));",
                ]
            word = f"{name}_stored"
            if name in self.level.signals:
                self.lines += [
                    f"  logic [{bits - 1}:0] {word};",
                    f"  ram #(.WIDTH({bits}), .DEPTH(UNITS)) u_{name} (",
                    f"      .clk_i, .write_i({name}_write), .write_address_i({name}_write_unit),",
                    f"      .write_data_i({name}_after), .read_address_i({unit}), .read_data_o({word}));",
                ]
            else:
                word = f"{name}_i"
                self.lines.append(f"  assign {name}_read_unit_o = {unit};")
                self.ports += [
                    f"output logic [UNIT_BITS-1:0] {name}_read_unit_o",
                    f"input  logic [{bits - 1}:0] {name}_i",
                ]
            value = f"$signed({word})"
            if before:
                value = f"{self.fresh(wire.time)} ? '0 : {value}"
            self.lines += [
                f"  logic signed [{bits - 1}:0] {wire.name};",
                f"  assign {wire.name} = {value};",
            ]
        return self._values[key]

    def _first_use(self, key: str) -> int:
        """The cycle in which the other factor of a kept signal's first product is there."""
        for equation in self.level.equations:
            if not isinstance(equation, Sum):
                continue
            for term in equation.terms:
                if key in term.factors:
                    others = [f for f in term.factors if f != key]
                    known = [self._values[f].time for f in others if f in self._values]
                    return max([STATE_READY, *known])
        return STATE_READY

    def _vector(self, name: str) -> Wire:
        if name not in self._values:
            fmt = self.format(name)
            self._values[name] = Wire(f"{name}_2_q", fmt.bits, fmt.frac, STATE_READY)
            self.lines += [
                f"  logic [{fmt.bits - 1}:0] {name}_1;",
                f"  logic signed [{fmt.bits - 1}:0] {name}_2_q;",
                f"  lut_rom #(.WIDTH({fmt.bits}), .DEPTH(UNITS), "
                f'.FILE({{"{self.level.name}_{name}_", 8\'(LANE_DIGIT), ".mem"}})) u_{name} '
                f"(.address_i(unit_1_q), .data_o({name}_1));",
                f"  always_ff @(posedge clk_i) {name}_2_q <= {name}_1;",
            ]
        return self._values[name]

    # ---- equations

    def _factor(self, name: str) -> Wire:
        if name in self.level.taken or name.endswith("'"):
            return self._kept(name)
        return self._vector(name) if name in self.cell.vectors else self._values[name]

    def _product(self, name: str, a: Wire, b: Wire) -> Wire:
        """Operands, product and product again are the DSP48E1's registers."""
        start, bits = max(a.time, b.time), a.bits + b.bits
        self.products.append((a.bits, b.bits))
        self.register(f"{name}_a_q", a.bits, self.at(a, start))
        self.register(f"{name}_b_q", b.bits, self.at(b, start))
        self.register(f"{name}_m_q", bits, f"{name}_a_q * {name}_b_q")
        self.register(f"{name}_p_q", bits, f"{name}_m_q")
        return Wire(f"{name}_p_q", bits, a.frac + b.frac, start + PRODUCT)

    def _difference_product(self, name: str, factor: Wire, plus: Wire, minus: Wire) -> Wire:
        """factor (plus - minus): one product with the DSP48E1's pre-adder."""
        start, frac = max(factor.time, plus.time, minus.time), max(plus.frac, minus.frac)
        bits = 1 + max(wire.bits + frac - wire.frac for wire in (plus, minus))
        self.products.append((factor.bits, bits))
        self.register(f"{name}_a_q", factor.bits, self.at(factor, start))
        self.register(f"{name}_a2_q", factor.bits, f"{name}_a_q")
        self.register(f"{name}_b_q", plus.bits, self.at(plus, start))
        self.register(f"{name}_d_q", minus.bits, self.at(minus, start))
        aligned = [f"({bits}'({name}_{x}_q) <<< {frac - w.frac})" for x, w in (("b", plus), ("d", minus))]
        self.register(f"{name}_ad_q", bits, f"{aligned[0]} - {aligned[1]}")
        self.register(f"{name}_m_q", factor.bits + bits, f"{name}_a2_q * {name}_ad_q")
        self.register(f"{name}_p_q", factor.bits + bits, f"{name}_m_q")
        return Wire(f"{name}_p_q", factor.bits + bits, factor.frac + frac, start + PRODUCT + 1)

    def _parts(self, equation: Sum) -> list[tuple[int, Wire]]:
        """What an equation adds: sign and value of each."""
        parts: list[tuple[int, Wire]] = []
        terms = list(equation.terms)
        products = [term for term in terms if len(term.factors) == 2]
        pair = _difference(products)
        if pair:
            wires = [self._factor(name) for name in pair]
            parts.append((1, self._difference_product(f"{equation.signal}_0", *wires)))
            terms = [term for term in terms if term not in products]
        for n, term in enumerate(terms):
            if len(term.factors) == 2:
                a, b = (self._factor(name) for name in term.factors)
                parts.append((term.sign, self._product(f"{equation.signal}_{n}", a, b)))
                continue
            (factor,) = term.factors
            kind, _, gate = factor.partition("_")
            if kind in ("x", "u") and gate in self.cell.gates and factor not in self.cell.signals:
                names = [f"X {gate}", f"B {gate}"] if kind == "x" else [f"U {gate}"]
                parts += [(term.sign, self._values[name]) for name in names]
            else:
                parts.append((term.sign, self._factor(factor)))
        return parts

    def _sum(self, equation: Sum) -> Wire:
        """The exact sum: two parts a cycle, those that are there first."""
        parts = self._parts(equation)
        count = 0
        while len(parts) > 1:
            parts.sort(key=lambda part: (part[1].time, part[0] < 0))
            (sign_a, a), (sign_b, b) = parts[:2]
            if sign_a < 0 and sign_b > 0:
                (sign_a, a), (sign_b, b) = (sign_b, b), (sign_a, a)
            frac, time = max(a.frac, b.frac), max(a.time, b.time)
            bits = max(wire.bits + frac - wire.frac for wire in (a, b)) + 1
            name = f"{equation.signal}_sum_{count}_q"
            if sign_a == sign_b and (both := self._proved_sum(a, b)):
                bits, self._proved[name] = self.widths.z_sums, both
            else:
                self.logic_bits += bits
            texts = [f"({bits}'({self.at(wire, time)}) <<< {frac - wire.frac})" for wire in (a, b)]
            self.register(name, bits, f"{texts[0]} {'-' if sign_b != sign_a else '+'} {texts[1]}")
            parts[:2] = [(sign_a, Wire(name, bits, frac, time + 1))]
            count += 1
        assert parts[0][0] > 0, f"{equation}: a sum of nothing but subtracted terms"
        return parts[0][1]

    def _proved_sum(self, a: Wire, b: Wire) -> tuple[str, str] | None:
        """Return gate and kinds of the sum of two parts of the same x.W + h.U + b, whose range is proved."""
        (gate_a, kinds_a), (gate_b, kinds_b) = (self._proved.get(w.name, ("", "")) for w in (a, b))
        if not gate_a or gate_a != gate_b or set(kinds_a) & set(kinds_b):
            return None
        if "U" in kinds_a + kinds_b:
            self.together.add(gate_a)
        return gate_a, kinds_a + kinds_b

    def _rounded(self, equation: Sum, total: Wire) -> Wire:
        fmt, name = self.format(equation.format), f"s_{equation.signal}"
        self.logic_bits += total.bits + fmt.bits
        self.lines += [
            f"  logic signed [{fmt.bits - 1}:0] {name};",
            "  round_saturate #(",
            f"      .IN_BITS({total.bits}), .SHIFT({total.frac - fmt.frac}), .OUT_BITS({fmt.bits}),",
            f"      .HALF(1'b{int(fmt.rounding is Rounding.AP_RND)}), .MIN_VALUE({fmt.min_raw}), "
            f".MAX_VALUE({fmt.max_raw})",
            f"  ) u_round_{equation.signal} (.clk_i, .data_i({total.name}), .data_o({name}));",
        ]
        return Wire(name, fmt.bits, fmt.frac, total.time + ROUND)

    def _look_up(self, equation: LookUp) -> Wire:
        """The signal; the memory itself is written by :meth:`_tables`, which shares those with two ports."""
        fmt, index = self.format(self.cell.tables[equation.table].value), self._values[equation.index]
        bits = self.bits(equation.signal)
        low, _ = self.widths.tables.get(equation.table, (0, 1))
        word, name = self.word_bits(equation.table), f"s_{equation.signal}"
        signed = "$signed(" if low < 0 else "("
        self.lines += [
            f"  logic [{word - 1}:0] {name}_word;",
            f"  logic signed [{bits - 1}:0] {name};",
            f"  assign {name} = {bits}'({signed}{name}_word));",
        ]
        return Wire(name, bits, fmt.frac, index.time + TABLE)

    def word_bits(self, table: str) -> int:
        """Bits of a table's words: as many as its values need; a sign only if one is negative."""
        low, high = self.widths.tables.get(table, (0, 1))
        return word_bits(low, high)

    def _tables(self) -> None:
        """Memories: two look-ups in the same cycle share one with two ports."""
        for table in self.cell.tables:
            readers = [e for e in self.level.equations if isinstance(e, LookUp) and e.table == table]
            by_time: dict[int, list[LookUp]] = {}
            for equation in readers:
                by_time.setdefault(self._values[equation.index].time, []).append(equation)
            for equations in by_time.values():
                while equations:
                    taken, equations = equations[:2], equations[2:]
                    first = not any(rom.table == table for rom in self.roms)
                    which = table if first else f"{table}_{taken[0].signal}"
                    file = f"{self.level.name}_{which}.mem"
                    self.roms.append(TableRom(file, table, tuple(e.signal for e in taken)))
                    self._table_rom(self.roms[-1], taken)

    def _table_rom(self, rom: TableRom, readers: list[LookUp]) -> None:
        index = self.format(self.cell.tables[rom.table].index)
        bits, depth = self.word_bits(rom.table), 1 << index.bits
        words = ", ".join(f"s_{e.signal}_word" for e in reversed(readers))
        addresses = ", ".join(self._values[e.index].name for e in reversed(readers))
        if len(readers) == 2:
            self.lines += [
                f'  rom_dual #(.WIDTH({bits}), .DEPTH({depth}), .FILE("{rom.file}"))',
                f"  u_table_{'_'.join(e.signal for e in readers)} (",
                f"      .clk_i, .addresses_i({{{addresses}}}), .data_o({{{words}}}));",
            ]
        else:
            rows = self.widths.table_rows.get(rom.table, index.bits)
            self.lines += [
                f"  rom #(.WIDTH({bits}), .DEPTH({depth}), .ROW_BITS({rows}), "
                f'.FILE("{rom.file}")) u_table_{readers[0].signal} (',
                f"      .clk_i, .address_i({addresses}), .data_o({words}));",
            ]

    # ---- the module

    @property
    def module(self) -> str:
        """Name of the module."""
        return f"{self.level.name}_gates"

    @cached_property
    def text(self) -> str:
        """The module."""
        return module_text(self)

    def keeps(self, signal: str) -> bool:
        """Return True if the next step or another pipeline reads a signal."""
        return f"{signal}'" in self._values or signal in self.widths.exported

    @property
    def waits(self) -> bool:
        """True if sums wait in a memory: all but those of a single stage that are rows of W."""
        return not self.level.number or len(self.widths.stages) > 1 or self.widths.row_stage is None

    @property
    def dsp(self) -> int:
        """DSP48E1 of the pipeline: its products, but for those so small that Yosys makes them of LUTs."""
        return sum(a + b >= DSP_MIN_PRODUCT_BITS for a, b in self.products)


def word_bits(low: int, high: int) -> int:
    """Bits of a table's words with values from ``low`` to ``high``: a sign only if one is negative."""
    bits = signed_bits(low, high)
    return bits if low < 0 else max(1, bits - 1)


@cache
def latency(level: Level) -> int:
    """Cycles from a unit's start to its result."""
    return Pipeline(level).latency


@cache
def dsp(level: Level, formats: CellFormats) -> int:
    """DSP48E1 of a level's pipeline, whatever the widths of its sums."""
    return Pipeline(level, formats.by_name()).dsp


@cache
def roms(level: Level) -> tuple[TableRom, ...]:
    """Memories of a level's activation tables."""
    return tuple(Pipeline(level).roms)


def _difference(products: list[Term]) -> tuple[str, str, str] | None:
    """(a, b, d) where two products are a b - a d."""
    if len(products) != 2 or products[0].sign == products[1].sign:
        return None
    plus, minus = sorted(products, key=lambda term: -term.sign)
    for factor in plus.factors:
        if factor in minus.factors:
            return factor, _other(plus, factor), _other(minus, factor)
    return None


def _other(term: Term, factor: str) -> str:
    a, b = term.factors
    return b if a == factor else a
