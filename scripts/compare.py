# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm compare``: two engines on the same characters, and the first value at which they part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.errors import CheckError, UserError
from scripts.engines import ENGINES, SIMULATORS
from scripts.files import Reads, Verb
from scripts.options import checkpoint_option, json_option, output_option, text_codes, text_options

if TYPE_CHECKING:
    from models.network import IntegerNetwork
    from sim.fixed import Raw
    from sim.trace import Mismatch

BEHIND = 1  # characters in the waveform behind the one that differs, whose last gates overlap with it


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
@click.option("--waves/--no-waves", default=True, show_default=True, help="Of RTL that differs (FST).")
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

    from models.checkpoint import load_quantized
    from models.store import write_json
    from scripts.engines import frozen, trace
    from sim.simulator import require
    from sim.trace import compare

    engines = (engine_a, engine_b)
    if engine_a == engine_b:
        raise UserError(f"{engine_a} is one engine; give two of {', '.join(ENGINES)}")
    if rtl_project and not set(engines) & set(SIMULATORS):
        raise UserError(f"--rtl-project is for {' and '.join(SIMULATORS)}, not for {' and '.join(engines)}")
    for engine in engines:
        if engine in SIMULATORS:
            require(SIMULATORS[engine])
    loaded = load_quantized(checkpoint)
    network = frozen(loaded, *engines)
    codes = text_codes(loaded, text, text_file, characters)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    found: dict[str, dict[str, Raw]] = {}
    for engine in engines:
        with console.status(f"{engine}: {len(codes):,} characters"):
            found[engine] = trace(engine, loaded, network, codes, output / engine, rtl_project)
    # An engine that is held to the reference while it runs ends at a difference.
    length = min(len(signals["logits"]) for signals in found.values())
    a, b = ({name: x[:length] for name, x in signals.items()} for signals in found.values())
    result = compare(network, a, b)
    data: dict[str, Any] = {"engines": engines, **result.summary(), "first": None}
    console.print(f"{result.values:,} values of {length:,} characters, {result.mismatches:,} differ")
    if result.first is None and length < len(codes):
        raise CheckError(
            f"the engines agree on {length} of {len(codes)} characters; behind them one differs from the "
            "reference: compare it with that"
        )
    if result.first:
        data["first"], lines = _describe(engines, network, codes, result.first)
        console.print(*lines, sep="\n")
        if "reference" not in engines:
            console.print(_judge(engines, network, codes, result.first))
        for engine in [e for e in engines if e in SIMULATORS]:
            with console.status(f"{engine}: waveform"):
                where = _waveform(engine, network, codes, result.first, output, rtl_project, waves)
            data |= where
            console.print(
                *(f"{engine}: {name.replace('_', ' ')} {value}" for name, value in where.items()), sep="\n"
            )
    if json_path:
        write_json(json_path, data)
    if result.first:
        ctx.exit(1)


def _describe(
    engines: tuple[str, str], network: IntegerNetwork, codes: Raw, first: Mismatch
) -> tuple[dict[str, Any], list[str]]:
    """The first difference as data, and for people."""
    values = dict(zip(engines, (first.expected, first.actual), strict=True))
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
        f"first difference: character {first.character} ({character!r} behind {before!r})",
        f"{first.signal}, {where}, {'bits' if len(bits) > 1 else 'bit'} {', '.join(map(str, bits))}",
    ]
    width = max(map(len, engines))
    for engine, raw in values.items():
        real = float(first.format.to_real(raw))
        pattern = f"{raw & mask:0{first.format.bits}b}"
        lines.append(f"  {engine:{width}}  {pattern}  raw {raw}, {real:g}")
    return data, [*lines, f"  {'':{width}}  {first.format}"]


def _judge(engines: tuple[str, str], network: IntegerNetwork, codes: Raw, first: Mismatch) -> str:
    """Which of two engines the reference agrees with there."""
    from sim.reference import Reference

    signals: dict[str, Raw] = {}
    Reference(network).run(codes[: first.character + 1], signals)
    value = first.pick(network, signals)
    agrees = [e for e, raw in zip(engines, (first.expected, first.actual), strict=True) if raw == value]
    return (
        f"the reference has {value}, as {agrees[0]}" if agrees else f"the reference has {value}, as neither"
    )


def _waveform(
    engine: str,
    network: IntegerNetwork,
    codes: Raw,
    first: Mismatch,
    output: Path,
    project: Path | None,
    waves: bool,
) -> dict[str, Any]:
    """When the simulation took the character, and the file of a waveform from there on."""
    from scripts.engines import simulation

    report = json.loads((output / engine / "run-score" / "report.json").read_text(encoding="utf-8"))
    start = report["taken_ns"][first.character]
    where = {"character_taken_at_ns": start}
    if waves:
        rtl = simulation(engine, network, output / engine, project, waves=True)
        where["waveform"] = str(rtl.window(codes[: first.character + 1 + BEHIND], start))
    return where
