# SPDX-License-Identifier: Apache-2.0
"""Changes that help when no engine for a network fits a part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.estimate import arrays_within, exceeded, fits
from zynq_lstm.hls.parts import parts
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import PRESETS, NetworkSpec, network_spec

BRAM_BITS = 36 * 1024
UNIT_STEP = 8  # units by which layers are made smaller


#: Names of the resources in messages.
NAMES = {"lut": "LUT", "dsp": "DSP", "bram36": "block RAM"}


def named(resources: Iterable[str]) -> str:
    """Return the names of resources, separated by commas."""
    return ", ".join(NAMES[name] for name in resources)


def misfit(spec: NetworkSpec, array: Array, part: str) -> str:
    """Return what a design has too much of for a part, and what would make it fit; empty if it fits."""
    over = exceeded(spec, array, part)
    return f"too much {named(over)}. {advice(spec, part)}" if over else ""


def advice(spec: NetworkSpec, part: str) -> str:
    """Return a sentence with the changes that make a network fit the part."""
    found = ", ".join(changes(spec, part))
    return f"To make it fit, one of: {found or 'nothing here; make the network smaller'}"


def fastest(spec: NetworkSpec, part: str) -> Array | None:
    """Return the fastest array whose design fits the part, or None if there is none."""
    shapes = spec.weight_shapes()
    stored = sum(f.bits * prod(shapes[n]) for n, f in spec.weight_formats().items() if not n.endswith("b"))
    if stored > parts()[part].bram36 * BRAM_BITS:  # too large for any array: none need be tried
        return None
    return next((array for array in arrays_within(spec) if fits(spec, array, part)), None)


def changes(spec: NetworkSpec, part: str) -> Iterator[str]:
    """Find single changes that make a network fit: a larger part, narrower weights, fewer units.

    Yields:
        Each change as the option of ``zynq-lstm estimate`` that makes it.
    """
    larger = (name for name, one in parts().items() if one.lut > parts()[part].lut)
    if name := next((name for name in larger if fastest(spec, name)), None):
        yield f"--part {name}"
    for preset in _narrower(spec):
        cells = [catalogue.written(layer.formats.description) for layer in spec.layers]
        changed = network_spec(preset, vocabulary=spec.vocabulary, layers=len(cells), cell=cells)
        changed = replace(
            changed,
            layers=tuple(
                replace(new, units=old.units) for new, old in zip(changed.layers, spec.layers, strict=True)
            ),
        )
        if fastest(changed, part):
            yield f"--preset {preset}"
            break
    widest = max(layer.units for layer in spec.layers)
    sizes = range(UNIT_STEP, widest, UNIT_STEP)
    low, high = 0, len(sizes)  # sizes[:low] fit, sizes[high:] don't
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if fastest(_limited(spec, sizes[middle]), part) else (low, middle)
    if low:
        yield f"--units {sizes[low - 1]}"


def _narrower(spec: NetworkSpec) -> list[str]:
    """Return the presets with narrower weights than a network's, the widest first."""
    bits = spec.layers[0].formats.U.bits
    found = [name for name, (lstm, _) in PRESETS.items() if lstm.U.bits < bits]
    return sorted(found, key=lambda name: -PRESETS[name][0].U.bits)


def _limited(spec: NetworkSpec, units: int) -> NetworkSpec:
    """Return ``spec`` with at most ``units`` units in each layer."""
    return replace(spec, layers=tuple(replace(layer, units=min(units, layer.units)) for layer in spec.layers))
