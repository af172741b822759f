# SPDX-License-Identifier: Apache-2.0
"""The generated project is complete and reproducible, and its memories contain the network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from zynq_lstm import hls
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.constants import Destination
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import fitting_array
from zynq_lstm.hls.engine.memory import Rom
from zynq_lstm.hls.engine.project import by_unit, generate, memory, sources
from zynq_lstm.hls.engine.stages import Layout
from zynq_lstm.models.description.spec import GATES
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.sim.simulation.rtl import write_project

RTL = Path(hls.__file__).parent / "rtl"

CASES = {
    "packed": ("w8a8", 11, (7, 10), Array(4, 2, 2, 2), False),
    "packed, extreme": ("w4a8", 38, (5,), Array(3, 4, 2, 2), True),
    "wide": ("w4a8", 11, (7, 10), Array(6, 4, 2, 4, 2, 2), False),
    "wide, single": ("q8.8", 6, (5, 4), Array(4, 3, 1, 2, 1, 2), True),
    "single": ("q8.8", 5, (4, 3, 6), Array(5, 3, 1, 9), False),
    "single, extreme": ("q8.8", 2, (3,), Array(2, 5, 1, 1), True),
    "gathered": ("w8a8", 6, (5, 3), Array(1, 2, 2, 1, sums=2), True),
    "gathered, single": ("q8.8", 6, (3, 2), Array(1, 3, 1, 1, sums=1), False),
}


@pytest.fixture(scope="module", params=CASES)
def design(request: pytest.FixtureRequest, seed: int) -> Design:
    preset, vocabulary, units, array, extreme = CASES[request.param]
    network = with_weights(small_spec(preset, vocabulary, units), np.random.default_rng(seed), extreme)
    return Design(network, array)


@pytest.fixture(scope="module")
def files(design: Design) -> dict[str, str]:
    return generate(design)


def words(text: str) -> list[int]:
    assert text.endswith("\n")
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1
    return [int(line, 16) for line in lines]


def unfolded(rom: Rom, text: str) -> list[int]:
    """Return the words of a rom.sv's memory file, selected as rom.sv selects them."""
    rows = words(text)
    assert len(rows) == rom.rows
    return [rows[n % rom.rows] >> n // rom.rows * rom.width & (1 << rom.width) - 1 for n in range(rom.depth)]


def field(word: int, at: int, bits: int) -> int:
    """Return a signed field of a memory word."""
    value = word >> at & (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def parameters(top: str) -> dict[str, str]:
    return dict(re.findall(r"\.(\w+)\((\S+)\),?\n", top.split("network_engine #(")[1].split(") u_engine")[0]))


def test_project_is_whole(design: Design, files: dict[str, str]) -> None:
    sources_here = {path.name for path in (*RTL.glob("*.sv"), *RTL.glob("*.svh"))}
    assert set(sources()) == sources_here and {"network_engine.sv", "network_core.sv"} < sources_here
    segments = {f"weights_{s:02d}.mem" for s in range(design.array.segments)}
    memories = {"schedule.mem", "output_bias.mem", "noise.mem", "lstm_rows.mem"}
    memories |= {f"lstm_bias_{lane}.mem" for lane in range(design.array.gate_lanes)}
    if design.array.lut_depth:
        memories |= {f"lut_{name}" for name in segments}
    memories |= {f"lstm_{name}.mem" for name in ("sigmoid", "sigmoid_o", "tanh", "tanh_c")}
    assert set(files) == sources_here | segments | memories | {
        "zynq_lstm.sv",
        "network_gates.sv",
        "lstm_gates.sv",
        "zynq_lstm_registers.svh",
        "zynq_lstm_constants.svh",
        "zynq_lstm_job.svh",
        "project.json",
    }
    for name in sources_here:
        assert files[name] == (RTL / name).read_text()
    # Every memory that a source reads exists, and every module that a source instantiates.
    text = "\n".join(files[name] for name in files if name.endswith(".sv"))
    for name in re.findall(r'"(\w+\.mem)"', text):
        assert name in files
    modules = set(re.findall(r"^module (\w+)", text, re.M))
    assert modules == {Path(n).stem for n in files if n.endswith(".sv")}
    assert all(
        "SPDX-License-Identifier" in files[n].split("\n")[0] for n in files if n.endswith((".sv", ".svh"))
    )


def test_top_names_every_parameter_and_port(design: Design, files: dict[str, str]) -> None:
    engine = (RTL / "network_engine.sv").read_text()
    head = engine.split("\n) (\n")[0]
    core = re.findall(r"parameter [^=]*?(\w+) =", (RTL / "network_core_parameters.svh").read_text())
    given = parameters(files["zynq_lstm.sv"])
    assert list(given) == re.findall(r"parameter [^=]*?(\w+) =", head) + core
    # The shell passes on all parameters of the core.
    instance = engine.split("network_core #(\n")[1].split(") u_core")[0]
    assert re.findall(r"\.(\w+)\(\1\)", instance) == core
    assert given == {name: str(value) for name, value in design.parameters().items()}
    ports = re.findall(
        r"(?:input|output) +logic (?:\[\d+:0\])? *(\w+)", engine.split("\n) (\n")[1].split("\n);")[0]
    )
    assert len(ports) == 29
    for port in ports:
        assert f".{port}({port})" in files["zynq_lstm.sv"]


def test_project_json(design: Design, files: dict[str, str]) -> None:
    project, spec = json.loads(files["project.json"]), design.network.spec
    assert project["identity"] == design.network.identity
    assert files["zynq_lstm.sv"].count(design.network.identity) == 2
    assert project["units"] == [layer.units for layer in spec.layers]
    assert (project["top"], project["preset"], project["vocabulary"]) == (
        "zynq_lstm",
        spec.preset,
        spec.vocabulary,
    )
    assert project["mac_lanes"] == design.array.lanes
    assert Array(**project["array"]) == design.array


def test_equal_input_gives_equal_bytes(design: Design, files: dict[str, str]) -> None:
    assert generate(design) == files
    network = design.network
    copy = IntegerNetwork(network.spec, network.vocabulary, {n: a.copy() for n, a in network.arrays.items()})
    assert generate(Design(copy, Array(**vars(design.array)))) == files
    assert list(generate(design)) == list(files)


def test_another_process_gives_equal_bytes(tmp_path: Path, rng: np.random.Generator) -> None:
    network = with_weights(small_spec("w8a8", 11, (3, 4)), rng)
    network.save(tmp_path / "network")
    program = (
        "import sys, json; from zynq_lstm.models.integers.network import IntegerNetwork;"
        "from zynq_lstm.hls.engine.design import *; from zynq_lstm.hls.engine.estimate import *;"
        "from zynq_lstm.hls.engine.project import generate; n = IntegerNetwork.load(sys.argv[1]);"
        "print(json.dumps(generate(Design(n, fitting_array(n.spec)))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "network")],
        cwd=RTL.parents[1],
        check=True,
        capture_output=True,
        env={"PYTHONHASHSEED": "77", "PATH": ""},
    )
    expected = generate(Design(network, fitting_array(network.spec)))
    assert json.loads(done.stdout) == expected


def test_other_weights_change_memories_only(design: Design, files: dict[str, str]) -> None:
    """No weight is in the sources, except for sizes, which follow the proven ranges."""
    network = design.network
    W = network.arrays["output.W"].copy()
    W[0, 0] += 1 if W[0, 0] < 0 else -1
    other = generate(
        Design(
            IntegerNetwork(network.spec, network.vocabulary, {**network.arrays, "output.W": W}), design.array
        )
    )
    differing = {name for name in files if other[name] != files[name]}
    assert differing == {"weights_00.mem", "zynq_lstm.sv", "project.json"}


def test_weights_come_back_from_the_memories(design: Design, files: dict[str, str]) -> None:
    """Decode as the RTL does: jobs in order, one word per step; DSP by DSP along each chain of each unit."""
    array, spec, bits = design.array, design.network.spec, design.weight_bits
    memories = {name: unfolded(rom, files[f"{name}.mem"]) for name, rom in design.weight_roms.items()}
    dsp = [memories[f"weights_{s:02d}"] for s in range(array.segments)]
    lut = [memories[f"lut_weights_{s:02d}"] for s in range(array.segments) if array.lut_depth]
    assert len(memories) == len(dsp) + len(lut)
    layers = len(spec.layers)
    found: dict[str, np.ndarray] = {
        "Wy": np.full((spec.layers[-1].units, -(-spec.vocabulary // 4), 4), 999),
        **{f"U{k}": np.full((x.units, x.units, 4), 999) for k, x in enumerate(spec.layers)},
        **{f"W{k}": np.full((spec.inputs(k), spec.layers[k].units, 4), 999) for k in range(1, layers)},
    }
    address = 0
    for job in design.schedule.jobs:
        for step in range(job.steps):
            for unit in range(array.group_units):
                segment, place = divmod(unit, array.segment_units)
                for k in range(array.sums):
                    for j in range(array.depth):
                        chain, factor = divmod(k, array.pack)
                        chain += place * (array.sums // array.pack)
                        in_lut = j >= array.dsp_depth
                        word = (lut if in_lut else dsp)[segment][address]
                        input_ = j - array.dsp_depth if in_lut else j
                        depth = array.lut_depth if in_lut else array.dsp_depth
                        at = ((chain * depth + input_) * array.pack + factor) * bits
                        weight = field(word, at, bits)
                        # in a DSP, 1 was subtracted from the upper weight if the lower weight is negative
                        if factor == 1 and not in_lut:
                            weight += field(word, at - bits, bits) < 0
                        row, column = step * array.depth + j, job.first + unit
                        matrix = found[job.label]
                        if row < len(matrix) and unit < job.count:
                            gate = job.part * array.sums + k
                            assert matrix[row, column, gate] == 999, "written twice"
                            matrix[row, column, gate] = weight
                        else:
                            assert weight == 0
            address += 1
    for name, matrix in found.items():
        if name == "Wy":
            flat = matrix.reshape(len(matrix), -1)
            assert np.array_equal(flat[:, : spec.vocabulary], design.network.arrays["output.W"])
            assert not flat[:, spec.vocabulary :].any()
        else:
            columns = design.network.layer(int(name[1]))[name[0]]
            units = columns.shape[1] // 4
            for gate in range(4):
                block = columns[:, gate * units : (gate + 1) * units]
                assert np.array_equal(matrix[:, :, gate], block), (name, GATES[gate])


def test_schedule_memory(design: Design, files: dict[str, str]) -> None:
    """Decode the fields as mac_sequencer.sv and network_core.sv do."""
    given = parameters(files["zynq_lstm.sv"])
    step, item, count = (int(given[n]) for n in ("STEP_BITS", "ITEM_BITS", "COUNT_BITS"))
    row = max(1, (int(given["ROWS"]) - 1).bit_length())
    rows = [-(-x.units // design.array.depth) for x in design.network.spec.layers]
    lanes = design.array.gate_lanes
    beats = [-(-x.units // lanes) for x in design.network.spec.layers]
    waits = 0
    jobs = words(files["schedule.mem"])
    assert len(jobs) == int(given["JOBS"]) == len(design.schedule.jobs)
    for word, job in zip(jobs, design.schedule.jobs, strict=True):
        values = []
        for bits in (count, item, 1, 2, 2, step, step, row, 2, 1):  # STAGE_BITS is 2
            values.append(word & (1 << bits) - 1)
            word >>= bits
        assert word == 0
        last_beat, first, final, stage, to, cycles, steps, first_row, source, wait_room = values
        output = job.destination is Destination.OUTPUT
        waits += wait_room
        assert (last_beat, steps, cycles) == (max(job.drain - 1, 0), job.steps - 1, job.cycles - 1)
        whole = job.part == design.array.parts - 1
        assert (to, source, final) == (int(job.destination) if whole else 3, job.source, job.final)
        assert first_row == sum(rows[: job.source])
        assert wait_room == (output and job.first == job.part == 0)
        if output:
            assert first == job.first
        else:
            assert (stage, first) == (job.stage, sum(beats[: job.layer]) + job.first // lanes)
    assert waits == 1


def test_tables_and_biases(design: Design, files: dict[str, str]) -> None:
    network, given = design.network, parameters(files["zynq_lstm.sv"])
    spec, layer = network.spec, network.layer(0)
    (pipeline,) = design.layout.pipelines
    roms = {name: table.rom for name, table in design.table_roms(pipeline).items()}
    for name, values in (
        ("sigmoid", words(files["lstm_sigmoid.mem"])),  # unsigned, since all of its values are
        ("sigmoid", unfolded(roms["sigmoid"], files["lstm_sigmoid_o.mem"])),
        *(
            (n, [field(w, 0, roms[n].width) for w in unfolded(roms[n], files[f"lstm_{n}.mem"])])
            for n in ("tanh", "tanh_c")
        ),
    ):
        assert np.array_equal(values, layer[name]), name

    bits = design.bias_bits
    frac = max(spec.accumulator_frac(k) for k in range(len(spec.layers)))
    lanes = design.array.gate_lanes
    lines = [iter(words(files[f"lstm_bias_{lane}.mem"])) for lane in range(lanes)]
    for k, x in enumerate(spec.layers):
        b = network.layer(k)["b"]
        for unit in range(-(-x.units // lanes) * lanes):  # the last beat is filled up with zeros
            word = next(lines[unit % lanes])
            for gate in range(4):
                raw = int(b[gate * x.units + unit]) << (frac - x.formats.b.frac) if unit < x.units else 0
                assert field(word, gate * bits, bits) == raw
    assert all(next(rest, None) is None for rest in lines)

    bits = int(given["OUTPUT_BIAS_BITS"])
    shift = spec.output_accumulator_frac() - spec.output.b.frac
    values = [field(word, k * bits, bits) for word in words(files["output_bias.mem"]) for k in range(4)]
    assert np.array_equal(values[: spec.vocabulary], network.arrays["output.b"] << shift)
    assert not any(values[spec.vocabulary :])

    bits, units = spec.layers[0].formats.W.bits, spec.layers[0].units
    rows = unfolded(design.row_roms[0], files["lstm_rows.mem"])
    assert len(rows) == -(-units // lanes) * spec.vocabulary
    for unit in range(units):
        for code in range(spec.vocabulary):
            word = rows[unit // lanes * spec.vocabulary + code]
            weights = [field(word, (4 * (unit % lanes) + gate) * bits, bits) for gate in range(4)]
            assert weights == [layer["W"][code, gate * units + unit] for gate in range(4)]


def test_memory_literals() -> None:
    assert memory(np.array([[1, -1], [-8, 7]]), 4) == "f1\n78\n"
    assert memory(np.array([[1, 2, 3]]), 3) == "0d1\n"  # 9 bits: 011 010 001
    assert memory(np.array([[-1], [0], [5]]), 9) == "1ff\n000\n005\n"
    assert memory(np.array([[1], [0]]), 1) == "1\n0\n"


def test_by_unit_literal() -> None:
    columns = np.arange(1, 9)[np.newaxis]
    (lstm,) = Layout(small_spec("w8a8", 2, (2,)), Array()).stages
    assert by_unit(columns, lstm).tolist() == [[[1, 3, 5, 7], [2, 4, 6, 8]]]
    first, second = Layout(small_spec("w8a8", 2, (2,), "gru_reset_before"), Array()).stages
    assert by_unit(columns[:, :6], first).tolist() == [[[1, 3], [2, 4]]]  # u and r of u, r, n
    assert by_unit(columns[:, :6], second).tolist() == [[[5], [6]]]


def test_write_project_touches_only_what_differs(
    design: Design, files: dict[str, str], tmp_path: Path
) -> None:
    write_project(design, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / "lstm_bias_0.mem").write_text("0\n")
    (tmp_path / "old.mem").write_text("0\n")
    (tmp_path / "notes.txt").write_text("mine")
    write_project(design, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "notes.txt").unlink()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert [name for name in files if after[name] != before[name]] == ["lstm_bias_0.mem"]
