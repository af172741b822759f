# SPDX-License-Identifier: Apache-2.0
"""Shape of the multiply-accumulate array."""

from __future__ import annotations

from dataclasses import dataclass

from zynq_lstm.hls.engine.constants import ARRAY_LATENCY, SKEW_LATENCY
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.limits import WORD_SUMS

MAX_GROUP = 128  # largest number of units in a group


@dataclass(frozen=True)
class Array:
    """Shape of the multiply-accumulate array.

    Args:
        group_units: units (of four sums each) computed in parallel.
        dsp_depth: inputs per cycle that are multiplied in a chain of DSP48E1s.
        pack: products in one DSP48E1, 1 or 2.
        segment_units: units that share registers for control and activations.
        lut_depth: further inputs per cycle that are multiplied in LUTs.
        gate_lanes: gate pipelines, i.e. units that leave the array together and get their gates in parallel.
        sums: how many of each unit's four sums are computed in parallel; fewer than 4 only for a single unit
            and without products in LUTs.
        parity: the weight memory has a parity bit for each chain, checked whenever it is read.
    """

    group_units: int = 26
    dsp_depth: int = 4
    pack: int = 2
    segment_units: int = 9
    lut_depth: int = 0
    gate_lanes: int = 1
    sums: int = WORD_SUMS
    parity: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("group_units", 1, MAX_GROUP),
            ("dsp_depth", 1, 8),
            ("pack", 1, 2),
            ("segment_units", 1, MAX_GROUP),
            ("lut_depth", 0, 8),
            ("gate_lanes", 1, 4),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise UserError(f"array: {name} must be {low} to {high}, got {value!r}")
        if not isinstance(self.parity, bool):
            raise UserError(f"array: parity must be true or false, got {self.parity!r}")
        if self.segments > 99:  # numbered in two digits
            raise UserError(f"array: segment_units must make at most 99 segments, got {self.segment_units}")
        if self.pack == 2 and self.dsp_depth > 4:
            raise UserError(
                f"array: dsp_depth must be 1 to 4 with two products per DSP, got {self.dsp_depth}"
            )
        if self.sums not in (1, 2, 4):
            raise UserError(f"array: sums must be 1, 2 or 4, got {self.sums!r}")
        if self.sums < WORD_SUMS and (self.group_units > 1 or self.lut_depth):
            raise UserError(
                f"array: sums must be 4 with more than 1 unit or with products in LUTs, got {self.sums} "
                f"with {self.group_units} and lut_depth {self.lut_depth}"
            )
        if self.sums < self.pack:
            raise UserError("array: sums must be 2 or 4 with two products per DSP, got 1")
        for name in ("depth", "group_units", "segment_units"):
            if getattr(self, name) % self.gate_lanes:
                raise UserError(
                    f"array: gate_lanes must divide {name}, got {self.gate_lanes} and {getattr(self, name)}"
                )

    @property
    def depth(self) -> int:
        """Inputs per cycle."""
        return self.dsp_depth + self.lut_depth

    @property
    def lanes(self) -> int:
        """Multiply-accumulates per cycle."""
        return self.group_units * self.sums * self.depth

    @property
    def dsp(self) -> int:
        """DSP48E1s in the array, without those of the gates."""
        return self.group_units * self.sums * self.dsp_depth // self.pack

    @property
    def unit_chains(self) -> int:
        """Number of DSP48E1 chains for each unit; each chain has its own word in the weight memory."""
        return self.sums // self.pack

    @property
    def parts(self) -> int:
        """Number of jobs that complete a group's sums."""
        return WORD_SUMS // self.sums

    @property
    def segments(self) -> int:
        return -(-self.group_units // self.segment_units)

    @property
    def latency(self) -> int:
        """Cycles from a job's last step until its first beat of sums leaves."""
        return ARRAY_LATENCY + self.dsp_depth + self.segments + (SKEW_LATENCY if self.lut_depth else 0)
