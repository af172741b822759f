# SPDX-License-Identifier: Apache-2.0
"""What is installed: the wheel's content, its extras, and what is said where an extra is missing."""

from __future__ import annotations

import sys
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import click
import pytest

from scripts import matrix
from scripts.main import EXTRAS, cli, main
from tests.skips import NO_GIT

needs_checkout = pytest.mark.skipif(not (matrix.ROOT / ".git").exists(), reason=NO_GIT)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(matrix.build_wheel(tmp_path_factory.mktemp("wheel")))


@pytest.mark.slow
@needs_checkout
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tracked = {str(path) for path in matrix.tracked() if path.parts[0] in matrix.PACKAGES}
    assert names == {name for name in tracked if not name.endswith(".md")}
    for needed in (
        "hls/rtl/lstm_engine.sv",
        "hls/vitis/nnet_utils/zynq_lstm.h",
        "hls/vendor/vivado.tcl",
        "models/checkpoints/shakespeare-w8a8.safetensors",
        "models/measured/ladder.json",
    ):
        assert needed in names


@pytest.mark.slow
@needs_checkout
def test_the_wheel_announces_command_backends_and_extras(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    points = ConfigParser()
    points.optionxform = str  # type: ignore[assignment]
    points.read_string(wheel.read(f"{folder}/entry_points.txt").decode())
    assert dict(points["console_scripts"]) == {"zynq-lstm": "scripts.main:main"}
    assert dict(points["hls4ml.backends"]) == {"OpenRTL": "hls.plugin:register"}
    metadata = Parser().parsestr(wheel.read(f"{folder}/METADATA").decode())
    assert {"dev", "notebook", *EXTRAS.values()} == set(metadata.get_all("Provides-Extra"))


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it weren't installed

    @click.command()
    def draw() -> None:
        import matplotlib  # noqa: F401

    monkeypatch.setattr(cli, "get_command", lambda _context, _name: draw)
    assert main(["draw"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("zynq-lstm: error: this needs matplotlib") and error.count("\n") == 1
    assert "pip install 'zynq-lstm[report]'" in error


def test_interpreters_are_those_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shim that refuses is passed over for an interpreter of pyenv; a version not here is left out."""
    shims, pyenv = tmp_path / "shims", tmp_path / "pyenv"
    good = pyenv / "versions" / "3.12.7" / "bin" / "python3.12"
    for path, text in (
        (shims / "python3.12", "#!/bin/sh\nexit 127\n"),
        (good, "#!/bin/sh\necho 3.12\n"),
        (shims / "python3.11", "#!/bin/sh\necho 3.11\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(shims))
    monkeypatch.setenv("PYENV_ROOT", str(pyenv))
    found = matrix.interpreters(matrix.VERSIONS)
    assert found == {"3.11": str(shims / "python3.11"), "3.12": str(good)}
    assert matrix.VERSIONS == ("3.10", "3.11", "3.12", "3.13")


def test_the_matrix_stays_outside_of_the_checkout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["matrix", "--folder", str(matrix.ROOT / "build")])
    assert matrix.main() == 2
    assert "is inside the checkout" in capsys.readouterr().err
