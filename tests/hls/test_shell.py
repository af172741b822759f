# SPDX-License-Identifier: Apache-2.0
"""The RTL's bench on the hls4ml C++ (through DPI), and on RTL in the form that Vitis HLS exports."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from tests.hls.hls4ml_networks import keras_model, random_network
from tests.machine import verilator_lint
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.design import Design
from zynq_lstm.hls.engine.project import generate as rtl_project
from zynq_lstm.hls.hls4ml.convert import compile_model, convert, library
from zynq_lstm.models.errors import CheckError, UserError
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.models.integers.text import generate
from zynq_lstm.scripts.main import main
from zynq_lstm.sim import shell
from zynq_lstm.sim.shell import PortMap
from zynq_lstm.sim.simulation.rtl import CORNER_TESTS, PROTOCOL_TESTS, SHELL_ARRAY, Rtl, write_project

SEED = 7
# The shell's core has no schedule, whose pace could be tested.
TESTS = [test for test in PROTOCOL_TESTS + CORNER_TESTS if test != "pace"]
FEW_TESTS = (
    "score_with_pauses",
    "counters",
    "counts_of_errors",
    "last_missing",
    "generate_stop",
    "sample_with_temperature",
    "seed_right_before",
)


def parametrized(*left_out: str) -> list[object]:
    """Return all tests of the bench as parameters, most of them nightly."""
    return [
        test if test in FEW_TESTS else pytest.param(test, marks=pytest.mark.nightly)
        for test in TESTS
        if test not in left_out
    ]


def text_is_the_references(rtl: Rtl, network: IntegerNetwork) -> None:
    codes = np.random.default_rng(SEED).integers(0, network.spec.vocabulary, 30)
    run = rtl.score(codes)
    assert run.report["mismatches"] == 0 and run.report["characters"] == 30
    written = rtl.generate(codes[:3], 25, temperature_raw=300, seed=5).report["generated"]
    assert written == generate(network, codes[:3], 25, 300, 5).tolist()


# ---- the hls4ml C++


@pytest.fixture(scope="module")
def cplusplus(tmp_path_factory: pytest.TempPathFactory) -> tuple[IntegerNetwork, Rtl]:
    network = random_network("w8a8", 11, (6, 5), np.random.default_rng(SEED))
    folder = tmp_path_factory.mktemp("hls")
    graph = convert(keras_model(network), folder / "hls")
    compile_model(graph)
    return network, Rtl.build_hls(network, *library(graph), folder)


@pytest.mark.hls
@pytest.mark.rtl
@pytest.mark.slow
def test_text_of_the_cplusplus(cplusplus: tuple[IntegerNetwork, Rtl]) -> None:
    """Compare every signal of every character, and the text that the C++ writes."""
    network, rtl = cplusplus
    text_is_the_references(rtl, network)
    codes, expected = [3, 1, 4, 1, 5], {}
    Reference(network).run(codes, expected)
    trace = rtl.score(codes).trace
    assert trace.keys() == expected.keys()
    assert all(np.array_equal(trace[name], expected[name]) for name in trace)


@pytest.mark.hls
@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("test", parametrized())
def test_protocol_of_the_cplusplus(cplusplus: tuple[IntegerNetwork, Rtl], test: str, seed: int) -> None:
    cplusplus[1].protocol(test, seed)


@pytest.mark.hls
@pytest.mark.rtl
@pytest.mark.slow
def test_cplusplus_of_another_network_is_found(cplusplus: tuple[IntegerNetwork, Rtl], tmp_path: Path) -> None:
    """The bench compares the C++ itself: a changed weight of layer 1 in the reference is found in layer 1."""
    network, rtl = cplusplus
    arrays = dict(network.arrays)
    arrays["layers.1.U"] = arrays["layers.1.U"].copy()
    arrays["layers.1.U"][2, 7] ^= 0x10
    network_file = tmp_path / "network.safetensors"
    IntegerNetwork(network.spec, network.vocabulary, arrays).save(network_file)
    with pytest.raises(CheckError, match=r"first: character \d+, layer 1, z_f, unit 2: "):
        dataclasses.replace(rtl, network_file=network_file).score(range(11))


# ---- RTL exported by Vitis HLS: a stand-in with its handshake and port names around our own engine

PORTS = """top = "char_lstm"
code = "codes"
code_valid = "codes_ap_vld"
logits = "layer4_out_{}"
logits_valid = "layer4_out_{}_ap_vld"
"""


def stand_in(network: IntegerNetwork, folder: Path) -> Path:
    """Write our RTL with renamed modules, in a block with ap_ctrl_hs that takes one character at a time."""
    folder.mkdir()
    files = rtl_project(Design(network, Array(2, 2, 1, 1)))
    modules = [name.removesuffix(".sv") for name in files if name.endswith(".sv")]
    pattern = re.compile(rf"\b({'|'.join(modules)})\b(?!\.|_)")
    for name, text in files.items():
        if name.endswith(".sv"):
            (folder / f"their_{name}").write_text(pattern.sub(r"their_\1", text))
        else:
            (folder / name).write_text(text)
    vocabulary, words = network.spec.vocabulary, -(-network.spec.vocabulary // 4)
    outputs = "".join(
        f",\n  output reg [15:0] layer4_out_{v}, output layer4_out_{v}_ap_vld" for v in range(vocabulary)
    )
    valids = "".join(f"  assign layer4_out_{v}_ap_vld = ap_done;\n" for v in range(vocabulary))
    takes = "".join(
        f"      if (word == {v // 4}) layer4_out_{v} <= data[{16 * (v % 4)}+:16];\n"
        for v in range(vocabulary)
    )
    (folder / "char_lstm.v").write_text(f"""// SPDX-License-Identifier: Apache-2.0
module char_lstm (
  input ap_clk, input ap_rst, input ap_start, output ap_done, output ap_idle, output ap_ready,
  input [15:0] codes, input codes_ap_vld{outputs}
);
  reg [2:0] state;  // 0 idle, 1 ask for a zero state, 2 wait for it, 3 send, 4 take logits, 5 done
  reg [3:0] left;
  reg [7:0] word;
  wire awready, wready, ready, valid, last;
  wire [63:0] data;
  assign ap_done = state == 5;
  assign ap_ready = ap_done;
  assign ap_idle = state == 0;
{valids}  always @(posedge ap_clk) begin
    left <= left - 1;
    case (state)
      0: if (ap_start && codes_ap_vld) state <= codes[15] ? 1 : 3;
      1: if (awready && wready) begin state <= 2; left <= 8; end
      2: if (left == 0) state <= 3;
      3: if (ready) begin state <= 4; word <= 0; end
      4: if (valid) begin
{takes}        word <= word + 1;
        if (word == {words - 1}) state <= 5;
      end
      default: state <= 0;
    endcase
    if (ap_rst) state <= 0;
  end
  their_zynq_lstm engine (
    .clk_i(ap_clk), .rst_i(ap_rst), .s_axis_tvalid(state == 3), .s_axis_tready(ready),
    .s_axis_tdata(codes[7:0]), .s_axis_tlast(1'b0), .m_axis_tvalid(valid), .m_axis_tready(state == 4),
    .m_axis_tdata(data), .m_axis_tlast(last), .s_axil_awvalid(state == 1), .s_axil_awready(awready),
    .s_axil_awaddr(8'h08), .s_axil_awprot(3'd0), .s_axil_wvalid(state == 1), .s_axil_wready(wready),
    .s_axil_wdata(32'd1), .s_axil_wstrb(4'hf), .s_axil_bvalid(), .s_axil_bready(1'b1), .s_axil_bresp(),
    .s_axil_arvalid(1'b0), .s_axil_arready(), .s_axil_araddr(8'd0), .s_axil_arprot(3'd0),
    .s_axil_rvalid(), .s_axil_rready(1'b1), .s_axil_rdata(), .s_axil_rresp()
  );
endmodule
""")
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[IntegerNetwork, Rtl]:
    network = random_network("w8a8", 11, (6, 5), np.random.default_rng(SEED))
    folder = tmp_path_factory.mktemp("exported")
    (folder / "ports.toml").write_text(PORTS)
    ports = PortMap.load(folder / "ports.toml")
    return network, Rtl.build_exported(network, stand_in(network, folder / "theirs"), ports, folder / "ours")


@pytest.mark.rtl
@pytest.mark.slow
def test_text_of_exported_rtl(exported: tuple[IntegerNetwork, Rtl]) -> None:
    text_is_the_references(exported[1], exported[0])


@pytest.mark.rtl
@pytest.mark.slow
def test_exported_rtl_of_another_network_is_found(
    exported: tuple[IntegerNetwork, Rtl], tmp_path: Path
) -> None:
    other = random_network("w8a8", 11, (6, 5), np.random.default_rng(SEED + 1))
    other.save(tmp_path / "network.safetensors")
    with pytest.raises(CheckError, match=r"m_axis beat 0: expected"):
        dataclasses.replace(exported[1], network_file=tmp_path / "network.safetensors").score([1, 2, 3])


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("test", parametrized("counters"))
def test_protocol_of_exported_rtl(exported: tuple[IntegerNetwork, Rtl], test: str, seed: int) -> None:
    """All tests run but 'counters', which assumes that every character takes the same number of cycles."""
    exported[1].protocol(test, seed)


# ---- every wire


def shell_of(kind: str, folder: Path) -> tuple[Path, list[str]]:
    """Return a shell's project, and further arguments of Verilator: the stand-in, which lint ignores."""
    network = random_network("w8a8", 11, (6, 5), np.random.default_rng(SEED))
    kernel, more = shell.text("dpi_kernel.sv"), []
    if kind == "exported":
        (folder / "ports.toml").write_text(PORTS)
        kernel = PortMap.load(folder / "ports.toml").kernel(11)
        theirs = stand_in(network, folder / "theirs")
        (folder / "theirs.vlt").write_text(f'`verilator_config\nlint_off -file "{theirs}/*"\n')
        more = [str(folder / "theirs.vlt"), *map(str, sorted(theirs.glob("*v")))]
    project = folder / "rtl"
    write_project(design := Design(network, SHELL_ARRAY), project, shell.project(design, kernel))
    return project, more


@pytest.mark.parametrize("kind", ["dpi", "exported"])
def test_lint_is_clean(kind: str, tmp_path: Path) -> None:
    """Lint finds nothing; and it finds a wire that is left out."""
    project, more = shell_of(kind, tmp_path)
    assert verilator_lint(project, *more) == ""
    engine = project / "network_engine.sv"
    text = engine.read_text()
    for wire in (".open_o", ".open_i", ".offered_i", ".parity_error_i"):
        # Remove only a line of the instance.
        changed = re.sub(rf"\n *{re.escape(wire)} .*|,\n *{re.escape(wire)}\(.*", "", text)
        assert changed != text
        engine.write_text(changed)
        assert f"missing pin: '{wire[1:]}'" in verilator_lint(project, *more)


def test_port_that_the_map_forgets(tmp_path: Path) -> None:
    """Such a port would float: the message names it."""
    network = random_network("w8a8", 11, (6, 5), np.random.default_rng(SEED))
    theirs = stand_in(network, tmp_path / "theirs")
    (tmp_path / "ports.toml").write_text(PORTS + "unused = []\n")
    with pytest.raises(UserError, match=r"could not build .*missing pin: 'ap_idle'"):
        Rtl.build_exported(network, theirs, PortMap.load(tmp_path / "ports.toml"), tmp_path / "ours")


def test_shell_is_the_engines_own() -> None:
    """A project with another core differs only in the core's generated files."""
    network = random_network("w8a8", 11, (6, 5), np.random.default_rng(SEED))
    design = Design(network, SHELL_ARRAY)
    ours, theirs = rtl_project(design), shell.project(design, "")
    assert {name for name in theirs if theirs[name] != ours.get(name)} == {
        "network_core.sv",
        *("kernel.sv", "kernel_header.svh", "kernel_trace.svh", "kernel_values.svh"),
    }


@pytest.mark.parametrize(
    "text, message",
    [
        ("unused = 3\n", "ports.toml: unused must be a list, got 3"),
        ("top = ", "ports.toml: not TOML"),
        ('top = "a"\ncode = "b"\n', "ports.toml: logits is missing"),
        ('top = "a"\nclok = "b"\n', "ports.toml: unknown key 'clok'; legal are top, code, logits, clock"),
        ("top = 3\n", "ports.toml: top must be a str, got 3"),
        ("tied = 3\n", "ports.toml: tied must be a dict, got 3"),
    ],
)
def test_bad_port_map(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "ports.toml").write_text(text)
    with pytest.raises(UserError, match=re.escape(message)):
        PortMap.load(tmp_path / "ports.toml")


def test_port_map_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ports.toml: no such file"):
        PortMap.load(tmp_path / "ports.toml")


def test_folder_without_verilog(tmp_path: Path) -> None:
    network = random_network("w8a8", 11, (6, 5), np.random.default_rng(SEED))
    with pytest.raises(UserError, match="no Verilog in this folder"):
        Rtl.build_exported(network, tmp_path, PortMap("a", "b", "c"), tmp_path / "build")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--exported", "FOLDER"], "--exported and --ports need each other"),
        (["--hls", "--netlist"], "--netlist, --hls and --exported exclude each other"),
        (["--hls", "--waves"], "--hls and --exported run on Verilator, without waveforms"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *(str(tmp_path) if word == "FOLDER" else word for word in arguments)]) == 2
    assert message in capsys.readouterr().err
