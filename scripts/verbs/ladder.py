# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm ladder``: show what quantization costs, step by step, and what it saves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.hls.parts import DEFAULT_PART
from zynq_lstm.models.description.checkpoint import Checkpoint, load_float, preset_spec
from zynq_lstm.models.description.spec import PRESETS
from zynq_lstm.models.evaluation.shipped_records import load_record, training_figures, training_records
from zynq_lstm.models.store import write_json
from zynq_lstm.models.texts.corpus import HELD_OUT, load_corpus
from zynq_lstm.scripts.files import PICTURE, Reads, Verb, Writes
from zynq_lstm.scripts.options import corpus_options, float_option, json_option, part_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@click.command(cls=Verb, name="ladder")
@click.option("--measure", is_flag=True, help="Measure anew instead of reading a record: some minutes.")
@float_option
@corpus_options
@click.option(
    "--preset",
    "presets",
    type=click.Choice(tuple(PRESETS)),
    multiple=True,
    help="Preset; may be given more than once; all if not given.",
)
@click.option("--record", type=Reads(), help="Record to print; the shipped one if not given.")
@json_option("Write the record there.", record="ladder")
@click.option("--plot", type=Writes(PICTURE), help="Draw the picture into this file: SVG, PDF or PNG.")
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

    A float network is rounded without training: each kind of signal alone, then all. 'trained' is the
    shipped network that was trained with the rounding; its distance is from the float network that was
    trained as long. Each distance is followed by its noise: how much it may differ on other text of the
    same kind (95 %, a block bootstrap). Size is that of the weights; cycles and block RAM are estimates for
    the whole engine.
    """
    from rich.console import Console

    from zynq_lstm.models.evaluation import ladder

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
    """Return cycles per character (scored) and block RAMs of the fastest engine that fits the part."""
    from zynq_lstm.hls.engine.estimate import estimate, fitting_array

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

    from zynq_lstm.scripts.tables import show

    title = f"{record['corpus']['name']}; {record['metric']}"
    table = Table(title=title, pad_edge=False, padding=(0, 0, 0, 1))
    for heading in ("preset", "rounded"):
        table.add_column(heading)
    bits = ("valid. BPC", "above float", "test BPC", "above float")  # 80 columns have no room for the word
    for heading in (*bits, "kbit", "cycles", "block RAM"):
        table.add_column(heading, justify="right")
    for row in rows:
        # Figures of hardware are for a network that is rounded as a whole.
        engine = engines[row["preset"]] if row["step"] in ("all", "trained") else None
        table.add_row(
            row["preset"],
            row["step"],
            *(text for part in HELD_OUT for text in (f"{row[f'{part}_bpc']:.4f}", _above(row, part))),
            f"{row['weight_bits'] / 1000:,.0f}",
            f"{engine['cycles']:,}" if engine else "",
            f"{engine['bram36']:g}" if engine else "",
        )
    show(table, console)


def _above(row: Mapping[str, Any], part: str) -> str:
    """Return the distance from float with its noise; empty for the float network itself."""
    if not row["preset"]:
        return ""
    noise = row[f"{part}_noise"]
    return f"{row[f'{part}_above_float']:+.4f}" + ("" if noise is None else f" ±{noise:.4f}")


#: Steps of the ladder in the documentation.
STEPS = {
    "weights": "weights (and biases)",
    "tables": "tables (z, gates, g, ct, tanh(c))",
    "activations": "activations (h, logits)",
    "state": "state (c)",
    "all": "all",
    "trained": "trained",
}


def markdown() -> str:
    """Return the shipped record as the documentation's table: test BPC above float, size and engine."""
    from zynq_lstm.models.evaluation import ladder

    found, source = load_record("ladder"), load_float()
    trained = training_figures(training_records()).get(found["corpus"]["name"], {})
    rows = {(row["preset"], row["step"]): row for row in ladder.rows(found, source, trained)}
    presets = list(found["presets"])
    engines = {preset: _engine(source, preset, DEFAULT_PART) for preset in presets}
    size = {key: f"{row['weight_bits'] / 1000:,.0f}" for key, row in rows.items()}
    lines = [["", *(f"`{preset}`" for preset in presets)], ["---"] * (1 + len(presets))]
    for step, name in STEPS.items():
        cells = [_above(rows[preset, step], "test") if (preset, step) in rows else "" for preset in presets]
        lines.append([name, *cells])
    lines.append(
        [f"weights, kbit (float: {size['', 'float']})", *(size[preset, "all"] for preset in presets)]
    )
    lines.append(["cycles per character", *(f"{engines[preset]['cycles']:,}" for preset in presets)])
    lines.append(["block RAM", *(f"{engines[preset]['bram36']:g}" for preset in presets)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw(rows: Sequence[Mapping[str, Any]], engines: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the ladder: test BPC above float of every step, and against the weights' size."""
    from zynq_lstm.models.evaluation.ladder import STEPS
    from zynq_lstm.scripts.pictures import COLORS, picture

    steps = [*STEPS, "trained"]
    by_preset = {preset: {row["step"]: row for row in rows if row["preset"] == preset} for preset in engines}
    with picture(path, 2, width_ratios=(3, 2), sharey=True) as (left, right):
        for k, (preset, found) in enumerate(by_preset.items()):
            color, beside = COLORS[k % len(COLORS)], 0.12 * (k - (len(by_preset) - 1) / 2)
            known = [step for step in steps if step in found]
            left.errorbar(
                [steps.index(step) + beside for step in known],
                [found[step]["test_above_float"] for step in known],
                [found[step]["test_noise"] or 0 for step in known],
                fmt="o",
                elinewidth=1,
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
        left.set_ylabel("test BPC above float; lines: noise (95 %)")
        left.legend(frameon=False, loc="upper center")
        right.set_xlabel("Mbit of weights; hollow: rounded, full: trained")
        right.set_xlim(0, 2.1 * max(found["all"]["weight_bits"] for found in by_preset.values()) / 1e6)
