"""Aggregate functions as columns by group: fold a delta in, read the value out.

A fold costs as much as the delta, whatever the group holds. Sums are exact, those of floats too, so that they do not
depend on the order of the input or on how it was cut into steps.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headwater.errors import QueryFailed
from headwater.executor.chunks import chunked, int_batch, int_chunks, int_column, places_in, slot_ranges
from headwater.executor.exact_sums import ExactSums
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import Slots
from headwater.executor.keys import key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import Arrangement, grown, renumbered
from headwater.values import Delta, Weights

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MASK = np.int64(2**32 - 1)


class Accumulator(Protocol):
    """One aggregate of all groups. Groups are slots 0 … n−1."""

    def reserve(self, count: int) -> None:
        """Makes room for groups 0 … count−1; new ones are empty. Comes before anything else is asked of them."""

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        """Adds a delta: row i has `weights[i]` and belongs to slot `slots[groups[i]]`; `slots` are distinct."""

    def value(self, slots: Slots) -> pa.Array:
        """The aggregate of each of the groups `slots`."""

    def save(self, slots: Slots) -> ChunkedParts:
        """What `restore` needs for these groups, which then are 0 … n−1."""

    def restore(self, parts: Parts) -> None: ...

    @property
    def nbytes(self) -> int: ...


@runtime_checkable
class Mergeable(Accumulator, Protocol):
    """An aggregate of which two groups can become one, as long as no input rows are removed."""

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        """Adds what the groups `gone` hold: that of `gone[i]` to `slots[groups[i]]`; `slots` are distinct.

        The groups `gone` are not asked for again.
        """


def per_group(groups: Slots, count: int, values: Ints) -> Ints:
    """The sum of `values` in each of `count` groups, modulo 2⁶⁴."""
    sums = np.zeros(count, dtype=np.int64)
    np.add.at(sums, groups, values)
    return sums


class Count:
    """count(*) without a column, else the number of values that are not NULL."""

    def __init__(self) -> None:
        self._count: Ints = np.empty(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        return int(self._count.nbytes)

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        if column is not None and column.null_count:
            weights = np.where(column.is_null().to_numpy(zero_copy_only=False), 0, weights)
        self._count[slots] += per_group(groups, len(slots), weights)

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        self._count[slots] += per_group(groups, len(slots), self._count[gone])

    def reserve(self, count: int) -> None:
        self._count = grown(self._count, count)

    def counts(self, slots: Slots) -> Ints:
        return self._count[slots]

    def value(self, slots: Slots) -> pa.Array:
        return pa.array(self.counts(slots))

    def save(self, slots: Slots) -> ChunkedParts:
        return {"count": int_chunks(count=self.counts(slots))}

    def restore(self, parts: Parts) -> None:
        self._count = int_column(parts["count"], "count").copy()


class IntegerSum:
    """Exact sum of integers, booleans or decimals (`scale`: their digits after the point).

    The sum is kept as digits to the base 2³², the lowest first; only the last one has a sign. Two digits hold sums of
    numbers of up to 64 bits; `is_wide` numbers, of up to 128 bits, take four.
    """

    def __init__(self, result: pa.DataType, scale: int = 0, *, is_wide: bool = False) -> None:
        self._result, self._scale, self._is_wide = result, scale, is_wide
        self._digits: list[Ints] = [np.empty(0, dtype=np.int64) for _ in range(4 if is_wide else 2)]
        self._values = Count()

    @property
    def nbytes(self) -> int:
        return sum(int(digit.nbytes) for digit in self._digits) + self._values.nbytes

    def reserve(self, count: int) -> None:
        self._values.reserve(count)
        self._digits = [grown(digit, count) for digit in self._digits]

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        assert column is not None
        self._values.fold(slots, groups, column, weights)
        digits = _wide_digits(column) if self._is_wide else _digits(column)
        self._add(slots, groups, [digit * weights for digit in digits])

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        self._values.merge(slots, groups, gone)
        self._add(slots, groups, [digit[gone] for digit in self._digits])

    def _add(self, slots: Slots, groups: Slots, digits: list[Ints]) -> None:
        carry: Any = 0
        *lower, last = zip(self._digits, digits, strict=True)
        for kept, added in lower:
            total = kept[slots] + per_group(groups, len(slots), added) + carry
            kept[slots], carry = total & _MASK, total >> 32
        kept, added = last
        kept[slots] += per_group(groups, len(slots), added) + carry

    def value(self, slots: Slots) -> pa.Array:
        """Raises QueryFailed for a sum that does not fit into 128 bits."""
        digits = [digit[slots] for digit in self._digits]
        if self._is_wide and (np.abs(digits[3]) > _MASK >> 1).any():
            raise QueryFailed("a sum has become too large for 128 bits")
        low = (digits[1] << 32) | digits[0]
        high = (digits[3] << 32) | digits[2] if self._is_wide else digits[1] >> 32
        valid = self._values.counts(slots) > 0
        buffers = [pa.array(valid).buffers()[1], pa.py_buffer(np.ascontiguousarray(np.stack([low, high], axis=1)))]
        return pa.Array.from_buffers(pa.decimal128(38, self._scale), len(slots), buffers).cast(self._result)

    def mean(self, slots: Slots) -> Floats:
        """The sum as a float, to be divided by the count."""
        total: Floats = np.zeros(len(slots))
        for place, digit in reversed(list(enumerate(self._digits))):
            total += np.ldexp(digit[slots].astype(np.float64), 32 * place)
        return total / 10.0**self._scale

    def save(self, slots: Slots) -> ChunkedParts:
        digits = {f"digit{place}": digit[slots] for place, digit in enumerate(self._digits)}
        return {**self._values.save(slots), "sum": int_chunks(**digits)}

    def restore(self, parts: Parts) -> None:
        self._values.restore(parts)
        self._digits = [int_column(parts["sum"], f"digit{place}").copy() for place in range(len(self._digits))]


class FloatSum:
    """Exact sum of floats; NaN and infinities are counted apart, so that they can be taken back."""

    def __init__(self, result: pa.DataType) -> None:
        self._result = result
        self._sums = ExactSums()
        self._special = np.zeros((0, 3), dtype=np.int64)  # numbers of NaN, +inf, −inf by slot
        self._values = Count()

    @property
    def nbytes(self) -> int:
        return self._sums.nbytes + int(self._special.nbytes) + self._values.nbytes

    def reserve(self, count: int) -> None:
        self._values.reserve(count)
        self._sums.reserve(count)
        if count > len(self._special):
            bigger = np.zeros((max(count, 2 * len(self._special), 64), 3), dtype=np.int64)
            bigger[: len(self._special)] = self._special
            self._special = bigger

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        assert column is not None
        self._values.fold(slots, groups, column, weights)
        filled = pc.fill_null(column, 0.0) if column.null_count else column
        numbers = filled.to_numpy(zero_copy_only=False).astype(np.float64)
        finite = np.isfinite(numbers)
        if not finite.all():
            for i, kind in enumerate((np.isnan(numbers), numbers == np.inf, numbers == -np.inf)):
                self._special[slots, i] += per_group(groups, len(slots), kind * weights)
            numbers = np.where(finite, numbers, 0.0)
        self._sums.add(slots, groups, numbers, weights)

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        self._values.merge(slots, groups, gone)
        for i in range(3):
            self._special[slots, i] += per_group(groups, len(slots), self._special[gone, i])
        self._sums.merge(slots, groups, gone)

    def mean(self, slots: Slots) -> Floats:
        """The sum as a float, to be divided by the count."""
        total = self._sums.totals(slots)
        nan, plus, minus = (self._special[slots, i] > 0 for i in range(3))
        total = np.where(plus, np.inf, np.where(minus, -np.inf, total))
        return np.where(nan | (plus & minus), np.nan, total)

    def value(self, slots: Slots) -> pa.Array:
        return pa.array(self.mean(slots), mask=self._values.counts(slots) == 0).cast(self._result)

    def save(self, slots: Slots) -> ChunkedParts:
        nan, plus, minus = (self._special[slots, i] for i in range(3))
        special = int_chunks(nan=nan, plus=plus, minus=minus)
        return {**self._values.save(slots), "sum": self._sums.save(slots), "special": special}

    def restore(self, parts: Parts) -> None:
        self._values.restore(parts)
        self._special = np.stack([int_column(parts["special"], n) for n in ("nan", "plus", "minus")], axis=1)
        self._sums = ExactSums()
        self._sums.reserve(len(self._special))
        self._sums.restore(parts["sum"])


class Average:
    """avg: the sum over the number of values, as DOUBLE."""

    def __init__(self, total: IntegerSum | FloatSum) -> None:
        self._total = total
        self._values = Count()

    @property
    def nbytes(self) -> int:
        return self._total.nbytes + self._values.nbytes

    def reserve(self, count: int) -> None:
        self._total.reserve(count)
        self._values.reserve(count)

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        self._total.fold(slots, groups, column, weights)
        self._values.fold(slots, groups, column, weights)

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        self._total.merge(slots, groups, gone)
        self._values.merge(slots, groups, gone)

    def value(self, slots: Slots) -> pa.Array:
        counts = self._values.counts(slots)
        return pa.array(self._total.mean(slots) / np.maximum(counts, 1), mask=counts == 0)

    def save(self, slots: Slots) -> ChunkedParts:
        return {**self._total.save(slots), "values": self._values.save(slots)["count"]}

    def restore(self, parts: Parts) -> None:
        self._total.restore(parts)
        self._values.restore({"count": parts["values"]})


class Extreme:
    """min or max. The best value of each group is kept; all values are kept too if input rows can be removed."""

    def __init__(self, function: str, type_: pa.DataType, *, retractable: bool) -> None:
        self._function = function
        self._type = type_
        self._is_float = pa.types.is_floating(type_)
        ordered = pa.int64() if self._is_float else type_
        self._best = RowHeap(pa.schema([("value", ordered)]))
        self._number: Ints = np.empty(0, dtype=np.int64)  # by slot: the place of its best value, −1 for none
        schema = pa.schema([("slot", pa.int64()), ("value", ordered)])
        self._all = Arrangement(schema, ("slot",)) if retractable else None

    @property
    def nbytes(self) -> int:
        return int(self._best.nbytes + self._number.nbytes) + (self._all.nbytes if self._all is not None else 0)

    def reserve(self, count: int) -> None:
        self._number = grown(self._number, count, -1)

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        assert column is not None
        values = _float_order(column) if self._is_float else column
        rows = pa.record_batch({"group": pa.array(groups), "value": values})
        if values.null_count:
            present = np.flatnonzero(pc.is_valid(values).to_numpy(zero_copy_only=False))
            rows, weights = rows.take(pa.array(present)), weights[present]
        if self._all is None:
            self._improve(slots, rows)
            return
        filed = pa.record_batch(
            {"slot": pa.array(slots[rows.column("group").to_numpy()]), "value": rows.column("value")}
        )
        self._all.apply(Delta(filed, weights))
        added = weights > 0
        self._improve(slots, rows.filter(pa.array(added)))
        if not added.all():
            self._recompute(slots, rows.filter(pa.array(~added)))

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        assert self._all is None, "rows that can be removed are known by their slots"
        held = np.flatnonzero(self._number[gone] >= 0)
        values = self._best.take(self._number[gone[held]]).column(0)
        self._improve(slots, pa.record_batch({"group": pa.array(groups[held]), "value": values}))

    def _improve(self, slots: Slots, rows: pa.RecordBatch) -> None:
        """Takes the best of `rows` where it beats, or is the first of, its group."""
        if not rows.num_rows:
            return
        best = pa.table(rows).group_by("group", use_threads=False).aggregate([("value", self._function)])
        candidates = best.column(f"value_{self._function}").combine_chunks()
        places = slots[best.column("group").to_numpy()]
        better = self._number[places] < 0
        rivals = np.flatnonzero(~better)
        if len(rivals):
            compare = pc.less if self._function == "min" else pc.greater
            held = self._best.take(self._number[places[rivals]]).column(0)
            better[rivals] = compare(candidates.take(pa.array(rivals)), held).to_numpy(zero_copy_only=False)
        self._set(places[better], candidates.filter(pa.array(better)))

    def _recompute(self, slots: Slots, removed: pa.RecordBatch) -> None:
        """Looks through all values of the groups that lost their best one."""
        assert self._all is not None
        groups = removed.column("group").to_numpy()
        held = self._number[slots[groups]]
        compare = pc.less_equal if self._function == "min" else pc.greater_equal
        known = np.flatnonzero(held >= 0)
        lost = compare(removed.column("value").take(pa.array(known)), self._best.take(held[known]).column(0))
        touched = np.unique(groups[known[lost.to_numpy(zero_copy_only=False)]])
        if not len(touched):
            return
        self._number[slots[touched]] = -1
        places, rows, _ = self._all.lookup(key_words([pa.array(slots[touched])], len(touched)))
        self._improve(slots, pa.record_batch({"group": pa.array(touched[places]), "value": rows.column("value")}))

    def _set(self, slots: Slots, values: pa.Array) -> None:
        rows = pa.RecordBatch.from_arrays([values], schema=self._best.schema)
        self._number[slots] = self._best.append(rows) + np.arange(len(slots))
        if len(self._best) > 4 * len(self._number) + 4096:  # most of these values have been beaten
            held = np.flatnonzero(self._number >= 0)
            kept = self._best.take(self._number[held])
            self._best = RowHeap(self._best.schema)
            self._number[held] = self._best.append(kept) + np.arange(len(held))

    def value(self, slots: Slots) -> pa.Array:
        numbers = self._number[slots]
        if not len(self._best):
            return pa.nulls(len(slots), self._type)
        values = self._best.take(np.maximum(numbers, 0)).column(0)
        if (numbers < 0).any():
            values = pc.if_else(pa.array(numbers >= 0), values, pa.nulls(len(slots), values.type))
        return _float_from_order(values, self._type) if self._is_float else values

    def save(self, slots: Slots) -> ChunkedParts:
        numbers = self._number[slots]
        ranges = slot_ranges(len(slots))
        parts: ChunkedParts = {
            "has": int_chunks(has=(numbers >= 0).astype(np.int64)),
            "best": chunked(self._best.take(numbers[r][numbers[r] >= 0]) for r in ranges),
        }
        if self._all is not None:
            new = places_in(slots, len(self._number))
            chunks = [renumbered(chunk, new) for chunk in self._all.chunks()]
            parts["all"] = chunked(chunk.rows for chunk in chunks)
            parts["weights"] = chunked(int_batch(weights=chunk.weight_array) for chunk in chunks)
        return parts

    def restore(self, parts: Parts) -> None:
        held = np.flatnonzero(int_column(parts["has"], "has"))
        self._number = np.full(parts["has"].num_rows, -1, dtype=np.int64)
        self._best = RowHeap(self._best.schema)
        self._number[held] = self._best.append(parts["best"]) + np.arange(len(held))
        if self._all is not None:
            self._all.restore({"rows": parts["all"], "weights": parts["weights"]})


def _digits(column: pa.Array) -> list[Ints]:
    """Integers of up to 64 bits and booleans as two digits to the base 2³², NULL as 0."""
    filled = pc.fill_null(column, 0 if pa.types.is_integer(column.type) else False) if column.null_count else column
    numbers: Ints = filled.to_numpy(zero_copy_only=False).astype(np.int64)
    return [numbers & _MASK, numbers >> 32]


def _wide_digits(column: pa.Array) -> list[Ints]:
    """Unsigned integers and decimals (unscaled) as four digits to the base 2³², NULL as 0."""
    if not pa.types.is_decimal128(column.type):
        column = column.cast(pa.decimal128(38, 0))
    words = np.frombuffer(column.buffers()[1], dtype=np.int64).reshape(-1, 2)[column.offset :][: len(column)]
    if column.null_count:
        words = np.where(column.is_null().to_numpy(zero_copy_only=False)[:, None], 0, words)
    low, high = words[:, 0], words[:, 1]
    return [low & _MASK, (low >> 32) & _MASK, high & _MASK, high >> 32]


def _float_order(column: pa.Array) -> pa.Array:
    """Floats as integers in DuckDB's order: −inf < … < +inf < NaN, −0.0 equal to 0.0."""
    numbers = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False).astype(np.float64) + 0.0
    bits = np.where(np.isnan(numbers), np.nan, numbers).view(np.int64)
    ordered = np.where(bits < 0, bits ^ 0x7FFFFFFFFFFFFFFF, bits)
    return pa.array(ordered, mask=column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None)


def _float_from_order(values: pa.Array, type_: pa.DataType) -> pa.Array:
    ordered: Any = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    bits = np.where(ordered < 0, ordered ^ 0x7FFFFFFFFFFFFFFF, ordered)
    mask = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    return pa.array(bits.view(np.float64), mask=mask).cast(type_)
