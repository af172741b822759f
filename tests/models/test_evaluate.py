# SPDX-License-Identifier: Apache-2.0
"""Bits per character, checkpoints, sampling and the verbs that use them."""

from __future__ import annotations

import dataclasses
import json
import math
from itertools import pairwise

import numpy as np
import pytest

from zynq_lstm.models.description.checkpoint import Checkpoint, shipped
from zynq_lstm.models.description.spec import network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.bpc import (
    bits_of,
    bits_per_character,
    estimate_keras,
    estimate_reference,
    evaluate_keras,
    evaluate_reference,
    streams_of,
)
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.keras.quiet import import_tensorflow
from zynq_lstm.models.keras.text import choose, generate
from zynq_lstm.models.texts.corpus import load_corpus
from zynq_lstm.scripts.main import main

import_tensorflow()
from zynq_lstm.models.keras import float_lstm, quantized  # noqa: E402
from zynq_lstm.models.training import bptt  # noqa: E402


@pytest.fixture
def network(rng) -> Checkpoint:
    """A small quantized network with random weights."""
    spec = network_spec("w8a8", vocabulary=5, units=8)
    weights = {
        name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in spec.weight_shapes().items()
    }
    return Checkpoint("abcde", weights, spec)


def test_bits_of_known_distributions():
    logits = np.log([[0.5, 0.25, 0.25], [1.0, 1.0, 2.0]])
    assert np.allclose(bits_of(logits, np.array([1, 2])), [2.0, 1.0], rtol=0, atol=1e-15)
    far = np.array([[1000.0, 0.0], [-1000.0, -1000.0]])
    assert bits_of(far, np.array([0, 1])).tolist() == [0.0, 1.0]
    assert bits_of(far, np.array([1, 0]))[0] == pytest.approx(1000 / math.log(2))


def test_the_mean_does_not_depend_on_the_cut(rng):
    logits, targets = rng.normal(0, 3, (20_000, 7)), rng.integers(0, 7, 20_000)
    whole = bits_per_character(logits, targets)
    assert whole == math.fsum(bits_of(logits, targets)) / 20_000
    with pytest.raises(ValueError, match="3 rows of logits for 2 targets"):
        bits_per_character(logits[:3], targets[:2])


def test_evaluation_is_one_stream_from_zero(network, rng):
    """Compare with the definition: one character after the other, and the state never reset."""
    codes = rng.integers(0, 5, 300).astype(np.uint8)
    reference = Reference(freeze(network))
    assert network.spec is not None
    bits = []
    for now, following in pairwise(codes):
        logits = network.spec.output.logits.to_real(reference.run([now]))
        bits.append(float(bits_of(logits, np.array([following]))[0]))
    assert evaluate_reference(freeze(network), codes) == math.fsum(bits) / 299


def test_keras_and_reference_give_the_same_figure(network, rng):
    """Equal also across the border between two calls of the compiled function."""
    codes = rng.integers(0, 5, 2048 + 777).astype(np.uint8)
    model = quantized.quantized_model(network)
    assert evaluate_keras(model, codes) == evaluate_reference(freeze(network), codes)
    assert estimate_keras(model, codes) == pytest.approx(
        estimate_reference(freeze(network), codes), abs=1e-12
    )


def test_streams_are_equal_parts():
    assert streams_of(np.arange(1000)).shape == (3, 333)
    assert streams_of(np.arange(100)).shape == (1, 100)
    assert streams_of(np.arange(64 * 256), 64).shape == (64, 256)


def test_a_text_with_nothing_to_predict_is_refused(network):
    with pytest.raises(UserError, match=r"the text has 1 character\(s\); evaluation needs at least"):
        evaluate_reference(freeze(network), np.zeros(1, np.uint8))


@pytest.mark.slow
def test_shipped_figures_are_what_the_records_say():
    split = load_corpus().split()
    floating = Checkpoint.load(shipped("float"))
    w8a8 = Checkpoint.load(shipped("w8a8"))
    for checkpoint, stage in ((floating, "float"), (w8a8, "quantized --preset w8a8")):
        # Only default options, whether the stages ran together or one by one.
        assert checkpoint.record["command"] in ("zynq-lstm train", f"zynq-lstm train --stage {stage}")
        assert checkpoint.record["corpus"]["sha256"] == load_corpus().sha256
    float_bits = evaluate_keras(float_lstm.float_model(floating), split.validation)
    # another processor adds float32 in another order
    assert float_bits == pytest.approx(floating.record["bits_per_character"]["validation"], abs=1e-4)
    # integers: the same everywhere, except for exp and log in float64
    integer_bits = evaluate_reference(freeze(w8a8), split.validation)
    assert integer_bits == pytest.approx(w8a8.record["bits_per_character"]["validation"], abs=1e-9)
    assert integer_bits <= float_bits + 0.005


def test_the_likeliest_character_is_the_lowest_code_of_equals(rng):
    assert choose(np.array([0.0, 2.0, 2.0, 1.0]), 0, rng) == 1


def test_a_temperature_draws_from_the_softmax():
    rng = np.random.default_rng(1)
    logits = np.log([0.7, 0.2, 0.1])
    drawn = np.bincount([choose(logits, 1.0, rng) for _ in range(20_000)], minlength=3) / 20_000
    assert np.abs(drawn - [0.7, 0.2, 0.1]).max() < 0.015  # more than four standard deviations
    assert choose(np.array([0.0, 500.0]), 0.01, rng) == 1


def test_greedy_text_is_the_reference_s(network):
    model = quantized.quantized_model(network)
    got = list(generate(model, np.array([1, 2, 3]), 30))
    reference = Reference(freeze(network))
    reference.run([1, 2])
    code, wanted = 3, []
    for _ in range(30):
        code = int(np.argmax(reference.run([code])[0]))
        wanted.append(code)
    assert got == wanted


def test_sampling_repeats_with_its_seed_and_checks_its_input(network):
    model = float_lstm.float_model(dataclasses.replace(network, spec=None))
    first = list(generate(model, np.array([1]), 40, 1.0, seed=5))
    assert first == list(generate(model, np.array([1]), 40, 1.0, seed=5))
    assert first != list(generate(model, np.array([1]), 40, 1.0, seed=6))
    for arguments, message in (
        (([], 1), "the priming text is empty"),
        (([1], -1), "length is -1"),
        (([1], 1, -0.5), "temperature is -0.5"),
        (([1], 1, math.nan), "temperature is nan"),
    ):
        with pytest.raises(UserError, match=message):
            generate(model, *arguments)


def test_checkpoint_round_trip(network, tmp_path):
    path = tmp_path / "c.safetensors"
    dataclasses.replace(network, record={"seed": 1}).save(path)
    loaded = Checkpoint.load(path)
    assert loaded.spec == network.spec
    assert loaded.vocabulary == network.vocabulary
    assert loaded.record == {"seed": 1}
    assert loaded.sha256 == network.sha256
    assert freeze(loaded).sha256 == freeze(network).sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers.1.U": None}, "array 'layers.1.U' is missing"),
        ({"output.b": np.zeros(4)}, r"array 'output.b' has shape \(4,\), must be \(5,\)"),
        ({"output.b": np.full(5, np.nan)}, "array 'output.b' holds 5 of 5 values that are not finite"),
        ({"extra": np.zeros(1)}, "unknown array 'extra'; legal are layers.0.W"),
    ],
)
def test_a_checkpoint_is_validated(network, change, message):
    weights = {**network.weights, **change}
    weights = {name: array for name, array in weights.items() if array is not None}
    with pytest.raises(UserError, match=message):
        Checkpoint(network.vocabulary, weights, network.spec)


def test_another_kind_of_file_is_refused(network, tmp_path):
    path = tmp_path / "network.safetensors"
    freeze(network).save(path)
    with pytest.raises(UserError, match="holds a 'integer network', not a float network or"):
        Checkpoint.load(path)
    with pytest.raises(UserError, match="no shipped checkpoint 'shakespeare-w2a2'; there are:"):
        shipped("w2a2")


def test_the_verbs_print_and_write_their_figures(network, tmp_path, capsys):
    quantized_path, float_path = tmp_path / "q.safetensors", tmp_path / "f.safetensors"
    network.save(quantized_path)
    dataclasses.replace(network, spec=None).save(float_path)
    text = tmp_path / "t.txt"
    text.write_text("abcdeedcba" * 60)
    rows = tmp_path / "rows.json"
    arguments = ["--text-file", str(text), "--json", str(rows)]
    checkpoints = ["--checkpoint", str(float_path), "--checkpoint", str(quantized_path)]
    assert main(["evaluate", *checkpoints, *arguments]) == 0
    engines = json.loads(rows.read_text())["engines"]
    assert [row["engine"] for row in engines] == ["float (Keras)", "w8a8 (Keras)", "w8a8 (reference)"]
    assert engines[1]["bits_per_character"] == engines[2]["bits_per_character"]
    assert "state carried through from zero" in " ".join(capsys.readouterr().out.split())
    only = ["--only", "gate", "--only", "weights", "--only", "logits", "--only", "b"]
    assert main(["formats", "--checkpoint", str(float_path), *arguments, *only]) == 0
    signals = [row["signal"] for row in json.loads(rows.read_text())["above_float"]]
    assert signals[0] == "all"
    assert set(signals[1:]) == {"gate", "weights", "logits", "b"}
    assert main(["formats", "--checkpoint", str(float_path), *arguments, "--only", "x"]) == 2
    assert "'x' is not one of 'gate'" in capsys.readouterr().err
    sample = ["sample", "--checkpoint", str(quantized_path), "--prime", "ab", "--length", "9"]
    assert main(sample) == 0
    written = capsys.readouterr().out
    assert written.startswith("ab")
    assert len(written) == 2 + 9 + 1
    copy = tmp_path / "copy.txt"
    assert main(["corpus", "--text-file", str(text), "--output", str(copy)]) == 0
    assert copy.read_text() == text.read_text()
    assert "characters  600 (train 540, validation 30, test 30)" in capsys.readouterr().out


def test_initial_weights_follow_from_the_seed():
    weights = []
    for seed in (1, 1, 2):
        model = float_lstm.build_float(1, 4, 5)
        bptt.initialise(model, seed)
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not np.array_equal(weights[0][0], weights[2][0])
