# SPDX-License-Identifier: Apache-2.0
"""The schedule of one character on the multiply-accumulate array, and its exact timing.

The array computes all matrix products: one job for every group of output units, with one step per cycle.
Few of a character's jobs need new results, so that the order of the jobs can hide the latencies:

* W of layer k > 0 needs this character's h of the layer below;
* the output layer needs the last layer's h;
* U.h of every layer is needed only for the *next* character, and fills the time in which the gates, or the
  choice of the next character, are computed.

All functions are pure and depend on the shapes of the network and the array only; the RTL reads the result
as data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from zynq_lstm.hls.engine.constants import (
    ACCEPT_LATENCY,
    ARRAY_LATENCY,
    CHOICE_LATENCY,
    CREDIT_LATENCY,
    HIDDEN_LATENCY,
    SKEW_LATENCY,
    Destination,
)
from zynq_lstm.hls.engine.gates import ARRAY_GATES, latency
from zynq_lstm.models.description.spec import NetworkSpec
from zynq_lstm.models.errors import UserError
from zynq_lstm.models.integers.choice import WORD_LOGITS

MODES = ("generate", "score")  # the chosen character is the next input; all inputs are given

STEADY = 12  # characters after which every schedule is in steady state

MAX_GROUP = 128  # largest number of units in a group


@dataclass(frozen=True)
class Array:
    """Shape of the multiply-accumulate array.

    Args:
        group_units: units (of four sums each) computed in parallel.
        dsp_depth: inputs per cycle that are multiplied in a chain of DSP48E1s.
        pack: products in one DSP48E1, 1 or 2.
        segment_units: units that share registers for control and activations.
        lut_depth: further inputs per cycle that are multiplied in LUTs.
        gate_lanes: gate pipelines, i.e. units that leave the array together and get their gates in parallel.
        sums: how many of each unit's four sums are computed in parallel; fewer than 4 only for a single unit
            and without products in LUTs.
        parity: the weight memory has a parity bit for each chain, checked whenever it is read.
    """

    group_units: int = 26
    dsp_depth: int = 4
    pack: int = 2
    segment_units: int = 9
    lut_depth: int = 0
    gate_lanes: int = 1
    sums: int = ARRAY_GATES
    parity: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("group_units", 1, MAX_GROUP),
            ("dsp_depth", 1, 8),
            ("pack", 1, 2),
            ("segment_units", 1, MAX_GROUP),
            ("lut_depth", 0, 8),
            ("gate_lanes", 1, 4),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise UserError(f"array: {name} must be {low} to {high}, got {value!r}")
        if not isinstance(self.parity, bool):
            raise UserError(f"array: parity must be true or false, got {self.parity!r}")
        if self.segments > 99:  # numbered in two digits
            raise UserError(f"array: segment_units must make at most 99 segments, got {self.segment_units}")
        if self.pack == 2 and self.dsp_depth > 4:
            raise UserError(
                f"array: dsp_depth must be 1 to 4 with two products per DSP, got {self.dsp_depth}"
            )
        if self.sums not in (1, 2, 4):
            raise UserError(f"array: sums must be 1, 2 or 4, got {self.sums!r}")
        if self.sums < ARRAY_GATES and (self.group_units > 1 or self.lut_depth):
            raise UserError(
                f"array: sums must be 4 with more than 1 unit or with products in LUTs, got {self.sums} "
                f"with {self.group_units} and lut_depth {self.lut_depth}"
            )
        if self.sums < self.pack:
            raise UserError("array: sums must be 2 or 4 with two products per DSP, got 1")
        for name in ("depth", "group_units", "segment_units"):
            if getattr(self, name) % self.gate_lanes:
                raise UserError(
                    f"array: gate_lanes must divide {name}, got {self.gate_lanes} and {getattr(self, name)}"
                )

    @property
    def depth(self) -> int:
        """Inputs per cycle."""
        return self.dsp_depth + self.lut_depth

    @property
    def lanes(self) -> int:
        """Multiply-accumulates per cycle."""
        return self.group_units * self.sums * self.depth

    @property
    def dsp(self) -> int:
        """DSP48E1s in the array, without those of the gates."""
        return self.group_units * self.sums * self.dsp_depth // self.pack

    @property
    def unit_chains(self) -> int:
        """Number of DSP48E1 chains for each unit; each chain has its own word in the weight memory."""
        return self.sums // self.pack

    @property
    def parts(self) -> int:
        """Number of jobs that complete a group's sums."""
        return ARRAY_GATES // self.sums

    @property
    def segments(self) -> int:
        return -(-self.group_units // self.segment_units)

    @property
    def latency(self) -> int:
        """Cycles from a job's last step until its first beat of sums leaves."""
        return ARRAY_LATENCY + self.dsp_depth + self.segments + (SKEW_LATENCY if self.lut_depth else 0)


@dataclass(frozen=True)
class Job:
    """One group of sums of one matrix product, or a part of it.

    ``source`` is the layer whose h the job reads, ``layer`` the layer that its sums are for (for the output
    layer, the number of layers). ``first`` and ``count`` are units of the layer, or words of four logits.
    ``part`` numbers the group's jobs, the last of which completes the sums. ``beats`` is the number of cycles
    in which the completed sums leave the array, 0 for the other parts. ``cycles`` is the least distance to
    the start of the next job. ``final`` marks the product's last job.
    """

    destination: Destination
    layer: int
    source: int
    first: int
    count: int
    part: int
    beats: int
    steps: int
    cycles: int
    final: bool

    @property
    def matrix(self) -> str:
        return {Destination.U: f"U{self.layer}", Destination.X: f"W{self.layer}"}.get(self.destination, "Wy")


@dataclass(frozen=True)
class Timing:
    """Timing of a character in steady state, in cycles relative to the start of its first job."""

    cycles_per_character: int
    starts: tuple[int, ...]  # start of each job
    waits: tuple[int, ...]  # idle cycles before each job
    gates: tuple[tuple[int, int, int], ...]  # layer, first and last cycle of its units in the pipeline
    output: tuple[int, int]  # first and last cycle in which the output layer's sums leave the array
    choice: int  # earliest start of the next character, if it is chosen from these logits


@dataclass(frozen=True)
class Schedule:
    """The jobs of one character, in order, for a network's shape on an array."""

    units: tuple[int, ...]
    vocabulary: int
    array: Array
    jobs: tuple[Job, ...]
    gates_latency: int  # cycles from a unit's start until a job may read its h

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
    # All short delays, and so few of the long ones that this takes milliseconds.
    delays = [n for n in range(longest + 1) if n <= 8 or n % (1 << n.bit_length() - 3) == 0]
    units = tuple(layer.units for layer in spec.layers)
    gates = latency(spec.layers[0].formats.description) + HIDDEN_LATENCY
    found: dict[tuple[Job, ...], tuple[int, int, Schedule]] = {}
    for delay in delays:
        jobs = _order(pools, array, delay, gates)
        if jobs in found:
            continue
        s = Schedule(units, spec.vocabulary, array, _with_cycles(jobs, array), gates)
        generate, score = (s.timing(mode).cycles_per_character for mode in MODES)
        found[jobs] = generate, score, s
        if generate == score == s.words:  # a step in every cycle
            break
    return min(found.values(), key=lambda x: x[:2])[2]


def _jobs(spec: NetworkSpec, array: Array) -> list[tuple[Job, ...]]:
    """Return the matrix products in order of urgency, each a tuple of jobs, ``array.parts`` per group."""
    units = [layer.units for layer in spec.layers]
    last = len(units) - 1

    def product(destination: Destination, layer: int, source: int, items: int) -> tuple[Job, ...]:
        steps = -(-units[source] // array.depth)
        jobs = []
        for first in range(0, items, array.group_units):
            count = min(array.group_units, items - first)
            # The output layer takes one word per cycle.
            beats = count if destination is Destination.OUTPUT else -(-count // array.gate_lanes)
            for part in range(array.parts):
                whole = part == array.parts - 1
                final = whole and first + count == items
                jobs.append(
                    Job(destination, layer, source, first, count, part, whole * beats, steps, 0, final)
                )
        return tuple(jobs)

    return [
        *(product(Destination.X, k, k - 1, units[k]) for k in range(1, len(units))),
        product(Destination.OUTPUT, last + 1, last, -(-spec.vocabulary // WORD_LOGITS)),
        *(product(Destination.U, k, k, units[k]) for k in range(len(units))),
    ]


def steps(spec: NetworkSpec, array: Array) -> int:
    """Count the steps of a character, each of which reads a word of the weight memory."""
    return sum(job.steps for pool in _jobs(spec, array) for job in pool)


def busy_cycles(spec: NetworkSpec, array: Array) -> int:
    """Count the cycles of a character's jobs without any waits, which a good order comes close to."""
    return sum(_distance(job, job, array) for pool in _jobs(spec, array) for job in pool)


def _order(pools: list[tuple[Job, ...]], array: Array, delay: int, gates: int) -> tuple[Job, ...]:
    """Return the greedy order in which the output layer waits for ``delay`` groups of U."""
    left = [list(pool) for pool in pools]
    ready = {0: 0}  # layer -> cycle at which its h may be read
    time = 0  # of the last job's start
    order: list[Job] = []
    u_done = 0
    while any(left):
        heads = [
            pool[0]
            for pool in left
            if pool
            and pool[0].source in ready
            and not (
                pool[0].destination is Destination.OUTPUT
                and u_done < delay
                and any(p and p[0].destination is Destination.U and p[0].source in ready for p in left)
            )
        ]
        # The first job that need not wait for its h, or else the job that waits least.
        job = min(heads, key=lambda j: max(0, ready[j.source] - _free(time, order, j, array)))
        pool = next(pool for pool in left if pool and pool[0] is job)
        for job in pool[: array.parts]:  # nothing may come between the parts of a group
            time = max(_free(time, order, job, array), ready[job.source])
            order.append(job)
        del pool[: array.parts]
        if job.destination is Destination.X and job.final:
            ready[job.layer] = _drained(time, job, array) + gates
        u_done += job.destination is Destination.U
    return tuple(order)


def _free(start: int, order: list[Job], job: Job, array: Array) -> int:
    """Return the first cycle for ``job`` on the array, if the last job of ``order`` started at ``start``."""
    return start + _distance(order[-1], job, array) if order else start


def _distance(job: Job, following: Job, array: Array) -> int:
    """Return the least number of cycles from a job's start to the next job's start.

    The job's steps must have been issued. Its sums must have left the array before those of the next job are
    loaded; sums are loaded one latency after their job's last step. The sequencer takes 2 cycles to read a
    job.
    """
    return max(job.steps, job.beats + array.segments + job.steps - following.steps, 2)


def _with_cycles(jobs: tuple[Job, ...], array: Array) -> tuple[Job, ...]:
    """Return the jobs with their ``cycles``, which depend on the next job; the first job follows the last."""
    following = (*jobs[1:], jobs[0])
    return tuple(replace(a, cycles=_distance(a, b, array)) for a, b in zip(jobs, following, strict=True))


def _drained(start: int, job: Job, array: Array) -> int:
    """Return the cycle in which the last beat of a job leaves the array."""
    return _first_out(start, job, array) + job.beats - 1


def _first_out(start: int, job: Job, array: Array) -> int:
    return start + job.steps + array.latency


def _simulate(s: Schedule, mode: str) -> Timing:
    """Simulate the engine's timing, character by character, until it is in steady state."""
    if mode not in MODES:
        raise ValueError(f"mode must be {' or '.join(MODES)}, got {mode!r}")
    array = s.array
    # first cycle in which each beat of layer 0 may start
    credits = [0] * -(-s.units[0] // array.gate_lanes)
    x_ready = free = 0
    history: list[tuple[int, Timing]] = []
    output = (0, 0)
    for _ in range(STEADY):
        gates = []
        start = x_ready
        begin = max(start, credits[0])
        for credit in credits:
            start = max(start, credit)
            done = start
            start += 1
        gates.append((0, begin, done))
        h_ready = {0: done + s.gates_latency}
        x_ready = done + ACCEPT_LATENCY
        next_credits: list[int] = []
        starts, waits = [], []
        time = free
        for job in s.jobs:
            start = max(time, h_ready[job.source])
            starts.append(start)
            waits.append(start - time)
            time = start + job.cycles
            if not job.beats:
                continue
            first, last = _first_out(start, job, array), _drained(start, job, array)
            if job.destination is Destination.X:
                if job.first == 0:
                    gates.append((job.layer, first, last))
                gates[-1] = (job.layer, gates[-1][1], last)
                if job.final:
                    h_ready[job.layer] = last + s.gates_latency
            elif job.destination is Destination.OUTPUT:
                output = (first if job.first == 0 else output[0], last)
                choice = last + CHOICE_LATENCY
            elif job.destination is Destination.U and job.layer == 0:
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
            tuple((layer, a - zero, b - zero) for layer, a, b in gates),
            (output[0] - zero, output[1] - zero),
            choice - zero,
        )
        steady = bool(history) and timing == history[-1][1]  # later characters repeat this timing
        history.append((zero, timing))
        if steady:
            break
    return history[-1][1]
