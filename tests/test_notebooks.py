# SPDX-License-Identifier: Apache-2.0
"""The notebooks run from top to bottom, and what they assert holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["cells"])


def script(path: Path) -> str:
    """The code of all cells; as in Jupyter, a cell's last expression may stand alone."""
    return "\n\n".join("".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "code")


def test_there_are_notebooks_for_both() -> None:
    assert [path.name for path in NOTEBOOKS] == ["hardware.ipynb", "hls4ml_users.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_results(path: Path) -> None:
    """They would be of one machine and one day."""
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["nbformat"], data["metadata"]["kernelspec"]["name"]) == (4, "python3")
    for cell in data["cells"]:
        assert cell["id"] and "".join(cell["source"]).strip()
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    compile(script(path), str(path), "exec")


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    code = tmp_path / "notebook.py"
    code.write_text(script(path), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(code)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert ", 0 differ" in done.stdout


def test_the_notebook_for_hls4ml_calls_only_hls4ml_behind_the_model() -> None:
    """The point of it: converting, compiling, running and building are hls4ml's own calls."""
    code = script(ROOT / "notebooks" / "hls4ml_users.ipynb")
    _, behind = code.split("import hls4ml\n")
    imports = [line for line in behind.splitlines() if line.startswith(("import ", "from "))]
    assert imports == []
    assert behind.count("hls4ml.converters.convert_from_keras_model(") == 2
