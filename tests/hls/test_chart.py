# SPDX-License-Identifier: Apache-2.0
"""The chart of the schedule: whole, and with every idle cycle explained."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.networks import small_spec
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.chart import chart, draw
from zynq_lstm.hls.engine.estimate import fitting_array
from zynq_lstm.hls.engine.schedule import schedule
from zynq_lstm.models.description.spec import NetworkSpec, network_spec

CASES = {
    "default": (network_spec("w8a8", vocabulary=78), None),
    "narrow": (network_spec("w4a8", vocabulary=78), None),
    "waits": (small_spec("w8a8", 10, (9, 7)), Array(3, 4, 2, 2)),
    "one layer": (small_spec("w8a8", 65, (20,)), Array(4, 2, 2, 2)),
}


@pytest.mark.parametrize("mode", ["generate", "score"])
@pytest.mark.parametrize("name", CASES)
def test_cycles_add_up(name: str, mode: str) -> None:
    """Steps and idle stretches of the array fill the period; useful lanes and losses make all of them."""
    spec, array = CASES[name]
    shown = _chart(spec, array, mode)
    bars = shown.rows[0].bars
    assert sum(bar.end - bar.start + 1 for bar in bars) == shown.cycles
    taken = sorted(c % shown.cycles for bar in bars for c in range(bar.start, bar.end + 1))
    assert taken == list(range(shown.cycles))
    assert all(wait.reason for wait in shown.waits)
    assert shown.utilisation + sum(shown.losses.values()) == pytest.approx(1)
    assert all(loss >= -1e-12 for loss in shown.losses.values())


def test_default_is_without_idle_cycle() -> None:
    shown = _chart(*CASES["default"], "generate")
    assert shown.waits == () and shown.cycles == 512
    assert shown.utilisation == pytest.approx(206_592 / (512 * 416))


def test_picture_is_the_same_every_time(tmp_path: Path) -> None:
    shown = _chart(*CASES["waits"], "generate")
    for name in ("a.svg", "b.svg"):
        draw(shown, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_verb(tmp_path: Path) -> None:
    from zynq_lstm.scripts.verbs.schedule import command

    result = CliRunner().invoke(command, ["--output", str(tmp_path / "chart.svg")])
    assert result.exit_code == 0, result.output
    assert "512 cycles per character" in result.output and "97.0 %" in result.output
    assert (tmp_path / "chart.svg").read_text().startswith("<?xml")


def _chart(spec: NetworkSpec, array: Array | None, mode: str):  # type: ignore[no-untyped-def]
    return chart(spec, schedule(spec, array or fitting_array(spec)), mode)
