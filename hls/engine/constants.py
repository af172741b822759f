# SPDX-License-Identifier: Apache-2.0
"""Constants shared by Python and the RTL, which reads them from include files generated here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from zynq_lstm.models.integers.choice import DISCARDED, WORD_LOGITS
from zynq_lstm.models.integers.limits import SIGNAL_BITS

HEADER = "zynq_lstm_constants.svh"
JOB_HEADER = "zynq_lstm_job.svh"

# Latencies in clock cycles.
ARRAY_LATENCY = 6  # mac_array: from a job's last step to its first beat; plus DSP depth and segments
SKEW_LATENCY = 2  # mac_segment: delay of the DSP48E1s if they add products made in LUTs
LOGITS_LATENCY = 5  # output_layer: from a word's sums to its logits
NOISE_AHEAD = 2  # xorshift128: stages of the pipeline after it
SEED_LATENCY = DISCARDED // WORD_LOGITS + 1 + NOISE_AHEAD + 1  # gumbel_noise: from a seed to its noise
# Latencies that follow from the structure of the RTL, which does not state them.
GEARBOX_LATENCY = 2  # gearbox: from a word to its first unit
HIDDEN_LATENCY = 3  # hidden buffer, counter, readiness: from a unit's h until a job may start
CREDIT_LATENCY = 1  # character_control: from a finished U sum of layer 0 to that unit's start
CHOICE_LATENCY = LOGITS_LATENCY + 5  # score, maximum, character: from the last output word to the next start
ACCEPT_LATENCY = 3  # character_control: from a character's last start to the next one's first

FIELD_BITS = 17  # width of the lower of two sums in a DSP48E1

TO_BITS = 2  # width of a job's destination


class Destination(IntEnum):
    """Destination of a job's sums.

    WAIT: the memory in which they wait for the unit's start. START: the gates, with the sums that waited.
    NOTHING: further sums of the unit are still to come.
    """

    WAIT = 0
    START = 1
    OUTPUT = 2
    NOTHING = 3


#: Fields of a job word, the most significant first, each with its width: a number, or a name whose value
#: depends on the design.
JOB = (
    ("WAIT_ROOM", "1"),  # the output buffer must have room for a character
    ("SOURCE", "STAGE_BITS"),  # stage whose results are read
    ("ROW", "ROW_BITS"),  # first row of the hidden buffer
    ("STEPS", "STEP_BITS"),  # less 1
    ("CYCLES", "STEP_BITS"),  # until the next job may start, less 1
    ("TO", "TO_BITS"),  # Destination
    ("STAGE", "STAGE_BITS"),  # stage that the sums are for
    ("FINAL", "1"),  # last group of its matrix product
    ("FIRST", "ITEM_BITS"),  # number of the first beat, or output word
    ("COUNT", "COUNT_BITS"),  # cycles in which the sums leave the array, less 1
)
#: Neighbouring fields that form the tag, which goes with the job's sums.
TAG = ("TO", "STAGE", "FINAL", "FIRST")


def job_word(values: Mapping[str, int], widths: Mapping[str, int]) -> tuple[int, int]:
    """Return a job word and its width.

    Args:
        values: value of every field.
        widths: values of the width names in :data:`JOB` that depend on the design.
    """
    known = {"TO_BITS": TO_BITS} | dict(widths)
    word = width = 0
    for name, bits in JOB:
        size = int(bits) if bits.isdigit() else known[bits]
        assert 0 <= values[name] < 1 << size, (name, values[name], size)
        word, width = word << size | values[name], width + size
    return word, width


def headers() -> dict[str, str]:
    """Return the include files: file name -> content."""
    numbers = {
        "ARRAY_LATENCY": ARRAY_LATENCY,
        "SKEW_LATENCY": SKEW_LATENCY,
        "LOGITS_LATENCY": LOGITS_LATENCY,
        "NOISE_AHEAD": NOISE_AHEAD,
        "SEED_LATENCY": SEED_LATENCY,
        "DISCARDED": DISCARDED,
        "WORD_LOGITS": WORD_LOGITS,
        "SIGNAL_BITS": SIGNAL_BITS,
        "FIELD_BITS": FIELD_BITS,
    }
    return {
        HEADER: _header(f"localparam int {name} = {value};" for name, value in numbers.items()),
        JOB_HEADER: _header(_job_lines()),
    }


def _job_lines() -> Iterable[str]:
    """Yield lines with the widths, destinations and field positions of a job word.

    The module that includes them defines STAGE_BITS, ROW_BITS and the other widths that depend on the design.
    """
    yield f"localparam int TO_BITS = {TO_BITS};"
    for to in Destination:
        yield f"localparam logic [TO_BITS-1:0] TO_{to.name} = {TO_BITS}'d{int(to)};"
    place = "0"
    for name, bits in reversed(JOB):
        yield f"localparam int JOB_{name} = {place};"
        place = f"JOB_{name} + {bits}"
    yield f"localparam int JOB_BITS = {place};"
    yield f"localparam int JOB_TAG = JOB_{TAG[-1]};"
    yield f"localparam int JOB_TAG_BITS = JOB_{TAG[0]} + {dict(JOB)[TAG[0]]} - JOB_TAG;"


def _header(lines: Iterable[str]) -> str:
    return "\n".join(
        [
            "// SPDX-License-Identifier: Apache-2.0",
            "// Generated from hls/engine/constants.py.",
            "// verilator lint_off UNUSEDPARAM  // no module needs all of them",
            *lines,
            "// verilator lint_on UNUSEDPARAM",
            "",
        ]
    )
