# SPDX-License-Identifier: Apache-2.0
"""Records of loops of HLS C++: counts of iterations, and accesses of the pipelined ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from zynq_lstm.hls.vitis.arrays import Array, Index
from zynq_lstm.hls.vitis.syntax import Pragma


@dataclass(eq=False, slots=True)
class Access:
    """``site`` tells an access of the hardware: its place in the tree, and copies of it by unrolling."""

    array: Array
    index: Index
    write: bool
    site: tuple[int, ...]
    line: int


@dataclass(eq=False)
class Loop:
    """A loop in an instance of a function; the counts are of a call of the top function.

    ``sometimes`` is set if a condition that depends on data decides whether it runs.
    """

    path: Path
    line: int
    label: str
    function: str
    body: tuple[int, int]  # line and column of the block's brace; (0, 0) without a block
    interval: int | None = None  # of a pipelined loop
    unrolled: bool = False
    entries: int = 0
    iterations: int = 0
    trips: set[int | None] = field(default_factory=set)
    sometimes: bool = False


@dataclass(eq=False)
class Run:
    """A pipelined loop until its pipeline is empty: with all rounds of a perfect nest around it."""

    loop: Loop
    interval: int
    iterations: list[list[Access]] = field(default_factory=list)
    accesses: int = 0
    dependences: list[tuple[Array, Pragma]] = field(default_factory=list)


@dataclass(frozen=True)
class Unbounded:
    """A loop whose number of iterations is not constant, and the reason."""

    path: Path
    line: int
    loop: str
    reason: str
