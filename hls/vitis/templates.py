# SPDX-License-Identifier: Apache-2.0
"""C++ templates of our layers for hls4ml's Vitis backend: a configuration and a call for each layer.

The kernel itself is ``nnet_utils/zynq_lstm.h``.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from typing import Any, ClassVar

from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.optimizer import OptimizerPass

from zynq_lstm.hls.hls4ml.graph import INPUTS
from zynq_lstm.hls.hls4ml.layers import FixedCell, FixedDense
from zynq_lstm.hls.vitis import cell
from zynq_lstm.models.cells.groups import groups
from zynq_lstm.models.integers import choice
from zynq_lstm.models.store import write_text

HEADERS = Path(__file__).parent / "nnet_utils"
INCLUDE = ["nnet_utils/zynq_lstm.h", f"nnet_utils/{cell.HEADER}"]


class _Config(LayerConfigTemplate):
    sizes: ClassVar[dict[str, str]]  # constant of the struct -> attribute of the node
    types: ClassVar[tuple[str, ...]]

    def format(self, node: Any) -> str:
        return self.struct(node, self.types)

    def struct(self, node: Any, types: tuple[str, ...]) -> str:
        lines = [f"static const unsigned {name} = {node.get_attr(a)};" for name, a in self.sizes.items()]
        lines += [f"typedef {node.get_attr(f'{name}_t').name} {name}_t;" for name in types]
        body = "".join(f"    {line}\n" for line in lines)
        return f"struct config{node.index} {{\n{body}}};\n"


class FixedCellConfig(_Config):
    """The constants and types of a recurrent layer; gates with a product of their own have a struct in it."""

    sizes: ClassVar = {
        "inputs": "n_in",
        "units": "n_out",
        "columns": "columns",
        "lanes": "lanes",
        "rows": "rows",
    }

    def __init__(self) -> None:
        super().__init__(FixedCell)

    def match(self, node: Any) -> bool:
        return isinstance(node, FixedCell)  # of any cell, also of one's own

    def format(self, node: Any) -> str:
        formats = type(node).formats_class
        text = self.struct(node, (*formats.weights, "accum", *formats.signal_fields()))
        parts = []
        for group in groups(formats.description)[1:]:
            sizes = [
                f"static const unsigned {name} = {node.get_attr(name + group.suffix)};"
                for name in ("columns", "lanes", "rows")
            ]
            types = [
                f"typedef {node.get_attr(f'{name}_t').name} {name}_t;" for name in ("W", "U", "b", "accum")
            ]
            parts.append(f"    struct group{group.suffix} {{ {' '.join([*sizes, *types])} }};\n")
        return text.replace("};\n", "".join(parts) + "};\n") if parts else text


class FixedDenseConfig(_Config):
    sizes: ClassVar = {
        "inputs": "n_in",
        "outputs": "n_out",
        "columns": "columns",
        "lanes": "lanes",
        "rows": "rows",
    }
    types: ClassVar = ("W", "b", "accum")

    def __init__(self) -> None:
        super().__init__(FixedDense)


class FixedCellCall(FunctionCallTemplate):
    """``reset{index}`` hands the reset flag from layer to layer."""

    def __init__(self) -> None:
        super().__init__(FixedCell, include_header=INCLUDE)

    def match(self, node: Any) -> bool:
        return isinstance(node, FixedCell)

    def format(self, node: Any) -> list[str]:
        x, out = node.get_input_variable(), node.get_output_variable()
        description = type(node).formats_class.description
        if node.get_attr("one_hot"):
            function, reset_in = f"first_{description.name}", ""
        else:
            _require_layer_below(node)
            function, reset_in = f"{description.name}_above", f"reset{node.get_input_node().index}, "
        arrays = ", ".join(node.weights[name].name for name in cell.arrays(description))
        return [
            f"ap_uint<1> reset{node.index};",
            f"nnet::zynq_lstm::{function}<{x.type.name}, config{node.index}>"
            f"({x.name}, {reset_in}{out.name}, reset{node.index}, {arrays});",
        ]


class FixedDenseCall(FunctionCallTemplate):
    def __init__(self) -> None:
        super().__init__(FixedDense, include_header=INCLUDE)

    def format(self, node: Any) -> str:
        _require_layer_below(node)
        x, out = node.get_input_variable(), node.get_output_variable()
        return (
            f"nnet::zynq_lstm::dense<{x.type.name}, {out.type.name}, config{node.index}>"
            f"({x.name}, {out.name}, {node.weights['W'].name}, {node.weights['b'].name});"
        )


#: Text with which hls4ml's script for g++ passes the project's folder to C++, and its replacement: in a C++
#: string, a quote or backslash of the path needs a backslash before it.
WEIGHTS_DIR = r'''"\"${BASEDIR}/firmware/weights\""'''
QUOTED_WEIGHTS_DIR = (
    r""""\"$(printf '%s' "${BASEDIR}/firmware/weights" | """
    r'''sed ':a;$!{N;ba};s/["\\]/\\&/g;s/\n/\\n/g')\""'''
)


def _require_layer_below(node: Any) -> None:
    """Refuse a graph that begins with a layer other than the network's first: hls4ml has split it."""
    if node.get_input_node().class_name in INPUTS:
        node.refuse(
            "a MultiModelGraph can't begin a submodel with it, as the flag that clears the state comes from "
            "the layer below",
            "convert the network as one graph",
        )


class CopyKernel(OptimizerPass):
    """Copies the kernel to the folder of hls4ml's own headers, in projects that use it and in no others.

    Also lets g++ compile such a project in a folder of any name.
    """

    def match(self, node: Any) -> bool:
        return isinstance(node, FixedCell) and node.get_attr("one_hot")

    def transform(self, model: Any, node: Any) -> bool:
        project = Path(model.config.get_output_dir())
        folder = project / "firmware" / "nnet_utils"
        for header in HEADERS.glob("*.h"):
            copyfile(header, folder / header.name)
        write_text(folder / "zynq_lstm_noise.h", noise_header())
        nodes = [one for one in model.get_layers() if isinstance(one, FixedCell)]
        used = tuple(dict.fromkeys(type(one).formats_class.description for one in nodes))
        write_text(folder / cell.HEADER, cell.header(used))
        script = project / "build_lib.sh"
        text = script.read_text(encoding="utf-8")
        script.write_text(text.replace(WEIGHTS_DIR, QUOTED_WEIGHTS_DIR), encoding="utf-8")
        return False


def noise_header() -> str:
    """Return the header for zynq_lstm_sampling.h: tables and constants of models/integers/choice.py."""
    constants = dict(zip((f"XORSHIFT_{n}" for n in "XYZW"), choice.INITIAL_STATE, strict=True))
    constants["XORSHIFT_DISCARDED"] = choice.DISCARDED
    lines = ["// SPDX-License-Identifier: Apache-2.0", "// Written by hls/vitis/templates.py."]
    lines += [f"const unsigned {name} = {value};" for name, value in constants.items()]
    for name, table in (("noise_table", choice.noise_table()), ("noise_tail", choice.noise_tail())):
        rows = [", ".join(map(str, table[k : k + 16])) for k in range(0, len(table), 16)]
        lines.append(f"const short {name}[{len(table)}] = {{\n    " + ",\n    ".join(rows) + "};")
    return "\n".join(lines) + "\n"


TEMPLATES = (FixedCellConfig, FixedDenseConfig, FixedCellCall, FixedDenseCall)
