"""Rows on their way in: from what a program has to record batches as a relation's log stores them.

A stream's log stores the columns and ROWTIME; a table's log stores the columns and a weight, +1 for a row that is
added or replaces the one of its key, −1 for one that is removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.errors import DataError, NullRefused, suggestion
from headwater.executor.canonical import record_hashes
from headwater.executor.circuit import stored_changes
from headwater.executor.evaluate import connection
from headwater.executor.keys import partition_of
from headwater.planner import Relation
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Append, Log
from headwater.values import ROWTIME, Delta

TIME_MAX = 1 << 62  # microseconds before or after 1970: some 146,000 years

FRAME_ROWS = 1 << 20  # an append is stored in pieces of at most this many rows, in one commit

_TIMESTAMP = pa.timestamp("us")
_TEXT_TYPES = ("UUID", "JSON")  # kept as text
_UNREADABLE = (pa.ArrowException, TypeError, ValueError, OverflowError)


def conform(relation: Relation, rows: Any) -> pa.RecordBatch:
    """`rows` with the columns and types of `relation`, and ROWTIME if they have one; absent columns are NULL.

    Takes an Arrow table or record batch, a pandas or polars DataFrame, anything with the Arrow PyCapsule interface,
    a mapping of column name to values, or a sequence of mappings or of tuples. Raises DataError and names the column.
    """
    schema = arrow_schema(relation.columns)
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        return _from_mappings(relation, rows, schema)
    wanted = {c.name.lower(): c.name for c in relation.columns} | _rowtime_name(relation)
    table = _as_table(relation, rows, {f.name.lower(): f for f in _with_rowtime(schema, wanted.values())})
    given = {_known(relation, name, wanted): i for i, name in enumerate(table.column_names)}
    if len(given) < table.num_columns:
        raise DataError(f'two columns given for "{relation.name}" have one name')
    arrays, fields = [], []
    for field in _with_rowtime(schema, given):
        column = (
            table.column(given[field.name]).combine_chunks()
            if field.name in given
            else pa.nulls(len(table), field.type)
        )
        arrays.append(_cast(relation, field, column))
        fields.append(field)
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _as_table(relation: Relation, rows: Any, fields: Mapping[str, pa.Field]) -> pa.Table:
    """What a program has as a table. Lists of values are read as the types of `fields`, by name in lower case."""
    try:
        if isinstance(rows, pa.Table):
            return rows
        if isinstance(rows, pa.RecordBatch):
            return pa.Table.from_batches([rows])
        if hasattr(rows, "__arrow_c_stream__"):
            return pa.table(rows)
        if hasattr(rows, "__arrow_c_array__"):
            return pa.Table.from_batches([pa.record_batch(rows)])
        if isinstance(rows, Mapping):
            return pa.table({n: _typed(relation, fields.get(n.lower()), values) for n, values in rows.items()})
        if type(rows).__module__.partition(".")[0] == "pandas":
            return pa.Table.from_pandas(rows, preserve_index=False)
    except _UNREADABLE as error:
        raise DataError(f'cannot read the rows given for "{relation.name}": {error}') from error
    raise DataError(
        f'cannot append a {type(rows).__name__} to "{relation.name}"',
        hint="give an Arrow table, a DataFrame, or dicts or tuples",
    )


def _typed(relation: Relation, field: pa.Field | None, values: Any) -> Any:
    if field is None or not isinstance(values, list | tuple):
        return values
    return _column_of(relation, field, list(values))


def _from_mappings(relation: Relation, rows: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    wanted = {c.name.lower(): c.name for c in relation.columns} | _rowtime_name(relation)
    renamed: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        if isinstance(row, tuple | list):
            row = _by_name(relation, number, row)
        if not isinstance(row, Mapping):
            raise DataError(f"row {number} is a {type(row).__name__}, neither a dict nor a tuple")
        renamed.append({_known(relation, name, wanted): value for name, value in row.items()})
        if len(renamed[-1]) < len(row):
            raise DataError(f'row {number}: two values for one column of "{relation.name}"')
    fields = list(_with_rowtime(schema, {name for row in renamed for name in row}))
    arrays = [_column_of(relation, field, [row.get(field.name) for row in renamed]) for field in fields]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _by_name(relation: Relation, number: int, row: Sequence[Any]) -> dict[str, Any]:
    if len(row) != len(relation.columns):
        columns = ", ".join(column.name for column in relation.columns)
        raise DataError(
            f'row {number} has {len(row)} values, but "{relation.name}" has {len(relation.columns)} columns',
            hint=f"give a value for each of {columns}, in this order, or dicts",
        )
    return {column.name: value for column, value in zip(relation.columns, row, strict=True)}


def _column_of(relation: Relation, field: pa.Field, values: list[Any]) -> pa.Array:
    values = [str(value) if isinstance(value, UUID) else value for value in values]
    try:
        column = pa.array(values, type=field.type)
    except _UNREADABLE:
        for number, value in enumerate(values):
            try:
                pa.array([value], type=field.type)
            except _UNREADABLE as error:
                raise _unreadable(relation, field, number, value) from error
        raise
    return _cast(relation, field, column)


def _unreadable(relation: Relation, field: pa.Field, number: int, value: Any) -> DataError:
    declared = _declared(relation, field.name)
    return DataError(f'row {number}: cannot read {value!r} as {declared} for column "{field.name}"')


def _rowtime_name(relation: Relation) -> dict[str, str]:
    return {ROWTIME.lower(): ROWTIME} if relation.is_stream and relation.timestamp is None else {}


def _with_rowtime(schema: pa.Schema, given: Any) -> list[pa.Field]:
    return [*schema, pa.field(ROWTIME, _TIMESTAMP)] if ROWTIME in given else list(schema)


def _known(relation: Relation, name: str, wanted: Mapping[str, str]) -> str:
    if name.lower() not in wanted:
        hint = suggestion(name, wanted.values(), "columns")
        raise DataError(f'"{relation.name}" has no column "{name}"', hint=hint)
    return wanted[name.lower()]


def _cast(relation: Relation, field: pa.Field, column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, field.type)
    declared = _declared(relation, field.name)
    if declared in _TEXT_TYPES:
        return _cast_text(relation, field, column)
    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        raise DataError(f'cannot read column "{field.name}" ({column.type}) as {declared}: {error}') from error


def _cast_text(relation: Relation, field: pa.Field, column: pa.Array) -> pa.Array:
    """UUID or JSON in its one spelling, read by DuckDB: what it cannot read here, no query could read later."""
    declared = _declared(relation, field.name)
    con = connection()
    con.register("input", pa.table({"value": column}))
    try:
        read = con.sql(f"SELECT value, TRY_CAST(value AS {declared}) AS read FROM input").to_arrow_table()
    finally:
        con.unregister("input")
    given, values = (c.combine_chunks() for c in read.columns)
    lost = pc.and_(values.is_null(), given.is_valid())
    if pc.any(lost).as_py():
        first = pc.index(lost, True).as_py()
        raise _unreadable(relation, field, first, given[first].as_py())
    return values.cast(field.type)


def _declared(relation: Relation, name: str) -> str:
    return next((c.type for c in relation.columns if c.name == name), "TIMESTAMP")


def fitted(rows: pa.RecordBatch, target: Relation) -> pa.RecordBatch:
    """Rows with the columns of the stream that takes them, and their ROWTIME if it takes one. NULL is what they have
    nothing for, as for a column that was added since and has another type.
    """
    known = {name.lower(): rows.column(name) for name in rows.schema.names}
    schema = arrow_schema(target.columns)
    if ROWTIME in rows.schema.names and target.timestamp is None:
        schema = schema.append(rows.schema.field(ROWTIME))
    found = [(known.get(field.name.lower()), field.type) for field in schema]
    arrays = [pa.nulls(rows.num_rows, t) if column is None or column.type != t else column for column, t in found]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def appends(relation: Relation, rows: pa.RecordBatch, log: Log, now_us: int) -> list[Append]:
    """The rows as they are stored, by partition. Raises NullRefused for a NULL where none may be."""
    refuse_nulls(relation, rows)
    if not relation.is_stream:
        return changes(relation, Delta(rows), log)
    return _stored(relation, _with_event_time(relation, rows, now_us), log)


def changes(relation: Relation, delta: Delta, log: Log) -> list[Append]:
    """The changes of a table as they are stored, by partition."""
    return _stored(relation, stored_changes(delta), log)


def refuse_nulls(relation: Relation, rows: pa.RecordBatch) -> None:
    """Raises NullRefused for a NULL where none may be."""
    for name in relation.not_null:
        _refuse_null(relation, rows, name, "PRIMARY KEY" if name in relation.primary_key else "NOT NULL column")


def _stored(relation: Relation, stored: pa.RecordBatch, log: Log) -> list[Append]:
    return [
        append_of(relation, partition, part.slice(start, FRAME_ROWS))
        for partition, part in _partitioned(relation, stored, log)
        for start in range(0, part.num_rows, FRAME_ROWS)
    ]


def append_of(relation: Relation, partition: int, rows: pa.RecordBatch) -> Append:
    """Rows as the log of a relation stores them; those of a ledger with their hashes."""
    leaves = record_hashes(rows, partition) if relation.log.ledger else b""
    return Append(relation.id, partition, rows, relation.log.compression, leaves)


def _refuse_null(relation: Relation, rows: pa.RecordBatch, name: str, what: str) -> None:
    column = rows.column(name)
    if column.null_count:
        first = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise NullRefused(f'row {first}: the {what} "{name}" of "{relation.name}" cannot be NULL')


def _with_event_time(relation: Relation, rows: pa.RecordBatch, now_us: int) -> pa.RecordBatch:
    if relation.timestamp is not None:
        _refuse_null(relation, rows, relation.timestamp, "event time")
        times = _event_time(relation, rows.column(relation.timestamp))
        return rows.append_column(ROWTIME, _within_reason(relation, times))
    now = pa.scalar(now_us, pa.int64()).cast(_TIMESTAMP)
    if ROWTIME not in rows.schema.names:
        return rows.append_column(ROWTIME, pa.repeat(now, rows.num_rows))
    place = rows.schema.get_field_index(ROWTIME)
    return rows.set_column(place, ROWTIME, _within_reason(relation, pc.fill_null(rows.column(place), now)))


def _within_reason(relation: Relation, times: pa.Array) -> pa.Array:
    """The event times, none of them infinite or so far off that the bounds of its window would not be a TIMESTAMP."""
    numbers = times.view(pa.int64()).to_numpy(zero_copy_only=False)
    far = np.flatnonzero((numbers > TIME_MAX) | (numbers < -TIME_MAX))
    if len(far):
        raise DataError(f'row {far[0]}: the event time of "{relation.name}" is infinite or too far from now')
    return times


def _event_time(relation: Relation, column: pa.Array) -> pa.Array:
    """The event time of each row, from the relation's timestamp column."""
    try:
        if pa.types.is_integer(column.type):
            return pc.multiply_checked(column, 1000).cast(_TIMESTAMP)
        if not pa.types.is_string(column.type):
            return column.cast(_TIMESTAMP)
    except pa.ArrowException as error:
        raise DataError(f'cannot read "{relation.timestamp}" as a time: {error}') from error
    table = pa.table({"text": column})
    reading = "strptime(text, $format)" if relation.timestamp_format else "CAST(CAST(text AS TIMESTAMPTZ) AS TIMESTAMP)"
    con = connection()
    con.register("input", table)
    try:
        params = {"format": relation.timestamp_format} if relation.timestamp_format else None
        times = con.sql(f"SELECT CAST({reading} AS TIMESTAMP) AS t FROM input", params=params).to_arrow_table()
    except duckdb.Error as error:
        raise DataError(f'cannot read "{relation.timestamp}" as a time: {str(error).splitlines()[0]}') from error
    finally:
        con.unregister("input")
    return times.column(0).combine_chunks()


def _partitioned(relation: Relation, rows: pa.RecordBatch, log: Log) -> list[tuple[int, pa.RecordBatch]]:
    """The rows by partition: by the hash of the key columns, else in turn."""
    if relation.partitions == 1 or not rows.num_rows:
        return [(0, rows)]
    if relation.partition_key:
        keys = [rows.column(name) for name in relation.partition_key]
        partitions = partition_of(keys, rows.num_rows, relation.partitions)
    else:
        partitions = (sum(log.ends(relation.id).values()) + np.arange(rows.num_rows)) % relation.partitions
    return [(p, rows.take(pa.array(np.flatnonzero(partitions == p)))) for p in np.unique(partitions).tolist()]
