# SPDX-License-Identifier: Apache-2.0
"""The network in floating point with any of its signals rounded: between the float network and the integers.

With no signal rounded this is the float network. With all of them rounded it equals the reference in every
integer (tests compare them). In between it shows the cost of each format alone. Everything is float64, which
is exact enough at both ends: the sums of the integers stay below 2**53.

Shapes: S streams, T steps, H units, V characters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.spec import FUNCTIONS, GruFormats, LstmFormats, NetworkSpec, RnnFormats
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat

Reals = NDArray[np.float64]

LayerStates = tuple[Reals, Reals]
"""h and c of one layer, each (S, H)."""

#: Groups of formats by field name; each group is one step of quantization.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "weights": ("W", "U", "b", "rb"),
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
        self.state: list[LayerStates] = []  # the state at the end of the last run
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

    def zero_state(self, streams: int) -> list[LayerStates]:
        """Return the state before the first character."""
        zeros = [np.zeros((streams, layer.units)) for layer in self.spec.layers]
        return [(h, h) for h in zeros]

    def _steps(self, k: int, sums: Reals, kept: dict[str, list[Reals]] | None) -> Iterator[Reals]:
        """Yield h of each step of layer k: x.W + b of all steps (S, T, N) -> (S, H)."""
        layer = self.spec.layers[k]
        step = _STEPS[type(layer.formats)]
        h, c = self.state[k]
        U = self.weights[f"layers.{k}.U"]
        for t in range(sums.shape[1]):
            signals = step(self, f"layers.{k}.", layer.formats, sums[:, t], h @ U, c)
            h, c = signals["h"], signals.get("c", c)
            if kept is not None:
                for name, values in signals.items():
                    kept.setdefault(name, []).append(values)
            yield h
        self.state[k] = h, c

    def _lstm(self, at: str, fmt: LstmFormats, x: Reals, hU: Reals, c: Reals) -> dict[str, Reals]:
        sigmoid, tanh = FUNCTIONS[fmt.sigmoid], FUNCTIONS[fmt.tanh]
        z = self.rounded(at + "z", x + hU)
        zi, zf, zg, zo = np.split(z, 4, axis=1)
        i, f, o = (self.rounded(at + "gate", sigmoid(part)) for part in (zi, zf, zo))
        g = self.rounded(at + "g", tanh(zg))
        c = self.rounded(at + "c", f * c + i * g)
        ct = self.rounded(at + "ct", c)
        tc = self.rounded(at + "tc", tanh(ct))
        h = self.rounded(at + "h", o * tc)
        return {"z": z, "i": i, "f": f, "g": g, "o": o, "c": c, "ct": ct, "tc": tc, "h": h}

    def _gru(self, at: str, fmt: GruFormats, x: Reals, hU: Reals, c: Reals) -> dict[str, Reals]:
        sigmoid, tanh = FUNCTIONS[fmt.sigmoid], FUNCTIONS[fmt.tanh]
        units = c.shape[1]
        p = self.rounded(at + "p", hU[:, 2 * units :] + self.weights[at + "rb"])
        z_ur = self.rounded(at + "z", x[:, : 2 * units] + hU[:, : 2 * units])
        u, r = (self.rounded(at + "gate", sigmoid(part)) for part in np.split(z_ur, 2, axis=1))
        z_n = self.rounded(at + "z", x[:, 2 * units :] + r * p)
        n = self.rounded(at + "n", tanh(z_n))
        c = self.rounded(at + "c", u * c + (1 - u) * n)
        z = np.concatenate([z_ur, z_n], axis=1)
        return {"p": p, "z": z, "u": u, "r": r, "n": n, "c": c, "h": self.rounded(at + "h", c)}

    def _rnn(self, at: str, fmt: RnnFormats, x: Reals, hU: Reals, _c: Reals) -> dict[str, Reals]:
        z = self.rounded(at + "z", x + hU)
        return {"z": z, "h": self.rounded(at + "h", FUNCTIONS[fmt.tanh](z))}


_STEPS: Mapping[type, Any] = {
    LstmFormats: PartlyQuantized._lstm,
    GruFormats: PartlyQuantized._gru,
    RnnFormats: PartlyQuantized._rnn,
}
