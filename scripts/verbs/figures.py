# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm figures``: measure the figures of the documentation, print them, and write them as JSON."""

from __future__ import annotations

import click

from zynq_lstm.scripts.figures.cells import cells
from zynq_lstm.scripts.figures.engine import engine
from zynq_lstm.scripts.figures.peers import peers
from zynq_lstm.scripts.figures.records import robustness, verification
from zynq_lstm.scripts.figures.training import training


@click.group(name="figures")
def command() -> None:
    """Print the figures of the documentation; each subcommand measures or reads one group."""


for one in (engine, training, verification, robustness, peers, cells):
    command.add_command(one)
