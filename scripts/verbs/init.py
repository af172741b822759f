# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm init``: write a commented configuration file for 'zynq-lstm run'."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from zynq_lstm.scripts.options import config_argument, set_option


@click.command(name="init")
@config_argument("file", "FILE")
@click.option(
    "--preset", default="shipped", show_default=True, help="Preset to begin with; --list shows them."
)
@set_option
@click.option("--list", "listed", is_flag=True, help="Show the presets and write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def command(file: Path, preset: str, changes: tuple[str, ...], listed: bool, overwrite: bool) -> None:
    """Write a configuration FILE with every key, its meaning, its default and its legal values.

    FILE is flow.toml if not given.
    """
    from zynq_lstm.models.errors import UserError
    from zynq_lstm.models.store import write_text
    from zynq_lstm.scripts.flow.load import PRESETS, checked, parsed, preset_file, written

    if listed:
        for path in sorted(PRESETS.glob("*.toml")):
            first = path.read_text(encoding="utf-8").splitlines()[1]
            click.echo(f"{path.stem:10s} {first.lstrip('# ')}")
        return
    source = preset_file(preset)
    if file.exists() and not overwrite:
        raise UserError(f"{file}: already exists; choose another name, or give --overwrite")
    text = source.read_text(encoding="utf-8")
    config = checked(parsed(text), source, text, changes)
    name = os.fsencode(file.name).decode("utf-8", "replace")
    heading = (
        f"Preset {preset}: {text.splitlines()[1].lstrip('# ')}\n"
        f"To run it: {shlex.join(['zynq-lstm', 'run', name])}\n"
        "A line that begins with # and a key is a default."
    )
    write_text(file, written(config, heading))
    dry_run = shlex.join(["zynq-lstm", "run", str(file), "--dry-run"])
    click.echo(f"wrote {file}; to see what it means to do: {dry_run}")
