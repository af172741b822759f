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
    "the last character only": lambda: [sequence(K.SimpleRNN, 4), K.GRU(6)],
    "GRU, then LSTM": lambda: [sequence(K.GRU, 6), K.Dropout(0.2), sequence(K.LSTM, 5)],
    "all cells": lambda: [
        sequence(K.SimpleRNN, 4),
        sequence(K.GRU, 5, reset_after=False),
        sequence(K.LSTM, 4),
        sequence(K.GRU, 3),
    ],
}


def named(one: Any, arrays: list[np.ndarray]) -> tuple[str, dict[str, np.ndarray]]:
    """The cell of a Keras layer, and its weights by our names, from Keras' documentation."""
    units, kind = one.units, type(one).__name__
    W, U, *bias = arrays
    if kind == "GRU" and one.reset_after:
        inputs, recurrent = bias[0] if bias else np.zeros((2, 3 * units))
        b = np.concatenate([inputs[: 2 * units] + recurrent[: 2 * units], inputs[2 * units :]])
        return "gru", {"W": W, "U": U, "b": b, "rb": recurrent[2 * units :]}
    cell = "gru_reset_before" if kind == "GRU" else CELLS[kind]
    return cell, {"W": W, "U": U, "b": bias[0] if bias else np.zeros(W.shape[1])}


def by_hand(model: Any, network: IntegerNetwork, text: np.ndarray) -> list[Fraction]:
    """The logits after a text (T,) by the hand-written equations, with weights from the Keras model."""
    oracles = []
    recurrent = [one for one in model.layers if hasattr(one, "cell")]
    for k, one in enumerate(recurrent):
        cell, weights = named(one, one.get_weights())
        formats = network.spec.layers[k].formats
        raw = {name: formats.format(name).quantize(array) for name, array in weights.items()}
        oracles.append(Oracle(cell, formats, raw | {name: formats.table(name) for name in formats.tables}))
    out = network.spec.output
    kernel, bias = model.layers[-1].get_weights()
    W, b = out.W.to_real(out.W.quantize(kernel)), out.b.to_real(out.b.quantize(bias))
    for code in text:
        x = [Fraction(int(n == code)) for n in range(SIZE)]
        for oracle in oracles:
            x = oracle.run(x)["h"]
    sums = [
        sum((h * Fraction(float(W[k, n])) for k, h in enumerate(x)), Fraction(float(b[n])))
        for n in range(SIZE)
    ]
    return [rounded(value, out.logits) for value in sums]


@pytest.mark.parametrize("name, ending", zip(STOCK, ["keras", "h5"] * len(STOCK), strict=False))
def test_stock_layers(name: str, ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
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


def bits(*given: int) -> Any:
    return quantized_bits(*given, alpha=1)


def weights() -> dict[str, Any]:
    """The quantizers of a layer's weights."""
    return {
        "kernel_quantizer": bits(8, 2),
        "recurrent_quantizer": bits(6, 1),
        "bias_quantizer": bits(6, 0),
    }


ROUNDING = {
    "activation": quantized_tanh(6, use_real_tanh=True),
    "recurrent_activation": quantized_sigmoid(5, use_real_sigmoid=True),
}
QKERAS: dict[str, Callable[[], list[Any]]] = {
    "vanilla": lambda: [sequence(QSimpleRNN, 6, **weights(), activation=ROUNDING["activation"])],
    "vanilla, h where it is read": lambda: [
        sequence(QSimpleRNN, 6, **weights(), activation="tanh", state_quantizer=bits(7, 0))
    ],
    "vanilla, one h": lambda: [
        sequence(QSimpleRNN, 6, **weights(), activation=ROUNDING["activation"], state_quantizer=bits(8, 1))
    ],
    "reset after": lambda: [sequence(QGRU, 6, **weights(), **ROUNDING, reset_after=True)],
    "reset before": lambda: [sequence(QGRU, 6, **weights(), **ROUNDING, state_quantizer=bits(12, 1))],
    "hard": lambda: [sequence(QGRU, 6, **weights(), reset_after=True, state_quantizer=bits(10, 1))],
    "weights only": lambda: [
        sequence(QGRU, 6, **weights(), activation="tanh", recurrent_activation="sigmoid", use_bias=False)
    ],
    "all cells": lambda: [
        sequence(QGRU, 4, **weights(), **ROUNDING, reset_after=True),
        sequence(QLSTM, 4, **weights(), **ROUNDING, state_quantizer=bits(9, 2)),
        sequence(K.GRU, 5),
        sequence(QSimpleRNN, 4, **weights(), activation="tanh"),
    ],
}


def imported_from(layers: list[Any], path: Path, rng: np.random.Generator) -> Imported:
    last = QDense(SIZE, kernel_quantizer=bits(8, 1), bias_quantizer=bits(8, 2))
    return import_model(
        saved(keras.Sequential([keras.Input((None, SIZE)), *layers, last]), path, rng), "w8a8"
    )


@pytest.mark.parametrize("name", QKERAS)
def test_qkeras_layers(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """The quantizers' weights are kept exactly, and Keras' quantized model gives the reference's integers."""
    imported = imported_from(QKERAS[name](), tmp_path / "m.keras", rng)
    text = codes(rng)
    spec = calibrate(imported.spec, imported.weights, text, imported.fixed)
    checkpoint = Checkpoint(VOCABULARY, imported.weights, spec)
    network = freeze(checkpoint)
    for array, fmt in spec.weight_formats().items():
        if array in imported.fixed:
            assert fmt == imported.spec.weight_formats()[array]
            real = fmt.to_real(network.arrays[array])
            lowest = imported.weights[array] < fmt.to_real(fmt.min_raw)
            assert np.array_equal(real[~lowest], imported.weights[array][~lowest])
    assert deviations(imported, network, text)[-1].largest < 1
    wanted: dict[str, np.ndarray] = {}
    Reference(network, len(text)).run(text, wanted)
    got = quantized.trace(quantized.quantized_model(checkpoint), text)
    assert set(got) == set(wanted)
    for signal, array in wanted.items():
        assert np.array_equal(got[signal], array), signal


def test_the_formats_of_qkeras_layers(tmp_path: Path, rng: np.random.Generator) -> None:
    imported = imported_from(QKERAS["all cells"](), tmp_path / "m.keras", rng)
    gru_, lstm_, plain, vanilla = (one.formats for one in imported.spec.layers)
    assert [one.formats.cell for one in imported.spec.layers] == ["gru", "lstm", "gru", "rnn"]
    assert (gru_.W.bits, gru_.W.integer, gru_.U.bits, gru_.U.integer) == (8, 3, 6, 2)
    assert (gru_.rb.bits, gru_.rb.integer) == (6, 1)
    assert (gru_.b.bits, gru_.b.integer) == (7, 2)  # b of u and r is the sum of two biases of 6 bits
    assert (lstm_.b.bits, lstm_.c.bits, lstm_.c.integer) == (6, 9, 3)
    # The layers of a cell share its signals' formats, and all layers that of h.
    assert gru_.n == plain.n and gru_.n.bits == 8 and lstm_.g.bits == 6
    assert gru_.h == lstm_.h == plain.h == vanilla.h
    assert "layers.1.c" in imported.fixed and not {"layers.0.c", "layers.2.c"} & imported.fixed
    said = imported.theirs
    assert said["p"] == "not quantized" and said["tc"] == "quantized_tanh(6,1)"


def test_two_roundings_of_one_h_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    layers = [sequence(QSimpleRNN, 4, activation=ROUNDING["activation"], state_quantizer=bits(4, 0))]
    message = (
        r"layer '.*': quantized_tanh\(6.*\) rounds h, and its state_quantizer quantized_bits\(4,0.*\) rounds "
        r"it again where it is read \(-0.96875 becomes -1\); the hardware has one h: leave out"
    )
    with pytest.raises(UserError, match=message):
        imported_from(layers, tmp_path / "m.keras", rng)


def numpy_gru(arrays: list[np.ndarray], x: np.ndarray, reset_after: bool) -> np.ndarray:
    """A GRU of Keras 2 with hard_sigmoid gates, from its documentation: h of every step (T, H)."""
    W, U, bias = (array.astype(np.float64) for array in arrays)
    units = len(U)
    given, h, found = (bias if reset_after else (bias, np.zeros_like(bias))), np.zeros(units), []
    for row in x:
        a, b = row @ W + given[0], h @ U + given[1]
        z, r = (np.clip(0.2 * (a + b)[k * units : (k + 1) * units] + 0.5, 0, 1) for k in (0, 1))
        inner = r * b[2 * units :] if reset_after else (r * h) @ U[:, 2 * units :]
        h = z * h + (1 - z) * np.tanh(a[2 * units :] + inner)
        found.append(h)
    return np.array(found)


@pytest.mark.parametrize("layout", ["archive", "names", "weights by name", "weights by place"])
@pytest.mark.parametrize("reset_after", [True, False, None])
def test_gru_files_of_keras_2(layout: str, reset_after: bool | None, tmp_path: Path) -> None:
    """Files that are older than reset_after have the other kind."""
    one = gru(4, recurrent_activation="hard_sigmoid", reset_after=reset_after)
    if reset_after is None:
        del one["config"]["reset_after"]
    config = sequential(first((6, SIZE), keras2=True), one, dense(SIZE))
    arrays, stored = arrays_of(config), None
    if layout == "archive":
        path = write_archive(tmp_path / "m.keras", config, arrays, KERAS2)
    elif layout == "names":
        path = write_names(tmp_path / "m.h5", config, arrays)
    else:
        path, stored = tmp_path / "m.json", tmp_path / "m.weights.h5"
        path.write_text(json.dumps({**config, "keras_version": KERAS2}))
        if layout == "weights by name":
            write_names(stored, config, arrays, whole=False)
        else:
            write_places(stored, config, arrays)
    imported = import_model(read_file(path, stored), "w8a8")
    assert imported.spec.layers[0].formats.sigmoid == "keras2_hard_sigmoid"
    assert imported.spec.layers[0].cell == ("gru" if reset_after else "gru_reset_before")
    text = np.array([0, 5, 2, 2, 6, 1])
    W, b = arrays["dense"]
    wanted = numpy_gru(arrays["gru"], np.eye(SIZE)[text], bool(reset_after)) @ W + b
    assert np.abs(imported.logits(text[None])[0] - wanted).max() < 1e-5


CHECKED: dict[str, Callable[[], list[Any]]] = {
    "vanilla": STOCK["vanilla"],
    "vanilla, rounded": QKERAS["vanilla"],
    "reset after": STOCK["reset after"],
    "reset after, rounded": QKERAS["reset after"],
    "reset before": STOCK["reset before"],
    "reset before, rounded": QKERAS["reset before"],
    "GRU, then LSTM": STOCK["GRU, then LSTM"],
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Imported, Observed]]:
    """Import each model of :data:`CHECKED`, and record what Keras computes for it."""
    rng, folder = np.random.default_rng(SEED), tmp_path_factory.mktemp("checked")
    found = {name: imported_from(layers(), folder / f"{name}.keras", rng) for name, layers in CHECKED.items()}
    return {name: (imported, observe(imported)) for name, imported in found.items()}


def with_weight(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Imported], Imported]:
    """Change an array of layer 0."""

    def changed(imported: Imported) -> Imported:
        at = f"layers.0.{name}"
        return dataclasses.replace(
            imported, weights={**imported.weights, at: change(np.array(imported.weights[at]))}
        )

    return changed


def swapped(array: np.ndarray) -> np.ndarray:
    """Exchange u and r."""
    u, r, n = np.split(array, 3, axis=-1)
    return np.concatenate([r, u, n], axis=-1)


def other_meaning(array: np.ndarray) -> np.ndarray:
    """Turn u round, as for h = (1 - z) h' + z n."""
    return np.concatenate([-array[..., : array.shape[-1] // 3], array[..., array.shape[-1] // 3 :]], axis=-1)


def one_step(array: np.ndarray) -> np.ndarray:
    """Change one value by one step of an 8-bit weight."""
    array.flat[-1] += 2.0**-5
    return array


def as_cell(cell: str) -> Callable[[Imported], Imported]:
    """Take layer 0 for another cell with the same shapes of W, U and b."""

    def changed(imported: Imported) -> Imported:
        formats = network_spec("w8a8", vocabulary=2, layers=1, cell=cell).layers[0].formats
        one = dataclasses.replace(imported.spec.layers[0], formats=formats)
        spec = dataclasses.replace(imported.spec, layers=(one, *imported.spec.layers[1:]))
        rb = np.zeros(one.units, np.float32)
        return dataclasses.replace(imported, spec=spec, weights={"layers.0.rb": rb, **imported.weights})

    return changed


def without_rounding(signal: str) -> Callable[[Imported], Imported]:
    return lambda imported: dataclasses.replace(
        imported, rounds=tuple(dataclasses.replace(one, **{signal: None}) for one in imported.rounds)
    )


def another_function(**functions: str) -> Callable[[Imported], Imported]:
    def changed(imported: Imported) -> Imported:
        one = imported.spec.layers[0]
        one = dataclasses.replace(one, formats=dataclasses.replace(one.formats, **functions))
        spec = dataclasses.replace(imported.spec, layers=(one, *imported.spec.layers[1:]))
        return dataclasses.replace(imported, spec=spec)

    return changed


EVERY: dict[str, Callable[[Imported], Imported]] = {
    "one weight": with_weight("W", one_step),
    "one weight of the recurrence": with_weight("U", one_step),
    "no bias": with_weight("b", np.zeros_like),
    "another tanh": another_function(tanh="hard_tanh"),
}
GRU = EVERY | {
    "u and r swapped in W": with_weight("W", swapped),
    "u and r swapped in U": with_weight("U", swapped),
    "u and r swapped in b": with_weight("b", swapped),
    "z of another meaning": lambda x: with_weight("W", other_meaning)(
        with_weight("U", other_meaning)(with_weight("b", other_meaning)(x))
    ),
    "another sigmoid": another_function(sigmoid="qkeras_hard_sigmoid"),
}
AFTER = GRU | {
    "no recurrent bias": with_weight("rb", np.zeros_like),
    "recurrent bias turned round": with_weight("rb", np.flip),
    "the reset before the product": as_cell("gru_reset_before"),
}
BEFORE = GRU | {"the reset after the product": as_cell("gru")}
PLANTED = {
    "vanilla": EVERY,
    "vanilla, rounded": EVERY | {"h not rounded": without_rounding("tanh")},
    "reset after": AFTER,
    "reset after, rounded": AFTER
    | {f"{signal} not rounded": without_rounding(signal) for signal in ("gate", "tanh")},
    "reset before": BEFORE,
    "reset before, rounded": BEFORE
    | {f"{signal} not rounded": without_rounding(signal) for signal in ("gate", "tanh", "state")},
    "GRU, then LSTM": AFTER,
}


@pytest.mark.parametrize(
    "name, fault", [(name, fault) for name, faults in PLANTED.items() for fault in faults]
)
def test_a_planted_fault_fails_the_check(
    name: str, fault: str, checked: dict[str, tuple[Imported, Observed]]
) -> None:
    imported, observed = checked[name]
    with pytest.raises(CheckError, match=r"layer '.*': h in Keras is .*the import is wrong"):
        compare(PLANTED[name][fault](imported), observed)


REFUSED = {
    "relu": (
        simple_rnn(4, activation="relu"),
        "layer 'simple_rnn' has activation='relu'; legal are tanh, hard_tanh, sigmoid, hard_sigmoid, "
        "quantized_tanh; relu has values outside -1..1, which a cell's table can't hold: train it with tanh",
    ),
    "no activation": (simple_rnn(4, activation=None), "activation='linear'; legal are tanh, "),
    "gates of tanh": (
        gru(4, recurrent_activation="tanh"),
        "'gru' has recurrent_activation='tanh'; legal are sigm",
    ),
    "backwards": (
        gru(4, go_backwards=True),
        "'gru': go_backwards=True; False is legal: text is read forwards",
    ),
    "the state": (simple_rnn(4, return_state=True), "'simple_rnn': return_state=True; False is legal"),
    "reset_after of a vanilla layer": (
        simple_rnn(4, reset_after=True),
        "'simple_rnn': the setting reset_after=True of SimpleRNN isn't supported",
    ),
    "reset_after that is neither": (
        gru(4, reset_after="yes"),
        "reset_after must be true or false, got 'yes'",
    ),
    "too many units": (gru(600), "'gru': has 600 units; at most 512 are legal"),
    "cuDNN": (
        layer("CuDNNGRU", "gru", units=4),
        "'gru' is a CuDNNGRU: load it in Keras 2 into the same model made",
    ),
    "a cell": (
        layer("RNN", "rnn", cell={}),
        "'rnn' is a RNN: a cell inside another layer is not read; build",
    ),
    "both directions": (
        layer("Bidirectional", "both", layer=gru(4)),
        "'both' is a Bidirectional: text is read forwards only",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str, tmp_path: Path) -> None:
    entry, message = REFUSED[name]
    config = sequential(first((None, SIZE)), entry, dense(SIZE))
    path = write_archive(tmp_path / "m.keras", config, {})
    with pytest.raises(UserError) as refused:
        read_file(path)
    assert message in str(refused.value)


def test_a_bias_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    config = sequential(first((None, SIZE)), gru(4), dense(SIZE))
    arrays = arrays_of(config)
    arrays["gru"][2] = arrays["gru"][2][0]
    path = write_archive(tmp_path / "m.keras", config, arrays)
    with pytest.raises(UserError, match=r"layer 'gru': bias has the shape \(12,\), must be \(2, 12\)"):
        read_file(path)


def test_five_layers_of_three_kinds(tmp_path: Path) -> None:
    entries = [gru(2, "a"), lstm(2, "b"), simple_rnn(2, "c"), gru(2, "d"), gru(2, "e")]
    config = sequential(first((None, SIZE)), *entries, dense(SIZE))
    with pytest.raises(UserError, match="layer 'e' is recurrent layer 5; at most 4 are legal"):
        read_file(write_archive(tmp_path / "m.keras", config, arrays_of(config)))
