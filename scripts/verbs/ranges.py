# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm ranges``: show how every signal of a network uses its format, and where another is better."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from zynq_lstm.models.description.checkpoint import Checkpoint, preset_spec, shipped
from zynq_lstm.models.description.spec import DEFAULT_PRESET, PRESETS
from zynq_lstm.models.store import write_json
from zynq_lstm.models.texts.corpus import shuffled_windows
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import corpus_options, held_out, json_option, window_option

if TYPE_CHECKING:
    from zynq_lstm.models.evaluation.memory import Memory


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

    A second table counts the units that do not use their memory, by layer, over the beginning of four streams
    of the same text: docs/training.md, Stuck units.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.models.errors import UserError
    from zynq_lstm.models.evaluation import memory
    from zynq_lstm.models.evaluation.ranges import usage
    from zynq_lstm.models.integers.freeze import freeze
    from zynq_lstm.scripts.tables import show

    source = Checkpoint.load(checkpoint or shipped(preset or DEFAULT_PRESET))
    if source.spec and preset and source.spec.preset != preset:
        raise UserError(f"{checkpoint}: is quantized already, as {source.spec.preset}; leave --preset out")
    spec = source.spec or preset_spec(source, preset or DEFAULT_PRESET)
    text = held_out(source, corpus, corpus_file)
    codes = shuffled_windows(text, characters)
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
    console = Console()
    show(table, console)
    integers = freeze(dataclasses.replace(source, spec=spec))
    sources = {
        "float": memory.float_source(spec, source.weights),
        spec.preset: memory.integer_source(integers),
    }
    units = {name: memory.measure(one, text) for name, one in sources.items()}
    show(units_table(units), console)
    if json_path:
        data = {
            "preset": spec.preset,
            "characters": int(np.size(codes)),
            "rows": [r.to_dict() for r in rows],
            "memory": {name: one.to_dict() for name, one in units.items()},
        }
        write_json(json_path, data)


def units_table(units: Mapping[str, Memory]) -> Any:
    """Return the table of stuck and saturated units, by network and layer."""
    from rich.table import Table

    from zynq_lstm.models.evaluation.memory import METHOD

    (characters,) = {one.characters for one in units.values()}
    table = Table("network", title=f"{METHOD}; {characters:,} characters count", pad_edge=False)
    for heading in ("layer", "units", "stuck", "saturated"):
        table.add_column(heading, justify="right")
    for name, one in units.items():
        for k, counts in enumerate(zip(one.units, one.stuck, one.saturated, strict=True)):
            table.add_row("" if k else name, str(k), *map(str, counts))
    return table
