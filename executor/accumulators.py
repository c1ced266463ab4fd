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
from headwater.executor.chunks import int_column, slot_chunks
from headwater.executor.exact_sums import ExactSums
from headwater.executor.key_index import Slots
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.slot_arrays import AllSlots, SlotArray
from headwater.values import Weights

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

    def save(self, slots: Slots | AllSlots) -> ChunkedParts:
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
        self._count = SlotArray()

    @property
    def nbytes(self) -> int:
        return self._count.nbytes

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        if column is not None and column.null_count:
            weights = np.where(column.is_null().to_numpy(zero_copy_only=False), 0, weights)
        self._count[slots] += per_group(groups, len(slots), weights)

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        self._count[slots] += per_group(groups, len(slots), self._count[gone])

    def reserve(self, count: int) -> None:
        self._count.reserve(count)

    def counts(self, slots: Slots) -> Ints:
        counts: Ints = self._count[slots]
        return counts

    def value(self, slots: Slots) -> pa.Array:
        return pa.array(self.counts(slots))

    def save(self, slots: Slots | AllSlots) -> ChunkedParts:
        return {"count": slot_chunks(slots, count=self._count)}

    def restore(self, parts: Parts) -> None:
        self._count.replace(int_column(parts["count"], "count"))


class IntegerSum:
    """Exact sum of integers, booleans or decimals (`scale`: their digits after the point).

    The sum is kept as digits to the base 2³², the lowest first; only the last one has a sign. Two digits hold sums of
    numbers of up to 64 bits; `is_wide` numbers, of up to 128 bits, take four.
    """

    def __init__(self, result: pa.DataType, scale: int = 0, *, is_wide: bool = False) -> None:
        self._result, self._scale, self._is_wide = result, scale, is_wide
        self._digits = [SlotArray() for _ in range(4 if is_wide else 2)]
        self._values = Count()

    @property
    def nbytes(self) -> int:
        return sum(digit.nbytes for digit in self._digits) + self._values.nbytes

    def reserve(self, count: int) -> None:
        self._values.reserve(count)
        for digit in self._digits:
            digit.reserve(count)

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

    def save(self, slots: Slots | AllSlots) -> ChunkedParts:
        digits = {f"digit{place}": digit for place, digit in enumerate(self._digits)}
        return {**self._values.save(slots), "sum": slot_chunks(slots, **digits)}

    def restore(self, parts: Parts) -> None:
        self._values.restore(parts)
        for place, digit in enumerate(self._digits):
            digit.replace(int_column(parts["sum"], f"digit{place}"))


class FloatSum:
    """Exact sum of floats; NaN and infinities are counted apart, so that they can be taken back."""

    def __init__(self, result: pa.DataType) -> None:
        self._result = result
        self._sums = ExactSums()
        self._special = {kind: SlotArray() for kind in ("nan", "plus", "minus")}  # how many NaN, +inf, −inf
        self._values = Count()

    @property
    def nbytes(self) -> int:
        return self._sums.nbytes + sum(kind.nbytes for kind in self._special.values()) + self._values.nbytes

    def reserve(self, count: int) -> None:
        self._values.reserve(count)
        self._sums.reserve(count)
        for kind in self._special.values():
            kind.reserve(count)

    def fold(self, slots: Slots, groups: Slots, column: pa.Array | None, weights: Weights) -> None:
        assert column is not None
        self._values.fold(slots, groups, column, weights)
        filled = pc.fill_null(column, 0.0) if column.null_count else column
        numbers = filled.to_numpy(zero_copy_only=False).astype(np.float64)
        finite = np.isfinite(numbers)
        if not finite.all():
            found = (np.isnan(numbers), numbers == np.inf, numbers == -np.inf)
            for kind, is_kind in zip(self._special.values(), found, strict=True):
                kind[slots] += per_group(groups, len(slots), is_kind * weights)
            numbers = np.where(finite, numbers, 0.0)
        self._sums.add(slots, groups, numbers, weights)

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        self._values.merge(slots, groups, gone)
        for kind in self._special.values():
            kind[slots] += per_group(groups, len(slots), kind[gone])
        self._sums.merge(slots, groups, gone)

    def mean(self, slots: Slots) -> Floats:
        """The sum as a float, to be divided by the count."""
        total = self._sums.totals(slots)
        nan, plus, minus = (kind[slots] > 0 for kind in self._special.values())
        total = np.where(plus, np.inf, np.where(minus, -np.inf, total))
        return np.where(nan | (plus & minus), np.nan, total)

    def value(self, slots: Slots) -> pa.Array:
        return pa.array(self.mean(slots), mask=self._values.counts(slots) == 0).cast(self._result)

    def save(self, slots: Slots | AllSlots) -> ChunkedParts:
        special = slot_chunks(slots, **self._special)
        return {**self._values.save(slots), "sum": self._sums.save(slots), "special": special}

    def restore(self, parts: Parts) -> None:
        self._values.restore(parts)
        for name, kind in self._special.items():
            kind.replace(int_column(parts["special"], name))
        self._sums = ExactSums()
        self._sums.reserve(parts["special"].num_rows)
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

    def save(self, slots: Slots | AllSlots) -> ChunkedParts:
        return {**self._total.save(slots), "values": self._values.save(slots)["count"]}

    def restore(self, parts: Parts) -> None:
        self._total.restore(parts)
        self._values.restore({"count": parts["values"]})


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
