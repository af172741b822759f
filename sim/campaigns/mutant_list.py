# SPDX-License-Identifier: Apache-2.0
"""Single faults that Yosys can plant in the RTL of a design, each identified by what it changes.

A mutant's target is the instance whose port it changes, the register whose pin it changes, or else the
statement. Line numbers, line breaks, comments and the names that Yosys gives to its cells are not part of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.synthesis.yosys import Command, read_verilog, run_yosys
from zynq_lstm.models.store import claim, write_text
from zynq_lstm.sim.bench.components import COUNTERS, LEFT, REFUSALS
from zynq_lstm.sim.simulation.rtl import write_project
from zynq_lstm.sim.simulation.simulator import TOP

SELECT = "mutant_i"  # the input that chooses a mutant
SELECT_BITS = 16
PROJECT, LIST, NETLIST = Path("rtl"), Path("mutants", "mutants.ys"), Path("mutants", "mutants.il")


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Args:
        number: value of :data:`SELECT` that chooses it.
        module: name of the source file, without suffix.
        instances: instances of the module with its parameters, as ``parent.name``; some modules have several.
        place: ``file:line``.
        target: the instance, registers or statement that is changed; '' for logic that Yosys added.
        mode: inv, const0, const1, cnot0 or cnot1 (inverted if ``ctrlbit`` of the port is 0 or 1).
    """

    number: int
    module: str
    instances: tuple[str, ...]
    place: str
    target: str
    port: str
    bit: int
    mode: str
    ctrlbit: int | None

    def __str__(self) -> str:
        return f"{self.number} {self.place}: {self.target} [{self.port}[{self.bit}] {self.fault}]"

    @property
    def fault(self) -> str:
        """The mode and, if there is one, the bit of the port that controls it."""
        return self.mode if self.ctrlbit is None else f"{self.mode} {self.ctrlbit}"


@dataclass(frozen=True)
class Cell:
    """A cell of a netlist: its type, and the signals that its output ``Q`` drives, if it has one."""

    kind: str
    output: str


def make_list(
    design: Design, folder: Path, count: int, seed: int, modules: Sequence[str] = ()
) -> list[Mutant]:
    """Write a design's netlist and up to ``count`` mutants, spread over its cells, wires and source lines.

    Outputs of the counters that the bench sets are left out: with a fault they would no longer be registers.
    The logic that reads them has the same faults.

    Args:
        modules: modules to change, with any parameters; all if not given.
    """
    folder = folder.resolve()
    claim(folder)
    project, listed, netlist = folder / PROJECT, folder / LIST, folder / NETLIST
    listed.parent.mkdir(parents=True, exist_ok=True)
    write_project(design, project)
    script: list[Command] = [
        read_verilog(project),
        f"hierarchy -check -top {TOP}",
        *("proc", "opt", "wreduce", "peepopt", "opt -full", "memory -nomap"),
        *("opt_hier", "opt -full", "wreduce", "opt_hier", "opt -full", "opt_clean -purge"),
        (
            *("mutate", "-list", str(count), "-seed", str(seed)),
            *("-ctrl", SELECT, str(SELECT_BITS), "1", "-o", str(listed)),
            # A module's name has a hash of its parameters, or the parameters, before or after it.
            *(pattern for name in modules for pattern in (name, f"$paramod$*?{name}", f"$paramod?{name}?*")),
        ),
        ("write_rtlil", str(netlist)),
    ]
    run_yosys(script, project, listed.parent / "list.log")
    cells = read_cells(netlist)
    instances: dict[str, set[str]] = {}
    for (parent, name), cell in cells.items():
        instances.setdefault(cell.kind, set()).add(f"{module_name(parent)}.{name}")
    places: dict[str, tuple[str, str]] = {}
    mutants, kept = [], []
    for line in listed.read_text(encoding="utf-8").splitlines():
        options = fault_options(line)
        if options["port"] == "Q" and options.get("wire") in (*COUNTERS, *REFUSALS, LEFT):
            continue
        kept.append(line)
        number = re.search(rf"-ctrl {SELECT} \d+ (\d+)", line)
        assert number is not None, line
        module, name = options["module"], options["cell"]
        at = options.get("src", "")
        place, text = places[at] = places.get(at) or source(at, project)
        registers = ", ".join(dict.fromkeys(re.findall(r"\\(\S+)", cells[module, name].output)))
        mutants.append(
            Mutant(
                number=int(number[1]),
                module=module_name(module),
                instances=tuple(sorted(instances.get(module, ()))),
                place=place,
                target=registers or (text if name.startswith("$") else name),
                port=options["port"],
                bit=int(options["portbit"]),
                mode=options["mode"],
                ctrlbit=int(options["ctrlbit"]) if "ctrlbit" in options else None,
            )
        )
    write_text(listed, "\n".join(kept) + "\n")
    return mutants


def fault_options(line: str) -> dict[str, str]:
    """Return the options ``-name value`` of a line of Yosys' list; the last ``-src`` counts: the cell's."""
    return {name: value.removeprefix("\\") for name, value in re.findall(r"-(\w+) (\S+)", line)}


def module_name(module: str) -> str:
    """Return a module's name without the parameters that Yosys adds to it."""
    parts = module.removeprefix("\\").split("\\")
    return parts[1] if len(parts) > 1 else parts[0]


def read_cells(netlist: Path) -> dict[tuple[str, str], Cell]:
    """Return the cells of a netlist in RTLIL, by module and name."""
    cells: dict[tuple[str, str], Cell] = {}
    module, kind, name, output = "", "", "", ""
    for line in netlist.read_text(encoding="utf-8").splitlines():
        if line.startswith("module "):
            module = line.split()[1].removeprefix("\\")
        elif found := re.fullmatch(r"  cell (\S+) (\S+)", line):
            kind, name, output = found[1].removeprefix("\\"), found[2].removeprefix("\\"), ""
        elif line.startswith("    connect \\Q "):
            output = line.split(maxsplit=2)[2]
        elif line == "  end" and kind:
            cells[module, name] = Cell(kind, output)
            kind = ""
    return cells


def source(place: str, project: Path) -> tuple[str, str]:
    """Return ``file:line`` and the text of a place that Yosys writes as file:line.column-line.column."""
    found = re.fullmatch(r"(.+):(\d+)\.(\d+)-(\d+)\.(\d+)", place)
    if not found:
        return place, ""
    first, begin, last, end = map(int, found.groups()[1:])
    lines = (project / found[1]).read_text(encoding="utf-8").splitlines()[first - 1 : last]
    lines[-1] = lines[-1][: end - 1]
    lines[0] = lines[0][begin - 1 :]
    return f"{found[1]}:{first}", normal("\n".join(lines))


def normal(text: str) -> str:
    """Return SystemVerilog without comments, and with spaces only between two words."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    return re.sub(r"(?<![\w$'])\s+|\s+(?![\w$'])", "", re.sub(r"\s+", " ", text))
