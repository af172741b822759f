# SPDX-License-Identifier: Apache-2.0
"""Random networks within everything that the RTL takes, and the search for one on which engines part.

Shapes, arrays, formats, functions of the tables, weights (also nothing but extremes) and texts are drawn by
Hypothesis, which makes a failing case as small as it can; what is left is saved and replayed from a folder.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hls.design import Design
from hls.schedule import Array
from models.errors import CheckError, UserError
from models.network import IntegerNetwork
from models.spec import FUNCTIONS, DenseFormats, Layer, LstmFormats, NetworkSpec
from models.store import write_text
from sim.fixed import FixedFormat, Overflow, Rounding
from sim.rtl import Rtl, Sequence
from sim.sampling import TEMPERATURE

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
        write_text(folder / CASE_FILE, json.dumps(data, indent=2) + "\n")

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
            raise UserError(f"{path}: no case of a random network: {error}") from None

    def __str__(self) -> str:
        spec, array = self.design.network.spec, self.design.array
        units = " + ".join(str(layer.units) for layer in spec.layers)
        return f"{units} units, {spec.vocabulary} characters, {array.lanes} lanes, {len(self.codes)} codes"


def _formats(
    bits: tuple[int, int], integer: tuple[int, int], *, signed: bool = True, symmetric: bool = False
) -> st.SearchStrategy[FixedFormat]:
    overflow = Overflow.AP_SAT_SYM if symmetric else Overflow.AP_SAT
    return st.builds(
        FixedFormat,
        st.integers(*bits),
        st.integers(*integer),
        st.just(signed),
        st.sampled_from([Rounding.AP_RND, Rounding.AP_TRN]),
        st.just(overflow),
    )


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """A network with weights, and an array for it; anything that :class:`hls.design.Design` takes."""
    pack = draw(st.sampled_from([1, 2]))
    weights = _formats((2, 8), (-1, 3), symmetric=pack == 2)
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
    biases = _formats((2, 16), (-1, 5))
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
    array = {
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


def check(case: Case, folder: Path, simulator: str) -> None:
    """Run the RTL of a case under the bench, every signal against the reference.

    Raises:
        CheckError: naming the first value that differs.
    """
    rtl = Rtl.build(case.design, folder, simulator=simulator)
    sequences = [Sequence(case.codes), Sequence(case.codes[-1:], case.length)]
    rtl.verify(sequences, temperature_raw=case.temperature_raw, seed=case.seed)


def search(
    networks: int,
    number: int,
    folder: Path,
    simulator: str,
    progress: Callable[[Case], object],
    run: Callable[[Case, Path, str], None] = check,
) -> tuple[int, str]:
    """Try networks until one fails, and make that one small.

    Args:
        networks: how many to try.
        number: seed; equal ones give equal networks.
        folder: to build in; the smallest failing case is saved in its subfolder ``failing``.
        progress: called before each network.
        run: what tries a case; raises CheckError.

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
            run(case, folder, simulator)
        except CheckError:
            case.save(folder / "failing")  # the last one to fail is the smallest
            raise

    try:
        attempt()
    except CheckError as error:
        return tried, str(error)
    return tried, ""
