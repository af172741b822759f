# SPDX-License-Identifier: Apache-2.0
"""Stuck and saturated units: the definition, and that all engines agree on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation import memory
from zynq_lstm.models.evaluation.partial import PartlyQuantized, format_names
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.store import write_json

LETTERS = "abcdefghij"
CELLS = ("lstm", "gru", "rnn", "peephole")


def network(rng: np.random.Generator, cells: tuple[str, ...]) -> Checkpoint:
    """Return a quantized network of random weights, some units of which are stuck."""
    spec = network_spec(vocabulary=len(LETTERS), units=6, layers=len(cells), cell=cells)
    weights = {n: rng.normal(0, 1.2, s).astype(np.float32) for n, s in spec.weight_shapes().items()}
    return Checkpoint(LETTERS, weights, spec)


def whole(source: memory.Source, codes: np.ndarray) -> list[np.ndarray]:
    """Return the values of each layer of a source, (S, T, H)."""
    return [np.concatenate(parts, axis=1) for parts in zip(*source(codes), strict=True)]


def with_outliers(value: float, share: float, count: int = 10_000) -> np.ndarray:
    values = np.full(count, value)
    values[: round(share * count)] = 0.0
    return values


@pytest.mark.parametrize(
    ("values", "stuck", "saturated"),
    [
        (with_outliers(0.5, 0), True, False),
        (with_outliers(0.97, 0), True, True),
        (with_outliers(-0.97, 0), True, True),
        (with_outliers(0.95, 0), True, False),  # not beyond the edge
        (with_outliers(0.97, 0.004), True, True),
        (with_outliers(0.97, 0.008), False, True),  # 0 is within the central 99 %
        (with_outliers(-0.97, 0.012), False, False),
        (np.resize([0.97, -0.97], 10_000), False, False),
        (np.linspace(-0.049, 0.049, 10_000), True, False),
        (np.linspace(-0.052, 0.052, 10_000), False, False),
    ],
)
def test_the_definition(values: np.ndarray, stuck: bool, saturated: bool) -> None:
    both = np.stack([values, np.linspace(-1, 1, len(values))], axis=1)
    assert memory.stuck(both).tolist() == [stuck, False]
    assert memory.saturated(both).tolist() == [saturated, False]


def test_the_signal_that_shows_a_cell_s_memory() -> None:
    signals = {name: memory.signal(catalogue.cell(name)) for name in catalogue.names()}
    with_c = {"lstm", "peephole", "coupled"}
    assert signals == {name: "tc" if name in with_c else "h" for name in catalogue.names()}
    own = Path(__file__).parents[2] / "docs" / "mgu.cell"
    assert memory.signal(catalogue.cell(str(own))) in ("tc", "h")


def test_integers_of_every_cell_are_those_of_the_rounded_network(rng: np.random.Generator) -> None:
    codes = rng.integers(0, len(LETTERS), (2, memory.CHUNK + 20))
    for name in catalogue.names():
        checkpoint = network(rng, (name,))
        trace: dict[str, np.ndarray] = {}
        spec = checkpoint.quantized_spec
        PartlyQuantized(spec, checkpoint.weights, format_names(spec)).run(codes, trace)
        (values,) = whole(memory.integer_source(freeze(checkpoint)), codes)
        assert np.array_equal(values, trace[f"layers.0.{memory.signal(catalogue.cell(name))}"]), name


def test_keras_and_numpy_agree(rng: np.random.Generator) -> None:
    """Integers exactly; real numbers up to float32 rounding."""
    from zynq_lstm.models.keras.float_lstm import float_model
    from zynq_lstm.models.keras.quantized import quantized_model

    checkpoint = network(rng, CELLS)
    codes = rng.integers(0, len(LETTERS), (memory.STREAMS, memory.CHUNK + 20))
    in_keras = memory.keras_source(quantized_model(checkpoint))
    integers = memory.integer_source(freeze(checkpoint))
    for a, b in zip(whole(in_keras, codes), whole(integers, codes), strict=True):
        assert a.shape == (*codes.shape, 6)
        assert np.array_equal(a, b)
    text = rng.integers(0, len(LETTERS), 4 * 600)
    assert memory.measure(in_keras, text) == memory.measure(integers, text)

    small = {name: array * np.float32(0.3) for name, array in checkpoint.weights.items()}  # not chaotic
    real = dataclasses.replace(checkpoint, weights=small, spec=None, float_cells=CELLS)
    one = whole(memory.keras_source(float_model(real)), codes)
    other = whole(memory.float_source(checkpoint.quantized_spec, small), codes)
    for a, b in zip(one, other, strict=True):
        assert np.abs(a - b).max() < 1e-4


def test_the_text_is_cut_and_a_short_one_is_used_whole() -> None:
    seen = []

    def source(codes):
        seen.append(codes)
        yield [np.zeros((*codes.shape, 3))]

    text = np.arange(60_000)
    found = memory.measure(source, text)
    assert found == memory.Memory((3,), (3,), (0,), 50_000)
    assert seen[-1].shape == (4, 13_500)
    assert (seen[-1][0, 0], seen[-1][-1, -1]) == (0, 59_999)  # evenly spread
    assert memory.measure(source, text, 5_000).characters == 5_000
    assert memory.measure(source, text[: memory.NEEDED]).characters == 50_000
    assert memory.measure(source, text[:101]).characters == 4 * 13  # of 25 in each stream
    assert memory.measure(source, text[:8]).characters == 4
    with pytest.raises(UserError, match="7 characters; 8 are needed"):
        memory.measure(source, text[:7])


def test_many_stuck_units_are_more_than_a_32nd() -> None:
    assert not memory.Memory((128, 128), (4, 4), (0, 0), 1).many_stuck
    assert memory.Memory((128, 128), (4, 5), (0, 0), 1).many_stuck


def test_units_of_a_trained_network_are_counted_into_its_record(tmp_path: Path, rng) -> None:
    from zynq_lstm.models.evaluation.shipped_records import count_units, read_training_record
    from zynq_lstm.models.texts.corpus import from_text

    text = from_text("letters", "".join(rng.choice([*LETTERS], 2_000)))
    path = tmp_path / "n.safetensors"
    network(rng, ("lstm",)).save(path)
    write_json(path.with_suffix(".json"), {"stage": "w8a8", "corpus": text.record})
    found = count_units(path, text)
    assert found == read_training_record(path.with_suffix(".json"))
    assert found["memory"]["units"] == [6] and found["memory"]["characters"] == 52
    with pytest.raises(UserError, match="was trained on another text than other"):
        count_units(path, from_text("other", text.text + "a"))
