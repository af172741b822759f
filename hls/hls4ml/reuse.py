# SPDX-License-Identifier: Apache-2.0
"""Reuse factors of the HLS C++: the number of clock cycles over which each matrix product may be spread."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from zynq_lstm.models.cells.groups import groups
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.errors import UserError


@dataclass(frozen=True)
class Product:
    """The matrix products of a layer, which are all computed alike.

    Args:
        inner: rows of the matrix that every layer has, and its cycles at one row of all columns per cycle.
        also: rows of the other matrix; equal to ``inner`` if there is none.
        columns: columns of both matrices.
    """

    inner: int
    also: int
    columns: int

    def spread(self, reuse: object) -> tuple[int, int] | None:
        """Return rows per cycle, and groups of columns, for a reuse factor; None if it is not possible.

        With fewer cycles than rows, a cycle takes several rows and all columns; with more, one row and a
        group of columns. hls4ml's default of 1 means the fewest possible cycles.
        """
        if not isinstance(reuse, int) or reuse < 1:
            return None
        if reuse == 1:
            return math.gcd(self.inner, self.also), 1
        rows = self.inner // reuse if reuse < self.inner else 1
        groups = reuse // self.inner if reuse > self.inner else 1
        whole = reuse in (self.inner // rows, self.inner * groups) and not self.inner % rows
        return (rows, groups) if whole and not self.also % rows and groups <= self.columns else None

    @property
    def legal(self) -> str:
        """Description of the possible reuse factors."""
        if self.inner == self.also:
            divisors = f"{self.inner}"
        else:
            divisors = f"{self.inner} that leaves a divisor of {self.also}"
        most = self.inner * self.columns
        return f"it must be a multiple of {self.inner} up to {most}, or a divisor of {divisors}"


def products(spec: NetworkSpec) -> Iterator[tuple[str, Product]]:
    """Yield the name and products of every layer of the Keras model."""
    for k, layer in enumerate(spec.layers):
        also = spec.inputs(k) if k else layer.units  # the first layer's input is one row of W
        for group in groups(layer.formats.description):
            yield f"lstm{k + 1}", Product(layer.units, also, len(group.gates) * layer.units)
    last = spec.layers[-1].units
    yield "logits", Product(last, last, spec.vocabulary)


def require_reuse_factor(spec: NetworkSpec, reuse: int) -> None:
    """Refuse a reuse factor that is not possible for every layer of a network.

    Raises:
        UserError: naming the layer, and its possible reuse factors.
    """
    for name, product in products(spec):
        if product.spread(reuse) is None:
            raise UserError(f"layer {name}: reuse factor {reuse} is not possible; {product.legal}")
