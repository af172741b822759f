# SPDX-License-Identifier: Apache-2.0
"""The configuration of a flow: refusals with their messages, and files that ``zynq-lstm init`` writes."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.training.options import HYPERPARAMETERS
from zynq_lstm.scripts.flow.config import Config, Training, effective, sections
from zynq_lstm.scripts.flow.keys import legal
from zynq_lstm.scripts.flow.load import (
    PRESETS,
    Flow,
    checked,
    line_of,
    load,
    preset_file,
    repeatable,
    table,
    tomllib,
)
from zynq_lstm.scripts.main import main
from zynq_lstm.scripts.verbs import train


def refused(tmp_path: Path, text: str, *changes: str) -> str:
    """Return the error message, without the folder's name."""
    file = tmp_path / "flow.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        load(file, changes)
    return str(error.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    "text, message",
    [
        ("name = x", "flow.toml:1: not TOML: Invalid value"),
        ("\n\n[engine", "flow.toml:3: not TOML: "),
        ("[engine]\n\n lane = 3", "flow.toml:3: engine.lane: unknown key, did you mean 'lanes'; legal are "),
        ("[model]\nlanes = 3", "flow.toml:2: model.lanes: unknown key; it belongs in [engine]; legal are "),
        ("[engin]\nlanes = 3", "flow.toml:1: engin: unknown key, did you mean 'engine'; legal are name"),
        ("engine = 3", "flow.toml:1: engine: must be a table, [engine], got 3"),
        ("[engine]\nlanes = 0", "flow.toml:2: engine.lanes: must be a whole number from 1 on, got 0"),
        ("[engine]\nlanes = 1.5", "flow.toml:2: engine.lanes: must be a whole number from 1 on, got 1.5"),
        (
            "engine = {lanes = true}",
            "flow.toml:1: engine.lanes: must be a whole number from 1 on, got true",
        ),
        ("[engine]\nsynthesis = 1", "flow.toml:2: engine.synthesis: must be true or false, got 1"),
        ("[model]\nunits = 513", "flow.toml:2: model.units: must be a whole number from 1 to 512, got 513"),
        ("[formats]\npreset = 'w8a7'", "'w8a7' is unknown, did you mean 'w8a8'; legal is one of w8a8, "),
        ("[formats]\nc = 'ap_fixed<99,3>'", "flow.toml:2: formats.c: 'ap_fixed<99,3>': bits must be 1 to 32"),
        ("[formats]\nz = 'ap_fixed<20,3>'", "flow.toml:2: formats.z: format z: "),
        ("[engine]\npart = 'xc7z021'", "engine.part: unknown part 'xc7z021'; known are xc7z007s, "),
        ("[verification]\nengines = ['rtl', 'hsl']", "'hsl' is unknown, did you mean 'hls'; legal is a "),
        ("[corpus]\nname = 'shakespeare'\nfile = 'a'", "flow.toml:3: corpus.file: name and file are "),
        ("[corpus]\nfile = 'missing.txt'", "flow.toml:2: corpus.file: missing.txt: no such file"),
        (
            "[training]\ncheckpoint = 'shipped'\nepochs = 3.0",
            "flow.toml:3: training.epochs: epochs has no effect, since checkpoint gives the network",
        ),
        (
            "[training]\ncheckpoint = 'shipped'\n[model]\nunits = 4",
            "flow.toml:4: model.units: has no effect, since training.checkpoint gives the network",
        ),
        ("[training]\nfloat_checkpoint = 'a'", "flow.toml:2: training.float_checkpoint: "),
        (
            "[training]\ncheckpoint = 'shiped'",
            "training.checkpoint: shiped: no such file, did you mean 'shipped'",
        ),
        (
            "[training]\ncheckpoint = 'shipped'\n[model]\ncell = 'rnn'",
            "flow.toml:2: training.checkpoint: no shipped checkpoint 'shakespeare-rnn-w8a8'; there are: ",
        ),
        (
            "[training]\ncheckpoint = 'shipped'\n[formats]\npreset = 'q8.8'",
            "flow.toml:2: training.checkpoint: no shipped checkpoint 'shakespeare-q8.8'; there are: ",
        ),
        ("name = '../x'", "flow.toml:1: name: '../x' is not a folder name"),
        ("[engine]\nlanes = 0\ndsp = 0", "got 0 (and 1 more)"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    said = refused(tmp_path, text)
    assert message in said
    assert "\n" not in said


def test_what_a_flag_says_is_checked_alike(tmp_path: Path) -> None:
    assert refused(tmp_path, "", "engine.lane=3").startswith("--set engine.lane=3: engine.lane: unknown key")
    assert refused(tmp_path, "", "foo.bar=1").startswith("--set foo.bar=1: foo: unknown key")
    assert refused(tmp_path, "", "engine.lanes").startswith("--set engine.lanes: write section.key=value")
    file = tmp_path / "flow.toml"
    file.write_text("[engine]\nlanes = 3\n", encoding="utf-8")
    changed = load(file, ["engine.lanes=8", "engine.part=xc7z010", "verification.engines=['rtl']"]).config
    assert (changed.engine.lanes, changed.engine.part) == (8, "xc7z010")
    assert changed.verification.engines == ["rtl"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"to write a configuration there: zynq-lstm init '.*/not here.toml'"):
        load(tmp_path / "not here.toml")
    file = tmp_path / "flow.toml"
    file.write_bytes(b"name = '\xe9'")
    with pytest.raises(
        UserError,
        match="not UTF-8 at byte 8; a configuration is TOML in UTF-8",
    ):
        load(file)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "flow.toml"
    file.write_text("[engine]\nlanes = 3\n", encoding="utf-8-sig")
    assert load(file).config.engine.lanes == 3


def test_lines_of_keys() -> None:
    text = 'name = "x"\n\n[engine]\n# lanes = 1\n  "lanes" = 2\n[ training ]\nseed=1\nlanes = 3\n'
    assert [line_of(text, key) for key in ("name", "engine.lanes", "training.seed", "training.lanes")] == [
        1, 5, 7, 8,
    ]  # fmt: skip
    assert line_of(text, "engine.dsp") == line_of(text, "engine") == 3


@pytest.mark.parametrize("preset", [path.stem for path in sorted(PRESETS.glob("*.toml"))])
def test_what_init_writes_says_what_the_preset_says(preset: str, tmp_path: Path, capsys) -> None:
    file = tmp_path / "flow.toml"
    assert main(["init", str(file), "--preset", preset]) == 0
    assert load(file).config == load(preset_file(preset)).config
    text = file.read_text(encoding="utf-8")
    for name, model in sections().items():
        assert f"\n[{name}]\n" in text
        for key, field in model.model_fields.items():
            assert f"\n{key} = " in text or f"\n#{key} = " in text
            assert legal(field) in " ".join(text.replace("\n# ", " ").split())
    assert main(["init", str(file)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["init", str(file), "--preset", "shiped"]) == 2
    assert "did you mean 'shipped'" in capsys.readouterr().err


def test_init_prints_what_can_be_typed(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my engine.toml", "\udcfc.toml"):  # the second: a name that is not UTF-8, in Python
        assert main(["init", name]) == 0
    assert "to see what it means to do: zynq-lstm run 'my engine.toml' --dry-run" in capsys.readouterr().out
    assert "\n# To run it: zynq-lstm run 'my engine.toml'\n" in Path("my engine.toml").read_text("utf-8")


def test_every_example_and_default_is_legal(tmp_path: Path) -> None:
    """Set all keys of the file, except for those that exclude each other."""
    assert main(["init", str(tmp_path / "flow.toml"), "--preset", "train"]) == 0
    text = (tmp_path / "flow.toml").read_text(encoding="utf-8")
    everything = "\n".join(
        line[1:] if line.startswith("#") and line[1:2].isalpha() and " = " in line else line
        for line in text.splitlines()
        if not line.startswith(("#file", "#checkpoint", "#float_checkpoint"))
    )
    config = Config.model_validate(tomllib.loads(everything))
    assert config.formats.model_fields_set == set(type(config.formats).model_fields)
    assert config.engine.model_fields_set == set(type(config.engine).model_fields)


def test_training_has_the_verb_s_options_and_defaults() -> None:
    defaults = {p.name: p.default for p in train.command.params if isinstance(p, click.Option)}
    ours = set(Training.model_fields) - {"checkpoint", "float_checkpoint"}
    assert set(HYPERPARAMETERS) <= ours <= set(defaults)
    assert {name: Training.model_fields[name].default for name in ours} == {n: defaults[n] for n in ours}


def test_the_list_of_presets(capsys) -> None:
    assert main(["init", "--list"]) == 0
    assert "shipped    The network that comes with the project" in capsys.readouterr().out


def test_the_table_of_keys() -> None:
    assert "| `model.units` | `128` | a whole number from 1 to 512 | Units of each layer. |" in table()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_shipped_network_is_that_of_the_cell(cell: str) -> None:
    text = f"[training]\ncheckpoint = 'shipped'\n[model]\ncell = '{cell}'\n"
    file = Path("flow.toml")
    given = Flow(file, checked(tomllib.loads(text), file, text), ()).given()
    assert given is not None and given.cells == (cell, cell)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("", []),
        ("[corpus]\nfile = 'a \"b\".txt'\n", ["engine.lanes=16", "formats.h=ap_fixed<6,1,AP_RND,AP_SAT>"]),
        ("[training]\ncheckpoint = 'shipped'\n[formats]\npreset = 'w8a8'\n", ["engine.part=xc7z010"]),
        ("[training]\ncheckpoint = 'shipped'\n[model]\ncell = 'gru'\n", ["engine.lanes=64"]),
        ("[training]\ncheckpoint = 'a.safetensors'\nfloat_checkpoint = 'b.safetensors'\n", []),
        ("name = 'x'\n[verification]\nengines = ['rtl']\n", ["verification.temperature=0.75"]),
    ],
)
def test_a_flow_can_be_written_as_one_file_that_gives_it_again(text: str, changes: list[str]) -> None:
    """The file needs no --set, and states every value, also defaults."""
    file = Path("probe.toml")
    flow = Flow(file, checked(tomllib.loads(text), file, text, changes), tuple(changes))
    lines = repeatable(flow)
    again = checked(tomllib.loads(lines), Path("other.toml"), lines)
    assert again.model_dump() == flow.config.model_dump() | {"name": flow.name}
    marked = {line.split(" = ")[0] for line in lines.splitlines() if line.endswith("# --set")}
    assert marked == {change.partition("=")[0].split(".")[1] for change in changes}
    # A default that changes later has no effect here: keys without a value have no effect.
    for name, keys in effective(flow.config).items():
        assert set(keys) == getattr(again, name).model_fields_set
