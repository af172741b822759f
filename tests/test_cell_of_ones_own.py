# SPDX-License-Identifier: Apache-2.0
"""A cell of one's own: from one file of equations to the same integers in all engines.

The cell is that of docs/cells.md, and its file is the page's.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.parser import parse
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.store import header
from zynq_lstm.scripts.flow.load import load
from zynq_lstm.scripts.main import main

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "cells.md"
UNITS, TEXT = 6, "the quick brown fox jumps over the lazy dog. "
ENGINES = ("keras", "hls", "rtl")
COMPARED, GENERATED = 48, 40


def of_the_page() -> str:
    """The file of equations that docs/cells.md shows."""
    (found,) = re.findall(r"```\n(cell mgu\n.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return str(found)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mgu.cell"
    path.write_text(of_the_page(), encoding="utf-8")
    return path


class Mgu:
    """The oracle: integers of one layer, from the equations of Zhou et al. (2016), written by hand.

    Formats are those of w8a8: f has 8 fraction bits and no sign, n and h have 7, z has 6, c has 15.
    """

    def __init__(self, network: IntegerNetwork, layer: int) -> None:
        arrays, formats = network.layer(layer), network.spec.layers[layer].formats
        self.W, self.U, self.b = (arrays[name].astype(object) for name in "WUb")
        self.frac = {name: getattr(formats, name).frac for name in "WUb"}
        self.x_frac = 7 if layer else 0
        self.h, self.c = ([0] * len(self.U) for _ in range(2))

    @staticmethod
    def round(value: int, shift: int, bits: int) -> int:
        """value / 2**shift, rounded half up, saturated to bits with a sign."""
        rounded = (value + (1 << shift >> 1)) >> shift if shift >= 0 else value << -shift
        return max(-(1 << bits - 1), min((1 << bits - 1) - 1, rounded))

    @staticmethod
    def sigmoid(raw: int) -> int:
        return min(255, int(np.floor(256 / (1 + np.exp(-raw / 64)) + 0.5)))

    @staticmethod
    def tanh(raw: int) -> int:
        return min(127, int(np.floor(128 * np.tanh(raw / 64) + 0.5)))

    def step(self, x: list[int]) -> dict[str, list[int]]:
        units = range(len(self.h))

        def z(gate: int, u: int, state: list[int]) -> int:
            column, top = gate * len(self.h) + u, 40  # fraction bits of the sum
            total = sum(v * w for v, w in zip(x, self.W[:, column], strict=True)) << (
                top - self.x_frac - self.frac["W"]
            )
            total += sum(v * w for v, w in zip(state, self.U[:, column], strict=True)) << (
                top - 7 - self.frac["U"]
            )
            total += int(self.b[column]) << (top - self.frac["b"])
            return self.round(total, top - 6, 10)

        z_f = [z(0, u, self.h) for u in units]
        f = [self.sigmoid(value) for value in z_f]
        s = [self.round(f[u] * self.h[u], 8, 8) for u in units]
        z_n = [z(1, u, s) for u in units]
        n = [self.tanh(value) for value in z_n]
        self.c = [
            self.round((self.c[u] << 8) - f[u] * self.c[u] + ((f[u] * n[u]) << 8), 8, 16) for u in units
        ]
        self.h = [self.round(value, 8, 8) for value in self.c]
        return {"z": z_f + z_n, "f": f, "s": s, "n": n, "c": list(self.c), "h": list(self.h)}


def test_the_reference_is_the_paper_in_integers(file: Path, rng: np.random.Generator) -> None:
    cell = catalogue.written(catalogue.cell(str(file)))
    spec = network_spec("w8a8", vocabulary=5, units=UNITS, layers=2, cell=cell)
    weights = {
        name: rng.integers(fmt.min_raw // 2, fmt.max_raw // 2 + 1, spec.weight_shapes()[name])
        for name, fmt in spec.weight_formats().items()
    }
    network = IntegerNetwork.from_weights(spec, "abcde", weights)
    codes, found = rng.integers(0, 5, 40), dict[str, Any]()
    Reference(network).run(codes, found)
    oracles = [Mgu(network, k) for k in range(2)]
    for t, code in enumerate(codes):
        x = [int(k == code) for k in range(5)]
        for k, oracle in enumerate(oracles):
            wanted = oracle.step(x)
            x = wanted["h"]
            for name, values in wanted.items():
                assert found[f"layers.{k}.{name}"][t].tolist() == values, (name, t, k)


@pytest.mark.hls
@pytest.mark.rtl
@pytest.mark.slow
def test_from_one_file_to_all_engines(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Train, quantize, then remove the file: the network carries its cell. No engine differs anywhere."""
    from zynq_lstm.hls.engine.array import Array
    from zynq_lstm.models.integers.text import generate
    from zynq_lstm.sim.engines import registry

    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT * 60, encoding="utf-8")
    train = ["train", "--text-file", "text.txt", "--cell", file.name, "--units", str(UNITS), "--batch", "4"]
    train += [
        "--steps",
        "16",
        "--epochs",
        "1",
        "--further-epochs",
        "0.5",
        "--distill",
        "0",
        "--run-dir",
        "run",
    ]
    assert main([*train, "--stage", "base"]) == 0
    assert main([*train, "--stage", "quantized"]) == 0
    file.unlink()

    checkpoint = Checkpoint.load("run/text-w8a8.safetensors")
    assert checkpoint.quantized_spec.layers[1].formats.description == parse(of_the_page())
    assert f"--cell {file.name}" in checkpoint.record["command"]
    network = freeze(checkpoint)
    network.save("network.safetensors")
    network = IntegerNetwork.load("network.safetensors")
    codes = np.array([network.vocabulary.index(c) for c in (TEXT * 2)[:COMPARED]])
    wanted: dict[str, Any] = {}
    Reference(network).run(codes, wanted)
    values = COMPARED * (2 * UNITS * 7 + len(network.vocabulary))  # z_f f s z_n n c h
    assert sum(array.size for array in wanted.values()) == values
    for name in ENGINES:
        options = {"array": Array(2, 2, 2, 2), "quick": True} if name == "rtl" else {}
        engine = registry()[name](checkpoint, network, tmp_path / name, **options)
        engine.build()
        found = engine.whole_trace(codes)
        for signal, array in wanted.items():
            assert np.array_equal(found[signal], array), (name, signal)
        text = list(engine.write(codes[:8], GENERATED, 256, 7))
        assert text == list(generate(network, codes[:8], GENERATED, 256, 7)), name
    assert "FixedMgu" not in capsys.readouterr().err


def test_files_carry_the_description(file: Path, tmp_path: Path) -> None:
    cell = catalogue.written(catalogue.cell(str(file)))
    spec = network_spec("w8a8", vocabulary=5, units=4, layers=2, cell=[cell, "lstm"])
    weights = {n: np.zeros(shape, np.float32) for n, shape in spec.weight_shapes().items()}
    quantized, real = tmp_path / "q.safetensors", tmp_path / "f.safetensors"
    Checkpoint("abcde", weights, spec).save(quantized)
    Checkpoint("abcde", weights, float_cells=(cell, "lstm")).save(real)
    file.unlink()
    assert Checkpoint.load(quantized).spec == spec
    assert Checkpoint.load(real).cells == Checkpoint.load(quantized).cells == (cell, "lstm")
    assert header(quantized)["spec"]["layers"][0]["cell"] == parse(of_the_page()).text
    assert "cell" not in header(quantized)["spec"]["layers"][1]


def test_a_cell_with_the_name_of_the_project_s(tmp_path: Path) -> None:
    """Equations tell cells apart, not names; but in one network, names must."""
    text = (catalogue.FOLDER / "lstm.cell").read_text(encoding="utf-8")
    file = tmp_path / "x.cell"
    file.write_text("# the same\n" + text, encoding="utf-8")
    assert catalogue.written(catalogue.cell(str(file))) == "lstm"
    file.write_text(text.replace("f c' + i g", "f c' + i g - g"), encoding="utf-8")
    own = catalogue.written(catalogue.cell(str(file)))
    assert own.startswith("cell lstm\n")
    spec = network_spec(vocabulary=5, units=4, cell=own)
    assert type(spec).from_dict(spec.to_dict()) == spec
    with pytest.raises(UserError, match=r"layers\[1\] is another 'lstm' than layers\[0\]: give it a name"):
        network_spec(vocabulary=5, units=4, cell=[own, "lstm"])


CONFIGURATION = """[corpus]
file = "text.txt"
[model]
cell = "{cell}"
"""


def test_the_configuration_names_the_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT * 60, encoding="utf-8")
    path = tmp_path / "flow.toml"
    path.write_text(CONFIGURATION.format(cell="mgu.cell, gru"), encoding="utf-8")
    flow = load(path)
    assert flow.cells() == (parse(of_the_page()).text, "gru")
    assert flow.cell_files() == (file,)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("gro", "flow.toml:4: model.cell: unknown cell 'gro'; legal are coupled, gru, "),
        ("gru,lstm,rnn", "flow.toml:4: model.cell: names 3 cells for 2 layers; give one, or one for each"),
        ("none.cell", "flow.toml:4: model.cell: none.cell: cannot be read: No such file"),
        ("bad.cell", "flow.toml:4: model.cell: bad.cell:1: 'cel' begins no line"),
    ],
)
def test_a_mistake_in_the_configuration(
    cell: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    Path("bad.cell").write_text("cel x\n", encoding="utf-8")
    Path("flow.toml").write_text(CONFIGURATION.format(cell=cell), encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(message)):
        load(Path("flow.toml"))


def test_the_verb_shows_a_cell(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, figures = tmp_path / "mgu.svg", tmp_path / "mgu.json"
    command = ["cells", str(file), "--units", "8", "--plot", str(picture), "--json", str(figures)]
    assert main(command) == 0
    said = capsys.readouterr().out
    found = json.loads(figures.read_text(encoding="utf-8"))
    for equation in found["equations"]:
        assert equation.partition(" = ")[2].rpartition(": ")[2] in said
    assert found["levels"][0]["result"] == "s"
    assert [level["latency"] for level in found["levels"]] == [14, 18]
    assert f"{found['cycles']['generate']} in generate" in said
    drawn = picture.read_bytes()
    for equation in ("s = f h'", "n = tanh[z_n]", "h = c"):
        assert equation in drawn.decode()
    assert main(command) == 0
    assert picture.read_bytes() == drawn


def test_the_page_is_up_to_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell, page = DOCS / "mgu.cell", PAGE.read_text(encoding="utf-8")
    assert cell.read_text(encoding="utf-8") == of_the_page()
    assert main(["cells", str(cell), "--plot", str(tmp_path / "mgu.svg")]) == 0
    said = capsys.readouterr().out
    assert said[said.index("level 0") : said.index("drawn to")] in page
    assert (tmp_path / "mgu.svg").read_bytes() == (DOCS / "mgu.svg").read_bytes(), "run make docs"


def test_messages_of_the_page() -> None:
    page, text = PAGE.read_text(encoding="utf-8"), of_the_page()
    for old, new in (
        ("h   = h: c", "h = h: f c o"),
        ("z_n = z: x_n + u_n", "z_n = z: x_n + f u_n"),
        ("s   = h: f h'", "n = tanh[z_n]"),
        ("table sigmoid: z -> gate", "table sigm: z -> gate"),
        ("s   = h: f h'", "s = c: f h'"),
    ):
        assert f"| `{new}`" in page
        with pytest.raises(UserError) as refused:
            parse(text.replace(old, new))
        said = re.sub(r"^cell:\d+: (signal '\w+': )?", "", str(refused.value))
        shown = next(line for line in page.splitlines() if line.startswith(f"| `{new}`"))
        message = shown.split("|")[2].strip().strip("`").partition("...")[0]
        assert message in said


def test_the_verb_prints_code(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cells", str(file), "--cpp"]) == 0
    code = capsys.readouterr().out
    assert "void first_mgu(" in code
    assert "void mgu_above(" in code
    assert main(["cells", str(file), "--units", "8", "--verilog"]) == 0
    code = capsys.readouterr().out
    assert "module mgu_0_gates" in code
    assert "module mgu_1_gates" in code


def test_the_verb_shows_what_the_rtl_refuses(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(of_the_page().replace("c' - f c'", "h' + x_f - f c'"), encoding="utf-8")
    assert main(["cells", str(file)]) == 0
    said = "the cell mgu: c reads x_f together with a later product; give x_f a signal of its own"
    assert f"not for the RTL: {said}" in capsys.readouterr().out
    assert main(["cells", str(file), "--verilog"]) == 2
    assert said in capsys.readouterr().err
    assert main(["cells", str(file), "--cpp"]) == 0


def test_the_verb_lists_cells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cells"]) == 0
    said = capsys.readouterr().out
    for name in catalogue.names():
        assert f" {name} " in said
    assert main(["cells", "--cpp"]) == 2
    assert "--cpp needs a cell: coupled, " in capsys.readouterr().err
    assert main(["cells", "gr"]) == 2
    assert "unknown cell 'gr'; legal are coupled, " in capsys.readouterr().err


def test_the_verb_s_old_meaning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cells", "--plot", str(tmp_path / "x.svg")]) == 0
    said = capsys.readouterr()
    assert "vanilla RNN" in said.out
    assert "zynq-lstm: note: 'zynq-lstm cells' compares no cells any more" in said.err
    assert main(["cells", "--measure", "--units", "0"]) == 2
    assert "'--units': 0 is not in the range" in capsys.readouterr().err


THREE_LEVELS = """cell three
title a state that is reset twice
gates a b d
opens a
format n: g
format c: c, integer g
recurrent b: s
recurrent d: t
table sigmoid: z -> gate
table tanh: z -> n

z_a = z: x_a + u_a
a = sigmoid[z_a]
s = h: a h'
z_b = z: x_b + u_b
b = sigmoid[z_b]
t = h: b s - a h' + h'
z_d = z: x_d + u_d
n = tanh[z_d]
c = c: a c' + b n - a n
h = h: c
"""
ODD_NAMES = """cell logic
title words of C++ and SystemVerilog
gates int reg wire
vector alpha: b
vector signal: b
format module: g
format c: c, integer g
recurrent wire: initial
table sigmoid: z -> gate
table hard_tanh: z -> module

z_int = z: x_int + u_int + alpha c'
z_reg = z: x_reg + u_reg
int = sigmoid[z_int]
reg = sigmoid[z_reg]
initial = h: reg h'
for = c: int c' + signal
z_wire = z: x_wire + u_wire + signal
module = hard_tanh[z_wire]
c = c: int for + module - int module
h = h: c
"""
ONLY_H = """cell ugrnn
title the update gate network of Collins et al. (2017)
gates f n
table sigmoid: z -> gate
table tanh: z -> h

z_f = z: x_f + u_f
z_n = z: x_n + u_n
f = sigmoid[z_f]
n = tanh[z_n]
h = h: f h' + n - f n
"""


@pytest.mark.hls
@pytest.mark.rtl
@pytest.mark.slow
def test_a_mixture_of_odd_cells_in_all_engines(tmp_path: Path, rng: np.random.Generator) -> None:
    from zynq_lstm.hls.engine.array import Array
    from zynq_lstm.models.integers.freeze import thaw
    from zynq_lstm.sim.engines import registry

    cells = [parse(text).text for text in (THREE_LEVELS, ODD_NAMES, ONLY_H)]
    spec = network_spec("w8a8", vocabulary=5, units=UNITS, layers=3, cell=cells)
    weights = {
        name: rng.integers(fmt.min_raw // 2, fmt.max_raw // 2 + 1, spec.weight_shapes()[name])
        for name, fmt in spec.weight_formats().items()
    }
    network = IntegerNetwork.from_weights(spec, "abcde", weights)
    codes, wanted = rng.integers(0, 5, COMPARED), dict[str, Any]()
    Reference(network).run(codes, wanted)
    for name in ENGINES:
        options = {"array": Array(2, 2, 2, 2), "quick": True} if name == "rtl" else {}
        engine = registry()[name](thaw(network), network, tmp_path / name, **options)
        engine.build()
        found = engine.whole_trace(codes)
        for signal, array in wanted.items():
            assert np.array_equal(found[signal], array), (name, signal)
