"""Rows found by a key, of which there may be many: what a join looks into."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headwater.executor.chunks import WEIGHTS, chunked, int_batch
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import KeyIndex, Slots, first_rows, numbered
from headwater.executor.keys import Words, key_words, row_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.sorted_runs import SortedRuns
from headwater.executor.state import TableState, without_null_keys
from headwater.values import Delta, Weights


class Arrangement:
    """The rows of one input, with weights, found by the value of `key_columns`.

    Rows with a NULL key are left out, as nothing equals NULL; `nulls` keeps them, as GROUP BY would. Rows of an input
    that only `grows` are not told apart, which is most of the work, and those of a key are found in the order in which
    they came. With `ordered`, they are found in an order that follows from the rows alone; else a row that was removed
    and comes back may take its old place, or not. With a column `time`, rows can be forgotten by it.
    """

    def __init__(
        self, schema: pa.Schema, key_columns: Sequence[str], *, nulls: bool = False, grows: bool = False,
        ordered: bool = False, time: str | None = None,
    ) -> None:  # fmt: skip
        self.schema = schema
        self.key_columns = tuple(key_columns)
        self._nulls, self._ordered, self._time = nulls, ordered, time
        self._state: TableState | GrowingRows = GrowingRows(schema) if grows else TableState(schema, None)
        self._clear()

    def _clear(self) -> None:
        self._index = KeyIndex()
        self._matches = SortedRuns()  # from numbers of keys to slots, also of rows that are gone
        self._by_time = SortedRuns()  # from times to slots, likewise
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
        fresh = np.flatnonzero(slots >= self._filed)
        if len(fresh):
            self._file(delta.rows, slots, fresh)
        self._compact_if_sparse()

    def _file(self, rows: pa.RecordBatch, slots: Slots, fresh: Slots) -> None:
        """Makes the rows at the places `fresh`, which are new to the state at their `slots`, be found."""
        count = int(slots.max()) + 1 - self._filed
        rows = rows.select([*self.key_columns, *([self._time] if self._time is not None else [])])
        if count < len(slots):
            fresh = fresh[first_rows(slots[fresh] - self._filed, count)]
            rows = rows.take(pa.array(fresh))
        keys = rows.columns[: len(self.key_columns)]
        self._matches.add(self._key_slots(key_words(keys, len(fresh))), slots[fresh], len(self._index))
        if self._time is not None:
            self._by_time.add(rows.columns[-1].view(pa.int64()).to_numpy(), slots[fresh])
        self._filed += count

    def forget(self, before: int) -> None:
        """Forgets the rows whose time, in microseconds, is less; such rows do not come again."""
        assert isinstance(self._state, TableState)
        slots = self._by_time.take_before(before)
        slots = slots[self._state.weights(slots) > 0]
        if len(slots):
            self._state.apply(Delta(self._state.take(slots), -self._state.weights(slots)))
            self._compact_if_sparse()

    def _compact_if_sparse(self) -> None:
        if self._state.is_sparse:
            self._state.compact()
            self._file_all()

    def _key_slots(self, words: Words) -> Slots:
        """The number of each row's key, which is given one where it is new."""
        groups, first = numbered(words)
        return self._index.insert(words[first])[groups]

    def lookup(self, words: Words) -> tuple[Slots, pa.RecordBatch, Weights]:
        """All rows with a key among `words`: the place in `words` that each matches, ascending; row; weight."""
        probes, slots = self._matches.find(self._index.find(words))
        weights = self._state.weights(slots)
        live = weights > 0
        if not live.all():
            probes, slots, weights = probes[live], slots[live], weights[live]
        if self._ordered and (probes[1:] == probes[:-1]).any():
            order = np.lexsort((*self._state.words_of(slots).T, probes))
            probes, slots, weights = probes[order], slots[order], weights[order]
        return probes, self._state.take(slots), weights

    @property
    def slot_count(self) -> int:
        """How many slots there are, with those of rows that are gone."""
        return self._state.slot_count

    def chunk(self, part: slice) -> Delta:
        """The rows in a range of slots, with their weights."""
        return self._state.chunk(part)

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
            self._file(self._state.take(slots), slots, np.arange(len(slots)))


class GrowingRows:
    """Rows of which none is ever removed, in the order in which they came; the same questions as to a `TableState`."""

    def __init__(self, schema: pa.Schema) -> None:
        self._heap = RowHeap(schema)

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def nbytes(self) -> int:
        return self._heap.nbytes

    @property
    def is_sparse(self) -> bool:
        return False

    def apply(self, delta: Delta) -> Slots:
        """Adds the rows; gives their slots."""
        return self._heap.append(delta.rows) + np.arange(len(delta))

    def compact(self) -> None:
        """Nothing to give back."""

    def live_slots(self) -> Slots:
        return np.arange(len(self._heap))

    def take(self, slots: Slots) -> pa.RecordBatch:
        return self._heap.take(slots)

    def words_of(self, slots: Slots) -> Words:
        """The identity of the row at each slot."""
        return row_words(self.take(slots))

    def weights(self, slots: Slots) -> Weights:
        return _ones(len(slots))

    @property
    def slot_count(self) -> int:
        return len(self._heap)

    def chunk(self, part: slice) -> Delta:
        """The rows in a range of slots."""
        return Delta(self._heap.take(np.arange(part.start, part.stop)))

    def save(self) -> ChunkedParts:
        return {
            "rows": chunked(self._heap.schema, len(self), lambda part: self.chunk(part).rows),
            "weights": chunked(WEIGHTS, len(self), lambda part: int_batch(weights=_ones(part.stop - part.start))),
        }

    def restore(self, parts: Parts) -> None:
        self._heap = RowHeap(self._heap.schema)
        self._heap.append(parts["rows"])


def _ones(count: int) -> Weights:
    return np.ones(count, dtype=np.int64)
