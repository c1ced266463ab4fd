"""Event time: the stream time of partitions, and the windows that a row belongs to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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

    def step(self, delta: Delta) -> Delta:
        times = microseconds(delta.rows.column(self.node.time))
        partitions = delta.rows.column(self.node.partition).to_numpy(zero_copy_only=False)
        before = np.empty(len(delta), dtype=np.int64)
        for partition in np.unique(partitions).tolist():
            rows = np.flatnonzero(partitions == partition)
            latest = np.maximum.accumulate(np.concatenate(([self.numbers.get(partition, NEVER)], times[rows])))
            before[rows] = latest[:-1]
            self.numbers[partition] = int(latest[-1])
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

    def step(self, delta: Delta) -> Delta:
        if not len(delta):
            return empty_delta(self.schema)
        old = self.watermark
        times = microseconds(delta.rows.column(self.node.time))
        partitions = delta.rows.column(self.node.partition).to_numpy(zero_copy_only=False)
        for partition in np.unique(partitions).tolist():
            latest = int(times[partitions == partition].max())
            self.numbers[partition] = max(self.numbers.get(partition, latest), latest)
        new = self.watermark
        if new == old:
            return empty_delta(self.schema)
        values = np.array([time for time in (old, new) if time is not None], dtype=np.int64)
        weights = np.array([weight for time, weight in ((old, -1), (new, 1)) if time is not None], dtype=np.int64)
        return Delta(pa.RecordBatch.from_arrays([timestamps(values)], schema=self.schema), weights)

    @property
    def watermark(self) -> int | None:
        """The stream time of the partition that is furthest behind; None until each has had a row."""
        return min(self.numbers.values()) if len(self.numbers) == self.node.partitions else None


class Windows:
    """The operator of `WindowAssign`: stateless, since each row brings the stream time that decides if it is late."""

    def __init__(self, node: WindowAssign) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)

    def step(self, delta: Delta) -> Delta:
        node = self.node
        times = microseconds(delta.rows.column(node.time))
        stream = delta.rows.column(node.stream_time)
        unseen = stream.is_null().to_numpy(zero_copy_only=False)
        latest = np.where(unseen, NEVER + node.grace_us, microseconds(stream))

        each = -(-node.size_us // node.advance_us)
        rows, steps = np.repeat(np.arange(len(delta)), each), np.tile(np.arange(each) * node.advance_us, len(delta))
        if node.is_cumulative:
            starts = (times - times % node.size_us)[rows]
            ends = starts + steps + node.advance_us
        else:
            starts = (times - times % node.advance_us)[rows] - steps  # from the last window that holds the row
            ends = starts + node.size_us
        taken = np.flatnonzero((ends > times[rows]) & (latest[rows] - node.grace_us < ends))

        rows, starts, ends = rows[taken], starts[taken], ends[taken]
        kept = delta.rows if len(rows) == len(delta) and each == 1 else delta.rows.take(pa.array(rows))
        columns = [*kept.columns, timestamps(starts), timestamps(ends)]
        weights = None if delta.weights is None else delta.weights[rows]
        return Delta(pa.RecordBatch.from_arrays(columns, schema=self.schema), weights)


def horizon_after(watermark: Delta, reach_us: int) -> int | None:
    """The time before which rows are out of reach with these changes of a watermark; None where nothing has changed."""
    times = microseconds(watermark.rows.column(0))[watermark.weight_array > 0]
    return int(times[0]) - reach_us if len(times) else None


def microseconds(column: pa.Array) -> Times:
    """A TIMESTAMP column as microseconds since 1970; NULL as 0."""
    numbers = column.view(pa.int64())
    values: Times = (numbers.fill_null(0) if numbers.null_count else numbers).to_numpy(zero_copy_only=False)
    return values


def timestamps(values: Times, valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Microseconds since 1970 as a TIMESTAMP column, NULL where not `valid`."""
    return pa.array(values, mask=None if valid is None else ~valid).view(pa.timestamp("us"))
