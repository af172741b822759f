# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm sample``: text from a trained network, in Keras."""

from __future__ import annotations

from pathlib import Path

import click

from models.checkpoint import Checkpoint, shipped
from models.corpus import encode


@click.command(name="sample")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Float or quantized network; the shipped w8a8 if not given.",
)
@click.option("--prime", default="HAMLET.\n", show_default=True, help="Text to start from.")
@click.option("--characters", default=400, show_default=True, help="How many to write.")
@click.option(
    "--temperature",
    default=0.7,
    show_default=True,
    help="0: always the likeliest; 1: the network's own distribution.",
)
@click.option("--seed", default=1, show_default=True)
def command(checkpoint: Path | None, prime: str, characters: int, temperature: float, seed: int) -> None:
    """Print text that the network writes after the priming text."""
    source = Checkpoint.load(checkpoint or shipped("w8a8"))
    codes = encode(prime, source.vocabulary, "--prime")

    from models.float_lstm import float_model
    from models.quantized import quantized_model
    from models.sampling import generate

    model = quantized_model(source) if source.spec else float_model(source)
    written = generate(model, codes, characters, temperature, seed)
    click.echo(prime, nl=False)
    for code in written:
        click.echo(source.vocabulary[code], nl=False)
    click.echo()
