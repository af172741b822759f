# SPDX-License-Identifier: Apache-2.0
"""The record of upsets: flips of every bit of state and weights in the reference, and of some in the RTL."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import fitting_array
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.choice import check_seed, temperature_to_raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.texts.corpus import load_corpus
from zynq_lstm.models.texts.corpus import windows as evenly
from zynq_lstm.sim.campaigns import records, upsets
from zynq_lstm.sim.campaigns.mutants import small_design
from zynq_lstm.sim.campaigns.upsets.rtl import compare
from zynq_lstm.sim.campaigns.upsets.state import PREFIX, measure_state, state_signals
from zynq_lstm.sim.campaigns.upsets.weights import measure_weights, weight_names
from zynq_lstm.sim.simulation.rtl import Rtl
from zynq_lstm.sim.simulation.simulator import require


def measure(
    network: IntegerNetwork,
    progress: Callable[[int, int], None],
    *,
    trials: int,
    weight_trials: int,
    windows: int,
    horizon: int,
    temperature: float,
    rtl: int,
    simulator: str,
    seed: int,
    output: Path,
) -> dict[str, Any]:
    """Flip bits of a network, and return the record.

    Args:
        progress: called with the number of signals done, and the number of all signals.
        trials: number of flips of each bit of state.
        weight_trials: number of flips of each bit of the weights.
        windows: number of windows of the held-out text.
        horizon: number of characters after a flip.
        rtl: number of flips of each signal on the RTL of a small network, which is built in ``output``.

    Raises:
        UserError: for an illegal seed or temperature, a horizon that is longer than the text, or a simulator
            that is not installed.
        CheckError: if the RTL differs from the reference.
    """
    raw = temperature_to_raw(temperature)
    check_seed(seed)
    check_seed(seed + windows)
    if rtl:
        require(simulator)
    design = Design(network, fitting_array(network.spec))
    held_out = load_corpus().with_vocabulary(network.vocabulary).split().part("validation")
    length = PREFIX + horizon
    if len(held_out) < length:
        raise UserError(f"--horizon is {horizon}; at most {len(held_out) - PREFIX} characters are possible")
    text = evenly(held_out, length, windows).astype(np.int64)

    in_state = sum(len(state_signals(design, k)) for k in range(len(network.spec.layers)))
    signals = 2 * in_state + len(weight_names(design))
    done = count(1)

    def step() -> None:
        progress(next(done), signals)

    state = {
        mode: measure_state(design, text, horizon, trials, seed, at, step)
        for mode, at in (("score", None), ("generate", raw))
    }
    weights = measure_weights(design, text[:, : PREFIX + 1], weight_trials, seed, step)
    record = records.new(
        upsets.KIND,
        seed,
        network=network.identity,
        horizon=horizon,
        windows=windows,
        temperature=temperature,
        characters_of_weights=windows * PREFIX,
        state=state,
        weights=weights,
    )
    if rtl:
        small = Rtl.build(small_design(seed), output, simulator=simulator, quick=True, upsets=True)
        record["rtl"] = compare(small, rtl, seed)
    return record
