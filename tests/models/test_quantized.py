# SPDX-License-Identifier: Apache-2.0
"""The quantized Keras layers: the same integers as the reference, and gradients that train."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from zynq_lstm.models.description.checkpoint import Checkpoint, shipped
from zynq_lstm.models.description.spec import CELLS, PRESETS, NetworkSpec, network_spec, with_formats
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.bpc import evaluate_keras, evaluate_reference, keras_logits
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.bounds import wide_sums
from zynq_lstm.models.integers.freeze import arithmetic_bounds, freeze, freeze_weights
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.keras.quiet import import_tensorflow
from zynq_lstm.models.texts.corpus import load_corpus

tf = import_tensorflow()
import keras  # noqa: E402

from zynq_lstm.models.keras import float_lstm, quantized, quantized_cell, quantizers, steps  # noqa: E402

VOCABULARY = "abcdefghijk"


def random_checkpoint(rng: np.random.Generator, spec: NetworkSpec, scale: float = 1.0) -> Checkpoint:
    """Return random weights over the formats' whole range at scale 1, and beyond it at larger scales."""
    weights = {}
    for name, fmt in spec.weight_formats().items():
        shape = spec.weight_shapes()[name]
        weights[name] = rng.uniform(-1, 1, shape) * scale * float(fmt.to_real(fmt.max_raw))
        weights[name] = weights[name].astype(np.float32)
    return Checkpoint(VOCABULARY[: spec.vocabulary], weights, spec)


def assert_same_trace(model, network, codes, state=None):
    reference = Reference(network, 1 if codes.ndim == 1 else len(codes))
    if state is not None:
        reference.state = state
    wanted: dict[str, np.ndarray] = {}
    reference.run(codes, wanted)
    got = quantized.trace(model, codes, state)
    assert set(got) == set(wanted)
    for name, array in wanted.items():
        assert got[name].shape == array.shape, name
        wrong = np.argwhere(got[name] != array)
        assert not len(wrong), (
            f"{name}: {len(wrong)} differ, first at {tuple(wrong[0])}: "
            f"Keras {got[name][tuple(wrong[0])]}, reference {array[tuple(wrong[0])]}"
        )
    return reference.state


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("scale", [0.05, 0.4, 3.0])
def test_every_signal_equals_the_reference(rng, preset, scale):
    spec = network_spec(preset, vocabulary=len(VOCABULARY), units=12)
    checkpoint = random_checkpoint(rng, spec, scale)
    model = quantized.quantized_model(checkpoint)
    network = freeze(checkpoint)
    # Single streams are below.
    state = assert_same_trace(model, network, rng.integers(0, len(VOCABULARY), (5, 50)))
    # and continue from that state
    assert_same_trace(model, network, rng.integers(0, len(VOCABULARY), (5, 40)), state)


def test_every_signal_equals_the_reference_at_the_bounds(rng):
    """All weights at plus or minus the largest value: every signal that can saturate does."""
    spec = network_spec("w8a8", vocabulary=len(VOCABULARY), units=32)
    checkpoint = random_checkpoint(rng, spec)
    weights = {
        name: np.sign(w) * float(spec.weight_formats()[name].to_real(1 << 30))
        for name, w in checkpoint.weights.items()
    }
    checkpoint = dataclasses.replace(checkpoint, weights=weights)
    network = freeze(checkpoint)
    codes = rng.integers(0, len(VOCABULARY), 300)
    assert_same_trace(quantized.quantized_model(checkpoint), network, codes)
    signals: dict[str, np.ndarray] = {}
    Reference(network).run(codes, signals)
    z, c = signals["layers.1.z"], signals["layers.0.c"]
    assert z.min() == spec.layers[1].formats.z.min_raw
    assert z.max() == spec.layers[1].formats.z.max_raw
    assert max(-c.min(), c.max()) >= spec.layers[0].formats.ct.max_raw


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("c", ["preset", "ap_fixed<24,3,AP_RND,AP_SAT>"])
def test_only_sums_that_need_float64_have_it(rng, monkeypatch, cell, c):
    """A wide c takes the sums that read it beyond float32; the matrices stay there, where they are fast."""
    spec = network_spec("w8a8", vocabulary=len(VOCABULARY), units=16, cell=cell)
    if c != "preset" and spec.layers[0].formats.has_c:
        spec = with_formats(spec, {"c": FixedFormat.parse(c)})
    checkpoint = random_checkpoint(rng, spec, 0.4)
    codes = rng.integers(0, len(VOCABULARY), (8, 60))
    model = quantized.quantized_model(checkpoint)
    assert [layer.arithmetic for layer in float_lstm.recurrent_layers(model)] == ["float32"] * 2
    assert_same_trace(model, freeze(checkpoint), codes)
    if c != "preset" and spec.layers[0].formats.has_c:
        assert "c" in wide_sums(spec.layers[0].formats)
        monkeypatch.setattr(steps, "wide_sums", lambda _: frozenset())
        with pytest.raises(AssertionError, match=r"off the grid|differ, first at"):
            assert_same_trace(quantized.quantized_model(checkpoint), freeze(checkpoint), codes)


@pytest.mark.parametrize("layers", [1, 3])
def test_other_depths_equal_the_reference(rng, layers):
    spec = network_spec("w8a8", vocabulary=7, units=9, layers=layers)
    checkpoint = random_checkpoint(rng, spec, 0.5)
    model = quantized.quantized_model(checkpoint)
    assert_same_trace(model, freeze(checkpoint), rng.integers(0, 7, 100))


def test_truncating_signals_equal_the_reference(rng):
    lstm, _ = PRESETS["w8a8"]
    truncated = {
        name: dataclasses.replace(getattr(lstm, name), rounding=type(lstm.z.rounding)("AP_TRN"))
        for name in ("z", "c", "ct", "h")
    }
    spec = network_spec("w8a8", vocabulary=7, units=9)
    layer = dataclasses.replace(spec.layers[0], formats=dataclasses.replace(lstm, **truncated))
    spec = dataclasses.replace(spec, layers=(layer, layer))
    checkpoint = random_checkpoint(rng, spec, 0.5)
    assert_same_trace(quantized.quantized_model(checkpoint), freeze(checkpoint), rng.integers(0, 7, 100))


@pytest.mark.slow
def test_shipped_network_gives_the_reference_logits_on_100_000_characters():
    checkpoint = Checkpoint.load(shipped("w8a8"))
    codes = load_corpus().split().test[: 64 * 1600].reshape(64, 1600)
    assert codes.size >= 100_000
    model = quantized.quantized_model(checkpoint)
    assert {layer.arithmetic for layer in float_lstm.recurrent_layers(model)} == {"float32"}
    network = freeze(checkpoint)
    wanted = Reference(network, 64).run(codes)
    real = np.moveaxis(np.concatenate(list(keras_logits(model, codes.T))), 0, 1)
    assert real.shape == wanted.shape
    assert np.array_equal(real * 2.0**network.spec.output.logits.frac, wanted)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_shipped_network_gives_every_signal_of_the_reference(cell):
    checkpoint = Checkpoint.load(shipped("w8a8", cell=cell))
    assert checkpoint.cells == (cell, cell)
    codes = load_corpus().split().validation[:600]
    assert_same_trace(quantized.quantized_model(checkpoint), freeze(checkpoint), codes)


def test_equal_logits_mean_an_equal_figure():
    checkpoint = Checkpoint.load(shipped("w8a8"))
    codes = load_corpus().split().test[:3000]
    keras_bits = evaluate_keras(quantized.quantized_model(checkpoint), codes)
    assert keras_bits == evaluate_reference(freeze(checkpoint), codes)


def test_freezing_a_checkpoint_and_its_model_is_the_same(rng):
    """NumPy rounds the weights as QKeras does, including ties and saturation."""
    spec = network_spec("w8a8", vocabulary=7, units=8)
    checkpoint = random_checkpoint(rng, spec, 1.5)
    kernel = np.array(checkpoint.weights["layers.0.U"])
    lsb = spec.layers[0].formats.U.lsb
    kernel[0, :6] = np.array([0.5, 1.5, -0.5, -1.5, 200.0, -200.0]) * lsb
    weights = {**checkpoint.weights, "layers.0.U": kernel}
    checkpoint = dataclasses.replace(checkpoint, weights=weights)
    frozen = freeze(checkpoint)
    assert frozen.arrays["layers.0.U"][0, :6].tolist() == [0, 2, 0, -2, 127, -127]
    model = quantized.freeze_model(quantized.quantized_model(checkpoint), checkpoint.vocabulary)
    for name, array in frozen.arrays.items():
        assert np.array_equal(array, model.arrays[name]), name
    assert frozen.identity == model.identity


def test_freeze_refuses_what_has_no_integers(rng):
    spec = network_spec("w8a8", vocabulary=7, units=8)
    checkpoint = random_checkpoint(rng, spec)
    with pytest.raises(UserError, match="is of a float network"):
        freeze(dataclasses.replace(checkpoint, spec=None))


def test_inexact_sums_are_refused(rng):
    spec = network_spec("q8.8", vocabulary=7, units=16)
    checkpoint = random_checkpoint(rng, spec)
    names = ("lstm1", "lstm2", "logits")
    model = quantized.build_quantized(spec, arithmetic=dict.fromkeys(names, "float32"))
    float_lstm.load_weights(model, checkpoint.weights)
    message = r"layer lstm1: sums reach \d+, above the 2\*\*24 up to which float32 is exact"
    for use in (
        lambda: quantized.check_exact(model),
        lambda: quantized.freeze_model(model, checkpoint.vocabulary),
        lambda: quantized.trace(model, np.zeros(3, np.int64)),
    ):
        with pytest.raises(UserError, match=message):
            use()
    exact = quantized.quantized_model(checkpoint)
    assert [layer.arithmetic for layer in float_lstm.recurrent_layers(exact)] == ["float64"] * 2


def test_the_bound_is_reached_not_only_respected():
    """This network drives its output sum to the bound: the proof is tight, not only safe."""
    spec = network_spec("w8a8", vocabulary=2, units=4, layers=1)
    weights = {name: np.zeros(shape) for name, shape in spec.weight_shapes().items()}
    weights["layers.0.b"][:] = 8  # all gates saturate at their largest value
    weights["output.W"][:] = 8
    checkpoint = Checkpoint("ab", weights, spec)
    network = freeze(checkpoint)
    signals: dict[str, np.ndarray] = {}
    Reference(network).run(np.zeros(40, np.int64), signals)
    largest = int((signals["layers.0.h"][-1] @ network.arrays["output.W"]).max())
    low, high = network.output_accumulator_range()
    assert largest == high == -low == 4 * 127 * 127
    assert arithmetic_bounds(network)["logits"] >= largest


def test_weight_formats_must_be_qkeras_formats():
    with pytest.raises(UserError, match="AP_RND_CONV and AP_SAT_SYM, got ap_fixed<8,1"):
        quantizers.weight_quantizer(FixedFormat.parse("ap_fixed<8,1>"))
    with pytest.raises(UserError, match="must round by AP_RND or AP_TRN and saturate"):
        quantizers.fixed("ap_fixed<8,1,AP_RND,AP_WRAP>")


def test_options_that_do_not_exist_are_refused():
    formats = PRESETS["w8a8"][0]
    with pytest.raises(UserError, match="unknown option 'go_backwards'"):
        quantized.QuantizedLSTM(4, 4, formats, go_backwards=True)
    with pytest.raises(UserError, match="arithmetic must be float32 or float64, got 'float16'"):
        quantized.QuantizedLSTM(4, 4, formats, arithmetic="float16")


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_quantized_weights_are_the_format_s_where_qkeras_misses_them(rng, bits):
    fmt = FixedFormat.parse(f"ap_fixed<{bits},2,AP_RND_CONV,AP_SAT_SYM>")
    weight = np.concatenate([rng.normal(0, s, 20_000) for s in (1, 1e6)]).astype(np.float32)
    quantizer = quantizers.weight_quantizer(fmt)
    raw = np.asarray(quantizers.quantize_weight(quantizer, fmt, weight), np.float64) * 2.0**fmt.frac
    assert np.array_equal(raw, fmt.quantize(weight))
    stock = np.asarray(quantizer(weight), np.float64) * 2.0**fmt.frac
    assert not np.array_equal(stock, fmt.quantize(weight)), "QKeras mended this"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (
            "ap_fixed<4,2>",
            {
                0.125: 0.25,  # ties go up
                -0.125: 0.0,
                -0.375: -0.25,
                0.374: 0.25,
                5.0: 1.75,
                -5.0: -2.0,
            },
        ),
        ("ap_fixed<4,2,AP_TRN>", {0.24: 0.0, -0.01: -0.25}),
        ("ap_ufixed<2,0>", {-1.0: 0.0, 0.125: 0.25, 1.0: 0.75}),
        ("ap_fixed<4,2,AP_RND,AP_SAT_SYM>", {-5.0: -1.75}),
    ],
)
def test_fixed_rounds_and_saturates(text, pairs):
    quantizer = quantizers.fixed(text)
    got = np.asarray(quantizer(np.array(list(pairs), np.float32)))
    assert got.tolist() == list(pairs.values())
    assert quantizers.fixed.from_config(quantizer.get_config()).format == quantizer.format


def test_fixed_passes_the_gradient_inside_its_range():
    x = tf.constant([-3.0, -2.0, 0.3, 1.75, 1.8])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = quantizers.fixed("ap_fixed<4,2>")(x) * 3.0
    assert tape.gradient(y, x).numpy().tolist() == [0, 3, 3, 3, 0]


def test_gradients_reach_every_weight(rng):
    spec = network_spec("w8a8", vocabulary=7, units=8)
    model = quantized.quantized_model(random_checkpoint(rng, spec, 0.3))
    codes = tf.constant(rng.integers(0, 7, (12, 6)), tf.int32)
    with tf.GradientTape() as tape:
        logits, _ = float_lstm.forward(model, codes, float_lstm.zero_state(model, 6))
        loss = tf.reduce_mean(tf.square(logits - 1))
    weights = [w.value for w in model.trainable_weights]
    for weight, gradient in zip(model.trainable_weights, tape.gradient(loss, weights), strict=True):
        values = np.asarray(gradient)
        assert np.isfinite(values).all(), weight.path
        assert np.count_nonzero(values), weight.path


def test_gradients_tend_to_the_float_network_s(rng):
    """With fine formats the straight-through gradient is the float one, up to rounding.

    The tables have at most 2**14 entries, so pre-activations are 2**-10 apart; a signal then errs by
    at most 2**-11, and 3 % of the largest gradient is ample for a few steps.
    """
    fine = {
        "W": "ap_fixed<24,4,AP_RND_CONV,AP_SAT_SYM>",
        "U": "ap_fixed<24,4,AP_RND_CONV,AP_SAT_SYM>",
        "b": "ap_fixed<24,4,AP_RND_CONV,AP_SAT_SYM>",
        "z": "ap_fixed<14,4>",
        "gate": "ap_ufixed<16,1>",
        "g": "ap_fixed<16,1>",
        "c": "ap_fixed<20,4>",
        "ct": "ap_fixed<14,4>",
        "tc": "ap_fixed<16,1>",
        "h": "ap_fixed<16,1>",
    }
    lstm = type(PRESETS["w8a8"][0])(**{k: FixedFormat.parse(v) for k, v in fine.items()})
    spec = network_spec("w8a8", vocabulary=7, units=8)
    output = dataclasses.replace(spec.output, W=lstm.W, b=lstm.b, logits=FixedFormat.parse("ap_fixed<24,8>"))
    layers = tuple(dataclasses.replace(layer, formats=lstm) for layer in spec.layers)
    spec = dataclasses.replace(spec, layers=layers, output=output)
    weights = {
        name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in spec.weight_shapes().items()
    }
    checkpoint = Checkpoint(VOCABULARY[:7], weights, spec)
    codes = tf.constant(rng.integers(0, 7, (10, 16)), tf.int32)
    targets = tf.constant(rng.integers(0, 7, 160))
    gradients = []
    for model in (quantized.quantized_model(checkpoint), float_lstm.float_model(checkpoint)):
        with tf.GradientTape() as tape:
            logits, _ = float_lstm.forward(model, codes, float_lstm.zero_state(model, 16))
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, tf.reshape(logits, (-1, 7)))
            loss = tf.reduce_mean(tf.cast(loss, tf.float32))
        gradients.append(tape.gradient(loss, [w.value for w in model.trainable_weights]))
    for ours, real in zip(*gradients, strict=True):
        ours, real = np.asarray(ours), np.asarray(real)
        assert np.abs(ours - real).max() <= 0.03 * np.abs(real).max()


def test_keras_file_round_trip(rng, tmp_path):
    spec = network_spec("w8a8", vocabulary=7, units=8)
    checkpoint = random_checkpoint(rng, spec, 0.5)
    model = quantized.quantized_model(checkpoint, time_steps=5, batch=3)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    codes = rng.integers(0, 7, (3, 5)).astype(np.int32)
    assert np.array_equal(loaded(codes), model(codes))
    assert quantized.spec_of_model(loaded, "w8a8") == spec
    frozen, again = (quantized.freeze_model(each, checkpoint.vocabulary) for each in (model, loaded))
    assert frozen.sha256 == again.sha256
    for layer in float_lstm.recurrent_layers(loaded):
        assert type(layer) is quantized.QuantizedLSTM
        assert type(layer.cell) is quantized_cell.QuantizedCell


def test_the_keras_model_gives_the_reference_logits(rng):
    spec = network_spec("w8a8", vocabulary=7, units=8)
    checkpoint = random_checkpoint(rng, spec, 0.5)
    model = quantized.quantized_model(checkpoint, time_steps=20)
    codes = rng.integers(0, 7, (4, 20))
    wanted = Reference(freeze(checkpoint), 4).run(codes)
    scale = 2.0**spec.output.logits.frac
    assert np.array_equal(np.asarray(model(codes.astype(np.int32)), np.float64) * scale, wanted)
    assert np.array_equal(model.predict(codes, verbose=0).astype(np.float64) * scale, wanted)


def test_the_cell_in_a_stock_keras_rnn_gives_the_same(rng):
    spec = network_spec("w8a8", vocabulary=7, units=8)
    model = quantized.quantized_model(random_checkpoint(rng, spec, 0.5), time_steps=6)
    layer = float_lstm.recurrent_layers(model)[1]
    h = rng.integers(-127, 128, (4, 6, 8)).astype(np.float32) / 128
    rnn = keras.layers.RNN(layer.cell, return_sequences=True)
    assert np.array_equal(rnn(h), layer(h))


def test_quantizing_moves_only_the_binary_points(rng):
    spec = network_spec("w8a8", vocabulary=7, units=8)
    source = dataclasses.replace(random_checkpoint(rng, spec, 0.1), spec=None)
    result = quantized.quantize(source, "w8a8")
    assert result.spec is not None
    for name, fmt in result.spec.weight_formats().items():
        assert fmt.bits == spec.weight_formats()[name].bits
        assert np.array_equal(result.weights[name], source.weights[name])
    assert result.spec.weight_formats()["layers.0.W"].integer < 1
    raw = freeze_weights(result.spec, result.weights)
    assert max(abs(raw["layers.0.W"].min()), raw["layers.0.W"].max()) > 63
    with pytest.raises(UserError, match="is of a float network"):
        quantized.quantized_model(source)


def test_importing_changes_nothing_and_brings_no_tensorflow():
    code = (
        "import os, sys; before = dict(os.environ)\n"
        "from zynq_lstm.models.description import checkpoint\n"
        "from zynq_lstm.models.evaluation import bpc\n"
        "from zynq_lstm.models.integers import freeze\n"
        "from zynq_lstm.models.keras import quiet, text\n"
        "from zynq_lstm.models.texts import corpus\n"
        "from zynq_lstm.scripts.verbs import evaluate, formats, train\n"
        "assert dict(os.environ) == before\n"
        "heavy = {'tensorflow', 'keras', 'qkeras', 'hls4ml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tensorflow_starts_without_a_word():
    code = (
        "from zynq_lstm.models.keras.quiet import import_tensorflow, import_qkeras\n"
        "tf = import_tensorflow(); import_qkeras()\n"
        "tf.function(lambda x: x + 1, jit_compile=True)(tf.constant(1.0))\n"
    )
    import os

    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
