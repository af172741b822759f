# SPDX-License-Identifier: Apache-2.0
"""The report as a document: sections of texts, tables, pictures and samples, for HTML and Markdown alike.

This module puts the figures into words; the templates only walk through its blocks, so the two pages say
the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zynq_lstm.models.evaluation.memory import TOLERATED
from zynq_lstm.scripts.flow.blocks import (
    Block,
    Card,
    Code,
    Heading,
    Items,
    Names,
    Picture,
    Sample,
    Section,
    Table,
    Text,
)

Facts = Mapping[str, Any]
NONE = "\N{EM DASH}"  # in a cell without a figure


def verdicts(found: Facts) -> list[Text]:
    """Return two verdicts: whether engines agree, and whether the engine fits."""
    engines = ", ".join(found["exactness"])
    if not engines:
        first = Text("No engine was compared with the reference.")
    elif found["exact"]:
        first = Text(
            f"Exact: every signal of {engines} is the reference's, at every character compared.", "good"
        )
    else:
        first = Text("NOT exact: an engine differs from the reference.", "bad")
    how = f"counted by {found['tool']}" if found["tool"] else "estimated"
    fits = "Fits" if found["fits"] else "Does NOT fit"
    return [first, Text(f"{fits} the {found['part']}, {how}.", "good" if found["fits"] else "bad")]


def cards(found: Facts) -> list[Card]:
    """Return cards: time and resources of the engine, and bits per character; no figure appears twice."""
    made: dict[tuple[str, str], list[str]] = {}
    for row in found["engine"]:
        cycles = row["estimated"] if row["measured"] is None else row["measured"]
        made.setdefault((f"{row['microseconds']:,.2f} µs", f"{cycles:,.0f} cycles"), []).append(row["mode"])
    ((figure, cycles), modes), *others = made.items()
    more = [f"{cycles} at {found['clock_mhz']:g} MHz"]
    more += [f"{' and '.join(names)}: {time}, {count}" for (time, count), names in others]
    time = Card(figure, f"per character, {' and '.join(modes)}", "; ".join(more))
    last = found["bits"][-1]
    above = "" if last["above"] is None else f"{last['above']:+.4f} above float"
    bits = Card(f"{last['bpc']:.4f}", "bits per character, integers", above)
    resources = [
        Card(
            f"{100 * row['share']:.0f} %",
            row["name"],
            f"{_number(row['used'])} of {row['has']:,}",
            "bad" if row["share"] > 1 else "",
        )
        for row in found["resources"]
    ]
    return [time, bits, *resources]


def sections(found: Facts) -> list[Section]:
    """Return all sections of the page, in order."""
    return [
        _built(found),
        _exactness(found),
        _bits(found),
        _training(found),
        Section(
            "schedule",
            "Schedule for one character",
            "Schedule",
            [
                Text("From the schedule that the RTL runs, steady state, generating.", "soft"),
                Picture("schedule", wide=True),
            ],
        ),
        _time(found),
        _resources(found),
        _coverage(found),
        _written(found),
        _again(found),
        _how(found),
    ]


def pairs(rows: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and values."""
    return Table(("", ""), rows)


def _built(found: Facts) -> Section:
    count = len(found["formats"][0]["formats"])
    columns = ("signal", *(f"layer {k}" for k in range(count)))
    rows = [(row["signal"], *row["formats"]) for row in found["formats"]]
    return Section(
        "built",
        "What was built",
        "What was built",
        [pairs(found["built"])],
        {"Formats of every signal": [Table(columns, rows, wide=count > 1)]},
    )


def _exactness(found: Facts) -> Section:
    rows, marks = [], {}
    for number, (engine, row) in enumerate(found["exactness"].items()):
        written = (
            f"{row['written']:,}, {row['written_different']:,} different" if "written" in row else "none"
        )
        counts = (row["characters"], row["values"], row["mismatches"])
        rows.append((engine, *(f"{value:,}" for value in counts), written))
        marks[number, 3] = "bad" if row["mismatches"] else "good"
    columns = ("engine", "characters", "values compared", "different", "characters it wrote")
    how = (
        "Every gate, state and logit against the bit-accurate reference; no tolerance. "
        f"RTL: simulated with {found['simulator']}."
    )
    blocks: list[Block] = [Text(how, "soft"), Table(columns, rows, (1, 2, 3), marks, wide=True)]
    return Section("exactness", "Exactness", "Exactness", blocks)


def _bits(found: Facts) -> Section:
    rows = [(row["name"], f"{row['bpc']:.4f}", _above(row["above"]), row["how"]) for row in found["bits"]]
    blocks: list[Block] = [
        Text(found["bits_on"], "soft"),
        Table(("network", "BPC", "above float", "computed by"), rows, (1, 2)),
    ]
    if found["ladder"]:
        steps = [
            (
                row["step"],
                f"{row['bpc']:.4f}",
                _above(row["above"]),
                NONE if row["noise"] is None else f"±{row['noise']:.4f}",
                f"{row['kbit']:,.0f}",
            )
            for row in found["ladder"]
        ]
        within = [
            row["step"]
            for row in found["ladder"]
            if row["noise"] is not None and abs(row["above"]) <= row["noise"]
        ]
        said = f" No more than noise: {', '.join(within)}." if within else ""
        blocks += [
            Heading("The ladder: what each kind of rounding costs, before any training with it"),
            Picture("ladder"),
            Text(f"{found['ladder_on']}.{said}", "soft"),
            Table(("rounded", "BPC", "above float", "noise", "weights, kbit"), steps, (1, 2, 3, 4)),
        ]
    return Section("bits", "Bits per character", "Bits per character", blocks)


def _above(value: float | None) -> str:
    return NONE if value is None else f"{value:+.4f}"


#: Rows of the table of training: name, key of a network's facts, format of the value.
_TRAINED = (
    ("epochs", "epochs", "{:g}"),
    ("batch, streams", "batch", "{:,}"),
    ("steps of an update", "steps", "{:,}"),
    ("updates", "updates", "{:,}"),
    ("highest learning rate", "learning_rate", "{:g}"),
    ("dropout", "dropout", "{:g}"),
    ("clip of the gradient", "clip", "{:g}"),
    ("share of the teacher", "distill", "{:g}"),
    ("starts from", "start", "{}"),
    ("output bias at the start", "output_bias", "{}"),
    ("first kernel at the start", "first_kernel", "{}"),
    ("seed", "seed", "{}"),
    ("minutes", "minutes", "{:g}"),
    ("validation BPC", "validation", "{:.4f}"),
    ("test BPC", "test", "{:.4f}"),
)


def _training(found: Facts) -> Section:
    blocks: list[Block] = []
    if found["curves"]:
        blocks.append(Picture("curves"))
    else:
        blocks.append(Text("No network was trained in this flow, so there are no learning curves."))
    networks = found["training"]
    if networks:
        rows = [
            (
                name,
                *(NONE if one[key] is None else form.format(one[key]) for one in networks),
            )
            for name, key, form in _TRAINED
            if any(one[key] is not None for one in networks)
        ]
        blocks += [
            Text("From the training records.", "soft"),
            Table(("network", *(one["name"] for one in networks)), rows, tuple(range(1, len(networks) + 1))),
            pairs([*_shared(networks, "command", "by"), *_shared(networks, "versions", "with")]),
        ]
    return Section("training", "Training", "Training", blocks + _memory(found["memory"]))


def _memory(measured: Facts | None) -> list[Block]:
    """Return the table of stuck and saturated units; nothing if the text was too short for it."""
    if measured is None:
        return []
    rows: list[tuple[str, ...]] = []
    marks = {}
    for name, one in measured["networks"].items():
        for k, counts in enumerate(zip(one["units"], one["stuck"], one["saturated"], strict=True)):
            if sum(one["stuck"]) > TOLERATED * sum(one["units"]) and counts[1]:
                marks[len(rows), 3] = "bad"
            rows.append((name, f"{k}", *map(str, counts)))
    characters = max(one["characters"] for one in measured["networks"].values())
    return [
        Heading("Units that do not use their memory"),
        Text(f"{measured['method']}; {characters:,} characters of the validation split count.", "soft"),
        Table(("network", "layer", "units", "stuck", "saturated"), rows, (1, 2, 3, 4), marks),
    ]


def _shared(networks: Sequence[Facts], key: str, how: str) -> list[tuple[str, str]]:
    """Return long facts of networks, each only once, with the networks' names."""
    names: dict[str, list[str]] = {}
    for one in networks:
        if one[key] is not None:
            names.setdefault(one[key], []).append(one["name"])
    return [(f"{', '.join(of)}: made {how}", fact) for fact, of in names.items()]


def _time(found: Facts) -> Section:
    rows = [
        (
            row["mode"],
            f"{row['estimated']:,}",
            NONE if row["measured"] is None else f"{row['measured']:,.1f}",
            f"{row['microseconds']:,.2f}",
            f"{row['rate']:,.0f}",
            row["how"],
        )
        for row in found["engine"]
    ]
    columns = (
        *("mode", "cycles, estimated", "cycles, measured", "µs per character", "characters/s"),
        "measured by",
    )
    blocks: list[Block] = [
        Text(
            f"At {found['clock_mhz']:g} MHz, the clock of the configuration: place and route would have to "
            "show that the chip reaches it.",
            "soft",
        ),
        Table(columns, rows, (1, 2, 3, 4), wide=True),
    ]
    if found["utilisation"]:
        used = f"{100 * found['utilisation']:.1f} %"
        blocks.append(Text(f"{used} of the array's multiply-accumulates do useful work (measured)."))
    if found["speed"]:
        rates = "; ".join(f"{engine} {rate:,} characters/s" for engine, rate in found["speed"])
        blocks.append(Text(f"On this machine: {rates}."))
    return Section("time", "Cycles and time", "Cycles and time", blocks)


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:,g}" if value % 1 else f"{value:,.0f}"


def _resources(found: Facts) -> Section:
    rows = [
        (
            row["name"],
            _number(row["estimated"]),
            _number(row["counted"]),
            f"{row['has']:,}",
            f"{100 * row['share']:.0f} %",
            row["how"],
        )
        for row in found["resources"]
    ]
    marks = {(number, 4): "bad" for number, row in enumerate(found["resources"]) if row["share"] > 1}
    columns = ("resource", "estimated", "counted", "the part has", "share", "by")
    blocks: list[Block] = [Picture("resources"), Table(columns, rows, (1, 2, 3, 4), marks, wide=True)]
    if found["lut_levels"] is not None:
        levels = f"At most {found['lut_levels']} LUTs between two registers"
        blocks.append(Text(f"{levels}; no latch, loop, or net without a driver (netlist check)."))
    return Section("resources", f"Resources of the {found['part']}", "Resources", blocks)


def _coverage(found: Facts) -> Section:
    rows = [
        (row["what"], f"{row['seen']:,}", f"{row['of']:,}", f"{100 * row['seen'] / row['of']:.0f} %")
        for row in found["coverage"]
    ]
    blocks: list[Block] = [
        Text(
            "What the characters compared have exercised, counted in the reference's signals. A comparison "
            "says nothing of what did not occur."
        ),
        Table(("signal", "occurred", "of", "share"), rows, (1, 2, 3)),
    ]
    missing = [name for row in found["coverage"] for name in row.get("missing", ())]
    if missing:
        blocks.append(Names(f"Characters never exercised ({len(missing)})", tuple(missing)))
    else:
        blocks.append(Text("Every character of the vocabulary was exercised."))
    protocol = ", ".join(found["protocol"])
    blocks.append(
        Text(f"Protocol tests passed: {protocol}.")
        if protocol
        else Text("The protocol tests (streams, registers, modes) were not asked for: verification.protocol.")
    )
    return Section("coverage", "Coverage", "Coverage", blocks)


def _written(found: Facts) -> Section:
    blocks: list[Block] = [
        Text("After held-out text (soft), by the reference, whose integers are those of every engine.")
    ]
    for sample in found["samples"]:
        by = ": what the engines wrote, too" if sample["engines"] else ""
        blocks += [
            Text(f"Temperature {sample['temperature']:g}, seed {sample['seed']}{by}", "soft"),
            Sample(found["before"], sample["text"]),
        ]
    return Section("text", "What it writes", "Text", blocks)


def _again(found: Facts) -> Section:
    commit = found["commit"] or "unknown: not run from a git checkout"
    if commit.endswith("+"):
        commit = f"{commit[:-1]}, and changes that were not committed"
    sources = [
        ("program", found["program"]),
        ("commit", commit),
        ("command", found["command"]),
        ("written", found["made"]),
        *found["hashes"],
    ]
    how = (
        f"Save these lines beside {found['file']} under another name (paths in them are relative to its "
        f"folder) and give that file to 'zynq-lstm run', with this version of the program and the packages "
        "below. Formats, cycles and counts are then the same. Weights that are trained are the same bit for "
        "bit on a machine like this one; elsewhere TensorFlow may round sums differently."
    )
    return Section(
        "again",
        "To do it again",
        "To do it again",
        [
            pairs(sources),
            Heading("Configuration, with every default and every --set"),
            Text(how),
            Code(found["configuration"]),
            Heading("Machine that wrote this report"),
            pairs(found["machine"]),
            Heading("Versions"),
            pairs(found["versions"]),
        ],
    )


def _how(found: Facts) -> Section:
    explained = (
        (
            "Simulation",
            "counted or compared while the RTL ran under cocotb. Cycles are exact; the clock is the "
            "configuration's.",
        ),
        (
            "Synthesis",
            "cells that Yosys maps to. Place and route were not run: no figure of timing or power.",
        ),
        (
            "Estimated",
            "from the schedule and the memories' shapes that the RTL is generated with, before any tool has "
            "run. DSP48E1 and block RAM are exact, LUTs about right.",
        ),
        ("Bits per character", "computed from logits over held-out text."),
        (
            "Noise",
            "how far a distance from float may lie from that on other text of the same kind: the differences "
            "character by character, resampled in blocks.",
        ),
        ("Characters/s on this machine", "wall time; other work on the machine lowers it."),
    )
    rows = [(row["name"], row["what"], row["took"], row["ended"]) for row in found["stages"]]
    blocks: list[Block] = [
        Items(explained),
        Text("Stages of this flow", "soft"),
        Table(("stage", "does", "took", "ended"), rows, wide=True),
    ]
    return Section("how", "How figures were obtained", "How figures were obtained", blocks)
