# SPDX-License-Identifier: Apache-2.0
"""Mutants that no bench can find, one argument each. sim/campaigns/mutants.py looks survivors up here."""

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
        fault: for ``PORT[bit] mode``, and the bit that decides if there is one.
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
        "lstm_core",
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
    Equivalent(
        "lut_rom",
        r"memory",
        r"RD_CLK\[0\] .*",
        "its read port is asynchronous and has no clock",
    ),
    Equivalent(
        "delay",
        r"always_ff .*",
        rf"[DQ]\[({'|'.join(map(str, range(7, 192, 8)))})\] const0",
        "the upper bit of a layer's number: 0, since layers are 0 and 1 here, the output layer has no gates",
        instance=r"gate_pipeline\.u_tag",
    ),
    Equivalent(
        "delay",
        r"always_ff .*",
        r"[DQ]\[(2|5)\] const0",
        "the same, of numbers of two bits beside one flag",
        instance=r"gate_pipeline\.u_layer",
    ),
    Equivalent(
        "delay",
        r"always_ff .*",
        r"Q\[190\] cnot1 168",
        "two beats before the last one of a layer its number changes. Layer 0 fills whole rows, so that from "
        "either layer's base a beat has the same row and place; else only last beats are asked for their "
        "layer, and no last one comes two beats before another",
        instance=r"gate_pipeline\.u_tag",
    ),
    Equivalent(
        "delay",
        r"always_ff .*",
        r"D\[25\] cnot1 18",
        "changes a beat's number if the one two cycles behind it is 4 or more, of layer 1. Its jobs give "
        "beats in pairs, four cycles apart at least, and layer 0's end before: there is no such beat",
        instance=r"gate_pipeline\.u_unit_7",
    ),
    Equivalent(
        "gate_pipeline",
        r"u_unit_7 \(.*",
        r"data_o\[1\] cnot1 0",
        "exchanges beats' numbers in pairs, for the memory of c alone, for reading and for writing alike",
    ),
    Equivalent(
        "lstm_core",
        r"start_layer_2 == '0",
        r"B\[(9|\d\d)\] .*",
        "the first layer's W is aligned 10 bits to the left for a sum of 19: bits from the ninth on leave it",
    ),
    Equivalent(
        "lstm_engine",
        r"!room_pending_q|always_ff .*",
        r"A\[0\] const0|SRST\[0\] inv",
        "room_pending_q stays 0. It keeps the next character's logits back until this one's are counted in "
        "the buffer. With two layers they can't be so early: W of the second one and its gates come between",
        cell=r"\$logic_not\$lstm_engine\.sv:195\$55|\$auto\$ff\.cc:337:slice\$3943",
    ),
    Equivalent(
        "mac_array",
        r"always_ff .*",
        r"Q\[0\] const1",
        "valid in cycles without a step: the sums have been taken over by then, and the next job begins its "
        "own anew. Those of a job that a reset broke off are taken over, too, within five cycles, but not "
        "passed on; the next job's come 27 cycles later or more",
        cell=r"\$auto\$ff\.cc:337:slice\$3474",
    ),
    Equivalent(
        "delay_flag",
        r"always_ff .*",
        r"SRST\[0\] const0",
        "valid, in a segment, of what a reset broke off: the same",
        instance=r"mac_segment\.u_valid",
    ),
    Equivalent(
        "mac_chain",
        r"SUM_BITS'\(m_q\) \+ .*",
        r"B\[15\] const0",
        "of two packed sums the lower one is taken from the bits below 15 and the upper one from those above "
        "16. What stands between is 2^16 and a sum of less than 2^14: less 2^15 it still borrows nothing",
    ),
    Equivalent(
        "adder_tree",
        r"u_align \(",
        r"data_o\[[01]\] const0",
        "a multiple of 4: the weight's upper pair of bits counts four times",
        instance=r"lut_multiply\.u_sum",
    ),
    Equivalent(
        "output_layer",
        r"u_bias \(",
        r"data_o\[\d+\] cnot0 30",
        "bit 30 is set in all four words of biases",
    ),
    Equivalent(
        "character_choice",
        r"valid_8_q && .*",
        r"A\[0\] const1",
        "a character's four words come one behind the other, and the first one begins anew; what comes "
        "between characters is not asked for",
    ),
    Equivalent(
        "axil_registers",
        r"",
        r"A\[0\] const1",
        "one term of Yosys' enable of BAD_CODE: a write, or a bad code. Another one is a write to ERRORS, or "
        "a bad code, and both must hold",
        cell=r"\$auto\$simple\.cc:194:make_patterns_logic\$3825",
    ),
)
