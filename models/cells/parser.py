# SPDX-License-Identifier: Apache-2.0
"""Read a cell's description (:mod:`zynq_lstm.models.cells.description`), or say what is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from zynq_lstm.models.cells import words
from zynq_lstm.models.cells.description import (
    COMMON,
    MAX_FACTORS,
    PRESET_FORMATS,
    STATE,
    Cell,
    Format,
    LookUp,
    Sum,
    Table,
    Term,
)
from zynq_lstm.models.cells.functions import FUNCTIONS
from zynq_lstm.models.errors import UserError

_NAME = r"[A-Za-z][A-Za-z0-9_]*"
_TERM = re.compile(rf"\s*([+-]?)\s*({_NAME}'?(?:\s+{_NAME}'?)*)")


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
