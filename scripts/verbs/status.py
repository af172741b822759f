# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm status``: show the stages of a configuration, which are done, and the cost of redoing them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import click

from zynq_lstm.scripts.options import config_argument, set_option


@click.command(name="status")
@config_argument()
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def command(config: Path, changes: tuple[str, ...], as_json: bool) -> None:
    """Show the stages of CONFIG as a tree: state and reason, time, duration and folder of each.

    Without --set, the --set options of the last run apply, and are shown. CONFIG is flow.toml if not given.
    """
    from rich.console import Console

    from zynq_lstm.models.errors import UserError
    from zynq_lstm.scripts.flow import last_run
    from zynq_lstm.scripts.flow.load import load
    from zynq_lstm.scripts.flow.runner import Pipeline
    from zynq_lstm.scripts.flow.show import overrides, running_as, tree
    from zynq_lstm.scripts.flow.stages import STAGES

    flow = load(config, changes)
    running, last = last_run.is_running(flow.folder), last_run.read(flow.folder)
    if last and last.changes and not changes:
        with contextlib.suppress(UserError):  # the file may have changed, and they are no longer legal
            flow = load(config, last.changes)
    pipeline = Pipeline(flow, STAGES)
    states = pipeline.states()
    if last and running:
        states = running_as(states, last)
    if as_json:
        rows = [
            {"stage": s.stage.name, "state": s.word, "reason": s.reason, "seconds": s.seconds} for s in states
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    console = Console()
    if last:
        console.print(last.told(running), highlight=False, soft_wrap=True, markup=False)
    for line in overrides(flow, load(config).config):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print(tree(pipeline, states))
