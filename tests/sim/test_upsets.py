# SPDX-License-Identifier: Apache-2.0
"""Flipped bits: their effects, compared with the scalar model and the RTL, and the counts of effects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.machine import on_simulators
from tests.networks import Scalar, save_checkpoint, small_spec, with_weights
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import generate
from zynq_lstm.models.errors import CheckError
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.sim.campaigns import upsets
from zynq_lstm.sim.campaigns.upsets.rtl import Place, compare, compare_flips, place
from zynq_lstm.sim.campaigns.upsets.state import (
    PREFIX,
    U_SUMS,
    Flip,
    StruckReference,
    choose,
    flip_bits,
    follow,
    measure_state,
    random_flips,
    state_bits,
    state_signals,
    undisturbed,
)
from zynq_lstm.sim.campaigns.upsets.weights import (
    WeightFlip,
    WornReference,
    flipped_weights,
    measure_weights,
    weight_names,
)
from zynq_lstm.sim.simulation.rtl import Rtl


@pytest.fixture
def design(rng: np.random.Generator) -> Design:
    return Design(with_weights(small_spec("w8a8", 11, (7, 10)), rng), Array(4, 2, 2, 2))


NOTHING = Flip("nothing", 0, 0, 0)
#: Two layers that have every shape together: a copy of h, two levels, no c, vectors, three sums a unit.
MIXED = (("gru_reset_before", "peephole"), ("rnn", "gru"))


def mixed(cells: tuple[str, str], rng: np.random.Generator) -> Design:
    """Return a design in which units of three sums are packed without gaps."""
    return Design(with_weights(small_spec("w8a8", 6, (5, 6), cells), rng), Array(4, 2, 2, 2))


@pytest.mark.parametrize("cells", [("lstm", "lstm"), *MIXED], ids="-".join)
def test_without_a_flip_it_is_the_reference(cells: tuple[str, str], rng: np.random.Generator) -> None:
    design = mixed(cells, rng)
    struck, reference = StruckReference(design, 3), Reference(design.network, 3)
    for _ in range(12):
        codes = rng.integers(0, 6, 3)
        assert np.array_equal(struck.strike(codes, [NOTHING] * 3), reference.run(codes[:, np.newaxis])[:, 0])
        for name in ("h", "c"):
            for mine, theirs in zip(getattr(struck.state, name), getattr(reference.state, name), strict=True):
                assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("layer", [0, 1])
def test_flip_of_c_is_the_scalar_models(design: Design, layer: int, rng: np.random.Generator) -> None:
    codes = rng.integers(0, 11, 8).tolist()
    scalar, struck = Scalar(design.network), StruckReference(design)
    for n, code in enumerate(codes):
        if n == 3:
            flip = Flip("c", layer, 2, 15)  # the sign
            word = scalar.c[layer][2]
            scalar.c[layer][2] = word + 2**15 if word < 0 else word - 2**15
            logits = struck.strike(np.array([code]), [flip])[0]
        else:
            logits = struck.run([code])[0]
        assert scalar.step(code)["logits"] == logits.tolist()


def test_every_flip_is_another_state(design: Design, rng: np.random.Generator) -> None:
    """A flip changes the right word of h or c, and the same flip restores it."""
    for signal in ("h", "c"):
        flips = random_flips(design, signal, 1, 1, rng)
        assert [flip.bit for flip in flips] == list(range(state_bits(design, signal)))
        values = rng.integers(-100, 100, (len(flips), 10))
        changed = values.copy()
        flip_bits(changed, flips, signal, 1, state_bits(design, signal))
        for n, flip in enumerate(flips):
            assert np.flatnonzero(changed[n] != values[n]).tolist() == [flip.index]
        flip_bits(changed, flips, signal, 1, state_bits(design, signal))
        assert np.array_equal(changed, values)


@pytest.mark.parametrize("temperature", [None, 256])
def test_effects_are_those_of_runs_beside_each_other(
    design: Design, temperature: int | None, rng: np.random.Generator
) -> None:
    """Compare with flips that run one by one, without dropping streams when they have forgotten the flip."""
    horizon = 12
    text = rng.integers(0, 11, (2, PREFIX + horizon))
    calm = undisturbed(design, text, horizon, temperature, 1)
    flips = [
        flip for signal in state_signals(design, 0) for flip in random_flips(design, signal, 0, 1, rng)[::3]
    ]
    windows = rng.integers(0, 2, len(flips))
    effect = follow(design, calm, flips, windows, temperature)
    for n, (flip, w) in enumerate(zip(flips, windows.tolist(), strict=True)):
        one = StruckReference(design)
        one.run(text[w, :PREFIX])
        code, states, logits, written = int(calm.codes[w, 0]), [], [], []
        for t in range(horizon):
            now = one.run([code])[0] if t else one.strike(np.array([code]), [flip])[0]
            logits.append(now)
            states.append([*one.state.h, *one.state.c])
            if calm.noise is None:
                written.append(int(now.argmax()))
                code = int(calm.codes[w, min(t + 1, horizon - 1)])
            else:
                written.append(int(choose(design, now, calm.noise[w, t], 256)))
                code = written[-1]
        usual = [[*(h[w, t] for h in calm.h), *(c[w, t] for c in calm.c)] for t in range(horizon)]
        same = [
            all(np.array_equal(a[0], b) for a, b in zip(mine, theirs, strict=True))
            for mine, theirs in zip(states, usual, strict=True)
        ]
        other = [not np.array_equal(a, b) for a, b in zip(logits, calm.logits[w], strict=True)]
        assert effect.logits[n] == sum(other)
        if calm.noise is None:
            choices = calm.logits[w].argmax(axis=1)
        else:
            choices = choose(design, calm.logits[w], calm.noise[w], 256)
        assert effect.choices[n] == sum(a != b for a, b in zip(written, choices, strict=True))
        if not any(same):
            assert effect.forgotten[n] == -1
        elif same[0]:
            assert effect.forgotten[n] == 0
        else:
            assert effect.forgotten[n] == same.index(True) + 1


def test_text_that_is_written_is_the_samplers(design: Design, rng: np.random.Generator) -> None:
    from zynq_lstm.models.integers.text import generate as write

    text = rng.integers(0, 11, (2, PREFIX))
    calm = undisturbed(design, text, 9, 200, 5)
    for w in range(2):
        assert calm.codes[w].tolist() == write(design.network, text[w], 9, 200, 5 + w).tolist()


def memories(design: Design, files: dict[str, str]) -> list[int]:
    """Return the words of all weight memories that the engine reads."""
    words, pipelines = [], design.layout.pipelines
    rows = {f"{pipelines[number].level.name}_rows": rom for number, rom in design.row_roms.items()}
    for name, rom in {**design.weight_roms, **rows}.items():
        for n, row in enumerate(files[f"{name}.mem"].split()):
            for fold in range(rom.folds):
                if fold * rom.rows + n < rom.depth:
                    words.append(int(row, 16) >> fold * rom.width & (1 << rom.width) - 1)
    return words


@pytest.mark.parametrize(
    "cells, array",
    [
        ("lstm", Array(4, 2, 2, 2)),
        ("lstm", Array(4, 2, 1, 2)),
        ("lstm", Array(4, 1, 2, 2, lut_depth=1)),
        (MIXED[0], Array(4, 2, 2, 2)),
        (MIXED[1], Array(4, 4, 2, 2)),
    ],
    ids=["packed", "single", "in LUTs", "-".join(MIXED[0]), "-".join(MIXED[1])],
)
def test_flipped_weights_are_those_of_the_memory(
    cells: str | tuple[str, str], array: Array, rng: np.random.Generator
) -> None:
    """The memory of a network with these weights differs in exactly one bit."""
    network = with_weights(small_spec("w8a8", 11, (7, 10), cells), rng)
    design = Design(network, array)
    before = generate(design)
    checked = 0
    for name in weight_names(design):
        shape = network.arrays[name].shape
        for bit in range(8):
            flip = WeightFlip(name, int(rng.integers(shape[0])), int(rng.integers(shape[1])), bit)
            weights = {key: network.arrays[key].copy() for key in network.spec.weight_formats()}
            for column, value in flipped_weights(design, flip).items():
                weights[name][flip.row, column] = value
            fmt = network.spec.weight_formats()[name]
            if weights[name].min() < fmt.min_raw or weights[name].max() > fmt.max_raw:
                continue  # the formats exclude this weight, but the memory may hold it
            changed = IntegerNetwork.from_weights(network.spec, network.vocabulary, weights)
            after = generate(Design(changed, array))
            old, new = memories(design, before), memories(design, after)
            assert sum((a ^ b).bit_count() for a, b in zip(old, new, strict=True)) == 1
            checked += 1

            reference = WornReference(network)
            reference.change(name, flip.row, flipped_weights(design, flip))
            codes = rng.integers(0, 11, 30)
            assert np.array_equal(reference.run(codes), Reference(changed).run(codes))
            reference.restore()
            reference.reset()
            assert np.array_equal(reference.run(codes), Reference(network).run(codes))
    assert checked > 16


def test_rows_of_the_record(design: Design, rng: np.random.Generator) -> None:
    text = rng.integers(0, 11, (2, PREFIX + 6))
    rows = measure_state(design, text, 6, 2, 1)
    assert len(rows) == 2 * (8 + 16 + design.sum_bits)
    assert all(row["flips"] == len(row["forgotten"]) == 2 for row in rows)
    assert any(row["logits_mean"] for row in rows)
    weights = measure_weights(design, text[:, :9], 2, 1)
    assert len(weights) == 8 * len(weight_names(design)) and any(row["logits"] for row in weights)
    record = {"horizon": 6, "state": {"score": rows}, "weights": weights}
    table = upsets.markdown(record)
    assert table.count("\n| score | ") == 6 and len(table.splitlines()) == 2 + 6 + 1 + 2 + 8
    assert "\n| bit | layers.0.W | layers.0.U | layers.1.W | layers.1.U | output.W |\n" in table


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("simulator", on_simulators())
def test_rtl_does_the_same(
    simulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    network = with_weights(small_spec("w8a8", 6, (3, 4)), rng)
    design = Design(network, Array(2, 2, 2, 1))
    rtl = Rtl.build(design, tmp_path, simulator=simulator, quick=True, upsets=True)
    found = compare(rtl, 2, 1)
    assert found["flips"] == 12 and found["disturbed"] > 0
    # A flip of another bit than was asked for is noticed.

    def wrong(design: Design, flip: Flip, character: int) -> Place:
        return place(design, Flip(flip.signal, flip.layer, flip.index, flip.bit ^ 1), character)

    monkeypatch.setattr("zynq_lstm.sim.campaigns.upsets.rtl.place", wrong)
    with pytest.raises(CheckError, match="differs after Flip"):
        compare(rtl, 2, 1)


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("cells", MIXED, ids="-".join)
def test_rtl_of_every_shape_does_the_same(
    cells: tuple[str, str], tmp_path: Path, rng: np.random.Generator
) -> None:
    """Every bit of a word of every signal of state."""
    design = mixed(cells, rng)
    rtl = Rtl.build(design, tmp_path, quick=True, upsets=True)
    flips = [
        flip
        for layer in range(2)
        for signal in state_signals(design, layer)
        for flip in random_flips(design, signal, layer, 1, rng)
    ]
    found = compare_flips(rtl, flips, rng)
    assert found["flips"] == len(flips) and found["disturbed"] > 0


def test_signals_of_state() -> None:
    rng = np.random.default_rng(0)
    assert [state_signals(mixed(cells, rng), k) for cells in MIXED for k in range(2)] == [
        ("h", "h'", "c", U_SUMS),
        ("h", "c", U_SUMS),
        ("h", U_SUMS),
        ("h", "c", U_SUMS),
    ]


@pytest.mark.slow
def test_verb(tmp_path: Path, rng: np.random.Generator) -> None:
    from zynq_lstm.models.texts.corpus import load_corpus
    from zynq_lstm.scripts.verbs.upset import command

    vocabulary = load_corpus().vocabulary
    network = with_weights(small_spec("w8a8", len(vocabulary), (5, 4)), rng)
    checkpoint = save_checkpoint(
        IntegerNetwork.from_weights(
            network.spec, vocabulary, {n: network.arrays[n] for n in network.spec.weight_formats()}
        ),
        tmp_path / "checkpoint",
    )
    options = [
        "--checkpoint",
        checkpoint,
        "--trials",
        1,
        "--weight-trials",
        1,
        "--windows",
        2,
        "--horizon",
        4,
    ]
    result = CliRunner().invoke(
        command,
        [str(x) for x in (*options, "--rtl", 0, "--json", tmp_path / "x.json")],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "x.json").read_text())
    assert record["kind"] == "upsets" and record["seed"] == 1 and record["network"]
    assert set(record["state"]) == {"score", "generate"}
