# SPDX-License-Identifier: Apache-2.0
"""The limits of ``models.integers.limits``, and so of 'estimate', against building the engines.

Networks are drawn far beyond what any engine takes. An engine is built if its files are generated and
elaborated: SystemVerilog by lint of Verilator, C++ by g++ without code. That succeeds if and only if the
limits give no reason against it; otherwise the engine itself must refuse the network, with a UserError.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.strategies import SearchStrategy

from tests.hls.hls4ml_networks import kernel_includes
from tests.networks import LETTERS, small_spec, with_weights
from tests.specs import small_specs, specs
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import estimate, fitting_array
from zynq_lstm.models.description.spec import NetworkSpec, network_spec, with_formats
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Raw
from zynq_lstm.models.integers.freeze import thaw
from zynq_lstm.models.integers.limits import ENGINES, reasons, require
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.simulation.rtl import Rtl, write_project
from zynq_lstm.sim.simulation.simulator import TOP
from zynq_lstm.sim.simulation.verilator import verilator_root
from zynq_lstm.sim.trace import compare

QUICK = {"rtl": 16, "hls": 2}  # networks, for every run of the tests
NIGHTLY = 500
COMPARED = 16  # networks whose integers are compared, each night
LIGHT = ("reference", "rtl")  # engines that need neither TensorFlow nor g++


def networks(spec: NetworkSpec) -> Iterator[IntegerNetwork]:
    """Yield networks with extreme weights, in every combination of signs of the kinds of arrays."""
    shapes, formats = spec.weight_shapes(), spec.weight_formats()
    kinds = sorted({name.rsplit(".", 1)[1] for name in shapes})
    for ends in itertools.product(("min_raw", "max_raw"), repeat=len(kinds)):
        end = dict(zip(kinds, ends, strict=True))
        weights = {
            name: np.full(shape, getattr(formats[name], end[name.rsplit(".", 1)[1]]))
            for name, shape in shapes.items()
        }
        yield IntegerNetwork.from_weights(spec, LETTERS[: spec.vocabulary], weights)


def build_reference(network: IntegerNetwork, folder: Path) -> None:
    Reference(network).run(np.arange(2))


def build_keras(network: IntegerNetwork, folder: Path) -> None:
    from zynq_lstm.models.keras.quantized import quantized_model

    quantized_model(thaw(network))


@functools.cache
def precompiled() -> tempfile.TemporaryDirectory[str]:
    """A folder with ``all.h``: the headers that every project includes, read by g++ once."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name)
    names = ("ap_fixed.h", "ap_int.h", "nnet_helpers.h", "zynq_lstm.h")
    (path / "all.h").write_text("".join(f'#include "{name}"\n' for name in names))
    gxx("-x", "c++-header", *kernel_includes(path), "all.h", "-o", "all.h.gch", folder=path)
    return folder


def gxx(*arguments: str, folder: Path) -> None:
    """Run g++ in a folder, in the mode that the headers are precompiled for."""
    command = ["g++", "-std=c++11", "-w", "-O0", "-fPIC", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not done.returncode, done.stderr[:2000]


def generated_hls(network: IntegerNetwork, folder: Path) -> Any:
    """Write the C++ of a network, and return its graph."""
    from zynq_lstm.hls.hls4ml.convert import convert, save
    from zynq_lstm.models.keras.quantized import quantized_model

    require("hls", network.spec)  # as 'convert' does
    graph = convert(quantized_model(thaw(network)), folder)
    save(graph)
    return graph


def build_hls(network: IntegerNetwork, folder: Path) -> None:
    project = generated_hls(network, folder).config.get_project_name()
    headers = ("-include", str(Path(precompiled().name, "all.h")), "-I", "ap_types")
    gxx("-fsyntax-only", *headers, f"{project}.cpp", folder=folder / "firmware")


def build_rtl(network: IntegerNetwork, folder: Path) -> None:
    write_project(Design(network, fitting_array(network.spec)), folder)
    root = verilator_root()
    done = subprocess.run(
        [
            str(root / "bin" / "verilator_bin"),
            *("--lint-only", "-DZYNQ_LSTM_TRACE", "--timescale", "1ns/1ps", "--top-module", TOP),
            *map(str, sorted(folder.glob("*.sv"))),
        ],
        cwd=folder,
        env={**os.environ, "VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr[:2000]


BUILD: dict[str, Callable[[IntegerNetwork, Path], None]] = {
    "reference": build_reference,
    "keras": build_keras,
    "hls": build_hls,
    "rtl": build_rtl,
}


def disagreement(engine: str, spec: NetworkSpec) -> str | None:
    """Return how building an engine contradicts its limits; None if it does not."""
    why = reasons(engine, spec)
    refusals = []
    try:
        # Only the weights of one network may cause a refusal; if one network is built, that is enough.
        for network in networks(spec):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    BUILD[engine](network, Path(folder, "built"))
                except UserError as error:
                    refusals.append(str(error))
            if not why or refusals:
                break
    except UserError as error:  # raised by the integer network itself
        refusals.append(str(error))
    except Exception as error:  # a defect, which the record counts
        return f"{engine}: {type(error).__name__}: {error}"
    if bool(why) == bool(refusals):
        return None
    return f"{engine}: said {list(why)}, found {refusals}"


def estimate_agrees(spec: NetworkSpec) -> bool:
    """Return True if 'estimate' refuses a network exactly when the RTL's limits do."""
    try:
        estimate(spec)
    except UserError:
        return bool(reasons("rtl", spec))
    return not reasons("rtl", spec)


def drawn(
    count: int,
    check: Callable[[NetworkSpec], None],
    shrinks: bool = True,
    networks: SearchStrategy[NetworkSpec] | None = None,
) -> None:
    """Check ``count`` drawn networks; with ``shrinks``, show the smallest that fails."""

    @settings(
        max_examples=count,
        phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(specs() if networks is None else networks)
    def each(spec: NetworkSpec) -> None:
        check(spec)

    each()


@pytest.mark.rtl
def test_the_rtl_is_built_if_and_only_if_nothing_is_said_against_it() -> None:
    verdicts: Counter[bool] = Counter()

    def check(spec: NetworkSpec) -> None:
        assert estimate_agrees(spec)
        assert [found for engine in LIGHT if (found := disagreement(engine, spec))] == []
        verdicts[not reasons("rtl", spec)] += 1

    drawn(QUICK["rtl"], check)
    assert min(verdicts[True], verdicts[False]) > 0, verdicts  # both verdicts occurred


@pytest.mark.hls
def test_the_hls_cpp_is_built_if_and_only_if_nothing_is_said_against_it() -> None:
    drawn(QUICK["hls"], lambda spec: _agrees(("keras", "hls"), spec), shrinks=False)


def _agrees(engines: tuple[str, ...], spec: NetworkSpec) -> None:
    assert [found for engine in engines if (found := disagreement(engine, spec))] == []


@pytest.mark.nightly
@pytest.mark.timeout(6 * 3600)
def test_every_engine_on_many_networks(write_record: Callable[[dict[str, Any]], None], seed: int) -> None:
    """Also writes a record: networks checked, verdicts of each engine, disagreements."""
    found: list[str] = []
    counts: dict[str, Counter[str]] = {engine: Counter() for engine in ENGINES}
    checked = 0

    def check(spec: NetworkSpec) -> None:
        nonlocal checked
        checked += 1
        told = [] if estimate_agrees(spec) else ["estimate disagrees with the limits of the RTL"]
        for engine in ENGINES:
            counts[engine]["refused" if reasons(engine, spec) else "built"] += 1
            if difference := disagreement(engine, spec):
                told.append(difference)
        found.extend(f"{line} for {json.dumps(spec.to_dict())}" for line in told)

    drawn(NIGHTLY, check, shrinks=False)
    write_record(records.new(records.SPECS, seed, checked=checked, disagreements=len(found), engines=counts))
    assert found == []
    assert checked >= NIGHTLY


@pytest.mark.parametrize("gate", ["ap_ufixed<4,8>", "ap_fixed<3,5,AP_TRN>"])
def test_a_gru_s_gates_may_be_coarser_than_1(gate: str) -> None:
    spec = with_formats(network_spec(vocabulary=5, units=3, cell="gru"), {"gate": FixedFormat.parse(gate)})
    assert reasons("reference", spec) == ()
    assert disagreement("reference", spec) is None


CODES = np.random.default_rng(0).integers(0, 2, 24)  # legal in any vocabulary


def trace_keras(network: IntegerNetwork, folder: Path) -> dict[str, Raw]:
    from zynq_lstm.models.keras.quantized import quantized_model, trace

    return trace(quantized_model(thaw(network)), CODES)


def trace_hls(network: IntegerNetwork, folder: Path, option: str = "") -> dict[str, Raw]:
    """The C++ as hls4ml compiles it, but for speed; its other sums with an ``option``."""
    from zynq_lstm import hls

    graph = generated_hls(network, folder)
    script = folder / "build_lib.sh"
    text = script.read_text()
    assert 'CFLAGS="-O3' in text
    script.write_text(text.replace('CFLAGS="-O3', f'CFLAGS="{option} -O0'))
    graph._compile()
    return hls.trace(graph, CODES)


def trace_ap_int(network: IntegerNetwork, folder: Path) -> dict[str, Raw]:
    return trace_hls(network, folder, "-DZYNQ_LSTM_AP_INT")


def trace_rtl(network: IntegerNetwork, folder: Path) -> dict[str, Raw]:
    return Rtl.build(Design(network, fitting_array(network.spec)), folder, quick=True).score(CODES).trace


#: Functions that give an engine's integers. "ap_int": the HLS C++ with the sums that synthesis uses.
TRACE: dict[str, Callable[[IntegerNetwork, Path], dict[str, Raw]]] = {
    "keras": trace_keras,
    "hls": trace_hls,
    "ap_int": trace_ap_int,
    "rtl": trace_rtl,
}


def unequal(kind: str, network: IntegerNetwork) -> str | None:
    """Return the first signal in which an engine and the reference differ; None if there is none."""
    expected: dict[str, Raw] = {}
    Reference(network).run(CODES, expected)
    with tempfile.TemporaryDirectory() as folder:
        result = compare(network, expected, TRACE[kind](network, Path(folder, "built")))
    return None if result.exact else f"{kind}: {result.first}"


@pytest.mark.hls
@pytest.mark.parametrize("kind", ["keras", "hls"])
def test_unsigned_signals_have_the_reference_s_integers(kind: str) -> None:
    unsigned = {"z": "<8,3>", "g": "<8,0>", "c": "<12,2>", "ct": "<8,2>", "tc": "<8,0>", "h": "<8,0>"}
    formats = {name: f"ap_ufixed{size}" for name, size in unsigned.items()}
    spec = small_spec("w8a8", 7, (4, 3), logits="ap_ufixed<12,4,AP_TRN>", **formats)
    network = with_weights(spec, np.random.default_rng(1))
    signals: dict[str, Raw] = {}
    Reference(network).run(CODES, signals)
    for name in ("z", "c", "ct", "h"):  # the highest bit is used
        fmt = spec.layers[0].formats.format(name)
        assert signals[f"layers.0.{name}"].max() > fmt.max_raw // 2
    assert unequal(kind, network) is None


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "engine, kinds",
    [("hls", ("keras", "hls", "ap_int")), pytest.param("rtl", ("rtl",), marks=pytest.mark.rtl)],
)
def test_integers_are_the_reference_s_on_drawn_networks(
    engine: str, kinds: tuple[str, ...], seed: int
) -> None:
    """A stronger check than building alone: all signals of the engines that can be built are equal."""

    def check(spec: NetworkSpec) -> None:
        assume(not reasons(engine, spec))
        rng = np.random.default_rng(seed)
        network = with_weights(spec, rng, extreme=bool(rng.integers(2)))
        assert [found for kind in kinds if (found := unequal(kind, network))] == []

    drawn(COMPARED, check, shrinks=False, networks=small_specs(free=engine == "hls"))


@pytest.mark.parametrize("engine", ENGINES)
def test_presets_are_within_every_limit(engine: str) -> None:
    for preset in ("w8a8", "w4a8", "w2a8", "q8.8"):
        assert reasons(engine, small_spec(preset, 256, (512, 512, 512, 512))) == ()


@pytest.mark.parametrize(
    "engine, formats, message",
    [
        ("keras", {"U": "ap_fixed<1,1,AP_RND_CONV,AP_SAT_SYM>"}, r"layers\.0\.U: .* at least 2 bits"),
        ("keras", {"b": "ap_fixed<26,6,AP_RND_CONV,AP_SAT_SYM>"}, r"layers\.0\.b: .* at most 25 bits"),
        ("keras", {"U": "ap_fixed<8,2>"}, r"layers\.0\.U: .* signed with AP_RND_CONV and AP_SAT_SYM"),
        ("hls", {"z": "ap_fixed<1,2,AP_RND,AP_SAT_SYM>"}, r"format z: can hold only 0, .* use AP_SAT"),
        ("hls", {"z": "ap_fixed<1,2>", "c": "ap_fixed<2,2,AP_RND,AP_SAT_SYM>"}, None),
        ("hls", {"z": "ap_ufixed<8,3>", "h": "ap_ufixed<8,0>", "logits": "ap_ufixed<1,-4,AP_TRN>"}, None),
        ("hls", {"logits": "ap_fixed<26,6>"}, "format logits: .* float32, which holds 25 bits"),
        ("keras", {"h": "ap_ufixed<25,1>"}, r"layers\[0\]: format h: .* float32"),
        (
            "reference",
            {"c": "ap_fixed<30,5>", "gate": "ap_ufixed<28,0>"},
            r"layers\[0\]: a sum or product might",
        ),
        ("reference", {"logits": "ap_fixed<4,36>"}, "logits in .* too coarse or too fine to be sampled"),
        ("reference", {"b": "ap_fixed<24,14>", "U": "ap_fixed<32,0>"}, r"x\.W \+ h\.U \+ b might reach"),
        ("keras", {"U": "ap_fixed<25,2,AP_RND_CONV,AP_SAT_SYM>", "logits": "ap_fixed<25,6>"}, None),
        ("keras", {"U": "ap_fixed<2,1,AP_RND_CONV,AP_SAT_SYM>", "h": "ap_ufixed<24,0>"}, None),
        ("rtl", {"U": "ap_fixed<16,2>", "c": "ap_fixed<16,5>", "gate": "ap_ufixed<15,0>"}, None),
        ("rtl", {"W": "ap_fixed<17,2>"}, None),  # W only selects a row; nothing is multiplied by it
        ("rtl", {"U": "ap_fixed<17,2>"}, r"format of layers\.0\.U: the RTL multiplies weights of at most 16"),
    ],
)
def test_limits_are_named(engine: str, formats: dict[str, str], message: str | None) -> None:
    spec = small_spec("w8a8", 5, (4,), **formats)
    if message is None:
        require(engine, spec)
        return
    with pytest.raises(UserError, match=message) as error:
        require(engine, spec)
    assert "\n" not in str(error.value)
