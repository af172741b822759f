# SPDX-License-Identifier: Apache-2.0
"""A small HLS design without a fault, and faults to plant in it."""

from __future__ import annotations

from typing import NamedTuple

#: A design without a fault; a planted fault replaces a text of it. Line N is the Nth of the file.
SOUND = """\
struct config { static const unsigned size = 32; static const unsigned lanes = 4; };
const short table[256] = {1, 2, 3};

template <class T> T twice(T value) {
#pragma HLS INLINE
    return 2 * value;
}

template <class CONFIG_T> void layer(const short x[CONFIG_T::size], short y[CONFIG_T::size]) {
    const unsigned lanes = CONFIG_T::lanes;
    static short state[CONFIG_T::size];
    short sums[CONFIG_T::size];
    short partial[CONFIG_T::lanes];
#pragma HLS ARRAY_PARTITION variable=sums type=cyclic factor=lanes
#pragma HLS ARRAY_RESHAPE variable=x type=cyclic factor=lanes
#pragma HLS ARRAY_PARTITION variable=partial type=complete
#pragma HLS BIND_STORAGE variable=table type=rom_2p impl=bram
Sums:
    for (unsigned group = 0; group < CONFIG_T::size; group += lanes) {
#pragma HLS PIPELINE II=1
        for (unsigned lane = 0; lane < lanes; lane++) {
#pragma HLS UNROLL
            sums[group + lane] = twice(x[group + lane]);
            partial[lane] = partial[lane] + x[group + lane];
        }
    }
Units:
    for (unsigned u = 0; u < CONFIG_T::size; u++) {
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=state type=inter dependent=false
        const short now = table[sums[u] & 255] + table[state[u] & 255];
        state[u] = now;
        y[u] = now;
    }
}

#ifndef __SYNTHESIS__
#include <vector>
inline double mean(const std::vector<double> &values) { return values.at(0); }
#endif

void top(const short x[32], short y[32]) {
#pragma HLS INTERFACE port=x,y mode=ap_memory
    layer<config>(x, y);
}
"""


class Fault(NamedTuple):
    """A text of the sound design and its replacement; ``line`` is in the line that must be named."""

    kind: str
    right: str
    wrong: str
    line: str


FAULTS = {
    "three reads of a table": Fault(
        "ports",
        "        const short now = ",
        "        const short now = table[u] + ",
        "(unsigned u",
    ),
    "two reads of a memory with a port": Fault(
        "ports",
        "rom_2p",
        "rom_1p",
        "(unsigned u",
    ),
    "lanes in a single bank": Fault(
        "ports",
        "variable=sums type=cyclic factor=lanes",
        "variable=sums type=cyclic factor=1",
        "(unsigned group",
    ),
    "words not as wide as the lanes": Fault(
        "ports",
        "variable=x type=cyclic",
        "variable=x type=block",
        "(unsigned group",
    ),
    "a written memory for reading": Fault(
        "ports",
        "variable=table type=rom_2p",
        "variable=state type=rom_2p",
        "(unsigned u",
    ),
    "three lanes": Fault(
        "bank",
        "factor=lanes\n#pragma HLS ARRAY_RESHAPE",
        "factor=6\n#pragma HLS ARRAY_RESHAPE",
        "(unsigned group",
    ),
    "a bank by a remainder": Fault(
        "bank",
        "size = 32; static const unsigned lanes = 4",
        "size = 33; static const unsigned lanes = 3",
        "(unsigned u",
    ),
    "no pragma of a dependence": Fault(
        "dependence",
        "#pragma HLS DEPENDENCE variable=state type=inter dependent=false\n",
        "",
        "(unsigned u",
    ),
    "a wrong pragma of a dependence": Fault(
        "dependence",
        "state[u] = now",
        "state[(u + 1) % CONFIG_T::size] = now",
        "DEPENDENCE",
    ),
    "a pragma for another array": Fault(
        "dependence",
        "variable=state type=inter",
        "variable=sums type=inter",
        "(unsigned u",
    ),
    "an index of a dependence by data": Fault(
        "dependence",
        "state[u] = now",
        "state[now & 31] = now",
        "DEPENDENCE",
    ),
    "a bound by data": Fault(
        "bound",
        "u < CONFIG_T::size; u++",
        "u < unsigned(x[0]); u++",
        "(unsigned u",
    ),
    "a loop that breaks off": Fault(
        "bound",
        "        y[u] = now;",
        "        if (now == 0)\n            break;\n        y[u] = now;",
        "(unsigned u",
    ),
    "a while loop": Fault(
        "bound",
        "    layer<config>(x, y);",
        "    while (y[0] < 3)\n        layer<config>(x, y);",
        "while",
    ),
    "a triangle": Fault(
        "bound",
        "        y[u] = now;\n    }",
        (
            "    }\n"
            "    for (unsigned i = 0; i < 8; i++)\n"
            "        for (unsigned j = 0; j < i; j++)\n"
            "            y[j] = 0;"
        ),
        "j < i",
    ),
    "a pragma for no variable": Fault(
        "scope",
        "variable=partial",
        "variable=partials",
        "variable=partials",
    ),
    "a pragma before its variable": Fault(
        "scope",
        "    static short state[CONFIG_T::size];",
        ("#pragma HLS BIND_STORAGE variable=sums type=ram_2p\n    static short state[CONFIG_T::size];"),
        "variable=sums type=ram_2p",
    ),
    "a factor that is no variable": Fault(
        "scope",
        "variable=x type=cyclic factor=lanes",
        "variable=x type=cyclic factor=words",
        "factor=words",
    ),
    "a port that is no argument": Fault(
        "scope",
        "port=x,y",
        "port=x,z",
        "port=x,z",
    ),
    "a pragma outside of functions": Fault(
        "scope",
        "#ifndef",
        "#pragma HLS BIND_STORAGE variable=table type=rom_np\n#ifndef",
        "type=rom_np",
    ),
    "new": Fault(
        "unsynthesisable",
        "    short partial[CONFIG_T::lanes];",
        "    short *partial = new short[4];",
        "new short",
    ),
    "floating point": Fault(
        "unsynthesisable",
        "return 2 * value;",
        "return 2.5 * value;",
        "2.5",
    ),
    "a vector": Fault(
        "unsynthesisable",
        "#ifndef __SYNTHESIS__",
        "#ifndef SYNTHESIS",
        "inline double",
    ),
    "recursion": Fault(
        "unsynthesisable",
        "return 2 * value;",
        "return value > 9 ? value : twice(T(2 * value));",
        "twice(T",
    ),
    "a pointer to a function": Fault(
        "unsynthesisable",
        "    layer<config>(x, y);",
        "    void (*apply)(const short *, short *) = layer<config>;\n    apply(x, y);",
        "(*apply)",
    ),
    "an exception": Fault(
        "unsynthesisable",
        "        y[u] = now;",
        "        if (now < 0)\n            throw 1;\n        y[u] = now;",
        "throw",
    ),
    "the library's output": Fault(
        "unsynthesisable",
        "void top(const short x[32], short y[32]) {",
        '#include <cstdio>\nvoid top(const short x[32], short y[32]) {\n    std::printf("top");',
        "printf",
    ),
}
