# SPDX-License-Identifier: Apache-2.0
"""The schedule of one character on the multiply-accumulate array, and its exact timing.

The array computes all matrix products: one job for every group of output units, with one step per cycle.
Few of a character's jobs need new results, so that the order of the jobs can hide the latencies:

* W of layer k > 0 needs this character's h of the layer below;
* a recurrent product that waits for a signal of this character (:mod:`zynq_lstm.hls.engine.stages`) needs
  that signal;
* the output layer needs the last layer's h;
* all other U.h is needed only for the *next* character, and fills the time in which the gates, or the choice
  of the next character, are computed.

All functions are pure and depend on the shapes of the network and the array only; the RTL reads the result
as data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.constants import (
    ACCEPT_LATENCY,
    CHOICE_LATENCY,
    CREDIT_LATENCY,
    GEARBOX_LATENCY,
    HIDDEN_LATENCY,
    Destination,
)
from zynq_lstm.hls.engine.gates import latency
from zynq_lstm.hls.engine.stages import Layout, Stage
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.integers.choice import WORD_LOGITS

MODES = ("generate", "score")  # the chosen character is the next input; all inputs are given

STEADY = 12  # characters after which every schedule is in steady state


@dataclass(frozen=True)
class Job:
    """One group of sums of one matrix product, or a part of it.

    ``source`` is the stage whose results the job reads, ``stage`` the stage that its sums are for (for the
    output layer, the number of stages). ``matrix`` is ``W``, ``U`` or ``Wy``, and ``layer`` its layer.
    ``first`` and ``count`` are units of the layer, or words of four logits. ``part`` numbers the group's
    jobs, the last of which completes the sums. ``drain`` is the number of cycles in which the completed sums
    leave the array, ``beats`` that of the beats of units that they make; both are 0 for the other parts.
    ``cycles`` is the least distance to the start of the next job. ``final`` marks the product's last job.
    """

    destination: Destination
    matrix: str
    layer: int
    stage: int
    source: int
    first: int
    count: int
    part: int
    drain: int
    beats: int
    steps: int
    cycles: int
    final: bool

    @property
    def label(self) -> str:
        """Name of the matrix and, for its layer's, the layer."""
        return self.matrix if self.destination is Destination.OUTPUT else f"{self.matrix}{self.layer}"


@dataclass(frozen=True)
class Timing:
    """Timing of a character in steady state, in cycles relative to the start of its first job."""

    cycles_per_character: int
    starts: tuple[int, ...]  # start of each job
    waits: tuple[int, ...]  # idle cycles before each job
    gates: tuple[tuple[int, int, int], ...]  # stage, first and last cycle of its units in the pipeline
    output: tuple[int, int]  # first and last cycle in which the output layer's sums leave the array
    choice: int  # earliest start of the next character, if it is chosen from these logits


@dataclass(frozen=True)
class Schedule:
    """The jobs of one character, in order, for a network's shape on an array."""

    units: tuple[int, ...]
    vocabulary: int
    array: Array
    stages: tuple[Stage, ...]
    jobs: tuple[Job, ...]

    @cached_property
    def words(self) -> int:
        """Depth of the weight memory."""
        return sum(job.steps for job in self.jobs)

    def timing(self, mode: str) -> Timing:
        """Return the exact steady-state timing in mode ``generate`` or ``score``.

        It assumes that inputs, and room for the output, are always available.
        """
        return _simulate(self, mode)


def schedule(spec: NetworkSpec, array: Array) -> Schedule:
    """Order the jobs of a character: first the jobs that the next result waits for, then the rest.

    The order is greedy, by the RTL's latencies: of the jobs whose h is ready, W comes first, then the output
    layer, then U by layer. Orders in which the output layer comes later are tried, too; the shortest period
    wins.
    """
    pools = _jobs(spec, array)
    longest = max(len(pool) for pool in pools) // array.parts
    stages = Layout(spec, array).stages
    # All short delays, and so few of the long ones that this takes milliseconds.
    delays = [n for n in range(longest + 1) if n <= 8 or n % (1 << n.bit_length() - 3) == 0]
    units = tuple(layer.units for layer in spec.layers)
    found: dict[tuple[Job, ...], tuple[int, int, Schedule]] = {}
    for delay in delays:
        jobs = _order(pools, stages, array, delay)
        if jobs in found:
            continue
        s = Schedule(units, spec.vocabulary, array, stages, _with_cycles(jobs, array))
        generate, score = (s.timing(mode).cycles_per_character for mode in MODES)
        found[jobs] = generate, score, s
        if generate == score == s.words:  # a step in every cycle
            break
    return min(found.values(), key=lambda x: x[:2])[2]


def _jobs(spec: NetworkSpec, array: Array) -> list[tuple[Job, ...]]:
    """Return the matrix products in order of urgency, each a tuple of jobs, ``array.parts`` per group."""
    layout = Layout(spec, array)

    def product(matrix: str, stage: Stage) -> tuple[Job, ...]:
        source = stage.recurrent if matrix == "U" else stage.input
        assert source is not None
        # The sums of level 0 that start a unit are those of W; the recurrent ones are there already.
        starts = (matrix == "W") == (stage.level.number == 0)
        jobs = []
        for first in range(0, stage.units, stage.capacity):
            count = min(stage.capacity, stage.units - first)
            drain, beats = stage.packing.drain(count), stage.packing.beats(count)
            job = Job(
                Destination.START if starts else Destination.WAIT, matrix, stage.layer, stage.number, source,
                first, count, 0, drain, beats, _steps(layout.stages[source].units, array), 0,
                first + count == stage.units,
            )  # fmt: skip
            jobs += _in_parts(job, array)
        return tuple(jobs)

    def output() -> tuple[Job, ...]:
        words, last = -(-spec.vocabulary // WORD_LOGITS), layout.stages[-1]
        jobs = []
        for first in range(0, words, array.group_units):
            count = min(array.group_units, words - first)  # one word per cycle
            job = Job(
                Destination.OUTPUT, "Wy", last.layer + 1, len(layout.stages), last.number, first, count, 0,
                count, count, _steps(last.units, array), 0, first + count == words,
            )  # fmt: skip
            jobs += _in_parts(job, array)
        return tuple(jobs)

    urgent: list[tuple[Job, ...]] = []
    rest: list[tuple[Job, ...]] = []
    for stage in layout.stages:
        if stage.input is not None:
            urgent.append(product("W", stage))
        (urgent if stage.level.number else rest).append(product("U", stage))
    return [*urgent, output(), *rest]


def _steps(inputs: int, array: Array) -> int:
    return -(-inputs // array.depth)


def _in_parts(job: Job, array: Array) -> list[Job]:
    """Return a group's jobs; only the last completes its sums."""
    parts = [replace(job, part=n, drain=0, beats=0, final=False) for n in range(array.parts - 1)]
    return [*parts, replace(job, part=array.parts - 1)]


def steps(spec: NetworkSpec, array: Array) -> int:
    """Count the steps of a character, each of which reads a word of the weight memory."""
    return sum(job.steps for pool in _jobs(spec, array) for job in pool)


def busy_cycles(spec: NetworkSpec, array: Array) -> int:
    """Count the cycles of a character's jobs without any waits, which a good order comes close to."""
    return sum(_distance(job, job, array) for pool in _jobs(spec, array) for job in pool)


def _order(
    pools: list[tuple[Job, ...]], stages: tuple[Stage, ...], array: Array, delay: int
) -> tuple[Job, ...]:
    """Return the greedy order in which the output layer waits for ``delay`` groups of U."""
    left = [list(pool) for pool in pools]
    ready = {0: 0}  # stage -> cycle at which its results may be read
    time = 0  # of the last job's start
    order: list[Job] = []
    u_done = 0

    def may_start(job: Job) -> bool:
        if job.source not in ready:
            return False
        if job.destination is Destination.OUTPUT:
            return u_done >= delay or not any(p and _fills(p[0]) and p[0].source in ready for p in left)
        # What the unit's start takes from memory must be on its way there.
        return not (
            job.destination is Destination.START
            and any(
                p and p[0].destination is Destination.WAIT and p[0].stage == job.stage and not _fills(p[0])
                for p in left
            )
        )

    while any(left):
        heads = [pool[0] for pool in left if pool and may_start(pool[0])]
        # The first job that need not wait for its source, or else the job that waits least.
        job = min(heads, key=lambda j: max(0, ready[j.source] - _free(time, order, j, array)))
        pool = next(pool for pool in left if pool and pool[0] is job)
        for job in pool[: array.parts]:  # nothing may come between the parts of a group
            time = max(_free(time, order, job, array), ready[job.source])
            order.append(job)
        del pool[: array.parts]
        if job.destination is Destination.START and job.final:
            stage = stages[job.stage]
            ready[job.stage] = _drained(time, job, stage, array) + _latency(stage)
        u_done += _fills(job)
    return tuple(order)


def _fills(job: Job) -> bool:
    """Return True for a product that only the next character needs."""
    return job.destination is Destination.WAIT and job.matrix == "U"


def _latency(stage: Stage) -> int:
    """Return the cycles from a unit's start until a job may read its result."""
    return latency(stage.level) + HIDDEN_LATENCY


def _free(start: int, order: list[Job], job: Job, array: Array) -> int:
    """Return the first cycle for ``job`` on the array, if the last job of ``order`` started at ``start``."""
    return start + _distance(order[-1], job, array) if order else start


def _distance(job: Job, following: Job, array: Array) -> int:
    """Return the least number of cycles from a job's start to the next job's start.

    The job's steps must have been issued. Its sums must have left the array before those of the next job are
    loaded; sums are loaded one latency after their job's last step. Its units must have left the gearbox
    before the next sums enter it. The sequencer takes 2 cycles to read a job.
    """
    longer = job.steps - following.steps
    return max(job.steps, job.drain + array.segments + longer, job.beats + longer, 2)


def _with_cycles(jobs: tuple[Job, ...], array: Array) -> tuple[Job, ...]:
    """Return the jobs with their ``cycles``, which depend on the next job; the first job follows the last."""
    following = (*jobs[1:], jobs[0])
    return tuple(replace(a, cycles=_distance(a, b, array)) for a, b in zip(jobs, following, strict=True))


def _drained(start: int, job: Job, stage: Stage | None, array: Array) -> int:
    """Return the cycle in which a job's last unit starts or is stored, or its last output word leaves."""
    return _first_out(start, job, stage, array) + job.beats - 1


def _first_out(start: int, job: Job, stage: Stage | None, array: Array) -> int:
    gearbox = GEARBOX_LATENCY if stage and stage.packing.dense else 0
    return start + job.steps + array.latency + gearbox


def _simulate(s: Schedule, mode: str) -> Timing:
    """Simulate the engine's timing, character by character, until it is in steady state."""
    if mode not in MODES:
        raise ValueError(f"mode must be {' or '.join(MODES)}, got {mode!r}")
    array = s.array
    # first cycle in which each beat of layer 0 may start
    credits = [0] * s.stages[0].beats
    x_ready = free = 0
    history: list[tuple[int, Timing]] = []
    output = (0, 0)
    for _ in range(STEADY):
        gates: dict[int, tuple[int, int]] = {}
        start = x_ready
        begin = max(start, credits[0])
        for credit in credits:
            start = max(start, credit)
            done = start
            start += 1
        gates[0] = begin, done
        ready = {0: done + _latency(s.stages[0])}
        x_ready = done + ACCEPT_LATENCY
        next_credits: list[int] = []
        starts, waits = [], []
        time = free
        for job in s.jobs:
            start = max(time, ready[job.source])
            starts.append(start)
            waits.append(start - time)
            time = start + job.cycles
            if not job.beats:
                continue
            stage = None if job.destination is Destination.OUTPUT else s.stages[job.stage]
            first, last = _first_out(start, job, stage, array), _drained(start, job, stage, array)
            if stage and job.destination is Destination.START:
                gates[job.stage] = gates.get(job.stage, (first, last))[0], last
                if job.final:
                    ready[job.stage] = last + _latency(stage)
            elif job.destination is Destination.OUTPUT:
                output = (first if job.first == 0 else output[0], last)
                choice = last + CHOICE_LATENCY
            elif job.destination is Destination.WAIT and job.stage == 0:
                next_credits += range(first + CREDIT_LATENCY, last + CREDIT_LATENCY + 1)
        free = time
        credits = next_credits
        if mode == "generate":
            x_ready = max(x_ready, choice)
        zero = starts[0]
        timing = Timing(
            zero - history[-1][0] if history else 0,
            tuple(x - zero for x in starts),
            tuple(waits),
            tuple((stage, a - zero, b - zero) for stage, (a, b) in gates.items()),
            (output[0] - zero, output[1] - zero),
            choice - zero,
        )
        steady = bool(history) and timing == history[-1][1]  # later characters repeat this timing
        history.append((zero, timing))
        if steady:
            break
    return history[-1][1]
