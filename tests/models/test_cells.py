# SPDX-License-Identifier: Apache-2.0
"""The cells in floating point: equations, gradients and sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import CELLS, network_spec
from zynq_lstm.models.evaluation.partial import PartlyQuantized
from zynq_lstm.models.evaluation.shipped_records import load_record
from zynq_lstm.models.keras import cells
from zynq_lstm.models.keras.float_lstm import forward, keras, read_weights, tf, zero_state
from zynq_lstm.models.texts import corpus
from zynq_lstm.models.training import bptt
from zynq_lstm.scripts.main import main

VOCABULARY, UNITS = 7, 5


def random_model(cell: str, rng: np.random.Generator, layers: int = 2):
    model = cells.build_cells(cell, layers, UNITS, VOCABULARY)
    model.set_weights([rng.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def logits_of(model, codes):
    streams = codes.shape[1]
    return forward(model, tf.constant(codes, tf.int32), zero_state(model, streams))[0].numpy()


@pytest.mark.parametrize("cell", CELLS)
def test_cells_with_a_reference_compute_what_it_rounds(cell: str, rng: np.random.Generator) -> None:
    model = random_model(cell, rng)
    codes = rng.integers(0, VOCABULARY, (20, 3))
    spec = network_spec(vocabulary=VOCABULARY, units=UNITS, cell=cell)
    wanted = PartlyQuantized(spec, read_weights(model)).run(codes.T)
    assert np.abs(logits_of(model, codes) - wanted.transpose(1, 0, 2)).max() < 1e-5


@pytest.mark.parametrize("cell", ["rnn", "gru", "gru_reset_before"])
def test_cells_are_keras(cell: str, rng: np.random.Generator) -> None:
    model = random_model(cell, rng, layers=1)
    own = read_weights(model)
    x = keras.Input((None, VOCABULARY))
    options = {"return_sequences": True} | ({} if cell == "rnn" else {"reset_after": cell == "gru"})
    layer = (keras.layers.SimpleRNN if cell == "rnn" else keras.layers.GRU)(UNITS, **options)
    stock = keras.Model(x, keras.layers.Dense(VOCABULARY)(layer(x)))
    b = own["layers.0.b"]
    if cell == "gru":  # Keras has a second bias for each gate, inside the reset gate's product
        b = np.stack([b, np.concatenate([np.zeros(2 * UNITS), own["layers.0.rb"]])])
    stock.set_weights([own["layers.0.W"], own["layers.0.U"], b, own["output.W"], own["output.b"]])
    codes = rng.integers(0, VOCABULARY, (20, 3))
    wanted = stock(tf.one_hot(codes.T, VOCABULARY)).numpy().transpose(1, 0, 2)
    assert np.abs(logits_of(model, codes) - wanted).max() < 1e-5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("cell", ["peephole", "coupled"])
def test_cells_without_a_reference_are_their_equations(cell: str, rng: np.random.Generator) -> None:
    model = random_model(cell, rng, layers=1)
    w = {name.removeprefix("layers.0."): a.astype(np.float64) for name, a in read_weights(model).items()}
    codes = rng.integers(0, VOCABULARY, 20)
    h, c = np.zeros(UNITS), np.zeros(UNITS)
    wanted = []
    for code in codes:
        z = w["W"][code] + h @ w["U"] + w["b"]
        if cell == "coupled":
            f, g, o = np.split(z, 3)
            f = sigmoid(f)
            c = f * c + (1 - f) * np.tanh(g)
        else:
            i, f, g, o = np.split(z, 4)
            pi, pf, po = w["pi"], w["pf"], w["po"]
            c = sigmoid(f + pf * c) * c + sigmoid(i + pi * c) * np.tanh(g)
            o = o + po * c
        h = sigmoid(o) * np.tanh(c)
        wanted.append(h @ w["output.W"] + w["output.b"])
    assert np.abs(logits_of(model, codes[:, None])[:, 0] - wanted).max() < 1e-5


@pytest.mark.parametrize("cell", catalogue.names())
def test_sizes_are_the_model_s(cell: str) -> None:
    model = cells.build_cells(cell, 2, UNITS, VOCABULARY)
    assert cells.parameters(cell, 2, UNITS, VOCABULARY) == model.count_params()
    found = {name: array.shape for name, array in read_weights(model).items()}
    assert found == cells.shapes(cell, 2, UNITS, VOCABULARY)
    if cell in CELLS:
        spec = network_spec(vocabulary=VOCABULARY, units=UNITS, cell=cell)
        assert cells.macs_per_character(cell, 2, UNITS, VOCABULARY) == spec.macs_per_character()


def test_budgets_are_met() -> None:
    budget = cells.parameters("lstm", 2, 128, 78)
    assert cells.units_for("lstm", 2, 78, budget) == 128
    for cell in catalogue.names():
        units = cells.units_for(cell, 2, 78, budget)
        assert abs(cells.parameters(cell, 2, units, 78) / budget - 1) < 0.01


@pytest.mark.parametrize("cell", catalogue.names())
def test_cells_learn(cell: str) -> None:
    text = corpus.from_text("t", "the quick brown fox jumps over the lazy dog. " * 200)
    model = cells.build_cells(cell, 1, 8, len(text.vocabulary))
    bptt.initialise(model, 3)
    options = bptt.TrainingOptions(epochs=2.0, batch=4, steps=16, warm_up=10, seed=3)
    seen: list[bptt.Progress] = []
    bptt.Trainer(model, text.codes, options, {}).run(report=seen.append)
    assert seen[-1].loss < 0.8 * seen[0].loss


@pytest.mark.parametrize("cell", catalogue.names())
def test_gradient_by_distance_is_the_difference_quotient(cell: str, rng: np.random.Generator) -> None:
    """With one layer and one stream: change an earlier state a little, and measure the change of the loss."""
    model = random_model(cell, rng, layers=1)
    codes = rng.integers(0, VOCABULARY, (13, 1))
    norms = cells.gradient_by_distance(model, codes, 6)
    layer, dense = model.layers[1], model.get_layer("logits")
    inputs = layer.inputs(tf.constant(codes[:-1], tf.int32))

    def loss(moved: np.ndarray | None, distance: int) -> float:
        state = layer.zero_state(1)
        for t in range(12):
            if t == 12 - distance and moved is not None:
                state = tuple(s + m for s, m in zip(state, moved, strict=True))
                if "c" not in catalogue.cell(cell).state:
                    state = (state[0], state[0])
            state = layer.step(inputs[t], state)
        return float(tf.nn.sparse_softmax_cross_entropy_with_logits(codes[-1], dense(state[0]))[0])

    values = 2 if "c" in catalogue.cell(cell).state else 1
    for distance in (1, 4):
        gradient = []
        for which in range(values):
            for unit in range(UNITS):
                move = np.zeros((2, 1, UNITS), np.float32)
                move[which, 0, unit] = 1e-2
                gradient.append((loss(move, distance) - loss(-move, distance)) / 2e-2)
        assert np.isclose(np.linalg.norm(gradient), norms[distance - 1], rtol=0.01)
    assert len(norms) == 6


def test_the_verb_measures_prints_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rng: np.random.Generator
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(rng.choice(list("abcd \n"), 30_000)))
    record, picture = tmp_path / "cells.json", tmp_path / "cells.svg"
    chosen = ["--cell", "rnn", "--cell", "coupled"]
    size = ["--units", "6", "--layers", "1", "--batch", "16", "--epochs", "2"]
    command = ["train-cells", "--measure", "--text-file", str(text), *chosen, *size, "--json", str(record)]
    assert main(command) == 0
    measured = capsys.readouterr().out
    found = load_record("train-cells", record)
    assert set(found["cells"]) == {"rnn", "coupled"}
    for cell in found["cells"].values():
        assert cell["updates"] == 52
        assert len(cell["gradient_by_distance"]["after"]) == 100
        # From noise a network can only learn the frequency of each character.
        assert 2.5 < cell["bits_per_character"]["test"] < 2.9
        assert f"{cell['bits_per_character']['test']:.4f}" in measured
    assert all("rounded" in cell for cell in found["cells"].values())
    assert main(["train-cells", "--record", str(record), "--plot", str(picture)]) == 0
    assert "vanilla RNN" in picture.read_text(encoding="utf-8")


def test_impossible_sizes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-cells", "--measure", "--units", "0"]) == 2
    assert "'--units': 0 is not in the range 1<=x<=512" in capsys.readouterr().err
