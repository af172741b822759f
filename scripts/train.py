# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm train``: a float network from a text, then from it the final float and quantized ones."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from models.corpus import CORPORA, HELD_OUT, load_corpus
from models.evaluate import require_text
from models.spec import DEFAULT_PRESET, PRESETS, network_spec
from models.training_options import TrainingOptions
from scripts.training import (
    DISTILL,
    FURTHER_EPOCHS,
    FURTHER_LEARNING_RATE,
    STARTS,
    train_base,
    train_float,
    train_quantized,
)

STAGES = ("base", "float", "quantized")


@click.command(name="train")
@click.option("--corpus", "corpus_name", type=click.Choice(CORPORA), default=CORPORA[0], show_default=True)
@click.option("--corpus-file", type=click.Path(path_type=Path), help="Any UTF-8 text instead.")
@click.option(
    "--stage",
    type=click.Choice(("all", *STAGES)),
    default="all",
    show_default=True,
    help="'float' and 'quantized' continue from 'base', each for itself.",
)
@click.option("--preset", type=click.Choice(tuple(PRESETS)), default=DEFAULT_PRESET, show_default=True)
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="Float network to continue from instead of the run folder's.",
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    help="Float network that teaches the quantized one instead of the run folder's.",
)
@click.option(
    "--quantized-from",
    type=click.Choice(STARTS),
    default=STARTS[0],
    show_default=True,
    help="'seed': the quantized network starts anew, and trains as long as base and float together; only "
    "its formats are fitted to the base's weights.",
)
@click.option("--layers", default=2, show_default=True, help="LSTM layers.")
@click.option("--units", default=128, show_default=True, help="Units of each layer.")
@click.option("--epochs", default=TrainingOptions.epochs, show_default=True, help="Of the base.")
@click.option(
    "--further-epochs", default=FURTHER_EPOCHS, show_default=True, help="After the base, float or quantized."
)
@click.option("--batch", default=TrainingOptions.batch, show_default=True, help="Parallel streams.")
@click.option(
    "--steps",
    default=TrainingOptions.steps,
    show_default=True,
    help="Characters between truncations.",
)
@click.option(
    "--learning-rate",
    default=TrainingOptions.learning_rate,
    show_default=True,
    help="Highest rate of the base.",
)
@click.option(
    "--further-learning-rate", default=FURTHER_LEARNING_RATE, show_default=True, help="Highest rate after it."
)
@click.option("--distill", default=DISTILL, show_default=True, help="Share of the teacher in the target.")
@click.option("--dropout", default=TrainingOptions.dropout, show_default=True, help="Between layers.")
@click.option("--clip", default=TrainingOptions.clip, show_default=True, help="Global norm of the gradient.")
@click.option("--seed", default=TrainingOptions.seed, show_default=True)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    default=Path("build/train"),
    show_default=True,
    help="Where results, checkpoints and TensorBoard logs go.",
)
@click.option("--resume", is_flag=True, help="Continue exactly where the last checkpoint is.")
@click.option("--overwrite", is_flag=True, help="Start anew over the run folder's results.")
@click.option("--checkpoint-seconds", default=60.0, show_default=True, help="Time between checkpoints.")
def command(corpus_name: str, corpus_file: Path | None, stage: str, preset: str, **options: Any) -> None:
    """Train a float network (the base), then continue from it, float and quantized, equally long.

    The quantized network's training is quantization-aware, and the finished float network teaches it.

    Results in the run folder: NAME-base, NAME-float and NAME-PRESET, each as .safetensors (the weights)
    and .json (the training record), and logs for TensorBoard.
    """
    corpus = load_corpus(corpus_name, corpus_file)
    network_spec(  # refuses an impossible shape before anything is written
        preset,
        vocabulary=len(corpus.vocabulary),
        units=options["units"],
        layers=options["layers"],
    )
    for part in HELD_OUT:  # what the network is evaluated on in the end
        require_text(corpus.split().part(part), f"{corpus.name}: the {part} split")
    options["command"] = _command_line()
    run_dir: Path = options["run_dir"]
    name = Path(corpus.name).stem
    paths = {what: run_dir / f"{name}-{what}.safetensors" for what in ("base", "float", preset)}
    base = options["base"] or paths["base"]
    if stage in ("all", "base") and not options["base"]:
        train_base(corpus, paths["base"], options)
    if stage in ("all", "float"):
        train_float(corpus, base, paths["float"], options)
    if stage in ("all", "quantized"):
        train_quantized(corpus, base, options["teacher"] or paths["float"], preset, paths[preset], options)


def _command_line() -> str:
    """The command as a person would type it, without what only says where to and how often."""
    context = click.get_current_context()
    words = ["zynq-lstm", "train"]
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and name not in ("resume", "overwrite", "run_dir", "checkpoint_seconds"):
            value = context.params[name]
            # Of a path the name: where the file was is nobody else's business; its hash is in the record.
            words += [parameter.opts[0], value.name if isinstance(value, Path) else str(value)]
    return shlex.join(words)
