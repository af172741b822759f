# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm compare``: run two engines on the same characters, and find the first value that differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.options import checkpoint_option, json_option, output_option, text_codes, text_options
from zynq_lstm.sim import engines
from zynq_lstm.sim.engines.rtl import RtlEngine

if TYPE_CHECKING:
    from zynq_lstm.models.fixed import Raw
    from zynq_lstm.models.integers.network import IntegerNetwork
    from zynq_lstm.sim.trace import Comparison, Mismatch

ENGINES = engines.offered("compare")
SIMULATED = tuple(name for name in ENGINES if issubclass(engines.registry()[name], RtlEngine))
AFTER = 1  # characters of the waveform after the one that differs: its last gates overlap with the next


@click.command(cls=Verb, name="compare")
@click.argument("engine_a", metavar="A", type=click.Choice(ENGINES))
@click.argument("engine_b", metavar="B", type=click.Choice(ENGINES))
@checkpoint_option
@text_options
@click.option(
    "--rtl-project",
    type=Reads(folder=True),
    help="Simulate this project of 'convert --backend OpenRTL', which you may have changed.",
)
@click.option(
    "--waves/--no-waves",
    default=True,
    show_default=True,
    help="Write a waveform (FST) of an RTL that differs.",
)
@output_option("build/compare", "Folder for projects and the waveform.")
@json_option("Write the result there, too.")
@click.pass_context
def command(
    ctx: click.Context,
    engine_a: str,
    engine_b: str,
    checkpoint: Path | None,
    text: str | None,
    text_file: Path | None,
    characters: int,
    rtl_project: Path | None,
    waves: bool,
    output: Path,
    json_path: Path | None,
) -> None:
    """Compare every gate, state and logit of engine A with engine B's, and name the first that differs.

    Engines: the quantized Keras model, the NumPy reference, the HLS C++, the RTL on Verilator or on Icarus.
    Exit code 1 if they differ.
    """
    from rich.console import Console

    from zynq_lstm.models.description.checkpoint import load_quantized
    from zynq_lstm.models.store import write_json
    from zynq_lstm.sim.simulation.simulator import require

    names = (engine_a, engine_b)
    if engine_a == engine_b:
        raise UserError(f"{engine_a} is one engine; give two of {', '.join(ENGINES)}")
    if rtl_project and not set(names) & set(SIMULATED):
        raise UserError(f"--rtl-project is for {' and '.join(SIMULATED)}, not for {' and '.join(names)}")
    kinds = [engines.registry()[name] for name in names]
    for kind in kinds:
        if issubclass(kind, RtlEngine):
            require(kind.simulator)
    loaded = load_quantized(checkpoint)
    network = engines.frozen(loaded, *names)
    codes = text_codes(loaded, text, text_file, characters)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    built: list[engines.Engine] = []
    for kind in kinds:
        engine = kind(loaded, network, output / kind.name)
        if isinstance(engine, RtlEngine):
            engine.project = rtl_project
        with console.status(f"{kind.name}: building"):
            engine.build()
        built.append(engine)
    with console.status(f"{len(codes):,} characters"):
        result = _compare(network, codes, *built)
    data: dict[str, Any] = {"engines": names, **result.summary(), "first": None}
    length = result.characters
    console.print(f"{result.values:,} values of {length:,} characters, {result.mismatches:,} differ")
    if result.first is None and length < len(codes):
        raise CheckError(
            f"the engines agree on {length} of {len(codes)} characters; after them one differs from the "
            "reference: compare it with that"
        )
    if result.first:
        data["first"], lines = _describe(names, network, codes, result.first)
        console.print(*lines, sep="\n")
        if "reference" not in names:
            console.print(_judge(names, network, codes, result.first))
        for engine in built:
            if not isinstance(engine, RtlEngine):
                continue
            with console.status(f"{engine.name}: waveform"):
                where = _waveform(engine, codes, result.first, waves)
            data |= where
            console.print(
                *(f"{engine.name}: {name.replace('_', ' ')} {value}" for name, value in where.items()),
                sep="\n",
            )
    if json_path:
        write_json(json_path, data)
    if result.first:
        ctx.exit(1)


def _compare(network: IntegerNetwork, codes: Raw, a: engines.Engine, b: engines.Engine) -> Comparison:
    """Compare two engines piece by piece, until the first of them ends."""
    from zynq_lstm.sim.trace import Comparison, compare

    result = Comparison(0, 0, 0, None)
    try:
        for found in zip(a.trace(codes), b.trace(codes), strict=False):
            # An engine that is compared with the reference while it runs ends at a difference.
            length = min(len(signals["logits"]) for signals in found)
            one, other = ({name: x[:length] for name, x in signals.items()} for signals in found)
            result += compare(network, one, other, result.characters)
    except CheckError:
        if not result.characters:
            raise
    return result


def _describe(
    names: tuple[str, str], network: IntegerNetwork, codes: Raw, first: Mismatch
) -> tuple[dict[str, Any], list[str]]:
    """Return the first difference as data, and as lines for the user."""
    values = dict(zip(names, (first.expected, first.actual), strict=True))
    mask = (1 << first.format.bits) - 1
    differ = (first.expected ^ first.actual) & mask
    bits = [n for n in range(first.format.bits) if differ >> n & 1]
    before = "".join(network.vocabulary[c] for c in codes[max(0, first.character - 40) : first.character])
    character = network.vocabulary[codes[first.character]]
    data = {
        "character": first.character,
        "layer": first.layer,
        "signal": first.signal,
        "unit": first.unit,
        "bits": bits,
        "format": str(first.format),
        "values": values,
    }
    where = f"layer {first.layer}, unit {first.unit}" if first.layer is not None else f"code {first.unit}"
    lines = [
        f"first difference: character {first.character} ({character!r} after {before!r})",
        f"{first.signal}, {where}, {'bits' if len(bits) > 1 else 'bit'} {', '.join(map(str, bits))}",
    ]
    width = max(map(len, names))
    for engine, raw in values.items():
        real = float(first.format.to_real(raw))
        pattern = f"{raw & mask:0{first.format.bits}b}"
        lines.append(f"  {engine:{width}}  {pattern}  raw {raw}, {real:g}")
    return data, [*lines, f"  {'':{width}}  {first.format}"]


def _judge(names: tuple[str, str], network: IntegerNetwork, codes: Raw, first: Mismatch) -> str:
    """Return a line that says which engine the reference agrees with at the first difference."""
    from zynq_lstm.models.integers.reference import Reference

    signals: dict[str, Raw] = {}
    Reference(network).run(codes[: first.character + 1], signals)
    value = first.pick(network, signals)
    agrees = [e for e, raw in zip(names, (first.expected, first.actual), strict=True) if raw == value]
    return (
        f"the reference has {value}, as {agrees[0]}" if agrees else f"the reference has {value}, as neither"
    )


def _waveform(engine: RtlEngine, codes: Raw, first: Mismatch, waves: bool) -> dict[str, Any]:
    """Return the time at which the simulation took the character, and the file of a waveform from then on."""
    report = engine.bench.report("score")
    assert report is not None  # of the run that was compared
    start = report["taken_ns"][first.character]
    where = {"character_taken_at_ns": start}
    if waves:
        again = replace(engine, waves=True)
        again.build()
        where["waveform"] = str(again.bench.window(codes[: first.character + 1 + AFTER], start))
    return where
