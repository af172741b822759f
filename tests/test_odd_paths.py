# SPDX-License-Identifier: Apache-2.0
"""Folders whose names external tools split, expand or take for options: everything works in them.

With ``--records FOLDER``, the nightly run of all of them is recorded there, for ``zynq-lstm figures
robustness``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.networks import save_checkpoint, small_spec, with_weights
from zynq_lstm import scripts
from zynq_lstm.models.store import write_json
from zynq_lstm.scripts.main import main
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.simulation.links import PLAIN, Links

NAMES = (
    "a b é",
    "a b'c $d #1 é",
    "quo\"tes'",
    "back\\slash\\n",
    "[x] {y} (z) <w>",
    "100% & more; or | less!",
    "-Wall",
    "$(HOME) `id` ${PATH}",
    "a:b,c=d @e",
    "~ *?",
    " both ends ",
    "日本語 \U0001f600",
    "long " + 40 * "name ",
    "two\nlines\tof it",
)
#: A name with something of all the others.
HARDEST = "-a b'c $d #1 é;,%&[x]\"\\z(~`*?{$y}|<:=@!日"
TEXT = '!"#$%'
#: Arguments of each command; the working folder has an odd name, and so has ODD, a folder in it.
COMMANDS = {
    "estimate": ["estimate", "--checkpoint", "../ODD/small.safetensors", "--json", "ODD/estimate.json"],
    "convert": ["convert", "--backend", "openrtl", "--checkpoint", "small.safetensors", "--output", "ODD"],
    "ip": ["ip", "--checkpoint", "small.safetensors", "--output", "ODD/an ip"],
    "hls-project": ["hls-project", "--checkpoint", "small.safetensors", "--output", "ODD/hls project"],
    "compare": [
        "compare",
        "hls",
        "rtl",
        "--checkpoint",
        "small.safetensors",
        "--text",
        TEXT,
        "--output",
        "ODD",
    ],
}


class Tally:
    tried = passed = 0


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    counted = Tally()
    yield counted
    folder: Path | None = request.config.getoption("--records")
    if folder and counted.tried == len(NAMES) * len(COMMANDS):
        found = records.new(
            records.ODD_PATHS,
            names=len(NAMES),
            commands=len(COMMANDS),
            tried=counted.tried,
            passed=counted.passed,
        )
        write_json(records.path(records.ODD_PATHS, folder), found)


def run(arguments: list[str], name: str, parent: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Run a command in a folder of that name; it must exit with 0, and write nothing beside the folder."""
    folder = parent / name
    folder.mkdir()
    network = with_weights(small_spec("w8a8", 6, (2,)), np.random.default_rng(0))
    save_checkpoint(network, folder / "small.safetensors")
    os.chdir(folder)
    code = main([argument.replace("ODD", name) for argument in arguments])
    out, err = capfd.readouterr()
    assert code == 0, out + err
    assert [path.name for path in parent.iterdir()] == [name]
    written = [path for path in (folder / name).rglob("*") if path.is_file() or path.is_symlink()]
    assert written


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which tests may change directory; the working folder is restored afterwards."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.hls
@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "compare"])
def test_hardest_name(command: str, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(COMMANDS[command], HARDEST, place, capfd)


@pytest.mark.slow
@pytest.mark.hls
def test_compiled_in_a_folder_of_the_hardest_name(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The HLS C++ is compiled here; the situations build the RTL in such a folder."""
    run(["reference" if word == "rtl" else word for word in COMMANDS["compare"]], HARDEST, place, capfd)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", NAMES)
def test_odd_name(
    name: str, command: str, place: Path, capfd: pytest.CaptureFixture[str], tally: Tally
) -> None:
    tally.tried += 1
    run(COMMANDS[command], name, place, capfd)
    tally.passed += 1


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "hls", "rtl", "--checkpoint", "small.safetensors", "--text", TEXT],
        ["simulate", "--netlist", "--checkpoint", "small.safetensors", "--text", TEXT],
        ["prove", "axis_fifo"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_checkout_and_environment_of_odd_names(arguments: list[str], tmp_path: Path) -> None:
    """Both are reached through links: every path of a package or of the sources begins with an odd name."""
    odd = tmp_path / "a b'c #1 é;,%&[x]\\z(~`*?|<=@!"
    odd.mkdir()
    (odd / ".venv").symlink_to(sys.prefix)
    (odd / "sources" / "zynq_lstm").mkdir(parents=True)
    for name in ("models", "hls", "sim", "scripts"):
        (odd / "sources" / "zynq_lstm" / name).symlink_to(Path(scripts.__file__).parent.parent / name)
    network = with_weights(small_spec("w8a8", 6, (2,)), np.random.default_rng(0))
    save_checkpoint(network, odd / "small.safetensors")
    environment = os.environ | {"PYTHONPATH": str(odd / "sources")}
    python = str(odd / ".venv" / "bin" / "python")
    done = subprocess.run(
        [python, "-m", "zynq_lstm.scripts", *arguments],
        cwd=odd,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---- links


def test_names_are_plain_and_stay_the_same(tmp_path: Path) -> None:
    sources = tmp_path / "a b'c $d"
    sources.mkdir()
    files = [sources / name for name in ("x.sv", "y z.sv", "-w.sv")]
    for file in files:
        file.write_text(file.name)
    links = Links(tmp_path / "build")
    links.folder.mkdir()
    names = links.files("rtl", files)
    assert names[0] == "rtl/x.sv"
    assert all(PLAIN.fullmatch(part) for name in names for part in name.split("/"))
    assert [(links.folder / name).read_text() for name in names] == [file.name for file in files]
    assert links.files("rtl", files) == names


def test_files_of_several_folders(tmp_path: Path) -> None:
    files = [tmp_path / name / "same.sv" for name in ("b", "a", "b")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text(str(file))
    links = Links(tmp_path / "build")
    links.folder.mkdir()
    names = links.files("rtl", files)
    assert names[0] == names[2] != names[1]
    assert [(links.folder / name).read_text() for name in names] == list(map(str, files))


def test_link_follows_what_has_moved(tmp_path: Path) -> None:
    links = Links(tmp_path)
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
        assert (tmp_path / links.to("link", tmp_path / name)).read_text() == name
