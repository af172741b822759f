# SPDX-License-Identifier: Apache-2.0
"""One step of a cell in integers, by NumPy, from its description.

Integers are held in floats, as :mod:`zynq_lstm.models.integers.reference` says. Every value is kept times a
power of two of its own, chosen so that what is added and multiplied is in units of the result's last bit:
the scaling is done once, in weights and tables, and a rounding is ``floor(x + 0.5)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.cells.description import Cell, LookUp, Sum, Term
from zynq_lstm.models.fixed import FixedFormat, Raw

Floats = NDArray[Any]


@dataclass
class _Group:
    """Gates whose look-up is of ``x + u`` and nothing else, by one table: columns of one array."""

    table: str
    index: FixedFormat
    gates: list[str]
    signals: list[tuple[str, str]]  # of the sum and of the look-up, by gate


class CellStep:
    """The arithmetic of one time step of a layer, for some streams at once.

    Args:
        cell: the description.
        formats: by the names that the description uses.
        arrays: raw W, U, b, vectors and tables by name.
        x_frac: fraction bits of the input that W multiplies.
        dtype: float type in which everything is exact (:mod:`zynq_lstm.models.integers.bounds`).
    """

    def __init__(
        self,
        cell: Cell,
        formats: Mapping[str, FixedFormat],
        arrays: Mapping[str, Raw],
        x_frac: int,
        dtype: type[np.floating[Any]],
    ) -> None:
        self.cell, self.formats, self.dtype = cell, formats, dtype
        self.units = len(arrays["b"]) // len(cell.gates)
        self._arrays, self._x_frac = arrays, x_frac
        self._scale = _scales(cell, formats)  # of each value: it is kept as real * 2**scale
        self._groups = self._grouped()
        self._order = self._columns()
        self.W = self._matrix("W", formats["W"].frac + x_frac, "x")
        self.U = self._matrix("U", formats["U"].frac + formats["h"].frac, "u")
        self.b = self._biases()
        self._tables = {}
        for e in cell.equations:
            if isinstance(e, LookUp):
                self._tables[e.signal] = self._table(e)
        self._vectors = {
            name: (arrays[name] * 2.0 ** (self._scale[name] - formats[name].frac)).astype(dtype)
            for name in cell.vectors
        }
        self._plan = self._planned()
        self._ungrouped = self._outside_groups()
        self._indices = {z: group.index for group in self._groups for z, _ in group.signals}
        self._to_raw = {
            e.signal: 2.0 ** (formats[e.format].frac - self._scale[e.signal]) for e in cell.equations
        }

    def _grouped(self) -> list[_Group]:
        groups: dict[str, _Group] = {}
        readers = {name: [e for e in self.cell.equations if name in e.reads] for name in self.cell.signals}
        for gate in self.cell.gates:
            both = (Term(1, (f"x_{gate}",)), Term(1, (f"u_{gate}",)))
            for e in self.cell.equations:
                if isinstance(e, Sum) and e.terms in (both, both[::-1]) and gate not in self.cell.recurrent:
                    (reader, *more) = readers[e.signal]
                    if isinstance(reader, LookUp) and not more:
                        group = groups.setdefault(
                            reader.table, _Group(reader.table, self.formats[e.format], [], [])
                        )
                        group.gates.append(gate)
                        group.signals.append((e.signal, reader.signal))
        return list(groups.values())

    def _columns(self) -> list[str]:
        """The gates in the order of the columns here: those of a group side by side."""
        together = [gate for group in self._groups for gate in group.gates]
        return together + [gate for gate in self.cell.gates if gate not in together]

    def _block(self, gate: str) -> slice:
        k = self._order.index(gate)
        return slice(k * self.units, (k + 1) * self.units)

    def _matrix(self, name: str, frac: int, kind: str) -> Floats:
        """W or U with each gate's columns in the scale of its sum."""
        blocks = []
        for gate in self._order:
            k = self.cell.gates.index(gate)
            block = self._arrays[name][:, k * self.units : (k + 1) * self.units]
            blocks.append(block * 2.0 ** (self._scale[f"{kind}_{gate}"] - frac))
        return np.concatenate(blocks, axis=1).astype(self.dtype)

    def _biases(self) -> Floats:
        """b in the scales of x; a group's with half of a last bit, less the lowest index of its table."""
        offset = {g: group.index.half - group.index.min_raw for group in self._groups for g in group.gates}
        blocks = []
        for gate in self._order:
            k = self.cell.gates.index(gate)
            block = self._arrays["b"][k * self.units : (k + 1) * self.units]
            blocks.append(
                block * 2.0 ** (self._scale[f"x_{gate}"] - self.formats["b"].frac) + offset.get(gate, 0)
            )
        return np.concatenate(blocks).astype(self.dtype)

    def _table(self, equation: LookUp) -> Floats:
        """A table from the lowest index to the highest, in the scale of its signal."""
        table = self.cell.tables[equation.table]
        index, value = self.formats[table.index], self.formats[table.value]
        used = np.roll(self._arrays[equation.table], -index.min_raw)[: index.max_raw - index.min_raw + 1]
        return (used * 2.0 ** (self._scale[equation.signal] - value.frac)).astype(self.dtype)

    def _planned(self) -> list[Callable[[dict[str, Floats]], None]]:
        """What is done in a step, in its order; each writes signals into a dictionary of values."""
        grouped = {name for group in self._groups for pair in group.signals for name in pair}
        plan: list[Callable[[dict[str, Floats]], None]] = []
        for equation in self.cell.equations:
            for group in self._groups:
                if equation.signal == group.signals[0][0]:
                    plan.append(self._look_up_group(group))
            if equation.signal not in grouped:
                plan.append(self._sum(equation) if isinstance(equation, Sum) else self._look_up(equation))
            for gate, signal in self.cell.recurrent.items():
                if signal == equation.signal:
                    plan.append(self._product(gate, signal))
        return plan

    def _outside_groups(self) -> list[tuple[str, str, slice]]:
        """Names of x and u, and the columns, of gates outside of groups; no u where it waits for a signal."""
        first = sum(len(group.gates) for group in self._groups)  # those of groups come first
        return [
            (f"x_{gate}", "" if gate in self.cell.recurrent else f"u_{gate}", self._block(gate))
            for gate in self._order[first:]
        ]

    def _look_up_group(self, group: _Group) -> Callable[[dict[str, Floats]], None]:
        first, last = self._block(group.gates[0]), self._block(group.gates[-1])
        columns, units = slice(first.start, last.stop), self.units
        table = self._tables[group.signals[0][1]]
        same = all(np.array_equal(table, self._tables[signal]) for _, signal in group.signals)
        pieces = [slice(k * units, (k + 1) * units) for k in range(len(group.gates))]

        def run(values: dict[str, Floats]) -> None:
            # Truncation is floor here: what is below 0 is clipped to 0, the saturated index, all the same.
            index = values["sums"][:, columns].astype(np.intp)
            found = table.take(index, mode="clip") if same else None
            for (z, signal), piece in zip(group.signals, pieces, strict=True):
                values[z] = index[:, piece]
                values[signal] = (
                    found[:, piece]
                    if found is not None
                    else self._tables[signal].take(index[:, piece], mode="clip")
                )

        return run

    def _look_up(self, equation: LookUp) -> Callable[[dict[str, Floats]], None]:
        table, index = self._tables[equation.signal], equation.index
        low = self.dtype(self.formats[self.cell.tables[equation.table].index].min_raw)

        def run(values: dict[str, Floats]) -> None:
            values[equation.signal] = table.take((values[index] - low).astype(np.intp), mode="clip")

        return run

    def _product(self, gate: str, signal: str) -> Callable[[dict[str, Floats]], None]:
        """u of a gate whose product waits for a signal of this step; U is scaled for h as an integer."""
        U = self.U[:, self._block(gate)]  # a view, so that a change of U is seen
        factor = self.dtype(2.0 ** (self.formats["h"].frac - self._scale[signal]))

        def run(values: dict[str, Floats]) -> None:
            values[f"u_{gate}"] = (values[signal] * factor) @ U

        return run

    def _sum(self, equation: Sum) -> Callable[[dict[str, Floats]], None]:
        fmt, name = self.formats[equation.format], equation.signal
        half, low, high = (self.dtype(value) for value in (fmt.half, fmt.min_raw, fmt.max_raw))
        terms = []
        for term in equation.terms:
            # Equal to one wherever the scales could be chosen so.
            factor = term.sign * 2.0 ** (fmt.frac - sum(self._scale[f] for f in term.factors))
            terms.append((term.factors, factor))
        scale_back = self.dtype(2.0 ** (self._scale[name] - fmt.frac))

        def run(values: dict[str, Floats]) -> None:
            total: Any = None
            for factors, factor in terms:
                value = values[factors[0]]
                if len(factors) == 2:
                    value = value * values[factors[1]]
                if factor == -1 and total is not None:
                    total = total - value
                    continue
                if factor != 1:
                    value = value * factor
                total = value if total is None else total + value
            total = total + half
            np.floor(total, out=total)
            np.maximum(total, low, out=total)
            np.minimum(total, high, out=total)
            if scale_back != 1:
                total *= scale_back
            values[name] = total

        return run

    @property
    def columns(self) -> NDArray[np.intp]:
        """The column of W, U and b, by column here."""
        gates = [self.cell.gates.index(gate) for gate in self._order]
        return np.concatenate([np.arange(self.units) + k * self.units for k in gates])

    def scaled(self, kind: str, raw: Raw, frac: int) -> Floats:
        """Raw sums of x.W + b (``kind`` "x") or of h.U ("u"), (streams, columns), as a step takes them."""
        offset = {g: group.index.half - group.index.min_raw for group in self._groups for g in group.gates}
        parts = []
        for gate in self._order:
            k = self.cell.gates.index(gate)
            part = raw[:, k * self.units : (k + 1) * self.units] * 2.0 ** (
                self._scale[f"{kind}_{gate}"] - frac
            )
            parts.append(part + (offset.get(gate, 0) if kind == "x" else 0))
        return np.concatenate(parts, axis=1)

    def scale_of(self, factor: str) -> int:
        """The power of two that a value is kept times."""
        return self._scale[factor]

    def start(self, inputs: Floats, hU: Floats, state: Mapping[str, Floats]) -> dict[str, Floats]:
        """The values that a step begins with: x.W + b and h.U (streams, columns), and raw values before."""
        values: dict[str, Floats] = {"sums": inputs + hU, **self._vectors}
        for x, u, block in self._ungrouped:
            values[x] = inputs[:, block]
            if u:
                values[u] = hU[:, block]
        for name, raw in state.items():
            values[f"{name}'"] = raw
        return values

    def run(self, inputs: Floats, hU: Floats, state: Mapping[str, Floats]) -> dict[str, Floats]:
        """One step: every signal as it is kept; ``raw`` gives integers."""
        values = self.start(inputs, hU, state)
        for do in self._plan:
            do(values)
        return values

    def raw(self, values: Mapping[str, Floats], name: str) -> Floats:
        """A signal of a step as raw integers in its format; "z" is those of all gates side by side.

        It may be an array of ``values`` itself.
        """
        if name == "z" and name not in self.cell.signals:
            return np.concatenate([self.raw(values, f"z_{gate}") for gate in self.cell.gates], axis=1)
        if name in self._indices:
            fmt = self._indices[name]
            return np.clip(values[name], 0, fmt.max_raw - fmt.min_raw) + fmt.min_raw
        factor = self._to_raw[name]
        return values[name] if factor == 1 else values[name] * factor


def _scales(cell: Cell, formats: Mapping[str, FixedFormat]) -> dict[str, int]:
    """The scale of every value: sums in their last bits; what is free such that products need no factor."""
    scale: dict[str, int] = {}
    for equation in cell.equations:
        if isinstance(equation, Sum):
            scale[equation.signal] = formats[equation.format].frac
    for name in cell.state:
        scale[f"{name}'"] = scale.get(name, formats[cell.equation(name).format].frac)
    for equation in cell.equations:
        if not isinstance(equation, Sum):
            continue
        target = formats[equation.format].frac
        for term in equation.terms:
            free = [factor for factor in term.factors if factor not in scale]
            known = sum(scale[factor] for factor in term.factors if factor in scale)
            for k, factor in enumerate(free):  # the last one takes what is left
                scale[factor] = target - known if k == len(free) - 1 else 0
    for equation in cell.equations:
        if equation.signal not in scale:  # a look-up that no sum reads: h of a vanilla network
            scale[equation.signal] = formats[equation.format].frac
    return scale
