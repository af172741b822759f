# SPDX-License-Identifier: Apache-2.0
"""The path through Vivado and Vitis HLS, as far as it can be tested without them.

Reports are small files of the documented layout, written here; a Tcl interpreter stands in for the tools,
and knows their commands and options (vendor_stub.tcl). The test bench for Vitis HLS is compiled with g++.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.networks import save_checkpoint, small_spec, with_weights
from tests.skips import TCL
from zynq_lstm.hls.parts import full_part, part_name, parts
from zynq_lstm.hls.vendor import projects, reports
from zynq_lstm.hls.vendor.run import ERROR_LINE
from zynq_lstm.models.errors import UserError, first_error
from zynq_lstm.models.integers.network import IntegerNetwork
from zynq_lstm.models.integers.reference import Reference
from zynq_lstm.scripts.main import main

UTILIZATION = """\
1. Slice Logic
--------------

+-------------------------+------+-------+------------+-----------+-------+
|        Site Type        | Used | Fixed | Prohibited | Available | Util% |
+-------------------------+------+-------+------------+-----------+-------+
| Slice LUTs*             | 8100 |     0 |          0 |     53200 | 15.23 |
|   LUT as Logic          | 7000 |     0 |          0 |     53200 | 13.16 |
| Slice Registers         | 9900 |     0 |          0 |    106400 |  9.30 |
+-------------------------+------+-------+------------+-----------+-------+
* Warning! The Final LUT count, after physical optimizations, is typically lower.

2. Slice Logic Distribution
---------------------------

+-------------------------+------+-------+------------+-----------+-------+
|        Site Type        | Used | Fixed | Prohibited | Available | Util% |
+-------------------------+------+-------+------------+-----------+-------+
| Slice                   | 3000 |     0 |          0 |     13300 | 22.56 |
| Slice Registers         | 9900 |     0 |          0 |    106400 |  9.30 |
+-------------------------+------+-------+------------+-----------+-------+

3. Memory
---------

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    | 59.5 |     0 |          0 |       140 | 42.50 |
|   RAMB36/FIFO*    |   58 |     0 |          0 |       140 | 41.43 |
+-------------------+------+-------+------------+-----------+-------+

4. DSP
------

+----------------+------+-------+------------+-----------+-------+
|    Site Type   | Used | Fixed | Prohibited | Available | Util% |
+----------------+------+-------+------------+-----------+-------+
| DSPs           |  215 |     0 |          0 |       220 | 97.73 |
+----------------+------+-------+------------+-----------+-------+
"""

TIMING = """\
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  \
THS Failing Endpoints  THS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  \
---------------------  -------------------
      0.217        0.000                      0                30000        0.051        0.000  \
                    0                30000
"""

POWER = """\
1. Summary
----------

+--------------------------+--------------+
| Total On-Chip Power (W)  | 0.512        |
| Power Budget Margin (W)  | NA           |
| Dynamic (W)              | 0.407        |
| Device Static (W)        | 0.105        |
| Confidence Level         | Low          |
+--------------------------+--------------+
"""

CSYNTH = """\
<?xml version="1.0" encoding="UTF-8"?>
<profile>
  <UserAssignments><Part>xc7z020-clg400-1</Part><TargetClockPeriod>10.00</TargetClockPeriod></UserAssignments>
  <PerformanceEstimates>
    <SummaryOfTimingAnalysis><EstimatedClockPeriod>7.300</EstimatedClockPeriod></SummaryOfTimingAnalysis>
    <SummaryOfOverallLatency>
      <Best-caseLatency>2300</Best-caseLatency><Worst-caseLatency>2310</Worst-caseLatency>
      <Interval-min>1100</Interval-min><Interval-max>1101</Interval-max>
    </SummaryOfOverallLatency>
  </PerformanceEstimates>
  <AreaEstimates>
    <Resources>
      <BRAM_18K>113</BRAM_18K><DSP>150</DSP><FF>9000</FF><LUT>20000</LUT><URAM>0</URAM>
    </Resources>
  </AreaEstimates>
</profile>
"""

COSIM = """\
Report time       : Sat Nov 21 12:00:00 UTC 2026.
Solution          : solution1.
Simulation tool   : xsim.

+----------+----------+-----------------------------+-----------------------------+----------------------+
|          |          |    Latency(Clock Cycles)    |    Interval(Clock Cycles)   | Total Execution Time |
+   RTL    +  Status  +-----------------------------+-----------------------------+    (Clock Cycles)    +
|          |          |   min   |   avg   |   max   |   min   |   avg   |   max   |                      |
+----------+----------+-----------------------------+-----------------------------+----------------------+
|      VHDL|        NA|       NA|       NA|       NA|       NA|       NA|       NA|                    NA|
|   Verilog|      Pass|     2305|     2306|     2308|     1100|     1100|     1101|                 37000|
+----------+----------+-----------------------------+-----------------------------+----------------------+
"""

FILES = {
    "utilization.rpt": (reports.utilization, UTILIZATION),
    "timing.rpt": (reports.timing, TIMING),
    "power.rpt": (reports.power, POWER),
    "char_lstm_csynth.xml": (reports.hls_synthesis, CSYNTH),
    "char_lstm_cosim.rpt": (reports.cosimulation, COSIM),
}
USED = {"lut": 8100, "ff": 9900, "dsp": 215, "bram36": 59.5}
PLACE = 5


def written(folder: Path, **changed: str) -> Path:
    """Write the reports into a folder; ``changed`` has other texts, by the name up to the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, text) in FILES.items():
        (folder / name).write_text(changed.get(name.partition(".")[0], text))
    return folder


def test_reports_are_read(tmp_path: Path) -> None:
    written(tmp_path)
    assert reports.utilization(tmp_path / "utilization.rpt") == USED
    timing = reports.timing(tmp_path / "timing.rpt")
    assert timing == reports.Timing(0.217, 0.051, 0) and timing.met
    assert reports.power(tmp_path / "power.rpt") == {"total": 0.512, "dynamic": 0.407, "static": 0.105}
    assert reports.hls_synthesis(tmp_path / "char_lstm_csynth.xml") == reports.HlsSynthesis(
        10.0, 7.3, (2300, 2310), (1100, 1101), {"lut": 20000, "ff": 9000, "dsp": 150, "bram36": 56.5}
    )
    assert reports.cosimulation(tmp_path / "char_lstm_cosim.rpt") == reports.Cosimulation(
        (2305, 2306, 2308), (1100, 1100, 1101)
    )


def test_timing_is_met_only_without_failing_endpoints(tmp_path: Path) -> None:
    path = tmp_path / "timing.rpt"
    path.write_text(
        TIMING.replace("0.217        0.000                      0", "-0.300       -4.100      17")
    )
    assert reports.timing(path) == reports.Timing(-0.3, 0.051, 17)
    assert not reports.timing(path).met


@pytest.mark.parametrize("name", FILES)
def test_missing_empty_and_binary_reports_are_refused(name: str, tmp_path: Path) -> None:
    read, _ = FILES[name]
    with pytest.raises(UserError, match=r"no such report; see the tool's log"):
        read(tmp_path / name)
    for content in (b"", b"nothing of interest\n", b"\xff\xfe\x00"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: expected .*another tool or version"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    "name, old, new, message",
    [
        ("utilization.rpt", "| DSPs           |  215", "| CPUs           |  215", "a row 'DSPs' .* not none"),
        (
            "utilization.rpt",
            "| 9900 |     0 |          0 |    106400 |  9.30 |\n+",
            "| 1 | 0 |\n+",
            "Slice Registers",
        ),
        ("utilization.rpt", "| 59.5 |", "| many |", "a number for Block RAM Tile, not 'many'"),
        ("utilization.rpt", "Used", "Taken", "a row 'Slice LUTs'"),
        ("timing.rpt", "      0.217", "         NA", r"a number for WNS\(ns\), not 'NA'"),
        ("timing.rpt", "WNS(ns)", "Slack", r"begins with WNS\(ns\)"),
        ("power.rpt", "| Dynamic (W) ", "| Dynamic (mW)", r"a number for Dynamic \(W\), not 'nothing'"),
        ("char_lstm_csynth.xml", "<Interval-max>1101", "<Interval-max>undef", "Interval-max, not 'undef'"),
        ("char_lstm_csynth.xml", "<DSP>150</DSP>", "", "Resources/DSP, not 'nothing'"),
        ("char_lstm_csynth.xml", "</profile>", "", "expected XML"),
        ("char_lstm_cosim.rpt", "Pass", "Fail", "ended with 'Fail', not 'Pass'"),
        ("char_lstm_cosim.rpt", "|     2305|", "|       NA|", "cycles of Verilog, not 'NA'"),
    ],
)
def test_what_is_not_in_its_place_is_refused(
    name: str, old: str, new: str, message: str, tmp_path: Path
) -> None:
    read, text = FILES[name]
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


def test_first_error_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for text, found in (
        ("INFO: a\nERROR: [Synth 8-439] no module\nERROR: later\n", "ERROR: [Synth 8-439] no module"),
        ("@E [HLS-1] bad\n", "@E [HLS-1] bad"),
        ("set error no\nall fine\nkilled\n\n", "killed"),
    ):
        log.write_text(text)
        assert first_error(log, error=ERROR_LINE) == found


def test_parts_have_packages() -> None:
    for part in parts():
        assert part_name(full_part(part)) == part and full_part(part) != part
    assert full_part("xc7z010clg225-1") == "xc7z010clg225-1"
    with pytest.raises(UserError, match="unknown part 'xc7a35t'"):
        full_part("xc7a35t")


@pytest.fixture(scope="module")
def network(seed: int) -> IntegerNetwork:
    return with_weights(small_spec("w8a8", 7, (5, 4)), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def checkpoint(network: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(network, tmp_path_factory.mktemp("vendor") / "small.safetensors")


def test_vectors_are_the_references(network: IntegerNetwork) -> None:
    codes = np.array([3, 1, 4, 1, 5])
    first, *lines = projects.vectors(network, codes).splitlines()
    assert first == "5 7"
    rows = np.array([[int(x) for x in line.split()] for line in lines])
    # The state is cleared before the first character and before the fourth.
    assert rows[:, 0].tolist() == [3 | projects.RESET, 1, 4, 1 | projects.RESET, 5]
    reference = Reference(network)
    assert np.array_equal(rows[:3, 1:], reference.run(codes[:3]))
    reference.reset()
    assert np.array_equal(rows[3:, 1:], reference.run(codes[3:]))


@pytest.mark.parametrize("period", [0, -1, 1e9, float("nan")])
def test_impossible_periods_are_refused(period: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a clock period must be from 0\.5 to 1000 ns"):
        projects.add_vivado(tmp_path, "top", "xc7z020", period)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs named as the vendor's on the PATH; returns the folder with the reports that they write."""
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip(TCL)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("vivado", "vitis_hls"):
        (programs / name).write_text(
            f'#!/bin/sh\nexec {tclsh} {Path(__file__).parent}/vendor_stub.tcl "$@"\n'
        )
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("VENDOR_STUB_REPORTS", str(written(tmp_path / "reports")))
    monkeypatch.setenv("VENDOR_STUB_FAILS", "")
    return tmp_path / "reports"


def synth(tool: str, checkpoint: Path, folder: Path, *more: str) -> int:
    arguments = ["--tool", tool, "--checkpoint", str(checkpoint), "--output", str(folder / "out"), *more]
    return main(["synth", *arguments, "--json", str(folder / "report.json")])


def vivado(checkpoint: Path, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my designs"
    assert synth("vivado", checkpoint, folder, "--part", "xc7z020", "--clock", "250") == 0
    out = capsys.readouterr().out
    assert "clock 4 ns: met; slack 0.217 ns (setup), 0.051 ns (hold)" in out
    report = json.loads((folder / "report.json").read_text())
    assert report | USED == report and report["power"]["total"] == 0.512 and report["routed"]
    log = (folder / "out" / "rtl" / "vivado.log").read_text()
    assert "synth_design -top zynq_lstm -part xc7z020clg400-1 -mode out_of_context" in log
    assert f"-include_dirs {{{{{folder / 'out' / 'rtl'}}}}}" in log  # a list of one name, which has blanks
    steps = [line.split()[0] for line in log.splitlines()]
    assert steps.index("synth_design") < steps.index("route_design") < steps.index("report_utilization")
    assert "-period 4.000 [get_ports clk_i]" in (folder / "out" / "rtl" / "clock.xdc").read_text()


def vivado_without_routing_and_with_a_clock_too_fast(
    checkpoint: Path, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tools / "timing.rpt").write_text(
        TIMING.replace("  0.217        0.000                      0", " -0.3 -4.1 17")
    )
    assert synth("vivado", checkpoint, tmp_path, "--no-route") == 1
    assert "NOT met: 17 endpoints; slack -0.3 ns" in capsys.readouterr().out
    assert "route_design" not in (tmp_path / "out" / "rtl" / "vivado.log").read_text()


def failure_of_the_tool_is_its_own_first_error(
    checkpoint: Path,
    tools: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VENDOR_STUB_FAILS", "route_design")
    assert synth("vivado", checkpoint, tmp_path) == 2
    assert "vivado failed: ERROR: [Stub 1-1] route_design fails; see " in capsys.readouterr().err


def vitis_hls(checkpoint: Path, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert synth("vitis-hls", checkpoint, tmp_path) == 0
    assert "a character every 1,100 cycles, latency 2,306 (RTL simulation)" in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["part"] == "xc7z020clg400-1" and report["bram36"] == 56.5
    log = (tmp_path / "out" / "vitis-hls.log").read_text()
    steps = [line.split()[0] for line in log.splitlines() if line.split()[0].endswith("_design")]
    assert steps == ["csim_design", "csynth_design", "cosim_design", "export_design"]


@pytest.mark.slow
def test_scripts_run_in_a_tcl_interpreter(
    checkpoint: Path,
    tools: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """This is one test, since it needs one program that a machine may lack."""
    timing = (tools / "timing.rpt").read_text()
    vivado(checkpoint, tools, tmp_path / "vivado", capsys)
    vivado_without_routing_and_with_a_clock_too_fast(checkpoint, tools, tmp_path / "fast", capsys)
    (tools / "timing.rpt").write_text(timing)
    vitis_hls(checkpoint, tools, tmp_path / "vitis", capsys)
    failure_of_the_tool_is_its_own_first_error(checkpoint, tools, tmp_path / "fails", monkeypatch, capsys)


@pytest.mark.parametrize(
    "tool, program",
    [("vivado", "vivado"), pytest.param("vitis-hls", "vitis_hls or vitis-run", marks=pytest.mark.slow)],
)
def test_without_the_tool_the_project_is_there(
    tool: str,
    program: str,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("zynq_lstm.hls.vendor.run.shutil.which", lambda name: None)
    assert synth(tool, checkpoint, tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"zynq-lstm: error: {program} is not on the PATH") and error.count("\n") == 1
    assert "use --tool yosys" in error
    assert ("vivado -mode batch -" if tool == "vivado" else "vitis_hls -f ") in error
    (script,) = (tmp_path / "out").rglob(
        projects.VIVADO_SCRIPT if tool == "vivado" else projects.VITIS_SCRIPT
    )
    assert str(script) in error and (script.parent / "settings.tcl").is_file()


def test_what_will_not_fit_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("zynq_lstm.hls.vendor.run.shutil.which", lambda name: None)
    options = ["--part", "xc7z007s", "--output", str(tmp_path / "out")]
    assert main(["synth", "--tool", "Vivado", *options]) == 2
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(
        "this will not fit the xc7z007s: too much block RAM. To make it fit, one of: --part"
    )


def test_options_of_another_tool_are_refused(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for tool, option, message in (
        ("yosys", ["--clock", "200"], "--clock is for --tool vivado and vitis-hls, not yosys"),
        ("vitis-hls", ["--lanes", "4"], "--lanes is for --tool yosys and vivado, not vitis-hls"),
        ("vivado", ["--characters", "4"], "--characters is for --tool vitis-hls, not vivado"),
    ):
        assert synth(tool, checkpoint, tmp_path, *option) == 2
        assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.hls
def test_hls_project_and_its_bench(
    checkpoint: Path, network: IntegerNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """g++ stands in for csim_design: equal; with one vector changed, exit code 1 and the logit's place."""
    folder = tmp_path / "project"
    arguments = ["--checkpoint", str(checkpoint), "--output", str(folder), "--characters", "9"]
    assert main(["hls-project", *arguments]) == 0
    assert f"vitis_hls -f {folder}/vitis_hls.tcl" in capsys.readouterr().out
    weights = f'-DWEIGHTS_DIR="{folder}/firmware/weights"'
    sources = ["firmware/char_lstm.cpp", "exact_test.cpp"]
    command = [
        "g++",
        "-std=c++14",
        "-Werror=narrowing",
        "-Ifirmware/ap_types",
        weights,
        *sources,
        "-o",
        "bench",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)

    def bench() -> tuple[int, str]:
        done = subprocess.run(["./bench"], cwd=folder, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert bench() == (0, f"{9 * network.spec.vocabulary} logits of 9 characters: equal\n")
    vectors = folder / "tb_data" / "vectors.txt"
    lines = vectors.read_text().splitlines()
    values = lines[PLACE + 1].split()
    wrong = [*values[:3], str(int(values[3]) + 1), *values[4:]]
    vectors.write_text("\n".join([*lines[: PLACE + 1], " ".join(wrong), *lines[PLACE + 2 :]]) + "\n")
    status, text = bench()
    assert status == 1 and text.startswith(f"ERROR: character {PLACE}, logit 2: {values[3]}, reference ")
    vectors.write_text("\n".join(lines[:-1]) + "\n")
    assert bench() == (1, "ERROR: tb_data/vectors.txt ends within character 8\n")
    vectors.unlink()
    assert bench() == (1, "ERROR: tb_data/vectors.txt is missing or empty\n")


def test_hls_project_refuses(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, message in (
        (["--characters", "1"], "1 is not in the range x>=2"),
        (["--part", "xc7a35t"], "unknown part 'xc7a35t'"),
        (["--clock", "0"], "'--clock': 0.0 is not in the range 1.0<=x<=2000.0"),
    ):
        arguments = ["--checkpoint", str(checkpoint), "--output", str(tmp_path / "out"), *option]
        assert main(["hls-project", *arguments]) == 2
        assert message in capsys.readouterr().err
