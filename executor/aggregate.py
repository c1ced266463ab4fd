"""GROUP BY: folds a delta into the groups it touches, and gives their rows before and after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from headwater.executor.accumulators import Accumulator, Average, Count, Extreme, FloatSum, IntegerSum, per_group
from headwater.executor.chunks import chunked, combined, int_chunks, int_column, slot_ranges
from headwater.executor.distinct import Distinct
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import KeyIndex, Slots, first_rows
from headwater.executor.keys import Words, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.recomputed import Recomputed
from headwater.executor.state import consolidate, empty_delta, grown
from headwater.planner.logical import Aggregate, AggregateCall
from headwater.planner.sql_types import arrow_schema, arrow_type
from headwater.values import Delta

_COMPACT_MIN = 8192  # fewer groups than this are not worth a compaction


class GroupBy:
    """The operator of `Aggregate`: one slot per group, kept as long as the group has rows.

        input   (a, 5) +1      (a, 7) +1                 (a, 5) −1
        output  (a, sum 5) +1  (a, 5) −1, (a, 12) +1     (a, 12) −1, (a, 7) +1

    A step costs in proportion to its delta: rows are gathered by group first, then each group is touched once.
    """

    def __init__(self, node: Aggregate) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._types = {c.name: c.type for c in node.source.columns}
        self._key_schema = arrow_schema(node.columns[: len(node.keys)])
        self._is_global = not node.keys
        self._clear()

    def _clear(self) -> None:
        self._index = KeyIndex()
        self._keys = RowHeap(self._key_schema)  # the row number is the slot
        self._rows: Slots = np.empty(0, dtype=np.int64)  # by slot: how many input rows
        retractable = not self.node.source.append_only
        self._accumulators = [accumulator_of(call, self._types, retractable) for call in self.node.calls]
        self._recomputed = Recomputed(self.node) if self.node.recomputed else None
        self._live = 0
        self._begun = False

    @property
    def nbytes(self) -> int:
        own = self._index.nbytes + self._keys.nbytes + int(self._rows.nbytes)
        again = self._recomputed.nbytes if self._recomputed else 0
        return own + again + sum(a.nbytes for a in self._accumulators)

    @property
    def state_rows(self) -> int:
        return len(self._index)

    def step(self, delta: Delta) -> Delta:
        """Folds `delta` in; gives −old +new of each changed group. Without keys, the first step gives the one row."""
        if self._is_global and not self._begun:
            self._begun = True
            self._new_groups(np.zeros((1, 2), dtype=np.uint64), delta.rows)
            folded = self._fold(delta)
            return Delta(self._output(np.zeros(1, dtype=np.int64))) if folded is None else Delta(folded[1])
        folded = self._fold(delta)
        if folded is None:
            return empty_delta(self.schema)
        before, after = folded
        signs = np.repeat(np.array([-1, 1], dtype=np.int64), [before.num_rows, after.num_rows])
        return consolidate(Delta(pa.concat_batches([before, after]), signs))

    def _fold(self, delta: Delta) -> tuple[pa.RecordBatch, pa.RecordBatch] | None:
        """The rows of the touched groups before and after the delta, groups without rows left out."""
        if not len(delta):
            return None
        local = KeyIndex()
        groups = local.insert(key_words([delta.rows.column(k) for k in self.node.keys], len(delta)))
        slots = self._new_groups(local.keys, delta.rows.take(pa.array(first_rows(groups, len(local)))))
        before = self._output(slots)
        weights = delta.weight_array
        self._rows[slots] += per_group(groups, len(slots), weights)
        for call, accumulator in zip(self.node.calls, self._accumulators, strict=True):
            column = None if call.argument is None else delta.rows.column(call.argument)
            accumulator.fold(slots, groups, column, weights)
        if self._recomputed:
            self._recomputed.fold(slots, groups, delta.rows, weights)
        assert (self._rows[slots] >= 0).all(), "a row was removed that was not there"
        after = self._output(slots)
        self._live += after.num_rows - before.num_rows
        self._compact_if_sparse()
        return before, after

    def _new_groups(self, keys: Words, rows: pa.RecordBatch) -> Slots:
        """The slot of each key; `rows` has a row of each key, in the same order."""
        known = len(self._index)
        slots = self._index.insert(keys)
        self._rows = grown(self._rows, len(self._index))
        for accumulator in self._accumulators:
            accumulator.reserve(len(self._index))
        if self._recomputed:
            self._recomputed.reserve(len(self._index))
        added = np.flatnonzero(slots >= known)
        if self.node.keys and len(added):
            ordered = added[np.argsort(slots[added])]
            self._keys.append(rows.select(list(self.node.keys)).take(pa.array(ordered)))
        return slots

    def _output(self, slots: Slots) -> pa.RecordBatch:
        """The output rows of those of `slots` that have input rows; the group of no keys always has a row."""
        if not self._is_global:
            slots = slots[self._rows[slots] > 0]
        keys = self._keys.take(slots).columns if self.node.keys else []
        values = [a.value(slots) for a in self._accumulators]
        if self._recomputed:
            values += self._recomputed.value(slots)
        arrays = [a.cast(f.type) for a, f in zip([*keys, *values], self.schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _compact_if_sparse(self) -> None:
        """Gives back the memory of groups without rows, once they outnumber the others."""
        if len(self._index) > max(_COMPACT_MIN, 2 * self._live):
            live = np.flatnonzero(self._rows[: len(self._index)] > 0)
            self.restore(combined(self._saved(live)))

    def save(self) -> ChunkedParts:
        return self._saved(np.arange(len(self._index)))  # also groups without rows, so that the others stay in place

    def _saved(self, slots: Slots) -> ChunkedParts:
        parts: ChunkedParts = {"rows": int_chunks(rows=self._rows[slots])}
        if self.node.keys:
            parts["keys"] = chunked(self._keys.take(slots[r]) for r in slot_ranges(len(slots)))
        for i, accumulator in enumerate(self._accumulators):
            parts |= {f"{i}.{name}": part for name, part in accumulator.save(slots).items()}
        if self._recomputed:
            parts |= {f"recomputed.{name}": part for name, part in self._recomputed.save(slots).items()}
        return parts

    def restore(self, parts: Parts) -> None:
        self._clear()
        rows = int_column(parts["rows"], "rows")
        self._begun = self._is_global and len(rows) > 0
        if self.node.keys:
            keys = parts["keys"]
            self._keys.append(keys)
            self._index.fill(key_words(keys.columns, keys.num_rows))
        else:
            self._index.fill(np.zeros((len(rows), 2), dtype=np.uint64))
        self._rows = rows.copy()
        self._live = int((rows > 0).sum())
        for i, accumulator in enumerate(self._accumulators):
            accumulator.reserve(len(rows))
            accumulator.restore(_own(parts, str(i)))
        if self._recomputed:
            self._recomputed.restore(_own(parts, "recomputed"))


def _own(parts: Parts, prefix: str) -> Parts:
    """The parts that were filed under `prefix`."""
    return {k.partition(".")[2]: part for k, part in parts.items() if k.startswith(f"{prefix}.")}


def accumulator_of(call: AggregateCall, types: dict[str, str], retractable: bool) -> Accumulator:
    """The accumulator of an aggregate call over columns of these SQL types."""
    if call.distinct:
        assert call.argument is not None
        inner = accumulator_of(replace(call, distinct=False), types, retractable)
        return Distinct(inner, arrow_type(types[call.argument]))
    if call.function == "count":
        return Count()
    assert call.argument is not None
    source = types[call.argument]
    if call.function in ("min", "max"):
        return Extreme(call.function, arrow_type(source), retractable=retractable)
    result = arrow_type(call.type)
    if source in ("FLOAT", "DOUBLE"):
        total: IntegerSum | FloatSum = FloatSum(result)
    else:
        scale = arrow_type(source).scale if source.startswith("DECIMAL") else 0
        total = IntegerSum(result, scale, is_wide=source.startswith(("DECIMAL", "HUGEINT", "UBIGINT")))
    return total if call.function == "sum" else Average(total)
