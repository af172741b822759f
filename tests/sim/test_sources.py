# SPDX-License-Identifier: Apache-2.0
"""The hash of the sources that a measurement depends on: what changes it, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from zynq_lstm.sim.campaigns import records, sources

FILES = {
    "models/__init__.py": "",
    "models/ground.py": "def half(x):\n    return x / 2\n",
    "models/apart.py": "",
    "models/measured/ground.json": "{}",
    "hls/__init__.py": "",
    "hls/engine.py": "def make():\n    from zynq_lstm.models.ground import half\n\n    return half(2)\n",
    "hls/rtl/engine.sv": "module engine; // one\n  assign a = b;\nendmodule\n",
    "sim/__init__.py": "",
    "docs/tables.py": "ROWS = 3\n",
    "docs/page.md": "| rows |\n",
    "sim/campaign.py": (
        'import zynq_lstm.hls.engine\nfrom docs import tables\n\nBENCH = "zynq_lstm.sim.bench.text"\n'
    ),
    "sim/bench/__init__.py": "",
    "sim/bench/text.py": "LIMIT = 3\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    sources._imports.cache_clear()
    return tmp_path


def digest() -> str:
    sources._imports.cache_clear()
    return sources.digest(["zynq_lstm.sim.campaign"])


def test_all_that_is_imported_or_named_counts(project: Path) -> None:
    found = {path.relative_to(project).as_posix() for path in sources.sources(["zynq_lstm.sim.campaign"])}
    assert found == set(FILES) - {"models/apart.py", "models/measured/ground.json", "docs/page.md"}


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("models/ground.py", "x / 2", "x / 3"),
        ("hls/rtl/engine.sv", "a = b", "a = ~b"),
        ("sim/bench/text.py", "3", "4"),
        ("docs/tables.py", "3", "4"),
        ("sim/campaign.py", "import zynq_lstm.hls.engine", "import zynq_lstm.hls.engine as e"),
    ],
)
def test_a_change_changes_it(project: Path, name: str, old: str, new: str) -> None:
    before, path = digest(), project / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest() != before


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("models/ground.py", "def half(x):\n", 'def half(x):\n    """Half of it."""\n    # as one would\n'),
        ("hls/rtl/engine.sv", "// one", "/* another */\n\n"),
        ("models/apart.py", "", "x = 1"),
        ("models/measured/ground.json", "{}", "[]"),
        ("docs/page.md", "rows", "lines"),
    ],
)
def test_comments_and_what_is_apart_do_not(project: Path, name: str, old: str, new: str) -> None:
    before, path = digest(), project / name
    path.write_text(path.read_text().replace(old, new) if old else new)
    assert digest() == before


def test_new_file_of_data_counts(project: Path) -> None:
    before = digest()
    (project / "hls" / "rtl" / "more.sv").write_text("module more; endmodule\n")
    assert digest() != before


def test_unknown_module_is_an_error(project: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no module zynq_lstm\.sim\.nothing"):
        sources.digest(["zynq_lstm.sim.nothing"])


def test_installed_package_has_no_tests(project: Path) -> None:
    """Without the tests, it is unknown whether a record that depends on them is stale."""
    records.digest.cache_clear()
    try:
        assert records.digest(records.BAD_INPUTS) is None
        assert not records.stale({"kind": records.BAD_INPUTS, "sources": "0"})
    finally:
        records.digest.cache_clear()


def test_every_kind_of_record_names_modules_that_there_are() -> None:
    """A record without a hash would never be stale."""
    for modules, files in records.MEASURED.values():
        assert sources.sources(modules) and all((sources.ROOT / name).is_file() for name in files)
