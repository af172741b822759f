# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm benchmark``: measure how fast each engine computes on this machine."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import click

from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import checkpoint_option, json_option, output_option
from zynq_lstm.sim.engines import frozen, offered, registry

ENGINES = offered("benchmark")


@click.command(cls=Verb, name="benchmark")
@click.option(
    "--engine",
    "engines",
    type=click.Choice(ENGINES),
    multiple=True,
    help="Engine; may be given more than once; all if not given. 'streams' is the reference on 64.",
)
@checkpoint_option
@click.option(
    "--characters",
    type=click.IntRange(1000),
    default=20_000,
    show_default=True,
    help="Number of characters for fast engines; a tenth of it for HLS and RTL.",
)
@click.option(
    "--repeat", type=click.IntRange(1), default=3, show_default=True, help="Runs; the median is printed."
)
@output_option("build/benchmark")
@json_option()
def command(
    engines: tuple[str, ...],
    checkpoint: Path | None,
    characters: int,
    repeat: int,
    output: Path,
    json_path: Path | None,
) -> None:
    """Print characters per second of each engine, and the ratio to the reference on one stream.

    Building is not counted. For the RTL, the time is that of the simulation with its bench and the
    comparison of every signal, without the start of Python. It runs on one core: the figure by processor
    time is for a machine that is otherwise idle.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.models.description.checkpoint import load_quantized
    from zynq_lstm.models.store import write_json
    from zynq_lstm.scripts.tables import show

    loaded = load_quantized(checkpoint)
    frozen(loaded, *(engines or ENGINES))
    console = Console()
    rates: dict[str, float] = {}
    for name in engines or ENGINES:
        with console.status(name):
            rates |= _rates(name, loaded, characters, repeat, output)
    base = rates.get("reference")
    table = Table("engine", "characters/s", *(["ratio"] if base else []))
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}", *([f"{rate / base:.3g}"] if base else []))
    show(table, console)
    if json_path:
        write_json(json_path, {f"{k}_chars_per_s": round(v) for k, v in rates.items()})


def _rates(name: str, checkpoint: Any, characters: int, repeat: int, output: Path) -> dict[str, float]:
    """Return median characters per second; for the RTL also by processor time."""
    import numpy as np

    network = frozen(checkpoint)
    codes = np.random.default_rng(0).integers(0, network.spec.vocabulary, characters)
    engine = registry()[name](checkpoint, network, output / name)
    engine.build()
    if engine.in_folder:
        codes = codes[: characters // 10]
    runs = [engine.seconds(codes) for _ in range(repeat)]
    return {name + clock: statistics.median(len(codes) / run[clock] for run in runs) for clock in runs[0]}
