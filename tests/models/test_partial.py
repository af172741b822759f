# SPDX-License-Identifier: Apache-2.0
"""Networks between float and integers: with everything rounded, they give the reference's integers."""

from __future__ import annotations

import numpy as np
import pytest

from zynq_lstm.models.description.spec import CELLS, PRESETS, NetworkSpec, network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.partial import GROUPS, PartlyQuantized, format_names, in_groups
from zynq_lstm.models.integers.freeze import freeze_weights
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference

VOCABULARY = "abcdefghijk"


def random_case(cell: str, preset: str, scale: float, rng: np.random.Generator):
    spec = network_spec(preset, vocabulary=len(VOCABULARY), units=12, cell=cell)
    formats = spec.weight_formats()
    weights = {
        name: rng.uniform(-1, 1, shape) * scale * float(formats[name].to_real(formats[name].max_raw))
        for name, shape in spec.weight_shapes().items()
    }
    network = IntegerNetwork.from_weights(spec, VOCABULARY, freeze_weights(spec, weights))
    return spec, weights, network


@pytest.mark.parametrize("scale", [0.05, 0.4, 3.0])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("cell", CELLS)
def test_all_rounded_is_the_reference(cell: str, preset: str, scale: float, rng: np.random.Generator) -> None:
    """The two implementations share only the tables' definition: integers in NumPy, and rounded reals."""
    spec, weights, network = random_case(cell, preset, scale, rng)
    codes = rng.integers(0, len(VOCABULARY), (3, 100))
    integers: dict[str, np.ndarray] = {}
    reals: dict[str, np.ndarray] = {}
    reference = Reference(network, 3)
    reference.run(codes[:, :60], integers)
    first = dict(integers)
    reference.run(codes[:, 60:], integers)  # the state is carried on
    PartlyQuantized(spec, weights, format_names(spec)).run(codes, reals)
    assert set(integers) == set(reals)
    for name, array in integers.items():
        layer, _, signal = name.removeprefix("layers.").partition(".")
        fmt = spec.layers[int(layer)].formats.signal_format(signal) if signal else spec.output.logits
        whole = np.concatenate([first[name], array], axis=1)
        assert np.array_equal(fmt.to_real(whole), reals[name]), name


@pytest.mark.parametrize("cell", CELLS)
def test_spec_and_network_survive_their_files(cell: str, rng: np.random.Generator, tmp_path) -> None:
    spec, _, network = random_case(cell, "w8a8", 0.4, rng)
    assert NetworkSpec.from_dict(spec.to_dict()) == spec
    assert ("cell" in spec.to_dict()["layers"][0]) == (cell != "lstm")
    network.save(tmp_path / "n")
    assert IntegerNetwork.load(tmp_path / "n").identity == network.identity


def test_groups_hold_every_format_once() -> None:
    for cell in CELLS:
        spec = network_spec(vocabulary=5, units=3, cell=cell)
        parts = [in_groups(spec, [group]) for group in GROUPS]
        assert set().union(*parts) == set(format_names(spec))
        assert sum(map(len, parts)) == len(format_names(spec))


def test_unknown_format_is_named() -> None:
    spec = network_spec(vocabulary=5, units=3)
    with pytest.raises(UserError, match="unknown format 'x'"):
        PartlyQuantized(spec, {}, ["x"])
