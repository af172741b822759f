# SPDX-License-Identifier: Apache-2.0
"""``zynq-lstm run``: make a verified, sized and documented engine from one configuration file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zynq_lstm.models import interruption
from zynq_lstm.scripts.main import require_extra
from zynq_lstm.scripts.options import config_argument, set_option

if TYPE_CHECKING:
    from zynq_lstm.scripts.flow.runner import Pipeline, Stage


@click.command(name="run")
@config_argument()
@set_option
@click.option("--until", metavar="STAGE", help="The last stage to run.")
@click.option(
    "--force", multiple=True, metavar="STAGE", help="Run this stage again even if nothing has changed."
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would run and why; change nothing.")
def command(
    config: Path, changes: tuple[str, ...], until: str | None, force: tuple[str, ...], dry_run: bool
) -> None:
    """Run the stages of CONFIG that have not run yet, or whose inputs have changed.

    Ctrl-C stops the run; the next run continues from there. Exit code 1 if engines differ or a check fails:
    later stages then do not run. CONFIG is flow.toml if not given; 'zynq-lstm init' writes one.
    """
    from rich.console import Console
    from rich.markup import escape

    from zynq_lstm.models.errors import UserError
    from zynq_lstm.scripts.flow import last_run
    from zynq_lstm.scripts.flow.checks import check
    from zynq_lstm.scripts.flow.load import load, require_own_folder
    from zynq_lstm.scripts.flow.runner import Pipeline
    from zynq_lstm.scripts.flow.show import plan
    from zynq_lstm.scripts.flow.stages import STAGES
    from zynq_lstm.scripts.tables import show

    pipeline = Pipeline(load(config, changes), STAGES)
    require_own_folder(pipeline.flow)
    forced = {pipeline.named(name).name for name in force}
    last = pipeline.named(until) if until else pipeline.stages[-1]
    stages = pipeline.stages[: pipeline.stages.index(last) + 1]
    for name in force:
        if pipeline.named(name) not in stages:
            raise UserError(f"--force {name}: that stage comes after --until {last.name} and would not run")
    console = Console()
    if stages[-1].name == "report":
        require_extra("report")
    states = [state for state in pipeline.states(forced) if state.stage in stages]
    notes = check(pipeline.flow, [state.stage.name for state in states if state.word != "done"])
    before = last_run.read(pipeline.flow.folder)
    dropped = [change for change in before.changes if change not in changes] if before else []
    if dropped:
        given = shlex.join(word for change in dropped for word in ("--set", change))
        notes = [*notes, f"the last run had {given}; this one takes the value of {config}"]
    for note in notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
    if dry_run:
        show(plan(states), console)
        return
    with pipeline.locked():
        ran = run_stages(pipeline, stages, forced, console)
    where = pipeline.flow.folder / "report.html"
    console.print(
        f"{ran} of {len(stages)} stages ran; "
        + (f"report: {where}" if last.name == "report" else f"results: {pipeline.flow.folder}"),
        soft_wrap=True,
    )


def run_stages(pipeline: Pipeline, stages: list[Stage], forced: set[str], console: Any) -> int:
    """Run those of the stages that must run, in order; return how many ran."""
    from zynq_lstm.scripts.flow.show import Terminal, duration

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    ran = 0
    for number, stage in enumerate(stages, 1):
        state = pipeline.state(stage, forced)
        title = f"[bold]{number}/{len(stages)} {stage.name}[/]"
        if state.word == "done":
            cost = duration(state.record["seconds"])
            say(f"[green]done[/] {title}: nothing has changed; it took {cost}")
            continue
        left = [pipeline.state(later, forced) for later in stages[number - 1 :]]
        seconds = [later.seconds for later in left if later.word != "done"]
        known = sum(second for second in seconds if second is not None)
        more = "" if None not in seconds else " plus the stages that have not run yet"
        expected = f", [dim]about {duration(known)}{more} to go[/]" if known else ""
        say(f"[cyan]run [/] {title}: {stage.what} ({state.reason}){expected}")
        stopped = f"stopped in stage {stage.name}; the same command continues from there"
        try:
            with interruption.at_interruption(lambda stopped=stopped: interruption.say(stopped)):  # type: ignore[misc]
                record = pipeline.run(
                    stage,
                    stage.name in forced,
                    lambda stage, resume: Terminal(pipeline.flow, stage, resume, pipeline, console),
                )
        except KeyboardInterrupt:
            say(stopped)
            raise
        ran += 1
        say(f"[green]done[/] {title}: {duration(record['seconds'])} -> {pipeline.folder(stage.name)}")
    return ran
