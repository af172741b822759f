# SPDX-License-Identifier: Apache-2.0
"""Each cell's step in Python integers, written by hand from the equations of docs/cells.md.

Nothing here reads a cell's description: a wrong description differs from these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from zynq_lstm.models.fixed import FixedFormat

Layer = Mapping[str, Any]  # raw arrays of a layer by short name
Values = list[Fraction]


def rounded(value: Fraction, fmt: FixedFormat) -> Fraction:
    """AP_RND or AP_TRN, then AP_SAT: the value in the format."""
    scaled = value * Fraction(2) ** fmt.frac
    raw = (scaled + Fraction(1, 2) if fmt.half else scaled).__floor__()
    return Fraction(min(max(raw, fmt.min_raw), fmt.max_raw)) / Fraction(2) ** fmt.frac


def look_up(table: Any, value: Fraction, index: FixedFormat, result: FixedFormat) -> Fraction:
    """The table's entry for a value of the format ``index``."""
    raw = int(value * Fraction(2) ** index.frac)
    return Fraction(int(table[raw & (len(table) - 1)])) / Fraction(2) ** result.frac


class Oracle:
    """One layer on one stream.

    Args:
        cell: the name of the cell.
        formats: of the layer, by attribute.
        layer: its raw arrays.
    """

    def __init__(self, cell: str, formats: Any, layer: Layer) -> None:
        self.fmt, self.layer = formats, layer
        self.gates = len(layer["b"]) // layer["U"].shape[0]
        self.units = layer["U"].shape[0]
        self.step: Callable[..., dict[str, Values]] = getattr(self, f"_{cell}")
        self.h = [Fraction(0)] * self.units
        self.c = [Fraction(0)] * self.units

    def real(self, name: str) -> Any:
        """A weight array as fractions."""
        frac = self.fmt.format(name).frac
        to_real = np.vectorize(lambda raw: Fraction(int(raw)) / Fraction(2) ** frac, otypes=[object])
        return to_real(self.layer[name])

    def run(self, x: Values) -> dict[str, Values]:
        """One step for the input vector ``x``."""
        W, b = self.real("W"), self.real("b")
        sums = [sum((x[k] * W[k, n] for k in range(len(x))), b[n]) for n in range(W.shape[1])]
        found = self.step(self.blocks(sums))
        self.h, self.c = found["h"], found.get("c", self.c)
        return found

    def blocks(self, columns: Values) -> list[Values]:
        """The columns of each gate."""
        return [columns[k * self.units : (k + 1) * self.units] for k in range(self.gates)]

    def recurrent(self, h: Values) -> list[Values]:
        """h.U, by gate."""
        U = self.real("U")
        return self.blocks(
            [sum((h[k] * U[k, n] for k in range(self.units)), Fraction(0)) for n in range(U.shape[1])]
        )

    def each(self, function: Callable[..., Fraction], *columns: Values) -> Values:
        """A function of the values of each unit."""
        return [function(*values) for values in zip(*columns, strict=True)]

    def q(self, name: str, function: Callable[..., Fraction], *columns: Values) -> Values:
        """The same, rounded to a format."""
        fmt = self.fmt.format(name)
        return self.each(lambda *values: rounded(function(*values), fmt), *columns)

    def table(self, name: str, index: str, result: str, values: Values) -> Values:
        """A look-up for each unit."""
        i, r = self.fmt.format(index), self.fmt.format(result)
        return [look_up(self.layer[name], value, i, r) for value in values]

    def sigmoid(self, values: Values) -> Values:
        return self.table("sigmoid", "z", "gate", values)

    def _rnn(self, x: list[Values]) -> dict[str, Values]:
        z = self.q("z", lambda a, u: a + u, x[0], self.recurrent(self.h)[0])
        return {"z_h": z, "h": self.table("tanh", "z", "h", z)}

    def _lstm(self, x: list[Values], more: tuple[Values, ...] = ()) -> dict[str, Values]:
        u = self.recurrent(self.h)
        zi, zf, zg, zo = (self.q("z", lambda a, b: a + b, x[k], u[k]) for k in range(4))
        i, f, o = self.sigmoid(zi), self.sigmoid(zf), self.sigmoid(zo)
        g = self.table("tanh", "z", "g", zg)
        c = self.q("c", lambda f, c, i, g: f * c + i * g, f, self.c, i, g)
        found = {"z_i": zi, "z_f": zf, "z_g": zg, "z_o": zo, "i": i, "f": f, "g": g, "o": o, "c": c}
        return found | self.output(c, o)

    def output(self, c: Values, o: Values) -> dict[str, Values]:
        ct = self.q("ct", lambda c: c, c)
        tc = self.table("tanh_c", "ct", "tc", ct)
        return {"ct": ct, "tc": tc, "h": self.q("h", lambda o, t: o * t, o, tc)}

    def _peephole(self, x: list[Values]) -> dict[str, Values]:
        u = self.recurrent(self.h)
        pi, pf, po = (list(self.real(name)) for name in ("pi", "pf", "po"))
        zi = self.q("z", lambda a, b, p, c: a + b + p * c, x[0], u[0], pi, self.c)
        zf = self.q("z", lambda a, b, p, c: a + b + p * c, x[1], u[1], pf, self.c)
        zg = self.q("z", lambda a, b: a + b, x[2], u[2])
        i, f, g = self.sigmoid(zi), self.sigmoid(zf), self.table("tanh", "z", "g", zg)
        c = self.q("c", lambda f, c, i, g: f * c + i * g, f, self.c, i, g)
        zo = self.q("z", lambda a, b, p, c: a + b + p * c, x[3], u[3], po, c)
        o = self.sigmoid(zo)
        found = {"z_i": zi, "z_f": zf, "z_g": zg, "z_o": zo, "i": i, "f": f, "g": g, "o": o, "c": c}
        return found | self.output(c, o)

    def _coupled(self, x: list[Values]) -> dict[str, Values]:
        u = self.recurrent(self.h)
        zf, zg, zo = (self.q("z", lambda a, b: a + b, x[k], u[k]) for k in range(3))
        f, o, g = self.sigmoid(zf), self.sigmoid(zo), self.table("tanh", "z", "g", zg)
        c = self.q("c", lambda f, c, g: f * c + (1 - f) * g, f, self.c, g)
        return {"z_f": zf, "z_g": zg, "z_o": zo, "f": f, "g": g, "o": o, "c": c} | self.output(c, o)

    def _gru(self, x: list[Values]) -> dict[str, Values]:
        hu, hr, hn = self.recurrent(self.h)
        p = self.q("p", lambda a, b: a + b, hn, list(self.real("rb")))
        zu, zr = self.q("z", lambda a, b: a + b, x[0], hu), self.q("z", lambda a, b: a + b, x[1], hr)
        u, r = self.sigmoid(zu), self.sigmoid(zr)
        zn = self.q("z", lambda a, r, p: a + r * p, x[2], r, p)
        n = self.table("tanh", "z", "n", zn)
        c = self.q("c", lambda u, c, n: u * c + (1 - u) * n, u, self.c, n)
        found = {"p": p, "z_u": zu, "z_r": zr, "z_n": zn, "u": u, "r": r, "n": n, "c": c}
        return found | {"h": self.q("h", lambda c: c, c)}

    def _gru_reset_before(self, x: list[Values]) -> dict[str, Values]:
        hu, hr, _ = self.recurrent(self.h)
        zu, zr = self.q("z", lambda a, b: a + b, x[0], hu), self.q("z", lambda a, b: a + b, x[1], hr)
        u, r = self.sigmoid(zu), self.sigmoid(zr)
        s = self.q("h", lambda r, h: r * h, r, self.h)
        zn = self.q("z", lambda a, b: a + b, x[2], self.recurrent(s)[2])
        n = self.table("tanh", "z", "n", zn)
        c = self.q("c", lambda u, c, n: u * c + (1 - u) * n, u, self.c, n)
        found = {"z_u": zu, "z_r": zr, "s": s, "z_n": zn, "u": u, "r": r, "n": n, "c": c}
        return found | {"h": self.q("h", lambda c: c, c)}
