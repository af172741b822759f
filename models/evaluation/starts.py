# SPDX-License-Identifier: Apache-2.0
"""The first updates of training from different starts: which units get stuck, and what took their place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.evaluation import memory
from zynq_lstm.models.evaluation.bpc import bits_of_streams, keras_logits, streams_of
from zynq_lstm.models.keras import float_lstm
from zynq_lstm.models.texts.corpus import Corpus
from zynq_lstm.models.training import bptt
from zynq_lstm.models.training.options import PLAIN_START, Start, TrainingOptions

#: The starts that are compared, by the name that the picture has for them.
STARTS: Mapping[str, Start] = MappingProxyType({"before": PLAIN_START, "now": Start()})
OFTEN, SELDOM = 10, 50  # updates between measurements: in the first SELDOM updates, and after them
BIN = 10  # updates whose training loss is averaged


def measure(
    corpus: Corpus,
    options: TrainingOptions,
    start: Start,
    shape: Mapping[str, Any],
    updates: int,
    characters: int = memory.CHARACTERS,
    report: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Train a float network for some updates, and look at its units and its outputs now and then.

    Args:
        shape: arguments of ``build_float`` by name, without the vocabulary.
        characters: number of characters, as for :func:`zynq_lstm.models.evaluation.memory.measure`.
        report: called after each update, with the number of updates done.

    Returns:
        Figures as plain data: ``training_bpc`` of each :data:`BIN` updates; and for each of ``updates``,
        beginning with none, the stuck and saturated units by layer, an estimate of the validation BPC, and
        the correlation of mean(h).W of the output layer with the logarithm of the characters' frequencies.
    """
    split, vocabulary = corpus.split(), len(corpus.vocabulary)
    model = float_lstm.build_float(vocabulary=vocabulary, **shape)
    bptt.initialise(model, options.seed, start, split.train)
    trainer = bptt.Trainer(model, split.train, options, {})
    frequencies = bptt.output_bias(split.train, vocabulary)
    source = memory.keras_source(model)
    text = split.validation[: memory.STREAMS * memory.WARM_UP + characters]
    rows: list[dict[str, Any]] = []
    losses: list[float] = []

    def look() -> None:
        units = memory.measure(source, split.validation, characters)
        bits, mean = _outputs(model, text)
        carried = mean - model.get_layer("logits").get_weights()[1]
        rows.append(
            {
                "updates": trainer.step,
                "stuck": list(units.stuck),
                "saturated": list(units.saturated),
                "validation_bpc": round(bits, 4),
                "correlation": round(float(np.corrcoef(carried, frequencies)[0, 1]), 4),
            }
        )

    look()
    with trainer.threads():
        for step in range(updates):
            loss, _ = trainer.update(step, trainer.learning_rate(step))
            losses.append(loss / math.log(2))
            trainer.step = step + 1
            report(trainer.step)
            if trainer.step % (OFTEN if trainer.step <= SELDOM else SELDOM) == 0 or trainer.step == updates:
                look()
    return {
        "start": dataclasses.asdict(start),
        "training_bpc": [round(float(np.mean(losses[k : k + BIN])), 4) for k in range(0, len(losses), BIN)],
        "looks": rows,
    }


def _outputs(model: Any, codes: NDArray[np.integer]) -> tuple[float, NDArray[np.float64]]:
    """Return the BPC of a text, cut into streams that each start from zero, and the mean of the logits."""
    cut = streams_of(codes)
    logits = np.concatenate(list(keras_logits(model, cut[:, :-1].T)))  # (T, S, V)
    return bits_of_streams(logits.transpose(1, 0, 2), cut), logits.mean(axis=(0, 1))
