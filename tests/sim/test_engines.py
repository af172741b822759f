# SPDX-License-Identifier: Apache-2.0
"""The engines' registry: an engine is one file, and every engine keeps the interface's promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zynq_lstm.sim.engines
from tests.hls.hls4ml_networks import random_network
from tests.networks import save_checkpoint
from zynq_lstm.models.errors import CheckError
from zynq_lstm.models.integers import limits
from zynq_lstm.models.integers.freeze import thaw
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.sim.engines import frozen, offered, registry
from zynq_lstm.sim.engines.rtl import RtlEngine
from zynq_lstm.sim.trace import compare

ROOT = Path(zynq_lstm.sim.engines.__file__).parents[2]
TOY = """\
from zynq_lstm.sim.engines.reference import ReferenceEngine


class Toy(ReferenceEngine):
    name = "toy"
    verbs = ("compare",)

    def trace(self, codes, *others):
        for signals in super().trace(codes, *others):
            signals["layers.1.c"][9, 3] ^= WRONG
            yield signals
"""


@pytest.mark.parametrize("wrong", [0, 1])
def test_an_engine_is_one_file(wrong: int, tmp_path: Path, rng: np.random.Generator) -> None:
    """'compare' needs nothing but a file in the folder of engines."""
    network = random_network("w8a8", 11, (8, 8), rng)
    checkpoint = save_checkpoint(network, tmp_path / "small.safetensors")
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "toy.py").write_text(TOY.replace("WRONG", str(wrong)))
    text = network.vocabulary * 2
    program = (
        "import sys, zynq_lstm.sim.engines\nzynq_lstm.sim.engines.__path__.append(sys.argv.pop(1))\n"
        "from zynq_lstm.scripts.main import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, "engines", "compare", "toy", "reference"]
    options = ["--checkpoint", str(checkpoint), "--text", text]
    done = subprocess.run(
        [*command, *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == wrong, done.stderr
    assert f"values of {len(text)} characters, {wrong} differ" in done.stdout
    assert ("first difference: character 9 (" in done.stdout) == bool(wrong)


def test_names_and_limits() -> None:
    assert offered("compare") == ("keras", "reference", "hls", "rtl", "icarus")
    assert offered("flow") == ("keras", "hls", "rtl")
    for name, engine in registry().items():
        assert engine.name == name
        assert engine.limits and set(engine.limits) <= set(limits.ENGINES)


def test_registry_imports_no_tool() -> None:
    program = (
        "import sys, zynq_lstm.sim.engines; zynq_lstm.sim.engines.registry()\n"
        "print({'tensorflow', 'keras', 'hls4ml', 'cocotb', 'hypothesis'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.hls
@pytest.mark.parametrize("name", ["reference", "keras", "hls", "rtl"])
def test_pieces_give_the_whole_trace_and_the_text(
    name: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Pieces carry the state on, each trace starts at zero, and the text equals the reference's."""
    network = random_network("w8a8", 6, (4, 3), rng)
    codes = rng.integers(0, 6, 12)
    checkpoint = thaw(network)
    engine = registry()[name](checkpoint, frozen(checkpoint, name), tmp_path)
    if isinstance(engine, RtlEngine):
        engine.quick = True
    engine.build()
    expected: dict[str, np.ndarray] = {}
    Reference(network).run(codes, expected)
    for _ in range(2):
        pieces = list(engine.trace(codes, 5))
        assert [len(piece["logits"]) for piece in pieces] == [5, 5, 2]
        joined = {signal: np.concatenate([piece[signal] for piece in pieces]) for signal in expected}
        assert compare(network, expected, joined).exact
    assert np.array_equal(engine.logits(codes), expected["logits"])
    assert all(seconds > 0 for seconds in engine.seconds(codes).values())
    right = list(registry()["reference"](checkpoint, network, tmp_path).write(codes[:3], 9, 200, 7))
    assert list(engine.write(codes[:3], 9, 200, 7)) == right


def test_a_simulation_that_fails_gives_first_what_it_recorded(rng: np.random.Generator) -> None:
    network = random_network("w8a8", 6, (4,), rng)
    recorded: dict[str, np.ndarray] = {}
    Reference(network).run([1, 2, 3], recorded)

    class Bench:
        def score(self, *_: object, **__: object) -> None:
            raise CheckError("character 3 differs")

        def recorded(self, _: str) -> dict[str, np.ndarray]:
            return recorded

    engine = RtlEngine(thaw(network), network, Path("x"))
    engine.bench = Bench()  # type: ignore[assignment]
    pieces = engine.trace(np.zeros(9, np.int64), 2)
    assert [len(next(pieces)["logits"]) for _ in range(2)] == [2, 1]
    with pytest.raises(CheckError, match="character 3 differs"):
        next(pieces)
