# SPDX-License-Identifier: Apache-2.0
"""Convert the quantized Keras model to HLS C++ (hls4ml, Vitis backend) and to RTL (hls4ml, OpenRTL backend).

``import hls4ml`` registers the layers and backends through the entry point
:mod:`zynq_lstm.sim.hls4ml.plugin`. ``hls.run``, ``hls.trace`` and ``hls.reset`` work on converted and
compiled models; see :mod:`zynq_lstm.hls.hls4ml.simulate`, which also has ``generate``.
:mod:`zynq_lstm.hls.engine.project` generates the RTL.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("run", "trace", "reset"):
        from zynq_lstm.hls.hls4ml import simulate

        return getattr(simulate, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
