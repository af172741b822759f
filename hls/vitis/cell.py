# SPDX-License-Identifier: Apache-2.0
"""C++ of a layer of any cell, from its description: a function for the first layer and one for those above.

``zynq_lstm.h`` makes the sums of products. What follows them is written here, an expression an equation.
Gates whose recurrent product waits for a signal of the step (``recurrent`` in a description) are a group of
their own: with matrices of their own, which are multiplied when the signal of all units is there.
"""

from __future__ import annotations

from hashlib import sha256

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import Cell, LookUp, Sum
from zynq_lstm.models.cells.groups import Group, groups

HEADER = "zynq_lstm_cells.h"


def _config(group: Group) -> str:
    """Return the struct with a group's constants."""
    return f"typename CONFIG_T::group{group.suffix}" if group.signal else "CONFIG_T"


def class_name(cell: Cell) -> str:
    """The name of hls4ml's layer: FixedLSTM, FixedGruResetBefore and so on.

    hls4ml knows layers by their names, for as long as it runs, so the name of a cell of one's own ends with a
    hash of its description.
    """
    if catalogue.written(cell) == "lstm":
        return "FixedLSTM"
    name = "Fixed" + cell.name.title().replace("_", "")
    return name if catalogue.is_ours(cell) else f"{name}_{sha256(cell.text.encode()).hexdigest()[:8]}"


def arrays(cell: Cell) -> dict[str, tuple[str, str]]:
    """Element type and size, as C++, of every array that a layer is given, in the order of its arguments."""
    found = {}
    for group in groups(cell):
        columns = f"{_config(group).removeprefix('typename ')}::columns"
        for name, rows in (("W", "CONFIG_T::inputs * "), ("U", "CONFIG_T::units * "), ("b", "")):
            found[name + group.suffix] = (f"typename CONFIG_T::{name}_t", rows + columns)
    for name in cell.vectors:
        found[name] = (f"typename CONFIG_T::{name}_t", "CONFIG_T::units")
    for name, table in cell.tables.items():
        found[name] = (f"typename CONFIG_T::{table.value}_t", f"1 << CONFIG_T::{table.index}_t::width")
    return found


def header(cells: tuple[Cell, ...]) -> str:
    """The header with the layers of some cells."""
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        "//",
        "// Layers of recurrent cells, written by hls/vitis/cell.py from their equations.",
        "#ifndef NNET_ZYNQ_LSTM_CELLS_H_",
        "#define NNET_ZYNQ_LSTM_CELLS_H_",
        "",
        '#include "zynq_lstm.h"',
        "",
        "namespace nnet {",
        "namespace zynq_lstm {",
        "",
    ]
    for cell in cells:
        lines += [f"// {cell.title}.", *(f"//   {equation}" for equation in cell.equations), ""]
        lines += [_layer(cell, first=True), _layer(cell, first=False)]
    return "\n".join([*lines, "} // namespace zynq_lstm", "} // namespace nnet", "", "#endif", ""])


def _layer(cell: Cell, first: bool) -> str:
    """The function of a layer; the first one looks its input up in W."""
    input_type = "word_T" if first else "x_T"
    name = f"first_{cell.name}" if first else f"{cell.name}_above"
    given = "const word_T words[1]" if first else "const x_T x[CONFIG_T::inputs], ap_uint<1> reset"
    arguments = [given, "typename CONFIG_T::h_t out[CONFIG_T::units]", "ap_uint<1> &reset_next"]
    arguments += [f"const {kind} {n}[{size}]" for n, (kind, size) in arrays(cell).items()]
    lines = [f"template <class {input_type}, class CONFIG_T>", f"void {name}({', '.join(arguments)}) {{"]
    lines += ["#pragma HLS INLINE off", *_typedefs(cell)]
    for signal in cell.state:
        lines.append(f"    static {_type(cell, signal)} {signal}[CONFIG_T::units];")
    lines += ["    const unsigned rows = CONFIG_T::rows;"]
    lines += ["#pragma HLS ARRAY_PARTITION variable=h type=cyclic factor=rows", *_storage(cell, first)]
    for one in groups(cell):
        lines += _declared(one)
    lines += _reset(cell, first)
    for one in groups(cell):
        lines += _started(one, first)
    for k, (group, equations) in enumerate(_phases(cell)):
        if group is not None:
            sums = f"u_sums{group.suffix}" if group.apart else f"sums{group.suffix}"
            source = f"held_{group.signal}" if group.signal else "h"
            u, of = f"U{group.suffix}", f"{_config(group)}, CONFIG_T::units"
            lines.append(f"    multiply_accumulate<{of}>({source}, {u}, {sums});")
        lines += _units(cell, k, equations)
    return "\n".join([*lines, "}", ""])


def _typedefs(cell: Cell) -> list[str]:
    return [
        "    typedef typename CONFIG_T::accum_t accum_t;",
        "    typedef typename Sum<accum_t::width>::type sum_t;",
    ]


def _storage(cell: Cell, first: bool) -> list[str]:
    """How tables, and the first layer's W, are kept."""
    lines = []
    for name in cell.tables:
        reads = sum(isinstance(e, LookUp) and e.table == name for e in cell.equations)
        kind = "rom_np" if reads > 1 else "rom_1p"
        lines.append(f"#pragma HLS BIND_STORAGE variable={name} type={kind} impl=bram")
    if first:
        for group in groups(cell):
            s = group.suffix
            lines += [
                f"    const unsigned lanes{s}_of_row = {_config(group).removeprefix('typename ')}::lanes;",
                f"#pragma HLS ARRAY_RESHAPE variable=W{s} type=cyclic factor=lanes{s}_of_row",
                f"#pragma HLS BIND_STORAGE variable=W{s} type=rom_1p impl=bram",
                f"#pragma HLS ARRAY_RESHAPE variable=b{s} type=cyclic factor=lanes{s}_of_row",
            ]
    return lines


def _declared(group: Group) -> list[str]:
    """The arrays of a group's sums."""
    s, config = group.suffix, _config(group).removeprefix("typename ")
    lines = [f"    const unsigned lanes{s} = {config}::lanes;"]
    for name in (f"sums{s}", *([f"u_sums{s}"] if group.apart else [])):
        lines += [
            f"    sum_t {name}[{config}::columns];",
            f"#pragma HLS ARRAY_PARTITION variable={name} type=cyclic factor=lanes{s}",
        ]
    return lines


def _reset(cell: Cell, first: bool) -> list[str]:
    lines = []
    if first:
        lines += [
            "    const ap_uint<word_T::width> word = words[0];",
            "    const ap_uint<CODE_BITS> given = word;",
            "    const ap_uint<CODE_BITS> code = given < CONFIG_T::inputs ? given : ap_uint<CODE_BITS>(0);",
            "    ap_uint<1> reset = word[CODE_BITS];",
            "#ifndef __SYNTHESIS__",
            "    reset |= csim::take_reset();",
            "#endif",
        ]
    lines += ["    if (reset) {", "    Clear:", "        for (unsigned u = 0; u < CONFIG_T::units; u++) {"]
    lines += ["#pragma HLS PIPELINE II=1", *(f"            {name}[u] = 0;" for name in cell.state)]
    return [*lines, "        }", "    }", "    reset_next = reset;"]


def _started(group: Group, first: bool) -> list[str]:
    """x.W + b of a group."""
    s, config = group.suffix, _config(group)
    lines = []
    if first:
        lines.append(f"    look_up_row<{config}>(code, W{s}, b{s}, sums{s});")
    else:
        lines.append(f"    start_sums<{config}>(b{s}, sums{s});")
        lines.append(f"    multiply_accumulate<{config}, CONFIG_T::inputs>(x, W{s}, sums{s});")
    if group.apart:
        lines.append(f"    clear_sums<{config}>(u_sums{s});")
    return lines


def _phases(cell: Cell) -> list[tuple[Group | None, list[Sum | LookUp]]]:
    """The equations between the products, each with the group whose U is multiplied before them."""
    found: list[tuple[Group | None, list[Sum | LookUp]]] = []
    by_signal = {group.signal: group for group in groups(cell)}
    found.append((by_signal.get(None), []))
    for equation in cell.equations:
        found[-1][1].append(equation)
        if equation.signal in by_signal:
            found.append((by_signal[equation.signal], []))
    return found


def _type(cell: Cell, signal: str) -> str:
    return f"typename CONFIG_T::{cell.equation(signal).format}_t"


def _units(cell: Cell, phase: int, equations: list[Sum | LookUp]) -> list[str]:
    """The loop over units of one phase; what a later one reads is kept by unit."""
    phases = [group_equations for _, group_equations in _phases(cell)]
    here = {equation.signal for equation in equations}
    before = {e.signal for group_equations in phases[:phase] for e in group_equations}
    later = {f for group_equations in phases[phase + 1 :] for e in group_equations for f in e.reads}
    last = phase == len(phases) - 1
    products = set(cell.recurrent.values())
    # The trace of a unit is written whole, in the last phase.
    held = [e.signal for e in equations if not last and (e.signal in later or e.signal in products)]
    traced = [e.signal for e in equations if not last]
    lines = [f"    {_type(cell, name)} held_{name}[CONFIG_T::units];" for name in held]
    lines += [
        f"#pragma HLS ARRAY_PARTITION variable=held_{n} type=cyclic factor=rows"
        for n in held
        if n in products
    ]
    kept = [name for name in traced if name not in held]
    if kept:
        lines.append("#ifndef __SYNTHESIS__")
        lines += [f"    {_type(cell, name)} held_{name}[CONFIG_T::units];" for name in kept]
        lines.append("#endif")
    lines += [
        f"Units{phase}:",
        "    for (unsigned u = 0; u < CONFIG_T::units; u++) {",
        "#pragma HLS PIPELINE II=1",
    ]
    if "c" in cell.state:
        lines.append("#pragma HLS DEPENDENCE variable=c type=inter dependent=false")
    for equation in equations:
        value = _value(cell, equation, here, before)
        lines.append(f"        const {_type(cell, equation.signal)} s_{equation.signal} = {value};")
    lines += [f"        held_{name}[u] = s_{name};" for name in held]
    if kept:
        lines.append("#ifndef __SYNTHESIS__")
        lines += [f"        held_{name}[u] = s_{name};" for name in kept]
        lines.append("#endif")
    if last:
        for name in cell.state:
            lines.append(f"        {name}[u] = {_read(cell, name, here)};")
        lines.append(f"        out[u] = {_read(cell, 'h', here)};")
        values = ", ".join(f"signed_raw({_read(cell, name, here)})" for name in cell.signals)
        lines += [
            "#ifndef __SYNTHESIS__",
            "        if (csim::tracing()) {",
            f"            const long long values[] = {{{values}}};",
            "            csim::record(values, sizeof values / sizeof *values);",
            "        }",
            "#endif",
        ]
    return [*lines, "    }"]


def _read(cell: Cell, signal: str, here: set[str]) -> str:
    """A signal of this step: of this phase, or kept from an earlier one."""
    return f"s_{signal}" if signal in here else f"held_{signal}[u]"


def _value(cell: Cell, equation: Sum | LookUp, here: set[str], before: set[str]) -> str:
    if isinstance(equation, LookUp):
        return f"{equation.table}[address({_read(cell, equation.index, here)})]"
    terms = list(equation.terms)
    for group in groups(cell):
        if not group.apart:  # u is in the sum of x already
            terms = [t for t in terms if t.factors not in [(f"u_{gate}",) for gate in group.gates]]
    terms.sort(key=lambda term: term.sign < 0)  # a positive one first
    text = ""
    for term in terms:
        product = " * ".join(_factor(cell, factor, here) for factor in term.factors)
        text += (f" {'-' if term.sign < 0 else '+'} " if text else "-" if term.sign < 0 else "") + product
    return f"rounded<typename CONFIG_T::{equation.format}_t>({text})"


def _factor(cell: Cell, factor: str, here: set[str]) -> str:
    kind, _, gate = factor.partition("_")
    if factor in cell.signals:
        return _read(cell, factor, here)
    if kind in ("x", "u") and gate in cell.gates:
        group = next(group for group in groups(cell) if gate in group.gates)
        sums = f"{'u_' if kind == 'u' else ''}sums{group.suffix}"
        return f"fixed_point<accum_t>({sums}[{len(group.gates)} * u + {group.gates.index(gate)}])"
    return f"{factor.removesuffix(chr(39))}[u]"
