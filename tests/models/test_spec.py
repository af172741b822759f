# SPDX-License-Identifier: Apache-2.0
"""Shapes, formats and activation tables; refusals that name what is legal."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.networks import small_spec
from zynq_lstm.models.description.spec import (
    FIRST_KERNEL,
    PRESETS,
    Layer,
    NetworkSpec,
    activation_table,
    fit_weight_formats,
    network_spec,
    sigmoid,
    symmetric,
    with_formats,
)
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.training.recipe import finer_ternary


def rounded(value: float, fmt: FixedFormat) -> int:
    """AP_RND and AP_SAT by definition, in fractions."""
    raw = math.floor(Fraction(value) * Fraction(2) ** fmt.frac + Fraction(1, 2))
    return min(max(raw, fmt.min_raw), fmt.max_raw)


@pytest.mark.parametrize("preset", PRESETS)
def test_tables_hold_the_function_rounded_once(preset: str) -> None:
    fmt = PRESETS[preset][0]
    for table, function, index, result in (
        (fmt.table("sigmoid"), lambda x: 1 / (1 + math.exp(-x)), fmt.z, fmt.gate),
        (fmt.table("tanh"), math.tanh, fmt.z, fmt.g),
        (fmt.table("tanh_c"), math.tanh, fmt.ct, fmt.tc),
    ):
        assert table.shape == (2**index.bits,)
        assert result.contains(table)
        for raw in range(index.min_raw, index.max_raw + 1):
            address = raw % 2**index.bits  # the bits as an unsigned number
            assert table[address] == rounded(function(raw * index.lsb), result), (raw, index)
        by_value = np.roll(table, -index.min_raw)
        assert np.all(np.diff(by_value) >= 0)


def test_table_literals() -> None:
    fmt = PRESETS["w8a8"][0]
    gates, tanh, tanh_c = fmt.table("sigmoid"), fmt.table("tanh"), fmt.table("tanh_c")
    assert (gates[0], gates[1], gates[511], gates[512], gates[1023]) == (128, 129, 255, 0, 127)
    assert (tanh[0], tanh[1], tanh[511], tanh[512], tanh[1023]) == (0, 2, 127, -128, -2)
    assert (tanh_c[0], tanh_c[1], tanh_c[511], tanh_c[512], tanh_c[1023]) == (0, 1, 127, -128, -1)
    q88 = PRESETS["q8.8"][0].table("sigmoid")
    assert (q88[0], q88[2047], q88[2048]) == (128, 256, 0)  # 1.0 is a value of Q8.8


def test_table_of_an_unsigned_index() -> None:
    table = activation_table(np.tanh, FixedFormat.parse("ap_ufixed<4,2>"), FixedFormat.parse("ap_fixed<8,1>"))
    assert np.array_equal(table[[0, 1, 15]], [0, 31, 127])
    assert np.all(np.diff(table) >= 0)


def test_sigmoid_does_not_overflow() -> None:
    with np.errstate(all="raise"):
        assert np.array_equal(sigmoid(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])


def test_presets() -> None:
    assert list(PRESETS) == ["w8a8", "w4a8", "w2a8", "q8.8"]
    for name, (lstm, dense) in PRESETS.items():
        spec = network_spec(name, vocabulary=90)
        assert spec.preset == name
        assert [layer.units for layer in spec.layers] == [128, 128]
        first = dataclasses.replace(lstm, W=FIRST_KERNEL.get(name, lstm.W))
        assert [layer.formats for layer in spec.layers] == [first, lstm] and spec.output == dense
        assert all(symmetric(fmt) for fmt in spec.weight_formats().values())
    assert [PRESETS[n][0].W.bits for n in PRESETS] == [8, 4, 2, 16]
    assert network_spec(vocabulary=5).preset == "w8a8"
    with pytest.raises(UserError, match=r"unknown preset 'w2a2'; legal are w8a8, w4a8, w2a8, q8\.8"):
        network_spec("w2a2", vocabulary=5)


def test_only_the_first_kernel_of_w2a8_is_wider() -> None:
    formats = network_spec("w2a8", vocabulary=90, layers=3).weight_formats()
    bits = {name: fmt.bits for name, fmt in formats.items() if not name.endswith("b")}
    assert bits.pop("layers.0.W") == 8
    assert set(bits.values()) == {2}
    with pytest.raises(UserError):
        network_spec("w2a8", vocabulary=90, layers=0)


def test_finer_ternary_halves_the_step_of_two_bits_only() -> None:
    before = network_spec("w2a8", vocabulary=90)
    after = finer_ternary(before).weight_formats()
    for name, fmt in before.weight_formats().items():
        assert after[name] == dataclasses.replace(fmt, integer=fmt.integer - (fmt.bits == 2))
    assert finer_ternary(network_spec("w4a8", vocabulary=90)) == network_spec("w4a8", vocabulary=90)


def test_shapes_and_counts() -> None:
    spec = small_spec("w8a8", 11, (3, 5))
    assert spec.weight_shapes() == {
        "layers.0.W": (11, 12),
        "layers.0.U": (3, 12),
        "layers.0.b": (12,),
        "layers.1.W": (3, 20),
        "layers.1.U": (5, 20),
        "layers.1.b": (20,),
        "output.W": (5, 11),
        "output.b": (11,),
    }
    assert list(spec.weight_formats()) == list(spec.weight_shapes())
    assert spec.macs_per_character() == 4 * 9 + 4 * 25 + 4 * 15 + 55
    assert (spec.inputs(0), spec.inputs(1), spec.input_frac(0), spec.input_frac(1)) == (11, 3, 0, 7)
    assert network_spec(vocabulary=90).macs_per_character() == 3 * 4 * 128**2 + 128 * 90


def test_accumulators_take_the_finest_binary_point() -> None:
    spec = small_spec("w8a8", 5, (3, 3))  # W, U: 6 fraction bits, b: 12, h: 7
    assert [spec.accumulator_frac(k) for k in (0, 1)] == [13, 13]
    assert spec.output_accumulator_frac() == 13
    finer = spec.with_weight_formats(
        {
            "layers.0.W": FixedFormat.parse("ap_fixed<8,-10>"),
            "layers.1.W": FixedFormat.parse("ap_fixed<8,-1>"),
            "output.b": FixedFormat.parse("ap_fixed<16,0>"),
        }
    )
    assert [finer.accumulator_frac(k) for k in (0, 1)] == [18, 16]
    assert finer.output_accumulator_frac() == 16


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("units", [(1,), (3, 5), (2, 2, 2, 512)], ids=str)
def test_round_trip_through_json(preset: str, units: tuple[int, ...]) -> None:
    spec = small_spec(preset, 256, units)
    points = itertools.cycle([1, 3, -1])
    spec = spec.with_weight_formats(
        {
            n: dataclasses.replace(f, integer=p)
            for (n, f), p in zip(spec.weight_formats().items(), points, strict=False)
        }
    )
    assert NetworkSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


DATA = small_spec("w8a8", 5, (3, 4)).to_dict()


def changed(path: tuple[Any, ...], value: Any) -> Any:
    data = copy.deepcopy(DATA)
    at = data
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return data


FORMAT_KEYS = "W, U, b, z, gate, g, c, ct, tc, h"


@pytest.mark.parametrize(
    "data, message",
    [
        ([], "spec: must be an object with keys preset, vocabulary, layers, output, got list"),
        (None, "spec: must be an object with keys .*, got NoneType"),
        (changed(("extra",), 1), "spec: unknown key 'extra'; legal are preset, vocabulary, layers, output"),
        (changed(("preset",), None), "spec: key 'preset' is missing"),
        (changed(("preset",), 3), "spec: preset must be a string, got int"),
        (changed(("layers",), {}), "spec: layers must be a list, got dict"),
        (changed(("layers",), []), "number of layers must be a whole number from 1 to 4, got 0"),
        (changed(("layers",), DATA["layers"] * 3), "number of layers must be .* from 1 to 4, got 6"),
        (
            changed(("layers", 1), "x"),
            r"spec\.layers\[1\]: must be an object with keys units, formats, got str",
        ),
        (
            changed(("layers", 0, "unit"), 3),
            r"spec\.layers\[0\]: unknown key 'unit'; legal are units, formats",
        ),
        (changed(("layers", 0, "units"), None), r"spec\.layers\[0\]: key 'units' is missing"),
        (
            changed(("layers", 0, "units"), 0),
            r"layers\[0\]\.units must be a whole number from 1 to 512, got 0",
        ),
        (changed(("layers", 1, "units"), 513), r"layers\[1\]\.units must be .* to 512, got 513"),
        (changed(("layers", 1, "units"), 3.0), r"layers\[1\]\.units must be .*, got 3\.0"),
        (changed(("layers", 1, "units"), True), r"layers\[1\]\.units must be .*, got True"),
        (changed(("layers", 1, "units"), "3"), r"layers\[1\]\.units must be .*, got '3'"),
        (changed(("vocabulary",), 1), "vocabulary must be a whole number from 2 to 256, got 1"),
        (changed(("vocabulary",), 257), "vocabulary must be a whole number from 2 to 256, got 257"),
        (
            changed(("layers", 0, "formats", "x"), "ap_fixed<8,1>"),
            rf"spec\.layers\[0\]\.formats: unknown key 'x'; legal are {FORMAT_KEYS}",
        ),
        (changed(("layers", 0, "formats", "ct"), None), r"spec\.layers\[0\]\.formats: key 'ct' is missing"),
        (changed(("layers", 0, "formats", "h"), 8), r"spec\.layers\[0\]\.formats\.h: "),
        (
            changed(("layers", 1, "formats", "c"), "fixed<8,1>"),
            r"spec\.layers\[1\]\.formats\.c: 'fixed<8,1>' is not a fixed-point format; write ap_fixed<W,I>",
        ),
        (
            changed(("layers", 1, "formats", "z"), "ap_fixed<15,4>"),
            r"format z: ap_fixed<15,4,.* would need a table of 2\*\*15 entries; at most 14 bits",
        ),
        (changed(("layers", 1, "formats", "ct"), "ap_fixed<20,4>"), r"format ct: .* at most 14 bits"),
        (changed(("output", "U"), "ap_fixed<8,1>"), "spec.output: unknown key 'U'; legal are W, b, logits"),
        (changed(("output", "logits"), None), "spec.output: key 'logits' is missing"),
        (
            changed(("layers", 0, "formats", "b"), "ap_fixed<32,32>")
            | {"output": DATA["output"] | {"W": "ap_fixed<32,0>", "b": "ap_fixed<32,32>"}},
            r"output: h\.W \+ b might need 73 bits, more than 62; use narrower formats",
        ),
        (
            changed(("layers", 1, "formats", "U"), "ap_fixed<32,1>"),
            None,  # wide but possible
        ),
        (
            changed(
                ("layers", 1, "formats"), DATA["layers"][1]["formats"] | dict.fromkeys("Uh", "ap_fixed<32,1>")
            ),
            r"layers\[1\]: x\.W \+ h\.U \+ b might need 69 bits, more than 62",
        ),
    ],
)
def test_refusals_name_the_place_and_what_is_legal(data: Any, message: str | None) -> None:
    if message is None:
        NetworkSpec.from_dict(data)
        return
    with pytest.raises(UserError, match=message) as error:
        NetworkSpec.from_dict(data)
    assert "\n" not in str(error.value)


def test_with_weight_formats() -> None:
    spec = small_spec("w8a8", 5, (3, 3))
    fmt = FixedFormat.parse("ap_fixed<6,1>")
    new = spec.with_weight_formats({"layers.1.U": fmt, "output.W": fmt})
    differing = [n for n, f in new.weight_formats().items() if f != spec.weight_formats()[n]]
    assert differing == ["layers.1.U", "output.W"]
    assert new.layers[0] == spec.layers[0]
    with pytest.raises(UserError, match=r"unknown weight array 'layers\.2\.U'; legal are layers\.0\.W, "):
        spec.with_weight_formats({"layers.2.U": fmt})


def test_fitting_takes_the_binary_point_of_least_squared_error(rng: np.random.Generator) -> None:
    spec = small_spec("w8a8", 5, (6, 6))
    scales = dict(zip(spec.weight_shapes(), (0.02, 0.1, 1, 0.4, 3, 1, 0.9, 9), strict=True))
    weights = {n: rng.normal(0, scales[n], shape) for n, shape in spec.weight_shapes().items()}
    fitted = fit_weight_formats(spec, weights)
    for name, fmt in fitted.weight_formats().items():
        if name.endswith(".b"):
            assert fmt == spec.weight_formats()[name]
            continue
        assert (fmt.bits, fmt.rounding, fmt.overflow) == (8, spec.output.W.rounding, spec.output.W.overflow)

        def error(integer: int, fmt: FixedFormat = fmt, array: np.ndarray = weights[name]) -> float:
            scaled = array * 2.0 ** (8 - integer)
            return float(np.sum((np.clip(np.rint(scaled), -127, 127) - scaled) ** 2 * 4.0 ** (integer - 8)))

        assert error(fmt.integer) == min(error(k) for k in range(-3, 5)), name
    assert len({fmt.integer for fmt in fitted.weight_formats().values()}) > 3


def test_fitting_leaves_q88_alone(rng: np.random.Generator) -> None:
    spec = small_spec("q8.8", 5, (6,))
    weights = {n: rng.normal(0, 0.01, shape) for n, shape in spec.weight_shapes().items()}
    assert fit_weight_formats(spec, weights) is spec


def test_specs_are_frozen() -> None:
    spec = network_spec(vocabulary=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.vocabulary = 6  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.layers[0].units = 6  # type: ignore[misc]
    assert hash(Layer(3, PRESETS["w8a8"][0])) == hash(Layer(3, PRESETS["w8a8"][0]))


def test_single_formats_instead_of_a_preset_s() -> None:
    wide = FixedFormat.parse("ap_fixed<12,4>")
    weights = FixedFormat.parse("ap_fixed<6,2,AP_RND_CONV,AP_SAT_SYM>")
    spec = network_spec("w8a8", vocabulary=9, units=4)
    changed = with_formats(spec, {"c": wide, "W": weights, "logits": wide})
    for layer in changed.layers:
        assert (layer.formats.c, layer.formats.W) == (wide, weights)
        assert layer.formats.U == spec.layers[0].formats.U
    assert (changed.output.W, changed.output.logits) == (weights, wide)
    assert with_formats(changed, {"c": spec.layers[0].formats.c, "W": spec.output.W}) == with_formats(
        spec, {"logits": wide}
    )
    with pytest.raises(UserError, match=r"there is no format 'x'; legal are W, U, b, z, gate, .*, logits"):
        with_formats(spec, {"x": wide})
