# SPDX-License-Identifier: Apache-2.0
"""Flips of state (h, c and the finished sums U.h): their effects by the reference, in the RTL's widths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.choice import Sampler, scores
from zynq_lstm.models.integers.reference import Reference, State

STATE_SIGNALS = ("h", "c", "U sums")
PREFIX = 64  # characters before a flip, from a zero state


@dataclass(frozen=True)
class Flip:
    """One bit of the state.

    Args:
        signal: one of STATE_SIGNALS. h is flipped as it is written, before anything reads it; c and the sums
            while they wait for the next character.
        layer: layer of the signal.
        index: unit; for the sums, the column of U (in GATES order).
        bit: 0 is the least significant.
    """

    signal: str
    layer: int
    index: int
    bit: int


def state_bits(design: Design, signal: str) -> int:
    """Return the width of a word of state in the RTL."""
    return (
        design.sum_bits
        if signal == "U sums"
        else design.formats(design.layout.pipelines[0]).format(signal).bits
    )


class StruckReference(Reference):
    """The reference, in which each stream may have its own flip."""

    def __init__(self, design: Design, streams: int = 1) -> None:
        super().__init__(design.network, streams)
        self.design = design

    def resume(self, state: State) -> None:
        """Continue from a state after flips: h may have a value that the network itself never reaches."""
        self._state = state
        self.streams = len(state.h[0])

    def strike(self, codes: Raw, flips: Sequence[Flip]) -> Raw:
        """Run one character of every stream, (streams,), with a flip in each.

        Sums wrap where the RTL's do: its width is enough for the network's sums without flips.

        Returns:
            Raw logits (streams, vocabulary).
        """
        spec, design = self.network.spec, self.design
        h_new, c_new = [], []
        x: NDArray[Any] = codes
        for k, layer in enumerate(self._layers):
            arrays, fmt = self.network.layer(k), spec.layers[k].formats
            h, c = self._state.h[k], self._state.c[k].copy()
            flip_bits(c, flips, "c", k, state_bits(design, "c"))
            u_sums = _product(h, arrays["U"])
            flip_bits(u_sums, flips, "U sums", k, design.sum_bits)
            x_sums = arrays["W"][x] if k == 0 else _product(x, arrays["W"])
            u_part = u_sums << (design.sum_frac - fmt.U.frac - fmt.h.frac)
            x_part = x_sums << (design.sum_frac - fmt.W.frac - spec.input_frac(k))
            x_part = x_part + design.bias[k]
            if not design.gates[0].apart:  # the RTL adds them before anything else
                x_part, u_part = x_part + u_part, np.zeros_like(u_part)
            parts = (wrapped(part, design.z_sum_bits) for part in (x_part, u_part))
            inputs, recurrent = (
                layer.step.scaled(kind, part, design.sum_frac) for kind, part in zip("xu", parts, strict=True)
            )
            values = layer.step.run(inputs, recurrent, {"h": h.astype(np.float64), "c": c.astype(np.float64)})
            x = layer.step.raw(values, "h").astype(np.int64)
            c_k = layer.step.raw(values, "c") if fmt.has_c else c
            flip_bits(x, flips, "h", k, state_bits(design, "h"))
            h_new.append(x)
            c_new.append(c_k.astype(np.int64))
        self._state = State(tuple(h_new), tuple(c_new))
        return self._output.run(x[np.newaxis])[0].astype(np.int64)


def _product(values: Raw, weights: Raw) -> Raw:
    """Return a matrix product of integers; float64 holds every sum exactly, and is faster."""
    return (values.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)


def flip_bits(values: Raw, flips: Sequence[Flip], signal: str, layer: int, bits: int) -> None:
    """Flip, in place, the bits of this signal and layer; ``values`` are (streams, columns) signed words."""
    for stream, flip in enumerate(flips):
        if (flip.signal, flip.layer) == (signal, layer):
            values[stream, flip.index] = wrapped(values[stream, flip.index] ^ 1 << flip.bit, bits)


def wrapped(values: Any, bits: int) -> Any:
    """Return ``values`` wrapped to ``bits`` bits of two's complement."""
    half = 1 << (bits - 1)
    return (values + half & (1 << bits) - 1) - half


@dataclass(frozen=True)
class Undisturbed:
    """Runs without flips, one per window: the text that each reads or writes, and every state.

    Args:
        start: state after PREFIX characters.
        codes: characters consumed from there on, (windows, horizon).
        h, c: state after each of these characters, by layer, (windows, horizon, units).
        logits: (windows, horizon, vocabulary).
        noise: noise of each choice, (windows, horizon, vocabulary); None if text is scored.
    """

    start: State
    codes: Raw
    h: tuple[Raw, ...]
    c: tuple[Raw, ...]
    logits: Raw
    noise: Raw | None

    @property
    def horizon(self) -> int:
        return self.codes.shape[1]


def undisturbed(
    design: Design, text: Raw, horizon: int, temperature_raw: int | None, seed: int
) -> Undisturbed:
    """Score ``text`` (windows, PREFIX + horizon), or write ``horizon`` characters after its prefixes."""
    network = design.network
    reference = Reference(network, len(text))
    logits = reference.run(text[:, :PREFIX])[:, -1]
    start, noise = reference.state, None
    if temperature_raw is None:
        codes = text[:, PREFIX : PREFIX + horizon]
    else:
        samplers = [Sampler(network.spec, seed=seed + n) for n in range(len(text))]
        noise = np.array([[sampler.noise() for _ in range(horizon + 1)] for sampler in samplers])
        # The very first choice is made before the flip.
        written = [choose(design, logits, noise[:, 0], temperature_raw)]
        for t in range(1, horizon):
            logits = reference.run(written[-1][:, np.newaxis])[:, 0]
            written.append(choose(design, logits, noise[:, t], temperature_raw))
        codes, noise = np.array(written).T, noise[:, 1:]
        reference.state = start
    trace: dict[str, Raw] = {}
    logits = reference.run(codes, trace)
    h, c = (
        tuple(trace[f"layers.{k}.{name}"] for k in range(len(network.spec.layers))) for name in ("h", "c")
    )
    return Undisturbed(start, codes, h, c, logits, noise)


def choose(design: Design, logits: Raw, noise: Raw, temperature_raw: int) -> Raw:
    """Return the codes (...) that are written for raw logits and noise, (..., vocabulary)."""
    return np.argmax(scores(logits, noise, temperature_raw, design.network.spec.output.logits), axis=-1)


@dataclass(frozen=True)
class Effect:
    """Effects of several flips; arrays are (flips,).

    Args:
        forgotten: number of characters until the state is again what it would be without the flip; 0 if the
            flip changed nothing, -1 if that takes longer than the horizon.
        logits: number of characters whose logits differ.
        choices: number of choices that differ: the likeliest character when scoring, the character written
            when generating.
    """

    forgotten: Raw
    logits: Raw
    choices: Raw


def follow(
    design: Design, calm: Undisturbed, flips: Sequence[Flip], windows: Raw, temperature_raw: int | None
) -> Effect:
    """Follow each flip in a stream of its own, from the first character of its window (flips,)."""
    forgotten = np.full(len(flips), -1)
    changed, other = np.zeros(len(flips), np.int64), np.zeros(len(flips), np.int64)
    left, w = np.arange(len(flips)), np.asarray(windows)
    reference = StruckReference(design, len(flips))
    reference.resume(State(tuple(h[w] for h in calm.start.h), tuple(c[w] for c in calm.start.c)))
    codes = calm.codes[w, 0]
    for t in range(calm.horizon):
        logits = reference.run(codes[:, np.newaxis])[:, 0] if t else reference.strike(codes, flips)
        expected = calm.logits[w, t]
        changed[left] += (logits != expected).any(axis=1)
        if calm.noise is None:
            choices, usual = logits.argmax(axis=1), expected.argmax(axis=1)
        else:
            assert temperature_raw is not None
            choices, usual = (
                choose(design, values, calm.noise[w, t], temperature_raw) for values in (logits, expected)
            )
        other[left] += choices != usual
        state = reference.state
        same = np.ones(len(left), bool)
        for mine, theirs in ((state.h, calm.h), (state.c, calm.c)):
            for k in range(len(mine)):
                same &= (mine[k] == theirs[k][w, t]).all(axis=1)
        # A state that is equal after the first character counts as forgotten then if its logits differed.
        forgotten[left[same]] = t + 1 if t else (changed[left[same]] > 0)
        keep = ~same
        if t + 1 == calm.horizon or not keep.any():
            break
        left, w = left[keep], w[keep]
        reference.resume(State(tuple(h[keep] for h in state.h), tuple(c[keep] for c in state.c)))
        codes = calm.codes[w, t + 1] if calm.noise is None else choices[keep]
    return Effect(forgotten, changed, other)


def random_flips(
    design: Design, signal: str, layer: int, trials: int, rng: np.random.Generator
) -> list[Flip]:
    """Return ``trials`` flips of every bit of a word of this signal, each in a random word."""
    gates = len(design.network.spec.layers[0].formats.gates)
    units = design.network.spec.layers[layer].units * (gates if signal == "U sums" else 1)
    return [
        Flip(signal, layer, int(index), bit)
        for bit in range(state_bits(design, signal))
        for index in rng.integers(0, units, trials)
    ]


def measure_state(
    design: Design,
    text: Raw,
    horizon: int,
    trials: int,
    seed: int,
    temperature_raw: int | None = None,
    progress: Callable[[], object] = lambda: None,
) -> list[dict[str, Any]]:
    """Flip every bit of every signal of state; return a row for each bit.

    Args:
        text: (windows, PREFIX + horizon) codes; each flip comes after PREFIX characters of one window.
        trials: number of flips of each bit in each layer.
        temperature_raw: None scores the text; otherwise the network writes.
    """
    rng = np.random.default_rng(seed)
    calm = undisturbed(design, text, horizon, temperature_raw, seed)
    rows = []
    for signal in STATE_SIGNALS:
        for layer in range(len(design.network.spec.layers)):
            flips = random_flips(design, signal, layer, trials, rng)
            effect = follow(design, calm, flips, rng.integers(0, len(text), len(flips)), temperature_raw)
            bits = np.array([flip.bit for flip in flips])
            for bit in range(state_bits(design, signal)):
                mine = bits == bit
                rows.append(
                    {"signal": signal, "layer": layer, "bit": bit}
                    | summary(effect.forgotten[mine], effect.logits[mine], effect.choices[mine], horizon)
                )
            progress()
    return rows


def summary(forgotten: Raw, logits: Raw, choices: Raw, horizon: int) -> dict[str, Any]:
    """Return figures of several flips; times until forgotten beyond the horizon count as the horizon."""
    times = np.where(forgotten < 0, horizon, forgotten)
    return {
        "flips": len(times),
        "no_effect": int((forgotten == 0).sum()),
        "beyond_horizon": int((forgotten < 0).sum()),
        "other_choice": int((choices > 0).sum()),
        "forgotten": sorted(times.tolist()),
        "logits_mean": float(logits.mean()),
        "choices_mean": float(choices.mean()),
    }
