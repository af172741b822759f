# SPDX-License-Identifier: Apache-2.0
"""Block RAMs: how many a memory uses, and the shape in which it uses the fewest.

A RAMB36E1, or its half, a RAMB18E1, has a fixed word width at each power-of-two depth (AMD UG473, "7 Series
FPGAs Memory Resources"). The same function models what synthesis does with a shape and chooses the shapes
that the RTL is generated with, so that the two cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass

# Word width by address bits, of a RAMB18E1 and of a RAMB36E1. The narrow shapes leave the parity bits unused.
# Nine address bits: read-only or simple dual-port; with two read ports, the word is half as wide.
WIDTH18 = {9: 36, 10: 18, 11: 9, 12: 4, 13: 2, 14: 1}
WIDTH36 = {9: 72, 10: 36, 11: 18, 12: 9, 13: 4, 14: 2, 15: 1}
# Yosys' costs: two halves cost more than a whole, but by so little that it never uses an extra half.
COST18, COST36 = 129, 257

MIN_ROW_BITS = 6  # enough rows that no bit of random content is constant; synthesis would remove such a bit
MAX_ROW_BITS = 14


def halves(width: int, address_bits: int, ports: int = 1) -> int:
    """Count the RAMB18E1s of a memory with ``2**address_bits`` words and ``ports`` read ports.

    A RAMB36E1 counts as two.
    """
    if width < 1 or not 0 <= address_bits <= MAX_ROW_BITS or ports not in (1, 2):
        raise ValueError(f"no block RAM of {width} bits, {address_bits} address bits and {ports} ports")
    bits = max(address_bits, 9 if ports == 1 else 10)
    small, large = -(-width // WIDTH18[bits]), -(-width // WIDTH36[bits])
    return small if small * COST18 < large * COST36 else 2 * large


@dataclass(frozen=True)
class Rom:
    """Shape of a rom.sv memory: ``2**row_bits`` rows of ``folds`` words of ``width`` bits side by side."""

    width: int
    depth: int
    row_bits: int

    @property
    def rows(self) -> int:
        return 1 << self.row_bits

    @property
    def folds(self) -> int:
        return -(-self.depth // self.rows)

    @property
    def halves(self) -> int:
        """Number of RAMB18E1s that the memory uses."""
        return halves(self.folds * self.width, self.row_bits)


def row_bits(widths: list[int], depth: int) -> int:
    """Choose the row address bits of memories of the same depth: fewest block RAMs, then fewest folds."""
    lowest = max(MIN_ROW_BITS, min(9, (depth - 1).bit_length()))
    highest = max(lowest, min(MAX_ROW_BITS, (depth - 1).bit_length()))
    return min(
        range(lowest, highest + 1),
        key=lambda bits: (sum(Rom(width, depth, bits).halves for width in widths), -bits),
    )
