# SPDX-License-Identifier: Apache-2.0
"""The bench's model of the engine: its answers do not depend on when they are requested."""

from __future__ import annotations

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.integers.text import generate
from zynq_lstm.sim.bench.model import EngineModel
from zynq_lstm.sim.trace import compare


@pytest.fixture(scope="module")
def network(seed: int) -> IntegerNetwork:
    return with_weights(small_spec("w8a8", 6, (3, 4)), np.random.default_rng(seed))


def send(model: EngineModel, codes: list[int]) -> None:
    for k, code in enumerate(codes, 1):
        model.accept(code, k == len(codes))


def play(model: EngineModel) -> None:
    """Run a mix of all operations: 5 + 2 + 3 + 2 + 1 + (1 + 5) + 4 characters."""
    model.configure(generate=False, auto_reset=False, length=0)
    send(model, [0, 1, 2, 3, 9])
    send(model, [4, 5])
    model.reset_state()
    send(model, [5, 5, 1])
    model.set_temperature(300)
    model.configure(generate=True, auto_reset=False, length=0)
    send(model, [2, 3])
    model.configure(generate=True, auto_reset=False, length=1)
    send(model, [2])
    model.configure(generate=True, auto_reset=True, length=6)
    model.reseed(5)
    send(model, [1])
    model.configure(generate=False, auto_reset=True, length=0)
    send(model, [3, 2, 1, 0])


@pytest.mark.parametrize("piece", [1, 2, 5, 7, 100])
def test_pieces_are_the_whole(network: IntegerNetwork, piece: int) -> None:
    at_once, bit_by_bit = EngineModel(network), EngineModel(network)
    play(at_once)
    play(bit_by_bit)
    expected = at_once.finish()
    assert at_once.characters == len(expected["logits"]) == 23
    parts = [bit_by_bit.take(piece) for _ in range(-(-23 // piece))]
    assert [len(part["logits"]) for part in parts[:-1]] == [piece] * (len(parts) - 1)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in expected}
    assert compare(network, expected, joined).exact
    assert at_once.beats == bit_by_bit.beats
    assert len(at_once.finish()["logits"]) == len(bit_by_bit.take(1)["logits"]) == 0


def test_it_is_the_reference(network: IntegerNetwork) -> None:
    model = EngineModel(network)
    play(model)
    trace = model.finish()
    reference, logits = Reference(network), []
    logits.append(reference.run([0, 1, 2, 3, 0, 4, 5]))  # 9 is not a code
    reference.reset()
    logits.append(reference.run([5, 5, 1, 2, 3, 2]))
    written = generate(network, [1], 6, 300, 5).tolist()
    reference.reset()
    logits.append(reference.run([1, *written[:-1]]))
    reference.reset()
    logits.append(reference.run([3, 2, 1, 0]))
    assert np.array_equal(trace["logits"], np.concatenate(logits))
    assert model.bad_codes == 1
    beats = model.beats
    assert len(beats) == 2 * 10 + 1 + 6 + 2 * 4
    assert beats[21:27] == [((code,), k == 5) for k, code in enumerate(written)]
    lowest = network.spec.output.logits.min_raw
    assert beats[1][0] == (*trace["logits"][0, 4:].tolist(), lowest, lowest)
    ends = [k for k, (_, last) in enumerate(beats) if last]
    assert ends == [9, 13, 19, 20, 26, 34]
