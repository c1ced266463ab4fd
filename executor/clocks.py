"""Processing time: what the log says of when things were committed, and what follows from silence.

A tick is a commit without rows, with a note that says so: time has passed that somebody waited for. So whatever time
brings about has its place in the log, and comes out the same when the log is read again.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.chunks import int_chunks, int_column
from headwater.executor.feed import Cut
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import PartitionState, empty_delta
from headwater.executor.windows import Times, clock_moved, clock_time, microseconds, timestamps
from headwater.planner.logical import Arrivals, Now, Silence
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Log
from headwater.values import Delta

TICK = "tick"  # the key of the note of a tick

Clock = Now | Arrivals

_NEVER = int(np.iinfo(np.int64).min)


def commit_time(log: Log, version: int) -> int | None:
    """When a version was committed, for one that is no more the earliest time that is known; None before the first."""
    return log.time_of(max(version, log.first_version - 1)) if version else None


def ticks(log: Log, after: int, upto: int) -> list[int]:
    """The versions of the ticks in (after, upto]."""
    return [version for version, _ in log.notes(TICK, after) if version <= upto]


def with_ticks(ends: Iterable[int], found: Iterable[int], after: int) -> list[int]:
    """Where to end steps, so that each tick has a step of its own besides."""
    return sorted({*ends, *(end for tick in found for end in (tick - 1, tick) if end > after)})


def read_clock(log: Log, clock: Clock, after: int, cut: Cut) -> Delta:
    """What a leaf that is a clock reads in (after, cut.version]."""
    schema = arrow_schema(clock.columns)
    if isinstance(clock, Now):
        now = commit_time(log, cut.version)
        return empty_delta(schema) if now is None else _rows(schema, timestamps(np.array([now])))
    versions: dict[int, tuple[int, int]] = {}  # by partition: the first and the last version with a row
    begins = {(id, partition): offset for id, partition, offset in clock.starts}
    for id in clock.ids:
        limits = cut.limits.get(id)
        for version, extent in log.extents(id, max(after, log.start(id).version), cut.version):
            if extent.offset + extent.count <= begins.get((id, extent.partition), 0):
                continue
            if limits is None or extent.offset < limits.get(extent.partition, 0):
                first, last = versions.get(extent.partition, (version, version))
                versions[extent.partition] = min(first, version), max(last, version)
    pairs: list[tuple[int | None, int]] = [(p, v) for p, both in versions.items() for v in dict.fromkeys(both)]
    pairs += [(None, version) for version in ticks(log, after, cut.version)]
    times = np.array([commit_time(log, version) for _, version in pairs], dtype=np.int64)
    return _rows(schema, pa.array([partition for partition, _ in pairs], pa.int32()), timestamps(times))


def _rows(schema: pa.Schema, *columns: pa.Array) -> Delta:
    return Delta(pa.RecordBatch.from_arrays(list(columns), schema=schema))


class CommitClock(PartitionState):
    """The operator of `Now`; the number is the time that it shows."""

    def __init__(self, node: Now) -> None:
        super().__init__()
        self.schema = arrow_schema(node.columns)

    def step(self, reading: Delta) -> Delta:
        old, new = self.numbers.get(0), clock_time(reading)
        if new is None:
            return empty_delta(self.schema)
        self.numbers[0] = new
        return clock_moved(self.schema, old, new)


class ArrivalTimes:
    """The operator of `Arrivals`: what it reads as it is."""

    def __init__(self, node: Arrivals) -> None:
        self.schema = arrow_schema(node.columns)

    def step(self, reading: Delta) -> Delta:
        return reading


class Silences:
    """The operator of `Silence`. Something follows from silence at a tick alone.

    partition 0   10:00 (arrived 12:00:00)                      timeout 10 s, windows take rows for 5 minutes
    partition 1   10:07 (arrived 12:00:04)
    ticks                                    12:00:10   12:00:14
    output                                   0 → 10:07  0 → 10:12, 1 → 10:12
    """

    def __init__(self, node: Silence) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._stream_times = np.full(node.partitions, _NEVER, dtype=np.int64)
        self._arrived = np.full(node.partitions, _NEVER, dtype=np.int64)  # when the last row was committed
        self._began = self._latest = self._ticked = _NEVER  # first arrival, largest event time, last tick

    @property
    def nbytes(self) -> int:
        return int(self._stream_times.nbytes + self._arrived.nbytes)

    @property
    def state_rows(self) -> int:
        return len(self._arrived)

    def step(self, delta: Delta, arrivals: Delta) -> Delta:
        if len(delta):
            times = microseconds(delta.rows.column(self.node.time))
            np.maximum.at(self._stream_times, delta.rows.column(self.node.partition).to_numpy(), times)
            self._latest = max(self._latest, int(times.max()))
        if not len(arrivals):
            return empty_delta(self.schema)
        times, partitions = microseconds(arrivals.rows.column(1)), arrivals.rows.column(0)
        is_tick = partitions.is_null().to_numpy(zero_copy_only=False)
        places: Times = partitions.fill_null(self.node.partitions).to_numpy().astype(np.int64)
        is_own = places < self.node.partitions  # another stream, in a subquery, may have more partitions
        if is_own.any():
            np.maximum.at(self._arrived, places[is_own], times[is_own])
            self._began = int(times[is_own].min()) if self._began == _NEVER else self._began
        return self._at_tick(int(times[is_tick].max())) if is_tick.any() else empty_delta(self.schema)

    def _at_tick(self, tick: int) -> Delta:
        """Brings up the partitions that have been silent for long enough at a tick."""
        self._ticked = tick
        if self._latest == _NEVER:
            return empty_delta(self.schema)
        silent = self._last_signs <= tick - self.node.idle_us
        target = self._latest + self.node.close_us if silent.all() else int(self._stream_times[~silent].min())
        raised = np.flatnonzero(silent & (self._stream_times < target))
        self._stream_times[raised] = target
        return _rows(self.schema, pa.array(raised.astype(np.int32)), timestamps(np.full(len(raised), target)))

    @property
    def _last_signs(self) -> Times:
        """When each partition last had a row; one that never had any counts as if it had had the first of all."""
        return np.maximum(self._arrived, self._began)

    @property
    def due(self) -> int | None:
        """The earliest time at which a tick would bring a partition up; None if silence changes nothing."""
        if self._latest == _NEVER:
            return None
        order = np.argsort(self._last_signs, kind="stable")
        silent_at, times = self._last_signs[order] + self.node.idle_us, self._stream_times[order]
        furthest_behind = np.minimum.accumulate(times)
        others = np.minimum.accumulate(times[::-1])[::-1][1:]
        target = np.append(others, self._latest + self.node.close_us)
        is_last = np.append(silent_at[1:] > silent_at[:-1], True)  # of those that become silent together
        useful: npt.NDArray[np.int64] = silent_at[is_last & (furthest_behind < target)]
        again = self._ticked + self.node.idle_us if self._ticked != _NEVER else _NEVER
        return int(np.where(useful > self._ticked, useful, again).min()) if len(useful) else None

    def save(self) -> ChunkedParts:
        numbers = np.array([self._began, self._latest, self._ticked], dtype=np.int64)
        return {
            "partitions": int_chunks(stream_time=self._stream_times, arrived=self._arrived),
            "numbers": int_chunks(number=numbers),
        }

    def restore(self, parts: Parts) -> None:
        self._stream_times = int_column(parts["partitions"], "stream_time").copy()
        self._arrived = int_column(parts["partitions"], "arrived").copy()
        self._began, self._latest, self._ticked = int_column(parts["numbers"], "number").tolist()
