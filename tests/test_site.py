# SPDX-License-Identifier: Apache-2.0
"""The documentation's site: it loads nothing from elsewhere, and has a real first page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.site import from_elsewhere

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example/m.js"></script>'),
        ("a.html", '<script type="module">import mermaid from "https://cdn.example/m.mjs";</script>'),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/a.css">'),
        ("a.html", '<link rel="preconnect" href="https://fonts.example">'),
        ("a.html", '<img src="http://a.example/b.png">'),
        ("a.html", '<img src="HTTPS://a.example/b.png">'),
        ("a.html", '<source srcset="a.png 1x, https://a.example/b.png 2x">'),
        ("a.html", '<p style="background: url(https://a.example/b.png)">'),
        ("a.html", "<style>@import 'https://a.example/b.css';</style>"),
        ("a.html", '<iframe src="https://a.example"></iframe>'),
        ("a.svg", '<svg><image href="https://a.example/b.png"/></svg>'),
        ("a.css", '@font-face { src: url("https://a.example/b.woff2") }'),
        ("a.js", 'const m = await import("https://cdn.example/m.mjs")'),
        ("a.js", 'e.src="https://cdn.example/m.js"'),
    ],
)
def test_what_a_browser_would_load_is_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / name).write_text(text, encoding="utf-8")
    ((path, address),) = from_elsewhere(tmp_path)
    assert path == Path("deep") / name and "example" in address


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://example.org">a link</a>',
        '<link rel="canonical" href="https://example.org/a.html">',
        '<script src="_static/a.js"></script><img src="data:image/svg+xml;base64,AAAA">',
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="#a"/></svg>',
        "<p>url(https://example.org) is a text</p>",
    ],
)
def test_links_and_own_files_are_no_matter(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.html").write_text(text, encoding="utf-8")
    assert not list(from_elsewhere(tmp_path))


def test_nothing_in_the_sources_draws_in_the_browser() -> None:
    """There are no Sphinx extensions that load a script from elsewhere, and no pictures from elsewhere."""
    configuration = (DOCS / "conf.py").read_text(encoding="utf-8")
    extensions = re.findall(r"\"([\w.]+)\"", configuration.split("extensions = [")[1].split("]")[0])
    assert set(extensions) == {"myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"}
    assert not list(from_elsewhere(DOCS))
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"!\[[^\]]*\]\((?:https?:)?//", text), page.name
        assert "```mermaid" not in text, page.name


def test_the_first_page_is_a_page() -> None:
    """It says what the project is and how to begin, and names every page with its purpose."""
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    assert ":hidden:" in text and "make demo" in text and "](flow.svg)" in text
    table = text.split("```{toctree}")[0]
    listed = set(re.findall(r"\]\((\w+)\.md\)", table))
    assert listed == {page.stem for page in DOCS.glob("*.md")} - {"index"}
