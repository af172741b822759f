# SPDX-License-Identifier: Apache-2.0
"""Check a flow before it runs: its configuration, the files that it names, and the installed tools.

Nothing heavy is imported.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Collection, Iterator

from zynq_lstm.hls.hls4ml.reuse import require_reuse_factor
from zynq_lstm.models.description.checkpoint import Checkpoint, load_float, shipped
from zynq_lstm.models.description.spec import NetworkSpec, network_spec, with_formats
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.limits import require
from zynq_lstm.models.texts.corpus import CORPORA
from zynq_lstm.scripts.flow.config import SHIPPED, Config, engines_needed
from zynq_lstm.scripts.flow.load import Flow, line_of

#: Packages and programs that stages need, by the stage's name; Verilator's makefiles call the compilers.
_COMPILERS = ("g++", "make")
_NEEDED = {
    "hls": ((), ("g++",)),
    "synthesize": (("pyosys",), ()),
}


def spec_of(flow: Flow, given: Checkpoint | None, vocabulary: int) -> NetworkSpec:
    """Return the network's shape and formats; training may still move the binary points of weights."""
    if given is not None:
        return given.quantized_spec
    formats, shape = flow.config.formats, flow.config.model
    spec = network_spec(
        formats.preset, vocabulary=vocabulary, units=shape.units, layers=shape.layers, cell=flow.cells()
    )
    return with_formats(spec, formats.formats())


def check(flow: Flow, stages: Collection[str]) -> list[str]:
    """Refuse a flow that would fail later.

    Args:
        stages: names of the stages that are to run.

    Returns:
        Notes for the user on a flow that can run.

    Raises:
        UserError: naming the key and the legal values.
    """
    config, text = flow.config, flow.file.read_text(encoding="utf-8-sig")

    def at(key: str) -> str:
        return f"{flow.file}:{line_of(text, key)}: {key}"

    given = _networks(flow, at)
    characters = _characters(flow, given, at)
    key = "training.checkpoint" if given else "model.cell"
    try:
        spec = spec_of(flow, given, len(characters))
        for engine in engines_needed(config):  # other networks than these two are checked as they are read
            if given is not None or flow.cell_files():
                require(engine, spec)
    except UserError as error:
        raise UserError(f"{at(key)}: {error}") from None
    if config.engine.reuse_factor and "hls" in stages:
        try:
            require_reuse_factor(spec, config.engine.reuse_factor)
        except UserError as error:
            raise UserError(f"{at('engine.reuse_factor')}: {error}") from None
    for what, key in _missing(config, stages):
        raise UserError(f"{at(key)}: {what}")
    return [note] if (note := _too_large(spec, config)) else []


def _networks(flow: Flow, at: Callable[[str], str]) -> Checkpoint | None:
    """Return the quantized network that is given; refuse networks of another kind, or that do not match."""
    try:
        given = flow.given()
    except UserError as error:
        raise UserError(f"{at('training.checkpoint')}: {error}") from None
    source = flow.given_float()
    if source is None:
        return given
    try:
        real = load_float(source)
    except UserError as error:
        raise UserError(f"{at('training.float_checkpoint')}: {error}") from None
    if given is not None and real.vocabulary != given.vocabulary:
        raise UserError(
            f"{at('training.float_checkpoint')}: has {len(real.vocabulary)} characters, the network of "
            f"training.checkpoint has {len(given.vocabulary)}, not the same; give two of one vocabulary"
        )
    return given


def _characters(flow: Flow, given: Checkpoint | None, at: Callable[[str], str]) -> str:
    """Return the different characters of the text; refuse a text that does not match the network.

    The project's own texts are known to be legal, and to match the shipped networks.
    """
    corpus, checkpoint = flow.config.corpus, flow.config.training.checkpoint
    own_network = given is not None and checkpoint != SHIPPED
    if not (corpus.file or corpus.fold_rare or (own_network and corpus.name == CORPORA[0])):
        return (given or load_float(shipped("float", corpus.name))).vocabulary
    key = "corpus.file" if corpus.file else "training.checkpoint" if given else "corpus.fold_rare"
    try:
        return flow.read_corpus().vocabulary
    except UserError as error:
        raise UserError(f"{at(key)}: {error}") from None


def _missing(config: Config, stages: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield what is not installed and how to install it, with the key that needs it."""
    from zynq_lstm.sim.simulation.simulator import require as require_simulator

    simulator = config.verification.simulator
    needed = dict(_NEEDED)
    if "simulate" in stages:
        try:
            require_simulator(simulator)
        except UserError as error:
            yield str(error), "verification.simulator"
        needed["simulate"] = ((), _COMPILERS if simulator == "verilator" else ())
    for stage, (packages, programs) in needed.items():
        if stage not in stages:
            continue
        key = "engine.synthesis" if stage == "synthesize" else "verification.engines"
        missing = [f"Python package {name}" for name in packages if importlib.util.find_spec(name) is None]
        missing += [name for name in programs if shutil.which(name) is None]
        for name in missing:
            need = f"{name} is not installed, which stage {stage} needs"
            yield f"{need}; 'zynq-lstm doctor' says how to install it", key


def _too_large(spec: NetworkSpec, config: Config) -> str | None:
    """Return a note if no engine for the network fits the part, with what to change; else None."""
    from zynq_lstm.hls.engine.estimate import fitting_array
    from zynq_lstm.hls.engine.feasibility import misfit
    from zynq_lstm.hls.parts import part_name

    part = part_name(config.engine.part)
    array = fitting_array(spec, part, config.engine.dsp, config.engine.lanes)
    reason = misfit(spec, array, part)
    return f"no engine fits the {part}: {reason} (options of 'zynq-lstm estimate')" if reason else None
