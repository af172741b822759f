# SPDX-License-Identifier: Apache-2.0
"""Keys of a configuration file, each with its meaning, its default and its legal values.

The file that ``zynq-lstm init`` writes, the table in ``docs/flow.md`` and the messages about mistakes are
all made from them; defaults and limits are those of the verbs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from pydantic import create_model, field_validator, model_validator

from zynq_lstm.hls.hls4ml.convert import CLOCK_PERIOD
from zynq_lstm.hls.parts import DEFAULT_PART, part_name, parts
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import (
    DEFAULT_PRESET,
    MAX_LAYERS,
    MAX_UNITS,
    MAX_VOCABULARY,
    PRESETS,
    DenseFormats,
    LstmFormats,
    network_spec,
    with_formats,
)
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.integers.choice import TEMPERATURE
from zynq_lstm.models.integers.limits import reasons, summary
from zynq_lstm.models.texts.corpus import CORPORA, MAX_KEPT
from zynq_lstm.models.training import recipe
from zynq_lstm.models.training.options import HYPERPARAMETERS, START_CHOICES
from zynq_lstm.scripts.flow import CHARACTERS, GENERATED, MINIMUM
from zynq_lstm.scripts.flow.keys import Mistake, Section, key
from zynq_lstm.scripts.verbs import train
from zynq_lstm.sim.engines import offered
from zynq_lstm.sim.simulation.simulator import SIMULATORS

ENGINES = offered("flow")  # engines that can be compared with the reference
SHIPPED = "shipped"
METHODS = ("train", "calibrate")
MAX_CHARACTERS = 20_000  # all their signals are kept: half a gigabyte for two layers of 128 units


def option(command: click.Command, name: str) -> Any:
    """Return the default of a verb's option."""
    return next(p.default for p in command.params if p.name == name)


def _training(name: str) -> Any:
    option = HYPERPARAMETERS[name]
    return key(option.default, option.meaning, option.low, option.high)


def _start(name: str) -> Any:
    choice = START_CHOICES[name]
    return key(choice.words[0], choice.meaning, choices=choice.words)


class Corpus(Section):
    """The text, for training and for verification."""

    name: str = key(CORPORA[0], "A corpus that comes with the project.", choices=CORPORA)
    file: str | None = key(
        None, "Any UTF-8 text instead; the path is relative to this file.", example="book.txt"
    )
    as_is: bool = key(False, "Keep the file's carriage returns and byte order mark.")
    fold_rare: int | None = key(
        None,
        "Keep this many characters, the most frequent, and read all others as one symbol.",
        1,
        MAX_KEPT,
        example=MAX_KEPT,
    )

    @model_validator(mode="after")
    def _one_text(self) -> Corpus:
        if {"name", "file"} <= self.model_fields_set:
            raise Mistake("file", "name and file are two texts; give one")
        if self.as_is and self.file is None:
            raise Mistake("as_is", "as_is has no effect without file")
        return self


class Model(Section):
    """The network's shape."""

    layers: int = key(option(train.command, "layers"), "Recurrent layers.", 1, MAX_LAYERS)
    units: int = key(option(train.command, "units"), "Units of each layer.", 1, MAX_UNITS)
    cell: str = key(
        "lstm",
        f'Cell of all layers, or of each, as "gru,lstm": {", ".join(catalogue.names())}, or a file '
        f"*{catalogue.ENDING}; its path is relative to this file.",
    )

    @model_validator(mode="after")
    def _known(self) -> Model:
        try:
            for name in self.cell_names:
                if not name.endswith(catalogue.ENDING):
                    catalogue.cell(name)
        except UserError as error:
            raise Mistake("cell", str(error)) from None
        if len(self.cell_names) not in (1, self.layers):
            raise Mistake(
                "cell",
                f"names {len(self.cell_names)} cells for {self.layers} layers; give one, or one for each",
            )
        return self

    @property
    def cell_names(self) -> tuple[str, ...]:
        """The names or files, one or as many as layers."""
        return tuple(name.strip() for name in self.cell.split(","))


#: Keys that have an effect where ``training.checkpoint`` gives the network.
_BESIDE_CHECKPOINT: Mapping[str, tuple[str, ...]] = {
    "training": ("checkpoint", "float_checkpoint"),
    "model": (),
    "formats": (),
}
#: Keys that choose among the shipped networks.
_OF_SHIPPED: Mapping[str, tuple[str, ...]] = {"model": ("cell",), "formats": ("preset",)}


class Training(Section):
    """How the network is made: by training, or from a checkpoint."""

    checkpoint: str | None = key(
        None,
        f'A quantized network instead of training: "{SHIPPED}" for the one that comes with the project for '
        "this corpus, cell and preset, or a path.",
        example=SHIPPED,
    )
    float_checkpoint: str | None = key(
        None,
        "With a checkpoint: the float network to compare it with, a path; the shipped one if that is used.",
        example="float.safetensors",
    )
    epochs: float = _training("epochs")
    further_epochs: float = _training("further_epochs")
    batch: int = _training("batch")
    steps: int = _training("steps")
    learning_rate: float = _training("learning_rate")
    further_learning_rate: float = _training("further_learning_rate")
    dropout: float = _training("dropout")
    clip: float = _training("clip")
    distill: float = _training("distill")
    quantized_from: str = key(
        recipe.STARTS[0],
        "'seed': the quantized network starts from the seed and trains as long as base and float together.",
        choices=recipe.STARTS,
    )
    seed: int = _training("seed")
    output_bias: str = _start("output_bias")
    first_kernel: str = _start("first_kernel")

    @model_validator(mode="after")
    def _no_training_of_a_checkpoint(self) -> Training:
        if self.checkpoint is None and self.float_checkpoint is not None:
            raise Mistake(
                "float_checkpoint",
                "float_checkpoint goes with checkpoint; without one the float network is trained",
            )
        without_effect = sorted(self.model_fields_set - set(_BESIDE_CHECKPOINT["training"]))
        if self.checkpoint is not None and without_effect:
            raise Mistake(
                without_effect[0], f"{without_effect[0]} has no effect, since checkpoint gives the network"
            )
        return self


class Formats(Section):
    """Fixed-point formats of weights and signals; docs/numerics.md explains them."""

    preset: str = key(DEFAULT_PRESET, "Preset that gives all formats.", choices=PRESETS)
    method: str = key(
        METHODS[0],
        "'train': quantization-aware training; 'calibrate': binary points fitted to the text, no training.",
        choices=METHODS,
    )

    @model_validator(mode="after")
    def _legal(self) -> Formats:
        for name, text in self.changes().items():
            try:
                with_formats(network_spec(self.preset, vocabulary=2), {name: FixedFormat.parse(text)})
            except ValueError as error:
                raise Mistake(name, str(error)) from None
        return self

    def formats(self) -> dict[str, FixedFormat]:
        """Return :meth:`changes`, parsed."""
        return {name: FixedFormat.parse(text) for name, text in self.changes().items()}

    def changes(self) -> dict[str, str]:
        """Return the formats given instead of the preset's, by field name."""
        return {name: text for name in SIGNALS if (text := getattr(self, name)) is not None}


#: Signals and weights whose format may differ from the preset's.
SIGNALS = tuple(dict.fromkeys((*LstmFormats.format_names(), *DenseFormats.__dataclass_fields__)))
_MEANINGS = {
    "W": "kernels, the output layer's too; their binary points are fitted",
    "U": "recurrent kernels; their binary points are fitted",
    "b": "biases, the output layer's too",
    "z": "pre-activations, which index the gates' tables",
    "gate": "i, f, o",
    "g": "candidate",
    "c": "cell state",
    "ct": "index of the tanh(c) table",
    "tc": "tanh(c)",
    "h": "hidden state",
    "logits": "outputs of the output layer",
}


def _with_signals() -> type[Formats]:
    """Return :class:`Formats` with a key for each signal."""
    example = {name: str(getattr(PRESETS[DEFAULT_PRESET][name == "logits"], name)) for name in SIGNALS}
    keys: dict[str, Any] = {
        name: (
            str | None,
            key(None, f"Format instead of the preset's: {_MEANINGS[name]}.", example=example[name]),
        )
        for name in SIGNALS
    }
    return create_model("Formats", __base__=Formats, __doc__=Formats.__doc__, **keys)


if TYPE_CHECKING:
    AllFormats = Formats
else:
    AllFormats = _with_signals()


class Engine(Section):
    """The hardware."""

    part: str = key(DEFAULT_PART, "Zynq-7000 device.", near=parts())
    clock_mhz: float = key(1000 / CLOCK_PERIOD, "Clock in MHz, for times in the report and for HLS.", 1, 1000)
    lanes: int | None = key(None, "Largest number of multiply-accumulates per cycle.", 1, example=208)
    dsp: int | None = key(
        None, "Largest number of DSPs of the array; as many as fit the part if not given.", 1, example=208
    )
    reuse_factor: int | None = key(
        None,
        "HLS: clock cycles of each matrix product; if not given, as many as leave one multiplier for four "
        "columns of a layer.",
        1,
        example=32,
    )
    synthesis: bool = key(True, "Count LUTs, flip-flops, DSPs and block RAM with Yosys; takes minutes.")

    @field_validator("part")
    @classmethod
    def _known(cls, value: str) -> str:
        part_name(value)
        return value


class Verification(Section):
    """Simulation, comparison and measurement."""

    engines: list[str] = key(
        list(ENGINES),
        "Engines compared with the reference, at every signal of every character.",
        choices=ENGINES,
    )
    characters: int = key(
        CHARACTERS,
        "Held-out characters to compare on; 'zynq-lstm simulate' takes any number.",
        MINIMUM,
        MAX_CHARACTERS,
    )
    generate: int = key(GENERATED, "Characters that each engine then writes.", MINIMUM, 1_000_000)
    temperature: float = key(
        0.0,
        "Sampling temperature of that text; 0: always the likeliest character.",
        0,
        TEMPERATURE.max_raw * TEMPERATURE.lsb,
    )
    seed: int = key(1, "Seed of that text and of the protocol tests.", 1, 2**31 - 1)
    simulator: str = key(SIMULATORS[0], "Simulator of the RTL.", choices=SIMULATORS)
    protocol: bool = key(False, "Also test streams, registers and modes of the RTL: a minute or two.")
    ladder: int = key(
        40_000,
        "Characters of each split for measuring the cost of each kind of rounding; 0: skip it.",
        0,
        10_000_000,
    )


class Config(Section):
    """The configuration of one flow."""

    name: str | None = key(
        None,
        "Name of the folder build/NAME with all results; this file's name if not given.",
        example="my-engine",
    )
    corpus: Corpus = Corpus()
    model: Model = Model()
    training: Training = Training()
    formats: AllFormats = AllFormats()
    engine: Engine = Engine()
    verification: Verification = Verification()

    @field_validator("name")
    @classmethod
    def _a_folder(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\w[\w.-]*", value, re.ASCII):
            raise ValueError(f"{value!r} is not a folder name; use letters, digits, '.', '_' and '-'")
        return value

    @model_validator(mode="after")
    def _within_every_engines_limits(self) -> Config:
        files = any(name.endswith(catalogue.ENDING) for name in self.model.cell_names)  # checks.py reads them
        if self.training.checkpoint is None and not files:
            preset, shape, given = self.formats.preset, self.model, self.formats.formats()
            cells = shape.cell_names * (shape.layers // len(shape.cell_names))
            spec = network_spec(
                preset, vocabulary=MAX_VOCABULARY, units=shape.units, layers=shape.layers, cell=cells
            )
            for name, fmt in given.items():
                try:
                    with_formats(spec, {name: fmt})
                except UserError as error:  # such as g of a cell without one
                    raise Mistake(f"formats.{name}", str(error)) from None
            for engine in engines_needed(self):
                if why := reasons(engine, with_formats(spec, given)):
                    alone = (n for n in given if reasons(engine, with_formats(spec, {n: given[n]})))
                    raise Mistake(f"formats.{next(alone, next(iter(given), 'preset'))}", summary(why))
        return self

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Config:
        if self.training.checkpoint is None:
            return self
        if self.corpus.fold_rare is not None:
            raise Mistake(
                "corpus.fold_rare", "has no effect, since training.checkpoint has its own characters"
            )
        if self.corpus.as_is:
            raise Mistake("corpus.as_is", "has no effect, since training.checkpoint has its own characters")
        for section in ("model", "formats"):
            given = sorted(getattr(self, section).model_fields_set - set(with_effect(self, section)))
            if given:
                raise Mistake(
                    f"{section}.{given[0]}", "has no effect, since training.checkpoint gives the network"
                )
        return self


def engines_needed(config: Config) -> tuple[str, ...]:
    """Return the engines that a flow builds, compared or not: keys of ``models.integers.limits.ENGINES``."""
    return ("reference", "keras", "rtl", *(["hls"] if "hls" in config.verification.engines else []))


def with_effect(config: Config, section: str) -> tuple[str, ...]:
    """Return the keys of a section that have an effect; with a checkpoint, most have none."""
    given = config.training.checkpoint
    if given is None or section not in _BESIDE_CHECKPOINT:
        return tuple(sections()[section].model_fields)
    return _BESIDE_CHECKPOINT[section] + (_OF_SHIPPED.get(section, ()) if given == SHIPPED else ())


def effective(config: Config) -> dict[str, dict[str, Any]]:
    """Return every key that has a value and an effect, by section: they give the same configuration."""
    found = {
        name: {key: value for key in with_effect(config, name) if (value := getattr(table, key)) is not None}
        for name in sections()
        for table in (getattr(config, name),)
    }
    if "file" in found["corpus"]:
        del found["corpus"]["name"]
    return {name: keys for name, keys in found.items() if keys}


def sections() -> dict[str, type[Section]]:
    """Return the tables of the file by name, in order."""
    return {
        name: field.annotation
        for name, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }
