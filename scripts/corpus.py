# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm corpus``: what a text is after normalisation."""

from __future__ import annotations

from pathlib import Path

import click

from models.corpus import PARTS, load_corpus
from models.store import write_text
from scripts.options import corpus_options


@click.command(name="corpus")
@corpus_options
@click.option("--write", type=click.Path(path_type=Path), help="Write the normalised text to this file.")
def command(corpus: str, corpus_file: Path | None, write: Path | None) -> None:
    """Describe a corpus: length, character set, splits, SHA-256."""
    text = load_corpus(corpus, corpus_file)
    split = text.split()
    parts = ", ".join(f"{part} {len(split.part(part)):,}" for part in PARTS)
    click.echo(f"name        {text.name}")
    click.echo(f"characters  {len(text):,} ({parts})")
    click.echo(f"vocabulary  {len(text.vocabulary)}: {text.vocabulary!r}")
    click.echo(f"sha256      {text.sha256}")
    if write:
        write_text(write, text.text)
