# SPDX-License-Identifier: Apache-2.0
"""The hls4ml extension: HLS C++ equal to the reference in every signal, and refusals that name the layer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.hls.hls4ml_networks import UNANALYSED, keras_model, random_network
from tests.networks import small_spec, with_weights
from zynq_lstm import hls
from zynq_lstm.hls.hls4ml import parsing
from zynq_lstm.hls.hls4ml.convert import LOG, compile_model, convert, save
from zynq_lstm.hls.hls4ml.graph import network_from_graph
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference

pytestmark = pytest.mark.hls

SEED = 7
MANY = 400

# (preset, vocabulary, units, extreme weights, reuse factor): reuse below, at and above the inputs, columns
# that are not a multiple of the groups, layers of different size, the default.
CASES = {
    "w8a8": ("w8a8", 11, (12, 8), False, None),
    "w4a8-extreme": ("w4a8", 5, (7, 7), True, 7 * 3),
    "w2a8": ("w2a8", 9, (10, 6), False, None),
    "q8.8": ("q8.8", 30, (8, 8), False, 4),
    "q8.8-extreme": ("q8.8", 3, (6,), True, 1),
    "w8a8-extreme": ("w8a8", 9, (4, 4, 4), True, 4 * 9),
}


@dataclass(frozen=True)
class Compiled:
    network: IntegerNetwork
    graph: Any
    folder: Path


@pytest.fixture(scope="module", params=CASES)
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    preset, vocabulary, units, extreme, reuse_factor = CASES[request.param]
    network = random_network(preset, vocabulary, units, np.random.default_rng(SEED), extreme)
    folder = tmp_path_factory.mktemp("hls")
    graph = convert(keras_model(network), folder, reuse_factor=reuse_factor)
    compile_model(graph)
    return Compiled(network, graph, folder)


def some_codes(network: IntegerNetwork, count: int = MANY) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, network.spec.vocabulary, count)


def test_logits_and_every_signal_are_the_references(compiled: Compiled) -> None:
    codes, expected = some_codes(compiled.network), {}
    Reference(compiled.network).run(codes, trace=expected)
    hls.reset(compiled.graph)
    actual = hls.trace(compiled.graph, codes)
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        assert np.array_equal(actual[name], values), name
        assert actual[name].dtype == values.dtype
    assert sum(values.size for values in actual.values()) > MANY * sum(
        12 * layer.units for layer in compiled.network.spec.layers
    )


def test_predict_gives_the_real_values_of_the_logits(compiled: Compiled) -> None:
    codes = some_codes(compiled.network)
    hls.reset(compiled.graph)
    real = compiled.graph.predict(codes[:, np.newaxis].astype(np.float32))
    expected = Reference(compiled.network).run(codes)
    assert real.shape == (MANY, compiled.network.spec.vocabulary)
    assert np.array_equal(real, compiled.network.spec.output.logits.to_real(expected))


def test_state_is_carried_between_calls_until_reset(compiled: Compiled) -> None:
    codes, reference = some_codes(compiled.network), Reference(compiled.network)
    hls.reset(compiled.graph)
    whole = hls.run(compiled.graph, codes)
    assert np.array_equal(whole, reference.run(codes))
    hls.reset(compiled.graph)
    parts = [hls.run(compiled.graph, part) for part in (codes[:1], codes[1:1], codes[1:150], codes[150:])]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(hls.run(compiled.graph, codes), reference.run(codes))  # carried on, not reset
    hls.reset(compiled.graph)
    assert np.array_equal(hls.run(compiled.graph, codes), whole)


def test_reset_flag_of_a_character_clears_the_state_before_it(compiled: Compiled) -> None:
    from zynq_lstm.hls.hls4ml.graph import RESET

    codes = some_codes(compiled.network, 60)
    words = codes.copy()
    words[[0, 17, 18, 40]] |= RESET
    reference, expected = Reference(compiled.network), []
    for start, end in ((0, 17), (17, 18), (18, 40), (40, 60)):
        reference.reset()
        expected.append(reference.run(codes[start:end]))
    assert np.array_equal(hls.run(compiled.graph, words), np.concatenate(expected))


def test_code_outside_the_vocabulary_counts_as_code_0(compiled: Compiled) -> None:
    codes = some_codes(compiled.network, 20)
    wrong = codes.copy()
    codes[[3, 8, 9, 15]] = 0
    wrong[[3, 8, 9, 15]] = (compiled.network.spec.vocabulary, -1, 255, 32767)
    hls.reset(compiled.graph)
    assert np.array_equal(hls.run(compiled.graph, wrong), Reference(compiled.network).run(codes))


def test_graph_gives_back_the_frozen_network(compiled: Compiled) -> None:
    network = network_from_graph(compiled.graph, compiled.network.vocabulary)
    assert network.identity == compiled.network.identity
    assert network_from_graph(compiled.graph).identity == compiled.network.identity
    from zynq_lstm.models.keras.quantized import freeze_model

    model = keras_model(compiled.network)
    assert freeze_model(model, compiled.network.vocabulary).identity == network.identity


def test_accumulators_are_as_wide_as_proved(compiled: Compiled) -> None:
    from zynq_lstm.models.fixed import signed_bits

    nodes = [node for node in compiled.graph.get_layers() if node.class_name.startswith("Fixed")]
    ranges = [compiled.network.accumulator_range(k) for k in range(len(nodes) - 1)]
    for node, bounds in zip(nodes, [*ranges, compiled.network.output_accumulator_range()], strict=True):
        assert node.get_attr("accum_t").precision.width == signed_bits(*bounds)
        accum = node.get_attr("accum_t").precision
        defines = (compiled.folder / "firmware" / "defines.h").read_text()
        assert f"ap_fixed<{accum.width},{accum.integer}> layer{node.index}_accum_t;" in defines


def test_ap_int_sums_are_the_same(tmp_path: Path) -> None:
    """Synthesis adds in ap_int, the C simulation in machine integers: run ap_int, too.

    Weights come from the headers, as in synthesis, not from text files.
    """
    network = random_network("w8a8", 11, (6, 8), np.random.default_rng(SEED))
    graph = convert(keras_model(network), tmp_path, write_weights_txt=False)
    graph.write()
    script = tmp_path / "build_lib.sh"
    options = " ".join(("-DZYNQ_LSTM_AP_INT", "-O1", *UNANALYSED))
    assert 'CFLAGS="-O3' in script.read_text()
    script.write_text(script.read_text().replace('CFLAGS="-O3', f'CFLAGS="{options}'))
    graph._compile()
    codes, expected = some_codes(network, 100), {}
    Reference(network).run(codes, trace=expected)
    actual = hls.trace(graph, codes)
    assert all(np.array_equal(actual[name], expected[name]) for name in expected)


@pytest.mark.parametrize("compiled", ["w8a8"], indirect=True)
def test_two_models_in_one_process_keep_their_own_state(
    compiled: Compiled, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second differs in its weights only; and its conversion and compilation say nothing."""
    preset, vocabulary, units, *_ = CASES["w8a8"]
    other = random_network(preset, vocabulary, units, np.random.default_rng(SEED + 1))
    model = keras_model(other)
    capfd.readouterr()
    graph = convert(model, tmp_path)
    compile_model(graph)
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / LOG).exists()
    codes = some_codes(other, 60)
    expected = [Reference(network).run(codes) for network in (compiled.network, other)]
    assert not np.array_equal(*expected)
    hls.reset(compiled.graph)
    for half in (slice(0, 30), slice(30, 60)):
        for one, logits in zip((compiled.graph, graph), expected, strict=True):
            assert np.array_equal(hls.run(one, codes[half]), logits[half])


def test_compiler_failure_names_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network("w8a8", 5, (4,), np.random.default_rng(SEED))
    graph = convert(keras_model(network), tmp_path / "project")
    broken = tmp_path / "bin" / "g++"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no luck today\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent), prepend=":")
    with pytest.raises(UserError, match=rf"compiling .* failed; see .*{LOG}: "):
        compile_model(graph)
    assert "no luck today" in (tmp_path / "project" / LOG).read_text()
    with pytest.raises(UserError, match="not compiled yet"):
        hls.run(graph, [0])


@pytest.fixture(scope="module")
def model() -> Any:
    return keras_model(random_network("w8a8", 5, (4, 4), np.random.default_rng(SEED)))


def hls4ml_convert(model: Any, folder: Path, **options: Any) -> Any:
    import hls4ml

    return hls4ml.converters.convert_from_keras_model(
        model, output_dir=str(folder), **{"backend": "Vitis", **options}
    )


@pytest.mark.parametrize(
    "hls_config",
    [
        None,
        {"Model": {"Precision": "fixed<8,2>", "ReuseFactor": 4, "Strategy": "Resource"}},
        {"LayerName": {"lstm1": {"Precision": {"c": "auto", "h": "ap_fixed<8,1,AP_RND,AP_SAT>"}}}},
        {"LayerName": {"lstm2": {"ReuseFactor": 16, "Trace": False}}},
    ],
)
def test_plain_hls4ml_call(model: Any, tmp_path: Path, hls_config: Any) -> None:
    graph = hls4ml_convert(model, tmp_path, hls_config=hls_config)
    assert [n.class_name for n in graph.get_layers()][1:] == ["FixedLSTM", "FixedLSTM", "FixedDense"]


@pytest.mark.parametrize("granularity", ["model", "type", "name"])
def test_config_made_by_hls4ml(model: Any, tmp_path: Path, granularity: str) -> None:
    import hls4ml

    config = hls4ml.utils.config_from_keras_model(
        model, granularity=granularity, backend="Vitis", default_reuse_factor=4
    )
    graph = hls4ml_convert(model, tmp_path, hls_config=config)
    assert {node.get_attr("reuse_factor") for node in list(graph.get_layers())[1:]} == {4}


def layer(**options: Any) -> dict[str, Any]:
    return {"hls_config": {"LayerName": {"lstm2": options}}}


def whole(**options: Any) -> dict[str, Any]:
    return {"hls_config": {"Model": options}}


@pytest.mark.parametrize(
    "options, message",
    [
        (layer(Precision={"c": "ap_fixed<16,6>"}), r"lstm2 .*c=ap_fixed<16,6> contradicts .*ap_fixed<16,5"),
        (layer(Precision={"c": "ap_fixed<16,5>"}), r"lstm2 .*contradicts"),  # floors and wraps
        (layer(Precision="ap_fixed<16,6>"), r"lstm2 .*contradicts"),
        (layer(Precision={"accum": "ap_fixed<40,20>"}), r"'accum' can't be set; its types are W, U, b"),
        (layer(TableSize=512), r"lstm2 .*option 'TableSize' is not supported; legal are Precision"),
        (layer(W_t="ap_fixed<4,1>"), r"option 'W_t' is not supported"),
        (layer(Strategy="distributed_arithmetic"), r"'distributed_arithmetic' .*use latency or resource"),
        (whole(Strategy="Distributed_Arithmetic"), r"lstm1 .*'distributed_arithmetic'"),
        (layer(ReuseFactor=6), r"ReuseFactor 6 .*multiple of 4 up to 64, or a divisor of 4"),
        (whole(ReuseFactor=3), r"lstm1 .*ReuseFactor 3 is not possible"),
        (whole(ReuseFactor=128), r"lstm1 .*multiple of 4 up to 64"),
        (whole(Compression=1), r"Compression"),
        (whole(TargetCycles=10), r"TargetCycles .*ReuseFactor"),
        (
            {"hls_config": {"Optimizers": []}},
            r"lstm1 .*Optimizers, which hls4ml\.model\.profiling sets, .*ranges",
        ),
        (whole(PipelineStyle="pipeline"), r"PipelineStyle"),
        ({"bit_exact": True}, r"bit_exact"),
        ({"io_type": "io_stream"}, r"io_type 'io_stream' is not supported; use 'io_parallel'"),
        ({"backend": "Vivado"}, r"backend Vivado has no kernel for it; use Vitis or OpenRTL"),
        ({"backend": "Quartus"}, r"backend Quartus has no kernel"),
        ({"hls_config": {"LayerName": {"codes": {"Precision": "ap_uint<4>"}}}}, r"ap_uint<4> of codes"),
        ({"backend": "OpenRTL", "io_type": "io_stream"}, r"OpenRTL has no option 'io_type'; legal are part"),
        ({"backend": "OpenRTL"} | whole(ReuseFactor=4), r"ReuseFactor 4 applies to Vitis only; .*dsp="),
    ],
)
def test_refused_by_name(model: Any, tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        hls4ml_convert(model, tmp_path, **options)


def test_several_steps_a_call_are_refused(tmp_path: Path) -> None:
    network = random_network("w8a8", 5, (4,), np.random.default_rng(SEED))
    with pytest.raises(UserError, match=r"lstm1: .*takes 3 steps; build it with time_steps=1"):
        convert(keras_model(network, time_steps=3), tmp_path)


def test_other_backends_are_refused_by_convert(model: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'oneAPI' has no kernel for this network; use Vitis or OpenRTL"):
        convert(model, tmp_path, backend="oneAPI")


@pytest.mark.parametrize("extra", ["Softmax", "Dense"])
def test_openrtl_refuses_other_layers(model: Any, tmp_path: Path, extra: str) -> None:
    import keras

    layers = {"Softmax": keras.layers.Softmax(name="behind"), "Dense": keras.layers.Dense(3, name="behind")}
    longer = keras.Model(model.inputs, layers[extra](model.outputs[0]))
    with pytest.raises(UserError, match=f"layer behind .*{extra}.* is not supported; a network is"):
        convert(longer, tmp_path, backend="OpenRTL")


def test_unknown_layer_is_refused(model: Any, tmp_path: Path) -> None:
    import keras

    nested = keras.Model(model.inputs, model(model.inputs))
    with pytest.raises(UserError, match=r"hls4ml can't convert this model: .*Functional"):
        convert(nested, tmp_path)


@pytest.mark.parametrize("package", ["keras", "qkeras"])
@pytest.mark.parametrize("backend", ["Vitis", "OpenRTL"])
def test_others_recurrent_layers_are_told_the_way(tmp_path: Path, package: str, backend: str) -> None:
    import keras
    import qkeras

    layer = (
        keras.layers.LSTM(4) if package == "keras" else keras.layers.Bidirectional(qkeras.QLSTM(4), name="b")
    )
    stock = keras.Sequential([keras.Input((1, 5)), layer, qkeras.QDense(5)])
    with pytest.raises(UserError, match=f"there is no kernel for {package}'s own Q?LSTM; .* import-keras"):
        convert(stock, tmp_path, backend=backend)


def test_wrapped_layer_is_refused(model: Any, tmp_path: Path) -> None:
    import keras

    from zynq_lstm.models.keras.quantized import QuantizedDense

    hidden = model.get_layer("lstm2").output
    dense = QuantizedDense(5, model.get_layer("logits").formats)
    wrapped = keras.Model(model.inputs, keras.layers.TimeDistributed(dense, name="around")(hidden))
    with pytest.raises(UserError, match="layer around: TimeDistributed around QuantizedDense"):
        convert(wrapped, tmp_path)


@pytest.mark.parametrize("option", ["go_backwards", "return_state"])
def test_recurrent_options_are_refused(tmp_path: Path, option: str) -> None:
    changed = keras_model(random_network("w8a8", 5, (4,), np.random.default_rng(SEED)))
    setattr(changed.get_layer("lstm1"), option, True)
    with pytest.raises(UserError, match=f"lstm1: {option}=True is not supported; use False"):
        convert(changed, tmp_path)


def test_lstm_without_output_layer_is_refused(model: Any, tmp_path: Path) -> None:
    import keras

    headless = keras.Model(model.inputs, model.get_layer("lstm2").output)
    with pytest.raises(UserError, match="lstm2: the last layer must be a QuantizedDense"):
        convert(headless, tmp_path, backend="OpenRTL")


def test_other_threads_keep_their_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A progress display must go on while hls4ml is kept quiet."""
    import threading

    from zynq_lstm.hls.hls4ml.convert import _logged

    with _logged(tmp_path, "w"):
        print("for the log")
        thread = threading.Thread(target=print, args=("for the user",))
        thread.start()
        thread.join()
    assert capsys.readouterr().out == "for the user\n"
    assert (tmp_path / LOG).read_text() == "for the log\n"


@pytest.fixture(scope="module")
def uneven() -> Any:
    """A model of layers whose sizes have no common divisor."""
    return keras_model(random_network("w8a8", 9, (12, 20, 7), np.random.default_rng(SEED)))


@pytest.mark.parametrize("backend", ["Vitis", "OpenRTL"])
@pytest.mark.parametrize("granularity", ["name", "type", None])
def test_hls4mls_own_reuse_factor_suits_any_units(
    uneven: Any, tmp_path: Path, backend: str, granularity: str | None
) -> None:
    """The user did not give its default of 1; but hls4ml's own configurations state it for every layer."""
    import hls4ml

    options: dict[str, Any] = {"backend": backend}
    if granularity:
        config = hls4ml.utils.config_from_keras_model(uneven, granularity=granularity, backend=backend)
        options["hls_config"] = config
    graph = hls4ml_convert(uneven, tmp_path, **options)
    rows = [node.get_attr("rows") for node in list(graph.get_layers())[1:]]
    assert rows == [12, 4, 1, 7]  # of 12 units; 20 over 12; 7 over 20; the output layer


def test_openrtl_writes_layers_of_any_units(uneven: Any, tmp_path: Path) -> None:
    save(convert(uneven, tmp_path, backend="OpenRTL"))
    assert (tmp_path / "rtl" / "network_engine.sv").is_file()


@pytest.mark.parametrize("backend", ["Vitis", "OpenRTL"])
@pytest.mark.parametrize("name, kind", [("lstm2", "FixedLSTM"), ("logits", "FixedDense")])
def test_a_split_graph_is_refused_by_name(
    uneven: Any, tmp_path: Path, backend: str, name: str, kind: str
) -> None:
    from hls4ml.model import to_multi_model_graph

    graph = convert(uneven, tmp_path, backend=backend)
    with pytest.raises(UserError, match=rf"{name} \({kind}\): a MultiModelGraph can't begin .*as one graph"):
        to_multi_model_graph(graph, [name])


def test_profiling_of_the_keras_model_knows_our_layer(
    uneven: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For hls4ml.model.profiling.numerical(model=...), which needs pandas: a stand-in is used here."""
    table = {"QLSTM": lambda layer: (layer.get_weights(), ["w", "u", "b"])}
    profiling = SimpleNamespace(keras_process_layer_map=table)
    monkeypatch.setattr(parsing, "PROFILING", ())
    monkeypatch.setitem(sys.modules, "hls4ml.model.profiling", profiling)
    convert(uneven, tmp_path)
    weights, names = table[type(uneven.get_layer("lstm1")).__name__](uneven.get_layer("lstm1"))
    assert len(weights) == len(names) == 3


@pytest.mark.parametrize("cell", catalogue.names())
def test_layers_of_a_unit_have_a_possible_reuse_factor(cell: str, tmp_path: Path) -> None:
    spec = small_spec("w8a8", 3, (1, 1), cell)
    graph = convert(keras_model(with_weights(spec, np.random.default_rng(1))), tmp_path)
    assert len([layer for layer in graph.get_layers() if layer.get_attr("lanes")]) == 3
