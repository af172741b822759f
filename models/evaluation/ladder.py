# SPDX-License-Identifier: Apache-2.0
"""The cost of quantization step by step, from the float network to the integers, without any training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.checkpoint import Checkpoint, preset_spec
from zynq_lstm.models.description.spec import DEFAULT_PRESET, NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.bpc import METRIC_PARTIAL, bits_partial, float_states
from zynq_lstm.models.evaluation.noise import METHOD, noise_bound
from zynq_lstm.models.evaluation.partial import GROUPS, PartlyQuantized, format_names, in_groups
from zynq_lstm.models.texts.corpus import HELD_OUT, Corpus

#: Rungs of the ladder between float and trained, by the group of formats that is rounded.
STEPS = (*GROUPS, "all")
FLOAT_BITS = 32  # width of a weight that isn't quantized

Bits = Mapping[str, Any]
"""Bits per character by part of the corpus; ``noise``: bounds of the distance from float, by part."""


def rounded_names(spec: NetworkSpec, step: str) -> set[str]:
    """Return the names of the formats that a rung of :data:`STEPS` rounds to."""
    return set(format_names(spec)) if step == "all" else in_groups(spec, [step])


def weight_bits(spec: NetworkSpec, step: str) -> int:
    """Compute the size of the weights, in bits, with this rung's formats; ``float`` and others have none."""
    rounded = rounded_names(spec, step) if step in STEPS else set()
    formats = spec.weight_formats()
    return sum(
        math.prod(shape) * (formats[name].bits if name in rounded else FLOAT_BITS)
        for name, shape in spec.weight_shapes().items()
    )


def measure(
    source: Checkpoint,
    corpus: Corpus,
    presets: Iterable[str],
    progress: Callable[[str], None] = lambda _: None,
    characters: int | None = None,
) -> dict[str, Any]:
    """Measure the ladder's record: the bits per character of every rung of these presets.

    Args:
        source: a float network.
        progress: called with the name of the next measurement.
        characters: number of characters at the beginning of each part to read; all if None.

    Raises:
        UserError: the network is quantized already, or its vocabulary does not match the corpus.
    """
    if source.spec is not None:
        raise UserError("the ladder begins at a float network; this one is quantized")
    split = corpus.with_vocabulary(source.vocabulary).split()
    text = {part: split.part(part)[:characters] for part in HELD_OUT}
    shape = preset_spec(source, DEFAULT_PRESET)
    progress("float, one stream")
    states = {part: float_states(PartlyQuantized(shape, source.weights), text[part]) for part in HELD_OUT}
    exact: dict[str, NDArray[np.float64]] = {}  # of the float network, character by character
    known: dict[Any, Bits] = {}

    def bits(spec: NetworkSpec, rounded: set[str]) -> Bits:
        # Presets share formats: the same rounding is measured only once.
        formats = format_names(spec)
        key = frozenset((name, formats[name]) for name in rounded)
        if key not in known:
            network = PartlyQuantized(spec, source.weights, rounded)
            found = {part: bits_partial(network, text[part], states[part]) for part in HELD_OUT}
            known[key] = {part: math.fsum(array.tolist()) / len(array) for part, array in found.items()}
            if rounded:
                noise = {part: noise_bound(found[part] - exact[part]) for part in HELD_OUT}
                known[key] = {**known[key], "noise": noise}
            else:
                exact.update(found)
        return known[key]

    record: dict[str, Any] = {
        "kind": "ladder",
        "checkpoint": source.sha256,
        "corpus": {"name": corpus.name, "sha256": corpus.sha256},
        "metric": METRIC_PARTIAL,
        "noise": METHOD,
        "presets": {},
    }
    progress("float")
    record["float"] = bits(shape, set())
    for preset in presets:
        spec = preset_spec(source, preset)
        record["presets"][preset] = {}
        for step in STEPS:
            progress(f"{preset}: {step}")
            record["presets"][preset][step] = bits(spec, rounded_names(spec, step))
    return record


def rows(record: Mapping[str, Any], source: Checkpoint, trained: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ladder as rows: preset, step, BPC, BPC above float, its noise, and size of weights in bits.

    The noise is a bound of :mod:`zynq_lstm.models.evaluation.noise`, None where it was not measured.

    Args:
        record: result of :func:`measure`.
        source: the float network that it was measured with.
        trained: figures of ``figures training`` for the corpus, by network; they use the metric proper.

    Raises:
        UserError: the record is of another network.
    """
    if record["checkpoint"] != source.sha256:
        raise UserError("the record of the ladder is of another float network; measure it with --measure")

    def row(preset: str, step: str, bits: Bits, above: Bits, size: int) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        for part in HELD_OUT:
            figures |= {
                f"{part}_bpc": bits[part],
                f"{part}_above_float": bits[part] - above[part],
                f"{part}_noise": bits.get("noise", {}).get(part),
            }
        return {"preset": preset, "step": step, **figures, "weight_bits": size}

    real = record["float"]
    found = [row("", "float", real, real, sum(w.size for w in source.weights.values()) * FLOAT_BITS)]
    for preset, steps in record["presets"].items():
        spec = preset_spec(source, preset)
        found += [row(preset, step, bits, real, weight_bits(spec, step)) for step, bits in steps.items()]
        if preset in trained and "delta_test_bpc" in trained[preset]:
            after, float_after = (
                {part: trained[name][f"{part}_bpc"] for part in HELD_OUT} for name in (preset, "float")
            )
            found.append(row(preset, "trained", after, float_after, weight_bits(spec, "all")))
    return found
