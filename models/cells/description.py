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

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zynq_lstm.models.cells import words
from zynq_lstm.models.cells.functions import FUNCTIONS
from zynq_lstm.models.errors import UserError

#: The formats that every cell has, beside those of its own.
COMMON = ("W", "U", "b")
#: Formats that a preset has; what a cell's own formats may be like.
PRESET_FORMATS = ("W", "U", "b", "z", "gate", "g", "c", "ct", "tc", "h")
MAX_FACTORS = 2
#: The signals that may be kept from a step for the next one.
STATE = ("h", "c")
_NAME = r"[A-Za-z][A-Za-z0-9_]*"
_TERM = re.compile(rf"\s*([+-]?)\s*({_NAME}'?(?:\s+{_NAME}'?)*)")


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
        return parse, (self.text,)


def load(path: Path) -> Cell:
    """Read a description from a file.

    Raises:
        UserError: naming the file, the line, what is wrong and what is legal.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return parse(text, str(path))


def parse(text: str, where: str = "cell") -> Cell:
    """Read a description.

    Args:
        where: what an error begins with.

    Raises:
        UserError: as :func:`load`.
    """
    return _Parser(text, where).cell()


class _Parser:
    """One description as it is read."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where, self.line = text, where, 0
        self.words: dict[str, str] = {}  # of lines that may be there once
        self.lines: dict[str, int] = {}  # of what is refused only when all has been read
        self.gates: tuple[str, ...] = ()
        self.vectors: list[str] = []
        self.formats: dict[str, Format] = {}
        self.tables: dict[str, Table] = {}
        self.recurrent: dict[str, str] = {}
        self.equations: list[Sum | LookUp] = []

    def fail(self, message: str, line: int | None = None) -> UserError:
        return UserError(f"{self.where}:{line or self.line}: {message}")

    def cell(self) -> Cell:
        """Read all lines and check the whole."""
        read = []
        for number, text in enumerate(self.text.splitlines(), 1):
            self.line = number
            words = " ".join(text.partition("#")[0].split())
            if words:
                self._read(words)
                read.append(words)
        for word in ("cell", "title", "gates"):
            if word not in self.words:
                raise self.fail(f"there is no line '{word}'", 1)
        self._check()
        return Cell(
            "\n".join(read),
            self.words["cell"],
            self.words["title"],
            self.words.get("source", ""),
            self.gates,
            self.words.get("opens"),
            tuple(self.vectors),
            MappingProxyType(self.formats),
            MappingProxyType(self.tables),
            MappingProxyType(self.recurrent),
            tuple(self.equations),
        )

    def _read(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        if re.match(r"\s*=", text[len(word) :]) or "=" in word:
            self._equation(text)
            return
        readers = {
            name: getattr(self, f"_{name}") for name in ("gates", "vector", "format", "table", "recurrent")
        }
        if word in readers:
            readers[word](rest)
        elif word not in ("cell", "title", "source", "opens"):
            legal = ", ".join(("cell", "title", "source", "opens", *readers))
            raise self.fail(f"{word!r} begins no line; legal are {legal}, and equations with =")
        if word in ("cell", "title", "source", "opens", "gates"):
            if word in self.words:
                raise self.fail(f"a second line {word!r}")
            if not rest:
                raise self.fail(f"{word} of what? write {word} and a name")
            self.words[word] = rest
        if word == "cell" and not re.fullmatch(_NAME, rest):
            raise self.fail(f"the name {rest!r} must be letters, digits and _, beginning with a letter")
        if word == "cell":
            self._free(rest, words.OF_CELLS)
        if word == "cell" and re.search(r"_\d+$", rest):
            raise self.fail(
                f"the name {rest!r} ends like that of a level; choose another, without _ and digits"
            )
        if word == "opens" and rest not in self.gates:
            raise self.fail(f"{rest!r} is no gate; gates are {', '.join(self.gates) or 'not given above'}")

    def _gates(self, text: str) -> None:
        self.gates = tuple(text.split())
        for gate in self.gates:
            if not re.fullmatch(_NAME, gate) or self.gates.count(gate) > 1:
                raise self.fail(f"gate {gate!r} must be a name, and there once")
            self.lines[f"gate {gate}"] = self.line

    def _parts(self, text: str, pattern: str, form: str) -> tuple[str, ...]:
        found = re.fullmatch(pattern, text)
        if not found:
            raise self.fail(f"{text!r} is not of the form '{form}'")
        return tuple(part or "" for part in found.groups())

    def _new(self, name: str, kind: str) -> None:
        """Refuse a name that is taken. A table may be named like its function, and a format like a signal."""
        same = {"table": self.tables, "vector": (*self.tables, *self.formats), "format": self.formats}[kind]
        if name in self.vectors or name in same:
            raise self.fail(f"{name!r} is there already")
        reserved = {"table": words.OF_TABLES, "vector": words.OF_VECTORS, "format": words.OF_FORMATS}[kind]
        self._free(name, reserved)
        if kind != "format" and name.startswith(words.BEGINNINGS):
            raise self.fail(f"{name!r} begins like names in generated code; choose another name")
        if kind != "table" and name in FUNCTIONS:
            raise self.fail(f"{name!r} is a function; choose another name")
        self.lines[name] = self.line

    def _free(self, name: str, reserved: frozenset[str]) -> None:
        if name in reserved:
            raise self.fail(f"the word {name!r} has a meaning in generated code; choose another name")

    def _like(self, name: str) -> None:
        if name not in PRESET_FORMATS:
            raise self.fail(f"a preset has no format {name!r}; it has {', '.join(PRESET_FORMATS)}")

    def _vector(self, text: str) -> None:
        name, like = self._parts(text, rf"({_NAME})\s*:\s*({_NAME})", "vector NAME: LIKE")
        self._new(name, "vector")
        self._like(like)
        self.vectors.append(name)
        self.formats[name] = Format(name, like, like)

    def _format(self, text: str) -> None:
        form = "format NAME: LIKE, integer OF"
        name, like, of = self._parts(text, rf"({_NAME})\s*:\s*({_NAME})(?:\s*,\s*integer\s+({_NAME}))?", form)
        self._new(name, "format")
        for one in (like, of or like):
            self._like(one)
        if name in COMMON:
            raise self.fail(f"the format {name} is that of a weight matrix; every cell has it")
        self.formats[name] = Format(name, like, of or like)

    def _table(self, text: str) -> None:
        form = "table NAME: INDEX -> VALUE, FUNCTION"
        name, index, value, function = self._parts(
            text, rf"({_NAME})\s*:\s*({_NAME})\s*->\s*({_NAME})(?:\s*,\s*({_NAME}))?", form
        )
        self._new(name, "table")
        for one in (index, value):
            self._known_format(one)
        if (function or name) not in FUNCTIONS:
            raise self.fail(
                f"the table {name} has no function: {function or name!r} is unknown; legal are "
                f"{', '.join(FUNCTIONS)}; write table {name}: {index} -> {value}, FUNCTION"
            )
        self.tables[name] = Table(index, value, function or name)

    def _known_format(self, name: str) -> None:
        if name not in self.formats and name not in PRESET_FORMATS:
            legal = ", ".join(dict.fromkeys((*self.formats, *PRESET_FORMATS)))
            raise self.fail(f"there is no format {name!r}; legal are {legal}")

    def _recurrent(self, text: str) -> None:
        gate, signal = self._parts(text, rf"({_NAME})\s*:\s*({_NAME})", "recurrent GATE: SIGNAL")
        if gate not in self.gates:
            raise self.fail(f"{gate!r} is no gate; gates are {', '.join(self.gates) or 'not given above'}")
        if gate in self.recurrent:
            raise self.fail(f"a second line 'recurrent {gate}'")
        self.recurrent[gate] = signal
        self.lines[f"recurrent {gate}"] = self.line

    def _equation(self, text: str) -> None:
        signal, right = self._parts(
            text, rf"({_NAME})\s*=\s*(.*)", "SIGNAL = FORMAT: SUM or SIGNAL = TABLE[SIGNAL]"
        )
        if any(signal == equation.signal for equation in self.equations):
            raise self.fail(f"signal {signal!r} has an equation already")
        if signal in self.vectors:
            raise self.fail(f"{signal!r} is a vector; a signal needs a name of its own")
        if self._is_product(signal):
            raise self.fail(f"{signal!r} is a gate's sum of products; a signal needs a name of its own")
        self._free(signal, words.OF_SIGNALS)
        if signal == "z":
            raise self.fail("'z' is the name of all sums z_GATE side by side; write z_ and the gate's name")
        look_up = re.fullmatch(rf"({_NAME})\s*\[\s*({_NAME})\s*\]", right)
        if look_up:
            self.equations.append(self._looked_up(signal, *look_up.groups()))
            return
        name, colon, terms = (part.strip() for part in right.partition(":"))
        if not colon:
            raise self.fail(f"signal {signal!r} needs a format: {signal} = FORMAT: {right}")
        self._known_format(name)
        if name in COMMON or name in self.vectors:
            raise self.fail(f"{name} is the format of a weight; a signal needs another")
        found = tuple(self._terms(signal, terms))
        if all(term.sign < 0 for term in found):
            raise self.fail(f"signal {signal!r}: every term is subtracted; at least one must be added")
        self.equations.append(Sum(signal, name, found, self.line))

    def _looked_up(self, signal: str, table: str, index: str) -> LookUp:
        if table not in self.tables:
            raise self.fail(
                f"there is no table {table!r}; tables are {', '.join(self.tables) or 'not given above'}"
            )
        self._known_signal(signal, index)
        of = next(e.format for e in self.equations if e.signal == index)
        if of != self.tables[table].index:
            raise self.fail(
                f"{index} has the format {of}, the table {table} is over {self.tables[table].index}"
            )
        return LookUp(signal, self.tables[table].value, table, index, self.line)

    def _terms(self, signal: str, text: str) -> Iterator[Term]:
        place = 0
        while place < len(text):
            found = _TERM.match(text, place)
            if not found or (place and not found[1]):
                raise self.fail(
                    f"signal {signal!r}: {text[place:].strip()!r} is no term; write + or -, and factors"
                )
            factors = tuple(found[2].split())
            if len(factors) > MAX_FACTORS:
                raise self.fail(
                    f"signal {signal!r}: the term {found[2]!r} has {len(factors)} factors; at most "
                    f"{MAX_FACTORS} are possible: give the product of some a signal of its own"
                )
            for factor in factors:
                self._known_factor(signal, factor)
                if len(factors) > 1 and self._is_product(factor):
                    raise self.fail(
                        f"signal {signal!r}: {factor} is a sum that is not rounded yet, so it can't be "
                        f"multiplied; give it a signal, as p = z: {factor}"
                    )
            yield Term(-1 if found[1] == "-" else 1, factors)
            place = found.end()
        if not place:
            raise self.fail(f"signal {signal!r} has no terms")

    def _known_factor(self, signal: str, factor: str) -> None:
        if factor.endswith("'") and factor[:-1] not in STATE:
            raise self.fail(f"signal {signal!r}: {factor} is not kept; {' and '.join(STATE)} are")
        if factor in self.vectors or factor.endswith("'") or self._is_product(factor):
            return  # a value of the step before may be of an equation below
        self._known_signal(signal, factor)

    def _is_product(self, factor: str) -> bool:
        kind, _, gate = factor.partition("_")
        return kind in ("x", "u") and gate in self.gates

    def _known_signal(self, signal: str, name: str) -> None:
        known = [equation.signal for equation in self.equations]
        if name == signal:
            raise self.fail(f"signal {signal!r} reads itself; {name}' is its value in the step before")
        if name not in known:
            later = re.search(rf"^\s*{name}\s*=", self.text, re.M)
            why = "is computed below: a cycle, or another order is needed" if later else "is unknown"
            raise self.fail(f"signal {signal!r}: {name!r} {why}; above are {', '.join(known) or 'none'}")

    def _check(self) -> None:
        """What only the whole shows."""
        signals = {equation.signal: equation for equation in self.equations}
        if "h" not in signals:
            raise self.fail("there is no equation of h, the output of a cell")
        if signals["h"].format != "h":
            raise self.fail(f"h must have the format h, got {signals['h'].format}", signals["h"].line)
        reads = {factor for equation in self.equations for factor in equation.reads}
        for equation in self.equations:
            for factor in equation.reads:
                if factor.endswith("'") and factor[:-1] not in signals:
                    raise self.fail(
                        f"signal {equation.signal!r}: {factor[:-1]!r} is unknown; signals are "
                        f"{', '.join(signals)}",
                        equation.line,
                    )
        for gate, signal in self.recurrent.items():
            self._check_dependent(gate, signal, signals)
        for gate in self.gates:
            for name in (f"x_{gate}", f"u_{gate}"):
                if name not in reads:
                    raise self.fail(
                        f"{name} of gate {gate} is read by no equation", self.lines[f"gate {gate}"]
                    )
        used = {equation.format for equation in self.equations}
        used |= {name for table in self.tables.values() for name in (table.index, table.value)}
        read = reads | self._looked() | used
        for name in (*self.vectors, *self.tables, *self.formats):
            if name not in read:
                raise self.fail(f"{name!r} is used by no equation", self.lines[name])
        last = {*reads, *(f[:-1] for f in reads), *self.recurrent.values(), "h"}
        for equation in self.equations:
            if equation.signal not in last:
                raise self.fail(f"signal {equation.signal!r} is read by no other", equation.line)

    def _looked(self) -> set[str]:
        return {equation.table for equation in self.equations if isinstance(equation, LookUp)}

    def _check_dependent(self, gate: str, signal: str, signals: Mapping[str, Sum | LookUp]) -> None:
        """Refuse a product that is read before the signal that it is the product with."""
        if signal not in signals:
            raise self.fail(
                f"recurrent {gate}: signal {signal!r} is unknown; signals are {', '.join(signals)}",
                self.lines[f"recurrent {gate}"],
            )
        if signals[signal].format != "h":
            raise self.fail(
                f"signal {signal!r}, which U is multiplied by, must have the format h, got "
                f"{signals[signal].format}",
                signals[signal].line,
            )
        order = list(signals)
        for equation in signals.values():
            name = equation.signal
            if f"u_{gate}" in equation.reads and order.index(name) <= order.index(signal):
                raise self.fail(
                    f"signal {name!r} reads u_{gate}, the product with {signal}, which is computed below: "
                    "a cycle, or another order is needed",
                    equation.line,
                )
