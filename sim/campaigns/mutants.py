# SPDX-License-Identifier: Apache-2.0
"""Mutants of the RTL, and which of them the bench finds: a measure of the bench.

Yosys reads the RTL of a small design and lists single faults of it (``mutate``): a bit of one cell's port
inverted, stuck, or inverted if another bit of the port is set, in every instance of its module. All of them
go into one netlist whose input ``mutant_i`` chooses one, so that there is one build and few simulations. Only
ports are seen: the engine's answers have to show a fault, not its traces.

Redundant logic is removed before the faults are made: bits that are constant, unused, or copies of others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.schedule import Array
from zynq_lstm.hls.synthesis.yosys import Command, read_verilog, run_yosys
from zynq_lstm.models import processes
from zynq_lstm.models.description.spec import PRESETS, Layer, NetworkSpec
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.store import claim, write_text
from zynq_lstm.sim.bench.components import COUNTERS, LEFT, REFUSALS
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.campaigns.equivalent_mutants import EQUIVALENT
from zynq_lstm.sim.simulation.rtl import CORNER_TESTS, LONG_PROTOCOL_TESTS, PROTOCOL_TESTS, Rtl, write_project
from zynq_lstm.sim.simulation.simulator import TOP, build_mutants

# Those that find most come first: every test costs a run of each mutant that is left.
FIRST_TESTS = ("score_back_to_back", "sample_again", "score_long", "sample_long")
TESTS = tuple(dict.fromkeys((*FIRST_TESTS, *PROTOCOL_TESTS, *LONG_PROTOCOL_TESTS, *CORNER_TESTS)))
SELECT_BITS = 16  # of mutant_i
PATIENCE = 2  # times what a test takes without a fault, after which the engine is taken to hang
WITHOUT_FAULT = 0
PROVED = "proved: the cell computes the same, whatever its inputs"
# Longer than any test takes without a fault, in clock cycles.
LONGEST_TEST = 4_000_000


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Args:
        number: what ``mutant_i`` chooses it by.
        module: the source file's, without suffix.
        instances: of the module with its parameters, as ``parent.name``; some modules have several.
        source: what the cell was made of, ``file:line: text``.
        mode: inv, const0, const1, cnot0 or cnot1 (inverted if ``ctrlbit`` of the port is 0 or 1).
    """

    number: int
    module: str
    instances: tuple[str, ...]
    source: str
    cell: str
    port: str
    bit: int
    mode: str
    ctrlbit: int | None

    def __str__(self) -> str:
        return f"{self.number} {self.source} [{self._fault}]"

    @property
    def _fault(self) -> str:
        control = "" if self.ctrlbit is None else f" {self.ctrlbit}"
        return f"{self.port}[{self.bit}] {self.mode}{control}"

    @property
    def equivalent(self) -> str | None:
        """Why no bench can find it, if that is argued (:func:`proved_equivalent` tells more)."""
        text = self.source.split(": ", 1)[1]
        for entry in EQUIVALENT:
            if entry.matches(self.module, self.instances, text, self.cell, self._fault):
                return entry.why
        return None


def small_design(seed: int) -> Design:
    """Two layers and all that the RTL has: several groups, segments and words of logits, products in DSPs and
    in LUTs, binary points that need aligning, jobs that follow each other at once and jobs that wait.

    Its network is lively, or faults would not show: weights are wide, biases small. So there are sums that
    saturate and sums whose last bit counts.
    """
    rng = np.random.default_rng(seed)
    lstm, dense = PRESETS["w4a8"]
    wide = dataclasses.replace(lstm.W, integer=3)
    dense = dataclasses.replace(dense, W=dataclasses.replace(dense.W, integer=5))
    lstm = dataclasses.replace(lstm, U=wide)
    spec = NetworkSpec("w4a8", 15, (Layer(7, lstm), Layer(18, lstm)), dense)
    weights = {}
    for name, shape in spec.weight_shapes().items():
        fmt = spec.weight_formats()[name]
        halvings = rng.integers(3, 7, shape) if name.endswith(".b") else rng.integers(0, 2, shape[-1:])
        scale = fmt.max_raw * 2.0**-halvings
        weights[name] = np.clip(np.round(rng.normal(0, scale, shape)), fmt.min_raw, fmt.max_raw).astype(
            np.int64
        )
    vocabulary = "".join(map(chr, range(ord("a"), ord("a") + spec.vocabulary)))
    network = IntegerNetwork.from_weights(spec, vocabulary, weights)
    return Design(network, Array(4, 3, 2, 2, lut_depth=1, gate_lanes=2))


def make(design: Design, folder: Path, count: int, seed: int) -> tuple[list[Mutant], Rtl]:
    """A build with up to ``count`` mutants, evenly spread over the design's cells, wires and source lines.

    Raises:
        UserError: if ``count`` is out of range, or a tool refuses.
    """
    if not 0 < count < 1 << SELECT_BITS:
        raise UserError(f"--count must be 1 to {(1 << SELECT_BITS) - 1}, not {count}")
    folder = folder.resolve()
    claim(folder)
    project, netlist = folder / "rtl", folder / "mutants" / "mutants.v"
    netlist.parent.mkdir(parents=True, exist_ok=True)
    write_project(design, project)
    network_file = folder / "network.safetensors"
    design.network.save(network_file)
    listed = netlist.parent / "mutants.ys"
    script: list[Command] = [
        read_verilog(project),
        f"hierarchy -check -top {TOP}",
        *("proc", "opt", "wreduce", "peepopt", "opt -full", "memory -nomap"),
        *("opt_hier", "opt -full", "wreduce", "opt_hier", "opt -full", "opt_clean -purge"),
        (
            *("mutate", "-list", str(count), "-seed", str(seed)),
            *("-ctrl", "mutant_i", str(SELECT_BITS), "1", "-o", str(listed)),
        ),
        ("write_rtlil", str(netlist.with_suffix(".il"))),
    ]
    run_yosys(script, project, netlist.parent / "list.log")
    mutants = _listed(listed, project)
    script = [
        ("read_rtlil", str(netlist.with_suffix(".il"))),
        ("script", str(listed)),
        "opt_clean",
        ("write_verilog", "-noattr", str(netlist.with_suffix(".new"))),
    ]
    run_yosys(script, project, netlist.parent / "yosys.log")
    written = netlist.with_suffix(".new")
    if netlist.exists() and netlist.read_bytes() == written.read_bytes():
        written.unlink()  # nothing to build anew
    else:
        written.replace(netlist)
    return mutants, Rtl(design, network_file, build_mutants(netlist), traced=False)


def _listed(script: Path, project: Path) -> list[Mutant]:
    """Yosys' list; its options come as ``-name value``, ``-src`` several times, the cell's own last.

    Less outputs of the counters, which the bench sets: they would be no registers any more. The same faults
    are in what reads them.
    """
    instances = _instances(script.with_suffix(".il"))
    mutants, kept = [], []
    for line in script.read_text(encoding="utf-8").splitlines():
        options = dict(re.findall(r"-(\w+) (\S+)", line))
        if options["port"] == "Q" and options.get("wire") in (*COUNTERS, *REFUSALS, LEFT):
            continue
        kept.append(line)
        number = re.search(r"-ctrl mutant_i \d+ (\d+)", line)
        assert number is not None, line
        module = options["module"].split("\\")
        mutants.append(
            Mutant(
                number=int(number[1]),
                module=module[1] if len(module) > 1 else module[0],
                instances=instances.get(options["module"], ()),
                source=_source(options.get("src", ""), project),
                cell=options["cell"],
                port=options["port"],
                bit=int(options["portbit"]),
                mode=options["mode"],
                ctrlbit=int(options["ctrlbit"]) if "ctrlbit" in options else None,
            )
        )
    write_text(script, "\n".join(kept) + "\n")
    return mutants


def _instances(netlist: Path) -> dict[str, tuple[str, ...]]:
    """Names of the instances of each module, from RTLIL, as ``parent.name``."""
    found: dict[str, set[str]] = {}
    parent = ""
    for line in netlist.read_text(encoding="utf-8").splitlines():
        if line.startswith("module "):
            parent = line.split("\\")[1]
        elif match := re.fullmatch(r"  cell (\S+) \\(\S+)", line):
            found.setdefault(match[1], set()).add(f"{parent}.{match[2]}")
    return {module: tuple(sorted(names)) for module, names in found.items()}


def _source(place: str, project: Path) -> str:
    """``file:line: text`` of a place in Yosys' terms, which are file:line.column-line.column."""
    found = re.fullmatch(r"(.+):(\d+)\.(\d+)-(\d+)\.(\d+)", place)
    if not found:
        return f"{place}: "
    file, first, begin, last, end = found[1], *map(int, found.groups()[1:])
    line = (project / file).read_text(encoding="utf-8").splitlines()[first - 1]
    return f"{file}:{first}: {line[begin - 1 : end - 1 if first == last else None].strip()}"


def hunt(
    mutants: Iterable[Mutant],
    rtl: Rtl,
    seed: int,
    progress: Callable[[str, int], object] | None = None,
    tests: Sequence[str] = TESTS,
    jobs: int = 1,
) -> dict[int, str]:
    """Run the protocol tests on each mutant until one fails; returns the number of each killed, and by what.

    A test also fails if it takes twice as long as without a fault, or if the simulator gives up (a mutant
    with a combinational loop).

    Args:
        progress: called with each test's name, and the mutants killed so far.
        jobs: simulations at once.

    Raises:
        CheckError: if a test fails without a fault, before or after the mutants had their turn.
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


def _killed_by(rtl: Rtl, seed: int, test: str, limit: int, left: list[int], share: int) -> list[int]:
    """Those of the mutants that a test finds."""
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
    """Cycles that a test took on each mutant that it passed; the mutant at which the simulation broke off."""
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
    """Whether Yosys proves that the cell computes what it did, whatever its inputs that are not constant.

    Args:
        folder: where :func:`make` has built.
    """
    folder = folder.resolve() / "mutants"
    found = re.search(
        rf"^mutate (?=.* mutant_i {SELECT_BITS} {mutant.number} ).*$",
        (folder / "mutants.ys").read_text(encoding="utf-8"),
        re.M,
    )
    assert found, mutant
    options = dict(re.findall(r"-(\w+) (\S+)", found[0]))
    fault = " ".join(
        f"-{name} {options[name]}"
        for name in ("mode", "cell", "port", "portbit", "ctrlbit")
        if name in options
    )
    script: list[Command] = [
        ("read_rtlil", str(folder / "mutants.il")),
        *(f"cd {options['module']}", f"select c:{options['cell']}", "submod -name gold", "cd"),
        # What has a state, or is not one of Yosys' own cells, is not proved in this way.
        *("select -assert-none gold/t:*ff* gold/t:*latch* gold/t:*mem*", "select -clear"),
        *("copy gold gate", f"mutate {fault} -module gate"),
        *("miter -equiv -flatten gold gate miter", "sat -verify -prove trigger 0 miter"),
    ]
    try:
        run_yosys(script, folder, folder / "proof.log")
    except UserError:
        return False
    return True


def record(mutants: list[Mutant], killed: dict[int, str], seed: int, proved: set[int]) -> dict[str, Any]:
    """The figures, and every survivor; ``proved`` are those that a proof says to be equivalent."""
    alive = [mutant for mutant in mutants if mutant.number not in killed]
    why = {m.number: PROVED if m.number in proved else m.equivalent for m in alive}
    equivalent = [mutant for mutant in alive if why[mutant.number]]
    by_test = {test: sum(name == test for name in killed.values()) for test in TESTS}
    return records.new(
        records.MUTANTS,
        seed,
        made=len(mutants),
        killed=len(killed),
        equivalent=len(equivalent),
        killed_of_rest=len(killed) / max(1, len(mutants) - len(equivalent)),
        killed_by={test: count for test, count in by_test.items() if count},
        survivors=[asdict(mutant) | {"equivalent": why[mutant.number]} for mutant in alive],
    )
