# SPDX-License-Identifier: Apache-2.0
"""The report of a flow: what it says is what the stages found, and it needs nothing but itself."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hls.estimate import estimate
from models.network import IntegerNetwork
from scripts.flow.coverage import coverage
from scripts.flow.load import Flow, checked
from scripts.flow.report import write_report
from scripts.flow.runner import Stage
from scripts.flow.stages import STAGES
from scripts.flow.work import array_of
from sim.reference import Reference
from tests.networks import small_spec, with_weights

BOUNDS = {"values": 640, "characters": 16}
VOID = {"meta", "img", "source", "br", "link"}


class Page(HTMLParser):
    """Refuses tags that do not match; keeps tables' cells, pictures, addresses and identifiers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.identifiers: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("href", "src", "srcset")]
        self.identifiers += [v or "" for k, v in attrs if k == "id"]
        if tag == "img":
            self.pictures.append(values)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


class FakeWork:
    """Stages that have found what they are told to have found."""

    resume = False

    def __init__(self, flow: Flow, found: dict[str, dict[str, Any]], folder: Path) -> None:
        self.flow, self.found, self.folder = flow, found, folder
        folder.mkdir(parents=True)

    def at(self, stage: str) -> Path:
        return self.folder.parent / stage

    def stages(self) -> list[Stage]:
        return [stage for stage in STAGES if stage.name in self.found]

    def record(self, stage: str) -> dict[str, Any]:
        if stage not in self.found:
            return {}
        return {
            "figures": self.found[stage],
            "seconds": 61.0,
            "ended": "2015-03-31 12:00:00.000",
            "made_from": {"package": {"numpy": "2.0"}},
        }

    def figures(self, stage: str) -> dict[str, Any]:
        return self.record(stage).get("figures", {})


def work(tmp_path: Path, *changes: str, left_out: Sequence[str] = ()) -> FakeWork:
    network = with_weights(small_spec("w8a8", 7, (8, 8)), np.random.default_rng(1))
    flow = Flow(tmp_path / "probe.toml", checked({}, tmp_path / "probe.toml", "", changes))
    codes = np.arange(16) % 7
    trace: dict[str, Any] = {}
    Reference(network).run(codes, trace)
    found = found_by(network, flow)
    found["compare"]["coverage"] = coverage(network, codes, trace)
    return FakeWork(
        flow, {k: v for k, v in found.items() if k not in left_out}, tmp_path / "build" / "probe" / "report"
    )


def found_by(network: IntegerNetwork, flow: Flow) -> dict[str, dict[str, Any]]:
    spec = network.spec
    one = estimate(spec, array_of(flow.config, spec)).to_dict()
    exactness = {"keras": BOUNDS | {"mismatches": 0}}
    exactness["rtl"] = BOUNDS | {"mismatches": 0, "written": 32, "written_different": 0}
    return {
        "corpus": {"name": "a<b>.txt", "characters": 4321, "sha256": "c" * 64, "vocabulary": 7},
        "estimate": one,
        "train": {"records": {}},
        "quantize": {
            "spec": spec.to_dict(),
            "weight_bits": 123456,
            "identity": network.identity,
            "weights_sha256": "d" * 64,
            "record": {"command": "zynq-lstm run probe.toml", "options": {"seed": 77}},
        },
        "evaluate": {
            "split": "validation",
            "metric": "bits",
            "bits_per_character": {"float": 2.5, "quantized": 2.5625, "reference": 2.5625},
            "ladder": {
                "metric": "bits, in streams",
                "characters": 1234,
                "rows": [
                    {
                        "step": step,
                        "validation_bpc": 2.5 + above,
                        "validation_above_float": above,
                        "weight_bits": 1000,
                    }
                    for step, above in (("float", 0.0), ("weights", 0.031), ("all", 0.047))
                ],
            },
        },
        "hls": {"characters_per_second": 54321},
        "simulate": {
            "cycles_per_character": {"score": 111.0, "generate": 222.0},
            "mac_utilisation": 0.5,
            "characters_per_second": 987,
            "protocol_tests": [],
        },
        "compare": {"exactness": exactness, "before": "to be", "text": " or <not> | to be"},
        "synthesize": {
            "part": "xc7z020",
            "tool": "Yosys 9.9",
            "fits": True,
            "lut_levels": 4,
            "lut": 5320,
            "ff": 1064,
            "dsp": 22,
            "bram36": 7.5,
        },
    }


def written(work: FakeWork) -> tuple[Page, str]:
    assert write_report(work) == ["../report.html", "../report.md"]
    html = (work.flow.folder / "report.html").read_text(encoding="utf-8")
    return Page(html), (work.flow.folder / "report.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_page_says_what_the_stages_found(tmp_path: Path) -> None:
    page, markdown = written(work(tmp_path, "engine.clock_mhz=125.0"))
    for text in (page.text, markdown):
        for said in (
            "4,321",
            "2.5625",
            "+0.0625",
            "first 1,234 characters",
            "640",
            "222.0",
            "Yosys 9.9",
            "5,320",
            "53,200",
            "10 %",
        ):
            assert said in text, said
        assert "1.78" in text  # us: 222 cycles at 125 MHz
        assert "563,063" in text  # characters/s
        assert "a<b>.txt" in text
        assert "zynq-lstm run probe.toml" in text
        assert "d" * 64 in text
        assert "NOT" not in text
    assert "or <not> | to be" in page.text
    assert "seed of the training 77" in page.text
    assert "not asked for: verification.protocol" in page.text


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page, _ = written(work(tmp_path))
    assert "script" not in page.tags
    for address in page.addresses:
        assert address.startswith(("data:image/svg+xml;base64,", "#")), address
        if address.startswith("#"):
            assert address[1:] in page.identifiers
    assert len(set(page.identifiers)) == len(page.identifiers)
    assert len(page.pictures) == 3  # no learning curves: nothing was trained
    assert all(len(picture["alt"] or "") > 10 for picture in page.pictures)
    alternatives = " ".join(str(picture["alt"]) for picture in page.pictures)
    assert "LUT 10 %" in alternatives and "weights +0.0310" in alternatives


def test_contrast_in_both_colour_schemes(tmp_path: Path) -> None:
    """WCAG 2: 4.5 to 1 for text on its ground."""
    written(work(tmp_path))
    html = (tmp_path / "build" / "probe" / "report.html").read_text(encoding="utf-8")
    parts = html.split("prefers-color-scheme")[:2]
    schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in parts]
    assert all(len(scheme) == 8 for scheme in schemes)
    for scheme in schemes:
        for ink in ("text", "soft", "good", "bad", "link"):
            for ground in ("page", "card"):
                assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)


def contrast(a: str, b: str) -> float:
    def luminance(color: str) -> float:
        channels = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_what_was_left_out_is_not_shown_as_measured(tmp_path: Path) -> None:
    one = work(tmp_path, left_out=("simulate", "hls", "synthesize"))
    del one.found["evaluate"]["bits_per_character"]["float"]
    del one.found["evaluate"]["ladder"]
    page, markdown = written(one)
    assert "from the schedule only" in page.text and "from the schedule only" in markdown
    assert "the xc7z020, estimated" in page.text
    assert "LUT — 53,200" not in page.text and re.search(r"LUT [0-9,]+00 — 53,200", page.text)
    assert "Yosys 9.9" not in page.text and "222" not in page.text
    assert "above float" in page.text and "+0.0" not in page.text


def test_the_seed_of_a_calibrated_network_is_the_float_network_s(tmp_path: Path) -> None:
    one = work(tmp_path)
    one.found["quantize"]["record"] = {"from": "e" * 64, "calibrated": {}}
    one.found["train"]["records"] = {"base": {"options": {"seed": 78}}}
    page, _ = written(one)
    assert "seed of the training 78" in page.text


def test_a_difference_is_said_at_the_top(tmp_path: Path) -> None:
    one = work(tmp_path)
    one.found["compare"]["exactness"]["rtl"]["mismatches"] = 3
    page, markdown = written(one)
    assert "NOT exact" in page.text and "**NOT exact**" in markdown


def test_learning_curves_of_what_was_trained(tmp_path: Path) -> None:
    one = work(tmp_path)
    from models.float_lstm import tf
    from scripts.flow import report

    logs = one.at("train") / "base" / "logs"
    writer = tf.summary.create_file_writer(str(logs))
    with writer.as_default():
        for step, value in ((10, 4.0), (20, 3.0)):
            tf.summary.scalar(report.TRAINING, value, step=step)
        tf.summary.scalar(report.VALIDATION, 3.25, step=20)
    writer.close()
    assert report.facts(one)["curves"] == {
        "base": {report.TRAINING: [(10, 4.0), (20, 3.0)], report.VALIDATION: [(20, 3.25)]}
    }
    page, _ = written(one)
    assert "base from 3.250 to 3.250 after 20 updates" in [picture["alt"] for picture in page.pictures]


def test_coverage_counts_what_occurred() -> None:
    network = with_weights(small_spec("w8a8", 7, (8,)), np.random.default_rng(1))
    codes = np.array([1, 1, 2])
    trace: dict[str, Any] = {}
    Reference(network).run(codes, trace)
    fmt = network.spec.layers[0].formats
    trace["layers.0.c"][0, 0], trace["layers.0.c"][1, 0] = fmt.c.min_raw, fmt.c.max_raw
    rows = {row["what"]: (row["seen"], row["of"]) for row in coverage(network, codes, trace)}
    assert rows["characters of the vocabulary"] == (2, 7)
    assert rows[f"layer 0: c at the bounds of {fmt.c}"] == (2, 2)
    z = trace["layers.0.z"]
    gates = {int(raw) for row in z for raw in [*row[:16], *row[24:]]}  # i, f and o
    assert rows["layer 0: entries of the table sigmoid"] == (len(gates), 1024)
    assert rows["layer 0: entries of the table tanh of the candidate"] == (
        len({int(raw) for row in z for raw in row[16:24]}),
        1024,
    )
    json.dumps(rows)
