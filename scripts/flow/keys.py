# SPDX-License-Identifier: Apache-2.0
"""A key of a configuration file: its meaning, default, limits, choices, and messages about mistakes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo


def key(
    default: Any,
    meaning: str,
    low: float | None = None,
    high: float | None = None,
    choices: Iterable[str] = (),
    example: Any = None,
    near: Iterable[str] = (),
) -> Any:
    """Declare a key of the file.

    Args:
        example: value shown in the file if the default is None.
        near: names among which a mistake's message suggests the most similar; ``choices`` if empty.
    """
    choices = tuple(choices)
    more = {"choices": choices, "low": low, "high": high, "example": example, "near": tuple(near) or choices}
    return Field(default, description=meaning, ge=low, le=high, json_schema_extra=more)


class Mistake(ValueError):
    """A value that conflicts with another one; ``key`` is the key to change."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @field_validator("*")
    @classmethod
    def _one_of(cls, value: Any, info: ValidationInfo) -> Any:
        choices = extra(cls.model_fields[str(info.field_name)], "choices")
        if choices and value is not None:
            for one in value if isinstance(value, list) else [value]:
                if one not in choices:
                    raise ValueError(f"{one!r} is unknown")
        return value


def extra(field: FieldInfo, what: str) -> Any:
    """Return one of the arguments of :func:`key` that pydantic does not know."""
    return field.json_schema_extra.get(what) if isinstance(field.json_schema_extra, dict) else None


def legal(field: FieldInfo) -> str:
    """Return the legal values of a key, in words."""
    choices, low, high = (extra(field, what) for what in ("choices", "low", "high"))
    kind = str(field.annotation)
    if choices:
        return f"{'a list of' if 'list' in kind else 'one of'} {', '.join(choices)}"
    if near := extra(field, "near"):
        return f"one of {', '.join(near)}, a package may follow"
    if "bool" in kind:
        return "true or false"
    if "str" in kind:
        return "text in quotes"
    noun = "a whole number" if "int" in kind else "a number"
    if low is None:
        return noun
    return f"{noun} from {low:g} to {high:.10g}" if high is not None else f"{noun} from {low:g} on"
