# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin to run hls4ml's own tests with this package registered, or as if it were not installed.

``zynq-lstm peers`` loads it (``-p zynq_lstm.hls.hls4ml.peers``); the environment variable :data:`VARIABLE`
selects the mode. The plugin must be loaded before hls4ml is imported, and ends the run with an error if
hls4ml ran in the other mode.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import Any

VARIABLE = "ZYNQ_LSTM_PEERS"
WITHOUT, WITH = MODES = ("without", "with")


def pytest_configure(config: Any) -> None:
    """Leave our entry point, or hide it from hls4ml."""
    assert "hls4ml" not in sys.modules, "hls4ml is imported already"
    if os.environ[VARIABLE] == WITH:
        return  # hls4ml finds the entry point
    hide()


def hide() -> None:
    """Hide our entry point from hls4ml, which is not imported yet, for the rest of this process."""
    entries = (entry for package in importlib.metadata.distributions() for entry in package.entry_points)
    others = importlib.metadata.EntryPoints(e for e in entries if not e.value.startswith("zynq_lstm."))
    importlib.metadata.entry_points = others.select  # type: ignore[assignment]


def pytest_sessionfinish(session: Any) -> None:
    """Check that hls4ml ran in the selected mode."""
    if "hls4ml" not in sys.modules:
        return
    from hls4ml.backends.backend import get_available_backends

    if ("openrtl" in get_available_backends()) != (os.environ[VARIABLE] == WITH):
        import pytest

        pytest.exit(f"hls4ml did not run {os.environ[VARIABLE]} zynq-lstm", returncode=4)
