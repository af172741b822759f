# SPDX-License-Identifier: Apache-2.0
"""The report of a flow: one HTML page that needs no other file, and the same content as Markdown.

:func:`facts` collects the stages' results as plain data; :mod:`zynq_lstm.scripts.flow.page` puts them into
sections, and the templates in the folder ``templates`` show those. Every table says how its figures were
obtained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.store import write_text
from zynq_lstm.models.texts.text import folding
from zynq_lstm.models.training.options import START_CHOICES
from zynq_lstm.models.training.recipe import TRAINING_CURVE as TRAINING
from zynq_lstm.models.training.recipe import VALIDATION_CURVE as VALIDATION
from zynq_lstm.scripts.flow import page
from zynq_lstm.scripts.flow.load import repeatable
from zynq_lstm.scripts.flow.pictures import pictures
from zynq_lstm.scripts.flow.show import duration
from zynq_lstm.scripts.machine import machine, versions
from zynq_lstm.scripts.main import PROG, version
from zynq_lstm.sim.campaigns.records import commit

if TYPE_CHECKING:
    from zynq_lstm.scripts.flow.work import Work

TEMPLATES = Path(__file__).parent / "templates"
RESOURCES = {"lut": "LUT", "ff": "flip-flops", "dsp": "DSP48E1", "bram36": "block RAM (36 Kb)"}
#: Folder of the training logs of each network: a stage, and a folder in the stage's folder.
LOGS = {"base": ("train", "base"), "float": ("train", "float"), "quantized": ("quantize", "quantized")}
#: Options of training that the report shows.
OPTIONS = ("epochs", "batch", "steps", "learning_rate", "dropout", "clip", "distill", "seed")

Facts = dict[str, Any]


def write_report(work: Work) -> list[str]:
    """Write ``report.html`` and ``report.md`` into the flow's folder, and the pictures into the stage's.

    Returns:
        Names of the files, relative to the stage's folder.
    """
    found = facts(work)
    shown = pictures(work, found)
    files = render(found, shown)
    for name, text in files.items():
        write_text(work.flow.folder / name, text)
    return [f"../{name}" for name in files]


def render(found: Facts, shown: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the pages by file name."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": _cell, "fenced": _fenced, "quoted": _quoted}
    said = {
        "title": f"{found['name']}: {found['shape']}, {found['preset']}, on {found['part']}",
        **{name: found[name] for name in ("program", "file", "made")},
        "verdicts": page.verdicts(found),
        "cards": page.cards(found),
        "sections": page.sections(found),
        "pictures": {one["name"]: one for one in shown},
    }
    pages = {
        name: environment.get_template(f"{name}.j2").render(said) for name in ("report.html", "report.md")
    }
    return pages | {"report.md": re.sub(r"\n{3,}", "\n\n", pages["report.md"]).strip() + "\n"}


def _cell(text: str) -> str:
    """Return text for a cell of a table in Markdown."""
    return text.replace("|", "\\|").replace("\n", " ")


def _quoted(text: str) -> str:
    """Return code for a line of Markdown, with two backticks and blanks if the text has a backtick."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _fenced(text: str) -> str:
    """Return lines as a code block in Markdown."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def facts(work: Work) -> Facts:
    """Return all facts of the report."""
    flow, config = work.flow, work.flow.config
    stages = [stage for stage in work.stages() if stage.name != "report"]
    built = work.figures("quantize")
    spec = NetworkSpec.from_dict(built["spec"])
    simulated, synthesized = work.figures("simulate"), work.figures("synthesize")
    compared = work.figures("compare")
    engine = _engine(
        work.figures("estimate"), simulated, config.engine.clock_mhz, config.verification.simulator
    )
    return {
        "name": flow.name,
        "file": flow.file.name,
        "made": datetime.now().isoformat(" ", "minutes"),
        "program": f"{PROG} {version()}",
        "clock_mhz": config.engine.clock_mhz,
        "shape": f"{' + '.join(str(layer.units) for layer in spec.layers)} units",
        "preset": spec.preset,
        "built": _built(work, spec),
        "formats": _formats(spec),
        "exactness": compared["exactness"],
        "exact": all(not row["mismatches"] for row in compared["exactness"].values()),
        "simulator": config.verification.simulator,
        "bits": _bits(work.figures("evaluate")),
        "bits_on": _bits_on(work.figures("evaluate")),
        "memory": work.figures("evaluate").get("memory"),
        "ladder": _ladder(work.figures("evaluate")),
        "ladder_on": _ladder_on(work.figures("evaluate")),
        "hashes": _hashes(work),
        "curves": _curves(work),
        "training": _training(work),
        "engine": engine,
        "utilisation": simulated.get("mac_utilisation"),
        "speed": _speed(work),
        "resources": _resources(work.figures("estimate"), synthesized),
        "fits": _fits(work.figures("estimate"), synthesized),
        "part": work.figures("estimate")["part"],
        "tool": synthesized.get("tool"),
        "lut_levels": synthesized.get("lut_levels"),
        "coverage": compared["coverage"],
        "protocol": simulated.get("protocol_tests", []),
        "before": compared["before"],
        "samples": compared["samples"],
        "commit": commit(),
        "command": flow.command,
        "configuration": repeatable(flow),
        "machine": list(machine().items()),
        "versions": list(versions().items()),
        "stages": [_stage(work, stage) for stage in stages],
    }


def _built(work: Work, spec: NetworkSpec) -> list[tuple[str, str]]:
    corpus, made = work.figures("corpus"), work.figures("quantize")
    cells = " and ".join(dict.fromkeys("LSTM" if x.cell == "lstm" else x.cell for x in spec.layers))
    layers = f"{len(spec.layers)} {cells} layer{'s' if len(spec.layers) > 1 else ''}"
    record = made["record"]
    rare = folding(record.get("corpus", corpus))
    return [
        ("network", f"{layers} of {' and '.join(str(layer.units) for layer in spec.layers)} units, "
                    f"{spec.vocabulary} characters"),
        ("formats", spec.preset),
        ("weights", f"{made['weight_bits'] / 1000:,.0f} kbit"),
        ("multiply-accumulates per character", f"{spec.macs_per_character():,}"),
        ("part", work.figures("estimate")["part"]),
        ("corpus", f"{corpus['name']}, {corpus['characters']:,} characters"),
        *([("rare characters", rare)] if rare else []),
        ("how the network was made", str(record.get("command") or _calibrated(record))),
    ]  # fmt: skip


def _hashes(work: Work) -> list[tuple[str, str]]:
    """Return hashes of the inputs and of the results."""
    corpus, made = work.figures("corpus"), work.figures("quantize")
    return [
        ("SHA-256 of the corpus", corpus["sha256"]),
        ("SHA-256 of the weights before rounding", made["weights_sha256"]),
        ("SHA-256 of the quantized weights, formats and tables; also in the engine's registers",
         made["identity"]),
    ]  # fmt: skip


def _calibrated(record: Mapping[str, Any]) -> str:
    return f"calibrated from the float network {record['from'][:12]}" if "from" in record else "not recorded"


def _formats(spec: NetworkSpec) -> list[Facts]:
    by_layer = [layer.formats.by_name() for layer in spec.layers]
    rows = [  # a cell may have other signals than another
        {"signal": name, "formats": [str(formats.get(name, "\N{EM DASH}")) for formats in by_layer]}
        for name in dict.fromkeys(name for formats in by_layer for name in formats)
    ]
    count = len(spec.layers)
    output = {name: str(getattr(spec.output, name)) for name in ("W", "b", "logits")}
    rows += [{"signal": f"output {name}", "formats": [text] * count} for name, text in output.items()]
    return rows


def _bits(found: Mapping[str, Any]) -> list[Facts]:
    how = {
        "float": "Keras, float32",
        "quantized": "quantized Keras model",
        "reference": "integers, by the NumPy reference",
    }
    bits = found["bits_per_character"]
    start = bits.get("float")
    return [
        {
            "name": name,
            "bpc": value,
            "above": None if start is None or name == "float" else value - start,
            "how": how[name],
        }
        for name, value in bits.items()
    ]


def _bits_on(found: Mapping[str, Any]) -> str:
    """Return the text that networks were evaluated on, and the metric."""
    return f"{found['split'].capitalize()} split; {found['metric']}"


def _ladder_on(found: Mapping[str, Any]) -> str:
    """Return the text that the ladder was measured on, the metric, and the noise."""
    if "ladder" not in found:
        return ""
    ladder = found["ladder"]
    on = f"First {ladder['characters']:,} characters of the validation split; {ladder['metric']}"
    return f"{on}; noise: {ladder['noise']}"


def _ladder(found: Mapping[str, Any]) -> list[Facts]:
    return [
        {
            "step": row["step"],
            "bpc": row["validation_bpc"],
            "above": row["validation_above_float"],
            "noise": row["validation_noise"],
            "kbit": row["weight_bits"] / 1000,
        }
        for row in found.get("ladder", {}).get("rows", [])
    ]


def _engine(
    estimated: Mapping[str, Any], simulated: Mapping[str, Any], clock_mhz: float, simulator: str
) -> list[Facts]:
    """Return cycles per character by mode, estimated and measured, and the time that they take."""
    rows = []
    for mode, predicted in estimated["cycles_per_character"].items():
        measured = simulated.get("cycles_per_character", {}).get(mode)
        cycles = predicted if measured is None else measured
        rows.append(
            {
                "mode": mode,
                "estimated": predicted,
                "measured": measured,
                "microseconds": cycles / clock_mhz,
                "rate": clock_mhz * 1e6 / cycles,
                "how": "from the schedule only" if measured is None else f"simulation with {simulator}",
            }
        )
    return rows


def _resources(estimated: Mapping[str, Any], synthesized: Mapping[str, Any]) -> list[Facts]:
    from zynq_lstm.hls.parts import parts

    rows = []
    for key, has in parts()[estimated["part"]].resources().items():
        about = round(estimated["lut_about"], -2)  # within 10 % or so
        predicted, counted = about if key == "lut" else estimated.get(key), synthesized.get(key)
        used = predicted if counted is None else counted
        if used is not None:
            rows.append(
                {
                    "name": RESOURCES[key],
                    "estimated": predicted,
                    "counted": counted,
                    "used": used,
                    "has": has,
                    "share": used / has,
                    "how": "estimated" if counted is None else f"synthesis with {synthesized['tool']}",
                }
            )
    return rows


def _fits(estimated: Mapping[str, Any], synthesized: Mapping[str, Any]) -> bool:
    return bool(synthesized.get("fits", estimated["fits"]))


def _speed(work: Work) -> list[tuple[str, int]]:
    """Return characters per second on this machine, by engine."""
    known = {"HLS C++, compiled": "hls", "RTL, simulated": "simulate"}
    return [
        (what, work.figures(stage)["characters_per_second"])
        for what, stage in known.items()
        if "characters_per_second" in work.figures(stage)
    ]


def _training(work: Work) -> list[Facts]:
    """Return a row for each trained network: its options, its start, the time and bits per character."""
    records = dict(work.figures("train").get("records", {}))
    records["quantized"] = work.figures("quantize")["record"]
    return [
        _trained(name, record)
        for name, record in records.items()
        if "updates" in record and "bits_per_character" in record
    ]


def _trained(name: str, record: Mapping[str, Any]) -> Facts:
    options, made_with = record.get("options", {}), record.get("versions", {})
    anew = name == "base" or record.get("quantized_from") == "seed"
    found = {key: options.get(key) for key in OPTIONS}
    return {
        "name": name,
        **found,
        **{name: record.get("start", {}).get(name) for name in START_CHOICES},
        "start": "seed" if anew else "base" if "base" in record else None,
        "updates": record["updates"],
        "minutes": record["minutes"],
        "validation": record["bits_per_character"]["validation"],
        "test": record["bits_per_character"]["test"],
        "versions": ", ".join(f"{package} {made_with[package]}" for package in sorted(made_with)) or None,
        "command": record.get("command"),
    }


def _curves(work: Work) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Return learning curves of the networks trained in this flow: (update, BPC), training and validation."""
    folders = {name: work.at(stage) / run / "logs" for name, (stage, run) in LOGS.items()}
    found = {name: _events(folder) for name, folder in folders.items() if folder.is_dir()}
    return {name: curves for name, curves in found.items() if curves[TRAINING] or curves[VALIDATION]}


def _events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from zynq_lstm.models.keras.quiet import import_tensorflow

    import_tensorflow()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    tags = events.Tags()["tensors"]
    return {
        tag: [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
        if tag in tags
        else []
        for tag in (TRAINING, VALIDATION)
    }


def _stage(work: Work, stage: Any) -> Facts:
    record = work.record(stage.name)
    return {
        "name": stage.name,
        "what": stage.what,
        "took": duration(record["seconds"]),
        "ended": record["ended"][:16],
    }
