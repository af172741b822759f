# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of a third party's network: its characters in the order of their codes, from a file."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

from zynq_lstm.models.description.spec import MAX_VOCABULARY
from zynq_lstm.models.errors import UserError, note
from zynq_lstm.models.importing.kinds import FEWER
from zynq_lstm.models.texts.corpus import read_text

PRIVATE = 0xE000  # the first of Unicode's private characters, which no text has


def check_vocabulary(vocabulary: str, source: str) -> None:
    """Refuse too many or too few characters for a network, or a character with two codes.

    Raises:
        UserError: the vocabulary is illegal; names ``source``.
    """
    if not 2 <= len(vocabulary) <= MAX_VOCABULARY:
        raise UserError(
            f"{source}: has {len(vocabulary)} characters; a network has 2 to {MAX_VOCABULARY}: {FEWER}"
        )
    for code, character in enumerate(vocabulary):
        first = vocabulary.index(character)
        if first != code:
            raise UserError(
                f"{source}: character {character!r} (U+{ord(character):04X}) has two codes, "
                f"{first} and {code}; every character must have one"
            )


def read_vocabulary(path: Path, as_is: bool = False) -> tuple[str, str | None]:
    """Read the characters in code order, and the text if they come from one.

    A letter of a JSON list that is written as several characters becomes the single one that Unicode has for
    it. Any other entry that is not a single character (such as ``[UNK]``) represents no character of a text:
    it becomes one of Unicode's private characters. Both changes are noted.

    Args:
        as_is: count a text's carriage returns and byte order mark as characters, too.

    Raises:
        UserError: the file can't be used; names it and what is wrong with it.
    """
    if path.suffix != ".json":
        text = read_text(path, as_is=as_is)
        return "".join(sorted(set(text))), text
    try:
        data = json.loads(read_text(path, ""))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: not JSON: {error}") from None
    if isinstance(data, dict):
        if sorted(map(str, data.values())) != sorted(map(str, range(len(data)))):
            raise UserError(f"{path}: the codes must be the numbers from 0 to {len(data) - 1}, each once")
        data = sorted(data, key=lambda name: int(data[name]))
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise UserError(f"{path}: must be a list of characters, or an object from character to code")
    characters, none = [], []
    for code, name in enumerate(data):
        composed = unicodedata.normalize("NFC", name)
        if len(name) != 1 and len(composed) == 1:
            note(f"{path}: {name!r} (code {code}) is read as {composed!r} (U+{ord(composed):04X})")
            name = composed
        elif len(name) > 1 and all(map(unicodedata.combining, name[1:])):
            raise UserError(
                f"{path}: {name!r} (code {code}) is one letter in {len(name)} characters, and Unicode has no "
                "single character for it; the model must be trained on characters"
            )
        elif len(name) != 1 or "\ud800" <= name <= "\udfff":
            none.append(name)
            name = chr(PRIVATE + code)
        characters.append(name)
    if none:
        told = ", ".join(map(repr, none[:8])) + (" and more" if len(none) > 8 else "")
        note(f"{path}: {len(none)} entries represent no character of a text: {told}")
    return "".join(characters), None


def other_reading(path: Path, wanted: int) -> str:
    """Advise on a way of reading the text that gives as many characters as the model has; empty if none."""
    if path.suffix == ".json":
        return ""
    as_is = read_text(path, as_is=True)
    if len(set(as_is)) == wanted:
        return f"; with its carriage returns and byte order mark it has {wanted}: give --as-is"
    for form in ("NFC", "NFD"):
        if wanted in (len(set(unicodedata.normalize(form, text))) for text in (as_is, read_text(path, ""))):
            return f"; in Unicode's form {form} it has {wanted}: give the text in that form"
    return ""
