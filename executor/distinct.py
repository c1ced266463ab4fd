"""Aggregates of distinct values: count(DISTINCT x), sum(DISTINCT x), avg(DISTINCT x)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.executor.accumulators import Accumulator
from headwater.executor.chunks import chunked, int_batch, int_column, places_in
from headwater.executor.key_index import KeyIndex, Slots, numbered
from headwater.executor.keys import Words, is_word, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.slot_arrays import AllSlots, SlotArray
from headwater.values import Weights

_COMPACT_MIN = 8192  # fewer pairs than this are not worth a compaction
_VALUES = pa.schema([(name, pa.int64()) for name in ("a", "b")])
_PAIRS = pa.schema([(name, pa.int64()) for name in ("value", "slot", "rows")])


class Distinct:
    """Counts the rows of each value of each group, and tells `inner` when a value comes and when its last row goes.

    A value is known by its key alone: one of eight bytes is a word itself, and others are numbered. So a pair of group
    and value is two words, and no value is kept.
    """

    def __init__(self, inner: Accumulator, type_: pa.DataType) -> None:
        self.inner = inner
        self._is_word = is_word(type_)
        self._slots = 0
        self._clear()

    def _clear(self) -> None:
        self._values = KeyIndex()  # of values that are no words: their numbers
        self._pairs = KeyIndex()  # of (value, slot)
        self._rows = SlotArray()  # by pair: how many rows it has
        self._live = 0

    @property
    def nbytes(self) -> int:
        return self.inner.nbytes + self._values.nbytes + self._pairs.nbytes + self._rows.nbytes

    def reserve(self, count: int) -> None:
        self._slots = max(self._slots, count)
        self.inner.reserve(count)

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        assert column is not None
        if column.null_count:
            present = np.flatnonzero(pc.is_valid(column).to_numpy(zero_copy_only=False))
            groups, column, weights = groups[present], column.take(pa.array(present)), weights[present]
        pairs = self._pairs_of(column, slots[groups])
        places, first = numbered(pairs)
        found = self._pairs.insert(pairs[first])
        self._rows.reserve(len(self._pairs))
        before = self._rows[found]
        after = before + np.bincount(places, weights, len(first)).astype(np.int64)
        assert (after >= 0).all(), "a value was removed that was not there"
        self._rows[found] = after
        change = (after > 0).astype(np.int64) - (before > 0)
        changed = np.flatnonzero(change)
        self._live += int(change.sum())
        rows = first[changed]
        self.inner.fold(slots, groups[rows], column.take(pa.array(rows)), change[changed])
        if len(self._pairs) > max(_COMPACT_MIN, 2 * self._live):
            live = np.flatnonzero(self._rows[: len(self._pairs)] > 0)
            self._fill(self._values.keys, self._pairs.keys_of(live), self._rows[live])

    def _pairs_of(self, column: pa.Array, slots: Slots) -> Words:
        words = key_words([column], len(column))
        values = words[:, 0] if self._is_word else self._numbers(words).view(np.uint64)
        return np.stack([values, slots.view(np.uint64)], axis=1)

    def _numbers(self, words: Words) -> Slots:
        places, first = numbered(words)
        return self._values.insert(words[first])[places]

    def value(self, slots: Slots) -> pa.Array:
        return self.inner.value(slots)

    def save(self, slots: Slots | AllSlots) -> ChunkedParts:
        new = places_in(slots, self._slots)
        return {
            **self.inner.save(slots),
            "distinct_values": chunked(_VALUES, len(self._values), self._saved_values),
            "distinct_pairs": chunked(_PAIRS, len(self._pairs), lambda part: self._saved_pairs(part, new)),
        }

    def _saved_values(self, part: slice) -> pa.RecordBatch:
        a, b = self._values.keys_in(part).view(np.int64).T
        return int_batch(a=a, b=b)

    def _saved_pairs(self, part: slice, new: Slots) -> pa.RecordBatch:
        values, slots = self._pairs.keys_in(part).view(np.int64).T
        owners = new[slots]  # −1 for a group that is left out
        return int_batch(value=values, slot=owners, rows=np.where(owners >= 0, self._rows[part], 0))

    def restore(self, parts: Parts) -> None:
        self.inner.restore(parts)
        values, pairs = parts["distinct_values"], parts["distinct_pairs"]
        rows = int_column(pairs, "rows")
        live = np.flatnonzero(rows > 0)
        self._fill(_words(values, "a", "b"), _words(pairs, "value", "slot")[live], rows[live])

    def _fill(self, values: Words, pairs: Words, rows: Slots) -> None:
        self._clear()
        self._values.fill(values)
        self._pairs.fill(pairs)
        self._rows.replace(rows)
        self._live = len(rows)


def _words(batch: pa.RecordBatch, a: str, b: str) -> Words:
    return np.stack([int_column(batch, a), int_column(batch, b)], axis=1).view(np.uint64)
