# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm benchmark``: how fast each engine computes on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from scripts.files import Verb
from scripts.options import checkpoint_option, json_option, output_option

ENGINES = ("reference", "streams", "keras", "hls", "rtl")


@click.command(cls=Verb, name="benchmark")
@click.option(
    "--engine",
    "engines",
    type=click.Choice(ENGINES),
    multiple=True,
    help="Which one, may be given more than once; all if not given. 'streams' is the reference on 64.",
)
@checkpoint_option
@click.option(
    "--characters",
    type=click.IntRange(1000),
    default=20_000,
    show_default=True,
    help="For the fast ones; a tenth for HLS and RTL.",
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
    """Print characters a second of each engine, and the ratio to the reference on one stream.

    Building is not counted; for the RTL the simulation is, with its bench and the comparison of every
    signal, without the start of Python. It runs on one core: the figure by processor time says what that core
    does if the machine has nothing else to do.
    """
    from rich.console import Console
    from rich.table import Table

    from models.checkpoint import load_quantized
    from models.store import write_json
    from scripts.engines import frozen
    from scripts.tables import show

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
    """Median characters a second; for the RTL also by processor time."""
    import numpy as np

    from models.freeze import freeze
    from sim.reference import Reference

    network = freeze(checkpoint)
    codes = np.random.default_rng(0).integers(0, network.spec.vocabulary, characters)
    if name == "reference":
        return {name: _median(lambda: Reference(network).run(codes), characters, repeat)}
    if name == "streams":
        many = codes[: characters // 64 * 64].reshape(64, -1).repeat(8, axis=1)
        return {name: _median(lambda: Reference(network, 64).run(many), many.size, repeat)}

    from hls import simulate
    from hls.convert import compile_model, convert
    from models.quantized import quantized_model, trace
    from sim.rtl import Sequence

    model = quantized_model(checkpoint)
    if name == "keras":
        return {name: _median(lambda: trace(model, codes), characters, repeat)}
    few = codes[: characters // 10]
    graph = convert(model, output / name, backend="OpenRTL" if name == "rtl" else "Vitis")
    compile_model(graph)
    if name == "hls":
        return {name: _median(lambda: simulate.run(graph, few), len(few), repeat)}
    reports = [graph.rtl.verify([Sequence(few)]) for _ in range(repeat)]
    clocks = {name: "seconds", f"{name}_processor": "processor_seconds"}
    return {key: statistics.median(len(few) / x[clock] for x in reports) for key, clock in clocks.items()}


def _median(run: Callable[[], object], characters: int, repeat: int) -> float:
    rates = []
    for _ in range(repeat):
        started = time.perf_counter()
        run()
        rates.append(characters / (time.perf_counter() - started))
    return statistics.median(rates)
