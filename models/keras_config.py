# SPDX-License-Identifier: Apache-2.0
"""The configuration of somebody else's Keras model: what it may name, and the chain that it must be.

A configuration is data. Each class, function and setting in it must be one of those listed here. From what
is known a new configuration is made, so that Keras never sees anything else. The files of Keras 2 and Keras 3
write the same model in different ways; both become the same configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import UserError
from models.spec import MAX_LAYERS, MAX_UNITS, MAX_VOCABULARY

RECURRENT = ("LSTM", "QLSTM")
DENSE = ("Dense", "QDense")
#: Layers that do nothing at inference, and the setting without which Keras doesn't build them.
NOTHING: Mapping[str, str] = {
    "Dropout": "rate",
    "SpatialDropout1D": "rate",
    "GaussianDropout": "rate",
    "GaussianNoise": "stddev",
}
MODELS = ("Sequential", "Functional")
LEGAL = (
    f"legal are one-hot input or Embedding, 1 to {MAX_LAYERS} LSTM or QLSTM, Dense or QDense, softmax, "
    "one after the other"
)

#: The way out for a model with too many characters.
FEWER = (
    "train it on a text with the rare characters replaced by one ('zynq-lstm corpus --fold-rare' writes it)"
)

GATE_QUANTIZERS, TANH_QUANTIZERS = ("quantized_sigmoid",), ("quantized_tanh",)
QUANTIZERS = (
    "quantized_bits",
    "quantized_linear",
    "quantized_po2",
    "ternary",
    "binary",
    *TANH_QUANTIZERS,
    *GATE_QUANTIZERS,
)
GATES = ("sigmoid", "hard_sigmoid")
TANHS = ("tanh", "hard_tanh")
OUTPUTS = ("softmax", "linear")


@dataclass(frozen=True)
class Kind:
    """The settings of a class of layers.

    Args:
        kept: change what the layer computes; taken over.
        called: of these, what names a function or a quantizer: legal functions, and legal quantizers.
        fixed: must have this value, if they are there at all.
        ignored: matter to training or speed only.
    """

    kept: tuple[str, ...] = ()
    called: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] | None = None
    fixed: Mapping[str, Any] | None = None
    ignored: tuple[str, ...] = ()


_EVERY = (
    "name",
    "trainable",
    "dtype",
    "batch_input_shape",
    "autocast",
    "seed",
    "noise_shape",
    "input_dim",
    "input_length",
    "lora_alpha",
)
_TRAINING = ("_initializer", "_regularizer", "_constraint", "_range")  # ends of names
_LSTM = Kind(
    ("units", "use_bias", "return_sequences"),
    {"activation": (TANHS, TANH_QUANTIZERS), "recurrent_activation": (GATES, GATE_QUANTIZERS)},
    {"go_backwards": False, "return_state": False, "time_major": False},
    (
        "unit_forget_bias",
        "dropout",
        "recurrent_dropout",
        "implementation",
        "stateful",
        "unroll",
        "zero_output_for_mask",
        "use_cudnn",
    ),
)
_DENSE = Kind(
    ("units", "use_bias"),
    {"activation": (OUTPUTS, ())},
    {"lora_rank": None, "quantization_config": None},
)
_WEIGHTS: tuple[tuple[str, ...], tuple[str, ...]] = ((), QUANTIZERS)


def _quantized(kind: Kind, *names: str) -> Kind:
    more = dict.fromkeys((f"{name}_quantizer" for name in names), _WEIGHTS)
    return Kind(kind.kept, {**(kind.called or {}), **more}, kind.fixed, kind.ignored)


KINDS: Mapping[str, Kind] = {
    "LSTM": _LSTM,
    "QLSTM": _quantized(_LSTM, "kernel", "recurrent", "bias", "state"),
    "Dense": _DENSE,
    "QDense": _quantized(_DENSE, "kernel", "bias"),
    "Embedding": Kind(
        ("input_dim", "output_dim"),
        fixed={"mask_zero": False, "lora_rank": None, "quantization_config": None},
    ),
    "TimeDistributed": Kind(("layer",)),
    "Activation": Kind(called={"activation": (OUTPUTS, ())}),
    "Softmax": Kind(("axis",)),
    **{name: Kind((setting,)) for name, setting in NOTHING.items()},
    "InputLayer": Kind(
        ("batch_shape",), fixed={"sparse": False, "ragged": False, "optional": False, "input_tensor": None}
    ),
}
#: Why a setting of :attr:`Kind.fixed` is refused.
REASONS: Mapping[str, str] = {
    "mask_zero": "the hardware skips no character",
    "go_backwards": "text is read forwards",
    "return_state": "the hardware keeps its state",
    "time_major": "the first axis is the batch",
}
#: Classes for which a user may hope, and why there is nothing.
HOPELESS: Mapping[str, str] = {
    **dict.fromkeys(("GRU", "QGRU", "SimpleRNN", "QSimpleRNN"), "there is no hardware for it"),
    **dict.fromkeys(("Bidirectional", "QBidirectional"), "text is read forwards only"),
    **dict.fromkeys(("Sequential", "Functional", "Model"), "a model in a model; add its layers themselves"),
    "Masking": "the hardware skips no character",
    "CuDNNLSTM": "load it in Keras 2 into the same model made of LSTM layers, and save that",
}
DTYPES = (
    "float32",
    "float16",
    "bfloat16",
    "float64",
    "mixed_float16",
    "mixed_bfloat16",
)


@dataclass(frozen=True)
class FileLayer:
    """A layer of the chain.

    Args:
        kind: class; of the layer in a TimeDistributed that one's.
        name: as in the file; a TimeDistributed's own.
        settings: those of :attr:`Kind.kept` and :attr:`Kind.called`, ready for Keras.
        dtype: its policy's name.
        sources: for each of its uses, the layers that it reads.
        wrapped: name of the layer in a TimeDistributed; empty if there is none.
    """

    kind: str
    name: str
    settings: Mapping[str, Any]
    dtype: str
    sources: tuple[tuple[str, ...], ...]
    wrapped: str = ""

    def config(self) -> dict[str, Any]:
        """What Keras 3 builds the layer from."""
        inner = {"name": self.wrapped or self.name, "dtype": "float32", **self.settings}
        own = _object(self.kind, inner)
        if self.wrapped:
            own = _object("TimeDistributed", {"name": self.name, "dtype": "float32", "layer": own})
        return own


@dataclass(frozen=True)
class Chain:
    """A model that is a chain of layers.

    Args:
        layers: in order, without the input.
        input_name: name of the input layer.
        window: characters that the model takes at once; None for any number.
        outputs: names of the layers that the model's outputs are of.
        sequential: whether the file says so; otherwise it has a graph.
    """

    layers: tuple[FileLayer, ...]
    input_name: str
    window: int | None
    outputs: tuple[str, ...]
    sequential: bool

    def of(self, *kinds: str) -> list[FileLayer]:
        """The layers of these classes."""
        return [layer for layer in self.layers if layer.kind in kinds]

    @property
    def embedding(self) -> FileLayer | None:
        """The embedding, for a model that reads codes; otherwise it reads one-hot vectors."""
        return next(iter(self.of("Embedding")), None)

    @property
    def recurrent(self) -> list[FileLayer]:
        """The LSTM layers."""
        return self.of(*RECURRENT)

    @property
    def dense(self) -> FileLayer:
        """The output layer."""
        return self.of(*DENSE)[0]

    @property
    def vocabulary(self) -> int:
        """Number of characters."""
        return int(self.dense.settings["units"])

    @property
    def last_only(self) -> bool:
        """Whether the model answers after a window's last character only."""
        return not self.recurrent[-1].settings["return_sequences"]

    @property
    def softmax(self) -> FileLayer | None:
        """The layer with a softmax."""
        return next((x for x in self.layers if "softmax" in (x.kind.lower(), _activation(x))), None)

    def config(self) -> dict[str, Any]:
        """What Keras 3 builds the model from: the file's own graph, for any number of characters.

        All is float32. Nothing of what only training needs is in it.
        """
        shape = [None, None] if self.embedding else [None, None, self.vocabulary]
        kind = "int32" if self.embedding else "float32"
        first = _object("InputLayer", {"batch_shape": shape, "dtype": kind, "name": self.input_name})
        layers = [{**first, "name": self.input_name, "inbound_nodes": []}]
        for layer in self.layers:
            nodes = [
                {"args": [_tensor(*_use(name)) for name in names], "kwargs": {}} for names in layer.sources
            ]
            layers.append({**layer.config(), "name": layer.name, "inbound_nodes": nodes})
        ends = [[*_use(name), 0] for name in self.outputs]
        graph = {
            "input_layers": [self.input_name, 0, 0],
            "output_layers": ends[0] if len(ends) == 1 else ends,
        }
        return {"name": "theirs", "layers": layers, **graph}


def _activation(layer: FileLayer) -> Any:
    return layer.settings.get("activation")


def _object(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """As Keras 3 writes an object."""
    if kind in QUANTIZERS:
        module, registered = "qkeras.quantizers", f"qkeras>{kind}"
    elif kind in ("QLSTM", "QDense"):
        module, registered = "qkeras", f"qkeras>{kind}"
    else:
        module, registered = "keras.layers", None
    return {"module": module, "class_name": kind, "config": dict(config), "registered_name": registered}


def _tensor(name: str, use: int) -> dict[str, Any]:
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, use, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def _use(source: str) -> tuple[str, int]:
    """Layer and number of its use, from how :func:`_sources` writes it."""
    name, _, use = source.rpartition("#")
    return name, int(use)


def read_chain(path: Path, config: Any) -> Chain:
    """The chain of layers that a model's configuration describes.

    Args:
        path: of the file, for messages.
        config: as Keras 2 or Keras 3 writes it.

    Raises:
        UserError: naming the layer, and what is legal.
    """
    kind = config.get("class_name") if isinstance(config, dict) else None
    inner = config.get("config") if isinstance(config, dict) else None
    if kind not in ("Model", *MODELS):
        raise UserError(f"{path}: holds a {kind}; legal are {' and '.join(MODELS)} models")
    if isinstance(inner, list):  # Keras 1 and early Keras 2
        inner = {"layers": inner}
    if not isinstance(inner, dict) or not isinstance(inner.get("layers"), list):
        raise UserError(f"{path}: not a Keras model: its configuration has no layers")
    _plain_names(path, "the model", config, kind)
    entries = inner["layers"]
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
            raise UserError(f"{path}: not a Keras model: a layer without a configuration")
    for entry in entries:  # first, because a mask brings layers that nobody has written
        if entry["config"].get("mask_zero"):
            _check_fixed(path, _label(entry), "Embedding", entry["config"])
    sequential = kind == "Sequential"
    if sequential:
        entries = _with_input(path, config, entries)
    read = [_layer(path, entry, sequential, entries[k - 1] if k else None) for k, entry in enumerate(entries)]
    inputs = [layer for layer in read if layer.kind == "InputLayer"]
    layers = tuple(layer for layer in read if layer.kind != "InputLayer")
    if not inputs:
        raise UserError(f"{path}: the model has no input")
    given = (
        (f"{layers[-1].name}#0",)
        if sequential and layers
        else tuple(f"{name}#{use}" for name, use, _ in _references(inner.get("output_layers")))
    )
    shape = inputs[0].settings["batch_shape"]
    window = shape[1] if len(shape) > 1 else None
    chain = Chain(layers, inputs[0].name, window, given, sequential)
    check_chain(path, chain, inputs)
    _check_order(path, chain)
    _check_sizes(path, chain, shape)
    return chain


def _with_input(path: Path, config: Mapping[str, Any], entries: list[Any]) -> list[Any]:
    """The layers of a Sequential with its input first, which files keep in different places."""
    if not entries or entries[0].get("class_name") == "InputLayer":
        return entries
    inner = config["config"] if isinstance(config["config"], dict) else {}
    build = config.get("build_config")
    shape = (
        entries[0]["config"].get("batch_input_shape")
        or inner.get("build_input_shape")
        or (build.get("input_shape") if isinstance(build, dict) else None)
    )
    if not isinstance(shape, list):
        raise UserError(f"{path}: the model was never built: it has no input shape and no weights")
    name = "input"
    while any(entry["config"].get("name") == name for entry in entries):
        name += "_"
    return [{"class_name": "InputLayer", "config": {"name": name, "batch_shape": shape}}, *entries]


def _label(entry: Mapping[str, Any]) -> str:
    return f"layer {entry['config'].get('name', entry.get('name'))!r}"


def _kind(entry: Mapping[str, Any]) -> str:
    """The class; files in HDF5 write QKeras' with its package."""
    kind = entry.get("class_name")
    return str(kind).removeprefix("qkeras>")


def _layer(path: Path, entry: Mapping[str, Any], sequential: bool, before: Any) -> FileLayer:
    kind, config, label = _kind(entry), entry["config"], _label(entry)
    if kind == "Lambda":
        raise UserError(f"{path}: {label} is a Lambda, which would run code from the file; {LEGAL}")
    if kind not in KINDS:
        why = f"{HOPELESS[kind]}; " if kind in HOPELESS else ""
        raise UserError(f"{path}: {label} is a {kind}: {why}{LEGAL}")
    _plain_names(path, label, entry, kind)
    name = config.get("name", entry.get("name"))
    if not isinstance(name, str) or not name or "#" in name or "/" in name:
        raise UserError(f"{path}: {label}: its name must be a text without # and /")
    source: Iterable[tuple[str, ...]]
    if sequential:
        source = [] if before is None else [(str(before["config"].get("name", before.get("name"))) + "#0",)]
    else:
        source = _sources(path, label, entry.get("inbound_nodes"))
    wrapped, dtype = "", _dtype(path, label, None if kind == "InputLayer" else config.get("dtype"))
    settings = _settings(path, label, kind, config)
    if kind == "TimeDistributed":
        inner = config.get("layer")
        if not isinstance(inner, dict) or _kind(inner) not in DENSE or not isinstance(inner["config"], dict):
            held = _kind(inner) if isinstance(inner, dict) else inner
            raise UserError(f"{path}: {label} wraps a {held}; TimeDistributed may hold a Dense or QDense")
        _plain_names(path, label, inner, _kind(inner))
        kind, wrapped = _kind(inner), str(inner["config"].get("name") or "dense")
        settings = _settings(path, label, kind, inner["config"])
        policy = _dtype(path, label, inner["config"].get("dtype"))
        dtype = policy if dtype == "float32" else dtype
    return FileLayer(kind, name, settings, dtype, tuple(source), wrapped)


def _settings(path: Path, label: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that change what a layer computes; refuses any that isn't known."""
    known = KINDS[kind]
    _check_fixed(path, label, kind, config)
    called = known.called or {}
    settings: dict[str, Any] = {}
    for key, value in config.items():
        if kind == "InputLayer" and key == "batch_input_shape":
            key = "batch_shape"
        if key in called:
            settings[key] = _called(path, label, key, value, *called[key])
        elif key in known.kept:
            settings[key] = value
        elif not (key in (*_EVERY, *known.ignored) or key in (known.fixed or {}) or key.endswith(_TRAINING)):
            raise UserError(f"{path}: {label}: the setting {key}={value!r} of {kind} isn't taken in")
    _check_settings(path, label, kind, settings)
    return settings


def _check_fixed(path: Path, label: str, kind: str, config: Mapping[str, Any]) -> None:
    for key, legal in (KINDS[kind].fixed or {}).items():
        value = config.get(key, legal)
        if value != legal and value is not None:
            why = f": {REASONS[key]}" if key in REASONS else ""
            raise UserError(f"{path}: {label}: {key}={value!r}; {legal} is legal{why}")


def _check_settings(path: Path, label: str, kind: str, settings: dict[str, Any]) -> None:
    """Types and ranges of the settings that are numbers; what old files leave out gets its default."""
    whole = {"LSTM": ("units",), "Dense": ("units",), "Embedding": ("input_dim", "output_dim")}
    for key in whole.get(kind.removeprefix("Q"), ()):
        value = settings.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{path}: {label}: {key} must be a whole number, got {value!r}")
    if kind in (*RECURRENT, *DENSE):
        settings.setdefault("use_bias", True)
    if kind in RECURRENT:
        settings.setdefault("return_sequences", False)
        if settings["units"] > MAX_UNITS:
            raise UserError(f"{path}: {label}: has {settings['units']} units; at most {MAX_UNITS} are legal")
    for key in ("use_bias", "return_sequences"):
        if key in settings and not isinstance(settings[key], bool):
            raise UserError(f"{path}: {label}: {key} must be true or false, got {settings[key]!r}")
    if kind in NOTHING and not isinstance(settings.get(NOTHING[kind]), int | float):
        raise UserError(f"{path}: {label}: {NOTHING[kind]} must be a number")
    if kind == "InputLayer":
        shape = settings.get("batch_shape")
        if isinstance(shape, dict):  # how some files write a tuple
            shape = settings["batch_shape"] = shape.get("items")
        if not isinstance(shape, list) or not all(isinstance(n, int) or n is None for n in shape):
            raise UserError(f"{path}: {label}: its shape must be a list of numbers, got {shape!r}")


def _called(
    path: Path, label: str, key: str, value: Any, functions: Sequence[str], quantizers: Sequence[str]
) -> Any:
    """A function or quantizer, rebuilt of what is known about it."""
    legal = f"legal are {', '.join([*functions, *quantizers])}"
    if value is None:
        if key.endswith("_quantizer"):
            return None
        value = "linear"  # what Keras takes None for
    if isinstance(value, str):
        if value not in functions:
            raise UserError(f"{path}: {label} has {key}={value!r}; {legal}")
        return value
    if not isinstance(value, dict):
        raise UserError(f"{path}: {label}: {key} must name a function, got {value!r}; {legal}")
    kind, config = _kind(value), value.get("config")
    _plain_names(path, label, value, kind)
    if kind not in quantizers:
        raise UserError(f"{path}: {label} has {key} of class {kind}, which isn't taken in; {legal}")
    if not isinstance(config, dict):
        raise UserError(f"{path}: {label}: {key} has no configuration")
    for name, setting in config.items():
        items = setting if isinstance(setting, list) else [setting]
        if not all(item is None or isinstance(item, bool | int | float | str) for item in items):
            raise UserError(f"{path}: {label}: {name} of its {key} isn't a number")
        if name in ("bits", "integer") and (not isinstance(setting, int) or isinstance(setting, bool)):
            raise UserError(f"{path}: {label}: {name} of its {key} must be a whole number, got {setting!r}")
    if key == "state_quantizer" and config.get("alpha") in ("auto", "auto_po2"):
        raise UserError(
            f"{path}: {label}: the scale of its state_quantizer (alpha={config['alpha']!r}) changes with the "
            "data; None and 1 are legal"
        )
    return _object(kind, config)


def _plain_names(path: Path, label: str, value: Mapping[str, Any], kind: Any) -> None:
    """A class must be what it says: Keras goes by the registered name first, then by the module."""
    registered, module = value.get("registered_name"), value.get("module")
    if registered not in (None, kind, f"qkeras>{kind}"):
        raise UserError(f"{path}: {label} says {kind}, but is registered as {registered!r}")
    if module is not None and str(module).split(".")[0] not in ("keras", "qkeras", "tf_keras", "builtins"):
        raise UserError(f"{path}: {label} is of the module {module!r}; legal are those of Keras and QKeras")


def _dtype(path: Path, label: str, dtype: Any) -> str:
    """Name of a layer's policy; its weights are read as float32."""
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name") if isinstance(inner, dict) else dtype.get("class_name")
    if dtype is None:
        return "float32"
    if dtype not in DTYPES:
        raise UserError(f"{path}: {label}: dtype {dtype}; legal are {', '.join(DTYPES)}")
    return str(dtype)


def _references(value: Any) -> Iterator[tuple[str, int, int]]:
    """All (layer, use, tensor) in a structure of lists and objects."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__" and isinstance(value.get("config"), dict):
            yield from _references(value["config"].get("keras_history"))
        else:
            for item in value.values():
                yield from _references(item)
    elif isinstance(value, list):
        head = value[:3]
        if len(head) == 3 and isinstance(head[0], str) and all(isinstance(n, int) for n in head[1:]):
            yield head[0], head[1], head[2]
            value = value[3:]
        for item in value:
            yield from _references(item)


def _keywords(node: Any) -> Iterator[tuple[str, Any]]:
    """Keyword arguments of a layer's use: Keras 3 keeps them beside the others, Keras 2 after each."""
    if isinstance(node, dict) and isinstance(node.get("kwargs"), dict):
        yield from node["kwargs"].items()
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, list):
                yield from _keywords(item)
            elif isinstance(item, dict):
                yield from item.items()


def _sources(path: Path, label: str, nodes: Any) -> Iterator[tuple[str, ...]]:
    """For each use of a layer, the layers that it reads, as ``NAME#USE``."""
    for node in nodes if isinstance(nodes, list) else []:
        for key, value in _keywords(node):
            if value is not None and value is not False:
                what = value if isinstance(value, bool | int | float | str) else "another layer's output"
                raise UserError(f"{path}: {label} is called with {key}={what}; its input alone is legal")
        found = []
        for name, use, tensor in _references(node):
            if tensor:
                raise UserError(f"{path}: {label} reads a state of layer {name!r}; its output alone is legal")
            found.append(f"{name}#{use}")
        yield tuple(found)


def check_chain(path: Path, chain: Chain, inputs: Sequence[FileLayer]) -> None:
    """Refuse any graph but a chain: each layer used once, on the output of the one before.

    Raises:
        UserError: naming the layer.
    """
    if len(inputs) != 1 or len(chain.outputs) != 1:
        raise UserError(
            f"{path}: the model has {len(inputs)} inputs and {len(chain.outputs)} outputs; "
            "one of each is legal"
        )
    names = [inputs[0].name, *(layer.name for layer in chain.layers)]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}: layer {name!r} is there twice; each layer once is legal")
    for before, layer in zip(names, chain.layers, strict=False):
        label = f"{path}: layer {layer.name!r}"
        if len(layer.sources) != 1:
            raise UserError(f"{label} is applied {len(layer.sources)} times; once is legal")
        (read,) = layer.sources
        if len(read) != 1:
            raise UserError(f"{label} has {len(read)} inputs; one is legal")
        if read != (f"{before}#0",):
            raise UserError(
                f"{label} reads layer {_use(read[0])[0]!r}, not the layer before it, {before!r}; {LEGAL}"
            )
    if chain.outputs != (f"{names[-1]}#0",):
        raise UserError(
            f"{path}: the model's output is of layer {_use(chain.outputs[0])[0]!r}; it must be of the last "
            f"layer, {names[-1]!r}"
        )


def _check_order(path: Path, chain: Chain) -> None:
    """Refuse layers in a place where they have no hardware."""
    recurrent = dense = softmax = None
    for k, layer in enumerate(chain.layers):
        kind, label = layer.kind, f"{path}: layer {layer.name!r}"
        legal = (
            (kind == "Embedding" and k == 0)
            or (kind in RECURRENT and dense is None)
            or (kind in DENSE and recurrent is not None and dense is None)
            or (kind in ("Softmax", "Activation") and dense is not None)
            or kind in NOTHING
        )
        if not legal:
            raise UserError(f"{label}: a {kind} is not possible in this place; {LEGAL}")
        if kind in RECURRENT:
            if recurrent is not None and not recurrent.settings["return_sequences"]:
                raise UserError(
                    f"{path}: layer {recurrent.name!r}: return_sequences=False; True is legal below another "
                    "layer"
                )
            recurrent = layer
        dense = layer if kind in DENSE else dense
        if "softmax" in (kind.lower(), _activation(layer)):
            if softmax is not None:
                raise UserError(f"{label}: a softmax after that of layer {softmax.name!r}; one is legal")
            softmax = layer
    if recurrent is None or dense is None:
        raise UserError(f"{path}: the model has no {'Dense' if recurrent else 'LSTM'} layer; {LEGAL}")
    if len(chain.recurrent) > MAX_LAYERS:
        raise UserError(
            f"{path}: layer {chain.recurrent[MAX_LAYERS].name!r} is LSTM layer {MAX_LAYERS + 1}; at most "
            f"{MAX_LAYERS} are legal"
        )
    for layer in chain.of("Softmax"):
        last, axis = (1 if chain.last_only else 2), layer.settings.get("axis", -1)
        if axis not in (-1, last, [-1], [last]):
            raise UserError(
                f"{path}: layer {layer.name!r}: softmax over axis {axis}; the last, -1, is legal: the others "
                "mix characters of the text"
            )
    if dense.wrapped and chain.last_only:
        raise UserError(
            f"{path}: layer {dense.name!r} is a TimeDistributed, but layer {recurrent.name!r} has "
            "return_sequences=False; True is legal below it"
        )


def _check_sizes(path: Path, chain: Chain, shape: Sequence[int | None]) -> None:
    """Refuse an input that isn't text."""
    dense, first = chain.dense, chain.embedding or chain.recurrent[0]
    wanted = 2 if chain.embedding else 3
    if len(shape) != wanted:
        raise UserError(
            f"{path}: the input has the shape {tuple(shape)}; legal are one-hot (batch, time, characters), "
            "or (batch, time) into an Embedding"
        )
    read = chain.embedding.settings["input_dim"] if chain.embedding else shape[2]
    if read != chain.vocabulary:
        raise UserError(
            f"{path}: layer {first.name!r} reads {read} different characters, layer {dense.name!r} answers "
            f"with {chain.vocabulary}; they must be as many"
        )
    if not 2 <= chain.vocabulary <= MAX_VOCABULARY:
        raise UserError(
            f"{path}: layer {dense.name!r} answers with {chain.vocabulary} characters; a network has 2 to "
            f"{MAX_VOCABULARY}: {FEWER}"
        )
