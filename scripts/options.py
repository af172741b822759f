# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])


def array_options(command: Command) -> Command:
    """``--dsp`` and ``--lanes``: how large the RTL's array may be."""
    for option in (
        click.option("--lanes", type=click.IntRange(1), help="RTL: most multiply-accumulates a cycle."),
        click.option(
            "--dsp",
            type=click.IntRange(1),
            help="RTL: how many DSPs the array may take; what fits the part if not given.",
        ),
    ):
        command = option(command)
    return command
