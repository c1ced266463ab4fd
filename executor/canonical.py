"""Rows as canonical JSON: the one text for a row that anybody can write, and so compute the hash of.

It is what `json.dumps(record, ensure_ascii=False, separators=(",", ":"))` writes in Python: the columns in their order,
as they are stored. Numbers are JSON numbers, a DOUBLE as `repr` writes it; what JSON has no numbers for is a text:
DECIMAL and HUGEINT with all their digits, NaN and Infinity. Times are whole numbers, of the unit that their type counts
(microseconds since 1970 of a TIMESTAMP, days of a DATE). A BLOB is hexadecimal, a MAP a list of pairs, an INTERVAL
months, days and nanoseconds.

In: record batches; out: texts, and hashes of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from hashlib import sha256
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.storage.merkle import leaf_hashes
from headwater.values import ROWPARTITION

_SLICE_ROWS = 8192  # as many texts as are made at a time
_LEAF = "\0"  # begins what a leaf of a Merkle tree is the hash of
_PLAIN_SCALE = 6  # Arrow writes decimals with more digits after the point as powers of ten


def record_texts(rows: pa.RecordBatch, partition: int) -> list[str]:
    """The records of a partition of a stream as canonical JSON."""
    return [text for part in _texts(rows, "", _partition(partition)) for text in part.to_pylist()]


def record_hashes(rows: pa.RecordBatch, partition: int) -> bytes:
    """The hashes of records of a partition as leaves of a Merkle tree, one behind the other."""
    parts = (texts.cast(pa.binary()).to_pylist() for texts in _texts(rows, _LEAF, _partition(partition)))
    return b"".join([b"".join([sha256(text).digest() for text in part]) for part in parts])


def content_hashes(rows: pa.RecordBatch) -> bytes:
    """The hashes of rows that have no order, as leaves of a Merkle tree: in the order of the bytes of their texts."""
    return leaf_hashes(sorted(text.encode() for part in _texts(rows, "", "}") for text in part.to_pylist()))


def _partition(partition: int) -> str:
    return f',"{ROWPARTITION}":{partition}}}'


def _texts(rows: pa.RecordBatch, begin: str, end: str) -> Iterator[pa.StringArray]:
    """The texts of rows, between two others, some at a time."""
    for start in range(0, rows.num_rows, _SLICE_ROWS):
        part = rows.slice(start, _SLICE_ROWS)
        yield _object(part.schema.names, part.columns, begin + "{", end)


def _column(column: pa.Array) -> pa.StringArray:
    """Each value of a column as JSON; NULL stays NULL."""
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return column.cast(pa.string())
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return column.view(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(pa.string())
    if pa.types.is_struct(kind):
        return _valid(column, _object([field.name for field in kind], column.flatten(), "{", "}"))
    if pa.types.is_map(kind):
        pairs = _joined(["[", _value(column.keys), ",", _value(column.items), "]"])
        return _valid(column, _list(column.offsets, pairs))
    if pa.types.is_nested(kind):
        lists = column.cast(pa.list_(kind.value_type))
        return _valid(column, _list(lists.offsets, _value(lists.values)))
    if (plain := _unquoted(column)) is not None:
        return _joined(['"', plain, '"'])
    return pa.array([None if value is None else _one(value) for value in column.to_pylist()], pa.string())


def _unquoted(column: pa.Array) -> pa.StringArray | None:
    """The values of a column, if JSON has them between quotes as Arrow writes them; else None."""
    kind = column.type
    if pa.types.is_decimal(kind) and kind.scale <= _PLAIN_SCALE:
        return column.cast(pa.string())
    if not _is_text(kind):
        return None
    texts = column.cast(pa.string())
    _, offsets, data = texts.buffers()
    if data is None:
        return texts
    begin, end = np.frombuffer(offsets, dtype=np.int32)[[texts.offset, texts.offset + len(texts)]].tolist()
    content = np.frombuffer(data, dtype=np.uint8)[begin:end]
    is_escaped = (content < ord(" ")).any() or (content == ord('"')).any() or (content == ord("\\")).any()
    return None if is_escaped else texts


def _one(value: Any) -> str:
    """A value as JSON, of a type of which Arrow does not write the texts as JSON has them."""
    match value:
        case float():
            return repr(value) if isfinite(value) else _quoted(_NOT_FINITE[repr(value)])
        case Decimal():
            return _quoted(format(value, "f"))
        case bytes():
            return _quoted(value.hex())
        case pa.MonthDayNano():
            return json.dumps(list(value), separators=(",", ":"))
        case _:
            return _quoted(value)


def _value(column: pa.Array) -> pa.StringArray:
    texts = _column(column)
    return pc.fill_null(texts, "null") if texts.null_count else texts


def _object(names: Sequence[str], columns: Sequence[pa.Array], begin: str, end: str) -> pa.StringArray:
    """An object of each row; `begin` and `end` are its braces, and what is around them."""
    pieces: list[Any] = []
    before = begin
    for name, column in zip(names, columns, strict=True):
        plain = None if column.null_count else _unquoted(column)
        if plain is None:
            pieces += [f"{before}{_quoted(name)}:", _value(column)]
            before = ","
        else:
            pieces += [f'{before}{_quoted(name)}:"', plain]
            before = '",'
    return _joined([*pieces, before.removesuffix(",") + end])


def _list(offsets: pa.Array, texts: pa.StringArray) -> pa.StringArray:
    return _joined(["[", pc.binary_join(pa.ListArray.from_arrays(offsets, texts), ","), "]"])


def _joined(pieces: Sequence[Any]) -> pa.StringArray:
    return pc.binary_join_element_wise(*pieces, "")


def _valid(column: pa.Array, texts: pa.StringArray) -> pa.StringArray:
    return pc.if_else(column.is_valid(), texts, pa.scalar(None, pa.string())) if column.null_count else texts


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
