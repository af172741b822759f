# SPDX-License-Identifier: Apache-2.0
"""Read a configuration file; a mistake in it gives one line with file, line, and the legal values."""

from __future__ import annotations

import difflib
import json
import re
import shlex
import sys
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.checkpoint import Checkpoint, load_quantized, shipped
from zynq_lstm.models.description.spec import network_spec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.bpc import require_text
from zynq_lstm.models.store import FLOW_LOCK
from zynq_lstm.models.texts.corpus import HELD_OUT, Corpus, load_corpus
from zynq_lstm.models.training.options import require_length
from zynq_lstm.scripts.files import Folder, Named, Reads, require_apart, require_folder
from zynq_lstm.scripts.flow.config import SHIPPED, Config, effective, sections
from zynq_lstm.scripts.flow.keys import Mistake, extra, legal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRESETS = Path(__file__).parent / "presets"
BUILD = Path("build")

_EXPECTED = "a configuration is TOML in UTF-8, as 'zynq-lstm init' writes it"

parsed = tomllib.loads


@dataclass(frozen=True)
class Flow:
    """A configuration, and the file that it was read from.

    Args:
        file: the configuration file.
        config: its content, with the changes.
        changes: ``section.key=value`` each, which replace values of the file.
        output: folder for all results; that of the name if None.
    """

    file: Path
    config: Config
    changes: tuple[str, ...] = ()
    output: Path | None = None

    @property
    def name(self) -> str:
        return self.config.name or self.file.stem

    @property
    def folder(self) -> Path:
        """Folder for all results."""
        return self.output or BUILD / self.name

    @property
    def command(self) -> str:
        """Command line that runs this flow, changes included."""
        changes = (word for change in self.changes for word in ("--set", change))
        return shlex.join(["zynq-lstm", "run", str(self.file), *changes])

    def path(self, given: str) -> Path:
        """Return a path that the file names, which is relative to the file."""
        return self.file.parent / given

    def text_file(self) -> Path | None:
        """Return the text file that the configuration names; None if it names none."""
        return self.path(self.config.corpus.file) if self.config.corpus.file else None

    def cell_files(self) -> tuple[Path, ...]:
        """Return the files of cells that the configuration names."""
        names = self.config.model.cell_names
        return tuple(self.path(name) for name in names if name.endswith(catalogue.ENDING))

    def cells(self) -> tuple[str, ...]:
        """Return the cell of each layer, as :mod:`zynq_lstm.models.cells.catalogue` writes it."""
        shape = self.config.model
        names = [str(self.path(n)) if n.endswith(catalogue.ENDING) else n for n in shape.cell_names]
        found = tuple(catalogue.written(catalogue.cell(name)) for name in names)
        return found * (shape.layers // len(found))

    def shipped(self, name: str) -> Path:
        """Return the shipped network of the configuration's text and cells; see :func:`shipped`.

        Raises:
            UserError: there is none; names those that exist.
        """
        cells = dict.fromkeys(self.config.model.cell_names)
        return shipped(name, self.config.corpus.name, "-".join(cells))

    def given_file(self) -> Path | None:
        """Return the file of :meth:`given`; None if there is none."""
        name = self.config.training.checkpoint
        if name == SHIPPED:
            return self.shipped(self.config.formats.preset)
        return self.path(name) if name else None

    def given(self) -> Checkpoint | None:
        """Return the quantized network that the configuration names; None if it names none."""
        file = self.given_file()
        return load_quantized(file) if file else None

    def given_float(self) -> Path | None:
        """Return the float network that the configuration names, or that comes with the quantized one."""
        config = self.config.training
        if config.float_checkpoint:
            return self.path(config.float_checkpoint)
        if config.checkpoint != SHIPPED:
            return None
        try:
            return self.shipped("float")
        except UserError:
            return None  # for some corpora only the quantized network is shipped

    def read_corpus(self) -> Corpus:
        """Return the text, in the vocabulary of the network that the configuration names, or in its own.

        Raises:
            UserError: if it cannot be read, does not match the network, or is too short for later stages.
        """
        config, given = self.config.corpus, self.given()
        corpus = load_corpus(
            config.name,
            self.text_file(),
            as_is=config.as_is,
            fold_rare=config.fold_rare,
            vocabulary=given.vocabulary if given else None,
            rest=given.rest if given else "",
        )
        split, training = corpus.split(), self.config.training
        for part in HELD_OUT:
            require_text(split.part(part), f"{corpus.name}: the {part} split")
        needed = self.config.verification.characters
        if len(split.validation) <= needed:
            raise UserError(
                f"{corpus.name}: the validation split has {len(split.validation)} characters; "
                f"verification.characters is {needed}: it must be less"
            )
        if given is None:
            network_spec(vocabulary=len(corpus.vocabulary))
            require_length(len(split.train), training.batch, training.steps)
        return corpus


def preset_file(name: str) -> Path:
    """Return the file of a configuration that comes with the project.

    Raises:
        UserError: if there is none of that name; it names those there are.
    """
    known = {path.stem: path for path in sorted(PRESETS.glob("*.toml"))}
    if name not in known:
        raise UserError(f"unknown preset {name!r}{near(name, known)}; there are {', '.join(known)}")
    return known[name]


def load(file: Path, changes: Iterable[str] = ()) -> Flow:
    """Read and check a configuration.

    Args:
        changes: ``section.key=value`` each, which replace values of the file.

    Raises:
        UserError: naming file, line, key, and the legal values.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")  # some editors begin with a byte order mark
    except OSError as error:
        init = shlex.join(["zynq-lstm", "init", str(file)])
        raise UserError(
            f"{file}: {error.strerror or error}; to write a configuration there: {init}"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 at byte {error.start}; {_EXPECTED}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = place[1] if place and place[1] else str(text.count("\n") + 1)
        said = str(error)[: place.start()] if place else str(error)
        expected = f"; {_EXPECTED}" if line == "1" else ""  # another kind of file, perhaps
        raise UserError(f"{file}:{line}: not TOML: {said}{expected}") from None
    changes = tuple(changes)
    flow = Flow(file, checked(data, file, text, changes), changes)
    _require_files(flow, text)
    return flow


def checked(data: dict[str, Any], file: Path, text: str, changes: Iterable[str] = ()) -> Config:
    """Return the configuration that plain data gives; arguments and errors as for :func:`load`."""
    given = {}
    for change in changes:
        key, value = _change(change)
        given[key] = f"--set {change}"
        *section, name = key.split(".")
        target = data
        for part in section:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise UserError(f"--set {change}: {part} is not a table")
        target[name] = value
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        first, *rest = error.errors()
        key, message = _explain(first)
        more = f" (and {len(rest)} more)" if rest else ""
        by_flag = (said for name, said in given.items() if f"{name}.".startswith(f"{key}."))
        where = next(by_flag, f"{file}:{line_of(text, key)}")
        raise UserError(f"{where}: {key}: {message}{more}") from None


def line_of(text: str, key: str) -> int:
    """Return the line number of a key in parsed TOML: its own line, else its table's, else the first."""
    *table, name = key.split(".")
    section, best = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if header:
            section = header[1].replace('"', "").replace(" ", "")
            if section in (key, ".".join(table)):
                best = number
        if section == ".".join(table) and re.match(rf"""\s*["']?{re.escape(name)}["']?\s*=""", line):
            return number
        if not section and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return best


def _change(change: str) -> tuple[str, Any]:
    key, equals, value = change.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)?", key.strip()):
        raise UserError(f"--set {change}: write section.key=value, such as --set engine.lanes=64")
    try:
        return key.strip(), tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()  # the shell has removed the quotes


def _explain(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return key and message of one of pydantic's errors."""
    loc = [str(part) for part in error["loc"] if not isinstance(part, int)]
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        return ".".join(loc), _unknown(loc)
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Mistake):
        return ".".join([*loc, cause.key]), str(cause)
    key, field = ".".join(loc), _field(loc)
    if field is None:  # another value stands where a table belongs
        return key, f"must be a table, [{key}], got {_shown(given)}"
    if cause is not None:
        words = given if isinstance(given, list) else [given]
        meant = "".join(near(word, extra(field, "near")) for word in words if isinstance(word, str))
        return key, f"{cause}{meant}{f'; legal is {legal(field)}' if extra(field, 'choices') else ''}"
    return key, f"must be {legal(field)}, got {_shown(given)}"


def _unknown(loc: list[str]) -> str:
    *table, name = loc
    known = sections()
    if not table:
        legal_keys = list(Config.model_fields)
    else:
        legal_keys = list(known[table[0]].model_fields)
    elsewhere = [section for section, model in known.items() if name in model.model_fields]
    meant = f"; it belongs in [{elsewhere[0]}]" if elsewhere else near(name, legal_keys)
    return f"unknown key{meant}; legal are {', '.join(legal_keys)}"


def _field(loc: list[str]) -> FieldInfo | None:
    model = sections().get(loc[0]) if loc else None
    if model is None:
        return Config.model_fields.get(loc[0]) if loc else None
    return model.model_fields.get(loc[1]) if len(loc) > 1 else None


def near(name: str, known: Iterable[str]) -> str:
    """Return 'did you mean' with the known name most like ``name``; empty if none is."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean {found[0]!r}" if found and name not in found else ""


def _shown(value: Any) -> str:
    text = toml(value) if isinstance(value, bool) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _require_files(flow: Flow, text: str) -> None:
    """Refuse a configuration that names a missing file, before any work."""
    config = flow.config
    for key, given in (
        ("corpus.file", config.corpus.file),
        ("training.checkpoint", config.training.checkpoint),
        ("training.float_checkpoint", config.training.float_checkpoint),
    ):
        where = f"{flow.file}:{line_of(text, key)}: {key}"
        if key == "training.checkpoint" and given == SHIPPED:
            try:
                flow.shipped(config.formats.preset)
            except UserError as error:
                raise UserError(f"{where}: {error}") from None
        elif given is not None and not flow.path(given).is_file():
            meant = near(given, [SHIPPED]) if key == "training.checkpoint" else ""
            raise UserError(f"{where}: {flow.path(given)}: no such file{meant}")
    for path in flow.cell_files():
        try:
            catalogue.cell(str(path))
        except UserError as error:
            raise UserError(f"{flow.file}:{line_of(text, 'model.cell')}: model.cell: {error}") from None


def require_own_folder(flow: Flow) -> None:
    """Refuse to run in a folder that holds other files, or a file that the configuration names.

    Raises:
        UserError: naming the folder.
    """
    way_out = "choose another with the configuration's key name, or move them away"
    require_folder(flow.folder, marker=FLOW_LOCK, way_out=way_out)
    config = flow.config
    results = Named("the results in", flow.folder, Folder())
    for name in (config.corpus.file, config.training.checkpoint, config.training.float_checkpoint):
        if name is not None and name != SHIPPED:
            require_apart(results, Named(str(flow.file), flow.path(name), Reads()))
    for path in flow.cell_files():
        require_apart(results, Named(str(flow.file), path, Reads()))


def toml(value: Any) -> str:
    """Return a text, number, truth value or list of them as TOML, which writes them as JSON does."""
    return json.dumps(value, ensure_ascii=False)


def written(config: Config, heading: str) -> str:
    """Return a commented configuration file: the keys that are set, and all others as comments."""
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    lines += ["", *_keys(config, ["name"])]
    for name, model in sections().items():
        lines += ["", f"# {model.__doc__}", f"[{name}]"]
        lines += _keys(getattr(config, name), model.model_fields)
    return "\n".join(lines) + "\n"


def repeatable(flow: Flow) -> str:
    """Return a file that gives the same flow without --set: every key that has an effect, with its origin."""
    changed = {_change(change)[0] for change in flow.changes}
    lines = [f"name = {toml(flow.name)}"]
    for name, keys in effective(flow.config).items():
        lines += ["", f"[{name}]"]
        given = getattr(flow.config, name).model_fields_set
        for key, value in keys.items():
            origin = "--set" if f"{name}.{key}" in changed else "" if key in given else "default"
            lines.append(f"{key} = {toml(value)}" + (f"  # {origin}" if origin else ""))
    return "\n".join(lines) + "\n"


def _keys(section: Any, names: Iterable[str]) -> Iterable[str]:
    for name in names:
        field = type(section).model_fields[name]
        value = getattr(section, name)
        default = field.default if field.default is not None else extra(field, "example")
        yield from (f"# {line}" for line in textwrap.wrap(f"{field.description} Legal: {legal(field)}.", 96))
        yield f"{name} = {toml(value)}" if name in section.model_fields_set else f"#{name} = {toml(default)}"


def table() -> str:
    """Return a table of all keys as Markdown, for the documentation."""
    lines = ["| key | default | legal | |", "|---|---|---|---|"]
    rows = [("", "name", Config.model_fields["name"])]
    for name, model in sections().items():
        rows += [(f"{name}.", key, field) for key, field in model.model_fields.items()]
    for section, key, field in rows:
        default = "" if field.default is None else f"`{toml(field.default)}`"
        lines.append(f"| `{section}{key}` | {default} | {legal(field)} | {field.description} |")
    return "\n".join(lines) + "\n"
