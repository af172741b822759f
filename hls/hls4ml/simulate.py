# SPDX-License-Identifier: Apache-2.0
"""Run a converted and compiled hls4ml model in integers, with every internal signal on request.

The state is carried from character to character and from call to call, as in the hardware;
:func:`reset` clears it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.hls.hls4ml.graph import network_from_graph, not_compiled
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.text import check_arguments

STRETCH = 1024  # characters traced at once: 25 MB for two layers of 128 units


def run(hls_model: Any, codes: Sequence[int] | NDArray[Any]) -> Raw:
    """Return the raw logits (time, vocabulary) for character codes (time,).

    A code outside the vocabulary counts as code 0.

    Raises:
        UserError: if the model is not compiled, or codes are not integers in one dimension.
    """
    return _raw(hls_model, _codes(codes))


def reset(hls_model: Any) -> None:
    """Clear h and c of every layer before the next character."""
    if hls_model.config.backend.name == "OpenRTL":
        hls_model.config.backend.reset(hls_model)
    else:
        _library(hls_model).zynq_lstm_reset()


def trace(hls_model: Any, codes: Sequence[int] | NDArray[Any]) -> dict[str, Raw]:
    """Return every signal of the HLS C++, or of the RTL, for character codes (time,).

    The kernel records the signals of the cell's description for each unit.

    Returns:
        ``layers.K.S`` for S in :data:`zynq_lstm.models.integers.reference.LAYER_SIGNALS` and ``logits``, raw
        integers in the shapes of :meth:`zynq_lstm.models.integers.reference.Reference.run`.

    Raises:
        UserError: as for :func:`run`.
    """
    codes = _codes(codes)
    if hls_model.config.backend.name == "OpenRTL":
        return hls_model.config.backend.trace(hls_model, codes)
    library, network = _library(hls_model), network_from_graph(hls_model)
    names = [layer.formats.description.signals for layer in network.spec.layers]
    widths = [len(n) * layer.units for n, layer in zip(names, network.spec.layers, strict=True)]
    widths.append(network.spec.vocabulary)
    records = [np.empty((0, sum(widths)), np.int64)]
    for start in range(0, len(codes), STRETCH):
        stretch = codes[start : start + STRETCH]
        buffer = np.empty((len(stretch), sum(widths)), np.int64)
        library.zynq_lstm_trace(buffer.ctypes.data, buffer.size)
        try:
            _raw(hls_model, stretch)
        finally:
            end = library.zynq_lstm_trace_end()
        if end != buffer.ctypes.data + buffer.nbytes:
            raise RuntimeError("the kernel recorded fewer values than the graph has signals")
        records.append(buffer)
    if library.zynq_lstm_sums_too_wide():
        raise RuntimeError("a sum did not fit its accumulator")
    *layers, logits = np.split(np.concatenate(records), np.cumsum(widths)[:-1], axis=1)
    signals: dict[str, Raw] = {}
    for k, (layer, record) in enumerate(zip(network.spec.layers, layers, strict=True)):
        by_unit = record.reshape(len(codes), layer.units, len(names[k]))
        found = {name: by_unit[:, :, place] for place, name in enumerate(names[k])}
        for name in layer.formats.signals:
            if name not in found:  # z, of all gates side by side
                found[name] = np.concatenate([found[f"z_{gate}"] for gate in layer.formats.gates], axis=1)
            signals[f"layers.{k}.{name}"] = found[name].copy()
    signals["logits"] = logits.copy()
    return signals


def generate(
    hls_model: Any,
    prime: Sequence[int] | NDArray[Any],
    length: int,
    temperature_raw: int = 0,
    seed: int = 0,
) -> Raw:
    """Return codes (length,) that follow ``prime``, from a zero state: the same as :func:`.generate` returns.

    Raises:
        UserError: as for :func:`run`; also without a prime, or for a value out of range.
    """
    prime = _codes(prime)
    check_arguments(len(prime), length, temperature_raw, seed)
    if hls_model.config.backend.name == "OpenRTL":
        return hls_model.config.backend.generate(hls_model, prime, length, temperature_raw, seed)
    return np.array(list(stream(hls_model, prime, length, temperature_raw, seed, at_once=length)), np.int64)


def stream(
    hls_model: Any,
    prime: Sequence[int] | NDArray[Any],
    length: int,
    temperature_raw: int = 0,
    seed: int = 0,
    at_once: int = 1,
) -> Iterator[int]:
    """Yield the same codes from the HLS C++ as they are chosen, ``at_once`` at a time; the loop is in C++."""
    prime = _codes(prime)
    check_arguments(len(prime), length, temperature_raw, seed)
    library, network = _library(hls_model), network_from_graph(hls_model)
    top = getattr(library, f"{hls_model.config.get_project_name()}_double")
    logits = np.empty(network.spec.vocabulary, np.float64)
    library.zynq_lstm_reset()
    run(hls_model, prime[:-1])
    library.zynq_lstm_seed(seed)
    code = int(prime[-1])
    for start in range(0, length, max(1, at_once)):
        codes = np.empty(min(at_once, length - start), np.int64)
        library.zynq_lstm_generate(
            ctypes.cast(top, ctypes.c_void_p),
            code,
            len(codes),
            temperature_raw,
            logits.ctypes.data,
            codes.ctypes.data,
        )
        code = int(codes[-1])
        yield from codes.tolist()


def _raw(hls_model: Any, codes: Raw) -> Raw:
    network: IntegerNetwork = network_from_graph(hls_model)
    if hls_model.config.backend.name == "Vitis":
        _library(hls_model)
    logits = network.spec.output.logits
    if not len(codes):
        return np.empty((0, network.spec.vocabulary), np.int64)
    real = hls_model.predict(codes[:, np.newaxis].astype(np.float64))
    return (np.reshape(real, (len(codes), -1)) * 2.0**logits.frac).astype(np.int64)


def _codes(codes: Sequence[int] | NDArray[Any]) -> Raw:
    array = np.asarray(codes)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise UserError(f"codes must be whole numbers in one dimension, got {array.dtype} {array.shape}")
    return array.astype(np.int64)


def _library(hls_model: Any) -> Any:
    library = hls_model._top_function_lib
    if library is None:
        raise not_compiled()
    library.zynq_lstm_trace.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.zynq_lstm_trace_end.restype = ctypes.c_void_p
    library.zynq_lstm_seed.argtypes = [ctypes.c_uint]
    library.zynq_lstm_generate.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    library.zynq_lstm_generate.restype = None
    library.zynq_lstm_sums_too_wide.restype = ctypes.c_ulonglong
    return library
