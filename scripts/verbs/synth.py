# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm synth``: count a network's resource use on a part, with Yosys, Vivado or Vitis HLS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.hls.hls4ml.convert import CLOCK_PERIOD
from zynq_lstm.hls.vendor.projects import CHARACTERS, MIN_CHARACTERS
from zynq_lstm.scripts.files import Folder, Verb
from zynq_lstm.scripts.options import (
    array_options,
    checkpoint_option,
    clock_option,
    json_option,
    part_option,
    period,
    reuse_factor_option,
)
from zynq_lstm.sim.engines import frozen

if TYPE_CHECKING:
    from zynq_lstm.models.integers.network import IntegerNetwork

TOOLS = ("yosys", "vivado", "vitis-hls")
PERIOD = 5.0  # ns: 200 MHz, which docs/architecture.md calls plausible
#: Options and the tools that have them.
ONLY = {
    "dsp": ("yosys", "vivado"),
    "lanes": ("yosys", "vivado"),
    "parity": ("yosys", "vivado"),
    "clock": ("vivado", "vitis-hls"),
    "reuse_factor": ("vitis-hls",),
    "characters": ("vitis-hls",),
    "route": ("vivado",),
}


@click.command(cls=Verb, name="synth")
@click.option("--tool", type=click.Choice(TOOLS, case_sensitive=False), default=TOOLS[0], show_default=True)
@checkpoint_option
@part_option()
@array_options
@clock_option(f"In MHz; Vivado {1000 / PERIOD:g}, Vitis HLS {1000 / CLOCK_PERIOD:g} if not given.")
@click.option("--route/--no-route", default=None, help="Vivado: also place and route; the default.")
@reuse_factor_option("Vitis HLS: clock cycles of each matrix product.")
@click.option(
    "--characters",
    type=click.IntRange(MIN_CHARACTERS),
    help=f"Vitis HLS: number of characters that its simulations compare; {CHARACTERS} if not given.",
)
@click.option(
    "--output",
    type=Folder(lambda given: Path("build", "synth", given["tool"])),
    help="Folder for project, netlist, reports and log; build/synth/TOOL if not given.",
)
@json_option("Write the report there, too.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    tool: str,
    checkpoint: Path | None,
    part: str,
    output: Path | None,
    json_path: Path | None,
    **options: Any,
) -> None:
    """Write the project of a network, synthesize it, and print its resource use on the part.

    yosys is installed with this command, and its netlist is checked ('zynq-lstm figures engine --help').
    vivado places and routes the RTL and reports timing and power. vitis-hls simulates the HLS C++ and its RTL
    against the reference, and exports an IP. Without the tool, the project is still written.

    Exit code 1 if the netlist has a fault or the clock is too fast.
    """
    from zynq_lstm.models.description.checkpoint import load_quantized
    from zynq_lstm.models.errors import UserError
    from zynq_lstm.models.store import claim, write_json

    options["parity"] = options["parity"] or None
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if tool not in ONLY[name]:
            raise UserError(
                f"--{name.replace('_', '-')} is for --tool {' and '.join(ONLY[name])}, not {tool}"
            )
    if "clock" in given:
        given["clock_period"] = period(given.pop("clock"))
    loaded = load_quantized(checkpoint)
    network = frozen(loaded, "hls" if tool == "vitis-hls" else "rtl")
    folder = output or Path("build", "synth", tool)
    claim(folder)
    if tool == "yosys":
        report, good = _yosys(network, part, folder, given)
    elif tool == "vivado":
        report, good = _vivado(network, part, folder, given)
    else:
        from zynq_lstm.hls.vendor.projects import write_vitis

        write_vitis(loaded, part, folder, given)
        report, good = _vitis_hls(folder)
    if json_path:
        write_json(json_path, report)
    if not good:
        ctx.exit(1)


def _yosys(
    network: IntegerNetwork, part: str, folder: Path, given: dict[str, Any]
) -> tuple[dict[str, Any], bool]:
    from rich.console import Console

    from zynq_lstm.hls.synthesis.netlist import check, summary, synthesized
    from zynq_lstm.hls.synthesis.yosys import synthesize

    project = _write_rtl(network, part, folder, given)
    with Console().status("Yosys; some minutes for a full engine"):
        report = synthesize(project, part)
    _print(report["tool"], report["part"], report)
    found = check(synthesized(project))
    for line in summary(found):
        click.echo(line)
    return report, not found.faults


def _vivado(
    network: IntegerNetwork, part: str, folder: Path, given: dict[str, Any]
) -> tuple[dict[str, Any], bool]:
    from rich.console import Console

    from zynq_lstm.hls.engine.project import TOP
    from zynq_lstm.hls.parts import part_name
    from zynq_lstm.hls.vendor import projects, reports
    from zynq_lstm.hls.vendor.run import run

    period, route = given.pop("clock_period", PERIOD), given.pop("route", True)
    project = _write_rtl(network, part, folder, given)
    script = projects.add_vivado(project, TOP, part, period, route)
    with Console().status("Vivado; some minutes"):
        run("vivado", script)
    made = project / projects.VIVADO_REPORTS
    used = reports.utilization(made / "utilization.rpt")
    timing, power = reports.timing(made / "timing.rpt"), reports.power(made / "power.rpt")
    _print("Vivado, routed" if route else "Vivado, synthesized", part_name(part), used)
    state = "met" if timing.met else f"NOT met: {timing.failing} endpoints"
    click.echo(
        f"clock {period:g} ns: {state}; slack {timing.setup_slack:g} ns (setup), "
        f"{timing.hold_slack:g} ns (hold)"
    )
    click.echo(
        f"power {power['total']:g} W, {power['static']:g} W of them static; an estimate, see its report"
    )
    report = {"tool": "Vivado", "part": part, "routed": route, "clock_period": period, **used}
    report |= {"setup_slack": timing.setup_slack, "hold_slack": timing.hold_slack, "power": power}
    return report, timing.met


def _vitis_hls(project: Path) -> tuple[dict[str, Any], bool]:
    from rich.console import Console

    from zynq_lstm.hls.hls4ml.convert import PROJECT
    from zynq_lstm.hls.parts import part_name
    from zynq_lstm.hls.vendor import projects, reports
    from zynq_lstm.hls.vendor.run import run

    with Console().status("Vitis HLS; half an hour or more"):
        run("vitis-hls", project / projects.VITIS_SCRIPT)
    solution = project / "hls" / "solution1"
    found = reports.hls_synthesis(solution / "syn" / "report" / f"{PROJECT}_csynth.xml")
    measured = reports.cosimulation(solution / "sim" / "report" / f"{PROJECT}_cosim.rpt")
    part = _setting(project, "part")
    _print("Vitis HLS, an estimate", part_name(part), found.resources)
    good = found.estimated_period <= found.target_period
    click.echo(f"clock {found.target_period:g} ns: estimated {found.estimated_period:g} ns")
    click.echo(
        f"a character every {measured.interval[1]:,} cycles, latency {measured.latency[1]:,} (RTL simulation)"
    )
    click.echo("csim and cosim: every logit is the reference's")
    report = {"tool": "Vitis HLS", "part": part, **found.resources}
    report |= {"clock_period": found.target_period, "estimated_period": found.estimated_period}
    report |= {"latency_cycles": measured.latency, "interval_cycles": measured.interval}
    return report, good


def _setting(project: Path, name: str) -> str:
    lines = (project / "settings.tcl").read_text(encoding="utf-8").splitlines()
    return next(line.split(" ", 2)[2] for line in lines if line.startswith(f"set {name} "))


def _write_rtl(network: IntegerNetwork, part: str, folder: Path, limits: dict[str, Any]) -> Path:
    from zynq_lstm.hls.engine.design import Design
    from zynq_lstm.hls.engine.estimate import fitting_array
    from zynq_lstm.hls.engine.feasibility import misfit
    from zynq_lstm.hls.parts import part_name
    from zynq_lstm.sim.simulation.rtl import write_project

    device = part_name(part)
    array = fitting_array(network.spec, device, **limits)
    if reason := misfit(network.spec, array, device):
        click.echo(f"this will not fit the {device}: {reason}", err=True)
    write_project(Design(network, array), folder / "rtl")
    return folder / "rtl"


def _print(title: str, part: str, used: dict[str, Any]) -> None:
    from rich.table import Table

    from zynq_lstm.hls.parts import parts
    from zynq_lstm.scripts.tables import show

    table = Table("", "used", f"{part} has", "", title=title)
    for name, has in parts()[part].resources().items():
        table.add_row(name, f"{used[name]:g}", f"{has:,}", f"{100 * used[name] / has:.0f} %")
    show(table)
