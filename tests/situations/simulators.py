# SPDX-License-Identifier: Apache-2.0
"""Simulators: the one that comes with the package is enough, and the other is named with its package."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.networks import small_spec, with_weights
from tests.situations import Situation
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.sim.campaigns.random_networks import CASE_FILE, Case
from zynq_lstm.sim.simulation.simulator import available

NEEDS_ICARUS = r"simulator icarus is not installed; on Debian: apt-get install iverilog\."


def saved_case(folder: Path) -> None:
    """Save a case as ``fuzz`` saves it."""
    network = with_weights(small_spec("w8a8", 5, (2,)), np.random.default_rng(0))
    Case(Design(network, Array(1, 1, 1, 1)), (1, 2, 3), 2, 0, 0).save(folder / "case")


def case_without_its_json(folder: Path) -> None:
    saved_case(folder)
    (folder / "case" / CASE_FILE).unlink()


def case_of_something_else(folder: Path) -> None:
    saved_case(folder)
    (folder / "case" / CASE_FILE).write_text("[]")


def configuration(folder: Path) -> None:
    (folder / "flow.toml").write_text('[verification]\nsimulator = "icarus"\n')


SITUATIONS = {
    "a case that is not there": Situation("fuzz --replay none", "--replay none: no such folder"),
    "a case without its second file": Situation(
        "fuzz --replay case", r"case/case.json: no such file", prepare=case_without_its_json
    ),
    "a case of something else": Situation(
        "fuzz --replay case", "case/case.json: not a case of a random network", prepare=case_of_something_else
    ),
    "a saved case on the simulator that is there": Situation(
        "fuzz --replay case --no-keras",
        r"no difference: 2 units \(lstm\), 5 characters",
        0,
        prepare=saved_case,
    ),
    "a random network on the simulator that is there": Situation(
        "fuzz --networks 1 --hls 0 --no-keras", r"1 random networks \(seed 1\) on verilator", 0
    ),
    "no network at all": Situation("fuzz --networks 0", "0 is not in the range x>=1"),
    "networks of an unknown simulator": Situation("fuzz --simulator vcs", "'vcs' is not one of"),
    "upsets on an unknown simulator": Situation("upset --simulator vcs", "'vcs' is not one of"),
    "no upset at all": Situation("upset --trials 0", "0 is not in the range x>=1"),
    "upsets with an impossible temperature": Situation("upset --temperature 16", r"temperature is 16\.0"),
    "upsets of a network that is not there": Situation("upset --checkpoint none", "none: no such file"),
    "the record of upsets": Situation("upset --shipped", r"\| score \| h \| 0 \|", 0),
    "an unknown simulator": Situation(
        "simulate --simulator vcs", "'vcs' is not one of 'verilator', 'icarus'"
    ),
    "the C++ on the other simulator": Situation(
        "simulate --hls --simulator icarus", "--hls and --exported run on Verilator, without waveforms"
    ),
    "what the machine has": Situation("doctor", r"iverilog", 0),
}
if not available("icarus"):  # where it is installed, these are not mistakes
    SITUATIONS |= {
        "networks on a simulator that is not there": Situation("fuzz --simulator icarus", NEEDS_ICARUS),
        "upsets on a simulator that is not there": Situation("upset --simulator icarus", NEEDS_ICARUS),
        "text on a simulator that is not there": Situation("simulate --simulator icarus", NEEDS_ICARUS),
        "a netlist on a simulator that is not there": Situation(
            "simulate --netlist --simulator icarus", NEEDS_ICARUS
        ),
        "an engine on a simulator that is not there": Situation("compare icarus reference", NEEDS_ICARUS),
        "a flow on a simulator that is not there": Situation(
            "run flow.toml", NEEDS_ICARUS, prepare=configuration
        ),
        "the plan of that flow": Situation("run --dry-run flow.toml", NEEDS_ICARUS, prepare=configuration),
    }
