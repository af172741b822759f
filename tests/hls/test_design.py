# SPDX-License-Identifier: Apache-2.0
"""Widths and shifts of the RTL: exactly as wide as proved; and refusal of what the RTL does not support."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design, packable
from zynq_lstm.hls.engine.estimate import arrays_within, fitting_array
from zynq_lstm.models.description.spec import PRESETS, NetworkSpec, network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.network import IntegerNetwork


def design(seed: int, preset: str = "w8a8", array: Array | None = None, **formats: str) -> Design:
    network = with_weights(small_spec(preset, 6, (3, 4), **formats), np.random.default_rng(seed))
    return Design(network, array or Array(2, 4, 1, 2))


@pytest.fixture(scope="module")
def default(seed: int) -> IntegerNetwork:
    """The default network's shape, with any weights."""
    return with_weights(network_spec(vocabulary=90), np.random.default_rng(seed))


def test_parameters_of_the_default_network(default: IntegerNetwork) -> None:
    parameters = Design(default, fitting_array(default.spec)).parameters()
    expected = {
        "LAYERS": 2,
        "GATE_LANES": 1,
        "BEATS": 256,
        "FIRST_BEATS": 128,
        "FIRST_UNITS": 128,
        "VOCABULARY": 90,
        "ROWS": 64,
        "STAGES": 2,
        "STAGE_BITS": 2,
        "PIPELINES": 1,
        "GROUP_UNITS": 26,
        "SEGMENT_UNITS": 9,
        "DSP_DEPTH": 4,
        "LUT_DEPTH": 0,
        "PACK": 2,
        "WEIGHT_BITS": 8,
        "WORDS": 512,
        "JOBS": 16,
        "STEP_BITS": 5,
        "COUNT_BITS": 5,
        "ITEM_BITS": 8,
        "H_BITS": 8,
        "LOGIT_BITS": 16,
        "LOGIT_SHIFT": 3,
        "LOGIT_HALF": 1,
        "IDENTITY": f"256'h{default.identity}",
    }
    assert {name: parameters[name] for name in expected} == expected


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("preset", PRESETS)
def test_widths_are_those_of_the_proven_ranges(preset: str, extreme: bool, seed: int) -> None:
    """Checked in Python integers: each width holds all values, and one bit less would not."""
    spec = small_spec(preset, 6, (3, 4, 2))
    points = itertools.cycle([1, 3, -1, 0, 2])
    if preset != "q8.8":
        formats = {
            n: dataclasses.replace(f, integer=next(points))
            for n, f in spec.weight_formats().items()
            if n[-1] != "b"
        }
        spec = spec.with_weight_formats(formats)
    network = with_weights(spec, np.random.default_rng(seed), extreme)
    made = Design(network, Array(2, 4, 1, 2))

    def width(values: list[tuple[int, int]]) -> int:
        return next(
            n for n in itertools.count(1) if all(-(1 << n - 1) <= a and b < 1 << n - 1 for a, b in values)
        )

    def extremes(matrix: np.ndarray, h: tuple[int, int]) -> list[tuple[int, int]]:
        columns = matrix.T.tolist()
        return [
            (sum(min(w * h[0], w * h[1]) for w in column), sum(max(w * h[0], w * h[1]) for w in column))
            for column in columns
        ]

    products = extremes(network.arrays["output.W"], network.h_range(2))
    for k in range(3):
        products += extremes(network.layer(k)["U"], network.h_range(k))
        if k:
            products += extremes(network.layer(k)["W"], network.h_range(k - 1))
    assert made.sum_bits == width(products)

    frac = max(spec.accumulator_frac(k) for k in range(3))
    assert made.sum_frac == frac
    totals = []
    for k in range(3):
        low, high = network.accumulator_range(k)
        scale = 1 << frac - spec.accumulator_frac(k)
        totals.append((low * scale, high * scale))
    assert made.z_sum_bits == width(totals)
    parameters = made.parameters()
    assert parameters["OUTPUT_TOTAL_BITS"] == width([network.output_accumulator_range()])
    biases = [
        int(b) << frac - x.formats.b.frac for k, x in enumerate(spec.layers) for b in network.layer(k)["b"]
    ]
    (gates,) = made.gates
    assert gates.widths.bias == width([(b, b) for b in biases])
    for k, layer in enumerate(spec.layers):
        shift = gates.widths.u_shift[k]
        assert layer.formats.U.frac + layer.formats.h.frac + shift == frac
        shift = gates.widths.x_shift[k]
        assert layer.formats.W.frac + spec.input_frac(k) + shift == frac


@pytest.mark.parametrize(
    "preset, dsp, expected",
    [
        ("w8a8", 208, Array(26, 4, 2, 9)),
        ("q8.8", 208, Array(13, 4, 1, 7)),
        ("w8a8", 8, Array(1, 4, 2, 1)),
        ("w8a8", 23, Array(11, 1, 2, 6)),  # chains of 4 would leave a third of the DSPs over
        ("w8a8", 2, Array(1, 1, 2, 1)),
        ("w8a8", 1, Array(1, 1, 2, 1, sums=2)),
        ("w8a8", 3, Array(1, 3, 2, 1, sums=2)),
        ("w8a8", 2000, Array(43, 4, 2, 9)),
        ("q8.8", 16, Array(1, 4, 1, 1)),
        ("q8.8", 1, Array(1, 1, 1, 1, sums=1)),
        ("q8.8", 2, Array(1, 1, 1, 1, sums=2)),
    ],
)
def test_fastest_array(preset: str, dsp: int, expected: Array, seed: int) -> None:
    network = with_weights(small_spec(preset, 6, (20, 128)), np.random.default_rng(seed))
    array = arrays_within(network.spec, dsp)[0]
    assert array == expected
    assert array.dsp <= dsp
    Design(network, array)


def test_default_array_of_narrow_weights(seed: int) -> None:
    network = with_weights(small_spec("w4a8", 6, (20, 128)), np.random.default_rng(seed))
    array = fitting_array(network.spec)
    assert (array.dsp, array.lanes, array.gate_lanes) == (208, 832, 2)
    for dsp, units in itertools.product((8, 16, 40, 208), (1, 2, 3, 19, 20)):
        network = with_weights(small_spec("w4a8", 6, (units,)), np.random.default_rng(seed))
        array = arrays_within(network.spec, dsp)[0]
        assert array.dsp <= dsp
        Design(network, array).parameters()


def test_packable() -> None:
    def spec(**formats: str) -> NetworkSpec:
        return small_spec("w8a8", 6, (3, 4), **formats)

    assert packable(spec())
    assert not packable(spec(U="ap_fixed<8,2>"))  # holds -128, which the packing cannot
    assert not packable(spec(U="ap_fixed<9,2,AP_RND,AP_SAT_SYM>"))
    assert not packable(spec(h="ap_fixed<9,1>"))
    wide = spec().with_weight_formats({"layers.0.W": FixedFormat.parse("ap_fixed<12,2>")})
    assert packable(wide)  # layer 0's W is a look-up table, not a factor


@pytest.mark.parametrize(
    "formats, message",
    [
        (
            {"U": "ap_fixed<8,2>"},
            r"two products per DSP need symmetric weights \(AP_SAT_SYM\) and h of at most 8 bits",
        ),
        ({"h": "ap_fixed<9,1>"}, r"two products per DSP .*; use pack=1"),
    ],
)
def test_packing_is_refused_where_it_is_wrong(formats: dict[str, str], message: str, seed: int) -> None:
    with pytest.raises(UserError, match=message):
        design(seed, array=Array(2, 4, 2, 2), **formats)
    assert design(seed, **formats)


@pytest.mark.parametrize(
    "formats, message",
    [
        ({"z": "ap_ufixed<10,4>"}, "format z: the RTL has signed formats .*; got ap_ufixed<10,4,"),
        (
            {"c": "ap_fixed<16,5,AP_RND_CONV,AP_SAT>"},
            r"layers\[0\]: format c: signals must round by AP_RND or AP_TRN",
        ),
        ({"ct": "ap_fixed<10,3,AP_RND,AP_SAT_SYM>"}, "format ct: the RTL has .*AP_SAT_SYM"),
        ({"h": "ap_fixed<8,1,AP_RND,AP_WRAP>"}, "format h: signals must .* saturate, got .*AP_WRAP"),
        ({"logits": "ap_ufixed<8,1>"}, "format logits: the RTL has signed"),
        ({"c": "ap_fixed<17,5>"}, "format c: at most 16 bits, signed, in the RTL, got ap_fixed<17,5"),
        ({"gate": "ap_ufixed<16,0>"}, "format gate: at most 16 bits, signed"),
        ({"logits": "ap_fixed<18,6>"}, "format logits: at most 16 bits, signed"),
        (
            {"U": "ap_ufixed<8,1>"},
            r"format of layers\.0\.U: weights are signed in the RTL, got ap_ufixed<8,1",
        ),
        (
            {"U": "ap_fixed<17,6>"},
            r"format of layers\.0\.U: the RTL multiplies weights of at most 16 bits, got ap_fixed<17,6",
        ),
    ],
)
def test_formats_that_the_rtl_lacks_are_refused(formats: dict[str, str], message: str, seed: int) -> None:
    with pytest.raises(UserError, match=message):
        design(seed, **formats)


@pytest.mark.parametrize("signal", ["z", "gate", "g", "c", "ct", "tc", "h"])
def test_layers_share_their_formats(signal: str, seed: int) -> None:
    spec = small_spec("w8a8", 6, (3, 4))
    fmt: Any = getattr(spec.layers[1].formats, signal)
    other = dataclasses.replace(fmt, integer=fmt.integer + 1)
    formats = dataclasses.replace(spec.layers[1].formats, **{signal: other})
    layers = (spec.layers[0], dataclasses.replace(spec.layers[1], formats=formats))
    network = with_weights(NetworkSpec("mine", 6, layers, spec.output), np.random.default_rng(seed))
    with pytest.raises(
        UserError,
        match=rf"layers\[1\] has {signal} in .*: all layers (share one array|of a cell share its gate)",
    ):
        Design(network, Array(2, 4, 1, 2))


def test_layers_share_their_functions(seed: int) -> None:
    """One gate pipeline has one table of tanh; earlier, the first layer's was used for all."""
    spec = small_spec("w8a8", 6, (3, 4))
    formats = dataclasses.replace(spec.layers[1].formats, tanh="hard_tanh")
    layers = (spec.layers[0], dataclasses.replace(spec.layers[1], formats=formats))
    network = with_weights(NetworkSpec("mine", 6, layers, spec.output), np.random.default_rng(seed))
    with pytest.raises(
        UserError, match=r"layers\[1\] has tanh in hard_tanh, layers\[0\] in tanh: all layers of a cell"
    ):
        Design(network, Array(2, 4, 1, 2))


def test_a_product_as_wide_as_a_proved_sum_does_not_share_its_bound(seed: int) -> None:
    """In ``z_n = x_n + r p``, only x_n is part of x.W + h.U + b; the sum with the product is a bit wider."""
    spec = small_spec("w8a8", 6, (3,), "gru")
    plain = Design(with_weights(spec, np.random.default_rng(seed)), Array(2, 4, 1, 2))
    gate, bits = spec.layers[0].formats.gate, plain.z_sum_bits
    width = bits - gate.bits - 1  # r p gets as wide as the proved sum, with as many fraction bits
    p = FixedFormat(width, width - (plain.sum_frac - gate.frac))
    layer = dataclasses.replace(spec.layers[0], formats=dataclasses.replace(spec.layers[0].formats, p=p))
    network = with_weights(dataclasses.replace(spec, layers=(layer,)), np.random.default_rng(seed))
    made = Design(network, Array(2, 4, 1, 2))
    assert (made.z_sum_bits, made.sum_frac) == (bits, plain.sum_frac)
    (pipeline,) = made.gates
    assert pipeline.products[0] == (gate.bits + 1, width)
    assert f"logic signed [{bits}:0] z_n_sum_1_q;" in pipeline.text


def test_sums_in_luts_must_be_in_time(seed: int) -> None:
    with pytest.raises(UserError, match="lut_depth must be at most 2 with 8-bit weights, got 4"):
        design(seed, array=Array(2, 2, 2, 2, lut_depth=4))
    with pytest.raises(UserError, match="lut_depth must be at most 4 with 4-bit weights, got 5"):
        design(seed, "w4a8", array=Array(2, 2, 2, 2, lut_depth=5))
    with pytest.raises(UserError, match=r"5 inputs per cycle with 8-bit weights overflow .* at most 4 fit"):
        design(seed, array=Array(2, 4, 2, 2, lut_depth=1))
    assert design(seed, array=Array(2, 3, 2, 2, lut_depth=1))
    assert design(seed, "w4a8", array=Array(2, 2, 2, 2, lut_depth=4))
