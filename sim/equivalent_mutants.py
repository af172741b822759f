# SPDX-License-Identifier: Apache-2.0
"""Mutants that no bench can find, one argument each. sim/mutants.py looks survivors up here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Equivalent:
    """Mutants that change nothing that can be seen; regular expressions match as a whole.

    Args:
        module: source file without suffix.
        source: for the text of the source.
        fault: for ``PORT[bit] mode``.
        cell: for the cell's name.
        instance: for ``parent.name`` of every instance of the module with its parameters.
    """

    module: str
    source: str
    fault: str
    why: str
    cell: str = ".*"
    instance: str = ".*"

    def matches(self, module: str, instances: Iterable[str], source: str, cell: str, fault: str) -> bool:
        return (
            module == self.module
            and all(re.fullmatch(self.instance, name) for name in instances)
            and re.fullmatch(self.source, source) is not None
            and re.fullmatch(self.fault, fault) is not None
            and re.fullmatch(self.cell, cell) is not None
        )


LAST_SEGMENT = r"gen_segment\[1\]\.u_segment"

#: Of the design that sim.mutants.small_design makes.
EQUIVALENT = (
    Equivalent(
        "lstm_engine",
        r"u_gates \(",
        r"write_(o|layer_o|unit_o|phase_o|last_o)\[\d+\] .*",
        "the pipelines run in step, and only what the first one says of beat, layer and phase is used",
        cell=r"gen_lane\[1\]\.u_gates",
    ),
    Equivalent(
        "character_control",
        r"bad_code \? '0 : ROW_ADDRESS_BITS'\(s_axis_tdata\)",
        r"B\[[4-7]\] const0",
        "codes of the vocabulary are below 15 and have four bits; all others are bad, and replaced by 0 here",
    ),
    Equivalent(
        "mac_array",
        r"u_segment \(",
        r"units_i\[\d+\] const0",
        "behind the last segment there is none: what it is handed is 0 already",
        cell=LAST_SEGMENT,
    ),
    Equivalent(
        "mac_segment",
        r"single_i \? .*",
        r"S\[0\] const1",
        "how the last of two segments shifts is seen from the third beat on; jobs with several units a beat "
        "have two beats, the first from the first segment, the second handed on by the last one unshifted",
        instance=rf"mac_array\.{LAST_SEGMENT}",
    ),
    Equivalent(
        "mac_sequencer",
        r"cycles_left_q == STEP_BITS'\(1\)",
        r"A\[0\] const1",
        "takes 0 for 1; a job starts with 1 or more cycles left, and when they become 0 free_q is set "
        "already and stays so until a start, which loads the count anew",
    ),
    Equivalent(
        "lut_rom",
        r"memory",
        r"RD_DATA\[(0|1|2|14|15|16|28|29|30|42|43|44)\] .*",
        "a bias' lowest three bits: the products that are added to it are aligned 3 bits and more to the "
        "left, so that nothing carries, and rounding looks at bit 5 and those above",
        instance=r"gate_pipeline\.u_bias",
    ),
    Equivalent(
        "gate_pipeline",
        r"u_round_ct \(",
        r"data_i\[[0-2]\] .*",
        "4 bits are dropped and the half is bit 3: those below never decide, a tie goes up",
    ),
    Equivalent(
        "gate_pipeline",
        r"u_round_(c|h) \(",
        r"data_i\[[0-6]\] .*",
        "8 bits are dropped and the half is bit 7: those below never decide, a tie goes up",
    ),
    Equivalent(
        "round_saturate",
        r"if \(rounded_q > WIDE'\(MAX_VALUE\)\) .*",
        r"B\[\d\] .*",
        "h never exceeds its format: 255 / 256 times 127 / 128, the tables' largest, rounds to 127 / 128",
        instance=r"gate_pipeline\.u_round_h",
    ),
    Equivalent(
        "lut_ram",
        r"memory",
        r"WR_CLK\[0\] inv",
        "a word is written half a cycle earlier, with the same address and data, which change on the other "
        "edge. A read of the same word in that cycle would show it; hidden states are read once their layer "
        "has been counted as finished, a cycle behind its last write at least, or are of the other phase",
        instance=r"hidden_buffer\.gen_lane\[\d\]\.u_lane",
    ),
)
