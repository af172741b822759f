# SPDX-License-Identifier: Apache-2.0
"""Setup of the environment: refusals, skipped steps, and repeated steps."""

from __future__ import annotations

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from zynq_lstm.scripts.setup import bootstrap


@pytest.mark.parametrize("number", [(3, 9, 18), (3, 14, 0), (2, 7, 18)])
def test_an_unsuitable_python_is_refused(number, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "version_info", number)
    with pytest.raises(bootstrap.SetupError, match=r"Python 3\.10 to 3\.13 is needed"):
        bootstrap.check_machine([])


def test_another_platform_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "aarch64")
    with pytest.raises(bootstrap.SetupError, match="linux aarch64"):
        bootstrap.check_machine([])


@pytest.mark.parametrize("name", [None, "libpython3.11.a", "libpython9.9.so.1.0"])
def test_python_without_shared_library_is_refused(name: str | None, monkeypatch: pytest.MonkeyPatch):
    """Debian's package python3 alone has none: cocotb could not run Python inside the simulator."""
    found = sysconfig.get_config_var
    monkeypatch.setattr(sysconfig, "get_config_var", lambda key: name if key == "INSTSONAME" else found(key))
    with pytest.raises(bootstrap.SetupError, match=r"no shared library, .* apt-get install libpython3-dev"):
        bootstrap.check_machine([])


def test_missing_commands_are_named():
    with pytest.raises(bootstrap.SetupError, match="not found: no-such-command; on Debian"):
        bootstrap.check_machine(["python3", "no-such-command"])


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the slow steps by a list of their calls."""
    done: list[str] = []

    def make_environment(venv: Path) -> None:
        done.append("environment")
        (venv / "bin").mkdir(parents=True, exist_ok=True)
        (venv / "bin" / "python").touch()

    monkeypatch.setattr(bootstrap, "check_machine", lambda _commands: None)
    monkeypatch.setattr(bootstrap, "make_environment", make_environment)
    monkeypatch.setattr(bootstrap, "works", lambda venv: (venv / "bin" / "python").exists())
    monkeypatch.setattr(bootstrap, "install_dependencies", lambda _venv: done.append("dependencies"))
    monkeypatch.setattr(bootstrap, "install_project", lambda _venv, _wheel: done.append("project"))
    return done


def test_a_second_run_does_nothing(steps: list[str], tmp_path: Path):
    assert bootstrap.set_up(tmp_path, [])
    assert steps == ["environment", "dependencies", "project"]
    assert not bootstrap.set_up(tmp_path, [])
    assert len(steps) == 3


def test_an_interrupted_run_goes_on_where_it_was(steps: list[str], tmp_path: Path, monkeypatch):
    def interrupted(_venv: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "install_dependencies", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.set_up(tmp_path, [])
    assert steps == ["environment"]
    assert bootstrap.set_up(tmp_path, [])
    assert steps == ["environment", "dependencies", "project"]


@pytest.mark.parametrize(
    "changed, redone",
    [
        ("dependencies", ["dependencies", "project"]),
        ("project", ["project"]),
        ("python", ["environment", "dependencies", "project"]),
        ("folder", ["environment", "dependencies", "project"]),
    ],
)
def test_only_what_changed_is_done_again(changed, redone, steps: list[str], tmp_path: Path):
    bootstrap.set_up(tmp_path, [])
    steps.clear()
    stamp = tmp_path / bootstrap.STAMP
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), changed: "other"}))
    assert bootstrap.set_up(tmp_path, [])
    assert steps == redone


def test_a_broken_environment_is_made_again(steps: list[str], tmp_path: Path):
    bootstrap.set_up(tmp_path, [])
    steps.clear()
    (tmp_path / "bin" / "python").unlink()
    assert bootstrap.set_up(tmp_path, [])
    assert steps == ["environment", "dependencies", "project"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_an_unreadable_stamp_counts_as_none(text: str, tmp_path: Path):
    (tmp_path / bootstrap.STAMP).write_text(text)
    assert bootstrap.read_stamp(tmp_path) == {}


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(bootstrap.SetupError, match="is not a virtual environment"):
        bootstrap.make_environment(tmp_path)
    assert (tmp_path / "mine.txt").exists()


def package(venv: Path, name: str, *, record: bool = True, files: bool = True) -> Path:
    site = venv / "lib" / "python3.11" / "site-packages"
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").touch()
    if files:
        (site / f"{name}.py").touch()
    if record:
        lines = [f"{name}.py,sha256=x,1", f"__pycache__/{name}.cpython-311.pyc,,", ""]
        (info / "RECORD").write_text("\n".join(lines))
    return info


def test_half_installed_packages_are_found(tmp_path: Path):
    whole = package(tmp_path, "whole")
    no_record = package(tmp_path, "no_record", record=False)
    no_file = package(tmp_path, "no_file", files=False)
    bootstrap.remove_half_installed(tmp_path)
    assert whole.exists()
    assert not no_record.exists()
    assert not no_file.exists()


def test_the_installed_environment_is_whole(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        bootstrap.shutil, "rmtree", lambda path: pytest.fail(f"{path} counts as half-installed")
    )
    site = Path(sysconfig.get_paths()["purelib"])
    bootstrap.remove_half_installed(site.parent.parent.parent)


def test_progress_shows_large_downloads_only():
    large = "  Downloading tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl (572.4 MB)\n"
    cached = "  Using cached numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl (16.9 MB)\n"
    small = "  Downloading click-8.5.1-py3-none-any.whl (110 kB)\n"
    assert bootstrap.progress_line(large, 3, 9) == "[3/9] downloading tensorflow, 572.4 MB"
    assert bootstrap.progress_line(cached, 4, 9) == "[4/9] from the cache: numpy, 16.9 MB"
    assert bootstrap.progress_line(small, 5, 9) == ""
    assert bootstrap.progress_line("Collecting numpy\n", 5, 9) == ""


def test_the_lock_is_read_requirement_by_requirement():
    text = "a==1 \\\n    --hash=sha256:00\nb==2 ; python_version < '3.11' \\\n    --hash=sha256:11\n"
    blocks = bootstrap.requirement_blocks(text)
    assert [name for name, _ in blocks] == ["a", "b"]
    assert "".join(block for _, block in blocks) == text
    names = {n for n, _ in bootstrap.requirement_blocks((bootstrap.ROOT / "requirements.lock").read_text())}
    assert set(bootstrap.BUILD_TOOLS) <= names


# ---- folders


@pytest.mark.parametrize(
    "name, said",
    [
        ("a:b", "a ':' in its path"),
        ('a"b', "a '\"' in its path"),
        ("a$b", "a '$' or a brace"),
        ("{a}", "a '$' or a brace"),
        ("a\nb", "a control character"),
        ("a\udce9", "not UTF-8"),
    ],
)
def test_folder_that_cannot_work_is_refused_before_any_work(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bootstrap, "make_environment", lambda venv: pytest.fail(f"begins in {venv}"))
    with pytest.raises(bootstrap.SetupError, match=re.escape(said)) as error:
        bootstrap.set_up(tmp_path / name / ".venv", [])
    assert str(error.value).isprintable()
    assert not (tmp_path / name).exists()


ODD = (
    *("a b é", "a'b", "a b'c #1 é;,%&[x]\\z", "(a) & b;", "\\N\\x", "-a", "long " + 24 * "name "),
    *(" a", "`id`!~*?<>|"),
)
PIPS_SHELL_SCRIPT = """#!/bin/sh
'''exec' "{}" "$0" "$@"
' '''
"""
BODY = "# -*- coding: utf-8 -*-\nimport sys\nprint(sys.executable, sys.argv[1:])\n"


@pytest.mark.parametrize("name", ODD)
def test_scripts_run_in_a_folder_of_any_name(name: str, tmp_path: Path):
    """pip writes scripts with the path of Python, which the kernel and the shell split."""
    venv = tmp_path / name / ".venv"
    folder = venv / "bin"
    folder.mkdir(parents=True)
    python, elsewhere = folder / "python", tmp_path / "linked"
    python.symlink_to(sys.executable)
    for kind, start in {"direct": f"#!{python}\n", "shell": PIPS_SHELL_SCRIPT.format(python)}.items():
        (folder / kind).write_text(start + BODY, encoding="utf-8")
        (folder / kind).chmod(0o755)
    (folder / "program").write_bytes(b"\x7fELF")
    (folder / "other").write_text("#!/bin/sh\nexit 0\n")
    bootstrap.check_path(venv)
    bootstrap.mend_scripts(venv)
    elsewhere.symlink_to(folder / "direct")
    for script in (folder / "direct", folder / "shell", elsewhere):
        done = subprocess.run([script, "x y", "$z"], capture_output=True, text=True, check=True)
        assert done.stdout == f"{python} ['x y', '$z']\n"
    assert (folder / "program").read_bytes() == b"\x7fELF"
    assert (folder / "other").read_text() == "#!/bin/sh\nexit 0\n"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path != python}
    bootstrap.mend_scripts(venv)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path != python} == before


def test_scripts_in_a_simple_folder_are_pips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    venv = Path("simple")
    monkeypatch.chdir(tmp_path)
    script = venv / "bin" / "script"
    script.parent.mkdir(parents=True)
    script.write_text("#!simple/bin/python\n")
    bootstrap.mend_scripts(venv)
    assert script.read_text() == "#!simple/bin/python\n"


# ---- a package index that does not answer, or refuses


class Refusing(http.server.BaseHTTPRequestHandler):
    """A server that answers /403/... with that status."""

    def do_GET(self) -> None:
        self.send_error(int(self.path.split("/")[1]))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def index() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def closed() -> str:
    """Return an address of this machine at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def install_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **settings: str) -> str:
    """Return the message when pip looks for a package with only these settings."""
    for name in [n for n in os.environ if n.upper().startswith("PIP_") or n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", **settings}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(bootstrap.SetupError) as error:
        bootstrap.pip(Path(sys.prefix), ["--no-deps", "--target", str(tmp_path), "no-such-package==1"])
    return str(error.value)


@pytest.mark.parametrize("retries", ["0", "1"])
def test_index_that_does_not_answer(retries, closed: str, tmp_path: Path, monkeypatch, capfd):
    said = install_nothing(monkeypatch, tmp_path, PIP_INDEX_URL=f"{closed}/simple", PIP_RETRIES=retries)
    assert said.startswith(f"the package index cannot be reached: {closed}/simple")
    assert "Connection refused" in said and "the network, the proxy" in said
    out, err = capfd.readouterr()
    assert "No matching distribution" not in out + err
    assert ("does not answer yet" in out) == (retries == "1")


def test_proxy_that_does_not_answer(closed: str, tmp_path: Path, monkeypatch, capfd):
    settings = {"PIP_INDEX_URL": "https://index.invalid/simple", "PIP_RETRIES": "0", "https_proxy": closed}
    said = install_nothing(monkeypatch, tmp_path, **settings)
    assert "the package index cannot be reached" in said and "Cannot connect to proxy" in said
    assert "No matching distribution" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("status", [403, 503])
def test_index_that_refuses(status: int, index: str, tmp_path: Path, monkeypatch, capfd):
    said = install_nothing(monkeypatch, tmp_path, PIP_INDEX_URL=f"{index}/{status}", PIP_RETRIES="0")
    assert said.startswith(f"the package index refuses: {index}/{status}") and str(status) in said
    assert "No matching distribution" not in "".join(capfd.readouterr())


def test_other_failures_of_pip_are_shown_as_they_are(tmp_path: Path, monkeypatch, capfd):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(bootstrap.SetupError, match="pip could not install this"):
        bootstrap.pip(Path(sys.prefix), ["--target", str(tmp_path), "no-such-package==1"])
    assert "No matching distribution" in capfd.readouterr().err
