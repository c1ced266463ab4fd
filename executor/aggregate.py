"""GROUP BY: folds a delta into the groups it touches, and gives their rows before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from headwater.executor.accumulators import Accumulator, Average, Count, FloatSum, IntegerSum, per_group
from headwater.executor.chunks import chunked, combined, int_column, slot_chunks
from headwater.executor.distinct import Distinct
from headwater.executor.extremes import Extreme
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import KeyIndex, Slots, numbered
from headwater.executor.keys import Words, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.python_state import PythonState
from headwater.executor.recomputed import Recomputed
from headwater.executor.row_errors import Failures, Reason, failing_groups
from headwater.executor.slot_arrays import AllSlots, SlotArray
from headwater.executor.sorted_runs import SortedRuns
from headwater.executor.state import empty_delta
from headwater.executor.windows import clock_time, microseconds
from headwater.planner.logical import Aggregate, AggregateCall
from headwater.planner.sql_types import arrow_schema, arrow_type
from headwater.planner.user_functions import declared
from headwater.values import Delta

Values = list[pa.Array]

_COMPACT_MIN = 8192  # fewer groups, or rows, than this are not worth a compaction


class GroupBy:
    """The operator of `Aggregate`: one slot per group, kept as long as the group has rows, and can get some.

        input   (a, 5) +1      (a, 7) +1                 (a, 5) −1
        output  (a, sum 5) +1  (a, 5) −1, (a, 12) +1     (a, 12) −1, (a, 7) +1

    A step costs in proportion to its delta: rows are gathered by group first, then each group is touched once. Groups
    that the clock has closed are forgotten, which changes nothing in the output.
    """

    def __init__(self, node: Aggregate) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._types = {c.name: c.type for c in node.source.columns}
        self._key_schema = arrow_schema(node.columns[: len(node.keys)])
        self._is_global = not node.keys
        self.failures: list[Failures] = []
        self._clear()

    def _clear(self) -> None:
        self._index = KeyIndex()
        self._keys = RowHeap(self._key_schema)  # the row number is the slot
        self._rows = SlotArray()  # how many input rows
        retractable = not self.node.source.append_only
        self._accumulators = [accumulator_of(call, self._types, retractable) for call in self.node.calls]
        self._recomputed = Recomputed(self.node) if self.node.recomputed else None
        self._keeps_rows = bool(self._recomputed) or any(isinstance(a, Distinct) for a in self._accumulators)
        self._live = 0
        self._open_rows = 0  # input rows of groups that are open
        self._closed_rows = 0  # those of groups that were forgotten since the last compaction
        self._ends = SortedRuns()  # when a group closes → its slot
        self._begun = False

    @property
    def nbytes(self) -> int:
        own = self._index.nbytes + self._keys.nbytes + self._rows.nbytes
        again = self._recomputed.nbytes if self._recomputed else 0
        return own + again + self._ends.nbytes + sum(a.nbytes for a in self._accumulators)

    def _states(self) -> list[PythonState]:
        inner = (a.inner if isinstance(a, Distinct) else a for a in self._accumulators)
        return [accumulator for accumulator in inner if isinstance(accumulator, PythonState)]

    @property
    def state_rows(self) -> int:
        return len(self._index)

    def step(self, delta: Delta, clock: Delta | None = None) -> Delta:
        """Folds `delta` in; gives −old +new of each changed group. Without keys, the first step gives the one row."""
        changed = self._folded(delta)
        now = None if clock is None else clock_time(clock)
        if now is not None:
            self._close(now)
        return changed

    def _folded(self, delta: Delta) -> Delta:
        if self._is_global and not self._begun:
            self._begun = True
            slots = self._new_groups(np.zeros((1, 2), dtype=np.uint64), delta.rows)
            if len(delta):
                self._fold(slots, np.zeros(len(delta), dtype=np.int64), delta)
            return Delta(pa.RecordBatch.from_arrays(self._values(slots), schema=self.schema))
        if not len(delta):
            return empty_delta(self.schema)
        words = key_words([delta.rows.column(k) for k in self.node.keys], len(delta))
        groups, first = numbered(words)
        slots = self._new_groups(words[first], delta.rows.take(pa.array(first)))
        old = self._shown(slots)
        before = self._values(slots[old])
        self._fold(slots, groups, delta)
        new = self._shown(slots)
        after = self._values(slots[new])
        self._live += len(new) - len(old)
        changed = self._changed(slots, old, before, new, after)
        self._compact_if_sparse()
        return changed

    def _fold(self, slots: Slots, groups: Slots, delta: Delta) -> None:
        """Adds the rows of a delta: row i to group `slots[groups[i]]`."""
        weights = delta.weight_array
        self._rows[slots] += per_group(groups, len(slots), weights)
        self._open_rows += int(weights.sum())
        for call, accumulator in zip(self.node.calls, self._accumulators, strict=True):
            column = None if call.argument is None else delta.rows.column(call.argument)
            accumulator.fold(slots, groups, column, weights)
        if self._recomputed:
            self._recomputed.fold(slots, groups, delta.rows, weights)
            self.failures += self._told(self._recomputed.failed)
        for state in self._states():
            self.failures += self._told(state.failed)
        assert (self._rows[slots] >= 0).all(), "a row was removed that was not there"

    def _shown(self, slots: Slots) -> Slots:
        """The places in `slots` of groups that have rows; the group of no keys always has one in the output."""
        return np.arange(len(slots)) if self._is_global else np.flatnonzero(self._rows[slots] > 0)

    def _changed(self, slots: Slots, old: Slots, before: Values, new: Slots, after: Values) -> Delta:
        """−old +new of the groups at `slots` that are not what they were: `old` and `new` are the places of those that
        have rows, `before` and `after` their values. Two values are the same where GROUP BY would not tell them apart.
        """
        words = np.zeros((2, len(slots), 3), dtype=np.uint64)  # by group: the key of its values, and whether it has any
        for side, places, values in ((0, old, before), (1, new, after)):
            words[side, places, :2], words[side, places, 2] = key_words(values, len(places)), 1
        differs = (words[0] != words[1]).any(axis=1)
        lost, won = np.flatnonzero(differs[old]), np.flatnonzero(differs[new])
        touched = slots[np.concatenate([old[lost], new[won]])]
        keys = self._keys.take(touched).columns if self.node.keys else []
        pairs = zip(before, after, strict=True)
        columns = [pa.concat_arrays([b.take(pa.array(lost)), a.take(pa.array(won))]) for b, a in pairs]
        signs = np.repeat(np.array([-1, 1], dtype=np.int64), [len(lost), len(won)])
        return Delta(pa.RecordBatch.from_arrays([*keys, *columns], schema=self.schema), signs)

    def _told(self, failed: Sequence[tuple[int, Reason]]) -> list[Failures]:
        """What is told of groups whose aggregates cannot be computed: the values of their keys."""
        if not failed:
            return []
        columns, slots = self.node.columns[: len(self.node.keys)], np.array([slot for slot, _ in failed])
        if self._is_global:
            rows = pa.RecordBatch.from_arrays([pa.nulls(1)], names=["$group"])
        else:
            rows = self._keys.take(slots)
        return failing_groups(self.node, columns, rows, [reason for _, reason in failed])

    def _new_groups(self, keys: Words, rows: pa.RecordBatch) -> Slots:
        """The slot of each key; `rows` has a row of each key, in the same order."""
        known = len(self._index)
        slots = self._index.insert(keys)
        self._rows.reserve(len(self._index))
        for accumulator in self._accumulators:
            accumulator.reserve(len(self._index))
        if self._recomputed:
            self._recomputed.reserve(len(self._index))
        added = np.flatnonzero(slots >= known)
        if self.node.keys and len(added):
            ordered = added[np.argsort(slots[added])]
            self._keys.append(rows.select(list(self.node.keys)).take(pa.array(ordered)))
            self._note_ends(np.arange(known, len(self._index)))
        return slots

    def _note_ends(self, slots: Slots) -> None:
        """Notes when these groups close, if they do."""
        if self.node.closes is not None and len(slots):
            self._ends.add(microseconds(self._keys.take(slots).column(self.node.closes.column)), slots)

    def _close(self, now: int) -> None:
        """Forgets the groups that no row can reach any more at a time of the clock."""
        assert self.node.closes is not None
        slots = self._ends.take_before(now - self.node.closes.after_us + 1)
        self._live -= int((self._rows[slots] > 0).sum())
        rows = int(self._rows[slots].sum())
        self._rows[slots] = 0
        self._open_rows, self._closed_rows = self._open_rows - rows, self._closed_rows + rows
        self._compact_if_sparse()

    def _values(self, slots: Slots) -> Values:
        """What the calls give for the groups `slots`: the columns of the output behind the keys."""
        values = [accumulator.value(slots) for accumulator in self._accumulators]
        if self._recomputed:
            values += self._recomputed.value(slots)
        types = self.schema.types[len(self.node.keys) :]
        return [column.cast(type_) for column, type_ in zip(values, types, strict=True)]

    def _compact_if_sparse(self) -> None:
        """Gives back the memory of groups without rows, once they outnumber the others."""
        many_groups = len(self._index) > max(_COMPACT_MIN, 2 * self._live)
        many_rows = self._keeps_rows and self._closed_rows > max(_COMPACT_MIN, self._open_rows)
        if many_groups or many_rows:
            live = np.flatnonzero(self._rows[: len(self._index)] > 0)
            self.restore(combined(self._saved(live)))

    def save(self) -> ChunkedParts:
        return self._saved(AllSlots(len(self._index)))  # also groups without rows, so that the others stay in place

    def _saved(self, slots: Slots | AllSlots) -> ChunkedParts:
        parts: ChunkedParts = {"rows": slot_chunks(slots, rows=self._rows)}
        if self.node.keys:
            parts["keys"] = chunked(self._key_schema, len(slots), lambda part: self._keys.take(slots[part]))
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
            self._note_ends(np.flatnonzero(rows > 0))
        else:
            self._index.fill(np.zeros((len(rows), 2), dtype=np.uint64))
        self._rows.replace(rows)
        self._live = int((rows > 0).sum())
        self._open_rows = int(rows.sum())
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
    if declared(call.function) is not None:
        return PythonState(call.function, arrow_type(call.type))
    source = types[call.argument]
    if call.function in ("min", "max"):
        return Extreme("min" if call.function == "min" else "max", arrow_type(source), retractable=retractable)
    result = arrow_type(call.type)
    if source in ("FLOAT", "DOUBLE"):
        total: IntegerSum | FloatSum = FloatSum(result)
    else:
        scale = arrow_type(source).scale if source.startswith("DECIMAL") else 0
        total = IntegerSum(result, scale, is_wide=source.startswith(("DECIMAL", "HUGEINT", "UBIGINT")))
    return total if call.function == "sum" else Average(total)
