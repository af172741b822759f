# SPDX-License-Identifier: Apache-2.0
"""The C++ as a synthesis tool reads it: compiled by g++ with ``__SYNTHESIS__``, against the reference.

C simulation never sees the code under that macro: sums of the proved widths, weights as constants, and no
hooks. The ap types would need the vendor's compiler with that macro: they are included before it is defined.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.hls.hls4ml_networks import UNANALYSED, keras_model, random_network
from zynq_lstm.hls.hls4ml.convert import convert, save
from zynq_lstm.hls.vendor.projects import BENCH, HERE, vectors
from zynq_lstm.hls.vitis.cell import HEADER
from zynq_lstm.models.integers.network import IntegerNetwork

pytestmark = [pytest.mark.hls, pytest.mark.slow]

SEED = 7
#: The kernel: what does not depend on the cell, and the cells' layers.
KERNEL = ("firmware/nnet_utils/zynq_lstm.h", f"firmware/nnet_utils/{HEADER}")
SOURCE = """
#include <fstream>
#include <iostream>
#include <vector>
#include "ap_fixed.h"
#include "ap_int.h"
#define __SYNTHESIS__
#include "firmware/char_lstm.cpp"
"""
# Undefined behaviour ends the program. The ap types shift negative numbers, which C++20 defines.
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

# Preset, units, extreme weights; the code of the second and third layer differs from the first's.
CASES = {"w8a8": ("w8a8", (6, 5), True), "q8.8": ("q8.8", (3, 4, 2), False)}


@pytest.fixture(scope="module", params=["w8a8", pytest.param("q8.8", marks=pytest.mark.nightly)])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    preset, units, extreme = CASES[request.param]
    network = random_network(preset, 11, units, np.random.default_rng(SEED), extreme)
    folder = tmp_path_factory.mktemp("project")
    save(convert(keras_model(network), folder))
    add_bench(network, folder)
    return folder


def add_bench(network: IntegerNetwork, folder: Path) -> None:
    """Add the vendor's test bench; it clears the state halfway."""
    (folder / "tb_data").mkdir(exist_ok=True)
    codes = np.random.default_rng(SEED).integers(0, 11, 60)
    (folder / "tb_data" / "vectors.txt").write_text(vectors(network, codes))
    shutil.copyfile(HERE / BENCH, folder / BENCH)
    (folder / "synthesis.cpp").write_text(SOURCE)


def run(folder: Path, compiler: str = "g++", *options: str) -> tuple[int, str]:
    """Compile and run the bench; return its exit code and output."""
    given = ["-std=c++20", "-w", "-O0", "-I.", "-Ifirmware/ap_types", *UNANALYSED, *options]
    command = [compiler, *given, "synthesis.cpp", BENCH, "-o", "bench"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    ran = subprocess.run(["./bench"], cwd=folder, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize("compiler", ["g++", *filter(shutil.which, ["clang++"])])
def test_every_logit_is_the_references(project: Path, compiler: str) -> None:
    assert run(project, compiler, *SANITIZED) == (0, "660 logits of 60 characters: equal\n")


#: Faults in code for synthesis only: name -> text in the kernel, and its replacement.
FAULTS = {
    "no reset of layer 0": ("    ap_uint<1> reset = word[CODE_BITS];", "    ap_uint<1> reset = 0;"),
    "no reset of layers above": ("    reset_next = reset;", "    reset_next = 0;"),
    "h is kept at a reset": ("        h[u] = 0;", ""),
    "sums too narrow": ("    typedef ap_int<WIDTH> type;", "    typedef ap_int<WIDTH - 4> type;"),
}


@pytest.fixture
def kernel(project: Path) -> Iterator[list[Path]]:
    """The kernel's headers, which are restored afterwards."""
    texts = {project / name: (project / name).read_text() for name in KERNEL}
    yield list(texts)
    for path, text in texts.items():
        path.write_text(text)


#: Case and fault. The extreme weights of w8a8 hide h: a reset that keeps it changes no logit there.
TRIED = [
    (case, name) for case in CASES for name in FAULTS if (case, name) != ("w8a8", "h is kept at a reset")
]


@pytest.mark.parametrize(
    "project, name",
    [
        (case, name)
        if case == "w8a8" and "no reset" in name
        else pytest.param(case, name, marks=pytest.mark.nightly)
        for case, name in TRIED
    ],
    indirect=["project"],
)
def test_fault_for_synthesis_only_is_found(project: Path, kernel: list[Path], name: str) -> None:
    right, wrong = FAULTS[name]
    (path,) = (path for path in kernel if right in path.read_text())
    text = path.read_text()
    path.write_text(text.replace(right, f"#ifdef __SYNTHESIS__\n{wrong}\n#else\n{right}\n#endif"))
    status, said = run(project)
    assert status == 1 and said.startswith("ERROR: character "), said
