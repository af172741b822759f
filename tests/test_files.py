# SPDX-License-Identifier: Apache-2.0
"""The files of every verb: all of them are declared, and no verb overwrites what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.store import LOCK_FILE
from zynq_lstm.scripts import files
from zynq_lstm.scripts.files import NETWORK, Folder, Reads, Verb, Writes, figures, marked
from zynq_lstm.scripts.main import cli, main

#: Arguments that a verb needs beside the options under test.
NEEDED = {"compare": ("keras", "hls"), "import-keras": ("model.keras",)}
#: Verbs without an option for a file, or that check their files themselves.
OWN = {"doctor", "init", "run", "status"}


def commands() -> Iterator[tuple[list[str], click.Command]]:
    """Yield all commands with the words that call them."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from (([name, inner], found) for inner, found in command.commands.items())
        else:
            yield [name], command


COMMANDS = {" ".join(words): (words, command) for words, command in commands()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_is_declared(name: str) -> None:
    _, command = COMMANDS[name]
    for param in command.params:
        if isinstance(param.type, click.Path) and name not in OWN:
            assert isinstance(command, Verb)
            assert isinstance(param.type, (Reads, Writes, Folder)), param.name


def _pairs() -> Iterator[tuple[str, str, str]]:
    for name, (_, command) in COMMANDS.items():
        options = [param for param in command.params if isinstance(param, click.Option)]
        for read in options:
            for written in options:
                if isinstance(read.type, Reads) and isinstance(written.type, Writes):
                    yield name, max(read.opts, key=len), max(written.opts, key=len)


@pytest.mark.parametrize(("name", "read", "written"), list(_pairs()))
def test_no_output_is_an_input(
    name: str, read: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """This holds even through a link, and with --overwrite."""
    monkeypatch.chdir(tmp_path)
    words, command = COMMANDS[name]
    (reads,) = [p for p in command.params if read in p.opts]
    given = Path("given")
    if reads.type.folder:  # type: ignore[attr-defined]
        given.mkdir()
    else:
        given.write_text("mine")
    Path("link.svg").symlink_to(given)
    Path("model.keras").touch()
    line = [*words, *NEEDED.get(name, ()), read, "given", written, "link.svg", "--overwrite"]
    if name == "import-keras" and written != "--output":
        line += ["--output", "other"]
    assert main(line) == 2
    assert "which would be overwritten" in capsys.readouterr().err
    assert given.is_dir() or given.read_text() == "mine"


def test_a_folder_is_marked_while_it_is_filled(tmp_path: Path) -> None:
    """The mark allows a killed run to be repeated; if nothing was written, nothing is left."""
    folder = tmp_path / "more" / "out"
    with marked(folder):
        assert (folder / LOCK_FILE).exists()
    assert list(tmp_path.iterdir()) == []
    with marked(folder):
        (folder / "file").touch()
    assert {path.name for path in folder.iterdir()} == {LOCK_FILE, "file"}
    with marked(folder):
        pass
    assert (folder / LOCK_FILE).exists()


def test_a_verb_marks_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call may fill the folder again; without the mark, the folder is refused."""

    @click.command(cls=Verb)
    @click.option("--output", type=Folder(), default=Path("out"))
    def verb(output: Path) -> None:
        output.mkdir(exist_ok=True)
        (output / "log").touch()

    monkeypatch.chdir(tmp_path)
    verb(["--output", "out"], standalone_mode=False)
    verb(["--output", "out"], standalone_mode=False)
    (tmp_path / "out" / LOCK_FILE).unlink()
    with pytest.raises(UserError, match="--output out: holds other files"):
        verb(["--output", "out"], standalone_mode=False)
    verb(["--output", "out", "--overwrite"], standalone_mode=False)
    verb(["--output", "out"], standalone_mode=False)


def test_a_default_folder_of_an_older_version_is_taken(tmp_path: Path) -> None:
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / LOCK_FILE).touch()
    files.require_folder(tmp_path, by_default=True)
    with pytest.raises(UserError, match="holds other files"):
        files.require_folder(tmp_path)


def test_kinds(tmp_path: Path) -> None:
    """A record is only of its own kind, and a file that cannot be read as text does not hold figures."""
    path = tmp_path / "x"
    path.write_text('{\n "kind": "cells"\n}\n')
    assert figures("cells").ours(path) and not figures().ours(path) and not NETWORK.ours(path)
    path.write_text('{"kind": "cells"}')  # not as this program writes it
    assert not figures("cells").ours(path)
    path.write_bytes(b"\xff\xfe\x00")
    assert not any(kind.ours(path) for kind in (figures(), NETWORK, files.PICTURE, files.TRAINING))
