# SPDX-License-Identifier: Apache-2.0
"""Code in the documentation works: Python runs, and commands have the options that are used."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest

from tests.hls.hls4ml_networks import keras_model, random_network
from zynq_lstm.scripts.main import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\{?[a-z-]*\}?)\n(.*?)^```$", re.M | re.S)


def commands() -> list[tuple[str, list[str]]]:
    """Yield page and words of every ``zynq-lstm VERB ...`` in a block of code or in inline code."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
        lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text).replace("\n", " "))
        for line in lines:
            match = re.match(r"(?:\.venv/bin/)?zynq-lstm ([a-z].*)", line.strip())
            if match:
                found.append((page.name, shlex.split(match[1], comments=True)))
    return found


def test_commands_and_their_options_exist() -> None:
    seen = commands()
    assert len(seen) > 40
    for page, (verb, *words) in seen:
        command = cli.get_command(click.Context(cli), verb)
        assert command, f"{page}: no verb {verb}"
        if isinstance(command, click.Group) and words:
            command = command.get_command(click.Context(command), words.pop(0))
            assert command, f"{page}: {verb} has no such part"
        try:
            command.make_parser(click.Context(command)).parse_args(args=words)
        except click.UsageError as error:
            pytest.fail(f"{page}: zynq-lstm {verb} {shlex.join(words)}: {error.format_message()}")


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8")))
        assert named <= targets, page.name


def test_modules_of_the_api_pages_exist() -> None:
    names = re.findall(r"automodule:: (\S+)", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    assert len(names) == len(set(names)) > 20
    for name in names:
        assert (importlib.import_module(name).__doc__ or "").strip(), name


def test_every_page_is_in_the_site() -> None:
    listed = set((ROOT / "docs" / "index.md").read_text(encoding="utf-8").split("```{toctree}")[1].split())
    assert {page.stem for page in PAGES if page.parent.name == "docs"} - {"index"} <= listed


@pytest.mark.slow
@pytest.mark.hls
def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Blocks run in the order of the page, in one namespace, with the names that the page presupposes."""
    monkeypatch.chdir(tmp_path)
    blocks = [
        (page, block)
        for page in PAGES
        for kind, block in FENCE.findall(page.read_text(encoding="utf-8"))
        if kind == "python"
    ]
    assert [page.name for page, _ in blocks] == ["hls4ml.md"]
    network = random_network("w8a8", 11, (8, 8), np.random.default_rng(seed))
    given = {"model": keras_model(network), "codes": np.arange(11), "prime": np.array([1, 2])}
    for page, block in blocks:
        exec(compile(block, page.name, "exec"), given)
    assert len(given["text"]) == 200 and given["logits"].shape == given["raw"].shape == (11, 11)
