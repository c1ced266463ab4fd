"""Aggregates of users that can take rows back: the state of each group, folded by the user's code."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pyarrow as pa

from headwater.executor.accumulators import Count
from headwater.executor.chunks import chunked
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import Slots
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.python_functions import arguments_of, target_of
from headwater.executor.python_values import FunctionFailed, arrow_values, failure
from headwater.executor.row_errors import Reason
from headwater.executor.slot_arrays import AllSlots, SlotArray
from headwater.values import Weights

_PROTOCOL = 5  # of pickle: images are read by later versions
_OF_NO_ROWS = b""


class PythonState:
    """One aggregate of all groups. A group is an object of the user's class, kept as the bytes of its attributes.

    A row that raises an exception, given alone to a fresh object, is left out when it comes and when it goes. A group
    is NULL while `finish` raises one; and, if its state cannot be stored or rows that are no fault of their own raise
    one, until it has no more rows. `failed` says in which groups that was so in the last `fold`, and why.
    """

    def __init__(self, internal: str, result: pa.DataType) -> None:
        self._function, self._class = target_of(internal)
        self.failed: list[tuple[int, Reason]] = []
        self._schema = pa.schema([("state", pa.binary()), ("value", result)])
        self._of_no_rows = _OF_NO_ROWS, self._value_of_no_rows()
        self._clear()

    def _value_of_no_rows(self) -> Any:
        try:
            value = self._class().finish()
            arrow_values([value], self._function.returns, self._function.name)
        except Exception:
            return None
        return value

    def _clear(self) -> None:
        self._counts = Count()
        self._heap = RowHeap(self._schema)
        self._append([self._of_no_rows])  # place 0: what a slot is until it has rows
        self._number = SlotArray()  # the place of its state and value

    @property
    def nbytes(self) -> int:
        return self._counts.nbytes + self._heap.nbytes + self._number.nbytes

    def reserve(self, count: int) -> None:
        self._counts.reserve(count)
        self._number.reserve(count)

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        assert column is not None
        self.failed = []
        present = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        order = present[np.argsort(groups[present], kind="stable")]
        if not len(order):
            return
        self._counts.fold(slots, groups, column, weights)
        touched, starts = np.unique(groups[order], return_index=True)
        ends = np.append(starts[1:], len(order))
        rows, weights = column.take(pa.array(order)), weights[order]
        is_empty = self._counts.counts(slots[touched]) == 0
        self._number[slots[touched[is_empty]]] = 0
        kept = np.flatnonzero(~is_empty)
        states = self._heap.take(self._number[slots[touched[kept]]]).column(0).to_pylist()
        moved = []
        for i, state in zip(kept.tolist(), states, strict=True):
            given, times = rows.slice(starts[i], ends[i] - starts[i]), weights[starts[i] : ends[i]]
            slot = int(slots[touched[i]])
            moved.append(self._moved(slot, state, _repeated(given, times), _repeated(given, -times)))
        if moved:
            self._number[slots[touched[kept]]] = self._append(moved) + np.arange(len(moved))
        if len(self._heap) > 4 * len(self._number) + 4096:  # most of these states are of the past
            self._refill(self._heap.take(self._number[:]))

    def _moved(
        self, slot: int, state: bytes | None, added: pa.StructArray, removed: pa.StructArray
    ) -> tuple[bytes | None, Any]:
        """The state of a group after rows were added and removed, and its value; no state for one that has failed."""
        if state is None:
            return None, None
        given = [arguments_of(self._function, rows) if len(rows) else [] for rows in (added, removed)]
        try:
            group = self._folded(state, *given)
        except Exception:
            given = [self._without_failing(given[0], slot), self._without_failing(given[1])]
            try:
                group = self._folded(state, *given)
            except Exception as error:
                self._failed(slot, error)
                return None, None
        return self._kept(slot, group)

    def _folded(self, state: bytes, added: list[pa.Array], removed: list[pa.Array]) -> Any:
        group = self._loaded(state)
        if added and len(added[0]):
            group.accumulate(*added)
        if removed and len(removed[0]):
            self._class().accumulate(*removed)  # raises for a row that was left out when it came
            group.retract(*removed)
        return group

    def _without_failing(self, arrays: list[pa.Array], slot: int | None = None) -> list[pa.Array]:
        """The rows that a fresh object takes; the others are left out, and told of if they come to group `slot`."""
        kept = []
        for i in range(len(arrays[0]) if arrays else 0):
            try:
                self._class().accumulate(*(array.slice(i, 1) for array in arrays))
                kept.append(i)
            except Exception as error:
                if slot is not None:
                    self._failed(slot, error)
        return [array.take(pa.array(kept, pa.int64())) for array in arrays]

    def _kept(self, slot: int, group: Any) -> tuple[bytes | None, Any]:
        """A group as its state and value, which is NULL if `finish` raises an exception."""
        try:
            state = self._dumped(group)
        except Exception as error:
            self._failed(slot, error)
            return None, None
        try:
            value = group.finish()
            arrow_values([value], self._function.returns, self._function.name)
        except Exception as error:
            self._failed(slot, error)
            return state, None
        return state, value

    def _failed(self, slot: int, error: Exception) -> None:
        self.failed.append((slot, Reason(f"{self._function.name}()", str(failure(self._function.name, error)))))

    def _loaded(self, state: bytes) -> Any:
        if not state:
            return self._class()
        group = self._class.__new__(self._class)
        attributes = pickle.loads(state)
        if hasattr(group, "__setstate__"):
            group.__setstate__(attributes)
        else:
            group.__dict__.update(attributes or {})
        return group

    def _dumped(self, group: Any) -> bytes:
        try:
            return pickle.dumps(group.__getstate__(), protocol=_PROTOCOL)
        except Exception as error:
            raise FunctionFailed(f"{self._function.name}(): its attributes cannot be stored: {error}") from None

    def _append(self, made: list[tuple[bytes | None, Any]]) -> int:
        states = pa.array([state for state, _ in made], pa.binary())
        values = arrow_values([value for _, value in made], self._function.returns, self._function.name)
        return self._heap.append(pa.RecordBatch.from_arrays([states, values], schema=self._schema))

    def value(self, slots: Slots) -> pa.Array:
        return self._heap.take(self._number[slots]).column(1)

    def save(self, slots: Slots | AllSlots) -> ChunkedParts:
        groups = chunked(self._schema, len(slots), lambda part: self._heap.take(self._number[slots[part]]))
        return {**self._counts.save(slots), "groups": groups}

    def restore(self, parts: Parts) -> None:
        self._clear()
        self._counts.restore(parts)
        self._refill(parts["groups"])

    def _refill(self, groups: pa.RecordBatch) -> None:
        """Makes `groups`, a row for each slot, all that there are."""
        self._heap = RowHeap(self._schema)
        self._append([self._of_no_rows])
        self._number.replace(self._heap.append(groups) + np.arange(groups.num_rows))


def _repeated(rows: pa.StructArray, times: Weights) -> pa.StructArray:
    """Each row as often as `times` says, where that is positive."""
    wanted = np.repeat(np.arange(len(rows)), np.maximum(times, 0))
    return rows if len(wanted) == len(rows) and (times == 1).all() else rows.take(pa.array(wanted))
