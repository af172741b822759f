# SPDX-License-Identifier: Apache-2.0
"""The checker of the HLS C++: planted faults, findings in our own kernel, and counts of iterations."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.hls.hls4ml_networks import UNANALYSED, keras_model
from tests.hls.hls_faults import FAULTS, SOUND
from tests.networks import small_spec, with_weights
from zynq_lstm.hls.hls4ml.convert import convert, save
from zynq_lstm.hls.vitis.check import FIRMWARE, Report, check
from zynq_lstm.hls.vitis.loops import Loop

pytestmark = pytest.mark.hls

SEED = 7
TOP = "char_lstm"


def design(folder: Path, text: str) -> Report:
    """Check a file's text."""
    (folder / FIRMWARE).mkdir()
    (folder / FIRMWARE / "top.cpp").write_text(text)
    return check(folder, "top")


def test_the_sound_design_has_no_finding(tmp_path: Path) -> None:
    report = design(tmp_path, SOUND)
    assert not report.findings
    assert {loop.label: (loop.iterations, loop.interval) for loop in report.loops if loop.label} == {
        "Sums": (8, 1),
        "Units": (32, 1),
    }


def test_counts_are_the_same_if_only_the_first_iterations_are_gone_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zynq_lstm.hls.vitis.elaborate.MOST_ACCESSES", 10)
    report = design(tmp_path, SOUND)
    assert not report.findings
    assert [(loop.entries, loop.iterations) for loop in report.loops] == [(1, 8), (8, 32), (1, 32)]


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_found(tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    assert fault.right in SOUND
    text = SOUND.replace(fault.right, fault.wrong, 1)
    report = design(tmp_path, text)
    lines = text.splitlines()
    found = [f for f in report.findings if f.kind == fault.kind and fault.line in lines[f.line - 1]]
    assert found, report.findings


def test_each_kind_of_fault_is_planted_twice() -> None:
    kinds = Counter(fault.kind for fault in FAULTS.values())
    assert set(kinds) == {"ports", "bank", "dependence", "bound", "scope", "unsynthesisable"}
    assert min(kinds.values()) >= 2


@pytest.mark.parametrize(
    "text, message",
    [("void top() { return 1; }", "clang cannot read"), ("void other() {}", "defines no function top")],
)
def test_text_that_cannot_be_checked_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        design(tmp_path, text)


# Our own kernel

SUMS = "Inputs of multiply_accumulate"
#: The sums are read in the first and written in the last step of a group's product.
IN_PRODUCTS = ("dependence", SUMS, "sums")
#: Lanes that are a quarter of the columns are not a power of two.
IN_LOGITS = ("bank", "Logits of dense", "sums")


def in_units(kind: str, cell: str, *arrays: str) -> set[tuple[str, str, str]]:
    return {(kind, f"Units0 of {one}", name) for one in (f"first_{cell}", f"{cell}_above") for name in arrays}


class Case(NamedTuple):
    """A project, and the rules that its kernel breaks today (kind, loop, array), until issue 17 is done."""

    cell: str
    vocabulary: int
    units: tuple[int, ...]
    reuse_factor: int | None
    known: set[tuple[str, str, str]]


KNOWN = {IN_PRODUCTS, IN_LOGITS}
CASES = {
    "lstm": Case("lstm", 11, (6, 5), None, KNOWN | in_units("bank", "lstm", "sums")),
    # A unit's four sums are in one bank.
    "lanes 1": Case("lstm", 16, (4, 4), 64, {IN_PRODUCTS} | in_units("ports", "lstm", "sums")),
    "coupled": Case("coupled", 11, (8, 8), None, KNOWN | in_units("bank", "coupled", "sums")),
    "gru": Case(
        "gru",
        11,
        (8, 8),
        None,
        KNOWN | in_units("bank", "gru", "sums", "u_sums") | {("dependence", SUMS, "u_sums")},
    ),
    "gru_reset_before": Case(
        "gru_reset_before", 11, (8, 8), None, KNOWN | {("dependence", SUMS, "sums_of_s")}
    ),
    "peephole": Case("peephole", 11, (8, 8), None, KNOWN),
    "rnn": Case("rnn", 11, (8, 8), None, KNOWN),
}
FIRST, *OTHERS = CASES


@pytest.fixture(scope="module", params=[FIRST, *(pytest.param(c, marks=pytest.mark.nightly) for c in OTHERS)])
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def project(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = small_spec("w8a8", case.vocabulary, case.units, case.cell)
    network = with_weights(spec, np.random.default_rng(SEED), extreme=True)
    folder = tmp_path_factory.mktemp("project")
    save(convert(keras_model(network), folder, reuse_factor=case.reuse_factor))
    return folder


@pytest.fixture(scope="module")
def report(project: Path) -> Report:
    return check(project, TOP)


def named(report: Report) -> set[tuple[str, str, str]]:
    return {(one.kind, one.where.split("<")[0], one.subject) for one in report.findings}


@pytest.mark.slow
def test_findings_in_the_kernel_are_the_known_ones(case: Case, report: Report) -> None:
    assert named(report) == case.known, "\n".join(map(str, report.findings))


#: Faults planted in the kernel together: file, text, replacement, and the finding.
PLANTED = (
    (
        "zynq_lstm_cells.h",
        "variable=c type=inter dependent=false",
        "variable=c type=inter dependent=true",
        ("dependence", "Units0 of first_lstm", "c"),
    ),
    (
        "zynq_lstm_cells.h",
        "variable=sigmoid type=rom_np",
        "variable=sigmoid type=rom_1p",
        ("ports", "Units0 of first_lstm", "sigmoid2"),
    ),
    (
        "zynq_lstm_cells.h",
        "variable=tanh_c type=rom_1p",
        "variable=tanh_d type=rom_1p",
        ("scope", "first_lstm", "tanh_d"),
    ),
    (
        "zynq_lstm.h",
        "variable=w type=cyclic factor=word",
        "variable=w type=cyclic factor=1",
        ("ports", SUMS, "U2"),
    ),
    (
        "zynq_lstm.h",
        "lane = 0; lane < lanes; lane++",
        "lane = 0; lane < lanes - group; lane++",
        ("bound", "", "loop"),
    ),
    (
        "zynq_lstm.h",
        "value.range() = bits.range();",
        "value = double(sum);",
        ("unsynthesisable", "fixed_point", "float"),
    ),
)


@pytest.mark.parametrize("case", [FIRST], indirect=True)
@pytest.mark.slow
def test_faults_planted_in_the_kernel_are_found(project: Path) -> None:
    folder = project / FIRMWARE / "nnet_utils"
    texts = {name: (folder / name).read_text() for name, *_ in PLANTED}
    try:
        for name, right, wrong, _ in PLANTED:
            text = (folder / name).read_text()
            assert right in text
            (folder / name).write_text(text.replace(right, wrong, 1))
        report = check(project, TOP)
    finally:
        for name, text in texts.items():
            (folder / name).write_text(text)
    assert {finding for *_, finding in PLANTED} <= named(report), "\n".join(map(str, report.findings))


@pytest.mark.parametrize("case", [FIRST], indirect=True)
@pytest.mark.slow
def test_choice_of_a_character_is_checked_as_a_function_of_its_own(project: Path) -> None:
    more = """
    ap_uint<8> choice(const result_t logits[11], nnet::zynq_lstm::temperature_t temperature,
                      nnet::zynq_lstm::Xorshift128 &random) {
        return nnet::zynq_lstm::choose<11>(logits, temperature, random);
    }
    """
    assert named(check(project, "choice", more)) == {
        # Four lanes look up two tables at once.
        ("ports", "Words of choose", "noise_table"),
        ("ports", "Words of choose", "noise_tail"),
    }


# Iterations

MAIN = """
#include "char_lstm.cpp"
#include <cstdio>
int main() {
    result_t logits[ZYNQ_OUTPUTS];
    for (unsigned n = 0; n < ZYNQ_CALLS; n++) {
        // Every character clears the state.
        input_t code[1] = {input_t(n % ZYNQ_OUTPUTS + (1 << nnet::zynq_lstm::CODE_BITS))};
        char_lstm(code, logits);
    }
    for (const auto &one : zynq_counted())
        std::printf("%s:%d:%ld\\n", one.first.first.c_str(), one.first.second.first, one.second);
}
"""
COUNTER = """
#include <map>
#include <string>
#include <utility>
typedef std::map<std::pair<std::string, std::pair<int, std::string>>, long> zynq_counts;
inline zynq_counts &zynq_counted() { static zynq_counts counts; return counts; }
#define ZYNQ_COUNT(file, line) zynq_counted()[{file, {line, __PRETTY_FUNCTION__}}]++;
"""
CALLS = 3


def instrumented(loops: tuple[Loop, ...]) -> None:
    """Put a counter in the body of each loop, in the files themselves."""
    for path in {loop.path for loop in loops}:
        lines = path.read_text().splitlines()
        for loop in {(loop.line, *loop.body) for loop in loops if loop.path == path}:
            line, row, column = loop
            text = lines[row - 1]
            assert text[column - 1] == "{"
            lines[row - 1] = f'{text[:column]} ZYNQ_COUNT("{path.name}", {line}) {text[column:]}'
        path.write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_iterations_are_those_of_the_c_simulation(case: Case, project: Path, report: Report) -> None:
    assert all(loop.trips != {None} and len(loop.trips) == 1 for loop in report.loops)
    assert {loop.label for loop in report.loops if loop.sometimes} == {"Clear"}
    texts = {loop.path: loop.path.read_text() for loop in report.loops}
    firmware = project / FIRMWARE
    (firmware / "counted.cpp").write_text(MAIN)
    (firmware / "counter.h").write_text(COUNTER)
    try:
        instrumented(report.loops)
        command = ["g++", "-std=c++20", "-w", "-O0", "-include", "counter.h", *UNANALYSED]
        command += [f"-DZYNQ_CALLS={CALLS}", f"-DZYNQ_OUTPUTS={case.vocabulary}"]
        command += ["-I.", "-Iap_types", '-DWEIGHTS_DIR="weights"', "counted.cpp", "-o", "counted"]
        subprocess.run(command, cwd=firmware, check=True)
        said = subprocess.run(["./counted"], cwd=firmware, check=True, capture_output=True, text=True).stdout
    finally:
        for path, text in texts.items():
            path.write_text(text)
        (firmware / "counted.cpp").unlink()
    # An instance of a template is a line; several have a loop's place.
    counted = sorted((file, int(line), int(n)) for file, line, n in re.findall(r"(.*):(\d+):(\d+)", said))
    assert counted == sorted((one.path.name, one.line, CALLS * one.iterations) for one in report.loops)
