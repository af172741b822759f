# SPDX-License-Identifier: Apache-2.0
"""The comparison that every claim of exactness rests on: it finds, names and counts
differences, and does not pass if nothing was compared.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.networks import small_spec, with_weights
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.stages import Layout
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import LAYER_SIGNALS, Reference
from zynq_lstm.sim.simulation.rtl_trace import RtlTraceReader, read_rtl_trace
from zynq_lstm.sim.trace import compare, signal_order

Trace = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def network(seed: int) -> IntegerNetwork:
    return with_weights(small_spec("w8a8", 6, (3, 4)), np.random.default_rng(seed))


@pytest.fixture
def trace(network: IntegerNetwork, rng: np.random.Generator) -> Trace:
    trace: Trace = {}
    Reference(network).run(rng.integers(0, 6, 10), trace)
    return trace


def copy(trace: Trace) -> Trace:
    return {name: values.copy() for name, values in trace.items()}


def test_order_is_that_of_computation(network: IntegerNetwork, trace: Trace) -> None:
    assert signal_order(network) == list(trace)
    assert signal_order(network)[0] == "layers.0.z"
    assert signal_order(network)[-1] == "logits"
    assert len(signal_order(network)) == 2 * len(LAYER_SIGNALS) + 1


def test_equal_traces(network: IntegerNetwork, trace: Trace) -> None:
    result = compare(network, trace, copy(trace))
    assert result.exact and result.first is None
    assert result.summary() == {"characters": 10, "values": 10 * (12 * 7 + 6), "mismatches": 0}


def test_nothing_compared_is_not_exact(network: IntegerNetwork, trace: Trace) -> None:
    empty = {name: values[:0] for name, values in trace.items()}
    result = compare(network, empty, copy(empty))
    assert result.mismatches == 0 and result.first is None
    assert not result.exact


@pytest.mark.parametrize(
    "signal, column, text",
    [
        ("layers.0.z", 0, "character 4, layer 0, z_i, unit 0: {raws} (ap_fixed<10,4,AP_RND,AP_SAT>)"),
        ("layers.0.z", 5, "character 4, layer 0, z_f, unit 2: "),
        ("layers.1.z", 8, "character 4, layer 1, z_g, unit 0: "),
        ("layers.1.z", 15, "character 4, layer 1, z_o, unit 3: "),
        ("layers.1.i", 3, "character 4, layer 1, i, unit 3: {raws} (ap_ufixed<8,0,AP_RND,AP_SAT>)"),
        ("layers.0.f", 1, "character 4, layer 0, f, unit 1: {raws} (ap_ufixed<8,0,AP_RND,AP_SAT>)"),
        ("layers.0.g", 1, "character 4, layer 0, g, unit 1: {raws} (ap_fixed<8,1,AP_RND,AP_SAT>)"),
        ("layers.0.o", 2, "character 4, layer 0, o, unit 2: "),
        ("layers.1.c", 2, "character 4, layer 1, c, unit 2: {raws} (ap_fixed<16,5,AP_RND,AP_SAT>)"),
        ("layers.0.ct", 2, "character 4, layer 0, ct, unit 2: "),
        ("layers.0.tc", 2, "character 4, layer 0, tc, unit 2: "),
        ("layers.1.h", 0, "character 4, layer 1, h, unit 0: "),
        ("logits", 5, "character 4, output layer, logits, code 5: {raws} (ap_fixed<16,6,AP_RND,AP_SAT>)"),
    ],
)  # fmt: skip
def test_one_wrong_value_is_named(
    network: IntegerNetwork, trace: Trace, signal: str, column: int, text: str
) -> None:
    wrong = copy(trace)
    wrong[signal][4, column] ^= 1
    result = compare(network, trace, wrong)
    assert not result.exact
    assert (result.mismatches, result.characters) == (1, 10)
    values = int(trace[signal][4, column]), int(wrong[signal][4, column])
    assert (result.first.expected, result.first.actual) == values
    assert str(result.first).startswith(text.format(raws=f"expected raw {values[0]}, got {values[1]}"))


def test_first_is_the_earliest_in_time_then_in_order(network: IntegerNetwork, trace: Trace) -> None:
    wrong = copy(trace)
    for character, signal, column in (
        (3, "logits", 0),
        (3, "layers.1.i", 3),
        (3, "layers.1.i", 2),
        (3, "layers.1.c", 0),
        (7, "layers.0.z", 0),
    ):
        wrong[signal][character, column] += 1
    result = compare(network, trace, wrong)
    assert result.mismatches == 5
    assert str(result.first).startswith("character 3, layer 1, i, unit 2:")


@pytest.mark.parametrize("which", ["expected", "actual"])
@pytest.mark.parametrize("signal", ["layers.0.z", "layers.1.tc", "logits"])
def test_missing_signal_is_an_error(network: IntegerNetwork, trace: Trace, which: str, signal: str) -> None:
    less = copy(trace)
    del less[signal]
    with pytest.raises(UserError, match=f"signal {signal} is missing in the {which} trace"):
        compare(network, *((less, trace) if which == "expected" else (trace, less)))


@pytest.mark.parametrize("signal", ["layers.0.z", "layers.1.h", "logits"])
def test_other_length_is_an_error(network: IntegerNetwork, trace: Trace, signal: str) -> None:
    short = trace | {signal: trace[signal][:-1]}
    with pytest.raises(UserError, match=rf"signal {signal}: expected \(10, \d+\) \(characters, width\)"):
        compare(network, trace, short)
    narrow = trace | {signal: trace[signal][:, :-1]}
    with pytest.raises(UserError, match=f"signal {signal}"):
        compare(network, trace, narrow)


def write_files(folder: Path, network: IntegerNetwork, trace: Trace) -> tuple[Path, Path]:
    """Write the files of the RTL's monitors; layer 1 is one character later than layer 0."""
    units, lines = [layer.units for layer in network.spec.layers], []
    length = len(trace["logits"])
    for t in range(length + 1):
        for k, size in enumerate(units):
            if 0 <= t - k < length:
                for unit in range(size):
                    z = trace[f"layers.{k}.z"][t - k].reshape(4, size)[:, unit]
                    rest = [trace[f"layers.{k}.{name}"][t - k, unit] for name in LAYER_SIGNALS[1:]]
                    lines.append([sum(units[:k]) + unit, *z, *rest])
    logits = np.pad(trace["logits"], ((0, 0), (0, 2)), constant_values=-(2**15)).reshape(-1, 4)
    files = folder / "lstm_0.hex", folder / "logits.hex"
    for path, rows in zip(files, (lines, logits), strict=True):
        path.write_text("".join("".join(f"{int(x) & 0xFFFF:04x}" for x in row) + "\n" for row in rows))
    return files


def test_rtl_trace_is_read_back(network: IntegerNetwork, trace: Trace, tmp_path: Path) -> None:
    write_files(tmp_path, network, trace)
    read = read_rtl_trace(network, tmp_path, Layout(network.spec, Array()))
    assert compare(network, trace, read).exact
    assert all(values.dtype == np.int64 for values in read.values())


@pytest.mark.parametrize("file", [0, 1])
def test_cut_off_rtl_trace_is_refused(
    network: IntegerNetwork, trace: Trace, tmp_path: Path, file: int
) -> None:
    path = write_files(tmp_path, network, trace)[file]
    whole = path.read_text()
    line = whole.index("\n") + 1
    for text in (whole[:-line], whole[line:], whole[:-3], whole[:-5], whole[: line // 2], ""):
        path.write_text(text)
        with pytest.raises(UserError, match=path.name):
            read_rtl_trace(network, tmp_path, Layout(network.spec, Array()))
    path.unlink()
    with pytest.raises(UserError, match=f"{path.name}: no such file"):
        read_rtl_trace(network, tmp_path, Layout(network.spec, Array()))


@pytest.mark.parametrize("file", [0, 1])
@pytest.mark.parametrize("bit", ["x", "z"])
def test_undefined_bits_are_refused(
    network: IntegerNetwork, trace: Trace, tmp_path: Path, file: int, bit: str
) -> None:
    path = write_files(tmp_path, network, trace)[file]
    lines = path.read_text().splitlines()
    lines[2] = bit + lines[2][1:]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=f"{path.name}: undefined bits in line 3"):
        read_rtl_trace(network, tmp_path, Layout(network.spec, Array()))


@pytest.mark.parametrize("discard", [False, True])
def test_rtl_trace_is_read_while_it_is_written(
    network: IntegerNetwork, trace: Trace, tmp_path: Path, discard: bool
) -> None:
    """The files grow in random pieces, which end anywhere within lines and characters."""
    written = tmp_path / "written"
    written.mkdir()
    whole = {path.name: path.read_bytes() for path in write_files(tmp_path, network, trace)}
    for name in whole:
        (written / name).touch()
    reader, rng = (
        RtlTraceReader(network, written, Layout(network.spec, Array()), discard=discard),
        np.random.default_rng(1),
    )
    parts, largest = [], 0
    while any(whole.values()):
        for name, rest in whole.items():
            size = int(rng.integers(0, 1000))
            with (written / name).open("ab") as file:
                file.write(rest[:size])
            whole[name] = rest[size:]
            largest = max(largest, (written / name).stat().st_size)
        parts.append(reader.read())
    reader.finish()
    assert len({len(part["logits"]) for part in parts}) > 2
    joined = {name: np.concatenate([part[name] for part in parts]) for name in trace}
    assert compare(network, trace, joined).exact
    assert (largest < 2000) == discard


def test_a_wrong_number_of_a_unit_is_refused(network: IntegerNetwork, trace: Trace, tmp_path: Path) -> None:
    path = write_files(tmp_path, network, trace)[0]
    text = path.read_text()
    path.write_text(text.replace("\n0006", "\n0007"))
    with pytest.raises(UserError, match=f"{path.name}: there is no unit 7"):
        read_rtl_trace(network, tmp_path, Layout(network.spec, Array()))


@pytest.mark.parametrize("file", [0, 1])
def test_files_of_different_length_are_refused(
    network: IntegerNetwork, trace: Trace, tmp_path: Path, file: int
) -> None:
    """In one of the files, whole characters are missing."""
    short = {name: values[:-2] for name, values in trace.items()}
    text = write_files(tmp_path, network, short)[file].read_text()
    paths = write_files(tmp_path, network, trace)
    paths[file].write_text(text)
    with pytest.raises(
        UserError, match=f"{paths[file].name}: ends at an earlier character than the other files"
    ):
        read_rtl_trace(network, tmp_path, Layout(network.spec, Array()))


def test_first_mismatch_of_a_later_stretch(network: IntegerNetwork, trace: Trace) -> None:
    wrong = copy(trace)
    wrong["layers.1.f"][7, 2] += 1
    first, later = (slice(0, 6), slice(6, None))

    def part(of: Trace, which: slice) -> Trace:
        return {name: values[which] for name, values in of.items()}

    before = compare(network, part(trace, first), part(wrong, first))
    result = before + compare(network, part(trace, later), part(wrong, later), 6)
    assert result == compare(network, trace, wrong)
    assert str(result.first).startswith("character 7, layer 1, f, unit 2:")
