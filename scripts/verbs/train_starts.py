# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm train-starts``: compare the first updates of training from two starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.models.description.spec import MAX_LAYERS, MAX_UNITS
from zynq_lstm.models.evaluation.memory import CHARACTERS, METHOD, by_layer
from zynq_lstm.models.evaluation.shipped_records import load_record
from zynq_lstm.models.store import write_json
from zynq_lstm.models.texts.corpus import load_corpus
from zynq_lstm.models.training.options import start_text
from zynq_lstm.scripts.files import PICTURE, Reads, Verb, Writes
from zynq_lstm.scripts.options import (
    cell_option,
    cells_of,
    corpus_options,
    hyperparameter,
    json_option,
    reading_options,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "train-starts"


@click.command(cls=Verb, name=KIND)
@click.option("--measure", is_flag=True, help="Train anew instead of reading a record: some minutes.")
@corpus_options
@reading_options
@click.option(
    "--updates",
    type=click.IntRange(1, 100_000),
    default=500,
    show_default=True,
    help="Updates from each start, the first ones of a training of --epochs.",
)
@click.option("--layers", type=click.IntRange(1, MAX_LAYERS), default=2, show_default=True)
@click.option("--units", type=click.IntRange(1, MAX_UNITS), default=128, show_default=True)
@cell_option
@click.option(
    "--characters",
    type=click.IntRange(4),
    default=CHARACTERS,
    show_default=True,
    help="Characters of the validation split over which units are counted.",
)
@hyperparameter("epochs")
@hyperparameter("batch")
@hyperparameter("steps")
@hyperparameter("learning_rate", help="Highest learning rate.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--record", type=Reads(), help="Record to print; the shipped one if not given.")
@json_option("Write the record there.", record=KIND)
@click.option("--plot", type=Writes(PICTURE), help="Draw it into this file: SVG, PDF or PNG.")
def command(
    measure: bool,
    corpus: str,
    corpus_file: Path | None,
    as_is: bool,
    fold_rare: int | None,
    record: Path | None,
    json_path: Path | None,
    plot: Path | None,
    **options: Any,
) -> None:
    """Compare the first updates from a zero output bias (before) and from the start of today (now).

    Shown are stuck units by layer, and how far the hidden units do the output bias' work: the correlation of
    their mean contribution to the logits with the logarithm of the characters' frequencies.
    """
    from rich.console import Console

    console = Console()
    if measure:
        text = load_corpus(corpus, corpus_file, as_is=as_is, fold_rare=fold_rare)
        found = _measure(console, text, options)
    else:
        found = load_record(KIND, record)
    _print(console, found)
    if json_path:
        write_json(json_path, found)
    if plot:
        draw(found, plot)


def _measure(console: Any, corpus: Any, options: dict[str, Any]) -> dict[str, Any]:
    from zynq_lstm.models.cells import catalogue
    from zynq_lstm.models.evaluation import starts
    from zynq_lstm.models.training.options import TrainingOptions

    names = ("epochs", "batch", "steps", "learning_rate", "seed")
    how = TrainingOptions(**{name: options[name] for name in names})
    cells = cells_of(options["cell"], options["layers"])
    shape = {"layers": options["layers"], "units": options["units"], "cell": cells}
    found: dict[str, Any] = {
        "kind": KIND,
        "corpus": corpus.record,
        "options": dataclasses.asdict(how),
        "layers": options["layers"],
        "units": options["units"],
        "cells": [catalogue.shown(cell) for cell in cells],
        "method": METHOD,
        "characters": options["characters"],
        "updates_a_bin": starts.BIN,
        "starts": {},
    }
    for name, start in starts.STARTS.items():
        with console.status(name) as status:

            def report(step: int, name: str = name, status: Any = status) -> None:
                status.update(f"{name}: {step}/{options['updates']}")

            found["starts"][name] = starts.measure(
                corpus, how, start, shape, options["updates"], options["characters"], report
            )
    return found


def _print(console: Any, record: Mapping[str, Any]) -> None:
    from rich.table import Table

    from zynq_lstm.scripts.tables import show

    table = Table(
        title=f"{record['corpus']['name']}; {record['layers']} layers of {record['units']} units\n"
        f"{record['method']}"
    )
    table.add_column("updates", justify="right")
    for name in record["starts"]:
        for heading in ("stuck", "saturated", "correlation", "validation BPC"):
            table.add_column(f"{heading}, {name}", justify="right", no_wrap=heading in ("stuck", "saturated"))
    for rows in zip(*(found["looks"] for found in record["starts"].values()), strict=True):
        cells = [
            (
                by_layer(row["stuck"]),
                by_layer(row["saturated"]),
                f"{row['correlation']:.2f}",
                f"{row['validation_bpc']:.3f}",
            )
            for row in rows
        ]
        table.add_row(str(rows[0]["updates"]), *(text for part in cells for text in part))
    show(table, console)
    for name, found in record["starts"].items():
        last = found["training_bpc"][-1]
        console.print(
            f"{name}: {start_text(found['start'])}; training BPC of the last "
            f"{record['updates_a_bin']} updates {last:.3f}",
            highlight=False,
        )
    console.print("validation BPC: an estimate, from streams that each start from zero")


def draw(record: Mapping[str, Any], path: Path) -> None:
    """Plot stuck units by layer, and the correlation with the characters' frequencies, against updates."""
    from zynq_lstm.scripts.pictures import COLORS, picture

    with picture(path, 2) as (left, right):
        for color, (name, found) in zip(COLORS, record["starts"].items(), strict=False):
            looks = found["looks"]
            updates = [row["updates"] for row in looks]
            for k in range(record["layers"]):
                left.plot(
                    updates,
                    [row["stuck"][k] for row in looks],
                    ("o-", "s--", "^:", "v-.")[k],
                    color=color,
                    ms=3,
                    lw=1.5,
                    label=f"{name}, layer {k + 1}",
                )
            right.plot(
                updates, [row["correlation"] for row in looks], "o-", color=color, ms=3, lw=1.5, label=name
            )
        left.set_xlabel("update")
        left.set_ylabel(f"stuck units of {record['units']}")
        left.legend(frameon=False, fontsize=8, loc=(0.5, 0.15))
        right.axhline(0, color="0.5", lw=1)
        right.set_xlabel("update")
        right.set_ylabel("correlation of mean(h) W with log p")
        right.legend(frameon=False, fontsize=8)
