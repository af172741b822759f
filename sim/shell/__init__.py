# SPDX-License-Identifier: Apache-2.0
"""Cores for the engine's shell whose network is not our RTL: hls4ml's C++, or RTL exported from Vitis HLS.

Driver, monitors, model and checker are the same for all cores. The shell (``hls/rtl/network_engine.sv``) is
unchanged; another file defines its module ``network_core``, which asks module ``kernel`` for one character's
logits at a time.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import generate
from zynq_lstm.models.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SOURCES = (".v", ".sv")
CORE = ("network_core.sv", "kernel_header.svh")
DPI = "dpi_kernel.cpp"


def project(design: Design, kernel: str) -> dict[str, str]:
    """Return a project (file name -> content) whose network is in ``kernel``, the text of that module."""
    own = {name: text(name) for name in CORE} | {"kernel.sv": kernel}
    return generate(design) | own | _trace(design)


def _trace(design: Design) -> dict[str, str]:
    """Return a kernel's include files: what of a trace goes to the file of each gate pipeline."""
    layers = [layer.formats.description.signals for layer in design.network.spec.layers]
    sizes = [len(names) * x.units for names, x in zip(layers, design.network.spec.layers, strict=True)]
    calls = []
    for stage in design.layout.stages:
        names = layers[stage.layer]
        signals = sum(1 << k for k, name in enumerate(names) if name in stage.level.signals)
        numbers = stage.units, design.layout.first_unit(stage), sum(sizes[: stage.layer]), len(names), signals
        calls.append(
            f'if ($value$plusargs("trace_{stage.level.name}_0=%s", path) != 0)\n'
            f"  zynq_lstm_dpi_trace_stage(path, {', '.join(map(str, numbers))});\n"
        )
    return {
        "kernel_values.svh": f"localparam int SIGNAL_VALUES = {sum(sizes)};  // of all layers\n",
        "kernel_trace.svh": "".join(calls),
    }


def text(name: str) -> str:
    """Return the text of a file of this folder."""
    return (resources.files(__name__) / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class PortMap:
    """Ports of RTL that Vitis HLS made from a converted model (ap_ctrl_hs, io_parallel).

    Args:
        top: the top module.
        code: input of 16 bits: bit 15 clears the state, the bits below it are the character's code.
        logits: outputs, one for each code; ``{}`` in the name is the code. Without ``{}`` there is one port,
            with code 0 in the low bits.
        code_valid, logits_valid: valid signals of code and logits (ap_vld), if there are any.
        start, ready, done: the block's handshake.
        tied: other inputs, each with the value that it is tied to.
        unused: other outputs.
    """

    top: str
    code: str
    logits: str
    clock: str = "ap_clk"
    reset: str = "ap_rst"
    reset_level: int = 1
    start: str = "ap_start"
    ready: str = "ap_ready"
    done: str = "ap_done"
    code_valid: str = ""
    logits_valid: str = ""
    tied: dict[str, int] = field(default_factory=dict)
    unused: list[str] = field(default_factory=lambda: ["ap_idle"])

    @classmethod
    def load(cls, path: Path) -> PortMap:
        """Read a port map from a TOML file whose keys are these names.

        Raises:
            UserError: naming the file and the error in it.
        """
        try:
            data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not TOML: {error}") from None
        legal = {name: kind.type for name, kind in cls.__dataclass_fields__.items()}
        for name, value in data.items():
            if name not in legal:
                raise UserError(f"{path}: unknown key {name!r}; legal are {', '.join(legal)}")
            kind = {"str": str, "int": int, "list[str]": list}.get(str(legal[name]), dict)
            if not isinstance(value, kind):
                raise UserError(f"{path}: {name} must be a {kind.__name__}, got {value!r}")
        missing = [name for name in ("top", "code", "logits") if name not in data]
        if missing:
            raise UserError(f"{path}: {missing[0]} is missing")
        return cls(**data)

    def kernel(self, vocabulary: int) -> str:
        """Return the text of module ``kernel`` with the top module inside."""
        single = "{}" not in self.logits
        ports = {
            self.clock: "clk_i",
            self.reset: "rst_i" if self.reset_level else "!rst_i",
            self.start: "start_q",
            self.ready: "ready",
            self.done: "done",
            self.code: "code_q",
            **({self.code_valid: "start_q"} if self.code_valid else {}),
            **{name: str(value) for name, value in self.tied.items()},
            **dict.fromkeys(self.unused, ""),
        }
        codes = [0] if single else range(vocabulary)
        width = "VOCABULARY*LOGIT_BITS" if single else "LOGIT_BITS"
        for code in codes:
            ports[self.logits.replace("{}", str(code))] = f"logits[{code}*LOGIT_BITS+:{width}]"
            if self.logits_valid:
                ports[self.logits_valid.replace("{}", str(code))] = f"valids[{code}]"
        connections = ",\n".join(f"      .{name}({signal})" for name, signal in ports.items())
        valids = "" if self.logits_valid else "  assign valids = {VALIDS{done}};\n"
        return f"""// SPDX-License-Identifier: Apache-2.0
// Generated by sim/shell/__init__.py from a port map.
module kernel
`include "kernel_header.svh"
;
  localparam int VALIDS = {len(codes)};
  localparam int WIDTH = {width};
  logic start_q, ready, done;
  logic [15:0] code_q;
  logic [VALIDS-1:0] valids;
  logic [VOCABULARY*LOGIT_BITS-1:0] logits;
{valids}  always_ff @(posedge clk_i) begin
    if (start_i) code_q <= {{fresh_i, code_i}};
    start_q <= !rst_i && (start_i || (start_q && !ready));
    done_o <= !rst_i && done;
    for (int v = 0; v < VALIDS; v++)
      if (valids[v]) logits_o[v*WIDTH+:WIDTH] <= logits[v*WIDTH+:WIDTH];
  end
  // verilator lint_off PINCONNECTEMPTY  // outputs that the map says are not used
  {self.top} u_theirs (
{connections}
  );
  // verilator lint_on PINCONNECTEMPTY
endmodule
"""
