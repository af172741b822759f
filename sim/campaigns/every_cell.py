# SPDX-License-Identifier: Apache-2.0
"""Every cell on every engine, compared signal by signal: two layers with as many parameters as the LSTM's.

The weights are random and spread over their formats, so that sums saturate and tables are used to their ends.
Trained networks use a small part of that. Single faults in each cell's gate pipelines, on a smaller design,
show what such a comparison finds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.estimate import estimate
from zynq_lstm.hls.engine.gates import latency
from zynq_lstm.hls.engine.stages import Layout
from zynq_lstm.models.cells import catalogue, sizes
from zynq_lstm.models.description.spec import NetworkSpec, network_spec
from zynq_lstm.models.errors import CheckError
from zynq_lstm.models.integers.choice import temperature_to_raw
from zynq_lstm.models.integers.freeze import thaw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.sim.campaigns import mutants, records
from zynq_lstm.sim.engines import Engine, registry
from zynq_lstm.sim.engines.reference import ReferenceEngine
from zynq_lstm.sim.engines.rtl import RtlEngine
from zynq_lstm.sim.trace import compare

ENGINES = ("keras", "hls", "rtl")
LSTM_UNITS = 128
VOCABULARY = "".join(map(chr, range(32, 32 + 65)))
TEMPERATURE = 0.8
MUTANTS = 150  # of each cell's gate pipelines
PRIME = 8  # characters before the generated ones


def fair_units(cell: str) -> int:
    """Return the units of each of two layers that have about as many parameters as the LSTM's of 128."""
    return sizes.units_like_lstm(cell, 2, len(VOCABULARY), LSTM_UNITS)


def random_network(spec: NetworkSpec, seed: int) -> IntegerNetwork:
    """Return a network of random weights."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, fmt in spec.weight_formats().items():
        spread = rng.normal(0, fmt.max_raw / 4, spec.weight_shapes()[name])
        weights[name] = np.clip(spread.astype(np.int64), fmt.min_raw, fmt.max_raw)
    return IntegerNetwork.from_weights(spec, VOCABULARY[: spec.vocabulary], weights)


def measure(
    spec: NetworkSpec,
    array: Array,
    folder: Path,
    characters: int,
    length: int,
    seed: int,
    progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Run a network on every engine, and return the comparison with the reference and the cost in RTL.

    Args:
        folder: folder to build in.
        characters: random characters whose signals are all compared.
        length: characters to generate with a temperature, which are compared as well.
        progress: called with each engine's name.
    """
    network = random_network(spec, seed)
    source = thaw(network)
    codes = np.random.default_rng(seed).integers(0, spec.vocabulary, characters)
    reference = ReferenceEngine(source, network, folder)
    expected = reference.whole_trace(codes)
    asked = codes[:PRIME], length, temperature_to_raw(TEMPERATURE), seed
    text = list(reference.write(*asked))
    found: dict[str, Any] = {"units": spec.layers[0].units}
    for name in ENGINES:
        progress(name)
        engine = _engine(name, source, network, folder / name, array)
        engine.build()
        result = compare(network, expected, engine.whole_trace(codes))
        wrong = sum(a != b for a, b in zip(text, engine.write(*asked), strict=True))
        found[name] = result.summary() | {"generated": length}
        found[name]["mismatches"] += wrong
        if name == "rtl":
            found["cycles"] = engine.describe()["cycles_per_character"]
    cost = estimate(spec, array)
    planned = {"generate": cost.cycles_generate, "score": cost.cycles_score}
    if found["cycles"] != planned:
        raise CheckError(f"the RTL takes {found['cycles']} cycles a character, the estimate says {planned}")
    own = {"dsp": cost.dsp, "bram36": cost.bram36, "lut": cost.lut_about}
    return found | own | {"gate_latency": _latency(spec, array)}


def _latency(spec: NetworkSpec, array: Array) -> int:
    """Return the cycles of all levels' pipelines, one after the other."""
    return sum(latency(stage.level) for stage in Layout(spec, array).stages if stage.layer == 0)


def _engine(name: str, source: Any, network: IntegerNetwork, folder: Path, array: Array) -> Engine:
    if name == "rtl":
        return RtlEngine(source, network, folder, array=array)
    return registry()[name](source, network, folder)


def measure_all(
    folder: Path,
    seed: int,
    characters: int = 2048,
    length: int = 2000,
    progress: Callable[[str], object] = lambda _: None,
    *,
    faults: int = MUTANTS,
) -> dict[str, Any]:
    """Return the record of every cell of the catalogue: :func:`measure` on the default array, and mutants.

    Args:
        faults: mutants to make of each cell's gate pipelines
            (:func:`zynq_lstm.sim.campaigns.mutants.measure_gates`).
    """
    found = {}
    for cell in catalogue.names():
        spec = network_spec(vocabulary=len(VOCABULARY), units=fair_units(cell), cell=cell)
        told = lambda step, cell=cell: progress(f"{cell}: {step}")  # noqa: E731
        found[cell] = measure(spec, Array(), folder / cell, characters, length, seed, told)
        found[cell]["mutants"] = mutants.measure_gates(cell, folder / cell / "mutants", faults, seed, told)
    return records.new(records.CELLS, seed, cells=found)


HEADINGS = (
    *("cell", "units", "values", "differ", "generate", "score", "gates"),
    *("DSP48E1", "block RAMs", "LUTs", "mutants found"),
)


def rows(record: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the figures of each cell as text, in the order of :data:`HEADINGS`."""
    found = []
    for name, row in record["cells"].items():
        engines = [row[engine] for engine in ENGINES]
        found.append(
            (
                name,
                str(row["units"]),
                f"{sum(engine['values'] for engine in engines):,}",
                str(sum(engine["mismatches"] for engine in engines)),
                *(f"{row['cycles'][mode]:g}" for mode in ("generate", "score")),
                *(f"{row[key]:,}" for key in ("gate_latency", "dsp", "bram36", "lut")),
                f"{100 * mutants.share(row['mutants']):.1f} %",
            )
        )
    return found


def markdown(record: dict[str, Any]) -> str:
    """Return the table for the documentation."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" + "|---:" * (len(HEADINGS) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows(record))]) + "\n"
