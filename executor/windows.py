"""Event time: the stream time of partitions, and the windows that a row belongs to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.key_index import Slots, numbered
from headwater.executor.keys import key_words
from headwater.executor.state import PartitionState, empty_delta
from headwater.planner.logical import StreamTime, Watermark, WindowAssign
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta

Times = npt.NDArray[np.int64]  # microseconds since 1970

NEVER = np.iinfo(np.int64).min  # stream time of a partition before its first row


class StreamTimes(PartitionState):
    """The operator of `StreamTime`: `numbers` are the largest event times of the partitions so far.

    event time   10:00  10:07  10:03  10:09      (one partition)
    stream time  never  10:00  10:07  10:07      (before the row)
    """

    def __init__(self, node: StreamTime) -> None:
        super().__init__()
        self.node = node
        self.schema = arrow_schema(node.columns)

    def step(self, delta: Delta, silence: Delta | None = None) -> Delta:
        times = microseconds(delta.rows.column(self.node.time))
        partitions = delta.rows.column(self.node.partition).to_numpy(zero_copy_only=False)
        before = np.empty(len(delta), dtype=np.int64)
        for partition in np.unique(partitions).tolist():
            rows = np.flatnonzero(partitions == partition)
            latest = np.maximum.accumulate(np.concatenate(([self.numbers.get(partition, NEVER)], times[rows])))
            before[rows] = latest[:-1]
            self.numbers[partition] = int(latest[-1])
        bring_up(self.numbers, silence)
        column = timestamps(before, before != NEVER)
        return Delta(pa.RecordBatch.from_arrays([*delta.rows.columns, column], schema=self.schema), delta.weights)


class Watermarks(PartitionState):
    """The operator of `Watermark`: `numbers` are the largest event times of the partitions so far.

    partition 0  10:00         10:09
    partition 1         10:05
    watermark    none   10:00  10:05
    """

    def __init__(self, node: Watermark) -> None:
        super().__init__()
        self.node = node
        self.schema = arrow_schema(node.columns)

    def step(self, delta: Delta, silence: Delta | None = None) -> Delta:
        old = self.watermark
        times = microseconds(delta.rows.column(self.node.time))
        partitions = delta.rows.column(self.node.partition).to_numpy(zero_copy_only=False)
        for partition in np.unique(partitions).tolist():
            latest = int(times[partitions == partition].max())
            self.numbers[partition] = max(self.numbers.get(partition, latest), latest)
        bring_up(self.numbers, silence)
        return clock_moved(self.schema, old, self.watermark)

    @property
    def watermark(self) -> int | None:
        """The stream time of the partition that is furthest behind; None until each has had a row."""
        return min(self.numbers.values()) if len(self.numbers) == self.node.partitions else None


class Windows:
    """The operator of `WindowAssign`: stateless, since each row brings the stream time that decides if it is late.

    The windows that take a row lie side by side, so the last one and their number say which they are.
    """

    def __init__(self, node: WindowAssign) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)

    def step(self, delta: Delta) -> Delta:
        last, count = self._taking(delta.rows)
        if self.node.kept is not None:
            delta, last, count = self._merged(delta.select(self.node.kept), last, count)
        rows = np.repeat(np.arange(len(delta)), count)
        back = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)  # how many windows before the last one
        ends = last[rows] - back * self.node.advance_us
        starts = (
            (ends - 1) // self.node.size_us * self.node.size_us if self.node.is_cumulative else ends - self.node.size_us
        )
        is_same = len(rows) == len(delta) and bool((count == 1).all())
        kept = delta.rows if is_same else delta.rows.take(pa.array(rows))
        columns = [*kept.columns, timestamps(starts), timestamps(ends)]
        weights = None if delta.weights is None else delta.weights[rows]
        return Delta(pa.RecordBatch.from_arrays(columns, schema=self.schema), weights)

    def _taking(self, rows: pa.RecordBatch) -> tuple[Times, Slots]:
        """For each row the end of the last window that takes it, and how many windows do."""
        node = self.node
        times = microseconds(rows.column(node.time))
        stream = rows.column(node.stream_time)
        unseen = stream.is_null().to_numpy(zero_copy_only=False)
        closed = np.where(unseen, times, np.maximum(times, microseconds(stream) - node.grace_us))  # ends that are over
        start = (
            times // node.size_us * node.size_us if node.is_cumulative else times // node.advance_us * node.advance_us
        )
        last = start + node.size_us
        return last, np.maximum(-(-(last - closed) // node.advance_us), 0)

    def _merged(self, delta: Delta, last: Times, count: Slots) -> tuple[Delta, Times, Slots]:
        """Rows that are equal, and taken by the same windows, as one row with the sum of their weights."""
        words = key_words([*delta.rows.columns, pa.array(last), pa.array(count)], len(last))
        groups, first = numbered(words)
        weights = np.zeros(len(first), dtype=np.int64)
        np.add.at(weights, groups, delta.weight_array)
        return Delta(delta.rows.take(pa.array(first)), weights), last[first], count[first]


def bring_up(stream_times: dict[int, int], silence: Delta | None) -> None:
    """Brings partitions to a later stream time: those that a `Silence` names."""
    if silence is not None and len(silence):
        partitions, times = silence.rows.column(0).to_pylist(), microseconds(silence.rows.column(1)).tolist()
        for partition, time in zip(partitions, times, strict=True):
            stream_times[partition] = max(stream_times.get(partition, time), time)


def clock_moved(schema: pa.Schema, old: int | None, new: int | None) -> Delta:
    """The change of a clock, a table of at most one row with one time in µs since 1970."""
    if new == old:
        return empty_delta(schema)
    values = np.array([time for time in (old, new) if time is not None], dtype=np.int64)
    weights = np.array([weight for time, weight in ((old, -1), (new, 1)) if time is not None], dtype=np.int64)
    return Delta(pa.RecordBatch.from_arrays([timestamps(values)], schema=schema), weights)


def clock_time(change: Delta) -> int | None:
    """The time that a clock shows after a change, in µs since 1970; None if it did not change."""
    times = microseconds(change.rows.column(0))[change.weight_array > 0]
    return int(times[-1]) if len(times) else None


def horizon_after(watermark: Delta, reach_us: int) -> int | None:
    """The time before which rows are out of reach with these changes of a watermark; None where nothing has changed."""
    time = clock_time(watermark)
    return None if time is None else time - reach_us


def microseconds(column: pa.Array) -> Times:
    """A TIMESTAMP column as microseconds since 1970; NULL as 0."""
    numbers = column.view(pa.int64())
    values: Times = (numbers.fill_null(0) if numbers.null_count else numbers).to_numpy(zero_copy_only=False)
    return values


def timestamps(values: Times, valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Microseconds since 1970 as a TIMESTAMP column, NULL where not `valid`."""
    return pa.array(values, mask=None if valid is None else ~valid).view(pa.timestamp("us"))
