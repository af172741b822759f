# SPDX-License-Identifier: Apache-2.0
"""Training throughput in characters per second: our networks, and stock Keras' LSTM layers for comparison.

Each kind of network has a process of its own, so that none runs with another's settings. They take
turns, and figures are compared within a turn: other work on the machine then affects all alike.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from typing import Any

from zynq_lstm.models import processes
from zynq_lstm.models.cells import catalogue, sizes

BATCH, STEPS, VOCABULARY, UNITS, LAYERS = 64, 64, 78, 128, 2

#: Keras chooses ``jit_compile`` by itself; which choice is faster depends on the machine.
STOCK = {"stock, XLA": True, "stock": False}
OURS = ("float", "quantized")

_run: Callable[[int], None]  # in a worker: trains the given number of updates


def measure(preset: str, rounds: int, updates: int) -> dict[str, list[float]]:
    """Measure characters per second by kind of network, in each round of ``updates`` updates."""
    flags = os.environ.get("XLA_FLAGS")
    with ExitStack() as stack:
        try:
            os.environ["XLA_FLAGS"] = flags or ""  # set, if only to nothing: stock Keras without our flags
            stock = {kind: _worker(stack, kind, preset) for kind in STOCK}
        finally:
            del os.environ["XLA_FLAGS"]
            if flags is not None:
                os.environ["XLA_FLAGS"] = flags
        return _in_turns(stock | {kind: _worker(stack, kind, preset) for kind in OURS}, rounds, updates)


def measure_cells(preset: str, rounds: int, updates: int) -> dict[str, list[float]]:
    """Measure multiply-accumulates per second in quantized training by cell, as :func:`measure` does.

    Each network has about as many parameters as the LSTM's.
    """
    with ExitStack() as stack:
        workers = {cell: _worker(stack, cell, preset) for cell in catalogue.names()}
        rates = _in_turns(workers, rounds, updates)
    products = {cell: sizes.macs_per_character(cell, LAYERS, _units(cell), VOCABULARY) for cell in rates}
    return {cell: [products[cell] * rate for rate in values] for cell, values in rates.items()}


def _in_turns(
    workers: Mapping[str, ProcessPoolExecutor], rounds: int, updates: int
) -> dict[str, list[float]]:
    """Return characters per second of each worker in each round."""
    rates: dict[str, list[float]] = {kind: [] for kind in workers}
    for _ in range(rounds):
        for kind, worker in workers.items():
            rates[kind].append(updates * BATCH * STEPS / worker.submit(_timed, updates).result())
    return rates


def ratios_of_cells(rates: dict[str, list[float]]) -> dict[str, float]:
    """Return the median over the rounds of each cell's rate divided by the LSTM's in that round."""
    return {
        cell: statistics.median(own / lstm for own, lstm in zip(values, rates["lstm"], strict=True))
        for cell, values in rates.items()
    }


def _units(cell: str) -> int:
    return sizes.units_like_lstm(cell, LAYERS, VOCABULARY, UNITS)


def ratios(rates: dict[str, list[float]]) -> dict[str, float]:
    """Return the median over the rounds of our rate divided by the faster stock Keras rate in that round."""
    best = [max(values) for values in zip(*(rates[kind] for kind in STOCK), strict=True)]
    return {
        kind: statistics.median(ours / stock for ours, stock in zip(rates[kind], best, strict=True))
        for kind in OURS
    }


def _worker(stack: ExitStack, kind: str, preset: str) -> ProcessPoolExecutor:
    worker = stack.enter_context(processes.pool(1, _prepare, (kind, preset)))
    worker.submit(_timed, 2).result()  # compile
    return worker


def _prepare(kind: str, preset: str) -> None:
    global _run
    if kind in STOCK:
        _run = _stock(STOCK[kind])
    elif kind in OURS:
        _run = _ours(preset if kind == "quantized" else None)
    else:
        _run = _ours(preset, kind, _units(kind))


def _timed(updates: int) -> float:
    started = time.perf_counter()
    _run(updates)
    return time.perf_counter() - started


def _stock(jit: bool) -> Callable[[int], None]:
    """Make a training function for stateful stock layers; it uses Keras' own ``train_on_batch``."""
    import numpy as np

    from zynq_lstm.models.keras.quiet import import_tensorflow

    import_tensorflow()
    import keras

    codes = keras.Input((STEPS,), batch_size=BATCH, dtype="int32")
    x = keras.ops.one_hot(codes, VOCABULARY)
    for _ in range(LAYERS):
        x = keras.layers.LSTM(UNITS, return_sequences=True, stateful=True)(x)
    model = keras.Model(codes, keras.layers.Dense(VOCABULARY)(x))
    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit,
    )
    text = np.random.default_rng(0).integers(0, VOCABULARY, (BATCH, STEPS + 1)).astype(np.int32)

    def run(updates: int) -> None:
        for _ in range(updates):
            model.train_on_batch(text[:, :-1], text[:, 1:])

    return run


def _ours(preset: str | None, cell: str = "lstm", units: int = UNITS) -> Callable[[int], None]:
    """Make a training function for our float network or, with a preset, for our quantized one."""
    import numpy as np

    from zynq_lstm.models.description.checkpoint import Checkpoint
    from zynq_lstm.models.keras import float_lstm, quantized
    from zynq_lstm.models.training import bptt
    from zynq_lstm.models.training.options import TrainingOptions

    model: Any = float_lstm.build_float(LAYERS, units, VOCABULARY, cell=[cell] * LAYERS)
    bptt.initialise(model, 1)
    if preset:
        vocabulary = "".join(map(chr, range(32, 32 + VOCABULARY)))
        weights, cells = float_lstm.read_weights(model), float_lstm.float_cells(model)
        start = Checkpoint(vocabulary, weights, float_cells=cells)
        model = quantized.quantized_model(quantized.quantize(start, preset))
    text = np.random.default_rng(0).integers(0, VOCABULARY, 10 * BATCH * STEPS).astype(np.uint8)
    options = TrainingOptions(epochs=1000, batch=BATCH, steps=STEPS, learning_rate=1e-3)
    trainer = bptt.Trainer(model, text, options, {})

    def run(updates: int) -> None:
        for _ in range(updates):
            trainer.update(trainer.step, 1e-3)
            trainer.step += 1

    return run
