# SPDX-License-Identifier: Apache-2.0
"""The shipped records: of the training of networks, and of long measurements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zynq_lstm import models
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.description.spec import DEFAULT_PRESET, PRESETS
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.evaluation.memory import by_layer, keras_source, measure
from zynq_lstm.models.store import read_record, write_json
from zynq_lstm.models.texts.corpus import CORPORA, HELD_OUT, Corpus

FOLDER = Path(models.__file__).parent


def training_records() -> list[dict[str, Any]]:
    """Read the training records of the shipped networks, and of some that aren't shipped."""
    found = sorted((FOLDER / "checkpoints").glob("*.json"))
    return [read_training_record(path) for path in found]


def read_training_record(path: Path) -> dict[str, Any]:
    """Read the record that ``zynq-lstm train`` wrote beside a network."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def count_units(path: Path, corpus: Corpus) -> dict[str, Any]:
    """Count the stuck and saturated units of a trained network, and write them into its record.

    Args:
        path: the weights; the record is beside them, as ``zynq-lstm train`` leaves it.
        corpus: the text of the record.

    Returns:
        The record.
    """
    checkpoint, beside = Checkpoint.load(path), path.with_suffix(".json")
    record = read_training_record(beside)
    if corpus.sha256 != record["corpus"]["sha256"]:
        raise UserError(f"{path}: was trained on another text than {corpus.name}")
    if checkpoint.spec is None:
        from zynq_lstm.models.keras.float_lstm import float_model

        model = float_model(checkpoint)
    else:
        from zynq_lstm.models.keras.quantized import quantized_model

        model = quantized_model(checkpoint)
    text = corpus.with_vocabulary(checkpoint.vocabulary, checkpoint.rest).split().validation
    record["memory"] = measure(keras_source(model), text).to_dict()
    write_json(beside, record)
    return record


def training_figures(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return BPC and minutes by corpus and network, and the minutes of ``zynq-lstm train`` by default."""
    figures: dict[str, Any] = {}
    by_corpus: dict[str, dict[str, Mapping[str, Any]]] = {}
    for record in records:
        by_corpus.setdefault(Path(record["corpus"]["name"]).stem, {})[network_name(record)] = record
    for corpus, networks in by_corpus.items():
        figures[corpus] = {}
        for cell in dict.fromkeys(_cell(record) for record in networks.values()):
            for stage in ("base", "float", *PRESETS):
                if found := networks.get(cell + stage):
                    figures[corpus][cell + stage] = _figures(found, networks.get(f"{cell}float", {}))
    default = by_corpus.get(CORPORA[0], {})
    if {"float", DEFAULT_PRESET} <= set(default):
        parts = [default["float"]["base"], default["float"], default[DEFAULT_PRESET]]
        figures["minutes"] = round(sum(part["minutes"] for part in parts), 1)
    return figures


def network_name(record: Mapping[str, Any]) -> str:
    """Return a network's name: its stage, after its cells if it is not an LSTM, as ``gru-w8a8``."""
    return f"{_cell(record)}{record['stage']}"


def _cell(record: Mapping[str, Any]) -> str:
    return "".join(f"{cell}-" for cell in dict.fromkeys(record.get("cells", ())))


def _figures(record: Mapping[str, Any], unquantized: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network's figures; ``unquantized`` is the record of the float network of its cells."""
    bits = record["bits_per_character"]
    row = {"validation_bpc": bits["validation"], "test_bpc": bits["test"]}
    if record["stage"] in PRESETS and _length(record) == _length(unquantized):
        start = unquantized["bits_per_character"]
        row |= {f"delta_{part}_bpc": bits[part] - start[part] for part in HELD_OUT}
    units = record.get("memory")  # missing if the weights were not kept
    if units:
        row |= {name: units[name] for name in ("units", "stuck", "saturated")}
    return row | {"minutes": record["minutes"]}


def part_figures(row: Mapping[str, Any], part: str) -> tuple[str, str]:
    """Return a network's BPC on a part of the text, and the difference from float, both as text."""
    above = row.get(f"delta_{part}_bpc")
    return f"{row[f'{part}_bpc']:.4f}", "" if above is None else f"{above:+.4f}"


def results_table(figures: Mapping[str, Any]) -> str:
    """Return the result of :func:`training_figures` as a Markdown table."""
    lines = [
        "| corpus | network | validation BPC | above float | test BPC | above float | stuck units |",
        "|---|---|---|---|---|---|---|",
    ]
    for corpus in CORPORA:
        for name, row in figures.get(corpus, {}).items():
            cells = [text for part in HELD_OUT for text in part_figures(row, part)]
            stuck = f"{by_layer(row['stuck'])} of {sum(row['units'])}" if "stuck" in row else ""
            lines.append(f"| `{corpus}` | `{name}` | {' | '.join(cells)} | {stuck} |")
    return "\n".join(lines) + "\n"


def _length(record: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return the length of a network's training: hash of its base, updates in all, batch and steps."""
    if not record:
        return None
    base, options = record["base"], record["options"]
    updates = record["updates"]
    if record.get("quantized_from") != "seed":
        updates += base["updates"]
    return base["sha256"], updates, options["batch"], options["steps"]


def load_record(kind: str, path: Path | None = None) -> dict[str, Any]:
    """Load a measurement's record: the shipped one, or one that the verb ``kind`` wrote to ``path``.

    Raises:
        UserError: the file is missing or holds something else.
    """
    path = path or FOLDER / "measured" / f"{kind}.json"
    try:
        return read_record(path, kind, f"'zynq-lstm {kind}'")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; make it with 'zynq-lstm {kind} --measure --json'") from None
