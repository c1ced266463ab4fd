"""What operators keep: a bag of rows (`TableState`), numbers (`PartitionState`); rows by a key are in arrangement.py.

All state is columnar: a key index, arrays by slot, rows in a heap. A state is saved as the rows it stands for, not as
its memory, so an image survives a change of the layout, and restoring compacts. How it is cut: chunks.py.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.chunks import WEIGHTS, chunked, int_batch, int_chunks, int_column
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import KeyIndex, Slots, numbered, numbered_values
from headwater.executor.keys import Words, key_words, row_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.slot_arrays import SlotArray
from headwater.values import Delta, Weights, empty_batch

_COMPACT_MIN = 4096  # dead rows below this number are not worth a compaction


class TableState:
    """A table: rows with weights above zero. With `key`, at most one row per value of those columns.

    Without a key (a bag), a row is identified by all its columns. A delta must be consolidated where `key` is given:
    per key at most one row removed and one added.
    """

    def __init__(self, schema: pa.Schema, key: Sequence[str] | None) -> None:
        self.schema = schema
        self.key = None if key is None else tuple(key)
        self._clear()

    def _clear(self) -> None:
        self._index = KeyIndex()
        self._heap = RowHeap(self.schema)
        self._number = SlotArray(-1)  # the row's number in the heap
        self._weight = SlotArray()
        self._live = 0

    def __len__(self) -> int:
        """The number of distinct rows."""
        return self._live

    @property
    def state_rows(self) -> int:
        return self._live

    @property
    def nbytes(self) -> int:
        return int(self._index.nbytes + self._heap.nbytes + self._number.nbytes + self._weight.nbytes)

    def words(self, rows: pa.RecordBatch) -> Words:
        """The key of each row, as the index knows it."""
        if self.key is None:
            return row_words(rows)
        return key_words([rows.column(name) for name in self.key], rows.num_rows)

    def apply(self, delta: Delta) -> Slots:
        """Adds the delta; gives the slot of each of its rows."""
        if not len(delta):
            return np.empty(0, dtype=np.int64)
        slots = self._insert(self.words(delta.rows))
        weights = delta.weight_array
        touched = slots[numbered_values(slots)[1]]
        before = self._weight[touched] > 0
        if self.key is None:
            # A row that comes back is stored as it comes: it may be equal to the old one and not the same (−0.0, 0.0).
            absent = np.flatnonzero(self._weight[slots] == 0)
            self._number[slots[absent]] = self._heap.append(delta.rows.take(pa.array(absent))) + np.arange(len(absent))
        else:
            added = np.flatnonzero(weights > 0)
            rows = delta.rows if len(added) == len(delta) else delta.rows.take(pa.array(added))
            self._number[slots[added]] = self._heap.append(rows) + np.arange(len(added))
        self._weight.fold(np.add, slots, weights)
        after = self._weight[touched]
        assert (after >= 0).all(), "a row was removed that was not there"
        assert self.key is None or (after <= 1).all(), "two rows with one key"
        self._live += int((after > 0).sum() - before.sum())
        return slots

    def upsert(self, rows: pa.RecordBatch, weights: Weights) -> Delta:
        """Rows that replace those of their key, in order (weight −1: just remove it); gives what really changed."""
        assert self.key is not None
        slots = self._insert(self.words(rows))
        touched, latest = _last_of_each(slots)
        was, will = self._weight[touched] > 0, weights[latest] > 0
        old, new = self._heap.take(self._number[touched[was]]), rows.take(pa.array(latest[will]))
        both = np.flatnonzero(was & will)
        if len(both):  # a row that replaces an equal one changes nothing
            before, after = self._values(old)[np.cumsum(was)[both] - 1], self._values(new)[np.cumsum(will)[both] - 1]
            equal = both[(before == after).all(axis=1)]
            if len(equal):
                stays = np.ones(len(touched), dtype=bool)
                stays[equal] = False
                old, new = old.filter(pa.array(stays[was])), new.filter(pa.array(stays[will]))
                was, will = was & stays, will & stays
        self._number[touched[will]] = self._heap.append(new) + np.arange(new.num_rows)
        self._weight[touched[was]] = 0
        self._weight[touched[will]] = 1
        self._live += new.num_rows - old.num_rows
        signs = np.repeat(np.array([-1, 1], dtype=np.int64), [old.num_rows, new.num_rows])
        return Delta(pa.concat_batches([old, new]), signs)

    def _values(self, rows: pa.RecordBatch) -> Words:
        """What tells rows with the same key apart."""
        return key_words(
            [rows.column(name) for name in rows.schema.names if name not in (self.key or ())], rows.num_rows
        )

    def _insert(self, words: Words) -> Slots:
        slots = self._index.insert(words)
        self._number.reserve(len(self._index))
        self._weight.reserve(len(self._index))
        return slots

    def find(self, words: Words) -> Slots:
        """The slot of each key, −1 where it was never there."""
        return self._index.find(words)

    def live_slots(self) -> Slots:
        """The slots of the rows that are there."""
        return self._live_slots(slice(0, len(self._index)))

    def _live_slots(self, part: slice) -> Slots:
        live: Slots = np.flatnonzero(self._weight[part] > 0) + part.start
        return live

    def take(self, slots: Slots) -> pa.RecordBatch:
        """The rows at `slots`."""
        return self._heap.take(self._number[slots])

    def words_of(self, slots: Slots) -> Words:
        """The key of the row at each slot."""
        return self._index.keys_of(slots)

    def weights(self, slots: Slots) -> Weights:
        """The weight of the row at each slot; 0 where it is gone."""
        weights: Weights = self._weight[slots]
        return weights

    def content(self) -> Delta:
        """All rows with their weights."""
        return self._content(self.live_slots())

    @property
    def slot_count(self) -> int:
        """How many slots there are, with those of rows that are gone."""
        return len(self._index)

    def chunk(self, part: slice) -> Delta:
        """The rows in a range of slots, with their weights."""
        return self._content(self._live_slots(part))

    def _content(self, slots: Slots) -> Delta:
        weights = self._weight[slots]
        return Delta(self.take(slots), None if (weights == 1).all() else weights)

    def rows(self) -> pa.RecordBatch:
        """All rows, a row of weight n standing n times."""
        return repeat_rows(self.content())

    def row(self, key: Mapping[str, pa.Scalar]) -> pa.RecordBatch:
        """The row with these values of the columns of the key, if it is there."""
        assert self.key is not None
        slots = self.find(key_words([pa.array([key[name]], key[name].type) for name in self.key], 1))
        slots = slots[slots >= 0]
        return self.take(slots[self._weight[slots] > 0])

    def row_count(self) -> int:
        """How many rows there are, a row of weight n counted n times."""
        return int(self._weight[:].sum())

    @property
    def is_sparse(self) -> bool:
        """Whether more than half of the memory is held for rows that are gone."""
        dead = max(len(self._heap), len(self._index)) - self._live
        return dead > max(_COMPACT_MIN, self._live)

    def compact(self) -> None:
        """Gives back the memory of rows that are gone. Slots change."""
        self._fill(self.content())

    def save(self) -> ChunkedParts:
        count = len(self._index)
        return {
            "rows": chunked(self.schema, count, lambda part: self.take(self._live_slots(part))),
            "weights": chunked(WEIGHTS, count, lambda part: int_batch(weights=self._weight[self._live_slots(part)])),
        }

    def restore(self, parts: Parts) -> None:
        self._fill(Delta(parts["rows"], int_column(parts["weights"], "weights")))

    def _fill(self, content: Delta) -> None:
        """Makes the rows of `content`, each of which stands once, all that there are; their places are their slots."""
        self._clear()
        self._index.fill(self.words(content.rows))
        self._heap.append(content.rows)
        self._number.replace(np.arange(len(content)))
        self._weight.replace(content.weight_array)
        self._live = len(content)


class PartitionState:
    """One whole number per partition: what operators keep that follow the order of a stream."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    @property
    def nbytes(self) -> int:
        return sys.getsizeof(self.numbers) + 32 * len(self.numbers)  # the numbers are objects of their own

    @property
    def state_rows(self) -> int:
        return len(self.numbers)

    def save(self) -> ChunkedParts:
        partitions, numbers = np.array(sorted(self.numbers.items()), dtype=np.int64).reshape(-1, 2).T
        return {"numbers": int_chunks(partition=partitions, number=numbers)}

    def restore(self, parts: Parts) -> None:
        saved = parts["numbers"]
        pairs = zip(int_column(saved, "partition").tolist(), int_column(saved, "number").tolist(), strict=True)
        self.numbers = dict(pairs)


def _last_of_each(slots: Slots) -> tuple[Slots, Slots]:
    """The different ones of the slots, and the place of the last of each, in the order of these places."""
    if len(slots) == 1:
        return slots, np.zeros(1, dtype=np.int64)
    different, inverse = np.unique(slots, return_inverse=True)
    latest = np.zeros(len(different), dtype=np.int64)
    np.maximum.at(latest, inverse, np.arange(len(slots)))
    return different[np.argsort(latest)], np.sort(latest)


def consolidate(delta: Delta) -> Delta:
    """Equal rows as one, with the sum of their weights; rows of weight zero are dropped. The normal form of a delta."""
    return consolidated(delta)[0] if delta.weights is not None else delta


def consolidated(delta: Delta) -> tuple[Delta, Words]:
    """The delta in its normal form, with the words of its rows. A delta without weights is left as it is."""
    words = row_words(delta.rows)
    if delta.weights is None or not len(delta):
        return delta, words
    groups, first = numbered(words)
    if len(first) == len(delta):
        return delta, words
    sums = np.zeros(len(first), dtype=np.int64)
    np.add.at(sums, groups, delta.weights)
    kept = np.sort(first[sums != 0])
    return Delta(delta.rows.take(pa.array(kept)), sums[groups[kept]]), words[kept]


def repeat_rows(delta: Delta) -> pa.RecordBatch:
    """The rows of a delta of positive weights, each as often as its weight says."""
    if delta.weights is None:
        return delta.rows
    return delta.rows.take(pa.array(np.repeat(np.arange(len(delta)), delta.weights)))


def without_null_keys(delta: Delta, columns: Sequence[str]) -> Delta:
    """The rows none of whose `columns` is NULL."""
    nulls = np.zeros(len(delta), dtype=bool)
    for name in columns:
        column = delta.rows.column(name)
        if column.null_count:
            nulls |= column.is_null().to_numpy(zero_copy_only=False)
    return select_rows(delta, np.flatnonzero(~nulls)) if nulls.any() else delta


def select_rows(delta: Delta, places: npt.NDArray[np.int64]) -> Delta:
    """The rows of the delta at `places`."""
    weights = None if delta.weights is None else delta.weights[places]
    return Delta(delta.rows.take(pa.array(places)), weights)


def renumbered(filed: Delta, new: Slots) -> Delta:
    """Rows whose first column is a slot, by the `new` numbers of the slots, without those of slots that have none."""
    slots = new[filed.rows.column(0).to_numpy()]
    rows = pa.RecordBatch.from_arrays([pa.array(slots), *filed.rows.columns[1:]], schema=filed.rows.schema)
    return select_rows(Delta(rows, filed.weights), np.flatnonzero(slots >= 0))


def empty_delta(schema: pa.Schema) -> Delta:
    """No change."""
    return Delta(empty_batch(schema))
