# SPDX-License-Identifier: Apache-2.0
"""Cells as data: each description against its oracle, and wrong ones that are refused by name and line."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.oracles import Oracle
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.parser import parse
from zynq_lstm.models.description.spec import PRESETS, NetworkSpec, network_spec, with_formats
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.partial import PartlyQuantized, format_names
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.limits import reasons
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference

CELLS = ("coupled", "gru", "gru_reset_before", "lstm", "peephole", "rnn")
VOCABULARY = "abcdefg"
LSTM, LEVELS = (
    (catalogue.FOLDER / f"{name}.cell").read_text(encoding="utf-8") for name in ("lstm", "gru_reset_before")
)


def random_network(cell: str, preset: str, rng: np.random.Generator, extreme: bool = False) -> IntegerNetwork:
    """Two layers of a cell; ``extreme`` weights fill their formats."""
    spec = network_spec(preset, vocabulary=len(VOCABULARY), units=4, layers=2, cell=cell)
    weights = {}
    for name, fmt in spec.weight_formats().items():
        share = 1 if extreme else 3
        weights[name] = rng.integers(
            fmt.min_raw // share, fmt.max_raw // share + 1, spec.weight_shapes()[name]
        )
    return IntegerNetwork.from_weights(spec, VOCABULARY, weights)


def test_the_catalogue_is_what_the_documentation_names() -> None:
    assert catalogue.names() == CELLS


@pytest.mark.parametrize("extreme", [False, True], ids=["", "extreme"])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("cell", CELLS)
def test_reference_is_the_oracle(cell: str, preset: str, extreme: bool, rng: np.random.Generator) -> None:
    network = random_network(cell, preset, rng, extreme)
    codes = rng.integers(0, len(VOCABULARY), 12)
    trace: dict[str, Any] = {}
    Reference(network).run(codes, trace)
    oracles = [Oracle(cell, layer.formats, network.layer(k)) for k, layer in enumerate(network.spec.layers)]
    for t, code in enumerate(codes):
        x = [Fraction(int(k == code)) for k in range(len(VOCABULARY))]
        for k, oracle in enumerate(oracles):
            found = oracle.run(x)
            x = found["h"]
            fmt = network.spec.layers[k].formats
            columns = {"z": [v for gate in fmt.gates for v in found[f"z_{gate}"]]} | found
            for name in fmt.signals:
                frac = fmt.signal_format(name).frac
                wanted = [int(value * Fraction(2) ** frac) for value in columns[name]]
                assert trace[f"layers.{k}.{name}"][t].tolist() == wanted, (name, t, k)


def test_the_order_of_terms_does_not_matter(rng: np.random.Generator) -> None:
    """A sum may begin with a vector, whose numbers are those of all streams."""
    peephole = (catalogue.FOLDER / "peephole.cell").read_text(encoding="utf-8")
    traces: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    codes = rng.integers(0, len(VOCABULARY), (3, 12))
    for terms in ("x_i + u_i + pi", "pi + x_i + u_i"):
        cell = parse(peephole.replace("x_i + u_i + pi c'", terms)).text
        network = random_network(cell, "w8a8", rng)
        arrays = arrays or {name: network.arrays[name] for name in network.spec.weight_formats()}
        network = IntegerNetwork.from_weights(network.spec, VOCABULARY, arrays)
        traces.append({})
        Reference(network, 3).run(codes, traces[-1])
    assert traces[0].keys() == traces[1].keys()
    for name, wanted in traces[0].items():
        assert np.array_equal(traces[1][name], wanted), name


@pytest.mark.parametrize("cell", CELLS)
def test_partly_rounded_arithmetic_with_all_rounded_is_the_reference(
    cell: str, rng: np.random.Generator
) -> None:
    network = random_network(cell, "w8a8", rng)
    spec: NetworkSpec = network.spec
    weights = {n: fmt.to_real(network.arrays[n]) for n, fmt in spec.weight_formats().items()}
    codes = rng.integers(0, len(VOCABULARY), (3, 20))
    wanted: dict[str, Any] = {}
    Reference(network, 3).run(codes, wanted)
    found: dict[str, Any] = {}
    PartlyQuantized(spec, weights, format_names(spec)).run(codes, found)
    for name, raw in wanted.items():
        k = name.split(".")
        fmt = spec.output.logits if name == "logits" else spec.layers[int(k[1])].formats.signal_format(k[2])
        assert np.array_equal(found[name] * 2.0**fmt.frac, raw), name


BAD = {
    "unknown signal": ("h   = h: o tc", "h = h: o qq", r"signal .h.: .qq. is unknown; above are z_i, "),
    "cycle": ("i   = sigmoid[z_i]", "i = gate: c", r"x:15: signal 'i': 'c' is computed below: a cycle"),
    "itself": ("ct  = ct: c", "ct = ct: ct", r"x:20: signal 'ct' reads itself; ct' is its value"),
    "three factors": ("f c' + i g", "f c' i + g", r"x:19: .* has 3 factors; at most 2 are possible"),
    "no table": (
        "o   = sigmoid[z_o]",
        "o = logistic[z_o]",
        r"x:18: there is no table 'logistic'; tables are",
    ),
    "index of another format": (
        "tanh_c[ct]",
        "tanh_c[c]",
        r"x:21: c has the format c, the table tanh_c is over ct",
    ),
    "unknown format": ("ct  = ct: c", "ct = q: c", r"x:20: there is no format 'q'; legal are W, U"),
    "format of a weight": ("ct  = ct: c", "ct = W: c", r"x:20: W is the format of a weight"),
    "no format": ("ct  = ct: c", "ct = c", r"x:20: signal 'ct' needs a format: ct = FORMAT: c"),
    "not kept": ("f c' + i g", "f g' + i g", r"x:19: signal 'c': g' is not kept; h and c are"),
    "unread": ("x_g + u_g", "x_g + u_i", r"u_g of gate g is read by no equation"),
    "unread signal": ("h   = h: o tc", "h   = h: tc", r"x:18: signal 'o' is read by no other"),
    "no h": ("h   = h: o tc", "k   = h: o tc", r"there is no equation of h"),
    "h of another format": ("h   = h: o tc", "h = c: o tc", r"h must have the format h, got c"),
    "twice": ("ct  = ct: c", "c = ct: c", r"x:20: signal 'c' has an equation already"),
    "unknown word": ("opens f", "closes f", r"x:6: 'closes' begins no line; legal are cell, title"),
    "gate": ("opens f", "opens k", r"x:6: 'k' is no gate; gates are i, f, g, o"),
    "not a table line": (
        "table tanh:    z -> g",
        "table tanh z g",
        r"x:8: 'tanh z g' is not of the form 'table",
    ),
    "preset format": ("opens f", "vector pi: q", r"x:6: a preset has no format 'q'; it has W, U, b"),
    "garbage": ("f c' + i g", "f c' + * g", r"x:19: signal 'c': '\* g' is no term|is no term"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_description_is_refused_by_name_and_line(case: str) -> None:
    old, new, message = BAD[case]
    text = (catalogue.FOLDER / "lstm.cell").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(UserError, match=message):
        parse(text.replace(old, new, 1), "x")


#: Of the GRU whose reset gate comes before the product: text, replacement and message.
BAD_LEVELS = {
    "unknown signal of a product": (
        "recurrent n: s",
        "recurrent n: q",
        r"x:9: recurrent n: signal 'q' is unknown; signals are z_u, z_r, u, r, s, ",
    ),
    "no gate of a product": ("recurrent n: s", "recurrent k: s", r"x:9: 'k' is no gate; gates are u, r, n"),
    "two products": (
        "recurrent n: s",
        "recurrent n: s\nrecurrent n: s",
        r"x:10: a second line 'recurrent n'",
    ),
    "a product with a signal of another format": (
        "s   = h: r h'",
        "s = c: r h'",
        r"x:17: signal 's', which U is multiplied by, must have the format h, got c",
    ),
    "a product with a look-up": (
        "recurrent n: s",
        "recurrent n: r",
        r"x:16: signal 'r', which U is multiplied by, must have the format h, got gate",
    ),
    "a product before its signal": (
        "s   = h: r h'",
        "q = z: u_n\ns = h: r q",
        r"x:17: signal 'q' reads u_n, the product with s, which is computed below: a cycle",
    ),
    "a product times a signal": (
        "x_n + u_n",
        "x_n + r u_n",
        r"x:18: signal 'z_n': u_n is a sum that is not rounded yet, so it can't be multiplied; give it a "
        r"signal, as p = z: u_n",
    ),
    "table without function": (
        "table tanh:    z -> n",
        "table tan: z -> n",
        r"x:11: the table tan has no function: 'tan' is unknown; legal are sigmoid, .*, hard_tanh; write "
        r"table tan: z -> n, FUNCTION",
    ),
    "nothing added": (
        "c   = c: u c' + n - u n",
        "c = c: - u c' - n",
        r"x:20: signal 'c': every term is subtracted; at least one must be added",
    ),
    "a name of a sum": (
        "z_u = z: x_u + u_u",
        "x_u = z: x_u + u_u",
        r"x:13: 'x_u' is a gate's sum of products; a signal needs a name of its own",
    ),
    "z": ("z_u = z: x_u + u_u", "z = z: x_u + u_u", r"x:13: 'z' is the name of all sums z_GATE side by side"),
    "unused gate": ("gates u r n", "gates u r n k", r"x:5: x_k of gate k is read by no equation"),
    "unused vector": ("opens u", "opens u\nvector v: b", r"x:7: 'v' is used by no equation"),
    "unused format": ("opens u", "opens u\nformat v: b", r"x:7: 'v' is used by no equation"),
    "unused table": (
        "opens u",
        "opens u\ntable hard_tanh: z -> g",
        r"x:7: 'hard_tanh' is used by no equation",
    ),
    "a word of Python": (
        "opens u",
        "opens u\nformat in: c",
        r"x:7: the word 'in' has a meaning in generated",
    ),
    "a word of C++": ("opens u", "opens u\nvector int: b", r"x:7: the word 'int' has a meaning in generated"),
    "a name in the C++": (
        "opens u",
        "opens u\ntable sums: z -> g, tanh",
        r"x:7: the word 'sums' has a meaning",
    ),
    "a name of a file": ("cell gru_reset_before", "cell network", r"x:1: the word 'network' has a meaning"),
    "a level": ("cell gru_reset_before", "cell gru_1", r"x:1: the name 'gru_1' ends like that of a level"),
    "a name in the RTL": ("s   = h: r h'", "row = h: r h'", r"x:17: the word 'row' has a meaning"),
    "a beginning": ("opens u", "opens u\nvector s_n: b", r"x:7: 's_n' begins like names in generated code"),
    "a function": ("opens u", "opens u\nformat tanh: c", r"x:7: 'tanh' is a function; choose another name"),
    "two vectors": ("opens u", "opens u\nvector v: b\nvector v: b", r"x:8: 'v' is there already"),
    "no title": ("title ", "#", r"x:1: there is no line 'title'"),
}


@pytest.mark.parametrize("case", BAD_LEVELS)
def test_a_bad_description_with_levels_is_refused_by_name_and_line(case: str) -> None:
    old, new, message = BAD_LEVELS[case]
    text = (catalogue.FOLDER / "gru_reset_before.cell").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(UserError, match=message):
        parse(text.replace(old, new, 1), "x")


def test_a_sum_that_no_engine_can_hold_is_refused_with_its_equation() -> None:
    """Any format holds a sum: it is rounded and saturates. The exact sum before that has a limit."""
    spec = network_spec(vocabulary=5, units=4, cell="gru")
    narrow = {"c": FixedFormat(2, 1), "p": FixedFormat(2, 9)}
    assert with_formats(spec, narrow).layers[0].formats.c == narrow["c"]
    wide = {"c": FixedFormat(32, 20), "gate": FixedFormat(32, 4, False)}
    message = r"layers\[0\]: c = c: u c' \+ n - u n might need \d\d bits, more than 62"
    with pytest.raises(UserError, match=message):
        with_formats(spec, wide)


RTL = {
    "five gates": (
        LSTM.replace("gates i f g o", "gates i f g o k").replace("i g", "i g + k").replace(
            "z_o =", "z_k = z: x_k + u_k\nk = g: z_k\nz_o ="
        ),
        "the cell lstm has 5 gates; the RTL makes 4 sums of a unit",
    ),
    "an unsigned sum": (
        LSTM.replace("ct  = ct: c", "q = gate: f c'\nct = ct: c + q"),
        "format gate: the RTL has signed formats with AP_RND or AP_TRN, and AP_SAT; got ap_ufixed<8,0,",
    ),
    "an early sum that is read late": (
        LEVELS.replace("z_n = z: x_n + u_n", "z_n = z: x_n + u_n + x_r"),
        "the cell gru_reset_before: z_n reads x_r together with a later product; give x_r a signal of its",
    ),
    "two products at once": (
        LEVELS.replace("recurrent n: s", "recurrent n: s\nrecurrent r: t").replace(
            "z_r = ", "t = h: u h'\nz_r = "
        ).replace("z_u = z: x_u + u_u\nt = h: u h'\nz_r = z: x_r + u_r\nu   = sigmoid[z_u]",
                  "z_u = z: x_u + u_u\nu   = sigmoid[z_u]\nt = h: u h'\nz_r = z: x_r + u_r").replace(
            "s   = h: r h'", "s = h: u h' + h'").replace("z_n = z: x_n + u_n", "z_n = z: x_n + u_n + r h'"),
        "the cell gru_reset_before: the RTL can't make products with t, s at the same time",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RTL)
def test_what_only_the_rtl_refuses(case: str) -> None:
    text, message = RTL[case]
    spec = network_spec(vocabulary=5, units=4, cell=parse(text).text)
    assert [why for why in reasons("rtl", spec) if why.startswith(message)]
    assert not reasons("hls", spec)
