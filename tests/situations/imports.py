# SPDX-License-Identifier: Apache-2.0
"""Other people's models: graphs, settings, values, and the files of Keras 2 and 3."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests import prepared
from tests.keras_files import (
    KERAS2,
    KERAS3,
    Entry,
    arrays_of,
    dense,
    first,
    functional,
    gru,
    layer,
    lstm,
    sequential,
    simple_rnn,
    write_archive,
    write_names,
    write_places,
)
from tests.prepared import Prepare
from tests.situations import Situation

V = 5
TEXT = "abcde" * 130
LINE = "import-keras {} --vocabulary-file text.txt -o out.safetensors"
KERAS, H5 = LINE.format("m.keras"), LINE.format("m.h5")

text = prepared.text(TEXT, "text.txt")  # has all characters


def archive(config: Entry, version: str = KERAS3, change: Callable[[dict[str, Any]], None] = dict) -> Prepare:
    """Write a ``.keras`` file and a text.

    Args:
        change: changes the arrays, by layer, before they are written.
    """

    def prepare(folder: Path) -> None:
        text(folder)
        arrays = arrays_of(config)
        change(arrays)
        write_archive(folder / "m.keras", config, arrays, version)

    return prepare


def names(config: Entry, whole: bool = True) -> Prepare:
    """Write an ``.h5`` file of Keras 2 and a text."""

    def prepare(folder: Path) -> None:
        text(folder)
        write_names(folder / "m.h5", config, arrays_of(config), whole=whole)

    return prepare


def json_and(write: Callable[..., object], *layers: Entry) -> Prepare:
    """Write the configuration as JSON, and the weights to a separate file."""

    def prepare(folder: Path) -> None:
        text(folder)
        config = sequential(*layers)
        (folder / "m.json").write_text(json.dumps({**config, "keras_version": KERAS2}))
        more = {"whole": False} if write is write_names else {}
        write(folder / "w.h5", config, arrays_of(config), **more)

    return prepare


def chain(*layers: Entry, **more: Any) -> Prepare:
    """Write a Sequential model of Keras 3 on one-hot text."""
    return archive(sequential(first((None, V)), *layers), **more)


def graph(
    *layers: tuple[Entry, Sequence[Sequence[tuple[str, int]]]], end: Sequence[tuple[str, int]]
) -> Prepare:
    """Write a model with a graph, after a one-hot input."""
    return archive(functional([(first((None, V)), []), *layers], end))


def call(**keywords: Any) -> Prepare:
    """Write a chain whose LSTM is called with more arguments than its input."""
    config = functional(
        [(first((None, V)), []), (lstm(4), [[("input", 0)]]), (dense(V), [[("lstm", 0)]])], [("dense", 0)]
    )
    config["config"]["layers"][1]["inbound_nodes"][0]["kwargs"] |= keywords
    return archive(config)


def value(name: str, array: int, at: tuple[int, ...], number: float, embedding: bool = False) -> Prepare:
    """Write a chain with one value of one array changed."""

    def change(arrays: dict[str, Any]) -> None:
        arrays[name][array][at] = number

    front = [first((None,)), layer("Embedding", "letters", input_dim=V, output_dim=3)]
    layers = front if embedding else [first((None, V))]
    return archive(sequential(*layers, lstm(4), dense(V)), change=change)


def two_biases(arrays: dict[str, Any]) -> None:
    """Give a GRU the bias of one with reset_after=True."""
    arrays["gru"][2] = np.stack([arrays["gru"][2]] * 2)


def folder_of(*files: str) -> Prepare:
    """Make a folder instead of a model's file."""

    def prepare(folder: Path) -> None:
        text(folder)
        (folder / "m").mkdir()
        for name in files:
            (folder / "m" / name).write_bytes(b"\x0a")

    return prepare


def quantizer(kind: str, **config: Any) -> Entry:
    """Return a quantizer of QKeras as Keras 3 writes it."""
    return {
        "module": "qkeras.quantizers",
        "class_name": kind,
        "config": config,
        "registered_name": f"qkeras>{kind}",
    }


def rounding(name: str, units: int = 4, **config: Any) -> Entry:
    """Return a QLSTM that rounds its state."""
    entry = lstm(
        units, name, **{"state_quantizer": quantizer("quantized_bits", bits=8, integer=1, alpha=1)} | config
    )
    entry["class_name"] = "QLSTM"
    return entry


def old_rounding(name: str) -> Entry:
    """Return a QLSTM as QKeras wrote it with Keras 2."""
    old = {"class_name": "quantized_bits", "config": {"bits": 8, "integer": 0, "symmetric": 1, "alpha": 1.0}}
    entry = lstm(
        4, name, keras2=True, **{f"{role}_quantizer": old for role in ("kernel", "recurrent", "bias")}
    )
    tanh = {"class_name": "quantized_tanh", "config": {"bits": 8, "use_real_tanh": True}}
    entry["config"] |= {"state_quantizer": None, "kernel_range": None, "activation": tanh}
    return {**entry, "class_name": "QLSTM"}


KERAS2_LAYERS = (
    first((20, V), keras2=True),
    lstm(4, keras2=True),
    layer("Dropout", "dropout", rate=0.1, noise_shape=None, seed=None),
    layer("TimeDistributed", "each", layer=dense(V, activation="softmax")),
)
EMBEDDING = layer("Embedding", "letters", input_dim=V, output_dim=3, mask_zero=True)
DTYPE = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "mixed_float16"},
    "registered_name": None,
}
IMPORTED = r"network  [0-9a-f]{64}\s+wrote    out\.safetensors"
LONG = functional(
    [(first((9000, V)), []), (lstm(4), [[("input", 0)]]), (dense(V), [[("lstm", 0)]])], [("dense", 0)]
)


def long_text(folder: Path) -> None:
    """Write a model with a window of 9000 characters, and a text that is long enough."""
    archive(LONG)(folder)
    (folder / "text.txt").write_text("abcde" * 8000)


def is_no_file(folder: Path) -> None:
    """A refused import writes no checkpoint."""
    assert not (folder / "out.safetensors").exists()


SITUATIONS = {
    "no model at all": Situation("import-keras", "Missing argument 'MODEL'"),
    # structure
    "a layer applied twice": Situation(
        KERAS,
        "m.keras: layer 'twice' is applied 2 times; once is legal",
        prepare=graph(
            (rounding("twice", units=V), [[("input", 0)], [("twice", 0)]]),
            (dense(V), [[("twice", 1)]]),
            end=[("dense", 0)],
        ),
        check=is_no_file,
        case=True,
    ),
    "two inputs": Situation(
        KERAS,
        "the model has 2 inputs and 1 outputs; one of each is legal",
        prepare=archive(
            functional(
                [
                    (first((None, V)), []),
                    (first((None, V), name="other"), []),
                    (lstm(4), [[("input", 0)]]),
                    (dense(V), [[("lstm", 0)]]),
                ],
                [("dense", 0)],
            )
        ),
    ),
    "two outputs": Situation(
        KERAS,
        "the model has 1 inputs and 2 outputs",
        prepare=graph(
            (lstm(4), [[("input", 0)]]), (dense(V), [[("lstm", 0)]]), end=[("dense", 0), ("lstm", 0)]
        ),
    ),
    "two branches": Situation(
        KERAS,
        "layer 'b' reads layer 'input', not the layer before it, 'a'",
        prepare=graph(
            (lstm(V, "a"), [[("input", 0)]]),
            (lstm(V, "b"), [[("input", 0)]]),
            (dense(V), [[("b", 0)]]),
            end=[("dense", 0)],
        ),
    ),
    "a skip connection": Situation(
        KERAS,
        "layer 'sum' is a Add: legal are .* one after the other",
        prepare=graph(
            (lstm(V, "a"), [[("input", 0)]]),
            (lstm(V, "b"), [[("a", 0)]]),
            (layer("Add", "sum"), [[("a", 0), ("b", 0)]]),
            (dense(V), [[("sum", 0)]]),
            end=[("dense", 0)],
        ),
    ),
    "an output in the middle": Situation(
        KERAS,
        "the model's output is of layer 'lstm'; it must be of the last layer, 'dense'",
        prepare=graph((lstm(V), [[("input", 0)]]), (dense(V), [[("lstm", 0)]]), end=[("lstm", 0)]),
    ),
    "a model in a model": Situation(
        KERAS,
        "layer 'inner' is a Sequential: models may not be nested",
        prepare=chain(layer("Sequential", "inner", layers=[lstm(4)]), dense(V)),
    ),
    "two layers of one name": Situation(
        KERAS, "layer 'lstm' occurs twice", prepare=chain(lstm(4), lstm(4), dense(V))
    ),
    "another initial state": Situation(
        KERAS,
        "layer 'lstm' is called with initial_state=another layer's output",
        prepare=call(initial_state=[{"class_name": "__keras_tensor__", "config": {}}]),
    ),
    "dropout that never ends": Situation(
        KERAS, "layer 'lstm' is called with training=True; only its input", prepare=call(training=True)
    ),
    "two directions": Situation(
        KERAS,
        "layer 'both' is a Bidirectional: text is read forwards only; legal are",
        prepare=chain(layer("Bidirectional", "both", layer=lstm(4)), dense(V)),
    ),
    "a mask": Situation(
        KERAS,
        "layer 'letters': mask_zero=True; False is legal",
        prepare=archive(sequential(first((20,)), EMBEDDING, lstm(4), dense(V))),
        case=True,
    ),
    "a mask in a graph": Situation(
        KERAS,
        "layer 'letters': mask_zero=True; False is legal",
        prepare=archive(
            functional(
                [
                    (first((20,)), []),
                    (EMBEDDING, [[("input", 0)]]),
                    (layer("NotEqual", "not_equal"), [[("input", 0)]]),
                    (lstm(4), [[("letters", 0), ("not_equal", 0)]]),
                    (dense(V), [[("lstm", 0)]]),
                ],
                [("dense", 0)],
            )
        ),
    ),
    "a softmax over the characters of the text": Situation(
        KERAS,
        "layer 'soft': softmax over axis 1; the last, -1, is legal",
        prepare=chain(lstm(4), dense(V), layer("Softmax", "soft", axis=1)),
    ),
    "two softmaxes": Situation(
        KERAS,
        "layer 'soft': a softmax after that of layer 'dense'; one is legal",
        prepare=chain(lstm(4), dense(V, activation="softmax"), layer("Softmax", "soft", axis=-1)),
    ),
    "states as outputs": Situation(
        KERAS,
        "'lstm': return_state=True; False is legal",
        prepare=chain(lstm(4, return_state=True), dense(V)),
    ),
    "backwards": Situation(
        KERAS, "'lstm': go_backwards=True; False", prepare=chain(lstm(4, go_backwards=True), dense(V))
    ),
    "time first": Situation(
        KERAS,
        "'lstm': time_major=True; False is legal: the first axis is the batch",
        prepare=archive(
            sequential(first((20, V), keras2=True), lstm(4, keras2=True, time_major=True), dense(V)), KERAS2
        ),
    ),
    "the last character in the middle": Situation(
        KERAS,
        "'a': return_sequences=False; True is legal below another layer",
        prepare=chain(lstm(4, "a", return_sequences=False), lstm(4, "b"), dense(V)),
    ),
    "each character of one": Situation(
        KERAS,
        "layer 'each' is a TimeDistributed, but layer 'lstm' has return_sequences=False",
        prepare=chain(lstm(4, return_sequences=False), layer("TimeDistributed", "each", layer=dense(V))),
    ),
    "a number in the place of a character": Situation(
        KERAS,
        "layer 'lstm' reads 1 different characters, layer 'dense' answers with 5; they must be as many",
        prepare=archive(sequential(first((20, 1)), lstm(4), dense(V))),
    ),
    "five layers": Situation(
        KERAS,
        "layer 'e' is recurrent layer 5; at most 4 are legal",
        prepare=chain(*(lstm(2, name) for name in "abcde"), dense(V)),
    ),
    "dense first": Situation(
        KERAS,
        "layer 'early': a Dense is not possible in this place",
        prepare=chain(dense(4, "early"), lstm(4), dense(V)),
    ),
    "no lstm": Situation(KERAS, "a Dense is not possible in this place", prepare=chain(dense(V))),
    "no dense": Situation(KERAS, "the model has no Dense layer", prepare=chain(lstm(V))),
    "another cell": Situation(
        KERAS,
        "layer 'gru' is a CuDNNGRU: load it in Keras 2 into the same model made of GRU layers",
        prepare=chain(layer("CuDNNGRU", "gru", units=4), dense(V)),
    ),
    "a GRU, then an LSTM": Situation(
        KERAS, IMPORTED, 0, prepare=chain(gru(4), lstm(4), dense(V)), imports=True
    ),
    "a GRU that keeps its state, in an unrolled loop": Situation(
        KERAS,
        IMPORTED,
        0,
        prepare=archive(
            sequential(
                first((20,)),
                layer("Embedding", "letters", input_dim=V, output_dim=3),
                gru(4, stateful=True, unroll=True, return_sequences=False, reset_after=False, dropout=0.2),
                dense(V, activation="softmax"),
            )
        ),
        imports=True,
    ),
    "a vanilla layer": Situation(KERAS, IMPORTED, 0, prepare=chain(simple_rnn(4), dense(V)), imports=True),
    "a GRU of the other kind": Situation(
        KERAS,
        r"layer 'gru': bias has the shape \(2, 12\), must be \(12,\)",
        prepare=chain(gru(4, reset_after=False), dense(V), change=two_biases),
    ),
    "code in the file": Situation(
        KERAS,
        "layer 'run' is a Lambda, which would run code from the file",
        prepare=chain(lstm(4), layer("Lambda", "run", function={"class_name": "__lambda__"}), dense(V)),
    ),
    "somebody's own class": Situation(
        KERAS, "layer 'mine' is a MyLSTM: legal are", prepare=chain(layer("MyLSTM", "mine"), dense(V))
    ),
    "an unknown setting": Situation(
        KERAS,
        "'lstm': the setting layer_norm=True of LSTM isn't supported",
        prepare=chain(lstm(4, layer_norm=True), dense(V)),
    ),
    "too many units": Situation(
        KERAS, "'lstm': has 600 units; at most 512", prepare=chain(lstm(600), dense(V))
    ),
    "too many characters": Situation(
        KERAS,
        "layer 'dense' answers with 300 characters; a network has 2 to 256: train it on a text with",
        prepare=archive(sequential(first((20, 300)), lstm(4), dense(300))),
    ),
    # legal values that are legal in this place
    "another activation": Situation(
        KERAS,
        r"activation='relu'; legal are tanh, hard_tanh, sigmoid, hard_sigmoid, quantized_tanh; relu has",
        prepare=chain(lstm(4, activation="relu"), dense(V)),
    ),
    "another function of the gates": Situation(
        KERAS,
        "recurrent_activation='tanh'; legal are sigmoid, hard_sigmoid, quantized_sigmoid$",
        prepare=chain(lstm(4, recurrent_activation="tanh"), dense(V)),
    ),
    "another output": Situation(
        KERAS,
        "'dense' has activation='sigmoid'; legal are softmax, linear$",
        prepare=chain(lstm(4), dense(V, activation="sigmoid")),
    ),
    "another dtype": Situation(
        KERAS, "'lstm': dtype int8; legal are float32, ", prepare=chain(lstm(4, dtype="int8"), dense(V))
    ),
    "a width that is no number": Situation(
        KERAS,
        "'a': bits of its state_quantizer must be a whole number, got '8'",
        prepare=chain(
            rounding("a", state_quantizer=quantizer("quantized_bits", bits="8", integer=1)), dense(V)
        ),
    ),
    # values
    "a value that is not a number": Situation(
        KERAS,
        r"m.keras: layer 'lstm': recurrent_kernel holds 1 of 64 values .*, the first nan at \[2, 5\]",
        prepare=value("lstm", 1, (2, 5), np.nan),
        check=is_no_file,
        case=True,
    ),
    "an infinite value in the output layer": Situation(
        KERAS, r"'dense': bias holds .* the first -inf at \[3\]", prepare=value("dense", 1, (3,), -np.inf)
    ),
    "no number in an embedding": Situation(
        KERAS,
        r"'letters': embeddings holds .* the first nan at \[4, 0\]",
        prepare=value("letters", 0, (4, 0), np.nan, embedding=True),
    ),
    # text
    "a window longer than --characters": Situation(
        KERAS + " --characters 16384",
        "--characters .*16384.*; 18002 are needed.* 9001 to calibrate on",
        prepare=long_text,
        case=True,
    ),
    "a window longer than the text": Situation(
        KERAS + " --characters 16384",
        "the text has 650 characters; 18002 are needed.*; give a longer .*--text-file",
        prepare=archive(LONG),
    ),
    "fewer than no characters": Situation(
        KERAS + " --characters -39000",
        "'--characters': -39000 is not in the range",
        prepare=chain(lstm(4), dense(V)),
        case=True,
    ),
    # files
    "a model of Keras 2": Situation(
        KERAS, IMPORTED, 0, prepare=archive(sequential(*KERAS2_LAYERS), KERAS2), imports=True, case=True
    ),
    "a model of Keras 2 in HDF5": Situation(
        H5, IMPORTED, 0, prepare=names(sequential(*KERAS2_LAYERS)), imports=True, case=True
    ),
    "weights beside a JSON": Situation(
        LINE.format("m.json --weights w.h5"),
        IMPORTED,
        0,
        prepare=json_and(write_places, *KERAS2_LAYERS),
        imports=True,
    ),
    "weights by name beside a JSON": Situation(
        LINE.format("m.json --weights w.h5"),
        IMPORTED,
        0,
        prepare=json_and(write_names, *KERAS2_LAYERS),
        imports=True,
    ),
    "a JSON alone": Situation(
        LINE.format("m.json"),
        "m.json: holds no weights; give their file with --weights",
        prepare=json_and(write_places, *KERAS2_LAYERS),
    ),
    "weights alone": Situation(
        H5,
        r"m.h5: holds weights but no model; give the model's configuration, .*to_json.* with --weights",
        prepare=names(sequential(*KERAS2_LAYERS), whole=False),
    ),
    "weights too many": Situation(
        KERAS + " --weights text.txt",
        "m.keras: holds its weights itself; leave out --weights",
        prepare=chain(lstm(4), dense(V)),
    ),
    "weights that are no HDF5": Situation(
        LINE.format("m.json --weights text.txt"),
        "text.txt: not HDF5; save the weights with model.save_weights",
        prepare=json_and(write_places, *KERAS2_LAYERS),
    ),
    "weights of another model": Situation(
        LINE.format("m.json --weights m.h5"),
        r"m.h5: layer 'lstm': kernel has the shape \(5, 12\), must be \(5, 16\)",
        prepare=lambda folder: (
            json_and(write_places, *KERAS2_LAYERS)(folder),
            names(sequential(KERAS2_LAYERS[0], lstm(3, keras2=True), *KERAS2_LAYERS[2:]))(folder),
        ),
    ),
    "a SavedModel": Situation(
        LINE.format("m"),
        "m: is a SavedModel of Keras 2: convert it .*pip install tf_keras.*load_model.*name.h5",
        prepare=folder_of("saved_model.pb", "keras_metadata.pb"),
    ),
    "an exported model": Situation(
        LINE.format("m"),
        r"m: is a SavedModel without layers, .* save the model itself with model.save\('name.keras'\)",
        prepare=folder_of("saved_model.pb"),
    ),
    "a folder": Situation(LINE.format("m"), "m: is a folder; legal are a .keras file, ", prepare=folder_of()),
    "no file": Situation(LINE.format("none.keras"), "none.keras: no such file", prepare=text),
    "a text in the place of a model": Situation(
        LINE.format("text.txt"), "text.txt: not a model's file; legal are a .keras file", prepare=text
    ),
    "code in a file of Keras 2": Situation(
        H5,
        "layer 'run' is a Lambda, which would run code from the file",
        prepare=names(sequential(*KERAS2_LAYERS, layer("Lambda", "run", function=["4wEAAAA", None, None]))),
    ),
    "another cell of Keras 2": Situation(
        H5,
        IMPORTED,
        0,
        prepare=names(sequential(KERAS2_LAYERS[0], gru(4), dense(V))),
        imports=True,
    ),
    # precision
    "a model in half precision": Situation(
        KERAS,
        "layer 'lstm' computes in mixed_float16; its weights and all its values are taken as float32",
        0,
        prepare=chain(lstm(4, dtype=DTYPE), dense(V, dtype=DTYPE)),
        imports=True,
    ),
    "rounded and plain layers": Situation(
        KERAS,
        r"plain: not quantized, rounded:\s+quantized_bits\(8,1,0,alpha=1\).*\s.*the layers share one",
        0,
        prepare=chain(lstm(4, "plain"), rounding("rounded"), dense(V)),
        imports=True,
    ),
    "rounded and plain layers of Keras 2": Situation(
        H5,
        IMPORTED,
        0,
        prepare=names(
            sequential(KERAS2_LAYERS[0], old_rounding("rounded"), lstm(4, "plain", keras2=True), dense(V))
        ),
        imports=True,
    ),
}
