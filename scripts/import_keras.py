# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm import-keras``: a Keras or QKeras character model of somebody else's, for the whole flow."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from models.corpus import encode, read_text
from models.errors import UserError
from models.spec import DEFAULT_PRESET, PRESETS
from models.store import write_json
from scripts.options import json_option

if TYPE_CHECKING:
    from models.deviation import Deviation

WINDOW = 128  # characters that each start from a zero state, where the model doesn't say


@click.command(name="import-keras")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="HDF5 file of the weights, where MODEL is the .json of model.to_json().",
)
@click.option("--vocabulary", help="The characters in the order of their codes.")
@click.option(
    "--vocabulary-file",
    type=click.Path(path_type=Path),
    help="JSON: a list of characters, or an object from character to code. Any other file is a text whose "
    "characters, sorted, are the vocabulary.",
)
@click.option(
    "--text-file",
    "--text",
    "text_file",
    type=click.Path(path_type=Path),
    help="To calibrate and compare on; the text of --vocabulary-file if not given.",
)
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    default=DEFAULT_PRESET,
    show_default=True,
    help="Widths of what the model leaves unquantized.",
)
@click.option(
    "--characters",
    type=click.IntRange(min=1),
    default=16384,
    show_default=True,
    help="Of the text; half to calibrate on.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="The checkpoint to write."
)
@json_option("Write the deviations there.")
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
) -> None:
    """Make a checkpoint of a Keras model: LSTM or QKeras' QLSTM layers, and a Dense one.

    MODEL is a .keras file of Keras 2 or 3, the .h5 file of model.save('name.h5'), or the .json of
    model.to_json().

    Formats that the model doesn't have are calibrated on a text. Printed is what each rounding changes in
    the model's logits. Nothing in the file is run: classes that aren't known are refused.
    """
    from models.calibrate import calibrate
    from models.checkpoint import Checkpoint
    from models.deviation import deviations
    from models.freeze import freeze
    from models.importing import import_model
    from models.keras_file import read_file
    from models.limits import notes, require

    if (vocabulary is None) == (vocabulary_file is None):
        raise UserError("give either --vocabulary or --vocabulary-file: the file holds no characters")
    if vocabulary is None:
        assert vocabulary_file is not None
        vocabulary, text = read_vocabulary(vocabulary_file)
    else:
        text = None
    if text_file is not None:
        text = read_text(text_file)
    if text is None:
        raise UserError("formats are calibrated on a text: give --text-file")
    file = read_file(model, weights)
    wanted = file.chain.vocabulary
    if len(vocabulary) != wanted:
        raise UserError(f"{model}: has {wanted} characters, the vocabulary given has {len(vocabulary)}")
    windows = _windows(text, characters, vocabulary, file.chain.window)
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


def read_vocabulary(path: Path) -> tuple[str, str | None]:
    """The characters in code order, and the text if they come from one.

    An entry of a JSON list that is no single character (``[UNK]``, say) stands for none that a text may
    hold: it gets one of Unicode's private ones.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    text = read_text(path)
    if path.suffix != ".json":
        return "".join(sorted(set(text))), text
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    if isinstance(data, dict):
        if sorted(map(str, data.values())) != sorted(map(str, range(len(data)))):
            raise UserError(f"{path}: the codes must be the numbers from 0 to {len(data) - 1}, each once")
        data = sorted(data, key=lambda name: int(data[name]))
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise UserError(f"{path}: must be a list of characters, or an object from character to code")
    return "".join(n if len(n) == 1 else chr(0xE000 + code) for code, n in enumerate(data)), None


def _windows(text: str, characters: int, vocabulary: str, window: int | None) -> Any:
    """The first characters of a text cut to (S, T + 1), T what the model reads at once."""
    length = (window or WINDOW) + 1
    needed = f"{2 * length} are needed, {length} to calibrate on and as many to compare on"
    if window:
        needed += f", because the model reads windows of {window}"
    if len(text) < 2 * length:
        raise UserError(f"the text has {len(text)} characters; {needed}; give a longer one with --text-file")
    if characters < 2 * length:
        raise UserError(f"--characters {characters} takes too little of the text; {needed}")
    codes = encode(text[:characters], vocabulary, "the text")
    count = len(codes) // length
    return np.asarray(codes[: count * length]).reshape(count, length)


def _print(rows: list[Deviation], notes: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    from scripts.tables import show

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
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
