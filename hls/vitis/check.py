# SPDX-License-Identifier: Apache-2.0
"""Checks the C++ of an HLS project against the rules of pipelined hardware, without a synthesis tool.

It finds, in the instances of functions and templates that the top function reaches:

- ``ports``: a pipelined loop that accesses a bank of an array more often than its memory has ports
- ``bank``: accesses to a cyclic partition whose bank changes, with a factor that is not a power of two: the
  index needs a division
- ``dependence``: an array in memory that a pipelined loop reads and writes, without a ``DEPENDENCE`` pragma
  or with a wrong one
- ``bound``: a loop whose number of iterations is not constant
- ``scope``: a pragma that names no variable in scope, or a factor that is not a constant
- ``unsynthesisable``: C++ without a counterpart in hardware

The rules are those of AMD's UG1399; that the tool then reaches the interval it is asked for is not proved.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zynq_lstm.hls.vitis.arrays import PORTS, Array
from zynq_lstm.hls.vitis.elaborate import Elaboration
from zynq_lstm.hls.vitis.loops import Access, Loop, Run
from zynq_lstm.hls.vitis.syntax import FIRMWARE, Node, Pragma, Source

#: Headers of our own, whose unused functions are checked, too.
KERNEL = "zynq_lstm"
#: Types of the standard library that a synthesis tool accepts: they keep nothing on the heap.
ACCEPTED = re.compile(
    r"std::(array|pair|tuple|complex|initializer_list|integral_constant|integer_sequence)\b"
)
NOT_IN_HARDWARE = {
    "CXX_NEW_EXPR": "new",
    "CXX_DELETE_EXPR": "delete",
    "CXX_THROW_EXPR": "throw",
    "CXX_TRY_STMT": "try",
    "CXX_TYPEID_EXPR": "typeid",
    "CXX_DYNAMIC_CAST_EXPR": "dynamic_cast",
    "GOTO_STMT": "goto",
    "INDIRECT_GOTO_STMT": "goto",
    "ASM_STMT": "assembler",
}
#: Options with a number, which may be a constant of the program.
NUMBERS = ("factor", "ii", "depth", "dim")


@dataclass(frozen=True, order=True)
class Finding:
    """A rule that is broken; ``subject`` is the variable or word, ``where`` the loop or function."""

    path: Path
    line: int
    kind: str
    subject: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {self.message} ({self.where})"


@dataclass(frozen=True)
class Report:
    """The findings, in the order of files and lines; and the loops of a call of the top function."""

    findings: tuple[Finding, ...]
    loops: tuple[Loop, ...]


def check(project: Path, top: str, more: str = "") -> Report:
    """Check a project of ``zynq-lstm hls-project`` or of hls4ml.

    ``top`` is the top function, defined in ``firmware/{top}.cpp``, or another one that ``more`` defines: C++
    after the project's own. Raises ``ValueError`` if clang finds an error, or no such function.
    """
    sources = sorted((project / FIRMWARE).glob("*.cpp"))
    main = next((path for path in sources if path.stem == top), sources[0] if sources else None)
    if main is None:
        raise ValueError(f"{project / FIRMWARE} has no C++ source")
    source = Source(project, main.name, more)
    cursors = source.definitions()
    starts = [one for one in cursors if one.spelling == top]
    node = source.function(starts[0]) if starts else None
    if node is None:
        raise ValueError(f"{main} defines no function {top}")
    elaboration = Elaboration(source, node)
    functions = source.reached()
    seen = {(one.path, one.line) for one in functions}
    for cursor in cursors:  # templates without an instance, and functions that are not called
        path = source.ours(cursor.location.file)
        checked = path is not None and (path.name.startswith(KERNEL) or path == main.resolve())
        if checked and (path, cursor.location.line) not in seen:
            one = source.function(cursor)
            if one is not None:
                functions.append(one)
    found = set(_of_loops(elaboration))
    names = set(source.variables())
    pragmas = {path: set(source.pragmas(path)) for path in {one.path for one in functions} if path}
    for one in functions:
        found.update(_unsynthesisable(one))
        found.update(_out_of_scope(one, names))
        for inner in one.walk():
            if one.path is not None:
                pragmas[one.path].difference_update(inner.pragmas)
    extents = {
        path: [
            (c.extent.start.line, c.extent.end.line) for c in cursors if source.ours(c.location.file) == path
        ]
        for path in pragmas
    }
    for path, left in pragmas.items():
        for pragma in left:
            if not any(first <= pragma.line <= last for first, last in extents[path]):
                text = "it is outside of all functions"
                found.add(Finding(path, pragma.line, "scope", pragma.directive, path.name, text))
    merged = {(one.path, one.line, one.kind, one.subject): one for one in sorted(found, reverse=True)}
    return Report(tuple(sorted(merged.values())), tuple(elaboration.loops.values()))


# Loops and memories


def _of_loops(elaboration: Elaboration) -> Iterator[Finding]:
    for one in elaboration.unbounded:
        yield Finding(one.path, one.line, "bound", one.loop or "loop", one.loop, f"{one.reason}")
    for path, line, name in elaboration.recursion:
        yield Finding(path, line, "unsynthesisable", name, name, "the function calls itself")
    for run in elaboration.runs:
        arrays = dict.fromkeys(access.array for accesses in run.iterations for access in accesses)
        for array in arrays:
            if array.dims and not array.registers:
                iterations = [[a for a in accesses if a.array is array] for accesses in run.iterations]
                yield from _ports(run, array, iterations)
                yield from _banks(run, array, iterations)
                yield from _dependence(run, array, iterations)


def _finding(run: Run, array: Array, kind: str, line: int, message: str) -> Finding:
    loop = run.loop
    where = f"{loop.label or 'loop'} of {loop.function}"
    return Finding(loop.path, line, kind, array.name, where, message)


def _ports(run: Run, array: Array, iterations: list[list[Access]]) -> Iterator[Finding]:
    """Accesses of a cycle to each bank; those to the same word share a port, reads with reads."""
    total, most_reads, most_writes = PORTS.get(array.storage, PORTS[""])
    worst = (0, 0, 0, 0)
    for accesses in iterations:
        banks: dict[Any, tuple[set[Any], set[Any]]] = defaultdict(lambda: (set(), set()))
        for access in accesses:
            place = array.locate(access.index)
            if place is not None:
                for bank in place[0]:
                    word = access.site if place[1] is None else ("word", place[1])
                    banks[bank][access.write].add(word)
        for reads, writes in banks.values():
            count = (len(reads) + len(writes), len(reads), len(writes), accesses[0].line)
            worst = max(worst, count)
    limits = zip(worst, (total, most_reads, most_writes), strict=False)
    if any(limit is not None and count > limit * run.interval for count, limit in limits):
        memory = array.storage or "memory of two ports"
        text = f"{worst[1]} reads and {worst[2]} writes of a bank of {array.name} each {_cycles(run)}"
        yield _finding(run, array, "ports", run.loop.line, f"{text}, which is {memory}")


def _cycles(run: Run) -> str:
    return "cycle" if run.interval == 1 else f"{run.interval} cycles"


def _banks(run: Run, array: Array, iterations: list[list[Access]]) -> Iterator[Finding]:
    if not array.odd_factors:
        return
    sites: dict[tuple[int, ...], set[tuple[Any, ...]]] = defaultdict(set)
    for access in (access for accesses in iterations for access in accesses):
        place = array.locate(access.index)
        if place is not None:
            sites[access.site].update(place[0])
    if any(len(banks) > 1 for banks in sites.values()):
        text = (
            f"the bank of {array.name} changes, and its factor {array.odd_factors[0]} is not a power of two"
        )
        yield _finding(run, array, "bank", run.loop.line, text)


def _dependence(run: Run, array: Array, iterations: list[list[Access]]) -> Iterator[Finding]:
    written: set[Any] = set()
    accesses = [access for one in iterations for access in one]
    if not any(a.write for a in accesses) or all(a.write for a in accesses):
        return
    claims = [pragma for of, pragma in run.dependences if of is array and _denies(pragma)]
    if not claims:
        text = f"{array.name} is read and written without a DEPENDENCE pragma"
        yield _finding(run, array, "dependence", run.loop.line, text)
        return
    line = claims[0].line
    for one in iterations:
        for access in one:
            if not all(isinstance(index, int) for index in access.index):
                text = f"an index of {array.name} depends on data, so the DEPENDENCE pragma is not proved"
                yield _finding(run, array, "dependence", line, text)
                return
            if not access.write and access.index in written:
                text = f"{array.name}{list(access.index)} is read after an earlier iteration has written it"
                yield _finding(run, array, "dependence", line, text)
                return
        written.update(access.index for access in one if access.write)


def _denies(pragma: Pragma) -> bool:
    """Return True if a DEPENDENCE pragma says that iterations are independent."""
    false = pragma.options.get("dependent", "").lower() == "false" or "false" in pragma.options
    return false and pragma.one_of("type", "inter", "intra") in ("inter", "")


# Functions


def _unsynthesisable(function: Node) -> Iterator[Finding]:
    for node in function.walk():
        for subject, message in _faults(node):
            path = node.path or function.path
            assert path is not None
            yield Finding(path, node.line, "unsynthesisable", subject, function.name, message)


def _faults(node: Node) -> Iterable[tuple[str, str]]:
    if node.kind in NOT_IN_HARDWARE:
        word = NOT_IN_HARDWARE[node.kind]
        yield word, f"{word} has no hardware"
    declares = node.kind in ("VAR_DECL", "PARM_DECL")
    if node.floating and (declares or node.kind.endswith(("_EXPR", "_OPERATOR", "_LITERAL"))):
        yield "float", f"floating-point arithmetic: {node.type}"
    if declares or node.kind == "CALL_EXPR":
        plain = node.type.removeprefix("const ").rstrip(" &")
        if plain.startswith("std::") and not ACCEPTED.match(plain):
            yield plain.split("<")[0], f"{plain} is not for hardware"
    if declares and re.search(r"\(\*\w*(\[\d*\])?\)\s*\(", node.type):
        yield node.name, f"{node.name} is a pointer to a function"
    if node.kind == "CALL_EXPR":
        if node.owner in ("VAR_DECL", "PARM_DECL", "FIELD_DECL"):
            yield node.name, "a call through a pointer to a function"
        elif node.virtual:
            yield node.name, f"{node.name} is virtual"
        elif node.function is not None and _of_the_system(node.function):
            yield node.name, f"{node.name} is a function of the standard library"


def _of_the_system(cursor: Any) -> bool:
    """Return True for a function of the C or C++ library that is not an accepted type's."""
    if cursor.location.file is None or not cursor.location.is_in_system_header:
        return False
    owner = cursor.semantic_parent
    name = f"std::{owner.spelling}" if owner is not None else ""
    return ACCEPTED.match(name) is None


def _out_of_scope(function: Node, names: set[str]) -> Iterator[Finding]:
    """Pragmas of a function with a name that is not declared before them."""
    parameters = {child.name for child in function.children if child.kind == "PARM_DECL"}

    def below(node: Node, scope: set[str]) -> Iterator[tuple[Pragma, str]]:
        here = set(scope)
        pragmas = sorted(node.pragmas, key=lambda one: one.line)
        for child in node.children:
            while pragmas and pragmas[0].line < child.line:
                yield from _unknown(pragmas.pop(0), here, parameters)
            if child.kind in ("VAR_DECL", "PARM_DECL"):
                here.add(child.name)
            elif child.kind == "DECL_STMT":
                here.update(one.name for one in child.children if one.kind == "VAR_DECL")
            yield from below(child, here)
        for pragma in pragmas:
            yield from _unknown(pragma, here, parameters)

    for pragma, text in below(function, names):
        name, _, message = text.partition(" ")
        yield Finding(pragma.path, pragma.line, "scope", name, function.name, f"{name} {message}")


def _unknown(pragma: Pragma, scope: set[str], parameters: set[str]) -> Iterator[tuple[Pragma, str]]:
    ports = pragma.directive == "INTERFACE"
    for name in pragma.names:
        if name.split(".")[0].split("->")[0] not in (parameters if ports else scope):
            yield pragma, f"{name} is not {'an argument' if ports else 'in scope'}"
    for option in NUMBERS:
        value = pragma.options.get(option, "0")
        if not value.isdigit() and value not in scope:
            yield pragma, f"{value} is not a constant in scope"
