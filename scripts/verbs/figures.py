# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm figures``: measure the figures of the documentation, print them, and write them as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import json_option, output_option, part_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zynq_lstm.models.description.checkpoint import Checkpoint
    from zynq_lstm.sim.campaigns.records import Figure

ENGINE_PRESETS = ("w8a8", "w4a8")


@click.group(name="figures")
def command() -> None:
    """Print the figures of the documentation; each subcommand measures or reads one group."""


command.command_class = Verb


@command.command(name="engine", short_help="The RTL engine: cycles, resources, LUT levels.")
@click.option(
    "--preset", "presets", type=click.Choice(ENGINE_PRESETS), multiple=True, help="Preset; both if not given."
)
@click.option(
    "--characters",
    type=click.IntRange(8),
    default=2000,
    show_default=True,
    help="Characters to score; a quarter as many are generated.",
)
@part_option()
@click.option(
    "--synthesis/--no-synthesis", default=True, show_default=True, help="Run Yosys: minutes per preset."
)
@output_option("build/figures", "Folder for projects, netlists and logs.")
@json_option()
@click.pass_context
def engine(
    ctx: click.Context,
    presets: tuple[str, ...],
    characters: int,
    part: str,
    synthesis: bool,
    output: Path,
    json_path: Path | None,
) -> None:
    """Measure the RTL engine of a shipped network: cycles by simulation, resources and LUT levels by Yosys.

    Exit code 1 if the netlist has a latch, a net with several drivers or none, a combinational loop, a
    memory in LUTs that is not meant to be, or a DSP or block RAM without register.
    """
    from rich.console import Console

    from zynq_lstm.hls.parts import part_name
    from zynq_lstm.models.store import write_json

    part = part_name(part)
    console = Console()
    figures: dict[str, dict[str, Any]] = {}
    sound = True
    for preset in presets or ENGINE_PRESETS:
        figures[preset], faults = _measure(console, preset, characters, part, synthesis, output / preset)
        sound = sound and not faults
        if json_path:  # at once: the next preset takes minutes
            write_json(json_path, figures)
    _print(console, figures)
    if not sound:
        ctx.exit(1)


@command.command(name="training", short_help="Bits per character of the shipped networks.")
@click.option("--measure", is_flag=True, help="Training throughput too, beside stock Keras: some minutes.")
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="Rounds of --measure; the median counts.",
)
@click.option(
    "--updates", type=click.IntRange(1), default=20, show_default=True, help="Updates per round of --measure."
)
@click.option(
    "--count-units",
    is_flag=True,
    help="First count the shipped networks' stuck and saturated units anew, and write them into the records.",
)
@json_option()
def training(measure: bool, rounds: int, updates: int, count_units: bool, json_path: Path | None) -> None:
    """Print bits per character of the networks whose training records are shipped, and their stuck units.

    Validation comes first: networks are chosen by it, and the test split is for the chosen network. 'Above
    float' is only for networks of equally long training: from the same base, with the same number of
    updates; or from the start, with as many updates as both together. Stuck and saturated units are given by
    layer, the first layer's first (docs/training.md, Stuck units); networks whose weights are not shipped
    have none.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.models.description.checkpoint import shipped_files
    from zynq_lstm.models.description.spec import DEFAULT_PRESET
    from zynq_lstm.models.evaluation import shipped_records
    from zynq_lstm.models.evaluation.memory import by_layer
    from zynq_lstm.models.evaluation.shipped_records import part_figures, training_figures, training_records
    from zynq_lstm.models.store import write_json
    from zynq_lstm.models.texts.corpus import HELD_OUT, load_corpus
    from zynq_lstm.models.training import throughput
    from zynq_lstm.scripts.tables import show

    console = Console()
    for path in shipped_files() if count_units else ():
        with console.status(f"{path.stem}: counting units"):
            shipped_records.count_units(path, load_corpus(path.stem.partition("-")[0]))
    figures: dict[str, Any] = training_figures(training_records())
    table = Table("corpus", "network", pad_edge=False)
    for heading in ("validation BPC", "above float", "test BPC", "above float", "minutes"):
        table.add_column(heading, justify="right")
    units = Table("corpus", "network", title="units by layer", pad_edge=False)
    for heading in ("units", "stuck", "saturated"):
        units.add_column(heading, justify="right", no_wrap=True)
    for corpus, networks in figures.items():
        if not isinstance(networks, dict):
            continue
        for name, row in networks.items():
            table.add_row(
                corpus,
                name,
                *(text for part in HELD_OUT for text in part_figures(row, part)),
                f"{row['minutes']:g}",
            )
            if "stuck" in row:
                units.add_row(corpus, name, *(by_layer(row[key]) for key in ("units", "stuck", "saturated")))
    show(table, console)
    show(units, console)
    if "minutes" in figures:
        console.print(f"zynq-lstm train, all stages: {figures['minutes']:g} minutes")
    if measure:
        with console.status("training throughput"):
            rates = throughput.measure(DEFAULT_PRESET, rounds, updates)
        for kind, values in rates.items():
            console.print(f"{kind}: {statistics.median(values):,.0f} characters/s", highlight=False)
        figures["throughput_ratio"] = {
            kind: round(ratio, 3) for kind, ratio in throughput.ratios(rates).items()
        }
        for kind, ratio in figures["throughput_ratio"].items():
            console.print(f"{kind} / the faster stock Keras: {ratio:.2f}", highlight=False)
    if json_path:
        write_json(json_path, figures)


_records_option = click.option(
    "--records",
    "folder",
    type=Reads(folder=True),
    help="Folder of the records, as make nightly leaves them; the shipped ones if not given.",
)


@command.command(name="verification", short_help="Results of verification.")
@_records_option
@json_option()
@click.pass_context
def verification(ctx: click.Context, folder: Path | None, json_path: Path | None) -> None:
    """Print the results of verification: random networks, mutants, coverage, the longest run, bad inputs.

    They are read from the last runs' records, each with its date and commit (+: with changes); nothing runs.
    Exit code 1 if the sources of a record have changed since it was made.
    """
    from zynq_lstm.sim.campaigns import records

    _show_records(ctx, records.VERIFICATION, folder, json_path)


@command.command(name="robustness", short_help="Results of bad input and interruptions.")
@_records_option
@json_option()
@click.pass_context
def robustness(ctx: click.Context, folder: Path | None, json_path: Path | None) -> None:
    """Print the results on strangers' models, typing mistakes, odd folder names, odd formats, interruptions.

    They are read from the last runs' records, as for "figures verification". "cases" are models and
    "situations" command lines, each with its right answer; "specs" are random networks for which estimate's
    verdict was compared with building each engine; "skipped tests" are those of the last "make test". Exit
    code 1 if the sources of a record have changed since it was made.
    """
    from zynq_lstm.sim.campaigns import records

    _show_records(ctx, records.ROBUSTNESS, folder, json_path)


@command.command(name="peers", short_help="Stock hls4ml and this project on the same Keras models.")
@click.option("--measure", is_flag=True, help="Run both instead of reading a record: some minutes.")
@click.option("--record", type=Reads(), help="Record to print; the shipped one if not given.")
@output_option("build/peers", "Folder for the models and projects of --measure.")
@json_option("Write the record there.")
@click.pass_context
def peers(
    ctx: click.Context, measure: bool, record: Path | None, output: Path, json_path: Path | None
) -> None:
    """Compare the outputs of stock hls4ml, and of this project, with those of Keras, on small random models.

    Stock hls4ml has formats of 32 bits; here the formats are those of a preset. Without --measure, they are
    read from the last run's record; exit code 1 if its sources have changed since.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.models.errors import UserError
    from zynq_lstm.models.store import read_record, write_json
    from zynq_lstm.scripts.tables import show
    from zynq_lstm.sim.campaigns import peers as campaign
    from zynq_lstm.sim.campaigns import records

    console = Console()
    if measure:
        with console.status("") as status:
            found = campaign.measure(output, progress=status.update)
    else:
        path = record or records.path(records.PEERS)
        if not path.exists():
            raise UserError(f"{path}: no such record; --measure makes one")
        found = read_record(path, records.PEERS, records.PEERS)
    table = Table(
        "recurrent layer", title=f"largest difference from a logit of Keras; hls4ml {found['hls4ml']}"
    )
    for heading in ("hls4ml", "zynq-lstm", "hls4ml on it"):
        table.add_column(heading, overflow="fold")
    for name, row in found["cases"].items():
        told = (
            f"{row[who]['largest']:.2g}" if row[who]["largest"] is not None else row[who]["said"]
            for who in ("stock", "ours")
        )
        table.add_row(name, *told, row["known"])
    show(table, console)
    if json_path:
        write_json(json_path, found)
    if not measure and records.stale(found):
        click.echo("stale, since its sources have changed; run figures peers --measure", err=True)
        ctx.exit(1)


@command.command(name="cells", short_help="Every cell on every engine, and its cost in RTL.")
@click.option("--measure", is_flag=True, help="Run them instead of reading a record: an hour.")
@click.option(
    "--characters",
    type=click.IntRange(16),
    default=2048,
    show_default=True,
    help="--measure: characters whose signals are compared.",
)
@click.option(
    "--length",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    help="--measure: characters that each engine writes, with a temperature.",
)
@_records_option
@output_option("build/every-cell", "Folder to build in with --measure.")
@json_option("Write the figures there.")
@click.pass_context
def cells(
    ctx: click.Context,
    measure: bool,
    characters: int,
    length: int,
    folder: Path | None,
    output: Path,
    json_path: Path | None,
) -> None:
    """Compare every signal of every cell in Keras, the HLS C++ and the RTL with the reference.

    Each cell has two layers with as many parameters as an LSTM's of 128 units, and random weights. Cycles are
    measured, for an array of 416 products per cycle. Without --measure, figures are read from the last run's
    record; exit code 1 if a value differs, or if the record's sources have changed since.
    """
    from rich.console import Console
    from rich.table import Table

    from zynq_lstm.models.errors import UserError
    from zynq_lstm.models.store import write_json
    from zynq_lstm.scripts.tables import show
    from zynq_lstm.sim.campaigns import every_cell, records

    console = Console()
    folder = folder or records.FOLDER
    if measure:
        with console.status("") as status:
            found = every_cell.measure_all(output, 1, characters, length, status.update)
        write_json(output / records.path(records.CELLS).name, found)
    else:
        read = records.read(records.CELLS, folder)
        if read is None:
            raise UserError(f"{folder}: there is no record of cells; --measure makes one")
        found = read
    table = Table("cell", pad_edge=False)
    for heading in ("units", "values", "differ", "generate", "score", "gates", "DSP48E1", "BRAM", "LUT"):
        table.add_column(heading, justify="right")
    for name, row in found["cells"].items():
        engines = [row[engine] for engine in every_cell.ENGINES]
        table.add_row(
            name,
            str(row["units"]),
            f"{sum(e['values'] for e in engines):,}",
            str(sum(e["mismatches"] for e in engines)),
            *(str(row["cycles"][mode]) for mode in ("generate", "score")),
            *(f"{row[key]:,}" for key in ("gate_latency", "dsp", "bram36", "lut")),
        )
    show(table, console)
    if json_path:
        fuzz = records.figures({"fuzz": records.VERIFICATION["random_networks"]}, folder)["fuzz"]
        write_json(json_path, {"cells": found["cells"], "fuzz": fuzz})
    differ = any(row[e]["mismatches"] for row in found["cells"].values() for e in every_cell.ENGINES)
    stale = not measure and records.stale(found)
    if stale:
        click.echo("stale, since its sources have changed; run figures cells --measure", err=True)
    if differ or stale:
        ctx.exit(1)


def _show_records(
    ctx: click.Context, wanted: Mapping[str, Figure], folder: Path | None, json_path: Path | None
) -> None:
    """Print the figures of records and write them; exit code 1 if one is stale."""
    from rich.table import Table

    from zynq_lstm.models.store import write_json
    from zynq_lstm.scripts.tables import show
    from zynq_lstm.sim.campaigns import records

    folder = folder or records.FOLDER
    figures = records.figures(wanted, folder)
    table = Table("figure", "found", "date", "commit", "")
    for name, row in zip(figures, records.rows(wanted, folder), strict=True):
        found = figures[name]
        table.add_row(*row, "stale" if found and found["stale"] else "")
    show(table)
    if json_path:
        write_json(json_path, records.as_json(wanted, folder))
    kinds = {wanted[name].kind for name, row in figures.items() if row and row["stale"]}
    if kinds:
        click.echo(
            f"stale, since their sources have changed: {', '.join(sorted(kinds))}; run make nightly", err=True
        )
        ctx.exit(1)


def _measure(
    console: Any, preset: str, characters: int, part: str, synthesis: bool, folder: Path
) -> tuple[dict[str, Any], list[str]]:
    """Return the figures of a preset, and the faults of its netlist."""
    import numpy as np

    from zynq_lstm.hls.engine.estimate import fitting_array
    from zynq_lstm.hls.synthesis.netlist import check, summary, synthesized
    from zynq_lstm.hls.synthesis.yosys import synthesize
    from zynq_lstm.sim.engines import frozen
    from zynq_lstm.sim.engines.rtl import RtlEngine
    from zynq_lstm.sim.simulation.rtl import write_project

    checkpoint = _checkpoint(preset)
    network = frozen(checkpoint)
    engine = RtlEngine(checkpoint, network, folder, array=fitting_array(network.spec, part))
    codes = np.random.default_rng(0).integers(0, network.spec.vocabulary, characters)
    with console.status(f"{preset}: simulation"):
        engine.build()
        engine.whole_trace(codes)
        list(engine.write(codes[:8], max(16, characters // 4)))
    figures = engine.describe()
    figures["rtl_chars_per_s"] = figures.pop("characters_per_second")
    if not synthesis:
        return figures, []
    with console.status(f"{preset}: synthesis with Yosys, some minutes"):
        write_project(engine.design, folder / "rtl")
        report = synthesize(folder / "rtl", part)
    found = check(synthesized(folder / "rtl"))
    for line in summary(found):
        console.print(f"{preset}: {line}", highlight=False, markup=False)
    resources = {name: report[name] for name in ("dsp", "bram36", "lut", "ff")}
    return figures | resources | {"lut_levels": found.lut_levels}, found.faults


def _checkpoint(preset: str) -> Checkpoint:
    """Return the shipped network of a preset; if there is none, the shipped float network, rounded."""
    from zynq_lstm.models.description.checkpoint import Checkpoint, preset_spec, shipped
    from zynq_lstm.models.errors import UserError

    try:
        return Checkpoint.load(shipped(preset))
    except UserError:
        loaded = Checkpoint.load(shipped("float"))
    return dataclasses.replace(loaded, spec=preset_spec(loaded, preset))


def _print(console: Any, figures: dict[str, dict[str, Any]]) -> None:
    from rich.table import Table

    from zynq_lstm.hls.engine.schedule import MODES
    from zynq_lstm.scripts.tables import show

    table = Table("", *figures)
    names = [n for n in next(iter(figures.values())) if n != "cycles_per_character"]
    for mode in MODES:
        table.add_row(
            f"cycles per character, {mode}",
            *(f"{f['cycles_per_character'][mode]:g}" for f in figures.values()),
        )
    for name in names:
        table.add_row(name.replace("_", " "), *(f"{f.get(name, ''):,}" for f in figures.values()))
    show(table, console)
