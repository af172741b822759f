# SPDX-License-Identifier: Apache-2.0
"""The same flips of state in the RTL, which must agree with the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.models.errors import CheckError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.sim.campaigns.upsets.state import (
    U_SUMS,
    Flip,
    StruckReference,
    flip_bits,
    random_flips,
    readers_of_state,
    state_bits,
    state_signals,
)
from zynq_lstm.sim.simulation.rtl import Rtl, RtlRun


@dataclass(frozen=True)
class Place:
    """Place of a bit in the RTL.

    Args:
        memory: path of the memory below the core, with ``/`` between the levels.
        word: address.
        bit: bit of the word.
        written: (phase, row, place) of the write to the hidden buffer at which the bit flips; None: it flips
            while the engine is idle.
    """

    memory: str
    word: int
    bit: int
    written: tuple[int, int, int] | None = None


def place(design: Design, flip: Flip, character: int) -> Place:
    """Return the place of a flip at a character; characters are numbered from 0 since reset."""
    spec, array = design.network.spec.layers[flip.layer], design.array
    layout, cell = design.layout, spec.formats.description
    stages = [stage for stage in layout.stages if stage.layer == flip.layer]
    if flip.signal == "h":
        stage = stages[-1]
        lanes, p = stage.packing.pipelines, stage.pipeline
        row, lane = divmod(flip.index, array.depth)
        row += layout.first_row(stage)
        phase = character % 2
        address = phase << max(1, (layout.buffer_rows(layout.pipelines[p]) - 1).bit_length()) | row
        return Place(
            f"u_gates/u_p{p}_hidden/gen_lane[{lane}]/u_lane", address, flip.bit, (phase, row, lane // lanes)
        )
    if flip.signal == U_SUMS:
        stage = stages[0]
        gate, unit = divmod(flip.index, spec.units)
        word, lane = divmod(unit, stage.packing.pipelines)
        bit = stage.level.gates.index(cell.gates[gate]) * design.sum_bits + flip.bit
        memory, address = "u_sums", layout.first_beat(stage) + word
    else:
        name = flip.signal.removesuffix("'")
        (reader,) = readers_of_state(cell, name)
        stage = stages[reader.number]
        unit = layout.first_unit(stage) + flip.index
        if name not in reader.signals:  # another pipeline writes it
            writer = next(s for s in stages if name in s.level.signals)
            banks = max(s.packing.pipelines for s in (writer, stage))
            memory = f"u_gates/u_p{stage.pipeline}_{name}_kept/gen_bank[{unit % banks}]/u_words/u_words"
            return Place(memory, unit // banks, flip.bit)
        address, lane = divmod(unit, stage.packing.pipelines)
        memory, bit = f"u_{name}", flip.bit
    return Place(f"u_gates/gen_p{stage.pipeline}_lane[{lane}]/u_gates/{memory}/u_words", address, bit)


def strike(rtl: Rtl, codes: Sequence[int], flips: Mapping[int, Flip]) -> dict[str, Raw]:
    """Score ``codes``, one at a time, with bits flipped before (h: in) some characters.

    Args:
        rtl: engine built with ``upsets``, so that a bench can write to its memories.
        flips: flips by the number of their character.

    Returns:
        Every signal.
    """
    places = {n: asdict(place(rtl.design, flip, n)) for n, flip in flips.items()}
    run: RtlRun = rtl.upset(codes, places)
    return run.trace


def expected(design: Design, codes: Sequence[int], flips: Mapping[int, Flip]) -> dict[str, Raw]:
    """Return what :func:`strike` must give: logits and, for each layer, h as it is written, and c."""
    reference = StruckReference(design)
    found: dict[str, list[Raw]] = {}
    for n, code in enumerate(codes):
        if n in flips:
            logits = reference.strike(np.array([code]), [flips[n]])[0]
        else:
            logits = reference.run([code])[0]
        found.setdefault("logits", []).append(logits)
        for name, arrays in (("h", reference.state.h), ("c", reference.state.c)):
            for k, values in enumerate(arrays):
                if name == "c" and not design.network.spec.layers[k].formats.has_c:
                    continue
                row = values.copy()
                if n in flips and flips[n].signal == name == "h":
                    flip_bits(row, [flips[n]], "h", k, state_bits(design, "h", k))
                found.setdefault(f"layers.{k}.{name}", []).append(row[0])
    return {name: np.array(rows) for name, rows in found.items()}


def compare(rtl: Rtl, count: int, seed: int) -> dict[str, int]:
    """Make ``count`` random flips of each signal of each layer in one run of the RTL; return the counts.

    Raises:
        CheckError: if the RTL differs from the reference.
    """
    rng, design = np.random.default_rng(seed), rtl.design
    flips = [
        rng.choice(random_flips(design, signal, layer, 1, rng))  # type: ignore[arg-type]
        for layer in range(len(design.network.spec.layers))
        for signal in state_signals(design, layer)
        for _ in range(count)
    ]
    return compare_flips(rtl, flips, rng)


def compare_flips(rtl: Rtl, flips: Sequence[Flip], rng: np.random.Generator) -> dict[str, int]:
    """Make these flips in random order in one run of the RTL; otherwise as :func:`compare`."""
    design = rtl.design
    order = rng.permutation(len(flips))
    by_character = {1 + 2 * n: flips[k] for n, k in enumerate(order)}
    codes = rng.integers(0, design.network.spec.vocabulary, 2 * len(flips) + 2).tolist()
    got = strike(rtl, codes, by_character)
    for name, values in expected(design, codes, by_character).items():
        wrong = np.argwhere(got[name] != values)
        if len(wrong):
            n = int(wrong[0][0])
            raise CheckError(
                f"{name} of character {n} differs after {by_character.get(n, 'an earlier flip')}"
            )
    calm = Reference(design.network).run(codes)
    return {
        "flips": len(flips),
        "characters": len(codes),
        "disturbed": int((calm != got["logits"]).any(axis=1).sum()),
    }
