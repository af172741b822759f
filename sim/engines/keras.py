# SPDX-License-Identifier: Apache-2.0
"""The quantized Keras model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from zynq_lstm.sim.engines import PIECE, Codes, Engine

if TYPE_CHECKING:
    from zynq_lstm.models.fixed import Raw


class KerasEngine(Engine):
    """The Keras model that training uses, with its own quantizers."""

    name = "keras"
    verbs = ("compare", "sample", "benchmark", "flow")
    limits = ("keras",)

    @cached_property
    def model(self) -> Any:
        """The Keras model."""
        from zynq_lstm.models.keras import quantized

        return quantized.quantized_model(self.checkpoint)

    def build(self) -> None:
        _ = self.model

    def trace(self, codes: Codes, piece: int = PIECE) -> Iterator[dict[str, Raw]]:
        from zynq_lstm.models.integers.reference import State
        from zynq_lstm.models.keras import quantized

        state, layers, empty = None, self.network.spec.layers, np.empty((1, 0), np.int64)
        for at in range(0, len(codes), piece):
            signals = dict(quantized.trace(self.model, codes[at : at + piece], state))
            # A cell without c has an empty one.
            state = State(
                *(
                    tuple(
                        signals[f"layers.{k}.{name}"][-1:] if name in layer.formats.signals else empty
                        for k, layer in enumerate(layers)
                    )
                    for name in "hc"
                )
            )
            yield signals

    def write(self, prime: Codes, length: int, temperature_raw: int = 0, seed: int = 0) -> Iterator[int]:
        from zynq_lstm.models.integers.choice import TEMPERATURE
        from zynq_lstm.models.keras.text import generate

        return generate(self.model, prime, length, temperature_raw * TEMPERATURE.lsb, seed)
