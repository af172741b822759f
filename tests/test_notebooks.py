# SPDX-License-Identifier: Apache-2.0
"""The notebooks run from top to bottom, and the outputs stored in them are those of their code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs import notebooks

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def script(path: Path) -> str:
    """Return the code of all cells."""
    return "\n\n".join("".join(cell["source"]) for cell in notebooks.code_cells(read(path)))


def test_there_are_notebooks_for_both() -> None:
    assert [path.name for path in NOTEBOOKS] == ["hardware.ipynb", "hls4ml_users.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stored_and_of_this_code(path: Path) -> None:
    data = read(path)
    assert (data["nbformat"], data["metadata"]["kernelspec"]["name"]) == (4, "python3")
    compile(script(path), str(path), "exec")
    stored = data["metadata"].get("zynq_lstm", {}).get("outputs_of_code")
    assert stored == notebooks.code_hash(data), "run make notebooks"
    for cell in data["cells"]:
        assert cell["id"] and "".join(cell["source"]).strip()
    counts = [cell["execution_count"] for cell in notebooks.code_cells(data)]
    assert counts == list(range(1, len(counts) + 1))
    assert ", 0 differ" in notebooks.text_of(data)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_hold_no_machine_and_no_trouble(path: Path) -> None:
    """Outputs have no absolute path, warning, error or time of day."""
    data = read(path)
    for cell in notebooks.code_cells(data):
        for output in cell["outputs"]:
            assert output["output_type"] in ("stream", "execute_result")
            assert output.get("name", "stdout") == "stdout"
    text = notebooks.text_of(data)
    assert text.strip()
    assert not re.findall(r"(?<![\w.}])/(?:\w[\w.-]*/)+", text)
    assert not re.findall(r"(?i)warning|deprecat|traceback|\berror:|cuda|onednn", text)
    assert not re.findall(r"\x1b\[|\d\d:\d\d:\d\d", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_page_says_how_to_run_it_and_where_it_writes(path: Path) -> None:
    first = "".join(read(path)["cells"][0]["source"])
    assert f"jupyter lab notebooks/{path.name}" in first and "notebooks/build" in first
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/notebooks/build/" in ignored
    assert f'Path("build/{path.stem}")' in script(path)


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_gives_its_outputs(path: Path, tmp_path: Path) -> None:
    """Integers are the same everywhere; TensorFlow's training need not be, so numbers after it may differ."""
    folder = tmp_path / "here"
    folder.mkdir()
    data = read(path)
    found, stored = (notebooks.text_of(one) for one in (notebooks.executed(data, folder, tmp_path), data))
    if "fit(" in script(path):
        found, stored = without_numbers(found), without_numbers(stored)
    assert found == stored, "run make notebooks"
    assert {file.name for file in folder.iterdir()} == {"build"}


def without_numbers(text: str) -> str:
    """Return the words of a text, without numbers and the blanks and lines around them."""
    words = re.sub(r"[-+]?\d[\d.,]*", "#", re.sub(r"[\u2500-\u257f]+", " ", text))
    return " ".join(words.split())


def test_a_cell_that_warns_or_fails_stops_the_run(tmp_path: Path) -> None:
    def run(*sources: str) -> dict[str, Any]:
        cells = [{"id": f"c{k}", "cell_type": "code", "source": text} for k, text in enumerate(sources)]
        return notebooks.executed({"cells": cells, "metadata": {}}, tmp_path, tmp_path)

    made = run(
        "x = 2\nprint('a')", "import os\nos.system('echo b')\nx + 1", f"print({str(tmp_path)!r} + '/f')"
    )
    assert notebooks.text_of(made) == "a\n\nb\n\n3\nf\n\n"
    for bad, said in (
        ("import warnings; warnings.warn('old')", "c1 wrote to standard error"),
        ("import os; os.write(2, b'from C')", "from C"),
        ("1 / 0", "ZeroDivisionError"),
    ):
        with pytest.raises(RuntimeError, match=said):
            run("1", bad)


def test_the_notebook_for_hls4ml_calls_only_hls4ml_behind_the_model() -> None:
    """This is the purpose of the notebook: convert, compile, run and build are hls4ml's own calls."""
    code = script(ROOT / "notebooks" / "hls4ml_users.ipynb")
    _, behind = code.split("import hls4ml\n")
    imports = [line for line in behind.splitlines() if line.startswith(("import ", "from "))]
    assert imports == []
    assert behind.count("hls4ml.converters.convert_from_keras_model(") == 2
