# SPDX-License-Identifier: Apache-2.0
"""A part is a file: every verb knows a new part, and a wrong file is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from zynq_lstm.hls import parts
from zynq_lstm.models.errors import UserError
from zynq_lstm.scripts.main import main

GOOD = (parts.FOLDER / "xc7z045.toml").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copy the parts, so that the test may change them."""
    copy = Path(shutil.copytree(parts.FOLDER, tmp_path / "parts"))
    monkeypatch.setattr(parts, "FOLDER", copy)
    parts.parts.cache_clear()
    yield copy
    parts.parts.cache_clear()


def test_a_file_adds_a_part(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "xc7z001.toml").write_text(
        GOOD.replace("lut = 218_600", "lut = 999_999").replace("900-2", "676-3")
    )
    assert [*parts.parts()][-1] == "xc7z001", "the one with the most LUTs is the last"
    assert parts.full_part("XC7Z001") == "xc7z001ffg676-3"
    assert parts.part_name("xc7z001clg400-1") == "xc7z001"
    assert main(["estimate", "--units", "8", "--part", "xc7z001"]) == 0
    assert "of 999,999" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, said",
    [
        ("lut = ", "not TOML"),
        (GOOD.replace("dsp = 900\n", ""), "dsp is missing; a part has lut, ff, dsp, bram36, package"),
        (GOOD + "uram = 4\n", "uram is not a key"),
        (GOOD.replace("900\n", "900.5\n"), "dsp must be a whole number of at least 1, got 900.5"),
        (GOOD.replace("dsp = 900", "dsp = true"), "dsp must be a whole number of at least 1, got True"),
        (GOOD.replace("dsp = 900", "dsp = 0"), "dsp must be a whole number of at least 1, got 0"),
        (GOOD.replace("-2", ""), "package must be like 'clg400-1', with a speed grade, got 'ffg900'"),
    ],
)
def test_a_wrong_file_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (folder / "xc7z001.toml").write_text(text)
    with pytest.raises(UserError, match=f"xc7z001.toml: {said}"):
        parts.parts()
    assert main(["estimate"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error
