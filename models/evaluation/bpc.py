# SPDX-License-Identifier: Apache-2.0
"""Bits per character (BPC): how well a network predicts a text.

The text is one stream. The state is zero before the first character and is carried through to the
last one; the characters from the second on are predicted. Every BPC that the project prints is
computed here from logits, so engines with equal logits have equal figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.partial import LayerStates, PartlyQuantized
from zynq_lstm.models.integers.network import IntegerNetwork

METRIC = "bits per character, one stream, state carried through from zero"

CHUNK = 2048  # most steps in one call of the compiled function

#: Streams of :func:`evaluate_partial`, and the characters that each reads before those that count.
STREAMS, WARM_UP = 32, 1024
METRIC_PARTIAL = (
    f"bits per character, {STREAMS} streams, each started {WARM_UP} characters before its part "
    "from the float network's state there"
)


def bits_of(logits: NDArray[np.float64], targets: NDArray[np.integer]) -> NDArray[np.float64]:
    """Compute -log2 softmax(logits)[target] for each row: (N, V), (N,) -> (N,)."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=1))
    chosen = np.take_along_axis(shifted, np.asarray(targets, np.intp)[:, None], axis=1)[:, 0]
    return (total - chosen) / math.log(2)


def bits_per_character(logits: NDArray[np.float64], targets: NDArray[np.integer]) -> float:
    """Compute the mean of :func:`bits_of`; the sum is exact, so the order and any split make no difference.

    Args:
        logits: real values (not raw integers), (N, V).
        targets: codes of the characters that came next, (N,).
    """
    if len(logits) != len(targets) or not len(targets):
        raise ValueError(f"{len(logits)} rows of logits for {len(targets)} targets")
    rows = 8192
    bits = (
        bits_of(logits[k : k + rows], targets[k : k + rows]).tolist() for k in range(0, len(targets), rows)
    )
    return math.fsum(chain.from_iterable(bits)) / len(targets)


def bits_of_streams(logits: NDArray[np.float64], codes: NDArray[np.integer]) -> float:
    """Compute the BPC of streams whose last character is only predicted: (S, T, V), (S, T + 1)."""
    return bits_per_character(logits.reshape(-1, logits.shape[2]), codes[:, 1:].reshape(-1))


def require_text(codes: NDArray[np.integer], what: str) -> None:
    """Refuse a text with nothing to predict."""
    if len(codes) < 2:
        raise UserError(
            f"{what} has {len(codes)} character(s); evaluation needs at least 2, "
            "one to read and one to predict"
        )


def keras_logits(model: Any, codes: NDArray[np.integer]) -> Iterable[NDArray[np.float64]]:
    """Yield the logits after each character, in chunks, from a zero state on: (N, S) -> (n, S, V) each.

    Args:
        model: a float or quantized Keras model of ours.
        codes: N characters of S streams, or (N,) for one.
    """
    from zynq_lstm.models.keras.float_lstm import forward, tf, zero_state

    codes = np.asarray(codes, np.int32)
    if codes.ndim == 1:
        codes = codes[:, None]
    length, streams = codes.shape
    chunk = min(CHUNK, max(1, 32768 // streams))
    run = tf.function(lambda x, s: forward(model, x, s), jit_compile=True)
    states: Any = zero_state(model, streams)
    for start in range(0, length, chunk):
        part = codes[start : start + chunk]
        # Every call has the same shape, so that one compilation serves; the last one's padding is cut off.
        padded = np.zeros((chunk, streams), np.int32)
        padded[: len(part)] = part
        logits, states = run(tf.constant(padded), states)
        yield np.asarray(logits, np.float64)[: len(part)]


def evaluate_keras(model: Any, codes: NDArray[np.integer], what: str = "the text") -> float:
    """Compute the BPC of a float or quantized Keras model over a text as one stream."""
    require_text(codes, what)
    parts = [chunk[:, 0] for chunk in keras_logits(model, codes[:-1])]
    return bits_per_character(np.concatenate(parts), codes[1:])


def evaluate_reference(network: IntegerNetwork, codes: NDArray[np.integer], what: str = "the text") -> float:
    """Compute the exact BPC of the hardware over a text as one stream, from the reference's logits."""
    from zynq_lstm.models.integers.reference import Reference

    require_text(codes, what)
    logits = Reference(network).run(codes[:-1])
    return bits_per_character(network.spec.output.logits.to_real(logits), codes[1:])


def streams_of(codes: NDArray[np.integer], streams: int = 64) -> NDArray[np.integer]:
    """Cut the text into equal streams, for a quick estimate: (N,) -> (S, N // S)."""
    streams = max(1, min(streams, len(codes) // 256))
    length = len(codes) // streams
    return np.asarray(codes)[: streams * length].reshape(streams, length)


def estimate_keras(model: Any, codes: NDArray[np.integer], streams: int = 64) -> float:
    """Estimate the BPC quickly: the text is cut into streams that each start from zero."""
    cut = streams_of(codes, streams)
    logits = np.concatenate(list(keras_logits(model, cut[:, :-1].T)))  # (N, S, V)
    return bits_of_streams(logits.transpose(1, 0, 2), cut)


def estimate_reference(network: IntegerNetwork, codes: NDArray[np.integer], streams: int = 64) -> float:
    """Estimate the hardware's BPC as :func:`estimate_keras` does."""
    from zynq_lstm.models.integers.reference import Reference

    cut = streams_of(codes, streams)
    logits = Reference(network, len(cut)).run(cut[:, :-1])
    return bits_of_streams(network.spec.output.logits.to_real(logits), cut)


def evaluate_partial(
    network: PartlyQuantized, codes: NDArray[np.integer], states: list[LayerStates], streams: int = STREAMS
) -> float:
    """Compute the BPC of a partly quantized network: the mean of :func:`bits_partial`, with an exact sum."""
    bits = bits_partial(network, codes, states, streams)
    return math.fsum(bits.tolist()) / len(bits)


def bits_partial(
    network: PartlyQuantized, codes: NDArray[np.integer], states: list[LayerStates], streams: int = STREAMS
) -> NDArray[np.float64]:
    """Compute the bits of each character of a text except the first, in text order: (N,) -> (N - 1,).

    The result is nearly that of one stream, and ten times as fast to compute. A stream must not start from
    zero: from some places in a text, a network needs thousands of characters to recover.

    Args:
        network: the partly quantized network.
        states: result of :func:`float_states` for the same text and number of streams.
    """
    predicted, warm_up, length = _cut(codes, streams)
    starts = length * np.arange(streams)[:, None]
    network.state = list(states)
    bits = np.full(predicted, np.nan)
    with threadpool_limits(1):  # the products are too small to share
        for first in range(0, length + warm_up, 16):
            step = np.arange(first, min(first + 16, length + warm_up))
            at = starts + step  # (S, T)
            logits = network.run(codes[np.minimum(at, predicted - 1)], carry=True)
            counts = (at < predicted) & ((step >= warm_up) | (starts == 0))
            bits[at[counts]] = bits_of(logits[counts], codes[at[counts] + 1])
    assert not np.isnan(bits).any()
    return bits


def float_states(
    network: PartlyQuantized, codes: NDArray[np.integer], streams: int = STREAMS
) -> list[LayerStates]:
    """Compute h and c of each layer, (S, H), where the streams of :func:`evaluate_partial` start.

    The network reads the text as one stream, up to the start of the last of these streams.
    """
    _, _, length = _cut(codes, streams)
    network.state = network.zero_state(1)
    states = [list(network.state)]
    with threadpool_limits(1):
        for stream in range(streams - 1):
            network.run(codes[stream * length : (stream + 1) * length][None], carry=True)
            states.append(list(network.state))
    return [
        (np.concatenate([h for h, _ in layer]), np.concatenate([c for _, c in layer]))
        for layer in zip(*states, strict=True)
    ]


def _cut(codes: NDArray[np.integer], streams: int) -> tuple[int, int, int]:
    """Return the characters predicted, those that each stream reads before its part, and a part's length."""
    predicted = len(codes) - 1
    if predicted < 2 * streams:
        raise UserError(f"the text has {len(codes)} characters; {2 * streams + 1} are needed")
    warm_up = min(WARM_UP, predicted // 2)
    return predicted, warm_up, -(-(predicted - warm_up) // streams)
