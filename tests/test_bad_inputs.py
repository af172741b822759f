# SPDX-License-Identifier: Apache-2.0
"""Bad inputs of every kind, each with its answer: streams and registers, files, command lines.

With ``--records FOLDER``, a run of all of them is recorded there, for ``zynq-lstm figures verification``.
"""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.networks import save_checkpoint, small_spec, with_weights
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.synthesis.netlist import Netlist
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.store import write_json
from zynq_lstm.models.texts.corpus import read_text
from zynq_lstm.scripts import main as cli
from zynq_lstm.sim.bench.bad_inputs import CASES
from zynq_lstm.sim.campaigns import records
from zynq_lstm.sim.campaigns.random_networks import Case
from zynq_lstm.sim.simulation.rtl import Rtl


class Tally:
    """Numbers of bad inputs tried, and of those with the right answer, by kind."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()

    def record(self) -> dict[str, Any]:
        by_kind = {k: {"tried": n, "answered": self.answered[k]} for k, n in sorted(self.tried.items())}
        return records.new(
            records.BAD_INPUTS, tried=self.tried.total(), answered=self.answered.total(), by_kind=by_kind
        )


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    counted = Tally()
    yield counted
    folder: Path | None = request.config.getoption("--records")
    if folder and counted.tried.total() == len(CASES) + len(FILES) + len(COMMAND_LINES):
        write_json(records.path(records.BAD_INPUTS, folder), counted.record())


# ---- streams and registers


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """Run all cases in one simulation."""
    network = with_weights(small_spec("w8a8", 6, (3, 4)), np.random.default_rng(0))
    design = Design(network, Array(2, 2, 2, 1))
    return Rtl.build(design, tmp_path_factory.mktemp("bad"), quick=True).bad_inputs()


@pytest.mark.record
@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_streams_and_registers(name: str, answers: dict[str, str | None], tally: Tally) -> None:
    kind, _ = CASES[name]
    tally.tried[kind] += 1
    assert name in answers, "a case before it failed"
    assert answers[name] is None
    tally.answered[kind] += 1


# ---- files


class Bomb:
    """Code that a pickle would run on loading."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


def network(path: Path) -> None:
    with_weights(small_spec("w8a8", 5, (3, 2)), np.random.default_rng(0)).save(path)


def checkpoint(path: Path) -> None:
    save_checkpoint(with_weights(small_spec("w8a8", 5, (3, 2)), np.random.default_rng(0)), path)


def content(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


def changed(make: Callable[[Path], Any], change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        make(path)
        path.write_bytes(change(path.read_bytes()))

    return write


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def behind(data: bytes) -> bytes:
    return data + b"\0"


def header(size: int) -> Callable[[Path], Any]:
    return content(size.to_bytes(8, "little") + b"{}")


def link(to: str) -> Callable[[Path], Any]:
    return lambda path: path.symlink_to(to)


def _record(path: Path, data: bytes) -> None:
    path.mkdir()
    records.path(records.MUTANTS, path).write_bytes(data)


def _read_record(path: Path) -> Any:
    return records.read(records.MUTANTS, path)


NOT_OURS = "not a zynq-lstm file, or truncated"
Load = Callable[[Path], Any]
# name -> a function that makes a file, a function that reads it, the message.
FILES: dict[str, tuple[Callable[[Path], Any], Load, str]] = {}
for _name, _load, _make, _other in (
    ("network", IntegerNetwork.load, network, checkpoint),
    ("checkpoint", Checkpoint.load, checkpoint, network),
):
    FILES |= {
        f"no {_name}": (lambda path: None, _load, "no such file"),
        f"empty {_name}": (content(b""), _load, NOT_OURS),
        f"{_name} cut in half": (changed(_make, half), _load, NOT_OURS),
        f"{_name} with a bit flipped": (changed(_make, flipped), _load, "content does not match its hash"),
        f"{_name} with a byte behind it": (changed(_make, behind), _load, NOT_OURS),
        f"{_name} that is a pickle": (content(pickle.dumps(Bomb())), _load, NOT_OURS),
        f"{_name} with a header of 2^40 bytes": (header(2**40), _load, NOT_OURS),
        f"{_name} with a header of 2^63 bytes": (header(2**63 - 1), _load, NOT_OURS),
        f"{_name} that is a folder": (lambda path: path.mkdir(), _load, "is a folder, not a file"),
        f"{_name} that is a device": (link("/dev/zero"), _load, "is not a file"),
        f"{_name} that is a loop": (link("bad"), _load, "cannot be read"),
        f"another file than a {_name}": (_other, _load, ""),
    }
FILES |= {
    "text that is not UTF-8": (content(b"ROMEO: \xff"), read_text, "not UTF-8"),
    "netlist that is not JSON": (content(b"{"), Netlist, "not a netlist in Yosys' JSON format"),
    "netlist of something else": (content(b'{"modules": {}}'), Netlist, "no module 'zynq_lstm'"),
    "case without its files": (lambda path: path.mkdir(), Case.load, "no such file"),
    "record that is cut": (lambda path: _record(path, b"{"), _read_record, "not JSON, or truncated"),
    "record of another kind": (
        lambda path: _record(path, b'{"kind": "x"}'),
        _read_record,
        "is not a record of",
    ),
}


@pytest.mark.record
@pytest.mark.parametrize("name", FILES)
def test_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
    """A bad file is refused in one line that names it; nothing in it is executed."""
    tally.tried["files"] += 1
    monkeypatch.chdir(tmp_path)
    make, load, said = FILES[name]
    path = tmp_path / "bad"
    make(path)
    with pytest.raises(UserError) as error:
        load(path)
    message = str(error.value)
    assert said in message and str(path) in message and "\n" not in message
    assert not (tmp_path / "exploded").exists()
    tally.answered["files"] += 1


# ---- command lines

# Arguments -> message (regular expression).
COMMAND_LINES = {
    "frobnicate": "no verb 'frobnicate'",
    "--frobnicate": "No such option",
    "estimate --frobnicate": "No such option '--frobnicate'",
    "estimate --json": "requires an argument",
    "estimate --json /proc/none/x": "/proc/none: No such file",
    "estimate --units many": "'many' is not a valid integer",
    "estimate --units 0": "units must be a whole number from 1 to 512, got 0",
    "estimate --layers -1": "number of layers must be a whole number from 1 to 4",
    "estimate --vocabulary 100000": "vocabulary must be a whole number from 2 to 256, got 100000",
    "estimate --preset w3a3": "'w3a3' is not one of 'w8a8'",
    "estimate --clock nan": "--clock is nan; it must be from 1 to 1000 MHz",
    "estimate --clock 0": "--clock is 0; it must be",
    "estimate --part xc7z020clg400-9": "unknown part 'xc7z020clg400-9'; .* such as xc7z020clg400-1",
    "estimate --part xc7z020x": "unknown part 'xc7z020x'",
    "estimate --part xc7k70t": "unknown part 'xc7k70t'; known are xc7z007s",
    "estimate --lanes 0": "0 is not in the range",
    "estimate --synthesize": "--synthesize goes with --table",
    "estimate --checkpoint none": "none: no such file",
    "schedule --mode sing": "'sing' is not one of 'generate', 'score'",
    "simulate --simulator vcs": "'vcs' is not one of 'verilator', 'icarus'",
    "simulate --temperature -1": r"temperature is -1.0; the hardware has 0 to 15\.9961",
    "simulate --temperature nan": "temperature is nan",
    "simulate --seed -1": "the seed must be 0 to 4294967295, got -1",
    "simulate --generate -1": "--generate is -1; it must be 0 or more",
    "simulate --text-file none": "--text-file none: no such file",
    "simulate --text \u2603": r"'\u2603' \(U\+2603\) at offset 0 .* is not in the vocabulary",
    "simulate --checkpoint /": "--checkpoint /: is a folder, not a file",
    "convert --backend Vivado": "'Vivado' is not one of",
    "convert --lanes 4": "--lanes is an option of --backend OpenRTL, not of Vitis",
    "convert --parity": "--parity is an option of --backend OpenRTL, not of Vitis",
    "convert --backend OpenRTL --reuse-factor 4": "--reuse-factor is an option of --backend Vitis",
    "convert --reuse-factor 0": "0 is not in the range x>=1",
    "hls-project --reuse-factor 0": "0 is not in the range x>=1",
    "hls-project --characters 1": "1 is not in the range x>=2",
    "synth --tool vivado --clock 200 --reuse-factor 2": "--reuse-factor is for --tool vitis-hls",
    "compare keras": r"Missing argument 'B'\. Choose from: keras.* \(see 'zynq-lstm compare --help'\)",
    "compare keras vcs": "'vcs' is not one of 'keras'",
    "sample --temperature 99": "temperature is 99.0; the hardware has",
    "fuzz --networks 0": "0 is not in the range",
    "fuzz --replay none": "--replay none: no such folder",
    "mutate --count 0": "--count must be 1 to 65535, not 0",
    "upset --trials 0": "0 is not in the range",
    "upset --seed -1": "the seed must be 0 to 4294967295, got -1",
    "mutate --only 3,a": "'a' is not a mutant number",
    "figures training --measure --rounds 0": "0 is not in the range x>=1",
    "import-keras none.keras -o x": "MODEL none.keras: no such file",
    "init /proc/x.toml": "error: /proc/x.toml: No such file",
    "cover --seed -1": "-1 is not in the range x>=0",
    "fuzz --seed -1": "-1 is not in the range x>=0",
    "mutate --seed -1": "-1 is not in the range x>=0",
    "train-cells --measure --seed -1": "-1 is not in the range x>=0",
    "figures everything": "No such command 'everything'",
}


@pytest.mark.record
@pytest.mark.parametrize("line", COMMAND_LINES)
def test_command_lines(
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tally: Tally,
) -> None:
    """Exit code 2 and one line; nothing is written."""
    tally.tried["command lines"] += 1
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"zynq-lstm: error: .*\n", said), said
    assert re.search(COMMAND_LINES[line], said), said
    assert list(tmp_path.iterdir()) == []
    tally.answered["command lines"] += 1
