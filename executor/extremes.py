"""min and max: the best value of each group, and all values where rows can be removed."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headwater.executor.arrangement import Arrangement
from headwater.executor.chunks import chunked, int_batch, int_column, places_in, slot_chunks, weighted_chunks
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import Slots, numbered_values
from headwater.executor.keys import key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.ordering import as_numbers, from_numbers, is_number
from headwater.executor.slot_arrays import AllSlots, SlotArray
from headwater.executor.state import renumbered
from headwater.values import Delta, Weights

Flags = npt.NDArray[np.bool_]
Kind = Literal["min", "max"]

_WORST = {"min": np.iinfo(np.int64).max, "max": np.iinfo(np.int64).min}
_BETTER = {"min": np.less, "max": np.greater}
_BEST_OF = {"min": np.minimum, "max": np.maximum}


class Extreme:
    """min or max. The best value of each group is kept; all values are kept too if input rows can be removed."""

    def __init__(self, function: Kind, type_: pa.DataType, *, retractable: bool) -> None:
        self._function: Kind = function
        self._type = type_
        self._has = SlotArray()  # whether the group has a value
        self._best: Best = BestNumbers(function) if is_number(type_) else BestValues(function, type_)
        schema = pa.schema([("slot", pa.int64()), self._best.schema.field(0)])
        self._all = Arrangement(schema, ("slot",)) if retractable else None

    @property
    def nbytes(self) -> int:
        return self._best.nbytes + self._has.nbytes + (self._all.nbytes if self._all is not None else 0)

    def reserve(self, count: int) -> None:
        self._has.reserve(count)
        self._best.reserve(count)

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        assert column is not None
        if column.null_count:
            present = np.flatnonzero(pc.is_valid(column).to_numpy(zero_copy_only=False))
            groups, column, weights = groups[present], column.take(pa.array(present)), weights[present]
        values = self._best.ordered(column)
        if self._all is None:
            self._improve(slots, groups, values)
            return
        filed = pa.RecordBatch.from_arrays([pa.array(slots[groups]), values], schema=self._all.schema)
        self._all.apply(Delta(filed, weights))
        added = np.flatnonzero(weights > 0)
        self._improve(slots, groups[added], values.take(pa.array(added)))
        if len(added) < len(groups):
            removed = np.flatnonzero(weights < 0)
            self._recompute(slots, groups[removed], values.take(pa.array(removed)))

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        """Adds what the groups `gone` hold: that of `gone[i]` to `slots[groups[i]]`."""
        assert self._all is None, "rows that can be removed are known by their slots"
        held = np.flatnonzero(self._has[gone])
        self._improve(slots, groups[held], self._best.saved(gone[held]).column(0))

    def _improve(self, slots: Slots, groups: Slots, values: pa.Array) -> None:
        """Takes the best of `values` where it beats, or is the first of, its group."""
        if len(values):
            touched, best = self._best.best_of(groups, values, len(slots))
            places = slots[touched]
            self._best.keep(places, best, self._has[places] > 0)
            self._has[places] = 1

    def _recompute(self, slots: Slots, groups: Slots, removed: pa.Array) -> None:
        """Looks through all values of the groups that lost their best one."""
        assert self._all is not None
        known = np.flatnonzero(self._has[slots[groups]])
        lost = ~self._best.beats(slots[groups[known]], removed.take(pa.array(known)))
        groups = groups[known[lost]]
        if not len(groups):
            return
        touched = groups[numbered_values(groups)[1]]
        self._has[slots[touched]] = 0
        places, rows, _ = self._all.lookup(key_words([pa.array(slots[touched])], len(touched)))
        self._improve(slots, touched[places], rows.column("value"))

    def value(self, slots: Slots) -> pa.Array:
        return self._best.value(slots, self._has[slots] > 0, self._type)

    def save(self, slots: Slots | AllSlots) -> ChunkedParts:
        parts: ChunkedParts = {
            "has": slot_chunks(slots, has=self._has),
            "best": chunked(self._best.schema, len(slots), lambda part: self._saved_best(slots[part])),
        }
        if (values := self._all) is not None:
            new = places_in(slots, len(self._has))
            parts["all"], parts["weights"] = weighted_chunks(
                values.schema, values.slot_count, lambda part: renumbered(values.chunk(part), new)
            )
        return parts

    def _saved_best(self, slots: Slots) -> pa.RecordBatch:
        return self._best.saved(slots[self._has[slots] > 0])

    def restore(self, parts: Parts) -> None:
        self._has.replace(int_column(parts["has"], "has"))
        self._best.reserve(len(self._has))
        held = np.flatnonzero(self._has[:])
        self._best.keep(held, parts["best"].column(0), np.zeros(len(held), dtype=bool))
        if self._all is not None:
            self._all.restore({"rows": parts["all"], "weights": parts["weights"]})


class Best(Protocol):
    """The best value of each group that has one. Groups are slots 0 … n−1."""

    schema: pa.Schema  # of one column: values as they are ordered

    @property
    def nbytes(self) -> int: ...

    def reserve(self, count: int) -> None: ...

    def ordered(self, column: pa.Array) -> pa.Array:
        """Values without NULL in a type whose order is theirs."""

    def best_of(self, groups: Slots, values: pa.Array, count: int) -> tuple[Slots, pa.Array]:
        """The groups, of `count`, that have any of `values`, and the best of each."""

    def keep(self, slots: Slots, values: pa.Array, has: Flags) -> None:
        """Takes the values for those of `slots` that have none, or a worse one."""

    def beats(self, slots: Slots, values: pa.Array) -> Flags:
        """Whether what `slots` have is better than the values."""

    def value(self, slots: Slots, has: Flags, type_: pa.DataType) -> pa.Array:
        """The best of each slot as a column, NULL where there is none."""

    def saved(self, slots: Slots) -> pa.RecordBatch:
        """The best of each slot, all of which have one."""


class BestNumbers:
    """The best of values that are numbers of up to 64 bits in disguise: in an array."""

    schema = pa.schema([("value", pa.int64())])

    def __init__(self, function: Kind) -> None:
        self._function: Kind = function
        self._numbers = SlotArray()

    @property
    def nbytes(self) -> int:
        return self._numbers.nbytes

    def reserve(self, count: int) -> None:
        self._numbers.reserve(count)

    def ordered(self, column: pa.Array) -> pa.Array:
        return as_numbers(column)

    def best_of(self, groups: Slots, values: pa.Array, count: int) -> tuple[Slots, pa.Array]:
        best = np.full(count, _WORST[self._function])
        _BEST_OF[self._function].at(best, groups, values.to_numpy())
        touched = np.flatnonzero(np.bincount(groups, minlength=count))
        return touched, pa.array(best[touched])

    def keep(self, slots: Slots, values: pa.Array, has: Flags) -> None:
        numbers = values.to_numpy()
        better = np.flatnonzero(~has | ~self.beats(slots, values))
        self._numbers[slots[better]] = numbers[better]

    def beats(self, slots: Slots, values: pa.Array) -> Flags:
        better: Flags = _BETTER[self._function](self._numbers[slots], values.to_numpy())
        return better

    def value(self, slots: Slots, has: Flags, type_: pa.DataType) -> pa.Array:
        return from_numbers(pa.array(self._numbers[slots], mask=None if has.all() else ~has), type_)

    def saved(self, slots: Slots) -> pa.RecordBatch:
        return int_batch(value=self._numbers[slots])


class BestValues:
    """The best of values of any type: in a heap."""

    def __init__(self, function: Kind, type_: pa.DataType) -> None:
        self._function: Kind = function
        self.schema = pa.schema([("value", type_)])
        self._heap = RowHeap(self.schema)
        self._number = SlotArray(-1)  # the place of its best value, −1 for none

    @property
    def nbytes(self) -> int:
        return self._heap.nbytes + self._number.nbytes

    def reserve(self, count: int) -> None:
        self._number.reserve(count)

    def ordered(self, column: pa.Array) -> pa.Array:
        return column

    def best_of(self, groups: Slots, values: pa.Array, count: int) -> tuple[Slots, pa.Array]:
        rows = pa.table({"group": pa.array(groups), "value": values})
        best = rows.group_by("group", use_threads=False).aggregate([("value", self._function)])
        return best.column("group").to_numpy(), best.column(f"value_{self._function}").combine_chunks()

    def keep(self, slots: Slots, values: pa.Array, has: Flags) -> None:
        better = ~has
        rivals = np.flatnonzero(has)
        better[rivals] = ~self.beats(slots[rivals], values.take(pa.array(rivals)))
        kept = pa.RecordBatch.from_arrays([values.filter(pa.array(better))], schema=self._heap.schema)
        slots = slots[better]
        self._number[slots] = self._heap.append(kept) + np.arange(len(slots))
        if len(self._heap) > 4 * len(self._number) + 4096:  # most of these values have been beaten
            held = np.flatnonzero(self._number[:] >= 0)
            rows = self._heap.take(self._number[held])
            self._heap = RowHeap(self._heap.schema)
            self._number[held] = self._heap.append(rows) + np.arange(len(held))

    def beats(self, slots: Slots, values: pa.Array) -> Flags:
        if not len(slots):
            return np.zeros(0, dtype=bool)
        compare = pc.less if self._function == "min" else pc.greater
        better: Flags = compare(self.saved(slots).column(0), values).to_numpy(zero_copy_only=False)
        return better

    def value(self, slots: Slots, has: Flags, type_: pa.DataType) -> pa.Array:
        if not has.any():
            return pa.nulls(len(slots), type_)
        column = self.saved(np.where(has, slots, slots[np.argmax(has)])).column(0)
        return column if has.all() else pc.if_else(pa.array(has), column, pa.nulls(len(slots), column.type))

    def saved(self, slots: Slots) -> pa.RecordBatch:
        return self._heap.take(self._number[slots])
