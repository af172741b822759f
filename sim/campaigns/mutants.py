# SPDX-License-Identifier: Apache-2.0
"""Mutants of the RTL; the share that the bench finds is a measure of the bench.

Yosys reads the RTL of a small design and lists single faults of it (``mutate``): a bit of one cell's port is
inverted, stuck, or inverted depending on another bit of the port, in every instance of its module. All faults
go into one netlist whose input ``mutant_i`` chooses one, so that there is one build and few simulations. Only
ports are seen: a fault must show in the engine's answers, not in its traces.

Redundant logic is removed before the faults are made: bits that are constant, unused, or copies of others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.synthesis.yosys import Command, run_yosys
from zynq_lstm.models import processes
from zynq_lstm.models.description.spec import Layer, network_spec, with_formats
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.campaigns.equivalent_mutants import argument
from zynq_lstm.sim.campaigns.mutant_list import (
    LIST,
    NETLIST,
    PROJECT,
    SELECT,
    SELECT_BITS,
    Mutant,
    fault_options,
    make_list,
    read_cells,
)
from zynq_lstm.sim.simulation.rtl import CORNER_TESTS, LONG_PROTOCOL_TESTS, PROTOCOL_TESTS, Rtl
from zynq_lstm.sim.simulation.simulator import build_mutants

# Tests that find most mutants come first: every test costs a run of each mutant that is left.
FIRST_TESTS = ("score_back_to_back", "sample_again", "score_long", "sample_long")
TESTS = tuple(dict.fromkeys((*FIRST_TESTS, *PROTOCOL_TESTS, *LONG_PROTOCOL_TESTS, *CORNER_TESTS)))
#: Tests that find faults in gate pipelines. Others are about registers and the choice of characters, or take
#: long and compare no more of the gates.
GATE_TESTS = (
    "score_back_to_back",
    "sample_again",
    "score_with_pauses",
    "state_reset",
    "pace",
    "reset_in_every_cycle",
    "clear_state_in_every_cycle",
    "every_transition",
    "score_long",
)
BEFORE_PROOF = 2  # tests before what they leave is tried to be proved equivalent
PATIENCE = 2  # multiple of a test's time without a fault, after which the engine is taken to hang
WITHOUT_FAULT = 0
PROVED = "proved: its module, or the modules around it, compute the same"
PROOF_SECONDS = 60
PROOF_CYCLES = 10  # more than registers lie between memories on most paths through a gate pipeline
# In clock cycles; longer than any test takes without a fault.
LONGEST_TEST = 4_000_000


def small_design(
    seed: int, cell: str = "lstm", signals: Mapping[str, FixedFormat] = MappingProxyType({})
) -> Design:
    """Return a design of two layers of a cell that uses everything that the RTL has.

    It has several groups, segments and words of logits, products in DSPs and in LUTs, binary points that need
    aligning, jobs that follow each other at once and jobs that wait.

    Its weights are wide and its biases small, or faults would not show: some sums saturate, and the last bit
    of others counts.

    Args:
        cell: name of a cell, or its description, as :func:`zynq_lstm.models.cells.catalogue.written` returns.
        signals: formats of signals instead of the preset's.
    """
    rng = np.random.default_rng(seed)
    spec = with_formats(network_spec("w4a8", vocabulary=15, layers=2, cell=cell), signals)
    formats = spec.layers[0].formats
    formats = formats.changed(U=dataclasses.replace(formats.U, integer=3))
    dense = dataclasses.replace(spec.output, W=dataclasses.replace(spec.output.W, integer=5))
    spec = dataclasses.replace(spec, layers=(Layer(7, formats), Layer(18, formats)), output=dense)
    vectors = tuple(f".{name}" for name in ("b", *formats.description.vectors))
    weights = {}
    for name, shape in spec.weight_shapes().items():
        fmt = spec.weight_formats()[name]
        halvings = rng.integers(3, 7, shape) if name.endswith(vectors) else rng.integers(0, 2, shape[-1:])
        scale = fmt.max_raw * 2.0**-halvings
        weights[name] = np.clip(np.round(rng.normal(0, scale, shape)), fmt.min_raw, fmt.max_raw).astype(
            np.int64
        )
    vocabulary = "".join(map(chr, range(ord("a"), ord("a") + spec.vocabulary)))
    network = IntegerNetwork.from_weights(spec, vocabulary, weights)
    return Design(network, Array(4, 3, 2, 2, lut_depth=1, gate_lanes=2))


def gate_modules(design: Design) -> tuple[str, ...]:
    """Return the names of the modules that are generated from the design's cells."""
    return tuple(pipeline.module for pipeline in design.gates)


def make(
    design: Design, folder: Path, count: int, seed: int, modules: Sequence[str] = ()
) -> tuple[list[Mutant], Rtl]:
    """Build up to ``count`` mutants, evenly spread over the design's cells, wires and source lines.

    Args:
        modules: modules to change, as :func:`gate_modules` names them; all if not given.

    Raises:
        UserError: if ``count`` is out of range, or a tool fails.
    """
    if not 0 < count < 1 << SELECT_BITS:
        raise UserError(f"--count must be 1 to {(1 << SELECT_BITS) - 1}, not {count}")
    folder = folder.resolve()
    mutants = make_list(design, folder, count, seed, modules)
    network_file = folder / "network.safetensors"
    design.network.save(network_file)
    netlist = (folder / NETLIST).with_suffix(".v")
    script: list[Command] = [
        ("read_rtlil", str(folder / NETLIST)),
        ("script", str(folder / LIST)),
        "opt_clean",
        ("write_verilog", "-noattr", str(netlist.with_suffix(".new"))),
    ]
    run_yosys(script, folder / PROJECT, netlist.parent / "yosys.log")
    written = netlist.with_suffix(".new")
    if netlist.exists() and netlist.read_bytes() == written.read_bytes():
        written.unlink()  # nothing to rebuild
    else:
        written.replace(netlist)
    return mutants, Rtl(design, network_file, build_mutants(netlist), traced=False)


def hunt(
    mutants: Iterable[Mutant],
    rtl: Rtl,
    seed: int,
    progress: Callable[[str, int], object] | None = None,
    tests: Sequence[str] = TESTS,
    jobs: int = 1,
) -> dict[int, str]:
    """Run the tests on each mutant until one fails; return the killed mutants' numbers and killing tests.

    A test also fails if it takes about twice as long as without a fault, or if the simulator gives up (on a
    mutant with a combinational loop).

    Args:
        progress: called after each test, with its name and the number of mutants killed so far.
        jobs: number of simulations at once.

    Raises:
        CheckError: if a test fails without a fault, before or after it has run on the mutants.
    """
    left = [mutant.number for mutant in mutants]
    killed: dict[int, str] = {}
    with processes.pool(jobs) if jobs > 1 else contextlib.nullcontext() as pool:
        for test in tests:
            passed, last = _simulate(rtl, seed, [(test, WITHOUT_FAULT, LONGEST_TEST)])
            if last is not None:
                raise CheckError(f"{test} fails without a fault")
            limit = PATIENCE * passed[WITHOUT_FAULT] + 10_000
            attempt = functools.partial(_killed_by, rtl, seed, test, limit)
            shares = [left[k::jobs] for k in range(jobs)]
            for found in (pool.map if pool else map)(attempt, shares, range(jobs)):
                killed |= dict.fromkeys(found, test)
            left = [number for number in left if number not in killed]
            if progress:
                progress(test, len(killed))
    return killed


def search(
    mutants: Sequence[Mutant],
    rtl: Rtl,
    folder: Path,
    seed: int,
    progress: Callable[[str, int], object] | None = None,
    tests: Sequence[str] = TESTS,
    jobs: int = 1,
) -> tuple[dict[int, str], set[int]]:
    """Run the tests on each mutant that is not proved equivalent, as :func:`hunt` does.

    Returns:
        The killed mutants' numbers and killing tests, and the numbers of the mutants proved equivalent.
    """
    killed = hunt(mutants, rtl, seed, progress, tests[:BEFORE_PROOF], jobs)
    left = [mutant for mutant in mutants if mutant.number not in killed]
    proved = {mutant.number for mutant in left if proved_equivalent(mutant, folder)}
    left = [mutant for mutant in left if mutant.number not in proved]
    before = len(killed)
    show = (lambda test, found: progress(test, before + found)) if progress else None
    return killed | hunt(left, rtl, seed, show, tests[BEFORE_PROOF:], jobs), proved


def _killed_by(rtl: Rtl, seed: int, test: str, limit: int, left: list[int], share: int) -> list[int]:
    """Return those of the mutants that a test finds."""
    killed: list[int] = []
    while left:
        runs = [(test, number, limit) for number in left]
        passed, last = _simulate(rtl, seed, [*runs, (test, WITHOUT_FAULT, limit)], share)
        done = left if last is None else left[: left.index(last) + 1]
        killed += [number for number in done if number not in passed]
        left = left[len(done) :]
    return killed


def _simulate(
    rtl: Rtl, seed: int, runs: list[tuple[str, int, int]], share: int = 0
) -> tuple[dict[int, int], int | None]:
    """Run a test on several mutants in one simulation.

    Returns:
        Cycles of the test on each mutant on which it passed, and the mutant at which the simulation broke off
        (None if it did not).
    """
    results = rtl.run_mutants(runs, seed, share)
    lines = [json.loads(line) for line in results.read_text(encoding="ascii").splitlines()]
    passed = {line["mutant"]: line["cycles"] for line in lines if "cycles" in line}
    begun = [line["mutant"] for line in lines if "cycles" not in line]
    if not begun:
        raise CheckError(f"no test began; see {results.parent}")
    if begun[-1] == runs[-1][1]:
        if begun[-1] not in passed:
            raise CheckError(f"{runs[-1][0]} fails without a fault; see {results.parent}")
        return passed, None
    return passed, begun[-1]


def proved_equivalent(mutant: Mutant, folder: Path) -> bool:
    """Return True if Yosys proves that the mutant's module, or else each module around it, computes the same.

    Registers and memories that can be written are taken out, as are instances of other modules: their
    outputs may have any value, and their inputs must stay the same. If that proves nothing, registers stay,
    and modules of registers and logic alone become part of the module around them: then its outputs must be
    the same from :data:`PROOF_CYCLES` after any cycle on, whatever its registers held in that cycle.

    Args:
        folder: folder that :func:`make_list` has written to.
    """
    folder = folder.resolve()
    listed = (folder / LIST).read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in listed if f" {SELECT} {SELECT_BITS} {mutant.number} " in line)
    options = fault_options(line)
    module, cell = options["module"], options["cell"]
    cells = read_cells(folder / NETLIST)
    inside: dict[str, set[str]] = {}
    for (parent, _), each in cells.items():
        inside.setdefault(parent, set()).add(each.kind)
    around = {parent for parent, kinds in inside.items() if module in kinds}
    kind = cells[module, cell].kind
    changed = [kind] if kind in inside else []
    if _proved(line, module, changed, folder) or (
        bool(around) and all(_proved(line, parent, [module, *changed], folder) for parent in around)
    ):
        return True
    simple = {name for name, kinds in inside.items() if not any(k in inside or "$mem" in k for k in kinds)}
    parts = sorted(inside[module] & simple | set(changed))
    return _proved(line, module, parts, folder, PROOF_CYCLES)


def _proved(line: str, module: str, parts: Iterable[str], folder: Path, cycles: int = 0) -> bool:
    """Return True if Yosys proves that a module computes the same with the fault of a line of Yosys' list.

    Args:
        parts: modules whose instances in it are flattened first.
        cycles: clock cycles after which outputs must be the same; 0: registers are taken out.
    """
    escaped = {name: name if name.startswith("$") else f"\\{name}" for name in (module, *parts)}
    registers, steps = ("t:*ff* %d", "") if not cycles else ("", f"-seq {cycles + 1} -prove-skip {cycles} ")
    script: list[Command] = [
        ("read_rtlil", str(folder / NETLIST)),
        re.sub(rf"-ctrl {SELECT} \d+ \d+", f"-ctrl {SELECT} 1 1", line),
        "setattr -mod -set keep_hierarchy 1 *",
        *(f"setattr -mod -unset keep_hierarchy {name}" for name in escaped.values()),
        *(f"flatten {escaped[module]}/t:{escaped[name]}" for name in parts),
        f"cd {escaped[module]}",
        *(f"select -assert-none t:{escaped[name]}" for name in parts),
        *("memory_map -rom-only", "dffunmap", "opt -full -nodffe -nosdff", "splitnets -ports"),
        f"select t:$* {registers} t:*latch* %d t:$mem* %d t:$paramod* %d",
        "submod -name gold",
        *(f"select -assert-none w:{SELECT} %co1 t:* %i t:gold %d", "cd"),  # no fault outside gold
        "select -assert-none gold/i:* gold/o:* %i",
        "setattr -unset init gold/w:*",
        # The proof takes all registers to have one clock.
        "select -assert-none gold/t:*ff* %ci1:+[CLK] gold/w:* %i gold/i:* %d",
        *("setundef -undriven -zero gold", f"delete -input gold/w:{SELECT}", "copy gold gate"),
        *("setundef -undriven -zero gold", "setundef -undriven -one gate"),  # the fault's select
        # Bit by bit, since a shift register's word depends on itself and would not be merged.
        *("miter -equiv -flatten gold gate miter", "simplemap miter/t:*ff* miter/t:$mux", "opt_merge miter"),
        f"sat -timeout {PROOF_SECONDS} -verify {steps}-prove trigger 0 miter",
    ]
    try:
        run_yosys(script, folder, folder / LIST.with_name("proof.log"))
    except UserError:
        return False
    return True


def measure_gates(
    cell: str, folder: Path, count: int, seed: int, progress: Callable[[str], object] = lambda _: None
) -> dict[str, Any]:
    """Plant up to ``count`` faults in a cell's gate pipelines, and return the figures and every survivor.

    Args:
        cell: as of :func:`small_design`.
        folder: folder to build in.
        progress: called with each step.

    Raises:
        CheckError: if a mutant that is argued to be equivalent is found, or if a test fails without a fault.
    """
    progress("faults planted")
    design = small_design(seed, cell)
    mutants, rtl = make(design, folder, count, seed, gate_modules(design))
    show = lambda test, found: progress(f"{test}: {found} faults found")  # noqa: E731
    killed, proved = search(mutants, rtl, folder, seed, show, GATE_TESTS)
    check_arguments(mutants, killed)
    found = record(mutants, killed, seed, proved)
    return {name: found[name] for name in ("made", "equivalent", "killed", "survivors")}


def share(found: Mapping[str, Any]) -> float:
    """Return the share of mutants found, of those that are not equivalent."""
    return float(found["killed"] / max(1, found["made"] - found["equivalent"]))


def check_arguments(mutants: Iterable[Mutant], killed: Mapping[int, str]) -> None:
    """Check that no test finds a mutant that is argued to be equivalent.

    Raises:
        CheckError: naming the mutant and the test.
    """
    for mutant in mutants:
        if mutant.number in killed and argument(mutant):
            raise CheckError(f"{mutant} is argued to be equivalent, and is found by {killed[mutant.number]}")


def record(mutants: list[Mutant], killed: dict[int, str], seed: int, proved: set[int]) -> dict[str, Any]:
    """Return the record: the figures and every survivor; ``proved`` are the mutants proved equivalent."""
    alive = [mutant for mutant in mutants if mutant.number not in killed]
    why = {m.number: PROVED if m.number in proved else argument(m) for m in alive}
    equivalent = [mutant for mutant in alive if why[mutant.number]]
    by_test = {test: sum(name == test for name in killed.values()) for test in TESTS}
    counts = {"made": len(mutants), "killed": len(killed), "equivalent": len(equivalent)}
    return records.new(
        records.MUTANTS,
        seed,
        **counts,
        killed_of_rest=share(counts),
        killed_by={test: count for test, count in by_test.items() if count},
        survivors=[asdict(mutant) | {"equivalent": why[mutant.number]} for mutant in alive],
    )
