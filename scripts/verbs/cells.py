# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm cells``: show a recurrent cell: equations, formats, cost, generated code and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import DEFAULT_PRESET, MAX_UNITS, PRESETS
from zynq_lstm.models.errors import UserError, note
from zynq_lstm.scripts.files import PICTURE, Verb, Writes
from zynq_lstm.scripts.options import json_option

if TYPE_CHECKING:
    from zynq_lstm.hls.engine.portrait import Portrait

NEW_NAME = "train-cells"  # of the comparison that this verb was before it had a name of a cell


class CellsVerb(Verb):
    """The verb; without the name of a cell, options of its old meaning run ``train-cells``, with a note."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from zynq_lstm.scripts.verbs.train_cells import command as other

        ours = {option for param in self.params for option in param.opts}
        old = {option for param in other.params for option in param.opts if option.startswith("--")}
        words = {word.partition("=")[0] for word in args}
        named = any(_is_name(word) for word in args)
        if not named and words & (old - ours | {"--plot"}):
            note(f"'zynq-lstm cells' compares no cells any more, 'zynq-lstm {NEW_NAME}' does: this runs that")
            ctx.meta[NEW_NAME] = other.make_context(NEW_NAME, list(args), parent=ctx.parent)
            args = []
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        other = ctx.meta.get(NEW_NAME)
        return other.command.invoke(other) if other else super().invoke(ctx)


def _is_name(word: str) -> bool:
    return word.endswith(catalogue.ENDING) or word in catalogue.names()


@click.command(cls=CellsVerb, name="cells")
@click.argument("name", required=False, metavar="[NAME|FILE]")
@click.option("--preset", type=click.Choice(tuple(PRESETS)), default=DEFAULT_PRESET, show_default=True)
@click.option(
    "--units",
    type=click.IntRange(1, MAX_UNITS),
    help="Units of each of two layers; as many parameters as the LSTM's of 128 units if not given.",
)
@click.option("--cpp", is_flag=True, help="Print the C++ of its layers instead.")
@click.option("--verilog", is_flag=True, help="Print the SystemVerilog of its gates instead.")
@click.option("--plot", type=Writes(PICTURE), help="Draw its signals into this file: SVG, PDF or PNG.")
@json_option()
def command(
    name: str | None,
    preset: str,
    units: int | None,
    cpp: bool,
    verilog: bool,
    plot: Path | None,
    json_path: Path | None,
) -> None:
    """Show a cell of the project by its NAME, or of a FILE *.cell; without one, list the project's.

    Cycles are those of two layers on the array of the LSTM's engine; 'zynq-lstm estimate' takes any shape and
    part. Widths in the SystemVerilog do for the largest weights; those of a network may be narrower.
    """
    from zynq_lstm.hls.engine.portrait import Portrait
    from zynq_lstm.models.store import write_json

    if name is None:
        for option, given in (("--cpp", cpp), ("--verilog", verilog), ("--json", json_path)):
            if given:
                raise UserError(f"{option} needs a cell: {', '.join(catalogue.names())}, or a file *.cell")
        _print_all([Portrait(catalogue.cell(one), preset, units) for one in catalogue.names()])
        return
    if cpp and verilog:
        raise UserError("give --cpp or --verilog, not both")
    shown = Portrait(catalogue.cell(name), preset, units)
    if cpp or verilog:
        click.echo(shown.cpp() if cpp else shown.verilog(), nl=False)
    else:
        _print(shown)
    if plot:
        from zynq_lstm.scripts.cell_picture import draw

        formats = {e.signal: shown.formats.format(e.format).short for e in shown.cell.equations}
        draw(shown.cell, formats, plot)
        if not (cpp or verilog):
            click.echo(f"drawn to {plot}")
    if json_path:
        write_json(json_path, shown.to_dict())


def _print_all(portraits: list[Portrait]) -> None:
    from rich.table import Table

    from zynq_lstm.scripts.tables import show

    table = Table("cell", "", "gates", "state")
    for heading in ("latency", "DSP48E1"):
        table.add_column(heading, justify="right")
    for one in portraits:
        cell = one.cell
        table.add_row(
            cell.name,
            cell.title,
            " ".join(cell.gates),
            " ".join(cell.state),
            _added(one.latency),
            f"{one.dsp}",
        )
    show(table)
    click.echo("latency: cycles from a unit's sums to its h, level by level; DSP48E1: of one gate pipeline")


def _added(numbers: tuple[int, ...]) -> str:
    return " + ".join(map(str, numbers))


def _print(one: Portrait) -> None:
    from rich.markup import escape
    from rich.table import Table

    from zynq_lstm.models.cells.description import LookUp
    from zynq_lstm.models.integers.limits import summary
    from zynq_lstm.scripts.tables import show

    cell, formats = one.cell, one.formats
    click.echo(f"{cell.name}: {cell.title}")
    if cell.source:
        click.echo(cell.source)
    click.echo(
        f"gates {' '.join(cell.gates)}" + (f"; the bias of {cell.opens} starts at 1" if cell.opens else "")
    )
    click.echo(f"kept from step to step: {' '.join(cell.state)}")
    table = Table("signal", "equation", "format", "level", title=f"signals, {one.preset}")
    for equation in cell.equations:
        _, _, right = str(equation).partition(" = ")
        is_table = isinstance(equation, LookUp)
        text = right if is_table else right.partition(": ")[2]
        fmt, level = formats.format(equation.format), cell.levels[equation.signal]
        table.add_row(equation.signal, escape(text), fmt.short, f"{level}")
    show(table)
    table = Table("weight", "shape", "format")
    shapes = {"W": "(inputs, {g})", "U": "({u}, {g})", "b": "({g},)"}
    for name in formats.weights:
        shape = shapes.get(name, "({u},)").format(g=len(cell.gates) * one.units, u=one.units)
        table.add_row(name, shape, formats.format(name).short)
    show(table)
    for pipeline in one.pipelines:
        of = pipeline.level
        click.echo(
            f"level {of.number}: from the sums of {' '.join(of.gates)} to {of.result} in "
            f"{pipeline.latency} cycles, {pipeline.dsp} DSP48E1"
        )
    for gate, signal in cell.recurrent.items():
        click.echo(f"u_{gate} is the product of U with {signal}")
    if one.refused:
        click.echo(f"not for the RTL: {summary(one.refused)}")
        return
    figures = one.to_dict()
    click.echo(
        f"{figures['layers']} layers of {one.units} units, {figures['vocabulary']} characters "
        f"({figures['parameters']:,} parameters), {one.array.lanes} products per cycle:"
    )
    cycles = ", ".join(f"{number:,} in {mode}" for mode, number in one.cycles.items())
    click.echo(f"{cycles} mode, cycles per character")
