# SPDX-License-Identifier: Apache-2.0
"""The deviation of an imported model's network from the model that it was made from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.evaluation.bpc import bits_per_character
from zynq_lstm.models.evaluation.partial import PartlyQuantized, format_names
from zynq_lstm.models.importing.importer import Imported
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference


@dataclass(frozen=True)
class Deviation:
    """Deviation of a network from the model that it was made from, on one text."""

    what: str  # a format field, or the name of another row
    theirs: str
    ours: str
    bits_per_character: float
    largest: float  # largest absolute difference of a logit
    mean: float  # mean absolute difference of a logit


def deviations(imported: Imported, network: IntegerNetwork, windows: NDArray[np.integer]) -> list[Deviation]:
    """Compare with their model: rows for itself, our equations, each of our formats, and the integer network.

    Args:
        imported: their model and its weights.
        network: the network made from them.
        windows: text as (S, T + 1); each window starts from a zero state, and T characters are read.
    """
    spec, codes = network.spec, windows[:, :-1]
    theirs = imported.logits(codes)
    targets = windows[:, -theirs.shape[1] :].reshape(-1)

    def row(what: str, their: str, our: str, logits: NDArray[np.float64]) -> Deviation:
        difference = np.abs(logits[:, -theirs.shape[1] :] - theirs)
        bits = bits_per_character(logits[:, -theirs.shape[1] :].reshape(len(targets), -1), targets)
        return Deviation(what, their, our, bits, float(difference.max()), float(difference.mean()))

    def partly(rounded: Collection[str]) -> NDArray[np.float64]:
        return PartlyQuantized(spec, imported.weights, rounded).run(codes)

    rows = [row("their model", "", "", theirs), row("our equations", "", "nothing rounded", partly(()))]
    formats = format_names(spec)
    for field, their in imported.theirs.items():
        names = [name for name in formats if field in (name, _field(name))]
        our = ", ".join(dict.fromkeys(str(formats[name]) for name in names))
        rows.append(row(field, their, our, partly(names)))
    integers = spec.output.logits.to_real(Reference(network, len(codes)).run(codes))
    rows.append(row("integer network", "", "all rounded", integers))
    return rows


def _field(name: str) -> str:
    """Return the field of a recurrent layer's format; empty for the output layer, whose W and b differ."""
    return "" if name.startswith("output.") else name.rpartition(".")[2]
