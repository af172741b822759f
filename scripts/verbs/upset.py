# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm upset``: flip bits in state and weights, and measure how long the output differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.choice import TEMPERATURE
from zynq_lstm.scripts.files import PICTURE, Verb, Writes
from zynq_lstm.scripts.options import checkpoint_option, json_option, output_option
from zynq_lstm.sim.simulation.simulator import SIMULATORS


@click.command(cls=Verb, name="upset")
@checkpoint_option
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="Number of flips of each bit of state.",
)
@click.option(
    "--weight-trials",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Number of flips of each bit of weights.",
)
@click.option(
    "--windows",
    type=click.IntRange(2),
    default=16,
    show_default=True,
    help="Number of places in the held-out text.",
)
@click.option(
    "--horizon",
    type=click.IntRange(2),
    default=500,
    show_default=True,
    help="Number of characters followed after a flip.",
)
@click.option(
    "--temperature",
    default=1.0,
    show_default=True,
    help=f"Temperature of the text that the network writes, below {1 << TEMPERATURE.integer}.",
)
@click.option(
    "--rtl",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Number of flips of each signal of each layer in the RTL of a small network, to compare.",
)
@click.option(
    "--simulator",
    type=click.Choice(SIMULATORS),
    default=SIMULATORS[0],
    show_default=True,
    help="Simulator of that RTL.",
)
@click.option("--seed", default=1, show_default=True)
@output_option("build/upset", "Folder of the RTL.")
@json_option("Write the record there, too.", record="upsets")
@click.option("--plot", type=Writes(PICTURE), help="Draw the picture into this file: SVG, PDF or PNG.")
@click.option("--shipped", "from_record", is_flag=True, help="Show the shipped record; measure nothing.")
def command(
    json_path: Path | None,
    plot: Path | None,
    from_record: bool,
    **options: Any,
) -> None:
    """Flip bits of h, c, accumulators and weights, and measure how long the output differs.

    Results are for scoring and generation, by signal and bit. Exit code 1 if the RTL and the reference
    disagree on the effect of a flip.
    """
    from zynq_lstm.models.store import write_json
    from zynq_lstm.sim.campaigns import records, upsets

    if from_record:
        record = records.read(upsets.KIND)
        if record is None:
            raise UserError("there is no shipped record")
    else:
        record = _measure(**options)
    if json_path:
        write_json(json_path, record)
    if plot:
        draw(record, plot)
    click.echo(upsets.markdown(record))


def _measure(checkpoint: Path | None, **options: Any) -> dict[str, Any]:
    """Measure and return the record."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from zynq_lstm.models.description.checkpoint import load_quantized
    from zynq_lstm.models.integers.freeze import freeze
    from zynq_lstm.sim.campaigns.upsets.campaign import measure

    with Progress(TextColumn("signals"), BarColumn(), TimeElapsedColumn(), transient=True) as bar:
        task = bar.add_task("", total=None)
        return measure(
            freeze(load_quantized(checkpoint)),
            lambda done, total: bar.update(task, completed=done, total=total),
            **options,
        )


def draw(record: dict[str, Any], path: Path) -> None:
    """Draw, by bit, the share of flips that change the text, and the number of characters that change."""
    from zynq_lstm.scripts.pictures import COLORS, picture

    rows = record["state"]["generate"]
    with picture(path, 2) as (left, right):
        for color, signal in zip(COLORS, dict.fromkeys(row["signal"] for row in rows), strict=False):
            for layer in sorted({row["layer"] for row in rows}):
                mine = [row for row in rows if (row["signal"], row["layer"]) == (signal, layer)]
                style = {"color": color, "ls": "-" if layer == 0 else "--", "marker": "o", "ms": 3}
                bits = [row["bit"] for row in mine]
                shares = [100 * row["other_choice"] / row["flips"] for row in mine]
                left.plot(bits, shares, **style)
                lost = [row["choices_mean"] for row in mine]
                right.plot(bits, lost, label=f"{signal}, layer {layer}", **style)
        left.set_ylabel("flips that change what is written, %")
        right.set_ylabel(f"other characters within {record['horizon']}")
        for one in (left, right):
            one.set_xlabel("bit (0: least significant)")
            one.xaxis.get_major_locator().set_params(integer=True)
        right.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
