# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm train``: train a float network on a text, then from it the final float and quantized ones."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import DEFAULT_PRESET, MAX_LAYERS, MAX_UNITS, PRESETS, network_spec
from zynq_lstm.models.evaluation.bpc import require_text
from zynq_lstm.models.texts.corpus import CORPORA, HELD_OUT, load_corpus
from zynq_lstm.models.training.options import require_length
from zynq_lstm.models.training.recipe import (
    STARTS,
    float_network,
    require_new,
    train_base,
    train_float,
    train_quantized,
)
from zynq_lstm.scripts.files import (
    NETWORK,
    TRAINING,
    Folder,
    Named,
    Reads,
    Verb,
    Writes,
    require_apart,
    require_output,
)
from zynq_lstm.scripts.options import (
    Number,
    cell_option,
    cells_of,
    hyperparameters,
    reading_options,
    text_file_option,
)
from zynq_lstm.scripts.training import Terminal

STAGES = ("base", "float", "quantized")


@click.command(cls=Verb, name="train")
@click.option("--corpus", "corpus_name", type=click.Choice(CORPORA), default=CORPORA[0], show_default=True)
@text_file_option
@reading_options
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
    type=Reads(),
    help="Float network to continue from, instead of the run folder's.",
)
@click.option(
    "--teacher",
    type=Reads(),
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
@click.option(
    "--layers", type=click.IntRange(1, MAX_LAYERS), default=2, show_default=True, help="Recurrent layers."
)
@click.option(
    "--units", type=click.IntRange(1, MAX_UNITS), default=128, show_default=True, help="Units of each layer."
)
@cell_option
@hyperparameters
@click.option(
    "--run-dir",
    type=Folder(holds_inputs=True),
    default=Path("build/train"),
    show_default=True,
    help="Where results, checkpoints and TensorBoard logs go.",
)
@click.option("--resume", is_flag=True, help="Continue exactly where the last checkpoint is.")
@click.option("--overwrite", is_flag=True, help="Start anew over the run folder's results.")
@click.option(
    "--checkpoint-seconds",
    type=Number(0, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds between checkpoints.",
)
def command(
    corpus_name: str,
    corpus_file: Path | None,
    as_is: bool,
    fold_rare: int | None,
    stage: str,
    preset: str,
    **options: Any,
) -> None:
    """Train a float network (the base), then continue from it in float and quantized, equally long.

    The quantized network's training is quantization-aware, and the finished float network teaches it.

    Results in the run folder: NAME-base, NAME-float and NAME-PRESET, each as .safetensors (the weights)
    and .json (the training record), and logs for TensorBoard.
    """
    corpus = load_corpus(corpus_name, corpus_file, as_is=as_is, fold_rare=fold_rare)
    options["cells"] = cells_of(options.pop("cell"), options["layers"])
    network_spec(  # refuses an impossible shape before anything is written
        preset,
        vocabulary=len(corpus.vocabulary),
        units=options["units"],
        layers=options["layers"],
        cell=options["cells"],
    )
    for part in HELD_OUT:  # the network is evaluated on these in the end
        require_text(corpus.split().part(part), f"{corpus.name}: the {part} split")
    require_length(len(corpus.split().train), options["batch"], options["steps"])
    options["command"] = _command_line()
    run_dir: Path = options["run_dir"]
    name = Path(corpus.name).stem
    paths = {what: run_dir / f"{name}-{what}.safetensors" for what in ("base", "float", preset)}
    base, teacher = options["base"] or paths["base"], options["teacher"] or paths["float"]
    trained = [one for one in STAGES if stage in ("all", one) and not (one == "base" and options["base"])]
    for one in trained:
        _require_writable(paths[preset if one == "quantized" else one], options, corpus_file)
    # Inputs must exist before the first stage trains for an hour.
    if "base" not in trained and trained:
        float_network(base, corpus, "base")
    if "quantized" in trained and options["distill"] and ("float" not in trained or options["teacher"]):
        float_network(teacher, corpus, "float")
    show = Terminal()
    if "base" in trained:
        train_base(corpus, paths["base"], options, show)
    if "float" in trained:
        train_float(corpus, base, paths["float"], options, show)
    if "quantized" in trained:
        train_quantized(corpus, base, teacher, preset, paths[preset], options, show)


def _require_writable(path: Path, options: dict[str, Any], corpus_file: Path | None) -> None:
    """Refuse results of a stage that would overwrite an input, another kind of file, or another run."""
    require_new(path, options)
    reads = {"--text-file": corpus_file, "--base": options["base"], "--teacher": options["teacher"]}
    for file, kind in ((path, NETWORK), (path.with_suffix(".json"), TRAINING)):
        written = Named("--run-dir:", file, Writes(kind))
        for option, given in reads.items():
            if given is not None:
                require_apart(written, Named(option, given, Reads()))
        require_output(written, kind, options["overwrite"])


def _command_line() -> str:
    """Return the command as a user would type it, without options of where and how often to write."""
    context = click.get_current_context()
    words = ["zynq-lstm", "train"]
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and name not in ("resume", "overwrite", "run_dir", "checkpoint_seconds"):
            value = context.params[name]
            # Only the name of a path: the folder is private, and the file's hash is in the record.
            shown = value.name if isinstance(value, Path) else str(value)
            if name == "cell":
                shown = ",".join(map(catalogue.shown, value))
            words += [parameter.opts[0], *([] if value is True else [shown])]
    return shlex.join(words)
