# SPDX-License-Identifier: Apache-2.0
"""Other people's GRU and vanilla layers: their integers, by hand, and faults that the check must notice."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.evaluation.ranges import calibrate
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.keras.quiet import import_qkeras, import_tensorflow

import_tensorflow()
import_qkeras()
import keras  # noqa: E402
from keras import layers as K  # noqa: E402
from qkeras import (  # noqa: E402
    QGRU,
    QLSTM,
    QDense,
    QSimpleRNN,
    quantized_bits,
    quantized_sigmoid,
    quantized_tanh,
)

from tests.keras_files import (  # noqa: E402
    KERAS2,
    arrays_of,
    dense,
    first,
    gru,
    layer,
    lstm,
    sequential,
    simple_rnn,
    write_archive,
    write_names,
    write_places,
)
from tests.oracles import Oracle, rounded  # noqa: E402
from tests.summary import SEED  # noqa: E402
from zynq_lstm.models.description.spec import network_spec  # noqa: E402
from zynq_lstm.models.importing.check import Observed, compare, observe  # noqa: E402
from zynq_lstm.models.importing.deviation import deviations  # noqa: E402
from zynq_lstm.models.importing.file import read_file  # noqa: E402
from zynq_lstm.models.importing.importer import Imported, import_model  # noqa: E402
from zynq_lstm.models.integers.reference import Reference  # noqa: E402
from zynq_lstm.models.keras import quantized  # noqa: E402

VOCABULARY = "abcdefg"
SIZE = len(VOCABULARY)
CELLS = {"SimpleRNN": "rnn", "LSTM": "lstm", "GRU": "gru"}  # a GRU with reset_after=False is another


def saved(model: Any, path: Path, rng: np.random.Generator) -> Path:
    """Save a model with random weights."""
    model.set_weights([rng.normal(0, 0.6, w.shape) for w in model.get_weights()])
    model.save(path)
    return path


def codes(rng: np.random.Generator, streams: int = 8, steps: int = 12) -> np.ndarray:
    return rng.integers(0, SIZE, (streams, steps))


def sequence(kind: Any, units: int, **settings: Any) -> Any:
    return kind(units, return_sequences=True, **settings)


STOCK: dict[str, Callable[[], list[Any]]] = {
    "vanilla": lambda: [sequence(K.SimpleRNN, 6, recurrent_dropout=0.1)],
    "vanilla, without bias": lambda: [sequence(K.SimpleRNN, 6, use_bias=False, activation="hard_tanh")],
    "vanilla, sigmoid": lambda: [sequence(K.SimpleRNN, 6, activation="sigmoid")],
    "reset after": lambda: [sequence(K.GRU, 6, dropout=0.1, stateful=False, unroll=False)],
    "reset after, without bias": lambda: [sequence(K.GRU, 5, use_bias=False)],
    "reset after, hard": lambda: [
        sequence(K.GRU, 5, activation="hard_tanh", recurrent_activation="hard_sigmoid")
    ],
    "reset before": lambda: [sequence(K.GRU, 6, reset_after=False)],
    "reset before, without bias": lambda: [sequence(K.GRU, 5, reset_after=False, use_bias=False)],
    "GRU, then LSTM": lambda: [sequence(K.GRU, 6), K.Dropout(0.2), sequence(K.LSTM, 5)],
    "all cells": lambda: [
        sequence(K.SimpleRNN, 4),
        sequence(K.GRU, 5, reset_after=False),
        sequence(K.LSTM, 4),
        sequence(K.GRU, 3),
    ],
}


def named(k: int, layer: Any, arrays: list[np.ndarray]) -> tuple[str, dict[str, np.ndarray]]:
    """The cell of a Keras layer, and its weights by our names, from Keras' documentation."""
    units, kind = layer.units, type(layer).__name__
    W, U, *bias = arrays
    if kind == "GRU" and layer.reset_after:
        inputs, recurrent = bias[0] if bias else np.zeros((2, 3 * units))
        b = np.concatenate([inputs[: 2 * units] + recurrent[: 2 * units], inputs[2 * units :]])
        return "gru", {"W": W, "U": U, "b": b, "rb": recurrent[2 * units :]}
    cell = "gru_reset_before" if kind == "GRU" else CELLS[kind]
    return cell, {"W": W, "U": U, "b": bias[0] if bias else np.zeros(W.shape[1])}


def by_hand(model: Any, network: IntegerNetwork, text: np.ndarray) -> list[Fraction]:
    """The logits after a text (T,) by the hand-written equations, with weights from the Keras model."""
    oracles = []
    recurrent = [one for one in model.layers if hasattr(one, "cell")]
    for k, layer in enumerate(recurrent):
        cell, weights = named(k, layer, layer.get_weights())
        formats = network.spec.layers[k].formats
        raw = {name: formats.format(name).quantize(array) for name, array in weights.items()}
        oracles.append(Oracle(cell, formats, raw | {name: formats.table(name) for name in formats.tables}))
    out = network.spec.output
    W, b = (fmt.to_real(fmt.quantize(w)) for fmt, w in zip((out.W, out.b), model.layers[-1].get_weights()))
    for code in text:
        x = [Fraction(int(n == code)) for n in range(SIZE)]
        for oracle in oracles:
            x = oracle.run(x)["h"]
    sums = [sum((h * Fraction(float(W[k, n])) for k, h in enumerate(x)), Fraction(float(b[n]))) for n in range(SIZE)]
    return [rounded(value, out.logits) for value in sums]


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", STOCK)
def test_stock_layers(
    name: str, ending: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Nothing rounded, our equations are the model's; rounded, the reference is the equations by hand."""
    model = keras.Sequential([keras.Input((None, SIZE)), *STOCK[name](), K.Dense(SIZE)])
    imported = import_model(saved(model, tmp_path / f"m.{ending}", rng), "w8a8")
    text = codes(rng)
    wanted = np.asarray(model(imported.inputs(text), training=False))
    assert np.abs(np.asarray(imported.model(imported.inputs(text), training=False)) - wanted).max() < 1e-6
    spec = calibrate(imported.spec, imported.weights, text, imported.fixed)
    checkpoint = Checkpoint(VOCABULARY, imported.weights, spec)
    checkpoint.save(tmp_path / "c.safetensors")
    network = freeze(Checkpoint.load(tmp_path / "c.safetensors"))
    rows = deviations(imported, network, text)
    assert rows[1].what == "our equations" and rows[1].largest < 1e-5
    assert 0 < rows[-1].largest < 1
    reference = spec.output.logits.to_real(Reference(network, 1).run(text[:1]))
    assert [Fraction(float(x)) for x in reference[0, -1]] == by_hand(model, network, text[0])
