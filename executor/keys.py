"""Keys as fixed-width words: any row becomes two 64-bit words, equal exactly when SQL calls the rows equal.

One column of up to eight bytes is its own key: (value, is NULL). Everything else is identified by a 128-bit hash of its
canonical values: one NULL, one NaN, no −0.0. Two different rows share a 128-bit hash with a probability of about
n² / 2¹²⁹ for n keys, 10⁻²¹ for a billion, which is far below that of an undetected memory error; so hashes are not
compared with the values again. (Peers do the same for wide keys: ClickHouse's `hashed` aggregation method.)

The words are the same on every machine and in every version of this format: they also choose partitions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Words = npt.NDArray[np.uint64]  # shape (n, 2)
Lane = npt.NDArray[np.uint64]  # shape (n,)

_K1 = np.uint64(0x9E3779B97F4A7C15)
_K2 = np.uint64(0xC2B2AE3D27D4EB4F)
_NULL = np.uint64(0x6E756C6C)  # stands for NULL in both lanes of a hash
_LONG = 512  # bytes; longer strings are hashed one by one by BLAKE2b


def key_words(columns: Sequence[pa.Array], rows: int) -> Words:
    """The key of each of `rows` rows over `columns`, shape (rows, 2). No columns: one and the same key for all."""
    words = np.zeros((rows, 2), dtype=np.uint64, order="F")  # each word of all rows is one array
    if not columns:
        return words
    if len(columns) == 1 and is_word(columns[0].type):
        words[:, 0] = _word(columns[0])
        if columns[0].null_count:
            words[:, 1] = pc.is_null(columns[0]).to_numpy(zero_copy_only=False)
        return words
    a, b = np.zeros(rows, dtype=np.uint64), np.ones(rows, dtype=np.uint64)
    for column in columns:
        for x, y in _lanes(column):
            a, b = mix(a * _K2 + x), mix((b ^ y) * _K1)
    words[:, 0], words[:, 1] = a, b
    return words


def row_words(batch: pa.RecordBatch) -> Words:
    """The key of each row over all columns: the identity of a row."""
    return key_words(batch.columns, batch.num_rows)


def partition_of(columns: Sequence[pa.Array], rows: int, partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each row by its key columns."""
    words = key_words(columns, rows)
    hashed: Lane = mix(words[:, 0] ^ mix(words[:, 1] + _K1))
    return (hashed % np.uint64(partitions)).astype(np.int64)


def mix(x: Any) -> Any:
    """A bijection on 64-bit words that spreads every input bit (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = x ^ (x >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def is_word(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_boolean(type_)
        or pa.types.is_timestamp(type_) or pa.types.is_date(type_) or pa.types.is_time(type_) or pa.types.is_null(type_)
    )  # fmt: skip


def _word(column: pa.Array) -> Lane:
    """A column of at most eight bytes as words; equal values give equal words whatever their width. NULL gives 0."""
    type_ = column.type
    if pa.types.is_null(type_):
        return np.zeros(len(column), dtype=np.uint64)
    if pa.types.is_boolean(type_):
        filled = pc.fill_null(column, False) if column.null_count else column
        flags: npt.NDArray[np.bool_] = filled.to_numpy(zero_copy_only=False)
        return flags.astype(np.uint64)
    if pa.types.is_floating(type_):
        values = column.cast(pa.float64())
        numbers = (pc.fill_null(values, 0.0) if values.null_count else values).to_numpy(zero_copy_only=False) + 0.0
        return np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64)
    if not pa.types.is_integer(type_):
        integer = pa.int32() if type_.bit_width == 32 else pa.int64()
        column = column.view(integer)
    filled = pc.fill_null(column, 0) if column.null_count else column
    integers: npt.NDArray[np.int64] = filled.to_numpy(zero_copy_only=False)
    return integers.astype(np.int64, copy=False).view(np.uint64)


def _lanes(column: pa.Array) -> list[tuple[Lane, Lane]]:
    """The words that identify a column's values in a hash: one or more pairs of words a row."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    type_ = column.type
    if is_word(type_):
        pairs = [(_word(column),) * 2]
    elif pa.types.is_dictionary(type_):
        return _lanes(column.dictionary_decode())
    elif pa.types.is_struct(type_):
        there = np.zeros(len(column), dtype=np.uint64)  # tells a struct of NULLs from NULL
        pairs = [
            (there, there),
            *(pair for i in range(type_.num_fields) for pair in _lanes(pc.struct_field(column, i))),
        ]
    elif pa.types.is_fixed_size_list(type_):
        return _lanes(column.cast(pa.list_(type_.value_type)))
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_map(type_):
        pairs = [_list_hash(column)]
    elif pa.types.is_interval(type_):
        pairs = _interval_words(column)
    elif pa.types.is_fixed_size_binary(type_) or pa.types.is_decimal(type_):
        pairs = _fixed_words(column)
    else:
        pairs = [_string_hash(column)]
    if not column.null_count:
        return pairs
    nulls = pc.is_null(column).to_numpy(zero_copy_only=False)
    return [(np.where(nulls, _NULL, x), np.where(nulls, ~_NULL, y)) for x, y in pairs]


def _fixed_words(column: pa.Array) -> list[tuple[Lane, Lane]]:
    width = column.type.bit_width // 8
    data = np.frombuffer(column.buffers()[1], dtype=np.uint8)[
        column.offset * width : (column.offset + len(column)) * width
    ]
    padded = np.zeros((len(column), -(-width // 8) * 8), dtype=np.uint8)
    padded[:, :width] = data.reshape(len(column), width)
    words = padded.view(np.uint64)
    return [(words[:, i], words[:, i]) for i in range(words.shape[1])]


def _interval_words(column: pa.Array) -> list[tuple[Lane, Lane]]:
    """Intervals as days and the rest of a day: a month equals 30 days, a day 24 hours."""
    layout = np.dtype([("months", "<i4"), ("days", "<i4"), ("nanoseconds", "<i8")])
    parts = np.frombuffer(column.buffers()[1], layout)[column.offset : column.offset + len(column)]
    days, rest = np.divmod(parts["nanoseconds"], 86_400_000_000_000)
    days += 30 * parts["months"].astype(np.int64) + parts["days"]
    return [(days.view(np.uint64),) * 2, (rest.view(np.uint64),) * 2]


def _list_hash(column: pa.Array) -> tuple[Lane, Lane]:
    """Lists and maps: the sum over the elements of a hash of each element and its place."""
    if pa.types.is_map(column.type):
        column = column.cast(pa.list_(pa.struct([("key", column.type.key_type), ("value", column.type.item_type)])))
    offsets = column.offsets.to_numpy().astype(np.int64)
    items = column.values.slice(offsets[0], offsets[-1] - offsets[0])
    starts, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    place = (np.arange(len(items)) - np.repeat(starts, lengths)).astype(np.uint64)
    words = key_words([items], len(items)) if not is_word(items.type) else _item_words(items)
    result = []
    for lane, constant in ((0, _K1), (1, _K2)):
        hashed = np.concatenate(
            ([np.uint64(0)], np.cumsum(mix(words[:, lane] + mix(place + constant)), dtype=np.uint64))
        )
        result.append(mix(hashed[offsets[1:] - offsets[0]] - hashed[starts] + lengths.astype(np.uint64) * constant))
    return result[0], result[1]


def _item_words(items: pa.Array) -> Words:
    exact = key_words([items], len(items))
    return np.stack([mix(exact[:, 0] + exact[:, 1] * _K1), mix((exact[:, 0] ^ _K2) + exact[:, 1])], axis=1)


def _string_hash(column: pa.Array) -> tuple[Lane, Lane]:
    """Strings and blobs; each distinct value is hashed once where values repeat."""
    if len(column) > 256:
        encoded = column.dictionary_encode(null_encoding="encode")
        if 2 * len(encoded.dictionary) < len(column):
            a, b = _bytes_hash(encoded.dictionary.cast(pa.large_binary()))
            places = encoded.indices.to_numpy()
            return a[places], b[places]
    return _bytes_hash(column.cast(pa.large_binary()))


def _bytes_hash(column: pa.Array) -> tuple[Lane, Lane]:
    """Byte strings, eight bytes of every row at a time. NULL hashes as the empty one."""
    n = len(column)
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int64)[column.offset : column.offset + n + 1]
    lengths = np.diff(offsets)
    first, last = (int(offsets[0]), int(offsets[-1])) if n else (0, 0)
    data = np.zeros(last - first + 8, dtype=np.uint8)
    if last > first:
        data[:-8] = np.frombuffer(column.buffers()[2], dtype=np.uint8)[first:last]
    starts = offsets[:-1] - first
    a, b = lengths.astype(np.uint64) * _K1, ~lengths.astype(np.uint64)
    word_at = np.lib.stride_tricks.as_strided(data[:8].view("<u8"), shape=(len(data) - 7,), strides=(1,))
    short = np.where(lengths <= _LONG, lengths, 0)
    longest = int(short.max(initial=0))
    for at in range(0, longest, 8):
        rows: Any = slice(None) if at == 0 and short.min() > 0 else np.flatnonzero(short > at)
        words = word_at[starts[rows] + at]
        unused = np.maximum(8 - (short[rows] - at), 0).astype(np.uint64) * np.uint64(8)
        words = words & (np.uint64(0xFFFFFFFFFFFFFFFF) >> unused)
        a[rows], b[rows] = mix(a[rows] * _K2 + words), mix((b[rows] ^ words) * _K1)
    for row in np.flatnonzero(lengths > _LONG):
        text = data[starts[row] : starts[row] + lengths[row]].tobytes()
        a[row], b[row] = np.frombuffer(hashlib.blake2b(text, digest_size=16).digest(), dtype="<u8")
    return a, b
