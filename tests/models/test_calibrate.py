# SPDX-License-Identifier: Apache-2.0
"""Formats from data, the report of ranges, and separate formats for each layer and matrix."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from zynq_lstm.models.description.checkpoint import Checkpoint, preset_spec
from zynq_lstm.models.description.spec import PRESETS, Layer, NetworkSpec, network_spec
from zynq_lstm.models.evaluation.bpc import bits_per_character
from zynq_lstm.models.evaluation.partial import PartlyQuantized, format_names
from zynq_lstm.models.evaluation.ranges import calibrate, calibrate_by_loss, usage
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.scripts.main import main

LETTERS = "abcdefghij"


@pytest.fixture
def network(rng: np.random.Generator) -> Checkpoint:
    shapes = network_spec(vocabulary=len(LETTERS), units=8).weight_shapes()
    return Checkpoint(LETTERS, {n: rng.normal(0, 0.9, s).astype(np.float32) for n, s in shapes.items()})


def bits(spec: NetworkSpec, weights, codes) -> float:
    logits = PartlyQuantized(spec, weights, format_names(spec)).run(codes[:, :-1])
    return bits_per_character(logits.reshape(-1, logits.shape[2]), codes[:, 1:].reshape(-1))


def typical(network: Checkpoint, rng: np.random.Generator, streams: int, steps: int) -> np.ndarray:
    """Return text that the float network writes itself, so that no other network predicts it better."""
    model = PartlyQuantized(preset_spec(network, "w8a8"), network.weights)
    model.state = model.zero_state(streams)
    codes = [rng.integers(0, len(LETTERS), streams)]
    for _ in range(steps):
        logits = model.run(codes[-1][:, None], carry=True)[:, 0]
        codes.append((logits + rng.gumbel(size=logits.shape)).argmax(axis=1))
    return np.stack(codes, axis=1)


def test_calibration_finds_formats_again_that_were_moved_away(
    network: Checkpoint, rng: np.random.Generator
) -> None:
    codes = typical(network, rng, 16, 200)
    good = preset_spec(network, "w8a8")
    bad = dataclasses.replace(
        good.with_weight_formats({"output.W": FixedFormat.parse("ap_fixed<8,8,AP_RND_CONV,AP_SAT_SYM>")}),
        layers=tuple(
            dataclasses.replace(
                layer, formats=dataclasses.replace(layer.formats, ct=FixedFormat.parse("ap_fixed<10,7>"))
            )
            for layer in good.layers
        ),
    )
    fitted = calibrate_by_loss(bad, network.weights, codes)
    assert bits(fitted, network.weights, codes) < bits(bad, network.weights, codes) - 0.01
    assert fitted.output.W.integer < bad.output.W.integer
    assert fitted.layers[0].formats.ct == fitted.layers[1].formats.ct
    for name, fmt in format_names(fitted).items():
        assert fmt.bits == format_names(good)[name].bits
    full = preset_spec(network, "q8.8")
    assert calibrate_by_loss(full, network.weights, codes) == full


def test_layers_of_different_cells_are_calibrated_apart(rng: np.random.Generator) -> None:
    good = network_spec(vocabulary=len(LETTERS), units=5, layers=3, cell=("gru", "lstm", "gru"))
    weights = {name: rng.normal(0, 0.9, shape) for name, shape in good.weight_shapes().items()}
    codes = rng.integers(0, len(LETTERS), (8, 60))
    for fitted in (calibrate(good, weights, codes), calibrate_by_loss(good, weights, codes)):
        first, lstm, last = (layer.formats for layer in fitted.layers)
        for name in ("z", "p", "c", "n", "h"):
            assert first.format(name) == last.format(name)
        assert first.h == lstm.h and first.c.integer < lstm.c.integer
    kept = calibrate(good, weights, codes, fixed=["layers.0.c", "layers.2.c"])
    assert kept.layers[0].formats.c == kept.layers[2].formats.c == good.layers[0].formats.c


def test_ranges_count_what_saturates_and_suggest_what_does_not(network: Checkpoint) -> None:
    codes = np.random.default_rng(1).integers(0, len(LETTERS), (4, 100))
    weights = {name: array * 0.1 for name, array in network.weights.items()}
    weights["layers.0.b"] = weights["layers.0.b"] + 11.0  # b holds +-8: every value is at the bound
    spec = network_spec(vocabulary=len(LETTERS), units=8)
    rows = {row.name: row for row in usage(spec, weights, codes)}
    b = rows["layers.0.b"]
    assert b.saturated == b.values == 32
    assert b.suggestion.integer == 5
    assert rows["layers.1.b"].saturated == 0
    assert rows["layers.1.b"].suggestion == rows["layers.1.b"].format
    W = rows["layers.1.W"]
    assert W.suggestion.integer < W.format.integer
    assert np.isclose(W.high, weights["layers.1.W"].max())
    assert rows["layers.0.z"].drift >= rows["layers.0.z"].rounding > 0
    signals = {f"layers.{k}.{s}" for k in (0, 1) for s in spec.layers[k].formats.signals}
    assert set(rows) == {*spec.weight_formats(), *signals, "logits"}


def test_the_commands_from_float_to_a_calibrated_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], network: Checkpoint, rng: np.random.Generator
) -> None:
    source, text, out = (tmp_path / name for name in ("f.safetensors", "t.txt", "q.safetensors"))
    network.save(source)
    text.write_text("".join(LETTERS[k] for k in typical(network, rng, 1, 3100)[0]))
    given = ["--checkpoint", str(source), "--text-file", str(text)]
    data = tmp_path / "c.json"
    assert main(["calibrate", *given, "--preset", "w4a8", "-o", str(out), "--json", str(data)]) == 0
    figures = json.loads(data.read_text())
    assert figures["bits_per_character"]["float"] < figures["bits_per_character"]["calibrated"]
    made = Checkpoint.load(out)
    assert made.spec is not None and made.spec.preset == "w4a8"
    assert {name: str(fmt) for name, fmt in format_names(made.spec).items() if name in figures["moved"]} == {
        name: after for name, (_, after) in figures["moved"].items()
    }
    freeze(made)
    capsys.readouterr()
    assert main(["ranges", "--checkpoint", str(out), "--text-file", str(text), "--json", str(data)]) == 0
    printed = capsys.readouterr().out
    assert "layers.1.tc" in printed and "saturated" in printed
    units = json.loads(data.read_text())["memory"]
    assert list(units) == ["float", "w4a8"] and units["w4a8"]["units"] == [8, 8]
    assert {row["name"] for row in json.loads(data.read_text())["rows"]} >= {"logits", "output.W"}
    for arguments, message in (
        (["calibrate", "--checkpoint", str(out), "--text-file", str(text)], "is a quantized network"),
        (["ranges", "--checkpoint", str(out), "--preset", "w8a8"], "is quantized already, as w4a8"),
        (["ranges", *given, "--characters", "600"], "600 is not in the range x>=1002"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_presets_mix_by_layer_and_by_matrix(network: Checkpoint, rng: np.random.Generator) -> None:
    """8 bits below, 4 above, 2 for one matrix: the integers of Keras and of the reference are equal."""
    from zynq_lstm.models.evaluation.bpc import keras_logits
    from zynq_lstm.models.integers.reference import Reference
    from zynq_lstm.models.keras.quantized import quantized_model

    lower, upper = PRESETS["w8a8"][0], PRESETS["w4a8"][0]
    upper = dataclasses.replace(upper, U=PRESETS["w2a8"][0].U, h=FixedFormat.parse("ap_fixed<6,1>"))
    spec = NetworkSpec("mixed", len(LETTERS), (Layer(8, lower), Layer(8, upper)), PRESETS["w4a8"][1])
    assert NetworkSpec.from_dict(spec.to_dict()) == spec
    checkpoint = dataclasses.replace(network, spec=spec)
    frozen = freeze(checkpoint)
    assert np.abs(frozen.layer(1)["U"]).max() == 1
    codes = rng.integers(0, len(LETTERS), 300)
    raw = Reference(frozen).run(codes)
    keras = np.concatenate([part[:, 0] for part in keras_logits(quantized_model(checkpoint), codes)])
    assert np.array_equal(frozen.spec.output.logits.to_real(raw).reshape(keras.shape), keras)
