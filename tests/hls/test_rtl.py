# SPDX-License-Identifier: Apache-2.0
"""The RTL on simulators: every signal, its timing, its interfaces; and faults, which must be found."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.machine import needs_icarus, verilator_lint
from tests.networks import small_spec, with_weights
from tests.sim.test_waveform import lz4_decode
from zynq_lstm import sim
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import fitting_array
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.sim.simulation.rtl import CORNER_TESTS, LONG_PROTOCOL_TESTS, PROTOCOL_TESTS, Rtl, write_project
from zynq_lstm.sim.simulation.simulator import build
from zynq_lstm.sim.trace import compare

pytestmark = [pytest.mark.rtl, pytest.mark.slow]


@dataclass(frozen=True)
class Case:
    preset: str
    vocabulary: int
    units: tuple[int, ...]
    array: Array | None  # None: the default
    extreme: bool = False
    own_points: bool = False  # each weight array has its own binary point
    formats: dict[str, str] = field(default_factory=dict)

    def network(self, rng: np.random.Generator) -> IntegerNetwork:
        spec = small_spec(self.preset, self.vocabulary, self.units, **self.formats)
        if self.own_points:
            points = itertools.cycle([1, 2, -1, 0, 3])
            formats = spec.weight_formats()
            spec = spec.with_weight_formats(
                {n: dataclasses.replace(f, integer=next(points)) for n, f in formats.items() if n[-1] != "b"}
            )
        return with_weights(spec, rng, self.extreme)

    def design(self, seed: int) -> Design:
        network = self.network(np.random.default_rng(seed))
        return Design(network, self.array or fitting_array(network.spec))


# Units that groups and chains do not divide, several groups of the output layer, chains of 1 to 5, one
# segment and several, both packings, one layer to four, one lane to many.
CASES = {
    "one lane": Case("w8a8", 2, (8,), Array(1, 1, 1, 1, sums=1), extreme=True),
    "two lanes": Case("w8a8", 9, (3, 1, 5), Array(1, 1, 2, 1, sums=2), own_points=True),
    "two layers": Case("w8a8", 11, (7, 10), Array(4, 2, 2, 2), own_points=True),
    "q8.8": Case("q8.8", 37, (8, 5, 9), Array(3, 3, 1, 2)),
    "four layers": Case("w4a8", 256, (4, 6, 3, 5), Array(6, 4, 2, 6), extreme=True),
    "default array": Case("w4a8", 37, (20, 17), None, extreme=True),
    "ternary": Case("w2a8", 19, (9, 6), Array(6, 4, 2, 4, lut_depth=4)),
    "wide": Case("w4a8", 9, (7, 10), Array(6, 4, 2, 4, lut_depth=2, gate_lanes=2), own_points=True),
    # One LSB of the logits is larger than any sum.
    "coarse logits": Case("w4a8", 3, (2,), Array(1, 1, 1, 1), formats={"logits": "ap_fixed<2,9>"}),
    # Jobs of very different length next to each other.
    "uneven": Case("w8a8", 9, (23, 1, 6), Array(3, 1, 1, 2)),
    "single units": Case("q8.8", 5, (1, 2, 1), Array(2, 5, 1, 1), extreme=True),
    "floor": Case(
        "w8a8",
        12,
        (6, 6),
        Array(4, 3, 1, 2, lut_depth=1, gate_lanes=2),
        formats={
            "z": "ap_fixed<9,4,AP_TRN>",
            "gate": "ap_fixed<10,2>",
            "g": "ap_fixed<9,1>",
            "c": "ap_fixed<12,6,AP_TRN>",
            "ct": "ap_fixed<9,2,AP_TRN>",
            "h": "ap_fixed<7,1,AP_TRN>",
            "logits": "ap_fixed<12,7,AP_TRN>",
        },
    ),
}


# The largest legal layer, for a few characters.
LARGE_CASES = {
    "uneven": Case("w4a8", 255, (8, 512, 9, 257), Array(2, 4, 2, 2, lut_depth=4, gate_lanes=2)),
    "largest": Case("w8a8", 256, (512, 512, 512, 512), Array(4, 4, 2, 4)),
}


@dataclass(frozen=True)
class Engine:
    design: Design
    rtl: Rtl


@pytest.fixture(scope="module")
def build_once(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Callable[[str], Engine]:
    """Return a function that builds one of CASES when it is asked for it first."""

    @functools.cache
    def build(name: str) -> Engine:
        design = CASES[name].design(seed)
        return Engine(design, Rtl.build(design, tmp_path_factory.mktemp("rtl")))

    return build


@pytest.fixture(scope="module", params=CASES)
def engine(request: pytest.FixtureRequest, build_once: Callable[[str], Engine]) -> Engine:
    return build_once(request.param)


def test_score(engine: Engine, rng: np.random.Generator) -> None:
    """Compare every signal of every character, and the cycles with those that the schedule predicts."""
    network = engine.design.network
    codes, expected = rng.integers(0, network.spec.vocabulary, 60), {}
    Reference(network).run(codes, expected)
    run = engine.rtl.score(codes)
    result = compare(network, expected, run.trace)
    assert result.exact and result.first is None
    assert run.report["mismatches"] == 0
    assert (run.report["characters"], run.report["values"]) == (60, result.values)
    assert result.values == 60 * (12 * sum(x.units for x in network.spec.layers) + network.spec.vocabulary)
    assert run.report["cycles_per_character"] == engine.design.schedule.timing("score").cycles_per_character


def test_generate(engine: Engine, rng: np.random.Generator) -> None:
    network = engine.design.network
    prime = rng.integers(0, network.spec.vocabulary, 3)
    run = engine.rtl.generate(prime, 40)
    reference, expected = Reference(network), []
    logits = reference.run(prime)
    for _ in range(40):
        expected.append(int(np.argmax(logits[-1])))
        logits = reference.run(expected[-1:])
    assert run.report["generated"] == expected
    assert run.report["mismatches"] == 0
    assert run.report["characters"] == 3 + 39  # the last one is not fed back
    timing = engine.design.schedule.timing("generate")
    assert run.report["cycles_per_character"] == timing.cycles_per_character


def test_sequences_back_to_back(engine: Engine, seed: int) -> None:
    engine.rtl.protocol("score_back_to_back", seed)


@pytest.mark.parametrize("name", ["uneven", pytest.param("largest", marks=pytest.mark.nightly)])
def test_large(name: str, tmp_path: Path, seed: int, rng: np.random.Generator) -> None:
    design = LARGE_CASES[name].design(seed)
    rtl = Rtl.build(design, tmp_path)
    codes = rng.integers(0, design.network.spec.vocabulary, 6)
    for mode, run in (("score", rtl.score(codes)), ("generate", rtl.generate(codes[:2], 5))):
        assert run.report["mismatches"] == 0 and run.report["characters"] == 6
        assert run.report["cycles_per_character"] == design.schedule.timing(mode).cycles_per_character


# ---- interfaces

PROTOCOL_CASE = "two layers"


@pytest.fixture(scope="module")
def small(build_once: Callable[[str], Engine]) -> Engine:
    """One network for the tests of interfaces, waveforms and faults."""
    return build_once(PROTOCOL_CASE)


@pytest.mark.parametrize("test", PROTOCOL_TESTS + LONG_PROTOCOL_TESTS + CORNER_TESTS)
def test_protocol(small: Engine, test: str, seed: int) -> None:
    results = small.rtl.protocol(test, seed)
    assert results.name == "results.xml" and f'name="{test}"' in results.read_text()


def test_every_protocol_test_is_run() -> None:
    bench = Path(sim.__file__).parent / "bench"
    for file, tests in (
        ("protocol.py", PROTOCOL_TESTS + LONG_PROTOCOL_TESTS),
        ("corners.py", CORNER_TESTS),
    ):
        text = (bench / file).read_text()
        assert set(tests) == set(re.findall(r"@cocotb.test.*\nasync def (\w+)", text))


@pytest.fixture(scope="module")
def icarus(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Engine:
    case = Case("w8a8", 6, (3, 4), Array(2, 2, 2, 1), own_points=True)
    design = case.design(seed)
    return Engine(design, Rtl.build(design, tmp_path_factory.mktemp("icarus"), simulator="icarus"))


@needs_icarus
@pytest.mark.parametrize(
    "tests",
    [PROTOCOL_TESTS, pytest.param(CORNER_TESTS, marks=pytest.mark.nightly)],
    ids=["protocol", "corners"],
)
def test_protocol_on_icarus(icarus: Engine, tests: tuple[str, ...], seed: int) -> None:
    wrong = {}
    for test in tests:
        try:
            icarus.rtl.protocol(test, seed)
        except CheckError as error:
            wrong[test] = str(error)
    assert not wrong


@needs_icarus
def test_icarus_and_verilator_take_equal_cycles(icarus: Engine, rng: np.random.Generator) -> None:
    run = icarus.rtl.score(rng.integers(0, 6, 20))
    timing = icarus.design.schedule.timing("score")
    assert run.report["mismatches"] == 0
    assert run.report["cycles_per_character"] == timing.cycles_per_character


def test_runs_repeat_without_building_again(small: Engine, tmp_path: Path) -> None:
    codes = [3, 1, 4, 1, 5, 9, 2, 6]
    binary = small.rtl.simulator.build_dir / "zynq_lstm"
    before = binary.stat().st_mtime_ns
    rtl = Rtl.build(small.design, small.rtl.network_file.parent)
    logits = rtl.score(codes, run="again").logits
    assert np.array_equal(logits, Reference(small.design.network).run(codes))
    assert binary.stat().st_mtime_ns == before


def test_waveform_on_request(build_once: Callable[[str], Engine]) -> None:
    """The FST file covers the whole run, and has signals inside the engine."""
    smallest = build_once("coarse logits")
    rtl = Rtl.build(smallest.design, smallest.rtl.network_file.parent, waves=True)
    assert rtl.simulator.build_dir != smallest.rtl.simulator.build_dir
    rtl.score([1, 2, 0, 1], run="waves")
    waves = rtl.network_file.parent / "run-waves" / "waves.fst"
    # A block begins with a byte for its kind and 8 for the rest's length. The first has the last time.
    data, at, blocks = waves.read_bytes(), 0, {}
    while at < len(data):
        length = int.from_bytes(data[at + 1 : at + 9], "big")
        blocks[data[at]] = data[at + 9 : at + 1 + length]
        at += 1 + length
    assert at == len(data)
    assert int.from_bytes(blocks[0][8:16], "big") > 1_000_000  # in ps
    assert len(blocks[8]) > 10_000  # value changes
    names = lz4_decode(blocks[6][8:])
    assert len(names) == int.from_bytes(blocks[6][:8], "big")
    for name in (b"m_axis_tdata", b"u_engine", b"u_gates", b"character_valid"):
        assert name in names


# ---- a fault must be found


def mutant(small: Engine, folder: Path, name: str, change: Callable[[str], str]) -> Rtl:
    """Return the engine with one file changed; changed sources are built anew, memories read at the start."""
    project = folder / "rtl"
    shutil.copytree(small.rtl.simulator.folder, project)
    text = (project / name).read_text()
    changed = change(text)
    assert changed != text
    (project / name).write_text(changed)
    network_file = folder / small.rtl.network_file.name
    shutil.copy(small.rtl.network_file, network_file)
    simulator = dataclasses.replace(small.rtl.simulator, folder=project)
    return Rtl(small.design, network_file, simulator if name.endswith(".mem") else build(project))


def flip(line: int, bit: int) -> Callable[[str], str]:
    """Return a change that flips one bit of one word of a memory."""

    def change(text: str) -> str:
        lines = text.splitlines()
        lines[line] = f"{int(lines[line], 16) ^ 1 << bit:0{len(lines[line])}x}"
        return "\n".join(lines) + "\n"

    return change


@dataclass(frozen=True)
class Fault:
    file: str
    change: Callable[[str], str]
    message: str


def faults(small: Engine, codes: np.ndarray) -> dict[str, Fault]:
    """Return a fault of each kind, and the place where it must be seen first."""
    design, trace = small.design, {}
    Reference(design.network).run(codes, trace)
    parameters = {n: v for n, v in design.parameters().items() if isinstance(v, int)}
    bias, output_bias = design.bias_bits, parameters["OUTPUT_BIAS_BITS"]
    z = int(trace["layers.0.z"][0, 0])
    i = int(trace["layers.0.i"][0, 0])
    ct, tc = int(trace["layers.1.ct"][0, 3]), int(trace["layers.1.tc"][0, 3])
    job = design.schedule.jobs[0]
    assert (job.label, design.array) == ("W1", CASES[PROTOCOL_CASE].array)
    row = 5 + sum(parameters[n] for n in ("COUNT_BITS", "ITEM_BITS", "STEP_BITS", "STEP_BITS"))
    return {
        # Unit 1 has chains 2 (i and f) and 3 (g and o), each of 2 DSPs of two 8-bit weights.
        "weight": Fault("weights_00.mem", flip(3, 3 * 2 * 2 * 8 + 6), r"\d+, layer 1, z_g, unit 1: "),
        "row": Fault(
            "lstm_rows.mem",
            flip(2 * design.network.spec.vocabulary + int(codes[0]), 2 * 8 + 5),
            r"0, layer 0, z_g, unit 2: ",
        ),
        "bias": Fault("lstm_bias_0.mem", flip(7 + 3, 3 * bias + bias - 3), r"\d+, layer 1, z_o, unit 3: "),
        "output bias": Fault(
            "output_bias.mem",
            flip(1, 2 * output_bias + output_bias - 3),
            r"\d+, output layer, logits, code 6: ",
        ),
        "sigmoid": Fault(
            "lstm_sigmoid.mem",
            flip(z % 2**10, 6),
            rf"0, layer 0, i, unit 0: expected raw {i}, got {i ^ 64} \(ap_ufixed<8,0",
        ),
        "tanh of c": Fault(
            "lstm_tanh_c.mem",
            flip(ct % 2**10, 0),
            rf"0, layer [01], tc, unit \d+: expected raw {tc}, got {tc ^ 1} ",
        ),
        "schedule": Fault("schedule.mem", flip(0, row), r"\d+, layer 1, z_[ifgo], unit [0-3]: "),
        "rounding": Fault(
            "lstm_gates.sv",
            lambda text: text.replace(half := ".HALF(1'b1), .MIN_VALUE(-128)", half.replace("b1", "b0")),
            r"\d+, layer \d, h, unit \d+: ",
        ),
    }


FAULTS = ["weight", "row", "bias", "output bias", "sigmoid", "tanh of c", "schedule", "rounding"]


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found_and_named(small: Engine, name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    codes = rng.integers(0, 11, 20)
    fault = faults(small, codes)[name]
    rtl = mutant(small, tmp_path, fault.file, fault.change)
    with pytest.raises(
        CheckError, match=rf"\d+ of \d+ values differ, first: character {fault.message}"
    ) as error:
        rtl.score(codes)
    assert "expected raw" in str(error.value) and "simulation.log" in str(error.value)


def test_silence_is_no_success(small: Engine, tmp_path: Path) -> None:
    """An engine that never answers is an error, not an empty comparison: here a job waits forever."""
    top = max(
        int(word, 16).bit_length()
        for word in (small.rtl.simulator.folder / "schedule.mem").read_text().split()
    )
    parameters = small.design.parameters()
    width = 5 + sum(int(parameters[n]) for n in ("COUNT_BITS", "ITEM_BITS", "STEP_BITS", "STEP_BITS"))
    source = width + max(1, (int(parameters["ROWS"]) - 1).bit_length())
    assert top <= source + 3
    rtl = mutant(small, tmp_path, "schedule.mem", lambda text: flip(0, source)(flip(0, source + 1)(text)))
    with pytest.raises(CheckError, match=r"^text: .*Timeout"):
        rtl.score([1, 2, 3])


# ---- tools


@pytest.mark.parametrize("name", CASES)
def test_lint_is_clean(name: str, tmp_path: Path, seed: int) -> None:
    """Check with and without the trace monitors."""
    write_project(CASES[name].design(seed), tmp_path)
    for define in ([], ["-DZYNQ_LSTM_TRACE"]):
        assert verilator_lint(tmp_path, *define) == ""


def test_lint_is_clean_with_one_row_a_code(tmp_path: Path, rng: np.random.Generator) -> None:
    """As many codes as the number of a row of W can't hold."""
    spec = small_spec("w8a8", 2, (1,), "gru_reset_before")
    write_project(Design(with_weights(spec, rng), Array(1, 1, 1, 1)), tmp_path)
    assert verilator_lint(tmp_path) == ""


def test_unknown_simulator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown simulator 'vcs'; legal are verilator, icarus"):
        build(tmp_path, "vcs")


def test_simulator_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"icarus is not installed; on Debian: apt-get install iverilog\."):
        build(tmp_path, "icarus")


def test_sources_that_do_not_build_name_the_log(small: Engine, tmp_path: Path) -> None:
    project = tmp_path / "rtl"
    write_project(small.design, project)
    (project / "rom.sv").write_text("module rom #(\n")
    with pytest.raises(UserError, match=r"verilator could not build .*/rtl; see .*build\.log") as error:
        build(project)
    assert re.search(r"\.log: .*rom\.sv:\d+", str(error.value))  # the tool's own words
    assert "rom.sv:" in Path(str(error.value).split("see ")[1].split(": ")[0]).read_text()
