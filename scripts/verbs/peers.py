# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm peers``: run hls4ml's own tests of recurrent layers, with and without this package."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import click

from zynq_lstm.models import interruption, processes
from zynq_lstm.models.errors import CheckError, UserError, require_package
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import json_option

TESTS = Path("test") / "pytest"  # in a checkout of hls4ml
RECURRENT = ("test_rnn*.py", "test_recurrent*.py")


@click.command(cls=Verb, name="peers")
@click.argument("checkout", type=Reads(folder=True))
@click.option(
    "--tests",
    "patterns",
    multiple=True,
    help=f"Files in {TESTS} to run; may be given several times.  [default: {', '.join(RECURRENT)}]",
)
@json_option("Write every outcome there.")
def command(checkout: Path, patterns: tuple[str, ...], json_path: Path | None) -> None:
    """Run hls4ml's own tests from CHECKOUT twice, without and with this package hooked into hls4ml.

    The installed hls4ml is tested with the tests of the checkout, which should be of the same version;
    they write their projects beside the test files. Nothing is installed. Exit code 1 if the outcome of a
    test differs.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.hls.hls4ml.peers import MODES
    from zynq_lstm.models.store import write_json
    from zynq_lstm.scripts.tables import show

    require_package("pytest")
    folder = checkout.resolve() / TESTS
    files = sorted({file for pattern in patterns or RECURRENT for file in folder.glob(pattern)})
    if not files:
        raise UserError(f"{folder}: there is no {' or '.join(patterns or RECURRENT)}")
    console = Console()
    outcomes = {}
    for mode in MODES:
        with console.status(f"{mode} zynq-lstm"):
            outcomes[mode] = run(files, mode)
        counts = Counter(outcomes[mode].values())
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        console.print(f"{mode} zynq-lstm: {told}", highlight=False)
    without, with_ = outcomes.values()
    if "passed" not in without.values():
        raise UserError("not one of the tests passes without zynq-lstm: there is nothing to compare")
    pairs = {test: (without.get(test), with_.get(test)) for test in sorted({*without, *with_})}
    if json_path:
        write_json(json_path, {test: dict(zip(MODES, p, strict=True)) for test, p in pairs.items()})
    different = {test: pair for test, pair in pairs.items() if pair[0] != pair[1]}
    if different:
        table = Table("test", *MODES)
        for test, pair in different.items():
            table.add_row(test, *(outcome or "not run" for outcome in pair))
        show(table, console)
        raise CheckError(f"{len(different)} of {len(pairs)} tests come out differently with zynq-lstm")
    console.print(f"all {len(pairs)} tests come out the same", highlight=False)


def run(files: list[Path], mode: str) -> dict[str, str]:
    """Return the outcome of each test: passed, failed, error or skipped.

    Raises:
        UserError: if pytest could not run, or hls4ml was not as ``mode`` says.
    """
    from zynq_lstm.hls.hls4ml.peers import VARIABLE

    with interruption.temporary_folder() as scratch:
        results = scratch / "results.xml"
        ours = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH")]))
        done = processes.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "pytest",
                    "-p",
                    "zynq_lstm.hls.hls4ml.peers",
                    "-p",
                    "no:cacheprovider",
                ),
                *("-q", "--tb=no", f"--junit-xml={results}", *map(str, files)),
            ],
            cwd=files[0].parent,
            env=os.environ | {VARIABLE: mode, "PYTHONPATH": path},
        )
        if done.returncode not in (0, 1) or not results.exists():
            last = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
            raise UserError(f"pytest ended with code {done.returncode} {mode} zynq-lstm: {last[-1]}")
        cases = ElementTree.parse(results).getroot().iter("testcase")
        return {f"{case.get('classname')}::{case.get('name')}": _outcome(case) for case in cases}


def _outcome(case: ElementTree.Element) -> str:
    kinds = {"failure": "failed", "error": "error", "skipped": "skipped"}
    return next((kinds[child.tag] for child in case if child.tag in kinds), "passed")
