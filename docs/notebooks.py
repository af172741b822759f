# SPDX-License-Identifier: Apache-2.0
"""Run the notebooks and keep their outputs in them, without Jupyter (``make notebooks``).

``python -m docs.notebooks FILE ...`` runs only these notebooks.

A cell's outputs are what it prints and the value of its last expression, as in Jupyter. A cell that
writes to standard error fails: such output would confuse a reader.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"

#: Runs in its own process: reads the cells as JSON from standard input, and writes their outputs to a file.
RUNNER = """
import ast, contextlib, json, os, pprint, sys, tempfile

@contextlib.contextmanager
def captured(kept):
    saved = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(saved, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
            for name, file in (("out", out), ("err", err)):
                file.seek(0)
                kept[name] = file.read().decode("utf-8", "replace")

names, found = {"__name__": "__main__"}, []
for name, source in json.load(sys.stdin):
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    kept, value = {}, None
    try:
        with captured(kept):
            exec(compile(tree, name, "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), name, "eval"), names)
    except BaseException:
        sys.stderr.write(kept.get("out", "") + kept.get("err", ""))
        raise
    if kept["err"]:
        sys.exit(f"{name} wrote to standard error:\\n{kept['err']}")
    shown = None if value is None else pprint.pformat(value, sort_dicts=False)
    found.append([kept["out"], shown])
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(found, file)
"""


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cells that run."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def code_hash(notebook: dict[str, Any]) -> str:
    """Return the hash of the code of all cells; outputs with the same hash belong to this code."""
    sources = ["".join(cell["source"]) for cell in code_cells(notebook)]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def executed(notebook: dict[str, Any], folder: Path, keep: Path) -> dict[str, Any]:
    """Run the notebook's cells in ``folder``, and return the notebook with their outputs.

    Args:
        notebook: the notebook's JSON data.
        folder: folder in which the cells run.
        keep: folder for the file that passes the outputs on.

    Raises:
        RuntimeError: if a cell failed, or wrote to standard error.
    """
    sources = [[cell["id"], "".join(cell["source"])] for cell in code_cells(notebook)]
    outputs = keep / "outputs.json"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{RUNNER}", str(outputs)],
        input=json.dumps(sources),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-5000:])
    found = iter(json.loads(outputs.read_text(encoding="utf-8")))
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            printed, value = next(found)
            cell = cell | {"execution_count": count, "outputs": _outputs(count, printed, value, folder)}
        cells.append(cell)
    metadata = notebook["metadata"] | {"zynq_lstm": {"outputs_of_code": code_hash(notebook)}}
    return notebook | {"cells": cells, "metadata": metadata}


def _outputs(count: int, printed: str, value: str | None, folder: Path) -> list[dict[str, Any]]:
    """Return a cell's outputs in the notebook format; paths are relative to the folder."""
    outputs: list[dict[str, Any]] = []
    if printed:
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(printed, folder)})
    if value is not None:
        data = {"text/plain": _lines(value, folder)}
        outputs.append(
            {"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"}
        )
    return outputs


def _lines(text: str, folder: Path) -> list[str]:
    for place in (folder.resolve(), ROOT):
        text = text.replace(f"{place}/", "")
    return text.splitlines(keepends=True)


def text_of(notebook: dict[str, Any]) -> str:
    """Return all outputs as one text."""
    lines: list[str] = []
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            lines += [*output.get("text", ()), *output.get("data", {}).get("text/plain", ()), "\n"]
    return "".join(lines)


if __name__ == "__main__":
    from zynq_lstm.models.store import write_text

    build = FOLDER / "build"
    build.mkdir(exist_ok=True)
    for path in [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        print(f"{path.name} runs", flush=True)
        made = executed(json.loads(path.read_text(encoding="utf-8")), FOLDER, build)
        write_text(path, json.dumps(made, indent=1, ensure_ascii=False) + "\n")
