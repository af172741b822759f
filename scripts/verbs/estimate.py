# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm estimate``: predict cycles, DSPs and block RAMs of a design before any tool has run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.hls.hls4ml.convert import CLOCK_PERIOD
from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import array_options, json_option, part_option, shape_given, shape_options

if TYPE_CHECKING:
    from zynq_lstm.hls.engine.estimate import Estimate
    from zynq_lstm.models.description.spec import NetworkSpec


@click.command(cls=Verb, name="estimate")
@shape_options
@array_options
@part_option()
@click.option(
    "--clock", default=1000 / CLOCK_PERIOD, show_default=True, help="Clock in MHz, for characters per second."
)
@click.option("--table", is_flag=True, help="Print a table of lanes, cycles and resources instead.")
@click.option("--synthesize", is_flag=True, help="With --table: also count LUTs with Yosys; minutes per row.")
@json_option()
def command(
    dsp: int | None,
    lanes: int | None,
    parity: bool,
    part: str,
    clock: float,
    table: bool,
    synthesize: bool,
    json_path: Path | None,
    **shape: Any,
) -> None:
    """Predict an engine's resource use and speed, and whether it fits, on one part and on all others.

    Cycles, DSP48E1 and block RAM are exact, LUTs approximate; 'zynq-lstm synth' counts them. What binds is
    the resource that the next faster engine would exceed. If no engine fits, changes that make one fit are
    named. A network that the RTL can't be built for is refused; for other engines, that is only noted.
    """
    from zynq_lstm.hls.engine.estimate import estimate, fitting_array
    from zynq_lstm.hls.parts import part_name, parts
    from zynq_lstm.models.errors import UserError
    from zynq_lstm.models.integers.limits import ENGINES, reasons, require
    from zynq_lstm.models.store import write_json

    if not 1 <= clock <= 1000:
        raise UserError(f"--clock is {clock:g}; it must be from 1 to 1000 MHz")
    if synthesize and not table:
        raise UserError("--synthesize goes with --table; 'zynq-lstm synth' counts one design")
    spec = shape_given(**shape)
    require("rtl", spec)
    if table:
        from zynq_lstm.sim.campaigns.lane_table import lanes_table, table_rows

        rows = table_rows(spec, part, synthesize)
        click.echo(lanes_table(rows))
    else:
        each = {p: estimate(spec, fitting_array(spec, p, dsp, lanes, parity), p) for p in parts()}
        one = each[part_name(part)]
        rows = [row.to_dict() for row in (one, *(other for other in each.values() if other is not one))]
        rows[0]["refused_by"] = {name: list(reasons(name, spec)) for name in ENGINES}
        _print(spec, one, clock)
        _print_parts(list(each.values()), clock)
    if json_path:
        write_json(json_path, rows)


def _print(spec: NetworkSpec, one: Estimate, clock: float) -> None:
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.hls.engine.feasibility import advice, named
    from zynq_lstm.hls.parts import parts
    from zynq_lstm.models.integers.limits import notes
    from zynq_lstm.scripts.tables import show

    has = parts()[one.part]
    table = Table("", "", show_header=False)
    array = one.array
    chains = f"{array.dsp_depth} in DSPs" + (f", {array.lut_depth} in LUTs" if array.lut_depth else "")
    for name, value in (
        ("network", f"{' + '.join(map(str, one.layers))} units, {one.vocabulary} characters, {one.preset}"),
        ("weights and biases", f"{one.weight_bits / 8 / 1024:.1f} KiB"),
        ("array", f"{array.group_units} units x {array.sums} sums x {array.depth} inputs ({chains})"),
        ("multiply-accumulates per cycle", f"{one.mac_lanes}"),
        ("cycles per character, generate", f"{one.cycles_generate:,}"),
        ("cycles per character, score", f"{one.cycles_score:,}"),
        (f"characters per second at {clock:g} MHz", f"{one.characters_per_second(clock):,.0f}"),
        ("lanes busy with useful work", f"{100 * one.utilisation:.1f} %"),
        ("LUT", f"about {round(one.lut_about, -2):,} of {has.lut:,}"),
        ("DSP48E1", f"{one.dsp} of {has.dsp}"),
        ("block RAM (36 Kb)", f"{one.bram36:g} of {has.bram36}"),
        *((f"  {use}", f"{n:g}") for use, n in one.memories.items()),
        (f"fits {one.part}", "yes" if one.fits else "no"),
        ("what binds", named(one.binds) or "no resource of the part"),
    ):
        table.add_row(name, value)
    console = Console()
    show(table, console)
    if not one.fits:
        console.print(advice(spec, one.part))
    for note in notes(spec):
        console.print(note, soft_wrap=True, markup=False, highlight=False)


def _print_parts(found: list[Estimate], clock: float) -> None:
    """Print the same network on every part."""
    from rich import box
    from rich.table import Column, Table

    from zynq_lstm.hls.engine.feasibility import named
    from zynq_lstm.hls.parts import parts
    from zynq_lstm.scripts.tables import show

    names = ("part", "lanes", "cycles", "char/s", "~LUT", "DSP", "BRAM", "fits", "binds")
    columns = (Column(name, no_wrap=True) for name in names)
    table = Table(*columns, box=box.SIMPLE, padding=(0, 1, 0, 0))
    for one in found:
        has = parts()[one.part]
        table.add_row(
            one.part,
            f"{one.mac_lanes}",
            f"{one.cycles_generate:,}",
            f"{one.characters_per_second(clock):,.0f}",
            f"{100 * one.lut_about / has.lut:.0f} %",
            f"{100 * one.dsp / has.dsp:.0f} %",
            f"{100 * one.bram36 / has.bram36:.0f} %",
            "yes" if one.fits else "no",
            named(one.binds) or "—",
        )
    show(table)
