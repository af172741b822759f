# SPDX-License-Identifier: Apache-2.0
"""Run the quick tests from the installed wheel, with every Python found (not a verb: make runs it).

``python -m zynq_lstm.scripts.setup.matrix [--python 3.11 ...] [--folder FOLDER] [PYTEST ARGUMENTS]`` builds
the wheel from the files under version control. For each Python from 3.10 to 3.13 on the PATH or in pyenv, it
makes an environment outside the checkout with that wheel and the packages that ``requirements.lock`` pins,
and runs the tests there: neither the sources nor the folder of the checkout can be imported. Each
environment takes about 3 GB.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from zynq_lstm.scripts.setup.bootstrap import NEWEST, OLDEST, ROOT

PACKAGES = ("models", "hls", "sim", "scripts")
VERSIONS = tuple(f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1))
#: Tests that are not of an installed package: those of the repository itself, and of its setup.
OF_THE_CHECKOUT = ("tests/test_project.py", "tests/test_bootstrap.py")
QUICK = ("-m", "not slow and not nightly and not rtl and not hls")


def interpreters(versions: tuple[str, ...]) -> dict[str, str]:
    """Return interpreters by version, those on the PATH first; versions that are not found are left out."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for version in versions:
        name = f"python{version}"
        candidates = [
            shutil.which(name),
            *map(str, sorted(pyenv.glob(f"{version}.*/bin/{name}"), reverse=True)),
        ]
        # pyenv also has shims for versions that it then refuses to run.
        works = [path for path in candidates if path and _version(path) == version]
        if works:
            found[version] = works[0]
    return found


def _version(python: str) -> str:
    code = "import ssl, venv, sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def tracked() -> list[Path]:
    """Return the files of the work tree that are under version control, relative to it."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def copy(files: list[Path], folder: Path) -> None:
    """Copy files of the work tree into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, folder / file)


def build_wheel(folder: Path) -> Path:
    """Build the wheel from a copy of the work tree, so that it has no files of an older build."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, "source")
        copy(tracked(), source)
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def run(python: str, wheel: Path, folder: Path, arguments: list[str]) -> bool:
    """Make the environment and run the tests in it; return True if they passed."""
    venv, tests = folder / "venv", folder / "tests"
    setup = [
        python,
        str(ROOT / "scripts" / "setup" / "bootstrap.py"),
        "--venv",
        str(venv),
        "--wheel",
        str(wheel),
    ]
    if subprocess.run(setup, check=False).returncode:
        return False
    # The packages are not copied: they can only come from the environment.
    copy(
        [file for file in tracked() if file.parts[0] not in PACKAGES and str(file) not in OF_THE_CHECKOUT],
        tests,
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PATH"] = f"{venv / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
    program = str(venv / "bin" / "python")
    check = (
        f"from zynq_lstm import models; import sys; sys.exit(not models.__file__.startswith({str(venv)!r}))"
    )
    for command in (
        [program, "-c", check],
        ["zynq-lstm", "--version"],
        [program, "-m", "pytest", "-q", "-p", "no:cacheprovider", *QUICK, *arguments],
    ):
        if subprocess.run(command, cwd=tests, env=environment, check=False).returncode:
            print(f"matrix: failed: {' '.join(command)}", flush=True)
            return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the quick tests from the installed wheel.")
    parser.add_argument("--python", action="append", choices=VERSIONS, help="only these; all that are here")
    default = Path(tempfile.gettempdir(), "zynq-lstm-matrix")
    parser.add_argument("--folder", type=Path, default=default, help=f"outside the checkout; {default}")
    arguments, rest = parser.parse_known_args()
    folder = arguments.folder.resolve()
    if folder.is_relative_to(ROOT):
        print(f"matrix: error: {folder} is inside the checkout", file=sys.stderr)
        return 2
    wanted = tuple(arguments.python or VERSIONS)
    found = interpreters(wanted)
    for version in wanted:
        print(f"matrix: Python {version}: {found.get(version, 'not here')}", flush=True)
    if not found or (arguments.python and len(found) < len(wanted)):
        return 2
    wheel = build_wheel(folder / "dist")
    results = {}
    for version, python in found.items():
        start = time.monotonic()
        passed = run(python, wheel, folder / version, rest)
        results[version] = f"{'passed' if passed else 'FAILED'} in {time.monotonic() - start:.0f} s"
    for version, result in results.items():
        print(f"matrix: Python {version}: {result}")
    return int(any("FAILED" in result for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
