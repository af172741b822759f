# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm calibrate``: fit formats to a float network, without any training."""

from __future__ import annotations

from pathlib import Path

import click

from zynq_lstm.models.description.checkpoint import load_float, preset_spec
from zynq_lstm.models.description.spec import DEFAULT_PRESET, PRESETS
from zynq_lstm.models.store import write_json
from zynq_lstm.scripts.files import NETWORK, Verb, Writes
from zynq_lstm.scripts.options import (
    corpus_options,
    float_option,
    json_option,
    window_option,
    windows_of,
)


@click.command(cls=Verb, name="calibrate")
@float_option
@click.option("--preset", type=click.Choice(tuple(PRESETS)), default=DEFAULT_PRESET, show_default=True)
@corpus_options
@window_option
@click.option("-o", "--output", type=Writes(NETWORK), help="Write the quantized network there.")
@json_option("Write the figures there.")
def command(
    checkpoint: Path | None,
    preset: str,
    corpus: str,
    corpus_file: Path | None,
    characters: int,
    output: Path | None,
    json_path: Path | None,
) -> None:
    """Fit the binary points of a preset's formats to a float network, and print the result.

    Half of the text is for calibration: a binary point is moved if that improves the prediction. The
    other half gives bits per character, in streams that each start from a zero state: for the float network,
    the preset as it is, and the calibrated formats. The result of training is also printed if the record of
    such a network is shipped.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.models.evaluation.bpc import bits_of_streams
    from zynq_lstm.models.evaluation.partial import PartlyQuantized, format_names
    from zynq_lstm.models.evaluation.ranges import calibrate_by_loss, calibrated
    from zynq_lstm.models.evaluation.shipped_records import training_figures, training_records
    from zynq_lstm.scripts.tables import show

    source = load_float(checkpoint)
    codes = windows_of(source, corpus, corpus_file, characters)
    half = len(codes) // 2
    spec = preset_spec(source, preset)
    console = Console()
    with console.status("calibrating") as status:
        fitted = calibrate_by_loss(spec, source.weights, codes[:half], status.update)
    bits: dict[str, float] = {}
    held_out = codes[half:]
    for name, one, rounded in (
        ("float", spec, ()),
        (preset, spec, tuple(format_names(spec))),
        ("calibrated", fitted, tuple(format_names(fitted))),
    ):
        logits = PartlyQuantized(one, source.weights, rounded).run(held_out[:, :-1])
        bits[name] = bits_of_streams(logits, held_out)
    before, after = format_names(spec), format_names(fitted)
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    table = Table(title="formats that calibration moved")
    for heading in ("signal", preset, "calibrated"):
        table.add_column(heading)
    for name, formats in changed.items():
        table.add_row(name, *(fmt.short for fmt in formats))
    if changed:
        show(table, console)
    else:
        console.print(f"no format of {preset} is better elsewhere")
    table = Table(title=f"{held_out.size:,} characters that formats were not fitted to")
    for heading in ("network", "BPC", "above float"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for name, value in bits.items():
        table.add_row(name, f"{value:.4f}", f"{value - bits['float']:+.4f}" if name != "float" else "")
    show(table, console)
    trained = training_figures(training_records()).get(Path(str(source.corpus.get("name"))).stem, {})
    delta = trained.get(preset, {}).get("delta_test_bpc")
    if delta is not None:
        console.print(f"training with the rounding gave {delta:+.4f} above float on the test split")
    if output:
        calibrated(source, fitted).save(output)
        console.print(f"wrote {output}", soft_wrap=True)
    if json_path:
        data = {
            "bits_per_character": bits,
            "moved": {name: [str(fmt) for fmt in formats] for name, formats in changed.items()},
            "characters": int(held_out.size),
            "trained_delta_test_bpc": delta,
        }
        write_json(json_path, data)
