"""What operators keep: a bag of rows (`TableState`), rows found by a key (`Arrangement`), numbers (`PartitionState`).

All state is columnar: a key index, arrays by slot, rows in a heap. A state is saved as the rows it stands for, not as
its memory, so an image survives a change of the layout, and restoring compacts. How it is cut: chunks.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.chunks import chunked, int_batch, int_chunks, int_column, slot_ranges
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import KeyIndex, Slots, first_rows
from headwater.executor.keys import Words, key_words, row_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.values import Delta, Weights, empty_batch

_COMPACT_MIN = 4096  # dead rows below this number are not worth a compaction


def grown(array: npt.NDArray[np.int64], count: int, fill: int = 0) -> npt.NDArray[np.int64]:
    """`array` with room for at least `count` items, new ones set to `fill`."""
    if count <= len(array):
        return array
    bigger = np.full(max(count, 2 * len(array), 64), fill, dtype=array.dtype)
    bigger[: len(array)] = array
    return bigger


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
        self._number = np.empty(0, dtype=np.int64)  # by slot: the row's number in the heap
        self._weight = np.empty(0, dtype=np.int64)  # by slot
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
        touched = np.unique(slots)
        before = self._weight[touched] > 0
        if self.key is None:
            absent = np.flatnonzero(self._number[slots] < 0)
            self._number[slots[absent]] = self._heap.append(delta.rows.take(pa.array(absent))) + np.arange(len(absent))
        else:
            added = np.flatnonzero(weights > 0)
            rows = delta.rows if len(added) == len(delta) else delta.rows.take(pa.array(added))
            self._number[slots[added]] = self._heap.append(rows) + np.arange(len(added))
        np.add.at(self._weight, slots, weights)
        after = self._weight[touched]
        assert (after >= 0).all(), "a row was removed that was not there"
        assert self.key is None or (after <= 1).all(), "two rows with one key"
        self._live += int((after > 0).sum() - before.sum())
        return slots

    def upsert(self, rows: pa.RecordBatch, weights: Weights) -> Delta:
        """Rows that replace those of their key, in order (weight −1: just remove it); gives what really changed."""
        assert self.key is not None
        slots = self._insert(self.words(rows))
        touched, inverse = np.unique(slots, return_inverse=True)
        latest = np.zeros(len(touched), dtype=np.int64)
        np.maximum.at(latest, inverse, np.arange(len(slots)))
        old = self._heap.take(self._number[touched[self._weight[touched] > 0]])
        latest = np.sort(latest[weights[latest] > 0])
        new = rows.take(pa.array(latest))
        signs = np.repeat(np.array([-1, 1], dtype=np.int64), [old.num_rows, new.num_rows])
        changed = consolidate(Delta(pa.concat_batches([old, new]), signs))
        self.apply(changed)
        return changed

    def _insert(self, words: Words) -> Slots:
        slots = self._index.insert(words)
        self._number = grown(self._number, len(self._index), -1)
        self._weight = grown(self._weight, len(self._index))
        return slots

    def find(self, words: Words) -> Slots:
        """The slot of each key, −1 where it was never there."""
        return self._index.find(words)

    def live_slots(self) -> Slots:
        """The slots of the rows that are there."""
        return np.flatnonzero(self._weight[: len(self._index)] > 0)

    def take(self, slots: Slots) -> pa.RecordBatch:
        """The rows at `slots`."""
        return self._heap.take(self._number[slots])

    def weights(self, slots: Slots) -> Weights:
        """The weight of the row at each slot; 0 where it is gone."""
        return self._weight[slots]

    def content(self) -> Delta:
        """All rows with their weights."""
        return self._content(self.live_slots())

    def chunks(self) -> list[Delta]:
        """All rows with their weights, cut by ranges of slots."""
        live = self._weight > 0
        return [self._content(np.flatnonzero(live[r]) + r.start) for r in slot_ranges(len(self._index))]

    def _content(self, slots: Slots) -> Delta:
        weights = self._weight[slots]
        return Delta(self.take(slots), None if (weights == 1).all() else weights)

    def rows(self) -> pa.RecordBatch:
        """All rows, a row of weight n standing n times."""
        return repeat_rows(self.content())

    def row_count(self) -> int:
        """How many rows there are, a row of weight n counted n times."""
        return int(self._weight.sum())

    @property
    def is_sparse(self) -> bool:
        """Whether more than half of the memory is held for rows that are gone."""
        dead = max(len(self._heap), len(self._index)) - self._live
        return dead > max(_COMPACT_MIN, self._live)

    def compact(self) -> None:
        """Gives back the memory of rows that are gone. Slots change."""
        self._fill(self.content())

    def save(self) -> ChunkedParts:
        chunks = self.chunks()
        weights = (int_batch(weights=chunk.weight_array) for chunk in chunks)
        return {"rows": chunked(chunk.rows for chunk in chunks), "weights": chunked(weights)}

    def restore(self, parts: Parts) -> None:
        self._fill(Delta(parts["rows"], int_column(parts["weights"], "weights").copy()))

    def _fill(self, content: Delta) -> None:
        """Makes the rows of `content`, each of which stands once, all that there are; their places are their slots."""
        self._clear()
        self._index.fill(self.words(content.rows))
        self._heap.append(content.rows)
        self._number = np.arange(len(content))
        self._weight = content.weight_array
        self._live = len(content)


class PartitionState:
    """One whole number per partition: what operators keep that follow the order of a stream."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    @property
    def nbytes(self) -> int:
        return 16 * len(self.numbers)

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


class Arrangement:
    """The rows of one input, with weights, found by the value of `key_columns`.

    Rows with a NULL key are left out, as nothing equals NULL; `nulls` keeps them, as GROUP BY would. With a column
    `time`, rows can be forgotten by it.
    """

    def __init__(
        self, schema: pa.Schema, key_columns: Sequence[str], *, nulls: bool = False, time: str | None = None
    ) -> None:
        self.schema = schema
        self.key_columns = tuple(key_columns)
        self._nulls, self._time = nulls, time
        self._state = TableState(schema, None)
        self._clear()

    def _clear(self) -> None:
        self._index = KeyIndex()
        self._matches = Matches()
        self._by_time = Matches()  # from times to slots, also of rows that are gone
        self._filed = 0  # slots of the state below this number are in `_matches`

    def __len__(self) -> int:
        return len(self._state)

    @property
    def nbytes(self) -> int:
        return self._state.nbytes + self._index.nbytes + self._matches.nbytes + self._by_time.nbytes

    def apply(self, delta: Delta) -> None:
        """Adds the delta."""
        if not self._nulls:
            delta = without_null_keys(delta, self.key_columns)
        if not len(delta):
            return
        slots = self._state.apply(delta)
        fresh, first = np.unique(slots, return_index=True)
        first = first[fresh >= self._filed]
        if len(first):
            self._file(delta.rows.take(pa.array(first)), slots[first])
        self._compact_if_sparse()

    def _file(self, rows: pa.RecordBatch, slots: Slots) -> None:
        """Makes rows that are new be found."""
        self._matches.add(self._index.insert(self._words(rows)), slots)
        if self._time is not None:
            self._by_time.add(rows.column(self._time).view(pa.int64()).to_numpy(), slots)
        self._filed = int(slots.max()) + 1

    def forget(self, before: int) -> None:
        """Forgets the rows whose time, in microseconds, is less; such rows do not come again."""
        slots = np.unique(self._by_time.take_before(before))
        slots = slots[self._state.weights(slots) > 0]
        if len(slots):
            self._state.apply(Delta(self._state.take(slots), -self._state.weights(slots)))
            self._compact_if_sparse()

    def _compact_if_sparse(self) -> None:
        if self._state.is_sparse:
            self._state.compact()
            self._file_all()

    def _words(self, rows: pa.RecordBatch) -> Words:
        return key_words([rows.column(name) for name in self.key_columns], rows.num_rows)

    def lookup(self, words: Words) -> tuple[Slots, pa.RecordBatch, Weights]:
        """All rows with a key among `words`: the place in `words` that each matches, ascending; row; weight."""
        probes, slots = self._matches.find(self._index.find(words))
        weights = self._state.weights(slots)
        live = weights > 0
        if not live.all():
            probes, slots, weights = probes[live], slots[live], weights[live]
        return probes, self._state.take(slots), weights

    def chunks(self) -> list[Delta]:
        """All rows with their weights, cut by ranges of slots."""
        return self._state.chunks()

    def save(self) -> ChunkedParts:
        return self._state.save()

    def restore(self, parts: Parts) -> None:
        self._state.restore(parts)
        self._file_all()

    def _file_all(self) -> None:
        """Makes the index of all rows of the state."""
        self._clear()
        slots = self._state.live_slots()
        if len(slots):
            self._file(self._state.take(slots), slots)


class Matches:
    """Pairs (key, value), many per key, in sorted runs that are merged as they grow (an LSM tree of arrays)."""

    def __init__(self) -> None:
        self._runs: list[tuple[Slots, Slots]] = []

    @property
    def nbytes(self) -> int:
        return sum(int(keys.nbytes + values.nbytes) for keys, values in self._runs)

    def add(self, keys: Slots, values: Slots) -> None:
        order = np.argsort(keys, kind="stable")
        self._runs.append((keys[order], values[order]))
        first, size = len(self._runs) - 1, len(keys)
        while first > 0 and len(self._runs[first - 1][0]) < 2 * size:
            first -= 1
            size += len(self._runs[first][0])
        if first < len(self._runs) - 1:
            keys, values = (np.concatenate(arrays) for arrays in zip(*self._runs[first:], strict=True))
            order = np.argsort(keys, kind="stable")
            self._runs[first:] = [(keys[order], values[order])]

    def take_before(self, key: int) -> Slots:
        """Takes the pairs with a smaller key out, and gives their values."""
        found = []
        for i, (keys, values) in enumerate(self._runs):
            end = int(np.searchsorted(keys, key))
            found.append(values[:end])
            self._runs[i] = keys[end:], values[end:]
        self._runs = [run for run in self._runs if len(run[0])]
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def find(self, keys: Slots) -> tuple[Slots, Slots]:
        """For each pair whose key is among `keys`: its place in `keys`, ascending, and its value."""
        places, found = [], []
        for run_keys, run_values in self._runs:
            begin = np.searchsorted(run_keys, keys, side="left")
            counts = np.searchsorted(run_keys, keys, side="right") - begin
            place = np.repeat(np.arange(len(keys)), counts)
            within = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
            places.append(place)
            found.append(run_values[begin[place] + within])
        if not places:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        if len(places) == 1:
            return places[0], found[0]
        place, value = np.concatenate(places), np.concatenate(found)
        order = np.argsort(place, kind="stable")
        return place[order], value[order]


def consolidate(delta: Delta) -> Delta:
    """Equal rows as one, with the sum of their weights; rows of weight zero are dropped. The normal form of a delta."""
    return consolidated(delta)[0] if delta.weights is not None else delta


def consolidated(delta: Delta) -> tuple[Delta, Words]:
    """The delta in its normal form, with the words of its rows. A delta without weights is left as it is."""
    words = row_words(delta.rows)
    if delta.weights is None or not len(delta):
        return delta, words
    index = KeyIndex()
    groups = index.insert(words)
    if len(index) == len(delta):
        return delta, words
    sums = np.zeros(len(index), dtype=np.int64)
    np.add.at(sums, groups, delta.weights)
    kept = np.sort(first_rows(groups, len(index))[sums != 0])
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
