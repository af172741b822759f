# SPDX-License-Identifier: Apache-2.0
"""The NumPy reference."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from zynq_lstm.sim.engines import PIECE, Codes, Engine

if TYPE_CHECKING:
    from zynq_lstm.models.fixed import Raw


class ReferenceEngine(Engine):
    """The reference (:class:`zynq_lstm.models.integers.reference.Reference`), right by definition."""

    name = "reference"
    verbs: ClassVar[tuple[str, ...]] = ("compare", "sample", "benchmark")
    limits = ("reference",)

    def build(self) -> None:
        """Do nothing: there is nothing to build."""

    def trace(self, codes: Codes, piece: int = PIECE) -> Iterator[dict[str, Raw]]:
        from zynq_lstm.models.integers.reference import Reference

        reference = Reference(self.network)
        for at in range(0, len(codes), piece):
            signals: dict[str, Raw] = {}
            reference.run(codes[at : at + piece], signals)
            yield signals

    def write(self, prime: Codes, length: int, temperature_raw: int = 0, seed: int = 0) -> Iterator[int]:
        from zynq_lstm.models.integers.text import stream

        return stream(self.network, prime, length, temperature_raw, seed)

    def logits(self, codes: Codes) -> Raw:
        from zynq_lstm.models.integers.reference import Reference

        return Reference(self.network).run(codes)


class StreamsEngine(ReferenceEngine):
    """The reference, which computes many streams in parallel when its speed is measured."""

    name = "streams"
    verbs = ("benchmark",)

    def seconds(self, codes: Codes) -> dict[str, float]:
        from zynq_lstm.models.integers.reference import Reference

        # 64 streams, with each character repeated so that the time is not too short.
        many = codes[: len(codes) // 64 * 64].reshape(64, -1).repeat(8, axis=1)
        started = time.perf_counter()
        Reference(self.network, 64).run(many)
        return {"": (time.perf_counter() - started) * len(codes) / many.size}
