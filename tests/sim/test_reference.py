# SPDX-License-Identifier: Apache-2.0
"""The NumPy reference against docs/numerics.md, computed one Python integer at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zynq_lstm.models.integers.reference
from tests.networks import LETTERS, Scalar, small_spec, with_weights
from zynq_lstm.models.description.spec import PRESETS
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.bounds import exact_float
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference, State

SHAPES = [(7,), (5, 4), (3, 6, 5), (4, 3, 5, 2)]


def assert_is_scalar(network: IntegerNetwork, codes: np.ndarray) -> None:
    expected, actual = Scalar(network).run(codes), {}
    logits = Reference(network).run(codes, actual)
    assert list(actual) == list(expected)
    for name, values in expected.items():
        assert actual[name].dtype == np.int64
        assert np.array_equal(actual[name], values), name
    assert np.array_equal(logits, expected["logits"])


@pytest.mark.parametrize("extreme", [False, True], ids=["random", "extreme"])
@pytest.mark.parametrize("units", SHAPES, ids=str)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_signal_is_the_contracts(
    preset: str, units: tuple[int, ...], extreme: bool, rng: np.random.Generator
) -> None:
    network = with_weights(small_spec(preset, 11, units), rng, extreme)
    assert_is_scalar(network, rng.integers(0, 11, 60))


# Beyond the presets: other rounding, symmetric bounds, binary points in every order, exact 1.0, wide c.
VARIANTS = {
    "floor": {
        "z": "ap_fixed<9,4,AP_TRN>",
        "c": "ap_fixed<14,5,AP_TRN>",
        "ct": "ap_fixed<9,3,AP_TRN>",
        "h": "ap_fixed<8,1,AP_TRN>",
        "logits": "ap_fixed<12,6,AP_TRN>",
    },
    "symmetric": {
        "z": "ap_fixed<6,3,AP_RND,AP_SAT_SYM>",
        "c": "ap_fixed<10,3,AP_RND,AP_SAT_SYM>",
        "ct": "ap_fixed<7,2,AP_RND,AP_SAT_SYM>",
        "h": "ap_fixed<6,1,AP_RND,AP_SAT_SYM>",
        "logits": "ap_fixed<8,3,AP_RND,AP_SAT_SYM>",
    },
    "fine z and ct": {
        "z": "ap_fixed<14,1>",
        "c": "ap_fixed<10,3>",
        "ct": "ap_fixed<14,2>",
        "h": "ap_fixed<14,1>",
    },
    "coarse c": {"c": "ap_fixed<8,5>", "gate": "ap_ufixed<12,0>", "g": "ap_fixed<14,1>"},
    "fine c": {"c": "ap_fixed<24,5>", "gate": "ap_ufixed<9,1>", "tc": "ap_fixed<4,1>"},
    "coarse b": {
        "b": "ap_fixed<4,6>",
        "W": "ap_fixed<5,6>",
        "U": "ap_fixed<12,1>",
        "logits": "ap_fixed<24,6>",
    },
    "fine b": {"b": "ap_fixed<30,3>", "z": "ap_fixed<4,6>"},
    "one bit": {"gate": "ap_ufixed<1,0>", "z": "ap_fixed<1,1>", "ct": "ap_fixed<2,2>", "tc": "ap_fixed<2,1>"},
}


@pytest.mark.parametrize("extreme", [False, True], ids=["random", "extreme"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_formats(variant: str, extreme: bool, rng: np.random.Generator) -> None:
    network = with_weights(small_spec("w8a8", 5, (4, 3), **VARIANTS[variant]), rng, extreme)
    assert_is_scalar(network, rng.integers(0, 5, 60))


WIDTHS = st.tuples(st.integers(2, 12), st.integers(-2, 6))


@st.composite
def signal_formats(draw: st.DrawFn) -> dict[str, str]:
    formats = {}
    for name in ("z", "c", "ct", "h", "logits"):
        bits, integer = draw(WIDTHS)
        rounding, over = (
            draw(st.sampled_from(["AP_RND", "AP_TRN"])),
            draw(st.sampled_from(["AP_SAT", "AP_SAT_SYM"])),
        )
        formats[name] = f"ap_fixed<{bits},{integer},{rounding},{over}>"
    for name in ("gate", "g", "tc", "W", "U", "b"):
        bits, integer = draw(WIDTHS)
        formats[name] = f"ap_fixed<{bits},{integer}>"
    return formats


@settings(max_examples=60)
@given(signal_formats(), st.integers(0, 2**32 - 1), st.booleans())
def test_any_formats(formats: dict[str, str], seed: int, extreme: bool) -> None:
    rng = np.random.default_rng(seed)
    network = with_weights(small_spec("w8a8", 3, (3, 2), **formats), rng, extreme)
    assert_is_scalar(network, rng.integers(0, 3, 12))


@pytest.mark.parametrize("preset, dtype", [("w8a8", np.float32), ("w2a8", np.float32), ("q8.8", np.float64)])
def test_float_type_is_the_narrowest_that_is_exact(
    preset: str, dtype: type, rng: np.random.Generator
) -> None:
    reference = Reference(with_weights(small_spec(preset, 11, (8, 8)), rng, extreme=True))
    assert [layer.dtype for layer in reference._layers] == [dtype, dtype]


def test_bound_beyond_float32_goes_to_float64(rng: np.random.Generator) -> None:
    """Only the bound of the weights decides between float32 and float64; both give the contract's values."""
    spec = small_spec("w8a8", 5, (4,), U="ap_fixed<14,1>", b="ap_fixed<16,1>", c="ap_fixed<12,5>")
    network = with_weights(spec, rng, extreme=True)
    assert max(map(abs, network.accumulator_range(0))) < 2**24
    assert Reference(network)._layers[0].dtype is np.float32
    assert_is_scalar(network, rng.integers(0, 5, 40))

    spec = small_spec("w8a8", 5, (12,), U="ap_fixed<15,1>", b="ap_fixed<16,1>", c="ap_fixed<12,5>")
    network = with_weights(spec, rng, extreme=True)
    assert max(map(abs, network.accumulator_range(0))) > 2**24
    assert Reference(network)._layers[0].dtype is np.float64
    assert_is_scalar(network, rng.integers(0, 5, 40))


def test_output_layer_chooses_its_own_float(rng: np.random.Generator) -> None:
    spec = small_spec("w8a8", 5, (6,))
    wide = {"output.W": FixedFormat.parse("ap_fixed<24,3,AP_RND,AP_SAT_SYM>")}
    network = with_weights(spec.with_weight_formats(wide), rng, extreme=True)
    reference = Reference(network)
    assert (reference._layers[0].dtype, reference._output.dtype) == (np.float32, np.float64)
    assert_is_scalar(network, rng.integers(0, 5, 40))


def test_exact_float_at_its_bounds() -> None:
    assert exact_float(2**24) is np.float32
    assert exact_float(2**24 + 1) is np.float64
    assert exact_float(2**53) is np.float64
    with pytest.raises(UserError, match=rf"reaches {2**53 + 1}, beyond 2\*\*53"):
        exact_float(2**53 + 1)


def test_binary_points_of_their_own(rng: np.random.Generator) -> None:
    """Each weight array has its own binary point, as after fitting."""
    spec = small_spec("w8a8", 11, (5, 4, 3))
    points = itertools.cycle([2, -1, 4, 0, 1, 3, -2])
    formats = {
        name: FixedFormat(fmt.bits, point, fmt.signed, fmt.rounding, fmt.overflow)
        for (name, fmt), point in zip(spec.weight_formats().items(), points, strict=False)
    }
    network = with_weights(spec.with_weight_formats(formats), rng)
    assert_is_scalar(network, rng.integers(0, 11, 60))


@pytest.fixture(scope="module")
def network(seed: int) -> IntegerNetwork:
    return with_weights(small_spec("w8a8", 11, (6, 5)), np.random.default_rng(seed))


@pytest.mark.parametrize("streams", [5, 70])  # the latter is shared between threads
def test_streams_are_as_single_ones(network: IntegerNetwork, rng: np.random.Generator, streams: int) -> None:
    codes = rng.integers(0, 11, (streams, 40))
    together: dict[str, np.ndarray] = {}
    many = Reference(network, streams)
    logits = many.run(codes, together)
    assert logits.shape == (streams, 40, 11)
    for stream in range(streams):
        alone: dict[str, np.ndarray] = {}
        one = Reference(network)
        assert np.array_equal(one.run(codes[stream], alone), logits[stream])
        for name, values in alone.items():
            assert np.array_equal(together[name][stream], values), name
        for k in range(2):
            assert np.array_equal(many.state.h[k][stream], one.state.h[k][0])
            assert np.array_equal(many.state.c[k][stream], one.state.c[k][0])
    assert np.array_equal(Reference(network).run(codes[:1]), logits[:1])  # (1, time) keeps its axis


@pytest.mark.parametrize("stretch", [1, 2, 7, 40, 41])
def test_stretches_change_nothing(
    network: IntegerNetwork, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    codes = rng.integers(0, 11, (3, 41))
    expected: dict[str, np.ndarray] = {}
    whole = Reference(network, 3)
    whole.run(codes, expected)
    monkeypatch.setattr(zynq_lstm.models.integers.reference, "STRETCH", stretch * 3)
    actual: dict[str, np.ndarray] = {}
    parts = Reference(network, 3)
    parts.run(codes, actual)
    for name, values in expected.items():
        assert np.array_equal(actual[name], values), name
    assert all(map(np.array_equal, parts.state.c, whole.state.c))


def test_state_is_carried_saved_and_set(network: IntegerNetwork, rng: np.random.Generator) -> None:
    codes = rng.integers(0, 11, 50)
    whole = Reference(network).run(codes)
    reference = Reference(network)
    assert np.array_equal(reference.run(codes[:20]), whole[:20])
    saved = reference.state
    assert saved.h[0].dtype == saved.c[1].dtype == np.int64
    assert np.array_equal(reference.run(codes[20:]), whole[20:])  # carried on; `saved` is not touched by it
    other = Reference(network)
    other.state = saved
    assert np.array_equal(other.run(codes[20:]), whole[20:])
    other.state = saved
    saved.h[0][:] = 0  # changed in place
    assert np.array_equal(other.run(codes[20:]), whole[20:])
    other.reset()
    assert np.array_equal(other.run(codes), whole)


def test_no_characters(network: IntegerNetwork) -> None:
    reference, trace = Reference(network), {}
    reference.run([3])
    before = reference.state
    assert reference.run([], trace).shape == (0, 11)
    assert all(map(np.array_equal, reference.state.h + reference.state.c, before.h + before.c))
    assert trace["layers.0.z"].shape == (0, 24)
    assert trace["layers.1.h"].shape == (0, 5)
    assert Reference(network, 2).run(np.empty((2, 0), np.int64)).shape == (2, 0, 11)


@pytest.mark.parametrize(
    "codes, message",
    [
        ([1, 2, 11], r"character code 11 at step 2 is outside 0\.\.10"),
        ([1, -1], r"character code -1 at step 1 is outside 0\.\.10"),
        ([1.0, 2.0], r"codes must be integers, got float64"),
        ([True], r"codes must be integers, got bool"),
        ([[1], [2]], r"codes of shape \(2, 1\) do not fit 1 stream\(s\)"),
        ([[[1]]], r"codes of shape \(1, 1, 1\) do not fit 1 stream\(s\)"),
        (3, r"codes of shape \(\) do not fit"),
        (np.empty((0, 4), np.int64), r"codes of shape \(0, 4\) do not fit"),
    ],
)
def test_bad_codes_are_refused_and_change_nothing(
    network: IntegerNetwork, codes: object, message: str
) -> None:
    reference = Reference(network)
    reference.run([5, 6])
    before = reference.state
    with pytest.raises(UserError, match=message):
        reference.run(codes)
    assert reference.state is before


def test_one_sequence_does_not_fit_several_streams(network: IntegerNetwork) -> None:
    with pytest.raises(UserError, match=r"codes of shape \(3,\) do not fit 2 stream\(s\)"):
        Reference(network, 2).run([1, 2, 3])


def zeros(units: tuple[int, ...] = (6, 5), streams: int = 1) -> list[np.ndarray]:
    return [np.zeros((streams, n), np.int64) for n in units]


@pytest.mark.parametrize(
    "h, c, message",
    [
        (zeros()[:1], zeros(), "state.h has 1 layers, must have 2"),
        (zeros(), zeros((6, 5, 4)), "state.c has 3 layers, must have 2"),
        (zeros((6, 4)), zeros(), r"state.h\[1\] must be integers of shape \(1, 5\), got int64 \(1, 4\)"),
        (zeros(streams=2), zeros(), r"state.h\[0\] must be integers of shape \(1, 6\)"),
        (zeros(), [np.zeros((1, 6)), zeros()[1]], r"state.c\[0\] must be integers .* got float64"),
        (zeros(), [zeros()[0], zeros()[1] + 2**15], r"state.c\[1\] must be within -32768\.\.32767"),
        # No gate times tanh gives -128; the accumulators' bounds depend on that.
        ([zeros()[0] - 128, zeros()[1]], zeros(), r"state.h\[0\] must be within -127\.\.127"),
    ],
)
def test_bad_states_are_refused(
    network: IntegerNetwork, h: list[np.ndarray], c: list[np.ndarray], message: str
) -> None:
    reference = Reference(network)
    before = reference.state
    with pytest.raises(UserError, match=message):
        reference.state = State(tuple(h), tuple(c))
    assert reference.state is before


@pytest.mark.parametrize("name", ["z", "c", "ct", "h", "logits"])
@pytest.mark.parametrize("modes", ["AP_RND_CONV,AP_SAT", "AP_RND,AP_WRAP"])
def test_modes_that_the_engines_lack_are_refused(name: str, modes: str, rng: np.random.Generator) -> None:
    network = with_weights(small_spec("w8a8", 3, (2,), **{name: f"ap_fixed<8,3,{modes}>"}), rng)
    with pytest.raises(UserError, match=rf"signals must round by AP_RND or AP_TRN .*, got .*{modes}"):
        Reference(network)


def test_products_beyond_float64_are_refused(rng: np.random.Generator) -> None:
    network = with_weights(small_spec("w8a8", 3, (2,), c="ap_fixed<25,5>", gate="ap_ufixed<30,0>"), rng)
    with pytest.raises(
        UserError, match=r"layers\[0\]: a sum or product might reach \d+, beyond the 9007199254740992 "
    ):
        Reference(network)


def test_streams_must_be_positive(network: IntegerNetwork) -> None:
    with pytest.raises(ValueError, match="streams must be at least 1, got 0"):
        Reference(network, 0)


def test_wide_vocabulary_and_long_text(rng: np.random.Generator) -> None:
    """The vocabulary has 256 characters, and the text is longer than one stretch."""
    network = with_weights(small_spec("w4a8", 256, (2,)), rng)
    assert len(set(LETTERS)) == 256
    codes = rng.integers(0, 256, zynq_lstm.models.integers.reference.STRETCH + 10)
    logits = Reference(network).run(codes)
    scalar = Scalar(network)
    for k, code in enumerate(codes[:50]):
        assert np.array_equal(logits[k], scalar.step(int(code))["logits"])
    reference = Reference(network)
    assert np.array_equal(np.concatenate([reference.run(codes[:9]), reference.run(codes[9:])]), logits)
