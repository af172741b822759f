# SPDX-License-Identifier: Apache-2.0
"""Small networks with random weights, and the arithmetic of docs/numerics.md one integer at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zynq_lstm.models.description.spec import GATES, PRESETS, CellFormats, Layer, NetworkSpec, network_spec
from zynq_lstm.models.fixed import FixedFormat, Rounding
from zynq_lstm.models.integers.freeze import thaw
from zynq_lstm.models.integers.network import IntegerNetwork

LETTERS = "".join(map(chr, range(33, 33 + 256)))


def small_spec(
    preset: str, vocabulary: int, units: Sequence[int], cells: str | Sequence[str] = "lstm", **formats: str
) -> NetworkSpec:
    """Return the spec of layers of these sizes.

    Args:
        cells: the cell, or that of each layer.
        formats: replace formats of all layers that have them, or ``logits``.
    """
    _, dense = PRESETS[preset]
    changed = {name: FixedFormat.parse(text) for name, text in formats.items()}
    if "logits" in changed:
        dense = dataclasses.replace(dense, logits=changed.pop("logits"))
    names = [cells] * len(units) if isinstance(cells, str) else cells
    layers = []
    for units_here, cell in zip(units, names, strict=True):
        made = _cell_formats(preset, cell)
        own = {name: fmt for name, fmt in changed.items() if hasattr(made, name)}
        layers.append(Layer(units_here, dataclasses.replace(made, **own)))
    return NetworkSpec(preset, vocabulary, tuple(layers), dense)


def _cell_formats(preset: str, cell: str) -> CellFormats:
    """Return a preset's formats of a cell, as a layer after the first has them."""
    return network_spec(preset, vocabulary=2, units=1, layers=2, cell=cell).layers[1].formats


def with_weights(spec: NetworkSpec, rng: np.random.Generator, extreme: bool = False) -> IntegerNetwork:
    """Return a network whose weights use the formats' range, or only the largest and smallest values."""
    weights = {}
    for name, shape in spec.weight_shapes().items():
        fmt = spec.weight_formats()[name]
        if extreme:
            weights[name] = rng.choice([fmt.min_raw, fmt.max_raw], shape)
        else:
            weights[name] = np.clip(
                rng.normal(0, max(1, fmt.max_raw / 4), shape).astype(np.int64), fmt.min_raw, fmt.max_raw
            )
    return IntegerNetwork.from_weights(spec, LETTERS[: spec.vocabulary], weights)


def save_checkpoint(network: IntegerNetwork, path: Path) -> Path:
    """Save a checkpoint that freezes to this network, and return its path."""
    thaw(network).save(path)
    return path


class Scalar:
    """The arithmetic of docs/numerics.md in Python integers, value by value; independent of the reference."""

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.h = [[0] * layer.units for layer in network.spec.layers]
        self.c = [[0] * layer.units for layer in network.spec.layers]

    def step(self, code: int) -> dict[str, list[int]]:
        """Return all signals of one character."""
        network, signals = self.network, {}
        spec = network.spec
        below: list[int] = []
        for k, layer in enumerate(spec.layers):
            fmt, units = layer.formats, layer.units
            a = {name: array.tolist() for name, array in network.layer(k).items()}
            z = []
            for column in range(4 * units):
                terms = [(a["b"][column], fmt.b.frac)]
                if k == 0:
                    terms.append((a["W"][code][column], fmt.W.frac))
                else:
                    frac = fmt.W.frac + spec.layers[k - 1].formats.h.frac
                    terms += [(x * row[column], frac) for x, row in zip(below, a["W"], strict=True)]
                frac = fmt.U.frac + fmt.h.frac
                terms += [(h * row[column], frac) for h, row in zip(self.h[k], a["U"], strict=True)]
                z.append(_round(*_sum(terms), fmt.z))
            gates = {}
            for block, name in enumerate(GATES):
                table, width = a["tanh" if name == "g" else "sigmoid"], fmt.z.bits
                gates[name] = [table[raw % 2**width] for raw in z[block * units : (block + 1) * units]]
            c, ct, tc, h = [], [], [], []
            for u in range(units):
                update = _sum(
                    [
                        (gates["f"][u] * self.c[k][u], fmt.gate.frac + fmt.c.frac),
                        (gates["i"][u] * gates["g"][u], fmt.gate.frac + fmt.g.frac),
                    ]
                )
                c.append(_round(*update, fmt.c))
                ct.append(_round(c[u], fmt.c.frac, fmt.ct))
                tc.append(a["tanh_c"][ct[u] % 2**fmt.ct.bits])
                h.append(_round(gates["o"][u] * tc[u], fmt.gate.frac + fmt.tc.frac, fmt.h))
            values: dict[str, Any] = {"z": z, **gates, "c": c, "ct": ct, "tc": tc, "h": h}
            signals |= {f"layers.{k}.{name}": value for name, value in values.items()}
            self.c[k], self.h[k], below = c, h, h
        out = spec.output
        W, b = network.arrays["output.W"].tolist(), network.arrays["output.b"].tolist()
        frac = out.W.frac + spec.layers[-1].formats.h.frac
        signals["logits"] = [
            _round(
                *_sum([(b[v], out.b.frac)] + [(x * row[v], frac) for x, row in zip(below, W, strict=True)]),
                out.logits,
            )
            for v in range(spec.vocabulary)
        ]
        return signals

    def run(self, codes: Sequence[int]) -> dict[str, np.ndarray]:
        steps = [self.step(int(code)) for code in codes]
        return {name: np.array([step[name] for step in steps]) for name in steps[0]}


def _sum(terms: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the exact sum of terms raw * 2**-frac, as raw and frac."""
    finest = max(frac for _, frac in terms)
    return sum(raw << (finest - frac) for raw, frac in terms), finest


def _round(raw: int, frac: int, fmt: FixedFormat) -> int:
    """AP_RND (floor(x + 1/2)) or AP_TRN (floor), then saturation."""
    shift = frac - fmt.frac
    if shift > 0:
        half = 1 << (shift - 1) if fmt.rounding is Rounding.AP_RND else 0
        raw = (raw + half) // (1 << shift)
    else:
        raw <<= -shift
    return min(max(raw, fmt.min_raw), fmt.max_raw)
