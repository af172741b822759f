# SPDX-License-Identifier: Apache-2.0
"""The compressors of FST waveforms (sim/simulation/fst), against decoders written from their formats."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from zynq_lstm.sim import simulation

HEADERS = Path(simulation.__file__).parent / "fst"

PROGRAM = r"""
#include <lz4.h>
#include <zlib.h>
#include <cstdio>
#include <iterator>
#include <vector>
#include <fstream>
int main(int, char **argv) {
  std::ifstream file(argv[2], std::ios::binary);
  const std::vector<char> in{std::istreambuf_iterator<char>(file), {}};
  std::vector<char> out;
  if (argv[1][0] == 'z') {
    uLongf size = compressBound(in.size());
    out.resize(size);
    if (compress2((Bytef *)out.data(), &size, (const Bytef *)in.data(), in.size(), 4) != Z_OK) return 1;
    out.resize(size);
  } else {
    out.resize(LZ4_compressBound(in.size()));
    out.resize(LZ4_compress_default(in.data(), out.data(), in.size(), out.size()));
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
}
"""


def lz4_decode(block: bytes) -> bytes:
    """LZ4 block format: token, literals, offset, match."""
    out, at = bytearray(), 0

    def more(length: int) -> int:
        nonlocal at
        if length == 15:
            while True:
                at += 1
                length += block[at - 1]
                if block[at - 1] != 255:
                    break
        return length

    while at < len(block):
        token = block[at]
        at += 1
        literals = more(token >> 4)
        out += block[at : at + literals]
        at += literals
        if at == len(block):
            break
        offset = int.from_bytes(block[at : at + 2], "little")
        at += 2
        assert 1 <= offset <= len(out)
        for _ in range(more(token & 15) + 4):
            out.append(out[-offset])
    return bytes(out)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fst")
    (folder / "main.cpp").write_text(PROGRAM)
    command = ["g++", "-std=c++17", "-Wall", "-Werror", "-g", "-fsanitize=address,undefined", f"-I{HEADERS}"]
    subprocess.run([*command, "main.cpp", "-o", "main"], cwd=folder, check=True)
    return folder / "main"


def inputs() -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, 70_000, np.uint8).tobytes()
    data = {f"{n} bytes": noise[:n] for n in (0, 1, 4, 11, 12, 13, 14, 15, 16, 270, 65_535, 65_536, 70_000)}
    data |= {f"{n} equal": b"a" * n for n in (5, 12, 13, 17, 18, 19, 20, 273, 274, 275, 529, 140_000)}
    data["text"] = b"the quality of mercy is not strained " * 90 + b"it droppeth"
    data["far apart"] = noise[:3000] + noise[:66_000] + noise[:3000]
    data["few values"] = rng.integers(0, 2, 30_000, np.uint8).tobytes()
    return data


@pytest.mark.parametrize("name", inputs())
def test_compressed_data_comes_back(program: Path, tmp_path: Path, name: str) -> None:
    data = inputs()[name]
    (tmp_path / "data").write_bytes(data)

    def run(kind: str) -> bytes:
        return subprocess.run([program, kind, tmp_path / "data"], check=True, capture_output=True).stdout

    assert zlib.decompress(run("z")) == data
    packed = run("l")
    assert lz4_decode(packed) == data
    if name in ("140000 equal", "text"):
        assert len(packed) < len(data) / 2
