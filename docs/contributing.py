# SPDX-License-Identifier: Apache-2.0
"""The files to touch for an addition; ``python -m docs.contributing`` prints them."""

from __future__ import annotations

#: For each kind of addition, the files to touch, and what to do in each.
QUESTIONS = {
    "a cell": {
        "models/cells/": "one file of equations, as `docs/cells.md` explains them",
        "tests/oracles.py": "the same equations written by hand, which the engines are compared with",
    },
    "a rounding mode": {
        "models/fixed.py": "`Rounding`, and its effect on an integer",
        "hls/vitis/nnet_utils/zynq_lstm.h": "the same in C++",
        "hls/rtl/round_saturate.sv": "the same in RTL",
    },
    "a board": {
        "hls/parts/": "one file for its part: LUTs, DSP48E1s, block RAMs",
    },
    "a report section": {
        "scripts/flow/report.py": "the section and its contents",
        "scripts/flow/pictures.py": "its picture, if it has one",
    },
    "a weight precision": {
        "models/description/spec.py": "a preset: the format of each matrix",
        "hls/engine/design.py": "how many weights share a DSP48E1, if that differs",
    },
    "an engine": {
        "sim/engines/": "one file: build, trace, write text, describe itself",
        "models/integers/limits.py": "the networks that it can't be built for",
    },
}


def markdown() -> str:
    """Return the questions and their files as the page's table."""
    rows = ["| to add | touch | there |", "|---|---|---|"]
    for question, files in QUESTIONS.items():
        for k, (name, what) in enumerate(files.items()):
            rows.append(f"| {question if k == 0 else ''} | `{name}` | {what} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    for question, files in QUESTIONS.items():
        print(f"Where do I add {question}?")
        for name, what in files.items():
            print(f"  {name:36} {what}")


if __name__ == "__main__":
    main()
