# SPDX-License-Identifier: Apache-2.0
"""Make the project's virtual environment from its lock files (not a verb: make runs it).

``python3 scripts/setup/bootstrap.py`` installs what ``requirements.lock`` and
``requirements-nodeps.lock`` pin, every file checked by its SHA-256, and the project itself in
development mode. It needs nothing but Python's standard library, and Python 3.7 can read it, so
that an older Python gives a message instead of a syntax error.

* A second run with the same locks, Python and folder installs nothing.
* After an interrupted run, the next run continues: installed packages stay, a half-installed package
  is installed again, a half-made environment is remade.
* If two runs start at once, the second waits.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

OLDEST, NEWEST = (3, 10), (3, 13)
ROOT = Path(__file__).resolve().parents[2]
LOCK = "requirements.lock"
NODEPS_LOCK = "requirements-nodeps.lock"
STAMP = "installed.json"
WITH_PARENT = "ZYNQ_LSTM_ENDS_WITH_PARENT"  # as in models/interruption.py; make sets it
# Needed to build the few packages that PyPI has as source only, and this project itself.
BUILD_TOOLS = ("setuptools", "wheel", "packaging")
BIG_DOWNLOAD_MB = 4.0
#: pip's lines if the package index does not answer, or refuses; the reason is a group.
NO_ANSWER = re.compile(
    r"Retrying .*after connection broken by '(?P<broken>.*)': |Could not fetch URL (?P<refused>.*) - skipping"
)
#: A path that a script's first line may name: without blanks, and short enough for any kernel.
SIMPLE_PATH = re.compile(r"[A-Za-z0-9_@%+=,./-]{1,100}")
#: First lines of a script if the path is not simple: they run the Python in the script's own folder. To
#: Python they are a string.
SCRIPT_START = (
    b'#!/bin/sh\n\'\'\'exec\' "$(dirname -- "$(readlink -f -- "$0")")/python" "$0" "$@"\n\' \'\'\'\n'
)
# Number of packages that one call of pip installs: an interruption loses at most these, even if pip's
# cache does not keep the downloads.
BATCH = 12


class SetupError(Exception):
    """An error that the user can fix; its message is one line."""


def check_machine(commands: list[str]) -> None:
    """Raise :class:`SetupError` unless this Python and this machine can run the project."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise SetupError(
            "Python {}.{} to {}.{} is needed, {} is {}; choose another: make PYTHON=...".format(
                *OLDEST, *NEWEST, sys.executable, platform.python_version()
            )
        )
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SetupError(
            f"the lock is for linux x86_64, this is {sys.platform} {platform.machine()}; "
            "try 'pip install -e .[dev]' in an environment of your own"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetupError(
            f"{sys.executable} cannot make virtual environments; on Debian: apt-get install python3-venv"
        ) from None
    if not has_shared_library():
        raise SetupError(f"{sys.executable} has no shared library, which simulations load; {SHARED_LIBRARY}")
    missing = [c for c in commands if shutil.which(c) is None]
    if missing:
        raise SetupError("not found: {0}; on Debian: apt-get install {0}".format(" ".join(missing)))


#: How to get the shared library of Python.
SHARED_LIBRARY = "on Debian: apt-get install libpython3-dev; for a build of your own: --enable-shared"


def has_shared_library() -> bool:
    """Return True if this Python can be loaded by another program: cocotb runs it inside a simulation."""
    name, folder = (sysconfig.get_config_var(key) for key in ("INSTSONAME", "LIBDIR"))
    if not name or ".so" not in name:
        return False
    return os.path.exists(os.path.join(folder or "", name)) or _in_cache(name)  # noqa: PTH110, PTH118


def _in_cache(name: str) -> bool:
    """Return True if the dynamic linker finds a library by its name."""
    try:
        import ctypes

        ctypes.CDLL(name)
    except (ImportError, OSError):
        return False
    return True


def check_path(venv: Path) -> None:
    """Raise :class:`SetupError` if no program can be run from a folder with that path."""
    path = str(venv)
    if ":" in path:
        reason = "a ':' in its path, at which lists of folders such as PATH are split"
    elif re.search(r"[${}]", path):
        reason = "a '$' or a brace in its path, which setuptools takes for the name of a variable"
    elif '"' in path:
        reason = "a '\"' in its path, at which Yosys ends the name of a file"
    elif any(ord(character) < 32 or ord(character) == 127 for character in path):
        reason = "a control character in its path"
    elif any("\ud800" <= character <= "\udfff" for character in path):
        reason = "bytes in its path that are not UTF-8"
    else:
        return
    shown = path.encode("utf-8", "backslashreplace").decode("utf-8")
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
    raise SetupError(f"{shown}: the project cannot be set up in a folder with {reason}; move it to another")


def wanted_state(venv: Path, wheel: Path | None) -> dict[str, str]:
    """Return the content of a finished environment's stamp; any difference means work to do."""
    dependencies = hashlib.sha256()
    for name in (LOCK, NODEPS_LOCK):
        dependencies.update((ROOT / name).read_bytes())
    return {
        "dependencies": dependencies.hexdigest(),
        "project": hashlib.sha256((wheel or ROOT / "pyproject.toml").read_bytes()).hexdigest(),
        "python": platform.python_version(),
        "base": os.path.realpath(sys.executable),
        "folder": str(venv),
    }


def read_stamp(venv: Path) -> dict[str, str]:
    try:
        state = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_stamp(venv: Path, state: dict[str, str]) -> None:
    """Write the stamp in one step, so that a half-written one is never seen."""
    temporary = venv / (STAMP + ".part")
    temporary.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    temporary.replace(venv / STAMP)


def works(venv: Path) -> bool:
    """Return True if the environment's Python starts, has the version of this Python, and has pip."""
    code = "import pip, platform; print(platform.python_version())"
    try:
        done = subprocess.run(
            [str(venv / "bin" / "python"), "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return done.stdout.decode().strip() == platform.python_version()


def make_environment(venv: Path) -> None:
    if venv.exists():
        if not (venv / "pyvenv.cfg").exists() and any(venv.iterdir()):
            raise SetupError(f"{venv} is not a virtual environment; move it away")
        say("remaking", venv.name)
        shutil.rmtree(venv)
    else:
        say("making", venv.name)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)


def mend_scripts(venv: Path) -> None:
    """Make the environment's scripts start their Python whatever its path.

    pip writes that path into each script. The kernel splits it at a blank and cuts a long one, and the shell
    that pip then calls splits it at quotes and ``$``.
    """
    if SIMPLE_PATH.fullmatch(str(venv)):
        return
    theirs = os.fsencode(venv) + b"/bin/python"
    for script in (venv / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        with script.open("rb") as file:
            if file.read(2) != b"#!":
                continue
        content = script.read_bytes()
        if content.startswith(b"#!" + theirs):
            _, body = content.split(b"\n", 1)
        elif content.startswith(b"#!/bin/sh\n'''exec' ") and theirs in content.split(b"\n", 2)[1]:
            _, _, _, body = content.split(b"\n", 3)
        else:
            continue
        part = script.with_name(script.name + ".part")
        part.write_bytes(SCRIPT_START + body)
        part.chmod(script.stat().st_mode)
        part.replace(script)


def remove_half_installed(venv: Path) -> None:
    """Remove the metadata of packages whose installation was interrupted.

    pip writes a package's RECORD last; metadata without it, or with a RECORD that names missing
    files, would make pip believe that the package is installed.
    """
    for info in venv.glob("lib/python3*/site-packages/*.dist-info"):
        record = info / "RECORD"
        lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
        names = [line.rsplit(",", 2)[0].strip('"') for line in lines]
        if not names or not all((info.parent / n).exists() for n in names if ".pyc" not in n):
            say("installing again:", info.name[: -len(".dist-info")])
            shutil.rmtree(info)


def end_with_parent() -> None:
    """Make this process end when its parent process ends (Linux)."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    except (ImportError, AttributeError, OSError):
        pass


def say(*words: str) -> None:
    print("setup:", *words, flush=True)


def pip(venv: Path, arguments: list[str], seen: int = 0, total: int = 0) -> int:
    """Run pip, and reduce its output to lines that a person can follow.

    ``seen`` of ``total`` packages were done before; return how many are done now.
    """
    process, said, silent = start_pip(venv, arguments), [], False
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said.append(line)
            seen += line.startswith(("Collecting ", "Requirement already satisfied: "))
            text = progress_line(line, seen, total)
            if not text and not silent and NO_ANSWER.search(line):
                silent, text = True, "the package index does not answer yet: " + index_trouble([line])
            if text:
                say(text)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
    if process.returncode != 0:
        trouble = index_trouble(said)
        if not trouble and any("No matching distribution found" in line for line in said):
            # pip gives the reason only in its verbose output.
            again = start_pip(venv, [*arguments, "-vv"])
            assert again.stdout is not None
            trouble = index_trouble(list(again.stdout))
            again.wait()
        if trouble:
            answered = re.search(r"\d{3} (Client|Server) Error|\d{3} error responses", trouble)
            what = "refuses" if answered else "cannot be reached"
            raise SetupError(
                f"the package index {what}: {trouble}; check the network, the proxy (https_proxy) "
                "and pip's settings (pip config list), then run make again"
            )
        sys.stderr.write("".join(said[-25:]))
        raise SetupError("pip could not install this (its last lines are above); run make again")
    return seen


def start_pip(venv: Path, arguments: list[str]) -> subprocess.Popen[str]:
    """Start an installation with the environment's pip; the caller reads its output."""
    command = [str(venv / "bin" / "python"), "-m", "pip", "install"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    environment = dict(os.environ, PYTHONUNBUFFERED="1", PIP_REQUIRE_VIRTUALENV="0")
    # pip would take packages on the caller's PYTHONPATH for installed ones.
    environment.pop("PYTHONPATH", None)
    environment.pop("PYTHONHOME", None)
    return subprocess.Popen(
        command + arguments,
        cwd=str(ROOT),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
        preexec_fn=end_with_parent,
    )


def index_trouble(lines: list[str]) -> str:
    """Return why pip got nothing from the package index, from its output; empty if it did get something."""
    index = next((line.split(": ", 1)[1].strip() for line in lines if "Looking in indexes: " in line), "")
    match = next(filter(None, map(NO_ANSWER.search, lines)), None)
    if match is None:
        return ""
    url, _, refused = (match.group("refused") or "").partition(": ")
    text = (match.group("broken") or refused).split(" (Caused by ", 1)[-1]
    # The messages of the exceptions, without their names and objects.
    text = re.sub(r"<[^>]*>[:,]* *|\w+\(host=[^)]*\): *", "", text)
    words = [a or b for a, b in re.findall(r"'([^']*)'|\"([^\"]*)\"", text) if a or b]
    return ": ".join(filter(None, [url or index, "; ".join(words) or text]))


def progress_line(line: str, seen: int, total: int) -> str:
    """Return the text to show for a line of pip's output, or an empty text."""
    match = re.match(r"\s+(Downloading|Using cached) (\S+) \(([\d.]+) (MB|kB|GB|bytes)\)", line)
    if match:
        size = float(match.group(3)) * {"MB": 1, "GB": 1000}.get(match.group(4), 0)
        if size < BIG_DOWNLOAD_MB:
            return ""
        name = match.group(2).rsplit("/", 1)[-1].split("-")[0]
        verb = "downloading" if match.group(1) == "Downloading" else "from the cache:"
        count = f"[{seen}/{total}] " if total else ""
        return f"{count}{verb} {name}, {match.group(3)} {match.group(4)}"
    if line.startswith("Installing collected packages") and "," in line:
        return "unpacking {} packages".format(line.count(",") + 1)
    return ""


def requirement_blocks(text: str) -> list[tuple[str, str]]:
    """Return the requirements of a lock file as pairs: the name, and the text with its hashes."""
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", text)
    return [(b.split("==")[0].strip(), b) for b in blocks if "==" in b]


def install_dependencies(venv: Path) -> None:
    text = (ROOT / LOCK).read_text(encoding="utf-8")
    blocks = requirement_blocks(text)
    # --no-deps: the lock is complete, and pip has nothing to work out.
    hashed = ["--require-hashes", "--no-deps", "--no-build-isolation"]
    total, done = len({n for n, _ in blocks}), 0
    tools = [block for block in blocks if block[0] in BUILD_TOOLS]
    others = [block for block in blocks if block[0] not in BUILD_TOOLS]
    batches = [tools] + [others[i : i + BATCH] for i in range(0, len(others), BATCH)]
    with tempfile.TemporaryDirectory() as folder:
        for batch in batches:
            part = Path(folder) / "part.txt"
            part.write_text("".join(text for _, text in batch), encoding="utf-8")
            done = pip(venv, [*hashed, "-r", str(part)], done, total)
    pip(venv, [*hashed, "-r", NODEPS_LOCK])


def install_project(venv: Path, wheel: Path | None) -> None:
    if wheel:
        pip(venv, ["--no-deps", "--force-reinstall", str(wheel)])
    else:
        pip(venv, ["--no-deps", "--no-build-isolation", "--editable", "."])
        link_packages(venv)


def link_packages(venv: Path) -> None:
    """Link the project's folders into a package of its import name, so that mypy finds them."""
    folder = venv / "links" / "zynq_lstm"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("models", "hls", "sim", "scripts"):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(str(ROOT / name), str(folder)))


def set_up(venv: Path, commands: list[str], wheel: Path | None = None) -> bool:
    """Bring the environment to the state that the lock files describe; return True if there was work."""
    check_machine(commands)
    check_path(venv)
    wanted, found = wanted_state(venv, wheel), read_stamp(venv)
    if found == wanted and (venv / "bin" / "python").exists():
        return False
    same_base = all(found.get(k) in (None, wanted[k]) for k in ("python", "base", "folder"))
    if not (same_base and works(venv)):
        make_environment(venv)
        found = {}
    if found.get("dependencies") != wanted["dependencies"]:
        remove_half_installed(venv)
        say(f"installing the packages of {LOCK}, each checked by its SHA-256")
        install_dependencies(venv)
    install_project(venv, wheel)
    mend_scripts(venv)
    write_stamp(venv, wanted)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the virtual environment of this project.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="folder to make it in")
    parser.add_argument("--wheel", type=Path, help="install this instead of the checkout")
    parser.add_argument("--need", nargs="*", default=[], metavar="COMMAND", help="must be on PATH")
    arguments = parser.parse_args()
    venv = Path(os.path.abspath(str(arguments.venv)))  # noqa: PTH100 - keep a link as it is named
    start = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.environ.get(WITH_PARENT):
        end_with_parent()
    handle = os.open(str(ROOT), os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another make to finish setting up")
            fcntl.flock(handle, fcntl.LOCK_EX)
        if set_up(venv, arguments.need, arguments.wheel and arguments.wheel.resolve()):
            say(f"done in {time.monotonic() - start:.0f} s")
    except (SetupError, OSError) as error:
        print(f"setup: error: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print("setup: error: {} failed".format(" ".join(error.cmd)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("setup: interrupted; run make again to continue", file=sys.stderr)
        return 130
    finally:
        os.close(handle)
    return 0


if __name__ == "__main__":
    sys.exit(main())
