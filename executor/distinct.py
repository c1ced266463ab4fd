"""Aggregates of distinct values: count(DISTINCT x), sum(DISTINCT x), avg(DISTINCT x)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.executor.accumulators import Accumulator, per_group
from headwater.executor.chunks import chunked, int_batch, places_in
from headwater.executor.key_index import Slots
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import TableState, renumbered
from headwater.values import Delta, Weights


class Distinct:
    """Counts the rows of each value of each group, and tells `inner` when a value comes and when its last row goes."""

    def __init__(self, inner: Accumulator, type_: pa.DataType) -> None:
        self.inner = inner
        self._values = TableState(pa.schema([("slot", pa.int64()), ("value", type_)]), None)
        self._slots = 0

    @property
    def nbytes(self) -> int:
        return self.inner.nbytes + self._values.nbytes

    def reserve(self, count: int) -> None:
        self._slots = max(self._slots, count)
        self.inner.reserve(count)

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        assert column is not None
        if column.null_count:
            present = np.flatnonzero(pc.is_valid(column).to_numpy(zero_copy_only=False))
            groups, column, weights = groups[present], column.take(pa.array(present)), weights[present]
        rows = pa.RecordBatch.from_arrays([pa.array(slots[groups]), column], schema=self._values.schema)
        found = self._values.apply(Delta(rows, weights))
        values, first, places = np.unique(found, return_index=True, return_inverse=True)
        after = self._values.weights(values)
        before = after - per_group(places, len(values), weights)
        change = (after > 0).astype(np.int64) - (before > 0)
        changed = np.flatnonzero(change)
        rows_of = first[changed]
        self.inner.fold(slots, groups[rows_of], column.take(pa.array(rows_of)), change[changed])
        if self._values.is_sparse:
            self._values.compact()

    def value(self, slots: Slots) -> pa.Array:
        return self.inner.value(slots)

    def save(self, slots: Slots) -> ChunkedParts:
        new = places_in(slots, self._slots)
        chunks = [renumbered(chunk, new) for chunk in self._values.chunks()]
        return {
            **self.inner.save(slots),
            "seen": chunked(chunk.rows for chunk in chunks),
            "rows_seen": chunked(int_batch(weights=chunk.weight_array) for chunk in chunks),
        }

    def restore(self, parts: Parts) -> None:
        self.inner.restore(parts)
        self._values.restore({"rows": parts["seen"], "weights": parts["rows_seen"]})
