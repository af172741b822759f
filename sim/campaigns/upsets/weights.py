# SPDX-License-Identifier: Apache-2.0
"""Flips of weights: a bit of a word in block RAM, which stays flipped until the memory is rewritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.models.evaluation.bpc import bits_of_streams
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.sim.campaigns.upsets.state import wrapped


@dataclass(frozen=True)
class WeightFlip:
    """One bit of a weight in memory: the weight at ``row`` and ``column`` of the array ``name``."""

    name: str
    row: int
    column: int
    bit: int


def flipped_weights(design: Design, flip: WeightFlip) -> dict[int, int]:
    """Return column -> raw weight after a flip; if two weights share the word, both may change.

    The memory holds w1 - (w0 < 0) above w0, and the DSP adds the borrow back (docs/architecture.md): with the
    sign of w0, w1 changes by one.
    """
    weights, spec = design.network.arrays[flip.name], design.network.spec
    if flip.name == "layers.0.W":  # rows are looked up, not multiplied: not packed
        value = int(weights[flip.row, flip.column])
        return {flip.column: wrapped(value ^ 1 << flip.bit, spec.layers[0].formats.W.bits)}
    value = int(weights[flip.row, flip.column])
    if design.array.pack == 1:
        return {flip.column: wrapped(value ^ 1 << flip.bit, design.weight_bits)}
    lower, upper = _pair(design, flip.name, flip.column)
    w0 = int(weights[flip.row, lower])
    # After the vocabulary there is no logit, but there is a weight of zero in memory.
    w1 = int(weights[flip.row, upper]) if upper < weights.shape[1] else 0
    stored = w1 - (w0 < 0)
    if flip.column == lower:
        w0 = wrapped(w0 ^ 1 << flip.bit, design.weight_bits)
    else:
        stored = wrapped(stored ^ 1 << flip.bit, design.weight_bits)
    return {lower: w0} | ({upper: stored + (w0 < 0)} if upper < weights.shape[1] else {})


def _pair(design: Design, name: str, column: int) -> tuple[int, int]:
    """Return the columns that share a word with ``column``: i with f and g with o, or neighbouring logits."""
    if name.startswith("output"):
        return column - column % 2, column - column % 2 + 1
    units = design.network.arrays[name].shape[1] // len(design.network.spec.layers[0].formats.gates)
    gate, unit = divmod(column, units)
    lower = gate - gate % 2
    return lower * units + unit, (lower + 1) * units + unit


def weight_names(design: Design) -> list[str]:
    """Return the names of the weights in block RAM."""
    return [name for name in design.network.spec.weight_formats() if not name.endswith(".b")]


class WornReference(Reference):
    """The reference with changed weights, even to values that their format excludes."""

    def change(self, name: str, row: int, columns: dict[int, int]) -> None:
        """Set weights of one row; :meth:`restore` undoes it."""
        array = self.network.arrays[name]
        change = {column: value - int(array[row, column]) for column, value in columns.items()}
        if name.startswith("output"):
            target, order, fmt = self._output.W, None, self.network.spec.output.W
            scale = 2.0 ** (
                self._output.fmt.logits.frac - fmt.frac - self.network.spec.layers[-1].formats.h.frac
            )
        else:
            layer, matrix = int(name.split(".")[1]), name.split(".")[2]
            formats, engine = self.network.spec.layers[layer].formats, self._layers[layer]
            target, order = getattr(engine.step, matrix), np.argsort(engine.step.columns)
            fraction = formats.h.frac if matrix == "U" else self.network.spec.input_frac(layer)
            gate = formats.gates[next(iter(columns)) // self.network.spec.layers[layer].units]
            kept = engine.step.scale_of(f"{'u' if matrix == 'U' else 'x'}_{gate}")
            scale = 2.0 ** (kept - formats.format(matrix).frac - fraction)
        self._before = target, row, target[row].copy()
        for column, difference in change.items():
            target[row, column if order is None else order[column]] += difference * scale

    def restore(self) -> None:
        target, row, values = self._before
        target[row] = values


def measure_weights(
    design: Design, text: Raw, trials: int, seed: int, progress: Callable[[], object] = lambda: None
) -> list[dict[str, Any]]:
    """Flip every bit of every weight memory, each from the first character of ``text`` (windows, time) on.

    Returns:
        A row for each memory and bit: the share of characters whose logits differ, the share whose likeliest
        next character differs, and the bits per character lost (mean of the flips, and the worst flip).
    """
    rng = np.random.default_rng(seed)
    network = design.network
    reference = WornReference(network, len(text))

    def run() -> Raw:
        reference.reset()
        return reference.run(text[:, :-1])

    usual = run()
    cost = _cost(network, usual, text)
    rows = []
    for name in weight_names(design):
        shape = network.arrays[name].shape
        bits = network.spec.layers[0].formats.W.bits if name == "layers.0.W" else design.weight_bits
        for bit in range(bits):
            logits, choices, lost = [], [], []
            for _ in range(trials):
                flip = WeightFlip(name, int(rng.integers(shape[0])), int(rng.integers(shape[1])), bit)
                reference.change(name, flip.row, flipped_weights(design, flip))
                got = run()
                reference.restore()
                logits.append(float((got != usual).any(axis=-1).mean()))
                choices.append(float((got.argmax(axis=-1) != usual.argmax(axis=-1)).mean()))
                lost.append(_cost(network, got, text) - cost)
            rows.append(
                {
                    "memory": name,
                    "bit": bit,
                    "flips": trials,
                    "no_effect": int(sum(share == 0 for share in logits)),
                    "logits": float(np.mean(logits)),
                    "choices": float(np.mean(choices)),
                    "bits_lost_mean": float(np.mean(lost)),
                    "bits_lost_worst": float(np.max(lost)),
                }
            )
        progress()
    return rows


def _cost(network: IntegerNetwork, logits: Raw, text: Raw) -> float:
    """Return the bits per character."""
    return bits_of_streams(network.spec.output.logits.to_real(logits), text)
