# SPDX-License-Identifier: Apache-2.0
"""Draw ``docs/flow.svg``, the picture of the flow in the README (``make docs``)."""

from __future__ import annotations

from pathlib import Path

from docs.drawing import arrow, box, picture

WIDTH, MARGIN, GAP, COLUMNS = 920, 20, 20, 4
COLUMN = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
HEIGHT = 66  # of a box
STEP = HEIGHT + 34  # from one row to the next

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
# Arrows to the next column: (row, column). Arrows down in the middle of a column: (row, column, last row).
ACROSS = [(0, 0), (0, 1)]
DOWN = [(0, 2.5, 1), (1, 0, 3), (1, 1, 2), (1, 2.5, 2), (2, 1, 3), (2, 2, 3), (2, 3, 3)]
DOWN += [(3, column, 4) for column in range(4)]


def _left(column: float) -> float:
    return MARGIN + column * (COLUMN + GAP)


def _top(row: int) -> float:
    return MARGIN + row * STEP


def draw() -> str:
    """Return the picture as SVG; the text is the same at every call."""
    height = _top(4) + HEIGHT + MARGIN
    lines: list[str] = []
    for row, column, span, package, title, subtitle in BOXES:
        width = span * COLUMN + (span - 1) * GAP
        lines += box(_left(column), _top(row), width, HEIGHT, package, title, [subtitle])
    for row, column in ACROSS:
        y = _top(row) + HEIGHT / 2
        lines.append(arrow((_left(column) + COLUMN, y), (_left(column + 1), y)))
    for row, column, target in DOWN:
        x = _left(column) + COLUMN / 2
        lines.append(arrow((x, _top(row) + HEIGHT), (x, _top(target))))
    return picture(WIDTH, height, "From text to four engines that give the same integers", lines)


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
