# SPDX-License-Identifier: Apache-2.0
"""Stock hls4ml and this project on the same Keras models: ``zynq-lstm figures peers``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zynq_lstm.models.store import write_json
from zynq_lstm.scripts.main import main
from zynq_lstm.sim.campaigns import peers, records

RIGHT = {
    "said": "",
    "example": [0.5, -0.25],
    "largest": 0.0117,
    "correlation": 0.99998,
    "repeats": None,
    "from_instead": None,
    "kernels": [],
}
CRASHED = {
    "said": "the process ends with SIGSEGV",
    "example": [],
    "largest": None,
    "correlation": None,
    "repeats": None,
    "from_instead": 0.014,
    "kernels": ["bidirectional_stack", "pointwise_conv_1d_cl"],
}
CASES = {
    "GRU": {"known": "right", "keras": [0.5, -0.26], "stock": RIGHT | {"repeats": False}, "ours": RIGHT},
    "both": {"known": "ends", "keras": [1, 2], "stock": CRASHED, "ours": CRASHED | {"said": "refused"}},
}


def record(**more: Any) -> dict[str, Any]:
    found = records.new(records.PEERS, 1, hls4ml="1.3.0", preset="q8.8", cases=CASES)
    return found | more


def test_the_tables_of_a_record() -> None:
    text = peers.markdown(record())
    assert "| `GRU` | 0.012 | 0.99998 | 0.012 | 0.99998 | right |" in text
    assert "| `both` | no output |  | refused |  | ends |" in text
    assert "| Keras | 0.5000, -0.2600 |\n| hls4ml | 0.5000, -0.2500 |" in text
    assert "| hls4ml | the process ends with SIGSEGV |\n| zynq-lstm | refused |" in text
    assert "hls4ml's C++ calls `bidirectional_stack` and `pointwise_conv_1d_cl`." in text
    assert text.count("differ by at most 0.014 from those of the layer that it computes instead") == 1
    assert text.count("A second call with the same input gives other numbers.") == 1


def test_the_verb_prints_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peers.json"
    write_json(path, record())
    assert main(["figures", "peers", "--record", str(path), "--json", str(tmp_path / "again.json")]) == 0
    assert "SIGSEGV" in capsys.readouterr().out
    assert json.loads((tmp_path / "again.json").read_text())["cases"] == CASES
    write_json(path, record(sources="of another tree"))
    assert main(["figures", "peers", "--record", str(path)]) == 1
    assert "stale, since its sources have changed" in capsys.readouterr().err


def test_kernels_of_generated_code() -> None:
    text = """
    nnet::load_weights_from_txt<model_default_t, 30>(w2, "w2.txt");
    nnet::gru_stack<input_t, layer2_t, config2>(x, layer2_out, w2, wr2, b2, br2); // gru
    nnet::pointwise_conv_1d_cl<layer2_t, result_t, config5>(layer2_out, layer4_out, w4, b4); // dense
    """
    assert peers._kernels(text) == ["gru_stack", "pointwise_conv_1d_cl"]


@pytest.mark.slow
def test_what_both_say_of_both_directions(tmp_path: Path) -> None:
    """This case needs no compiler: stock hls4ml raises, and the import refuses."""
    found = peers.measure(tmp_path, ["Bidirectional(GRU)"])["cases"]["Bidirectional(GRU)"]
    assert found["stock"]["said"] == "AttributeError: 'NoneType' object has no attribute 'shape'"
    assert found["ours"]["said"] == "refused: layer 'both' is a Bidirectional: text is read forwards only"


@pytest.mark.slow
@pytest.mark.hls
@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_every_case_is_as_it_is_known(tmp_path: Path, write_record: Callable[..., None]) -> None:
    found = peers.measure(tmp_path)
    write_record(found)
    cases = found["cases"]
    for name in ("LSTM", "GRU"):
        assert cases[name]["stock"]["largest"] < 0.05 and cases[name]["stock"]["correlation"] > 0.999
    for name in [name for name in cases if "Bidirectional" not in name]:
        assert cases[name]["ours"]["largest"] < 0.1 and cases[name]["ours"]["correlation"] > 0.999
    without = "GRU, reset_after=False, use_bias=False"
    assert cases[without]["stock"]["from_instead"] < 0.05
    for name in (without, "GRU, reset_after=False"):
        assert cases[name]["stock"]["largest"] > 0.1
    assert cases["SimpleRNN"]["stock"]["kernels"] == ("pointwise_conv_1d_cl",)
    summed = cases["Bidirectional(LSTM), merge_mode='sum'"]["stock"]
    assert "SIG" in summed["said"] or summed["largest"] > 0.1  # it reads and writes outside its arrays
