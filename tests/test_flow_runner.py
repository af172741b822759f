# SPDX-License-Identifier: Apache-2.0
"""Which stages a second run of a flow runs; tested with stages that take no time."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zynq_lstm import hls
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.scripts.flow import load as loading
from zynq_lstm.scripts.flow.load import load
from zynq_lstm.scripts.flow.runner import BEGUN, DONE, Pipeline, Stage
from zynq_lstm.scripts.flow.show import duration
from zynq_lstm.scripts.flow.stages import STAGES
from zynq_lstm.scripts.main import main
from zynq_lstm.scripts.verbs.run import run_stages
from zynq_lstm.sim.campaigns import sources

CONFIG = '[corpus]\nfile = "text.txt"\n'


class Silent:
    """A console that keeps its lines."""

    is_terminal = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def print(self, *text: object, **_: object) -> None:
        self.lines += map(str, text)


class Fake:
    """Simple stages: 'double' and 'count' read the results of 'copy'."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fail: BaseException | None = None
        self.resumed: bool | None = None
        self.stages = (
            Stage("copy", "copy the text", self.copy, files=lambda flow: (flow.text_file(),)),
            Stage("double", "double it", self.double, reads=("model.layers",), after=("copy",)),
            Stage(
                "count",
                "count it",
                self.count,
                after=("copy",),
                code=("zynq_lstm.models.errors",),
                packages=("numpy",),
                wanted=lambda config: config.engine.synthesis,
            ),
            Stage("show", "show all", self.show, after=("copy", "double", "count"), shows=True),
        )

    def copy(self, work: Any) -> Any:
        self.ran.append("copy")
        (work.folder / "copy.txt").write_text(work.flow.path("text.txt").read_text().strip())
        return ["copy.txt"], {}

    def double(self, work: Any) -> Any:
        self.ran.append("double")
        self.resumed = work.resume
        (work.folder / "half.txt").write_text("half")
        if self.fail:
            raise self.fail
        text = (work.at("copy") / "copy.txt").read_text() * work.flow.config.model.layers
        (work.folder / "double.txt").write_text(text)
        return ["double.txt"], {"length": len(text)}

    def count(self, work: Any) -> Any:
        self.ran.append("count")
        return [], {"count": len((work.at("copy") / "copy.txt").read_text())}

    def show(self, work: Any) -> Any:
        self.ran.append("show")
        return [], {"both": [work.figures("double"), work.figures("count")]}


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("abc")
    Path("flow.toml").write_text(CONFIG)
    return Fake()


def pipeline(fake: Fake, *changes: str) -> Pipeline:
    return Pipeline(load(Path("flow.toml"), changes), fake.stages)


def run(fake: Fake, *changes: str, force: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """Run the stages, and return the names of those that ran."""
    fake.ran.clear()
    one = pipeline(fake, *changes)
    assert run_stages(one, one.stages, force, Silent()) == len(fake.ran)
    return list(fake.ran)


def test_a_second_run_does_nothing(flow: Fake) -> None:
    assert run(flow) == ["copy", "double", "count", "show"]
    assert run(flow) == []
    record = json.loads(Path("build/flow/show/stage.json").read_text())
    assert record["figures"] == {"both": [{"length": 6}, {"count": 3}]}


def test_only_what_a_change_reaches_runs(flow: Fake) -> None:
    run(flow)
    assert run(flow, "model.layers=3") == ["double", "show"]
    assert run(flow, "model.layers=3", "model.units=7") == []  # no stage reads that
    Path("text.txt").write_text("abc ")  # the same result; only its time, which 'show' reads, differs
    assert run(flow, "model.layers=3") == ["copy", "show"]
    Path("text.txt").write_text("abcd")
    assert run(flow, "model.layers=3") == ["copy", "double", "count", "show"]


def test_a_result_that_was_changed_or_removed_is_made_again(flow: Fake) -> None:
    run(flow)
    Path("build/flow/double/double.txt").write_text("else")
    assert [(s.word, s.reason) for s in pipeline(flow).states()][1] == ("to do", "double.txt was changed")
    assert run(flow) == ["double", "show"]
    Path("build/flow/copy/copy.txt").unlink()
    assert run(flow) == ["copy", "show"]  # the result is the same as before, so nothing else runs


def test_reasons_are_named(flow: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    run(flow)
    states = pipeline(flow, "model.layers=4").states()
    assert [state.reason for state in states] == [
        "",
        "model.layers is now 4, was 2",
        "",
        "double may change",
    ]
    record = json.loads(Path("build/flow/count/stage.json").read_text())
    record["made_from"]["package"]["numpy"] = "0.1"
    Path("build/flow/count/stage.json").write_text(json.dumps(record))
    assert pipeline(flow).states()[2].reason.startswith("numpy is now ")
    record["made_from"]["code"]["models/errors.py"] = "0"
    Path("build/flow/count/stage.json").write_text(json.dumps(record))
    assert pipeline(flow).states()[2].reason == "code models/errors.py changed"


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), CheckError("not equal")])
def test_what_was_stopped_goes_on(flow: Fake, failure: BaseException) -> None:
    flow.fail = failure
    one, console = pipeline(flow), Silent()
    with pytest.raises(type(failure)):
        run_stages(one, one.stages, set(), console)
    assert flow.ran == ["copy", "double"]
    assert ("continues from there" in "".join(console.lines)) == isinstance(failure, KeyboardInterrupt)
    folder = Path("build/flow/double")
    assert (folder / BEGUN).exists()
    assert not (folder / DONE).exists()
    assert pipeline(flow).states()[1].word == "begun"
    flow.fail = None
    assert run(flow) == ["double", "count", "show"]
    assert flow.resumed
    assert not (folder / BEGUN).exists()
    assert run(flow) == []


def test_what_was_stopped_begins_anew_if_something_changed(flow: Fake) -> None:
    flow.fail = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(flow)
    flow.fail = None
    (left := Path("build/flow/double/left.txt")).write_text("over")
    run(flow, "model.layers=3")
    assert not flow.resumed
    assert not left.exists()


def test_force_and_time(flow: Fake) -> None:
    run(flow)
    assert run(flow, force={"double"}) == ["double", "show"]
    one = pipeline(flow)
    assert one.states(["copy"])[0].reason == "forced"
    cost = one.cost("double")
    assert cost is not None
    assert cost >= one.record("double")["seconds"]


def test_a_stage_can_be_left_out(flow: Fake) -> None:
    assert run(flow, "engine.synthesis=false") == ["copy", "double", "show"]
    with pytest.raises(UserError, match="no stage 'count' left out by the configuration; there are copy, d"):
        pipeline(flow, "engine.synthesis=false").named("count")
    assert run(flow) == ["count", "show"]


def test_files_of_others_are_left_alone(flow: Fake) -> None:
    (strange := Path("build/flow/double")).mkdir(parents=True)
    (strange / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds files that are not of this flow"):
        run(flow)
    assert (strange / "mine.txt").read_text() == "mine"


def test_one_run_at_a_time(flow: Fake) -> None:
    with (
        pipeline(flow).locked(),
        pytest.raises(UserError, match="another 'zynq-lstm run'"),
        pipeline(flow).locked(),
    ):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from zynq_lstm.scripts.flow.load import load
from zynq_lstm.scripts.flow.runner import Pipeline, Stage
stage = Stage("corpus", "be killed", lambda _: os.kill(os.getpid(), signal.SIGKILL))
one = Pipeline(load(Path("flow.toml"), ["model.units=4"]), [stage])
with one.locked():
    one.run(stage, False, lambda *_: None)
"""


def test_status_says_how_the_last_run_stands(flow: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    def status() -> str:
        assert main(["status"]) == 0
        return capsys.readouterr().out

    def stage() -> str:
        assert main(["status", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        return str(next(row["state"] for row in rows if row["stage"] == "corpus"))

    def first() -> str:
        return status().splitlines()[0]

    def locked(work: Any) -> None:
        one = pipeline(flow)
        corpus = Stage("corpus", "as the real one is called", work)
        with one.locked():
            one.run(corpus, False, lambda *_: None)

    def looked_at(_: object) -> Any:
        assert first().startswith("running since ")
        assert f" as process {os.getpid()}: stage corpus, since " in first()
        assert stage() == "running"
        return [], {}

    assert first() == "flow  flow.toml -> build/flow"
    locked(looked_at)
    assert first().startswith("the last run finished at 2")
    assert stage() == "to do"

    def fail(error: BaseException) -> Any:
        raise error

    with pytest.raises(CheckError):
        locked(lambda _: fail(CheckError("not equal")))
    assert re.match(r"the last run failed at .* in stage corpus; the same command continues", first())
    with pytest.raises(KeyboardInterrupt):
        locked(lambda _: fail(KeyboardInterrupt()))
    assert re.match(r"the last run was interrupted at .* in stage corpus; the same command", first())

    root = Path(hls.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    said = status().splitlines()
    assert re.match(r"the last run \(process \d+, since .*\) was killed in stage corpus; the same", said[0])
    assert said[1] == "--set model.units=4 (flow.toml says 128)"
    Path("flow.toml").write_text(CONFIG + "[model]\nunits = 4\n")
    assert "--set" not in status()


def test_the_verbs(flow: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tested with the real stages, of which the first two take no time."""
    Path("text.txt").write_text("to be or not to be\n" * 4000)
    common = ["run", "flow.toml", "--set", "verification.characters=32"]
    assert main([*common, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "has not run yet" in said
    assert main(["run", "-n", *common[2:]]) == 0  # flow.toml is the default
    assert capsys.readouterr().out == said
    assert not Path("build").exists()
    assert main([*common, "--until", "estimate"]) == 0
    out = capsys.readouterr().out
    assert "1/2 corpus: read and normalise the text" in out
    assert "2 of 2 stages ran; results: build/flow" in out
    assert main([*common, "--until", "estimate"]) == 0
    assert "0 of 2 stages ran" in capsys.readouterr().out
    assert main([*common, "--set", "model.units=512", "--until", "estimate"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("no engine fits the xc7z020: too much block RAM. To make it fit, one of: --units") == 1
    assert main([*common, "--until", "estimate"]) == 0
    capsys.readouterr()
    assert main(["status", "flow.toml", "--json"]) == 0
    rows = {row["stage"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["corpus"]["state"] == "done"  # with the --set of the last run
    assert main(["run", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("note: the last run had --set verification.characters=32; this one takes ")
    states = Pipeline(load(Path("flow.toml")), STAGES).states()
    assert states[0].reason == "verification.characters is now 2048, was 32"
    assert rows["train"]["state"] == "to do"
    assert main(["status", "flow.toml"]) == 0
    assert "to do" in capsys.readouterr().out
    assert main([*common, "--until", "trian"]) == 2
    assert "no stage 'trian', did you mean 'train'; there are corpus, estimate" in capsys.readouterr().err
    assert main([*common, "--until", "estimate", "--force", "train"]) == 2
    assert "--force train: that stage comes after --until estimate" in capsys.readouterr().err
    checked: list[str] = []
    with monkeypatch.context() as changed:
        changed.setattr("zynq_lstm.scripts.flow.checks.check", lambda _, stages: checked.extend(stages) or [])
        assert main([*common, "--until", "estimate", "--force", "corpus", "-n"]) == 0
    assert checked == ["corpus", "estimate"], "what may run needs its programs, too"
    capsys.readouterr()
    with monkeypatch.context() as without:
        without.setattr("zynq_lstm.sim.simulation.simulator.available", lambda name: False)
        assert main(["run", "flow.toml", "--set", "verification.simulator=icarus"]) == 2
    assert re.search(r"simulator icarus is not installed; .* does without\n$", capsys.readouterr().err)
    with monkeypatch.context() as without:
        without.setattr("zynq_lstm.scripts.main.importlib.util.find_spec", lambda name: None)
        assert main(common) == 2
        assert "this needs jinja2: pip install 'zynq-lstm[report]'" in capsys.readouterr().err
    assert main(["run", "flow.toml", "--set", "verification.characters=4000"]) == 2
    err = capsys.readouterr().err
    assert "the validation split has 3800 characters; verification.characters is 4000" in err
    assert err.count("\n") == 1


def test_every_stage_depends_on_earlier_ones_and_on_keys_and_code_that_there_are(tmp_path: Path) -> None:
    seen: set[str] = set()
    loading_config = load(loading.preset_file("train"))
    one = Pipeline(loading_config, STAGES)
    for stage in STAGES:
        assert set(stage.after) <= seen
        seen.add(stage.name)
        made_from = one.made_from(stage)
        assert stage.code
        assert made_from["code"]
        assert "missing" not in made_from["package"].values()


ROOT = Path(hls.__file__).parents[1]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the sources of the project, so that the test may change them."""
    for package in ("models", "hls", "sim", "scripts"):
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__", "checkpoints", "measured"),
        )
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    return tmp_path


def test_which_stages_a_change_of_the_sources_redoes(copy: Path) -> None:
    def code() -> dict[str, dict[str, str]]:
        return {stage.name: sources.hashes(stage.code, stage.alone) for stage in STAGES}

    def changed(name: str, old: str, new: str) -> set[str]:
        text = (copy / name).read_text()
        assert old in text
        (copy / name).write_text(text.replace(old, new, 1))
        now = code()
        (copy / name).write_text(text)
        return {stage for stage in before if before[stage] != now[stage]}

    before = code()
    assert changed("scripts/flow/templates/report.md.j2", "\n", "\n\n") == {"report"}
    assert changed("scripts/pictures.py", "import annotations", "import annotations, generators") == {
        "report"
    }
    assert changed("hls/vitis/nnet_utils/zynq_lstm.h", "\n", "\n// a comment\n") == set()
    assert changed("models/description/spec.py", "\nimport", "\n# a comment\nimport") == set()
    assert changed("hls/vitis/nnet_utils/zynq_lstm.h", "\n", "\nint wrong;\n") == {"hls"}
    rtl = changed("hls/rtl/network_engine.sv", "\nmodule", "\nmodule wrong; endmodule\nmodule")
    assert {"rtl", "simulate", "synthesize"} <= rtl and not rtl & {"train", "quantize", "reference"}
    # caches of Python, which the first run in a fresh clone leaves everywhere
    for folder in [one for one in copy.rglob("*") if one.is_dir()]:
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "module.cpython-310.pyc").write_bytes(b"compiled")
    assert code() == before


@pytest.mark.parametrize(
    "change, stages",
    [
        ("verification.ladder=0", "evaluate report"),
        ("verification.temperature=1.0", "reference hls simulate compare report"),
        ("verification.protocol=true", "simulate report"),
        ("engine.lanes=8", "estimate rtl simulate synthesize report"),
        ("engine.clock_mhz=125.0", "hls report"),
        ("training.distill=0.25", "quantize report"),
        ("training.seed=2", "train quantize report"),
        ("formats.preset=w4a8", "estimate quantize report"),
        ("model.units=64", "estimate train quantize report"),
        ("name=other", ""),
    ],
)
def test_which_stages_read_a_key(change: str, stages: str) -> None:
    """The new results of these stages may then change other stages, too."""
    file = loading.preset_file("train")
    one, two = Pipeline(load(file), STAGES), Pipeline(load(file, [change]), STAGES)
    differ = [
        stage.name
        for stage in STAGES
        if one.made_from(stage)["configuration"] != two.made_from(stage)["configuration"]
    ]
    assert differ == stages.split()


@pytest.mark.parametrize(
    "seconds, text", [(None, "unknown"), (3.21, "3.2 s"), (61, "1 min 1 s"), (7300, "2 h 1 min")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
