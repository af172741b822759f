# SPDX-License-Identifier: Apache-2.0
"""A picture of a cell: how its signals follow from each other, from the gates' sums to h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zynq_lstm.models.cells.description import Cell, LookUp

WIDTH, GAP, HEIGHT, STEP = (
    1.55,
    0.5,
    0.58,
    0.84,
)  # of a box, between columns, of a box, from row to row; inches
SWEEPS = 12  # of ordering the rows of columns
COLORS = {"sum": "#f5d0a3", "table": "#b5cfe8", "product": "#dddddd", "before": "#c7e3bf"}
MEANINGS = {
    "product": "sum of products, exact",
    "before": "of the step before",
    "sum": "sum, rounded once",
    "table": "look-up",
}


@dataclass(frozen=True)
class Node:
    """A box; one without text is a bend of a long arrow.

    Args:
        name: unique.
        kind: key of :data:`COLORS`; empty for a bend.
        text: lines of its text.
        column: columns are counted from the inputs on.
        reads: names of the nodes that it follows from.
    """

    name: str
    kind: str
    text: tuple[str, ...]
    column: int
    reads: tuple[str, ...] = ()


def nodes(cell: Cell, formats: Mapping[str, str]) -> list[Node]:
    """Return the boxes of a cell.

    Args:
        formats: text of each signal's format by the signal's name.
    """
    inputs = _products(cell)  # factor -> name of its box
    found: dict[str, Node] = {}

    for equation in cell.equations:
        reads = [inputs.get(factor, factor) for factor in equation.reads]
        for name in reads:
            if name not in found:
                found[name] = _input(cell, name, found)
        kind = "table" if isinstance(equation, LookUp) else "sum"
        left, _, right = str(equation).partition(" = ")
        right = right.partition(": ")[2] or right
        found[equation.signal] = Node(
            equation.signal,
            kind,
            (f"{left} = {right}", formats[left]),
            1 + max(found[name].column for name in reads),
            tuple(dict.fromkeys(reads)),
        )
    return list(found.values())


def _products(cell: Cell) -> dict[str, str]:
    """The box of x and u of each gate: one for both, if one equation reads them and nothing else does."""
    found: dict[str, str] = {}
    for gate in cell.gates:
        x, u = f"x_{gate}", f"u_{gate}"
        readers = [{x, u} & set(e.reads) for e in cell.equations if {x, u} & set(e.reads)]
        together = readers == [{x, u}] and gate not in cell.recurrent
        found |= {x: f"{x}, {u}", u: f"{x}, {u}"} if together else {x: x, u: u}
    return found


def _input(cell: Cell, name: str, found: Mapping[str, Node]) -> Node:
    if name.endswith("'"):
        return Node(name, "before", (name,), 0)
    if name in cell.vectors:
        return Node(name, "product", (name, "a weight of each unit"), 0)
    what = {"x": "x W + b", "u": "h' U"}
    kinds = [part.partition("_")[0] for part in name.split(", ")]
    gate = name.rpartition("_")[2]
    source = cell.recurrent.get(gate) if kinds == ["u"] else None
    if source:
        return Node(name, "product", (name, f"{source} U"), 1 + found[source].column, (source,))
    return Node(name, "product", (name, ", ".join(what[kind] for kind in kinds)), 0)


def layout(boxes: list[Node]) -> tuple[list[Node], dict[str, tuple[int, float]]]:
    """Return the boxes and the bends of long arrows, and column and row of each."""
    by_name = {node.name: node for node in boxes}
    first_use = {
        node.name: min((other.column for other in boxes if node.name in other.reads), default=node.column + 1)
        for node in boxes
    }
    moved = {  # inputs stand before what reads them
        node.name: first_use[node.name] - 1 if not node.reads else node.column for node in boxes
    }
    all_nodes: list[Node] = []
    for node in boxes:
        reads = []
        for name in node.reads:
            previous = name
            for k in range(moved[name] + 1, node.column):
                bend = Node(f"{name} > {k}", "", (), k, (previous,))
                if bend.name not in by_name:
                    by_name[bend.name] = bend
                    all_nodes.append(bend)
                    moved[bend.name] = k
                previous = bend.name
            reads.append(previous)
        all_nodes.append(Node(node.name, node.kind, node.text, moved[node.name], tuple(reads)))
    columns: list[list[str]] = [[] for _ in range(1 + max(moved.values()))]
    for node in all_nodes:
        columns[node.column].append(node.name)
    above = {node.name: list(node.reads) for node in all_nodes}
    below: dict[str, list[str]] = {node.name: [] for node in all_nodes}
    for node in all_nodes:
        for name in node.reads:
            below[name].append(node.name)
    rows: dict[str, float] = {}

    def place(column: list[str]) -> None:
        for k, name in enumerate(column):
            rows[name] = k - (len(column) - 1) / 2

    for column in columns:
        place(column)
    for sweep in range(SWEEPS):
        near = below if sweep % 2 else above
        for column in columns if near is above else columns[::-1]:
            old = {name: k for k, name in enumerate(column)}

            def middle(name: str, near: dict[str, list[str]] = near) -> float:
                others = [rows[other] for other in near[name]]
                return sum(others) / len(others) if others else rows[name]

            column.sort(key=lambda name: (round(middle(name), 6), old[name]))
            place(column)
    return all_nodes, {name: (k, rows[name]) for k, column in enumerate(columns) for name in column}


def draw(cell: Cell, formats: Mapping[str, str], path: Path) -> None:
    """Draw a cell into a file, whose suffix is the format. The same cell gives the same bytes of SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    boxes, places = layout(nodes(cell, formats))
    columns = 1 + max(column for column, _ in places.values())
    half = max(abs(row) for _, row in places.values()) * STEP + HEIGHT
    width = columns * WIDTH + (columns - 1) * GAP + 0.4
    settings: Any = {"svg.hashsalt": "zynq-lstm", "svg.fonttype": "none", "font.size": 9}
    with plt.rc_context(settings):
        figure = plt.figure(figsize=(width, 2 * half + 0.9))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(-0.2, width - 0.2)
        axes.set_ylim(half + 0.45, -half - 0.45)
        axes.axis("off")
        axes.text(0, -half - 0.2, f"{cell.name}: {cell.title}", fontsize=11, va="center")
        for k, (kind, meaning) in enumerate(MEANINGS.items()):
            x = k * (WIDTH + GAP)
            _box(axes, x, half + 0.18, 0.25, 0.2, COLORS[kind])
            axes.text(x + 0.35, half + 0.18, meaning, fontsize=8, va="center")
        for node in boxes:
            for name in node.reads:
                _arrow(axes, boxes, places, name, node)
        for node in boxes:
            if node.kind:
                x, y = _corner(places[node.name])
                _box(axes, x, y, WIDTH, HEIGHT, COLORS[node.kind], bold=node.name == "h")
                lines = node.text
                for k, line in enumerate(lines):
                    offset = (k - (len(lines) - 1) / 2) * 0.24
                    style = {"fontsize": 9} if not k else {"fontsize": 6.5, "color": "0.3"}
                    axes.text(x + WIDTH / 2, y + offset, line, ha="center", va="center", **style)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)


def _corner(place: tuple[int, float]) -> tuple[float, float]:
    """Left edge, and middle of the height."""
    column, row = place
    return column * (WIDTH + GAP), row * STEP


def _box(axes: Any, x: float, y: float, width: float, height: float, color: str, bold: bool = False) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x + 0.04, y - height / 2 + 0.04),
            width - 0.08,
            height - 0.08,
            boxstyle="round,pad=0.04",
            facecolor=color,
            edgecolor="0.2" if bold else "0.5",
            linewidth=1.6 if bold else 0.8,
        )
    )


def _arrow(
    axes: Any, boxes: list[Node], places: Mapping[str, tuple[int, float]], start: str, end: Node
) -> None:
    """A curve from the right edge of a box, or a bend, to the left edge of another."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    (x0, y0), (x1, y1) = _corner(places[start]), _corner(places[end.name])
    x0 += WIDTH
    bends = {node.name for node in boxes if not node.kind}
    points = [(x0, y0), (x0 + GAP / 2, y0), (x1 - GAP / 2, y1), (x1, y1)]
    codes = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
    if end.name in bends:
        points.append((x1 + WIDTH, y1))
        codes.append(Curve.LINETO)
    axes.add_patch(
        FancyArrowPatch(
            path=Curve(points, codes),
            arrowstyle="-" if end.name in bends else "-|>",
            mutation_scale=9,
            linewidth=0.9,
            color="0.35",
            fill=False,
        )
    )
