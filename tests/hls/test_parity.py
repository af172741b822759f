# SPDX-License-Identifier: Apache-2.0
"""Parity of the weight memory reports no error without a flipped bit, and every single flipped bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from zynq_lstm.hls.engine import registers
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import generate
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.sim.campaigns.upsets.rtl import Place
from zynq_lstm.sim.simulation.rtl import Rtl

INSTANCES = {"weights": "u_dsp_weights", "lut_weights": "gen_tree/u_lut_weights"}


ARRAYS = {
    "packed": ("w8a8", Array(4, 3, 2, 2)),
    "single": ("q8.8", Array(3, 2, 1, 2)),
    "one lane": ("w8a8", Array(1, 1, 1, 1, sums=1)),
    "in LUTs": ("w4a8", Array(4, 3, 2, 2, lut_depth=1, gate_lanes=2)),
}


def design(name: str, rng: np.random.Generator, parity: bool = True) -> Design:
    preset, array = ARRAYS[name]
    network = with_weights(small_spec(preset, 9, (5, 6)), rng)
    return Design(network, dataclasses.replace(array, parity=parity))


@pytest.mark.parametrize("name", ARRAYS)
def test_every_chain_has_even_ones_above_the_same_weights(name: str, seed: int) -> None:
    guarded, plain = (design(name, np.random.default_rng(seed), parity) for parity in (True, False))
    array, files, before = guarded.array, generate(guarded), generate(plain)
    parts = {"weights": array.dsp_depth} | ({"lut_weights": array.lut_depth} if array.lut_depth else {})
    for memory, rom in guarded.weight_roms.items():
        width = parts[memory[:-3]] * array.pack * guarded.weight_bits
        old = plain.weight_roms[memory]
        for word in range(rom.depth):
            values = []
            for text, shape in ((files, rom), (before, old)):
                fold, row = divmod(word, shape.rows)
                line = int(text[f"{memory}.mem"].split()[row], 16)
                values.append(line >> fold * shape.width & (1 << shape.width) - 1)
            for chain in range(rom.width // (width + 1)):
                part = values[0] >> chain * (width + 1) & (1 << width + 1) - 1
                assert part.bit_count() % 2 == 0
                assert part & (1 << width) - 1 == values[1] >> chain * width & (1 << width) - 1
    assert {name for name in files if files[name] != before[name]} == {
        *(f"{memory}.mem" for memory in guarded.weight_roms),
        "zynq_lstm.sv",
        "project.json",
    }


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("name", ["packed", "in LUTs"])
def test_flips_are_flagged_and_counted(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    made = design(name, rng)
    rtl = Rtl.build(made, tmp_path, quick=True, upsets=True)
    codes = rng.integers(0, 9, 6).tolist()
    flag = registers.bit("ERRORS", "WEIGHT_PARITY")
    expected = Reference(made.network).run(codes)

    run = rtl.score(codes)
    assert run.report["mismatches"] == 0
    assert run.report["cycles_per_character"] == made.schedule.timing("score").cycles_per_character
    calm = rtl.upset(codes, {})
    assert calm.report["errors"] == calm.report["parity_errors"] == 0
    assert np.array_equal(calm.logits, expected)

    for memory, name in INSTANCES.items():
        if f"{memory}_01" not in made.weight_roms:
            continue
        rom, at = made.weight_roms[f"{memory}_01"], 4
        chain = rom.width // (2 * made.array.unit_chains)
        for bit in (0, chain - 1):  # a weight's, and the parity bit itself
            where = Place(f"u_array/gen_segment[1]/u_segment/{name}", int(rng.integers(rom.depth)), bit)
            struck = rtl.upset(codes, {at: dataclasses.asdict(where)})
            assert struck.report["errors"] == flag
            # One error per character; the products U.h for the first of them may be older than the flip.
            assert abs(struck.report["parity_errors"] - len(codes[at:])) <= 1
            assert np.array_equal(struck.logits[:at], expected[:at])
            if bit:
                assert np.array_equal(struck.logits, expected)


@pytest.mark.rtl
@pytest.mark.slow
def test_registers_of_an_engine_with_parity(tmp_path: Path, seed: int, rng: np.random.Generator) -> None:
    rtl = Rtl.build(design("packed", rng), tmp_path, quick=True)
    for test in ("register_map", "strobes"):
        rtl.protocol(test, seed)
