# SPDX-License-Identifier: Apache-2.0
"""The FPGAs that engines are sized for: each has a TOML file in this folder, with the part's name.

A file holds the part's programmable logic (AMD DS190, "Zynq-7000 SoC Data Sheet: Overview") and a package and
speed grade for tools that need a full part number. To add a part, add a file: nothing else names the parts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zynq_lstm.models.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_PART = "xc7z020"
FOLDER = Path(str(resources.files("zynq_lstm.hls") / "parts"))
_PACKAGE = r"i?[a-z]{3}[0-9]{3,4}-[1-3][a-z]{0,2}"


@dataclass(frozen=True)
class Part:
    """Resources of a part; block RAM in units of 36 Kb."""

    lut: int
    ff: int
    dsp: int
    bram36: int
    package: str  # and speed grade, for part numbers without them

    def resources(self) -> dict[str, int]:
        """Return the number of each resource that the part has."""
        return {name: value for name, value in vars(self).items() if name != "package"}

    def exceeded(self, used: Mapping[str, float]) -> tuple[str, ...]:
        """Return the resources of which ``used`` is more than the part has."""
        return tuple(name for name, count in used.items() if count > getattr(self, name))


@lru_cache(1)
def parts() -> Mapping[str, Part]:
    """Return every part by name, the part with the fewest LUTs first.

    Raises:
        UserError: naming a file that does not describe a part.
    """
    found = {path.stem: _read(path) for path in sorted(FOLDER.glob("*.toml"))}
    return MappingProxyType(dict(sorted(found.items(), key=lambda item: item[1].lut)))


def _read(path: Path) -> Part:
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not TOML, or not UTF-8
        raise UserError(f"{path}: not TOML: {error}") from None
    names = [field.name for field in fields(Part)]
    if wrong := sorted({*names} ^ {*data}):
        state = "missing" if wrong[0] in names else "not a key"
        raise UserError(f"{path}: {wrong[0]} is {state}; a part has {', '.join(names)}")
    for name, value in data.items():
        if name == "package":
            if not isinstance(value, str) or not re.fullmatch(_PACKAGE, value):
                raise UserError(f"{path}: package must be like 'clg400-1', with a speed grade, got {value!r}")
        elif type(value) is not int or value < 1:
            raise UserError(f"{path}: {name} must be a whole number of at least 1, got {value!r}")
    return Part(**data)


def part_name(part: str) -> str:
    """Return the device of a part number such as xc7z020 or xc7z020clg400-1, in any case.

    Raises:
        UserError: for an unknown part; the message names the known devices.
    """
    known = parts()
    device = "|".join(map(re.escape, known))
    if found := re.fullmatch(f"({device})({_PACKAGE})?", part, re.IGNORECASE):
        return found[1].lower()
    raise UserError(
        f"unknown part {part!r}; known are {', '.join(known)} and their packages with a speed grade, "
        f"such as {DEFAULT_PART}{known[DEFAULT_PART].package}"
    )


def full_part(part: str) -> str:
    """Return ``part`` as AMD's tools write it, with its file's package and speed grade if it has none.

    Raises:
        UserError: as for :func:`part_name`.
    """
    name = part_name(part)
    device, dash, grade = part.partition("-")
    return f"{device.lower()}{dash}{grade}" if dash else name + parts()[name].package
