# SPDX-License-Identifier: Apache-2.0
"""The order of a character's jobs is complete, legal, and as short as it should be."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import small_spec
from zynq_lstm.hls.engine.constants import Destination
from zynq_lstm.hls.engine.array import Array
from zynq_lstm.hls.engine.schedule import Schedule, schedule
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
    units = draw(st.lists(st.integers(1, 70), min_size=1, max_size=4))
    spec = small_spec("w8a8", draw(st.integers(2, 256)), units)
    return schedule(spec, draw(arrays))


@settings(max_examples=25)
@given(schedules())
def test_every_product_is_done_once_and_whole(s: Schedule) -> None:
    layers = len(s.units)
    sizes = {("Wy", layers): -(-s.vocabulary // 4)}
    sizes |= {(f"U{k}", k): n for k, n in enumerate(s.units)}
    sizes |= {(f"W{k}", k): n for k, n in enumerate(s.units) if k}
    done: Counter[tuple[str, int, int, int]] = Counter()
    for job in s.jobs:
        assert 1 <= job.count <= s.array.group_units
        done.update(
            (job.matrix, job.layer, job.first + item, job.part * s.array.sums + k)
            for item in range(job.count)
            for k in range(s.array.sums)
        )
    sums = ((*key, item, k) for key, size in sizes.items() for item in range(size) for k in range(4))
    assert done == dict.fromkeys(sums, 1)


@settings(max_examples=25)
@given(schedules())
def test_jobs_describe_themselves(s: Schedule) -> None:
    seen: dict[str, int] = {}
    for job in s.jobs:
        assert job.source == {"U": job.layer, "W": job.layer - 1}[job.matrix[0]]
        assert job.layer == (len(s.units) if job.matrix == "Wy" else int(job.matrix[1]))
        assert job.steps == -(-s.units[job.source] // s.array.depth)
        lanes = 1 if job.destination is Destination.OUTPUT else s.array.gate_lanes
        assert job.first == seen.get(job.matrix, 0)  # groups come in order
        whole = job.part == s.array.parts - 1
        assert job.beats == (-(-job.count // lanes) if whole else 0)
        if whole:
            seen[job.matrix] = job.first + job.count
        size = -(-s.vocabulary // 4) if job.destination is Destination.OUTPUT else s.units[job.layer]
        assert job.final == (whole and job.first + job.count == size)
    assert s.words == sum(job.steps for job in s.jobs)


@settings(max_examples=25)
@given(schedules())
def test_parts_of_a_unit_follow_each_other(s: Schedule) -> None:
    """This is needed because one shift register gathers them."""
    groups = [s.jobs[n : n + s.array.parts] for n in range(0, len(s.jobs), s.array.parts)]
    for group in groups:
        assert [job.part for job in group] == list(range(s.array.parts))
        assert len({(job.matrix, job.first) for job in group}) == 1


@settings(max_examples=25)
@given(schedules(), st.sampled_from(["score", "generate"]))
def test_sums_leave_before_the_next_are_loaded(s: Schedule, mode: str) -> None:
    """True for neighbours of any length. Two characters are checked, since the first job follows the last."""
    timing, jobs = s.timing(mode), s.jobs * 2
    starts = [t + timing.cycles_per_character * n for n in (0, 1) for t in timing.starts]
    for job, start, after, next_start in zip(jobs, starts, jobs[1:], starts[1:], strict=False):
        assert next_start >= start + max(2, job.steps, job.cycles)
        assert next_start + after.steps >= start + job.steps + job.beats + s.array.segments


@settings(max_examples=25)
@given(schedules())
def test_order_is_legal(s: Schedule) -> None:
    """A layer's h of this character is read only after all jobs of the W that make it.

    The sums of U are used in the next character's pass, which starts after the end of this one.
    """
    place = {(job.matrix, job.first): n for n, job in enumerate(s.jobs)}
    for job in s.jobs:
        if job.source > 0:
            last_w = max(n for (matrix, _), n in place.items() if matrix == f"W{job.source}")
            assert place[job.matrix, job.first] > last_w, job


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
    assert [layer for layer, _, _ in timing.gates] == list(range(len(s.units)))
    for (layer, first, last), units in zip(timing.gates, s.units, strict=True):
        assert last - first >= units - 1
        # Its h may be read only when the last unit has gone through the pipeline.
        reads = [t for job, t in zip(s.jobs, timing.starts, strict=True) if job.source == layer]
        assert min(reads) > last


@settings(max_examples=25)
@given(schedules())
def test_generating_takes_no_less_than_scoring(s: Schedule) -> None:
    score, generate = (s.timing(mode).cycles_per_character for mode in ("score", "generate"))
    assert score <= generate


@settings(max_examples=25)
@given(schedules())
def test_is_a_function_of_its_arguments(s: Schedule) -> None:
    assert schedule(small_spec("w4a8", s.vocabulary, s.units), s.array) == s


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
    assert [f"{job.matrix}+{job.first}" for job in s.jobs] == [
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
