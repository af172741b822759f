# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm train-cells``: compare the common recurrent cells."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.models.description.spec import MAX_LAYERS, MAX_UNITS
from zynq_lstm.models.evaluation.bpc import METRIC
from zynq_lstm.models.evaluation.shipped_records import load_record
from zynq_lstm.models.store import write_json
from zynq_lstm.models.texts.corpus import load_corpus
from zynq_lstm.models.training.options import PLAIN_START, start_text
from zynq_lstm.scripts.files import PICTURE, Reads, Verb, Writes
from zynq_lstm.scripts.options import (
    corpus_options,
    hyperparameter,
    json_option,
    reading_options,
    start_options,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = {
    "rnn": "vanilla RNN",
    "gru": "GRU",
    "lstm": "LSTM",
    "peephole": "LSTM with peepholes",
    "coupled": "LSTM, coupled input and forget gates",
}
SHOWN_DISTANCES = (1, 10, 30, 100)


@click.command(cls=Verb, name="train-cells")
@click.option("--measure", is_flag=True, help="Train anew instead of reading a record.")
@click.option(
    "--cell",
    "chosen",
    type=click.Choice(tuple(NAMES)),
    multiple=True,
    help="Cell; may be given more than once; all if not given.",
)
@corpus_options
@reading_options
@hyperparameter("epochs", default=0.5, help="Epochs of every cell.")
@hyperparameter("learning_rate", default=5e-3, help="Highest learning rate, for every cell.")
@click.option("--layers", type=click.IntRange(1, MAX_LAYERS), default=2, show_default=True)
@click.option(
    "--units",
    type=click.IntRange(1, MAX_UNITS),
    default=128,
    show_default=True,
    help="Units of the LSTM whose number of parameters every cell gets.",
)
@hyperparameter("batch")
@start_options
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--record", type=Reads(), help="Record to print; the shipped one if not given.")
@json_option("Write the record there.", record="train-cells")
@click.option("--plot", type=Writes(PICTURE), help="Draw the gradients into this file: SVG, PDF or PNG.")
def command(
    measure: bool,
    chosen: tuple[str, ...],
    corpus: str,
    corpus_file: Path | None,
    as_is: bool,
    fold_rare: int | None,
    record: Path | None,
    json_path: Path | None,
    plot: Path | None,
    **options: Any,
) -> None:
    """Compare cells in float training, with equal numbers of parameters, characters and updates.

    Bits per character are those of briefly trained networks. The gradient is that of one character's loss
    with respect to the state some characters earlier.
    """
    from rich.console import Console

    console = Console()
    if measure:
        text = load_corpus(corpus, corpus_file, as_is=as_is, fold_rare=fold_rare)
        found = _measure(console, chosen or tuple(NAMES), text, options, json_path)
    else:
        found = load_record("train-cells", record)
    _print(console, found)
    if plot:
        draw(found, plot)


def _measure(
    console: Any, chosen: tuple[str, ...], corpus: Any, options: dict[str, Any], json_path: Path | None
) -> dict[str, Any]:
    from zynq_lstm.models.evaluation import comparison
    from zynq_lstm.models.keras import cells
    from zynq_lstm.models.training import bptt
    from zynq_lstm.models.training.options import Start, TrainingOptions

    names = ("epochs", "learning_rate", "batch", "seed")
    how = TrainingOptions(**{name: options[name] for name in names})
    start = Start.chosen(options)
    vocabulary, layers = len(corpus.vocabulary), options["layers"]
    budget = cells.parameters("lstm", layers, options["units"], vocabulary)
    found: dict[str, Any] = {
        "kind": "train-cells",
        "corpus": corpus.record,
        "options": dataclasses.asdict(how),
        "start": dataclasses.asdict(start),
        "layers": layers,
        "metric": METRIC,
        "updates_a_bin": comparison.BIN,
        "cells": {},
    }
    for cell in chosen:
        with console.status(cell) as status:

            def report(p: bptt.Progress, cell: str = cell, status: Any = status) -> None:
                status.update(f"{cell}: {p.step}/{p.total}  BPC {p.bits_per_character:.3f}")

            found["cells"][cell] = comparison.measure(cell, corpus, how, layers, budget, report, start)
        if json_path:  # at once: the next cell takes minutes
            write_json(json_path, found)
    return found


def _print(console: Any, record: Mapping[str, Any]) -> None:
    from rich.table import Table

    from zynq_lstm.scripts.tables import show

    options = record["options"]
    table = Table(
        title=f"{record['corpus']['name']}; {options['epochs']:g} epochs in batches of {options['batch']}, "
        f"learning rate {options['learning_rate']:g}; {record['layers']} layers\n{record['metric']}"
    )
    table.add_column("cell")
    for heading in ("units", "parameters", "MACs", "validation", "test", "rounded", "minutes"):
        table.add_column(heading, justify="right")
    for cell, row in record["cells"].items():
        bits, rounded = row["bits_per_character"], row.get("rounded")
        table.add_row(
            NAMES[cell],
            f"{row['units']}",
            f"{row['parameters']:,}",
            f"{row['macs_per_character']:,}",
            f"{bits['validation']:.4f}",
            f"{bits['test']:.4f}",
            f"{rounded['test']:.4f}" if rounded else "",
            f"{row['minutes']:g}",
        )
    show(table, console)
    console.print("rounded: test BPC of the integers, formats calibrated, no training after it")
    start = record.get("start") or dataclasses.asdict(PLAIN_START)
    console.print(f"start: {start_text(start)}", highlight=False)
    table = Table(title="gradient of a loss with respect to the state d characters before, relative to d = 1")
    table.add_column("cell")
    for heading in (*(f"d = {d}" for d in SHOWN_DISTANCES[1:]), "updates clipped"):
        table.add_column(heading, justify="right")
    for cell, row in record["cells"].items():
        after = row["gradient_by_distance"]["after"]
        bins = row["gradient_norm"]
        table.add_row(
            NAMES[cell],
            *(f"{after[d - 1] / after[0]:.1e}" for d in SHOWN_DISTANCES[1:]),
            f"{100 * sum(b['clipped'] for b in bins) / len(bins):.0f} %",
        )
    show(table, console)


def draw(record: Mapping[str, Any], path: Path) -> None:
    """Plot the gradient norm against distance in time, and the norm in training with its clipping level."""
    from zynq_lstm.scripts.pictures import COLORS, picture

    with picture(path, 2) as (left, right):
        for color, (cell, row) in zip(COLORS, record["cells"].items(), strict=False):
            for when, style in (("before", ":"), ("after", "-")):
                norms = row["gradient_by_distance"][when]
                left.plot(
                    range(1, len(norms) + 1),
                    norms,
                    style,
                    color=color,
                    lw=1.5,
                    label=NAMES[cell] if when == "after" else None,
                )
            bins = row["gradient_norm"]
            updates = [record["updates_a_bin"] * (k + 0.5) for k in range(len(bins))]
            right.plot(updates, [b["median"] for b in bins], color=color, lw=1.2)
            right.plot(updates, [b["largest"] for b in bins], ".", color=color, ms=2.5)
        left.set_yscale("log")
        left.set_xlabel("characters back (dotted: before training)")
        left.set_ylabel("norm of the gradient with respect to the state")
        left.legend(frameon=False, fontsize=8)
        right.set_yscale("log")
        right.axhline(record["options"]["clip"], color="0.4", lw=1, ls="--")
        right.set_xlabel("update (line: median, dots: largest; dashed: where it is clipped)")
        right.set_ylabel("norm of the loss's gradient")
