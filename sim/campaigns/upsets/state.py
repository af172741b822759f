# SPDX-License-Identifier: Apache-2.0
"""Flips of state (h, c and the finished sums U.h): their effects by the reference, in the RTL's widths.

Of a cell with several levels (:mod:`zynq_lstm.hls.engine.stages`), only the sums of level 0 wait for the next
character. A level that reads a signal of the step before has that signal in a memory of its own. So h may be
in two memories: the buffer that the array reads, and a copy that the gates read, which is called ``h'``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.stages import Level, cell_levels
from zynq_lstm.models.cells.description import Cell
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.choice import Sampler, scores
from zynq_lstm.models.integers.reference import Reference, State

U_SUMS = "U sums"
PREFIX = 64  # characters before a flip, from a zero state


@dataclass(frozen=True)
class Flip:
    """One bit of the state.

    Args:
        signal: one of :func:`state_signals`. h is flipped as it is written, before the array reads it; others
            while they wait for the next character.
        layer: layer of the signal.
        index: unit; for the sums, the column of U (in the order of the cell's gates).
        bit: 0 is the least significant.
    """

    signal: str
    layer: int
    index: int
    bit: int


def state_signals(design: Design, layer: int) -> tuple[str, ...]:
    """Return the signals of a layer that can be flipped, each of which has a memory of its own.

    Raises:
        UserError: two levels of the cell read the same signal of the step before, so there are two copies.
    """
    cell = design.network.spec.layers[layer].formats.description
    found = ["h"]
    for name in cell.state:
        readers = readers_of_state(cell, name)
        if len(readers) > 1:
            raise UserError(f"cell {cell.name}: {name}' has a memory in each of {len(readers)} pipelines")
        if readers:
            found.append("h'" if name == "h" else name)
    return (*found, U_SUMS)


def readers_of_state(cell: Cell, name: str) -> list[Level]:
    """Return the levels of a cell that read a signal of the step before."""
    before = f"{name}'"
    return [level for level in cell_levels(cell) if any(before in e.reads for e in level.equations)]


def state_bits(design: Design, signal: str, layer: int = 0) -> int:
    """Return the width of a word of state in the RTL."""
    if signal == U_SUMS:
        return design.sum_bits
    return design.network.spec.layers[layer].formats.format(signal.removesuffix("'")).bits


def waiting_columns(design: Design, layer: int) -> list[int]:
    """Return the columns of U whose sums wait for the next character: those of the gates of level 0."""
    spec = design.network.spec.layers[layer]
    cell = spec.formats.description
    gates = [k for k, gate in enumerate(cell.gates) if gate not in cell.recurrent]
    return [k * spec.units + unit for k in gates for unit in range(spec.units)]


class StruckReference(Reference):
    """The reference, in which each stream may have its own flip."""

    def __init__(self, design: Design, streams: int = 1) -> None:
        self.design = design
        super().__init__(design.network, streams)

    def reset(self) -> None:
        super().reset()
        self._copies: tuple[Raw, ...] | None = None

    def resume(self, state: State) -> None:
        """Continue from a state without flips."""
        self._state, self._copies = state, None
        self.streams = len(state.h[0])

    def keep(self, streams: NDArray[np.bool_]) -> None:
        """Continue with some of the streams."""
        state, copies = self._state, self._copies
        self.resume(State(tuple(h[streams] for h in state.h), tuple(c[streams] for c in state.c)))
        self._copies = copies and tuple(h[streams] for h in copies)

    def run(self, codes: NDArray[Any] | Sequence[int], trace: dict[str, Raw] | None = None) -> Raw:
        """Read characters as the reference does, but the first after a flip in the RTL's widths."""
        if self._copies is None:
            return super().run(codes, trace)
        assert trace is None, "a trace after a flip"
        codes = np.asarray(codes)
        steps = np.atleast_2d(codes)
        first = self.strike(steps[:, 0], [])[:, np.newaxis]
        self._copies = None  # of h without flips
        logits = first
        if steps.shape[1] > 1:
            logits = np.concatenate([first, super().run(steps[:, 1:])], axis=1)
        return logits[0] if codes.ndim == 1 else logits

    def strike(self, codes: Raw, flips: Sequence[Flip]) -> Raw:
        """Run one character of every stream, (streams,), with a flip in each.

        Sums wrap where the RTL's do: its width is enough for the network's sums without flips.

        Returns:
            Raw logits (streams, vocabulary).
        """
        spec, design = self.network.spec, self.design
        before = self._copies or self._state.h
        h_new, c_new, copies = [], [], []
        x: NDArray[Any] = codes
        for k, layer in enumerate(self._layers):
            arrays, fmt = self.network.layer(k), spec.layers[k].formats
            h, copy, c = self._state.h[k], before[k].copy(), self._state.c[k].copy()
            flip_bits(copy, flips, "h'", k, state_bits(design, "h", k))
            if fmt.has_c:
                flip_bits(c, flips, "c", k, state_bits(design, "c", k))
            u_sums = wrapped(_product(h, arrays["U"]), design.sum_bits)
            flip_bits(u_sums, flips, U_SUMS, k, design.sum_bits)
            x_sums = arrays["W"][x] if k == 0 else wrapped(_product(x, arrays["W"]), design.sum_bits)
            u_part = u_sums << (design.sum_frac - fmt.U.frac - fmt.h.frac)
            x_part = x_sums << (design.sum_frac - fmt.W.frac - spec.input_frac(k))
            x_part = x_part + design.bias[k]
            # The RTL adds the two before anything else, unless equations need them apart.
            stage = next(stage for stage in design.layout.stages if stage.layer == k)
            merged = design.gates[stage.pipeline].together
            together = np.repeat([gate in merged for gate in fmt.gates], spec.layers[k].units)
            x_part, u_part = np.where(together, x_part + u_part, x_part), np.where(together, 0, u_part)
            parts = (wrapped(part, design.z_sum_bits) for part in (x_part, u_part))
            inputs, recurrent = (
                layer.step.scaled(kind, part, design.sum_frac) for kind, part in zip("xu", parts, strict=True)
            )
            state = {"h": copy.astype(np.float64), "c": c.astype(np.float64)}
            values = layer.step.run(inputs, recurrent, state)
            x = layer.step.raw(values, "h").astype(np.int64)
            c_k = layer.step.raw(values, "c") if fmt.has_c else c
            copies.append(x.copy())
            flip_bits(x, flips, "h", k, state_bits(design, "h", k))
            h_new.append(x)
            c_new.append(c_k.astype(np.int64))
        self._state, self._copies = State(tuple(h_new), tuple(c_new)), tuple(copies)
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
        reference.keep(keep)
        codes = calm.codes[w, t + 1] if calm.noise is None else choices[keep]
    return Effect(forgotten, changed, other)


def random_flips(
    design: Design, signal: str, layer: int, trials: int, rng: np.random.Generator
) -> list[Flip]:
    """Return ``trials`` flips of every bit of a word of this signal, each in a random word."""
    words: Sequence[int] = range(design.network.spec.layers[layer].units)
    if signal == U_SUMS:
        words = waiting_columns(design, layer)
    return [
        Flip(signal, layer, int(index), bit)
        for bit in range(state_bits(design, signal, layer))
        for index in rng.choice(words, trials)
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
    layers = range(len(design.network.spec.layers))
    signals = dict.fromkeys(signal for layer in layers for signal in state_signals(design, layer))
    for signal in sorted(signals, key=("h", "h'", "c", U_SUMS).index):
        for layer in layers:
            if signal not in state_signals(design, layer):
                continue
            flips = random_flips(design, signal, layer, trials, rng)
            effect = follow(design, calm, flips, rng.integers(0, len(text), len(flips)), temperature_raw)
            bits = np.array([flip.bit for flip in flips])
            for bit in range(state_bits(design, signal, layer)):
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
