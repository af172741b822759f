# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm formats``: what each signal's format costs, one change at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from zynq_lstm.models.description.checkpoint import Checkpoint, load_float, preset_spec
from zynq_lstm.models.description.spec import (
    DEFAULT_PRESET,
    PRESETS,
    NetworkSpec,
    fit_weight_formats,
    with_formats,
)
from zynq_lstm.models.evaluation.bpc import estimate_reference
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.store import write_json
from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import corpus_options, float_option, held_out, json_option

# Fields of LstmFormats (W, U and b together as 'weights' and 'b'), and what to try for each.
VARIATIONS: dict[str, tuple[str, ...]] = {
    "gate": ("ap_ufixed<6,0>", "ap_ufixed<7,0>", "ap_ufixed<9,1>", "ap_ufixed<10,0>"),
    "g": ("ap_fixed<6,1>", "ap_fixed<10,1>"),
    "z": (
        "ap_fixed<8,4>",
        "ap_fixed<9,4>",
        "ap_fixed<9,3>",
        "ap_fixed<10,3>",
        "ap_fixed<10,5>",
        "ap_fixed<12,4>",
    ),
    "c": (
        "ap_fixed<10,4>",
        "ap_fixed<12,4>",
        "ap_fixed<12,5>",
        "ap_fixed<14,4>",
        "ap_fixed<16,4>",
        "ap_fixed<16,6>",
        "ap_fixed<18,5>",
    ),
    "ct": ("ap_fixed<8,3>", "ap_fixed<8,2>", "ap_fixed<9,3>", "ap_fixed<10,4>", "ap_fixed<12,3>"),
    "tc": ("ap_fixed<6,1>", "ap_fixed<10,1>"),
    "h": ("ap_fixed<6,1>", "ap_fixed<7,1>", "ap_fixed<10,1>"),
    "weights": ("4", "5", "6", "7", "10"),
    "b": ("8", "10", "12"),
    "logits": ("ap_fixed<8,6>", "ap_fixed<10,6>", "ap_fixed<12,6>"),
}


@click.command(cls=Verb, name="formats")
@float_option
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    default=DEFAULT_PRESET,
    show_default=True,
    help="What each row changes one thing in.",
)
@corpus_options
@click.option(
    "--characters", type=click.IntRange(2), default=64000, show_default=True, help="Of the validation split."
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
    base_bits = _bits(source, base, codes)
    table = Table(title=f"{len(codes):,} characters; float {float_bits:.4f} BPC")
    for heading in ("signal", "format", f"BPC above float ({preset}: {base_bits - float_bits:+.4f})"):
        table.add_column(heading)
    rows: list[dict[str, Any]] = [{"signal": "all", "format": preset, "bits": base_bits - float_bits}]
    changes = [c for c in _changes(base, source) if not only or c[0] in only]
    for signal, text, spec in track(changes, "measuring", console=console, transient=True):
        rows.append({"signal": signal, "format": text, "bits": _bits(source, spec, codes) - float_bits})
    for row in rows:
        table.add_row(row["signal"], row["format"], f"{row['bits']:+.4f}")
    show(table, console)
    if json_path:
        data = {"characters": len(codes), "float": float_bits, "above_float": rows}
        write_json(json_path, data)


def _bits(source: Checkpoint, spec: NetworkSpec, codes: Any) -> float:
    return estimate_reference(freeze(dataclasses.replace(source, spec=spec)), codes)


def _changes(base: NetworkSpec, source: Checkpoint) -> Iterator[tuple[str, str, NetworkSpec]]:
    """Every variation as (signal, format, spec)."""
    for signal, formats in VARIATIONS.items():
        for text in formats:
            if signal in ("weights", "b"):
                yield signal, f"{text} bits", _narrow_weights(base, source, signal, int(text))
            else:
                yield signal, text, with_formats(base, {signal: FixedFormat.parse(text)})


def _narrow_weights(base: NetworkSpec, source: Checkpoint, kind: str, bits: int) -> NetworkSpec:
    """Matrices (fitted again) or biases (same integer bits) of another width."""
    changed = {
        name: dataclasses.replace(fmt, bits=bits)
        for name, fmt in base.weight_formats().items()
        if name.endswith(".b") == (kind == "b")
    }
    spec = base.with_weight_formats(changed)
    return spec if kind == "b" else fit_weight_formats(spec, source.weights)
