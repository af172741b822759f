# SPDX-License-Identifier: Apache-2.0
"""What can be known of a flow before it runs: from its configuration, the files that it names, and what is
installed. Nothing heavy is imported.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from hls.reuse import require_reuse_factor
from models.checkpoint import Checkpoint, load_float, load_quantized, shipped
from models.corpus import HELD_OUT, Corpus, load_corpus
from models.errors import UserError
from models.evaluate import require_text
from models.limits import require
from models.spec import NetworkSpec, network_spec, with_formats
from scripts.flow.config import SHIPPED, Config, engines_needed
from scripts.flow.load import Flow, line_of

SHOWN = 10  # characters that a message names

#: Packages and programs that stages need, by the stage's name; of Verilator's, what its makefiles call.
_COMPILERS = ("g++", "make")
_NEEDED = {
    "hls": ((), ("g++",)),
    "synthesize": (("pyosys",), ()),
}


def given_checkpoint(flow: Flow) -> Checkpoint | None:
    """The quantized network that the configuration names."""
    name, preset = flow.config.training.checkpoint, flow.config.formats.preset
    if name is None:
        return None
    return load_quantized(shipped(preset, flow.config.corpus.name) if name == SHIPPED else flow.path(name))


def given_float(flow: Flow) -> Path | None:
    """The float network that the configuration names, or that is shipped with the quantized one."""
    config = flow.config.training
    if config.float_checkpoint:
        return flow.path(config.float_checkpoint)
    if config.checkpoint != SHIPPED:
        return None
    try:
        return shipped("float", flow.config.corpus.name)
    except UserError:
        return None  # of some corpora only the quantized one is shipped


def checked_corpus(flow: Flow) -> Corpus:
    """The text, long enough for what follows.

    Raises:
        UserError: it can't be used, or a part of it is too short.
    """
    config = flow.config.corpus
    corpus = load_corpus(config.name, flow.path(config.file) if config.file else None)
    split = corpus.split()
    for part in HELD_OUT:
        require_text(split.part(part), f"{corpus.name}: the {part} split")
    needed = flow.config.verification.characters
    if len(split.validation) <= needed:
        raise UserError(
            f"{corpus.name}: the validation split has {len(split.validation)} characters; "
            f"verification.characters is {needed}: it must be less"
        )
    return corpus


def spec_of(config: Config, given: Checkpoint | None, vocabulary: int) -> NetworkSpec:
    """Shape and formats of the network; the binary points of trained weights may still move."""
    if given is not None:
        return given.quantized_spec
    spec = network_spec(
        config.formats.preset, vocabulary=vocabulary, units=config.model.units, layers=config.model.layers
    )
    return with_formats(spec, config.formats.formats())


def check(flow: Flow, stages: Collection[str]) -> list[str]:
    """Refuse a flow that would stop later.

    Args:
        stages: names of those that are to run.

    Returns:
        What a person should know though the flow can run.

    Raises:
        UserError: naming the key, and what is legal.
    """
    config, text = flow.config, flow.file.read_text(encoding="utf-8-sig")

    def at(key: str) -> str:
        return f"{flow.file}:{line_of(text, key)}: {key}"

    try:
        given = given_checkpoint(flow)
        real = given_float(flow)
        for path in (real,) if real else ():
            load_float(path)
    except UserError as error:
        raise UserError(f"{at('training.checkpoint')}: {error}") from None
    characters = _characters(flow, at("corpus.file"))
    if given is not None:
        _require_characters(config, characters, given, at("training.checkpoint"))
    spec = spec_of(config, given, len(characters))
    if given is not None:
        for engine in engines_needed(config):
            try:
                require(engine, spec)
            except UserError as error:
                raise UserError(f"{at('training.checkpoint')}: {error}") from None
    if config.engine.reuse_factor and "hls" in stages:
        try:
            require_reuse_factor(spec, config.engine.reuse_factor)
        except UserError as error:
            raise UserError(f"{at('engine.reuse_factor')}: {error}") from None
    for what, key in _missing(config, stages):
        raise UserError(f"{at(key)}: {what}; 'zynq-lstm doctor' says how to install it")
    return [note] if (note := _too_large(spec, config)) else []


def _characters(flow: Flow, where: str) -> str:
    """The different characters of the text."""
    config = flow.config.corpus
    if not config.file:  # reading it takes seconds; its own network knows its characters
        return load_float(shipped("float", config.name)).vocabulary
    try:
        return checked_corpus(flow).vocabulary
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _require_characters(config: Config, characters: str, given: Checkpoint, where: str) -> None:
    """Refuse a network that does not know all characters of the text."""
    unknown = sorted(set(characters) - set(given.vocabulary))
    if unknown:
        shown = ", ".join(map(repr, unknown[:SHOWN])) + (", ..." if len(unknown) > SHOWN else "")
        raise UserError(
            f"{where}: the network's {len(given.vocabulary)} characters lack {len(unknown)} of "
            f"{config.corpus.file or f'the corpus {config.corpus.name}'}: {shown}; give a network that was "
            "trained on this text, or leave it out to train one"
        )


def _missing(config: Config, stages: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is not installed, and the key that asks for it."""
    from sim.simulator import require as require_simulator

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
        for name in packages:
            if importlib.util.find_spec(name) is None:
                yield f"Python package {name} is not installed, which stage {stage} needs", key
        for name in programs:
            if shutil.which(name) is None:
                yield f"{name} is not installed, which stage {stage} needs", key


def _too_large(spec: NetworkSpec, config: Config) -> str | None:
    """That no engine for the network fits the part, and what to change."""
    from hls.estimate import exceeded, fitting_array
    from hls.feasibility import advice, named
    from hls.synthesis import part_name

    part = part_name(config.engine.part)
    array = fitting_array(spec, part, config.engine.dsp, config.engine.lanes)
    over = exceeded(spec, array, part)
    if not over:
        return None
    return (
        f"no engine fits the {part}: too much {named(over)}. {advice(spec, part)} (options of "
        "'zynq-lstm estimate')"
    )
