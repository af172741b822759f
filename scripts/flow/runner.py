# SPDX-License-Identifier: Apache-2.0
"""Run stages of a flow: only those whose inputs have changed, and so that a run can stop at any moment.

A stage leaves its results in its own folder, with ``stage.json``: its inputs, the hashes of the files that
later stages read, its figures and its time. A stage is done as long as its inputs and these files are
unchanged. The inputs are the keys of the configuration that it reads, the results of earlier stages, files
that the configuration names, the sources of its code without comments, and the versions of packages.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.interruption import at_interruption
from zynq_lstm.models.store import write_text
from zynq_lstm.scripts.flow.config import Config
from zynq_lstm.scripts.flow.last_run import Recorder, only_run
from zynq_lstm.scripts.flow.load import Flow, near
from zynq_lstm.scripts.machine import version
from zynq_lstm.sim.campaigns import sources

DONE, BEGUN = "stage.json", "begun.json"

Figures = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One step of the flow.

    Args:
        name: name of the stage and of its folder.
        what: what it does, in a few words.
        run: runs it; returns the files (in its folder) that other stages read, and figures as JSON data.
        reads: sections or keys of the configuration that affect its results.
        after: the stages whose results it reads.
        code: modules that decide its results, with all modules that they import and the data beside these.
        alone: modules that also decide its results, without the modules that they import.
        packages: packages whose versions also decide its results.
        wanted: returns True if a configuration asks for the stage.
        files: returns the files that it reads, of those that the configuration names.
        shows: True if it reads the whole records of earlier stages, and not only their files.
    """

    name: str
    what: str
    run: Callable[[Any], tuple[Sequence[str], Figures]]
    reads: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    wanted: Callable[[Config], bool] = lambda _: True
    files: Callable[[Flow], Sequence[Path | None]] = lambda _: ()
    shows: bool = False


@dataclass(frozen=True)
class State:
    """The state of a stage."""

    stage: Stage
    word: str  # done, to do or begun
    reason: str = ""  # why it must run
    record: Mapping[str, Any] = field(default_factory=dict)  # of its last run, whatever has changed since
    seconds: float | None = None  # of its last run


class Pipeline:
    """The stages of one flow, and their records and states."""

    def __init__(self, flow: Flow, stages: Sequence[Stage]) -> None:
        self.flow = flow
        self.stages = [stage for stage in stages if stage.wanted(flow.config)]
        self.left_out = [stage for stage in stages if not stage.wanted(flow.config)]
        self._recorder: Recorder | None = None

    def folder(self, name: str) -> Path:
        return self.flow.folder / name

    def named(self, name: str) -> Stage:
        """Return the stage of that name; raise a UserError if there is none."""
        known = [stage.name for stage in self.stages]
        if name not in known:
            left_out = name in [s.name for s in self.left_out]
            why = " left out by the configuration" if left_out else near(name, known)
            raise UserError(f"no stage {name!r}{why}; there are {', '.join(known)}")
        return self.stages[known.index(name)]

    def record(self, name: str) -> dict[str, Any]:
        """Return the record that a stage left; empty if there is none."""
        return _read(self.folder(name) / DONE)

    def before(self, stage: Stage) -> list[str]:
        """Return the wanted stages whose results a stage reads."""
        return [name for name in stage.after if name in [s.name for s in self.stages]]

    def made_from(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """Return the inputs that decide a stage's results, as far as they exist."""
        flow = self.flow
        return {
            "configuration": {key: value(flow.config, key) for key in stage.reads},
            "results": {
                name: self.record(name) if stage.shows else self.record(name).get("outputs")
                for name in self.before(stage)
            },
            "file": {path.name: _hash_file(path) for path in stage.files(flow) if path},
            "code": sources.hashes(stage.code, stage.alone),
            "package": {name: version(name) for name in stage.packages},
        }

    def states(self, forced: Collection[str] = ()) -> list[State]:
        """Return the state of every wanted stage; a stage after one that is to do may still turn out done."""
        found: list[State] = []
        for stage in self.stages:
            waiting = {state.stage.name for state in found if state.word != "done"}
            found.append(self.state(stage, forced, waiting))
        return found

    def state(self, stage: Stage, forced: Collection[str] = (), waiting: Collection[str] = ()) -> State:
        """Return the state of a stage, if the ``waiting`` stages might still change what it reads."""
        record, begun = self.record(stage.name), _read(self.folder(stage.name) / BEGUN)
        seconds = record.get("seconds", begun.get("last_seconds"))
        if stage.name in forced:
            return State(stage, "to do", "forced", record, seconds)
        if begun:
            return State(stage, "begun", "did not finish", record, seconds)
        if not record:
            return State(stage, "to do", "has not run yet", record, seconds)
        reason = _difference(record["made_from"], self.made_from(stage))
        reason = reason or _damage(self.folder(stage.name), record)
        later = [name for name in self.before(stage) if name in waiting]
        if not reason and later:
            reason = f"{' and '.join(later)} may change"
        return State(stage, "to do" if reason else "done", reason, record, seconds)

    def cost(self, name: str) -> float | None:
        """Return the seconds that a stage and all that depend on it took the last time; None if unknown."""
        after = {name}
        for stage in self.stages:
            if after & set(stage.after):
                after.add(stage.name)
        times = [self.record(stage).get("seconds") for stage in after]
        return None if None in times else sum(time for time in times if time is not None)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of this flow's folder, and record this run there."""
        with only_run(self.flow.folder, self.flow.changes) as self._recorder:
            yield

    def run(self, stage: Stage, force: bool, work: Callable[[Stage, bool], Any]) -> Mapping[str, Any]:
        """Run one stage now, and return its record.

        Args:
            force: True to begin anew, even if an interrupted run could be continued.
            work: makes the argument of the stage's function, given the stage and whether to continue an
                interrupted run.
        """
        if self._recorder:
            self._recorder.begin(stage.name)
        folder, made_from = self.folder(stage.name), self.made_from(stage)
        last, begun = self.record(stage.name), _read(folder / BEGUN)
        resume = bool(begun) and begun["made_from"] == _plain(made_from) and not force
        if not resume:
            _clear(folder)
        spent: float = begun["seconds"] if resume else 0.0  # by the interrupted run
        note = {
            "made_from": made_from,
            "seconds": spent,
            "last_seconds": last.get("seconds", begun.get("last_seconds")),
        }
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / BEGUN, note)
        started = time.monotonic()

        def stopped() -> None:
            _write(folder / BEGUN, note | {"seconds": spent + _since(started)})

        try:
            with at_interruption(stopped):
                outputs, figures = stage.run(work(stage, resume))
        except BaseException:
            stopped()
            raise
        record = {
            "stage": stage.name,
            "made_from": made_from,
            "outputs": {name: _hash_file(folder / name) for name in outputs},
            "figures": figures,
            "seconds": round(spent + _since(started), 1),
            "ended": datetime.now().isoformat(" ", "milliseconds"),
        }
        _write(folder / DONE, record)
        (folder / BEGUN).unlink()
        return record


def _since(started: float) -> float:
    return time.monotonic() - started


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return data if isinstance(data, dict) and "made_from" in data else {}


def _write(path: Path, data: Mapping[str, Any]) -> None:
    """Write a record in ASCII, since names of files need not be Unicode."""
    write_text(path, json.dumps(data, indent=1) + "\n")


def _clear(folder: Path) -> None:
    """Remove a stage's folder; refuse a folder that no stage has made."""
    if not folder.exists():
        return
    if not any((folder / name).exists() for name in (DONE, BEGUN)) and any(folder.iterdir()):
        raise UserError(f"{folder}: holds files that are not of this flow; move them away")
    shutil.rmtree(folder)


def value(config: Config, key: str) -> Any:
    """Return the value of a section or a key, as plain data."""
    found: Any = config
    for part in key.split("."):
        found = getattr(found, part)
    return found.model_dump() if hasattr(found, "model_dump") else found


def _plain(data: Any) -> Any:
    """Return the data as JSON would give it back."""
    return json.loads(json.dumps(data))


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the first input of :meth:`Pipeline.made_from` that has changed, in words; empty if none has."""
    now = _plain(now)
    for kind in now:
        if kind not in before:
            return f"{kind} was not recorded"
        for key in sorted({*before[kind], *now[kind]}):
            old, new = before[kind].get(key), now[kind].get(key)
            if old == new:
                continue
            if kind == "configuration":
                return _changed_key(key, old, new)
            if kind == "package":
                return f"{key} is now {new}, was {old}"
            return f"{kind} {'of ' if kind == 'results' else ''}{key} changed"
    return ""


def _changed_key(key: str, old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in new:
            if old.get(name) != new[name]:
                return _changed_key(f"{key}.{name}", old.get(name), new[name])
    return f"{key} is now {json.dumps(new)}, was {json.dumps(old)}"


def _damage(folder: Path, record: Mapping[str, Any]) -> str:
    """Return the first result that is missing or changed, in words; empty if there is none."""
    for name, sha256 in record["outputs"].items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if _hash_file(folder / name) != sha256:
            return f"{name} was changed"
    return ""


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
