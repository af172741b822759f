# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm status``: the stages of a configuration, which are done, and what redoing them would cost."""

from __future__ import annotations

import json
from pathlib import Path

import click

from scripts.options import config_argument, set_option


@click.command(name="status")
@config_argument()
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def command(config: Path, changes: tuple[str, ...], as_json: bool) -> None:
    """Show the tree of the stages of CONFIG: done, to do and why, when, how long, and where.

    CONFIG is flow.toml if not given.
    """
    from rich.console import Console

    from scripts.flow.load import load
    from scripts.flow.runner import Pipeline
    from scripts.flow.show import tree
    from scripts.flow.stages import STAGES

    pipeline = Pipeline(load(config, changes), STAGES)
    states = pipeline.states()
    if as_json:
        rows = [
            {"stage": s.stage.name, "state": s.word, "reason": s.reason, "seconds": s.seconds} for s in states
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    Console().print(tree(pipeline, states))
