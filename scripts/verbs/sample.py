# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm sample``: write text with a trained network, on any engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from zynq_lstm.models.description.checkpoint import Checkpoint, shipped
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.choice import TEMPERATURE, temperature_to_raw
from zynq_lstm.models.integers.text import check_arguments, check_lengths
from zynq_lstm.models.texts.corpus import encode, note_rest
from zynq_lstm.scripts.files import Folder, Reads, Verb
from zynq_lstm.scripts.options import Number, Option
from zynq_lstm.sim import engines

#: Engines by the names that this verb gives them: here 'float' is Keras, too.
OFFERED = {{"keras": "quantized"}.get(name, name): name for name in engines.offered("sample")}
BUILT = tuple(choice for choice, name in OFFERED.items() if engines.registry()[name].in_folder)


def build_folder(engine: str | None) -> Path | None:
    """Return the default folder in which an engine is built; None for an engine without a folder."""
    return Path("build", f"sample-{engine}") if engine in BUILT else None


@click.command(cls=Verb, name="sample")
@click.option(
    "--checkpoint",
    type=Reads(),
    help="Float or quantized network; the shipped w8a8 if not given, with --engine float the shipped float.",
)
@click.option(
    "--engine",
    type=click.Choice(("float", *OFFERED)),
    help="Engine that runs the network: Keras (float, quantized), NumPy, C++ or the simulated RTL. All but "
    "float write the same text for the same seed. The reference if not given, for a float network float.",
)
@click.option(
    "--prime",
    default="HAMLET.\n",
    help="Text to start from; HAMLET. and a line end if not given. For a line end in it, bash has $'A\\nB'.",
)
@click.option(
    "--length",
    cls=Option,
    old={"--characters": None},
    type=int,
    default=400,
    show_default=True,
    help="Number of characters to write.",
)
@click.option(
    "--temperature",
    type=Number(0),
    default=0.7,
    show_default=True,
    help="0: always the likeliest; 1: the network's own distribution. "
    f"Below {1 << TEMPERATURE.integer}, in steps of 1/{1 << TEMPERATURE.frac}, but for float.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True)
@click.option(
    "--output",
    type=Folder(lambda given: build_folder(given["engine"])),
    help="hls, rtl: folder of the project that is built; build/sample-ENGINE if not given.",
)
def command(
    checkpoint: Path | None,
    engine: str | None,
    prime: str,
    length: int,
    temperature: float,
    seed: int,
    output: Path | None,
) -> None:
    """Print the text that the network writes after the priming text, character by character."""
    source = Checkpoint.load(checkpoint or shipped("float" if engine == "float" else "w8a8"))
    engine = engine or ("reference" if source.spec else "float")
    if (source.spec is None) != (engine == "float"):
        kind = "quantized" if source.spec else "float"
        raise UserError(f"--engine {engine} can't run a {kind} network; give another --checkpoint")
    if output and engine not in BUILT:
        raise UserError(f"--output is an option of --engine {' and '.join(BUILT)}, not of {engine}")
    codes = encode(prime, source.vocabulary, "--prime", source.rest)
    check_lengths(len(codes), length)
    if engine == "float":
        written = _float(source, codes, length, temperature, seed)
    else:
        folder = output or build_folder(engine) or Path()
        written = _integers(OFFERED[engine], source, codes, length, temperature, seed, folder)
    click.echo(prime, nl=False)
    text = ""
    for code in written:
        text += source.vocabulary[code]
        click.echo(text[-1], nl=False)
    click.echo()
    note_rest(text, source.rest)


def _float(source: Checkpoint, codes: Any, length: int, temperature: float, seed: int) -> Iterator[int]:
    """Return the characters that the float network writes, as they are written."""
    from zynq_lstm.models.keras.float_lstm import float_model
    from zynq_lstm.models.keras.text import generate

    return generate(float_model(source), codes, length, temperature, seed)


def _integers(
    name: str, source: Checkpoint, codes: Any, length: int, temperature: float, seed: int, folder: Path
) -> Iterator[int]:
    """Return the characters that an engine writes; all slow work but the writing is done first."""
    network = engines.frozen(source, name)
    raw = temperature_to_raw(temperature)
    check_arguments(len(codes), length, raw, seed)
    engine = engines.registry()[name](source, network, folder)
    if engine.in_folder:
        click.echo(f"building {folder} ...", err=True)
    engine.build()
    return engine.write(codes, length, raw, seed)
