# SPDX-License-Identifier: Apache-2.0
"""Random networks within everything that the RTL takes, and the search for one on which engines part.

Shapes, arrays, formats, functions of the tables, weights (also nothing but extremes) and texts are drawn by
Hypothesis, which makes a failing case as small as it can; what is left is saved and replayed from a folder.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.schedule import Array
from zynq_lstm.models.description.spec import FUNCTIONS, DenseFormats, Layer, LstmFormats, NetworkSpec
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.fixed import FixedFormat, Overflow, Rounding
from zynq_lstm.models.integers.choice import TEMPERATURE
from zynq_lstm.models.integers.freeze import thaw
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.store import write_json
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.engines import registry
from zynq_lstm.sim.engines.reference import ReferenceEngine
from zynq_lstm.sim.engines.rtl import RtlEngine
from zynq_lstm.sim.simulation.rtl import Sequence
from zynq_lstm.sim.trace import compare

NETWORK_FILE, CASE_FILE = "network.safetensors", "case.json"
VOCABULARY = "".join(map(chr, range(33, 33 + 24)))  # the longest


@dataclass(frozen=True)
class Case:
    """A design and what it is asked: score ``codes``, then generate ``length`` characters behind one."""

    design: Design
    codes: tuple[int, ...]
    length: int
    temperature_raw: int
    seed: int

    def save(self, folder: Path) -> None:
        """Two files that :meth:`load` reads."""
        self.design.network.save(folder / NETWORK_FILE)
        asked = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "design"}
        data = {"array": dataclasses.asdict(self.design.array), "asked": asked}
        write_json(folder / CASE_FILE, data)

    @classmethod
    def load(cls, folder: Path) -> Case:
        """What :meth:`save` wrote.

        Raises:
            UserError: if one of the files is missing or holds something else.
        """
        path = folder / CASE_FILE
        network = IntegerNetwork.load(folder / NETWORK_FILE)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            design = Design(network, Array(**data["array"]))
            asked = data["asked"]
            return cls(design, **(asked | {"codes": tuple(asked["codes"])}))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path}: not a case of a random network: {error}") from None

    @property
    def trainable(self) -> bool:
        """Whether the quantized Keras model can have its weights: QKeras' formats are symmetric."""
        formats = self.design.network.spec.weight_formats().values()
        return all(fmt.overflow is Overflow.AP_SAT_SYM for fmt in formats)

    def __str__(self) -> str:
        spec, array = self.design.network.spec, self.design.array
        units = " + ".join(str(layer.units) for layer in spec.layers)
        return f"{units} units, {spec.vocabulary} characters, {array.lanes} lanes, {len(self.codes)} codes"


def _formats(
    bits: tuple[int, int], integer: tuple[int, int], *, signed: bool = True
) -> st.SearchStrategy[FixedFormat]:
    """Of a signal."""
    return st.builds(
        FixedFormat,
        st.integers(*bits),
        st.integers(*integer),
        st.just(signed),
        st.sampled_from([Rounding.AP_RND, Rounding.AP_TRN]),
        st.just(Overflow.AP_SAT),
    )


def _weight_formats(
    bits: tuple[int, int], integer: tuple[int, int], symmetric: bool
) -> st.SearchStrategy[FixedFormat]:
    """Of a weight or bias; symmetric is QKeras'."""
    overflow = Overflow.AP_SAT_SYM if symmetric else Overflow.AP_SAT
    return st.builds(
        FixedFormat,
        st.integers(*bits),
        st.integers(*integer),
        st.just(True),
        st.just(Rounding.AP_RND_CONV),
        st.just(overflow),
    )


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """A network with weights, and an array for it; anything that :class:`.Design` takes."""
    pack = draw(st.sampled_from([1, 2]))
    symmetric = pack == 2 or draw(st.booleans())
    weights = _weight_formats((2, 8), (-1, 3), symmetric)
    shared: dict[str, Any] = {
        "z": draw(_formats((3, 10), (1, 5))),
        "gate": draw(_formats((2, 10), (0, 1), signed=False)),
        "g": draw(_formats((2, 9), (0, 2))),
        "c": draw(_formats((3, 16), (1, 6))),
        "ct": draw(_formats((3, 10), (1, 4))),
        "tc": draw(_formats((2, 9), (0, 2))),
        "h": draw(_formats((2, 8 if pack == 2 else 11), (0, 2))),
        "sigmoid": draw(st.sampled_from([n for n in FUNCTIONS if "sigmoid" in n])),
        "tanh": draw(st.sampled_from([n for n in FUNCTIONS if "tanh" in n])),
    }
    biases = _weight_formats((2, 16), (-1, 5), symmetric)
    # Layers whole, so that one can be left out of a failing case.
    layer = st.tuples(st.integers(1, 9), weights, weights, biases)
    layers = tuple(
        Layer(units, LstmFormats(W=W, U=U, b=b, **shared))
        for units, W, U, b in draw(st.lists(layer, min_size=1, max_size=3))
    )
    output = DenseFormats(draw(weights), draw(biases), draw(_formats((2, 16), (1, 9))))
    sums = draw(st.sampled_from([4, 4, 4, 2, 1]))
    lanes = draw(st.sampled_from([1, 1, 2])) if sums == 4 else 1
    depth = draw(st.integers(1, 4))
    array: dict[str, Any] = {
        "group_units": lanes * draw(st.integers(1, 3)) if sums == 4 else 1,
        "dsp_depth": depth,
        "pack": pack,
        "segment_units": lanes * draw(st.integers(1, 2)),
        "lut_depth": draw(st.integers(0, 2)) if sums == 4 else 0,
        "gate_lanes": lanes,
        "sums": sums,
    }
    vocabulary = draw(st.integers(2, len(VOCABULARY)))
    try:
        spec = NetworkSpec("random", vocabulary, layers, output)
        network = IntegerNetwork.from_weights(spec, VOCABULARY[:vocabulary], _weights(draw, spec))
        return Design(network, Array(**array))
    except UserError:  # what the RTL does not take is no case
        reject()


def _weights(draw: st.DrawFn, spec: NetworkSpec) -> dict[str, NDArray[np.int64]]:
    """All of one kind: spread over the format, its extremes only, or zero."""
    kind = draw(st.sampled_from(["spread", "extreme", "zero"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    formats, result = spec.weight_formats(), {}
    for name, shape in spec.weight_shapes().items():
        low, high = formats[name].min_raw, formats[name].max_raw
        if kind == "spread":
            result[name] = rng.integers(low, high, shape, endpoint=True)
        else:
            result[name] = rng.choice([low, high], shape) if kind == "extreme" else np.zeros(shape, np.int64)
    return result


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A design and a text for it."""
    design = draw(designs())
    codes = st.integers(0, design.network.spec.vocabulary - 1)
    return Case(
        design,
        tuple(draw(st.lists(codes, min_size=1, max_size=12))),
        draw(st.integers(1, 6)),
        draw(st.sampled_from([0, 1, TEMPERATURE.max_raw])),
        draw(st.integers(0, 2**32 - 1)),
    )


@dataclass
class Engines:
    """What a case is run on, beside the reference; counts the cases of each.

    Args:
        folder: to build in.
        simulator: of the RTL.
        hls: run the HLS C++ of one case in so many, by the case's seed; 0: of none. g++ takes its time.
        keras: run the quantized Keras model of every case that has QKeras' weight formats.
    """

    folder: Path
    simulator: str
    hls: int = 0
    keras: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def check(self, case: Case) -> None:
        """Run a case on all of them, every signal against the reference.

        Raises:
            CheckError: naming the engine and the first value that differs.
        """
        self.counts["rtl"] += 1
        network, array = case.design.network, case.design.array
        source = thaw(network)
        rtl = RtlEngine(source, network, self.folder, array=array, simulator=self.simulator, quick=True)
        rtl.build()
        sequences = [Sequence(case.codes), Sequence(case.codes[-1:], case.length)]
        rtl.bench.verify(sequences, temperature_raw=case.temperature_raw, seed=case.seed)
        # Not the lowest seeds, to which a case of the RTL's own is made small.
        hls = self.hls > 0 and case.seed % self.hls == self.hls - 1
        chosen = {"keras": self.keras, "hls": hls}
        for name in [name for name, wanted in chosen.items() if wanted and case.trainable]:
            self.counts[name] += 1
            engine = registry()[name](source, network, self.folder / name)
            engine.build()
            codes = np.array(case.codes)
            expected = ReferenceEngine(source, network, self.folder).whole_trace(codes)
            result = compare(network, expected, engine.whole_trace(codes))
            if not result.exact:
                raise CheckError(f"{name}: {result.mismatches} values differ, first: {result.first}")

    def record(self, tried: int, failed: str, seed: int) -> dict[str, Any]:
        """What :func:`search` found; a search ends at the first network that fails."""
        counts = {name: self.counts[name] for name in ("keras", "hls")}
        mismatches = int(bool(failed))
        return records.new(
            records.RANDOM_NETWORKS,
            seed,
            tried=tried,
            mismatches=mismatches,
            simulator=self.simulator,
            also_on=counts,
        )


def search(
    networks: int,
    number: int,
    folder: Path,
    run: Callable[[Case], None],
    progress: Callable[[Case], object] = lambda _: None,
) -> tuple[int, str]:
    """Try networks until one fails, and make that one small.

    Args:
        networks: how many to try.
        number: seed; equal ones give equal networks.
        folder: the smallest failing case is saved in its subfolder ``failing``.
        run: what tries a case, as :meth:`Engines.check`; raises CheckError.
        progress: called before each network.

    Returns:
        Number of networks tried, and what the smallest failing case says, empty if none fails.
    """
    tried = 0

    @seed(number)
    @settings(
        max_examples=networks,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(cases())
    def attempt(case: Case) -> None:
        nonlocal tried
        tried += 1
        progress(case)
        try:
            run(case)
        except CheckError:
            case.save(folder / "failing")  # the last one to fail is the smallest
            raise

    try:
        attempt()
    except CheckError as error:
        return tried, str(error)
    return tried, ""
