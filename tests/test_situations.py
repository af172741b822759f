# SPDX-License-Identifier: Apache-2.0
"""The situations of :mod:`tests.situations`, each with the right answer.

With ``--records FOLDER``, a run of all of them is recorded there, for ``zynq-lstm figures robustness``.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.situations
from tests.situations import Situation
from zynq_lstm.models.store import write_json
from zynq_lstm.scripts import main as cli
from zynq_lstm.sim.campaigns import records


def _table() -> dict[str, Situation]:
    """Return all rows, by module and name."""
    found: dict[str, Situation] = {}
    for info in pkgutil.iter_modules(tests.situations.__path__):
        module = importlib.import_module(f"{tests.situations.__name__}.{info.name}")
        found |= {f"{info.name}: {name}": row for name, row in module.SITUATIONS.items()}
    return found


TABLE = _table()
FIRST_SECOND = {name: row for name, row in TABLE.items() if row.code == 2 and not row.imports}


class Tally:
    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.right: Counter[str] = Counter()


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    counted = Tally()
    yield counted
    folder: Path | None = request.config.getoption("--records")
    if folder and counted.tried.total() == len(TABLE):
        counts: dict[str, Any] = {
            kind: {"tried": counted.tried[kind], "right": counted.right[kind]}
            for kind in ("cases", "situations")
        }
        write_json(records.path(records.SITUATIONS, folder), records.new(records.SITUATIONS, **counts))


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _prepared(row: Situation, parent: Path) -> Path:
    """Make the working folder with the files of a situation."""
    folder = parent / row.folder
    folder.mkdir(exist_ok=True)
    if row.prepare:
        row.prepare(folder)
    return folder


@pytest.mark.record
@pytest.mark.parametrize("name", TABLE)
def test_situation(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tally: Tally,
) -> None:
    row = TABLE[name]
    kind = "cases" if row.case else "situations"
    tally.tried[kind] += 1
    folder = _prepared(row, tmp_path)
    monkeypatch.chdir(folder)
    before = _content(folder)
    capsys.readouterr()
    code = cli.main(shlex.split(row.line))
    out, err = capsys.readouterr()
    assert code == row.code, out + err
    if row.code == 2:
        assert re.fullmatch(r"(?:zynq-lstm: note: .*\n)*zynq-lstm: error: .*\n", err), err
        assert _content(folder) == before, "a refused command has changed files"
    assert re.search(row.said, err if row.code else out + err), out + err
    if row.check:
        row.check(folder)
    tally.right[kind] += 1


# Runs command lines, each in its folder, until one imports a package that takes seconds; prints the result of
# each. One process runs all, since its start takes longer than most of the answers.
LIGHT = """
import contextlib, io, json, os, sys
sys.path.insert(0, sys.argv[1])
from zynq_lstm.scripts.main import main
for folder, *arguments in json.load(sys.stdin):
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main(arguments)
    heavy = sorted({"tensorflow", "keras", "hls4ml"} & set(sys.modules))
    print(json.dumps([code, heavy]), flush=True)
    if heavy:
        break
"""


def test_answers_in_the_first_second(tmp_path: Path) -> None:
    """These answers follow from configuration and files: TensorFlow, which takes seconds, is not imported."""
    lines = []
    for number, row in enumerate(FIRST_SECOND.values()):
        parent = tmp_path / str(number)
        parent.mkdir()
        folder = _prepared(row, parent)
        lines.append([str(folder), *shlex.split(row.line)])
    root = Path(cli.__file__).parent.parent
    left, wrong = dict(zip(FIRST_SECOND, lines, strict=True)), {}
    while left:
        done = subprocess.run(
            [sys.executable, "-c", LIGHT, str(root)],
            input=json.dumps(list(left.values())),
            stdout=subprocess.PIPE,
            text=True,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert answers, f"{next(iter(left))}: no answer"
        wrong |= {name: answer for name, answer in zip(left, answers, strict=False) if answer != [2, []]}
        left = dict(list(left.items())[len(answers) :])
    assert not wrong
