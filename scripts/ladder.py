# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm ladder``: what quantization costs, step by step, and what it saves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.checkpoint import Checkpoint, load_float, preset_spec
from models.corpus import load_corpus
from models.spec import PRESETS
from models.store import write_json
from scripts.files import PICTURE, Reads, Verb, Writes
from scripts.options import corpus_options, float_option, json_option, part_option
from scripts.records import load_record, training_figures, training_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@click.command(cls=Verb, name="ladder")
@click.option("--measure", is_flag=True, help="Measure anew instead of reading a record: some minutes.")
@float_option
@corpus_options
@click.option("--preset", "presets", type=click.Choice(tuple(PRESETS)), multiple=True, help="All if none.")
@click.option("--record", type=Reads(), help="To print; the shipped one if not given.")
@json_option("Write the record there.", record="ladder")
@click.option("--plot", type=Writes(PICTURE), help="Draw it there: SVG, PDF or PNG.")
@part_option("For which the estimate is.")
def command(
    measure: bool,
    checkpoint: Path | None,
    corpus: str,
    corpus_file: Path | None,
    presets: tuple[str, ...],
    record: Path | None,
    json_path: Path | None,
    plot: Path | None,
    part: str,
) -> None:
    """Print the ladder from the float network to the integers, for every preset.

    A float network is rounded: each kind of signals alone, then all, with no training. 'trained' is the
    shipped network that was trained with the rounding; its distance is from the float network that was
    trained as long. Size is of the weights; cycles and block RAM are the estimator's, of the whole engine.
    """
    from rich.console import Console

    from models import ladder

    console = Console()
    source = load_float(checkpoint)
    if measure:
        text = load_corpus(corpus, corpus_file, vocabulary=source.vocabulary, rest=source.rest)
        with console.status("measuring") as status:
            found = ladder.measure(source, text, presets or tuple(PRESETS), status.update)
    else:
        found = load_record("ladder", record)
    if json_path:
        write_json(json_path, found)
    trained = training_figures(training_records()).get(Path(found["corpus"]["name"]).stem, {})
    rows = ladder.rows(found, source, trained)
    engines = {preset: _engine(source, preset, part) for preset in found["presets"]}
    _print(console, found, rows, engines)
    if plot:
        draw(rows, engines, plot)


def _engine(source: Checkpoint, preset: str, part: str) -> dict[str, Any]:
    """Cycles a character (scored) and block RAMs of the fastest engine that fits the part."""
    from hls.estimate import estimate, fitting_array

    spec = preset_spec(source, preset)
    one = estimate(spec, fitting_array(spec, part), part).to_dict()
    return {"cycles": one["cycles_per_character"]["score"], "bram36": one["bram36"], "fits": one["fits"]}


def _print(
    console: Any,
    record: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    engines: Mapping[str, Mapping[str, Any]],
) -> None:
    from rich.table import Table

    from scripts.tables import show

    table = Table(title=f"{record['corpus']['name']}; {record['metric']}", pad_edge=False)
    for heading in ("preset", "rounded"):
        table.add_column(heading)
    for heading in ("validation BPC", "test BPC", "above float", "kbit", "cycles", "block RAM"):
        table.add_column(heading, justify="right")
    for row in rows:
        # Hardware is for what is rounded as a whole.
        engine = engines[row["preset"]] if row["step"] in ("all", "trained") else None
        table.add_row(
            row["preset"],
            row["step"],
            f"{row['validation_bpc']:.4f}",
            f"{row['test_bpc']:.4f}",
            f"{row['test_above_float']:+.4f}" if row["preset"] else "",
            f"{row['weight_bits'] / 1000:,.0f}",
            f"{engine['cycles']:,}" if engine else "",
            f"{engine['bram36']:g}" if engine else "",
        )
    show(table, console)


def draw(rows: Sequence[Mapping[str, Any]], engines: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """The ladder as a picture: test BPC above float of every step, and against the weights' size."""
    from models.ladder import STEPS
    from scripts.pictures import COLORS, picture

    steps = [*STEPS, "trained"]
    by_preset = {preset: {row["step"]: row for row in rows if row["preset"] == preset} for preset in engines}
    with picture(path, 2, width_ratios=(3, 2), sharey=True) as (left, right):
        for k, (preset, found) in enumerate(by_preset.items()):
            color, beside = COLORS[k % len(COLORS)], 0.12 * (k - (len(by_preset) - 1) / 2)
            known = [step for step in steps if step in found]
            left.plot(
                [steps.index(step) + beside for step in known],
                [found[step]["test_above_float"] for step in known],
                "o",
                color=color,
                label=preset,
            )
            size = found["all"]["weight_bits"] / 1e6
            ends = [found[step]["test_above_float"] for step in ("all", "trained") if step in found]
            right.plot([size] * len(ends), ends, "-", color=color, lw=1)
            for step, end in zip(("all", "trained"), ends, strict=False):
                right.plot(size, end, "o", color=color, mfc=color if step == "trained" else "white")
            engine = engines[preset]
            right.annotate(
                f"{preset}: {engine['cycles']:,} cycles, {engine['bram36']:g} block RAM",
                (size, max(ends)),
                xytext=(5, 3),
                textcoords="offset points",
                fontsize=8,
                va="bottom",
            )
        left.set_xticks(
            range(len(steps)), [f"{step}\nonly" if step in STEPS[:-1] else step for step in steps]
        )
        for axes in (left, right):
            axes.set_yscale("symlog", linthresh=0.01)
            axes.axhline(0, color="0.6", lw=1)
            axes.yaxis.set_major_formatter("{x:g}")
        left.set_ylim(-0.02, 10)
        left.set_ylabel("test BPC above float")
        left.legend(frameon=False, loc="upper center")
        right.set_xlabel("Mbit of weights; hollow: rounded, full: trained")
        right.set_xlim(0, 2.1 * max(found["all"]["weight_bits"] for found in by_preset.values()) / 1e6)
