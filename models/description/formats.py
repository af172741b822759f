# SPDX-License-Identifier: Apache-2.0
"""The format of every signal of a layer, by cell, and the activation tables that follow from them.

The equations are those of Gers, Schmidhuber and Cummins (2000), "Learning to Forget"; where each
format applies, and in what order, is the contract of ``docs/numerics.md``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.cells.description import COMMON, Cell, Table
from zynq_lstm.models.cells.functions import FUNCTIONS, Function
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Overflow, Raw

#: The gate order of the LSTM: column block k of W, U and b (each ``units`` wide) is GATES[k].
GATES = catalogue.cell("lstm").gates

MAX_TABLE_BITS = 14  # an activation table of more than 2**14 entries needs more block RAM than is sensible


@dataclass(frozen=True)
class CellFormats:
    """Formats by field name, tables, and the shapes of the weights of one layer.

    A subclass is made of a cell's description by :func:`formats_of`: a frozen dataclass whose fields are
    formats, and the names of functions, of one layer.
    """

    description: ClassVar[Cell]
    #: Column block k of W, U and b (each ``units`` wide) belongs to gates[k].
    gates: ClassVar[tuple[str, ...]]
    #: Signals of a trace, in the order in which they are computed; "z" has the columns of all gates.
    signals: ClassVar[tuple[str, ...]]
    weights: ClassVar[tuple[str, ...]]
    tables: ClassVar[Mapping[str, Table]]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def changed(self, **fields: Any) -> Any:
        """Return the same formats with other values of some fields."""
        return dataclasses.replace(self, **fields)

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the cell and the fields: the type has no name by which it could be imported."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return _restored, (self.description, fields)

    @property
    def cell(self) -> str:
        """The name of the cell."""
        return self.description.name

    @property
    def has_c(self) -> bool:
        """True if there is a state beside h."""
        return len(self.description.state) > 1

    @classmethod
    def format_names(cls) -> tuple[str, ...]:
        """The fields that are formats."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING)

    @classmethod
    def signal_fields(cls) -> tuple[str, ...]:
        """Return the names of the fields that are formats of signals, not of weights."""
        return tuple(name for name in cls.format_names() if name not in cls.weights)

    def format(self, name: str) -> FixedFormat:
        """The format of the field ``name``."""
        fmt = getattr(self, name)
        assert isinstance(fmt, FixedFormat)
        return fmt

    def by_name(self) -> dict[str, FixedFormat]:
        """All formats by field name."""
        return {name: self.format(name) for name in self.format_names()}

    def signal_format(self, signal: str) -> FixedFormat:
        """The format of a signal of :attr:`signals`."""
        return self.format(self.signal_field(signal))

    @classmethod
    def signal_field(cls, signal: str) -> str:
        """The field with the signal's format."""
        return "z" if signal == "z" else cls.description.equation(signal).format

    @classmethod
    def is_product(cls, factor: str) -> bool:
        """True for a gate's sum of products, ``x_GATE`` or ``u_GATE``."""
        kind, _, gate = factor.partition("_")
        return kind in ("x", "u") and gate in cls.gates and factor not in cls.description.signals

    def factor_format(self, factor: str) -> FixedFormat:
        """The format of a factor of a sum that is a signal, of this step or the one before, or a vector."""
        name = factor.removesuffix("'")
        return self.format(name if name in self.description.vectors else self.signal_field(name))

    def table(self, name: str) -> Raw:
        """Compute the table ``name``; see :func:`activation_table`."""
        table = self.tables[name]
        function = FUNCTIONS[getattr(self, table.function)]
        return activation_table(function, self.format(table.index), self.format(table.value))

    @classmethod
    def weight_shapes(cls, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight array of a layer."""
        columns = len(cls.gates) * units
        matrices = {"W": (inputs, columns), "U": (units, columns), "b": (columns,)}
        return matrices | dict.fromkeys(cls.description.vectors, (units,))


@functools.cache
def formats_of(cell: Cell) -> type[CellFormats]:
    """The type of a cell's formats."""
    weights = (*COMMON, *cell.vectors)
    used = dict.fromkeys(equation.format for equation in cell.equations)
    functions = dict.fromkeys(table.function for table in cell.tables.values())
    fields: list[Any] = [(name, FixedFormat) for name in (*weights, *used)]
    fields += [(name, str, dataclasses.field(default=name)) for name in functions]
    gates = [f"z_{gate}" for gate in cell.gates]
    names = cell.signals
    in_z = [e.signal for e in cell.equations if e.format == "z"]
    if all(name in in_z for name in gates):  # the gates' sums side by side, where the first of them is
        names = tuple(dict.fromkeys("z" if name in gates else name for name in names))
    return dataclasses.make_dataclass(
        f"{cell.name.title().replace('_', '')}Formats",
        fields,
        bases=(CellFormats,),
        frozen=True,
        namespace={
            "description": cell,
            "gates": cell.gates,
            "signals": names,
            "weights": weights,
            "tables": cell.tables,
            "__doc__": f"Formats of one layer: {cell.title}.",
        },
    )


def _restored(cell: Cell, fields: Mapping[str, Any]) -> CellFormats:
    """Return the formats that :meth:`CellFormats.__reduce__` took apart."""
    return formats_of(cell)(**fields)


LstmFormats = formats_of(catalogue.cell("lstm"))

#: Signals of one unit of an LSTM layer, in the order in which they are computed.
UNIT_SIGNALS = LstmFormats.description.signals

#: The cells that have an exact quantized form.
CELLS: Mapping[str, type[CellFormats]] = MappingProxyType(
    {name: formats_of(catalogue.cell(name)) for name in catalogue.names()}
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
        UserError: naming the legal cells, or what is wrong in a file.
    """
    return formats_of(catalogue.read(cell))


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
    fields = dataclasses.fields(formats)
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
