# SPDX-License-Identifier: Apache-2.0
"""The order of a character's jobs is complete, legal, and as short as it should be."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import small_spec
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.constants import Destination
from zynq_lstm.hls.engine.schedule import Job, Schedule, schedule
from zynq_lstm.models.cells import catalogue
from zynq_lstm.models.description.spec import network_spec
from zynq_lstm.models.errors import UserError

arrays = st.builds(
    lambda group, depth, pack, segment, sums: Array(
        1 if sums < 4 else group,
        min(depth, 4) if pack == 2 else depth,
        min(pack, sums),
        segment,
        sums=sums,
    ),
    st.integers(1, 40),
    st.integers(1, 8),
    st.integers(1, 2),
    st.integers(1, 40),
    st.sampled_from([1, 2, 4, 4]),
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    layers = draw(
        st.lists(st.tuples(st.integers(1, 70), st.sampled_from(catalogue.names())), min_size=1, max_size=4)
    )
    units, cells = zip(*layers, strict=True)
    spec = small_spec("w8a8", draw(st.integers(2, 256)), units, cells)
    return schedule(spec, draw(arrays))


def product(job: Job) -> tuple[str, int]:
    """What tells the matrix products apart: a layer of several levels has several of U and of W."""
    return job.label, job.stage


@settings(max_examples=25)
@given(schedules())
def test_every_product_is_done_once_and_whole(s: Schedule) -> None:
    done: Counter[tuple[tuple[str, int], int]] = Counter()
    for job in s.jobs:
        assert job.count >= 1
        done.update((product(job), job.first + item) for item in range(job.count))
    sizes = {("Wy", len(s.stages)): -(-s.vocabulary // 4)}
    for stage in s.stages:
        sizes[f"U{stage.layer}", stage.number] = stage.units
        if stage.layer:
            sizes[f"W{stage.layer}", stage.number] = stage.units
    units = ((key, item) for key, size in sizes.items() for item in range(size))
    assert done == dict.fromkeys(units, s.array.parts)


@settings(max_examples=25)
@given(schedules())
def test_sums_fit_in_the_words(s: Schedule) -> None:
    """Each sum of a job has a place of its own in the words that leave the array."""
    for job in s.jobs:
        if job.destination is not Destination.OUTPUT:
            packing = s.stages[job.stage].packing
            places = packing.places(job.count)
            assert places.shape == (job.count, packing.gates)
            assert len(np.unique(places)) == places.size
            assert places.max() < 4 * s.array.group_units
            assert places.max() < 4 * packing.drain(job.count) * s.array.gate_lanes


@settings(max_examples=25)
@given(schedules())
def test_jobs_describe_themselves(s: Schedule) -> None:
    seen: dict[tuple[str, int], int] = {}
    for job in s.jobs:
        output = job.destination is Destination.OUTPUT
        if output:
            assert (job.layer, job.source, job.label) == (len(s.units), len(s.stages) - 1, "Wy")
            lanes, size = 1, -(-s.vocabulary // 4)
        else:
            stage = s.stages[job.stage]
            assert job.layer == stage.layer
            assert job.source == (stage.recurrent if job.matrix == "U" else stage.input)
            lanes, size = stage.packing.pipelines, s.units[job.layer]
        assert job.steps == -(-s.stages[job.source].units // s.array.depth)
        assert job.first == seen.get(product(job), 0)  # groups come in order
        whole = job.part == s.array.parts - 1
        if not whole:
            assert job.beats == job.drain == 0
        elif output or not stage.packing.dense:
            assert job.beats == job.drain == -(-job.count // lanes)
        else:  # three words make four beats
            assert job.drain == -(-3 * job.count // 4)
            assert job.beats == job.drain * 4 // 3 >= job.count
        if whole:
            seen[product(job)] = job.first + job.count
        assert job.final == (whole and job.first + job.count == size)
    assert s.words == sum(job.steps for job in s.jobs)


@settings(max_examples=25)
@given(schedules())
def test_parts_of_a_unit_follow_each_other(s: Schedule) -> None:
    """This is needed because one shift register gathers them."""
    groups = [s.jobs[n : n + s.array.parts] for n in range(0, len(s.jobs), s.array.parts)]
    for group in groups:
        assert [job.part for job in group] == list(range(s.array.parts))
        assert len({(product(job), job.first) for job in group}) == 1


@settings(max_examples=25)
@given(schedules(), st.sampled_from(["score", "generate"]))
def test_sums_leave_before_the_next_are_loaded(s: Schedule, mode: str) -> None:
    """True for neighbours of any length. Two characters are checked, since the first job follows the last."""
    timing, jobs = s.timing(mode), s.jobs * 2
    starts = [t + timing.cycles_per_character * n for n in (0, 1) for t in timing.starts]
    for job, start, after, next_start in zip(jobs, starts, jobs[1:], starts[1:], strict=False):
        assert next_start >= start + max(2, job.steps, job.cycles)
        assert next_start + after.steps >= start + job.steps + job.drain + s.array.segments
        assert next_start + after.steps >= start + job.steps + job.beats  # they have left the gearbox


@settings(max_examples=25)
@given(schedules())
def test_order_is_legal(s: Schedule) -> None:
    """A result of this character is read only after all jobs whose sums make it.

    These are those that start its units, and those that wait for them; but at level 0 the sums of U are used
    in the next character's pass, which starts after the end of this one.
    """
    last: dict[tuple[int, str], int] = {}
    for n, job in enumerate(s.jobs):
        last[job.stage, job.matrix] = n
    for n, job in enumerate(s.jobs):
        source = s.stages[job.source]
        needed = [("U", bool(source.level.number)), ("W", source.input is not None)]
        for matrix, needs in needed:
            assert not needs or n > last[source.number, matrix], job
        if job.destination is Destination.START and s.stages[job.stage].level.number:
            waits = last.get((job.stage, "W"), -1)
            assert n > waits, job


@settings(max_examples=25)
@given(schedules(), st.sampled_from(["score", "generate"]))
def test_timing_is_legal(s: Schedule, mode: str) -> None:
    timing = s.timing(mode)
    assert len(timing.starts) == len(timing.waits) == len(s.jobs)
    assert timing.starts[0] == 0 and min(timing.waits) >= 0
    for job, start, next_start, wait in zip(
        s.jobs, timing.starts, timing.starts[1:], timing.waits[1:], strict=False
    ):
        assert next_start == start + job.cycles + wait
    busy = sum(job.cycles for job in s.jobs)
    assert timing.cycles_per_character >= busy
    assert timing.cycles_per_character == busy + sum(timing.waits)  # in steady state
    assert [number for number, _, _ in timing.gates] == list(range(len(s.stages)))
    for number, first, last in timing.gates:
        assert last - first >= s.stages[number].beats - 1
        # Its result may be read only when the last unit has gone through the pipeline.
        reads = [t for job, t in zip(s.jobs, timing.starts, strict=True) if job.source == number]
        assert min(reads) > last


@settings(max_examples=25)
@given(schedules())
def test_generating_takes_no_less_than_scoring(s: Schedule) -> None:
    score, generate = (s.timing(mode).cycles_per_character for mode in ("score", "generate"))
    assert score <= generate


@settings(max_examples=25)
@given(schedules())
def test_is_a_function_of_its_arguments(s: Schedule) -> None:
    cells = [
        next(stage.level.cell.name for stage in s.stages if stage.layer == k) for k in range(len(s.units))
    ]
    assert schedule(small_spec("w4a8", s.vocabulary, s.units, cells), s.array) == s


@pytest.mark.parametrize("vocabulary", [65, 72, 80, 90, 96, 97, 100, 104])
@pytest.mark.parametrize("mode", ["score", "generate"])
def test_default_network_takes_512_cycles(vocabulary: int, mode: str) -> None:
    """2 x 128 on 416 lanes: 208,128 to 209,920 MACs in 512 cycles; nothing ever waits."""
    s = schedule(network_spec(vocabulary=vocabulary), Array())
    assert s.array.lanes == 416 and s.array.dsp == 208
    timing = s.timing(mode)
    assert timing.cycles_per_character == 512
    assert set(timing.waits) == {0}
    assert s.words == 512
    assert network_spec(vocabulary=vocabulary).macs_per_character() / (512 * 416) > 0.95


def test_one_more_group_takes_longer() -> None:
    assert schedule(network_spec(vocabulary=105), Array()).timing("score").cycles_per_character == 544


def test_literal_order() -> None:
    s = schedule(small_spec("w8a8", 11, (7, 10)), Array(4, 2, 2, 2))
    assert [f"{job.label}+{job.first}" for job in s.jobs] == [
        "W1+0", "W1+4", "W1+8", "U0+0", "U0+4", "Wy+0", "U1+0", "U1+4", "U1+8",
    ]  # fmt: skip
    assert [job.count for job in s.jobs] == [4, 4, 2, 4, 3, 3, 4, 4, 2]
    assert [job.steps for job in s.jobs] == [4, 4, 4, 4, 4, 5, 5, 5, 5]
    assert [job.cycles for job in s.jobs] == [6, 6, 4, 6, 4, 5, 6, 6, 5]  # the last groups are smaller


def test_array() -> None:
    array = Array(26, 4, 2, 9)
    assert array == Array()
    assert (array.lanes, array.dsp, array.segments) == (416, 208, 3)
    wide = Array(26, 4, 2, 10, lut_depth=4, gate_lanes=2)
    assert (wide.depth, wide.lanes, wide.dsp, wide.segments) == (8, 832, 208, 3)
    assert Array(3, 2, 1, 8).segments == 1
    least = Array(1, 1, 1, 1, sums=1)
    assert (least.lanes, least.dsp, least.parts) == (1, 1, 4)
    pair = Array(1, 1, 2, 1, sums=2)
    assert (pair.lanes, pair.dsp, pair.parts) == (2, 1, 2)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("group_units", 0, "array: group_units must be 1 to 128, got 0"),
        ("group_units", 129, "array: group_units must be 1 to 128, got 129"),
        ("dsp_depth", 9, "array: dsp_depth must be 1 to 8, got 9"),
        ("pack", 3, "array: pack must be 1 to 2, got 3"),
        ("segment_units", 0, "array: segment_units must be 1 to 128, got 0"),
        ("dsp_depth", 2.0, r"array: dsp_depth must be 1 to 8, got 2\.0"),
        ("dsp_depth", 5, "array: dsp_depth must be 1 to 4 with two products per DSP, got 5"),
        ("gate_lanes", 5, "array: gate_lanes must be 1 to 4, got 5"),
        ("gate_lanes", 2, "array: gate_lanes must divide segment_units, got 2 and 9"),
        ("gate_lanes", 3, "array: gate_lanes must divide depth, got 3 and 4"),
        ("sums", 3, "array: sums must be 1, 2 or 4, got 3"),
        ("sums", 2, "array: sums must be 4 with more than 1 unit .*, got 2 with 26 and lut_depth 0"),
    ],
)
def test_array_refuses(name: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Array(**{name: value})
    if value == 5:
        assert Array(dsp_depth=5, pack=1).depth == 5


def test_too_many_segments_are_refused() -> None:
    assert Array(group_units=99, segment_units=1).segments == 99
    with pytest.raises(UserError, match="segment_units must make at most 99 segments, got 1"):
        Array(group_units=100, segment_units=1)


def test_one_sum_has_nothing_to_pack_with() -> None:
    with pytest.raises(UserError, match="sums must be 2 or 4 with two products per DSP, got 1"):
        Array(1, 1, 2, 1, sums=1)
    with pytest.raises(UserError, match=r"sums must be 4 .* in LUTs, got 2 with 1 and lut_depth 1"):
        Array(1, 1, 2, 1, lut_depth=1, sums=2)


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be generate or score, got 'fast'"):
        schedule(network_spec(vocabulary=5, units=3), Array()).timing("fast")


def test_small_shapes_exhaustively() -> None:
    """Every small shape has a schedule whose timing reaches a steady state."""
    for units, vocabulary, group, depth in itertools.product(
        [(1,), (2,), (5,), (1, 1), (3, 2), (1, 4, 2)], [2, 5, 17], [0, 1, 2, 5], [1, 3]
    ):
        array = Array(group, depth, 1, 2) if group else Array(1, depth, 1, 1, sums=2)
        s = schedule(small_spec("w8a8", vocabulary, units), array)
        for mode in ("score", "generate"):
            timing = s.timing(mode)
            assert timing.cycles_per_character == sum(j.cycles for j in s.jobs) + sum(timing.waits)
