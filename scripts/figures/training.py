# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm figures training``: the shipped networks, and the speed of training."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import click

from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import json_option


@click.command(cls=Verb, name="training", short_help="Bits per character of the shipped networks.")
@click.option("--measure", is_flag=True, help="Training throughput too, beside stock Keras: some minutes.")
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="Rounds of --measure; the median counts.",
)
@click.option(
    "--updates", type=click.IntRange(1), default=20, show_default=True, help="Updates per round of --measure."
)
@click.option("--cells", is_flag=True, help="--measure: the quantized training of every cell as well.")
@click.option(
    "--count-units",
    is_flag=True,
    help="First count the shipped networks' stuck and saturated units anew, and write them into the records.",
)
@json_option()
def training(
    measure: bool, rounds: int, updates: int, cells: bool, count_units: bool, json_path: Path | None
) -> None:
    """Print bits per character of the networks whose training records are shipped, and their stuck units.

    Validation comes first: networks are chosen by it, and the test split is for the chosen network. 'Above
    float' is only for networks of equally long training: from the same base, with the same number of
    updates; or from the start, with as many updates as both together. Stuck and saturated units are given by
    layer, the first layer's first (docs/training.md, Stuck units); networks whose weights are not shipped
    have none.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.models.description.checkpoint import shipped_files
    from zynq_lstm.models.description.spec import DEFAULT_PRESET
    from zynq_lstm.models.evaluation import shipped_records
    from zynq_lstm.models.evaluation.memory import by_layer
    from zynq_lstm.models.evaluation.shipped_records import part_figures, training_figures, training_records
    from zynq_lstm.models.store import write_json
    from zynq_lstm.models.texts.corpus import HELD_OUT, load_corpus
    from zynq_lstm.models.training import throughput
    from zynq_lstm.scripts.tables import show

    console = Console()
    for path in shipped_files() if count_units else ():
        with console.status(f"{path.stem}: counting units"):
            shipped_records.count_units(path, load_corpus(path.stem.partition("-")[0]))
    figures: dict[str, Any] = training_figures(training_records())
    table = Table("corpus", "network", pad_edge=False)
    for heading in ("validation BPC", "above float", "test BPC", "above float", "min"):
        table.add_column(heading, justify="right")
    units = Table("corpus", "network", title="units by layer", pad_edge=False)
    for heading in ("units", "stuck", "saturated"):
        units.add_column(heading, justify="right", no_wrap=True)
    for corpus, networks in figures.items():
        if not isinstance(networks, dict):
            continue
        for name, row in networks.items():
            table.add_row(
                corpus,
                name,
                *(text for part in HELD_OUT for text in part_figures(row, part)),
                f"{row['minutes']:g}",
            )
            if "stuck" in row:
                units.add_row(corpus, name, *(by_layer(row[key]) for key in ("units", "stuck", "saturated")))
    show(table, console)
    show(units, console)
    if "minutes" in figures:
        console.print(f"zynq-lstm train, all stages: {figures['minutes']:g} minutes")
    if measure:
        with console.status("training throughput"):
            rates = throughput.measure(DEFAULT_PRESET, rounds, updates)
        for kind, values in rates.items():
            console.print(f"{kind}: {statistics.median(values):,.0f} characters/s", highlight=False)
        figures["throughput_ratio"] = {
            kind: round(ratio, 3) for kind, ratio in throughput.ratios(rates).items()
        }
        for kind, ratio in figures["throughput_ratio"].items():
            console.print(f"{kind} / the faster stock Keras: {ratio:.2f}", highlight=False)
    if measure and cells:
        with console.status("training throughput of every cell"):
            rates = throughput.measure_cells(DEFAULT_PRESET, rounds, updates)
        figures["throughput_of_cells"] = {
            cell: round(ratio, 3) for cell, ratio in throughput.ratios_of_cells(rates).items()
        }
        for cell, ratio in figures["throughput_of_cells"].items():
            console.print(
                f"{cell}: {ratio:.2f} of the LSTM's multiply-accumulates per second", highlight=False
            )
    if json_path:
        write_json(json_path, figures)
