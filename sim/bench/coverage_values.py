# SPDX-License-Identifier: Apache-2.0
"""Bins of the coverage plan that values hit as they are rounded, looked up and summed in a trace."""

from __future__ import annotations

import numpy as np

from zynq_lstm.models.cells.description import LookUp, Term
from zynq_lstm.models.description.formats import CellFormats
from zynq_lstm.models.fixed import FixedFormat, Raw, shift_round
from zynq_lstm.models.integers.network import IntegerNetwork, product_range
from zynq_lstm.models.integers.reference import State
from zynq_lstm.sim.campaigns.coverage_cells import CORNERS, ENDS, TIES, group, tie
from zynq_lstm.sim.campaigns.coverage_plan import BINS

#: A value's raw integers and fraction bits.
Value = tuple[Raw, int]


class Values:
    """Bins of values that are rounded, looked up and summed; the values are recomputed from a trace."""

    def __init__(self, network: IntegerNetwork) -> None:
        self._network = network
        spec = network.spec
        self._ranges: dict[str, tuple[int, int]] = {}
        for k in range(len(spec.layers)):
            layer = network.layer(k)
            self._ranges[f"U{k}"] = _ends(product_range(layer["U"], *network.recurrent_range(k)))
            if k:
                self._ranges[f"W{k}"] = _ends(product_range(layer["W"], *network.h_range(k - 1)))
            self._ranges[f"z of layer {k}"] = network.accumulator_range(k)
        last = len(spec.layers) - 1
        self._ranges["Wy"] = _ends(product_range(network.arrays["output.W"], *network.h_range(last)))
        self._ranges["logits"] = network.output_accumulator_range()

    def bins(self, before: State, codes: list[int], trace: dict[str, Raw]) -> set[tuple[str, str]]:
        """Return the bins that characters hit, computed from a state on."""
        spec, found = self._network.spec, set()
        for k, layer in enumerate(spec.layers):
            formats = layer.formats
            values, products = self.factors(k, before, codes, trace)
            sums = []
            for e in formats.description.equations:
                if isinstance(e, LookUp):
                    index = formats.format(formats.tables[e.table].index)
                    found |= _looked_up(f"{formats.cell}: {e.signal}", values[e.index][0], index)
                    continue
                total, frac = exact_sum(e.terms, values)
                found |= _rounded(group(formats, e.signal), total, frac, formats.format(e.format))
                if sorted(e.reads) in ([f"u_{gate}", f"x_{gate}"] for gate in formats.gates):
                    sums.append(total << spec.accumulator_frac(k) - frac)
            found |= self._at_ends("accumulators", products)
            if sums:
                found |= self._at_ends("sums", {f"z of layer {k}": np.stack(sums)})
        out, arrays = spec.output, self._network.arrays
        product = trace[f"layers.{len(spec.layers) - 1}.h"] @ arrays["output.W"]
        values = {
            "x": (product, out.W.frac + spec.layers[-1].formats.h.frac),
            "b": (arrays["output.b"], out.b.frac),
        }
        total, frac = exact_sum((Term(1, ("x",)), Term(1, ("b",))), values)
        found |= self._at_ends("accumulators", {"Wy": product}) | self._at_ends("sums", {"logits": total})
        return found | _rounded("logits", total, frac, out.logits)

    def factors(
        self, k: int, before: State, codes: list[int], trace: dict[str, Raw]
    ) -> tuple[dict[str, Value], dict[str, Raw]]:
        """Return all factors of a layer's equations by name, and its products: U0, W1, ..."""
        spec, own = self._network.spec, self._network.layer(k)
        formats, units = spec.layers[k].formats, spec.layers[k].units
        cell = formats.description
        columns = {gate: slice(n * units, (n + 1) * units) for n, gate in enumerate(cell.gates)}
        values: dict[str, Value] = {name: (own[name], formats.format(name).frac) for name in cell.vectors}
        for signal in cell.signals:
            values[signal] = self._signal(k, signal, columns, trace), _frac(formats, signal)
        for name in cell.state:
            raw = np.concatenate([getattr(before, name)[k], values[name][0][:-1]])
            values[f"{name}'"] = raw, values[name][1]
        below = trace[f"layers.{k - 1}.h"] if k else None
        x = own["W"][codes] if below is None else below @ own["W"]
        x_values = {
            "x": (x, formats.W.frac + spec.input_frac(k)),
            "b": (own["b"], formats.b.frac),
        }
        x_total, x_frac = exact_sum((Term(1, ("x",)), Term(1, ("b",))), x_values)
        u = np.empty((len(codes), len(cell.gates) * units), np.int64)
        for gate, block in columns.items():
            u[:, block] = values[cell.recurrent.get(gate, "h'")][0] @ own["U"][:, block]
            values[f"x_{gate}"] = x_total[:, block], x_frac
            values[f"u_{gate}"] = u[:, block], formats.U.frac + formats.h.frac
        return values, {f"U{k}": u} | ({} if below is None else {f"W{k}": x})

    def _signal(self, k: int, signal: str, columns: dict[str, slice], trace: dict[str, Raw]) -> Raw:
        if f"layers.{k}.{signal}" in trace:
            return trace[f"layers.{k}.{signal}"]
        return trace[f"layers.{k}.z"][:, columns[signal.removeprefix("z_")]]

    def _at_ends(self, point: str, sums: dict[str, Raw]) -> set[tuple[str, str]]:
        """Return the bins of sums at the ends of their proven ranges."""
        found = set()
        for name, values in sums.items():
            reached = zip(ENDS, (values.min(), values.max()), self._ranges[name], strict=True)
            found |= {(point, f"{name}, {end}") for end, value, bound in reached if value == bound}
        return found & set(BINS)  # layers after the second are not planned


def exact_sum(terms: tuple[Term, ...], values: dict[str, Value]) -> Value:
    """Return a sum of products of factors, at the finest binary point of its terms."""
    fracs = [sum(values[factor][1] for factor in term.factors) for term in terms]
    total: Raw = np.zeros(1, np.int64)
    for term, frac in zip(terms, fracs, strict=True):
        product = np.int64(term.sign) << max(fracs) - frac
        for factor in term.factors:
            product = product * values[factor][0]
        total = total + product
    return total, max(fracs)


def _frac(formats: CellFormats, signal: str) -> int:
    return formats.format(formats.description.equation(signal).format).frac


def _ends(bounds: tuple[Raw, Raw]) -> tuple[int, int]:
    return int(bounds[0].min()), int(bounds[1].max())


def _rounded(name: str, raw: Raw, frac: int, fmt: FixedFormat) -> set[tuple[str, str]]:
    """Return the bins of saturation and of ties in rounding."""
    whole = shift_round(raw, frac - fmt.frac, fmt.rounding)
    ends = zip(ENDS, (whole.min() < fmt.min_raw, whole.max() > fmt.max_raw), strict=True)
    found = {("saturation", f"{name}, {end}") for end, beyond in ends if beyond}
    if half := tie(fmt, frac):
        ties = raw[raw & 2 * half - 1 == half]
        signs = zip(TIES, ((ties > 0).any(), (ties < 0).any()), strict=True)
        found |= {("rounding", f"{name}, {sign}") for sign, there in signs if there}
    return found


def _looked_up(name: str, index: Raw, fmt: FixedFormat) -> set[tuple[str, str]]:
    corners = zip(CORNERS, (fmt.min_raw, fmt.max_raw, 0, -1), strict=True)
    return {("tables", f"{name}, {corner}") for corner, raw in corners if (index == raw).any()}
