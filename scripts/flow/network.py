# SPDX-License-Identifier: Apache-2.0
"""Stages from a text to a network of integers; each calls the functions of the verb with the same job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

from zynq_lstm.models.description.checkpoint import Checkpoint, load_float, preset_spec
from zynq_lstm.models.errors import CheckError
from zynq_lstm.models.evaluation.ranges import calibrate_by_loss, calibrated
from zynq_lstm.models.evaluation.shipped_records import read_training_record
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.store import write_text
from zynq_lstm.models.texts.corpus import HELD_OUT, PARTS, WINDOWS_CHARACTERS, shuffled_windows
from zynq_lstm.models.training import recipe
from zynq_lstm.scripts.flow.checks import spec_of
from zynq_lstm.scripts.flow.config import option
from zynq_lstm.scripts.flow.runner import Figures
from zynq_lstm.scripts.flow.work import Result, Work, array_of, checkpoint_of, text_of
from zynq_lstm.scripts.training import Terminal
from zynq_lstm.scripts.verbs.train import command as train_command


def read_corpus(work: Work) -> Result:
    """Read the text, and refuse one that is too short for what follows."""
    corpus = work.step("reading the text", work.flow.read_corpus)
    write_text(work.folder / "text.txt", corpus.text)
    split = corpus.split()
    return ["text.txt"], corpus.record | {"split": {part: len(split.part(part)) for part in PARTS}}


def predict(work: Work) -> Result:
    """Predict the engine's cycles and resource use, as ``zynq-lstm estimate`` does."""
    from zynq_lstm.hls.engine.estimate import estimate
    from zynq_lstm.hls.parts import parts

    config, given = work.flow.config, work.flow.given()
    spec = spec_of(work.flow, given, work.figures("corpus")["vocabulary"])
    one = estimate(spec, array_of(config, spec), config.engine.part)
    has = parts()[one.part]
    work.say(
        f"{one.mac_lanes} lanes, {one.cycles_generate:,} cycles per character, "
        f"{one.dsp} of {has.dsp} DSP48E1, {one.bram36:g} of {has.bram36} block RAMs"
    )
    return [], one.to_dict()


def _training_options(work: Work) -> dict[str, Any]:
    """Return the options for the functions of the verb ``train``."""
    return {
        **work.flow.config.training.model_dump(),
        **work.flow.config.model.model_dump(exclude={"cell"}),
        "cells": work.flow.cells(),
        "run_dir": work.folder,
        "resume": work.resume,
        "overwrite": not work.resume,
        "checkpoint_seconds": option(train_command, "checkpoint_seconds"),
        "command": work.flow.command,
    }


def train_float(work: Work) -> Result:
    """Train the base and the float network, or copy a float network that is given."""
    result = work.folder / "float.safetensors"
    if work.flow.config.training.checkpoint is None:
        corpus, options, show = text_of(work), _training_options(work), Terminal()
        base = work.folder / "base.safetensors"
        recipe.train_base(corpus, base, options, show)
        recipe.train_float(corpus, base, result, options, show)
        records = {name: read_training_record(work.folder / f"{name}.json") for name in ("base", "float")}
        return ["base.safetensors", "float.safetensors"], {"records": records}
    source = work.flow.given_float()
    if source is None:
        return [], {"records": {}}
    loaded = load_float(source)
    shutil.copyfile(source, result)
    return ["float.safetensors"], {"records": {"float": dict(loaded.record)}, "from": source.name}


def quantize(work: Work) -> Result:
    """Make the quantized network, by training or calibration or from a checkpoint, and its integers."""
    config, given = work.flow.config, work.flow.given()
    path, before = work.folder / "quantized.safetensors", work.at("train")
    if given is not None:
        given.save(path)
    elif config.formats.method == "train":
        recipe.train_quantized(
            text_of(work),
            before / "base.safetensors",
            before / "float.safetensors",
            config.formats.preset,
            path,
            _training_options(work),
            Terminal(),
            config.formats.formats(),
        )
    else:
        source = Checkpoint.load(before / "float.safetensors")
        rounded = preset_spec(source, config.formats.preset, config.formats.formats())
        fitted = work.step(
            "moving binary points to where the training text is predicted best",
            lambda: calibrate_by_loss(
                rounded, source.weights, shuffled_windows(text_of(work).split().train, WINDOWS_CHARACTERS)
            ),
        )
        calibrated(source, fitted).save(path)
    checkpoint = Checkpoint.load(path)
    network = freeze(checkpoint)
    network.save(work.folder / "network.safetensors")
    formats = network.spec.weight_formats()
    return ["quantized.safetensors", "network.safetensors"], {
        "weights_sha256": checkpoint.sha256,
        "identity": network.identity,
        "spec": network.spec.to_dict(),
        "weight_bits": sum(network.arrays[name].size * fmt.bits for name, fmt in formats.items()),
        "record": dict(checkpoint.record),
    }


def evaluate(work: Work) -> Result:
    """Measure bits per character: float, quantized and integers; the last two must be equal."""
    from zynq_lstm.models.evaluation import ladder, memory
    from zynq_lstm.models.evaluation.bpc import METRIC, STREAMS, evaluate_keras, evaluate_reference
    from zynq_lstm.models.keras.float_lstm import float_model
    from zynq_lstm.models.keras.quantized import quantized_model

    checkpoint, network = checkpoint_of(work)
    corpus = text_of(work).with_vocabulary(network.vocabulary)
    held_out = corpus.split().validation
    runs: dict[str, Callable[[], float]] = {
        "quantized": lambda: evaluate_keras(quantized_model(checkpoint), held_out),
        "reference": lambda: evaluate_reference(network, held_out),
    }
    float_file = work.at("train") / "float.safetensors"
    source = Checkpoint.load(float_file) if float_file.exists() else None
    if source is not None:
        real = source
        runs = {"float": lambda: evaluate_keras(float_model(real), held_out), **runs}
    bits = {
        name: work.step(f"bits per character, {name}, {len(held_out):,} characters", run, "{:.4f}".format)
        for name, run in runs.items()
    }
    if bits["quantized"] != bits["reference"]:
        raise CheckError(
            f"bits per character of the quantized model ({bits['quantized']}) and of the reference "
            f"({bits['reference']}) differ"
        )
    figures: Figures = {"split": "validation", "metric": METRIC, "bits_per_character": bits}
    preset = network.spec.preset
    if len(held_out) >= 2 * memory.STREAMS:
        sources = {} if source is None else {"float": memory.keras_source(float_model(source))}
        sources[preset] = memory.integer_source(network)
        units = {
            name: work.step(f"units that are stuck, {name}", partial(memory.measure, one, held_out), str)
            for name, one in sources.items()
        }
        figures["memory"] = {"method": memory.METHOD} | {
            "networks": {name: one.to_dict() for name, one in units.items()}
        }
    shortest = min(len(corpus.split().part(part)) for part in HELD_OUT)
    characters = work.flow.config.verification.ladder
    if source is not None and min(shortest, characters) > 2 * STREAMS:
        record = work.step(
            f"the ladder from float to {preset}, {min(shortest, characters):,} characters",
            lambda: ladder.measure(source, corpus, [preset], characters=characters),
        )
        figures["ladder"] = {
            "metric": record["metric"],
            "noise": record["noise"],
            "characters": min(len(held_out), characters),
            "rows": ladder.rows(record, source, {}),
        }
    return [], figures
