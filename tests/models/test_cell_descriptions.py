# SPDX-License-Identifier: Apache-2.0
"""Cells as data: each description against its oracle, and wrong ones that are refused by name and line."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.oracles import Oracle
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import parse
from zynq_lstm.models.description.spec import PRESETS, NetworkSpec, network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.partial import PartlyQuantized, format_names
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference

CELLS = ("coupled", "gru", "gru_reset_before", "lstm", "peephole", "rnn")
VOCABULARY = "abcdefg"


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
