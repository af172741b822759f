# SPDX-License-Identifier: Apache-2.0
"""The network in floating point with any of its signals rounded: between the float network and the integers.

With no signal rounded this is the float network. With all of them rounded it equals the reference in every
integer (tests compare them). In between it shows the cost of each format alone. Everything is float64, which
is exact enough at both ends: the sums of the integers stay below 2**53.

Shapes: S streams, T steps, H units, V characters.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.cells.description import LookUp
from zynq_lstm.models.description.spec import FUNCTIONS, NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat

Reals = NDArray[np.float64]

LayerState = dict[str, Reals]
"""What one layer leaves for the next step: h, and c where there is one, each (S, H)."""

#: Groups of formats by field name; each group is one step of quantization.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "weights": ("W", "U", "b", "rb", "pi", "pf", "po"),
    "tables": ("z", "gate", "g", "n", "ct", "tc"),
    "activations": ("h", "p", "logits"),
    "state": ("c",),
}


def format_names(spec: NetworkSpec) -> dict[str, FixedFormat]:
    """Return every format of a network: ``layers.K.FIELD``, ``output.W``, ``output.b``, ``output.logits``."""
    named = {
        f"layers.{k}.{name}": layer.formats.format(name)
        for k, layer in enumerate(spec.layers)
        for name in layer.formats.format_names()
    }
    return named | {f"output.{name}": fmt for name, fmt in vars(spec.output).items()}


def in_groups(spec: NetworkSpec, groups: Collection[str]) -> set[str]:
    """Return the names of the formats that belong to these :data:`GROUPS`."""
    fields = {field for group in groups for field in GROUPS[group]}
    return {name for name in format_names(spec) if name.rpartition(".")[2] in fields}


class PartlyQuantized:
    """Runs a network with some of its signals rounded.

    Args:
        spec: shape, functions, and formats.
        weights: float arrays by the names of :meth:`NetworkSpec.weight_formats`.
        rounded: the formats to round to, by the names of :func:`format_names`; all other values stay real.

    Raises:
        UserError: the spec doesn't have one of these formats; names it.
    """

    def __init__(
        self, spec: NetworkSpec, weights: Mapping[str, NDArray[Any]], rounded: Collection[str] = ()
    ) -> None:
        formats = format_names(spec)
        for name in rounded:
            if name not in formats:
                raise UserError(f"unknown format {name!r}; legal are {', '.join(formats)}")
        self.spec = spec
        self.formats = {name: formats[name] for name in rounded}
        self.state: list[LayerState] = []  # where the last run ended
        self.weights = {
            name: self.rounded(name, np.asarray(weights[name], np.float64)) for name in spec.weight_formats()
        }

    def rounded(self, name: str, values: Reals) -> Reals:
        """Round ``values`` to the format ``name``, if that is one of the formats to round to."""
        fmt = self.formats.get(name)
        return values if fmt is None else fmt.to_real(fmt.quantize(values))

    def run(
        self, codes: NDArray[np.integer], trace: dict[str, Reals] | None = None, carry: bool = False
    ) -> Reals:
        """Compute the logits after every character: (S, T) -> (S, T, V).

        Args:
            trace: if given, filled with every signal as real numbers, under the reference's names.
            carry: start from :attr:`state`, the end of the last run, and not from zero.
        """
        codes = np.atleast_2d(codes)
        if not (carry and self.state):
            self.state = self.zero_state(len(codes))
        x: Reals | None = None
        for k in range(len(self.spec.layers)):
            kept: dict[str, list[Reals]] | None = None if trace is None else {}
            W, b = self.weights[f"layers.{k}.W"], self.weights[f"layers.{k}.b"]
            sums = (W[codes] if x is None else x @ W) + b
            x = np.stack(list(self._steps(k, sums, kept)), axis=1)
            for name, values in (kept or {}).items():
                assert trace is not None
                trace[f"layers.{k}.{name}"] = np.stack(values, axis=1)
        assert x is not None
        logits = x @ self.weights["output.W"] + self.weights["output.b"]
        logits = self.rounded("output.logits", logits)
        if trace is not None:
            trace["logits"] = logits
        return logits

    def zero_state(self, streams: int) -> list[LayerState]:
        """The state before the first character."""
        return [
            {name: np.zeros((streams, layer.units)) for name in layer.formats.description.state}
            for layer in self.spec.layers
        ]

    def _steps(self, k: int, sums: Reals, kept: dict[str, list[Reals]] | None) -> Iterator[Reals]:
        """h of each step of layer k: x.W + b of all steps (S, T, N) -> (S, H)."""
        state = self.state[k]
        for t in range(sums.shape[1]):
            signals = self._step(k, sums[:, t], state)
            state = {name: signals[name] for name in state}
            if kept is not None:
                for name in self.spec.layers[k].formats.signals:
                    kept.setdefault(name, []).append(self._traced(k, signals, name))
            yield signals["h"]
        self.state[k] = state

    def _step(self, k: int, x: Reals, state: LayerState) -> dict[str, Reals]:
        """Every signal of one step of layer k, by the equations of its cell."""
        at, fmt = f"layers.{k}.", self.spec.layers[k].formats
        cell, U = fmt.description, self.weights[f"layers.{k}.U"]
        blocks = {
            gate: slice(n * self.spec.layers[k].units, (n + 1) * self.spec.layers[k].units)
            for n, gate in enumerate(cell.gates)
        }
        hU = state["h"] @ U
        values = {f"x_{gate}": x[:, block] for gate, block in blocks.items()}
        values |= {f"u_{gate}": hU[:, block] for gate, block in blocks.items() if gate not in cell.recurrent}
        values |= {f"{name}'": before for name, before in state.items()}
        values |= {name: self.weights[at + name] for name in cell.vectors}
        for equation in cell.equations:
            if isinstance(equation, LookUp):
                function = FUNCTIONS[getattr(fmt, cell.tables[equation.table].function)]
                result = function(values[equation.index])
            else:
                result = sum(
                    term.sign * math.prod(values[f] for f in term.factors) for term in equation.terms
                )
            values[equation.signal] = self.rounded(at + equation.format, result)
            for gate, signal in cell.recurrent.items():
                if signal == equation.signal:
                    values[f"u_{gate}"] = values[signal] @ U[:, blocks[gate]]
        return values

    def _traced(self, k: int, values: Mapping[str, Reals], name: str) -> Reals:
        """A signal of a trace: "z" is those of all gates side by side."""
        if name in values:
            return values[name]
        gates = self.spec.layers[k].formats.gates
        return np.concatenate([values[f"z_{gate}"] for gate in gates], axis=1)
