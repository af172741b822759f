# SPDX-License-Identifier: Apache-2.0
"""The format of every signal of a layer, by cell, and the activation tables that follow from them.

The equations are those of Gers, Schmidhuber and Cummins (2000), "Learning to Forget"; where each
format applies, and in what order, is the contract of ``docs/numerics.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Overflow, Raw

#: The gate order, stated here only: column block k of W, U and b (each ``units`` wide) is GATES[k].
#: It is Keras' order, where g is called c.
GATES = ("i", "f", "g", "o")

MAX_TABLE_BITS = 14  # an activation table of more than 2**14 entries needs more block RAM than is sensible

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the logistic function in a form that cannot overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


#: The functions that an activation table may hold. The hard ones are those of Keras 3 (``hard_sigmoid``,
#: ``hard_tanh``), and those of Keras 2 and QKeras, whose ``hard_sigmoid`` are different functions.
FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "sigmoid": sigmoid,
        "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0.0, 1.0),
        "keras2_hard_sigmoid": lambda x: np.clip(x / 5 + 0.5, 0.0, 1.0),
        "qkeras_hard_sigmoid": lambda x: np.clip(x / 2 + 0.5, 0.0, 1.0),
        "tanh": np.tanh,
        "hard_tanh": lambda x: np.clip(x, -1.0, 1.0),
    }
)


@dataclass(frozen=True)
class Table:
    """An activation table: a ``value`` for every raw ``index``. The attributes name fields of the formats."""

    index: str
    value: str
    function: str  # the field that holds the function's name


class CellFormats:
    """Base class for the formats of a cell: formats by field name, tables, and the shapes of the weights.

    A subclass is a frozen dataclass. Its fields are the formats of one layer, and the names of its functions.
    """

    cell: ClassVar[str]
    #: Column block k of W, U and b (each ``units`` wide) belongs to gates[k].
    gates: ClassVar[tuple[str, ...]]
    #: The signals in a trace, in the order in which they are computed.
    signals: ClassVar[tuple[str, ...]]
    weights: ClassVar[tuple[str, ...]] = ("W", "U", "b")
    tables: ClassVar[Mapping[str, Table]]
    has_c: ClassVar[bool]  # True if the cell has a state c besides h

    def __post_init__(self) -> None:
        for table in self.tables.values():
            fmt = self.format(table.index)
            if fmt.bits > MAX_TABLE_BITS:
                raise UserError(
                    f"format {table.index}: {fmt} would need a table of 2**{fmt.bits} entries; "
                    f"at most {MAX_TABLE_BITS} bits are possible"
                )
            name = getattr(self, table.function)
            if name not in FUNCTIONS:
                raise UserError(f"unknown function {name!r}; legal are {', '.join(FUNCTIONS)}")

    @classmethod
    def format_names(cls) -> tuple[str, ...]:
        """Return the names of the fields that are formats."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.type != "str")  # type: ignore[arg-type]

    @classmethod
    def signal_fields(cls) -> tuple[str, ...]:
        """Return the names of the fields that are formats of signals, not of weights."""
        return tuple(name for name in cls.format_names() if name not in cls.weights)

    def format(self, name: str) -> FixedFormat:
        """Return the format in the field ``name``."""
        fmt = getattr(self, name)
        assert isinstance(fmt, FixedFormat)
        return fmt

    def signal_format(self, signal: str) -> FixedFormat:
        """Return the format of a signal of :attr:`signals`; gates may share one."""
        return self.format(self.signal_field(signal))

    @classmethod
    def signal_field(cls, signal: str) -> str:
        """Return the name of the field with the signal's format."""
        return signal if signal in cls.format_names() else "gate"

    def table(self, name: str) -> Raw:
        """Compute the table ``name``; see :func:`activation_table`."""
        table = self.tables[name]
        function = FUNCTIONS[getattr(self, table.function)]
        return activation_table(function, self.format(table.index), self.format(table.value))

    @classmethod
    def weight_shapes(cls, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight array of a layer."""
        columns = len(cls.gates) * units
        return {"W": (inputs, columns), "U": (units, columns), "b": (columns,)}


@dataclass(frozen=True)
class LstmFormats(CellFormats):
    """Formats of one LSTM layer."""

    W: FixedFormat  # kernel (inputs, 4 units)
    U: FixedFormat  # recurrent kernel (units, 4 units)
    b: FixedFormat  # bias (4 units,)
    z: FixedFormat  # the four pre-activations; indexes the gates' tables
    gate: FixedFormat  # i, f, o
    g: FixedFormat  # candidate
    c: FixedFormat  # cell state
    ct: FixedFormat  # c as the tanh table sees it
    tc: FixedFormat  # tanh(c)
    h: FixedFormat  # hidden state, and input of the layer above
    sigmoid: str = "sigmoid"  # function of i, f, o
    tanh: str = "tanh"  # function of g and of c

    cell = "lstm"
    gates = GATES
    signals = ("z", *GATES, "c", "ct", "tc", "h")
    tables = MappingProxyType(
        {
            "sigmoid": Table("z", "gate", "sigmoid"),
            "tanh": Table("z", "g", "tanh"),
            "tanh_c": Table("ct", "tc", "tanh"),
        }
    )
    has_c = True


#: Signals of one unit of an LSTM layer, in the order in which they are computed.
UNIT_SIGNALS = (*(f"z_{gate}" for gate in GATES), *LstmFormats.signals[1:])


@dataclass(frozen=True)
class GruFormats(CellFormats):
    """Formats of one GRU layer (Cho et al. 2014, with the reset gate applied after the product, as in cuDNN).

    The state is kept wider than the products see it: c is the state, h is c rounded.
    """

    W: FixedFormat  # kernel (inputs, 3 units)
    U: FixedFormat  # recurrent kernel (units, 3 units)
    b: FixedFormat  # bias (3 units,)
    rb: FixedFormat  # bias of the candidate's recurrent sum (units,)
    z: FixedFormat  # the three pre-activations; indexes the tables
    gate: FixedFormat  # u, r
    p: FixedFormat  # the candidate's recurrent sum, before the reset gate
    n: FixedFormat  # candidate
    c: FixedFormat  # state
    h: FixedFormat  # the state as the products see it, and input of the layer above
    sigmoid: str = "sigmoid"  # function of u, r
    tanh: str = "tanh"  # function of n

    cell = "gru"
    gates = ("u", "r", "n")  # update, reset, candidate: Keras' z, r, h
    signals = ("p", "z", *gates, "c", "h")
    weights = ("W", "U", "b", "rb")
    tables = MappingProxyType({"sigmoid": Table("z", "gate", "sigmoid"), "tanh": Table("z", "n", "tanh")})
    has_c = True

    @classmethod
    def weight_shapes(cls, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        return super().weight_shapes(inputs, units) | {"rb": (units,)}


@dataclass(frozen=True)
class RnnFormats(CellFormats):
    """Formats of one layer of a vanilla recurrent network (Elman 1990)."""

    W: FixedFormat  # kernel (inputs, units)
    U: FixedFormat  # recurrent kernel (units, units)
    b: FixedFormat  # bias (units,)
    z: FixedFormat  # pre-activation; indexes the table
    h: FixedFormat  # hidden state, and input of the layer above
    tanh: str = "tanh"

    cell = "rnn"
    gates = ("h",)
    signals = ("z", "h")
    tables = MappingProxyType({"tanh": Table("z", "h", "tanh")})
    has_c = False


#: The cells that have an exact quantized form.
CELLS: Mapping[str, type[CellFormats]] = MappingProxyType(
    {formats.cell: formats for formats in (LstmFormats, GruFormats, RnnFormats)}
)


@dataclass(frozen=True)
class DenseFormats:
    """Formats of the output layer."""

    W: FixedFormat  # kernel (units, vocabulary)
    b: FixedFormat  # bias (vocabulary,)
    logits: FixedFormat


def activation_table(function: Function, index: FixedFormat, result: FixedFormat) -> Raw:
    """Compute ``result.quantize(function(value))`` for every value of ``index``; shape (2**index.bits,).

    Entry k belongs to the raw value whose two's complement bits read as the unsigned number k,
    which is how a memory is addressed. :func:`table_address` gives the entry of a raw value.
    """
    address = np.arange(1 << index.bits, dtype=np.int64)
    raw = np.where(address > index.max_raw, address - (1 << index.bits), address)
    return result.quantize(function(index.to_real(raw)))


def table_address(raw: NDArray[Any], index: FixedFormat) -> NDArray[Any]:
    """Return the address of a raw value of format ``index`` in an activation table."""
    return raw & ((1 << index.bits) - 1)


def cell_formats_type(cell: str) -> type[CellFormats]:
    """Return the type of a cell's formats.

    Raises:
        UserError: the cell is unknown; names the legal ones.
    """
    if cell not in CELLS:
        raise UserError(f"unknown cell {cell!r}; legal are {', '.join(CELLS)}")
    return CELLS[cell]


def formats_from_dict(cls: type[Any], data: Any, where: str) -> Any:
    """Read the formats of a cell, or :class:`DenseFormats`, from texts by field name."""
    fields = dataclasses.fields(cls)
    given = tuple(f.name for f in fields if f.default is dataclasses.MISSING)
    functions = tuple(f.name for f in fields if f.name not in given)
    data = checked_object(data, where, given, optional=functions)
    formats = {}
    for name, text in data.items():
        try:
            formats[name] = text if name in functions else FixedFormat.parse(text)
        except (TypeError, ValueError) as error:
            raise UserError(f"{where}.{name}: {error}") from None
    return cls(**formats)


def formats_to_dict(formats: CellFormats | DenseFormats) -> dict[str, str]:
    """Return the formats as :func:`formats_from_dict` reads them; functions only if not the default."""
    fields = dataclasses.fields(formats)  # type: ignore[arg-type]
    return {f.name: str(getattr(formats, f.name)) for f in fields if getattr(formats, f.name) != f.default}


def checked_object(
    data: Any, where: str, keys: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return ``data`` if it is a dictionary with all of ``keys`` and no others but ``optional``.

    Raises:
        UserError: it is something else; names the fault and the legal keys.
    """
    legal = (*keys, *optional)
    if not isinstance(data, dict):
        raise UserError(f"{where}: must be an object with keys {', '.join(keys)}, got {type(data).__name__}")
    for key in data:
        if key not in legal:
            raise UserError(f"{where}: unknown key {key!r}; legal are {', '.join(legal)}")
    for key in keys:
        if key not in data:
            raise UserError(f"{where}: key {key!r} is missing")
    return data


def symmetric(fmt: FixedFormat) -> bool:
    """Return True if the negative of every value is in the format too, as packed multipliers need."""
    return fmt.overflow is Overflow.AP_SAT_SYM
