"""GROUP BY in SESSION windows, folded: one slot per session, and slots that become one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headwater.executor.accumulators import Mergeable
from headwater.executor.aggregate import accumulator_of
from headwater.executor.chunks import chunked, combined, int_batch, int_column, own_parts
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import KeyIndex, Slots, first_rows
from headwater.executor.keys import Words, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.slot_arrays import AllSlots, SlotArray
from headwater.executor.sorted_runs import SortedRuns
from headwater.executor.state import consolidate, empty_delta
from headwater.executor.windows import Times, horizon_after, microseconds, timestamps
from headwater.planner.logical import AggregateCall, SessionAggregate
from headwater.planner.sql_types import arrow_schema
from headwater.values import WINDOWEND, WINDOWSTART, Delta

_COMPACT_MIN = 8192  # fewer sessions than this are not worth a compaction
_SAVED = pa.schema([(name, pa.int64()) for name in ("live", "start", "end")])


@dataclass(frozen=True)
class Runs:
    """Intervals of time, each of a key; arrays of one length."""

    keys: Slots
    starts: Times
    ends: Times


class SessionGroups:
    """The operator of `SessionAggregate`: keeps a slot for each session that can still change.

        gap 5    (a, 10:00) +1                  (a, 10:08) +1               (a, 10:04) +1
        output   (a, 10:00 – 10:00, count 1)    (a, 10:08 – 10:08, 1)       both −1, (a, 10:00 – 10:08, count 3) +1

    Sessions are found by their key and the pieces of time that they span. A piece is as long as what is near to a row,
    so that a session has a row in each. A step costs in proportion to its delta, and to the pieces it is in.
    """

    def __init__(self, node: SessionAggregate) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._types = {c.name: c.type for c in node.source.columns}
        self._key_schema = pa.schema([self.schema.field(name) for name in node.group_keys])
        self._width = 2 * node.gap_us + 1
        self._clear()

    def _clear(self) -> None:
        self._keys = KeyIndex()
        self._key_rows = RowHeap(self._key_schema)  # the row number is the slot of the key
        self._pieces = KeyIndex()  # of a key's slot and a piece of time
        self._spans = SortedRuns()  # from slots of pieces to sessions, also to those that are gone
        self._by_end = SortedRuns()  # from ends to sessions, also ends that a session had before
        self._key = SlotArray(-1)  # by session: the slot of its key, −1 when it is gone
        self._start = SlotArray()  # by session
        self._end = SlotArray()  # by session
        self._count = self._live = 0
        self._accumulators = [_mergeable(call, self._types) for call in self.node.calls]

    @property
    def nbytes(self) -> int:
        indexes = self._keys.nbytes + self._pieces.nbytes + self._spans.nbytes + self._by_end.nbytes
        columns = self._key.nbytes + self._start.nbytes + self._end.nbytes
        return indexes + columns + self._key_rows.nbytes + sum(a.nbytes for a in self._accumulators)

    @property
    def state_rows(self) -> int:
        return self._live

    def step(self, delta: Delta, watermark: Delta) -> Delta:
        """Folds `delta` in; gives −old +new of each session that has changed."""
        changed = self._folded(delta) if len(delta) else empty_delta(self.schema)
        horizon = horizon_after(watermark, self.node.reach_us)
        if horizon is not None:
            self._forget(horizon)
        if self._count > max(_COMPACT_MIN, 2 * self._live):
            self.restore(combined(self._saved(np.flatnonzero(self._key[: self._count] >= 0))))
        return changed

    def _folded(self, delta: Delta) -> Delta:
        rows, times = delta.rows, microseconds(delta.rows.column(self.node.time))
        keys = self._key_slots([rows.column(name) for name in self.node.group_keys], len(delta))
        order = np.lexsort((times, keys))
        run_of, runs = merged_runs(Runs(keys[order], times[order], times[order]), self.node.gap_us)
        known = self._near(runs)
        members = Runs(*(np.concatenate(pair) for pair in zip(_fields(runs), self._runs_of(known), strict=True)))
        by_time = np.lexsort((members.starts, members.keys))
        merged, found = merged_runs(Runs(*(field[by_time] for field in _fields(members))), self.node.gap_us)
        group = np.empty(len(by_time), dtype=np.int64)  # by member: which of `found` it is in
        group[by_time] = merged
        before = self._output(known)
        slots = self._slots_of(len(found.keys), known, group[len(runs.keys) :])
        self._file(slots, found)
        groups = np.empty(len(rows), dtype=np.int64)
        groups[order] = group[: len(runs.keys)][run_of]
        for call, accumulator in zip(self.node.calls, self._accumulators, strict=True):
            column = None if call.argument is None else rows.column(call.argument)
            accumulator.fold(slots, groups, column, delta.weight_array)
        after = self._output(slots)
        signs = np.repeat(np.array([-1, 1], dtype=np.int64), [before.num_rows, after.num_rows])
        return consolidate(Delta(pa.concat_batches([before, after]), signs))

    def _key_slots(self, columns: list[pa.Array], rows: int) -> Slots:
        """The slot of the key of each row."""
        known = len(self._keys)
        slots = self._keys.insert(key_words(columns, rows))
        added = len(self._keys) - known
        if added and columns:
            fresh = np.flatnonzero(slots >= known)
            first = pa.array(fresh[first_rows(slots[fresh] - known, added)])
            keys = pa.RecordBatch.from_arrays([column.take(first) for column in columns], schema=self._key_schema)
            self._key_rows.append(keys)
        return slots

    def _runs_of(self, sessions: Slots) -> tuple[Slots, Times, Times]:
        return self._key[sessions], self._start[sessions], self._end[sessions]

    def _near(self, runs: Runs) -> Slots:
        """The sessions that become one with some of the runs, each once."""
        gap = self.node.gap_us
        places, pieces = self._spanned(runs.starts - gap, runs.ends + gap)
        found, sessions = self._spans.find(self._pieces.find(_piece_words(runs.keys[places], pieces)))
        runs_of = places[found]
        near = (self._key[sessions] >= 0) & (self._start[sessions] <= runs.ends[runs_of] + gap)
        near &= self._end[sessions] >= runs.starts[runs_of] - gap
        return np.unique(sessions[near])

    def _spanned(self, starts: Times, ends: Times) -> tuple[Slots, Times]:
        """The pieces of time that each interval spans: the place of the interval, and the number of the piece."""
        first = starts // self._width
        counts = ends // self._width - first + 1
        places = np.repeat(np.arange(len(first)), counts)
        return places, first[places] + np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)

    def _slots_of(self, count: int, sessions: Slots, groups: Slots) -> Slots:
        """A slot for each of `count` groups: that of the first session in it, with which the others become one."""
        slots = np.full(count, -1, dtype=np.int64)
        slots[groups[::-1]] = sessions[::-1]
        gone = np.flatnonzero(slots[groups] != sessions)
        if len(gone):
            into, places = np.unique(groups[gone], return_inverse=True)
            for accumulator in self._accumulators:
                accumulator.merge(slots[into], places, sessions[gone])
            self._key[sessions[gone]] = -1
        fresh = np.flatnonzero(slots < 0)
        slots[fresh] = self._count + np.arange(len(fresh))
        self._count += len(fresh)
        self._live += len(fresh) - len(gone)
        for array in (self._key, self._start, self._end):
            array.reserve(self._count)
        for accumulator in self._accumulators:
            accumulator.reserve(self._count)
        return slots

    def _file(self, slots: Slots, runs: Runs) -> None:
        """Gives sessions their bounds, and makes them be found in the pieces of time that they have not been in."""
        places, pieces = self._spanned(runs.starts, runs.ends)
        sessions, keys = slots[places], runs.keys[places]
        was = self._key[sessions] >= 0
        was &= (pieces >= self._start[sessions] // self._width) & (pieces <= self._end[sessions] // self._width)
        new = np.flatnonzero(~was)
        self._spans.add(self._pieces.insert(_piece_words(keys[new], pieces[new])), sessions[new])
        self._by_end.add(runs.ends, slots)
        self._key[slots], self._start[slots], self._end[slots] = runs.keys, runs.starts, runs.ends

    def _output(self, slots: Slots) -> pa.RecordBatch:
        """The output rows of sessions."""
        columns = {WINDOWSTART: timestamps(self._start[slots]), WINDOWEND: timestamps(self._end[slots])}
        if self.node.group_keys:
            keys = self._key_rows.take(self._key[slots])
            columns |= dict(zip(self.node.group_keys, keys.columns, strict=True))
        arrays = [*(columns[key] for key in self.node.keys), *(a.value(slots) for a in self._accumulators)]
        cast = [array.cast(field.type) for array, field in zip(arrays, self.schema, strict=True)]
        return pa.RecordBatch.from_arrays(cast, schema=self.schema)

    def _forget(self, horizon: int) -> None:
        """Forgets the sessions that end before `horizon`."""
        slots = np.unique(self._by_end.take_before(horizon))
        slots = slots[(self._key[slots] >= 0) & (self._end[slots] < horizon)]
        self._key[slots] = -1
        self._live -= len(slots)

    def save(self) -> ChunkedParts:
        return self._saved(AllSlots(self._count))  # also sessions that are gone, so that the others stay in place

    def _saved(self, slots: Slots | AllSlots) -> ChunkedParts:
        parts = {"sessions": chunked(_SAVED, len(slots), lambda part: self._saved_bounds(slots[part]))}
        if self.node.group_keys:
            parts["keys"] = chunked(self._key_schema, len(slots), lambda part: self._saved_keys(slots[part]))
        for i, accumulator in enumerate(self._accumulators):
            parts |= {f"{i}.{name}": part for name, part in accumulator.save(slots).items()}
        return parts

    def _saved_bounds(self, slots: Slots) -> pa.RecordBatch:
        live = (self._key[slots] >= 0).astype(np.int64)
        return int_batch(live=live, start=self._start[slots], end=self._end[slots])

    def _saved_keys(self, slots: Slots) -> pa.RecordBatch:
        keys = self._key[slots]
        return self._key_rows.take(keys[keys >= 0])

    def restore(self, parts: Parts) -> None:
        self._clear()
        saved = parts["sessions"]
        self._count = saved.num_rows
        live = np.flatnonzero(int_column(saved, "live"))
        self._live = len(live)
        self._key.reserve(self._count)
        self._start.replace(int_column(saved, "start"))
        self._end.replace(int_column(saved, "end"))
        for i, accumulator in enumerate(self._accumulators):
            accumulator.reserve(self._count)
            accumulator.restore(own_parts(parts, str(i)))
        keys = self._key_slots(parts["keys"].columns if self.node.group_keys else [], len(live))
        self._file(live, Runs(keys, self._start[live], self._end[live]))


def merged_runs(runs: Runs, gap_us: int) -> tuple[Slots, Runs]:
    """Intervals, at least one, in the order of keys and starts, with those that are no more than the gap apart as one.

    Gives for each interval the number of the one that it is in, and these.
    """
    distinct, rank = np.unique(runs.ends, return_inverse=True)
    key = np.cumsum(np.diff(runs.keys, prepend=runs.keys[:1]) != 0)
    latest = np.maximum.accumulate(key * len(distinct) + rank)  # the latest end so far, of this key
    ends = distinct[latest % max(len(distinct), 1)]
    begins = np.ones(len(key), dtype=bool)
    begins[1:] = (np.diff(key) != 0) | (runs.starts[1:] > ends[:-1] + gap_us)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(key)) - 1
    return np.cumsum(begins) - 1, Runs(runs.keys[first], runs.starts[first], ends[last])


def _mergeable(call: AggregateCall, types: dict[str, str]) -> Mergeable:
    accumulator = accumulator_of(call, types, retractable=False)
    assert isinstance(accumulator, Mergeable), "the planner leaves others alone"
    return accumulator


def _fields(runs: Runs) -> tuple[Slots, Times, Times]:
    return runs.keys, runs.starts, runs.ends


def _piece_words(keys: Slots, pieces: Times) -> Words:
    """The key of a piece of time of a key: two words, both exact."""
    return np.stack([keys, pieces], axis=1).view(np.uint64)
