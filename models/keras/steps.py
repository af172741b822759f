# SPDX-License-Identifier: Apache-2.0
"""One time step of a cell in TensorFlow, from its description, and its gradient.

With formats every signal is rounded as in hardware and a look-up reads the hardware's table; without, this
is the float cell. Gradients are straight-through: rounding passes them, saturation stops them, and a look-up
has the derivative of its real function at the rounded index.

Shapes: T steps, B streams, H units, G gates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zynq_lstm.models.cells.description import Cell, LookUp, Sum, Term
from zynq_lstm.models.description.formats import CellFormats
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.bounds import wide_sums
from zynq_lstm.models.keras.float_lstm import outer_sum, step_array, tf

Values = dict[str, Any]
"""Tensors by signal, (B, H)."""

Function = tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]


def _hard(slope: float, offset: float, low: float) -> Function:
    """A line that is cut at ``low`` and at 1, and its derivative."""

    def inside(x: Any, _y: Any) -> Any:
        line = x * slope + offset
        return tf.where((line > low) & (line < 1.0), tf.ones_like(x) * slope, tf.zeros_like(x))

    return lambda x: tf.clip_by_value(x * slope + offset, low, 1.0), inside


#: The real functions of tables, and their derivatives by x and the function's value.
FUNCTIONS: Mapping[str, Function] = {
    "sigmoid": (tf.sigmoid, lambda _x, y: y * (1 - y)),
    "tanh": (tf.tanh, lambda _x, y: 1 - y**2),
    "hard_sigmoid": _hard(1 / 6, 0.5, 0.0),
    "keras2_hard_sigmoid": _hard(0.2, 0.5, 0.0),
    "qkeras_hard_sigmoid": _hard(0.5, 0.5, 0.0),
    "hard_tanh": _hard(1.0, 0.0, -1.0),
}


@dataclass(frozen=True)
class _Group:
    """Consecutive gates whose sums are ``x + u``, each read by one look-up only: columns of one array."""

    first: int  # gate
    sums: tuple[str, ...]
    look_ups: tuple[LookUp, ...]


class Steps:
    """The arithmetic of a layer's steps.

    Args:
        cell: the description.
        units: H.
        dtype: float type of all values; sums that float32 might not hold exactly have float64.
        formats: of every signal; None for the float cell.
    """

    def __init__(self, cell: Cell, units: int, dtype: str, formats: CellFormats | None = None) -> None:
        self.cell, self.units, self.dtype, self.formats = cell, units, dtype, formats
        self.wide = wide_sums(formats) if formats and dtype == "float32" else frozenset[str]()
        self.groups = _groups(cell)
        grouped = {name for group in self.groups for name in group.sums}
        grouped |= {look_up.signal for group in self.groups for look_up in group.look_ups}
        self.order: list[Sum | LookUp | _Group] = list(self.groups)
        self.order += [equation for equation in cell.equations if equation.signal not in grouped]
        #: The arrays that a step keeps for its gradient: the sums of products, from which all else follows.
        self.kept = [f"group {k}" for k in range(len(self.groups))]
        self.kept += [e.signal for e in self.order if isinstance(e, Sum) and _products(cell, e)]
        self._tables = {id(group): self._group_table(group) for group in self.groups}

    # The forward step

    def run(
        self,
        x: Any,
        hU: Any,
        before: Mapping[str, Any],
        weights: Mapping[str, Any],
        kept: Mapping[str, Any] | None = None,
    ) -> Values:
        """Every signal of a step.

        Args:
            x: x.W + b, (B, G H); None with ``kept``.
            hU: h.U, likewise; the columns of dependent gates are not read.
            before: h, and c where there is one, (B, H).
            weights: U, (H, G H), and the vectors.
            kept: arrays by the names of :attr:`kept`; sums of products are taken from there, and a look-up
                gives the real function.

        Returns:
            Signals by name; sums of a group only as ``group K``, (B, n H).
        """
        cell = self.cell
        values: Values = {f"{name}'": value for name, value in before.items()}
        values |= {name: weights[name] for name in cell.vectors}
        if kept is None:
            values |= {f"x_{gate}": x[:, self._columns(k)] for k, gate in enumerate(cell.gates)}
            values |= {
                f"u_{gate}": hU[:, self._columns(k)]
                for k, gate in enumerate(cell.gates)
                if gate not in cell.recurrent
            }
        for step in self.order:
            if isinstance(step, _Group):
                self._look_up_group(step, x, hU, values, kept)
            elif isinstance(step, LookUp):
                values[step.signal] = self._looked_up(step, values[step.index], kept is not None)
            else:
                values[step.signal] = (
                    kept[step.signal]
                    if kept is not None and step.signal in self.kept
                    else self._computed(step, values)
                )
            for gate, signal in cell.recurrent.items():
                if not isinstance(step, _Group) and step.signal == signal and kept is None:
                    values[f"u_{gate}"] = tf.matmul(values[signal], self._block(weights["U"], gate))
        return values

    def _columns(self, gate: int) -> slice:
        return slice(gate * self.units, (gate + 1) * self.units)

    def _block(self, matrix: Any, gate: str) -> Any:
        return matrix[:, self._columns(self.cell.gates.index(gate))]

    def _format(self, name: str) -> FixedFormat | None:
        return None if self.formats is None else self.formats.format(name)

    def _rounded(self, name: str, real: Any) -> Any:
        fmt = self._format(name)
        if fmt is None:
            return real
        raw = tf.floor(real * 2.0**fmt.frac + fmt.half)
        return tf.clip_by_value(raw, float(fmt.min_raw), float(fmt.max_raw)) * fmt.lsb

    def _computed(self, equation: Sum, values: Values) -> Any:
        """A sum, rounded; one that float32 might not hold is computed in float64 until then."""
        if equation.signal in self.wide:
            values = {name: tf.cast(values[name], tf.float64) for name in equation.reads}
        return tf.cast(self._rounded(equation.format, self._summed(equation, values)), self.dtype)

    def _summed(self, equation: Sum, values: Values) -> Any:
        total: Any = None
        for term in equation.terms:
            value = values[term.factors[0]]
            if len(term.factors) == 2:
                value = value * values[term.factors[1]]
            if total is None:
                total = value if term.sign > 0 else -value
            else:
                total = total + value if term.sign > 0 else total - value
        return total

    def _function(self, table: str) -> str:
        name = self.cell.tables[table].function
        return name if self.formats is None else str(getattr(self.formats, name))

    def _table(self, table: str) -> Any:
        """Real values of a table from the lowest index on."""
        assert self.formats is not None
        of = self.cell.tables[table]
        index, value = self.formats.format(of.index), self.formats.format(of.value)
        return value.to_real(np.roll(self.formats.table(table), -index.min_raw)).astype(self.dtype)

    def _looked_up(self, step: LookUp, index: Any, real: bool) -> Any:
        if self.formats is None or real:
            return FUNCTIONS[self._function(step.table)][0](index)
        fmt = self.formats.format(self.cell.tables[step.table].index)
        place = tf.cast(index * 2.0**fmt.frac, tf.int32) - fmt.min_raw
        return tf.gather(self._table(step.table), place)

    def _group_table(self, group: _Group) -> tuple[Any, Any] | None:
        """The tables of a group one after the other, and what a raw index of each column needs added."""
        if self.formats is None:
            return None
        tables = {look_up.table: self._table(look_up.table) for look_up in group.look_ups}
        starts = dict(zip(tables, np.cumsum([0, *map(len, tables.values())]), strict=False))
        low = self.formats.format(self.cell.tables[group.look_ups[0].table].index).min_raw
        offsets = np.repeat([starts[look_up.table] - low for look_up in group.look_ups], self.units)
        return np.concatenate(list(tables.values())), offsets.astype(np.int32)

    def _look_up_group(
        self, group: _Group, x: Any, hU: Any, values: Values, kept: Mapping[str, Any] | None
    ) -> None:
        name, width = f"group {self.groups.index(group)}", len(group.sums) * self.units
        if kept is not None:
            z = kept[name]
            found = tf.split(self._waves(group, z)[0], len(group.sums), axis=1)
        else:
            start = group.first * self.units
            sums = (x if width == x.shape[1] else x[:, start : start + width]) + (
                hU if width == hU.shape[1] else hU[:, start : start + width]
            )
            z = self._rounded(self.cell.equation(group.sums[0]).format, sums)
            fmt = self._format(self.cell.equation(group.sums[0]).format)
            tables = self._tables[id(group)]
            if tables is None or fmt is None:
                found = tf.split(self._waves(group, z)[0], len(group.sums), axis=1)
            else:
                place = tf.cast(z * 2.0**fmt.frac, tf.int32) + tables[1]
                found = tf.split(tf.gather(tables[0], place), len(group.sums), axis=1)
        values[name] = z
        values |= {look_up.signal: part for look_up, part in zip(group.look_ups, found, strict=True)}

    def _waves(self, group: _Group, z: Any) -> tuple[Any, Any]:
        """The real functions of a group's columns and their derivatives, (B, n H)."""
        names = [self._function(look_up.table) for look_up in group.look_ups]
        if set(names) <= {"sigmoid", "tanh"}:  # one function: sigmoid(z) = tanh(z / 2) / 2 + 1 / 2
            scale = np.repeat([1.0 if n == "tanh" else 0.5 for n in names], self.units).astype(self.dtype)
            wave = tf.tanh(z * scale)
            return wave * scale + (1 - scale), scale**2 * (1 - wave**2)
        pieces = tf.split(z, len(names), axis=1)
        found = [FUNCTIONS[name][0](piece) for name, piece in zip(names, pieces, strict=True)]
        slopes = [FUNCTIONS[n][1](z, y) for n, z, y in zip(names, pieces, found, strict=True)]
        return tf.concat(found, axis=1), tf.concat(slopes, axis=1)

    # The gradient of a step

    def back(
        self, values: Values, after: Mapping[str, Any], weights: Mapping[str, Any]
    ) -> tuple[Any, Any, Values, Values]:
        """The gradient through one step.

        Args:
            values: of :meth:`run` with ``kept``.
            after: the gradient by h and c, (B, H).

        Returns:
            By x.W + b and by the products with U, (B, G H); by h and c before, without what comes through
            U from gates that are not dependent; by the vectors, (H,).
        """
        cell = self.cell
        adjoint: Values = dict(after)
        dx: Values = {}
        du: Values = {}

        def add(where: Values, name: str, value: Any) -> None:
            where[name] = value if name not in where else where[name] + value

        def through(factor: str, value: Any) -> None:
            kind, _, gate = factor.partition("_")
            if kind in ("x", "u") and gate in cell.gates and factor not in cell.signals:
                add(dx if kind == "x" else du, gate, value)
            else:
                add(adjoint, factor, value)

        for step in reversed(self.order):
            if isinstance(step, _Group):
                self._back_group(step, values, adjoint, dx, du)
                continue
            for gate, signal in cell.recurrent.items():
                if signal == step.signal:
                    U = self._block(weights["U"], gate)
                    add(adjoint, signal, tf.matmul(du[gate], U, transpose_b=True))
            gradient = adjoint.pop(step.signal, None)
            if gradient is None:
                continue
            if isinstance(step, LookUp):
                slope = FUNCTIONS[self._function(step.table)][1](values[step.index], values[step.signal])
                add(adjoint, step.index, gradient * slope)
                continue
            gradient = self._unsaturated(step.format, values[step.signal], gradient)
            for term in step.terms:
                signed = gradient if term.sign > 0 else -gradient
                if len(term.factors) == 1:
                    through(term.factors[0], signed)
                else:
                    a, b = term.factors
                    through(a, signed * values[b])
                    through(b, signed * values[a])
        before = {name: adjoint[f"{name}'"] for name in cell.state if f"{name}'" in adjoint}
        vectors = {name: tf.reduce_sum(adjoint[name], axis=0) for name in cell.vectors}
        by_x = tf.concat([dx[gate] for gate in cell.gates], axis=1) if "all" not in dx else dx["all"]
        by_u = tf.concat([du[gate] for gate in cell.gates], axis=1) if "all" not in du else du["all"]
        return by_x, by_u, before, vectors

    def _back_group(self, group: _Group, values: Values, adjoint: Values, dx: Values, du: Values) -> None:
        z = values[f"group {self.groups.index(group)}"]
        gradient = tf.concat([adjoint.pop(look_up.signal) for look_up in group.look_ups], axis=1)
        gradient = gradient * self._waves(group, z)[1]
        gradient = self._unsaturated(self.cell.equation(group.sums[0]).format, z, gradient)
        if len(group.sums) == len(self.cell.gates):
            dx["all"] = du["all"] = gradient
            return
        pieces = tf.split(gradient, len(group.sums), axis=1)
        for k, piece in enumerate(pieces):
            dx[self.cell.gates[group.first + k]] = du[self.cell.gates[group.first + k]] = piece

    def _unsaturated(self, name: str, real: Any, gradient: Any) -> Any:
        fmt = self._format(name)
        if fmt is None:
            return gradient
        low, high = (float(value) for value in fmt.to_real([fmt.min_raw, fmt.max_raw]))
        return tf.where((real > low) & (real < high), gradient, tf.zeros_like(gradient))

    # All steps

    def scan(
        self, inputs: Any, weights: Mapping[str, Any], before: Mapping[str, Any], keep: list[str]
    ) -> dict[str, Any]:
        """Signals of T steps, each (T, B, width); those of the state begin with the one before.

        Args:
            inputs: x.W + b, (T, B, G H).
            weights: U and the vectors.
            before: the state, (B, H) each.
            keep: names of signals, or of :attr:`kept`.
        """
        steps, streams, _ = inputs.shape
        state = list(self.cell.state)
        names = [*state, *(name for name in keep if name not in state)]

        def step(t: Any, *carried: Any) -> tuple[Any, ...]:
            at, arrays = dict(zip(state, carried, strict=False)), carried[len(state) :]
            values = self.run(inputs[t], tf.matmul(at["h"], weights["U"]), at, weights)
            written = (
                array.write(t + (name in state), values[name])
                for name, array in zip(names, arrays, strict=True)
            )
            return t + 1, *(values[name] for name in state), *written

        arrays = []
        for name in names:
            shape = (streams, self.width(name))
            array = step_array(steps + (name in state), shape, inputs.dtype)
            arrays.append(array.write(0, before[name]) if name in state else array)
        ended = tf.while_loop(
            lambda t, *_: t < steps,
            step,
            (0, *(before[name] for name in state), *arrays),
            maximum_iterations=steps,
        )
        return dict(zip(names, (array.stack() for array in ended[1 + len(state) :]), strict=True))

    def width(self, name: str) -> int:
        """Columns of an array of :meth:`scan`."""
        kind, _, number = name.partition(" ")
        return self.units * (len(self.groups[int(number)].sums) if kind == "group" else 1)

    def differentiable_scan(self, inputs: Any, weights: Mapping[str, Any], before: Mapping[str, Any]) -> Any:
        """h of every step, and the state after the last; gradients stop at the state before.

        Args:
            inputs: x.W + b, (T, B, G H).
            weights: U and the vectors.
        """
        names = ["U", *self.cell.vectors]

        @tf.custom_gradient
        def scan(inputs: Any, *given: Any) -> Any:
            of = dict(zip(names, given, strict=True))
            s = self.scan(inputs, of, before, self.kept)
            state = tuple(s[name][-1] for name in self.cell.state)

            def gradient(dh_out: Any, *_state: Any) -> tuple[Any, ...]:
                return self._gradient(dh_out, s, of)

            return (s["h"][1:], *state), gradient

        return scan(inputs, *(weights[name] for name in names))

    def _gradient(self, dh_out: Any, s: Mapping[str, Any], weights: Mapping[str, Any]) -> tuple[Any, ...]:
        cell, units = self.cell, self.units
        steps, streams, _ = dh_out.shape
        state, dependent = list(cell.state), list(dict.fromkeys(cell.recurrent.values()))
        zeros = tf.zeros((streams, units), dh_out.dtype)
        open_gates = np.array([float(gate not in cell.recurrent) for gate in cell.gates])
        mask = np.repeat(open_gates, units).astype(self.dtype)

        def back(t: Any, *carried: Any) -> tuple[Any, ...]:
            after = dict(zip(state, carried, strict=False))
            sums, arrays = (
                carried[len(state) : len(state) + len(cell.vectors)],
                carried[-2 - len(dependent) :],
            )
            after["h"] = after["h"] + dh_out[t]
            before = {name: s[name][t] for name in state}
            kept = {name: s[name][t] for name in self.kept}
            values = self.run(None, None, before, weights, kept)
            dx, du, db, dv = self.back(values, after, weights)
            through = tf.matmul(du * mask if dependent else du, weights["U"], transpose_b=True)
            db["h"] = db["h"] + through if "h" in db else through
            written = [arrays[0].write(t, dx), arrays[1].write(t, du)]
            written += [a.write(t, values[n]) for n, a in zip(dependent, arrays[2:], strict=True)]
            vectors = [total + dv[name] for name, total in zip(cell.vectors, sums, strict=True)]
            return t - 1, *(db.get(name, zeros) for name in state), *vectors, *written

        width = len(cell.gates) * units
        start = (
            steps - 1,
            *(zeros for _ in state),
            *(tf.zeros((units,), dh_out.dtype) for _ in cell.vectors),
            *(step_array(steps, (streams, width), dh_out.dtype) for _ in range(2)),
            *(step_array(steps, (streams, units), dh_out.dtype) for _ in dependent),
        )
        ended = tf.while_loop(lambda t, *_: t >= 0, back, start, maximum_iterations=steps)
        arrays = [array.stack() for array in ended[-2 - len(dependent) :]]
        vectors = ended[1 + len(state) : 1 + len(state) + len(cell.vectors)]
        dU = outer_sum(s["h"][:-1], arrays[1])
        for gate, signal in cell.recurrent.items():
            k = cell.gates.index(gate)
            with_signal = outer_sum(arrays[2 + dependent.index(signal)], arrays[1][:, :, self._columns(k)])
            dU = tf.concat([dU[:, : k * units], with_signal, dU[:, (k + 1) * units :]], axis=1)
        return arrays[0], dU, *vectors


def _products(cell: Cell, equation: Sum) -> bool:
    """True for a sum that reads ``x_GATE`` or ``u_GATE``."""
    names = {f"{kind}_{gate}" for kind in "xu" for gate in cell.gates} - set(cell.signals)
    return bool(names & set(equation.reads))


def _groups(cell: Cell) -> list[_Group]:
    """Runs of gates whose sums are only of their two products and only looked up."""
    found: dict[int, tuple[str, LookUp]] = {}
    for k, gate in enumerate(cell.gates):
        both = (Term(1, (f"x_{gate}",)), Term(1, (f"u_{gate}",)))
        for equation in cell.equations:
            if (
                isinstance(equation, Sum)
                and equation.terms in (both, both[::-1])
                and gate not in cell.recurrent
            ):
                readers = [e for e in cell.equations if equation.signal in e.reads]
                if len(readers) == 1 and isinstance(readers[0], LookUp):
                    found[k] = equation.signal, readers[0]
    runs: list[list[int]] = []
    for k in found:
        same = runs and runs[-1][-1] == k - 1
        same = same and cell.equation(found[k][0]).format == cell.equation(found[runs[-1][0]][0]).format
        if same:
            runs[-1].append(k)
        else:
            runs.append([k])
    return [_Group(run[0], tuple(found[k][0] for k in run), tuple(found[k][1] for k in run)) for run in runs]
