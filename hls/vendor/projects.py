# SPDX-License-Identifier: Apache-2.0
"""Files that Vivado and Vitis HLS need besides the sources: settings, scripts and a test bench."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np

from zynq_lstm.hls.hls4ml.graph import RESET
from zynq_lstm.hls.hls4ml.reuse import require_reuse_factor
from zynq_lstm.hls.parts import full_part
from zynq_lstm.models.description.checkpoint import Checkpoint
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.integers.limits import require
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.store import write_text

HERE = Path(__file__).parent
VIVADO_SCRIPT, VITIS_SCRIPT, BENCH = "vivado.tcl", "vitis_hls.tcl", "exact_test.cpp"
VIVADO_REPORTS = "reports"
STEPS = ("csim", "csynth", "cosim", "export")
CHARACTERS = 32  # compared by Vitis HLS, whose simulation runs the RTL for thousands of cycles for each
MIN_CHARACTERS = 2
PERIODS = (0.5, 1000.0)  # shortest and longest clock period in ns


def add_vivado(project: Path, top: str, part: str, period: float, route: bool = True) -> Path:
    """Put Vivado's script and settings into an RTL project.

    Args:
        period: clock period in ns.
        route: also place and route; otherwise figures are those of synthesis, with estimated wires.

    Returns:
        The script.

    Raises:
        UserError: for an unknown part or an impossible period.
    """
    settings = {"part": full_part(part), "top": top, "period": period_text(period), "route": int(route)}
    return _write(project, VIVADO_SCRIPT, settings)


def add_vitis(project: Path, network: IntegerNetwork, codes: Raw, top: str, part: str, period: float) -> Path:
    """Put Vitis HLS' script, a test bench and its vectors into a project that hls4ml wrote.

    Args:
        codes: characters (time,) to compare, at least two; the state is cleared before the first and halfway.
        period: clock period in ns.

    Returns:
        The script.

    Raises:
        UserError: for an unknown part, an impossible period or too few characters.
    """
    check_characters(len(codes))
    write_text(project / "tb_data" / "vectors.txt", vectors(network, codes))
    copyfile(HERE / BENCH, project / BENCH)
    settings = {
        "part": full_part(part),
        "top": top,
        "period": period_text(period),
        "steps": f"{{{' '.join(STEPS)}}}",
    }
    return _write(project, VITIS_SCRIPT, settings)


def write_vitis(checkpoint: Checkpoint, part: str, folder: Path, given: Mapping[str, Any]) -> None:
    """Convert a quantized network with hls4ml, and call :func:`add_vitis` with random characters.

    Args:
        given: ``reuse_factor``, ``clock_period`` (ns) and ``characters``, each optional.

    Raises:
        UserError: for a float network, or one beyond the limits of the HLS C++, an unknown part, or an
            impossible value.
    """
    network = freeze(checkpoint)
    require("hls", network.spec)
    if "reuse_factor" in given:
        require_reuse_factor(network.spec, given["reuse_factor"])

    from zynq_lstm.hls.hls4ml.convert import CLOCK_PERIOD, PROJECT, convert, save
    from zynq_lstm.hls.hls4ml.graph import network_from_graph
    from zynq_lstm.models.keras.quantized import quantized_model

    part, period = full_part(part), given.get("clock_period", CLOCK_PERIOD)
    count = given.get("characters", CHARACTERS)
    check_characters(count)
    codes = np.random.default_rng(0).integers(network.spec.vocabulary, size=count)
    model = quantized_model(checkpoint)
    graph = convert(model, folder, reuse_factor=given.get("reuse_factor"), part=part, clock_period=period)
    save(graph)
    assert network_from_graph(graph).identity == network.identity
    add_vitis(folder, network, codes, PROJECT, part, period)


def vectors(network: IntegerNetwork, codes: Raw) -> str:
    """Return input words and the reference's raw logits, in the format that exact_test.cpp reads."""
    reference = Reference(network)
    lines = [f"{len(codes)} {network.spec.vocabulary}"]
    for half in np.array_split(np.asarray(codes, np.int64), 2):
        reference.reset()
        for position, (code, logits) in enumerate(zip(half, reference.run(half), strict=True)):
            word = int(code) | (RESET if position == 0 else 0)
            lines.append(" ".join(map(str, (word, *logits))))
    return "\n".join(lines) + "\n"


def check_characters(count: int) -> None:
    """Raise UserError if ``count`` characters are too few for a test bench."""
    if count < MIN_CHARACTERS:
        raise UserError(f"the test bench needs at least {MIN_CHARACTERS} characters, got {count}")


def period_text(period: float) -> str:
    """Return a clock period (ns) as text for Tcl.

    Raises:
        UserError: if it is out of range; the message names the range.
    """
    shortest, longest = PERIODS
    if not shortest <= period <= longest:
        raise UserError(f"a clock period must be from {shortest:g} to {longest:g} ns, got {period}")
    return f"{period:.3f}"


def _write(project: Path, script: str, settings: Mapping[str, object]) -> Path:
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        *(f"set {key} {value}" for key, value in settings.items()),
    ]
    write_text(project / "settings.tcl", "\n".join(lines) + "\n")
    copyfile(HERE / script, project / script)
    return project / script
