# SPDX-License-Identifier: Apache-2.0
"""Bits per character (BPC): how well a network predicts a text.

The text is one stream. The state is zero before its first character and is carried through to the
last one; the characters from the second on are what is predicted. Every figure that the project
prints is computed here from logits, so engines with equal logits have equal figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from models.network import IntegerNetwork

METRIC = "bits per character, one stream, state carried through from zero"

CHUNK = 2048  # steps that one call of the compiled function takes


def bits_of(logits: NDArray[np.float64], targets: NDArray[np.integer]) -> NDArray[np.float64]:
    """-log2 softmax(logits)[target] for each row: (N, V), (N,) -> (N,)."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=1))
    chosen = np.take_along_axis(shifted, np.asarray(targets, np.intp)[:, None], axis=1)[:, 0]
    return (total - chosen) / math.log(2)


def bits_per_character(logits: NDArray[np.float64], targets: NDArray[np.integer]) -> float:
    """Mean of :func:`bits_of`; the sum is exact, so the order and any cut make no difference.

    Args:
        logits: real values (not raw integers), (N, V).
        targets: the character that came next, (N,).
    """
    if len(logits) != len(targets) or not len(targets):
        raise ValueError(f"{len(logits)} rows of logits for {len(targets)} targets")
    rows = 8192
    bits = (
        bits_of(logits[k : k + rows], targets[k : k + rows]).tolist() for k in range(0, len(targets), rows)
    )
    return math.fsum(chain.from_iterable(bits)) / len(targets)


def require_text(codes: NDArray[np.integer], what: str) -> None:
    """Refuse a text with nothing to predict."""
    if len(codes) < 2:
        raise UserError(
            f"{what} has {len(codes)} character(s); evaluation needs at least 2, "
            "one to read and one to predict"
        )


def keras_logits(model: Any, codes: NDArray[np.integer]) -> Iterable[NDArray[np.float64]]:
    """Logits after each character, state carried from zero, in chunks: (N, S) -> (n, S, V) each.

    Args:
        model: a float or quantized Keras model of ours.
        codes: N characters of S streams, or (N,) for one.
    """
    from models.float_lstm import forward, tf, zero_state

    codes = np.asarray(codes, np.int32)
    if codes.ndim == 1:
        codes = codes[:, None]
    length, streams = codes.shape
    chunk = min(CHUNK, max(1, 32768 // streams))
    run = tf.function(lambda x, s: forward(model, x, s), jit_compile=True)
    states: Any = zero_state(model, streams)
    for start in range(0, length, chunk):
        part = codes[start : start + chunk]
        # Every call has the same shape, so that one compilation serves; what pads the last is cut.
        padded = np.zeros((chunk, streams), np.int32)
        padded[: len(part)] = part
        logits, states = run(tf.constant(padded), states)
        yield np.asarray(logits, np.float64)[: len(part)]


def evaluate_keras(model: Any, codes: NDArray[np.integer], what: str = "the text") -> float:
    """BPC of a float or quantized Keras model over a text as one stream."""
    require_text(codes, what)
    parts = [chunk[:, 0] for chunk in keras_logits(model, codes[:-1])]
    return bits_per_character(np.concatenate(parts), codes[1:])


def evaluate_reference(network: IntegerNetwork, codes: NDArray[np.integer], what: str = "the text") -> float:
    """BPC of the hardware over a text as one stream: the reference's logits, exactly."""
    from sim.reference import Reference

    require_text(codes, what)
    logits = Reference(network).run(codes[:-1])
    return bits_per_character(network.spec.output.logits.to_real(logits), codes[1:])


def streams_of(codes: NDArray[np.integer], streams: int = 64) -> NDArray[np.integer]:
    """The text cut into equal streams, for a quick estimate: (N,) -> (S, N // S)."""
    streams = max(1, min(streams, len(codes) // 256))
    length = len(codes) // streams
    return np.asarray(codes)[: streams * length].reshape(streams, length)


def estimate_keras(model: Any, codes: NDArray[np.integer], streams: int = 64) -> float:
    """A quick estimate of the BPC: the text cut into streams that each start from zero."""
    cut = streams_of(codes, streams)
    logits = np.concatenate(list(keras_logits(model, cut[:, :-1].T)))  # (N, S, V)
    return bits_per_character(logits.reshape(-1, logits.shape[2]), cut[:, 1:].T.reshape(-1))


def estimate_reference(network: IntegerNetwork, codes: NDArray[np.integer], streams: int = 64) -> float:
    """The same estimate for the hardware."""
    from sim.reference import Reference

    cut = streams_of(codes, streams)
    logits = network.spec.output.logits.to_real(Reference(network, len(cut)).run(cut[:, :-1]))
    return bits_per_character(logits.reshape(-1, logits.shape[2]), cut[:, 1:].reshape(-1))
