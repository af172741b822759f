# SPDX-License-Identifier: Apache-2.0
"""Synthesis of an RTL project for 7-series FPGAs with Yosys, and its resource use."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zynq_lstm.hls.engine.project import PROJECT_FILE
from zynq_lstm.hls.parts import DEFAULT_PART, part_name, parts
from zynq_lstm.models import processes
from zynq_lstm.models.errors import UserError, first_error, require_package
from zynq_lstm.models.store import if_full, write_json

# Cells of a 7-series netlist with the LUTs that each uses (AMD UG474, tables of the SLICEM's memory and shift
# register modes), and cells that use one flip-flop each.
LUTS = {f"LUT{k}": 1 for k in range(1, 7)} | {
    "INV": 1,
    "SRL16E": 1,
    "SRLC32E": 1,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
}
FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE")

#: A Yosys command, as text or as its words.
Command = str | tuple[str, ...]


ALU_OPERANDS = Path(__file__).parent / "alu_operands.v"
WIDTH_PASSES = 3  # runs of wreduce before DSP48E1s are mapped


@dataclass(frozen=True)
class Resources:
    """Resource use of a netlist; block RAM in units of 36 Kb."""

    part: str
    tool: str
    lut: int
    ff: int
    dsp: int
    bram36: float
    fits: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def results(project: Path) -> Path:
    """Return the folder into which :func:`synthesize` writes a project's netlist."""
    return project.with_name(f"{project.name}-synthesis")


def cell_models() -> Path:
    """Return the file with Yosys' simulation models of 7-series cells."""
    return require_package("pyosys") / "share" / "xilinx" / "cells_sim.v"


def synthesize(project: Path, part: str = DEFAULT_PART) -> dict[str, Any]:
    """Synthesize an RTL project, and return its :class:`Resources` as a dictionary.

    Netlist (netlist.json, netlist.v), cell counts, report and Yosys' log are written to :func:`results`. A
    full engine takes minutes.

    Raises:
        UserError: for an unknown part, or if Yosys refuses the sources (naming its log). It also refuses nets
            with several drivers or none, and combinational loops.
    """
    part = part_name(part)
    project = project.resolve()
    folder = results(project)
    folder.mkdir(parents=True, exist_ok=True)
    # Synthesis would only warn of these faults, and go on.
    check = [
        read_verilog(project),
        f"hierarchy -check -top {_top(project)}",
        "proc",
        "flatten",
        "check -assert",
    ]
    run_yosys(check, project, folder / "check.log")
    script: list[Command] = [
        *_script(project),
        ("tee", "-q", "-o", f"{folder}/cells.json", "stat", "-json"),
        ("write_json", f"{folder}/netlist.json"),
        ("write_verilog", "-noattr", f"{folder}/netlist.v"),
    ]
    run_yosys(script, project, folder / "yosys.log")
    resources = count(folder / "cells.json", part)
    write_json(folder / "report.json", resources.to_dict())
    return resources.to_dict()


def _top(project: Path) -> str:
    return str(json.loads((project / PROJECT_FILE).read_text(encoding="utf-8"))["top"])


def read_verilog(project: Path, *flags: str) -> str:
    """Return Yosys' command that reads a project's sources; modules wait until their parameters are known."""
    files = sorted(f.name for f in project.glob("*.sv"))
    return " ".join(["read_verilog -sv -defer", *flags, *files])


def _script(project: Path, end: str = "") -> list[Command]:
    """Return the commands for synthesis to a netlist, or up to a label of synth_xilinx."""
    synth = f"synth_xilinx -family xc7 -top {_top(project)} -flatten -noiopad -abc9 -run"
    return [
        read_verilog(project),
        # Delay of a wire in LUT mapping, in ps. With Yosys' default of 300, four LUTs are faster than a path
        # from a block RAM, and LUTs are shared until they no longer are; with 1000, levels count.
        "scratchpad -set synth_xilinx.abc9.W 1000",
        f"{synth} begin:map_dsp",
        # One pass of wreduce leaves registers that hold a sign bit twice. If such a register becomes the P of
        # a DSP48E1, its second bit has no driver (Yosys 0.70) and is 0, whatever the sign. The number of
        # passes needed depends on the order of cells, and so on their names; the check below finds too few.
        *WIDTH_PASSES * ("wreduce",),
        f"{synth} map_dsp:coarse",
        # Check for such bits one by one; later commands would turn them into constants.
        *("design -push-copy", "simplemap", "opt_clean", "check -assert", "design -pop"),
        f"{synth} coarse:map_memory",
        *_exchanged_operands(),
        f"{synth} map_memory:{end}",
    ]


def _exchanged_operands() -> list[Command]:
    """Return commands that make the operand without a multiplexer the first operand of an adder.

    Yosys orders operands by a hash of their names. The first operand also drives the carry chain's data
    input, where a multiplexer needs its own LUT; a multiplexer before the second operand is part of the LUT
    that adds. Without these commands the resource use of a design would depend on its signals' names.
    """
    from_mux = "t:$mux %co1:+[Y] w:* %i %co1:+[{}] t:$alu %i"
    return [
        f"select -set exchanged {from_mux.format('A')} {from_mux.format('B')} %d",
        ("techmap", "-max_iter", "1", "-map", str(ALU_OPERANDS), "@exchanged"),
    ]


def run_yosys(script: Sequence[Command], project: Path, log: Path) -> None:
    """Run Yosys commands in a project's folder.

    Args:
        script: commands; a command that names a file in another folder must be given as its words, since
            Yosys splits text at blanks.

    Raises:
        UserError: if Yosys refuses a command; the message names the log.
    """
    with log.open("w", encoding="utf-8") as output:
        # In its own process: Yosys logs to the process' standard output, and never frees all of its memory.
        done = processes.run([sys.executable, "-c", _RUN, json.dumps(script)], cwd=project, output=output)
    if done.returncode:
        raise UserError(f"Yosys refuses {project}{if_full(log.parent)}; see {log}: {first_error(log)}")


def count_blocks(project: Path, folder: Path, part: str = DEFAULT_PART) -> Resources:
    """Count DSP48E1s and block RAMs only: synthesize until these are settled, in a tenth of the time.

    LUTs and flip-flops of the result have no meaning.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script: list[Command] = [
        *_script(project.resolve(), "map_ffram"),
        ("tee", "-q", "-o", f"{folder.resolve()}/cells.json", "stat", "-json"),
    ]
    run_yosys(script, project, folder / "yosys.log")
    return count(folder / "cells.json", part)


#: Yosys starts ABC through a shell, which interprets some characters of a path; so ABC gets a plain name.
_RUN = """
import contextlib, json, os, re, sys, tempfile
import pyosys
from pyosys import libyosys
design = libyosys.Design()
abc = os.path.join(os.path.dirname(os.path.abspath(pyosys.__file__)), "yosys-abc")
with contextlib.ExitStack() as stack:
    if not re.fullmatch("[A-Za-z0-9_./+-]+", abc):
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))
        os.symlink(abc, f"{folder}/yosys-abc")
        for name in ("abc.exe", "abc9.exe"):
            libyosys.run_pass(f"scratchpad -set {name} {folder}/yosys-abc", design)
    for command in json.loads(sys.argv[1]):
        if isinstance(command, str):
            libyosys.run_pass(command, design)
        else:
            libyosys.Pass.call(design, command)
"""


def count(cells_file: Path, part: str = DEFAULT_PART) -> Resources:
    """Return the resources in a file of Yosys' statistics."""
    data = json.loads(cells_file.read_text(encoding="utf-8"))
    cells = data["design"]["num_cells_by_type"]
    used = {
        "lut": sum(cells.get(name, 0) * weight for name, weight in LUTS.items()),
        "ff": sum(cells.get(name, 0) for name in FLIP_FLOPS),
        "dsp": cells.get("DSP48E1", 0),
        "bram36": cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0) / 2,
    }
    unknown = [c for c in cells if c.startswith("RAM") and c not in LUTS and not c.startswith("RAMB")]
    if unknown:
        raise UserError(f"{cells_file}: memory cell {unknown[0]} is not in the table of LUT costs")
    fits = not parts()[part].exceeded(used)
    return Resources(part, data["creator"].split(" (")[0], **used, fits=fits)
