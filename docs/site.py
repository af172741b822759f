# SPDX-License-Identifier: Apache-2.0
"""Check that the built site loads nothing from elsewhere (``make site``): ``python -m docs.site FOLDER``.

Links that a reader may follow are allowed; scripts, styles, fonts, pictures and frames are not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

#: Attributes whose addresses a browser loads, by tag; for ``link`` only with one of :data:`RELATIONS`.
LOADED = {
    **dict.fromkeys(("script", "img", "iframe", "embed", "audio", "video", "track", "input"), ("src",)),
    "source": ("src", "srcset"),
    "object": ("data",),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
    "link": ("href",),
}
RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch"}
ELSEWHERE = re.compile(r"\s*(?:https?:)?//", re.I)
IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""", re.I)
IN_SCRIPTS = re.compile(
    r"""(?:\bimport\b|\bfrom\b|\bfetch|\bimportScripts|\.src\s*=)[\s(]*["'`]((?:https?:)?//[^"'`]+)"""
)


class _Page(HTMLParser):
    """Collects the addresses that a browser would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within = ""

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.within = tag
        self.found += IN_STYLES.findall(values.get("style", ""))
        if tag == "link" and not RELATIONS & set(values.get("rel", "").lower().split()):
            return
        for attribute in LOADED.get(tag, ()):
            places = values.get(attribute, "")
            for place in places.split(",") if attribute == "srcset" else [places]:
                if ELSEWHERE.match(place):
                    self.found.append(place.strip())

    def handle_endtag(self, tag: str) -> None:
        self.within = ""

    def handle_data(self, data: str) -> None:
        if self.within == "style":
            self.found += IN_STYLES.findall(data)
        if self.within == "script":
            self.found += IN_SCRIPTS.findall(data)


def from_elsewhere(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield files of the site with the addresses on other hosts that they load."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".svg"):
            page = _Page()
            page.feed(path.read_text(encoding="utf-8"))
            found = page.found
        elif path.suffix in (".css", ".js"):
            pattern = IN_STYLES if path.suffix == ".css" else IN_SCRIPTS
            found = pattern.findall(path.read_text(encoding="utf-8", errors="replace"))
        else:
            continue
        for address in found:
            yield path.relative_to(folder), address


if __name__ == "__main__":
    lines = [f"{path}: loads {address}" for path, address in from_elsewhere(Path(sys.argv[1]))]
    if lines:
        sys.exit("\n".join(["the site must work without a network:", *lines]))
