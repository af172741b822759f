# SPDX-License-Identifier: Apache-2.0
"""The hls4ml backend OpenRTL through hls4ml's own calls; ``build`` is in test_netlist_simulation.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hls.hls4ml_networks import keras_model, random_network
from zynq_lstm import hls
from zynq_lstm.hls.hls4ml.convert import compile_model, convert
from zynq_lstm.hls.hls4ml.graph import network_from_graph
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference

SEED = 7


@pytest.fixture(scope="module")
def network() -> IntegerNetwork:
    return random_network("w8a8", 11, (8, 8), np.random.default_rng(SEED))


@pytest.fixture(scope="module")
def model(network: IntegerNetwork) -> Any:
    return keras_model(network)


@pytest.mark.rtl
def test_rtl_is_the_reference_in_every_signal(network: IntegerNetwork, model: Any, tmp_path: Path) -> None:
    graph = convert(model, tmp_path, backend="OpenRTL")
    compile_model(graph)
    codes, expected = np.random.default_rng(SEED).integers(0, 11, 60), {}
    logits = Reference(network).run(codes, trace=expected)

    parts = [hls.run(graph, codes[:20]), hls.run(graph, codes[20:20]), hls.run(graph, codes[20:])]
    assert np.array_equal(np.concatenate(parts), logits)

    hls.reset(graph)
    actual = hls.trace(graph, codes)
    assert actual.keys() == expected.keys()
    assert all(np.array_equal(actual[name], expected[name]) for name in expected)

    hls.reset(graph)
    wrong = codes[:10].copy()
    wrong[4], right = 200, np.where(np.arange(10) == 4, 0, codes[:10])
    real = graph.predict(wrong[:, np.newaxis].astype(np.float32))
    assert np.array_equal(real, network.spec.output.logits.to_real(Reference(network).run(right)))


def test_written_project_is_the_generators(network: IntegerNetwork, model: Any, tmp_path: Path) -> None:
    from zynq_lstm.hls.engine.design import Design
    from zynq_lstm.hls.engine.estimate import fitting_array
    from zynq_lstm.hls.engine.project import generate

    graph = convert(model, tmp_path, backend="OpenRTL", dsp=40)
    graph.write()
    written = {path.name: path.read_text() for path in (tmp_path / "rtl").iterdir()}
    named = network_from_graph(graph)
    assert written == generate(Design(named, fitting_array(named.spec, dsp=40)))
    assert network.identity in written["zynq_lstm.sv"]


def test_both_backends_hold_the_same_network(network: IntegerNetwork, model: Any, tmp_path: Path) -> None:
    for backend in ("Vitis", "OpenRTL"):
        graph = convert(model, tmp_path / backend, backend=backend)
        assert network_from_graph(graph).identity == network.identity


@pytest.mark.parametrize(
    "options, message",
    [
        ({"part": "xcvu13p"}, "unknown part 'xcvu13p'; known are xc7z007s, xc7z010, xc7z020"),
        ({"dsp": 0}, "dsp must be a whole number above 0, got 0"),
        ({"dsp": "all"}, "dsp must be a whole number above 0, got 'all'"),
        ({"lanes": 0}, "lanes must be a whole number above 0, got 0"),
        ({"clock_period": 5}, "OpenRTL has no option 'clock_period'; legal are part, dsp, lanes"),
    ],
)
def test_options_are_refused_by_name(model: Any, tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        convert(model, tmp_path, backend="OpenRTL", **options)


def test_predict_before_compile_is_refused(model: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not compiled yet"):
        convert(model, tmp_path, backend="OpenRTL").predict(np.zeros((1, 1), np.float32))
