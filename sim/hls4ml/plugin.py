# SPDX-License-Identifier: Apache-2.0
"""Registers this package with hls4ml.

hls4ml calls :func:`register` while it is being imported (entry point ``hls4ml.backends``). It only
adds our entries to hls4ml's registries, replaces none, and imports neither TensorFlow nor Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def register(*, register_backend: Callable[..., Any], register_writer: Callable[..., Any]) -> None:
    """Add our layers, their Keras handlers, the Vitis kernel and the backend ``OpenRTL``.

    Args:
        register_backend: hls4ml's function of that name.
        register_writer: hls4ml's function of that name.
    """
    from hls4ml.backends.backend import get_available_backends, get_backend

    if "openrtl" in get_available_backends():
        return

    from hls4ml.model.layers import layer_map, register_layer

    import zynq_lstm.hls.hls4ml.parsing  # noqa: F401 - its classes register themselves when they are defined
    from zynq_lstm.hls.hls4ml.layers import LAYERS
    from zynq_lstm.hls.vitis.templates import TEMPLATES, CopyKernel
    from zynq_lstm.sim.hls4ml.openrtl import OpenRTLBackend, OpenRTLWriter

    for layer in LAYERS:
        if layer.__name__ in layer_map:
            raise RuntimeError(f"hls4ml already has a layer {layer.__name__}")
        register_layer(layer.__name__, layer)

    vitis = get_backend("Vitis")
    for template in TEMPLATES:
        vitis.register_template(template)
    vitis.register_pass("copy_zynq_lstm_kernel", CopyKernel, flow="vitis:write")

    register_writer("OpenRTL", OpenRTLWriter)
    register_backend("OpenRTL", OpenRTLBackend)
