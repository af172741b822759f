# SPDX-License-Identifier: Apache-2.0
"""Draw ``docs/flow.svg``, the picture of the flow in the README (``make docs``)."""

from __future__ import annotations

from pathlib import Path

WIDTH, MARGIN, GAP, COLUMNS = 920, 20, 20, 4
COLUMN = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
HEIGHT = 66  # of a box
STEP = HEIGHT + 34  # from one row to the next

# Fill and line colours by the package that a box belongs to.
COLOURS = {
    "models": ("#e8f1fb", "#2f6db3"),
    "sim": ("#eaf6ec", "#2e8540"),
    "hls": ("#fdf0e3", "#c2681c"),
    "all": ("#f2eefb", "#6b4fbb"),
}

# (row, first column, columns spanned, package, title, subtitle)
BOXES = [
    (0, 0, 1, "models", "text", "Shakespeare, or any file"),
    (0, 1, 1, "models", "float LSTM", "2 layers x 128 units, Keras 3"),
    (0, 2, 2, "models", "quantization-aware training", "QKeras quantizers, the hardware's tables"),
    (1, 0, 4, "models", "quantized Keras model", "preset w8a8: 8-bit weights and h, wider c"),
    (2, 1, 1, "models", "IntegerNetwork", "integers, formats, tables"),
    (2, 2, 2, "hls", "hls4ml with our layers", "two backends: Vitis and OpenRTL"),
    (3, 0, 1, "models", "Keras", "TensorFlow"),
    (3, 1, 1, "sim", "NumPy reference", "bit-accurate"),
    (3, 2, 1, "hls", "HLS C++", "Vitis dialect, runs under g++"),
    (3, 3, 1, "hls", "SystemVerilog RTL", "Verilator + cocotb, Yosys"),
    (4, 0, 4, "all", "compared, and equal", "every gate, state and logit, at every character"),
]
# (row, column) -> (row, column): a box's middle is that of its column, or of the target's.
ACROSS = [(0, 0), (0, 1)]
DOWN = [(0, 2.5, 1), (1, 0, 3), (1, 1, 2), (1, 2.5, 2), (2, 1, 3), (2, 2, 3), (2, 3, 3)]
DOWN += [(3, column, 4) for column in range(4)]


def _left(column: float) -> float:
    return MARGIN + column * (COLUMN + GAP)


def _top(row: int) -> float:
    return MARGIN + row * STEP


def _box(row: int, column: int, span: int, package: str, title: str, subtitle: str) -> list[str]:
    fill, line = COLOURS[package]
    width = span * COLUMN + (span - 1) * GAP
    x, y = _left(column), _top(row)
    middle = x + width / 2
    return [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{HEIGHT}" rx="7" '
        f'fill="{fill}" stroke="{line}" stroke-width="1.5"/>',
        f'<text x="{middle:g}" y="{y + 29:g}" class="title">{title}</text>',
        f'<text x="{middle:g}" y="{y + 49:g}" class="subtitle">{subtitle}</text>',
    ]


def _arrow(x0: float, y0: float, x1: float, y1: float) -> str:
    return f'<path d="M{x0:g} {y0:g} L{x1:g} {y1:g}" class="arrow" marker-end="url(#head)"/>'


def draw() -> str:
    """The picture as SVG; the same text at every call."""
    height = _top(4) + HEIGHT + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img">',
        "<title>From text to four engines that give the same integers</title>",
        "<style>text{font-family:Helvetica,Arial,sans-serif;text-anchor:middle;fill:#1b1f24}"
        ".title{font-size:16px;font-weight:bold}.subtitle{font-size:12.5px}"
        ".arrow{stroke:#57606a;stroke-width:1.6;fill:none}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#57606a"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height:g}" rx="10" fill="#ffffff"/>',
    ]
    for box in BOXES:
        lines += _box(*box)
    for row, column in ACROSS:
        y = _top(row) + HEIGHT / 2
        lines.append(_arrow(_left(column) + COLUMN, y, _left(column + 1), y))
    for row, column, target in DOWN:
        x = _left(column) + COLUMN / 2
        lines.append(_arrow(x, _top(row) + HEIGHT, x, _top(target)))
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
