# SPDX-License-Identifier: Apache-2.0
"""Analysis of 7-series netlists: LUT levels between registers, and the faults that a netlist can have.

It reads the flattened ``netlist.json`` that Yosys writes for :mod:`zynq_lstm.hls.synthesis.yosys`.

LUT levels of a path are counted as timing tools do, outside carry chains: LUT1 to LUT6 and INV count one,
and so does reading a memory in LUTs (from its address, or from its clock at the start of a path); CARRY4,
MUXF7 and MUXF8 count none. Paths start and end at flip-flops, shift registers (SRL), block RAMs, DSP48E1
with registers, and ports; a shift register whose address is not constant is read like a memory.

A netlist does not show all that is wrong with a net's drivers in the RTL: Yosys resolves conflicts and drops
nets without a driver. :func:`zynq_lstm.hls.synthesis.yosys.synthesize` therefore checks the RTL first.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zynq_lstm.hls.engine.project import TOP
from zynq_lstm.hls.synthesis.yosys import FLIP_FLOPS, results
from zynq_lstm.models.errors import UserError

LATCHES = ("LDCE", "LDPE", "LDCPE")
WEIGHT = {f"LUT{k}": 1 for k in range(1, 7)} | {"INV": 1, "CARRY4": 0, "MUXF7": 0, "MUXF8": 0, "BUFG": 0}

#: Memories that are meant to be in LUTs, by the place of their cells; the RTL gives the reasons.
LUT_MEMORIES = (
    *("u_fifo.u_words", "_hidden.", "_gearbox.", "_kept."),
    *("u_gates.u_sums", "u_gates.u_c", "u_gates.u_h"),
)

Bit = int | str  # Yosys numbers nets; constants are "0", "1", "x"


@dataclass(frozen=True)
class Cell:
    name: str
    type: str
    parameters: dict[str, str]
    inputs: dict[str, list[Bit]]
    outputs: dict[str, list[Bit]]

    def parameter(self, name: str, default: int = 0) -> int:
        """A numeric parameter; Yosys writes numbers in binary."""
        text = self.parameters.get(name)
        return default if text is None or not set(text) <= {"0", "1"} else int(text, 2)

    @property
    def place(self) -> str:
        """Place in the design's hierarchy that the cell came from."""
        return readable(self.name)

    @property
    def lut_memory(self) -> bool:
        return self.type.startswith("RAM") and not self.type.startswith("RAMB")

    @property
    def shift_register(self) -> bool:
        return self.type.startswith("SRL")

    @property
    def block_ram(self) -> bool:
        return self.type.startswith("RAMB")


@dataclass(frozen=True)
class LutPath:
    """The longest path into one endpoint: names from its start to its end."""

    levels: int
    names: tuple[str, ...]

    @property
    def start(self) -> str:
        return self.names[0]

    @property
    def end(self) -> str:
        return self.names[-1]


@dataclass(frozen=True)
class NetlistReport:
    """Result of :func:`check`. Names are places in the design."""

    lut_levels: int
    levels: dict[int, int]  # endpoints by LUT levels of their longest path
    long_paths: list[LutPath]  # of more levels than the goal, longest first
    latches: list[str]
    multiple_drivers: list[str]
    undriven: list[str]
    loops: list[str]
    lut_memories: dict[str, int]  # cells by place
    unintended_lut_memories: list[str]
    shift_registers: int
    dsp_unregistered: list[str]  # DSP48E1s without their own register at the result or the product
    bram_unregistered: list[str]  # outputs that lead to anything but a register
    bram_outputs: dict[str, int]  # output bits by the kind of their register: block RAM, flip-flop, ...

    @property
    def faults(self) -> list[str]:
        """One line for each fault, none for a sound netlist. Long paths are not faults."""
        found = {
            "latch": self.latches,
            "net with more than one driver": self.multiple_drivers,
            "net without driver": self.undriven,
            "combinational loop": self.loops,
            "memory in LUTs that is not meant to be": self.unintended_lut_memories,
            "DSP48E1 without registers": self.dsp_unregistered,
            "block RAM without register at its output": self.bram_unregistered,
        }
        return [f"{what}: {name}" for what, names in found.items() for name in names]


def summary(report: NetlistReport, paths: int = 10) -> list[str]:
    """Return lines to print: the faults, the depth of the logic, and the longest paths beyond the goal."""
    return [
        *report.faults,
        f"endpoints by LUT levels {report.levels}; block-RAM outputs registered in {report.bram_outputs}; "
        f"{report.shift_registers} shift registers in LUTs; {len(report.faults)} faults",
        *(f"{path.levels} levels: {' -> '.join(path.names)}" for path in report.long_paths[:paths]),
    ]


class Netlist:
    """Cells and nets of a flat netlist.

    Raises:
        UserError: if the file is not a netlist of Yosys, has no module ``top``, or has an unmapped cell.
    """

    def __init__(self, path: Path, top: str = TOP) -> None:
        try:
            modules = json.loads(path.read_text(encoding="utf-8"))["modules"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a netlist in Yosys' JSON format") from error
        if top not in modules:
            raise UserError(f"{path}: no module {top!r}; there are {', '.join(modules) or 'none'}")
        module = modules[top]
        self.cells = [_cell(name, data) for name, data in module["cells"].items() if data["type"][0] != "$"]
        strange = [
            name for name, x in module["cells"].items() if x["type"][0] == "$" and "scope" not in x["type"]
        ]
        if strange:
            raise UserError(f"{path}: cell {strange[0]!r} is not mapped to the device")
        self.names = _names(module["netnames"])
        self.inputs = _bits(p["bits"] for p in module["ports"].values() if p["direction"] == "input")
        self.outputs = _bits(p["bits"] for p in module["ports"].values() if p["direction"] == "output")

    @cached_property
    def drivers(self) -> dict[Bit, Cell]:
        return {bit: cell for cell in self.cells for bits in cell.outputs.values() for bit in bits}

    @cached_property
    def sinks(self) -> dict[Bit, list[tuple[Cell, str]]]:
        """Cells and ports that read each net."""
        result: dict[Bit, list[tuple[Cell, str]]] = {}
        for cell in self.cells:
            for port, bits in cell.inputs.items():
                for bit in bits:
                    result.setdefault(bit, []).append((cell, port))
        return result

    def name(self, bit: Bit) -> str:
        return self.names.get(bit, f"net {bit}")

    def multiple_drivers(self) -> list[str]:
        counts = Counter(bit for cell in self.cells for bits in cell.outputs.values() for bit in bits)
        counts.update(self.inputs)
        return sorted(self.name(bit) for bit, n in counts.items() if n > 1 and isinstance(bit, int))

    def undriven(self) -> list[str]:
        driven = set(self.drivers) | self.inputs
        used = set(self.sinks) | self.outputs
        return sorted(self.name(bit) for bit in used if isinstance(bit, int) and bit not in driven)

    def levels(self) -> tuple[dict[Bit, int], dict[Bit, Bit | None], list[str]]:
        """Return LUT levels up to every net, the net before it on its longest path, and the loops found."""
        level: dict[Bit, int] = {}
        before: dict[Bit, Bit | None] = {}
        loops: list[str] = []
        active: set[Bit] = set()
        for root in [bit for bit in self.drivers if isinstance(bit, int)]:
            stack: list[Bit] = [root]
            while stack:
                bit = stack[-1]
                if bit in level:
                    stack.pop()
                    continue
                own, inputs = self._through(bit)
                waiting = [x for x in inputs if x not in level]
                if waiting and bit not in active:
                    active.add(bit)
                    for x in waiting:
                        if x in active:
                            loops.append(self.name(x))
                            level[x], before[x] = 0, None
                        else:
                            stack.append(x)
                    continue
                best = max((x for x in inputs), key=lambda x: level.get(x, 0), default=None)
                level[bit] = own + (level.get(best, 0) if best is not None else 0)
                before[bit] = best
                active.discard(bit)
                stack.pop()
        return level, before, loops

    def _through(self, bit: Bit) -> tuple[int, list[Bit]]:
        """Return the levels that a net's driver adds, and the nets that it depends on within the cycle."""
        cell = self.drivers.get(bit)
        if cell is None:
            return 0, []
        if cell.type in WEIGHT:
            bits: list[Bit] = [b for values in cell.inputs.values() for b in values if isinstance(b, int)]
            return WEIGHT[cell.type], bits
        if cell.lut_memory or cell.shift_register:
            output = next(port for port, values in cell.outputs.items() if bit in values)
            address: list[Bit] = [
                b
                for port, values in cell.inputs.items()
                if _reads(port, output)
                for b in values
                if isinstance(b, int)
            ]
            return int(cell.lut_memory or bool(address)), address
        return 0, []

    def endpoints(self) -> Iterator[tuple[Bit, str]]:
        """Yield every net that a register or an output port reads, with the name of that endpoint."""
        for cell in self.cells:
            if cell.type in WEIGHT:
                continue
            for port, bits in cell.inputs.items():
                if port in ("C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK"):
                    continue
                if (cell.lut_memory and _only_reads(port)) or (cell.shift_register and _reads(port, "Q")):
                    continue  # a path does not end at a read address; it does at a write address
                for bit in bits:
                    if isinstance(bit, int):
                        yield bit, f"{self._register(cell)} {port}"
        for bit in self.outputs:
            yield bit, f"port {self.name(bit)}"

    def _register(self, cell: Cell) -> str:
        if cell.type in FLIP_FLOPS:
            return self.name(cell.outputs["Q"][0])
        return f"{cell.type} {cell.place}"


def synthesized(project: Path) -> Netlist:
    """Return the netlist that :func:`zynq_lstm.hls.synthesis.yosys.synthesize` made of a project."""
    return Netlist(results(project) / "netlist.json")


def check(netlist: Netlist, goal: int = 3) -> NetlistReport:
    """Analyse a netlist, and list its paths of more than ``goal`` levels."""
    level, before, loops = netlist.levels()
    worst: dict[str, tuple[int, Bit]] = {}
    for bit, end in netlist.endpoints():
        if end not in worst or level.get(bit, 0) > worst[end][0]:
            worst[end] = level.get(bit, 0), bit
    long_paths = [
        LutPath(levels, (*_trace(netlist, before, bit), end))
        for end, (levels, bit) in worst.items()
        if levels > goal
    ]
    memories = Counter(re.sub(r"\.memory.*", "", c.place) for c in netlist.cells if c.lut_memory)
    registered: Counter[str] = Counter()
    unregistered = []
    for cell in netlist.cells:
        if cell.block_ram:
            for bit in _data_outputs(cell):
                how = _registers(netlist, cell, bit)
                if how is None:
                    unregistered.append(f"{cell.place} ({netlist.name(bit)})")
                elif how:
                    registered[how] += 1
    return NetlistReport(
        lut_levels=max((levels for levels, _ in worst.values()), default=0),
        levels=dict(sorted(Counter(levels for levels, _ in worst.values()).items())),
        long_paths=sorted(long_paths, key=lambda p: (-p.levels, p.end)),
        latches=[c.place for c in netlist.cells if c.type in LATCHES],
        multiple_drivers=netlist.multiple_drivers(),
        undriven=netlist.undriven(),
        loops=loops,
        lut_memories=dict(sorted(memories.items())),
        unintended_lut_memories=[n for n in memories if not any(part in n for part in LUT_MEMORIES)],
        shift_registers=sum(c.shift_register for c in netlist.cells),
        dsp_unregistered=[
            c.place
            for c in netlist.cells
            if c.type == "DSP48E1" and not (c.parameter("PREG", 1) and c.parameter("MREG", 1))
        ],
        bram_unregistered=unregistered,
        bram_outputs=dict(registered),
    )


def _registers(netlist: Netlist, cell: Cell, bit: Bit) -> str | None:
    """Return the kind of register at an output of a block RAM: "" if it is unused, None if unregistered."""
    sinks = netlist.sinks.get(bit, [])
    if not sinks and bit not in netlist.outputs:
        return ""
    if cell.parameter("DOA_REG") and cell.parameter("DOB_REG"):
        return "block RAM"
    kinds = {_captures(c, port) for c, port in sinks}
    if bit in netlist.outputs or None in kinds:
        return None
    return " or ".join(sorted(str(kind) for kind in kinds))


def _captures(cell: Cell, port: str) -> str | None:
    """Return the kind of register whose data input a port is, or None."""
    if cell.type in FLIP_FLOPS and port == "D":
        return "flip-flop"
    if cell.shift_register and port == "D":
        return "shift register"
    if cell.type == "DSP48E1" and port in ("A", "B", "D") and cell.parameter(f"{port}REG", 1):
        return "DSP48E1"
    return None


def _data_outputs(cell: Cell) -> Iterable[Bit]:
    return [
        b for port, bits in cell.outputs.items() if port.startswith("DO") for b in bits if isinstance(b, int)
    ]


def _trace(netlist: Netlist, before: dict[Bit, Bit | None], bit: Bit | None) -> list[str]:
    """Return the names of the nets from a path's start to ``bit``."""
    nets: list[str] = []
    while bit is not None:
        driver = netlist.drivers.get(bit)
        nets.append(f"{netlist.name(bit)}{f' [{driver.type}]' if driver else ''}")
        bit = before.get(bit)
    return nets[::-1]


def _reads(port: str, output: str) -> bool:
    """Return True if a port of a memory in LUTs, or of a shift register, is ``output``'s read address."""
    if output.startswith("DO"):  # RAM32M, RAM64M: DOA to DOD
        return port == f"ADDR{output[2:]}"
    name = {"DPO": "DPRA", "SPO": "A", "O": "A", "Q": "A"}.get(output)
    return name is not None and re.fullmatch(rf"{name}\d*", port) is not None


def _only_reads(port: str) -> bool:
    """Return True if a port of a memory in LUTs is an address for reads only, unlike ADDRD and A."""
    return port.startswith("DPRA") or (port.startswith("ADDR") and port != "ADDRD")


def _cell(name: str, data: dict[str, Any]) -> Cell:
    ports = data["connections"]
    directions = data["port_directions"]
    return Cell(
        name,
        data["type"],
        data["parameters"],
        {port: bits for port, bits in ports.items() if directions[port] == "input"},
        {port: bits for port, bits in ports.items() if directions[port] == "output"},
    )


def _names(netnames: dict[str, Any]) -> dict[Bit, str]:
    """Return a name for every net: the shortest from the source, or else the shortest of Yosys' own."""
    names: dict[Bit, str] = {}
    for name, data in sorted(
        netnames.items(), key=lambda item: (item[1]["hide_name"], len(item[0]), item[0])
    ):
        for index, bit in enumerate(data["bits"]):
            if isinstance(bit, int) and bit not in names:
                names[bit] = readable(name) + (f"[{index}]" if len(data["bits"]) > 1 else "")
    return names


def readable(name: str) -> str:
    """Return a name of Yosys' without its decoration."""
    name = re.sub(r"^\$(flatten|auto|abc\w*|techmap\d*)(\$\d+)?\\?", "", name)
    return name.replace("\\", "")


def _bits(ports: Iterable[list[Bit]]) -> set[Bit]:
    return {bit for bits in ports for bit in bits if isinstance(bit, int)}
