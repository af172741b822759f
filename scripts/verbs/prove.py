# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm prove``: prove properties of RTL modules formally."""

from __future__ import annotations

from pathlib import Path

import click

from zynq_lstm.scripts.files import Verb
from zynq_lstm.scripts.options import output_option


@click.command(cls=Verb, name="prove")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_option("build/prove", "Folder for models, logs and counterexamples.")
def command(names: tuple[str, ...], output: Path) -> None:
    """Prove properties of RTL modules for all inputs, with Yosys and Z3.

    Runs all proofs, or those whose names begin with NAME.

    docs/verification.md says what each one proves and assumes.
    """
    from zynq_lstm.models.errors import CheckError, UserError
    from zynq_lstm.sim.campaigns.formal import PROOFS, ROUNDING, proofs, prove

    # The proofs of rounding are only known after some synthesis; how their names begin is known at once.
    begins = [proof.name for proof in PROOFS]
    for name in names:
        if not any(one.startswith(name) for one in [*begins, ROUNDING]) and not name.startswith(
            f"{ROUNDING}_"
        ):
            raise UserError(f"no proof {name!r}; there are {', '.join(begins)} and {ROUNDING}_1 and so on")
    with_rounding = not names or any(name.startswith(ROUNDING) or ROUNDING.startswith(name) for name in names)
    known = proofs() if with_rounding else PROOFS
    for name in names:
        if not any(proof.name.startswith(name) for proof in known):
            raise UserError(f"no proof {name!r}; the last of {ROUNDING} is {known[-1].name}")
    chosen = [p for p in known if not names or p.name.startswith(names)]
    broken = []
    click.echo(f"{'proof':26} {'method':12}{'depth':>6}{'seconds':>9}  result")
    for proof in chosen:
        result = prove(proof, output / proof.name)
        told = "holds" if result.failed is None else f"fails: {result.failed}"
        click.echo(f"{proof.name:26} {proof.method:12}{proof.depth:6}{result.seconds:9.1f}  {told}")
        broken += [] if result.failed is None else [proof.name]
    if broken:
        raise CheckError(f"{len(broken)} of {len(chosen)} fail: {', '.join(broken)}; traces are in {output}")
