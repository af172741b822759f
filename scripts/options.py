# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from models.corpus import CORPORA, encode, load_corpus, read_text
from models.errors import UserError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint

Command = TypeVar("Command", bound=Callable[..., object])


def array_options(command: Command) -> Command:
    """``--dsp`` and ``--lanes``: how large the RTL's array may be."""
    for option in (
        click.option("--lanes", type=click.IntRange(1), help="RTL: most multiply-accumulates a cycle."),
        click.option(
            "--dsp",
            type=click.IntRange(1),
            help="RTL: how many DSPs the array may take; what fits the part if not given.",
        ),
    ):
        command = option(command)
    return command


WINDOW = 500  # characters of each stream of windows_of, and one to predict


def text_options(command: Command) -> Command:
    """``--corpus``, ``--corpus-file`` and ``--characters``: the text of :func:`windows_of`."""
    for option in (
        click.option("--characters", default=64000, show_default=True, help="Of the text, spread evenly."),
        click.option("--corpus-file", type=click.Path(path_type=Path), help="Any UTF-8 text instead."),
        click.option(
            "--corpus",
            type=click.Choice(CORPORA),
            default=CORPORA[0],
            show_default=True,
            help="Its validation split.",
        ),
    ):
        command = option(command)
    return command


def windows_of(network: Checkpoint, corpus: str, corpus_file: Path | None, characters: int) -> Any:
    """Parts of a text in the network's vocabulary, which each start from a zero state: (S, WINDOW + 1).

    Raises:
        UserError: the text is shorter than two parts, or has a character that the network doesn't know.
    """
    import numpy as np

    if corpus_file:
        codes = encode(read_text(corpus_file), network.vocabulary, str(corpus_file))
    else:
        codes = load_corpus(corpus).with_vocabulary(network.vocabulary).split().validation
    length = WINDOW + 1
    count = min(characters, len(codes)) // length
    if count < 2:
        raise UserError(
            f"{min(characters, len(codes))} characters are too few; at least {2 * length} are needed: "
            "give a longer text or more --characters"
        )
    starts = np.linspace(0, len(codes) - length, count).astype(np.int64)
    return codes[np.random.default_rng(0).permutation(starts)[:, None] + np.arange(length)]
