# SPDX-License-Identifier: Apache-2.0
"""Bit-accurate NumPy reference of an IntegerNetwork: the model that every engine is compared with.

All values are integers held in floats: float32 where the network's own proven bounds stay below 2**24,
float64 below 2**53. Every intermediate is then exact and matrix products may run in BLAS in any order.
The arithmetic is that of ``docs/numerics.md``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from models.bounds import exact_float, layer_bound, output_bound
from models.errors import UserError
from models.network import IntegerNetwork
from models.spec import GATES
from sim.fixed import FixedFormat, Overflow, Raw, Rounding

Floats = NDArray[Any]

#: Signals of a layer, in the order in which they are computed. z has 4 units columns, in GATES order.
LAYER_SIGNALS = ("z", *GATES, "c", "ct", "tc", "h")

SIGMOID_FIRST = ("i", "f", "o", "g")

STRETCH = 8192  # characters, over all streams of a block
WORKERS = os.cpu_count() or 1  # blocks of streams that run at once; each is single-threaded


@dataclass(frozen=True)
class State:
    """Raw h and c of every layer, each (streams, units); what carries from character to character."""

    h: tuple[Raw, ...]
    c: tuple[Raw, ...]


class Reference:
    """Runs a network over streams of character codes.

    Args:
        network: what to run.
        streams: number of independent streams, each with its own state.
    """

    def __init__(self, network: IntegerNetwork, streams: int = 1) -> None:
        if streams < 1:
            raise ValueError(f"streams must be at least 1, got {streams}")
        self.network = network
        self.streams = streams
        self._layers = [_Layer(network, k) for k in range(len(network.spec.layers))]
        self._output = _Output(network)
        self.reset()

    def reset(self) -> None:
        """Set h and c to zero."""
        zeros = tuple(np.zeros((self.streams, x.units), np.int64) for x in self.network.spec.layers)
        self._state = State(zeros, zeros)

    @property
    def state(self) -> State:
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        for name, arrays in (("h", state.h), ("c", state.c)):
            if len(arrays) != len(self._layers):
                raise UserError(f"state.{name} has {len(arrays)} layers, must have {len(self._layers)}")
            for k, (array, layer) in enumerate(zip(arrays, self.network.spec.layers, strict=True)):
                fmt: FixedFormat = getattr(layer.formats, name)
                low, high = self.network.h_range(k) if name == "h" else (fmt.min_raw, fmt.max_raw)
                array = np.asarray(array)
                if array.shape != (self.streams, layer.units) or array.dtype.kind not in "iu":
                    raise UserError(
                        f"state.{name}[{k}] must be integers of shape {(self.streams, layer.units)}, "
                        f"got {array.dtype} {array.shape}"
                    )
                if array.size and (array.min() < low or array.max() > high):
                    raise UserError(f"state.{name}[{k}] must be within {low}..{high}")
        self._state = State(
            tuple(np.array(a, np.int64) for a in state.h),
            tuple(np.array(a, np.int64) for a in state.c),
        )

    def run(self, codes: NDArray[Any] | Sequence[int], trace: dict[str, Raw] | None = None) -> Raw:
        """Consume characters, carry the state on, return raw logits.

        Args:
            codes: character codes, (time,) for one stream or (streams, time).
            trace: if given, filled with every signal: ``layers.K.S`` for S in LAYER_SIGNALS and
                ``logits``, each shaped as ``codes`` with the signal's width behind.

        Returns:
            Raw logits in the spec's format, shape ``codes.shape + (vocabulary,)``.

        Raises:
            UserError: if a code is outside the vocabulary or the shape does not fit the streams.
        """
        codes = np.asarray(codes)
        if codes.dtype.kind not in "iu" and codes.size:
            raise UserError(f"codes must be integers, got {codes.dtype}")
        steps = np.atleast_2d(codes).T.astype(np.intp)  # (time, streams)
        if codes.ndim not in (1, 2) or steps.shape[1] != self.streams:
            raise UserError(f"codes of shape {codes.shape} do not fit {self.streams} stream(s)")
        check_codes(steps, self.network.spec.vocabulary)

        blocks = np.array_split(np.arange(self.streams), min(WORKERS, max(1, self.streams // 16)))
        with _one_blas_thread():
            if len(blocks) == 1:  # a thread would take longer to start than a character to compute
                results = [self._run(steps, blocks[0], trace is not None)]
            else:
                with ThreadPoolExecutor(len(blocks)) as pool:
                    results = list(pool.map(lambda block: self._run(steps, block, trace is not None), blocks))
        self._state = State(
            *(
                tuple(
                    np.concatenate([getattr(r.state, name)[k] for r in results])
                    for k in range(len(self._layers))
                )
                for name in ("h", "c")
            )
        )

        def whole(name: str) -> Raw:
            array = np.concatenate([r.signals[name] for r in results])  # (streams, time, width)
            return array[0] if codes.ndim == 1 else array

        if trace is not None:
            trace.update({name: whole(name) for name in results[0].signals})
        return whole("logits")

    def _run(self, steps: NDArray[np.intp], block: NDArray[np.intp], traced: bool) -> _Result:
        """All steps (time, streams) of a block of the streams, in stretches that bound the memory."""
        stretch = max(1, STRETCH // len(block))
        h, c = ([a[block] for a in arrays] for arrays in (self._state.h, self._state.c))
        spec = self.network.spec
        widths: dict[str, int] = {}
        if traced:
            for k, layer in enumerate(spec.layers):
                for name in LAYER_SIGNALS:
                    widths[f"layers.{k}.{name}"] = len(GATES) * layer.units if name == "z" else layer.units
        widths["logits"] = spec.vocabulary
        signals = {n: np.empty((len(block), len(steps), w), np.int64) for n, w in widths.items()}
        for start in range(0, len(steps), stretch):
            part = slice(start, start + stretch)
            x: Floats = steps[part][:, block]
            for k, engine in enumerate(self._layers):
                kept: dict[str, list[Floats]] | None = {} if traced else None
                x, c_end = engine.run(x, h[k], c[k], kept)
                h[k], c[k] = x[-1].astype(np.int64), c_end.astype(np.int64)
                for name, values in (kept or {}).items():
                    signals[f"layers.{k}.{name}"][:, part] = np.stack(values, axis=1)
            signals["logits"][:, part] = np.moveaxis(self._output.run(x), 0, 1)
        return _Result(signals, State(tuple(h), tuple(c)))


@dataclass(frozen=True)
class _Result:
    """What a block of streams gave: signals (streams, time, width), and the state behind them."""

    signals: dict[str, Raw]
    state: State


def _one_blas_thread() -> Any:
    """These products are too small to share between threads: waiting costs more than it saves."""
    return _thread_pools().limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    """Found once, since that takes longer than a character."""
    return ThreadpoolController()


def check_codes(codes: NDArray[Any], vocabulary: int) -> None:
    """Refuse codes outside 0..vocabulary-1, naming the first one and its place."""
    wrong = np.argwhere((codes < 0) | (codes >= vocabulary))
    if len(wrong):
        at = tuple(wrong[0])
        raise UserError(
            f"character code {int(codes[at])} at step {int(at[0])} is outside 0..{vocabulary - 1}"
        )


class _Layer:
    """One LSTM layer; arrays are (time, streams, columns).

    Weights and tables are scaled by powers of two, which is exact, such that what is to be rounded has
    its binary point where the float's is: a rounding is then ``floor(x + 0.5)``.
    """

    def __init__(self, network: IntegerNetwork, index: int) -> None:
        spec, arrays = network.spec, network.layer(index)
        self.fmt = fmt = spec.layers[index].formats
        self.units = units = spec.layers[index].units
        self.one_hot = index == 0
        for signal in (fmt.z, fmt.c, fmt.ct, fmt.h):
            _check_signal(f"layers[{index}]", signal)
        # z indexes the tables, whose first entry is that of the lowest raw z.
        self.half_z, half_c, half_ct, half_h = (_half(x) for x in (fmt.z, fmt.c, fmt.ct, fmt.h))
        self.halves = half_c, half_ct, half_h
        bound = layer_bound(network, index, offset=-fmt.z.min_raw)
        self.dtype = dtype = exact_float(bound)
        # The sigmoid gates side by side, so that one look-up serves them: i, f, o, then g.
        columns = np.concatenate([np.arange(units) + GATES.index(x) * units for x in SIGMOID_FIRST])
        self.columns = np.argsort(columns)

        def scaled(name: str, frac: int) -> Floats:
            return (arrays[name][..., columns] * 2.0 ** (fmt.z.frac - frac)).astype(dtype)

        self.W = scaled("W", fmt.W.frac + spec.input_frac(index))
        self.U = scaled("U", fmt.U.frac + fmt.h.frac)
        self.b = scaled("b", fmt.b.frac) + dtype(self.half_z - fmt.z.min_raw)
        self.sigmoid = _table(arrays["sigmoid"], fmt.z, -fmt.gate.frac, dtype)  # real
        self.tanh = _table(arrays["tanh"], fmt.z, fmt.c.frac - fmt.g.frac, dtype)  # in LSBs of c
        self.tanh_c = _table(arrays["tanh_c"], fmt.ct, fmt.h.frac - fmt.tc.frac, dtype)  # in LSBs of h

    def run(
        self, x: Floats, h: Raw, c: Raw, signals: dict[str, list[Floats]] | None
    ) -> tuple[Floats, Floats]:
        """All steps of this layer: h of every step, and the last c."""
        fmt, units, dtype = self.fmt, self.units, self.dtype
        half_c, half_ct, half_h = (dtype(half) for half in self.halves)
        to_ct = dtype(2.0 ** (fmt.ct.frac - fmt.c.frac))
        low_c, high_c, low_h, high_h = (
            dtype(x) for x in (fmt.c.min_raw, fmt.c.max_raw, fmt.h.min_raw, fmt.h.max_raw)
        )
        inputs = self.W[x] if self.one_hot else x.astype(dtype) @ self.W
        inputs += self.b
        hidden = np.empty((*x.shape[:2], units), dtype)
        h, c = h.astype(dtype), c.astype(dtype)
        a = np.empty((x.shape[1], len(GATES) * units), dtype)
        for t in range(len(x)):
            np.matmul(h, self.U, out=a)
            a += inputs[t]
            # Truncation is floor here: what is below 0 is clipped to 0, the saturated z, all the same.
            z = a.astype(np.intp)
            sigmoids = self.sigmoid.take(z[:, : 3 * units], mode="clip")
            g = self.tanh.take(z[:, 3 * units :], mode="clip")
            i, f, o = sigmoids[:, :units], sigmoids[:, units : 2 * units], sigmoids[:, 2 * units :]
            c = f * c
            c += i * g
            c += half_c
            np.floor(c, out=c)
            np.maximum(c, low_c, out=c)
            np.minimum(c, high_c, out=c)
            ct = np.floor(c * to_ct + half_ct) - fmt.ct.min_raw
            tc = self.tanh_c.take(ct.astype(np.intp), mode="clip")
            h = o * tc
            h += half_h
            np.floor(h, out=h)
            np.maximum(h, low_h, out=h)
            np.minimum(h, high_h, out=h, casting="same_kind")
            hidden[t] = h
            if signals is not None:
                values = {
                    "z": np.clip(z, 0, len(self.tanh) - 1)[:, self.columns] + fmt.z.min_raw,
                    "i": i * 2.0**fmt.gate.frac,
                    "f": f * 2.0**fmt.gate.frac,
                    "g": g * 2.0 ** (fmt.g.frac - fmt.c.frac),
                    "o": o * 2.0**fmt.gate.frac,
                    "c": c,
                    "ct": np.clip(ct, 0, len(self.tanh_c) - 1) + fmt.ct.min_raw,
                    "tc": tc * 2.0 ** (fmt.tc.frac - fmt.h.frac),
                    "h": h,
                }
                for name in LAYER_SIGNALS:
                    signals.setdefault(name, []).append(values[name])
        return hidden, c


class _Output:
    """The output layer."""

    def __init__(self, network: IntegerNetwork) -> None:
        spec, self.fmt = network.spec, network.spec.output
        _check_signal("logits", self.fmt.logits)
        self.dtype = exact_float(output_bound(network))
        h_frac = spec.layers[-1].formats.h.frac
        out, logits = self.fmt, self.fmt.logits
        W = network.arrays["output.W"] * 2.0 ** (logits.frac - out.W.frac - h_frac)
        b = network.arrays["output.b"] * 2.0 ** (logits.frac - out.b.frac) + _half(logits)
        self.W: Floats = W.astype(self.dtype)
        self.b: Floats = b.astype(self.dtype)

    def run(self, h: Floats) -> Floats:
        logits = h.astype(self.dtype) @ self.W + self.b
        np.floor(logits, out=logits)
        return np.clip(logits, self.fmt.logits.min_raw, self.fmt.logits.max_raw)


def _check_signal(where: str, fmt: FixedFormat) -> None:
    if fmt.rounding is Rounding.AP_RND_CONV or fmt.overflow is Overflow.AP_WRAP:
        raise UserError(f"{where}: signals must round by AP_RND or AP_TRN and saturate, got {fmt}")


def _half(fmt: FixedFormat) -> float:
    return 0.5 if fmt.rounding is Rounding.AP_RND else 0.0


def _table(table: Raw, index: FixedFormat, shift: int, dtype: type[Any]) -> Floats:
    """An activation table from the lowest to the highest index, its values times 2**shift."""
    used = np.roll(table, -index.min_raw)[: index.max_raw - index.min_raw + 1]
    return (used * 2.0**shift).astype(dtype)
