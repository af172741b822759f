# SPDX-License-Identifier: Apache-2.0
"""Other people's texts: line ends, byte order marks, encodings, Unicode forms, and too many characters."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from tests.prepared import both, flow, network, text
from tests.situations import Situation
from zynq_lstm.models.description.checkpoint import Checkpoint

LINE = "It was the best of times.\n"
PLAIN = LINE * 60
MANY = PLAIN * 10 + "".join(map(chr, range(0x4E00, 0x4E00 + 300))) + "\u00e9" * 5
RARE = "".join(sorted(set(PLAIN))) + "\ufffd"  # a vocabulary whose last symbol stands for all others
FOLDED = {"symbol": "\ufffd", "kept": len(RARE) - 1, "kinds": 3, "characters": 5}
COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"


def model(folder: Path, vocabulary: int) -> None:
    """Write a small Keras model with random weights."""
    from zynq_lstm.models.keras.quiet import import_tensorflow

    import_tensorflow()
    import keras

    layers = [keras.Input((8, vocabulary)), keras.layers.LSTM(4), keras.layers.Dense(vocabulary)]
    keras.Sequential(layers).save(folder / "case.keras")


def carriage_returns(folder: Path) -> None:
    """Write a model that was trained on a text with CR LF, the text, and its vocabulary."""
    crlf = PLAIN.replace("\n", "\r\n")
    vocabulary = sorted(set(crlf))
    text(crlf, "cr.txt")(folder)
    text(json.dumps(vocabulary), "cr.json")(folder)
    model(folder, len(vocabulary))


def _keeps(character: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        assert character in Checkpoint.load(folder / "out.safetensors").vocabulary

    return check


def _characters(count: int) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        assert json.loads((folder / "out.json").read_text(encoding="utf-8"))["characters"] == count

    return check


CORPUS = "corpus --text-file a.txt"
RANGES = "ranges --checkpoint net.safetensors --text-file a.txt --json out.json --characters 1002"
SAMPLE = "sample --checkpoint net.safetensors --length 3 --prime"
FLOW_FILE = "[corpus]\nfile = 'a.txt'\n[verification]\ncharacters = 16\n"
SITUATIONS = {
    "CR LF, in a vocabulary with it": Situation(
        "import-keras case.keras --vocabulary-file cr.json --text-file cr.txt -o out.safetensors",
        r"wrote +out\.safetensors",
        0,
        carriage_returns,
        _keeps("\r"),
        case=True,
    ),
    "CR LF, in a model trained with it": Situation(
        "import-keras case.keras --vocabulary-file cr.txt -o out.safetensors",
        r"note: cr\.txt: line ends CR LF read as LF \(60\); --as-is keeps.*\n.*error: case\.keras: has "
        r"16 characters, cr\.txt gives 15; with its carriage returns and byte order mark "
        r"it has 16: give --as-is",
        prepare=carriage_returns,
        imports=True,
    ),
    "CR LF, kept for a model trained with it": Situation(
        "import-keras case.keras --vocabulary-file cr.txt --as-is -o out.safetensors",
        r"wrote +out\.safetensors",
        0,
        carriage_returns,
        _keeps("\r"),
    ),
    "CR LF": Situation(
        CORPUS,
        r"note: a\.txt: line ends CR LF read as LF \(60\); --as-is keeps them",
        0,
        text(PLAIN.replace("\n", "\r\n")),
    ),
    "CR LF, kept": Situation(
        f"{CORPUS} --as-is",
        r"characters +1,620 (.*\n)*vocabulary +16: '\\n\\r",
        0,
        text(PLAIN.replace("\n", "\r\n")),
    ),
    "CR alone": Situation(
        CORPUS, r"note: a\.txt: line ends CR read as LF \(60\); --as-is", 0, text(PLAIN.replace("\n", "\r"))
    ),
    "byte order mark": Situation(
        CORPUS, r"note: a\.txt: byte order mark left out \(1\); --as-is", 0, text("\ufeff" + PLAIN)
    ),
    "mark and both kinds of line ends": Situation(
        CORPUS,
        r"note: a\.txt: byte order mark left out \(1\), line ends CR LF read as LF \(1\), "
        r"line ends CR read as LF \(2\)",
        0,
        text("\ufeff" + PLAIN + "a\r\nb\rc\r"),
    ),
    "NUL": Situation(
        CORPUS, r"note: a\.txt: NUL characters \(U\+0000\) kept \(2\)", 0, text(PLAIN + "\0a\0")
    ),
    "UTF-16": Situation(
        CORPUS,
        r"a\.txt: not UTF-8: byte 0xFF at offset 0; to convert it.* iconv -f UTF-16 -t UTF-8",
        prepare=lambda folder: (folder / "a.txt").write_text(PLAIN, encoding="utf-16"),
    ),
    "Latin-1": Situation(
        "train --text-file a.txt",
        r"a\.txt: not UTF-8: byte 0xE9 at offset 3; .*iconv -f WINDOWS-1252",
        prepare=lambda folder: (folder / "a.txt").write_text("caf\u00e9" + PLAIN, encoding="latin-1"),
    ),
    "a lone surrogate in a file": Situation(
        CORPUS,
        r"a\.txt: not UTF-8: byte 0xED at offset 0",
        prepare=lambda folder: (folder / "a.txt").write_bytes(b"\xed\xa0\x80" + PLAIN.encode()),
    ),
    "a lone surrogate on the command line": Situation(
        f"{SAMPLE} I\udcff",
        r"--prime: character byte 0xFF, which is not UTF-8, at offset 1",
        prepare=lambda folder: network(folder, RARE[:-1]),
    ),
    "a lone surrogate in a vocabulary": Situation(
        "import-keras case.keras --vocabulary-file v.json --text-file a.txt -o out.safetensors",
        r"note: v\.json: 1 entries represent no character of a text: "
        r"'\\ud800'.*\n.*error: a\.txt: character 'b'",
        prepare=both(text('["\\ud800", "a"]', "v.json"), text("ab"), text("", "case.keras")),
    ),
    "a letter in two characters in a vocabulary": Situation(
        "import-keras case.keras --vocabulary-file v.json --text-file a.txt -o out.safetensors",
        r"note: v\.json: 'e\u0301' \(code 0\) is read as '\u00e9' \(U\+00E9\).*\n.*note: "
        r"a\.txt: letters take the "
        r"Unicode form.*\n.*error: a\.txt: the text has 2 characters; 4 are needed",
        prepare=both(
            text(json.dumps([DECOMPOSED, "a"]), "v.json"), text(f"{DECOMPOSED}a"), text("", "case.keras")
        ),
    ),
    "a letter that Unicode has not as one": Situation(
        "import-keras case.keras --vocabulary-file v.json --text-file a.txt -o out.safetensors",
        r"v\.json: 'q\u0301' \(code 0\) is one letter in 2 characters",
        prepare=both(text(json.dumps(["q\u0301", "a"]), "v.json"), text("ab"), text("", "case.keras")),
    ),
    "a character with two codes": Situation(
        "import-keras case.keras --vocabulary-file v.json --text-file a.txt -o out.safetensors",
        r"v\.json: character 'a' \(U\+0061\) has two codes, 0 and 2; every character must have one",
        prepare=both(text('["a", "b", "a"]', "v.json"), text("ab"), text("", "case.keras")),
    ),
    "a vocabulary of 300": Situation(
        "import-keras case.keras --vocabulary-file v.json --text-file a.txt -o out.safetensors",
        r"v\.json: has 300 characters; a network has 2 to 256: train it on a text with "
        r"the rare characters repl",
        prepare=both(
            text(json.dumps([chr(0x4E00 + k) for k in range(300)]), "v.json"),
            text("ab"),
            text("", "case.keras"),
        ),
    ),
    "a model of 300": Situation(
        "import-keras case.keras --vocabulary-file v.json --text-file a.txt -o out.safetensors",
        r"case\.keras: layer 'dense\w*' answers with 300 characters; a network has 2 to "
        r"256: train it on a text",
        prepare=both(
            text(json.dumps([chr(0x4E00 + k) for k in range(200)]), "v.json"),
            text("\u4e00\u4e01" * 20),
            lambda folder: model(folder, 300),
        ),
        imports=True,
    ),
    "a text shorter than a window": Situation(
        "import-keras case.keras --vocabulary-file a.txt -o out.safetensors --characters 6",
        r"--characters is 6; 18 are needed, 9 to calibrate on",
        prepare=both(text("abcdefgh" * 20), lambda folder: model(folder, 8)),
        imports=True,
    ),
    "composed letters for a network with decomposed ones": Situation(
        f"{SAMPLE} caf{COMPOSED}",
        r"note: --prime: letters take the Unicode form \(composed or decomposed\) that the vocabulary "
        r"has: 1 character of 1 kind: '\u00e9' \(U\+00E9\) 1\n",
        0,
        lambda folder: network(folder, "acef\u0301"),
    ),
    "decomposed letters for a network with composed ones": Situation(
        RANGES,
        r"note: a\.txt: letters take the Unicode form .*: 300 characters of 1 kind: "
        r"'e\u0301' \(U\+0065 U\+0301\) 300",
        0,
        both(text(f"caf{DECOMPOSED} " * 300), lambda folder: network(folder, f" acf{COMPOSED}")),
    ),
    "CR LF for a network that knows it": Situation(
        RANGES,
        "",
        0,
        both(text("a\r\n" * 500), lambda folder: network(folder, "\n\ra")),
        _characters(1002),
    ),
    "CR LF for a network that does not": Situation(
        RANGES,
        r"note: a\.txt: line ends CR LF read as LF \(600\)\n",
        0,
        both(text("a\r\n" * 600), lambda folder: network(folder, "\na")),
    ),
    "rare characters for a network that folds them": Situation(
        RANGES,
        r"note: a\.txt: unknown characters are read as '\ufffd', the vocabulary's symbol for rare ones: "
        r"305 characters of 301 kinds: .* and 293 more kinds",
        0,
        both(text(MANY), lambda folder: network(folder, RARE, FOLDED)),
    ),
    "a rare character to begin with": Situation(
        f"{SAMPLE} {COMPOSED}",
        r"note: --prime: unknown characters are read as '\ufffd', .*: 1 "
        r"character of 1 kind: '\u00e9' \(U\+00E9\) 1",
        0,
        lambda folder: network(folder, RARE, FOLDED),
    ),
    "the symbol in what a network writes": Situation(
        "sample --checkpoint net.safetensors --length 60 --temperature 15 --prime I",
        r"note: '\ufffd' in what the network wrote stands for a rare character \(\d+\)",
        0,
        lambda folder: network(folder, RARE, FOLDED),
    ),
    "rare characters for a network that does not": Situation(
        RANGES,
        r"error: a\.txt: character '\u4e00' \(U\+4E00\) at offset 15600 \(line 601, column 1\) is not in "
        r"the vocabulary of 15 characters; missing: 305 characters of 301 kinds: .* or with --fold-rare",
        prepare=both(text(MANY), lambda folder: network(folder, RARE[:-1])),
    ),
    "a network whose symbol for rare characters is not in its vocabulary": Situation(
        RANGES,
        r"net\.safetensors: corpus\.folded in its header must name a symbol of the vocabulary",
        prepare=both(text(MANY), lambda folder: _damaged(folder)),
    ),
    "300 kinds of characters": Situation(
        CORPUS,
        r"a\.txt: 316 different characters; a network has at most 256\. --fold-rare 255 "
        r".* the rest, 61 characters "
        r"of 61 kinds in 15,905, becomes one symbol: '\u4eef' \(U\+4EEF\) 1, .* and 49 more kinds",
        prepare=text(MANY),
    ),
    "300 kinds, trained on": Situation(
        "train --text-file a.txt",
        r"a\.txt: 316 different characters; .* --fold-rare 255",
        prepare=text(MANY),
    ),
    "300 kinds, in a flow": Situation(
        "run flow.toml --dry-run",
        r"flow\.toml:2: corpus\.file: .*a\.txt: 316 different characters; .*\(corpus\.fold_rare",
        prepare=both(text(MANY), flow(FLOW_FILE)),
    ),
    "300 kinds, folded in a flow": Situation(
        "run flow.toml --dry-run",
        r"note: a\.txt: the most frequent 15 characters are kept; read as '\ufffd': 305 characters of 301",
        0,
        both(text(MANY), flow(FLOW_FILE.replace("\n[v", "\nfold_rare = 15\n[v"))),
    ),
    "folded": Situation(
        f"{CORPUS} --fold-rare 15",
        r"folded +301 kinds, 305 (.*\n)+.*note: a\.txt: the most frequent 15 characters are kept; read as",
        0,
        text(MANY),
    ),
    "nothing to fold": Situation(
        f"{CORPUS} --fold-rare 20",
        r"note: a\.txt: --fold-rare 20 folds nothing; there are 15 kinds",
        0,
        text(PLAIN),
    ),
    "more kept than a network has": Situation(
        f"{CORPUS} --fold-rare 256", r"'--fold-rare': 256 is not in the range 1<=x<=255", prepare=text(PLAIN)
    ),
    "a file of something else as the network": Situation(
        "run flow.toml --dry-run",
        r"flow\.toml:2: training\.checkpoint: .*net\.safetensors: not a zynq-lstm file",
        prepare=both(text("x", "net.safetensors"), flow("[training]\ncheckpoint = 'net.safetensors'\n")),
    ),
    "networks of two vocabularies": Situation(
        "run flow.toml --dry-run",
        r"flow\.toml:5: training\.float_checkpoint: has 4 characters, the network of "
        r"training\.checkpoint has 15",
        prepare=both(
            text(PLAIN),
            lambda folder: network(folder, RARE[:-1]),
            lambda folder: dataclasses.replace(network(folder, "abcd", name="f.safetensors"), spec=None).save(
                folder / "f.safetensors"
            ),
            flow(
                "[corpus]\nfile = 'a.txt'\n[training]\ncheckpoint = 'net.safetensors'\n"
                "float_checkpoint = 'f.safetensors'\n[verification]\ncharacters = 16\n"
            ),
        ),
    ),
    "a text too short to train on, in a flow": Situation(
        "run flow.toml --dry-run",
        r"flow\.toml:2: corpus\.file: the training text has 1404 characters, shorter than one batch",
        prepare=both(text(PLAIN), flow(FLOW_FILE)),
    ),
    "a key of reading without a file": Situation(
        "run flow.toml --dry-run",
        r"flow\.toml:2: corpus\.as_is: as_is has no effect without file",
        prepare=flow("[corpus]\nas_is = true\n"),
    ),
    "folding for a network that is given": Situation(
        "run flow.toml --dry-run",
        r"flow\.toml:2: corpus\.fold_rare: has no effect, since training\.checkpoint has its own characters",
        prepare=flow("[corpus]\nfold_rare = 20\n[training]\ncheckpoint = 'shipped'\n"),
    ),
    "a base of another vocabulary": Situation(
        "train --text-file a.txt --stage float --base f.safetensors --batch 2 --steps 8",
        r"f\.safetensors: was trained with another vocabulary than a\.txt's: of its 4 "
        r"characters and the text's 15, 1 are",
        prepare=both(
            text(PLAIN),
            lambda folder: dataclasses.replace(network(folder, "aXYZ", name="f.safetensors"), spec=None).save(
                folder / "f.safetensors"
            ),
        ),
    ),
}


def _damaged(folder: Path) -> None:
    from zynq_lstm.models.store import load_tensors, save_tensors

    network(folder, RARE, FOLDED)
    tensors, metadata = load_tensors(folder / "net.safetensors")
    metadata["corpus"]["folded"]["symbol"] = "Z"
    save_tensors(folder / "net.safetensors", tensors, metadata)
