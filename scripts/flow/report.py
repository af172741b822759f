# SPDX-License-Identifier: Apache-2.0
"""The report of a flow: one HTML page that needs nothing else, and the same as Markdown.

:func:`facts` collects what the stages found, as plain data; the templates beside this file show it, and
nothing in them is a figure. Every table says how its figures were obtained.
"""

from __future__ import annotations

import base64
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.spec import NetworkSpec
from models.store import write_text
from models.text import folding
from scripts.flow.show import duration
from scripts.main import PROG, version
from scripts.pictures import COLORS, on_page, picture
from scripts.training import TRAINING_CURVE as TRAINING
from scripts.training import VALIDATION_CURVE as VALIDATION

if TYPE_CHECKING:
    from scripts.flow.work import Work

TEMPLATES = Path(__file__).parent / "templates"
RESOURCES = {"lut": "LUT", "ff": "flip-flops", "dsp": "DSP48E1", "bram36": "block RAM (36 Kb)"}
#: Folders of training logs by what was trained; below a stage's folder.
LOGS = {"base": ("train", "base"), "float": ("train", "float"), "quantized": ("quantize", "quantized")}
SMALL = (4.8, 2.6)  # inches; letters stay readable on a telephone

Facts = dict[str, Any]


def write_report(work: Work) -> list[str]:
    """Write ``report.html`` and ``report.md`` into the flow's folder, and the pictures into the stage's.

    Returns:
        The files' names, from the stage's folder.
    """
    found = facts(work)
    shown = pictures(work, found)
    files = render(found, shown)
    for name, text in files.items():
        write_text(work.flow.folder / name, text)
    return [f"../{name}" for name in files]


def render(found: Facts, shown: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The pages by file name."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    by_name = {one["name"]: one for one in shown}
    return {
        name: environment.get_template(f"{name}.j2").render(**found, pictures=by_name)
        for name in ("report.html", "report.md")
    }


def facts(work: Work) -> Facts:
    """All that the report says."""
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
        "bits_on": f"{work.figures('evaluate')['split']} split; {work.figures('evaluate')['metric']}",
        "ladder": _ladder(work.figures("evaluate")),
        "ladder_on": _ladder_on(work.figures("evaluate")),
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
        "text": compared["text"],
        "temperature": config.verification.temperature,
        "versions": _versions(work),
        "stages": [_stage(work, stage) for stage in stages],
    }


def _built(work: Work, spec: NetworkSpec) -> list[tuple[str, str]]:
    corpus, made, config = work.figures("corpus"), work.figures("quantize"), work.flow.config
    layers = f"{len(spec.layers)} LSTM layer{'s' if len(spec.layers) > 1 else ''}"
    record = made["record"]
    trained = [record]
    if "from" in record:  # calibrated: only the float network was trained
        trained = list(work.figures("train").get("records", {}).values())
    rare = folding(record.get("corpus", corpus))
    seed = next((one["options"]["seed"] for one in trained if "seed" in one.get("options", {})), None)
    return [
        ("network", f"{layers} of {' and '.join(str(layer.units) for layer in spec.layers)} units, "
                    f"{spec.vocabulary} characters"),
        ("formats", spec.preset),
        ("weights", f"{made['weight_bits'] / 1000:,.0f} kbit"),
        ("multiply-accumulates a character", f"{spec.macs_per_character():,}"),
        ("part", work.figures("estimate")["part"]),
        ("corpus", f"{corpus['name']}, {corpus['characters']:,} characters"),
        *([("rare characters", rare)] if rare else []),
        ("identity of the integers (also in the engine's registers)", made["identity"]),
        ("SHA-256 of the weights", made["weights_sha256"]),
        ("SHA-256 of the corpus", corpus["sha256"]),
        ("seed of the training", str(seed) if seed is not None else "not recorded"),
        ("seed of what is written", str(config.verification.seed)),
        ("how the network came about", str(record.get("command") or _calibrated(record))),
    ]  # fmt: skip


def _calibrated(record: Mapping[str, Any]) -> str:
    return f"calibrated from the float network {record['from'][:12]}" if "from" in record else "not recorded"


def _formats(spec: NetworkSpec) -> list[Facts]:
    names = spec.layers[0].formats.format_names()
    rows = [
        {"signal": name, "formats": [str(layer.formats.format(name)) for layer in spec.layers]}
        for name in names
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
        {"name": name, "bpc": value, "above": None if start is None else value - start, "how": how[name]}
        for name, value in bits.items()
    ]


def _ladder_on(found: Mapping[str, Any]) -> str:
    """What the ladder was measured on, and how."""
    if "ladder" not in found:
        return ""
    ladder = found["ladder"]
    return f"first {ladder['characters']:,} characters of the validation split; {ladder['metric']}"


def _ladder(found: Mapping[str, Any]) -> list[Facts]:
    return [
        {
            "step": row["step"],
            "bpc": row["validation_bpc"],
            "above": row["validation_above_float"],
            "kbit": row["weight_bits"] / 1000,
        }
        for row in found.get("ladder", {}).get("rows", [])
    ]


def _engine(
    estimated: Mapping[str, Any], simulated: Mapping[str, Any], clock_mhz: float, simulator: str
) -> list[Facts]:
    """Cycles a character by mode, estimated and measured, and what that is in time."""
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
    from hls.synthesis import PARTS

    rows = []
    for key, has in PARTS[estimated["part"]].items():
        about = round(estimated["lut_about"], -2)  # within 10 % or so
        predicted, counted = about if key == "lut" else estimated.get(key), synthesized.get(key)
        used = predicted if counted is None else counted
        if used is not None:
            rows.append(
                {
                    "name": RESOURCES[key],
                    "estimated": predicted,
                    "counted": counted,
                    "has": has,
                    "share": used / has,
                    "how": "estimated" if counted is None else f"synthesis with {synthesized['tool']}",
                }
            )
    return rows


def _fits(estimated: Mapping[str, Any], synthesized: Mapping[str, Any]) -> bool:
    return bool(synthesized.get("fits", estimated["fits"]))


def _speed(work: Work) -> list[tuple[str, int]]:
    """Characters a second on this machine."""
    known = {"HLS C++, compiled": "hls", "RTL, simulated": "simulate"}
    return [
        (what, work.figures(stage)["characters_per_second"])
        for what, stage in known.items()
        if "characters_per_second" in work.figures(stage)
    ]


def _training(work: Work) -> list[Facts]:
    """Of each network that was trained: how long, and how well it does."""
    records = dict(work.figures("train").get("records", {}))
    records["quantized"] = work.figures("quantize")["record"]
    return [
        {
            "name": name,
            "updates": record["updates"],
            "minutes": record["minutes"],
            "validation": record["bits_per_character"]["validation"],
            "test": record["bits_per_character"]["test"],
        }
        for name, record in records.items()
        if "updates" in record and "bits_per_character" in record
    ]


def _curves(work: Work) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Learning curves of what was trained here: (update, BPC) by network, in training and on validation."""
    folders = {name: work.at(stage) / run / "logs" for name, (stage, run) in LOGS.items()}
    found = {name: _events(folder) for name, folder in folders.items() if folder.is_dir()}
    return {name: curves for name, curves in found.items() if curves[TRAINING] or curves[VALIDATION]}


def _events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from models.quiet import import_tensorflow

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


def _versions(work: Work) -> list[tuple[str, str]]:
    """Of Python, and of all packages that stages depended on when they ran."""
    found = {"Python": platform.python_version(), PROG: version()}
    for stage in work.stages():
        found |= work.record(stage.name).get("made_from", {}).get("package", {})
    return list(found.items())


def _stage(work: Work, stage: Any) -> Facts:
    record = work.record(stage.name)
    return {
        "name": stage.name,
        "what": stage.what,
        "took": duration(record["seconds"]),
        "ended": record["ended"][:16],
    }


# --- pictures ----------------------------------------------------------------------------------------------


def pictures(work: Work, found: Facts) -> list[Facts]:
    """Each picture for a light and a dark page, as data addresses, and what it shows in words."""
    shown = []
    for name, draw, says in (
        ("resources", _draw_resources, _say_resources(found)),
        ("ladder", _draw_ladder, _say_ladder(found)),
        ("curves", _draw_curves, _say_curves(found)),
        ("schedule", _draw_schedule, "Which matrix product, gates and output are worked on in which cycle."),
    ):
        if not says:
            continue
        one: Facts = {"name": name, "says": says}
        for page in ("light", "dark"):
            path = work.folder / f"{name}-{page}.svg"
            with on_page(page == "dark"):
                draw(work, found, path)
            one[page] = f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
        shown.append(one)
    return shown


def _say_resources(found: Facts) -> str:
    return ", ".join(f"{row['name']} {100 * row['share']:.0f} %" for row in found["resources"])


def _draw_resources(_: Work, found: Facts, path: Path) -> None:
    rows = found["resources"]
    with picture(path, 1, SMALL, "x") as axes:
        colors = [COLORS[0] if row["share"] <= 1 else COLORS[3] for row in rows]
        bars = axes.barh([row["name"] for row in rows], [100 * row["share"] for row in rows], color=colors)
        axes.bar_label(bars, [f"{100 * row['share']:.0f} %" for row in rows], padding=3)
        axes.invert_yaxis()
        axes.set_xlim(0, max(110, *(115 * row["share"] for row in rows)))
        axes.axvline(100, color=COLORS[3], lw=1)
        axes.set_xlabel(f"% of the {found['part']}")


def _say_ladder(found: Facts) -> str:
    return ", ".join(f"{row['step']} {row['above']:+.4f}" for row in found["ladder"][1:])


def _draw_ladder(_: Work, found: Facts, path: Path) -> None:
    rows = found["ladder"][1:]
    with picture(path, 1, SMALL, "x") as axes:
        bars = axes.barh([row["step"] for row in rows], [row["above"] for row in rows], color=COLORS[1])
        axes.bar_label(bars, [f"{row['above']:+.4f}" for row in rows], padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.25)
        axes.locator_params(axis="x", nbins=4)  # labels of small steps have seven digits
        axes.axvline(0, color="0.5", lw=1)
        axes.set_xlabel("bits per character above float")


def _say_curves(found: Facts) -> str:
    said = []
    for name, curves in found["curves"].items():
        points = curves[VALIDATION] or curves[TRAINING]
        said.append(f"{name} from {points[0][1]:.3f} to {points[-1][1]:.3f} after {points[-1][0]:,} updates")
    return "; ".join(said)


def _draw_curves(_: Work, found: Facts, path: Path) -> None:
    with picture(path, 1, SMALL) as axes:
        for color, (name, curves) in zip(COLORS, found["curves"].items(), strict=False):
            axes.plot(*_columns(curves[TRAINING]), color=color, lw=1, alpha=0.7)
            axes.plot(*_columns(curves[VALIDATION]), "o-", color=color, ms=3, lw=1.5, label=name)
        axes.set_xlabel("update (thin: training text, dots: validation)")
        axes.set_ylabel("bits per character")
        axes.legend(frameon=False)


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def _draw_schedule(work: Work, found: Facts, path: Path) -> None:
    from hls.chart import chart, draw
    from hls.schedule import schedule
    from scripts.flow.work import array_of

    spec = NetworkSpec.from_dict(work.figures("quantize")["spec"])
    draw(chart(spec, schedule(spec, array_of(work.flow.config, spec)), "generate"), path)
