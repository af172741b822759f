# SPDX-License-Identifier: Apache-2.0
"""Fixed-point arithmetic against literal tables, all 8-bit values, and exact fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zynq_lstm.models.fixed import FixedFormat, Overflow, Rounding, overflow, shift_round, signed_bits

# In quarters, rounded to whole numbers; ties are at +-2, +-6, +-10.
QUARTERS = [-11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
ROUNDED = {
    Rounding.AP_RND: [-3, -2, -2, -2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3],
    Rounding.AP_RND_CONV: [-3, -2, -2, -2, -2, -2, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3],
    Rounding.AP_TRN: [-3, -3, -3, -2, -2, -2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2],
}
# Whole numbers into 3 bits.
WHOLE = [-13, -9, -8, -5, -4, -3, -1, 0, 1, 3, 4, 7, 8, 11]
FITTED = {
    ("AP_SAT", True): [-4, -4, -4, -4, -4, -3, -1, 0, 1, 3, 3, 3, 3, 3],
    ("AP_SAT_SYM", True): [-3, -3, -3, -3, -3, -3, -1, 0, 1, 3, 3, 3, 3, 3],
    ("AP_WRAP", True): [3, -1, 0, 3, -4, -3, -1, 0, 1, 3, -4, -1, 0, 3],
    ("AP_SAT", False): [0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 4, 7, 7, 7],
    ("AP_SAT_SYM", False): [0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 4, 7, 7, 7],
    ("AP_WRAP", False): [3, 7, 0, 3, 4, 5, 7, 0, 1, 3, 4, 7, 0, 3],
}

formats = st.builds(
    lambda bits, frac, signed, rounding, over: FixedFormat(bits, bits - frac, signed, rounding, over),
    st.integers(1, 32),
    st.integers(-32, 32),
    st.booleans(),
    st.sampled_from(Rounding),
    st.sampled_from(Overflow),
)


def exact(value: Fraction, fmt: FixedFormat) -> int:
    """Return the raw value by definition."""
    scaled = value * Fraction(2) ** fmt.frac
    floor = math.floor(scaled)
    rest = scaled - floor
    up = {
        Rounding.AP_RND: rest >= Fraction(1, 2),
        Rounding.AP_RND_CONV: rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1),
        Rounding.AP_TRN: False,
    }[fmt.rounding]
    raw = floor + up
    if fmt.overflow is Overflow.AP_WRAP:
        raw %= 2**fmt.bits
        return raw - 2**fmt.bits if fmt.signed and raw >= 2 ** (fmt.bits - 1) else raw
    high = 2 ** (fmt.bits - fmt.signed) - 1
    low = 0 if not fmt.signed else -high - (fmt.overflow is Overflow.AP_SAT)
    return min(max(raw, low), high)


@pytest.mark.parametrize("rounding", Rounding)
def test_rounding_is_the_table(rounding: Rounding) -> None:
    assert np.array_equal(shift_round(QUARTERS, 2, rounding), ROUNDED[rounding])
    fmt = FixedFormat(8, 8, rounding=rounding)
    assert np.array_equal(fmt.requantize(QUARTERS, 2), ROUNDED[rounding])
    assert np.array_equal(fmt.quantize(np.array(QUARTERS) / 4), ROUNDED[rounding])


@pytest.mark.parametrize("mode, signed", FITTED)
def test_overflow_is_the_table(mode: str, signed: bool) -> None:
    fmt = FixedFormat(3, 3, signed, overflow=Overflow(mode))
    assert np.array_equal(overflow(WHOLE, fmt), FITTED[mode, signed])
    assert np.array_equal(fmt.quantize(WHOLE), FITTED[mode, signed])


def test_rounding_comes_before_overflow() -> None:
    assert FixedFormat(4, 4).quantize(7.5) == 7
    assert FixedFormat(4, 4, overflow=Overflow.AP_WRAP).quantize(7.5) == -8
    assert FixedFormat(4, 4, overflow=Overflow.AP_SAT_SYM).quantize(-7.75) == -7
    assert FixedFormat(4, 4, signed=False).quantize(-0.5) == 0
    assert FixedFormat(4, 4, signed=False, overflow=Overflow.AP_WRAP).quantize(-0.75) == 15


def test_literal_values() -> None:
    fmt = FixedFormat.parse("ap_fixed<8,1>")
    assert (fmt.frac, fmt.lsb, fmt.min_raw, fmt.max_raw) == (7, 1 / 128, -128, 127)
    assert np.array_equal(
        fmt.quantize([0.5, -0.5, 1.0, -1.0, -2.0, 1 / 256, -1 / 256]), [64, -64, 127, -128, -128, 1, 0]
    )
    assert np.array_equal(fmt.to_real([-128, -1, 0, 127]), [-1.0, -1 / 128, 0.0, 127 / 128])
    gate = FixedFormat.parse("ap_ufixed<8,0>")
    assert (gate.frac, gate.min_raw, gate.max_raw) == (8, 0, 255)
    assert np.array_equal(gate.quantize([1.0, 0.5, -0.1, 0.999]), [255, 128, 0, 255])
    coarse = FixedFormat.parse("ap_fixed<4,6>")  # steps of 4
    assert (coarse.frac, coarse.lsb) == (-2, 4.0)
    assert np.array_equal(coarse.quantize([5.9, 6.0, -6.0, 100.0]), [1, 2, -1, 7])
    weight = FixedFormat.parse("ap_fixed<8,2,AP_RND_CONV,AP_SAT_SYM>")
    assert np.array_equal(weight.quantize([-2.0, 2.0, 3 / 128, -3 / 128, 1 / 128]), [-127, 127, 2, -2, 0])


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("mode", Overflow)
@pytest.mark.parametrize("signed", [True, False])
def test_all_8_bit_values_into_all_narrower_formats(rounding: Rounding, mode: Overflow, signed: bool) -> None:
    source = np.arange(-128, 128) if signed else np.arange(256)
    for bits, shift in itertools.product(range(1, 9), range(-2, 9)):
        fmt = FixedFormat(bits, bits - 4 + shift, signed, rounding, mode)  # source has 4 fraction bits
        expected = [exact(Fraction(int(x), 16), fmt) for x in source]
        assert np.array_equal(fmt.requantize(source, 4), expected), fmt
        assert np.array_equal(fmt.quantize(source / 16), expected), fmt


@given(formats, st.lists(st.integers(-(2**45), 2**45), min_size=1, max_size=20), st.integers(-20, 40))
def test_quantize_and_requantize_agree_with_fractions(fmt: FixedFormat, raws: list[int], frac: int) -> None:
    expected = [exact(Fraction(raw) / Fraction(2) ** frac, fmt) for raw in raws]
    assert np.array_equal(fmt.quantize([math.ldexp(raw, -frac) for raw in raws]), expected)
    if fmt.frac - frac <= 15:  # products must stay within int64
        assert np.array_equal(fmt.requantize(raws, frac), expected)
    assert fmt.contains(expected)


@given(formats, st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_quantize_any_float(fmt: FixedFormat, value: float) -> None:
    if abs(value) >= 2.0**-900:  # otherwise, times the step, it could not be distinguished from zero
        assert fmt.quantize(value) == exact(Fraction(value), fmt)


@pytest.mark.parametrize("rounding", Rounding)
def test_just_below_a_tie(rounding: Rounding) -> None:
    """Here the sum x + 1/2 would itself be rounded up to 1."""
    below = np.nextafter(0.5, 0)
    expected = [0, -1] if rounding is Rounding.AP_TRN else [0, 0]
    assert np.array_equal(FixedFormat(8, 8, rounding=rounding).quantize([below, -below]), expected)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("shift", [61, 62, 63, 64, 90])
def test_shift_beyond_the_word(rounding: Rounding, shift: int) -> None:
    raws = [2**60, 1, 0, -1, -(2**60)]
    fmt = FixedFormat(8, 8, rounding=rounding)
    expected = [exact(Fraction(raw, 2**shift), fmt) for raw in raws]
    assert np.array_equal(shift_round(raws, shift, rounding), expected)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"cannot quantize to ap_fixed<8,1,AP_RND,AP_SAT>: .*not finite"):
        FixedFormat(8, 1).quantize([0.0, value])


@given(formats)
def test_text_round_trip(fmt: FixedFormat) -> None:
    assert FixedFormat.parse(str(fmt)) == fmt


@pytest.mark.parametrize(
    "text, expected",
    [
        ("ap_fixed<8,1>", FixedFormat(8, 1)),
        (" ap_ufixed < 8 , 0 > ", FixedFormat(8, 0, signed=False)),
        ("ap_fixed<8,-1,AP_TRN>", FixedFormat(8, -1, rounding=Rounding.AP_TRN)),
        (
            "ap_fixed<8,9,AP_RND_CONV,AP_WRAP>",
            FixedFormat(8, 9, True, Rounding.AP_RND_CONV, Overflow.AP_WRAP),
        ),
    ],
)
def test_parse(text: str, expected: FixedFormat) -> None:
    assert FixedFormat.parse(text) == expected


@pytest.mark.parametrize(
    "text, message",
    [
        ("fixed<8,1>", r"'fixed<8,1>' is not a fixed-point format; write ap_fixed<W,I> or ap_ufixed<W,I>"),
        ("ap_fixed<8>", "is not a fixed-point format"),
        ("ap_fixed<8,1,AP_RND,AP_SAT,3>", "is not a fixed-point format"),
        ("ap_fixed<8,1> x", "is not a fixed-point format"),
        ("", "is not a fixed-point format"),
        ("ap_fixed<8,1,AP_RNDD>", r"'ap_fixed<8,1,AP_RNDD>': 'AP_RNDD' is not a valid Rounding"),
        ("ap_fixed<8,1,AP_RND,SAT>", "'SAT' is not a valid Overflow"),
        ("ap_fixed<0,0>", r"'ap_fixed<0,0>': bits must be 1 to 32, got 0"),
        ("ap_fixed<33,1>", r"bits must be 1 to 32, got 33"),
        ("ap_fixed<8,41>", r"fraction bits must be -32 to 32, got -33"),
        ("ap_fixed<8,-25>", r"fraction bits must be -32 to 32, got 33"),
    ],
)
def test_parse_refuses(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FixedFormat.parse(text)


def test_contains() -> None:
    fmt = FixedFormat(4, 4, overflow=Overflow.AP_SAT_SYM)
    assert fmt.contains([-7, 7])
    assert fmt.contains([])
    assert not fmt.contains([-8])
    assert not fmt.contains([0, 8])


@pytest.mark.parametrize(
    "low, high, bits",
    [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-2, 1, 2), (-3, 0, 3), (-128, 127, 8), (-128, 128, 9), (-129, 0, 9)],
)
def test_signed_bits(low: int, high: int, bits: int) -> None:
    assert signed_bits(low, high) == bits


@given(st.integers(-(2**60), 2**60), st.integers(-(2**60), 2**60))
def test_signed_bits_is_the_narrowest(a: int, b: int) -> None:
    low, high = sorted((a, b))
    bits = signed_bits(low, high)
    assert -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1)
    assert bits == 1 or not (-(2 ** (bits - 2)) <= low and high < 2 ** (bits - 2))
