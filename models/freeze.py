# SPDX-License-Identifier: Apache-2.0
"""From trained weights to the frozen integer network. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import Checkpoint
from models.errors import UserError
from models.network import IntegerNetwork
from models.spec import NetworkSpec
from sim.fixed import FixedFormat


def freeze_weights(spec: NetworkSpec, weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
    """Raw weights: what QKeras' quantizers give in the quantized model, to the last bit."""
    return {name: fmt.quantize(weights[name]) for name, fmt in spec.weight_formats().items()}


def freeze(source: Any, vocabulary: str | None = None) -> IntegerNetwork:
    """The integer network of a quantized checkpoint or Keras model.

    Args:
        source: a :class:`Checkpoint`, or a model from ``models.quantized``.
        vocabulary: the characters in code order; a checkpoint has its own.

    Raises:
        UserError: the checkpoint is of a float network, or the model's sums aren't exact in its
            float type.
    """
    if isinstance(source, Checkpoint):
        if source.spec is None:
            raise UserError("a float network has no integers; quantize it first")
        weights = freeze_weights(source.spec, source.weights)
        return IntegerNetwork.from_weights(source.spec, source.vocabulary, weights)
    from models.quantized import check_exact, integer_weights, spec_of_model

    if vocabulary is None:
        raise UserError("freezing a Keras model needs its vocabulary")
    check_exact(source)
    return IntegerNetwork.from_weights(spec_of_model(source), vocabulary, integer_weights(source))


def arithmetic_bounds(network: IntegerNetwork, margin: int = 1) -> dict[str, int]:
    """Largest integer that any product, sum or rounding of a layer meets, by Keras layer name.

    In units of the finest binary point that takes part, so that a float type which holds every
    integer up to the bound computes the layer exactly, in any order.

    Args:
        network: whose weights bound the accumulators; all else is bounded by the formats.
        margin: factor by which weights may still grow.
    """
    spec = network.spec
    bounds = {}
    for index, layer in enumerate(spec.layers):
        fmt = layer.formats
        cell = max(_magnitude(fmt.c), 1)
        update_frac = fmt.gate.frac + max(fmt.c.frac, fmt.g.frac)
        update = _magnitude(fmt.gate) * (
            (cell << (update_frac - fmt.gate.frac - fmt.c.frac))
            + (_magnitude(fmt.g) << (update_frac - fmt.gate.frac - fmt.g.frac))
        )
        bounds[f"lstm{index + 1}"] = max(
            _rounding(
                margin * _extent(network.accumulator_range(index)),
                spec.accumulator_frac(index),
                fmt.z,
            ),
            _rounding(update, update_frac, fmt.c),
            _rounding(cell, fmt.c.frac, fmt.ct),
            _rounding(_magnitude(fmt.gate) * _magnitude(fmt.tc), fmt.gate.frac + fmt.tc.frac, fmt.h),
        )
    bounds["logits"] = _rounding(
        margin * _extent(network.output_accumulator_range()),
        spec.output_accumulator_frac(),
        spec.output.logits,
    )
    return bounds


def _rounding(bound: int, frac: int, result: FixedFormat) -> int:
    """Bound on what rounding from ``frac`` fraction bits to ``result`` meets: half is added."""
    shift = frac - result.frac
    return bound + (1 << (shift - 1)) if shift > 0 else bound << -shift


def _magnitude(fmt: FixedFormat) -> int:
    return max(-fmt.min_raw, fmt.max_raw)


def _extent(bounds: tuple[int, int]) -> int:
    return max(-bounds[0], bounds[1])
