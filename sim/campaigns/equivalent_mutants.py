# SPDX-License-Identifier: Apache-2.0
"""Mutants that no bench can find and that no proof recognises, each with an argument.

:func:`argument` looks up the survivors of :mod:`zynq_lstm.sim.campaigns.mutants`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zynq_lstm.sim.campaigns.mutant_list import Mutant, normal


@dataclass(frozen=True)
class Equivalent:
    """Mutants that change nothing observable.

    Args:
        module, target, port: the place changed; see :class:`zynq_lstm.sim.campaigns.mutant_list.Mutant`. A
            target that ends in ``...`` is every statement that begins so.
        why: the argument.
        bits: bits of the port; every bit if not given.
        fault: fault as in :attr:`Mutant.fault`; every fault if not given.
        instances: instances of the module, as ``parent.name``; every instance if not given.
    """

    module: str
    target: str
    port: str
    why: str
    bits: Sequence[int] = ()
    fault: str = ""
    instances: tuple[str, ...] = ()

    def is_at(self, mutant: Mutant) -> bool:
        """Return True if the mutant changes the same port, at any bit."""
        begin, ellipsis, _ = normal(self.target).partition("...")
        return (
            (mutant.module, mutant.port) == (self.module, self.port)
            and (mutant.target.startswith(begin) if ellipsis else mutant.target == begin)
            and (not self.instances or set(mutant.instances) <= set(self.instances))
        )

    def matches(self, mutant: Mutant) -> bool:
        """Return True if the argument is about this mutant."""
        return (
            self.is_at(mutant)
            and (not self.bits or mutant.bit in self.bits)
            and self.fault in ("", mutant.fault)
        )


def argument(mutant: Mutant) -> str | None:
    """Return the argument why no bench can find the mutant; None if there is none."""
    return next((entry.why for entry in EQUIVALENT if entry.matches(mutant)), None)


_ONE_LEVEL = ("coupled", "gru", "lstm", "peephole", "rnn")  # cells with one gate pipeline
_FIRST_STAGES = (*((cell, 0) for cell in _ONE_LEVEL), ("gru_reset_before_0", 0), ("gru_reset_before_1", 1))
#: Arguments about generated gate pipelines, each of which serves two layers in the designs of
#: :func:`zynq_lstm.sim.campaigns.mutants.small_design`.
_GATES = (
    *(
        Equivalent(
            f"{pipeline}_gates",
            f"if ({stage} == STAGE_BITS'({first})) ...",
            "A",
            "the value for units that are not of the pipeline's first stage. Those of its second one, the "
            "only others, get another value in the statement that follows",
        )
        for pipeline, first in _FIRST_STAGES
        for stage in ("stage_2", "stage_3_q")
    ),
    *(
        Equivalent(
            f"{pipeline}_gates",
            target,
            port,
            "takes every unit for one of the pipeline's first stage. Those of its second one, the only "
            "others, get another value in the statement that follows",
            fault="const1",
        )
        for pipeline, first in _FIRST_STAGES
        if pipeline != "lstm"
        for target, port in (
            (f"if (stage_2 == STAGE_BITS'({first})) ...", "S"),
            (f"if (stage_3_q == STAGE_BITS'({first})) ...", "S"),
            (f"stage_3_q == STAGE_BITS'({first})", "Y"),
        )
    ),
    *(
        Equivalent(
            f"{cell}_gates",
            "stage_3_q",
            port,
            "the upper bit of a stage's number, which is 0: network_gates gives 0 or the number of one "
            "of the pipeline's stages, 0 and 1",
            bits=(1,),
            fault="const0",
        )
        for cell in _ONE_LEVEL
        if cell != "lstm"
        for port in "DQ"
    ),
    *(
        Equivalent(
            f"{cell}_gates",
            instance,
            port,
            "the upper bit of a stage's number, which is 0: network_gates gives 0 or the number of one "
            "of the pipeline's stages, 0 and 1",
            bits=bits,
            fault=fault,
        )
        for cell in _ONE_LEVEL
        for instance, upper in (("u_stage", 2), ("u_tag", 6 if cell == "rnn" else 7))
        for port in ("data_i", "data_o")
        for bits, fault in (((upper,), "const0"), (range(upper), f"cnot1 {upper}"))
    ),
    Equivalent(
        "gru_reset_before_1_gates",
        "stage_3_q",
        "Q",
        "the lower bit of a stage's number, which is 1 for every unit: the pipeline's stages are 1 and 3",
        bits=(0,),
        fault="const1",
    ),
)
#: Equivalent mutants of the design that :func:`zynq_lstm.sim.campaigns.mutants.small_design` makes.
EQUIVALENT = (
    Equivalent(
        "mac_segment",
        "single_i ? (UNITS * UNIT_BITS)'({units_i, drain_q} >> UNIT_BITS)"
        " : (UNITS * UNIT_BITS)'({units_i, drain_q} >> (DRAIN * UNIT_BITS))",
        "S",
        "how the last of two segments shifts is seen from the third beat on; jobs with several units a beat "
        "have two beats, the first from the first segment, the second handed on by the last one unshifted",
        fault="const1",
        instances=("mac_array.gen_segment[1].u_segment",),
    ),
    Equivalent(
        "mac_sequencer",
        "cycles_left_q == STEP_BITS'(1)",
        "A",
        "takes 0 for 1; a job starts with 1 or more cycles left, and when they become 0 free_q is set "
        "already and stays so until a start, which loads the count anew",
        bits=(0,),
        fault="const1",
    ),
    Equivalent(
        "lut_rom",
        "memory",
        "RD_DATA",
        "a bias' lowest three bits: the products that are added to it are aligned 3 bits and more to the "
        "left, so that nothing carries, and rounding looks at bit 5 and those above",
        bits=(0, 1, 2, 14, 15, 16, 28, 29, 30, 42, 43, 44),
        instances=("lstm_gates.u_bias",),
    ),
    Equivalent(
        "round_saturate",
        "if (rounded_q > WIDE'(MAX_VALUE)) data_o <= OUT_BITS'(MAX_VALUE);"
        " else data_o <= OUT_BITS'(rounded_q);",
        "B",
        "h never exceeds its format: 255 / 256 times 127 / 128, the tables' largest, rounds to 127 / 128",
        instances=("lstm_gates.u_round_h",),
    ),
    Equivalent(
        "lut_ram",
        "memory",
        "WR_CLK",
        "a word is written half a cycle earlier, with the same address and data, which change on the other "
        "edge. A read of the same word in that cycle would show it; hidden states are read once their layer "
        "has been counted as finished, a cycle after its last write at least, or are of the other phase",
        fault="inv",
        instances=tuple(f"hidden_buffer.gen_lane[{k}].u_lane" for k in range(4)),
    ),
    *(
        Equivalent(
            "delay",
            "gen_stages.stages_q",
            port,
            "the upper bit of a layer's number: 0, since layers are 0 and 1 here, and the output layer has "
            "no gates",
            bits=bits,
            fault="const0",
            instances=(instance,),
        )
        for port in "DQ"
        for instance, bits in (
            ("lstm_gates.u_tag", range(7, 192, 8)),  # words of 8 bits
            ("lstm_gates.u_stage", range(2, 6, 3)),  # words of two bits and a flag
        )
    ),
    Equivalent(
        "delay",
        "gen_stages.stages_q",
        "Q",
        "two beats before the last one of a layer its number changes. Layer 0 fills whole rows, so that from "
        "either layer's base a beat has the same row and place; else only last beats are asked for their "
        "layer, and no last one comes two beats before another",
        bits=(190,),
        fault="cnot1 168",
        instances=("lstm_gates.u_tag",),
    ),
    Equivalent(
        "delay",
        "gen_stages.stages_q",
        "D",
        "changes a beat's number if that two cycles after it is 4 or more, of layer 1. Its jobs give beats "
        "in pairs, four cycles apart at least, and layer 0's end before: there is no such beat",
        bits=(25,),
        fault="cnot1 18",
        instances=("lstm_gates.u_unit_7",),
    ),
    Equivalent(
        "lstm_gates",
        "u_unit_7",
        "data_o",
        "exchanges beats' numbers in pairs, for the memory of c alone, for reading and for writing alike",
        bits=(1,),
        fault="cnot1 0",
    ),
    Equivalent(
        "network_engine",
        "!room_pending_q",
        "A",
        "room_pending_q stays 0. It keeps the next character's logits back until this one's are counted in "
        "the buffer. With two layers they can't be so early: W of the second one and its gates come between",
        fault="const0",
    ),
    Equivalent(
        "network_engine",
        "room_pending_q",
        "SRST",
        "room_pending_q stays 0, as !room_pending_q does not matter",
        fault="inv",
    ),
    Equivalent(
        "mac_array",
        "gen_hops.valids_q",
        "Q",
        "valid in cycles without a step: the sums have been taken over by then, and the next job begins its "
        "own anew. Those of a job that a reset broke off are taken over, too, within five cycles, but not "
        "passed on; the next job's come 27 cycles later or more",
        fault="const1",
    ),
    Equivalent(
        "delay_flag",
        "stages_q",
        "SRST",
        "valid, in a segment, of a job that a reset broke off: its sums are taken over within five cycles, "
        "but not passed on; the next job's come 27 cycles later or more",
        fault="const0",
        instances=("mac_segment.u_valid",),
    ),
    Equivalent(
        "mac_chain",
        "SUM_BITS'(m_q) + $signed(sums[j*SUM_BITS+:SUM_BITS])",
        "B",
        "of two packed sums the lower one is taken from the bits below 15 and the upper one from those above "
        "16. What stands between is 2^16 and a sum of less than 2^14: less 2^15 it still borrows nothing",
        bits=(15,),
        fault="const0",
    ),
    Equivalent(
        "adder_tree",
        "gen_halves.u_align",
        "data_o",
        "a multiple of 4: the weight's upper pair of bits counts four times",
        bits=(0, 1),
        fault="const0",
        instances=("lut_multiply.u_sum",),
    ),
    *_GATES,
    Equivalent(
        "character_choice",
        "valid_8_q && (word_8_q == '0 || best_8_q > best_9_q)",
        "A",
        "a character's four words follow each other without a gap, and the first one begins anew; what comes "
        "between characters is not asked for",
        fault="const1",
    ),
)
