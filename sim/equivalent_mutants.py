# SPDX-License-Identifier: Apache-2.0
"""Mutants that no bench can find, one argument each. sim/mutants.py looks survivors up here."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Equivalent:
    """Mutants that change nothing that can be seen.

    Args:
        module: source file without suffix.
        source: regular expression that the text of the source must match as a whole.
        ports: regular expression for ``PORT[bit] mode``.
        cell: one for the cell's name.
    """

    module: str
    source: str
    ports: str
    why: str
    cell: str = ".*"

    def matches(self, module: str, source: str, cell: str, port: str, bit: int, mode: str) -> bool:
        return (
            module == self.module
            and re.fullmatch(self.source, source) is not None
            and re.fullmatch(self.ports, f"{port}[{bit}] {mode}") is not None
            and re.fullmatch(self.cell, cell) is not None
        )


EQUIVALENT: tuple[Equivalent, ...] = ()
