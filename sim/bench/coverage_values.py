# SPDX-License-Identifier: Apache-2.0
"""Bins of the coverage plan that values hit as they are rounded, looked up and summed in a trace."""

from __future__ import annotations

import numpy as np

from zynq_lstm.models.description.spec import GATES
from zynq_lstm.models.fixed import FixedFormat, Raw, Rounding
from zynq_lstm.models.integers.network import IntegerNetwork, product_range
from zynq_lstm.models.integers.reference import State
from zynq_lstm.sim.campaigns.coverage_plan import BINS


class Values:
    """Bins of values that are rounded, looked up and summed; the values are recomputed from a trace."""

    def __init__(self, network: IntegerNetwork) -> None:
        self._network = network
        spec = network.spec
        self._ranges: dict[str, tuple[int, int]] = {}
        for k in range(len(spec.layers)):
            layer = network.layer(k)
            self._ranges[f"U{k}"] = _ends(product_range(layer["U"], *network.h_range(k)))
            if k:
                self._ranges[f"W{k}"] = _ends(product_range(layer["W"], *network.h_range(k - 1)))
            self._ranges[f"z of layer {k}"] = network.accumulator_range(k)
        last = len(spec.layers) - 1
        self._ranges["Wy"] = _ends(product_range(network.arrays["output.W"], *network.h_range(last)))
        self._ranges["logits"] = network.output_accumulator_range()

    def bins(self, before: State, codes: list[int], trace: dict[str, Raw]) -> set[tuple[str, str]]:
        """Return the bins that characters hit, computed from a state on."""
        spec, found = self._network.spec, set()
        x: Raw | None = None
        for k, layer in enumerate(spec.layers):
            fmt, own = layer.formats, self._network.layer(k)
            signals = {name: trace[f"layers.{k}.{name}"] for name in (*GATES, "z", "c", "ct", "h")}
            h, c = (np.concatenate([getattr(before, n)[k], signals[n][:-1]]) for n in ("h", "c"))
            frac = spec.accumulator_frac(k)
            products = {f"U{k}": h @ own["U"]}
            total = (products[f"U{k}"] << frac - fmt.U.frac - fmt.h.frac) + (own["b"] << frac - fmt.b.frac)
            if x is None:
                part = own["W"][codes]
            else:
                part = products[f"W{k}"] = x @ own["W"]
            total = total + (part << frac - fmt.W.frac - spec.input_frac(k))
            found |= self._accumulators(products, f"z of layer {k}", total)
            update_frac = fmt.gate.frac + max(fmt.c.frac, fmt.g.frac)
            update = (signals["f"] * c << update_frac - fmt.gate.frac - fmt.c.frac) + (
                signals["i"] * signals["g"] << update_frac - fmt.gate.frac - fmt.g.frac
            )
            found |= _rounded("z", total, frac, fmt.z)
            found |= _rounded("c", update, update_frac, fmt.c)
            found |= _rounded("ct", signals["c"], fmt.c.frac, fmt.ct)
            tc = trace[f"layers.{k}.tc"]
            found |= _rounded("h", signals["o"] * tc, fmt.gate.frac + fmt.tc.frac, fmt.h)
            units = layer.units
            for block, gate in enumerate(GATES):
                table = f"{'tanh' if gate == 'g' else 'sigmoid'} of {gate}"
                found |= _looked_up(table, signals["z"][:, block * units : (block + 1) * units], fmt.z)
            found |= _looked_up("tanh of c", signals["ct"], fmt.ct)
            x = signals["h"]
        out, arrays = spec.output, self._network.arrays
        frac = spec.output_accumulator_frac()
        assert x is not None
        product = x @ arrays["output.W"]
        total = (product << frac - out.W.frac - spec.layers[-1].formats.h.frac) + (
            arrays["output.b"] << frac - out.b.frac
        )
        found |= self._accumulators({"Wy": product}, "logits", total)
        return found | _rounded("logits", total, frac, out.logits)

    def _accumulators(self, products: dict[str, Raw], name: str, total: Raw) -> set[tuple[str, str]]:
        found = set()
        for point, key, values in [("accumulators", n, v) for n, v in products.items()] + [
            ("sums", name, total)
        ]:
            low, high = self._ranges[key]
            if values.min() == low:
                found.add((point, f"{key}, lowest"))
            if values.max() == high:
                found.add((point, f"{key}, highest"))
        return found & set(BINS)  # layers after the second are not planned


def _ends(bounds: tuple[Raw, Raw]) -> tuple[int, int]:
    return int(bounds[0].min()), int(bounds[1].max())


def _rounded(name: str, raw: Raw, frac: int, fmt: FixedFormat) -> set[tuple[str, str]]:
    """Return the bins of saturation and of ties in rounding."""
    found, shift = set(), frac - fmt.frac
    half = 1 << shift - 1 if shift > 0 else 0
    exact = raw << -shift if shift <= 0 else raw + half * (fmt.rounding is Rounding.AP_RND) >> shift
    if exact.min() < fmt.min_raw:
        found.add(("saturation", f"{name}, lowest"))
    if exact.max() > fmt.max_raw:
        found.add(("saturation", f"{name}, highest"))
    if half:
        ties = raw[raw & (1 << shift) - 1 == half]
        if (ties > 0).any():
            found.add(("rounding", f"{name}, tie, positive"))
        if (ties < 0).any():
            found.add(("rounding", f"{name}, tie, negative"))
    return found


def _looked_up(table: str, index: Raw, fmt: FixedFormat) -> set[tuple[str, str]]:
    ends = {
        "lowest argument": fmt.min_raw,
        "highest argument": fmt.max_raw,
        "first address": 0,
        "last address": -1,
    }
    return {("tables", f"{table}, {name}") for name, raw in ends.items() if (index == raw).any()}
