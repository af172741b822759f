# SPDX-License-Identifier: Apache-2.0
"""Other people's models: their logits, their formats, and refusals before Keras loads them."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.evaluation.ranges import calibrate, usage
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.keras.quiet import import_qkeras, import_tensorflow

import_tensorflow()
import_qkeras()
import keras  # noqa: E402
from keras import layers as K  # noqa: E402
from qkeras import QLSTM, QDense, quantized_bits, quantized_sigmoid, quantized_tanh  # noqa: E402

from tests.keras_files import (  # noqa: E402
    KERAS2,
    arrays_of,
    dense,
    first,
    lstm,
    sequential,
    write_archive,
    write_names,
    write_places,
)
from tests.summary import SEED  # noqa: E402
from zynq_lstm.models.importing.check import Observed, compare, observe  # noqa: E402
from zynq_lstm.models.importing.deviation import deviations  # noqa: E402
from zynq_lstm.models.importing.file import read_file  # noqa: E402
from zynq_lstm.models.importing.importer import Imported, import_model  # noqa: E402
from zynq_lstm.models.importing.vocabulary import read_vocabulary  # noqa: E402
from zynq_lstm.models.integers.reference import Reference  # noqa: E402
from zynq_lstm.models.keras import quantized  # noqa: E402
from zynq_lstm.scripts.main import main  # noqa: E402

VOCABULARY = "abcdefg"
SIZE = len(VOCABULARY)


def random_weights(model: Any, rng: np.random.Generator) -> Any:
    model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


def saved(model: Any, path: Path, rng: np.random.Generator) -> Path:
    random_weights(model, rng).save(path)
    return path


def quantizers(**others: Any) -> dict[str, Any]:
    names = ("kernel_quantizer", "recurrent_quantizer", "bias_quantizer")
    return {name: quantized_bits(8, 2, alpha=1) for name in names} | others


def windows(rng: np.random.Generator, steps: int = 20) -> np.ndarray:
    return rng.integers(0, SIZE, (12, steps + 1))


FLOAT = {
    "one-hot": lambda: [
        keras.Input((None, SIZE)),
        K.LSTM(9, return_sequences=True, recurrent_dropout=0.1),
        K.Dropout(0.2),
        K.LSTM(6, return_sequences=True, use_bias=False),
        K.TimeDistributed(K.Dense(SIZE, activation="softmax")),
    ],
    "embedding": lambda: [
        keras.Input((20,), dtype="int32"),
        K.Embedding(SIZE, 4),
        K.LSTM(8, return_sequences=True, recurrent_activation="hard_sigmoid"),
        K.Dense(SIZE, use_bias=False),
        K.Softmax(),
    ],
    "last character only": lambda: [
        keras.Input((20, SIZE), batch_size=4),
        K.LSTM(8, stateful=True),
        K.Dense(SIZE),
        K.Activation("softmax"),
    ],
}


@pytest.mark.parametrize("name", FLOAT)
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_an_imported_model_predicts_what_the_saved_one_did(
    name: str, ending: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    """A model is read without Keras and built anew; its integers are near the floats, but not equal."""
    model = keras.Sequential(FLOAT[name]())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        imported = import_model(saved(model, tmp_path / f"m.{ending}", rng), "w8a8")
    text = windows(rng)
    x = imported.inputs(text[:4, :-1])
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()
    wanted = np.asarray(model(x, training=False))
    assert np.abs(np.asarray(imported.model(x, training=False)) - wanted).max() < 1e-6
    spec = calibrate(imported.spec, imported.weights, text[:6, :-1], imported.fixed)
    network = freeze(Checkpoint(VOCABULARY, imported.weights, spec))
    rows = deviations(imported, network, text[6:])
    assert rows[1].largest < 1e-5
    assert 0 < rows[-1].largest < 1


def test_qkeras_formats_are_kept_and_keras_gives_the_references_integers(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """The model has QKeras' default activations, which are both hard."""
    model = keras.Sequential(
        [
            keras.Input((20, SIZE)),
            QLSTM(8, return_sequences=True, state_quantizer=quantized_bits(12, 3, alpha=1), **quantizers()),
            QDense(SIZE, kernel_quantizer=quantized_bits(6, 1, alpha="auto_po2"), activation="softmax"),
        ]
    )
    imported = import_model(saved(model, tmp_path / "q.keras", rng), "w8a8")
    formats = imported.spec.layers[0].formats
    assert (formats.sigmoid, formats.tanh) == ("qkeras_hard_sigmoid", "hard_tanh")
    assert (formats.W.bits, formats.W.integer, formats.c.bits, formats.c.integer) == (8, 3, 12, 4)
    assert imported.theirs["gate"] == "not quantized (hard_sigmoid)"
    assert imported.theirs["z"] == imported.theirs["output.b"] == "not quantized"
    text = windows(rng)
    spec = calibrate(imported.spec, imported.weights, text[:, :-1], imported.fixed)
    assert spec.layers[0].formats.W == formats.W and spec.layers[0].formats.c == formats.c
    checkpoint = Checkpoint(VOCABULARY, imported.weights, spec)
    Checkpoint.load(_save(checkpoint, tmp_path / "c.safetensors"))  # the file keeps the functions
    network = freeze(checkpoint)
    # Their quantizers' values are the integers', except for the lowest value of an asymmetric format.
    for name in ("layers.0.W", "layers.0.U", "output.W"):
        fmt = spec.weight_formats()[name]
        assert np.abs(fmt.to_real(network.arrays[name]) - imported.weights[name]).max() <= fmt.lsb
    wanted: dict[str, np.ndarray] = {}
    Reference(network, 12).run(text, wanted)
    got = quantized.trace(quantized.quantized_model(checkpoint), text)
    assert set(got) == set(wanted)
    for name, array in wanted.items():
        assert np.array_equal(got[name], array), name


def _save(checkpoint: Checkpoint, path: Path) -> Path:
    checkpoint.save(path)
    assert Checkpoint.load(path).spec == checkpoint.spec
    return path


CHECKED = {
    "float": lambda: [
        K.LSTM(7, return_sequences=True, recurrent_activation="hard_sigmoid"),
        K.LSTM(7, return_sequences=True, recurrent_activation="hard_sigmoid"),
        K.Dense(SIZE, activation="softmax"),
    ],
    "rounded": lambda: [rounding_layer(), rounding_layer(), QDense(SIZE, **dense_quantizers())],
    "mixed": lambda: [
        rounding_layer(),
        K.LSTM(7, return_sequences=True),
        K.Dense(SIZE),
    ],
}


def rounding_layer() -> Any:
    """Return a layer that rounds everything that QKeras can round."""
    return QLSTM(
        7,
        return_sequences=True,
        activation=quantized_tanh(6, use_real_tanh=True),
        recurrent_activation=quantized_sigmoid(5, use_real_sigmoid=True),
        state_quantizer=quantized_bits(8, 1, alpha=1),
        **quantizers(),
    )


def dense_quantizers() -> dict[str, Any]:
    return {f"{name}_quantizer": quantized_bits(8, 2, alpha=1) for name in ("kernel", "bias")}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Imported]:
    """Import each model of :data:`CHECKED`; this also tests that no import raises."""
    rng, folder = np.random.default_rng(SEED), tmp_path_factory.mktemp("checked")
    found = {}
    for name, layers in CHECKED.items():
        model = keras.Sequential([keras.Input((20, SIZE)), *layers()])
        found[name] = import_model(saved(model, folder / f"{name}.keras", rng), "w8a8")
    return found


@pytest.fixture(scope="module")
def observed(checked: dict[str, Imported]) -> dict[str, Observed]:
    """Record what Keras computes for each of them."""
    return {name: observe(imported) for name, imported in checked.items()}


def with_weight(imported: Imported, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Imported:
    weights = {**imported.weights, name: change(np.array(imported.weights[name]))}
    return dataclasses.replace(imported, weights=weights)


def with_formats(imported: Imported, **changed: Any) -> Imported:
    layers = tuple(
        dataclasses.replace(layer, formats=dataclasses.replace(layer.formats, **changed))
        for layer in imported.spec.layers
    )
    return dataclasses.replace(imported, spec=dataclasses.replace(imported.spec, layers=layers))


def without_layer(imported: Imported) -> Imported:
    """Leave out the second LSTM layer, as if it had been overlooked; both have the same shape."""
    chain = imported.file.chain
    layers = tuple(layer for layer in chain.layers if layer is not chain.recurrent[1])
    file = dataclasses.replace(imported.file, chain=dataclasses.replace(chain, layers=layers))
    return dataclasses.replace(imported, file=file)


def without_rounding(imported: Imported, signal: str) -> Imported:
    rounds = tuple(dataclasses.replace(one, **{signal: None}) for one in imported.rounds)
    return dataclasses.replace(imported, rounds=rounds)


def one_step(array: np.ndarray) -> np.ndarray:
    """Change one value by one step of an 8-bit weight."""
    array.flat[0] += 2.0**-5
    return array


def gates_swapped(array: np.ndarray) -> np.ndarray:
    """Exchange the gates f and g."""
    i, f, g, o = np.split(array, 4, axis=-1)
    return np.concatenate([i, g, f, o], axis=-1)


PLANTED: dict[str, Callable[[Imported], Imported]] = {
    "order of the gates in W": lambda x: with_weight(x, "layers.0.W", gates_swapped),
    "order of the gates in U": lambda x: with_weight(x, "layers.1.U", gates_swapped),
    "order of the gates in b": lambda x: with_weight(x, "layers.1.b", gates_swapped),
    "a bias turned round": lambda x: with_weight(x, "output.b", np.flip),
    "no bias": lambda x: with_weight(x, "layers.0.b", np.zeros_like),
    "one weight": lambda x: with_weight(x, "layers.1.W", one_step),
    "one weight of the recurrence": lambda x: with_weight(x, "layers.0.U", one_step),
    "one weight of the output": lambda x: with_weight(x, "output.W", one_step),
    "another tanh": lambda x: with_formats(x, tanh="hard_tanh"),
    "another sigmoid": lambda x: with_formats(x, sigmoid="qkeras_hard_sigmoid"),
    "a missing layer": without_layer,
}


@pytest.mark.parametrize("fault", PLANTED)
@pytest.mark.parametrize("name", CHECKED)
def test_a_planted_fault_fails_the_check(
    name: str, fault: str, checked: dict[str, Imported], observed: dict[str, Observed]
) -> None:
    with pytest.raises(CheckError, match="the import is wrong"):
        compare(PLANTED[fault](checked[name]), observed[name])


@pytest.mark.parametrize("signal", ["gate", "tanh", "state"])
@pytest.mark.parametrize("name", ["rounded", "mixed"])
def test_a_rounding_left_out_fails_the_check(
    name: str, signal: str, checked: dict[str, Imported], observed: dict[str, Observed]
) -> None:
    with pytest.raises(CheckError, match=r"layer 'qlstm.*': h in Keras is "):
        compare(without_rounding(checked[name], signal), observed[name])


def test_rounded_and_plain_layers_share_a_format_that_holds_both(checked: dict[str, Imported]) -> None:
    imported = checked["mixed"]
    formats = imported.spec.layers[0].formats
    assert formats == dataclasses.replace(
        imported.spec.layers[1].formats, W=formats.W, U=formats.U, b=formats.b
    )
    assert not {"layers.0.c", "layers.1.c"} & imported.fixed  # the plain layer's c is calibrated
    assert formats.gate.bits == 8 and formats.tc.bits == 8  # the preset's, which hold the quantizers' values
    assert any("the layers share one format" in note for note in imported.notes)
    assert re.fullmatch("qlstm.*: quantized_sigmoid.*, lstm.*: not quantized.*", imported.theirs["gate"])


def test_layers_keep_what_they_set_differently(tmp_path: Path, rng: np.random.Generator) -> None:
    """Each layer has its own functions and widths, and is checked with these."""
    layers = [
        QLSTM(3, return_sequences=True, activation=quantized_tanh(bits, use_real_tanh=real), name=str(bits))
        for bits, real in ((6, True), (4, False))
    ]
    path = saved(
        keras.Sequential([keras.Input((20, SIZE)), *layers, K.Dense(SIZE)]), tmp_path / "m.keras", rng
    )
    a, b = (layer.formats for layer in import_model(path, "w8a8").spec.layers)
    assert [(fmt.tanh, fmt.g.bits, fmt.tc.bits) for fmt in (a, b)] == [("tanh", 6, 6), ("hard_tanh", 4, 4)]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"activation": quantized_tanh(17)}, r"quantized_tanh\(17.*\) has 17 bits; at most 16 .* for g"),
        ({"recurrent_activation": quantized_sigmoid(16)}, r"has 16 bits; at most 15 are legal for gate"),
        ({"state_quantizer": quantized_bits(20, 4, alpha=1)}, r"has 20 bits; at most 16 are legal for c"),
    ],
)
def test_signals_wider_than_any_engines_are_refused(
    settings: dict[str, Any], message: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    layers = [QLSTM(3, return_sequences=True, **settings), K.Dense(SIZE)]
    path = saved(keras.Sequential([keras.Input((20, SIZE)), *layers]), tmp_path / "m.keras", rng)
    with pytest.raises(UserError, match=rf"layer 'qlstm.*': .*{message}"):
        import_model(path, "w8a8")


def test_a_shared_layer_fails_structure_and_numbers(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = rounding_layer()
    x = keras.Input((20, SIZE))
    path = saved(keras.Model(x, K.Dense(SIZE)(shared(shared(x)))), tmp_path / "m.keras", rng)
    with pytest.raises(UserError, match=r"layer 'qlstm.*' is applied 2 times; once is legal"):
        import_model(path, "w8a8")
    monkeypatch.setattr("zynq_lstm.models.importing.config.check_chain", lambda *_: None)
    with pytest.raises(CheckError, match=r"the model: its logit in Keras is .* the import is wrong"):
        import_model(path, "w8a8")


@pytest.mark.parametrize("scale, message", [(1e-42, None), (3e38, "output in Keras is not finite")])
def test_weights_at_the_ends_of_float32(scale: float, message: str | None, tmp_path: Path) -> None:
    """Keras may make the smallest zero; the largest overflow, which is not a fault of the import."""
    config = sequential(first((None, SIZE)), lstm(4), dense(SIZE, use_bias=False))
    arrays = arrays_of(config)
    arrays["dense"] = [np.full(array.shape, scale, np.float32) for array in arrays["dense"]]
    arrays["lstm"][2] += 9  # all gates are open: h is about 1
    path = write_archive(tmp_path / "m.keras", config, arrays)
    if message is None:
        import_model(path, "w8a8")
    else:
        with pytest.raises(UserError, match=message):
            import_model(path, "w8a8")


#: Probabilities that predict() of a Keras 2 model with the weights of :func:`simple` printed.
KERAS2_SAID = (
    (0.31198931, 0.23473342, 0.45327735),
    (0.30271730, 0.23673816, 0.46054456),
    (0.31313246, 0.23583029, 0.45103723),
    (0.31682941, 0.23556590, 0.44760469),
)


def simple(config: dict[str, Any]) -> dict[str, list[np.ndarray]]:
    """Return weights that are easy to make anywhere: array number k holds sin(k), sin(k + 1), ..."""
    arrays, k = arrays_of(config), 0
    for own in arrays.values():
        for j, array in enumerate(own):
            own[j] = np.sin(np.arange(array.size) + k).reshape(array.shape).astype(np.float32)
            k += 1
    return arrays


@pytest.mark.parametrize("layout", ["archive", "names", "weights by name", "weights by place"])
def test_files_of_keras_2(layout: str, tmp_path: Path) -> None:
    layers = [lstm(3, keras2=True, recurrent_activation="hard_sigmoid"), dense(3, activation="softmax")]
    config = sequential(first((4, 3), keras2=True), *layers)
    arrays, stored = simple(config), None
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
    got = np.asarray(imported.model(np.eye(3)[[[0, 2, 1, 1]]], training=False))
    assert np.abs(got - KERAS2_SAID).max() < 1e-6


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"])
def test_other_precisions_are_loaded_as_float32(policy: str, tmp_path: Path) -> None:
    layers = [K.LSTM(3, return_sequences=True, recurrent_initializer="zeros", dtype=policy)]
    model = keras.Sequential([keras.Input((20, SIZE)), *layers, K.Dense(SIZE, dtype=policy)])
    model.save(tmp_path / "m.keras")
    imported = import_model(tmp_path / "m.keras", "w8a8")
    wanted = np.asarray(model.layers[0].weights[0].value).astype(np.float32)
    assert np.array_equal(imported.weights["layers.0.W"], wanted)
    assert any(f"computes in {policy}" in note for note in imported.notes)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"registered_name": "zynq_lstm>fixed"}, "registered as"),
        ({"module": "os"}, "module 'os'"),
        ({"class_name": "Lambda"}, "Lambda"),
        ({"config": {"activation": "set_internal_sigmoid(real)"}}, "set_internal_sigmoid"),
        ({"config": {"activation": {"class_name": "function", "config": "x"}}}, "of class function"),
        ({"config": {"activation": {"class_name": "__lambda__", "config": {}}}}, "__lambda__"),
    ],
)
def test_changed_files_are_refused_before_keras_loads_them(
    change: dict[str, Any], message: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = saved(keras.Sequential(FLOAT["one-hot"]()), tmp_path / "m.keras", rng)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    layer = config["config"]["layers"][1]
    layer["config"] |= change.get("config", {})
    layer |= {key: value for key, value in change.items() if key != "config"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (files | {"config.json": json.dumps(config).encode()}).items():
            archive.writestr(name, data)
    with pytest.raises(UserError, match=message):
        read_file(path)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_file(tmp_path / "none.keras")
    (tmp_path / "text.keras").write_text("text")
    with pytest.raises(UserError, match="not a model's file"):
        read_file(tmp_path / "text.keras")


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_damaged_files_are_refused_in_one_line(ending: str, tmp_path: Path) -> None:
    """Files cut off anywhere, or with one byte changed, are read as before or refused, without traceback."""
    config = sequential(first((None, SIZE)), lstm(4), dense(SIZE))
    path = tmp_path / f"m.{ending}"
    (write_archive if ending == "keras" else write_names)(path, config, arrays_of(config))
    whole, rng = path.read_bytes(), np.random.default_rng(SEED)
    refused = 0
    for k in range(60):
        at = int(rng.integers(len(whole)))
        changed = whole[:at] + (b"" if k % 2 else bytes([whole[at] ^ 255]) + whole[at + 1 :])
        path.write_bytes(changed)
        try:
            read_file(path)
        except UserError:
            refused += 1
    assert refused > 20


def test_arrays_outside_the_file_are_not_read(tmp_path: Path) -> None:
    """HDF5 can name arrays in other files."""
    import h5py

    config = sequential(first((None, SIZE)), lstm(4), dense(SIZE))
    arrays = arrays_of(config)
    path = write_names(tmp_path / "m.h5", config, arrays)
    write_names(tmp_path / "other.h5", config, arrays)
    with h5py.File(path, "a") as file:
        del file["model_weights/dense/dense/bias:0"]
        place = "/model_weights/dense/dense/bias:0"
        file[place] = h5py.ExternalLink("other.h5", place)
    with pytest.raises(UserError, match="'dense/bias:0' isn't an array in this file"):
        read_file(path)


def test_vocabularies(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("cab a")
    assert read_vocabulary(tmp_path / "text.txt") == (" abc", "cab a")
    (tmp_path / "list.json").write_text('["[UNK]", "b", "a"]')
    assert read_vocabulary(tmp_path / "list.json") == ("\ue000ba", None)
    (tmp_path / "map.json").write_text('{"b": 1, "a": 0}')
    assert read_vocabulary(tmp_path / "map.json") == ("ab", None)
    (tmp_path / "map.json").write_text('{"b": 2, "a": 0}')
    with pytest.raises(UserError, match="0 to 1, each once"):
        read_vocabulary(tmp_path / "map.json")


def test_the_verb(tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(keras.Sequential(FLOAT["embedding"]()), tmp_path / "m.keras", rng)
    text = "".join(rng.choice(list(VOCABULARY), 300))
    (tmp_path / "text.txt").write_text(text)
    arguments = ["import-keras", str(path), "--text-file", str(tmp_path / "text.txt")]
    result = str(tmp_path / "out.safetensors")
    assert main([*arguments, "--vocabulary", VOCABULARY, "-o", result]) == 0
    assert freeze(Checkpoint.load(result)).identity in capsys.readouterr().out
    assert main([*arguments, "--vocabulary", VOCABULARY + "xyz", "-o", result]) == 2
    assert "has 7 characters, --vocabulary has 10" in capsys.readouterr().err


def test_calibration_moves_a_binary_point_that_is_wrong(rng: np.random.Generator) -> None:
    from zynq_lstm.models.description.spec import network_spec

    spec = network_spec("w8a8", vocabulary=SIZE, units=6, layers=1)
    weights = {name: rng.normal(0, 1, shape) for name, shape in spec.weight_shapes().items()}
    codes = rng.integers(0, SIZE, (4, 50))
    fitted = calibrate(spec, weights, codes)
    narrow = dataclasses.replace(fitted.layers[0].formats.c, integer=0)
    layer = dataclasses.replace(
        fitted.layers[0], formats=dataclasses.replace(fitted.layers[0].formats, c=narrow)
    )
    bad = dataclasses.replace(fitted, layers=(layer,))
    assert calibrate(bad, weights, codes) == fitted
    rows = {row.name: row for row in usage(bad, weights, codes)}
    assert rows["layers.0.c"].saturated > 0
    assert rows["layers.0.c"].suggestion == fitted.layers[0].formats.c
    assert calibrate(bad, weights, codes, fixed=["c"]).layers[0].formats.c == narrow
