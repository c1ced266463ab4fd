"""Aggregates without an accumulator: computed again by DuckDB, from all rows of each group that a delta touches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from headwater.executor.arrangement import Arrangement
from headwater.executor.chunks import chunked, places_in, weighted_chunks
from headwater.executor.evaluate import ROW_ERRORS, run_sql
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import Slots
from headwater.executor.keys import key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.row_errors import Reason, reason_of_group
from headwater.executor.slot_arrays import AllSlots, SlotArray
from headwater.executor.state import renumbered, repeat_rows
from headwater.parser import quote
from headwater.planner.logical import PLACE, Aggregate, RecomputedCall
from headwater.planner.sql_types import arrow_schema, cast_from_arrow
from headwater.values import Column, Delta, Weights, empty_batch

_SLOT = "$slot"


class Recomputed:
    """The columns `node.recomputed` of all groups. Groups are slots 0 … n−1.

    A step is one DuckDB query over all rows of the groups that it touches. If a function fails on the rows of a group,
    the group has NULL in all of these columns; `failed` are the slots of those that did in the last `fold`, and why.
    """

    def __init__(self, node: Aggregate) -> None:
        reads = {name for call in node.recomputed for name in call.reads}
        columns = [c for c in node.source.columns if c.name in reads]
        self.failed: list[tuple[int, Reason]] = []
        self._each = {_shown(call): _sql(replace(node, recomputed=(call,)), columns) for call in node.recomputed}
        self._schema = arrow_schema([Column(call.name, call.type) for call in node.recomputed])
        self._names = [c.name for c in columns]
        self._sql = _sql(node, columns)
        self._rows = Arrangement(pa.schema([(_SLOT, pa.int64()), *arrow_schema(columns)]), (_SLOT,))
        self._of_nothing = self._values_of_nothing(_sql(node, columns, grouped=False))
        self._clear()

    def _clear(self) -> None:
        self._heap = RowHeap(self._schema)
        self._heap.append(self._of_nothing)
        self._number = SlotArray()  # the place of its values; 0 while the group has no rows

    def _values_of_nothing(self, sql: str) -> pa.RecordBatch:
        """The values of a group without rows, which are NULL if a function fails on no rows."""
        try:
            return self._values(run_sql(sql, empty_batch(self._rows.schema)))
        except ROW_ERRORS:
            return self._nulls()

    def _nulls(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([pa.nulls(1, f.type) for f in self._schema], schema=self._schema)

    def _values(self, result: pa.Table) -> pa.RecordBatch:
        (batch,) = result.select(self._schema.names).cast(self._schema).to_batches()
        return batch

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes + self._heap.nbytes + self._number.nbytes

    def reserve(self, count: int) -> None:
        """Makes room for groups 0 … count−1; new ones are empty."""
        self._number.reserve(count)

    def fold(self, slots: Slots, groups: Slots, rows: pa.RecordBatch, weights: Weights) -> None:
        """Adds a delta: row i has `weights[i]` and belongs to slot `slots[groups[i]]`; `slots` are distinct."""
        columns = [pa.array(slots[groups]), *(rows.column(name) for name in self._names)]
        self._rows.apply(Delta(pa.RecordBatch.from_arrays(columns, schema=self._rows.schema), weights))
        _, kept, counts = self._rows.lookup(key_words([pa.array(slots)], len(slots)))
        self._number[slots] = 0
        self.failed = []
        for touched, values in self._computed(repeat_rows(Delta(kept, counts))):
            self._number[touched] = self._heap.append(values) + np.arange(len(touched))
        if len(self._heap) > 4 * len(self._number) + 4096:  # most of these values are of the past
            self._refill(self._heap.take(self._number[:]))

    def _computed(self, rows: pa.RecordBatch) -> list[tuple[Slots, pa.RecordBatch]]:
        """The slots in `rows` with their values; by halves if a function fails on one of them."""
        if not rows.num_rows:
            return []
        try:
            result = run_sql(self._sql, rows)
        except ROW_ERRORS as error:
            slots = rows.column(_SLOT).to_numpy()
            touched = np.unique(slots)
            if len(touched) > 1:
                low = slots < touched[len(touched) // 2]
                return [part for half in (low, ~low) for part in self._computed(rows.filter(pa.array(half)))]
            self.failed.append((int(touched[0]), reason_of_group(self._each, error, rows)))
            return [(touched, self._nulls())]
        return [(result.column(_SLOT).to_numpy(), self._values(result))]

    def value(self, slots: Slots) -> list[pa.Array]:
        """The columns for each of the groups `slots`."""
        columns: list[pa.Array] = self._heap.take(self._number[slots]).columns
        return columns

    def save(self, slots: Slots | AllSlots) -> ChunkedParts:
        """What `restore` needs for these groups, which then are 0 … n−1."""
        new = places_in(slots, len(self._number))
        rows, weights = weighted_chunks(
            self._rows.schema, self._rows.slot_count, lambda part: renumbered(self._rows.chunk(part), new)
        )
        values = chunked(self._schema, len(slots), lambda part: self._heap.take(self._number[slots[part]]))
        return {"values": values, "rows": rows, "weights": weights}

    def restore(self, parts: Parts) -> None:
        self._rows.restore({"rows": parts["rows"], "weights": parts["weights"]})
        self._refill(parts["values"])

    def _refill(self, values: pa.RecordBatch) -> None:
        """Makes `values`, a row for each slot, all that there are."""
        self._clear()
        self._number.replace(self._heap.append(values) + np.arange(values.num_rows))


def _shown(call: RecomputedCall) -> str:
    """The call without the order in which it takes equal rows."""
    return call.sql.replace(f" ORDER BY {quote(PLACE)}", "")


def _sql(node: Aggregate, columns: list[Column], *, grouped: bool = True) -> str:
    """SQL for the values of each slot; or, not `grouped`, of all rows as one group."""
    casts = ", ".join([quote(_SLOT), *(cast_from_arrow(c) for c in columns)])
    rows = f"SELECT {casts} FROM delta"
    if any(PLACE in call.reads for call in node.recomputed):
        names = ", ".join(quote(c.name) for c in columns) or quote(_SLOT)
        rows = f"SELECT *, row_number() OVER (ORDER BY {names}) AS {quote(PLACE)} FROM ({rows})"
    calls = ", ".join(f"{call.sql} AS {quote(call.name)}" for call in node.recomputed)
    if not grouped:
        return f"SELECT {calls} FROM ({rows})"
    return f"SELECT {quote(_SLOT)}, {calls} FROM ({rows}) GROUP BY {quote(_SLOT)}"
