# SPDX-License-Identifier: Apache-2.0
"""Words that nothing in a cell can have as its name, since they have a meaning in the generated code.

Names of signals and gates get a prefix or an ending there. Vectors and tables are arguments of a C++
function, and formats and vectors are fields of a Python class.
"""

from __future__ import annotations

import keyword


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CPP = _words("""
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t
    class co_await co_return co_yield compl concept const const_cast consteval constexpr constinit
    continue decltype default delete do double dynamic_cast else enum explicit export extern false float
    for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq
    private protected public register reinterpret_cast requires return short signed sizeof static
    static_assert static_cast struct switch template this thread_local throw true try typedef typeid
    typename union unsigned using virtual void volatile wchar_t while xor xor_eq
""")
#: Arguments and variables of the C++ of a layer, and attributes of its node in hls4ml.
LAYER = _words("""
    W U b h c u x word words given code out reset reset_next rows lanes columns sums u_sums values index
    name sum_t accum_t word_T x_T CONFIG_T accum result n_in n_out formats integers one_hot reuse_factor
    inputs units trace
""")
#: Attributes of the Python class of a cell's formats.
FORMATS = _words("""
    description gates signals weights tables cell has_c format_names signal_fields format by_name
    signal_format signal_field is_product factor_format table weight_shapes
""")
#: Ports and registers of a gate pipeline, without endings such as _i.
PIPELINE = _words("""
    bias clk fresh last phase read_unit row rst sums stage start store store_sums store_unit unit waiting
    words write write_last write_phase write_result write_stage write_unit
""")
#: Beginnings of names in the C++: of signals, and of what gates with a product of their own have.
BEGINNINGS = ("s_", "held_", "W_", "U_", "b_", "sums_", "u_sums_", "lanes_", "group_", "layer")
PYTHON = frozenset(keyword.kwlist)

OF_VECTORS = CPP | LAYER | FORMATS | PIPELINE | PYTHON
OF_TABLES = CPP | LAYER
OF_FORMATS = FORMATS | PYTHON | {"accum", "result"}
OF_SIGNALS = PIPELINE | _words("always eventually nexttime until until_with")  # s_always is SystemVerilog
#: Of files and modules that every network has.
OF_CELLS = frozenset({"network"})
