# SPDX-License-Identifier: Apache-2.0
"""Small networks and their Keras models for the tests of the hls4ml extension."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.networks import small_spec, with_weights
from zynq_lstm.models.errors import require_package
from zynq_lstm.models.integers.network import IntegerNetwork

# g++ looks for wrong frees and deletes even with -w; with constant weights this takes 90 % of its time.
UNANALYSED = ("-Wno-free-nonheap-object", "-Wno-mismatched-dealloc", "-Wno-mismatched-new-delete")


def random_network(
    preset: str, vocabulary: int, units: tuple[int, ...], rng: np.random.Generator, extreme: bool = False
) -> IntegerNetwork:
    """Return a network of a preset with random weights; see :func:`tests.networks.with_weights`."""
    return with_weights(small_spec(preset, vocabulary, units), rng, extreme)


def keras_model(network: IntegerNetwork, time_steps: int = 1) -> Any:
    """Return the quantized Keras model with a network's weights."""
    from zynq_lstm.models.keras.float_lstm import load_weights
    from zynq_lstm.models.keras.quantized import build_quantized

    model = build_quantized(network.spec, time_steps)
    formats = network.spec.weight_formats()
    load_weights(model, {name: fmt.to_real(network.arrays[name]) for name, fmt in formats.items()})
    return model


def kernel_includes(folder: Path) -> list[str]:
    """Return g++'s options for the kernel's headers; write the generated header to ``folder``."""
    import hls4ml  # noqa: F401 - first: it imports the templates, too

    from zynq_lstm.hls.vitis.templates import HEADERS, noise_header

    (folder / "zynq_lstm_noise.h").write_text(noise_header())
    templates = require_package("hls4ml") / "templates" / "vivado"
    return [f"-I{path}" for path in (folder, HEADERS, templates / "ap_types", templates / "nnet_utils")]
