# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm peers`` on a folder of small tests that stands in for a checkout of hls4ml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zynq_lstm.scripts.main import main

SAME = """
import pytest

@pytest.mark.parametrize("k", [0, 1])
def test_passes(k):
    import hls4ml
    assert "vitis" in hls4ml.backends.get_available_backends()

def test_fails():
    assert False

@pytest.mark.skip
def test_is_skipped():
    pass
"""
DIFFERENT = """
def test_backends():
    import hls4ml
    assert "openrtl" not in hls4ml.backends.get_available_backends()
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    tests = tmp_path / "checkout" / "test" / "pytest"
    tests.mkdir(parents=True)
    (tests / "test_rnn.py").write_text(SAME)
    (tests / "test_dense.py").write_text("def test_x(): raise SystemExit(7)")
    return tmp_path / "checkout"


@pytest.mark.slow
def test_equal_outcomes(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkout.parent / "outcomes.json"
    assert main(["peers", str(checkout), "--json", str(path)]) == 0
    out = capsys.readouterr().out
    for mode in ("without", "with"):
        assert f"{mode} zynq-lstm: 1 failed, 2 passed, 1 skipped" in out
    assert "all 4 tests come out the same" in out
    outcomes = json.loads(path.read_text())
    assert outcomes["test_rnn::test_passes[1]"] == {"without": "passed", "with": "passed"}
    assert outcomes["test_rnn::test_fails"] == {"without": "failed", "with": "failed"}


@pytest.mark.slow
def test_a_difference_is_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "test" / "pytest" / "test_recurrent_x.py").write_text(DIFFERENT)
    assert main(["peers", str(checkout), "--tests", "test_rec*.py"]) == 1
    captured = capsys.readouterr()
    assert "1 of 1 tests come out differently" in captured.err
    row = next(line for line in captured.out.splitlines() if "test_backends" in line)
    assert row.split() == ["│", "test_recurrent_x::test_backends", "│", "passed", "│", "failed", "│"]


def test_nothing_to_run(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["peers", str(checkout), "--tests", "no*.py"]) == 2
    assert "there is no no*.py" in capsys.readouterr().err


@pytest.mark.slow
def test_nothing_that_passes_is_no_agreement(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "test" / "pytest" / "test_rnn.py").write_text("import no_such_package\ndef test_x(): pass\n")
    assert main(["peers", str(checkout)]) == 2
    assert "zynq-lstm" in capsys.readouterr().err


@pytest.mark.slow
def test_the_wrong_hls4ml_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the tests undo the plugin's work, the run is refused, not compared."""
    (checkout / "test" / "pytest" / "test_rnn.py").write_text(
        "def test_x():\n"
        "    from hls4ml.backends.backend import register_backend\n"
        "    from hls4ml.writer.writers import register_writer\n"
        "    from zynq_lstm.sim.hls4ml.plugin import register\n"
        "    register(register_backend=register_backend, register_writer=register_writer)\n"
    )
    assert main(["peers", str(checkout)]) == 2
