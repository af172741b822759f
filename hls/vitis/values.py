# SPDX-License-Identifier: Apache-2.0
"""Values of HLS C++ as far as they depend on constants, loop counters and their sums with data.

A synthesis tool fixes the counters of unrolled loops (all loops in a pipelined one), so a condition on them
picks a branch. Any other condition leaves both branches in the hardware, and the accesses of both are
counted, even if the branches exclude each other; a tool may do better.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from zynq_lstm.hls.vitis.arrays import Array, Index, Symbol
from zynq_lstm.hls.vitis.loops import Access, Loop, Run
from zynq_lstm.hls.vitis.syntax import Node, Pragma, Source, dims_of

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


class Return(Exception):
    pass


@dataclass
class Frame:
    """A call of a function."""

    function: Node
    values: dict[int, Value]
    names: dict[str, int]
    result: Value = None
    dependences: list[tuple[Array, Pragma]] = field(default_factory=list)


_CODE = ("FUNCTION_DECL", "CXX_METHOD")
_COMPARES = ("==", "!=", "<=", ">=")


class Expressions:
    """The state of a run over a syntax tree; follows expressions, assignments and calls."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.runs: list[Run] = []
        self.recursion: set[tuple[Path, int, str]] = set()
        self._statics: dict[int, Array] = {}
        self._run: Run | None = None  # of the pipelined loop that we are in
        self._nest: list[Run] | None = None  # of the perfect nest that we are in
        self._maybe = 0  # depth of branches that data decides
        self._set: set[int] = set()  # variables set in the branch that we are in
        self._symbols = 0
        self._rolled = 0  # depth of loops that are not unrolled
        self._site: list[int] = []
        self._frames: list[Frame] = []
        self._label = ""

    def _execute(self, node: Node) -> None:
        """Go through a statement."""
        raise NotImplementedError

    def _symbol(self) -> Symbol:
        self._symbols += 1
        return Symbol(1, 0, self._symbols)

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
            return self._assign(node.children[0], combined(node.op[:-1], left, right))
        if kind == "CONDITIONAL_OPERATOR":
            return self._conditional(node)
        if kind == "CALL_EXPR":
            return self._called(node)
        if kind in ("LAMBDA_EXPR", "UNEXPOSED_ATTR"):
            return None
        return self._only_child(node)

    def _named(self, name: str) -> Value:
        frame = self._frames[-1]
        if name in frame.names:
            return frame.values.get(frame.names[name])
        cursor = self.source.variables().get(name)
        if cursor is None or not dims_of(cursor):
            return None
        return self._statics.setdefault(cursor.hash, Array(name, dims_of(cursor)))

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
        return combined(node.op, left, right)

    def _unary(self, node: Node) -> Value:
        (child,) = node.children
        if node.op == "*":
            found = self._target(node)
            return self._access(found, node, write=False) if isinstance(found, Element) else None
        value = self._value(child)
        if node.op in STEPS:
            self._assign(child, combined("+", value, Known(STEPS[node.op], True)))
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
        """Return the array, element or key of a variable that an expression names; None if it names none."""
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
        return combined(node.name.removeprefix("operator"), *values) if len(values) == 2 else None

    def _reference(self, node: Node) -> Value:
        """An array or element that gets one more name; a variable that has two is not followed."""
        target = self._target(node)
        if isinstance(target, int):
            self._assign(node, None)
        return target if isinstance(target, Array | Element) else None

    def _bound(self, node: Node) -> list[Value]:
        found: list[Value] = []
        arguments = node.arguments[len(node.arguments) - len(node.parameters) :]
        for parameter, argument in zip(node.parameters, arguments, strict=False):
            if parameter.reference and not parameter.constant:
                found.append(self._reference(argument))
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
        parameters = parameters_of(function)
        frame = Frame(function, {}, {one.name: one.key for one in parameters})
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
        with suppress(Return):
            self._execute(body)
        if own:
            self._run = None
        self._frames.pop()
        self._nest, self._label, self._site = outside
        return frame.result


def combined(op: str, left: Any, right: Any) -> Value:
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


def parameters_of(function: Node) -> list[Node]:
    return [child for child in function.children if child.kind == "PARM_DECL"]


def _object(node: Node) -> Node | None:
    """The object of a call of a method or operator."""
    if node.name.startswith("operator") and node.arguments and node.owner == "CXX_METHOD":
        return node.arguments[0]
    for child in node.children:
        if child.kind == "MEMBER_REF_EXPR":
            return child.children[0] if child.children else None
    return None
