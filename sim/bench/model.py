# SPDX-License-Identifier: Apache-2.0
"""A model of the engine at its ports: the NumPy reference with the stream protocol around it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.choice import WORD_LOGITS, Sampler
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference, State
from zynq_lstm.sim.trace import signal_order

#: Values of a beat of m_axis, and its TLAST.
Beat = tuple[tuple[int, ...], bool]


@dataclass(frozen=True)
class _Character:
    """A character that s_axis has taken and that is not computed yet."""

    code: int
    last: bool
    reset: bool  # h and c are zero before it
    score: bool  # its logits are sent
    length: int  # number of characters generated after it


class Observer(Protocol):
    """Sees what the model computes (for coverage)."""

    def computed(self, before: State, codes: list[int], trace: dict[str, Raw]) -> None:
        """Characters have been computed from a state on; the trace has every signal."""

    def chosen(self, sampler: Sampler, logits: Raw) -> None:
        """A character is about to be chosen."""


@dataclass
class EngineModel:
    """Computes the expected output and every signal inside.

    The monitor of s_axis gives it the characters, and the bench the register settings. Characters are
    gathered, and run through the reference when the answer is asked for.
    """

    network: IntegerNetwork
    beats: list[Beat] = field(default_factory=list)  # expected from the characters computed so far
    bad_codes: int = 0
    characters: int = 0  # characters that the engine has consumed once it is idle

    observer: ClassVar[Observer | None] = None

    def __post_init__(self) -> None:
        self._reference = Reference(self.network)
        self._sampler = Sampler(self.network.spec)
        self._generate = self._auto_reset = self._in_sequence = self._sequence_generates = False
        self._reset_pending = True
        self._length = 0
        self._waiting: deque[_Character] = deque()
        self._left, self._code = 0, 0  # characters still to be chosen; the last one chosen
        self._traces: list[dict[str, Raw]] = []  # computed but not taken
        self._computed = 0  # characters in them

    def reset_state(self) -> None:
        self._reset_pending = True

    def configure(self, *, generate: bool, auto_reset: bool, length: int) -> None:
        self._generate, self._auto_reset, self._length = generate, auto_reset, length

    def set_temperature(self, raw: int) -> None:
        self._compute()  # earlier characters
        self._sampler.temperature_raw = raw

    def reseed(self, seed: int) -> None:
        self._compute()
        self._sampler.reseed(seed)

    def accept(self, code: int, last: bool) -> None:
        """Add a character that has been taken from s_axis."""
        if code >= self.network.spec.vocabulary:
            self.bad_codes += 1
            code = 0
        if not self._in_sequence:
            self._sequence_generates = self._generate
            self._reset_pending |= self._auto_reset
        length = self._length if self._sequence_generates and last else 0
        self._waiting.append(
            _Character(code, last, self._reset_pending, not self._sequence_generates, length)
        )
        self._in_sequence, self._reset_pending = not last, False
        self.characters += max(1, length)  # the last generated one is not fed back

    def take(self, characters: int) -> dict[str, Raw]:
        """Return the trace of the next ``characters`` characters, or of fewer if no more were given."""
        while self._computed < characters and self._compute_some(characters - self._computed):
            pass
        whole = {
            name: np.concatenate([trace[name] for trace in self._traces] or [np.empty((0, 0), np.int64)])
            for name in signal_order(self.network)
        }
        self._traces = [{name: values[characters:] for name, values in whole.items()}]
        self._computed = len(self._traces[0]["logits"])
        return {name: values[:characters] for name, values in whole.items()}

    def finish(self) -> dict[str, Raw]:
        """Return the trace of all characters that have not been taken."""
        self._compute()
        return self.take(self._computed)

    def _compute(self) -> None:
        while self._compute_some(len(self._waiting)):
            pass

    def _compute_some(self, limit: int) -> int:
        """Run at least one and at most ``limit`` of the next characters, if any; return their number."""
        codes = [self._code]
        stretch: list[_Character] = []
        if not self._left:
            stretch = self._stretch(limit)
            codes = [character.code for character in stretch]
            if not codes:
                return 0
            if stretch[0].reset:
                self._reference.reset()
            self._left = stretch[-1].length
        trace: dict[str, Raw] = {}
        before = self._reference.state
        logits = self._reference.run(codes, trace)
        if self.observer:
            self.observer.computed(before, codes, trace)
        self._traces.append(trace)
        self._computed += len(codes)
        if stretch and stretch[0].score:
            self.beats += self._logit_beats(logits, [character.last for character in stretch])
        if self._left:
            self._left -= 1
            if self.observer:
                self.observer.chosen(self._sampler, logits[-1])
            self._code = self._sampler.choose(logits[-1])
            self.beats.append(((self._code,), not self._left))
        return len(codes)

    def _stretch(self, limit: int) -> list[_Character]:
        """Take the waiting characters that can run at once."""
        stretch: list[_Character] = []
        while self._waiting and len(stretch) < limit:
            first = self._waiting[0]
            if stretch and (first.reset or first.score != stretch[-1].score or stretch[-1].length):
                break
            stretch.append(self._waiting.popleft())
        return stretch

    def _logit_beats(self, logits: Raw, last: list[bool]) -> list[Beat]:
        """Return beats of four logits, padded with the lowest value after the vocabulary."""
        lowest = self.network.spec.output.logits.min_raw
        padded = np.pad(logits, ((0, 0), (0, -logits.shape[1] % WORD_LOGITS)), constant_values=lowest)
        beats = padded.shape[1] // WORD_LOGITS
        return [
            (tuple(values), last[k // beats] and k % beats == beats - 1)
            for k, values in enumerate(padded.reshape(-1, WORD_LOGITS).tolist())
        ]
