# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm corpus``: what a text is after normalisation."""

from __future__ import annotations

from pathlib import Path

import click

from models.corpus import CORPORA, load_corpus
from models.store import write_text


@click.command(name="corpus")
@click.option("--corpus", "name", type=click.Choice(CORPORA), default=CORPORA[0], show_default=True)
@click.option("--corpus-file", type=click.Path(path_type=Path), help="Any UTF-8 text instead.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the normalised text to this file.")
def command(name: str, corpus_file: Path | None, write: Path | None) -> None:
    """Describe a corpus: length, character set, splits, SHA-256."""
    corpus = load_corpus(name, corpus_file)
    split = corpus.split()
    parts = ", ".join(f"{part} {len(split.part(part)):,}" for part in ("train", "validation", "test"))
    click.echo(f"name        {corpus.name}")
    click.echo(f"characters  {len(corpus):,} ({parts})")
    click.echo(f"vocabulary  {len(corpus.vocabulary)}: {corpus.vocabulary!r}")
    click.echo(f"sha256      {corpus.sha256}")
    if write:
        write_text(write, corpus.text)
