# SPDX-License-Identifier: Apache-2.0
"""The weights and the arithmetic of one quantized layer of any cell.

The remarks of :mod:`zynq_lstm.models.keras.quantized` on exactness and gradients hold here. Shapes: T steps,
B streams, H units, G gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import CellFormats, formats_from_dict, formats_of, formats_to_dict
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.bounds import EXACT_BITS
from zynq_lstm.models.keras.float_lstm import PACKAGE, tf
from zynq_lstm.models.keras.quantizers import quantize_weight, weight_quantizer
from zynq_lstm.models.keras.quiet import import_qkeras
from zynq_lstm.models.keras.steps import Steps

import_qkeras()
import keras  # noqa: E402  (after TensorFlow's messages are out of the way)

#: Keras' names of the weights that every cell has.
KERAS_NAMES = {"W": "kernel", "U": "recurrent_kernel", "b": "bias"}


@keras.saving.register_keras_serializable(package=PACKAGE)
class QuantizedCell(keras.layers.Layer):
    """One layer's weights and the arithmetic of its time steps.

    Args:
        units: H.
        formats: of every signal and weight.
        arithmetic: float type of the sums, ``float32`` or ``float64``.
    """

    def __init__(self, units: int, formats: CellFormats, arithmetic: str = "float32", **kwargs: Any) -> None:
        if arithmetic not in EXACT_BITS:
            raise UserError(f"arithmetic must be {' or '.join(EXACT_BITS)}, got {arithmetic!r}")
        super().__init__(**kwargs)
        self.units = units
        self.formats = formats
        self.arithmetic = arithmetic
        self.steps = Steps(formats.description, units, arithmetic, formats)
        self.quantizers = {name: weight_quantizer(formats.format(name)) for name in formats.weights}

    @property
    def state_size(self) -> list[int]:
        """Width of each array of the state."""
        return [self.units] * len(self.formats.description.state)

    @property
    def output_size(self) -> int:
        """H."""
        return self.units

    def build(self, input_shape: Any) -> None:
        """Create the latent W (inputs, G H), U (H, G H), b (G H) and the cell's vectors (H)."""
        shapes = self.formats.weight_shapes(int(input_shape[-1]), self.units)
        self.latent = {
            name: self.add_weight(shape=shape, initializer="zeros", name=KERAS_NAMES.get(name, name))
            for name, shape in shapes.items()
        }
        self.built = True

    def quantized_weights(self) -> dict[str, Any]:
        """Return every weight on its format's grid, in the arithmetic's float type."""
        return {
            name: tf.cast(
                quantize_weight(self.quantizers[name], self.formats.format(name), weight), self.arithmetic
            )
            for name, weight in self.latent.items()
        }

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Compute one step for ``keras.layers.RNN``, for inference only: the gradient doesn't pass here."""
        weights = self.quantized_weights()
        names = self.formats.description.state
        before = {name: tf.cast(s, self.arithmetic) for name, s in zip(names, states, strict=True)}
        x = tf.matmul(tf.cast(inputs, self.arithmetic), weights["W"]) + weights["b"]
        values = self.steps.run(x, tf.matmul(before["h"], weights["U"]), before, weights)
        return values["h"], [values[name] for name in names]

    def get_config(self) -> dict[str, Any]:
        """Return the settings that :meth:`from_config` needs."""
        return {
            "name": self.name,
            "units": self.units,
            "cell": catalogue.written(self.formats.description),
            "formats": formats_to_dict(self.formats),
            "arithmetic": self.arithmetic,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> QuantizedCell:
        return cls(**read_formats(config))


def read_formats(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a layer's settings with its formats read, and without the name of its cell."""
    settings = dict(config)
    cls = formats_of(catalogue.read(settings.pop("cell", "lstm")))
    return settings | {"formats": formats_from_dict(cls, config["formats"], "formats")}
