# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm schedule``: show the schedule of one character as a chart, in the terminal or as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.scripts.files import PICTURE, Verb, Writes
from zynq_lstm.scripts.options import Option, array_options, part_option, shape_given, shape_options

if TYPE_CHECKING:
    from zynq_lstm.hls.engine.chart import Chart


@click.command(cls=Verb, name="schedule")
@shape_options
@array_options
@part_option()
@click.option("--mode", type=click.Choice(["generate", "score"]), default="generate", show_default=True)
@click.option(
    "--plot",
    cls=Option,
    old={"--output": None},
    type=Writes(PICTURE),
    help="Draw the picture into this file: SVG, PDF or PNG.",
)
def command(
    dsp: int | None,
    lanes: int | None,
    parity: bool,
    part: str,
    mode: str,
    plot: Path | None,
    **shape: Any,
) -> None:
    """Show in which cycles the lanes, the gate pipelines and the output layer work on one character."""
    from zynq_lstm.hls.engine.chart import chart, draw
    from zynq_lstm.hls.engine.estimate import fitting_array
    from zynq_lstm.hls.engine.schedule import schedule

    spec = shape_given(**shape)
    shown = chart(spec, schedule(spec, fitting_array(spec, part, dsp, lanes, parity)), mode)
    _print(shown)
    if plot:
        draw(shown, plot)
        click.echo(f"drawn to {plot}")


def _print(shown: Chart) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    width = max(40, console.width - 12)
    scale = shown.cycles / width
    console.print(f"{shown.title}: {shown.cycles:,} cycles per character in steady state")
    for row in shown.rows:
        line = [" "] * width
        style = [""] * width
        for bar in row.bars:
            # A bar that passes the end continues at the beginning: characters follow each other.
            first, last = int(bar.start / scale), max(int(bar.start / scale), int((bar.end + 1) / scale) - 1)
            for x in range(first, last + 1):
                line[x % width] = " "
                style[x % width] = f"on {bar.color}"
            for k, letter in enumerate(bar.label[: last - first]):
                line[(first + k) % width] = letter
                style[(first + k) % width] = f"black on {bar.color}"
        text = Text(f"{row.name:<11} ")
        for letter, s in zip(line, style, strict=True):
            text.append(letter, s)
        console.print(text, no_wrap=True, overflow="crop")
    marks = "".join(f"{round(k * shown.cycles / 8):<{width // 8}}" for k in range(8))
    console.print(f"{'cycle':<11} {marks}", no_wrap=True, overflow="crop")
    console.print(
        f"lanes busy {100 * shown.issued:.1f} % of the cycles, with useful products "
        f"{100 * shown.utilisation:.1f} % of lanes x cycles"
    )
    for wait in shown.waits:
        console.print(f"idle {wait.cycles} cycles from {wait.start} on: {wait.reason}")
    console.print("what is lost of lanes x cycles:")
    for name, lost in shown.losses.items():
        console.print(f"  {100 * lost:4.1f} %  {name}")
