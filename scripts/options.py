# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hls.synthesis import DEFAULT_PART
from models.corpus import CORPORA, encode, load_corpus, read_text
from models.corpus import windows as evenly
from models.errors import UserError
from models.spec import DEFAULT_PRESET, PRESETS, NetworkSpec, network_spec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.checkpoint import Checkpoint

Command = TypeVar("Command", bound=Callable[..., object])

#: What ``models.checkpoint.load_quantized`` and ``load_float`` read.
checkpoint_option = click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help=f"Quantized network; the shipped {DEFAULT_PRESET} if not given.",
)
float_option = click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="A float network; the shipped one if not given."
)


def part_option(text: str = "Device; package and speed may follow.") -> Callable[[Command], Command]:
    """``--part``: a device, which ``hls.synthesis.part_name`` reads."""
    return click.option("--part", default=DEFAULT_PART, show_default=True, help=text)


def array_options(command: Command) -> Command:
    """``--dsp``, ``--lanes`` and ``--parity``: the RTL's array, and what guards its weights."""
    for option in (
        click.option(
            "--parity",
            is_flag=True,
            help="RTL: weight memory with parity; a flipped bit is flagged and counted when it is read.",
        ),
        click.option("--lanes", type=click.IntRange(1), help="RTL: most multiply-accumulates a cycle."),
        click.option(
            "--dsp",
            type=click.IntRange(1),
            help="RTL: how many DSPs the array may take; what fits the part if not given.",
        ),
    ):
        command = option(command)
    return command


#: A network's shape and formats, unless told otherwise.
SHAPE: dict[str, Any] = {"layers": 2, "units": 128, "vocabulary": 78, "preset": DEFAULT_PRESET}


def shape_options(command: Command) -> Command:
    """``--layers``, ``--units``, ``--vocabulary`` and ``--preset``, or ``--network``: :func:`shape_given`."""
    for option in (
        click.option(
            "--network", type=click.Path(path_type=Path), help="A frozen network or a checkpoint instead."
        ),
        click.option("--preset", type=click.Choice(tuple(PRESETS)), show_default=SHAPE["preset"]),
        click.option("--vocabulary", type=int, show_default=str(SHAPE["vocabulary"]), help="Characters."),
        click.option("--units", type=int, show_default=str(SHAPE["units"]), help="Of every layer."),
        click.option("--layers", type=int, show_default=str(SHAPE["layers"])),
    ):
        command = option(command)
    return command


def shape_given(network: Path | None, **shape: Any) -> NetworkSpec:
    """The spec that :func:`shape_options` say; a value of None is that of :data:`SHAPE`.

    Raises:
        UserError: for a network and a shape, or an illegal one.
    """
    given = {name: value for name, value in shape.items() if value is not None}
    if network is None:
        return network_spec(**(SHAPE | given))
    for name in given:
        raise UserError(f"--{name} has no effect with --network, which has its own")
    return _spec_of(network)


def _spec_of(path: Path) -> NetworkSpec:
    """Of a frozen network, or of a quantized checkpoint."""
    from models.checkpoint import Checkpoint
    from models.network import IntegerNetwork

    try:
        return IntegerNetwork.load(path).spec
    except UserError as first:
        try:
            checkpoint = Checkpoint.load(path)
        except UserError:
            raise first from None
    return checkpoint.quantized_spec


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


def corpus_options(command: Command) -> Command:
    """``--corpus`` and ``--corpus-file``, which ``load_corpus`` or :func:`held_out` reads."""
    for option in (
        click.option("--corpus-file", type=click.Path(path_type=Path), help="Any UTF-8 text instead."),
        click.option("--corpus", type=click.Choice(CORPORA), default=CORPORA[0], show_default=True),
    ):
        command = option(command)
    return command


def held_out(network: Checkpoint, corpus: str, corpus_file: Path | None) -> NDArray[Any]:
    """Codes (characters,) in the network's vocabulary: a corpus' validation split, or all of a file."""
    if corpus_file:
        return encode(read_text(corpus_file), network.vocabulary, str(corpus_file))
    return load_corpus(corpus).with_vocabulary(network.vocabulary).split().validation


CHARACTERS = 64000  # of windows_of, unless told otherwise
WINDOW = 500  # characters of each stream of windows_of, and one to predict

window_option = click.option(
    "--characters",
    default=CHARACTERS,
    show_default=True,
    help="Of the file or the validation split, spread evenly.",
)


def windows_of(network: Checkpoint, corpus: str, corpus_file: Path | None, characters: int) -> NDArray[Any]:
    """Parts of :func:`held_out`, which each start from a zero state: (S, WINDOW + 1).

    Raises:
        UserError: the text is shorter than two parts, or has a character that the network doesn't know.
    """
    return windows(held_out(network, corpus, corpus_file), characters)


def windows(codes: NDArray[Any], characters: int) -> NDArray[Any]:
    """Parts of a text, spread evenly, in an order of chance: (S, WINDOW + 1).

    Raises:
        UserError: the text is shorter than two parts.
    """
    import numpy as np

    length = WINDOW + 1
    count = min(characters, len(codes)) // length
    if count < 2:
        raise UserError(
            f"{min(characters, len(codes))} characters are too few; at least {2 * length} are needed: "
            "give a longer text or more --characters"
        )
    return np.random.default_rng(0).permutation(evenly(codes, length, count))


def config_argument(name: str = "config", text: str = "CONFIG") -> Callable[[Command], Command]:
    """The configuration file of ``init``, ``run`` and ``status``; that name if none is given."""
    return click.argument(
        name, metavar=f"[{text}]", type=click.Path(path_type=Path, dir_okay=False), default=Path("flow.toml")
    )


def set_option(command: Command) -> Command:
    """``--set SECTION.KEY=VALUE``: instead of what a configuration file says."""
    return click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="Instead of what the file says, such as engine.lanes=64; may be given more than once.",
    )(command)


def json_option(text: str = "Write the figures there, too.") -> Callable[[Command], Command]:
    """``--json PATH``, which ``write_json`` is for."""
    return click.option("--json", "json_path", type=click.Path(path_type=Path), help=text)


def reuse_factor_option(text: str = "Clock cycles of each matrix product.") -> Callable[[Command], Command]:
    """``--reuse-factor N`` of the HLS C++."""
    return click.option("--reuse-factor", type=click.IntRange(1), help=text)


def output_option(default: str, text: str | None = None) -> Callable[[Command], Command]:
    """``--output FOLDER`` for what is built."""
    return click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(default),
        show_default=True,
        help=text,
    )
