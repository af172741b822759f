# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm import-keras``: import somebody else's Keras or QKeras character model into the flow."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.spec import DEFAULT_PRESET, PRESETS
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.importing.vocabulary import check_vocabulary, other_reading, read_vocabulary
from zynq_lstm.models.store import write_json
from zynq_lstm.models.texts.corpus import encode, read_text
from zynq_lstm.scripts.files import NETWORK, Reads, Verb, Writes
from zynq_lstm.scripts.options import Option, json_option

if TYPE_CHECKING:
    from zynq_lstm.models.importing.deviation import Deviation

WINDOW = 128  # characters read from a zero state, if the model doesn't say how many
WINDOW_LEAST = 2  # characters of the shortest window: one to read, one to predict


@click.command(cls=Verb, name="import-keras")
@click.argument("model", type=Reads(folder=None))
@click.option(
    "--weights", type=Reads(), help="HDF5 file of the weights, where MODEL is the .json of model.to_json()."
)
@click.option("--vocabulary", help="The characters in the order of their codes.")
@click.option(
    "--vocabulary-file",
    type=Reads(),
    help="JSON: a list of characters, or an object from character to code. Any other file is a text whose "
    "characters, sorted, are the vocabulary.",
)
@click.option(
    "--text-file",
    cls=Option,
    old={"--text": None},
    type=Reads(),
    help="Text to calibrate and compare on; the text of --vocabulary-file if not given.",
)
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    default=DEFAULT_PRESET,
    show_default=True,
    help="Widths of the signals that the model leaves unquantized.",
)
@click.option(
    "--characters",
    type=click.IntRange(4),
    default=16384,
    show_default=True,
    help="Number of characters of the text; half of them to calibrate on.",
)
@click.option("-o", "--output", type=Writes(NETWORK), required=True, help="The checkpoint to write.")
@json_option("Write the deviations there.")
@click.option("--as-is", is_flag=True, help="Keep carriage returns and the byte order mark of the texts.")
def command(
    model: Path,
    weights: Path | None,
    vocabulary: str | None,
    vocabulary_file: Path | None,
    text_file: Path | None,
    preset: str,
    characters: int,
    output: Path,
    json_path: Path | None,
    as_is: bool,
) -> None:
    """Make a checkpoint from a Keras model: LSTM, GRU or SimpleRNN layers, or QKeras', and a Dense layer.

    MODEL is a .keras file of Keras 2 or 3, the .h5 file of model.save('name.h5'), or the .json of
    model.to_json().

    Formats that the model doesn't have are calibrated on a text. The effect of each rounding on the model's
    logits is printed. No code in the file is run: classes that aren't known are refused.
    """
    if (vocabulary is None) == (vocabulary_file is None):
        raise UserError("give either --vocabulary or --vocabulary-file: the file holds no characters")
    text = None
    if vocabulary_file is not None:
        vocabulary, text = read_vocabulary(vocabulary_file, as_is)
    assert vocabulary is not None
    check_vocabulary(vocabulary, str(vocabulary_file or "--vocabulary"))
    source = str(text_file or vocabulary_file)
    if text_file is not None:
        text = read_text(text_file, vocabulary, as_is=as_is)
    if text is None:
        raise UserError("formats are calibrated on a text: give --text-file")
    # Refuse a short text before the model is loaded, which takes seconds.
    codes, cut = encode(text[:characters], vocabulary, source), len(text) > characters
    _require_characters(codes, WINDOW_LEAST, source, cut)

    from zynq_lstm.models.importing.file import read_file

    file = read_file(model, weights)
    wanted = file.chain.vocabulary
    if len(vocabulary) != wanted:
        given = f"{vocabulary_file} gives" if vocabulary_file else "--vocabulary has"
        way_out = other_reading(vocabulary_file, wanted) if vocabulary_file and text_file is None else ""
        raise UserError(
            f"{model}: has {wanted} characters, {given} {len(vocabulary)}"
            + (
                way_out
                or "; give the characters that the model was trained with, in the order of their codes"
            )
        )
    windows = _windows(codes, file.chain.window, source, cut)

    from zynq_lstm.models.description.checkpoint import Checkpoint
    from zynq_lstm.models.evaluation.ranges import calibrate
    from zynq_lstm.models.importing.deviation import deviations
    from zynq_lstm.models.importing.importer import import_model
    from zynq_lstm.models.integers.freeze import freeze
    from zynq_lstm.models.integers.limits import notes, require

    imported = import_model(file, preset)
    half = len(windows) // 2
    spec = calibrate(imported.spec, imported.weights, windows[:half, :-1], imported.fixed)
    checkpoint = Checkpoint(
        vocabulary, imported.weights, spec, record={"imported": model.name, "theirs": dict(imported.theirs)}
    )
    require("reference", spec)
    network = freeze(checkpoint)
    rows = deviations(imported, network, windows[half:])
    checkpoint.save(output)
    _print(rows, (*imported.notes, *notes(spec)))
    click.echo(f"network  {network.identity}\nwrote    {output}")
    if json_path:
        write_json(json_path, [asdict(row) for row in rows])


def _windows(codes: NDArray[np.uint8], window: int | None, source: str, cut: bool) -> NDArray[np.uint8]:
    """Return the codes as windows (S, T + 1); T is the number of characters that the model reads at once."""
    length = (window or WINDOW) + 1
    _require_characters(codes, length, source, cut, window)
    count = len(codes) // length
    return np.asarray(codes[: count * length]).reshape(count, length)


def _require_characters(
    codes: NDArray[np.uint8], length: int, source: str, cut: bool, window: int | None = None
) -> None:
    """Refuse fewer than two windows of characters.

    Args:
        length: characters of a window, with the one that follows it.
        cut: True if the text is longer than --characters.
        window: characters that the model reads at once, if it says so.
    """
    if len(codes) < 2 * length:
        has = f"--characters is {len(codes)}" if cut else f"{source}: the text has {len(codes)} characters"
        why = f", because the model reads windows of {window}" if window else ""
        raise UserError(
            f"{has}; {2 * length} are needed, {length} to calibrate on and as many to compare on{why}"
            + ("" if cut else "; give a longer text with --text-file")
        )


def _print(rows: list[Deviation], notes: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.scripts.tables import show

    table = Table(title="each row rounds one thing alone; differences are from their model's logits")
    for heading in ("", "theirs", "ours"):
        table.add_column(heading, overflow="fold")
    for heading in ("BPC", "largest", "mean"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.what,
            row.theirs,
            row.ours,
            f"{row.bits_per_character:.4f}",
            f"{row.largest:.2g}",
            f"{row.mean:.2g}",
        )
    console = Console()
    show(table, console)
    for line in notes:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
