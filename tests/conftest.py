# SPDX-License-Identifier: Apache-2.0
"""Shared setup of all tests: repeatable seeds, a quiet TensorFlow, hypothesis settings."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from tests import summary
from tests.summary import SEED
from zynq_lstm.sim.simulation.simulator import QUICK

# As models.quiet sets them: a test may be the first to import TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "Agg")
# Compilation with optimization takes longer than nearly every simulation; not in tests/hls/test_long_run.py.
os.environ.setdefault(QUICK, "1")

SLOW = ("slow", "hls", "rtl", "nightly")  # marks of tests that take long

settings.register_profile("zynq_lstm", deadline=None, print_blob=True, database=None)
settings.load_profile("zynq_lstm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--records", type=Path, help="folder to write records of nightly figures to")
    parser.addoption("--shuffle", action="store_true", help="files, and tests in them, in random order")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = SEED
    config.pluginmanager.register(summary, summary.__name__)


def pytest_report_header() -> str:
    return f"seed: {SEED} (ZYNQ_LSTM_TEST_SEED overrides it)"


@pytest.hookimpl(trylast=True)  # after other hooks have deselected tests
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Slow files first, short ones last: these fill the other processes' time while the last slow one runs.
    slow = {item.path for item in items if any(map(item.get_closest_marker, SLOW))}
    order = {path: (path not in slow, -float(n)) for path, n in Counter(x.path for x in items).items()}
    if config.getoption("--shuffle"):
        chance = random.Random(SEED)
        items.sort(key=lambda _: chance.random())
        order = {path: (path not in slow, chance.random()) for path in order}
    items.sort(key=lambda item: order[item.path])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        again = f"ZYNQ_LSTM_TEST_SEED={SEED} {sys.executable} -m pytest '{item.nodeid}'"
        report.sections.append(("to repeat it", again))


@pytest.fixture(scope="session")
def seed() -> int:
    """Return the seed of this run: the same for every test, so that a test can be repeated alone."""
    return SEED


@pytest.fixture
def write_record(request: pytest.FixtureRequest) -> Callable[[dict[str, Any]], None]:
    """Return a function that writes a record to the folder of ``--records``, if that is given."""
    from zynq_lstm.models.store import write_json
    from zynq_lstm.sim.campaigns import records

    folder: Path | None = request.config.getoption("--records")

    def write(record: dict[str, Any]) -> None:
        if folder:
            write_json(records.path(record["kind"], folder), record)

    return write


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """A fresh generator for each test."""
    return np.random.default_rng(seed)


@pytest.fixture(autouse=True)
def _seed_globals(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for libraries that draw from the global generator
