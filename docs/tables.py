# SPDX-License-Identifier: Apache-2.0
"""Write the tables of the documentation that come from the code (``make docs``).

LUTs in the table of lanes are counted by synthesis, minutes a row: kept as they are unless
``--synthesize`` is given.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from hls import registers
from models.spec import network_spec
from scripts.estimate import lanes_table, table_rows
from sim import formal

PAGE = Path(__file__).parent / "architecture.md"
VERIFICATION = PAGE.with_name("verification.md")


def block(name: str) -> re.Pattern[str]:
    """What stands between a block's two marks."""
    return re.compile(rf"(<!-- {name}[^>]*-->\n)(.*?)(<!-- end of {name} -->)", re.S)


def tables(text: str, rows: list[dict[str, Any]]) -> str:
    """The page with its tables written anew; ``rows`` without ``lut`` keep the page's."""
    match = block("lanes").search(text)
    cells = [line.split("|") for line in match[2].splitlines()[2:]] if match else []
    old = {row[1].strip(): row[7].strip().replace(",", "") for row in cells}
    for row in rows:
        before = old.get(str(row["mac_lanes"]), "")
        if "lut" not in row and before.isdigit():
            row["lut"] = int(before)
    text = block("registers").sub(lambda m: m[1] + registers.markdown() + m[3], text)
    return block("lanes").sub(lambda m: m[1] + lanes_table(rows) + "\n" + m[3], text)


def proofs(text: str) -> str:
    """The page of verification with its table of proofs written anew."""
    return block("proofs").sub(lambda m: m[1] + formal.markdown() + m[3], text)


if __name__ == "__main__":
    spec = network_spec("w8a8", vocabulary=78)
    found = table_rows(spec, "xc7z020", "--synthesize" in sys.argv[1:])
    PAGE.write_text(tables(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    VERIFICATION.write_text(proofs(VERIFICATION.read_text(encoding="utf-8")), encoding="utf-8")
