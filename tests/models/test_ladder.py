# SPDX-License-Identifier: Apache-2.0
"""The ladder from float to integers, and how its bits per character are measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zynq_lstm.models.description.checkpoint import Checkpoint, preset_spec, shipped
from zynq_lstm.models.description.spec import PRESETS
from zynq_lstm.models.evaluation import ladder
from zynq_lstm.models.evaluation.bpc import (
    bits_partial,
    bits_per_character,
    evaluate_partial,
    evaluate_reference,
    float_states,
)
from zynq_lstm.models.evaluation.noise import noise_bound
from zynq_lstm.models.evaluation.partial import PartlyQuantized, format_names
from zynq_lstm.models.evaluation.shipped_records import load_record
from zynq_lstm.models.integers.freeze import freeze_weights
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.texts import corpus
from zynq_lstm.scripts.main import main

TEXT = "the quick brown fox jumps over the lazy dog; " * 120


def random_network(rng: np.random.Generator, vocabulary: str) -> Checkpoint:
    from zynq_lstm.models.description.spec import network_spec

    shapes = network_spec(vocabulary=len(vocabulary), units=6).weight_shapes()
    return Checkpoint(vocabulary, {n: rng.normal(0, 0.7, s).astype(np.float32) for n, s in shapes.items()})


def test_streams_from_the_float_network_s_states_are_one_stream(rng: np.random.Generator) -> None:
    """Float: exactly, however the text is cut. Integers: nearly; one stream gives the reference's figure."""
    text = corpus.from_text("t", TEXT)
    source = random_network(rng, text.vocabulary)
    spec = preset_spec(source, "w8a8")
    one = PartlyQuantized(spec, source.weights).run(text.codes[:-1][None])[0]
    wanted = bits_per_character(one, text.codes[1:])
    for streams in (1, 3, 7):
        states = float_states(PartlyQuantized(spec, source.weights), text.codes, streams)
        got = evaluate_partial(PartlyQuantized(spec, source.weights), text.codes, states, streams)
        assert abs(got - wanted) < 1e-9
    raw = freeze_weights(spec, source.weights)
    reference = evaluate_reference(IntegerNetwork.from_weights(spec, text.vocabulary, raw), text.codes)
    rounded = PartlyQuantized(spec, source.weights, format_names(spec))
    states = float_states(PartlyQuantized(spec, source.weights), text.codes, 3)
    assert abs(evaluate_partial(rounded, text.codes, states, 3) - reference) < 1e-3
    states = float_states(PartlyQuantized(spec, source.weights), text.codes, 1)
    assert abs(evaluate_partial(rounded, text.codes, states, 1) - reference) < 1e-12


def test_a_rung_is_the_network_with_only_that_rounded(rng: np.random.Generator) -> None:
    text = corpus.from_text("t", TEXT)
    source = random_network(rng, text.vocabulary)
    record = ladder.measure(source, text, ("w8a8", "w2a8"))
    steps = record["presets"]
    assert set(steps["w8a8"]) == set(ladder.STEPS)
    # The two presets differ only in their weights' formats.
    for step in ("tables", "activations", "state"):
        assert steps["w8a8"][step] == steps["w2a8"][step]
    assert steps["w2a8"]["weights"] != steps["w8a8"]["weights"]
    assert len({json.dumps(bits) for bits in (record["float"], *steps["w2a8"].values())}) == 6
    # The noise is that of the differences from float, character by character.
    spec = preset_spec(source, "w8a8")
    codes = text.split().validation
    states = float_states(PartlyQuantized(spec, source.weights), codes)
    real, rounded = (
        bits_partial(PartlyQuantized(spec, source.weights, names), codes, states)
        for names in ((), format_names(spec))
    )
    assert steps["w8a8"]["all"]["noise"]["validation"] == noise_bound(rounded - real) > 0
    rows = {(row["preset"], row["step"]): row for row in ladder.rows(record, source, {})}
    assert rows["w8a8", "all"]["validation_noise"] == noise_bound(rounded - real)
    assert rows["", "float"]["validation_noise"] is None


def test_size_is_of_what_is_rounded(rng: np.random.Generator) -> None:
    source = random_network(rng, "abc")
    spec = preset_spec(source, "w4a8")
    biases = 2 * 24 + 3
    matrices = 3 * 24 + 3 * 6 * 24 + 6 * 3
    assert ladder.weight_bits(spec, "float") == 32 * (biases + matrices)
    assert ladder.weight_bits(spec, "tables") == 32 * (biases + matrices)
    assert (
        ladder.weight_bits(spec, "all") == ladder.weight_bits(spec, "weights") == 16 * biases + 4 * matrices
    )


def test_the_shipped_record_is_printed_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = load_record("ladder")
    assert record["checkpoint"] == Checkpoint.load(shipped("float")).sha256
    assert set(record["presets"]) == set(PRESETS)
    picture = tmp_path / "deep" / "ladder.svg"
    assert main(["ladder", "--plot", str(picture)]) == 0
    printed = capsys.readouterr().out
    for preset in PRESETS:
        assert f"{record['presets'][preset]['all']['test']:.4f}" in printed
        assert preset in picture.read_text(encoding="utf-8")
    first = picture.read_bytes()
    assert main(["ladder", "--plot", str(picture)]) == 0
    assert picture.read_bytes() == first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "r.json: no such file"),
        ("{", "not JSON, or truncated"),
        ('{"kind": "cells"}', "is not a record of 'zynq-lstm ladder'"),
    ],
)
def test_a_bad_record_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    path = tmp_path / "r.json"
    if content is not None:
        path.write_text(content)
    assert main(["ladder", "--record", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_record_of_another_network_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rng: np.random.Generator
) -> None:
    other = tmp_path / "other.safetensors"
    random_network(rng, "abc").save(other)
    assert main(["ladder", "--checkpoint", str(other)]) == 2
    assert "is of another float network" in capsys.readouterr().err
    assert main(["ladder", "--plot", str(tmp_path / "x.docx")]) == 2
    assert "x.docx: .docx is unknown; legal are .svg, .pdf, .png" in capsys.readouterr().err
