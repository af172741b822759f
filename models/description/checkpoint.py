# SPDX-License-Identifier: Apache-2.0
"""Trained weights as one file: float weights, vocabulary, formats if quantized, training record.

The weights of a quantized network are kept as the floats that training moves (its "latent" weights);
``zynq_lstm.models.integers.freeze`` turns them into integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zynq_lstm import models
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import (
    DEFAULT_PRESET,
    NetworkSpec,
    fit_weight_formats,
    network_spec,
    with_formats,
)
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat
from zynq_lstm.models.store import content_hash, load_tensors, save_tensors, typed

SHIPPED = Path(models.__file__).parent / "checkpoints"
FLOAT, QUANTIZED = "float network", "quantized network"


def require_finite(what: str, array: NDArray[Any]) -> None:
    """Refuse an array with a value that is not finite, such as diverged training leaves.

    Args:
        what: name of the array, for the message.

    Raises:
        UserError: a value is not finite; gives the first one, its position, and their number.
    """
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = tuple(map(int, bad[0]))
        raise UserError(
            f"{what} holds {len(bad)} of {array.size} values that are not finite, the first {array[at]} at "
            f"[{', '.join(map(str, at))}]; train again, or load earlier weights"
        )


@dataclass(frozen=True)
class Checkpoint:
    """Trained weights.

    Args:
        vocabulary: the characters in code order.
        weights: float32 arrays by the names of :meth:`NetworkSpec.weight_formats`.
        spec: shape and formats of a quantized network; ``None`` for a float one.
        corpus: name, characters, vocabulary size and SHA-256 of the training text's corpus, and ``folded`` if
            rare characters were folded (:class:`zynq_lstm.models.texts.corpus.Corpus`).
        record: how it was trained; for information only.
        float_cells: cell of each layer of a float network, as :mod:`zynq_lstm.models.cells.catalogue` writes
            it; LSTMs if not given.

    Raises:
        UserError: an array or the folding is illegal; names the array and what is wrong with it.
    """

    vocabulary: str
    weights: Mapping[str, NDArray[Any]] = field(repr=False)
    spec: NetworkSpec | None = None
    corpus: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    float_cells: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        first = np.asarray(self.weights.get("layers.0.U", np.zeros((0, 0))))
        float_shape = {"vocabulary": len(self.vocabulary), "units": first.shape[0], "layers": self.layers}
        shapes = (self.spec or network_spec(**float_shape, cell=self.cells)).weight_shapes()
        for name in [*shapes, *self.weights]:
            if name not in self.weights:
                raise UserError(f"array {name!r} is missing")
            if name not in shapes:
                raise UserError(f"unknown array {name!r}; legal are {', '.join(shapes)}")
            array = np.asarray(self.weights[name])
            if array.shape != shapes[name]:
                raise UserError(f"array {name!r} has shape {array.shape}, must be {shapes[name]}")
            if not np.issubdtype(array.dtype, np.floating):
                raise UserError(f"array {name!r} must hold floating-point numbers, got {array.dtype}")
            require_finite(f"array {name!r}", array)
        folded = self.corpus.get("folded")
        if folded is not None and (
            not isinstance(folded, dict) or folded.get("symbol") not in [*self.vocabulary]
        ):
            raise UserError("corpus.folded in its header must name a symbol of the vocabulary")

    @property
    def layers(self) -> int:
        """Number of recurrent layers."""
        return sum(name.endswith(".U") for name in self.weights)

    @property
    def cells(self) -> tuple[str, ...]:
        """The cell of each layer, as :mod:`zynq_lstm.models.cells.catalogue` writes it."""
        if self.spec:
            return tuple(catalogue.written(layer.formats.description) for layer in self.spec.layers)
        return self.float_cells or ("lstm",) * self.layers

    @property
    def units(self) -> int:
        """Units of the first layer (all are equal in a float network)."""
        return int(self.weights["layers.0.U"].shape[0])

    @property
    def rest(self) -> str:
        """The symbol of the vocabulary that represents all characters outside it; empty if there is none."""
        folded = self.corpus.get("folded")
        return str(folded["symbol"]) if folded else ""

    @property
    def quantized_spec(self) -> NetworkSpec:
        """Shape and formats.

        Raises:
            UserError: the checkpoint is of a float network.
        """
        if self.spec is None:
            raise UserError("the checkpoint is of a float network; quantize it first")
        return self.spec

    @property
    def sha256(self) -> str:
        """Hash of the weights alone, without the metadata."""
        return content_hash(self.weights, {})

    def save(self, path: Path | str) -> str:
        """Write one file, atomically; return its content hash."""
        metadata: dict[str, Any] = {
            "kind": QUANTIZED if self.spec else FLOAT,
            "vocabulary": self.vocabulary,
            "corpus": dict(self.corpus),
            "record": dict(self.record),
        }
        if self.spec:
            metadata["spec"] = self.spec.to_dict()
        elif set(self.cells) != {"lstm"}:
            metadata["cells"] = list(self.cells)
        return save_tensors(path, self.weights, metadata)

    @classmethod
    def load(cls, path: Path | str) -> Checkpoint:
        """Read a file that :meth:`save` wrote.

        Raises:
            UserError: the file is missing, truncated, altered, or holds something else; names the file.
        """
        tensors, metadata = load_tensors(path)
        kind = metadata.get("kind")
        if kind not in (FLOAT, QUANTIZED):
            raise UserError(f"{path}: holds a {kind or 'file'!r}, not a {FLOAT} or {QUANTIZED}")
        try:
            return cls(
                typed(metadata, "vocabulary", str),
                tensors,
                NetworkSpec.from_dict(typed(metadata, "spec", dict)) if kind == QUANTIZED else None,
                typed(metadata, "corpus", dict),
                typed(metadata, "record", dict),
                tuple(typed(metadata, "cells", list)) if "cells" in metadata else (),
            )
        except UserError as error:
            raise UserError(f"{path}: {error}") from None


def preset_spec(
    source: Checkpoint, preset: str, formats: Mapping[str, FixedFormat] = MappingProxyType({})
) -> NetworkSpec:
    """Return a preset for a float network's shape, with the binary points fitted to its weights.

    Args:
        formats: replace the preset's; see :func:`zynq_lstm.models.description.spec.with_formats`.
    """
    shape: dict[str, Any] = {"units": source.units, "layers": source.layers, "cell": source.cells}
    spec = network_spec(preset, vocabulary=len(source.vocabulary), **shape)
    return fit_weight_formats(with_formats(spec, formats), source.weights)


def shipped_files() -> list[Path]:
    """Return the paths of all checkpoints that come with the package."""
    return sorted(SHIPPED.glob("*.safetensors"))


def shipped(name: str, corpus: str = "shakespeare", cell: str = "lstm") -> Path:
    """Return the path of a checkpoint that comes with the package.

    Args:
        name: ``float`` or a preset.
        cell: the cell of all layers.

    Raises:
        UserError: there is no such checkpoint; names those that exist.
    """
    kind = name if cell == "lstm" else f"{cell}-{name}"
    path = SHIPPED / f"{corpus}-{kind}.safetensors"
    if not path.is_file():
        known = ", ".join(p.stem for p in shipped_files()) or "none"
        raise UserError(f"no shipped checkpoint {path.stem!r}; there are: {known}")
    return path


def load_float(path: Path | None = None) -> Checkpoint:
    """Load a float network: the shipped one if no path is given.

    Raises:
        UserError: the file holds a quantized network or is not a zynq-lstm file; names the file.
    """
    path = path or shipped("float")
    checkpoint = Checkpoint.load(path)
    if checkpoint.spec is not None:
        raise UserError(f"{path}: is a quantized network; this takes a float one")
    return checkpoint


def load_quantized(path: Path | None = None) -> Checkpoint:
    """Load a quantized network; otherwise like :func:`load_float`."""
    path = path or shipped(DEFAULT_PRESET)
    checkpoint = Checkpoint.load(path)
    if checkpoint.spec is None:
        raise UserError(f"{path}: is a float network; this takes a quantized one")
    return checkpoint
