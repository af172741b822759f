# SPDX-License-Identifier: Apache-2.0
"""Random networks of every kind that the RTL accepts, and the search for one on which engines differ.

Hypothesis draws shapes, arrays, formats, functions of the tables, weights (sometimes extremes only) and
texts. It makes a failing case as small as it can; the smallest is saved in a folder and can be replayed.
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

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.formats import cell_formats_type
from zynq_lstm.models.description.spec import FUNCTIONS, DenseFormats, Layer, NetworkSpec
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
VOCABULARY = "".join(map(chr, range(33, 33 + 24)))  # the longest vocabulary


@dataclass(frozen=True)
class Case:
    """A design and its task: score ``codes``, then generate ``length`` characters after the last of them."""

    design: Design
    codes: tuple[int, ...]
    length: int
    temperature_raw: int
    seed: int

    def save(self, folder: Path) -> None:
        """Write the two files that :meth:`load` reads."""
        self.design.network.save(folder / NETWORK_FILE)
        asked = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "design"}
        data = {"array": dataclasses.asdict(self.design.array), "asked": asked}
        write_json(folder / CASE_FILE, data)

    @classmethod
    def load(cls, folder: Path) -> Case:
        """Read the files that :meth:`save` wrote.

        Raises:
            UserError: if one of the files is missing or has other content.
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
        """True if the quantized Keras model can have the case's weights: QKeras' formats are symmetric."""
        formats = self.design.network.spec.weight_formats().values()
        return all(fmt.overflow is Overflow.AP_SAT_SYM for fmt in formats)

    def __str__(self) -> str:
        spec, array = self.design.network.spec, self.design.array
        units = " + ".join(str(layer.units) for layer in spec.layers)
        cells = ", ".join(dict.fromkeys(layer.cell for layer in spec.layers))
        shape = f"{units} units ({cells}), {spec.vocabulary} characters"
        return f"{shape}, {array.lanes} lanes, {len(self.codes)} codes"


def _formats(
    bits: tuple[int, int], integer: tuple[int, int], *, signed: bool = True
) -> st.SearchStrategy[FixedFormat]:
    """Return a strategy for the format of a signal."""
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
    """Return a strategy for the format of a weight or bias; QKeras' formats are symmetric."""
    overflow = Overflow.AP_SAT_SYM if symmetric else Overflow.AP_SAT
    return st.builds(
        FixedFormat,
        st.integers(*bits),
        st.integers(*integer),
        st.just(True),
        st.just(Rounding.AP_RND_CONV),
        st.just(overflow),
    )


#: Formats of signals by the preset's format that they are like: bits, integer bits, sign.
_SIGNALS = {
    "z": _formats((3, 10), (1, 5)),
    "gate": _formats((2, 10), (0, 1), signed=False),
    "g": _formats((2, 9), (0, 2)),
    "c": _formats((3, 16), (1, 6)),
    "ct": _formats((3, 10), (1, 4)),
    "tc": _formats((2, 9), (0, 2)),
}


@st.composite
def _cell_formats(draw: st.DrawFn, cell: str, biases: st.SearchStrategy[FixedFormat]) -> dict[str, Any]:
    """Draw what all layers of a cell share: formats of its signals and vectors, functions of its tables."""
    kind = cell_formats_type(cell)
    own = kind.description.formats
    found: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        like = own[item.name].like if item.name in own else item.name
        if item.name in kind.description.vectors:
            found[item.name] = draw(biases)
        elif like in _SIGNALS:
            found[item.name] = draw(_SIGNALS[like])
        elif item.default is not dataclasses.MISSING:  # the function of a table: a kind of sigmoid or tanh
            found[item.name] = draw(st.sampled_from([n for n in FUNCTIONS if item.name in n]))
    return found


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """Draw a network with weights, and an array for it: anything that :class:`.Design` accepts."""
    pack = draw(st.sampled_from([1, 2]))
    symmetric = pack == 2 or draw(st.booleans())
    weights = _weight_formats((2, 8), (-1, 3), symmetric)
    biases = _weight_formats((2, 16), (-1, 5), symmetric)
    h = draw(_formats((2, 8 if pack == 2 else 11), (0, 2)))
    # Whole layers are drawn, so that one can be left out of a failing case.
    layer = st.tuples(st.integers(1, 9), st.sampled_from(catalogue.names()), weights, weights, biases)
    drawn = draw(st.lists(layer, min_size=1, max_size=3))
    cells = sorted({cell for _, cell, *_ in drawn})
    shared = {cell: draw(_cell_formats(cell, biases)) for cell in cells}
    layers = tuple(
        Layer(units, cell_formats_type(cell)(**(shared[cell] | {"h": h, "W": W, "U": U, "b": b})))
        for units, cell, W, U, b in drawn
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
    except UserError:  # a network that the RTL does not accept is not a case
        reject()


def _weights(draw: st.DrawFn, spec: NetworkSpec) -> dict[str, NDArray[np.int64]]:
    """Draw weights, all of one kind: spread over the format, its extremes only, or zero."""
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
    """Draw a design and a text for it."""
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
    """The engines that a case is run on, besides the reference; counts the cases of each.

    Args:
        folder: folder to build in.
        simulator: simulator of the RTL.
        hls: run the HLS C++ of about one in ``hls`` of the cases with QKeras' weight formats, chosen by the
            case's seed, since g++ is slow; 0: of none.
        keras: run the quantized Keras model of every case with QKeras' weight formats.
    """

    folder: Path
    simulator: str
    hls: int = 0
    keras: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def check(self, case: Case) -> None:
        """Run a case on all engines, and compare every signal with the reference.

        Raises:
            CheckError: if a value differs; it names the first one.
        """
        self.counts["rtl"] += 1
        network, array = case.design.network, case.design.array
        source = thaw(network)
        rtl = RtlEngine(source, network, self.folder, array=array, simulator=self.simulator, quick=True)
        rtl.build()
        sequences = [Sequence(case.codes), Sequence(case.codes[-1:], case.length)]
        rtl.bench.verify(sequences, temperature_raw=case.temperature_raw, seed=case.seed)
        # Not the lowest seeds: a case on which the RTL alone fails is reduced to one of these.
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
        """Return the record of a :func:`search`, which ends at the first network that fails."""
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
        networks: number of networks to try.
        number: seed; equal seeds give equal networks.
        folder: the smallest failing case is saved in its subfolder ``failing``.
        run: function that runs a case, as :meth:`Engines.check`; it raises CheckError if the case fails.
        progress: called before each network.

    Returns:
        Number of networks tried, and the error of the smallest failing case, empty if none fails.
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
