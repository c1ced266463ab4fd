"""Values in an order: columns as whole numbers of 64 bits that compare as DuckDB compares the values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headwater.planner.logical import SortKey

Lane = npt.NDArray[np.int64]


def is_number(type_: pa.DataType) -> bool:
    """Whether values of a type are whole numbers of 64 bits in disguise."""
    return bool(
        (pa.types.is_integer(type_) and type_ != pa.uint64()) or pa.types.is_floating(type_)
        or pa.types.is_timestamp(type_) or pa.types.is_date(type_) or pa.types.is_time(type_)
    )  # fmt: skip


def as_numbers(column: pa.Array) -> pa.Array:
    """A column of such a type without NULL as BIGINT. Floats: −inf < … < +inf < NaN, −0.0 equal to 0.0."""
    if pa.types.is_floating(column.type):
        numbers: Any = column.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0
        bits = np.where(np.isnan(numbers), np.nan, numbers).view(np.int64)
        return pa.array(np.where(bits < 0, bits ^ 0x7FFFFFFFFFFFFFFF, bits))
    if not pa.types.is_integer(column.type):
        column = column.view(pa.int32() if column.type.bit_width == 32 else pa.int64())
    return column.cast(pa.int64())


def from_numbers(numbers: pa.Array, type_: pa.DataType) -> pa.Array:
    """The column of that type whose numbers these are; NULL stays NULL."""
    if pa.types.is_floating(type_):
        ordered: Any = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
        bits = np.where(ordered < 0, ordered ^ 0x7FFFFFFFFFFFFFFF, ordered)
        mask = numbers.is_null().to_numpy(zero_copy_only=False) if numbers.null_count else None
        return pa.array(bits.view(np.float64), mask=mask).cast(type_)
    if pa.types.is_integer(type_):
        return numbers.cast(type_)
    return (numbers.cast(pa.int32()) if type_.bit_width == 32 else numbers).view(type_)


def can_be_sorted(type_: pa.DataType) -> bool:
    """Whether `sort_lanes` knows the order of a type."""
    is_text = pa.types.is_string(type_) or pa.types.is_binary(type_)
    other = pa.types.is_boolean(type_) or pa.types.is_decimal128(type_) or type_ == pa.uint64()
    return is_number(type_) or is_text or other


def sort_lanes(rows: pa.RecordBatch, order: Sequence[SortKey]) -> list[Lane]:
    """What to sort `rows` by, ascending, most significant first; rows that `order` leaves equal are equal in each."""
    lanes: list[Lane] = []
    for key in order:
        column = rows.column(key.column)
        if column.null_count:
            nulls = column.is_null().to_numpy(zero_copy_only=False)
            lanes.append((nulls != key.nulls_first).astype(np.int64))
        values = _values(column)
        lanes.append(~values if key.descending else values)
    return lanes


def _values(column: pa.Array) -> Lane:
    """Numbers in the order of the values; NULL, which another lane tells, is any number that is the same for all."""
    values: Lane
    if is_number(column.type):
        there = column.drop_null() if column.null_count else column
        values = as_numbers(there).to_numpy()
        if column.null_count:
            valid = column.is_valid().to_numpy(zero_copy_only=False)
            values, given = np.zeros(len(column), dtype=np.int64), values
            values[valid] = given
        return values
    ranks = pc.rank(column, sort_keys="ascending", tiebreaker="dense")
    values = ranks.to_numpy(zero_copy_only=False).astype(np.int64)
    return values
