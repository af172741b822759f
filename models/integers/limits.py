# SPDX-License-Identifier: Apache-2.0
"""The limits of each engine: which networks it can be built for, and the reasons why not.

No other module defines these limits. A network that :class:`zynq_lstm.models.description.spec.NetworkSpec`
accepts either works in an engine or is refused by it with a sentence from here; ``tests/hls/test_limits.py``
checks this with random networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from zynq_lstm.models.cells.description import Sum
from zynq_lstm.models.description.spec import CellFormats, NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.fixed import FixedFormat, Overflow, Rounding
from zynq_lstm.models.integers import choice
from zynq_lstm.models.integers.bounds import (
    EXACT_BITS,
    layer_bound,
    output_bound,
    worst_layer_bound,
    worst_output_bound,
    worst_sums,
)
from zynq_lstm.models.integers.network import MAX_SUM, IntegerNetwork

#: The engines, and their names in messages. Each is compared with the reference, so the reference's limits
#: apply to all; the HLS C++ is made from the Keras model, so the Keras model's limits apply to it, too.
ENGINES = MappingProxyType(
    {
        "keras": "the quantized Keras model",
        "reference": "the reference",
        "hls": "the HLS C++",
        "rtl": "the RTL",
    }
)

#: Most bits of a value that is kept or passed on as float32: its mantissa, and the sign.
FLOAT32_BITS = EXACT_BITS["float32"] + 1
WORD_SUMS = 4  # sums that leave the array together; the gates of a unit that are computed at once
SIGNAL_BITS = 16  # most bits of the RTL's signals, signed: the room in m_axis and the trace
#: Most bits of weights that the RTL multiplies in its array; a ninth pair of bits is too much for the adders.
WEIGHT_BITS = 16


def reasons(engine: str, spec: NetworkSpec, network: IntegerNetwork | None = None) -> tuple[str, ...]:
    """Return the reasons why an engine can't be built for a network; empty if it can.

    Args:
        engine: a key of :data:`ENGINES`.
        network: the network itself, whose weights bound its sums; if not given, the worst weights that the
            formats hold bound them.
    """
    return tuple(_LIMITS[engine](spec, network))


def require(engine: str, spec: NetworkSpec, network: IntegerNetwork | None = None) -> None:
    """Refuse a network that an engine can't be built for; the arguments are those of :func:`reasons`.

    Raises:
        UserError: gives the first of the reasons, and the number of others.
    """
    found = reasons(engine, spec, network)
    if found:
        raise UserError(summary(found))


def notes(spec: NetworkSpec) -> list[str]:
    """Return a sentence for each engine that can't be built for a network."""
    found = {name: reasons(name, spec) for name in ENGINES}
    return [f"not for {ENGINES[name]}: {summary(why)}" for name, why in found.items() if why]


def summary(found: tuple[str, ...]) -> str:
    """Return the first of some reasons, and the number of others."""
    more = len(found) - 1
    return found[0] + (f" (and {more} more such reason{'s' * (more > 1)})" if more else "")


def _reference(spec: NetworkSpec, network: IntegerNetwork | None) -> Iterator[str]:
    for where, fmt in rounded_signals(spec):
        if fault := signal_fault(fmt):
            yield f"{where}: {fault}"
    for where, bound, most in _bounds(spec, network):
        if bound > most:
            yield (
                f"{where} might reach {bound}, beyond the {most} up to which float64 is exact; use narrower "
                "formats, fewer units, or binary points nearer to each other"
            )
    try:
        choice.score_shifts(spec.output.logits)
    except UserError as error:
        yield f"output: {error}"


def _bounds(spec: NetworkSpec, network: IntegerNetwork | None) -> Iterator[tuple[str, int, int]]:
    """Yield each place of sums, products and roundings, the largest integer there, and the largest legal."""
    exact = 1 << EXACT_BITS["float64"]
    for k in range(len(spec.layers)):
        where = f"layers[{k}]: a sum or product"
        if network:  # whose own sums it has refused itself
            yield where, layer_bound(network, k, offset=True), exact
        else:
            yield f"layers[{k}]: x.W + h.U + b", worst_sums(spec, k), MAX_SUM - 1
            yield where, worst_layer_bound(spec, k), exact
    yield "output: h.W + b", output_bound(network) if network else worst_output_bound(spec), exact


def _keras(spec: NetworkSpec, network: IntegerNetwork | None) -> Iterator[str]:
    yield from _reference(spec, network)
    for name, fmt in spec.weight_formats().items():
        if fault := weight_fault(fmt):
            yield f"{name}: {fault}"
    for where, fmt in rounded_signals(spec):
        if where.endswith((" h", " logits")) and fmt.bits + (not fmt.signed) > FLOAT32_BITS:
            yield f"{where}: Keras passes it as float32, which holds {FLOAT32_BITS} bits, signed; got {fmt}"


def _hls(spec: NetworkSpec, network: IntegerNetwork | None) -> Iterator[str]:
    yield from _keras(spec, network)
    for where, fmt in rounded_signals(spec):
        if fmt.signed and fmt.bits == 1 and fmt.overflow is Overflow.AP_SAT_SYM:
            yield f"{where}: can hold only 0, and the ap types make that -1; use AP_SAT, got {fmt}"


def _rtl(spec: NetworkSpec, network: IntegerNetwork | None) -> Iterator[str]:
    yield from _reference(spec, network)
    cells: dict[str, int] = {}  # name -> the first layer of that cell
    for k, layer in enumerate(spec.layers):
        fmt, cell = layer.formats, layer.formats.description
        if fmt.h != spec.layers[0].formats.h:
            yield f"layers[{k}] has h in {fmt.h}, layers[0] in {spec.layers[0].formats.h}: {_SHARED_ARRAY}"
        if cell.name in cells:
            yield from _shared(spec, cells[cell.name], k)
        else:
            cells[cell.name] = k
            yield from _rtl_cell(fmt)
    if not signal_fault(spec.output.logits):
        yield from _rtl_signal("logits", spec.output.logits, rounded=True)
    for name, fmt in spec.weight_formats().items():
        if not fmt.signed:
            yield f"format of {name}: weights are signed in the RTL, got {fmt}"
        elif fmt.bits > WEIGHT_BITS and in_array(name):
            yield f"format of {name}: the RTL multiplies weights of at most {WEIGHT_BITS} bits, got {fmt}"


_SHARED_ARRAY = "all layers share one array in the RTL; give them the same format"


def _shared(spec: NetworkSpec, first: int, k: int) -> Iterator[str]:
    """Yield why two layers of a cell can't share its gate pipelines."""
    a, b = spec.layers[first].formats, spec.layers[k].formats
    functions = dict.fromkeys(table.function for table in a.tables.values())
    for name in (*a.signal_fields(), *a.description.vectors, *functions):
        shared, given = getattr(a, name), getattr(b, name)
        if given != shared and name != "h":
            yield (
                f"layers[{k}] has {name} in {given}, layers[{first}] in {shared}: all layers of a cell share "
                "its gate pipelines in the RTL; give them the same formats and functions (W, U, b may differ)"
            )


def _rtl_cell(formats: CellFormats) -> Iterator[str]:
    """Yield why the RTL can't compute a cell."""
    cell = formats.description
    levels = cell.levels
    for level in range(1 + max(levels.values())):
        gates = [gate for gate in cell.gates if levels[f"u_{gate}"] == level]
        if not gates:
            yield f"the cell {cell.name}: no gate's sums come with level {level} of its signals"
            return
        if len(gates) > WORD_SUMS:
            yield f"the cell {cell.name} has {len(gates)} gates; the RTL makes {WORD_SUMS} sums of a unit"
        sources = dict.fromkeys(cell.recurrent[gate] for gate in gates if gate in cell.recurrent)
        if len(sources) > 1 or any(levels[signal] != level - 1 for signal in sources):
            names = ", ".join(sources)
            yield f"the cell {cell.name}: the RTL can't make products with {names} at the same time"
    for equation in cell.equations:
        for factor in equation.reads:
            gate = factor[2:]
            if factor in (f"x_{gate}", f"u_{gate}") and levels[factor] != levels[equation.signal]:
                yield (
                    f"the cell {cell.name}: {equation.signal} reads {factor} together with a later product; "
                    f"give {factor} a signal of its own"
                )
    rounded = {e.format for e in cell.equations if isinstance(e, Sum)}
    for name in formats.signal_fields():
        if not signal_fault(formats.format(name)):
            yield from _rtl_signal(name, formats.format(name), rounded=name in rounded)


def _rtl_signal(name: str, fmt: FixedFormat, *, rounded: bool) -> Iterator[str]:
    if rounded and not (fmt.signed and fmt.overflow is Overflow.AP_SAT):
        yield f"format {name}: the RTL has signed formats with AP_RND or AP_TRN, and AP_SAT; got {fmt}"
    if fmt.bits + (not fmt.signed) > SIGNAL_BITS:
        yield f"format {name}: at most {SIGNAL_BITS} bits, signed, in the RTL, got {fmt}"


_LIMITS = MappingProxyType({"reference": _reference, "keras": _keras, "hls": _hls, "rtl": _rtl})


def in_array(name: str) -> bool:
    """Return True if the RTL's array multiplies a weight array: not layer 0's look-up, and not biases."""
    return name != "layers.0.W" and name.endswith((".W", ".U"))


def signal_fault(fmt: FixedFormat) -> str | None:
    """Say why no engine rounds a signal to a format; None if they all do."""
    if fmt.rounding is Rounding.AP_RND_CONV or fmt.overflow is Overflow.AP_WRAP:
        return f"signals must round by AP_RND or AP_TRN and saturate, got {fmt}"
    return None


def weight_fault(fmt: FixedFormat) -> str | None:
    """Say why QKeras has no quantizer for a weight's format; None if it has one."""
    if not fmt.signed or fmt.rounding is not Rounding.AP_RND_CONV or fmt.overflow is not Overflow.AP_SAT_SYM:
        return f"a weight format must be signed with AP_RND_CONV and AP_SAT_SYM, got {fmt}"
    if fmt.bits < 2:
        return f"a weight format has at least 2 bits, got {fmt}; QKeras' of 1 bit are -1 and 1, without 0"
    if fmt.bits > FLOAT32_BITS:
        return (
            f"a weight format has at most {FLOAT32_BITS} bits, got {fmt}; a checkpoint's weights are float32"
        )
    return None


def rounded_signals(spec: NetworkSpec) -> Iterator[tuple[str, FixedFormat]]:
    """Yield each rounded signal's name in messages, and its format; signals from tables are not rounded."""
    for k, layer in enumerate(spec.layers):
        fmt = layer.formats
        of_tables = {table.value for table in fmt.tables.values()}
        for name in fmt.signal_fields():
            if name not in of_tables:
                yield f"layers[{k}]: format {name}", fmt.format(name)
    yield "format logits", spec.output.logits
