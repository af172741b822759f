# SPDX-License-Identifier: Apache-2.0
"""What the engine must do, in terms of its ports: the NumPy reference behind the stream protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.network import IntegerNetwork
from sim.fixed import Raw
from sim.reference import Reference
from sim.sampling import Sampler
from sim.trace import signal_order


@dataclass
class EngineModel:
    """Fed by the monitors of s_axis and s_axil; says what must come out, and every signal on the way.

    Characters are gathered and run through the reference when the answer is asked for.
    """

    network: IntegerNetwork
    beats: list[tuple[tuple[int, ...], bool]] = field(default_factory=list)  # expected: values, TLAST
    bad_codes: int = 0
    characters: int = 0

    def __post_init__(self) -> None:
        self._reference = Reference(self.network)
        self._sampler = Sampler(self.network.spec)
        self._trace: dict[str, list[Raw]] = {name: [] for name in signal_order(self.network)}
        self._waiting: list[tuple[int, bool]] = []  # code and TLAST, to be scored
        self._generate = self._auto_reset = self._in_sequence = self._sequence_generates = False
        self._reset_pending = True
        self._length = 0

    def reset_state(self) -> None:
        self._reset_pending = True

    def configure(self, *, generate: bool, auto_reset: bool, length: int) -> None:
        self._generate, self._auto_reset, self._length = generate, auto_reset, length

    def set_temperature(self, raw: int) -> None:
        self._sampler.temperature_raw = raw

    def reseed(self, seed: int) -> None:
        self._sampler.reseed(seed)

    def accept(self, code: int, last: bool) -> None:
        """A character has been taken from s_axis."""
        if code >= self.network.spec.vocabulary:
            self.bad_codes += 1
            code = 0
        if not self._in_sequence:
            if self._generate:
                self._flush()  # what waits was to be scored
            self._sequence_generates = self._generate
            self._reset_pending |= self._auto_reset
        if self._reset_pending:
            self._flush()
            self._reference.reset()
            self._reset_pending = False
        self._in_sequence = not last
        self.characters += 1
        self._waiting.append((code, last))
        if self._sequence_generates and last:
            self._sample(self._flush())
            self._sequence_generates = False

    def _flush(self) -> Raw:
        """Run what waits; returns the last character's logits."""
        codes = [code for code, _ in self._waiting]
        trace: dict[str, Raw] = {}
        logits = self._reference.run(np.array(codes, np.int64), trace)
        for name, values in trace.items():
            self._trace[name].append(values)
        if not self._sequence_generates:
            for row, (_, last) in zip(logits, self._waiting, strict=True):
                self.beats += self._logit_beats(row, last)
        self._waiting.clear()
        return logits[-1:] if len(logits) else logits

    def _logit_beats(self, row: Raw, last: bool) -> list[tuple[tuple[int, ...], bool]]:
        """Four logits a beat; behind the vocabulary the lowest value."""
        lowest = self.network.spec.output.logits.min_raw
        padded = np.pad(row, (0, -len(row) % 4), constant_values=lowest).reshape(-1, 4)
        return [(tuple(map(int, beat)), last and k == len(padded) - 1) for k, beat in enumerate(padded)]

    def _sample(self, logits: Raw) -> None:
        """Characters from these logits on, each the input of the next."""
        for left in range(self._length, 0, -1):
            code = self._sampler.choose(logits[-1])
            self.beats.append(((code,), left == 1))
            if left > 1:
                self.characters += 1
                self._waiting.append((code, False))
                logits = self._flush()

    def finish(self) -> dict[str, Raw]:
        """Everything computed so far, as a trace."""
        self._flush()
        return {name: np.concatenate(parts) for name, parts in self._trace.items() if parts}
