# SPDX-License-Identifier: Apache-2.0
"""Draw ``docs/blocks.svg``, the block diagram of the RTL engine (``make docs``)."""

from __future__ import annotations

from pathlib import Path

from docs.drawing import arrow, box, label, picture

WIDTH, HEIGHT = 190, 72  # of a box
LEFT, TOP, COLUMN, ROW = 50, 50, 252, 124  # place of the first box, and distance between boxes

# Module or port -> column, row, package, lines of text.
BLOCKS = {
    "s_axis": (0, 0, "all", ["character codes"]),
    "character_control": (1, 0, "hls", ["which character is next"]),
    "axil_registers": (2, 0, "hls", ["settings and counters"]),
    "s_axil": (3, 0, "all", ["AXI4-Lite"]),
    "rom": (1, 1, "hls", ["rows of layer 0's W"]),
    "network_gates": (2, 1, "hls", ["z, gates, c, h:", "a unit a cycle"]),
    "hidden_buffer": (2, 2, "hls", ["h of all layers,", "two phases"]),
    "ram": (3, 2, "hls", ["U sums until the", "next character"]),
    "mac_sequencer": (0, 3, "hls", ["runs the schedule"]),
    "rom ": (1, 3, "sim", ["weights in the order", "of the schedule"]),
    "mac_chain": (2, 3, "sim", ["chains of DSP48E1,", "two products each"]),
    "accumulators": (3, 3, "sim", ["a sum for each lane"]),
    "shift register": (4, 3, "sim", ["a unit a cycle"]),
    "output_layer": (4, 4, "hls", ["logits"]),
    "character_choice": (3, 4, "hls", ["greedy, or", "Gumbel noise"]),
    "axis_fifo": (3, 5, "hls", []),
    "m_axis": (4, 5, "all", ["logits or characters"]),
}
ARRAY = ("rom ", "mac_chain", "accumulators", "shift register")  # parts of mac_array


def _at(name: str, dx: float = 0.5, dy: float = 0.5) -> tuple[float, float]:
    """Return a point of a block; ``dx`` and ``dy`` are fractions of its width and height."""
    column, row, *_ = BLOCKS[name]
    return LEFT + column * COLUMN + dx * WIDTH, TOP + row * ROW + dy * HEIGHT


def _arrows() -> list[str]:
    lines = [
        arrow(_at(start, 1), _at(end, 0), both=both)
        for start, end, both in (
            ("s_axis", "character_control", False),
            ("character_control", "axil_registers", True),
            ("axil_registers", "s_axil", True),
            ("rom", "network_gates", False),
            ("mac_sequencer", "rom ", False),
            ("rom ", "mac_chain", False),
            ("mac_chain", "accumulators", False),
            ("accumulators", "shift register", False),
            ("axis_fifo", "m_axis", False),
        )
    ]
    lines += [
        arrow(_at(start, 0.5, 1), _at(end, 0.5, 0))
        for start, end in (
            ("character_control", "rom"),
            ("network_gates", "hidden_buffer"),
            ("hidden_buffer", "mac_chain"),
            ("shift register", "output_layer"),
            ("character_choice", "axis_fifo"),
        )
    ]
    lines.append(arrow(_at("output_layer", 0), _at("character_choice", 1)))
    # Around corners.
    (x0, y0), (x1, y1) = _at("character_control", 0.8, 1), _at("network_gates", 0.3, 0)
    lines.append(arrow((x0, y0), (x0, y0 + 26), (x1, y0 + 26), (x1, y1)))
    lines.append(label(x1 + 8, y0 + 31, "a beat of layer 0 starts", "start"))
    (x0, y0), (x1, y1) = _at("network_gates", 0.25, 1), _at("mac_sequencer", 0.5, 0)
    lines.append(arrow((x0, y0), (x0, y0 + 26), (x1, y0 + 26), (x1, y1)))
    lines.append(label((x0 + x1) / 2, y0 + 20, "layer finished"))
    (x0, y0), (x1, y1) = _at("shift register", 0.7, 0), _at("network_gates", 1, 0.3)
    lines += [arrow((x0, y0), (x0, y1), (x1, y1)), label(x1 + 120, y1 - 7, "W.h, layers from 1 on")]
    (x0, y0), (x1, y1) = _at("shift register", 0.3, 0), _at("ram", 1)
    lines += [arrow((x0, y0), (x0, y1), (x1, y1)), label(x0 - 8, y1 + 30, "U.h", "end")]
    (x0, y0), (x1, y1) = _at("ram", 0.5, 0), _at("network_gates", 1, 0.7)
    lines.append(arrow((x0, y0), (x0, y1), (x1, y1)))
    (x0, y0), (x1, y1) = _at("output_layer", 0.3, 1), _at("axis_fifo", 0.8, 0)
    lines.append(arrow((x0, y0), (x0, y0 + 26), (x1, y0 + 26), (x1, y1)))
    (x0, y0), (x1, y1) = _at("character_choice", 0), _at("character_control", 0.5, 0)
    lines.append(arrow((x0, y0), (22, y0), (22, 24), (x1, 24), (x1, y1)))
    lines.append(label(x0 - 12, y0 - 7, "generate: the character chosen", "end"))
    for name, text in (("network_gates", "h"), ("hidden_buffer", "4 h a cycle"), ("shift register", "Wy.h")):
        x, y = _at(name, 0.5, 1)
        lines.append(label(x + 8, y + 24, text, "start"))
    x, y = _at("rom", 1, 0.5)
    lines.append(label(x + 30, y - 7, "x part"))
    x, y = _at("mac_sequencer", 1, 0.5)
    return [*lines, label(x + 30, y - 7, "address")]


def draw() -> str:
    """Return the picture as SVG; the text is the same at every call."""
    (left, top), (right, bottom) = _at(ARRAY[0], 0, 0), _at(ARRAY[-1], 1, 1)
    lines = [
        f'<rect x="{left - 8:g}" y="{top - 8:g}" width="{right - left + 16:g}" '
        f'height="{bottom - top + 32:g}" rx="9" fill="none" stroke="#57606a" stroke-dasharray="5 4"/>',
        label(left, bottom + 18, "mac_array, in segments", "start"),
    ]
    for name, (_, _, package, text) in BLOCKS.items():
        lines += box(*_at(name, 0, 0), WIDTH, HEIGHT, package, name.strip(), text)
    width, height = (_at("m_axis", 1, 1)[k] + 24 for k in (0, 1))
    return picture(
        width, height, "Blocks of the RTL engine and what passes between them", [*lines, *_arrows()]
    )


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
