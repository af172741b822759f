# SPDX-License-Identifier: Apache-2.0
"""The command ``zynq-lstm``: finds the verbs, and turns errors into one line and an exit code.

A verb is a module of ``scripts/verbs`` with an attribute ``command`` (a :class:`click.Command`) and a
docstring that begins with ``"zynq-lstm VERB": summary`` (in double backquotes); its name is the
module's, with ``-`` for ``_``. The list of verbs is read from the docstrings, and only the verb that runs
is imported: the help appears at once, and ``doctor`` runs even if packages are missing. **A verb module
imports TensorFlow (through :mod:`zynq_lstm.models.keras.quiet`), Keras, hls4ml, cocotb and matplotlib inside
its functions, never at its top**, since its own ``--help`` imports the module; ``tests/test_cli.py`` checks
that.

Exit codes: 0 success, 1 a defect or a check that failed (the verb says which), 2 bad input or
usage, 130 interrupted, 141 the output's reader closed the pipe.
"""

from __future__ import annotations

import difflib
import importlib.util
import io
import logging
import os
import re
import select
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from zynq_lstm.models import interruption
from zynq_lstm.models.errors import NOTES, CheckError, UserError
from zynq_lstm.scripts import verbs

PROG = "zynq-lstm"
STDOUT = 1  # file descriptor
_SUMMARY = re.compile(rf'^"""``{PROG} ([a-z-]+)``: (.+?)(?:"""|$)', re.M)
#: Packages that only some verbs need, and the extra that installs them.
EXTRAS = {"jinja2": "report", "matplotlib": "report"}
#: The verbs in the order of the help: first those to begin with, then in the order of the flow.
SECTIONS = {
    "To begin with": ("doctor", "demo", "init", "run", "status", "estimate", "sample"),
    "The network": (
        *("corpus", "train", "evaluate", "import-keras", "calibrate"),
        *("ranges", "formats", "ladder", "cells", "train-cells", "train-starts"),
    ),
    "The hardware": ("convert", "schedule", "synth", "hls-project", "ip", "benchmark"),
    "Verification": ("simulate", "compare", "fuzz", "cover", "mutate", "prove", "upset", "peers"),
    "The documentation": ("figures",),
}


def version() -> str:
    """Return the installed version of this project."""
    from importlib.metadata import version as installed

    return installed(PROG)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"{PROG} {version()}")
        ctx.exit()


class VerbGroup(click.Group):
    """A click group whose commands are the modules of :mod:`zynq_lstm.scripts.verbs`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._summaries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._summaries():
            return None
        module = importlib.import_module(f"{verbs.__name__}.{cmd_name.replace('-', '_')}")
        assert isinstance(module.command, click.Command)
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        summaries = self._summaries()
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, summaries[name]) for name in names])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(_unknown_verb(args[0], self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)

    @staticmethod
    def _summaries() -> dict[str, str]:
        """Return the summary of each verb, by its name."""
        found = {}
        for folder in verbs.__path__:
            for path in Path(folder).glob("[!_]*.py"):
                with path.open(encoding="utf-8") as source:
                    summary = _SUMMARY.search(source.read(1024))
                if summary and summary[1] == path.stem.replace("_", "-"):
                    found[summary[1]] = summary[2][0].upper() + summary[2][1:]
        return found


def _unknown_verb(name: str, known: list[str]) -> str:
    if not known:
        return f"no verb '{name}'"
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"no verb '{name}'; did you mean {' or '.join(near)}?"
    return f"no verb '{name}'; the verbs are {', '.join(known)}"


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and leave.",
)
@click.option("--traceback", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, traceback: bool) -> None:
    """Train, quantize, convert and simulate a character-level LSTM for a Zynq-7020."""
    ctx.obj = {"traceback": traceback}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _os_error_text(error: OSError) -> str:
    reason = error.strerror or _one_line(str(error)) or type(error).__name__
    names = [os.fspath(n) for n in (error.filename, error.filename2) if isinstance(n, (str, bytes))]
    where = " -> ".join(n if isinstance(n, str) else os.fsdecode(n) for n in names)
    return f"{where}: {reason}" if where else reason


def _fail(message: str, code: int = 2) -> int:
    print(f"{PROG}: error: {_one_line(message)}", file=sys.stderr)
    return code


class _Notes(logging.Handler):
    """Prints each note only once."""

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self.said:
            self.said.add(text)
            print(f"{PROG}: note: {text}", file=sys.stderr, flush=True)


@contextmanager
def _notes() -> Iterator[None]:
    """Print the notes of :func:`zynq_lstm.models.errors.note` within the context."""
    handler, propagate = _Notes(), NOTES.propagate
    NOTES.addHandler(handler)
    NOTES.propagate = False
    try:
        yield
    finally:
        NOTES.removeHandler(handler)
        NOTES.propagate = propagate


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code (see the module's docstring)."""
    with _notes():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    args = list(sys.argv[1:] if argv is None else argv)
    show_traceback = "--traceback" in args[: _first_verb(args)]
    _accept_any_character()
    if argv is None:  # it runs as a program, which a signal ends
        interruption.end_at_signals(PROG)
    try:
        result = cli.main(args=args, prog_name=PROG, standalone_mode=False)
        if sys.stdout:  # None where it was closed before the start
            sys.stdout.flush()  # here a closed pipe can still be distinguished from a defect
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROG
        return _fail(f"{error.format_message()} (see '{path} --help')")
    except click.ClickException as error:
        return _fail(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        print(f"{PROG}: interrupted", file=sys.stderr)
        return interruption.CODE
    except BrokenPipeError:
        return _no_reader()
    except SystemExit as error:  # click and rich exit with 1 for a closed pipe; here 1 is a failed check
        if not isinstance(error.__context__, BrokenPipeError) and not _output_is_closed():
            raise
        return _no_reader()
    except (UserError, CheckError) as error:
        if show_traceback:
            traceback.print_exc()
        return _fail(str(error), 2 if isinstance(error, UserError) else 1)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        return _fail(f"this needs {error.name}: pip install '{PROG}[{EXTRAS[error.name]}]'")
    except OSError as error:
        if show_traceback:
            traceback.print_exc()
        return _fail(_os_error_text(error))


def require_extra(extra: str) -> None:
    """Raise ModuleNotFoundError before any work if a package of an extra is missing."""
    for name in EXTRAS:
        if EXTRAS[name] == extra and importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(name=name)


def _accept_any_character() -> None:
    """Print characters that the terminal's encoding lacks as '?', instead of ending the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _output_is_closed() -> bool:
    poll = select.poll()
    poll.register(STDOUT, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def _no_reader() -> int:
    """Discard all further output, since its reader closed the pipe (| head); return the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    return 128 + signal.SIGPIPE


def _first_verb(args: list[str]) -> int:
    return next((i for i, arg in enumerate(args) if not arg.startswith("-")), len(args))


if __name__ == "__main__":
    sys.exit(main())
