# SPDX-License-Identifier: Apache-2.0
"""Tests of sim/bench on many mutants, all in one simulation; sim/campaigns/mutants.py starts it.

A netlist holds all mutants; its input ``mutant_i`` chooses one of them, 0 none. Each run of a test on a
mutant is a cocotb test of its own, which begins with a reset; when it ends, cocotb ends its tasks.
"""

from __future__ import annotations

import json
from typing import Any

import cocotb
from cocotb.triggers import with_timeout

from zynq_lstm.sim.bench import corners, protocol
from zynq_lstm.sim.bench.components import MUTANTS_FILE, PERIOD_NS, Plan

_plan = Plan.load()  # cocotb must know all tests when it imports a module
_killed: set[int] = set()


@cocotb.test()
@cocotb.parametrize((("test", "mutant", "limit"), _plan.options["runs"]))
async def run(dut: Any, test: str, mutant: int, limit: int) -> None:
    """Run a test on a mutant, for at most ``limit`` clock cycles; skip a mutant that failed before."""
    if mutant in _killed:
        return
    _killed.add(mutant)  # until the test has passed; other tasks may fail and end this one
    begun = cocotb.utils.get_sim_time("ns")
    _tell(test=test, mutant=mutant)
    dut.mutant_i.value = mutant
    module = protocol if hasattr(protocol, test) else corners
    await with_timeout(getattr(module, test).func(dut), limit * PERIOD_NS, "ns")
    _killed.remove(mutant)
    _tell(test=test, mutant=mutant, cycles=int(cocotb.utils.get_sim_time("ns") - begun) // PERIOD_NS)


def _tell(**data: Any) -> None:
    with (_plan.run_dir / MUTANTS_FILE).open("a", encoding="ascii") as file:
        print(json.dumps(data), file=file)
