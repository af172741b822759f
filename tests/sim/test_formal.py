# SPDX-License-Identifier: Apache-2.0
"""Every proof holds, and fails on RTL with a fault of the kind that it excludes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from zynq_lstm.scripts.verbs.prove import command
from zynq_lstm.sim.campaigns.formal import PROOFS, Proof, markdown, proofs, prove, rounding_proofs, rtl

NAMES = {proof.name: proof for proof in PROOFS}
ROUND = "round_saturate"

# Proof -> (text of a line of its module, the faulty text, why that is a fault).
FAULTS = {
    "axis_fifo": [
        (
            "if (m_axis_tready) m_axis_tvalid <= 1'b0;",
            "m_axis_tvalid <= 1'b0;",
            "VALID does not wait for READY",
        ),
        ("some_q && (!m_axis_tvalid || m_axis_tready)", "some_q && !empty_o", "DATA does not wait for READY"),
        ("(DEPTH - RESERVE);", "(DEPTH - RESERVE + 2);", "room for less than was promised"),
        ("read_at_q + ADDRESS_BITS'(load)", "read_at_q + ADDRESS_BITS'(m_axis_tready)", "words skipped"),
    ],
    "axis_fifo_order": [
        ("({last_i, data_i})", "({1'b0, data_i})", "LAST lost"),
        (".read_address_i (read_at_q)", ".read_address_i (read_at_q ^ ADDRESS_BITS'(some_q))", "wrong word"),
    ],
    "axis_fifo_order_always": [
        ("{m_axis_tlast, m_axis_tdata} <= read_data", "m_axis_tdata <= read_data[WIDTH-1:0]", "LAST lost"),
    ],
    "gearbox": [
        ("left_q != 2'd2 ? '0", "left_q == 2'd0 ? '0", "sums that make no whole beat are kept"),
        ("{word, rest_q[2*GROUP-1:0]}", "{rest_q[2*GROUP-1:0], word}", "sums in another order"),
        ("first_q ? word_item : item_o + 1'b1", "first_q ? word_item : item_o", "a number twice"),
        ("word_final && left_q != 2'd2", "word_final", "the last beat but one is marked, too"),
    ],
    "lut_ram": [("if (write_i)", "if (write_i && write_address_i != '1)", "an address that is not written")],
    "axil_registers": [
        ("else if (s_axil_bready) s_axil_bvalid", "else s_axil_bvalid", "BVALID does not wait for BREADY"),
        ("have_data_q && !s_axil_bvalid", "have_data_q", "a response over one that waits"),
        ("if (reading_2_q) begin", "if (!reading_2_q) begin", "RDATA changes while it waits"),
        (
            "!reading_1_q && !reading_2_q && !s_axil_rvalid;",
            "!s_axil_rvalid;",
            "a read that is never answered",
        ),
        (
            "s_axil_arvalid && s_axil_arready}",
            "s_axil_arvalid || s_axil_arready}",
            "a response without a request",
        ),
    ],
    "character_control": [
        ("left_q[31:1] == '0", "left_q == 32'd1", "2**32 characters if LENGTH becomes 0 as they begin"),
        ("if (sampled_i && sampled_last_o) state_q", "if (stop_q) state_q", "SAMPLE is not left"),
        ("state_q == FEED && !x_valid_q", "state_q == FEED && !phase_o", "FEED is not left"),
        ("2'(accepted_o) - 2'(finished_i)", "2'(accept) - 2'(finished_i)", "sampled characters uncounted"),
        (
            "if (credit_i) credit_left_q",
            "if (credit_i && start_o) credit_left_q",
            "a credit that comes when none was left is lost",
        ),
        ("output_flags_q[started_q] <=", "output_flags_q[finished_q] <=", "flags of another character"),
        ("beat_o == BEAT_BITS'(BEATS - 2)", "beat_o == BEAT_BITS'(BEATS - 1)", "a beat too many"),
        ("(stop_q || stop_i)", "stop_i", "STOP forgotten"),
    ],
}
ROUND_FAULTS = [
    ("WIDE'(1) <<< (RIGHT - 1)", "(WIDE'(1) <<< (RIGHT - 1)) - WIDE'(1)", "ties go down"),
    (">>> RIGHT", ">> RIGHT", "the sign is lost"),
    ("< WIDE'(MIN_VALUE)) data_o <= OUT_BITS'(MIN_VALUE)", "< WIDE'(MIN_VALUE)) data_o <= '0", "wrong bound"),
    ("> WIDE'(MAX_VALUE)", "> WIDE'(MAX_VALUE + 1)", "overflow by one"),
]


def _planted(proof: Proof, old: str, new: str) -> dict[str, str]:
    texts = rtl()
    source = texts[f"{proof.module}.sv"]
    assert source.count(old) == 1, f"{old!r} is not once in {proof.module}.sv"
    return texts | {f"{proof.module}.sv": source.replace(old, new)}


@pytest.mark.parametrize("name", NAMES)
def test_holds(name: str, tmp_path: Path) -> None:
    assert prove(NAMES[name], tmp_path).failed is None


@pytest.mark.parametrize(
    "name, old, new, why", [(n, *fault) for n, faults in FAULTS.items() for fault in faults]
)
def test_fails_on_a_fault(name: str, old: str, new: str, why: str, tmp_path: Path) -> None:
    result = prove(NAMES[name], tmp_path, _planted(NAMES[name], old, new))
    assert result.failed is not None and "cover" not in result.failed, why
    assert (tmp_path / "trace.vcd").stat().st_size > 0


def test_every_proof_is_shown_to_fail() -> None:
    assert set(FAULTS) == set(NAMES)


@pytest.mark.slow
def test_rounding_of_every_design(tmp_path: Path) -> None:
    found = rounding_proofs()
    sets = [dict(proof.parameters) for proof in found]
    # z, c, ct, h and the logits of the shipped network, whose widths are those of docs/architecture.md.
    assert {p["OUT_BITS"] for p in sets} >= {8, 10, 12, 16} and {p["HALF"] for p in sets} == {0, 1}
    assert [proof.name for proof in found if prove(proof, tmp_path / proof.name).failed] == []


@pytest.mark.parametrize("old, new, why", ROUND_FAULTS)
def test_wrong_rounding(old: str, new: str, why: str, tmp_path: Path) -> None:
    proof = rounding_proofs()[0]
    assert prove(proof, tmp_path, _planted(proof, old, new)).failed, why


def test_verb(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["lut_ram", "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "lut_ram                    induction        4" in done.output and "holds" in done.output


def test_verb_refuses_an_unknown_name() -> None:
    done = CliRunner().invoke(command, ["nonsense"])
    assert str(done.exception).startswith("no proof 'nonsense'; there are axis_fifo,")


def test_names_are_unique() -> None:
    names = [proof.name for proof in proofs()]
    assert len(names) == len(set(names))


def test_docs_list_every_proof() -> None:
    page = Path(__file__).parents[2] / "docs" / "verification.md"
    assert markdown() in page.read_text(encoding="utf-8"), "run make docs"
