# SPDX-License-Identifier: Apache-2.0
"""Boxes and arrows as SVG, for the pictures of the documentation that are not measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

#: Fill and line colours by the package that a box belongs to.
COLOURS = {
    "models": ("#e8f1fb", "#2f6db3"),
    "sim": ("#eaf6ec", "#2e8540"),
    "hls": ("#fdf0e3", "#c2681c"),
    "all": ("#f2eefb", "#6b4fbb"),
}
STYLE = (
    "<style>text{font-family:Helvetica,Arial,sans-serif;text-anchor:middle;fill:#1b1f24}"
    ".title{font-size:16px;font-weight:bold}.subtitle{font-size:12.5px}"
    ".arrow{stroke:#57606a;stroke-width:1.6;fill:none}</style>"
)
HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="#57606a"/></marker></defs>'
)


def picture(width: float, height: float, title: str, lines: Iterable[str]) -> str:
    """Return an SVG file with a white background; equal lines give equal text."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
            f"<title>{escape(title)}</title>",
            STYLE,
            HEAD,
            f'<rect width="{width:g}" height="{height:g}" rx="10" fill="#ffffff"/>',
            *lines,
            "</svg>",
            "",
        ]
    )


def box(
    x: float, y: float, width: float, height: float, package: str, title: str, lines: Sequence[str]
) -> list[str]:
    """Return a box with a title and lines of text in its middle; x and y are its upper left corner."""
    fill, line = COLOURS[package]
    middle, first = x + width / 2, y + height / 2 + 6 - 10 * len(lines)
    drawn = [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7" '
        f'fill="{fill}" stroke="{line}" stroke-width="1.5"/>',
        f'<text x="{middle:g}" y="{first:g}" class="title">{escape(title, quote=False)}</text>',
    ]
    for number, text in enumerate(lines):
        at = first + 20 + 16 * number
        drawn.append(f'<text x="{middle:g}" y="{at:g}" class="subtitle">{escape(text, quote=False)}</text>')
    return drawn


def arrow(*points: tuple[float, float], both: bool = False) -> str:
    """Return a line through points, with a head at its end and, with ``both``, also at its beginning."""
    path = " L".join(f"{x:g} {y:g}" for x, y in points)
    start = ' marker-start="url(#head)"' if both else ""
    return f'<path d="M{path}" class="arrow"{start} marker-end="url(#head)"/>'


def label(x: float, y: float, text: str, anchor: str = "middle") -> str:
    """Return text beside an arrow."""
    place = f'x="{x:g}" y="{y:g}" class="subtitle" style="text-anchor:{anchor}"'
    return f"<text {place}>{escape(text, quote=False)}</text>"
