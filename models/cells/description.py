# SPDX-License-Identifier: Apache-2.0
"""The description of a recurrent cell: every signal of it is a table look-up or a sum that is rounded once.

A description is a text file. Words at the start of a line say what it is; an equation is a signal, ``=``, and
either ``TABLE[SIGNAL]`` or ``FORMAT: SUM``. ``#`` begins a comment.

==================================  ==================================================================
``cell NAME``                       the name of the cell
``title TEXT``, ``source TEXT``     its name in words, and where its equations are from
``gates NAME ...``                  the column blocks of W, U and b, in their order
``opens GATE``                      the gate whose bias starts at 1 in training
``vector NAME: LIKE``               a weight of one number a unit; a preset's format for LIKE is its own
``format NAME: LIKE[, integer OF]`` a format; as wide as LIKE's in a preset, with the integer bits of OF
``table NAME: INDEX -> VALUE[, F]`` a table over the format INDEX, in the format VALUE, of the function F
                                    that is named like the table if no other is given
``recurrent GATE: SIGNAL``          u_GATE is the product of U with SIGNAL instead of h of the step before
==================================  ==================================================================

A sum has terms with ``+`` and ``-``; a term is one factor or the product of two. A factor is a signal of an
equation above, a vector, ``x_GATE`` (the gate's sum of input products, with its bias), ``u_GATE`` (its sum of
recurrent products), ``h'`` or ``c'``: h or c of the step before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

#: The formats that every cell has, beside those of its own.
COMMON = ("W", "U", "b")
#: Formats that a preset has; what a cell's own formats may be like.
PRESET_FORMATS = ("W", "U", "b", "z", "gate", "g", "c", "ct", "tc", "h")
MAX_FACTORS = 2
#: The signals that may be kept from a step for the next one.
STATE = ("h", "c")


@dataclass(frozen=True)
class Term:
    """A term of a sum: +1 or -1 times one factor or two."""

    sign: int
    factors: tuple[str, ...]

    def __str__(self) -> str:
        return ("- " if self.sign < 0 else "+ ") + " ".join(self.factors)


@dataclass(frozen=True)
class Sum:
    """``signal = format: terms``: the exact sum, rounded once."""

    signal: str
    format: str
    terms: tuple[Term, ...]
    line: int = field(compare=False)

    @property
    def reads(self) -> tuple[str, ...]:
        """Every factor, once."""
        return tuple(dict.fromkeys(factor for term in self.terms for factor in term.factors))

    def __str__(self) -> str:
        terms = " ".join(map(str, self.terms)).removeprefix("+ ")
        return f"{self.signal} = {self.format}: {terms}"


@dataclass(frozen=True)
class LookUp:
    """``signal = table[index]``."""

    signal: str
    format: str
    table: str
    index: str
    line: int = field(compare=False)

    @property
    def reads(self) -> tuple[str, ...]:
        """The signal that is looked up."""
        return (self.index,)

    def __str__(self) -> str:
        return f"{self.signal} = {self.table}[{self.index}]"


@dataclass(frozen=True)
class Format:
    """A format of a cell: as wide as ``like`` in a preset, with the integer bits of ``integer``."""

    name: str
    like: str
    integer: str


@dataclass(frozen=True)
class Table:
    """An activation table: a function of every raw value of the format ``index``, in the format ``value``."""

    index: str
    value: str
    function: str


@dataclass(frozen=True)
class Cell:
    """A cell; :func:`parse` makes and checks it. Equations are in the order in which they are computed.

    Two cells are equal if their descriptions are, but for comments and spaces.
    """

    text: str
    name: str = field(compare=False)
    title: str = field(compare=False)
    source: str = field(compare=False)
    gates: tuple[str, ...] = field(compare=False)
    opens: str | None = field(compare=False)
    vectors: tuple[str, ...] = field(compare=False)
    formats: Mapping[str, Format] = field(compare=False)
    tables: Mapping[str, Table] = field(compare=False)
    recurrent: Mapping[str, str] = field(compare=False)
    equations: tuple[Sum | LookUp, ...] = field(compare=False)

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """The signals of one unit."""
        return tuple(equation.signal for equation in self.equations)

    @cached_property
    def state(self) -> tuple[str, ...]:
        """What a step leaves for the next one: h, and the signals that are read with ``'``."""
        read = {f[:-1] for e in self.equations for f in e.reads if f.endswith("'")}
        return ("h", *(name for name in self.signals if name in read - {"h"}))

    @cached_property
    def dependent(self) -> tuple[str, ...]:
        """The gates whose recurrent product waits for a signal of the same step."""
        return tuple(gate for gate in self.gates if gate in self.recurrent)

    @cached_property
    def levels(self) -> Mapping[str, int]:
        """The level of every signal, and of ``x_GATE`` and ``u_GATE``.

        Level 0 needs only the step before; a product with a signal of level n is of level n + 1.
        """
        of: dict[str, int] = {}
        for gate in self.gates:
            if gate not in self.recurrent:
                of[f"x_{gate}"] = of[f"u_{gate}"] = 0
        for equation in self.equations:
            for gate in self.gates:  # the signals that a dependent product waits for are above
                if f"u_{gate}" in equation.reads and gate in self.recurrent:
                    of[f"x_{gate}"] = of[f"u_{gate}"] = of[self.recurrent[gate]] + 1
            of[equation.signal] = max([0, *(of[f] for f in equation.reads if f in of)])
        return MappingProxyType(of)

    def equation(self, signal: str) -> Sum | LookUp:
        """The equation of a signal."""
        return self.equations[self.signals.index(signal)]

    def __str__(self) -> str:
        return "\n".join(map(str, self.equations))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the description alone: the mappings that are read from it cannot be pickled."""
        from zynq_lstm.models.cells.parser import parse

        return parse, (self.text,)
