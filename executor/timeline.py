"""Rows found by a key and a time: the last time before another one, the next after it, and all rows between two.

Times are whole numbers that are ordered as the values that they stand for (`time_words`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headwater.executor.key_index import KeyIndex, Slots
from headwater.executor.keys import Words, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.slot_arrays import SlotArray
from headwater.executor.state import TableState
from headwater.values import Delta, Weights

Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TIME_MIN, TIME_MAX = -(2**63), 2**63 - 1


def time_words(column: pa.Array) -> Times:
    """Numbers, dates, times or timestamps as whole numbers in the same order, NaN last; NULL gives any.

    Decimals are those of at most 18 digits.
    """
    kind = column.type
    if pa.types.is_decimal128(kind):
        halves: Times = np.frombuffer(column.buffers()[1], dtype=np.int64).reshape(-1, 2)
        return halves[column.offset : column.offset + len(column), 0]
    if pa.types.is_floating(kind):
        numbers = pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False) + 0.0
        bits: Times = np.where(np.isnan(numbers), np.nan, numbers).view(np.int64)
        return np.where(bits < 0, bits ^ TIME_MAX, bits)
    if pa.types.is_uint64(kind):
        unsigned = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
        return (unsigned ^ np.uint64(1 << 63)).view(np.int64)  # type: ignore[no-any-return]
    if not pa.types.is_integer(kind):
        column = column.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    whole: Times = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return whole


class _Run:
    """Rows sorted by the slot of their key and by time; `slots` are their places in the state."""

    def __init__(self, keys: Slots, times: Times, slots: Slots) -> None:
        order = np.lexsort((times, keys))
        self.keys, self.times, self.slots = keys[order], times[order], slots[order]
        for array in (self.keys, self.times, self.slots):
            array.flags.writeable = False  # whoever freezes a state shares them

    def __len__(self) -> int:
        return len(self.keys)

    def within(self, keys: Slots) -> tuple[Slots, Slots]:
        """Where the rows of each key begin and end."""
        return np.searchsorted(self.keys, keys, side="left"), np.searchsorted(self.keys, keys, side="right")

    def place(self, begin: Slots, end: Slots, times: Times, *, after: bool) -> Slots:
        """In each range, the place of the first row whose time is not before the given one; or that is `after` it."""
        low, high = begin.copy(), end.copy()
        while (searching := low < high).any():
            middle = (low + high) // 2
            there = self.times[np.minimum(middle, len(self) - 1)]
            before = there <= times if after else there < times
            low = np.where(searching & before, middle + 1, low)
            high = np.where(searching & ~before, middle, high)
        return low


class Timeline:
    """The rows of one input, with weights, by the value of `key_columns` and the time that `time_of` gives them.

    No row may have a NULL in its key. Rows that are gone stay in the sorted runs until these are merged, and are
    stepped over.
    """

    def __init__(
        self, schema: pa.Schema, key_columns: Sequence[str], time_of: Callable[[pa.RecordBatch], Times]
    ) -> None:
        self.schema = schema
        self.key_columns = tuple(key_columns)
        self._time_of = time_of
        self._state = TableState(schema, None)
        self._clear()

    def _clear(self) -> None:
        self._index = KeyIndex()
        self._runs: list[_Run] = []
        self._filed = SlotArray()  # by slot of the state: 1 if the row is in a run

    def __len__(self) -> int:
        return len(self._state)

    @property
    def nbytes(self) -> int:
        runs = sum(int(run.keys.nbytes + run.times.nbytes + run.slots.nbytes) for run in self._runs)
        return self._state.nbytes + self._index.nbytes + self._filed.nbytes + runs

    def apply(self, delta: Delta) -> None:
        """Adds the delta."""
        if not len(delta):
            return
        slots = self._state.apply(delta)
        self._filed.reserve(int(slots.max()) + 1)
        fresh, first = np.unique(slots, return_index=True)
        first = first[self._filed[fresh] == 0]
        if len(first):
            self._file(delta.rows.take(pa.array(first)), slots[first])
        if self._state.is_sparse:
            self._state.compact()
            self._file_all()

    def _file(self, rows: pa.RecordBatch, slots: Slots) -> None:
        """Puts rows into a run, and merges runs so that each is at least twice as long as the next."""
        keys, times = self._index.insert(self.words(rows)), self._time_of(rows)
        self._filed[slots] = 1
        first, size = len(self._runs), len(keys)
        while first > 0 and len(self._runs[first - 1]) < 2 * size:
            first -= 1
            size += len(self._runs[first])
        merged = self._runs[first:]
        keys = np.concatenate([*(run.keys for run in merged), keys])
        times = np.concatenate([*(run.times for run in merged), times])
        slots = np.concatenate([*(run.slots for run in merged), slots])
        live = self._state.weights(slots) > 0
        self._filed[slots[~live]] = 0
        self._runs[first:] = [_Run(keys[live], times[live], slots[live])]

    def words(self, rows: pa.RecordBatch) -> Words:
        """The key of each row."""
        return key_words([rows.column(name) for name in self.key_columns], rows.num_rows)

    # ---------------------------------------------------------------- looking

    def last(self, words: Words, times: Times) -> tuple[Flags, Times]:
        """For each key, the last time of its rows that is not after the given one; and whether there is any."""
        return self._nearest(words, times, "last")

    def next(self, words: Words, times: Times) -> tuple[Flags, Times]:
        """For each key, the first time of its rows that is after the given one; and whether there is any."""
        return self._nearest(words, times, "next")

    def _nearest(self, words: Words, times: Times, which: Literal["last", "next"]) -> tuple[Flags, Times]:
        keys = self._index.find(words)
        found = np.zeros(len(keys), dtype=bool)
        nearest = np.full(len(keys), TIME_MIN if which == "last" else TIME_MAX, dtype=np.int64)
        for run in self._runs:
            begin, end = run.within(keys)
            place = run.place(begin, end, times, after=True)
            place, inside = self._live_place(run, place - (which == "last"), begin, end, which)
            at = run.times[place[inside]]
            nearest[inside] = np.maximum(nearest[inside], at) if which == "last" else np.minimum(nearest[inside], at)
            found |= inside
        return found, nearest

    def _live_place(
        self, run: _Run, place: Slots, begin: Slots, end: Slots, which: Literal["last", "next"]
    ) -> tuple[Slots, Flags]:
        """The places, moved on to a row that is there; and which of them are still between `begin` and `end`."""
        place = place.copy()
        inside = (place >= begin) & (place < end)
        looking = np.flatnonzero(inside)
        while len(looking):
            looking = looking[self._state.weights(run.slots[place[looking]]) <= 0]
            place[looking] += -1 if which == "last" else 1
            inside[looking] = (place[looking] >= begin[looking]) & (place[looking] < end[looking])
            looking = looking[inside[looking]]
        return place, inside

    def between(self, words: Words, low: Times, high: Times) -> tuple[Slots, Slots]:
        """The rows of each key whose time is in low … high: the place of the key in `words`, ascending; their slots."""
        keys = self._index.find(words)
        places, found = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for run in self._runs:
            begin, end = run.within(keys)
            first = run.place(begin, end, low, after=False)
            counts = np.maximum(run.place(begin, end, high, after=True) - first, 0)
            place = np.repeat(np.arange(len(keys)), counts)
            within = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
            places.append(place)
            found.append(run.slots[first[place] + within])
        place, slots = np.concatenate(places), np.concatenate(found)
        kept = np.flatnonzero(self._state.weights(slots) > 0)
        kept = kept[np.argsort(place[kept], kind="stable")]
        return place[kept], slots[kept]

    def take(self, slots: Slots) -> pa.RecordBatch:
        """The rows at `slots`, which change with each delta."""
        return self._state.take(slots)

    def weights(self, slots: Slots) -> Weights:
        """The weights of the rows at `slots`."""
        return self._state.weights(slots)

    # ---------------------------------------------------------------- images

    def save(self) -> ChunkedParts:
        return self._state.save()

    def restore(self, parts: Parts) -> None:
        self._state.restore(parts)
        self._file_all()

    def _file_all(self) -> None:
        """Makes the runs of all rows of the state."""
        self._clear()
        slots = self._state.live_slots()
        if len(slots):
            self._filed.reserve(int(slots.max()) + 1)
            self._file(self._state.take(slots), slots)
