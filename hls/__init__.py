# SPDX-License-Identifier: Apache-2.0
"""From the quantized Keras model to HLS C++ (hls4ml, Vitis backend) and to RTL (hls4ml, OpenRTL backend).

``hls.register()`` hooks the layers and backends into hls4ml; installed, that happens on ``import hls4ml``.
``hls.run``, ``hls.trace`` and ``hls.reset`` work on converted models, see
:mod:`zynq_lstm.hls.hls4ml.simulate`, which also has ``generate``; :mod:`zynq_lstm.hls.engine.project` writes
RTL.
"""

from __future__ import annotations

from typing import Any


def register() -> None:
    """Hook into hls4ml now; does nothing if that was done already."""
    from hls4ml.backends.backend import register_backend
    from hls4ml.writer.writers import register_writer

    from zynq_lstm.sim.hls4ml.plugin import register as hook

    hook(register_backend=register_backend, register_writer=register_writer)


def __getattr__(name: str) -> Any:
    if name in ("run", "trace", "reset"):
        from zynq_lstm.hls.hls4ml import simulate

        return getattr(simulate, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
