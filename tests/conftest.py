# SPDX-License-Identifier: Apache-2.0
"""What every test shares: seeds that can be repeated, a quiet TensorFlow, hypothesis settings."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# As models.quiet sets them: a test may be the first to import TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "Agg")

SEED = int(os.environ.get("ZYNQ_LSTM_TEST_SEED", "20150331"))

settings.register_profile("zynq_lstm", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("zynq_lstm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--records", type=Path, help="folder to write records of nightly figures to")


def pytest_report_header() -> str:
    return f"seed: {SEED} (ZYNQ_LSTM_TEST_SEED overrides it)"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        report.sections.append(("seed", f"ZYNQ_LSTM_TEST_SEED={SEED}"))


@pytest.fixture(scope="session")
def seed() -> int:
    """The seed of this run: the same for every test, so that one test alone repeats."""
    return SEED


@pytest.fixture
def write_record(request: pytest.FixtureRequest) -> Callable[[dict[str, Any]], None]:
    """Writes a record of :mod:`sim.records` to the folder of ``--records``, if that is given."""
    from sim import records

    folder: Path | None = request.config.getoption("--records")

    def write(record: dict[str, Any]) -> None:
        if folder:
            records.write(records.path(record["kind"], folder), record)

    return write


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """A fresh generator for each test."""
    return np.random.default_rng(seed)


@pytest.fixture(autouse=True)
def _seed_globals(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for libraries that draw from the global generator
