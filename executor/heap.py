"""Rows by number: an append-only store of Arrow rows of any types.

Rows are kept in immutable record batches whose sizes grow geometrically, so adding is cheap, taking rows touches few
batches, and whoever holds a batch (a reader, a checkpoint) is never disturbed.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import pyarrow as pa

from headwater.executor.key_index import Slots, stable_order
from headwater.values import empty_batch

CHUNK_ROWS_MAX = 1 << 20  # chunks of this size are not merged any further


class RowHeap:
    """Rows numbered 0, 1, 2 … in the order in which they were added."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._chunks: list[pa.RecordBatch] = []
        self._starts: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        return sum(int(chunk.nbytes) for chunk in self._chunks)

    def append(self, rows: pa.RecordBatch) -> int:
        """Adds `rows` and gives the number of the first."""
        first = self._count
        if rows.num_rows:
            self._chunks.append(rows)
            self._starts.append(first)
            self._count += rows.num_rows
            self._merge()
        return first

    def _merge(self) -> None:
        """Keeps each chunk more than twice as long as the next, so that there are at most log₂ n of them."""
        last = len(self._chunks) - 1
        first, size = last, self._chunks[last].num_rows
        while first > 0 and self._chunks[first - 1].num_rows < min(2 * size, CHUNK_ROWS_MAX):
            first -= 1
            size += self._chunks[first].num_rows
        if first < last:
            self._chunks[first:] = [pa.concat_batches(self._chunks[first:])]
            del self._starts[first + 1 :]

    def take(self, numbers: Slots) -> pa.RecordBatch:
        """The rows with these numbers, in the order asked."""
        if not len(numbers):
            return empty_batch(self.schema)
        if len(self._chunks) == 1:
            return self._chunks[0].take(pa.array(numbers))
        if len(numbers) == 1:
            only = bisect_right(self._starts, int(numbers[0])) - 1
            return self._chunks[only].take(pa.array(numbers - self._starts[only]))
        chunk = np.searchsorted(np.asarray(self._starts), numbers, side="right") - 1
        order = stable_order(chunk, len(self._chunks))
        parts: list[pa.RecordBatch] = []
        used, begins = np.unique(chunk[order], return_index=True)
        ends: Any = [*begins[1:], len(numbers)]
        for c, begin, end in zip(used.tolist(), begins.tolist(), ends, strict=True):
            parts.append(self._chunks[c].take(pa.array(numbers[order[begin:end]] - self._starts[c])))
        gathered = parts[0] if len(parts) == 1 else pa.concat_batches(parts)
        if len(parts) == 1 or bool((np.diff(order) == 1).all()):
            return gathered
        back = np.empty(len(numbers), dtype=np.int64)
        back[order] = np.arange(len(numbers))
        return gathered.take(pa.array(back))

    def batches(self) -> tuple[pa.RecordBatch, ...]:
        """All rows, as the immutable batches they are kept in."""
        return tuple(self._chunks)
