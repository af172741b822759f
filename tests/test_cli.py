# SPDX-License-Identifier: Apache-2.0
"""The command ``zynq-lstm``: verbs, exit codes, and errors in one line."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.machine import run_code
from zynq_lstm import scripts
from zynq_lstm.models.errors import UserError
from zynq_lstm.scripts import main as cli_main
from zynq_lstm.scripts import verbs

HEAVY = ("tensorflow", "keras", "qkeras", "hls4ml", "cocotb", "pyosys", "matplotlib", "scipy")


def run_module(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zynq_lstm.scripts", *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(scripts.__file__).parent.parent,
    )


def verb_names() -> list[str]:
    return cli_main.cli.list_commands(click.Context(cli_main.cli))


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch):
    """Give the command a verb 'probe' that runs the callable passed in."""

    def install(body) -> None:
        @click.command()
        def command() -> None:
            body()

        get_command = cli_main.VerbGroup.get_command
        monkeypatch.setattr(
            cli_main.VerbGroup,
            "get_command",
            lambda self, ctx, name: command if name == "probe" else get_command(self, ctx, name),
        )

    return install


def assert_one_line_error(text: str, *, contains: str) -> None:
    assert text.startswith("zynq-lstm: error: ")
    assert text.count("\n") == 1, text
    assert contains in text


COMMAND = f"'{sys.executable}' -m zynq_lstm.scripts"


def in_shell(line: str) -> subprocess.CompletedProcess[str]:
    root = Path(scripts.__file__).parent.parent
    return subprocess.run(line, shell=True, capture_output=True, text=True, cwd=root)


def test_help_is_quick_and_quiet():
    """Alone it takes 0.1 s; forbidden imports are checked instead of time, since the machine may be busy."""
    done = run_code(
        "import sys; from zynq_lstm.scripts.main import main; status = main(['--help']); "
        "loaded = [m for m in ('numpy', 'pydantic', 'rich') if m in sys.modules]; "
        "print('loaded:', loaded); sys.exit(status)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.endswith("loaded: []\n")


def test_no_verb_imports_anything_heavy_at_its_top():
    done = run_code(
        "import sys; from zynq_lstm.scripts.main import cli; "
        "[cli.get_command(None, name) for name in cli.list_commands(None)]; "
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert done.stdout == "[]\n", done.stderr


def test_every_module_with_a_command_is_a_verb():
    folder = Path(verbs.__file__).parent
    commands = {p.stem for p in folder.glob("*.py") if re.search(r"^def command\(", p.read_text(), re.M)}
    assert {name.replace("_", "-") for name in commands} == set(verb_names())


def test_every_verb_is_listed_with_a_summary():
    names = verb_names()
    assert names == sorted(names)
    assert not {"main", "bootstrap"} & set(names)
    listed = run_module("--help").stdout
    for name in names:
        assert re.search(rf"^  {name} +\S", listed, re.M), f"{name} has no summary"


@pytest.mark.parametrize("name", verb_names())
def test_every_verb_explains_itself(name: str, capsys: pytest.CaptureFixture[str]):
    assert cli_main.main([name, "--help"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"Usage: zynq-lstm {name}")
    assert captured.err == ""


def test_version():
    done = run_module("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"zynq-lstm \d+\.\d+\.\d+\S*\n", done.stdout)


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]):
    assert cli_main.main([]) == 2
    captured = capsys.readouterr()
    assert "Usage: zynq-lstm" in captured.out + captured.err


def test_unknown_verb_names_near_ones(capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(cli_main.VerbGroup, "list_commands", lambda *_: ["evaluate", "train"])
    assert cli_main.main(["evalute"]) == 2
    assert_one_line_error(capsys.readouterr().err, contains="no verb 'evalute'; did you mean evaluate?")
    assert cli_main.main(["xyzzy"]) == 2
    assert_one_line_error(capsys.readouterr().err, contains="the verbs are evaluate, train")


@pytest.mark.parametrize("name", ["main", "bootstrap", "__main__", "..", "", "os"])
def test_modules_that_are_no_verbs_are_not_run(name: str, capsys: pytest.CaptureFixture[str]):
    assert cli_main.main([name]) == 2
    assert_one_line_error(capsys.readouterr().err, contains=f"no verb '{name}'")


def test_unknown_option_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert cli_main.main(["--bogus"]) == 2
    assert_one_line_error(capsys.readouterr().err, contains="--bogus")


def test_user_error_is_one_line_and_exit_code_2(verb, capsys: pytest.CaptureFixture[str]):
    def body() -> None:
        raise UserError("in.txt: not UTF-8\nat offset 7")

    verb(body)
    assert cli_main.main(["probe"]) == 2
    assert_one_line_error(capsys.readouterr().err, contains="in.txt: not UTF-8 at offset 7")


def test_traceback_on_request(verb, capsys: pytest.CaptureFixture[str]):
    def body() -> None:
        raise UserError("wrong")

    verb(body)
    assert cli_main.main(["--traceback", "probe"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error, said",
    [
        (OSError(errno.ENOSPC, "No space left on device", "build/a.npz"), "build/a.npz: No space"),
        (PermissionError(errno.EACCES, "Permission denied", "build"), "build: Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", b"x"), "x: No such file"),
        (OSError("odd"), "odd"),
    ],
)
def test_os_error_names_the_file(error, said, verb, capsys: pytest.CaptureFixture[str]):
    def body() -> None:
        raise error

    verb(body)
    assert cli_main.main(["probe"]) == 2
    assert_one_line_error(capsys.readouterr().err, contains=said)


def test_a_defect_is_not_hidden(verb):
    def body() -> None:
        raise ZeroDivisionError

    verb(body)
    with pytest.raises(ZeroDivisionError):
        cli_main.main(["probe"])


def test_interrupt_is_130_without_a_traceback(verb, capsys: pytest.CaptureFixture[str]):
    def body() -> None:
        raise KeyboardInterrupt

    verb(body)
    assert cli_main.main(["probe"]) == 130
    assert capsys.readouterr().err.strip() == "zynq-lstm: interrupted"


def test_a_verb_can_choose_its_exit_code(verb):
    def body() -> None:
        click.get_current_context().exit(1)

    verb(body)
    assert cli_main.main(["probe"]) == 1


@pytest.mark.parametrize("verb", ["--help", "formats --help", "estimate", "figures training"])
def test_a_closed_pipe_is_no_failed_check(verb: str):
    """For output by click and by rich: 141, as for any program that SIGPIPE ends, or 0 if all was written."""
    done = in_shell(f"{{ sleep 0.2; {COMMAND} {verb}; echo $? >&2; }} | true")
    assert done.stderr in ("141\n", "0\n"), done.stderr
    if verb in ("estimate", "figures training"):
        assert done.stderr == "141\n"


def test_a_closed_output_is_no_traceback():
    done = in_shell(f"{COMMAND} --help >&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_unicode():
    done = in_shell(f"PYTHONIOENCODING=ascii {COMMAND} estimate")
    assert (done.returncode, done.stderr) == (0, "")
    assert "xc7z045" in done.stdout and "?" in done.stdout  # instead of the dash in the column 'binds'


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize("verb", ["estimate", "estimate --units=512", "ladder", "figures training"])
def test_tables_are_never_cut(verb: str, columns: int, monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli_main.main(verb.split()) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert columns < 80 or max(map(len, printed.splitlines())) <= columns


def test_completion_in_the_shell():
    done = in_shell(
        f'_ZYNQ_LSTM_COMPLETE=bash_complete COMP_WORDS="zynq-lstm run --un" COMP_CWORD=2 {COMMAND}'
    )
    assert done.stdout == "plain,--until\n"
