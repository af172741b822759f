# SPDX-License-Identifier: Apache-2.0
"""The integer network: its refusals, the bounds that it proves, and its file."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import small_spec, with_weights
from zynq_lstm.models.description.spec import PRESETS
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.network import IntegerNetwork, product_range
from zynq_lstm.models.store import load_tensors, save_tensors

UNITS = (3, 4)
WEIGHTS = ["layers.0.W", "layers.0.U", "layers.0.b", "layers.1.W", "layers.1.U", "layers.1.b"]
WEIGHTS += ["output.W", "output.b"]


@pytest.fixture(scope="module")
def network(seed: int) -> IntegerNetwork:
    return with_weights(small_spec("w8a8", 6, UNITS), np.random.default_rng(seed))


def rebuilt(network: IntegerNetwork, **arrays: Any) -> IntegerNetwork:
    changed = {name.replace("__", "."): array for name, array in arrays.items()}
    return IntegerNetwork(network.spec, network.vocabulary, {**network.arrays, **changed})


def test_arrays(network: IntegerNetwork) -> None:
    tables = [f"layers.{k}.{t}" for k in (0, 1) for t in ("sigmoid", "tanh", "tanh_c")]
    assert sorted(network.arrays) == sorted(WEIGHTS + tables)
    assert all(array.dtype == np.int64 for array in network.arrays.values())
    assert list(network.layer(1)) == ["W", "U", "b", "sigmoid", "tanh", "tanh_c"]
    assert network.layer(1)["W"].shape == (3, 16)
    for k, layer in enumerate(network.spec.layers):
        assert np.array_equal(network.layer(k)["tanh_c"], layer.formats.table("tanh_c"))


def test_is_frozen_and_keeps_copies(network: IntegerNetwork) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.vocabulary = "abcdef"  # type: ignore[misc]
    for array in network.arrays.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    mine = network.arrays["output.b"].copy()
    other = rebuilt(network, output__b=mine)
    mine[:] = 0
    assert np.array_equal(other.arrays["output.b"], network.arrays["output.b"])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64])
def test_any_integer_type_will_do(network: IntegerNetwork, dtype: type) -> None:
    W = network.arrays["output.W"].astype(dtype)
    assert rebuilt(network, output__W=W).identity == network.identity


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"layers__2__U": np.zeros((3, 3), int)}, r"unknown array 'layers\.2\.U'; legal are layers\.0\.W, "),
        ({"output__W": np.zeros((3, 6), int)}, r"array 'output\.W' has shape \(3, 6\), must be \(4, 6\)"),
        ({"layers__0__tanh": np.zeros(512, int)}, r"'layers\.0\.tanh' has shape \(512,\), must be \(1024,\)"),
        ({"output__b": np.zeros(6)}, r"array 'output\.b' must hold integers, got float64"),
        ({"output__b": np.zeros(6, bool)}, r"array 'output\.b' must hold integers, got bool"),
        (
            {"output__W": np.full((4, 6), -128)},
            r"'output\.W' holds -128\.\.-128, outside ap_fixed<8,2,AP_RND_CONV,AP_SAT_SYM> \(-127\.\.127\)",
        ),
        ({"layers__1__tanh": np.full(1024, 128)}, r"array 'layers\.1\.tanh' holds 128\.\.128, outside"),
        ({"layers__1__sigmoid": np.full(1024, -1)}, r"sigmoid' holds -1\.\.-1, outside ap_ufixed<8,0"),
    ],
)
def test_wrong_arrays_are_refused(network: IntegerNetwork, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        rebuilt(network, **arrays)


@pytest.mark.parametrize("name", [*WEIGHTS, "layers.1.tanh_c"])
def test_missing_array_is_refused(network: IntegerNetwork, name: str) -> None:
    arrays = {n: array for n, array in network.arrays.items() if n != name}
    with pytest.raises(UserError, match=f"array '{name}' is missing"):
        IntegerNetwork(network.spec, network.vocabulary, arrays)


@pytest.mark.parametrize(
    "vocabulary, message",
    [
        ("abcde", "vocabulary has 5 characters, the spec says 6"),
        ("abcdea", "vocabulary contains a character twice"),
    ],
)
def test_wrong_vocabulary_is_refused(network: IntegerNetwork, vocabulary: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        IntegerNetwork(network.spec, vocabulary, network.arrays)


def test_sums_beyond_float64_are_refused(rng: np.random.Generator) -> None:
    spec = small_spec("w8a8", 3, (2,), U="ap_fixed<32,1>", h="ap_fixed<24,1>")
    with pytest.raises(UserError, match=r"layers\[0\]: accumulator reaches 2\*\*52, beyond what is exact"):
        with_weights(spec, rng, extreme=True)


def reached(weights: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each column's smallest and largest sum for h in low..high, by choosing h for each row."""
    least = np.where(weights > 0, low, high)
    most = np.where(weights > 0, high, low)
    return (weights * least).sum(axis=0), (weights * most).sum(axis=0)


networks = st.builds(
    lambda preset, units, vocabulary, seed, extreme: with_weights(
        small_spec(preset, vocabulary, units), np.random.default_rng(seed), extreme
    ),
    st.sampled_from(list(PRESETS)),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(2, 9),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)


@settings(max_examples=40)
@given(networks, st.randoms(use_true_random=False))
def test_accumulator_ranges_are_reached_and_never_exceeded(network: IntegerNetwork, random: Any) -> None:
    """The h that drives a column furthest gives the bound; partial sums in any order stay within it."""
    spec = network.spec
    for k, layer in enumerate(spec.layers):
        fmt, arrays, frac = layer.formats, network.layer(k), spec.accumulator_frac(k)
        u_low, u_high = reached(arrays["U"], *network.h_range(k))
        u_shift, b = frac - fmt.U.frac - fmt.h.frac, arrays["b"] << (frac - fmt.b.frac)
        x_shift = frac - fmt.W.frac - spec.input_frac(k)
        if k:
            x_low, x_high = reached(arrays["W"], *network.h_range(k - 1))
        else:
            x_low, x_high = arrays["W"].min(axis=0), arrays["W"].max(axis=0)
        # Terms of the other sign are left out, since the bound must also hold for partial sums.
        lows = (u_low << u_shift) + np.minimum(x_low << x_shift, 0) + np.minimum(b, 0)
        highs = (u_high << u_shift) + np.maximum(x_high << x_shift, 0) + np.maximum(b, 0)
        low, high = network.accumulator_range(k)
        assert (low, high) == (lows.min(), highs.max())

        column = random.randrange(4 * layer.units)
        h_low, h_high = network.h_range(k)
        terms = [int(w) * random.randint(h_low, h_high) << u_shift for w in arrays["U"][:, column]]
        terms.append(int(b[column]))
        if k:
            below = network.h_range(k - 1)
            terms += [int(w) * random.randint(*below) << x_shift for w in arrays["W"][:, column]]
        else:
            terms.append(int(arrays["W"][random.randrange(spec.vocabulary), column]) << x_shift)
        random.shuffle(terms)
        assert all(low <= sum(terms[:n]) <= high for n in range(len(terms) + 1))

    out, last = spec.output, spec.layers[-1]
    frac = spec.output_accumulator_frac()
    w_low, w_high = reached(network.arrays["output.W"], *network.h_range(len(spec.layers) - 1))
    shift = frac - out.W.frac - last.formats.h.frac
    b = network.arrays["output.b"] << (frac - out.b.frac)
    assert network.output_accumulator_range() == (
        ((w_low << shift) + np.minimum(b, 0)).min(),
        ((w_high << shift) + np.maximum(b, 0)).max(),
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_h_range_is_what_the_tables_give(preset: str, rng: np.random.Generator) -> None:
    network = with_weights(small_spec(preset, 4, (2,)), rng)
    fmt, arrays = network.spec.layers[0].formats, network.layer(0)
    products = np.multiply.outer(np.unique(arrays["sigmoid"]), np.unique(arrays["tanh_c"]))
    every = fmt.h.requantize(products, fmt.gate.frac + fmt.tc.frac)
    assert network.h_range(0) == (every.min(), every.max())
    assert network.h_range(0) == ((-256, 256) if preset == "q8.8" else (-127, 127))


def test_h_range_of_odd_tables(rng: np.random.Generator) -> None:
    """The range follows from the tables, not from the functions: here o is also negative."""
    network = with_weights(small_spec("q8.8", 4, (2,)), rng)
    sigmoid = np.where(np.arange(4096) % 2, -300, 200)
    tanh_c = np.where(np.arange(4096) % 2, 100, 50)
    changed = rebuilt(network, layers__0__sigmoid=sigmoid, layers__0__tanh_c=tanh_c)
    assert changed.h_range(0) == (-117, 78)
    positive = rebuilt(network, layers__0__sigmoid=sigmoid.clip(5), layers__0__tanh_c=tanh_c)
    assert positive.h_range(0) == (0, 78)  # h is 0 at the start


def test_product_range_literal() -> None:
    low, high = product_range(np.array([[1, -2], [3, 0], [-5, 7]]), -10, 4, 1)
    assert np.array_equal(low, [2 * (-10 - 30 - 20), 2 * (-8 - 70)])
    assert np.array_equal(high, [2 * (4 + 12 + 50), 2 * (20 + 28)])


# ---- the file


def test_file_round_trip(network: IntegerNetwork, tmp_path: Path) -> None:
    path = tmp_path / "new" / "network.safetensors"
    sha256 = network.save(path)
    loaded = IntegerNetwork.load(path)
    assert sha256 == network.sha256 == loaded.sha256
    assert loaded.spec == network.spec
    assert loaded.vocabulary == network.vocabulary
    assert loaded.identity == network.identity
    for name, array in network.arrays.items():
        assert np.array_equal(loaded.arrays[name], array), name
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert IntegerNetwork.load(str(path)).identity == network.identity


@pytest.mark.parametrize("preset", PRESETS)
def test_extreme_values_survive_the_file(preset: str, rng: np.random.Generator, tmp_path: Path) -> None:
    network = with_weights(small_spec(preset, 256, (2, 3)), rng, extreme=True)
    network.save(tmp_path / "n")
    loaded = IntegerNetwork.load(tmp_path / "n")
    assert all(np.array_equal(loaded.arrays[name], array) for name, array in network.arrays.items())
    assert loaded.vocabulary == network.vocabulary


def test_equal_networks_give_equal_bytes_in_every_process(network: IntegerNetwork, tmp_path: Path) -> None:
    network.save(tmp_path / "a")
    program = (
        "import sys; from zynq_lstm.models.integers.network import IntegerNetwork as N;"
        "N.load(sys.argv[1]).save(sys.argv[2])"
    )
    for name in ("b", "c", "d"):
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "a"), str(tmp_path / name)],
            cwd=Path(__file__).parents[2],
            check=True,
        )
    assert len({(tmp_path / name).read_bytes() for name in "abcd"}) == 1


def test_hashes_tell_what_differs(network: IntegerNetwork) -> None:
    b = network.arrays["layers.1.b"].copy()
    b[3] += 1 if b[3] < 0 else -1
    other = rebuilt(network, layers__1__b=b)
    assert other.sha256 != network.sha256 and other.identity != network.identity
    # Another vocabulary gives another file, but the same computation.
    letters = IntegerNetwork(network.spec, "abcdef", network.arrays)
    assert letters.sha256 != network.sha256 and letters.identity == network.identity
    renamed = dataclasses.replace(network.spec, preset="mine")
    assert IntegerNetwork(renamed, network.vocabulary, network.arrays).identity == network.identity
    formats = small_spec("w8a8", 6, UNITS, c="ap_fixed<16,6>")
    assert IntegerNetwork(formats, network.vocabulary, network.arrays).identity != network.identity


@pytest.fixture(scope="module")
def blob(network: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("blob") / "network"
    network.save(path)
    return path.read_bytes()


def refused(path: Path, blob: bytes) -> str:
    """Return the error on loading: a UserError in one line that names the file."""
    path.write_bytes(blob)
    with pytest.raises(UserError) as error:
        IntegerNetwork.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_any_flipped_byte_is_noticed(blob: bytes, tmp_path: Path, rng: np.random.Generator) -> None:
    header = 8 + int.from_bytes(blob[:8], "little")
    places = [*range(header), *rng.choice(np.arange(header, len(blob)), 200, replace=False)]
    for k, place in enumerate(places):
        damaged = bytearray(blob)
        damaged[place] ^= 1 << k % 8
        refused(tmp_path / "n", bytes(damaged))


def test_truncation_is_noticed(blob: bytes, tmp_path: Path, rng: np.random.Generator) -> None:
    lengths = [*range(64), *rng.choice(len(blob), 100, replace=False), len(blob) - 1]
    for length in lengths:
        assert "not a zynq-lstm file, or truncated" in refused(tmp_path / "n", blob[:length])


def headed(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        b"\0" * 100,
        b"\xff" * 100,
        b"First Citizen:\nBefore we proceed any further, hear me speak.\n",
        (2**63 - 1).to_bytes(8, "little") + b"{}",
        (10**9).to_bytes(8, "little") + b"{}",  # a giant header is not allocated for
        headed(b"{}"),
        headed(b"[]"),
        headed(b"[" * 200_000),
        headed(b'{"__metadata__":{"version":"1"}}'),
        headed(b'{"a":{"dtype":"I8","shape":[-1],"data_offsets":[0,1]}}', b"\0"),
        headed(b'{"a":{"dtype":"Q8","shape":[1],"data_offsets":[0,1]}}', b"\0"),
        headed(b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}', b"\0"),
        headed(b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}', b"\0\0"),
        b"PK\x03\x04" + b"\0" * 60,
        b"\x80\x04\x95" + b"\0" * 60,  # a pickle is not executed
    ],
    ids=range(17),
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    assert "not a zynq-lstm file, or truncated" in refused(tmp_path / "n", content)


def test_more_behind_the_end_is_refused(blob: bytes, tmp_path: Path) -> None:
    refused(tmp_path / "n", blob + b"\0")


def with_header(blob: bytes, **changes: Any) -> bytes:
    """Return the file with changed entries in our header."""
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + size])
    header["__metadata__"] |= changes
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + blob[8 + size :]


def test_wrong_version_is_named(blob: bytes, tmp_path: Path) -> None:
    message = refused(tmp_path / "n", with_header(blob, version="2"))
    assert "file version '2', this zynq-lstm reads version '1'" in message


def test_wrong_hash_is_named(blob: bytes, tmp_path: Path) -> None:
    message = refused(tmp_path / "n", with_header(blob, sha256="0" * 64))
    assert "content does not match its hash; the file was altered or damaged" in message


@pytest.mark.parametrize("metadata", ["[]", "3", "not json", '"kind"', "[" * 100_000])
def test_wrong_metadata_is_refused(blob: bytes, tmp_path: Path, metadata: str) -> None:
    assert "not a zynq-lstm file" in refused(tmp_path / "n", with_header(blob, metadata=metadata))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"kind": "checkpoint"}, "holds a 'checkpoint', not an integer network"),
        ({"kind": None}, "holds a 'file', not an integer network"),
        ({"spec": None}, "key 'spec' is missing in its header"),
        ({"vocabulary": None}, "key 'vocabulary' is missing in its header"),
        ({"vocabulary": "abc"}, "vocabulary has 3 characters, the spec says 6"),
        ({"spec": {"units": 3}}, "spec: unknown key 'units'"),
    ],
)
def test_whole_files_with_wrong_content_are_refused(
    blob: bytes, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """The hash is correct here: the file was made like this on purpose."""
    (tmp_path / "good").write_bytes(blob)
    tensors, metadata = load_tensors(tmp_path / "good")
    metadata = {k: v for k, v in {**metadata, **change}.items() if v is not None}
    save_tensors(tmp_path / "n", tensors, metadata)
    assert message in refused(tmp_path / "n", (tmp_path / "n").read_bytes())


def test_whole_file_with_wrong_arrays_is_refused(network: IntegerNetwork, tmp_path: Path) -> None:
    network.save(tmp_path / "n")
    tensors, metadata = load_tensors(tmp_path / "n")
    for name, array, message in (
        ("output.W", np.full((4, 6), 1.5), "array 'output.W' must hold integers, got float64"),
        ("output.W", np.full((4, 6), -128, np.int8), "array 'output.W' holds -128..-128"),
        ("output.X", np.zeros(3, np.int8), "unknown array 'output.X'"),
    ):
        save_tensors(tmp_path / "n", {**tensors, name: array}, metadata)
        assert message in refused(tmp_path / "n", (tmp_path / "n").read_bytes())


def test_paths_that_are_no_files(network: IntegerNetwork, tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "absent", "no such file"),
        (tmp_path, "is a folder, not a file"),
        (tmp_path / "file" / "below", "cannot be read: Not a directory"),
    ):
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match=f"^{path}: {message}$"):
            IntegerNetwork.load(path)
