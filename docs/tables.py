# SPDX-License-Identifier: Apache-2.0
"""Write the tables of the documentation that come from the code (``make docs``).

LUTs in the table of lanes are counted by synthesis, minutes a row: a row keeps those that it has, as long as
its DSPs and block RAMs are the same, unless ``--synthesize`` is given (``make luts``).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from hls import registers
from models.spec import network_spec
from scripts.estimate import lanes_table, table_rows
from sim import formal, records

PAGE = Path(__file__).parent / "architecture.md"
VERIFICATION = PAGE.with_name("verification.md")


def block(name: str) -> re.Pattern[str]:
    """What stands between a block's two marks."""
    return re.compile(rf"(<!-- {name}[^>]*-->\n)(.*?)(<!-- end of {name} -->)", re.S)


def tables(text: str, rows: list[dict[str, Any]]) -> str:
    """The page with its tables written anew; ``rows`` of which it has the LUTs need none."""
    match = block("lanes").search(text)
    lines = match[2].splitlines()[2:] if match else []
    cells = [[cell.strip().replace(",", "") for cell in line.split("|")[1:-1]] for line in lines]
    luts = {(lanes, dsp, bram): lut for lanes, _, _, _, dsp, bram, lut, _ in cells if lut.isdigit()}
    for row in rows:
        shape = str(row["mac_lanes"]), str(row["dsp"]), f"{row['bram36']:g}"
        if "lut" not in row and shape in luts:
            row["lut"] = int(luts[shape])
    text = block("registers").sub(lambda m: m[1] + registers.markdown() + m[3], text)
    return block("lanes").sub(lambda m: m[1] + lanes_table(rows) + "\n" + m[3], text)


def verification(text: str) -> str:
    """The page of verification with its tables of figures and of proofs written anew."""
    text = block("figures").sub(lambda m: m[1] + records.markdown() + m[3], text)
    return block("proofs").sub(lambda m: m[1] + formal.markdown() + m[3], text)


if __name__ == "__main__":
    spec = network_spec("w8a8", vocabulary=78)
    found = table_rows(spec, "xc7z020", "--synthesize" in sys.argv[1:])
    PAGE.write_text(tables(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    VERIFICATION.write_text(verification(VERIFICATION.read_text(encoding="utf-8")), encoding="utf-8")
