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
from zynq_lstm.models.integers.limits import in_array
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
    value = int(weights[flip.row, flip.column])
    if flip.name == "layers.0.W":  # rows are looked up, not multiplied: not packed
        return {flip.column: wrapped(value ^ 1 << flip.bit, spec.layers[0].formats.W.bits)}
    array = design.array
    if array.pack == 1 or flip.row % array.depth >= array.dsp_depth:  # products in LUTs are not packed
        return {flip.column: wrapped(value ^ 1 << flip.bit, design.weight_bits)}
    lower, upper = _pair(design, flip.name, flip.column)
    # Where a word of the array has no sum, there is a weight of zero in memory.
    w0, w1 = (0 if column is None else int(weights[flip.row, column]) for column in (lower, upper))
    stored = w1 - (w0 < 0)
    if flip.column == lower:
        w0 = wrapped(w0 ^ 1 << flip.bit, design.weight_bits)
    else:
        stored = wrapped(stored ^ 1 << flip.bit, design.weight_bits)
    changed = {lower: w0, upper: stored + (w0 < 0)}
    return {column: weight for column, weight in changed.items() if column is not None}


def _pair(design: Design, name: str, column: int) -> tuple[int | None, int | None]:
    """Return the columns that share a word with ``column``, itself among them: neighbours in the array."""
    columns = design.network.arrays[name].shape[1]
    if name.startswith("output"):
        lower = column - column % 2
        return lower, lower + 1 if lower + 1 < columns else None
    layer = int(name.split(".")[1])
    spec = design.network.spec.layers[layer]
    gate, unit = divmod(column, spec.units)
    stage = next(
        s for s in design.layout.stages if s.layer == layer and spec.formats.gates[gate] in s.level.gates
    )
    first = unit - unit % stage.capacity  # the first unit of the column's job
    places = stage.packing.places(min(stage.capacity, spec.units - first))
    at: dict[int, int] = {}
    for n, of_unit in enumerate(places.tolist()):
        for own, place in zip(stage.level.gates, of_unit, strict=True):
            at[place] = spec.formats.gates.index(own) * spec.units + first + n
    place = next(place for place, found in at.items() if found == column)
    lower = place - place % 2
    return at.get(lower), at.get(lower + 1)


def weight_names(design: Design) -> list[str]:
    """Return the names of the weights in block RAM."""
    names = design.network.spec.weight_formats()
    return [name for name in names if name == "layers.0.W" or in_array(name)]


class WornReference(Reference):
    """The reference with changed weights, even to values that their format excludes."""

    def change(self, name: str, row: int, columns: dict[int, int]) -> None:
        """Set weights of one row; :meth:`restore` undoes it."""
        array = self.network.arrays[name]
        change = {column: float(value - int(array[row, column])) for column, value in columns.items()}
        if name.startswith("output"):
            target, order, fmt = self._output.W, None, self.network.spec.output.W
            scale = 2.0 ** (
                self._output.fmt.logits.frac - fmt.frac - self.network.spec.layers[-1].formats.h.frac
            )
            change = {column: difference * scale for column, difference in change.items()}
        else:
            layer, matrix = int(name.split(".")[1]), name.split(".")[2]
            formats, engine = self.network.spec.layers[layer].formats, self._layers[layer]
            target, order = getattr(engine.step, matrix), np.argsort(engine.step.columns)
            fraction = formats.h.frac if matrix == "U" else self.network.spec.input_frac(layer)
            for column in change:
                gate = formats.gates[column // engine.units]
                kept = engine.step.scale_of(f"{'u' if matrix == 'U' else 'x'}_{gate}")
                change[column] *= 2.0 ** (kept - formats.format(matrix).frac - fraction)
        self._before = target, row, target[row].copy()
        for column, difference in change.items():
            target[row, column if order is None else order[column]] += difference

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
