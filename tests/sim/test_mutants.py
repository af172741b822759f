# SPDX-License-Identifier: Apache-2.0
"""Mutants of the RTL are made, found by the bench, and counted."""

from __future__ import annotations

import functools
import itertools
import json
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from zynq_lstm.hls.engine.project import generate
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.scripts.verbs.mutate import command
from zynq_lstm.sim.campaigns.equivalent_mutants import EQUIVALENT, Equivalent
from zynq_lstm.sim.campaigns.mutant_list import (
    Cell,
    Mutant,
    make_list,
    module_name,
    normal,
    read_cells,
    source,
)
from zynq_lstm.sim.campaigns.mutants import (
    BEFORE_PROOF,
    FIRST_TESTS,
    GATE_TESTS,
    PROVED,
    TESTS,
    WITHOUT_FAULT,
    gate_modules,
    hunt,
    make,
    proved_equivalent,
    record,
    search,
    small_design,
)
from zynq_lstm.sim.simulation import simulator
from zynq_lstm.sim.simulation.rtl import CORNER_TESTS, LONG_PROTOCOL_TESTS, PROTOCOL_TESTS, Rtl
from zynq_lstm.sim.simulation.verilator import QUICK_OPTIONS

COUNT = 20
MANY = 60_000  # mutants: all that a gate pipeline has, and one in nearly every place of a small design


def a_mutant(number: int, module: str = "delay") -> Mutant:
    return Mutant(number, module, ("u_a", "u_b"), f"{module}.sv:18", "a+b", "A", 3, "cnot1", 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, seed: int) -> tuple[list[Mutant], Rtl]:
    """For a few mutants, compilation with optimization takes longer than the simulation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulator, "RTL_OPTIONS", QUICK_OPTIONS)
        return make(small_design(seed), tmp_path_factory.mktemp("mutants"), COUNT, seed)


@pytest.mark.rtl
@pytest.mark.slow
def test_most_of_a_few_are_found(made: tuple[list[Mutant], Rtl], seed: int) -> None:
    """The tests pass without a fault (or hunt raises), and faults all over the design make them fail."""
    mutants, rtl = made
    folder = rtl.network_file.parent
    assert COUNT - 2 <= len(mutants) <= COUNT and len({m.number for m in mutants}) == len(mutants)
    assert len({mutant.module for mutant in mutants}) > 5
    killed = hunt(mutants, rtl, seed, tests=TESTS[:2], jobs=2)
    assert len(killed) >= len(mutants) // 2 and set(killed.values()) <= set(TESTS[:2])
    found = [mutant for mutant in mutants if mutant.number in killed]
    assert not any(proved_equivalent(mutant, folder) for mutant in found[:5])


@pytest.mark.rtl
@pytest.mark.slow
def test_no_fault_is_not_found(made: tuple[list[Mutant], Rtl], seed: int) -> None:
    """A number that selects no mutant passes every test, and the first test also a second time."""
    nothing = [a_mutant(COUNT + 1), a_mutant(COUNT + 2)]
    assert hunt(nothing, made[1], seed, tests=(TESTS[0], "register_map", TESTS[0])) == {}


def test_a_bench_that_is_never_green_is_no_measure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = tmp_path / "mutants.jsonl"
    results.write_text(json.dumps({"test": TESTS[0], "mutant": WITHOUT_FAULT}) + "\n")

    class Broken:
        def run_mutants(self, runs: list[tuple[str, int, int]], seed: int, share: int) -> Path:
            return results

    with pytest.raises(CheckError, match=f"{TESTS[0]} fails without a fault"):
        hunt([a_mutant(1)], Broken(), 1)  # type: ignore[arg-type]


def test_simulation_that_breaks_off_is_continued(tmp_path: Path) -> None:
    """The mutant that stopped it counts as found; those after it are tried in another simulation."""
    asked = []

    class Fragile:
        def run_mutants(self, runs: list[tuple[str, int, int]], seed: int, share: int) -> Path:
            results, lines = tmp_path / "mutants.jsonl", []
            asked.append([number for _, number, _ in runs])
            for test, number, _ in runs:
                lines.append({"test": test, "mutant": number})
                if number == 2:
                    break
                if number != 3:
                    lines.append({"test": test, "mutant": number, "cycles": 10})
            results.write_text("".join(json.dumps(line) + "\n" for line in lines))
            return results

    killed = hunt([a_mutant(n) for n in (1, 2, 3, 4)], Fragile(), 1, tests=TESTS[:1])  # type: ignore[arg-type]
    assert killed == {2: TESTS[0], 3: TESTS[0]}
    assert asked == [[0], [1, 2, 3, 4, 0], [3, 4, 0]]


def test_record_counts_without_equivalents(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Equivalent("rom", "a + b", "A", "says why", bits=(3,), fault="cnot1 2")
    monkeypatch.setattr("zynq_lstm.sim.campaigns.equivalent_mutants.EQUIVALENT", (entry,))
    mutants = [a_mutant(1), a_mutant(2), a_mutant(3, "rom"), a_mutant(4)]
    mutants.append(a_mutant(5))
    data = record(mutants, {1: TESTS[0], 2: TESTS[1]}, 7, {5})
    assert (data["made"], data["killed"], data["equivalent"]) == (5, 2, 2)
    assert data["killed_of_rest"] == pytest.approx(2 / 3)
    assert data["killed_by"] == {TESTS[0]: 1, TESTS[1]: 1} and data["seed"] == 7
    assert [(s["number"], s["equivalent"]) for s in data["survivors"]] == [
        *((3, "says why"), (4, None), (5, PROVED))
    ]
    assert len(data["date"]) == 10 and "commit" in data


def test_every_protocol_test_runs_on_mutants_once() -> None:
    assert sorted(TESTS) == sorted(PROTOCOL_TESTS + LONG_PROTOCOL_TESTS + CORNER_TESTS)


COMPARISON = """
module \\m
  wire width 3 input 1 \\a
  wire output 2 \\y
  cell $eq $two
    parameter \\A_SIGNED 0
    parameter \\A_WIDTH 3
    parameter \\B_SIGNED 0
    parameter \\B_WIDTH 3
    parameter \\Y_WIDTH 1
    connect \\A \\a
    connect \\B 3'010
    connect \\Y \\y
  end
end
"""


@pytest.mark.parametrize(
    "fault, same",
    [
        ("-mode cnot1 -port A -portbit 0 -ctrlbit 2", True),  # whenever bit 2 is set it is not two
        ("-mode cnot1 -port A -portbit 0 -ctrlbit 1", False),
        ("-mode const0 -port B -portbit 0", True),
        ("-mode inv -port Y -portbit 0", False),
    ],
)
def test_proof_of_equivalence(fault: str, same: bool, tmp_path: Path) -> None:
    assert proved(COMPARISON, f"-module m -cell $two {fault} -src x", tmp_path) == same


def proved(netlist: str, fault: str, folder: Path) -> bool:
    """Return True if a fault of a netlist, with Yosys' options, is proved to change nothing."""
    (folder / "mutants").mkdir()
    (folder / "mutants" / "mutants.il").write_text(netlist)
    (folder / "mutants" / "mutants.ys").write_text(f"mutate -ctrl mutant_i 16 1 {fault}\n")
    return proved_equivalent(a_mutant(1), folder)


def part(width: int) -> str:
    """Return a module that is a register, as Yosys writes it."""
    return f"""
module \\part
  wire width {width} input 1 \\a
  wire input 2 \\clk
  wire width {width} output 3 \\y
  cell $dff $register
    parameter \\CLK_POLARITY 1'1
    parameter \\WIDTH {width}
    connect \\CLK \\clk
    connect \\D \\a
    connect \\Q \\y
  end
end
"""


DEEP = (
    part(3)
    + """
module \\m
  wire width 3 input 1 \\a
  wire input 2 \\clk
  wire width 2 output 3 \\y
  wire width 3 \\x
  cell \\part \\u_part
    connect \\a { 1'1 \\a [1:0] }
    connect \\clk \\clk
    connect \\y \\x
  end
  connect \\y \\x [1:0]
end
"""
)


MODES = ("inv", "const0", "const1", "cnot0", "cnot1")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "place, bit, same",
    [
        ("-module part -cell $register -port D", 0, ()),
        ("-module part -cell $register -port Q", 1, ()),
        ("-module part -cell $register -port CLK", 0, ()),
        ("-module m -cell u_part -port a", 0, ()),
        ("-module m -cell u_part -port y", 1, ()),
        ("-module m -cell u_part -port y", 2, MODES),  # nothing reads it
        ("-module part -cell $register -port D", 2, ("const1",)),  # as around it
    ],
)
def test_proof_around_a_register(
    place: str, bit: int, same: tuple[str, ...], mode: str, tmp_path: Path
) -> None:
    """Faults at inputs of a register or an instance are seen, even if Yosys would merge them into it."""
    control = f" -ctrlbit {int(bit == 0 and 'CLK' not in place)}" if mode.startswith("cnot") else ""
    fault = f"-mode {mode} {place} -portbit {bit}{control}"
    assert proved(DEEP, fault, tmp_path) == (mode in same)


ROUNDED = (
    part(4)
    + """
module \\m
  wire width 4 input 1 \\a
  wire input 2 \\clk
  wire width 3 output 3 \\y
  wire width 4 \\x
  wire width 5 \\sum
  cell $dff $register
    parameter \\CLK_POLARITY 1'1
    parameter \\WIDTH 4
    connect \\CLK \\clk
    connect \\D \\a
    connect \\Q \\x
  end
  wire width 4 \\later
  cell \\part \\u_part
    connect \\a \\x
    connect \\clk \\clk
    connect \\y \\later
  end
  cell $add $half
    parameter \\A_SIGNED 0
    parameter \\A_WIDTH 4
    parameter \\B_SIGNED 0
    parameter \\B_WIDTH 4
    parameter \\Y_WIDTH 5
    connect \\A \\later
    connect \\B 4'0010
    connect \\Y \\sum
  end
  connect \\y \\sum [4:2]
end
"""
)


@pytest.mark.parametrize("mode", ["inv", "cnot1"])
@pytest.mark.parametrize(
    "port, bit, same",
    [
        ("D", 0, True),  # two cycles later, rounding to a multiple of four drops it
        ("Q", 0, True),
        ("D", 1, False),
        ("Q", 3, False),
        ("CLK", 0, False),
    ],
)
def test_proof_through_registers(port: str, bit: int, same: bool, mode: str, tmp_path: Path) -> None:
    """A bit that no later logic reads may have any value, but no register may have another clock."""
    control = f" -ctrlbit {0 if port == 'CLK' else 2}" if mode.startswith("cnot") else ""
    place = f"-module m -cell $register -port {port} -portbit {bit}{control}"
    assert proved(ROUNDED, f"-mode {mode} {place}", tmp_path) == same


def test_what_is_proved_is_not_hunted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def hunt(mutants: list[Mutant], *_: Any) -> dict[int, str]:
        asked.append([mutant.number for mutant in mutants])
        return {mutant.number: TESTS[0] for mutant in mutants[:1]}

    monkeypatch.setattr("zynq_lstm.sim.campaigns.mutants.hunt", hunt)
    monkeypatch.setattr(
        "zynq_lstm.sim.campaigns.mutants.proved_equivalent", lambda mutant, _: mutant.number == 3
    )
    mutants = [a_mutant(n) for n in (1, 2, 3, 4)]
    killed, proved = search(mutants, None, tmp_path, 1)  # type: ignore[arg-type]
    assert asked == [[1, 2, 3, 4], [2, 4]] and set(killed) == {1, 2} and proved == {3}


def test_gates_have_tests_that_there_are() -> None:
    assert set(GATE_TESTS) < set(TESTS) and TESTS[:BEFORE_PROOF] == FIRST_TESTS[:BEFORE_PROOF]


def test_an_argument_is_about_what_it_says() -> None:
    def matches(target: str = "a\n  + b  // sum", **more: Any) -> bool:
        return Equivalent("delay", target, "A", "says why", **more).matches(a_mutant(1))

    assert matches() and matches(bits=range(4)) and matches(fault="cnot1 2")
    assert matches("a ...") and not matches("b ...")
    assert not matches("a + c") and not matches(bits=range(3)) and not matches(fault="cnot1 1")
    assert matches(instances=("u_a", "u_b", "u_c")) and not matches(instances=("u_a",))


NETLIST = """
module $paramod$1\\a
  cell $paramod$2\\b \\u_b
    connect \\q_o \\x
  end
  cell $dff $procdff$7
    connect \\D \\y
    connect \\Q { \\sum_q [3:0] \\bit_q }
  end
end
"""


def test_cells_of_a_netlist(tmp_path: Path) -> None:
    netlist = tmp_path / "x.il"
    netlist.write_text(NETLIST)
    assert read_cells(netlist) == {
        ("$paramod$1\\a", "u_b"): Cell("$paramod$2\\b", ""),
        ("$paramod$1\\a", "$procdff$7"): Cell("$dff", "{ \\sum_q [3:0] \\bit_q }"),
    }
    assert module_name("$paramod$2\\b") == module_name("b") == "b"


def test_statement_is_the_same_however_it_is_wrapped(tmp_path: Path) -> None:
    (tmp_path / "x.sv").write_text(
        "assign y = (a + // one\n      $signed(b))\n  == '0;\nassign z = (a+ $signed(b) ) == '0;\n"
    )
    first, second = source("x.sv:1.12-3.8", tmp_path), source("x.sv:4.12-4.34", tmp_path)
    assert first == ("x.sv:1", "(a+$signed(b))=='0") and second == ("x.sv:4", first[1])
    assert normal("if (a) b <= c; else d <= e;") == "if(a)b<=c;else d<=e;"


@pytest.fixture(scope="module")
def every_place(tmp_path_factory: pytest.TempPathFactory) -> list[Mutant]:
    """Make mutants of nearly every cell of the design."""
    return make_list(small_design(1), tmp_path_factory.mktemp("list"), MANY, 1)


OTHER_CELLS = tuple(name for name in catalogue.names() if name != "lstm")


@functools.cache
def gates_of(cell: str) -> tuple[str, ...]:
    return gate_modules(small_design(1, cell))


def check_arguments_for(entries: Iterable[Equivalent], places: list[Mutant]) -> None:
    for entry in entries:
        highest = max((mutant.bit for mutant in places if entry.is_at(mutant)), default=-1)
        assert highest >= min(entry.bits, default=0), f"stale: {entry}"
        assert len(entry.why) > 20, entry


def test_every_argument_is_about_rtl_that_there_is(every_place: list[Mutant]) -> None:
    others = {module for cell in OTHER_CELLS for module in gates_of(cell)}
    check_arguments_for((entry for entry in EQUIVALENT if entry.module not in others), every_place)


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(name, marks=pytest.mark.nightly if name in ("coupled", "peephole") else ())
        for name in OTHER_CELLS
    ],
)
def test_mutants_of_gate_pipelines_alone(cell: str, tmp_path: Path) -> None:
    """They are in every pipeline of the cell and nowhere else; arguments about them are not stale."""
    modules = gates_of(cell)
    places = make_list(small_design(1, cell), tmp_path, MANY, 1, modules)
    assert modules and {mutant.module for mutant in places} == set(modules)
    assert all(module.startswith(cell) and module.endswith("_gates") for module in modules)
    check_arguments_for((entry for entry in EQUIVALENT if entry.module in modules), places)


def test_every_survivor_can_be_argued_about(every_place: list[Mutant]) -> None:
    """A mutant's target is not an internal name of Yosys, except in logic that Yosys adds."""
    assert not [mutant for mutant in every_place if "$auto$" in mutant.target or "$proc" in mutant.target]
    unnamed = [mutant for mutant in every_place if not mutant.target]
    assert len(unnamed) < len(every_place) / 100


def test_small_design_is_lively(seed: int) -> None:
    """Otherwise faults would stay hidden: every signal takes both signs and its bounds; every code wins."""
    network = small_design(seed).network
    rng = np.random.default_rng(seed)
    vocabulary = network.spec.vocabulary
    codes = [*rng.integers(0, vocabulary, 2000), *np.repeat(range(vocabulary), 40)]
    signals: dict[str, Raw] = {}
    logits = Reference(network).run(codes, signals)
    for layer, name in itertools.product((0, 1), ("z", "c", "ct", "tc", "h")):
        values = signals[f"layers.{layer}.{name}"]
        assert ((values > 0).any(axis=0) & (values < 0).any(axis=0)).mean() > 0.9, (layer, name)
    for name in ("z", "c", "ct"):
        values, fmt = signals[f"layers.1.{name}"], getattr(network.spec.layers[1].formats, name)
        assert values.min() == fmt.min_raw and values.max() == fmt.max_raw, name
    assert len(np.unique(logits.argmax(axis=1))) > vocabulary - 3


def test_jobs_follow_each_other_at_once_and_wait(seed: int) -> None:
    jobs = small_design(seed).schedule.jobs
    assert {job.cycles > job.steps for job in jobs} == {False, True}


@pytest.mark.parametrize("count", [0, 1 << 16])
def test_count_out_of_range(count: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--count must be 1 to 65535, not {count}"):
        make(small_design(1), tmp_path, count, 1)


def test_verb_fails_below_its_goal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("zynq_lstm.sim.campaigns.mutants.make", lambda *_: ([a_mutant(1), a_mutant(2)], None))
    monkeypatch.setattr("zynq_lstm.sim.campaigns.mutants.hunt", lambda *_, **__: {1: TESTS[0]})
    monkeypatch.setattr("zynq_lstm.sim.campaigns.mutants.proved_equivalent", lambda *_: False)
    done = CliRunner().invoke(command, ["--output", str(tmp_path)])
    assert isinstance(done.exception, CheckError) and "1 of 2 found, 0 equivalent: 50.0 %" in done.output
    assert "2 delay.sv:18: a+b [A[3] cnot1 2]" in done.output
    assert json.loads((tmp_path / "mutants.json").read_text())["made"] == 2
    done = CliRunner().invoke(command, ["--output", str(tmp_path), "--goal", "0.5"])
    assert done.exit_code == 0


def test_verb_changes_gate_pipelines_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def make(*given: Any) -> tuple[list[Mutant], None]:
        asked.append((given[0].network.spec.layers[0].cell, given[4]))
        return [a_mutant(1)], None

    monkeypatch.setattr("zynq_lstm.sim.campaigns.mutants.make", make)
    monkeypatch.setattr("zynq_lstm.sim.campaigns.mutants.hunt", lambda *_, **__: {1: TESTS[0]})
    done = CliRunner().invoke(command, ["--output", str(tmp_path), "--cell", "gru_reset_before"])
    assert done.exit_code == 0
    assert asked == [("gru_reset_before", ("gru_reset_before_0_gates", "gru_reset_before_1_gates"))]
    done = CliRunner().invoke(command, ["--output", str(tmp_path), "--cell", "gnu"])
    assert isinstance(done.exception, UserError) and "unknown cell 'gnu'" in str(done.exception)


def test_verb_tries_some_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        "zynq_lstm.sim.campaigns.mutants.make", lambda *_: ([a_mutant(n) for n in (1, 2, 3)], None)
    )
    monkeypatch.setattr(
        "zynq_lstm.sim.campaigns.mutants.hunt",
        lambda mutants, *_, **__: {m.number: TESTS[0] for m in mutants},
    )
    done = CliRunner().invoke(command, ["--output", str(tmp_path), "--only", "3,1"])
    assert done.exit_code == 0 and "2 of 2 found" in done.output
    assert not list(tmp_path.iterdir())
    done = CliRunner().invoke(command, ["--output", str(tmp_path), "--only", "1,4"])
    assert isinstance(done.exception, UserError) and "no such mutant" in str(done.exception)


def test_verb_refuses_an_argument_that_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mutant that a test finds is not equivalent, whatever the argument says."""
    entry = Equivalent("delay", "a + b", "A", "says why", bits=(3,), fault="cnot1 2")
    monkeypatch.setattr("zynq_lstm.sim.campaigns.equivalent_mutants.EQUIVALENT", (entry,))
    monkeypatch.setattr("zynq_lstm.sim.campaigns.mutants.make", lambda *_: ([a_mutant(1)], None))
    monkeypatch.setattr("zynq_lstm.sim.campaigns.mutants.hunt", lambda *_, **__: {1: TESTS[0]})
    done = CliRunner().invoke(command, ["--output", str(tmp_path)])
    assert isinstance(done.exception, CheckError) and "is argued to be equivalent" in str(done.exception)


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_designs_go_to_other_processes(cell: str) -> None:
    """They are pickled as by :func:`hunt`, after all cached values were computed."""
    design = small_design(1, cell)
    files = generate(design)
    assert generate(pickle.loads(pickle.dumps(design))) == files
