# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm evaluate``: measure bits per character of networks on held-out text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.checkpoint import Checkpoint, shipped
from zynq_lstm.models.evaluation.bpc import METRIC, evaluate_keras, evaluate_reference, require_text
from zynq_lstm.models.store import write_json
from zynq_lstm.models.texts.corpus import CORPORA, HELD_OUT, PARTS, load_corpus
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import file_codes, json_option, text_file_option
from zynq_lstm.sim.engines import frozen


@click.command(cls=Verb, name="evaluate")
@click.option(
    "--checkpoint",
    "checkpoints",
    type=Reads(),
    multiple=True,
    help="Float or quantized network, may be given more than once; the shipped ones if not given.",
)
@click.option("--corpus", type=click.Choice(CORPORA), default=CORPORA[0], show_default=True)
@text_file_option
@click.option(
    "--split",
    type=click.Choice(PARTS),
    default=HELD_OUT[0],
    show_default=True,
)
@click.option(
    "--characters", type=click.IntRange(2), help="Evaluate only this many characters from the start."
)
@json_option("Write the rows there.")
def command(
    checkpoints: tuple[Path, ...],
    corpus: str,
    corpus_file: Path | None,
    split: str,
    characters: int | None,
    json_path: Path | None,
) -> None:
    """Print bits per character of networks, over one stream that starts from a zero state.

    A float network runs in Keras. A quantized network runs in Keras and, as integers, in the reference;
    the two figures are equal.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.scripts.tables import show

    loaded = [Checkpoint.load(path) for path in checkpoints] or [
        Checkpoint.load(shipped(name)) for name in ("float", "w8a8")
    ]
    where = str(corpus_file) if corpus_file else f"{split} split of {corpus}"
    texts = [_codes(checkpoint, corpus, corpus_file, split, characters) for checkpoint in loaded]
    for codes in texts:
        require_text(codes, where)
    console = Console()
    rows: list[dict[str, Any]] = []
    for checkpoint, codes in zip(loaded, texts, strict=True):
        for engine, run in _engines(checkpoint):
            with console.status(f"{engine}: {len(codes):,} characters"):
                started = time.monotonic()
                bits = run(codes)
                seconds = time.monotonic() - started
            rows.append(
                {
                    "engine": engine,
                    "bits_per_character": bits,
                    "characters": len(codes),
                    "characters_per_second": round(len(codes) / seconds),
                }
            )
    table = Table(title=f"{where}\n{METRIC}")
    for heading in ("engine", "BPC", "characters", "characters/s"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for row in rows:
        table.add_row(
            row["engine"],
            f"{row['bits_per_character']:.4f}",
            f"{row['characters']:,}",
            f"{row['characters_per_second']:,}",
        )
    show(table, console)
    if json_path:
        data = {"text": where, "metric": METRIC, "engines": rows}
        write_json(json_path, data)


def _codes(
    checkpoint: Checkpoint,
    corpus: str,
    corpus_file: Path | None,
    split: str,
    characters: int | None,
) -> NDArray[np.uint8]:
    """Return the text to evaluate on, in the network's own vocabulary."""
    if corpus_file is not None:
        return file_codes(checkpoint, corpus_file)[:characters]
    text = load_corpus(corpus, vocabulary=checkpoint.vocabulary, rest=checkpoint.rest)
    return text.split().part(split)[:characters]


def _engines(checkpoint: Checkpoint) -> Iterator[tuple[str, Callable[[Any], float]]]:
    if checkpoint.spec is None:
        from zynq_lstm.models.keras.float_lstm import float_model

        model = float_model(checkpoint)
        yield "float (Keras)", lambda codes: evaluate_keras(model, codes)
    else:
        name, network = checkpoint.spec.preset, frozen(checkpoint, "keras", "reference")
        from zynq_lstm.models.keras.quantized import quantized_model

        quantized = quantized_model(checkpoint)
        yield f"{name} (Keras)", lambda codes: evaluate_keras(quantized, codes)
        yield f"{name} (reference)", lambda codes: evaluate_reference(network, codes)
