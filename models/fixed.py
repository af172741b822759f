# SPDX-License-Identifier: Apache-2.0
"""Fixed-point arithmetic on int64 raw values: the only place where rounding is defined.

A value is ``raw * 2**-frac``. Formats, rounding and overflow modes carry the names of AMD's
``ap_fixed<W, I, Q, O>`` (Vitis HLS user guide UG1399, "Arbitrary Precision Fixed-Point Data Types");
``I`` counts the sign bit of a signed format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Raw = NDArray[np.int64]

MAX_BITS = 32  # so that any product of two values, and a sum of many, fits int64


class Rounding(Enum):
    """Treatment of the bits below the least significant one."""

    AP_RND = "AP_RND"  # to nearest, a tie goes up (towards plus infinity)
    AP_RND_CONV = "AP_RND_CONV"  # to nearest, a tie goes to the even neighbour
    AP_TRN = "AP_TRN"  # down (towards minus infinity)


class Overflow(Enum):
    """Treatment of a value outside the format."""

    AP_SAT = "AP_SAT"  # the nearest bound
    AP_SAT_SYM = "AP_SAT_SYM"  # the nearest bound, the lower one being minus the upper one
    AP_WRAP = "AP_WRAP"  # modulo 2**bits


@dataclass(frozen=True)
class FixedFormat:
    """A fixed-point format; ``str()`` and :meth:`parse` use ``ap_[u]fixed<W,I,Q,O>``.

    Args:
        bits: total width W, 1 to 32.
        integer: integer bits I, the sign included; may be negative or exceed ``bits``.
        signed: two's complement, or unsigned.

    Raises:
        ValueError: the width is outside 1 to 32, or the fraction bits are outside -32 to 32.
    """

    bits: int
    integer: int
    signed: bool = True
    rounding: Rounding = Rounding.AP_RND
    overflow: Overflow = Overflow.AP_SAT

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"bits must be 1 to {MAX_BITS}, got {self.bits}")
        if abs(self.frac) > MAX_BITS:
            raise ValueError(f"fraction bits must be -{MAX_BITS} to {MAX_BITS}, got {self.frac}")

    @property
    def frac(self) -> int:
        """Fraction bits; the least significant bit weighs ``2**-frac``."""
        return self.bits - self.integer

    @property
    def lsb(self) -> float:
        return 2.0**-self.frac

    @property
    def half(self) -> float:
        """LSBs added before rounding down: 0.5 for AP_RND, 0 for AP_TRN. AP_RND_CONV has no such constant."""
        return 0.5 if self.rounding is Rounding.AP_RND else 0.0

    @property
    def max_raw(self) -> int:
        return (1 << (self.bits - self.signed)) - 1

    @property
    def min_raw(self) -> int:
        if not self.signed:
            return 0
        return -self.max_raw if self.overflow is Overflow.AP_SAT_SYM else -(1 << (self.bits - 1))

    def __str__(self) -> str:
        kind = "ap_fixed" if self.signed else "ap_ufixed"
        return f"{kind}<{self.bits},{self.integer},{self.rounding.value},{self.overflow.value}>"

    @property
    def short(self) -> str:
        """The format without its modes: ``<W,I>`` if signed, ``u<W,I>`` if unsigned."""
        return f"{'' if self.signed else 'u'}<{self.bits},{self.integer}>"

    @classmethod
    def parse(cls, text: str) -> FixedFormat:
        """Read ``ap_fixed<8,1>`` or ``ap_ufixed<8,0,AP_RND,AP_SAT>``.

        Modes left out are AP_RND and AP_SAT (not ap_fixed's own defaults).

        Raises:
            ValueError: the text is not a format; names the text and the legal form.
        """
        match = re.fullmatch(
            r"\s*ap_(u?)fixed\s*<\s*(\d+)\s*,\s*(-?\d+)\s*(?:,\s*(\w+)\s*)?(?:,\s*(\w+)\s*)?>\s*",
            text,
        )
        if not match:
            raise ValueError(
                f"{text!r} is not a fixed-point format; write ap_fixed<W,I> or "
                "ap_ufixed<W,I>, then a rounding and an overflow mode if wanted"
            )
        unsigned, bits, integer, rounding, overflow = match.groups()
        try:
            return cls(
                int(bits),
                int(integer),
                not unsigned,
                Rounding(rounding or Rounding.AP_RND.value),
                Overflow(overflow or Overflow.AP_SAT.value),
            )
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from None

    def requantize(self, raw: ArrayLike, frac: int) -> Raw:
        """Convert raw values with ``frac`` fraction bits to this format: round, then handle overflow."""
        return overflow(shift_round(raw, frac - self.frac, self.rounding), self)

    def quantize(self, value: ArrayLike) -> Raw:
        """Convert real numbers to raw values.

        Raises:
            ValueError: a value is not finite.
        """
        real = np.asarray(value, np.float64)
        if not np.all(np.isfinite(real)):
            raise ValueError(f"cannot quantize to {self}: a value is not finite")
        # First bring the values into int64's range. Both ways are exact and leave the final result the same.
        if self.overflow is Overflow.AP_WRAP:
            real = np.fmod(real, 2.0**self.integer)
        else:
            real = np.clip(real, (2 * self.min_raw - 1) * self.lsb, (2 * self.max_raw + 2) * self.lsb)
        scaled = real * 2.0**self.frac
        floor = np.floor(scaled)
        if self.rounding is Rounding.AP_RND:
            rounded = floor + (scaled - floor >= 0.5)  # floor(x + 1/2), whose sum would itself be rounded
        elif self.rounding is Rounding.AP_RND_CONV:
            rounded = np.rint(scaled)
        else:
            rounded = floor
        return overflow(rounded.astype(np.int64), self)

    def to_real(self, raw: ArrayLike) -> NDArray[np.float64]:
        """Convert raw values to the real numbers that they represent (exact)."""
        return np.asarray(raw, np.int64) * np.float64(self.lsb)

    def contains(self, raw: ArrayLike) -> bool:
        """Return True if every raw value is within this format's range."""
        raw = np.asarray(raw)
        return raw.size == 0 or bool(raw.min() >= self.min_raw and raw.max() <= self.max_raw)


def shift_round(raw: ArrayLike, shift: int, rounding: Rounding) -> Raw:
    """Round ``raw / 2**shift`` to an integer; a negative shift multiplies (exact).

    ``raw`` must be below 2**61 in magnitude, also after a multiplication.
    """
    raw = np.asarray(raw, np.int64)
    if shift <= 0:
        return raw << -shift
    shift = min(shift, 62)  # from there on, every value is less than half an LSB
    floor = raw >> shift
    if rounding is Rounding.AP_TRN:
        return floor
    half = np.int64(1) << (shift - 1)
    if rounding is Rounding.AP_RND:
        return (raw + half) >> shift
    rest = raw & ((np.int64(1) << shift) - 1)
    return floor + ((rest > half) | ((rest == half) & (floor & 1 == 1)))


def overflow(raw: ArrayLike, fmt: FixedFormat) -> Raw:
    """Bring integers that already have the format's binary point into its range."""
    raw = np.asarray(raw, np.int64)
    if fmt.overflow is not Overflow.AP_WRAP:
        return np.clip(raw, fmt.min_raw, fmt.max_raw)
    span = np.int64(1) << fmt.bits
    return (raw - fmt.min_raw) % span + fmt.min_raw


def signed_bits(low: int, high: int) -> int:
    """Return the width of the narrowest two's complement integer that holds ``low`` to ``high``."""
    return 1 + max(high if high >= 0 else ~high, low if low >= 0 else ~low).bit_length()
