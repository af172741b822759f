# SPDX-License-Identifier: Apache-2.0
"""The installed package: the wheel's content, its extras, and the message if an extra is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import click
import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from tests.skips import NO_GIT
from zynq_lstm.models.integers.freeze import thaw
from zynq_lstm.scripts.main import EXTRAS, cli, main
from zynq_lstm.scripts.setup import matrix

needs_checkout = pytest.mark.skipif(not (matrix.ROOT / ".git").exists(), reason=NO_GIT)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(matrix.build_wheel(tmp_path_factory.mktemp("wheel")))


@pytest.mark.slow
@needs_checkout
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tracked = {str(path) for path in matrix.tracked() if path.parts[0] in matrix.PACKAGES}
    assert names == {f"zynq_lstm/{name}" for name in tracked if not name.endswith(".md")}
    for needed in (
        "hls/rtl/network_engine.sv",
        "hls/vitis/nnet_utils/zynq_lstm.h",
        "hls/vendor/vivado.tcl",
        "models/checkpoints/shakespeare-w8a8.safetensors",
        "models/measured/ladder.json",
    ):
        assert f"zynq_lstm/{needed}" in names


LISTED = """
import importlib, pkgutil, sys
import zynq_lstm
for info in pkgutil.walk_packages(zynq_lstm.__path__, "zynq_lstm."):
    if not info.name.startswith("zynq_lstm.sim.bench.") and not info.name.endswith("__main__"):
        importlib.import_module(info.name)
from zynq_lstm.scripts.main import cli
import click
for verb in cli.list_commands(click.Context(cli)):
    cli.get_command(click.Context(cli), verb)
print(*sorted({"models", "hls", "sim", "scripts"} & {name.partition(".")[0] for name in sys.modules}))
"""


def test_no_module_has_two_names(tmp_path: Path) -> None:
    """No import and no name in a string loads a module as ``models`` or the like, from any folder."""
    for folder in (tmp_path, matrix.ROOT):
        done = subprocess.run([sys.executable, "-c", LISTED], cwd=folder, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
    ours = "(?:models|hls|sim|scripts)"
    old = re.compile(
        rf"""^[ ">.]*(?:from|import) {ours}\b|["']{ours}(?:\.[a-z_]+)+["':]"""
        rf"""|resources\.files\(["']{ours}["']""",
        re.M,
    )
    found = [
        f"{path}: {match.group()}"
        for path in matrix.tracked()
        if path.suffix in (".py", ".ipynb", ".md", ".toml") and path.name != "CHANGELOG.md"
        for match in old.finditer((matrix.ROOT / path).read_text(encoding="utf-8"))
    ]
    assert [name for name in found if "sim.vvp" not in name] == []


def test_models_saved_under_the_old_names_still_load() -> None:
    """Keras finds our classes by their registered names, whatever module the file names."""
    import keras

    from zynq_lstm.models.keras.quantized import quantized_model

    network = with_weights(small_spec("w8a8", 6, (4, 3)), np.random.default_rng(0))
    model = quantized_model(thaw(network))
    now = json.dumps(keras.saving.serialize_keras_object(model))
    config = json.loads(now.replace("zynq_lstm.models", "models"))
    again = keras.saving.deserialize_keras_object(config)
    again.set_weights(model.get_weights())
    codes = np.arange(6, dtype=np.int32)[None]
    assert np.array_equal(again(codes), model(codes))


@pytest.mark.slow
@needs_checkout
def test_the_wheel_announces_command_backends_and_extras(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    points = ConfigParser()
    points.optionxform = str  # type: ignore[assignment]
    points.read_string(wheel.read(f"{folder}/entry_points.txt").decode())
    assert dict(points["console_scripts"]) == {"zynq-lstm": "zynq_lstm.scripts.main:main"}
    assert dict(points["hls4ml.backends"]) == {"OpenRTL": "zynq_lstm.sim.hls4ml.plugin:register"}
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
    """A shim that refuses to run is replaced by pyenv's interpreter; a missing version is left out."""
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
