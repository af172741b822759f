# SPDX-License-Identifier: Apache-2.0
"""Loops of HLS C++, run over in its syntax tree: how often each runs, and which elements it accesses."""

from __future__ import annotations

from contextlib import suppress

from zynq_lstm.hls.vitis.arrays import Array, Split
from zynq_lstm.hls.vitis.loops import Loop, Run, Unbounded
from zynq_lstm.hls.vitis.syntax import Node, Pragma, Source
from zynq_lstm.hls.vitis.values import (
    Element,
    Expressions,
    Known,
    Return,
    Value,
    parameters_of,
)

#: A loop that runs longer is taken for one without an end.
LONGEST = 1 << 22
#: Of a pipelined loop with more accesses, only the first iterations are gone through.
MOST_ACCESSES = 1 << 14
LOOPS = ("FOR_STMT", "WHILE_STMT", "DO_STMT", "CXX_FOR_RANGE_STMT")


class _Continue(Exception):
    pass


class Elaboration(Expressions):
    """A call of ``top``: its loops, the runs of the pipelined ones, recursion and loops without bounds."""

    def __init__(self, source: Source, top: Node) -> None:
        super().__init__(source)
        self.loops: dict[int, Loop] = {}
        self.unbounded: set[Unbounded] = set()
        self._inner: list[
            tuple[Loop, int, int]
        ] = []  # of an iteration of the pipelined loop: entries, iterations
        arguments: list[Value] = [Array(p.name, p.dims) if p.dims else None for p in parameters_of(top)]
        self._call(top, arguments)

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
                frame.values[node.key] = self._reference(value[-1])
            else:
                frame.values[node.key] = Array(node.name, node.dims)
        elif node.reference and not node.constant and value:
            frame.values[node.key] = self._reference(value[-1])
        else:
            found = self._value(value[-1]) if value else None
            if found is None and node.constant:
                found = self._symbol()
            frame.values[node.key] = None if node.static and not node.constant else found

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
            raise Return

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
        with suppress(_Continue):
            self._execute(body)

    def _leaves(self, block: Node) -> bool:
        """Return True if a loop has a break or return of its own."""
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

    def _number(self, text: str) -> int | None:
        if text.isdigit():
            return int(text)
        value = self._named(text)
        return value.value if isinstance(value, Known) else None


def _counter(start: Node) -> int | None:
    """The variable that a loop's head sets."""
    if start.kind == "DECL_STMT" and len(start.children) == 1:
        return start.children[0].key
    if start.kind == "BINARY_OPERATOR" and start.op == "=" and start.children[0].kind == "DECL_REF_EXPR":
        return start.children[0].key
    return None


def _is_nest(block: Node) -> bool:
    """Return True if a block has a loop and nothing else."""
    if len(block.children) != 1:
        return False
    (only,) = block.children
    return only.kind in LOOPS or (only.kind == "LABEL_STMT" and only.children[-1].kind in LOOPS)
