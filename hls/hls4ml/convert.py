# SPDX-License-Identifier: Apache-2.0
"""Convert a quantized Keras model to an hls4ml graph, and write or compile the graph's project."""

from __future__ import annotations

import contextlib
import glob
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, TextIO, cast
from unittest.mock import patch

from zynq_lstm.hls.parts import DEFAULT_PART, full_part
from zynq_lstm.hls.vendor.projects import period_text
from zynq_lstm.models import processes
from zynq_lstm.models.cells.groups import groups
from zynq_lstm.models.errors import UserError, first_error, require_package
from zynq_lstm.models.store import claim

PART = full_part(DEFAULT_PART)
CLOCK_PERIOD = 10  # ns
PROJECT = "char_lstm"
LOG = "hls4ml.log"


def convert(
    model: Any,
    output_dir: Path | str,
    backend: str = "Vitis",
    reuse_factor: int | None = None,
    **options: Any,
) -> Any:
    """Convert a quantized Keras model (:func:`zynq_lstm.models.keras.quantized.build_quantized`) with hls4ml.

    Only ``hls4ml.log`` is written, with hls4ml's output; :func:`save` or :func:`compile_model` writes the
    project.

    Args:
        model: model that takes one character code per call, shape (batch, 1).
        output_dir: folder of the project.
        backend: ``Vitis`` for HLS C++, ``OpenRTL`` for SystemVerilog.
        reuse_factor: Vitis only: clock cycles for each matrix product, the same for every layer; by
            default each layer has one multiplier for every four columns.
        options: options of hls4ml's ``convert_from_keras_model``, such as ``part``, ``clock_period`` and
            ``project_name``.

    Returns:
        hls4ml's ``ModelGraph``.

    Raises:
        UserError: if a layer or option is not supported; the message names it and the alternatives.
    """
    folder = Path(output_dir)
    with _logged(folder, "w"):
        import hls4ml

        known = {"vitis", "openrtl"}
        if backend.lower() not in known:
            raise UserError(f"backend {backend!r} has no kernel for this network; use Vitis or OpenRTL")
        _check_layers(model)
        config: dict[str, Any] = {
            "Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1 if reuse_factor is None else reuse_factor}
        }
        if backend.lower() == "vitis":
            defaults: dict[str, Any] = {"part": PART, "clock_period": CLOCK_PERIOD}
            options = defaults | options
            period_text(options["clock_period"])
            if reuse_factor is None:
                config["LayerName"] = _reuse_factors(model)
        try:
            return hls4ml.converters.convert_from_keras_model(
                model,
                output_dir=str(folder),
                backend=backend,
                hls_config=config,
                allow_da_fallback=False,
                allow_v2_fallback=False,
                **({"project_name": PROJECT} | options),
            )
        except ValueError as error:
            if "not found in registry" in str(error):  # how hls4ml refuses a layer
                raise UserError(f"hls4ml can't convert this model: {error}") from error
            raise


def save(hls_model: Any) -> None:
    """Write the project."""
    with _logged(Path(hls_model.config.get_output_dir()), "a"):
        hls_model.write()


def compile_model(hls_model: Any) -> None:
    """Write the project and build the program that ``predict`` runs (g++ for Vitis, Verilator for OpenRTL).

    Raises:
        UserError: if the compiler fails; the message names the log.
    """
    folder = Path(hls_model.config.get_output_dir())
    for old in folder.glob(f"firmware/{hls_model.config.get_project_name()}-*.so"):
        old.unlink()  # hls4ml gives each build a name of its own
    log = folder / LOG
    before = log.stat().st_size if log.exists() else 0
    try:
        with _logged(folder, "a"):
            try:
                with processes.marked():
                    hls_model.compile()
            except UserError:
                raise
            except Exception as error:  # hls4ml raises nothing more specific
                print(error)
                raise
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"compiling {folder} failed; see {log}: {first_error(log, before)}") from error


def library(hls_model: Any) -> tuple[Path, str]:
    """Return the library built by :func:`compile_model` for Vitis, and its top function for doubles."""
    name = hls_model.config.get_project_name()
    (path,) = Path(hls_model.config.get_output_dir()).glob(f"firmware/{name}-*.so")
    return path, f"{name}_double"


def _check_layers(model: Any) -> None:
    """Refuse layers that hls4ml would convert wrongly.

    These are the recurrent layers of Keras and QKeras, and wrappers around our layers.
    """
    for layer in model.layers:
        inner = getattr(layer, "forward_layer", getattr(layer, "layer", None))
        for one in (layer, inner):
            package = type(one).__module__.partition(".")[0]
            if package in ("keras", "qkeras") and hasattr(one, "cell"):
                raise UserError(
                    f"layer {layer.name}: there is no kernel for {package}'s own {type(one).__name__}; save "
                    "the model, make a checkpoint of it with 'zynq-lstm import-keras', and convert that"
                )
        if inner is not None and type(inner).__module__ == "zynq_lstm.models.keras.quantized":
            raise UserError(
                f"layer {layer.name}: {type(layer).__name__} around {type(inner).__name__} is not supported; "
                "use QuantizedLSTM layers one after the other"
            )


def _reuse_factors(model: Any) -> dict[str, dict[str, int]]:
    """Return the reuse factors with which each layer computes a quarter of its columns in parallel.

    Layers with fewer columns compute them one after the other.
    """
    factors = {}
    for layer in model.layers:
        if type(layer).__module__ == "zynq_lstm.models.keras.quantized":
            rows, columns = layer.input.shape[-1], layer.units
            if hasattr(layer, "cell"):
                fewest = min(len(group.gates) for group in groups(layer.formats.description))
                rows, columns = layer.units, fewest * layer.units
            factors[layer.name] = {"ReuseFactor": rows * min(4, columns)}
    return factors


class _OneThread:
    """A stream that redirects the writes of the thread that made it; those of other threads, such as a
    progress display, still reach the original."""

    def __init__(self, stream: IO[str], elsewhere: IO[str]) -> None:
        self.stream, self.elsewhere, self.thread = stream, elsewhere, threading.get_ident()

    def write(self, text: str) -> int:
        mine = threading.get_ident() == self.thread
        return (self.elsewhere if mine else self.stream).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def _logged(folder: Path, mode: str) -> Iterator[None]:
    """Send hls4ml's output and warnings to the log in the project's folder."""
    claim(folder)
    with (
        (folder / LOG).open(mode, encoding="utf-8") as log,
        contextlib.redirect_stdout(cast(TextIO, _OneThread(sys.stdout, log))),
        contextlib.redirect_stderr(cast(TextIO, _OneThread(sys.stderr, log))),
        warnings.catch_warnings(),
        _literal_folder(),
    ):
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, kind, *_, **__: print(f"{kind.__name__}: {message}")
        yield


@contextlib.contextmanager
def _literal_folder() -> Iterator[None]:
    """Let hls4ml find its own headers in a folder with brackets, which its glob would take for a pattern."""
    if not glob.has_magic(str(require_package("hls4ml"))):
        yield
        return
    from hls4ml.writer import vitis_writer, vivado_writer

    def find(pattern: str) -> list[str]:
        path = Path(pattern)
        return [str(found) for found in path.parent.glob(path.name)]

    with (
        patch.object(vivado_writer, "glob", SimpleNamespace(glob=find)),
        patch.object(vitis_writer, "glob", SimpleNamespace(glob=find)),
    ):
        yield
