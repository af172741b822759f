# SPDX-License-Identifier: Apache-2.0
"""The groups of a cell's gates whose sums can be made together, in C++."""

from __future__ import annotations

from dataclasses import dataclass

from zynq_lstm.models.cells.description import Cell, Sum, Term


@dataclass(frozen=True)
class Group:
    """Gates whose sums are made together.

    Args:
        gates: in their order; column ``len(gates) * u + k`` is gate k of unit u.
        signal: what U is multiplied with; None for h of the step before.
        apart: True if the sums of U are not added to those of W, since an equation needs them alone.
    """

    gates: tuple[str, ...]
    signal: str | None
    apart: bool

    @property
    def suffix(self) -> str:
        """Of the names of its arrays and constants; ``W_t`` would be a type."""
        return f"_of_{self.signal}" if self.signal else ""


def groups(cell: Cell) -> tuple[Group, ...]:
    """The groups of a cell; the first is that of the gates that wait for nothing."""
    found = []
    for signal in (None, *dict.fromkeys(cell.recurrent.values())):
        gates = tuple(gate for gate in cell.gates if cell.recurrent.get(gate) == signal)
        if gates:
            found.append(Group(gates, signal, not all(_together(cell, gate) for gate in gates)))
    return tuple(found)


def _together(cell: Cell, gate: str) -> bool:
    """True if x and u of a gate are only read as ``x + u``."""
    x, u = Term(1, (f"x_{gate}",)), Term(1, (f"u_{gate}",))
    readers = [e for e in cell.equations if isinstance(e, Sum) and {f"x_{gate}", f"u_{gate}"} & set(e.reads)]
    return len(readers) == 1 and x in readers[0].terms and u in readers[0].terms
