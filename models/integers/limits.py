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
from zynq_lstm.models.description.spec import NetworkSpec
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
RTL_GATES = 4  # sums of a unit that the array makes
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
    first = spec.layers[0].formats
    cell = first.description
    if cell.recurrent:
        gate, signal = next(iter(cell.recurrent.items()))
        yield f"the cell {cell.name}: u_{gate} waits for {signal} of the same step; the RTL has no job for it"
        return
    if len(cell.gates) > RTL_GATES:
        yield f"the cell {cell.name} has {len(cell.gates)} gates; the RTL makes {RTL_GATES} sums of a unit"
        return
    functions = dict.fromkeys(table.function for table in first.tables.values())
    names = (*first.signal_fields(), *cell.vectors, *functions)
    for k, layer in enumerate(spec.layers[1:], 1):
        if layer.formats.description != cell:
            yield f"layers[{k}] is a {layer.cell}, layers[0] a {cell.name}: all layers share one gate pipeline"
            return
        for name in names:
            given, shared = getattr(layer.formats, name), getattr(first, name)
            if given != shared:
                yield (
                    f"layers[{k}] has {name} in {given}, layers[0] in {shared}: all layers share one gate "
                    "pipeline in the RTL; give them the same formats and functions (W, U, b may differ)"
                )
    rounded = {e.format: first.format(e.format) for e in cell.equations if isinstance(e, Sum)}
    rounded["logits"] = spec.output.logits
    for name, fmt in rounded.items():
        if not signal_fault(fmt) and not (fmt.signed and fmt.overflow is Overflow.AP_SAT):
            yield f"format {name}: the RTL has signed formats with AP_RND or AP_TRN, and AP_SAT; got {fmt}"
    for name, fmt in ({name: first.format(name) for name in first.signal_fields()} | rounded).items():
        if fmt.bits + (not fmt.signed) > SIGNAL_BITS:
            yield f"format {name}: at most {SIGNAL_BITS} bits, signed, in the RTL, got {fmt}"
    for name, fmt in spec.weight_formats().items():
        if not fmt.signed:
            yield f"format of {name}: weights are signed in the RTL, got {fmt}"
        elif fmt.bits > WEIGHT_BITS and in_array(name):
            yield f"format of {name}: the RTL multiplies weights of at most {WEIGHT_BITS} bits, got {fmt}"


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
