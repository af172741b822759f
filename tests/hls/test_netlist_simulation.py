# SPDX-License-Identifier: Apache-2.0
"""Netlists in the bench of the RTL give the same integers at the ports, and a fault in one is found.

Synthesis takes most of the time. So everything that synthesizes a whole engine is tested here with one
design, which Yosys synthesizes once: hls4ml's ``build``, ``simulate --netlist`` and ``synth``.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.hls.hls4ml_networks import keras_model
from tests.networks import save_checkpoint, small_spec, with_weights
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import PROJECT_FILE
from zynq_lstm.hls.hls4ml.convert import convert
from zynq_lstm.hls.parts import parts
from zynq_lstm.hls.synthesis import yosys
from zynq_lstm.hls.synthesis.netlist import check, synthesized
from zynq_lstm.hls.synthesis.yosys import results
from zynq_lstm.models.errors import CheckError
from zynq_lstm.models.integers.choice import temperature_to_raw
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.integers.text import generate
from zynq_lstm.models.texts.corpus import decode
from zynq_lstm.scripts.main import main
from zynq_lstm.sim.simulation.rtl import Rtl
from zynq_lstm.sim.simulation.simulator import build_netlist

pytestmark = [pytest.mark.rtl, pytest.mark.slow]


@dataclass(frozen=True)
class Case:
    preset: str
    vocabulary: int
    units: tuple[int, ...]
    array: Array
    cells: str | tuple[str, ...] = "lstm"


# Two layers, chains of two and of one DSP48E1, several words of the output layer, and products in LUTs.
CASES = {
    "w8a8": Case("w8a8", 6, (4, 2), Array(2, 2, 2, 2)),  # what dsp=8 and --lanes 16 give
    "w4a8": Case("w4a8", 5, (2, 3), Array(2, 1, 2, 2, lut_depth=1, gate_lanes=2)),
    # Units of three sums without gaps; two levels, each with two units in a word of sums.
    "gru": Case("w8a8", 5, (3,), Array(4, 1, 2, 4), "gru"),
    "gru_reset_before": Case("w8a8", 5, (3,), Array(2, 2, 2, 2), "gru_reset_before"),
    "mixed": Case("w8a8", 5, (3, 2), Array(2, 2, 2, 2), ("rnn", "peephole")),
}
QUICK = ("w8a8", "w4a8")  # each of the others takes about a minute of processor time
LEVELS = 5  # the most of any path, as in docs/architecture.md


@dataclass(frozen=True)
class Engine:
    design: Design
    rtl: Rtl
    project: Path


@pytest.fixture(scope="module")
def yosys_once() -> Iterator[None]:
    """Let Yosys run once for each project and script; after that, the same files are written again."""
    run, made = yosys.run_yosys, dict[tuple[object, ...], dict[str, bytes]]()

    def once(script: Sequence[yosys.Command], project: Path, log: Path) -> None:
        folder = log.parent
        # Yosys does not read the file about the project, which names the preset if that is known.
        sources = (path for path in sorted(project.iterdir()) if path.name != PROJECT_FILE)
        texts = ((path.name, path.read_bytes()) for path in sources)
        key = (json.dumps(script).replace(str(folder), ""), log.name, *texts)
        if key not in made:
            before = set(folder.iterdir())
            run(script, project, log)
            made[key] = {path.name: path.read_bytes() for path in set(folder.iterdir()) - before}
        for name, content in made[key].items():
            path = folder / name
            if not path.exists() or path.read_bytes() != content:  # a new file would cause a rebuild
                path.write_bytes(content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yosys, "run_yosys", once)
        yield


@pytest.fixture(
    scope="module",
    params=[n if n in QUICK else pytest.param(n, marks=pytest.mark.nightly) for n in CASES],
)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, seed: int, yosys_once: None
) -> Engine:
    case: Case = CASES[request.param]
    spec = small_spec(case.preset, case.vocabulary, case.units, case.cells)
    network = with_weights(spec, np.random.default_rng(seed))
    folder = tmp_path_factory.mktemp("netlist")
    return Engine(
        design := Design(network, case.array), Rtl.build_netlist(design, folder), folder.resolve() / "rtl"
    )


def test_score(engine: Engine, rng: np.random.Generator) -> None:
    vocabulary = engine.design.network.spec.vocabulary
    run = engine.rtl.score(rng.integers(0, vocabulary, 40))
    assert run.trace == {} and run.report["mismatches"] == 0
    # Beats of four logits; the last beat is padded.
    assert (run.report["characters"], run.report["values"]) == (40, 40 * -(-vocabulary // 4) * 4)
    assert run.report["cycles_per_character"] == engine.design.schedule.timing("score").cycles_per_character


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_generate(engine: Engine, temperature: float, rng: np.random.Generator) -> None:
    """Greedy, and sampled: the reference's text for the same seed."""
    network, raw = engine.design.network, temperature_to_raw(temperature)
    prime = rng.integers(0, network.spec.vocabulary, 5)
    report = engine.rtl.generate(prime, 60, temperature_raw=raw, seed=7).report
    assert report["generated"] == generate(network, prime, 60, raw, 7).tolist()
    assert temperature == 0 or len(set(report["generated"])) > 2
    assert report["cycles_per_character"] == engine.design.schedule.timing("generate").cycles_per_character


def test_protocol(engine: Engine, seed: int) -> None:
    """Streams with gaps and back-pressure, registers, modes, sampling: all tests of the RTL's ports."""
    engine.rtl.protocol_at_once(seed)


def test_netlist_is_sound(engine: Engine) -> None:
    report = check(synthesized(engine.project))
    assert report.faults == []
    assert report.lut_levels <= LEVELS, report.long_paths[0]


# ---- everything else that synthesizes

shared = pytest.mark.parametrize("engine", ["w8a8"], indirect=True)


@shared
def test_report(engine: Engine, tmp_path: Path) -> None:
    """Synthesis through hls4ml's ``build``."""
    model = keras_model(engine.design.network)
    report = convert(model, tmp_path, backend="OpenRTL", part="xc7z010clg400-1", dsp=8).build()
    folder = results(tmp_path / "rtl")
    assert list(report) == ["part", "tool", "lut", "ff", "dsp", "bram36", "fits"]
    assert report["part"] == "xc7z010" and report["tool"].startswith("Yosys ")
    # Others are f c, i g and o tanh(c); temperature times noise.
    assert engine.design.array.dsp == 8 and report["dsp"] == 8 + 3 + 4
    assert report["bram36"] > 0 and report["bram36"] * 2 == int(report["bram36"] * 2)
    assert 0 < report["lut"] < parts()["xc7z010"].lut and report["ff"] > 0
    assert report["fits"] is True
    assert json.loads((folder / "report.json").read_text()) == report
    assert {path.name for path in folder.iterdir()} == {
        *("cells.json", "check.log", "netlist.json", "netlist.v", "report.json", "yosys.log")
    }
    netlist = json.loads((folder / "netlist.json").read_text())["modules"]["zynq_lstm"]
    # Signals that vanish first if a memory has lost its content: schedule's last field, generation, noise.
    for signal in (
        "u_core.step_row",
        "u_characters.left_q",
        "u_choice.scores_6_q[0]",
        "u_choice.at_8_q",
    ):
        assert any(isinstance(bit, int) for bit in netlist["netnames"][f"u_engine.{signal}"]["bits"]), signal
    assert netlist["ports"]["m_axis_tdata"]["direction"] == "output"
    cells = [cell["type"] for cell in netlist["cells"].values()]
    assert cells.count("DSP48E1") == report["dsp"]
    assert {cell for cell in cells if cell.startswith("$")} <= {"$scopeinfo"}, "not mapped to the part"
    assert (folder / "netlist.v").read_bytes() == (results(engine.project) / "netlist.v").read_bytes()


@shared
def test_simulate_verb(engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Yosys's netlist scores and writes the same text; only values at the ports are counted."""
    network = engine.design.network
    checkpoint = save_checkpoint(network, tmp_path / "small.safetensors")
    codes = [3, 1, 4, 1, 5, 0, 2, 5]
    text = decode(codes, network.vocabulary)
    arguments = ["simulate", "--checkpoint", str(checkpoint), "--text", text, "--netlist", "--lanes", "16"]
    sampling = ["--generate", "5", "--temperature", "1.5", "--seed", "4"]
    assert main([*arguments, *sampling, "--output", str(engine.project.parent)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    # Seven characters of two beats of four logits; five codes.
    assert out.startswith(f"{7 * 8 + 5} values of 12 characters equal to the reference's, ")
    assert out.endswith(
        f"\n{decode(generate(network, codes, 5, temperature_to_raw(1.5), 4).tolist(), network.vocabulary)}\n"
    )


@shared
def test_synth_verb(engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = save_checkpoint(engine.design.network, tmp_path / "small.safetensors")
    arguments = ["synth", "--tool", "yosys", "--checkpoint", str(checkpoint), "--lanes", "16"]
    outputs = ["--output", str(tmp_path / "out"), "--json", str(tmp_path / "report.json")]
    assert main([*arguments, *outputs]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["part"] == "xc7z020" and report["fits"] and report["dsp"] > 0
    out = capsys.readouterr().out
    assert "xc7z020 has" in out and "53,200" in out


# ---- a fault is found


def table_bit(engine: Engine, codes: list[int]) -> Callable[[str], str]:
    """Return a change that flips the sign of the first tanh(c) read by the last layer's unit of largest o."""
    network, trace = engine.design.network, {}
    Reference(network).run(codes, trace)
    layer = f"layers.{len(network.spec.layers) - 1}"
    unit = int(np.argmax(trace[f"{layer}.o"][0]))
    fmt = network.spec.layers[-1].formats.ct
    entry = int(trace[f"{layer}.ct"][0, unit]) % 2**fmt.bits
    line, byte = divmod(entry, 32)  # an attribute of a RAMB18E1 holds 32 entries of 8 bits
    words = np.asarray(network.layer(len(network.spec.layers) - 1)["tanh_c"])[32 * line : 32 * line + 32]
    before = sum((int(word) % 256) << (8 * k) for k, word in enumerate(words))

    def change(text: str) -> str:
        name = f".INIT_{line:02X}(256'h"
        at = f"{name}{before:064x})"
        assert text.count(at) == 1, at
        return text.replace(at, f"{name}{before ^ 128 << 8 * byte:064x})")

    return change


def lut_content(text: str) -> str:
    """Complement the content of one of the LUTs that round h."""
    cell = re.compile(r"  LUT(\d) #\(\n    \.INIT\((\d+)'([hd])(\w+)\)\n  \) \S+ \(\n(?:    .*\n)*?  \);")
    found = next(m for m in cell.finditer(text) if "u_round_h.rounded_q" in m[0])
    value = int(found[4], 16 if found[3] == "h" else 10) ^ (2 ** int(found[2]) - 1)
    start, end = found.start(2), found.end(4)
    return f"{text[:start]}{found[2]}'h{value:x}{text[end:]}"


def dsp_register(text: str) -> str:
    """Remove the register after a multiplier of the array, so that a product comes one cycle too early."""
    cell = re.compile(r"  DSP48E1 #\(\n(?:    .*\n)*?  \) \S+ \(\n(?:    .*\n)*?  \);")
    found = next(m for m in cell.finditer(text) if ".MREG(1'h1)" in m[0] and "u_array" in m[0])
    return text[: found.start()] + found[0].replace(".MREG(1'h1)", ".MREG(1'h0)") + text[found.end() :]


@pytest.mark.parametrize("fault", ["block RAM", "LUT", "DSP48E1"])
@shared
def test_fault_is_found(engine: Engine, fault: str, tmp_path: Path) -> None:
    codes = [1, 4, 0, 5, 2, 3, 1]
    changes = {"block RAM": table_bit(engine, codes), "LUT": lut_content, "DSP48E1": dsp_register}
    folder = results(engine.project)
    # The simulator's library is not built again. Links lead to whole programs, which need no copy.
    for made in (folder, engine.rtl.simulator.build_dir):
        shutil.copytree(made, tmp_path / made.name, symlinks=True)
    netlist = tmp_path / folder.name / "netlist.v"
    text = netlist.read_text()
    changed = changes[fault](text)
    assert changed != text
    netlist.write_text(changed)
    rtl = dataclasses.replace(engine.rtl, simulator=build_netlist(netlist))
    assert engine.rtl.score(codes).report["mismatches"] == 0
    with pytest.raises(CheckError, match=r"^text: .*m_axis beat \d+: expected .*, got "):
        rtl.score(codes)
