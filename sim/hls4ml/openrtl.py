# SPDX-License-Identifier: Apache-2.0
"""The hls4ml backend ``OpenRTL``: the same graph as SystemVerilog, simulated and synthesized with open tools.

``write()`` emits the project of :func:`zynq_lstm.hls.engine.project.generate`, ``compile()`` builds its
simulation, ``predict()`` runs it, ``build()`` synthesizes it and returns a report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.backends import FPGABackend
from hls4ml.model.flow import register_flow
from hls4ml.model.optimizer import ModelOptimizerPass
from hls4ml.writer.writers import Writer
from numpy.typing import NDArray

from zynq_lstm.hls.engine.estimate import fitting_array
from zynq_lstm.hls.hls4ml.graph import network_from_graph, not_compiled
from zynq_lstm.hls.parts import DEFAULT_PART, full_part, part_name
from zynq_lstm.hls.synthesis.yosys import synthesize
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import Raw
from zynq_lstm.models.integers.freeze import thaw
from zynq_lstm.sim.engines.rtl import RtlEngine

OPTIONS = ("part", "dsp", "lanes", "parity")


class OpenRTLWriter(Writer):
    """Writes the RTL project."""

    def write_hls(self, model: Any) -> None:
        from zynq_lstm.sim.simulation.rtl import write_project

        write_project(engine(model).design, folder(model) / "rtl")


def folder(model: Any) -> Path:
    """Return a model's folder: the RTL project is in ``rtl``, simulation and synthesis are beside it."""
    return Path(model.config.get_output_dir())


def engine(model: Any) -> RtlEngine:
    """Return the engine for a graph, not yet built."""
    network = network_from_graph(model)
    names = "Part", "Dsp", "Lanes", "Parity"
    part, dsp, lanes, parity = (model.config.get_config_value(name) for name in names)
    array = fitting_array(network.spec, part, dsp, lanes, bool(parity))
    return RtlEngine(thaw(network), network, folder(model), array=array)


def _compiled(model: Any) -> RtlEngine:
    """Return the engine that ``compile`` has built."""
    if not hasattr(model, "engine"):
        raise not_compiled()
    return model.engine


class CheckChain(ModelOptimizerPass):
    """Refuses graphs that the RTL can't implement."""

    def __init__(self) -> None:
        super().__init__("check_chain", self.transform)

    def transform(self, model: Any) -> bool:
        network_from_graph(model)
        return False


class OpenRTLBackend(FPGABackend):
    """hls4ml's interface to the RTL flow."""

    def __init__(self) -> None:
        super().__init__("OpenRTL")
        self.register_pass("check_chain", CheckChain)
        self._flow = register_flow("ip", ["openrtl:check_chain"], backend=self.name)

    def get_default_flow(self) -> str:
        return self._flow

    def create_initial_config(
        self,
        part: str = full_part(DEFAULT_PART),
        dsp: int | None = None,
        lanes: int | None = None,
        parity: bool = False,
        **unknown: Any,
    ) -> dict[str, Any]:
        """Return the configuration for options of ``convert_from_keras_model``.

        They are the part, the most DSPs and lanes of the array, and parity. Without limits, the array is the
        fastest that fits the part.
        """
        part_name(part)
        for name, limit in (("dsp", dsp), ("lanes", lanes)):
            if limit is not None and (not isinstance(limit, int) or limit < 1):
                raise UserError(f"{name} must be a whole number above 0, got {limit!r}")
        if not isinstance(parity, bool):
            raise UserError(f"parity must be true or false, got {parity!r}")
        if unknown:
            raise UserError(f"OpenRTL has no option {next(iter(unknown))!r}; legal are {', '.join(OPTIONS)}")
        return {
            "Part": part,
            "Dsp": dsp,
            "Lanes": lanes,
            "Parity": parity,
            "IOType": "io_parallel",  # has no meaning here; hls4ml's own passes ask for it
            "HLSConfig": {},
            "WriterConfig": {},
        }

    def write(self, model: Any) -> None:
        self.writer.write_hls(model)

    def compile(self, model: Any) -> None:
        """Build the simulation. hls4ml loads the returned path as a library; None is the running program."""
        built = engine(model)
        built.build()
        model.engine = built
        self.reset(model)

    def reset(self, model: Any) -> None:
        """Clear the state before the next character."""
        model.codes_since_reset = np.empty(0, np.int64)

    def trace(self, model: Any, codes: Raw) -> dict[str, Raw]:
        """Return every raw signal of the RTL for codes (characters,).

        A simulation starts from reset, so the characters since the last :meth:`reset` are run again.
        """
        built = _compiled(model)
        earlier = len(model.codes_since_reset)
        codes = np.concatenate([model.codes_since_reset, codes])
        signals = built.whole_trace(codes)
        model.codes_since_reset = codes
        return {name: signal[earlier:] for name, signal in signals.items()}

    def generate(self, model: Any, prime: Raw, length: int, temperature_raw: int, seed: int) -> Raw:
        """Return the codes (length,) that the RTL generates after ``prime``, from a zero state."""
        return np.fromiter(_compiled(model).write(prime, length, temperature_raw, seed), np.int64)

    def predict(self, model: Any, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return logits (characters, vocabulary) for codes (characters, 1); see :meth:`trace`."""
        logits = self.trace(model, np.ravel(x).astype(np.int64))["logits"]
        return network_from_graph(model).spec.output.logits.to_real(logits)

    def build(self, model: Any) -> dict[str, Any]:
        """Synthesize with Yosys, and return the report."""
        self.write(model)
        return synthesize(folder(model) / "rtl", model.config.get_config_value("Part"))
