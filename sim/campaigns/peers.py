# SPDX-License-Identifier: Apache-2.0
"""Stock hls4ml and this project on the same Keras models: the outputs of both beside Keras' own.

Every model is small, has random weights, and reads one-hot characters. Stock hls4ml converts it for Vitis in
a process of its own (:mod:`zynq_lstm.hls.hls4ml.stock`), in formats of 32 bits. Here it is imported, as by
``zynq-lstm import-keras``, in the formats of :data:`PRESET`; its HLS C++ runs, and must give the integers of
the reference.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import signal
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.hls.hls4ml import stock
from zynq_lstm.models import processes
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.importing.kinds import LEGAL
from zynq_lstm.sim.campaigns import records

PRESET = "q8.8"
VOCABULARY, STEPS, WINDOWS, UNITS = "abcde", 8, 16, 6
SEED = 1
SHOWN = "the last character of the first window"
MINUTES = 10  # for stock hls4ml and its compiler

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A model: its recurrent layer, and what is known of stock hls4ml 1.3.0 on it.

    Args:
        layer: makes the layer; the argument is ``keras.layers``.
        known: what stock hls4ml does, in words.
        instead: makes the layer that stock hls4ml computes instead, of the same weights.
    """

    layer: Callable[[Any], Any]
    known: str
    instead: Callable[[Any], Any] | None = None


_OF: Mapping[str, Any] = {"units": UNITS, "return_sequences": True}
CASES: Mapping[str, Case] = {
    "LSTM": Case(lambda K: K.LSTM(**_OF), "right"),
    "GRU": Case(lambda K: K.GRU(**_OF), "right"),
    "GRU, reset_after=False, use_bias=False": Case(
        lambda K: K.GRU(**_OF, reset_after=False, use_bias=False),
        "computes the GRU with reset_after=True, without a word",
        lambda K: K.GRU(**_OF, use_bias=False),
    ),
    "GRU, reset_after=False": Case(
        lambda K: K.GRU(**_OF, reset_after=False),
        "the same, and takes the first two numbers of the bias for two whole biases",
    ),
    "SimpleRNN": Case(
        lambda K: K.SimpleRNN(**_OF),
        "writes no call of a kernel for the layer: the output layer reads memory that nothing has written",
    ),
    "Bidirectional(GRU)": Case(lambda K: K.Bidirectional(K.GRU(**_OF), name="both"), "ends with a traceback"),
    "Bidirectional(LSTM), merge_mode='sum'": Case(
        lambda K: K.Bidirectional(K.LSTM(**_OF), merge_mode="sum", name="both"),
        "warns, and puts both directions side by side, for which the layers after it have no room",
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What one of the two makes of a model.

    Args:
        said: how it ended if there are no logits: an error, or a signal.
        example: its logits for :data:`SHOWN`.
        largest: largest difference from a logit of Keras.
        correlation: of all logits with those of Keras.
        repeats: True if a second call with the same input has the same result.
        from_instead: largest difference from a logit of :attr:`Case.instead`.
        kernels: the kernels that the generated C++ calls.
    """

    said: str = ""
    example: tuple[float, ...] = ()
    largest: float | None = None
    correlation: float | None = None
    repeats: bool | None = None
    from_instead: float | None = None
    kernels: tuple[str, ...] = ()


def measure(
    folder: Path, names: Collection[str] = tuple(CASES), progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Run both on each model, and return the record.

    Args:
        folder: for the models and projects.
        names: of :data:`CASES`.
        progress: called with what is next.

    Raises:
        CheckError: our HLS C++ and the reference differ.
        UserError: stock hls4ml could not be run.
    """
    found = {}
    for number, name in enumerate(CASES):
        if name not in names:
            continue
        place = folder / f"case{number}"
        place.mkdir(parents=True, exist_ok=True)
        codes, theirs = _written(CASES[name], place, np.random.default_rng([SEED, number]))
        progress(f"{name}: stock hls4ml")
        by_stock = _stock(place, theirs, _instead(CASES[name], place))
        progress(f"{name}: zynq-lstm")
        by_ours = _ours(place, codes, theirs)
        found[name] = {
            "known": CASES[name].known,
            "keras": _example(theirs),
            "stock": dataclasses.asdict(by_stock),
            "ours": dataclasses.asdict(by_ours),
        }
    return records.new(records.PEERS, SEED, hls4ml=_version(), preset=PRESET, cases=found)


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("hls4ml")


def _written(case: Case, place: Path, rng: np.random.Generator) -> tuple[NDArray[np.int64], Reals]:
    """Write the model and its input into a folder; return the codes (S, T), and Keras' logits (S, T, V)."""
    from zynq_lstm.models.keras.quiet import import_tensorflow

    import_tensorflow()
    import keras

    size = len(VOCABULARY)
    layers = [keras.Input((STEPS, size)), case.layer(keras.layers), keras.layers.Dense(size)]
    model = keras.Sequential(layers)
    model.set_weights([rng.normal(0, 0.6, w.shape) for w in model.get_weights()])
    model.save(place / "model.keras")
    codes = rng.integers(0, size, (WINDOWS, STEPS))
    x = np.eye(size, dtype=np.float32)[codes]
    np.save(place / "inputs.npy", x)
    return codes, np.asarray(model(x, training=False), np.float64)


def _instead(case: Case, place: Path) -> Reals | None:
    """Return the logits of the model in a folder with the layer that stock hls4ml computes instead."""
    if case.instead is None:
        return None
    import keras

    model = keras.saving.load_model(place / "model.keras")
    recurrent, dense = model.layers
    other = case.instead(keras.layers)
    x = np.load(place / "inputs.npy")
    other.build(x.shape)
    other.set_weights(recurrent.get_weights())
    return np.asarray(dense(other(x)), np.float64)


def _stock(place: Path, theirs: Reals, instead: Reals | None) -> Outcome:
    """Run stock hls4ml on the model in a folder."""
    outputs = place / "outputs.npy"
    outputs.unlink(missing_ok=True)
    shutil.rmtree(place / "project", ignore_errors=True)  # of an earlier run
    done = processes.run([sys.executable, "-m", stock.__name__, str(place)], timeout=60 * MINUTES)
    text = place / "project" / "firmware" / f"{stock.PROJECT}.cpp"
    kernels = tuple(_kernels(text.read_text(encoding="utf-8"))) if text.exists() else ()
    if done.returncode < 0:
        return Outcome(f"the process ends with {signal.Signals(-done.returncode).name}", kernels=kernels)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        if "Error" not in last.partition(":")[0]:
            raise UserError(f"stock hls4ml could not be run: {last}")
        return Outcome(last, kernels=kernels)
    first, again = np.load(outputs).astype(np.float64)
    found = _outcome(first, theirs, repeats=np.array_equal(first, again), kernels=kernels)
    if instead is None:
        return found
    return dataclasses.replace(found, from_instead=_outcome(first, instead).largest)


def _kernels(text: str) -> list[str]:
    """Return the kernels that a generated C++ file calls."""
    return [name for name in re.findall(r"nnet::(\w+)\s*<", text) if not name.startswith("load_")]


def _ours(place: Path, codes: NDArray[np.int64], theirs: Reals) -> Outcome:
    """Import the model in a folder and run its HLS C++, each window from a zero state."""
    from zynq_lstm.hls.hls4ml import simulate
    from zynq_lstm.hls.hls4ml.convert import compile_model, convert
    from zynq_lstm.models.description.checkpoint import Checkpoint
    from zynq_lstm.models.evaluation.ranges import calibrate
    from zynq_lstm.models.importing.importer import import_model
    from zynq_lstm.models.integers.freeze import freeze
    from zynq_lstm.models.integers.reference import Reference
    from zynq_lstm.models.keras.quantized import quantized_model

    try:
        imported = import_model(place / "model.keras", PRESET)
    except UserError as error:
        said = str(error).removeprefix(f"{place / 'model.keras'}: ").removesuffix(f"; {LEGAL}")
        return Outcome(f"refused: {said}")
    spec = calibrate(imported.spec, imported.weights, codes, imported.fixed)
    checkpoint = Checkpoint(VOCABULARY, imported.weights, spec)
    graph = convert(quantized_model(checkpoint), place / "ours")
    compile_model(graph)
    raw = []
    for window in codes:
        simulate.reset(graph)
        raw.append(simulate.run(graph, window))
    if not np.array_equal(np.stack(raw), Reference(freeze(checkpoint), len(codes)).run(codes)):
        raise CheckError(f"{place}: the HLS C++ and the reference differ")
    return _outcome(spec.output.logits.to_real(np.stack(raw)), theirs)


def _outcome(logits: Reals, theirs: Reals, **more: Any) -> Outcome:
    logits = logits.reshape(theirs.shape)
    largest = float(np.abs(logits - theirs).max())
    correlation = float(np.corrcoef(logits.reshape(-1), theirs.reshape(-1))[0, 1])
    return Outcome(
        example=tuple(_example(logits)), largest=largest, correlation=round(correlation, 5), **more
    )


def _example(logits: Reals) -> list[float]:
    return [round(float(value), 4) for value in logits[0, -1]]


def markdown(record: Mapping[str, Any]) -> str:
    """Return the tables of ``docs/peers.md``."""
    lines = [
        f"hls4ml {record['hls4ml']}, run on {record['date']}; ours in the formats `{record['preset']}`.",
        "",
        "| recurrent layer | hls4ml: largest difference | correlation | zynq-lstm: largest difference | "
        "correlation | hls4ml |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in record["cases"].items():
        cells = [*_numbers(row["stock"], "no output"), *_numbers(row["ours"], "refused")]
        lines.append(f"| `{name}` | {' | '.join(cells)} | {row['known']} |")
    for name, row in record["cases"].items():
        lines += ["", f"**`{name}`**", "", *_detail(row)]
    return "\n".join(lines) + "\n"


def _numbers(outcome: Mapping[str, Any], none: str) -> tuple[str, str]:
    if outcome["largest"] is None:
        return none, ""
    return f"{outcome['largest']:.2g}", f"{outcome['correlation']:.5f}"


def _detail(row: Mapping[str, Any]) -> list[str]:
    lines = ["| | logits |", "|---|---|", f"| Keras | {_listed(row['keras'])} |"]
    for title, who in (("hls4ml", "stock"), ("zynq-lstm", "ours")):
        outcome = row[who]
        lines.append(f"| {title} | {outcome['said'] or _listed(outcome['example'])} |")
    raised = "Error:" in row["stock"]["said"]  # before anything was written
    kernels = () if raised else row["stock"]["kernels"]
    notes = [f"hls4ml's C++ calls {' and '.join(f'`{name}`' for name in kernels)}."] if kernels else []
    if row["stock"]["from_instead"] is not None:
        notes.append(
            f"Its logits differ by at most {row['stock']['from_instead']:.2g} from those of the layer that "
            "it computes instead, in Keras, with the same weights."
        )
    if row["stock"]["repeats"] is False:
        notes.append("A second call with the same input gives other numbers.")
    return [*lines, *(["", " ".join(notes)] if notes else [])]


def _listed(values: Collection[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
