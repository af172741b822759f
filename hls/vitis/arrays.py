# SPDX-License-Identifier: Apache-2.0
"""Arrays of HLS C++ as memories: in which bank and word an element is, and how many ports a bank has."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import ceil, prod
from typing import NamedTuple

#: Reads and writes a cycle of a bank, by its storage (UG1399, bind_storage): both together, reads, writes.
#: None is without a limit: the tool makes copies.
PORTS: dict[str, tuple[int | None, int | None, int | None]] = {
    "": (2, None, None),
    "rom_1p": (1, None, 0),
    "rom_2p": (2, None, 0),
    "rom_np": (None, None, 0),
    "ram_1p": (1, None, None),
    "ram_2p": (2, None, 1),  # one port reads and writes, the other one reads
    "ram_s2p": (2, 1, 1),
    "ram_t2p": (2, None, None),
    "ram_1wnr": (None, None, 1),
}


class Symbol(NamedTuple):
    """``factor * x + offset``, where x is data and ``number`` tells it from other data."""

    factor: int
    offset: int
    number: int


Index = tuple[int | Symbol | None, ...]


@dataclass(frozen=True)
class Split:
    """An ``ARRAY_PARTITION`` (into banks) or ``ARRAY_RESHAPE`` (into wider words); dimension 0 is all."""

    reshape: bool
    way: str  # complete, cyclic, block
    factor: int
    dim: int

    def place(self, index: int | Symbol | None, size: int) -> tuple[int | None, int | Symbol | None]:
        """Which part an element is in, and where in it; None for what is not known."""
        if isinstance(index, Symbol):
            if self.way == "cyclic" and index.factor % self.factor == 0:
                part, word = index.offset % self.factor, index.offset // self.factor
                return part, Symbol(index.factor // self.factor, word, index.number)
            return None, None
        if index is None:
            return None, None
        if self.way == "complete":
            return index, 0
        if self.way == "cyclic":
            return index % self.factor, index // self.factor
        length = ceil(size / self.factor)
        return index // length, index % length

    def parts(self, size: int) -> int:
        return size if self.way == "complete" else min(size, self.factor)


@dataclass(eq=False)
class Array:
    """An array, which all of a program's names for it share. ``dims`` is empty if its size is not known."""

    name: str
    dims: tuple[int, ...]
    splits: list[Split] = field(default_factory=list)
    storage: str = ""

    def split(self, one: Split) -> None:
        if one not in self.splits:
            self.splits.append(one)

    def _of(self, dim: int) -> list[Split]:
        return [one for one in self.splits if one.dim in (0, dim + 1)]

    def locate(self, index: Index) -> tuple[list[tuple[int, ...]], Index | None] | None:
        """Banks that an element may be in, and its word; None for an index beyond the array.

        An index that is not known may be in any bank and any word.
        """
        banks: list[list[int]] = []
        words: list[int | Symbol | None] = []
        for dim, size in enumerate(self.dims):
            word, here, extent = index[dim], [0], size
            if isinstance(word, int) and not 0 <= word < size:
                return None
            for split in self._of(dim):
                count = split.parts(extent)
                part, word = split.place(word, extent)
                if not split.reshape:
                    parts = range(count) if part is None else (part,)
                    here = [old * count + new for old in here for new in parts]
                extent = ceil(extent / count)
            banks.append(here)
            words.append(0 if extent == 1 else word)
        return list(product(*banks)), None if None in words else tuple(words)

    @property
    def registers(self) -> bool:
        """True if each bank is a single word."""
        left = []
        for dim, extent in enumerate(self.dims):
            for split in self._of(dim):
                extent = ceil(extent / split.parts(extent))
            left.append(extent)
        return prod(left) == 1

    @property
    def odd_factors(self) -> list[int]:
        """Factors of cyclic partitions that are no power of two, and leave more than a word a bank."""
        found = []
        for dim, size in enumerate(self.dims):
            for split in self._of(dim):
                uneven = split.way == "cyclic" and split.factor & (split.factor - 1)
                if uneven and not split.reshape and split.factor < size:
                    found.append(split.factor)
        return found
