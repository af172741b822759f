# SPDX-License-Identifier: Apache-2.0
"""Texts: from a file's bytes to characters, and from characters to a vocabulary's codes and back.

Reading changes a text as little as possible, and every change is noted with a count.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.errors import UserError, note

BYTE_ORDER_MARK = "\ufeff"


def encode(text: str, vocabulary: str, source: str = "text", rest: str = "") -> NDArray[np.uint8]:
    """Return the codes of ``text``, one per character, uint8.

    Letters that the vocabulary has in the other Unicode form (composed or decomposed) take that form, and
    characters outside the vocabulary become ``rest``, if there is one. Both changes are noted with a count.

    Args:
        text: the characters to encode.
        vocabulary: the characters in code order, at most 256.
        source: name of ``text`` in messages, such as its file.
        rest: the symbol of the vocabulary for rare characters; none if empty.

    Raises:
        UserError: a character is outside the vocabulary; names source, offset and character.
    """
    codes, known = _places(text, vocabulary)
    if known.all():
        return codes
    text = _in_form_of(text, vocabulary, source)
    codes, known = _places(text, vocabulary)
    unknown = Counter(text[at] for at in np.flatnonzero(~known))
    if unknown and rest:
        codes[~known] = vocabulary.index(rest)
        note(
            f"{source}: unknown characters are read as {rest!r}, the vocabulary's symbol for rare ones: "
            f"{total(unknown)}: {listed(unknown)}"
        )
    elif unknown:
        at = int(np.flatnonzero(~known)[0])
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        raise UserError(
            f"{source}: character {_named(text[at])} at offset {at} (line {line}, column {column}) is not "
            f"in the vocabulary of {len(vocabulary)} characters; missing: {total(unknown)}: "
            f"{listed(unknown)}. Remove them, or use a network trained with them or with --fold-rare"
        )
    return codes


def _places(text: str, vocabulary: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the code of each character, and whether the vocabulary has it."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    ours = np.array([ord(c) for c in vocabulary], np.uint32)
    order = np.argsort(ours)
    place = np.minimum(np.searchsorted(ours[order], points), len(ours) - 1)
    codes = order[place]
    return codes.astype(np.uint8), ours[codes] == points


def _in_form_of(text: str, vocabulary: str, source: str) -> str:
    """Return the text with letters composed or decomposed where the vocabulary has only that form."""
    have, found = set(vocabulary), set(text)
    marks = "".join(re.escape(c) for c in sorted(found) if unicodedata.combining(c))
    unknown = "".join(re.escape(c) for c in sorted(found - have))
    if not unknown:
        return text
    letters = [f".[{marks}]+"] if marks else []
    letters += ["[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?", f"[{unknown}]"]  # the first: Hangul
    changed: Counter[str] = Counter()

    def other(match: re.Match[str]) -> str:
        letter = match[0]
        for form in (letter, unicodedata.normalize("NFC", letter), unicodedata.normalize("NFD", letter)):
            if have.issuperset(form):
                if form != letter:
                    changed[letter] += 1
                return form
        return letter

    text = re.sub("|".join(letters), other, text, flags=re.DOTALL)
    if changed:
        note(
            f"{source}: letters take the Unicode form (composed or decomposed) that the vocabulary has: "
            f"{total(changed)}: {listed(changed)}"
        )
    return text


def _named(character: str) -> str:
    """Return a printable form of a character, with its code point; of a byte that is not UTF-8, its value."""
    if len(character) == 1 and "\udc80" <= character <= "\udcff":
        return f"byte 0x{ord(character) - 0xDC00:02X}, which is not UTF-8,"
    return f"{character!r} ({' '.join(f'U+{ord(c):04X}' for c in character)})"


def character_name(character: str) -> str:
    """Return a printable form of a character: itself if it is visible, otherwise its name and number."""
    if character.isprintable() and not character.isspace() and not unicodedata.combining(character):
        return character
    names = {"\n": "line feed", "\t": "tab", " ": "space"}
    name = names.get(character) or unicodedata.name(character, "").lower()
    number = f"U+{ord(character):04X}"
    return f"{name} ({number})" if name else number


def total(counts: Counter[str]) -> str:
    """Say in words how many characters there are, and of how many kinds."""
    total, kinds = counts.total(), len(counts)
    return f"{total:,} character{'s' * (total != 1)} of {kinds} kind{'s' * (kinds != 1)}"


def listed(counts: Counter[str], most: int = 8) -> str:
    """List characters with their counts, the rarest first, at most ``most`` of them."""
    ordered = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    told = ", ".join(f"{_named(c)} {count:,}" for c, count in ordered[:most])
    return told if len(ordered) <= most else f"{told} and {len(ordered) - most} more kinds"


def decode(codes: NDArray[np.integer], vocabulary: str) -> str:
    """Return the text that ``codes`` represent."""
    points = np.array([ord(c) for c in vocabulary], np.uint32)
    return points[np.asarray(codes)].tobytes().decode("utf-32-le", "surrogatepass")


def note_rest(text: str, rest: str) -> None:
    """Note how often the symbol for rare characters occurs in a text that a network wrote."""
    if rest and (count := text.count(rest)):
        note(f"{rest!r} in what the network wrote stands for a rare character ({count:,})")


def read_text(path: Path, vocabulary: str | None = None, *, as_is: bool = False) -> str:
    """Read a file's UTF-8 text. A byte order mark is left out and line ends become LF, which is noted.

    Args:
        vocabulary: vocabulary of the network that will read the text. If it has carriage returns or the mark,
            these are kept.
        as_is: keep carriage returns and the mark in any case.

    Raises:
        UserError: the file is missing, unreadable, not UTF-8 (names the byte's offset), or empty.
    """
    text = _decoded(path)
    have = vocabulary or ""
    nul = text.count("\0")
    if nul and not as_is and "\0" not in have:
        note(f"{path}: NUL characters (U+0000) kept ({nul:,}); is the text UTF-8, and not UTF-16?")
    changes = []
    if not as_is and BYTE_ORDER_MARK not in have and text.startswith(BYTE_ORDER_MARK):
        text = text.removeprefix(BYTE_ORDER_MARK)
        changes.append("byte order mark left out (1)")
    if not as_is and "\r" not in have:
        windows_ends, returns = text.count("\r\n"), text.count("\r")
        text = lines(text)
        if windows_ends:
            changes.append(f"line ends CR LF read as LF ({windows_ends:,})")
        if returns > windows_ends:
            changes.append(f"line ends CR read as LF ({returns - windows_ends:,})")
    if changes:
        way_out = "; --as-is keeps them (corpus.as_is in a configuration)" if vocabulary is None else ""
        note(f"{path}: {', '.join(changes)}{way_out}")
    if not text:
        raise UserError(f"{path}: the file is empty")
    return text


def _decoded(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        raise UserError(
            f"{path}: not UTF-8: byte 0x{data[error.start]:02X} at offset {error.start}; to convert it, if "
            f"that is its encoding: iconv -f {'UTF-16' if utf16 else 'WINDOWS-1252'} -t UTF-8"
        ) from None


def lines(text: str) -> str:
    """Return the text with LF at line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def plain(path: Path) -> str:
    """Read a text of the project's own: like :func:`read_text`, but without notes."""
    return lines(_decoded(path).removeprefix(BYTE_ORDER_MARK))


def folding(corpus: Mapping[str, Any]) -> str:
    """Describe in words the folding of rare characters in a corpus record; empty if there was none."""
    if not (folded := corpus.get("folded")):
        return ""
    return (
        f"the {folded['kept']} most frequent are kept; {folded['kinds']} other kinds, "
        f"{folded['characters']:,} characters of the training text, are {folded['symbol']}"
    )
