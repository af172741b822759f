# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from models.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def text_options(command: Command) -> Command:
    """``--text``, ``--text-file`` and ``--characters``, which :func:`text_codes` reads."""
    for option in (
        click.option("--characters", default=256, show_default=True, help="Of the validation split."),
        click.option("--text-file", type=click.Path(path_type=Path), help="UTF-8 file of what to run."),
        click.option("--text", help="What to run; the start of the validation split if not given."),
    ):
        command = option(command)
    return command


def text_codes(vocabulary: str, text: str | None, text_file: Path | None, characters: int) -> NDArray[Any]:
    """Codes (characters,) of what is to be run, at least one.

    Raises:
        UserError: for two texts or an empty one, a character that is not in the vocabulary, or more
            characters than the validation split has.
    """
    from models.corpus import encode, load_corpus, read_text

    if text is not None and text_file is not None:
        raise UserError("give --text or --text-file, not both")
    if text is None and text_file is None:
        held_out = load_corpus().with_vocabulary(vocabulary).split().part("validation")
        if not 1 <= characters <= len(held_out):
            raise UserError(f"--characters is {characters}; the validation split has {len(held_out)}")
        return held_out[:characters]
    source = str(text_file) if text_file else "--text"
    codes = encode(text if text is not None else read_text(Path(source)), vocabulary, source)
    if not len(codes):
        raise UserError("there is no character to run")
    return codes
