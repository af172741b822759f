# SPDX-License-Identifier: Apache-2.0
"""The stages from a network of integers to compared and sized engines, as the verbs do it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.errors import CheckError
from models.network import IntegerNetwork
from models.store import load_tensors, save_tensors
from scripts.engines import rtl_figures
from scripts.flow.config import Config
from scripts.flow.runner import Figures
from scripts.flow.work import Result, Work, array_of, checkpoint_of, verified
from sim.fixed import Raw
from sim.sampling import temperature_to_raw
from sim.trace import Comparison, compare

T = TypeVar("T")
TRACE = "trace.safetensors"
#: Temperatures of the samples in the report, and their characters at most.
SAMPLE_TEMPERATURES, SAMPLE = (0.5, 1.0), 400


def _save_trace(folder: Path, trace: dict[str, Raw], written: Raw) -> None:
    """Every signal, raw, and the codes that the engine wrote; half as wide as they come, and no bit less."""
    narrow = {name: signal.astype(np.int32) for name, signal in trace.items()}
    for name, signal in trace.items():
        assert np.array_equal(narrow[name], signal), name
    save_tensors(folder / TRACE, narrow | {"written": np.asarray(written, np.int32)}, {})


def _load_trace(folder: Path) -> tuple[dict[str, Raw], Raw]:
    trace = {name: array.astype(np.int64) for name, array in load_tensors(folder / TRACE)[0].items()}
    return trace, trace.pop("written")


def _writing(config: Config) -> tuple[int, int, int]:
    """How many characters engines write, at which raw temperature, with which seed."""
    chosen = config.verification
    return chosen.generate, temperature_to_raw(chosen.temperature), chosen.seed


def run_hls(work: Work) -> Result:
    """Convert, compile and run the HLS C++."""
    from hls import simulate as csim
    from hls.convert import compile_model, convert
    from hls.synthesis import full_part
    from models.quantized import quantized_model

    engine = work.flow.config.engine
    checkpoint, network = checkpoint_of(work)
    options: dict[str, Any] = {
        "part": full_part(engine.part),
        "clock_period": 1000 / engine.clock_mhz,
    }
    if engine.reuse_factor:
        options["reuse_factor"] = engine.reuse_factor
    graph = work.step(
        "conversion by hls4ml",
        lambda: convert(quantized_model(checkpoint), work.folder / "project", "Vitis", **options),
    )
    work.step("compiling the C++", lambda: compile_model(graph))
    codes, prime = verified(work, network)
    trace = work.step(f"every signal of {len(codes):,} characters", lambda: csim.trace(graph, codes))
    csim.reset(graph)
    seconds, _ = _timed(lambda: csim.run(graph, codes))
    written = work.step("text", lambda: csim.generate(graph, prime, *_writing(work.flow.config)))
    _save_trace(work.folder, trace, written)
    layers = [
        {
            "layer": node.name,
            "reuse_factor": node.get_attr("reuse_factor"),
            "multipliers": node.get_attr("lanes") * node.get_attr("rows"),
        }
        for node in list(graph.get_layers())[1:]
    ]
    return [TRACE], {"layers": layers, "characters_per_second": round(len(codes) / seconds)}


def _timed(run: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = run()
    return time.perf_counter() - started, result


def write_rtl(work: Work) -> Result:
    """Write the project of the RTL."""
    from hls.design import Design
    from sim.rtl import write_project

    network = checkpoint_of(work)[1]
    design = Design(network, array_of(work.flow.config, network.spec))
    project = work.folder / "project"
    work.step("writing SystemVerilog and memory files", lambda: write_project(design, project))
    files = sorted(f"project/{path.name}" for path in project.iterdir())
    return files, {
        "identity": network.identity,
        "files": len(files),
        "mac_lanes": design.array.lanes,
        "macs_per_character": network.spec.macs_per_character(),
    }


def simulate(work: Work) -> Result:
    """Build and run the RTL, which is held to the reference as it runs."""
    from hls.design import Design
    from sim.rtl import PROTOCOL_TESTS, Rtl

    chosen = work.flow.config.verification
    network = checkpoint_of(work)[1]
    design = Design(network, array_of(work.flow.config, network.spec))
    rtl = work.step(
        f"building with {chosen.simulator}",
        lambda: Rtl.build(
            design, work.folder, simulator=chosen.simulator, project=work.at("rtl") / "project"
        ),
    )
    codes, prime = verified(work, network)
    scored = work.count(
        "every signal, character by character",
        len(codes),
        lambda progress: rtl.score(codes, progress=progress),
    )
    length, temperature_raw, seed = _writing(work.flow.config)
    written = work.step(
        f"{length:,} characters in closed loop",
        lambda: rtl.generate(prime, length, temperature_raw=temperature_raw, seed=seed),
    )
    for test in PROTOCOL_TESTS if chosen.protocol else ():
        work.step(f"protocol: {test}", lambda test=test: rtl.protocol(test, chosen.seed))  # type: ignore[misc]
    _save_trace(work.folder, scored.trace, np.asarray(written.report["generated"]))
    figures = rtl_figures(network, design.array.lanes, scored.report, written.report)
    cycles = ", ".join(f"{mode} {value:.0f}" for mode, value in figures["cycles_per_character"].items())
    work.say(f"cycles a character: {cycles}")
    rate = round(scored.report["characters"] / scored.report["seconds"])
    return [TRACE], figures | {
        "simulator": chosen.simulator,
        "characters_per_second": rate,
        "protocol_tests": list(PROTOCOL_TESTS) if chosen.protocol else [],
    }


def compare_engines(work: Work) -> Result:
    """Compare what all engines recorded with the reference; anything different fails."""
    from models import quantized
    from scripts.flow.coverage import coverage
    from sim.generate import generate
    from sim.reference import Reference

    config = work.flow.config
    checkpoint, network = checkpoint_of(work)
    codes, prime = verified(work, network)
    expected: dict[str, Raw] = {}
    work.step(f"reference: {len(codes):,} characters", lambda: Reference(network).run(codes, expected))
    text = work.step("reference: text", lambda: generate(network, prime, *_writing(config)))
    exactness: Figures = {}
    firsts: list[str] = []

    def judge(engine: str, found: dict[str, Raw], written: Raw | None = None) -> None:
        result: Comparison = compare(network, expected, found)
        exactness[engine] = result.summary()
        if written is not None:
            exactness[engine]["written"] = len(text)
            exactness[engine]["written_different"] = int(np.count_nonzero(text != written))
        if not result.exact:
            firsts.append(f"{engine}: {result.first}")
        elif written is not None and exactness[engine]["written_different"]:
            at = int(np.argmax(text != written))
            firsts.append(f"{engine}: what it writes differs from character {at} on")

    if "keras" in config.verification.engines:
        model = quantized.quantized_model(checkpoint)
        judge("keras", work.step("quantized Keras model", lambda: dict(quantized.trace(model, codes))))
    for engine, stage in (("hls", "hls"), ("rtl", "simulate")):
        if engine in config.verification.engines:
            judge(engine, *_load_trace(work.at(stage)))
    for engine, row in exactness.items():
        values, characters = f"{row['values']:,}", f"{row['characters']:,}"
        work.say(f"{engine}: {values} values of {characters} characters, {row['mismatches']} differ")
    if firsts:
        raise CheckError(f"NOT EXACT: {firsts[0]}; 'zynq-lstm compare' finds the place")
    before = "".join(network.vocabulary[code] for code in prime[-120:])
    samples = work.step("reference: samples", lambda: _samples(network, prime, config))
    return [], {
        "exactness": exactness,
        "coverage": coverage(network, codes, expected),
        "before": before,
        "samples": samples,
    }


def _samples(network: IntegerNetwork, prime: NDArray[np.integer], config: Config) -> list[Figures]:
    """What the network writes at two temperatures; always the likeliest character soon goes in circles.

    One is the configuration's, if that draws: then this is the text that the engines wrote, or its beginning.
    """
    from sim.generate import generate

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
    """Count what the RTL takes of the part; a fault of the netlist fails."""
    from hls import synthesis
    from hls.design import Design
    from hls.netlist import check, summary, synthesized
    from sim.rtl import write_project

    network = checkpoint_of(work)[1]
    project = work.folder / "rtl"
    write_project(Design(network, array_of(work.flow.config, network.spec)), project)
    report = work.step("Yosys", lambda: synthesis.synthesize(project, work.flow.config.engine.part))
    used = ", ".join(
        f"{report[name]:,g} of {has:,} {name}" for name, has in synthesis.PARTS[report["part"]].items()
    )
    work.say(f"{report['part']}: {used}")
    found = work.step("checking the netlist", lambda: check(synthesized(project)))
    for line in summary(found, paths=0):
        work.say(line)
    if found.faults:
        raise CheckError(f"the netlist has a fault: {found.faults[0]} ({len(found.faults)} in all)")
    return [], {**report, "lut_levels": found.lut_levels}
