# SPDX-License-Identifier: Apache-2.0
"""Variations of a network with one format changed at a time, and the cost of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import NetworkSpec, fit_weight_formats, with_formats
from zynq_lstm.models.evaluation.bpc import estimate_reference
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.freeze import freeze

# Formats of a preset ('weights' are all matrices, 'b' all biases), and formats or widths to try for each.
VARIATIONS: dict[str, tuple[str, ...]] = {
    "gate": ("ap_ufixed<6,0>", "ap_ufixed<7,0>", "ap_ufixed<9,1>", "ap_ufixed<10,0>"),
    "g": ("ap_fixed<6,1>", "ap_fixed<10,1>"),
    "z": (
        "ap_fixed<8,4>",
        "ap_fixed<9,4>",
        "ap_fixed<9,3>",
        "ap_fixed<10,3>",
        "ap_fixed<10,5>",
        "ap_fixed<12,4>",
    ),
    "c": (
        "ap_fixed<10,4>",
        "ap_fixed<12,4>",
        "ap_fixed<12,5>",
        "ap_fixed<14,4>",
        "ap_fixed<16,4>",
        "ap_fixed<16,6>",
        "ap_fixed<18,5>",
    ),
    "ct": ("ap_fixed<8,3>", "ap_fixed<8,2>", "ap_fixed<9,3>", "ap_fixed<10,4>", "ap_fixed<12,3>"),
    "tc": ("ap_fixed<6,1>", "ap_fixed<10,1>"),
    "h": ("ap_fixed<6,1>", "ap_fixed<7,1>", "ap_fixed<10,1>"),
    "weights": ("4", "5", "6", "7", "10"),
    "b": ("8", "10", "12"),
    "logits": ("ap_fixed<8,6>", "ap_fixed<10,6>", "ap_fixed<12,6>"),
}


def bits(source: Checkpoint, spec: NetworkSpec, codes: NDArray[Any]) -> float:
    """Estimate the BPC of a float network that is rounded to ``spec``, with the reference, in streams."""
    return estimate_reference(freeze(dataclasses.replace(source, spec=spec)), codes)


def variations(base: NetworkSpec, source: Checkpoint) -> Iterator[tuple[str, str, NetworkSpec]]:
    """Yield every variation as (signal, format, spec)."""
    for signal, like in _fields(base).items():
        for text in VARIATIONS[like]:
            if signal in ("weights", "b"):
                yield signal, f"{text} bits", _narrow_weights(base, source, signal, int(text))
            else:
                yield signal, text, with_formats(base, {signal: FixedFormat.parse(text)})


def _fields(base: NetworkSpec) -> dict[str, str]:
    """Return the fields to vary, each with the key of :data:`VARIATIONS` whose formats are tried."""
    signals = {name: layer.formats for layer in base.layers for name in layer.formats.signal_fields()}
    like = {
        name: own.like if (own := formats.description.formats.get(name)) else name
        for name, formats in signals.items()
    }
    legal = like | {name: name for name in ("weights", "b", "logits")}
    order = sorted(legal, key=lambda name: [*VARIATIONS].index(legal[name]))
    return {name: legal[name] for name in order}


def _narrow_weights(base: NetworkSpec, source: Checkpoint, kind: str, bits: int) -> NetworkSpec:
    """Return the spec with another width for matrices (fitted again) or biases (same integer bits)."""
    changed = {
        name: dataclasses.replace(fmt, bits=bits)
        for name, fmt in base.weight_formats().items()
        if name.endswith(".b") == (kind == "b")
    }
    spec = base.with_weight_formats(changed)
    return spec if kind == "b" else fit_weight_formats(spec, source.weights)
