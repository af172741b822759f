# SPDX-License-Identifier: Apache-2.0
"""Small networks and their Keras models for the tests of the hls4ml extension."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.network import IntegerNetwork
from models.spec import PRESETS, Layer, NetworkSpec


def random_network(
    preset: str, vocabulary: int, units: tuple[int, ...], rng: np.random.Generator, extreme: bool = False
) -> IntegerNetwork:
    """Normal weights that use the formats' range, or nothing but the formats' largest and smallest."""
    lstm, dense = PRESETS[preset]
    spec = NetworkSpec(preset, vocabulary, tuple(Layer(n, lstm) for n in units), dense)
    weights = {}
    for name, shape in spec.weight_shapes().items():
        fmt = spec.weight_formats()[name]
        if extreme:
            weights[name] = rng.choice([fmt.min_raw, fmt.max_raw], shape)
        else:
            weights[name] = fmt.requantize(
                rng.normal(0, max(1, fmt.max_raw / 4), shape).astype(np.int64), fmt.frac
            )
    return IntegerNetwork.from_weights(spec, "".join(chr(65 + n) for n in range(vocabulary)), weights)


def keras_model(network: IntegerNetwork, time_steps: int = 1) -> Any:
    """The quantized Keras model with a network's weights."""
    from models.float_lstm import load_weights
    from models.quantized import build_quantized

    model = build_quantized(network.spec, time_steps)
    formats = network.spec.weight_formats()
    load_weights(model, {name: fmt.to_real(network.arrays[name]) for name, fmt in formats.items()})
    return model
