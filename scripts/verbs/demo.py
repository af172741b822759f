# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm demo``: go from the shipped checkpoint to four engines that agree."""

from __future__ import annotations

from pathlib import Path

import click

from zynq_lstm.models.errors import UserError
from zynq_lstm.scripts.files import Reads, Verb
from zynq_lstm.scripts.flow import CHARACTERS, MINIMUM
from zynq_lstm.scripts.options import Option, checkpoint_option, corpus_options, output_option, part_option

SHIPPED_CELLS = ("lstm", "gru")  # cells of the shipped networks of the default corpus


@click.command(cls=Verb, name="demo")
@click.option(
    "--characters", default=CHARACTERS, show_default=True, help="Held-out characters to compare on."
)
@output_option("build/demo", "Folder for projects, logs and summary.json.")
@corpus_options
@click.option(
    "--float-checkpoint",
    "float_file",
    cls=Option,
    old={"--float": None},
    type=Reads(),
    help="A float network; the shipped one if not given.",
)
@checkpoint_option
@click.option(
    "--cell",
    type=click.Choice(SHIPPED_CELLS),
    default=SHIPPED_CELLS[0],
    show_default=True,
    help="Cell of the shipped network to take.",
)
@part_option("Zynq-7000 device to synthesize for.")
@click.option("--synthesis/--no-synthesis", default=True, show_default=True, help="Run Yosys, too.")
def command(
    characters: int,
    output: Path,
    corpus: str,
    corpus_file: Path | None,
    float_file: Path | None,
    checkpoint: Path | None,
    cell: str,
    part: str,
    synthesis: bool,
) -> None:
    """Evaluate, convert, compile and simulate a network, and show that four engines agree on held-out text.

    Compares every gate, state and logit of the quantized Keras model, the HLS C++ and the RTL with the
    NumPy reference, at every character; lets the RTL write text; counts the RTL's resource use. Exit code 1
    if anything differs.
    """
    from zynq_lstm.models.description.checkpoint import load_float, load_quantized, shipped
    from zynq_lstm.models.description.spec import DEFAULT_PRESET
    from zynq_lstm.models.store import claim
    from zynq_lstm.models.texts.corpus import load_corpus
    from zynq_lstm.scripts.flow import demonstration
    from zynq_lstm.sim.engines import frozen

    if characters < MINIMUM:
        raise UserError(f"--characters is {characters}; it must be at least {MINIMUM}")
    if cell != SHIPPED_CELLS[0] and (checkpoint or float_file):
        raise UserError(
            f"--cell {cell} takes the shipped network; leave out --checkpoint and --float-checkpoint"
        )
    checkpoint = checkpoint or shipped(DEFAULT_PRESET, cell=cell)
    float_file = float_file or shipped("float", cell=cell)
    load_float(float_file)
    quantized = load_quantized(checkpoint)
    frozen(quantized, "keras", "hls", "rtl")
    text = load_corpus(corpus, corpus_file, vocabulary=quantized.vocabulary, rest=quantized.rest)
    held_out = len(text.split().part("validation"))
    if held_out <= characters:
        raise UserError(f"--characters is {characters}; the validation split has {held_out} characters")
    claim(output)
    networks = {"checkpoint": checkpoint, "float_checkpoint": float_file}
    demonstration.run(
        output,
        corpus={"name": corpus, "file": corpus_file and str(corpus_file.absolute())},
        training={name: str(path.absolute()) for name, path in networks.items()},
        engine={"part": part, "synthesis": synthesis},
        verification={"characters": characters, "ladder": 0},
    )
