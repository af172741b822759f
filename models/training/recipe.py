# SPDX-License-Identifier: Apache-2.0
"""The recipe of a network: its stages of training, from a text to a float and a quantized checkpoint."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.checkpoint import Checkpoint, load_float
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.bpc import METRIC
from zynq_lstm.models.store import write_json
from zynq_lstm.models.texts.corpus import HELD_OUT, Corpus
from zynq_lstm.models.training.options import PLAIN_START, Start, TrainingOptions

if TYPE_CHECKING:
    from zynq_lstm.models.evaluation.memory import Memory, Source
    from zynq_lstm.models.fixed import FixedFormat
    from zynq_lstm.models.training.bptt import Progress, Trainer

STARTS = ("base", "seed")  # legal starts of the quantized network
#: Names of curves in TensorBoard's logs, in the run's folder.
TRAINING_CURVE, VALIDATION_CURVE = "train/bits_per_character", "validation/bits_per_character_estimate"
STATE = "training.safetensors"  # in a run's folder: its last checkpoint
#: Characters over which units are counted after each epoch, in 0.2 s; all ``memory.CHARACTERS`` take 1.3 s,
#: which is 12 % of an epoch of a text of a million characters.
COUNTED_EACH_EPOCH = 5_000


class Show(Protocol):
    """Shows the user the progress of training."""

    def say(self, text: str) -> None:
        """Show a line."""

    def progress(self, stage: str, trainer: Trainer) -> AbstractContextManager[Callable[[Progress], None]]:
        """Return a context whose value is called after every update."""


def train_base(corpus: Corpus, path: Path, options: Mapping[str, Any], show: Show) -> None:
    """Train a float network from the seed and write it to ``path``.

    Args:
        options: the options of ``zynq-lstm train`` by name (``batch``, ``run_dir``, ``resume``, ...), and
            ``command``, the command line that the record repeats.
    """
    from zynq_lstm.models.keras import float_lstm
    from zynq_lstm.models.training import bptt

    chosen = TrainingOptions(
        epochs=options["epochs"], learning_rate=options["learning_rate"], **_shared(options)
    )
    codes = corpus.split().train
    bptt.Plan(len(codes), chosen.batch, chosen.steps, chosen.seed)  # before the model is built
    cells = tuple(options.get("cells") or ("lstm",) * options["layers"])
    model = float_lstm.build_float(options["layers"], options["units"], len(corpus.vocabulary), cell=cells)
    start = Start.chosen(options)
    told = {"start": dataclasses.asdict(start)}
    bptt.initialise(model, chosen.seed, start, codes)
    identity = {
        "network": {"layers": options["layers"], "units": options["units"]}
        | ({} if set(cells) == {"lstm"} else {"cells": list(cells)}),
        "corpus": corpus.sha256,
        **told,
    }
    _run("base", bptt.Trainer(model, codes, chosen, identity), corpus, path, options, show, before=told)


def train_float(corpus: Corpus, base: Path, path: Path, options: Mapping[str, Any], show: Show) -> None:
    """Continue from the float network ``base``; see :func:`train_base`."""
    from zynq_lstm.models.keras.float_lstm import float_model
    from zynq_lstm.models.training import bptt

    start = float_network(base, corpus, "base")
    chosen = _further(options)
    identity = {"from": start.sha256, "corpus": corpus.sha256}
    trainer = bptt.Trainer(float_model(start), corpus.split().train, chosen, identity)
    _run("float", trainer, corpus, path, options, show, before={"base": _told(start)})


def train_quantized(
    corpus: Corpus,
    base: Path,
    teacher: Path,
    preset: str,
    path: Path,
    options: Mapping[str, Any],
    show: Show,
    formats: Mapping[str, FixedFormat] = MappingProxyType({}),
) -> None:
    """Quantize ``base`` and train on with the rounding; see :func:`train_base`.

    Args:
        teacher: the float network that teaches it.
        formats: replace the preset's; see :func:`zynq_lstm.models.description.spec.with_formats`.
    """
    from zynq_lstm.models.keras import quantized
    from zynq_lstm.models.keras.float_lstm import float_model
    from zynq_lstm.models.training import bptt

    start = float_network(base, corpus, "base")
    anew = options["quantized_from"] == "seed"
    chosen = _further(options, anew, distill=options["distill"])
    checkpoint = quantized.quantize(start, preset, formats)
    spec = checkpoint.quantized_spec
    if anew:
        spec = finer_ternary(spec)
        beginning = Start.chosen(options)
        weights = _initial_weights(start, spec, chosen.seed, beginning, corpus.split().train)
        checkpoint = dataclasses.replace(checkpoint, weights=weights, spec=spec)
    identity = {"spec": spec.to_dict(), "from": start.sha256, "corpus": corpus.sha256}
    before: dict[str, Any] = {"quantized_from": options["quantized_from"], "base": _told(start)}
    if anew:
        identity["quantized_from"] = "seed"
        identity["start"] = before["start"] = dataclasses.asdict(beginning)
    taught_by = None
    if chosen.distill:
        teaching = float_network(teacher, corpus, "float")
        taught_by = float_model(teaching)
        identity["teacher"] = teaching.sha256
        before["teacher"] = _told(teaching)
    model = quantized.quantized_model(checkpoint)
    trainer = bptt.Trainer(model, corpus.split().train, chosen, identity, taught_by)
    _run(preset, trainer, corpus, path, options, show, checkpoint, before)


def finer_ternary(spec: NetworkSpec) -> NetworkSpec:
    """Return the spec with half the step for two-bit matrices, for training from the seed.

    The step that ``fit_weight_formats`` finds is for weights that were trained without rounding. A network
    that never had such weights does better with smaller ones; docs/training.md has the figures.
    """
    return spec.with_weight_formats(
        {
            name: dataclasses.replace(fmt, integer=fmt.integer - 1)
            for name, fmt in spec.weight_formats().items()
            if fmt.bits == 2
        }
    )


#: Share of a matrix that must be nonzero after rounding when training starts.
ALIVE = 0.1


def _initial_weights(
    like: Checkpoint, spec: NetworkSpec, seed: int, start: Start = PLAIN_START, codes: Any = None
) -> dict[str, Any]:
    """Return the initial weights of a float network of this shape, scaled up where rounding would zero them.

    A matrix of zeros above the first kernel passes no gradient on, so it never learns. The first kernel may
    start at zero, because its gradient comes through the matrices above. The output bias is limited to its
    format, beyond which a weight would get no gradient.

    Args:
        codes: the training text, for ``start``.
    """
    import numpy as np

    from zynq_lstm.models.keras import float_lstm
    from zynq_lstm.models.training import bptt

    model = float_lstm.build_float(like.layers, like.units, len(like.vocabulary), cell=like.cells)
    bptt.initialise(model, seed, start, codes)
    weights = float_lstm.read_weights(model)
    low, high = spec.output.b.to_real([spec.output.b.min_raw, spec.output.b.max_raw])
    weights["output.b"] = np.clip(weights["output.b"], low, high).astype(np.float32)
    for name, fmt in spec.weight_formats().items():
        if name.endswith("b") or name == "layers.0.W":
            continue
        if np.mean(fmt.quantize(weights[name]) != 0) < ALIVE:
            half_a_step = float(fmt.to_real(1)) / 2
            weights[name] = weights[name] * np.float32(
                half_a_step / np.quantile(np.abs(weights[name]), 1 - ALIVE)
            )
    return weights


def _further(options: Mapping[str, Any], anew: bool = False, **more: Any) -> TrainingOptions:
    """Return the training options of a stage that continues from the base or, if ``anew``, from the seed."""
    return TrainingOptions(
        epochs=options["further_epochs"] + (options["epochs"] if anew else 0),
        learning_rate=options["learning_rate" if anew else "further_learning_rate"],
        **_shared(options),
        **more,
    )


def float_network(path: Path, corpus: Corpus, stage: str) -> Checkpoint:
    """Load a float network's checkpoint for this text.

    Raises:
        UserError: the file is missing, holds another kind of network, or has another vocabulary.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; run 'zynq-lstm train --stage {stage}' first")
    checkpoint = load_float(path)
    if checkpoint.vocabulary != corpus.vocabulary:
        ours, theirs = set(corpus.vocabulary), set(checkpoint.vocabulary)
        raise UserError(
            f"{path}: was trained with another vocabulary than {corpus.name}'s: of its {len(theirs)} "
            f"characters and the text's {len(ours)}, {len(ours & theirs)} are the same; give a network of "
            "this text, or read the text with the same options (--fold-rare, --as-is)"
        )
    return checkpoint


def require_new(path: Path, options: Mapping[str, Any]) -> None:
    """Refuse to begin a stage in the folder of another run, unless the options allow it.

    Raises:
        UserError: the folder holds a run; names the folder and those options.
    """
    folder = options["run_dir"] / path.stem
    if (folder / STATE).exists() and not options["resume"] and not options["overwrite"]:
        raise UserError(
            f"{folder}: holds a training run; continue it with --resume, start anew with "
            "--overwrite, or choose another --run-dir"
        )


def _told(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the record's entry about a network that training began with."""
    told = checkpoint.record
    return {
        "sha256": checkpoint.sha256,
        **{key: told.get(key) for key in ("stage", "command", "updates", "minutes")},
        **({"start": told["start"]} if "start" in told else {}),
    }


def _record(stage: str, trainer: Trainer, corpus: Corpus, command: str) -> dict[str, Any]:
    """Return the record of how a network was trained."""
    return {
        "stage": stage,
        "command": command,
        "corpus": corpus.record,
        "options": dataclasses.asdict(trainer.options),
        "updates": trainer.step,
        "minutes": round(trainer.seconds / 60, 1),
        "versions": _versions(),
    }


def _shared(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: options[key] for key in ("batch", "steps", "clip", "dropout", "seed")}


def _run(
    stage: str,
    trainer: Trainer,
    corpus: Corpus,
    path: Path,
    options: Mapping[str, Any],
    show: Show,
    quantized: Checkpoint | None = None,
    before: dict[str, Any] | None = None,
) -> None:
    """Train one stage to its end, evaluate it, and write its weights and its record."""
    from zynq_lstm.models.evaluation import memory
    from zynq_lstm.models.evaluation.bpc import evaluate_keras
    from zynq_lstm.models.keras.float_lstm import float_cells, read_weights

    folder = options["run_dir"] / path.stem
    state = folder / STATE
    require_new(path, options)
    if state.exists():
        if options["resume"]:
            trainer.restore(state)
            show.say(f"{stage}: resumed at step {trainer.step} of {trainer.total}")
            if trainer.step == trainer.total and path.exists():
                return
    elif options["resume"]:
        show.say(f"{stage}: {folder} holds no checkpoint to resume from; starts at the beginning")
    folder.mkdir(parents=True, exist_ok=True)
    split = corpus.split()
    source = memory.keras_source(trainer.model)
    remedy = _remedy(before or {})
    _train(show, stage, trainer, split.validation, folder, options["checkpoint_seconds"], source, remedy)
    show.say(f"{stage}: evaluating ({METRIC})")
    bits = {part: evaluate_keras(trainer.model, split.part(part), f"the {part} split") for part in HELD_OUT}
    record = _record(stage, trainer, corpus, options["command"])
    record |= {"bits_per_character": bits, "metric": METRIC}
    units = _units(source, split.validation, memory.CHARACTERS)
    record |= ({"memory": units.to_dict()} if units else {}) | (before or {})
    spec = quantized.spec if quantized else None
    cells = () if spec else float_cells(trainer.model)
    result = Checkpoint(corpus.vocabulary, read_weights(trainer.model), spec, record["corpus"], record, cells)
    result.save(path)
    if spec:
        record["spec"] = spec.to_dict()
    if set(result.cells) != {"lstm"}:
        record["cells"] = [catalogue.shown(cell) for cell in result.cells]
    write_json(path.with_suffix(".json"), record)
    if units:
        short = len(split.validation) < memory.NEEDED
        show.say(f"{stage}: units {units}" + (", all that the validation split has" if short else ""))
        if units.many_stuck:
            show.say(f"{stage}: warning: {_warning(units, remedy)}")
    show.say(
        f"{stage}: {bits['validation']:.4f} BPC validation, {bits['test']:.4f} BPC test "
        f"({METRIC}); wrote {path}"
    )


def _units(source: Source, codes: Any, characters: int) -> Memory | None:
    """Count stuck and saturated units; None if the text is too short for that."""
    from zynq_lstm.models.evaluation import memory

    return memory.measure(source, codes, characters) if len(codes) >= 2 * memory.STREAMS else None


def _warning(units: Memory, remedy: str) -> str:
    return (
        f"{sum(units.stuck)} of {sum(units.units)} units are stuck: they remember nothing, and hardly ever "
        f"come back; {remedy} (docs/training.md, Stuck units)"
    )


def _remedy(before: Mapping[str, Any]) -> str:
    """Say what to do about stuck units, by what the record says about the network's start."""
    from_seed = "start" in before
    start = before.get("start") or before.get("base", {}).get("start") or dataclasses.asdict(PLAIN_START)
    others = [name for name, value in start.items() if value != getattr(Start(), name)]
    again = "start anew" if from_seed else "train the base anew"
    if others:
        chosen = " and ".join(f"--{name.replace('_', '-')} {getattr(Start(), name)}" for name in others)
        return f"{again} with {chosen}"
    return f"{again} with another --seed or a lower --learning-rate, or with fewer --units"


def _train(
    show: Show,
    stage: str,
    trainer: Trainer,
    validation: Any,
    folder: Path,
    checkpoint_seconds: float,
    source: Source,
    remedy: str,
) -> None:
    """Run the trainer with checkpoints and logs in a folder, and an estimate after each epoch.

    Args:
        source: the network, for counting its units.
        remedy: what to do about stuck units, for the warning, which is shown once.
    """
    from zynq_lstm.models.evaluation.bpc import estimate_keras
    from zynq_lstm.models.keras.float_lstm import tf

    writer = tf.summary.create_file_writer(str(folder / "logs"))

    def log(values: dict[str, float], step: int) -> None:
        with writer.as_default():
            for key, value in values.items():
                tf.summary.scalar(key, value, step=step)

    warned = False
    with show.progress(stage, trainer) as shown:

        def report(progress: Progress) -> None:
            shown(progress)
            if progress.step % 10 == 0:
                log(
                    {
                        TRAINING_CURVE: progress.bits_per_character,
                        "train/learning_rate": progress.learning_rate,
                        "train/gradient_norm": progress.gradient_norm,
                        "train/characters_per_second": progress.characters_per_second,
                    },
                    progress.step,
                )

        def each_epoch(epoch: int) -> None:
            nonlocal warned
            estimate = estimate_keras(trainer.model, validation)
            units = _units(source, validation, COUNTED_EACH_EPOCH)
            log({VALIDATION_CURVE: estimate}, trainer.step)
            if units:
                log({"units/stuck": sum(units.stuck), "units/saturated": sum(units.saturated)}, trainer.step)
            writer.flush()
            show.say(
                f"{stage}: epoch {epoch}, validation {estimate:.4f} BPC (estimate, 64 streams)"
                + (f"; {units}" if units else "")
            )
            if units and units.many_stuck and not warned:
                warned = True
                show.say(f"{stage}: warning: {_warning(units, remedy)}")

        trainer.run(folder / STATE, checkpoint_seconds, report, each_epoch)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("zynq-lstm", "tensorflow", "keras", "qkeras-v3", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
