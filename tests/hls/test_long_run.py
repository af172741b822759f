# SPDX-License-Identifier: Apache-2.0
"""Thousands of characters through the RTL in one run, every signal compared as it comes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import fitting_array
from zynq_lstm.models.description.checkpoint import Checkpoint, shipped
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.integers.choice import temperature_to_raw
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.integers.text import generate
from zynq_lstm.models.texts.corpus import load_corpus
from zynq_lstm.sim.bench.components import COMPARE_CYCLES
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.simulation.rtl import Rtl, Sequence
from zynq_lstm.sim.simulation.simulator import QUICK

pytestmark = [pytest.mark.rtl, pytest.mark.slow]

LONGEST = 100_000  # characters


@pytest.fixture(autouse=True)
def _compiled_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile with optimization: here the simulation takes longer than the compilation."""
    monkeypatch.delenv(QUICK, raising=False)


@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("characters", [10_000, pytest.param(LONGEST, marks=pytest.mark.nightly)])
def test_shipped_network_on_the_whole_engine(
    characters: int, tmp_path: Path, seed: int, write_record: Callable[..., None]
) -> None:
    """Score held-out text, then generate, twice: the RTL writes nine of ten characters itself."""
    network = freeze(Checkpoint.load(shipped("w8a8")))
    text = load_corpus().with_vocabulary(network.vocabulary).split().part("validation")
    scored = characters // 20
    length = characters // 2 - scored
    # Generation starts from the last character of the text, and the last character generated is not fed
    # back; therefore each pair of sequences is half of the characters.
    sequences = [
        part
        for start in (0, scored + 1)
        for part in (
            Sequence(text[start : start + scored]),
            Sequence(text[start + scored : start + scored + 1], length),
        )
    ]
    rtl = Rtl.build(Design(network, fitting_array(network.spec)), tmp_path)
    progress: list[int] = []
    try:
        report = rtl.verify(
            sequences, temperature_raw=temperature_to_raw(0.8), seed=seed, progress=progress.append
        )
    finally:
        if characters == LONGEST and (ran := rtl.report("verify")):
            write_record(records.longest_run(ran, seed))
    assert (report["characters"], report["mismatches"]) == (characters, 0)
    assert report["values"] == characters * (12 * 256 + network.spec.vocabulary)
    assert [len(part["generated"]) for part in report["sequences"]] == [0, length, 0, length]
    assert {part["cycles_per_character"] for part in report["sequences"]} == {512.0}
    assert all(before <= after for before, after in pairwise(progress))
    assert characters * 0.9 < progress[-1] <= characters
    written = report["sequences"][1]["generated"]
    prime = text[: scored + 1]
    assert written == generate(network, prime, length, temperature_to_raw(0.8), seed).tolist()
    assert len(set(written)) > 30  # text, not a short cycle
    folder = tmp_path / "run-verify"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 30 * characters + 100_000


def test_a_fault_late_in_a_run_is_named_and_ends_it(tmp_path: Path, seed: int) -> None:
    """The row of one code is wrong, and that code comes for the first time as character 3,000 of 8,000."""
    network = with_weights(small_spec("w8a8", 5, (3, 4)), np.random.default_rng(seed))
    rtl = Rtl.build(Design(network, Array(4, 2, 2, 2)), tmp_path)
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, 8_000)
    file = rtl.simulator.folder / "lstm_rows.mem"
    rows = file.read_text().splitlines()
    wrong = 1 * network.spec.vocabulary + 4  # of unit 1
    rows[wrong] = f"{int(rows[wrong], 16) ^ 0x20:0{len(rows[wrong])}x}"
    file.write_text("\n".join(rows) + "\n")
    assert rtl.verify([Sequence(codes)])["characters"] == 8_000
    codes[3_000] = 4
    with pytest.raises(
        CheckError, match=r"differ, first: character 3000, layer 0, z_i, unit 1: expected raw"
    ) as error:
        rtl.verify([Sequence(codes)])
    compared = int(str(error.value).split(" of ")[1].split()[0]) / (12 * 7 + 5)
    period = rtl.design.schedule.timing("score").cycles_per_character
    assert 3_000 < compared < 3_000 + COMPARE_CYCLES / period + 1 < 8_000


@pytest.mark.parametrize("sequence", [Sequence([]), Sequence([1], 0), Sequence([1], -1)])
def test_a_sequence_without_output_is_refused(sequence: Sequence) -> None:
    with pytest.raises(UserError, match=r"a sequence of \d codes and length .* has no output"):
        sequence.plan()
