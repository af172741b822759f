# SPDX-License-Identifier: Apache-2.0
"""Recurrent cells side by side: each is trained equally long and has about as many parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from zynq_lstm.models.description.spec import CELLS, DEFAULT_PRESET, network_spec
from zynq_lstm.models.evaluation.bpc import evaluate_keras, evaluate_partial, float_states
from zynq_lstm.models.evaluation.partial import PartlyQuantized, format_names
from zynq_lstm.models.evaluation.ranges import calibrate
from zynq_lstm.models.keras import cells
from zynq_lstm.models.keras.float_lstm import read_weights
from zynq_lstm.models.texts.corpus import HELD_OUT, Corpus, windows
from zynq_lstm.models.training import bptt
from zynq_lstm.models.training.options import PLAIN_START, Start, TrainingOptions

BIN = 20  # updates in one entry of the record of gradient norms
DISTANCE = 100  # characters back that gradients are followed, after as many that only build up a state
STREAMS = 64  # streams for averaging gradients by distance, and for calibrating formats


def measure(
    cell: str,
    corpus: Corpus,
    options: TrainingOptions,
    layers: int,
    budget: int,
    report: Callable[[bptt.Progress], None] | None = None,
    start: Start = PLAIN_START,
) -> dict[str, Any]:
    """Train and evaluate one cell.

    Args:
        cell: a key of ``zynq_lstm.models.keras.cells.FLOAT_CELLS``.
        budget: number of parameters that the network should have, as nearly as equal layers allow.
        start: the initial weights.

    Returns:
        Figures as plain data: size, BPC and minutes; if the cell has a quantized form, the BPC after rounding
        with calibrated formats; the gradient by distance before and after training; and for each :data:`BIN`
        updates the norm of the gradient and how often it was clipped.
    """
    split, vocabulary = corpus.split(), len(corpus.vocabulary)
    units = cells.units_for(cell, layers, vocabulary, budget)
    model = cells.build_cells(cell, layers, units, vocabulary)
    bptt.initialise(model, options.seed, start, split.train)
    text = windows(split.validation, 2 * DISTANCE + 1, STREAMS).T
    gradients = {"before": cells.gradient_by_distance(model, text, DISTANCE)}
    norms: list[float] = []

    def each(progress: bptt.Progress) -> None:
        norms.append(progress.gradient_norm)
        if report:
            report(progress)

    trainer = bptt.Trainer(model, split.train, options, {"cell": cell})
    trainer.run(report=each)
    gradients["after"] = cells.gradient_by_distance(model, text, DISTANCE)
    found = {
        "units": units,
        "parameters": cells.parameters(cell, layers, units, vocabulary),
        "macs_per_character": cells.macs_per_character(cell, layers, units, vocabulary),
        "bits_per_character": {part: evaluate_keras(model, split.part(part)) for part in HELD_OUT},
        "updates": trainer.step,
        "minutes": round(trainer.seconds / 60, 1),
        "gradient_by_distance": {when: _short(values) for when, values in gradients.items()},
        "gradient_norm": [_clipping(norms[k : k + BIN], options.clip) for k in range(0, len(norms), BIN)],
    }
    if cell in CELLS:
        found["rounded"] = _rounded(cell, corpus, read_weights(model), units, layers)
    return found


def _rounded(cell: str, corpus: Corpus, weights: dict[str, Any], units: int, layers: int) -> dict[str, Any]:
    """Compute the BPC with all formats rounded, without training after the rounding."""
    split = corpus.split()
    spec = network_spec(vocabulary=len(corpus.vocabulary), units=units, layers=layers, cell=cell)
    spec = calibrate(spec, weights, windows(split.train, 256, STREAMS))
    found: dict[str, Any] = {"preset": DEFAULT_PRESET}
    for part in HELD_OUT:
        codes = split.part(part)
        states = float_states(PartlyQuantized(spec, weights), codes)
        found[part] = evaluate_partial(PartlyQuantized(spec, weights, format_names(spec)), codes, states)
    return found


def _clipping(norms: list[float], clip: float) -> dict[str, float]:
    above = sum(norm > clip for norm in norms)
    median, largest = _short([float(np.median(norms)), max(norms)])
    return {"median": median, "largest": largest, "clipped": round(above / len(norms), 3)}


def _short(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
