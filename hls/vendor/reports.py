# SPDX-License-Identifier: Apache-2.0
"""Reads numbers from Vivado's and Vitis HLS' reports. A misplaced value is an error, never a guess.

Layouts: AMD UG906 (utilization, timing summary, power) and UG1399 (C synthesis, C/RTL co-simulation).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from zynq_lstm.models.errors import UserError

#: Rows of Vivado's utilization report, by our names (:class:`zynq_lstm.hls.parts.Part`).
UTILIZATION = {"lut": "Slice LUTs", "ff": "Slice Registers", "dsp": "DSPs", "bram36": "Block RAM Tile"}
#: Elements of Vitis HLS' report; a BRAM_18K is half a block RAM.
HLS_RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM_18K"}


@dataclass(frozen=True)
class Timing:
    """Slack of the worst setup path and of the worst hold path, in ns; negative if timing is not met."""

    setup_slack: float
    hold_slack: float
    failing: int  # failing endpoints of setup and hold together

    @property
    def met(self) -> bool:
        return self.failing == 0 and self.setup_slack >= 0 and self.hold_slack >= 0


@dataclass(frozen=True)
class HlsSynthesis:
    """Vitis HLS' estimates of its RTL, before Vivado; periods in ns, latency and interval in cycles."""

    target_period: float
    estimated_period: float
    latency: tuple[int, int]  # best and worst, of a character, from input to logits
    interval: tuple[int, int]  # least and most, between characters
    resources: dict[str, float]


@dataclass(frozen=True)
class Cosimulation:
    """Cycles measured in the simulation of Vitis HLS' RTL: minimum, average, maximum."""

    latency: tuple[int, int, int]
    interval: tuple[int, int, int]


def utilization(path: Path) -> dict[str, float]:
    """Read LUTs, flip-flops, DSPs and block RAMs of 36 Kb from ``report_utilization``."""
    rows: dict[str, set[str]] = {}
    column = None
    for line in _lines(path):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] == "Site Type":
            column = cells.index("Used") if "Used" in cells else None
        elif column is not None and line.startswith("|") and len(cells) > column:
            # An asterisk points to a footnote.
            rows.setdefault(cells[0].rstrip("*").strip(), set()).add(cells[column])
    found = {}
    for name, row in UTILIZATION.items():
        values = rows.get(row, set())
        if len(values) != 1:  # a row in two tables has the same value in both
            raise _wrong(path, f"a row '{row}' with one value, not {sorted(values) or 'none'}")
        found[name] = _number(path, row, values.pop())
    return found


def timing(path: Path) -> Timing:
    """Read the worst slacks from ``report_timing_summary``; a design without timed paths is an error."""
    lines = _lines(path)
    for k, line in enumerate(lines):
        names = re.split(r"\s{2,}", line.strip())
        if names[0] == "WNS(ns)" and k + 2 < len(lines):
            values = dict(zip(names, lines[k + 2].split(), strict=False))
            break
    else:
        raise _wrong(path, "the table that begins with WNS(ns)")
    numbers = [
        _number(path, name, values.get(name, "nothing"))
        for name in ("WNS(ns)", "WHS(ns)", "TNS Failing Endpoints", "THS Failing Endpoints")
    ]
    return Timing(numbers[0], numbers[1], int(numbers[2] + numbers[3]))


def power(path: Path) -> dict[str, float]:
    """Read watts from ``report_power``: total, dynamic, static; Vivado's estimate for an assumed activity."""
    rows: dict[str, str] = {}
    for line in _lines(path):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 2:
            rows.setdefault(cells[0], cells[1])
    wanted = {"total": "Total On-Chip Power (W)", "dynamic": "Dynamic (W)", "static": "Device Static (W)"}
    return {
        name: _number(path, row, rows.get(row, "nothing").removeprefix("<")) for name, row in wanted.items()
    }


def hls_synthesis(path: Path) -> HlsSynthesis:
    """Read ``TOP_csynth.xml``, which ``csynth_design`` writes."""
    try:
        root = ElementTree.fromstring("\n".join(_lines(path)))
    except ElementTree.ParseError as error:
        raise _wrong(path, f"XML ({error})") from None

    def number(where: str) -> float:
        text = (root.findtext(where) or "nothing").strip()
        return _number(path, where, text)

    overall = "PerformanceEstimates/SummaryOfOverallLatency"
    best, worst, least, most = (
        int(number(f"{overall}/{name}"))
        for name in ("Best-caseLatency", "Worst-caseLatency", "Interval-min", "Interval-max")
    )
    resources = {name: number(f"AreaEstimates/Resources/{row}") for name, row in HLS_RESOURCES.items()}
    resources["bram36"] /= 2
    return HlsSynthesis(
        number("UserAssignments/TargetClockPeriod"),
        number("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"),
        (best, worst),
        (least, most),
        resources,
    )


def cosimulation(path: Path) -> Cosimulation:
    """Read ``TOP_cosim.rpt``, which ``cosim_design`` writes.

    Raises:
        UserError: also if the simulation did not pass.
    """
    for line in _lines(path):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] == "Verilog" and len(cells) >= 8:
            if cells[1] != "Pass":
                raise UserError(f"{path}: the simulation of the RTL ended with '{cells[1]}', not 'Pass'")
            low, mean, high, least, average, most = (
                int(_number(path, "cycles of Verilog", c)) for c in cells[2:8]
            )
            return Cosimulation((low, mean, high), (least, average, most))
    raise _wrong(path, "a row 'Verilog' with status, latency and interval")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such report; see the tool's log") from None
    except UnicodeDecodeError:
        raise _wrong(path, "text") from None


def _number(path: Path, what: str, text: str) -> float:
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        raise _wrong(path, f"a number for {what}, not '{text}'")
    return float(text)


def _wrong(path: Path, wanted: str) -> UserError:
    return UserError(f"{path}: expected {wanted}; is this the report of another tool or version?")
