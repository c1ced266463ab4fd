"""Event time: lateness is decided per record in log order, and a record belongs to every window that takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.chunks import combined
from headwater.executor.windows import StreamTimes, Watermarks, Windows
from headwater.planner.logical import STREAM_TIME, WATERMARK, StreamSource, StreamTime, Watermark, WindowAssign
from headwater.values import ROWPARTITION, ROWTIME, Column, Delta

SOURCE = StreamSource(1, "s", (Column("n", "BIGINT"), Column(ROWTIME, "TIMESTAMP"), Column(ROWPARTITION, "INTEGER")))
TIMED = StreamTime(SOURCE, ROWTIME, ROWPARTITION)
LONG_AGO = -(10**15)

records = st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 2)), max_size=20)  # event time, partition


def delta(some: list[tuple[int, int]], first: int = 0) -> Delta:
    """Records with event times in µs since 1970, numbered from `first` on."""
    columns = [
        pa.array(range(first, first + len(some)), pa.int64()),
        pa.array([time for time, _ in some], pa.int64()).view(pa.timestamp("us")),
        pa.array([partition for _, partition in some], pa.int32()),
    ]
    return Delta(pa.RecordBatch.from_arrays(columns, names=list(SOURCE.names)))


def numbers(rows: pa.RecordBatch, name: str) -> list[Any]:
    values: list[Any] = rows.column(name).view(pa.int64()).to_pylist()
    return values


def assigned(size: int, advance: int, grace: int, *steps: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """The record number, window start and window end of each output row."""
    node = WindowAssign(TIMED, ROWTIME, STREAM_TIME, size, advance, grace)
    times, windows = StreamTimes(TIMED), Windows(node)
    found, first = [], 0
    for step in steps:
        rows = windows.step(times.step(delta(step, first))).rows
        found += list(zip(*(numbers(rows, n) for n in ("n", "WINDOWSTART", "WINDOWEND")), strict=True))
        first += len(step)
    return found


def expected(size: int, advance: int, grace: int, some: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """The definition, a record at a time."""
    latest: dict[int, int] = {}
    found = []
    for number, (time, partition) in enumerate(some):
        stream_time = latest.get(partition, LONG_AGO)
        start = time // advance * advance
        while start + size > time:
            if stream_time < start + size + grace:
                found.append((number, start, start + size))
            start -= advance
        latest[partition] = max(stream_time, time)
    return found


@settings(max_examples=200, deadline=None)
@given(records, st.integers(1, 20), st.integers(1, 20), st.integers(0, 30), st.data())
def test_a_window_takes_a_record_while_stream_time_is_before_its_end_and_the_grace(
    some: list[tuple[int, int]], advance: int, more: int, grace: int, data: st.DataObject
) -> None:
    size = advance + more - 1  # also sizes that are no multiple of the advance
    cut = data.draw(st.integers(0, len(some)))
    assert assigned(size, advance, grace, some[:cut], some[cut:]) == expected(size, advance, grace, some)


@pytest.mark.parametrize(
    ("size", "advance", "time", "windows"),
    [
        (10, 10, 0, [(0, 10)]),
        (10, 10, 9, [(0, 10)]),
        (10, 10, 10, [(10, 20)]),
        (10, 10, -1, [(-10, 0)]),
        (10, 10, -10, [(-10, 0)]),
        (10, 5, 7, [(5, 15), (0, 10)]),
        (10, 5, -3, [(-5, 5), (-10, 0)]),
        (10, 4, 8, [(8, 18), (4, 14), (0, 10)]),
        (10, 4, 11, [(8, 18), (4, 14)]),
        (10, 1, 3, [(start, start + 10) for start in range(3, -7, -1)]),
    ],
)
def test_windows_start_at_multiples_of_the_advance_since_1970_and_contain_the_time(
    size: int, advance: int, time: int, windows: list[tuple[int, int]]
) -> None:
    assert [(start, end) for _, start, end in assigned(size, advance, 0, [(time, 0)])] == windows


@pytest.mark.parametrize(("stream_time", "taken"), [(11, True), (12, True), (13, False), (99, False)])
def test_a_late_record_is_taken_as_long_as_its_window_is_in_grace(stream_time: int, taken: bool) -> None:
    assert ((1, 0, 10) in assigned(10, 10, 3, [(stream_time, 0), (5, 0)])) is taken


def test_each_partition_has_a_stream_time_of_its_own() -> None:
    assert assigned(10, 10, 0, [(50, 0), (5, 1), (5, 0)]) == [(0, 50, 60), (1, 0, 10)]


def test_the_first_record_of_a_partition_is_never_late() -> None:
    assert assigned(10, 10, 0, [(LONG_AGO, 0)]) == [(0, LONG_AGO, LONG_AGO + 10)]


def test_stream_time_is_that_before_the_record() -> None:
    times = StreamTimes(TIMED).step(delta([(5, 0), (9, 0), (7, 0), (20, 1), (8, 0)])).rows
    assert numbers(times, STREAM_TIME) == [None, 5, 9, None, 9]


@settings(max_examples=50, deadline=None)
@given(records, records)
def test_saved_stream_times_are_the_same_when_restored(
    before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    one = StreamTimes(TIMED)
    one.step(delta(before))
    two = StreamTimes(TIMED)
    two.restore(combined(one.save()))
    assert two.step(delta(after)).rows.equals(one.step(delta(after)).rows)
    assert two.state_rows == one.state_rows == len({partition for _, partition in before + after})


def test_weights_stay_with_their_rows() -> None:
    timed = StreamTimes(TIMED).step(delta([(5, 0), (7, 0)]))
    weighted = Delta(timed.rows, np.array([2, -1]))
    out = Windows(WindowAssign(TIMED, ROWTIME, STREAM_TIME, 10, 5, 0)).step(weighted)
    assert list(zip(numbers(out.rows, "n"), out.weight_array.tolist(), strict=True)) == [
        (0, 2),
        (0, 2),
        (1, -1),
        (1, -1),
    ]


def watermarks(partitions: int, *steps: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """What each step changes: pairs of time and weight."""
    operator = Watermarks(Watermark(SOURCE, ROWTIME, ROWPARTITION, partitions))
    changes = [operator.step(delta(step)) for step in steps]
    return [list(zip(numbers(change.rows, WATERMARK), change.weight_array.tolist(), strict=True)) for change in changes]


def test_the_watermark_is_the_stream_time_of_the_partition_that_is_furthest_behind() -> None:
    assert watermarks(2, [(10, 0), (7, 1)], [(30, 0)], [(20, 1), (5, 1)]) == [[(7, 1)], [], [(7, -1), (20, 1)]]


def test_there_is_no_watermark_before_each_partition_has_had_a_row() -> None:
    assert watermarks(2, [(10, 0)], [(20, 0)], [(8, 1)]) == [[], [], [(8, 1)]]


def test_the_watermark_never_goes_back() -> None:
    assert watermarks(1, [(10, 0)], [(3, 0)], []) == [[(10, 1)], [], []]


def test_a_watermark_that_was_saved_goes_on_from_there() -> None:
    node = Watermark(SOURCE, ROWTIME, ROWPARTITION, 2)
    before, after = Watermarks(node), Watermarks(node)
    before.step(delta([(10, 0), (7, 1)]))
    after.restore(combined(before.save()))
    assert after.watermark == 7
    assert numbers(after.step(delta([(9, 1)])).rows, WATERMARK) == [7, 9]
