"""ASSERT: that the next record of a relation is a given one, or that a relation is defined in a given way.

Each relation has a next record, which an assert that holds goes past. Columns that an assert does not name may hold
anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa

from headwater.engine.cells import texts
from headwater.engine.records import Record, Records
from headwater.engine.result import Result
from headwater.engine.statements import cast_values, refuse_name
from headwater.errors import AssertionFailed, OutOfRange, PositionGone, SqlError, TypeProblem, Unsupported
from headwater.executor.keys import row_words
from headwater.parser import syntax
from headwater.planner import Relation
from headwater.planner.calls import with_duckdb_calls
from headwater.planner.catalog import PSEUDO_TYPES
from headwater.planner.properties import WITHOUT_EFFECT, log_options, partitions, read_properties, timestamp_format
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.sql_types import normal_type
from headwater.values import Column


def assert_values(statement: syntax.AssertValues, relation: Relation, records: Records) -> Result:
    """Goes past the next of `records` if it is as the statement says; else raises AssertionFailed."""
    if statement.null and relation.is_stream:
        raise SqlError(
            f'"{relation.name}" is a stream, of which no row is ever removed', statement.relation.span,
            hint="ASSERT VALUES … VALUES (…)",
        )  # fmt: skip
    columns = _named_columns(statement, relation)
    expected = _values(statement, columns)
    try:
        record = records.next()
    except PositionGone as gone:
        raise OutOfRange(f'retention has taken records of "{relation.name}"', statement.relation.span) from gone
    place = f'record {records.taken + 1} of "{relation.name}"'
    failure = _difference(place, statement.null, columns, expected, record)
    if failure is not None:
        raise AssertionFailed(
            failure, statement.span, columns=tuple(c.name for c in columns), expected=_row(expected),
            actual=_row(_part(record, columns)) if record is not None else None,
        )  # fmt: skip
    records.take()
    return Result.of_message(f"{place} is as expected")


def assert_relation(statement: syntax.AssertRelation, relation: Relation) -> Result:
    """Raises AssertionFailed unless the relation has the kind, the columns and the properties that are named."""
    if relation.kind != statement.kind:
        raise AssertionFailed(
            f'"{relation.name}" is a {relation.kind.lower()}, not a {statement.kind.lower()}', statement.name.span
        )
    if statement.columns:
        _assert_columns(statement, relation)
    _assert_properties(statement, relation)
    return Result.of_message(f"{relation.kind.lower()} {relation.name} is as expected")


def refuse_topic(statement: syntax.AssertTopic | syntax.AssertSchema) -> Unsupported:
    """Why an assert about Kafka or its schema registry cannot be run."""
    what = "are no topics" if isinstance(statement, syntax.AssertTopic) else "is no registry of schemas"
    return Unsupported(f"there {what} here", statement.span, hint="write ASSERT STREAM or ASSERT TABLE")


# ---------------------------------------------------------------- values


def _named_columns(statement: syntax.AssertValues, relation: Relation) -> tuple[Column, ...]:
    """The columns to compare, in order: those named, else all, or for a removal those of the key."""
    if not statement.columns:
        key = relation.key if statement.null else None
        return tuple(c for c in relation.columns if key is None or c.name in key)
    scope = [ScopeColumn(None, c.name, c.name, c.type) for c in relation.columns]
    if relation.is_stream:
        scope += [ScopeColumn(None, c.name, c.name, c.type, hidden=True) for c in PSEUDO_TYPES]
    names = [syntax.Name((identifier,), span=identifier.span) for identifier in statement.columns]
    found = [Scope(tuple(scope)).resolve(name)[0] for name in names]
    return tuple(Column(c.name, c.type) for c in found)


def _values(statement: syntax.AssertValues, columns: tuple[Column, ...]) -> pa.RecordBatch:
    """The values as one row with the types of `columns`."""
    if len(statement.values) != len(columns):
        at = statement.values[min(len(columns), len(statement.values) - 1)].span
        names = ", ".join(c.name for c in columns)
        raise SqlError(f"{len(statement.values)} values for {len(columns)} columns", at, hint=f"columns: {names}")
    for value in statement.values:
        refuse_name(value)
    return cast_values((tuple(with_duckdb_calls(value, {}) for value in statement.values),), columns)


def _difference(
    place: str, is_removal: bool, columns: tuple[Column, ...], expected: pa.RecordBatch, record: Record | None
) -> str | None:
    """What is wrong with a record; None if nothing is."""
    if record is None:
        return f"there is no {place}"
    if record.is_removal != is_removal:
        return f"{place} is the removal of a row" if record.is_removal else f"{place} is a row, not a removal"
    actual = _part(record, columns)
    different = [
        f"{column.name} is {_text(found)}, not {_text(wanted)}"
        for column, wanted, found in zip(columns, expected.columns, actual.columns, strict=True)
        if not _same(wanted, found)
    ]
    return f"{place} is another: {', '.join(different)}" if different else None


def _part(record: Record, columns: tuple[Column, ...]) -> pa.RecordBatch:
    arrays = [record.row.column(column.name) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{i}" for i in range(len(arrays))])


def _same(left: pa.Array, right: pa.Array) -> bool:
    """Whether two arrays of one value hold the same one, as GROUP BY sees it: NULL is NULL, NaN is NaN."""
    words = [row_words(pa.RecordBatch.from_arrays([array], names=["c"])) for array in (left, right)]
    return bool((words[0] == words[1]).all())


def _row(batch: pa.RecordBatch) -> tuple[str | None, ...]:
    return tuple(texts(column)[0] for column in batch.columns)


def _text(array: pa.Array) -> str:
    (text,) = texts(array)
    return "NULL" if text is None else text


# ---------------------------------------------------------------- definitions


@dataclass(frozen=True, slots=True)
class _Shape:
    """What of a column is compared. `name` is in lower case unless it was quoted."""

    name: str
    type: str
    role: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name, self.type, self.role)))


def _assert_columns(statement: syntax.AssertRelation, relation: Relation) -> None:
    expected = [_defined(definition, relation) for definition in statement.columns]
    # A name is compared as the statement writes it; where there is none to compare with, the definition's is shown.
    quoted = [definition.name.quoted for definition in statement.columns]
    exact = [place < len(quoted) and quoted[place] for place in range(len(relation.columns))]
    actual = [_actual(column, relation, e) for column, e in zip(relation.columns, exact, strict=True)]
    if expected != actual:
        _fail(statement, relation, "columns", ", ".join(map(str, expected)), ", ".join(map(str, actual)))


def _defined(definition: syntax.ColumnDefinition, relation: Relation) -> _Shape:
    if definition.default is not None or definition.computed is not None or definition.header is not None:
        raise Unsupported("only the name, the type and the key of a column can be asserted", definition.span)
    try:
        type_name = normal_type(definition.type)
    except TypeProblem as error:
        error.span = definition.span
        raise
    name = definition.name.text if definition.name.quoted else definition.name.text.lower()
    if definition.primary_key:
        return _Shape(name, type_name, "PRIMARY KEY")
    if definition.key and not (relation.is_stream and relation.is_derived):  # which has the partitions of its source
        return _Shape(name, type_name, "KEY")
    return _Shape(name, type_name, "NOT NULL" if definition.not_null else "")


def _actual(column: Column, relation: Relation, is_exact: bool) -> _Shape:
    role = "NOT NULL" if column.name in relation.not_null else ""
    if relation.is_stream and column.name in relation.partition_key:
        role = "KEY"
    elif not relation.is_stream and column.name in (relation.key or ()):
        role = "PRIMARY KEY"
    return _Shape(column.name if is_exact else column.name.lower(), column.type, role)


def _assert_properties(statement: syntax.AssertRelation, relation: Relation) -> None:
    """Compares the properties that the statement names; those that have no effect in CREATE have none here."""
    given = read_properties(
        syntax.CreateRelation(statement.kind, statement.name, properties=statement.properties, span=statement.span)
    )
    options = log_options(given)
    timestamp = given["timestamp"].value if "timestamp" in given else None
    if relation.timestamp is not None and timestamp is not None and timestamp.lower() == relation.timestamp.lower():
        timestamp = relation.timestamp
    compared = {
        "partitions": (partitions(given), relation.partitions),
        "timestamp": (timestamp, relation.timestamp),
        "timestamp_format": (timestamp_format(given), relation.timestamp_format),
        "retention": (options.retention_us, relation.log.retention_us),
        "retention_size": (options.retention_bytes, relation.log.retention_bytes),
        "compression": (options.compression, relation.log.compression),
    }
    for name, item in given.items():
        if name in compared:
            expected, actual = compared[name]
            if expected != actual:
                _fail(statement, relation, name, item.value, "not set" if actual is None else str(actual))
        elif name not in WITHOUT_EFFECT:
            raise Unsupported(f"the property {name} cannot be asserted", item.span)


def _fail(statement: syntax.AssertRelation, relation: Relation, what: str, expected: str, actual: str) -> NoReturn:
    raise AssertionFailed(
        f'{what} of "{relation.name}": {actual}, not {expected}', statement.span,
        columns=(what,), expected=(expected,), actual=(actual,),
    )  # fmt: skip
