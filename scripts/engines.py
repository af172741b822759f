# SPDX-License-Identifier: Apache-2.0
"""Engines by name: building them, every signal of a network, and figures of the RTL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import CheckError, UserError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.network import IntegerNetwork
    from sim.fixed import Raw
    from sim.rtl import Rtl

ENGINES = ("keras", "reference", "hls", "rtl", "icarus")
SIMULATORS = {"rtl": "verilator", "icarus": "icarus"}  # what an engine of RTL runs on


#: Limits that an engine of any verb has, where they are those of another one.
_LIKE = {"icarus": "rtl", "quantized": "keras", "streams": "reference", "Vitis": "hls", "OpenRTL": "rtl"}


def frozen(checkpoint: Checkpoint, *engines: str) -> IntegerNetwork:
    """The integers of a quantized network; before anything heavy is imported.

    Args:
        engines: that it is for, by the names that any verb has for them.

    Raises:
        UserError: with the reason why one of the engines can't be built for it.
    """
    from models.freeze import freeze
    from models.limits import require

    network = freeze(checkpoint)
    for engine in engines:
        require(_LIKE.get(engine, engine), network.spec)
    return network


def trace(
    engine: str, checkpoint: Checkpoint, network: IntegerNetwork, codes: Raw, folder: Path, rtl: Path | None
) -> dict[str, Raw]:
    """All signals of ``codes`` from a zero state, raw; building first what must be built, in ``folder``.

    Engines of RTL are held to the reference while they run and end at a difference: their trace then ends
    behind it.

    Args:
        rtl: a project to simulate, written by ``zynq-lstm convert`` and maybe changed since.

    Raises:
        UserError: if the engine can't be built.
        CheckError: if it fails before it has finished a character.
    """
    if engine == "reference":
        from sim.reference import Reference

        signals: dict[str, Raw] = {}
        Reference(network).run(codes, signals)
        return signals
    if engine in SIMULATORS:
        return _rtl_trace(simulation(engine, network, folder, rtl), codes)

    from models import quantized

    if engine == "keras":
        return dict(quantized.trace(quantized.quantized_model(checkpoint), codes))

    from hls import simulate

    return simulate.trace(_converted(checkpoint, folder), codes)


def compiled_hls(checkpoint: Checkpoint, folder: Path) -> tuple[Path, str]:
    """Convert a checkpoint in ``folder`` and compile its C++: the library, and its function for doubles."""
    from hls.convert import library

    return library(_converted(checkpoint, folder))


def _converted(checkpoint: Checkpoint, folder: Path) -> Any:
    from hls.convert import compile_model, convert
    from models import quantized

    graph = convert(quantized.quantized_model(checkpoint), folder)
    compile_model(graph)
    return graph


def simulation(
    engine: str, network: IntegerNetwork, folder: Path, rtl: Path | None, *, waves: bool = False
) -> Rtl:
    """The RTL built for an engine's simulator: the project ``rtl``, or one written to ``folder``."""
    from hls.design import Design
    from hls.estimate import fitting_array
    from sim.rtl import Rtl

    design = Design(network, fitting_array(network.spec))
    return Rtl.build(design, folder, simulator=SIMULATORS[engine], waves=waves, project=rtl)


def _rtl_trace(rtl: Rtl, codes: Raw) -> dict[str, Raw]:
    try:
        return rtl.score(codes).trace
    except CheckError as failure:
        try:
            found = rtl.recorded("score")
        except UserError:
            raise failure from None
        if not len(found["logits"]):
            raise
        return found


def rtl_figures(
    network: IntegerNetwork, lanes: int, scored: Mapping[str, Any], written: Mapping[str, Any]
) -> dict[str, Any]:
    """Measured cycles, and how much of the array's time was of use.

    Args:
        lanes: multiply-accumulates a cycle.
        scored, written: reports of :meth:`sim.rtl.Rtl.score` and ``generate``; empty where a run failed.
    """
    macs = network.spec.macs_per_character()
    runs = {"score": scored, "generate": written}
    cycles = {name: run["cycles_per_character"] for name, run in runs.items() if run}
    return {
        "mac_lanes": lanes,
        "macs_per_character": macs,
        "cycles_per_character": cycles,
        "mac_utilisation": round(macs / (lanes * max(cycles.values())), 4) if cycles else None,
    }
