# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zynq_lstm.hls.parts import DEFAULT_PART, part_name
from zynq_lstm.hls.vendor.projects import PERIODS
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import DEFAULT_PRESET, PRESETS, NetworkSpec, network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.texts.corpus import (
    CORPORA,
    MAX_KEPT,
    WINDOW,
    WINDOWS_CHARACTERS,
    encode,
    load_corpus,
    read_text,
    shuffled_windows,
)
from zynq_lstm.models.training.options import HYPERPARAMETERS, START_CHOICES
from zynq_lstm.scripts.files import Folder, Reads, Writes, figures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zynq_lstm.models.description.checkpoint import Checkpoint

Command = TypeVar("Command", bound=Callable[..., object])

#: Each option has the same name in all verbs: a network is ``--checkpoint`` (a second, float network is
#: ``--float-checkpoint``), a text ``--text-file``, results ``--output``, a picture ``--plot``, figures
#: ``--json``, a clock ``--clock`` in MHz. Old names still work (:class:`Option`).


class Option(click.Option):
    """An option that had other names.

    Args:
        old: old names, which still work, with a note; each with None, or with the new unit and a function
            that converts a value from the old unit to the new one.
    """

    def __init__(
        self, *args: Any, old: Mapping[str, tuple[str, Callable[[str], str]] | None], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.old = old


#: A network that ``zynq_lstm.models.description.checkpoint.load_quantized`` or ``load_float`` reads.
checkpoint_option = click.option(
    "--checkpoint",
    type=Reads(),
    help=f"Quantized network; the shipped {DEFAULT_PRESET} if not given.",
)
float_option = click.option(
    "--checkpoint", type=Reads(), help="A float network; the shipped one if not given."
)


def _together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Combine several options into one decorator, in the order in which the help shows them."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


class Number(click.FloatRange):
    """A number in a range; NaN is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def hyperparameter(name: str, **changes: Any) -> Callable[[Command], Command]:
    """Return an option of training, from ``HYPERPARAMETERS``, with some of click's settings changed."""
    option = HYPERPARAMETERS[name]
    low, high = option.low, option.high
    kind = click.IntRange(int(low), int(high)) if isinstance(low, int) else Number(low, high)
    settings = {"type": kind, "default": option.default, "help": option.meaning} | changes
    return click.option(f"--{name.replace('_', '-')}", show_default=True, **settings)


def start_choice(name: str) -> Callable[[Command], Command]:
    """Return an option of the start of training, from ``START_CHOICES``."""
    choice = START_CHOICES[name]
    return click.option(
        f"--{name.replace('_', '-')}",
        type=click.Choice(choice.words),
        default=choice.words[0],
        show_default=True,
        help=choice.meaning,
    )


#: ``--output-bias`` and ``--first-kernel``: the start of training.
start_options = _together(*map(start_choice, START_CHOICES))

#: All options of training.
hyperparameters = _together(*map(hyperparameter, HYPERPARAMETERS), start_options)


def known_part(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Return the value of an option for a device; raise a UserError for an unknown device."""
    if value is not None:
        part_name(value)
    return value


def part_option(text: str = "Device; package and speed may follow.") -> Callable[[Command], Command]:
    """Return the option ``--part``: a device, which ``zynq_lstm.hls.parts.part_name`` reads."""
    return click.option("--part", default=DEFAULT_PART, show_default=True, callback=known_part, help=text)


#: ``--dsp``, ``--lanes`` and ``--parity``: the RTL's array, and the parity of its weight memory.
array_options = _together(
    click.option(
        "--dsp",
        type=click.IntRange(1),
        help="RTL: the most DSPs of the array; as many as fit the part if not given.",
    ),
    click.option("--lanes", type=click.IntRange(1), help="RTL: the most multiply-accumulates per cycle."),
    click.option(
        "--parity",
        is_flag=True,
        help="RTL: weight memory with parity; a flipped bit is flagged and counted when it is read.",
    ),
)


#: Default shape and formats of a network.
SHAPE: dict[str, Any] = {"layers": 2, "units": 128, "vocabulary": 78, "preset": DEFAULT_PRESET}


class CellNames(click.ParamType[tuple[str, ...]]):
    """Cells by name or file, separated by commas; as :mod:`zynq_lstm.models.cells.catalogue` writes them."""

    name = "cell"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(catalogue.written(catalogue.cell(name.strip())) for name in str(value).split(","))


cell_option = click.option(
    "--cell",
    type=CellNames(),
    help=f"Cell of all layers, or of each, as gru,lstm: {', '.join(catalogue.names())}, or a file "
    f"*{catalogue.ENDING}; lstm if not given.",
)


def cells_of(given: tuple[str, ...] | None, layers: int) -> tuple[str, ...]:
    """Return the cell of each layer.

    Raises:
        UserError: if there are neither one nor as many as layers.
    """
    cells = given or ("lstm",)
    if len(cells) not in (1, layers):
        raise UserError(
            f"--cell names {len(cells)} cells for {layers} layers; give one, or one for each layer"
        )
    return cells * layers if len(cells) == 1 else cells


#: ``--layers``, ``--units``, ``--vocabulary``, ``--preset``, ``--cell``, or ``--checkpoint``:
#: :func:`shape_given`.
shape_options = _together(
    click.option("--layers", type=int, help=f"Recurrent layers; {SHAPE['layers']} if not given."),
    click.option("--units", type=int, help=f"Units of each layer; {SHAPE['units']} if not given."),
    click.option("--vocabulary", type=int, help=f"Number of characters; {SHAPE['vocabulary']} if not given."),
    click.option("--preset", type=click.Choice(tuple(PRESETS)), help=f"{SHAPE['preset']} if not given."),
    cell_option,
    click.option(
        "--checkpoint",
        "network",
        cls=Option,
        old={"--network": None},
        type=Reads(),
        help="Take the shape from this frozen network or checkpoint instead.",
    ),
)


def shape_given(network: Path | None, **shape: Any) -> NetworkSpec:
    """Return the spec that :data:`shape_options` give; a value of None is that of :data:`SHAPE`.

    Raises:
        UserError: if both a network and a shape are given, or the shape is illegal.
    """
    given = {name: value for name, value in shape.items() if value is not None}
    if network is None:
        shape = SHAPE | given
        return network_spec(**shape | {"cell": cells_of(given.get("cell"), shape["layers"])})
    for name in given:
        raise UserError(f"--{name} has no effect with --checkpoint, which has its own")
    return _spec_of(network)


def _spec_of(path: Path) -> NetworkSpec:
    """Return the spec of a frozen network, or of a quantized checkpoint."""
    from zynq_lstm.models.description.checkpoint import Checkpoint
    from zynq_lstm.models.integers.network import IntegerNetwork

    try:
        return IntegerNetwork.load(path).spec
    except UserError as first:
        try:
            checkpoint = Checkpoint.load(path)
        except UserError:
            raise first from None
    return checkpoint.quantized_spec


#: ``--text``, ``--text-file`` and ``--characters``, which :func:`text_codes` reads.
text_options = _together(
    click.option("--text", help="Text to run; the start of the validation split if not given."),
    click.option("--text-file", type=Reads(), help="UTF-8 file with the text to run."),
    click.option(
        "--characters",
        type=click.IntRange(1),
        default=256,
        show_default=True,
        help="Number of characters of the validation split.",
    ),
)


def text_codes(
    network: Checkpoint, text: str | None, text_file: Path | None, characters: int
) -> NDArray[Any]:
    """Return the codes (characters,) of the text that a network is to run, at least one.

    Raises:
        UserError: for two texts or an empty text, a character that is not in the vocabulary, or more
            characters than the validation split has.
    """
    if text is not None and text_file is not None:
        raise UserError("give --text or --text-file, not both")
    if text is None and text_file is None:
        codes = held_out(network, CORPORA[0], None)
        if not 1 <= characters <= len(codes):
            raise UserError(f"--characters is {characters}; the validation split has {len(codes)}")
        return codes[:characters]
    if text_file is not None:
        return file_codes(network, text_file)
    codes = encode(text or "", network.vocabulary, "--text", network.rest)
    if not len(codes):
        raise UserError("there is no character to run")
    return codes


def file_codes(network: Checkpoint, path: Path) -> NDArray[Any]:
    """Return the codes (characters,) of a whole text file, in the network's vocabulary."""
    return encode(read_text(path, network.vocabulary), network.vocabulary, str(path), network.rest)


#: ``--as-is`` and ``--fold-rare``, which ``load_corpus`` takes: how a vocabulary is made from a text.
reading_options = _together(
    click.option("--as-is", is_flag=True, help="Keep a file's carriage returns and byte order mark."),
    click.option(
        "--fold-rare",
        type=click.IntRange(1, MAX_KEPT),
        metavar="N",
        help="Keep the N most frequent characters, and read all others as one symbol.",
    ),
)


#: The user's text file instead of a corpus.
text_file_option = click.option(
    "--text-file",
    "corpus_file",
    cls=Option,
    old={"--corpus-file": None},
    type=Reads(),
    help="Any UTF-8 text instead.",
)


def clock_option(text: str) -> Callable[[Command], Command]:
    """Return the option ``--clock`` in MHz; :func:`period` gives its cycle in nanoseconds."""
    shortest, longest = PERIODS
    return click.option(
        "--clock",
        cls=Option,
        old={"--clock-period": ("MHz", _megahertz)},
        type=Number(1000 / longest, 1000 / shortest),
        help=text,
    )


def _megahertz(nanoseconds: str) -> str:
    try:
        return f"{1000 / float(nanoseconds):.9g}"
    except (ValueError, ZeroDivisionError):
        return nanoseconds  # the mistake is reported under the new name


def period(clock: float) -> float:
    """Return the period, in nanoseconds, of a clock in MHz."""
    return round(1000 / clock, 6)


#: ``--corpus`` and ``--text-file``, which ``load_corpus`` or :func:`held_out` reads.
corpus_options = _together(
    click.option("--corpus", type=click.Choice(CORPORA), default=CORPORA[0], show_default=True),
    text_file_option,
)


def held_out(network: Checkpoint, corpus: str, corpus_file: Path | None) -> NDArray[Any]:
    """Return codes (characters,) in the network's vocabulary: a corpus's validation split, or a file."""
    if corpus_file:
        return file_codes(network, corpus_file)
    return load_corpus(corpus, vocabulary=network.vocabulary, rest=network.rest).split().validation


window_option = click.option(
    "--characters",
    type=click.IntRange(2 * (WINDOW + 1)),
    default=WINDOWS_CHARACTERS,
    show_default=True,
    help="Number of characters of the file or the validation split, spread evenly.",
)


def windows_of(network: Checkpoint, corpus: str, corpus_file: Path | None, characters: int) -> NDArray[Any]:
    """Return windows of :func:`held_out`, which each start from a zero state: (S, WINDOW + 1).

    Raises:
        UserError: if the text is shorter than two windows, or has a character that the network doesn't know.
    """
    return shuffled_windows(held_out(network, corpus, corpus_file), characters)


def config_argument(name: str = "config", text: str = "CONFIG") -> Callable[[Command], Command]:
    """Return the argument of ``init``, ``run`` and ``status``: a configuration, by default ``flow.toml``."""
    return click.argument(
        name, metavar=f"[{text}]", type=click.Path(path_type=Path, dir_okay=False), default=Path("flow.toml")
    )


def set_option(command: Command) -> Command:
    """Add the option ``--set SECTION.KEY=VALUE``, which replaces a value of the configuration file."""
    return click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="Replace a value of the file, such as engine.lanes=64; may be given more than once.",
    )(command)


def json_option(
    text: str = "Write the figures there, too.", record: str | None = None
) -> Callable[[Command], Command]:
    """Return the option ``--json PATH``, for ``write_json``; ``record`` is the kind of record, if any."""
    return click.option("--json", "json_path", type=Writes(figures(record)), help=text)


def reuse_factor_option(text: str = "Clock cycles of each matrix product.") -> Callable[[Command], Command]:
    """Return the option ``--reuse-factor N`` of the HLS C++."""
    return click.option("--reuse-factor", type=click.IntRange(1), help=text)


def output_option(
    default: str, text: str | None = None, holds_inputs: bool = False
) -> Callable[[Command], Command]:
    """Return the option ``--output FOLDER`` for build results; ``holds_inputs`` as for :class:`.Folder`."""
    return click.option(
        "--output",
        type=Folder(holds_inputs=holds_inputs),
        default=Path(default),
        show_default=True,
        help=text,
    )
