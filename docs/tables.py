# SPDX-License-Identifier: Apache-2.0
"""Write the tables of the documentation that come from the code (``make docs``).

LUTs in the table of lanes are counted by synthesis, which takes minutes per row. A row therefore keeps its
LUTs as long as its lanes, DSPs and block RAMs are the same, unless ``--synthesize`` is given (``make luts``).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docs import contributing
from zynq_lstm.hls.engine import registers
from zynq_lstm.models.description.spec import network_spec
from zynq_lstm.models.evaluation.shipped_records import results_table, training_figures, training_records
from zynq_lstm.scripts.flow.load import table
from zynq_lstm.scripts.flow.stages import STAGES
from zynq_lstm.scripts.verbs import ladder
from zynq_lstm.sim.campaigns import coverage_plan, every_cell, formal, peers, records, upsets
from zynq_lstm.sim.campaigns.lane_table import lanes_table, table_rows

PAGE = Path(__file__).parent / "architecture.md"
VERIFICATION = PAGE.with_name("verification.md")
FLOW = PAGE.with_name("flow.md")
TRAINING = PAGE.with_name("training.md")
CONTRIBUTING = PAGE.with_name("contributing.md")
PEERS = PAGE.with_name("peers.md")
CELLS = PAGE.with_name("cells.md")


def block(name: str) -> re.Pattern[str]:
    """Return a pattern that matches a block: its two marks and the text between them."""
    return re.compile(rf"(<!-- {name}[^>]*-->\n)(.*?)(<!-- end of {name} -->)", re.S)


def _filled(text: str, name: str, written: str) -> str:
    return block(name).sub(lambda match: match[1] + written + match[3], text)


def tables(text: str, rows: list[dict[str, Any]]) -> str:
    """Return the page with its tables written anew; a row without LUTs takes them from the page."""
    match = block("lanes").search(text)
    lines = match[2].splitlines()[2:] if match else []
    cells = [[cell.strip().replace(",", "") for cell in line.split("|")[1:-1]] for line in lines]
    luts = {(lanes, dsp, bram): lut for lanes, _, _, _, dsp, bram, lut, _ in cells if lut.isdigit()}
    for row in rows:
        shape = str(row["mac_lanes"]), str(row["dsp"]), f"{row['bram36']:g}"
        if "lut" not in row and shape in luts:
            row["lut"] = int(luts[shape])
    return _filled(_filled(text, "registers", registers.markdown()), "lanes", lanes_table(rows) + "\n")


def verification(text: str) -> str:
    """Return the page of verification with its tables written anew."""
    flipped = records.read(upsets.KIND)
    assert flipped is not None
    for name, written in (
        ("figures", records.markdown()),
        ("robustness", records.markdown(records.ROBUSTNESS)),
        ("proofs", formal.markdown()),
        ("coverage plan", coverage_plan.markdown()),
        ("upsets", upsets.markdown(flipped)),
    ):
        text = _filled(text, name, written)
    return text


def training(text: str) -> str:
    """Return the page of training with its tables of results and of the ladder written anew."""
    text = _filled(text, "results", results_table(training_figures(training_records())))
    return _filled(text, "ladder", ladder.markdown())


def flow(text: str) -> str:
    """Return the page of the flow with its tables of stages and keys written anew."""
    stages = ["| stage | does | after |", "|---|---|---|"]
    stages += [f"| `{stage.name}` | {stage.what} | {', '.join(stage.after)} |" for stage in STAGES]
    return _filled(_filled(text, "stages", "\n".join(stages) + "\n"), "keys", table())


def compared(text: str) -> str:
    """Return the page about stock hls4ml with its tables written anew."""
    found = records.read(records.PEERS)
    assert found is not None
    return _filled(text, "peers", peers.markdown(found))


def cells(text: str) -> str:
    """Return the page about cells with its table of figures written anew."""
    found = records.read(records.CELLS)
    assert found is not None
    return _filled(text, "figures", every_cell.markdown(found))


def contribution(text: str) -> str:
    """Return the page for contributors with its table of files written anew."""
    return _filled(text, "questions", contributing.markdown())


if __name__ == "__main__":
    spec = network_spec("w8a8", vocabulary=78)
    found = table_rows(spec, "xc7z020", "--synthesize" in sys.argv[1:])
    PAGE.write_text(tables(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    VERIFICATION.write_text(verification(VERIFICATION.read_text(encoding="utf-8")), encoding="utf-8")
    TRAINING.write_text(training(TRAINING.read_text(encoding="utf-8")), encoding="utf-8")
    CONTRIBUTING.write_text(contribution(CONTRIBUTING.read_text(encoding="utf-8")), encoding="utf-8")
    PEERS.write_text(compared(PEERS.read_text(encoding="utf-8")), encoding="utf-8")
    CELLS.write_text(cells(CELLS.read_text(encoding="utf-8")), encoding="utf-8")
    FLOW.write_text(flow(FLOW.read_text(encoding="utf-8")), encoding="utf-8")
