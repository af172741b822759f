# SPDX-License-Identifier: Apache-2.0
"""Soft errors: what a flipped bit in the engine's memories does to its output, and for how long.

A flip of state (h, c, or the finished sums U.h that wait for the next character) is over when the network has
forgotten it: from the character on behind which all state is again what it would be without the flip. A
flip of a weight stays until the memory is written anew.

Flips are those of the RTL's memories. What they do is worked out with the reference, in exact arithmetic and
with the widths that the RTL has (:class:`StruckReference`); :func:`on_rtl` flips the same bits in the RTL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls.design import Design
from models.errors import CheckError
from models.spec import GATES
from sim.fixed import FixedFormat, Raw, Rounding
from sim.reference import LstmLayer, Reference, State
from sim.rtl import Rtl, RtlRun
from sim.sampling import Sampler, scores

KIND = "upsets"  # of the record
STATE_SIGNALS = ("h", "c", "U sums")
PREFIX = 64  # characters before a flip, from a zero state
QUANTILES = (0.5, 0.9)


@dataclass(frozen=True)
class Flip:
    """One bit of the state.

    Args:
        signal: one of STATE_SIGNALS. h is flipped as it is written, before anything reads it; c and the sums
            while they wait for the next character.
        layer: whose it is.
        index: unit; of the sums the column of U (in GATES order).
        bit: 0 is the least significant.
    """

    signal: str
    layer: int
    index: int
    bit: int


def state_bits(design: Design, signal: str) -> int:
    """Width of a word of state in the RTL."""
    return design.sum_bits if signal == "U sums" else design.formats.format(signal).bits


class StruckReference(Reference):
    """The reference, in which each stream may meet a flip of its own."""

    def __init__(self, design: Design, streams: int = 1) -> None:
        super().__init__(design.network, streams)
        self.design = design

    def resume(self, state: State) -> None:
        """Continue from a state that flips have left: h may be what the network itself never reaches."""
        self._state = state
        self.streams = len(state.h[0])

    def strike(self, codes: Raw, flips: Sequence[Flip]) -> Raw:
        """One character of every stream, (streams,), with a flip in each; raw logits (streams, vocabulary).

        Sums wrap where the RTL's do, whose width is what the network's sums need without flips.
        """
        spec, design = self.network.spec, self.design
        h_new, c_new = [], []
        x: NDArray[Any] = codes
        for k, layer in enumerate(self._layers):
            assert isinstance(layer, LstmLayer)  # what the RTL is for
            arrays, fmt = self.network.layer(k), spec.layers[k].formats
            h, c = self._state.h[k], self._state.c[k].copy()
            _flip(c, flips, "c", k, state_bits(design, "c"))
            u_sums = _product(h, arrays["U"])
            _flip(u_sums, flips, "U sums", k, design.sum_bits)
            x_sums = arrays["W"][x] if k == 0 else _product(x, arrays["W"])
            total = u_sums << (design.sum_frac - fmt.format("U").frac - fmt.format("h").frac)
            total += x_sums << (design.sum_frac - fmt.format("W").frac - spec.input_frac(k))
            total = _wrapped(total + design.bias[k], design.z_sum_bits)
            # As a layer takes it: in LSBs of z above the lowest z, half of one more, columns in its order.
            offset = (0.5 if fmt.z.rounding is Rounding.AP_RND else 0.0) - fmt.z.min_raw
            sums = (total * 2.0 ** (fmt.z.frac - design.sum_frac) + offset)[:, np.argsort(layer.columns)]
            h_k, c_k, _ = layer.step(sums, np.zeros_like(sums), c.astype(np.float64))
            x = h_k.astype(np.int64)
            _flip(x, flips, "h", k, state_bits(design, "h"))
            h_new.append(x)
            c_new.append(c_k.astype(np.int64))
        self._state = State(tuple(h_new), tuple(c_new))
        return self._output.run(x[np.newaxis])[0].astype(np.int64)


def _product(values: Raw, weights: Raw) -> Raw:
    """A matrix product in integers; float64 holds every sum exactly, and is faster."""
    return (values.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)


def _flip(values: Raw, flips: Sequence[Flip], signal: str, layer: int, bits: int) -> None:
    """Flip what concerns this signal, in place: (streams, columns) of signed words."""
    for stream, flip in enumerate(flips):
        if (flip.signal, flip.layer) == (signal, layer):
            values[stream, flip.index] = _wrapped(values[stream, flip.index] ^ 1 << flip.bit, bits)


def _wrapped(values: Any, bits: int) -> Any:
    """Two's complement of ``bits``."""
    half = 1 << (bits - 1)
    return (values + half & (1 << bits) - 1) - half


# ---- flips of state


@dataclass(frozen=True)
class Undisturbed:
    """Runs without flips, one a window: the text of each, or what it writes, and every state.

    Args:
        start: state behind PREFIX characters.
        codes: what is consumed from there on, (windows, horizon).
        h, c: behind each of these, by layer, (windows, horizon, units).
        logits: (windows, horizon, vocabulary).
        noise: for each choice, (windows, horizon, vocabulary); None if text is scored.
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
    """Score ``text`` (windows, PREFIX + horizon), or write ``horizon`` characters behind its first ones."""
    network = design.network
    reference = Reference(network, len(text))
    logits = reference.run(text[:, :PREFIX])[:, -1]
    start, noise = reference.state, None
    if temperature_raw is None:
        codes = text[:, PREFIX : PREFIX + horizon]
    else:
        samplers = [Sampler(network.spec, seed=seed + n) for n in range(len(text))]
        noise = np.array([[sampler.noise() for _ in range(horizon + 1)] for sampler in samplers])
        # The first of all choices is made before the flip.
        written = [_choose(design, logits, noise[:, 0], temperature_raw)]
        for t in range(1, horizon):
            logits = reference.run(written[-1][:, np.newaxis])[:, 0]
            written.append(_choose(design, logits, noise[:, t], temperature_raw))
        codes, noise = np.array(written).T, noise[:, 1:]
        reference.state = start
    trace: dict[str, Raw] = {}
    logits = reference.run(codes, trace)
    h, c = (
        tuple(trace[f"layers.{k}.{name}"] for k in range(len(network.spec.layers))) for name in ("h", "c")
    )
    return Undisturbed(start, codes, h, c, logits, noise)


def _choose(design: Design, logits: Raw, noise: Raw, temperature_raw: int) -> Raw:
    return np.argmax(scores(logits, noise, temperature_raw, design.network.spec.output.logits), axis=-1)


@dataclass(frozen=True)
class Effect:
    """What each of some flips did; arrays are (flips,).

    Args:
        forgotten: characters until the state is again what it would be, 0 if the flip changed nothing, -1 if
            it is not within the horizon.
        logits: characters whose logits differ.
        choices: characters that are others: the likeliest one when scoring, the one written when generating.
    """

    forgotten: Raw
    logits: Raw
    choices: Raw


def follow(
    design: Design, calm: Undisturbed, flips: Sequence[Flip], windows: Raw, temperature_raw: int | None
) -> Effect:
    """Each flip in a stream of its own, at the first character of its window (flips,)."""
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
                _choose(design, values, calm.noise[w, t], temperature_raw) for values in (logits, expected)
            )
        other[left] += choices != usual
        state = reference.state
        same = np.ones(len(left), bool)
        for mine, theirs in ((state.h, calm.h), (state.c, calm.c)):
            for k in range(len(mine)):
                same &= (mine[k] == theirs[k][w, t]).all(axis=1)
        # What is the same may still have said something else: an h flipped behind the last layer does.
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
    """``trials`` flips of every bit of a word of this signal, each in a word of its own choice."""
    units = design.network.spec.layers[layer].units * (len(GATES) if signal == "U sums" else 1)
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
    """Flips of every bit of every signal of state: a row for each bit.

    Args:
        text: (windows, PREFIX + horizon) codes; each flip comes behind PREFIX characters of one of them.
        trials: flips of each bit, of each layer.
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
    """Counts of some flips; of the times to forget, those beyond the horizon count as that long."""
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


# ---- flips of weights


@dataclass(frozen=True)
class WeightFlip:
    """One bit of a weight in memory; ``name`` is the array's, ``row`` and ``column`` its place."""

    name: str
    row: int
    column: int
    bit: int


def flipped_weights(design: Design, flip: WeightFlip) -> dict[int, int]:
    """Column -> raw weight behind a flip: of two weights that share a word, both may change.

    The memory holds w1 - (w0 < 0) above w0, and the DSP adds the borrow back (docs/architecture.md): with the
    sign of w0, w1 changes by one.
    """
    weights, spec = design.network.arrays[flip.name], design.network.spec
    if flip.name == "layers.0.W":  # looked up, not multiplied: not packed
        value = int(weights[flip.row, flip.column])
        return {flip.column: _wrapped(value ^ 1 << flip.bit, spec.layers[0].formats.W.bits)}
    value = int(weights[flip.row, flip.column])
    if design.array.pack == 1:
        return {flip.column: _wrapped(value ^ 1 << flip.bit, design.weight_bits)}
    lower, upper = _pair(design, flip.name, flip.column)
    w0 = int(weights[flip.row, lower])
    # Behind the vocabulary there is no logit, but a weight of zero in memory.
    w1 = int(weights[flip.row, upper]) if upper < weights.shape[1] else 0
    stored = w1 - (w0 < 0)
    if flip.column == lower:
        w0 = _wrapped(w0 ^ 1 << flip.bit, design.weight_bits)
    else:
        stored = _wrapped(stored ^ 1 << flip.bit, design.weight_bits)
    return {lower: w0} | ({upper: stored + (w0 < 0)} if upper < weights.shape[1] else {})


def _pair(design: Design, name: str, column: int) -> tuple[int, int]:
    """The columns that share a word with ``column``: i with f and g with o, or neighbouring logits."""
    if name.startswith("output"):
        return column - column % 2, column - column % 2 + 1
    units = design.network.arrays[name].shape[1] // len(GATES)
    gate, unit = divmod(column, units)
    lower = gate - gate % 2
    return lower * units + unit, (lower + 1) * units + unit


def weight_names(design: Design) -> list[str]:
    """Weights in block RAM."""
    return [name for name in design.network.spec.weight_formats() if not name.endswith(".b")]


class WornReference(Reference):
    """The reference with weights changed, also to what their format excludes."""

    def change(self, name: str, row: int, columns: dict[int, int]) -> None:
        """Set weights of one row; :meth:`restore` takes it back."""
        array = self.network.arrays[name]
        change = {column: value - int(array[row, column]) for column, value in columns.items()}
        if name.startswith("output"):
            target, order, fmt = self._output.W, None, self.network.spec.output.W
            scale = 2.0 ** (
                self._output.fmt.logits.frac - fmt.frac - self.network.spec.layers[-1].formats.h.frac
            )
        else:
            layer, matrix = int(name.split(".")[1]), name.split(".")[2]
            formats, engine = self.network.spec.layers[layer].formats, self._layers[layer]
            assert isinstance(engine, LstmLayer)
            target, order = getattr(engine, matrix), engine.columns
            fraction = formats.h.frac if matrix == "U" else self.network.spec.input_frac(layer)
            scale = 2.0 ** (formats.z.frac - formats.format(matrix).frac - fraction)
        self._before = target, row, target[row].copy()
        for column, difference in change.items():
            target[row, column if order is None else order[column]] += difference * scale

    def restore(self) -> None:
        target, row, values = self._before
        target[row] = values


def measure_weights(
    design: Design, text: Raw, trials: int, seed: int, progress: Callable[[], object] = lambda: None
) -> list[dict[str, Any]]:
    """Flips of every bit of every weight memory, each there from the first of ``text`` (windows, time) on.

    Returns:
        A row for each memory and bit: shares of characters whose logits, and whose likeliest next character,
        differ, and bits a character lost (mean and the worst flip's).
    """
    rng = np.random.default_rng(seed)
    network = design.network
    reference = WornReference(network, len(text))
    targets = text[:, 1:]

    def run() -> Raw:
        reference.reset()
        return reference.run(text[:, :-1])

    usual = run()
    cost = _cost(network.spec.output.logits, usual, targets)
    rows = []
    for name in weight_names(design):
        shape = network.arrays[name].shape
        bits = network.spec.layers[0].formats.W.bits if name == "layers.0.W" else design.weight_bits
        for bit in range(bits):
            logits, choices, lost = [], [], []
            for _ in range(trials):
                flip = WeightFlip(name, int(rng.integers(shape[0])), int(rng.integers(shape[1])), bit)
                reference.change(name, flip.row, flipped_weights(design, flip))
                got = run()
                reference.restore()
                logits.append(float((got != usual).any(axis=-1).mean()))
                choices.append(float((got.argmax(axis=-1) != usual.argmax(axis=-1)).mean()))
                lost.append(_cost(network.spec.output.logits, got, targets) - cost)
            rows.append(
                {
                    "memory": name,
                    "bit": bit,
                    "flips": trials,
                    "no_effect": int(sum(share == 0 for share in logits)),
                    "logits": float(np.mean(logits)),
                    "choices": float(np.mean(choices)),
                    "bits_lost_mean": float(np.mean(lost)),
                    "bits_lost_worst": float(np.max(lost)),
                }
            )
        progress()
    return rows


def _cost(fmt: FixedFormat, logits: Raw, targets: Raw) -> float:
    """Bits a character."""
    real = fmt.to_real(logits)
    real = real - real.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(real).sum(axis=-1))
    chosen = np.take_along_axis(real, targets[..., np.newaxis], axis=-1)[..., 0]
    return float((log_sum - chosen).mean() / np.log(2))


# ---- the same flips in the RTL


@dataclass(frozen=True)
class Place:
    """Where a bit is in the RTL.

    Args:
        memory: path of the memory below the engine, ``/`` between the levels.
        word: address.
        bit: of the word.
        written: (phase, row, place) with whose writing to the hidden buffer the flip comes; None: while the
            engine is idle.
    """

    memory: str
    word: int
    bit: int
    written: tuple[int, int, int] | None = None


def place(design: Design, flip: Flip, character: int) -> Place:
    """Where ``flip`` is when characters are numbered from 0 since reset."""
    layer, array = design.network.spec.layers[flip.layer], design.array
    if flip.signal == "h":
        row, lane = divmod(flip.index, array.depth)
        row += design.row_base[flip.layer]
        phase = character % 2
        address = phase << max(1, (sum(design.rows) - 1).bit_length()) | row
        return Place(
            f"u_hidden/gen_lane[{lane}]/u_lane", address, flip.bit, (phase, row, lane // array.gate_lanes)
        )
    gate, unit = divmod(flip.index, layer.units)
    beat, lane = divmod(unit, array.gate_lanes)
    gates, address = f"gen_lane[{lane}]/u_gates", design.beat_base[flip.layer] + beat
    if flip.signal == "c":
        return Place(f"{gates}/u_c/u_words", address, flip.bit)
    return Place(f"{gates}/u_sums/u_words", address, gate * design.sum_bits + flip.bit)


def on_rtl(rtl: Rtl, codes: Sequence[int], flips: Mapping[int, Flip]) -> dict[str, Raw]:
    """Score ``codes``, one at a time, with bits flipped before (h: in) some characters; every signal.

    Args:
        rtl: built for Icarus, which lets a bench write to memories.
        flips: by character.
    """
    places = {n: asdict(place(rtl.design, flip, n)) for n, flip in flips.items()}
    run: RtlRun = rtl.upset(codes, places)
    return run.trace


def expected_on_rtl(design: Design, codes: Sequence[int], flips: Mapping[int, Flip]) -> dict[str, Raw]:
    """What :func:`on_rtl` must give of logits and, by layer, of h as it is written, and of c."""
    reference = StruckReference(design)
    found: dict[str, list[Raw]] = {}
    for n, code in enumerate(codes):
        if n in flips:
            logits = reference.strike(np.array([code]), [flips[n]])[0]
        else:
            logits = reference.run([code])[0]
        found.setdefault("logits", []).append(logits)
        for name, arrays in (("h", reference.state.h), ("c", reference.state.c)):
            for k, values in enumerate(arrays):
                row = values.copy()
                if n in flips and flips[n].signal == name == "h":
                    _flip(row, [flips[n]], "h", k, state_bits(design, "h"))
                found.setdefault(f"layers.{k}.{name}", []).append(row[0])
    return {name: np.array(rows) for name, rows in found.items()}


def compare_on_rtl(rtl: Rtl, count: int, seed: int) -> dict[str, int]:
    """``count`` random flips of each signal of each layer in one run of the RTL.

    Raises:
        CheckError: if it does anything else than the reference.
    """
    rng, design = np.random.default_rng(seed), rtl.design
    flips = [
        rng.choice(random_flips(design, signal, layer, 1, rng))  # type: ignore[arg-type]
        for signal in STATE_SIGNALS
        for layer in range(len(design.network.spec.layers))
        for _ in range(count)
    ]
    order = rng.permutation(len(flips))
    by_character = {1 + 2 * n: flips[k] for n, k in enumerate(order)}
    codes = rng.integers(0, design.network.spec.vocabulary, 2 * len(flips) + 2).tolist()
    got, expected = on_rtl(rtl, codes, by_character), expected_on_rtl(design, codes, by_character)
    for name, values in expected.items():
        wrong = np.argwhere(got[name] != values)
        if len(wrong):
            n = int(wrong[0][0])
            raise CheckError(
                f"{name} of character {n} differs behind {by_character.get(n, 'an earlier flip')}"
            )
    calm = Reference(design.network).run(codes)
    return {
        "flips": len(flips),
        "characters": len(codes),
        "disturbed": int((calm != got["logits"]).any(axis=1).sum()),
    }


# ---- the record


def markdown(record: Mapping[str, Any]) -> str:
    """The tables of the docs."""
    horizon = record["horizon"]
    lines = [
        "| mode | flipped | layer | flips | no effect | characters until forgotten: mean | median | 90 % "
        f"| not within {horizon} | characters with other logits | with another choice |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for mode, rows in record["state"].items():
        for signal, layer in dict.fromkeys((row["signal"], row["layer"]) for row in rows):
            mine = [row for row in rows if (row["signal"], row["layer"]) == (signal, layer)]
            flips = sum(row["flips"] for row in mine)
            times = np.sort(np.concatenate([row["forgotten"] for row in mine]))
            late = sum(row["beyond_horizon"] for row in mine)
            quantiles = [np.quantile(times, q, method="higher") for q in QUANTILES]
            lines.append(
                f"| {mode} | {signal} | {layer} | {flips:,} "
                f"| {_percent(sum(row['no_effect'] for row in mine) / flips)} "
                f"| {'≥ ' if late else ''}{times.mean():.1f} "
                + "".join(f"| {'> ' if q == horizon and late else ''}{q:.0f} " for q in quantiles)
                + f"| {_percent(late / flips)} "
                f"| {np.mean([row['logits_mean'] for row in mine]):.1f} "
                f"| {np.mean([row['choices_mean'] for row in mine]):.2f} |"
            )
    memories = list(dict.fromkeys(row["memory"] for row in record["weights"]))
    by_place = {(row["memory"], row["bit"]): row for row in record["weights"]}
    lines += ["", f"| bit | {' | '.join(memories)} |", "|---|" + len(memories) * "---|"]
    for bit in sorted({bit for _, bit in by_place}):
        found = [by_place.get((memory, bit)) for memory in memories]
        cells = [
            f"{_percent(row['logits'])}, {_percent(row['choices'])}, {row['bits_lost_worst']:.4f}"
            if row
            else ""
            for row in found
        ]
        lines.append(f"| {bit} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
