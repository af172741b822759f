# SPDX-License-Identifier: Apache-2.0
"""Rounding in the C++ kernel against ``models/fixed.py``: many pairs of formats in one program.

The formats go far beyond the presets': unsigned ones, binary points outside the word, a single bit.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.hls.hls4ml_networks import kernel_includes
from zynq_lstm.models.fixed import FixedFormat, Overflow, Raw, Rounding

pytestmark = pytest.mark.hls

PAIRS = 60  # of formats, each a template for g++
VALUES = 40  # of each kind
WIDEST = 60  # bits of a value before rounding: a sum of products

SOURCE = """
#include <iostream>
#include "zynq_lstm.h"
using namespace nnet::zynq_lstm;
template <class to_T, class from_T> void show(const long long *values, unsigned count) {
    for (unsigned n = 0; n < count; n++) {
        from_T value;
        value.range() = ap_int<64>(values[n]).range(from_T::width - 1, 0);
        std::cout << signed_raw(rounded<to_T>(value)) << "\\n";
    }
}
"""


@dataclass(frozen=True)
class Pair:
    """The format of a value before rounding, and the format that it is rounded to."""

    width: int
    frac: int
    signed: bool
    fmt: FixedFormat

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Pair:
        """Return a random pair that models.integers.limits allows and whose values NumPy can shift."""
        while True:
            width, frac = int(rng.integers(1, WIDEST + 1)), int(rng.integers(0, WIDEST))
            bits = int(rng.choice([1, 2, rng.integers(1, 26)]))
            fmt = FixedFormat(
                bits,
                int(rng.integers(-4, bits + 5)),
                bool(rng.integers(2)),
                rng.choice(np.array([Rounding.AP_RND, Rounding.AP_TRN])),
                rng.choice(np.array([Overflow.AP_SAT, Overflow.AP_SAT_SYM])),
            )
            alone = fmt.min_raw == fmt.max_raw  # of one bit, AP_SAT_SYM
            if not alone and width + max(fmt.frac - frac, 0) <= WIDEST:
                return cls(width, frac, bool(rng.integers(2)), fmt)

    @property
    def source(self) -> str:
        return f"ap_{'' if self.signed else 'u'}fixed<{self.width}, {self.width - self.frac}>"

    def values(self, rng: np.random.Generator) -> Raw:
        """Return the ends of the range, numbers next to ties, and random numbers."""
        low, high = (
            (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1)
            if self.signed
            else (0, (1 << self.width) - 1)
        )
        tie = 1 << min(max(self.frac - self.fmt.frac - 1, 0), WIDEST - 4)
        ties = rng.integers(-4, 5, VALUES) * tie
        spread = rng.integers(low, high, VALUES, endpoint=True) >> rng.integers(0, self.width, VALUES)
        some = np.concatenate([[low, high, low // 2, high // 2], ties, ties + 1, ties - 1, spread])
        return np.clip(some, low, high)


def test_every_value_is_rounded_as_by_the_reference(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [Pair.drawn(rng) for _ in range(PAIRS)]
    values = [pair.values(rng) for pair in pairs]
    body = "".join(
        f"{{ const long long v[] = {{{', '.join(f'{value}LL' for value in raw)}}}; "
        f"show<{pair.fmt}, {pair.source}>(v, {len(raw)}); }}\n"
        for pair, raw in zip(pairs, values, strict=True)
    )
    (tmp_path / "main.cpp").write_text(f"{SOURCE}int main() {{\n{body}}}\n")
    options = ["-std=c++11", "-w", "-O0", *kernel_includes(tmp_path)]
    command = ["g++", *options, "main.cpp", "-o", "main"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
    said = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    found = np.array(said.split(), np.int64).reshape(PAIRS, -1)
    wrong = {
        f"{pair.source} to {pair.fmt}": [raw[got != want][:3], want[got != want][:3], got[got != want][:3]]
        for pair, raw, got in zip(pairs, values, found, strict=True)
        if not np.array_equal(want := pair.fmt.requantize(raw, pair.frac), got)
    }
    assert wrong == {}
