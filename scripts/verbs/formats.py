# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm formats``: measure the cost of each signal's format, one change at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zynq_lstm.models.description.checkpoint import load_float, preset_spec
from zynq_lstm.models.description.spec import DEFAULT_PRESET, PRESETS
from zynq_lstm.models.evaluation.format_variations import VARIATIONS, bits, variations
from zynq_lstm.models.store import write_json
from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import corpus_options, float_option, held_out, json_option


@click.command(cls=Verb, name="formats")
@float_option
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    default=DEFAULT_PRESET,
    show_default=True,
    help="The formats in which each row changes one.",
)
@corpus_options
@click.option(
    "--characters",
    type=click.IntRange(2),
    default=64000,
    show_default=True,
    help="Number of characters of the validation split.",
)
@click.option(
    "--only",
    type=click.Choice(tuple(VARIATIONS)),
    multiple=True,
    help="Only these signals; may be given more than once.",
)
@json_option("Write the rows there.")
def command(
    checkpoint: Path | None,
    preset: str,
    corpus: str,
    corpus_file: Path | None,
    characters: int,
    only: tuple[str, ...],
    json_path: Path | None,
) -> None:
    """Print the bits per character that each format costs without any retraining.

    A float network is rounded to the preset with one format changed, and the reference evaluates it
    on the validation split, cut into 64 streams that each start from a zero state.
    """
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from zynq_lstm.scripts.tables import show

    source = load_float(checkpoint)
    codes = held_out(source, corpus, corpus_file)[:characters]

    from zynq_lstm.models.evaluation.bpc import estimate_keras
    from zynq_lstm.models.keras.float_lstm import float_model

    console = Console()
    float_bits = estimate_keras(float_model(source), codes)
    base = preset_spec(source, preset)
    base_bits = bits(source, base, codes)
    table = Table(title=f"{len(codes):,} characters; float {float_bits:.4f} BPC")
    for heading in ("signal", "format", f"BPC above float ({preset}: {base_bits - float_bits:+.4f})"):
        table.add_column(heading)
    rows: list[dict[str, Any]] = [{"signal": "all", "format": preset, "bits": base_bits - float_bits}]
    changes = [c for c in variations(base, source) if not only or c[0] in only]
    for signal, text, spec in track(changes, "measuring", console=console, transient=True):
        rows.append({"signal": signal, "format": text, "bits": bits(source, spec, codes) - float_bits})
    for row in rows:
        table.add_row(row["signal"], row["format"], f"{row['bits']:+.4f}")
    show(table, console)
    if json_path:
        data = {"characters": len(codes), "float": float_bits, "above_float": rows}
        write_json(json_path, data)
