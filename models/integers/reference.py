# SPDX-License-Identifier: Apache-2.0
"""Bit-accurate NumPy reference of an IntegerNetwork: the model that every engine is compared with.

All values are integers held in floats: float32 where the network's own proven bounds stay within 2**24, and
float64 within 2**53. Every intermediate value is then exact, and BLAS may compute matrix products in any
order. The arithmetic is that of ``docs/numerics.md``.
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

from zynq_lstm.models.cells.integers import CellStep
from zynq_lstm.models.description.spec import LstmFormats
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Raw
from zynq_lstm.models.integers.bounds import exact_float, layer_bound, output_bound
from zynq_lstm.models.integers.limits import require
from zynq_lstm.models.integers.network import IntegerNetwork

Floats = NDArray[Any]

#: Signals of an LSTM layer, in the order in which they are computed. z has 4 * units columns, in GATES order.
LAYER_SIGNALS = LstmFormats.signals

STRETCH = 8192  # characters, over all streams of a block
WORKERS = os.cpu_count() or 1  # blocks of streams that run at once; each is single-threaded


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
        self._layers = [_Layer(network, k) for k in range(len(network.spec.layers))]
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
    """One recurrent layer; arrays are (time, streams, columns)."""

    def __init__(self, network: IntegerNetwork, index: int) -> None:
        spec, fmt = network.spec, network.spec.layers[index].formats
        self.units, self.one_hot = spec.layers[index].units, index == 0
        self.dtype = exact_float(layer_bound(network, index, offset=True))
        frac = spec.input_frac(index)
        self.step = CellStep(fmt.description, fmt.by_name(), network.layer(index), frac, self.dtype)
        self.signals = fmt.signals
        self.has_c = fmt.has_c

    def run(
        self, x: Floats, h: Raw, c: Raw, signals: dict[str, list[Floats]] | None
    ) -> tuple[Floats, Floats]:
        """All steps of this layer: h of every step, and the last c."""
        step = self.step
        inputs = step.W[x] if self.one_hot else x.astype(self.dtype) @ step.W
        inputs += step.b
        hidden = np.empty((*x.shape[:2], self.units), self.dtype)
        h, c = h.astype(self.dtype), c.astype(self.dtype)
        sums = np.empty((x.shape[1], step.U.shape[1]), self.dtype)
        for t in range(len(x)):
            np.matmul(h, step.U, out=sums)
            values = step.run(inputs[t], sums, {"h": h, "c": c})
            h = hidden[t] = step.raw(values, "h")
            c = values.get("c", c)
            if signals is not None:
                for name in self.signals:
                    signals.setdefault(name, []).append(step.raw(values, name))
        return hidden, c


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
