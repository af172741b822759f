# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm ranges``: show how every signal of a network uses its format, and where another is better."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from zynq_lstm.models.description.checkpoint import Checkpoint, preset_spec, shipped
from zynq_lstm.models.description.spec import DEFAULT_PRESET, PRESETS
from zynq_lstm.models.store import write_json
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import corpus_options, json_option, window_option, windows_of


@click.command(cls=Verb, name="ranges")
@click.option("--checkpoint", type=Reads(), help="Float or quantized; the shipped one if not given.")
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    help=f"Formats for a float network; {DEFAULT_PRESET} if not given.",
)
@corpus_options
@window_option
@json_option("Write the rows there.")
def command(
    checkpoint: Path | None,
    preset: str | None,
    corpus: str,
    corpus_file: Path | None,
    characters: int,
    json_path: Path | None,
) -> None:
    """Print, for every weight array and signal, the range used, saturation, and the error against float.

    Lowest, highest and rounding are those of the float network's values; 'saturated' counts values of the
    quantized network at the bounds of the format; drift is the difference between the two networks' values,
    with all rounding before the signal. A suggestion has the same width and the least squared error; for the
    index of a table, the error of the table's output counts.
    """
    from rich.table import Table

    from zynq_lstm.models.errors import UserError
    from zynq_lstm.models.evaluation.ranges import usage
    from zynq_lstm.scripts.tables import show

    source = Checkpoint.load(checkpoint or shipped(preset or DEFAULT_PRESET))
    if source.spec and preset and source.spec.preset != preset:
        raise UserError(f"{checkpoint}: is quantized already, as {source.spec.preset}; leave --preset out")
    spec = source.spec or preset_spec(source, preset or DEFAULT_PRESET)
    codes = windows_of(source, corpus, corpus_file, characters)
    rows = usage(spec, source.weights, codes)
    table = Table(title=f"{spec.preset}; {codes.size:,} characters", pad_edge=False)
    table.add_column("signal", no_wrap=True)
    for heading in ("format", "lowest", "highest", "saturated", "rounding", "drift", "better"):
        table.add_column(heading, justify="left" if heading in ("format", "better") else "right")
    for row in rows:
        table.add_row(
            row.name,
            row.format.short,
            f"{row.low:.2g}",
            f"{row.high:.2g}",
            f"{100 * row.saturated / row.values:.2g} %" if row.saturated else "0",
            f"{row.rounding:.1e}",
            f"{row.drift:.1e}",
            row.suggestion.short if row.suggestion != row.format else "",
        )
    show(table)
    if json_path:
        data = {"preset": spec.preset, "characters": int(np.size(codes)), "rows": [r.to_dict() for r in rows]}
        write_json(json_path, data)
