# SPDX-License-Identifier: Apache-2.0
"""Stages from a network of integers to engines that are compared and sized, as the verbs do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape

from zynq_lstm.models.errors import CheckError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.choice import temperature_to_raw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.store import load_tensors, save_tensors
from zynq_lstm.scripts.flow.config import Config
from zynq_lstm.scripts.flow.runner import Figures
from zynq_lstm.scripts.flow.work import Result, Work, array_of, checkpoint_of, verified
from zynq_lstm.sim.engines import Engine
from zynq_lstm.sim.engines.hls import HlsEngine
from zynq_lstm.sim.engines.keras import KerasEngine
from zynq_lstm.sim.engines.reference import ReferenceEngine
from zynq_lstm.sim.engines.rtl import RtlEngine
from zynq_lstm.sim.trace import Comparison, compare

TRACE = "trace.safetensors"
#: Temperatures of the samples in the report, and the most characters in a sample.
SAMPLE_TEMPERATURES, SAMPLE = (0.5, 1.0), 400


def _save_trace(folder: Path, trace: dict[str, Raw], written: Raw) -> None:
    """Save every raw signal and the codes that the engine wrote, in half the width; no value changes."""
    narrow = {name: signal.astype(np.int32) for name, signal in trace.items()}
    for name, signal in trace.items():
        assert np.array_equal(narrow[name], signal), name
    save_tensors(folder / TRACE, narrow | {"written": np.asarray(written, np.int32)}, {})


def load_trace(folder: Path) -> tuple[dict[str, Raw], Raw]:
    """Return every signal that a stage recorded, and the codes that the engine wrote."""
    trace = {name: array.astype(np.int64) for name, array in load_tensors(folder / TRACE)[0].items()}
    return trace, trace.pop("written")


def _writing(config: Config) -> tuple[int, int, int]:
    """Return the number of characters that engines write, the raw temperature, and the seed."""
    chosen = config.verification
    return chosen.generate, temperature_to_raw(chosen.temperature), chosen.seed


def record_reference(work: Work) -> Result:
    """Record the reference, and compare the quantized Keras model with it."""
    config = work.flow.config
    checkpoint, network = checkpoint_of(work)
    codes, prime = verified(work, network)
    reference = ReferenceEngine(checkpoint, network, work.folder)
    expected = work.step("reference, every signal", lambda: reference.whole_trace(codes))
    text = work.step("reference, text", lambda: _text(reference, prime, config))
    _save_trace(work.folder, expected, text)
    figures: Figures = {"characters_per_second": round(len(codes) / reference.seconds(codes)[""])}
    if "keras" in config.verification.engines:
        model = KerasEngine(checkpoint, network, work.folder)
        found = work.step("quantized Keras model, every signal", lambda: model.whole_trace(codes))
        figures["exactness"] = {"keras": _judged(work, "keras", network, (expected, text), found)}
    return [TRACE], figures


def _judged(
    work: Work,
    engine: str,
    network: IntegerNetwork,
    reference: tuple[dict[str, Raw], Raw],
    found: dict[str, Raw],
    written: Raw | None = None,
) -> Figures:
    """Compare an engine's values and text with the reference's, and report the first difference at once."""
    expected, text = reference
    result: Comparison = compare(network, expected, found)
    row: Figures = result.summary()
    if not result.exact:
        row["first"] = f"{engine}: {result.first}"
    if written is not None:
        different = np.flatnonzero(text != written)
        row |= {"written": len(text), "written_different": len(different)}
        if len(different):
            row.setdefault("first", f"{engine}: what it writes differs from character {different[0]} on")
    values, characters = f"{row['values']:,}", f"{row['characters']:,}"
    work.say(f"{engine}: {values} values of {characters} characters, {row['mismatches']} differ")
    if "first" in row:
        work.say(f"[bold red]NOT EXACT[/]: {escape(row['first'])}")
    return row


def run_hls(work: Work) -> Result:
    """Convert, compile and run the HLS C++."""
    from zynq_lstm.hls.parts import full_part

    chosen = work.flow.config.engine
    options: dict[str, Any] = {"part": full_part(chosen.part), "clock_period": 1000 / chosen.clock_mhz}
    if chosen.reuse_factor:
        options["reuse_factor"] = chosen.reuse_factor
    checkpoint, network = checkpoint_of(work)
    engine = HlsEngine(checkpoint, network, work.folder / "project", options)
    work.step("HLS C++ by hls4ml, compiled with g++", engine.build)
    codes, prime = verified(work, network)
    trace = work.step("HLS C++, every signal", lambda: engine.whole_trace(codes))
    written = work.step("HLS C++, text", lambda: _text(engine, prime, work.flow.config))
    _save_trace(work.folder, trace, written)
    return [TRACE], engine.describe() | {
        "exactness": {"hls": _judged(work, "hls", network, load_trace(work.at("reference")), trace, written)},
        "characters_per_second": round(len(codes) / engine.seconds(codes)[""]),
    }


def _text(engine: Engine, prime: NDArray[np.integer], config: Config) -> Raw:
    """Return the codes that an engine writes."""
    return np.array(list(engine.write(prime, *_writing(config))), np.int64)


def _rtl(work: Work) -> RtlEngine:
    """Return the RTL engine that the configuration asks for, before it is built."""
    checkpoint, network = checkpoint_of(work)
    return RtlEngine(checkpoint, network, work.folder, array=array_of(work.flow.config, network.spec))


def write_rtl(work: Work) -> Result:
    """Write the project of the RTL."""
    from zynq_lstm.sim.simulation.rtl import write_project

    design, project = _rtl(work).design, work.folder / "project"
    work.step("RTL, written with its memory files", lambda: write_project(design, project))
    files = sorted(f"project/{path.name}" for path in project.iterdir())
    return files, {
        "identity": design.network.identity,
        "files": len(files),
        "mac_lanes": design.array.lanes,
        "macs_per_character": design.network.spec.macs_per_character(),
    }


def simulate(work: Work) -> Result:
    """Build and run the RTL, which is compared with the reference as it runs."""
    from zynq_lstm.sim.simulation.rtl import PROTOCOL_TESTS

    chosen = work.flow.config.verification
    engine = replace(_rtl(work), simulator=chosen.simulator, project=work.at("rtl") / "project")
    work.step(f"RTL, built with {chosen.simulator.title()}", engine.build)
    codes, prime = verified(work, engine.network)

    def traced(progress: Callable[[int], object]) -> dict[str, Raw]:
        engine.progress = progress
        return engine.whole_trace(codes)

    trace = work.count("RTL under cocotb, every signal", len(codes), traced)
    written = work.step("RTL, text in closed loop", lambda: _text(engine, prime, work.flow.config))
    row = _judged(work, "rtl", engine.network, load_trace(work.at("reference")), trace, written)
    for test in PROTOCOL_TESTS if chosen.protocol else ():
        work.step(f"protocol: {test}", lambda test=test: engine.bench.protocol(test, chosen.seed))  # type: ignore[misc]
    _save_trace(work.folder, trace, written)
    figures = engine.describe()
    cycles = ", ".join(f"{mode} {value:.0f}" for mode, value in figures["cycles_per_character"].items())
    work.say(f"cycles per character: {cycles}")
    return [TRACE], figures | {
        "exactness": {"rtl": row},
        "simulator": chosen.simulator,
        "protocol_tests": list(PROTOCOL_TESTS) if chosen.protocol else [],
    }


def compare_engines(work: Work) -> Result:
    """Refuse engines that differ from the reference; report what the comparison has exercised."""
    from zynq_lstm.scripts.flow.coverage import coverage

    _, network = checkpoint_of(work)
    exactness: Figures = {}
    for stage in ("reference", "hls", "simulate"):
        exactness |= work.figures(stage).get("exactness", {})
    for row in exactness.values():
        if "first" in row:
            raise CheckError(f"NOT EXACT: {row['first']}; 'zynq-lstm compare' finds the place")
    codes, prime = verified(work, network)
    return [], {
        "exactness": exactness,
        "coverage": coverage(network, codes, load_trace(work.at("reference"))[0]),
        "before": "".join(network.vocabulary[code] for code in prime[-120:]),
        "samples": work.step("reference, samples", lambda: _samples(network, prime, work.flow.config)),
    }


def _samples(network: IntegerNetwork, prime: NDArray[np.integer], config: Config) -> list[Figures]:
    """Return texts that the network writes at two temperatures; at temperature 0 a text soon repeats itself.

    If the configuration's temperature is not 0, it is one of the two, and its sample is the text that the
    engines wrote, or the beginning of it.
    """
    from zynq_lstm.models.integers.text import generate

    length, _, seed = _writing(config)
    length, given = min(length, SAMPLE), config.verification.temperature
    cool, warm = SAMPLE_TEMPERATURES
    other = cool if given > (cool + warm) / 2 else warm
    samples = []
    for temperature in sorted((given, other)) if given else SAMPLE_TEMPERATURES:
        codes = generate(network, prime, length, temperature_to_raw(temperature), seed)
        text = "".join(network.vocabulary[code] for code in codes)
        engines = temperature == given
        samples.append({"temperature": temperature, "seed": seed, "engines": engines, "text": text})
    return samples


def synthesize(work: Work) -> Result:
    """Count the RTL's resource use on the part; fail if the netlist has a fault."""
    from zynq_lstm.hls.parts import parts
    from zynq_lstm.hls.synthesis import yosys
    from zynq_lstm.hls.synthesis.netlist import check, summary, synthesized
    from zynq_lstm.sim.simulation.rtl import write_project

    project = work.folder / "rtl"
    write_project(_rtl(work).design, project)
    part = work.flow.config.engine.part
    report = work.step("synthesis with Yosys", lambda: yosys.synthesize(project, part))
    used = ", ".join(
        f"{report[name]:,g} of {has:,} {name}" for name, has in parts()[report["part"]].resources().items()
    )
    work.say(f"{report['part']}: {used}")
    found = work.step("checking the netlist", lambda: check(synthesized(project)))
    for line in summary(found, paths=0):
        work.say(line)
    if found.faults:
        raise CheckError(f"the netlist has a fault: {found.faults[0]} ({len(found.faults)} in all)")
    return [], {**report, "lut_levels": found.lut_levels}
