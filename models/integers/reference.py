# SPDX-License-Identifier: Apache-2.0
"""Bit-accurate NumPy reference of an IntegerNetwork: the model that every engine is compared with.

All values are integers held in floats: float32 where the network's own proven bounds stay within 2**24, and
float64 within 2**53. Every intermediate value is then exact, and BLAS may compute matrix products in any
order. The arithmetic is that of ``docs/numerics.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from zynq_lstm.models.description.spec import GATES, GruFormats, LstmFormats, RnnFormats
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Raw
from zynq_lstm.models.integers.bounds import exact_float, layer_bound, output_bound
from zynq_lstm.models.integers.limits import require
from zynq_lstm.models.integers.network import IntegerNetwork

Floats = NDArray[Any]

#: Signals of an LSTM layer, in the order in which they are computed. z has 4 * units columns, in GATES order.
LAYER_SIGNALS = LstmFormats.signals

SIGMOID_FIRST = ("i", "f", "o", "g")

STRETCH = 8192  # characters computed at a time, over all streams of a block
WORKERS = os.cpu_count() or 1  # most blocks of streams that run at once; each is single-threaded


@dataclass(frozen=True)
class State:
    """Raw h and c of every layer, each (streams, units); they carry over from character to character.

    For a cell without c, the array is (streams, 0).
    """

    h: tuple[Raw, ...]
    c: tuple[Raw, ...]


class Reference:
    """Runs a network over streams of character codes.

    Args:
        network: the network to run.
        streams: number of independent streams, each with its own state.

    Raises:
        UserError: the network exceeds the reference's :mod:`zynq_lstm.models.integers.limits`.
    """

    def __init__(self, network: IntegerNetwork, streams: int = 1) -> None:
        if streams < 1:
            raise ValueError(f"streams must be at least 1, got {streams}")
        require("reference", network.spec, network)
        self.network = network
        self.streams = streams
        self._layers = [
            _CELLS[type(layer.formats)](network, k) for k, layer in enumerate(network.spec.layers)
        ]
        self._output = _Output(network)
        self.reset()

    def reset(self) -> None:
        """Set h and c to zero."""
        self._state = State(
            *(
                tuple(np.zeros((self.streams, width), np.int64) for width in self._widths(name))
                for name in ("h", "c")
            )
        )

    def _widths(self, name: str) -> list[int]:
        """Return the number of columns of the state's h or c, for each layer."""
        return [x.units if name == "h" or x.formats.has_c else 0 for x in self.network.spec.layers]

    @property
    def state(self) -> State:
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        for name, arrays in (("h", state.h), ("c", state.c)):
            if len(arrays) != len(self._layers):
                raise UserError(f"state.{name} has {len(arrays)} layers, must have {len(self._layers)}")
            for k, (array, width) in enumerate(zip(arrays, self._widths(name), strict=True)):
                array = np.asarray(array)
                if array.shape != (self.streams, width) or array.dtype.kind not in "iu":
                    raise UserError(
                        f"state.{name}[{k}] must be integers of shape {(self.streams, width)}, "
                        f"got {array.dtype} {array.shape}"
                    )
                if not array.size:
                    continue
                fmt: FixedFormat = getattr(self.network.spec.layers[k].formats, name)
                low, high = self.network.h_range(k) if name == "h" else (fmt.min_raw, fmt.max_raw)
                if array.min() < low or array.max() > high:
                    raise UserError(f"state.{name}[{k}] must be within {low}..{high}")
        self._state = State(
            tuple(np.array(a, np.int64) for a in state.h),
            tuple(np.array(a, np.int64) for a in state.c),
        )

    def run(self, codes: NDArray[Any] | Sequence[int], trace: dict[str, Raw] | None = None) -> Raw:
        """Read characters, carry the state on, and return raw logits.

        Args:
            codes: character codes, (time,) for one stream or (streams, time).
            trace: if given, filled with every signal: ``layers.K.S`` for each S of the cell's signals, and
                ``logits``. Each has the shape of ``codes`` followed by the signal's width.

        Returns:
            Raw logits in the spec's format, shape ``codes.shape + (vocabulary,)``.

        Raises:
            UserError: a code is outside the vocabulary, or the shape does not fit the streams.
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
        """Run all steps (time, streams) of a block of the streams, in stretches that bound the memory."""
        stretch = max(1, STRETCH // len(block))
        h, c = ([a[block] for a in arrays] for arrays in (self._state.h, self._state.c))
        spec = self.network.spec
        widths: dict[str, int] = {}
        if traced:
            for k, layer in enumerate(spec.layers):
                for name in layer.formats.signals:
                    columns = len(layer.formats.gates) if name == "z" else 1
                    widths[f"layers.{k}.{name}"] = columns * layer.units
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
    """Results of a block of streams: signals (streams, time, width), and the state after them."""

    signals: dict[str, Raw]
    state: State


def _one_blas_thread() -> Any:
    """Limit BLAS to one thread: these products are too small to share; waiting costs more than it saves."""
    return _thread_pools().limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    """Find the thread pools only once, since that takes longer than a character."""
    return ThreadpoolController()


def check_codes(codes: NDArray[Any], vocabulary: int) -> None:
    """Refuse codes outside 0..vocabulary-1; the error names the first one and its step."""
    wrong = np.argwhere((codes < 0) | (codes >= vocabulary))
    if len(wrong):
        at = tuple(wrong[0])
        raise UserError(
            f"character code {int(codes[at])} at step {int(at[0])} is outside 0..{vocabulary - 1}"
        )


class _Layer:
    """One recurrent layer; arrays are (time, streams, columns).

    Weights and tables are scaled by powers of two, which is exact, so that each value to be rounded is in
    LSBs of the result. Rounding is then ``floor(x + half)`` with the format's ``half``.
    """

    def __init__(self, network: IntegerNetwork, index: int) -> None:
        spec, self.arrays = network.spec, network.layer(index)
        self.fmt = fmt = spec.layers[index].formats
        self.units = spec.layers[index].units
        self.one_hot = index == 0
        bound = layer_bound(network, index, offset=-fmt.z.min_raw)
        self.dtype = exact_float(bound)
        # All are in LSBs of z. z indexes the tables, whose first entry belongs to the lowest raw z.
        self.W = self.scaled("W", fmt.W.frac + spec.input_frac(index), fmt.z)
        self.U = self.scaled("U", fmt.U.frac + fmt.h.frac, fmt.z)
        self.b = self.scaled("b", fmt.b.frac, fmt.z) + self.dtype(fmt.z.half - fmt.z.min_raw)

    def scaled(self, name: str, frac: int, result: FixedFormat) -> Floats:
        """Return an array with ``frac`` fraction bits, in LSBs of ``result``."""
        return (self.arrays[name] * 2.0 ** (result.frac - frac)).astype(self.dtype)

    def table(self, name: str, index: FixedFormat, shift: int) -> Floats:
        """Return a table from the lowest index to the highest, its values times 2**shift."""
        used = np.roll(self.arrays[name], -index.min_raw)[: index.max_raw - index.min_raw + 1]
        return (used * 2.0**shift).astype(self.dtype)

    def run(
        self, x: Floats, h: Raw, c: Raw, signals: dict[str, list[Floats]] | None
    ) -> tuple[Floats, Floats]:
        """Run all steps of this layer; return h of every step, and the last c."""
        inputs = self.W[x] if self.one_hot else x.astype(self.dtype) @ self.W
        inputs += self.b
        hidden = np.empty((*x.shape[:2], self.units), self.dtype)
        h, c = h.astype(self.dtype), c.astype(self.dtype)
        sums = np.empty((x.shape[1], self.U.shape[1]), self.dtype)
        for t in range(len(x)):
            np.matmul(h, self.U, out=sums)
            h, c, keep = self.step(sums, inputs[t], c)
            hidden[t] = h
            if signals is not None:
                for name, values in keep().items():
                    signals.setdefault(name, []).append(values)
        return hidden, c

    def step(
        self, sums: Floats, inputs: Floats, c: Floats
    ) -> tuple[Floats, Floats, Callable[[], dict[str, Floats]]]:
        """Compute one step: h(t-1).U, x.W + b and c(t-1) -> h, c, and a function that returns raw signals."""
        raise NotImplementedError


class LstmLayer(_Layer):
    def __init__(self, network: IntegerNetwork, index: int) -> None:
        super().__init__(network, index)
        fmt, units = self.fmt, self.units
        # The sigmoid gates are side by side, so that one look-up serves them: i, f, o, then g.
        columns = np.concatenate([np.arange(units) + GATES.index(x) * units for x in SIGMOID_FIRST])
        self.columns = np.argsort(columns)
        self.W, self.U, self.b = (array[..., columns] for array in (self.W, self.U, self.b))
        self.sigmoid = self.table("sigmoid", fmt.z, -fmt.gate.frac)  # real
        self.tanh = self.table("tanh", fmt.z, fmt.c.frac - fmt.g.frac)  # in LSBs of c
        self.tanh_c = self.table("tanh_c", fmt.ct, fmt.h.frac - fmt.tc.frac)  # in LSBs of h
        self.to_ct = self.dtype(2.0 ** (fmt.ct.frac - fmt.c.frac))

    def step(
        self, sums: Floats, inputs: Floats, c: Floats
    ) -> tuple[Floats, Floats, Callable[[], dict[str, Floats]]]:
        fmt, units = self.fmt, self.units
        sums += inputs
        # Truncation acts as floor here: values below 0 are clipped to 0, the saturated z, in any case.
        z = sums.astype(np.intp)
        sigmoids = self.sigmoid.take(z[:, : 3 * units], mode="clip")
        g = self.tanh.take(z[:, 3 * units :], mode="clip")
        i, f, o = sigmoids[:, :units], sigmoids[:, units : 2 * units], sigmoids[:, 2 * units :]
        c = f * c
        c += i * g
        _round_to(c, fmt.c)
        ct = np.floor(c * self.to_ct + self.dtype(fmt.ct.half)) - fmt.ct.min_raw
        tc = self.tanh_c.take(ct.astype(np.intp), mode="clip")
        h = o * tc
        _round_to(h, fmt.h)

        def keep() -> dict[str, Floats]:
            return {
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

        return h, c, keep


class _GruLayer(_Layer):
    def __init__(self, network: IntegerNetwork, index: int) -> None:
        super().__init__(network, index)
        fmt, units = self.fmt, self.units
        # The candidate's columns of U give p, so they are in LSBs of p.
        candidate = np.arange(len(fmt.gates) * units) >= 2 * units
        in_p = self.scaled("U", fmt.U.frac + fmt.h.frac, fmt.p)
        self.U = np.where(candidate, in_p, self.U)
        self.rb = self.scaled("rb", fmt.rb.frac, fmt.p) + self.dtype(fmt.p.half)
        self.p_to_z = self.dtype(2.0 ** (fmt.z.frac - fmt.p.frac))
        self.sigmoid = self.table("sigmoid", fmt.z, -fmt.gate.frac)  # real
        self.tanh = self.table("tanh", fmt.z, fmt.c.frac - fmt.n.frac)  # in LSBs of c
        self.to_h = self.dtype(2.0 ** (fmt.h.frac - fmt.c.frac))

    def step(
        self, sums: Floats, inputs: Floats, c: Floats
    ) -> tuple[Floats, Floats, Callable[[], dict[str, Floats]]]:
        fmt, units = self.fmt, self.units
        p = sums[:, 2 * units :] + self.rb
        np.floor(p, out=p)
        np.clip(p, self.dtype(fmt.p.min_raw), self.dtype(fmt.p.max_raw), out=p)
        z = np.empty(sums.shape, np.intp)  # truncation is floor, as in the LSTM
        z[:, : 2 * units] = sums[:, : 2 * units] + inputs[:, : 2 * units]
        gates = self.sigmoid.take(z[:, : 2 * units], mode="clip")
        u, r = gates[:, :units], gates[:, units:]
        z[:, 2 * units :] = inputs[:, 2 * units :] + r * p * self.p_to_z
        n = self.tanh.take(z[:, 2 * units :], mode="clip")
        c = u * c + (1 - u) * n
        _round_to(c, fmt.c)
        h = c * self.to_h
        _round_to(h, fmt.h)

        def keep() -> dict[str, Floats]:
            return {
                "p": p,
                "z": np.clip(z, 0, len(self.tanh) - 1) + fmt.z.min_raw,
                "u": u * 2.0**fmt.gate.frac,
                "r": r * 2.0**fmt.gate.frac,
                "n": n * 2.0 ** (fmt.n.frac - fmt.c.frac),
                "c": c,
                "h": h,
            }

        return h, c, keep


class _RnnLayer(_Layer):
    def __init__(self, network: IntegerNetwork, index: int) -> None:
        super().__init__(network, index)
        self.tanh = self.table("tanh", self.fmt.z, 0)

    def step(
        self, sums: Floats, inputs: Floats, c: Floats
    ) -> tuple[Floats, Floats, Callable[[], dict[str, Floats]]]:
        sums += inputs
        z = sums.astype(np.intp)
        h = self.tanh.take(z, mode="clip")

        def keep() -> dict[str, Floats]:
            return {"z": np.clip(z, 0, len(self.tanh) - 1) + self.fmt.z.min_raw, "h": h}

        return h, c, keep


_CELLS: dict[type, type[_Layer]] = {LstmFormats: LstmLayer, GruFormats: _GruLayer, RnnFormats: _RnnLayer}


class _Output:
    """The output layer."""

    def __init__(self, network: IntegerNetwork) -> None:
        spec, self.fmt = network.spec, network.spec.output
        self.dtype = exact_float(output_bound(network))
        h_frac = spec.layers[-1].formats.h.frac
        out, logits = self.fmt, self.fmt.logits
        W = network.arrays["output.W"] * 2.0 ** (logits.frac - out.W.frac - h_frac)
        b = network.arrays["output.b"] * 2.0 ** (logits.frac - out.b.frac) + logits.half
        self.W: Floats = W.astype(self.dtype)
        self.b: Floats = b.astype(self.dtype)

    def run(self, h: Floats) -> Floats:
        logits = h.astype(self.dtype) @ self.W + self.b
        np.floor(logits, out=logits)
        return np.clip(logits, self.fmt.logits.min_raw, self.fmt.logits.max_raw)


def _round_to(values: Floats, fmt: FixedFormat) -> None:
    """Round values in LSBs of ``fmt`` to that format, in place."""
    values += values.dtype.type(fmt.half)
    np.floor(values, out=values)
    np.maximum(values, values.dtype.type(fmt.min_raw), out=values)
    np.minimum(values, values.dtype.type(fmt.max_raw), out=values)
