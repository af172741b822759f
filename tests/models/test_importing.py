# SPDX-License-Identifier: Apache-2.0
"""Models of others: their logits, their formats, and what is refused before Keras sees it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.calibrate import calibrate, usage
from models.checkpoint import Checkpoint
from models.errors import UserError
from models.freeze import freeze
from models.quiet import import_qkeras, import_tensorflow

import_tensorflow()
import_qkeras()
import keras  # noqa: E402
from keras import layers as K  # noqa: E402
from qkeras import QLSTM, QDense, quantized_bits  # noqa: E402

from models import quantized  # noqa: E402
from models.deviation import deviations  # noqa: E402
from models.importing import import_model  # noqa: E402
from models.keras_file import check_file  # noqa: E402
from scripts.import_keras import read_vocabulary  # noqa: E402
from scripts.main import main  # noqa: E402
from sim.reference import Reference  # noqa: E402

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
def test_our_equations_are_the_float_models(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """:func:`deviations` raises if they aren't; that it can is tested with a wrong weight."""
    imported = import_model(saved(keras.Sequential(FLOAT[name]()), tmp_path / "m.keras", rng), "w8a8")
    text = windows(rng)
    spec = calibrate(imported.spec, imported.weights, text[:6, :-1], imported.fixed)
    network = freeze(Checkpoint(VOCABULARY, imported.weights, spec))
    rows = deviations(imported, network, text[6:])
    assert rows[1].largest < 1e-5
    assert 0 < rows[-1].largest < 1  # the integers are near, and not the floats
    wrong = dict(imported.weights)
    wrong["layers.0.U"] = np.roll(wrong["layers.0.U"], 1, axis=1)
    broken = type(imported)(**{**vars(imported), "weights": wrong})
    with pytest.raises(Exception, match="the import is wrong"):
        deviations(broken, network, text[6:])


def test_qkeras_formats_are_kept_and_keras_gives_the_references_integers(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """With QKeras' default activations, both hard ones."""
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
    Checkpoint.load(_save(checkpoint, tmp_path / "c.safetensors"))  # functions survive the file
    network = freeze(checkpoint)
    # Their quantizers' values are the integers', but for those that are the lowest of an asymmetric format.
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


REFUSED = {
    "go_backwards": (lambda: [K.LSTM(3, return_sequences=True, go_backwards=True)], "go_backwards"),
    "activation": (lambda: [K.LSTM(3, return_sequences=True, activation="relu")], "activation='relu'"),
    "gru": (lambda: [K.GRU(3, return_sequences=True)], "is a GRU: there is no hardware"),
    "bidirectional": (lambda: [K.Bidirectional(K.LSTM(3, return_sequences=True))], "is a Bidirectional"),
    "lambda": (lambda: [K.LSTM(3, return_sequences=True), K.Lambda(lambda x: x)], "is a Lambda"),
    "five": (lambda: [K.LSTM(2, return_sequences=True) for _ in range(5)], "number of layers"),
    "dense first": (lambda: [K.Dense(3), K.LSTM(3, return_sequences=True)], "Dense is not possible"),
    "no lstm": (list, "not possible in this place"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    make, message = REFUSED[name]
    model = keras.Sequential([keras.Input((20, SIZE)), *make(), K.Dense(SIZE)])
    with pytest.raises(UserError, match=message) as error:
        import_model(saved(model, tmp_path / "m.keras", rng), "w8a8")
    assert "\n" not in str(error.value)


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
        check_file(path)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        check_file(tmp_path / "none.keras")
    (tmp_path / "text.keras").write_text("text")
    with pytest.raises(UserError, match=r"not a \.keras file"):
        check_file(tmp_path / "text.keras")


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
    assert main([*arguments, "--vocabulary", "abc", "-o", result]) == 2
    assert "has 7 characters, the vocabulary given has 3" in capsys.readouterr().err


def test_calibration_moves_a_binary_point_that_is_wrong(rng: np.random.Generator) -> None:
    import dataclasses

    from models.spec import network_spec

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
