# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm corpus``: describe a text after normalisation."""

from __future__ import annotations

from pathlib import Path

import click

from zynq_lstm.models.store import write_text
from zynq_lstm.models.texts.corpus import PARTS, load_corpus
from zynq_lstm.scripts.files import TEXT, Verb, Writes
from zynq_lstm.scripts.options import Option, corpus_options, reading_options


@click.command(cls=Verb, name="corpus")
@corpus_options
@reading_options
@click.option(
    "--output",
    "write",
    cls=Option,
    old={"--write": None},
    type=Writes(TEXT),
    help="Write the normalised text to this file.",
)
def command(
    corpus: str, corpus_file: Path | None, as_is: bool, fold_rare: int | None, write: Path | None
) -> None:
    """Describe a corpus: length, character set, splits, SHA-256."""
    text = load_corpus(corpus, corpus_file, as_is=as_is, fold_rare=fold_rare)
    split = text.split()
    parts = ", ".join(f"{part} {len(split.part(part)):,}" for part in PARTS)
    click.echo(f"name        {text.name}")
    click.echo(f"characters  {len(text):,} ({parts})")
    click.echo(f"vocabulary  {len(text.vocabulary)}: {text.vocabulary!r}")
    if text.folded:
        click.echo(
            f"folded      {text.folded['kinds']} kinds, {text.folded['characters']:,} characters, into "
            f"{text.folded['symbol']!r}"
        )
    click.echo(f"sha256      {text.sha256}")
    if write:
        write_text(write, text.text)
