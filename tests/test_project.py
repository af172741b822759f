# SPDX-License-Identifier: Apache-2.0
"""The repository itself: locks, licences, versions, and no traces of a developer's machine."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
import yaml

from tests.skips import NO_GIT

ROOT = Path(__file__).resolve().parent.parent
SOURCE_SUFFIXES = {".py", ".sv", ".svh", ".v", ".vh", ".h", ".hpp", ".cpp", ".tcl"}
PACKAGES = {"models", "hls", "sim", "scripts"}
LOCKS = ["requirements.lock", "requirements-nodeps.lock", "requirements-docs.lock"]
MOST_LINES = 450
#: Longer modules, and why.
LONG = {
    "hls/engine/gates.py": "one class: a pipeline, whose equations share wires, times and delays",
    "hls/engine/registers.py": "one table: every field of every register",
    "scripts/setup/bootstrap.py": "one file: it runs before anything is installed",
    "sim/bench/protocol.py": "a list of independent tests: cocotb takes those of one module",
    "models/integers/reference.py": "the arithmetic that all engines are held to, read from top to bottom",
    "sim/simulation/rtl.py": "one class: a device under the bench, and every run of it",
}
# Spelt in pieces, so that this file doesn't hold what it looks for.
REGISTRIES = ["py" + "pi.org", "python" + "hosted.org", "index" + "-url", "find" + "-links"]


def tracked_files() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(NO_GIT)
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return [p for p in paths if p.is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def lock_blocks(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.split(r"(?m)^(?=[^\s])", text)[1:]


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_requirement_is_pinned_and_hashed(name: str):
    blocks = lock_blocks(name)
    assert blocks
    for block in blocks:
        first, *hashes = [line.rstrip("\\").strip() for line in block.splitlines()]
        assert re.fullmatch(r"[a-z0-9._-]+==[A-Za-z0-9.+!_-]+( ; .+)?", first), first
        assert hashes, f"{first} has no hash"
        for line in hashes:
            assert re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line), f"{first}: {line}"


@pytest.mark.parametrize("name", [*LOCKS, "requirements.in", "pyproject.toml", "Makefile"])
def test_no_address_of_a_package_index(name: str):
    text = (ROOT / name).read_text(encoding="utf-8").replace("--no-emit-index-url", "")
    found = [word for word in [*REGISTRIES, "file:", "git+"] if word in text]
    assert not found, f"{name} names {found}"


def test_every_requirement_is_in_the_lock():
    locked = {b.split("==")[0] for b in lock_blocks("requirements.lock")}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^notebook = \[.*?^\]", "", text)  # for users; no test needs it
    wanted = re.findall(r'(?m)^    "([A-Za-z0-9._-]+)(?=[=><])[^"]*",', text)
    assert len(wanted) > 15
    assert {w.lower() for w in wanted} <= locked


def test_no_path_or_address_of_a_machine():
    # A slash that begins a path: not part of a longer path, address or file name.
    homes = "|".join(["wo" + "rk", "ro" + "ot", "ho" + "me", "tmp/" + "dev", "Us" + "ers"])
    pattern = re.compile(rf"(?<![\w.}})/-])/(?:{homes})/|{'|'.join(map(re.escape, REGISTRIES[:2]))}")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked_files()
        for match in pattern.finditer(text_of(path))
    ]
    assert not found


def test_every_source_file_states_its_licence():
    missing = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.suffix in SOURCE_SUFFIXES
        and not any("SPDX-License-Identifier: Apache-2.0" in line for line in text_of(path).splitlines()[:3])
    ]
    assert not missing


def test_every_python_file_compiles():
    for path in tracked_files():
        if path.suffix == ".py":
            compile(path.read_bytes(), str(path), "exec")


def test_modules_are_short_or_say_why_not():
    lines = {
        str(path.relative_to(ROOT)): len(text_of(path).splitlines())
        for path in tracked_files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES
    }
    assert {name for name, count in lines.items() if count > MOST_LINES} <= set(LONG)
    assert set(LONG) <= set(lines)


def test_pre_commit_runs_what_make_lint_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    recipe = re.search(r"(?m)^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text())
    assert recipe
    assert [hook["entry"].split() for hook in hooks] == [
        line.replace("$(BIN)", ".venv/bin").split() for line in recipe[1].splitlines()
    ]


def test_no_file_is_larger_than_a_few_megabytes():
    large = {p.name: p.stat().st_size for p in tracked_files() if p.stat().st_size > 5_000_000}
    assert not large


def test_the_version_is_the_same_everywhere():
    stated = re.search(r'(?m)^version = "(.+)"$', (ROOT / "pyproject.toml").read_text())
    newest = re.search(r"(?m)^## \[?([0-9][^\] ]*)", (ROOT / "CHANGELOG.md").read_text())
    assert stated and newest
    assert stated.group(1) == newest.group(1) == version("zynq-lstm")


def test_the_openrtl_backend_is_announced_to_hls4ml():
    (point,) = [p for p in entry_points(group="hls4ml.backends") if p.name == "OpenRTL"]
    assert point.value == "zynq_lstm.sim.hls4ml.plugin:register"


def test_continuous_integration_runs_what_a_person_runs():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, "not executable"
    assert script.read_text().rstrip().endswith('exec make "${@:-test}"')


@pytest.mark.parametrize("name", ["flow", "blocks"])
def test_pictures_of_boxes_are_the_drawn_ones(name: str):
    drawn = importlib.import_module(f"docs.{name}").draw()
    assert (ROOT / "docs" / f"{name}.svg").read_text(encoding="utf-8") == drawn, "run make docs"


def test_links_in_the_documents_lead_somewhere():
    broken = []
    for path in tracked_files():
        if path.suffix == ".md":
            for target in re.findall(r"\]\(([^)#\s]+)", text_of(path)):
                if "://" not in target and not (path.parent / target).exists():
                    broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert not broken


def test_every_data_file_of_a_package_is_installed_with_it():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (line,) = re.findall(r'(?m)^"\*" = \[(.+)\]$', text)
    suffixes = {"." + pattern.rsplit(".", 1)[1] for pattern in re.findall(r'"\*\*/([^"]+)"', line)}
    left_out = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.relative_to(ROOT).parts[0] in PACKAGES and path.suffix not in suffixes | {".py", ".md"}
    ]
    assert not left_out, "add their suffixes to package-data"


SHOWN = """all:
\t@echo $$PATH; for p in make g++ perl python3 git iverilog tclsh; do command -v $$p; done; true
"""


def test_continuous_integration_has_no_more_than_the_readme_names(tmp_path: Path) -> None:
    """The PATH has the programs that the README names, but not others that a developer installed."""
    for name in ("iverilog", "tclsh"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "shown.mk").write_text(SHOWN)
    (tmp_path / "copy" / ".ci").mkdir(parents=True)
    script = tmp_path / "copy" / ".ci" / "run"
    script.write_bytes((ROOT / ".ci" / "run").read_bytes())
    done = subprocess.run(
        ["bash", script, "--no-print-directory", "-f", tmp_path / "shown.mk"],
        env=os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    folder = tmp_path / "copy" / "build" / "ci" / "bin"
    assert (done.returncode, done.stderr) == (0, "")
    found = [str(folder), *(f"{folder}/{name}" for name in ("make", "g++", "python3", "git"))]
    assert done.stdout.splitlines() == found
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (needed,) = re.findall(r"--need (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert needed.split() == ["g++", "make"]
    assert all(f"`{name}`" in readme for name in needed.split())
