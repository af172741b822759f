# SPDX-License-Identifier: Apache-2.0
"""Loops of HLS C++ run over in its syntax tree: how often each runs, and which elements its iterations access.

Values are followed as far as they depend on constants and loop counters only. A synthesis tool fixes the counters
of unrolled loops (all loops in a pipelined one), so a condition on them picks a branch. Any other condition
leaves both branches in the hardware, and the accesses of both are counted. Accesses in two branches that exclude
each other are counted as if both took place, which a tool may do better.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from zynq_lstm.hls.vitis.arrays import Array, Index, Split, Symbol
from zynq_lstm.hls.vitis.syntax import Node, Pragma, Source, dims_of

#: A loop that runs longer is taken for one without an end.
LONGEST = 1 << 22
#: Of a pipelined loop with more accesses, only the first iterations are gone through.
MOST_ACCESSES = 1 << 14
LOOPS = ("FOR_STMT", "WHILE_STMT", "DO_STMT", "CXX_FOR_RANGE_STMT")
STEPS = {"x++": 1, "++x": 1, "x--": -1, "--x": -1}
ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: int(a / b),
    "%": lambda a, b: a - b * int(a / b),
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Known(NamedTuple):
    """An integer; ``fixed`` if a tool knows it when it builds the hardware."""

    value: int
    fixed: bool


@dataclass(frozen=True)
class Element:
    """An array's element, or a row of an array with more dimensions."""

    array: Array
    index: Index

    @property
    def whole(self) -> bool:
        return len(self.index) == len(self.array.dims)


Value = Known | Symbol | Array | Element | None


class Access(NamedTuple):
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
    """A pipelined loop from its start until its pipeline is empty: with all rounds of a perfect nest around it."""

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


class _Continue(Exception):
    pass


class _Return(Exception):
    pass


@dataclass
class _Frame:
    """A call of a function."""

    function: Node
    values: dict[int, Value]
    names: dict[str, int]
    result: Value = None
    dependences: list[tuple[Array, Pragma]] = field(default_factory=list)


class Elaboration:
    """What a call of ``top`` does: its loops, the runs of the pipelined ones, recursion and loops without bounds."""

    def __init__(self, source: Source, top: Node) -> None:
        self.source = source
        self.loops: dict[int, Loop] = {}
        self.runs: list[Run] = []
        self.unbounded: set[Unbounded] = set()
        self.recursion: set[tuple[Path, int, str]] = set()
        self._statics: dict[int, Array] = {}
        self._run: Run | None = None  # of the pipelined loop that we are in
        self._nest: list[Run] | None = None  # of the perfect nest that we are in
        self._maybe = 0  # depth of branches that data decides
        self._set: set[int] = set()  # variables set in the branch that we are in
        self._symbols = 0
        self._inner: list[
            tuple[Loop, int, int]
        ] = []  # of an iteration of the pipelined loop: entries, iterations
        self._rolled = 0  # depth of loops that are not unrolled
        self._site: list[int] = []
        self._frames: list[_Frame] = []
        self._label = ""
        arguments: list[Value] = [Array(p.name, p.dims) if p.dims else None for p in _parameters(top)]
        self._call(top, arguments)

    # Statements

    def _execute(self, node: Node) -> None:
        method = getattr(self, f"_{node.kind.lower()}", None)
        if method is not None:
            method(node)
        elif node.kind in LOOPS:
            self._not_counted(node, f"a {node.kind.split('_')[0].lower()} loop")
        else:
            self._value(node)

    def _compound_stmt(self, node: Node) -> None:
        pragmas = sorted(node.pragmas, key=lambda one: one.line)
        for child in node.children:
            while pragmas and pragmas[0].line < child.line:
                self._pragma(pragmas.pop(0))
            self._execute(child)
        for pragma in pragmas:
            self._pragma(pragma)

    def _label_stmt(self, node: Node) -> None:
        self._label = node.name
        for child in node.children:
            self._execute(child)

    def _decl_stmt(self, node: Node) -> None:
        for child in node.children:
            if child.kind == "VAR_DECL":
                self._declare(child)

    def _declare(self, node: Node) -> None:
        frame = self._frames[-1]
        frame.names[node.name] = node.key
        value = [child for child in node.children if not child.kind.endswith("_REF")]
        if node.dims:
            if node.static:
                frame.values[node.key] = self._statics.setdefault(node.key, Array(node.name, node.dims))
            elif "&" in node.type and value:
                frame.values[node.key] = self._target(value[-1])
            else:
                frame.values[node.key] = Array(node.name, node.dims)
        elif node.reference and not node.constant and value:
            frame.values[node.key] = self._target(value[-1])
        else:
            found = self._value(value[-1]) if value else None
            if found is None and node.constant:
                found = self._symbol()
            frame.values[node.key] = None if node.static and not node.constant else found

    def _symbol(self) -> Symbol:
        self._symbols += 1
        return Symbol(1, 0, self._symbols)

    def _if_stmt(self, node: Node) -> None:
        condition, *branches = node.children
        known = self._value(condition)
        if isinstance(known, Known) and known.fixed:
            for branch in branches[:1] if known.value else branches[1:]:
                self._execute(branch)
            return
        for branch in branches:
            with self._perhaps():
                self._execute(branch)

    def _switch_stmt(self, node: Node) -> None:
        self._value(node.children[0])
        with self._perhaps():
            for child in node.children[1:]:
                self._execute(child)

    def _case_stmt(self, node: Node) -> None:
        self._execute(node.children[-1])

    def _default_stmt(self, node: Node) -> None:
        self._execute(node.children[-1])

    def _null_stmt(self, node: Node) -> None:
        pass

    def _break_stmt(self, node: Node) -> None:
        pass  # of a switch; a loop with one is not counted

    def _continue_stmt(self, node: Node) -> None:
        if not self._maybe:
            raise _Continue

    def _return_stmt(self, node: Node) -> None:
        if node.children:
            self._frames[-1].result = self._value(node.children[0])
        if not self._maybe:
            raise _Return

    @contextmanager
    def _perhaps(self) -> Iterator[None]:
        """In a branch that data decides; afterwards the variables that it sets are not known."""
        outside, self._set = self._set, set()
        self._maybe += 1
        yield
        self._maybe -= 1
        for frame in self._frames:
            for key in self._set & frame.values.keys():
                frame.values[key] = None
        self._set |= outside

    # Loops

    def _loop(self, node: Node, block: Node | None) -> Loop:
        frame = self._frames[-1]
        label, self._label = self._label, ""
        key = id(node)
        if key not in self.loops:
            assert node.path is not None
            name = frame.function.name + (f"<{frame.function.type}>" if frame.function.type else "")
            brace = (block.line, block.column) if block else (0, 0)
            self.loops[key] = Loop(node.path, node.line, label, name, brace)
        return self.loops[key]

    def _not_counted(self, node: Node, reason: str) -> None:
        """A loop whose iterations are not known; it is gone through once."""
        loop = self._loop(node, node.body)
        loop.trips.add(None)
        self.unbounded.add(Unbounded(loop.path, loop.line, loop.label, reason))
        with self._perhaps():
            for child in node.children:
                self._execute(child)

    def _for_stmt(self, node: Node) -> None:
        if len(node.children) != 4:
            return self._not_counted(node, "it lacks a start, a condition or a step")
        start, condition, step, body = node.children
        counter = _counter(start)
        if counter is None:
            return self._not_counted(node, "its counter is not set in its head")
        block = body if body.kind == "COMPOUND_STMT" else None
        if block is not None and self._leaves(block):
            return self._not_counted(node, "it breaks off or returns")
        loop = self._loop(node, block)
        pragmas = {one.directive: one for one in block.pragmas} if block else {}
        pipeline = pragmas.get("PIPELINE")
        pipelined = pipeline is not None and "off" not in pipeline.options and self._run is None
        loop.unrolled = self._run is not None or "UNROLL" in pragmas
        nest, site = self._nest, list(self._site)
        if pipelined:
            assert pipeline is not None
            loop.interval = int(pipeline.options.get("ii", 1))
            self._start_run(loop)
        elif not loop.unrolled:
            perfect = block is not None and _is_nest(block)
            self._nest = (nest if nest is not None else []) if perfect else None
        self._rolled += not loop.unrolled
        self._iterate(loop, start, counter, condition, step, body)
        self._rolled -= not loop.unrolled
        if pipelined:
            self._run = None
        self._nest, self._site = nest, site
        return None

    def _start_run(self, loop: Loop) -> None:
        assert loop.interval is not None
        if self._nest:
            self._run = self._nest[0]
            return
        self._run = Run(loop, loop.interval, dependences=list(self._frames[-1].dependences))
        self.runs.append(self._run)
        if self._nest is not None:
            self._nest.append(self._run)

    def _iterate(
        self, loop: Loop, start: Node, counter: int, condition: Node, step: Node, body: Node
    ) -> None:
        values = self._frames[-1].values
        self._execute(start)
        trips: int | None = 0
        loop.entries += 1
        loop.sometimes |= self._maybe > 0
        head = self._site
        while True:
            now = values.get(counter)
            if isinstance(now, Known):
                values[counter] = Known(now.value, True)
            going = self._value(condition)
            if not isinstance(going, Known) or not going.fixed or trips is None or trips > LONGEST:
                reason = "its bound is not constant" if trips is not None else "its counter is not followed"
                self.unbounded.add(Unbounded(loop.path, loop.line, loop.label, reason))
                trips = None
                values[counter] = None
                with self._perhaps():
                    self._iteration(loop, body)
                break
            if not going.value:
                break
            trips += 1
            loop.iterations += 1
            if isinstance(now, Known):
                values[counter] = Known(now.value, loop.unrolled)
                self._site = [*head, now.value] if loop.unrolled else head
            self._iteration(loop, body)
            after = values.get(counter)
            values[counter] = Known(after.value, True) if isinstance(after, Known) else None
            self._value(step)
        loop.trips.add(trips)

    def _iteration(self, loop: Loop, body: Node) -> None:
        if loop.interval is None or self._run is None:
            self._once(body)
        elif self._run.accesses < MOST_ACCESSES:
            before = {key: (one.entries, one.iterations) for key, one in self.loops.items()}
            self._run.iterations.append([])
            self._once(body)
            self._inner = []
            for key, one in self.loops.items():
                entries, iterations = before.get(key, (0, 0))
                if one.entries > entries:
                    self._inner.append((one, one.entries - entries, one.iterations - iterations))
        else:  # the loops in a pipelined one are unrolled, so they run as often in every iteration
            for one, entries, iterations in self._inner:
                one.entries += entries
                one.iterations += iterations

    def _once(self, body: Node) -> None:
        try:
            self._execute(body)
        except _Continue:
            pass

    def _leaves(self, block: Node) -> bool:
        """Whether a loop has a break or return of its own."""
        for child in block.children:
            if child.kind in ("BREAK_STMT", "RETURN_STMT", "GOTO_STMT"):
                return True
            if child.kind not in (*LOOPS, "SWITCH_STMT", "LAMBDA_EXPR") and self._leaves(child):
                return True
        return False

    # Pragmas

    def _pragma(self, pragma: Pragma) -> None:
        frame = self._frames[-1]
        for name in pragma.names:
            value = self._named(name)
            array = value.array if isinstance(value, Element) else value
            if not isinstance(array, Array):
                continue
            if pragma.directive in ("ARRAY_PARTITION", "ARRAY_RESHAPE"):
                way = pragma.one_of("type", "complete", "cyclic", "block") or "complete"
                factor = self._number(pragma.options.get("factor", "1"))
                if factor:
                    dim = int(pragma.options.get("dim", 1))
                    array.split(Split(pragma.directive == "ARRAY_RESHAPE", way, factor, dim))
            elif pragma.directive == "BIND_STORAGE":
                array.storage = pragma.options.get("type", "").lower()
            elif pragma.directive == "DEPENDENCE":
                # In a loop, it is for this loop; in a function, for those after it.
                found = self._run.dependences if self._run is not None else frame.dependences
                if (array, pragma) not in found:
                    found.append((array, pragma))

    def _named(self, name: str) -> Value:
        frame = self._frames[-1]
        if name in frame.names:
            return frame.values.get(frame.names[name])
        cursor = self.source.variables().get(name)
        dims = dims_of(cursor) if cursor is not None else ()
        return self._statics.setdefault(cursor.hash, Array(name, dims)) if dims else None

    def _number(self, text: str) -> int | None:
        if text.isdigit():
            return int(text)
        value = self._named(text)
        return value.value if isinstance(value, Known) else None

    # Expressions

    def _value(self, node: Node) -> Value:
        if node.value is not None:
            return Known(node.value, True)
        kind = node.kind
        if kind == "DECL_REF_EXPR":
            return self._meant(node) if node.name else self._only_child(node)
        if kind in ("ARRAY_SUBSCRIPT_EXPR", "MEMBER_REF_EXPR"):
            found = self._target(node)
            if isinstance(found, Element):
                return self._access(found, node, write=False)
            return found if isinstance(found, Array) else None
        if kind == "BINARY_OPERATOR":
            return self._binary(node)
        if kind == "UNARY_OPERATOR":
            return self._unary(node)
        if kind == "COMPOUND_ASSIGNMENT_OPERATOR":
            left, right = self._value(node.children[0]), self._value(node.children[1])
            return self._assign(node.children[0], _combined(node.op[:-1], left, right))
        if kind == "CONDITIONAL_OPERATOR":
            return self._conditional(node)
        if kind == "CALL_EXPR":
            return self._called(node)
        if kind in ("LAMBDA_EXPR", "UNEXPOSED_ATTR"):
            return None
        return self._only_child(node)

    def _only_child(self, node: Node) -> Value:
        """The value of a cast or of parentheses; of anything else, the last part's if it is the only one."""
        values = [self._value(child) for child in node.children if not child.kind.endswith("_REF")]
        return values[0] if len(values) == 1 else None

    def _meant(self, node: Node) -> Value:
        values = self._frames[-1].values
        if node.key in values:
            value = values[node.key]
            if isinstance(value, Element) and value.whole:
                return self._access(value, node, write=False)
            return value
        if node.dims:
            return self._statics.setdefault(node.key, Array(node.name, node.dims))
        return None

    def _access(self, element: Element, node: Node, write: bool) -> Value:
        if not element.whole:
            return element
        if self._run is not None:
            if not self._run.iterations:
                self._run.iterations.append([])  # in the loop's head
            site = (id(node), *self._site)
            self._run.iterations[-1].append(Access(element.array, element.index, write, site, node.line))
            self._run.accesses += 1
        return None

    def _binary(self, node: Node) -> Value:
        first, second = node.children
        if node.op == "=":
            return self._assign(first, self._value(second))
        left = self._value(first)
        if node.op in ("&&", "||"):
            if isinstance(left, Known) and left.fixed and bool(left.value) == (node.op == "||"):
                return Known(int(node.op == "||"), True)
            right = self._value(second)
            if isinstance(left, Known) and isinstance(right, Known):
                both = left.value and right.value if node.op == "&&" else left.value or right.value
                return Known(int(bool(both)), left.fixed and right.fixed)
            return None
        right = self._value(second)
        if node.op == ",":
            return right
        return _combined(node.op, left, right)

    def _unary(self, node: Node) -> Value:
        (child,) = node.children
        if node.op == "*":
            found = self._target(node)
            return self._access(found, node, write=False) if isinstance(found, Element) else None
        value = self._value(child)
        if node.op in STEPS:
            self._assign(child, _combined("+", value, Known(STEPS[node.op], True)))
            return value
        if not isinstance(value, Known):
            return value if node.op == "&" else None
        result = {"-": -value.value, "+": value.value, "~": ~value.value, "!": int(not value.value)}.get(
            node.op
        )
        return None if result is None else Known(result, value.fixed)

    def _conditional(self, node: Node) -> Value:
        condition, yes, no = node.children
        known = self._value(condition)
        if isinstance(known, Known) and known.fixed:
            return self._value(yes if known.value else no)
        with self._perhaps():
            values = self._value(yes), self._value(no)
        if not isinstance(known, Known):
            return values[0] if values[0] == values[1] else None
        value = values[0] if known.value else values[1]
        return Known(value.value, False) if isinstance(value, Known) else value

    def _target(self, node: Node) -> Value | int:
        """What an expression names: an array or element; a variable's key; None for anything else."""
        if node.kind == "DECL_REF_EXPR":
            value = self._frames[-1].values.get(node.key)
            if isinstance(value, Array | Element):
                return value
            return self._meant(node) if node.dims else node.key
        if node.kind == "MEMBER_REF_EXPR":
            if node.dims:
                return self._statics.setdefault(node.key, Array(node.name, node.dims))
            return self._target(node.children[0]) if node.children else None
        if node.kind == "ARRAY_SUBSCRIPT_EXPR":
            base, index = self._target(node.children[0]), self._value(node.children[1])
            at = index.value if isinstance(index, Known) else index if isinstance(index, Symbol) else None
            if isinstance(base, Element):
                return Element(base.array, (*base.index, at))
            return Element(base, (at,)) if isinstance(base, Array) else None
        if node.kind == "UNARY_OPERATOR" and node.op == "*":
            base = self._target(node.children[0])
            return Element(base, (None,) * len(base.dims)) if isinstance(base, Array) else base
        if node.kind == "CALL_EXPR":  # a part of an object, such as its range of bits
            for argument in node.arguments[1:] if node.name.startswith("operator") else node.arguments:
                self._value(argument)
            object_ = _object(node)
            return self._target(object_) if object_ is not None else None
        inner = [child for child in node.children if not child.kind.endswith("_REF")]
        if len(inner) == 1:
            return self._target(inner[0])
        for child in inner:  # no name: a value
            self._value(child)
        return None

    def _assign(self, node: Node, value: Value) -> Value:
        target = self._target(node)
        if isinstance(target, Element):
            self._access(target, node, write=True)
        elif isinstance(target, int):
            self._set.add(target)
            # A variable that a loop in the hardware changes is no constant.
            kept = Known(value.value, value.fixed and not self._rolled) if isinstance(value, Known) else None
            self._frames[-1].values[target] = kept
        return value

    # Calls

    def _called(self, node: Node) -> Value:
        function = self.source.function(node.function) if node.owner in _CODE else None
        if function is not None and function.body is not None:
            return self._call(function, self._bound(node), node)
        writes = (
            node.name.startswith("operator") and node.name.endswith("=") and node.name[8:] not in _COMPARES
        )
        if writes and node.arguments:
            first, *rest = node.arguments
            if node.name != "operator=":
                self._value(first)
            for argument in rest:
                self._value(argument)
            self._assign(first, None)
            return None
        if node.name.startswith("operator ") or node.name in (
            "ap_int_base",
            "operator+",
            "operator-",
            "operator*",
        ):
            return self._of_class(node)
        for child in node.children:
            self._value(child)
        return None

    def _of_class(self, node: Node) -> Value:
        """Conversions, sums and products of the vendor's integers, which lose no bits."""
        if node.name.startswith("operator ") and not node.arguments:
            object_ = _object(node)
            return self._value(object_) if object_ is not None else None
        values = [self._value(argument) for argument in node.arguments]
        if len(values) == 1 and node.name == "ap_int_base":
            return values[0]
        return _combined(node.name.removeprefix("operator"), *values) if len(values) == 2 else None

    def _bound(self, node: Node) -> list[Value]:
        found: list[Value] = []
        arguments = node.arguments[len(node.arguments) - len(node.parameters) :]
        for parameter, argument in zip(node.parameters, arguments, strict=False):
            if parameter.reference and not parameter.constant:
                target = self._target(argument)
                if isinstance(target, int):
                    self._frames[-1].values[target] = None
                found.append(target if isinstance(target, Array | Element) else None)
            else:
                found.append(self._value(argument))
        return found

    def _call(self, function: Node, arguments: list[Value], caller: Node | None = None) -> Value:
        if any(frame.function is function for frame in self._frames):
            assert caller is not None
            path = self._frames[-1].function.path
            assert path is not None
            self.recursion.add((path, caller.line, function.name))
            return None
        parameters = _parameters(function)
        frame = _Frame(function, {}, {one.name: one.key for one in parameters})
        for parameter, value in zip(parameters, arguments, strict=False):
            plain = value is None and (parameter.constant or not parameter.reference)
            frame.values[parameter.key] = self._symbol() if plain else value
        outside = self._nest, self._label, self._site
        self._nest, self._label = None, ""
        if caller is not None:
            self._site = [*self._site, id(caller)]
        self._frames.append(frame)
        body = function.body
        assert body is not None
        pipeline = next((one for one in body.pragmas if one.directive == "PIPELINE"), None)
        own = pipeline is not None and "off" not in pipeline.options and self._run is None
        if own:
            assert pipeline is not None and function.path is not None
            interval = int(pipeline.options.get("ii", 1))
            loop = Loop(function.path, function.line, function.name, function.name, (0, 0), interval)
            self._run = Run(loop, interval, [[]])
            self.runs.append(self._run)
        try:
            self._execute(body)
        except _Return:
            pass
        if own:
            self._run = None
        self._frames.pop()
        self._nest, self._label, self._site = outside
        return frame.result


_CODE = ("FUNCTION_DECL", "CXX_METHOD")
_COMPARES = ("==", "!=", "<=", ">=")


def _combined(op: str, left: Any, right: Any) -> Value:
    if isinstance(right, Symbol) and op in "+*":
        left, right = right, left
    if isinstance(left, Symbol) and isinstance(right, Known):
        if op == "<<" and 0 <= right.value < 32:
            op, right = "*", Known(1 << right.value, right.fixed)
        if op in "+-":
            return left._replace(offset=ARITHMETIC[op](left.offset, right.value))
        if op == "*" and right.value > 0:
            return Symbol(left.factor * right.value, left.offset * right.value, left.number)
        return None
    if not isinstance(left, Known) or not isinstance(right, Known) or op not in ARITHMETIC:
        return None
    if (op in "/%" and right.value == 0) or (op in ("<<", ">>") and right.value < 0):
        return None
    return Known(int(ARITHMETIC[op](left.value, right.value)), left.fixed and right.fixed)


def _parameters(function: Node) -> list[Node]:
    return [child for child in function.children if child.kind == "PARM_DECL"]


def _counter(start: Node) -> int | None:
    """The variable that a loop's head sets."""
    if start.kind == "DECL_STMT" and len(start.children) == 1:
        return start.children[0].key
    if start.kind == "BINARY_OPERATOR" and start.op == "=" and start.children[0].kind == "DECL_REF_EXPR":
        return start.children[0].key
    return None


def _is_nest(block: Node) -> bool:
    """Whether a loop and nothing else is in a block."""
    if len(block.children) != 1:
        return False
    (only,) = block.children
    return only.kind in LOOPS or (only.kind == "LABEL_STMT" and only.children[-1].kind in LOOPS)


def _object(node: Node) -> Node | None:
    """The object of a call of a method or operator."""
    if node.name.startswith("operator") and node.arguments and node.owner == "CXX_METHOD":
        return node.arguments[0]
    for child in node.children:
        if child.kind == "MEMBER_REF_EXPR":
            return child.children[0] if child.children else None
    return None
