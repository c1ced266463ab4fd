"""UPDATE, DELETE and INSERT … SELECT: rows that are made of the rows there are.

In: a statement, and a reader that answers queries over the present; out: the rows to append to the log of a source
table, with their weights, or an error and nothing. In a table with a primary key, +1 replaces the row of its key and −1
removes it; in one without, a row that is changed is removed (−1) as it is, and added (+1) as it will be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.engine import ingest
from headwater.engine.reading import ROWS
from headwater.engine.result import Result
from headwater.engine.violations import Sorted, sort_out
from headwater.errors import NullRefused, SqlError, Unsupported
from headwater.executor.arrow_path import values_of
from headwater.executor.key_index import KeyIndex
from headwater.executor.keys import Words, key_words
from headwater.executor.state import consolidate
from headwater.parser import syntax
from headwater.parser.syntax import Identifier
from headwater.planner import Catalog, Relation
from headwater.planner.key_constants import Key, key_constants
from headwater.planner.qualified import with_short_names
from headwater.planner.targets import targets_of
from headwater.values import Column, Delta, concat_deltas

Places = npt.NDArray[np.int64]

ROW_NUMBER = "$row"


class Asked(Protocol):
    """Whoever answers queries over what a statement sees: a `Reader`, or what a transaction sees."""

    def query(self, query: syntax.Query) -> Result:
        """The answer to a query."""

    def columns(self, query: syntax.Query, catalog: Catalog) -> tuple[Column, ...]:
        """The columns that a query has."""

    def row(self, relation: Relation, key: Key) -> pa.RecordBatch:
        """The row of a key of a source table, if there is one."""

    def present_rows(self, relation: Relation) -> pa.RecordBatch:
        """The rows of a source table."""

    def over_rows(self, query: syntax.Query, relation: Relation, rows: pa.RecordBatch) -> pa.Table:
        """The answer to a query in which ROWS is a table that has the columns of `relation` and these rows."""


def updated(statement: syntax.Update, relation: Relation, reader: Asked) -> tuple[Delta, Sorted]:
    """What an UPDATE appends, and how the checks sort the new rows: a row whose new one is left out stays as it is.
    Raises SqlError if a new row must not be.
    """
    _refuse_other_than_table(statement, relation)
    targets = targets_of(tuple(a.column for a in statement.assignments), relation)
    values = assigned(statement.assignments, targets)
    keeps_key = not {c.name for c in targets}.intersection(relation.primary_key)
    one = _of_a_key(statement, relation, reader, targets) if keeps_key else None
    if one is not None:
        old, new = one
        rows = old
        places = np.arange(old.num_rows)
    else:
        rows, answer = _numbered(statement, values, relation, reader, one_row=keeps_key)
        places = answer.column(ROW_NUMBER).to_numpy()
        if len(np.unique(places)) < len(places):
            raise SqlError("SET gives several values for one row", statement.span)
        answer = answer.take(pa.array(np.argsort(places)))
        places = np.sort(places)
        old = rows.take(pa.array(places))
        new = with_values(relation, old, answer, targets)
    refuse_nulls(relation, new, targets, statement.assignments)
    found = sort_out(relation, new)
    if found.left_out:
        places, passing = places[found.passing], pa.array(found.passing)
        old, new = old.take(passing), new.take(passing)
    if not relation.primary_key:
        return consolidate(concat_deltas(old.schema, [_removed(old), Delta(new)])), found
    if keeps_key:
        return Delta(new), found
    before, after = _keys(relation, rows), _keys(relation, new)
    _refuse_same_key(statement, relation, np.delete(before, places, axis=0), after)
    gone = np.flatnonzero(_index(after).find(before[places]) < 0)
    return concat_deltas(old.schema, [_removed(old.take(pa.array(gone))), Delta(new)]), found


def deleted(statement: syntax.Delete, relation: Relation, reader: Asked) -> tuple[Delta, int]:
    """What a DELETE appends, and how many rows it removes."""
    _refuse_other_than_table(statement, relation)
    one = _of_a_key(statement, relation, reader, ())
    if one is not None:
        return _removed(one[0]), one[0].num_rows
    rows, answer = _numbered(statement, (), relation, reader, one_row=True)
    places = np.sort(answer.column(ROW_NUMBER).to_numpy())
    return consolidate(_removed(rows.take(pa.array(places)))), len(places)


def selected(statement: syntax.Insert, relation: Relation, catalog: Catalog, reader: Asked) -> pa.RecordBatch:
    """The rows of INSERT … SELECT, which runs once, with the columns of `relation`."""
    targets = targets_of(statement.columns, relation) if statement.columns else relation.columns
    found = len(reader.columns(statement.query, catalog))
    if found != len(targets):
        columns = ", ".join(c.name for c in targets)
        raise SqlError(f"{found} values for {len(targets)} columns", statement.query.span, hint=f"columns: {columns}")
    names = tuple(Identifier(f"c{i}") for i in range(found))
    items = tuple(
        syntax.SelectItem(syntax.Cast(syntax.Name((name,)), column.type), Identifier(column.name, quoted=True))
        for name, column in zip(names, targets, strict=True)
    )
    source = syntax.Derived(statement.query, Identifier("given"), names, span=statement.query.span)
    result = reader.query(syntax.Query(syntax.Select(items, source), span=statement.query.span))
    rows = ingest.conform(relation, result.arrow())
    refuse_nulls(relation, rows, targets, [statement.query] * (found + 1))
    return rows


def _refuse_other_than_table(statement: syntax.Update | syntax.Delete, relation: Relation) -> None:
    word, span = type(statement).__name__.upper(), statement.relation.span
    if relation.is_stream:
        raise SqlError(
            f'"{relation.name}" is a stream: its rows stay as they are', span,
            hint=f"{word} works on tables; CREATE TABLE … AS SELECT … makes one of a stream",
        )  # fmt: skip
    if not relation.primary_key and relation.partitions > 1:
        raise Unsupported(
            f"{word} in a table of several partitions needs a PRIMARY KEY", span,
            hint="declare a PRIMARY KEY, or leave out partitions",
        )  # fmt: skip


def key_of(statement: syntax.Update | syntax.Delete, relation: Relation) -> Key:
    """The key of the one row that a statement means, if its WHERE says it."""
    if not relation.primary_key:
        return ()
    return key_constants(syntax.Select((), syntax.Relation(statement.relation), where=statement.where), relation)


def _of_a_key(
    statement: syntax.Update | syntax.Delete, relation: Relation, reader: Asked, targets: Sequence[Column]
) -> tuple[pa.RecordBatch, pa.RecordBatch] | None:
    """The row that a statement means, if there is one, as it is and with the values that it gives it; None where that
    has to be asked as a query.
    """
    key = key_of(statement, relation)
    if not key or statement.where is None:
        return None
    given = statement.assignments if isinstance(statement, syntax.Update) else ()
    trees = [(statement.where, "BOOLEAN"), *((a.value, c.type) for a, c in zip(given, targets, strict=True))]
    row = reader.row(relation, key)
    found = values_of(trees, relation.columns, row)
    if found is None:
        return None
    if not (row.num_rows and found[0][0].as_py()):
        return row.slice(0, 0), row.slice(0, 0)
    values = dict(zip((c.name for c in targets), found[1:], strict=True))
    columns = [values.get(name, row.column(name)) for name in row.schema.names]
    return row, pa.RecordBatch.from_arrays(columns, schema=row.schema)


def _numbered(
    statement: syntax.Update | syntax.Delete,
    values: tuple[syntax.SelectItem, ...],
    relation: Relation,
    reader: Asked,
    *,
    one_row: bool,
) -> tuple[pa.RecordBatch, pa.Table]:
    """The rows of a table, and the numbers of those that a statement means with the values that it gives them.

    With `one_row`, a statement that means the row of one key gets no other.
    """
    select = with_short_names(
        syntax.Select(values, syntax.Relation(statement.relation), where=statement.where, span=statement.span)
    )
    key = key_constants(select, relation) if one_row else ()
    rows = reader.row(relation, key) if key else reader.present_rows(relation)
    return rows, numbered(select, relation, rows, reader)


def numbered(select: syntax.Select, relation: Relation, rows: pa.RecordBatch, reader: Asked) -> pa.Table:
    """The answer to a SELECT from a table that has the columns of `relation` and these rows, with their numbers."""
    number = syntax.SelectItem(syntax.Name((Identifier(ROW_NUMBER, quoted=True),)))
    assert isinstance(select.source, syntax.Relation)
    source = syntax.Relation(Identifier(ROWS, quoted=True), alias=select.source.alias or select.source.name)
    query = syntax.Query(replace(select, items=(number, *select.items), source=source), span=select.span)
    wide = replace(relation, columns=(*relation.columns, Column(ROW_NUMBER, "BIGINT")))
    try:
        return reader.over_rows(query, wide, rows.append_column(ROW_NUMBER, pa.array(np.arange(rows.num_rows))))
    except SqlError as error:
        if ROW_NUMBER in error.message:  # DuckDB asks to group by it
            raise Unsupported(
                "an aggregate has no rows here", select.span, hint="write a query: (SELECT max(x) FROM …)"
            ) from error
        if ROW_NUMBER in (error.hint or ""):
            error.hint = f"columns: {', '.join(c.name for c in relation.columns)}"
        raise


def assigned(assignments: Sequence[syntax.Assignment], targets: Sequence[Column]) -> tuple[syntax.SelectItem, ...]:
    """The select list that gives the columns `targets` the values that SET says."""
    return tuple(
        syntax.SelectItem(syntax.Cast(a.value, column.type), Identifier(column.name, quoted=True))
        for a, column in zip(assignments, targets, strict=True)
    )


def with_values(relation: Relation, old: pa.RecordBatch, answer: pa.Table, targets: Sequence[Column]) -> pa.RecordBatch:
    """The rows `old` with the values that the answer has for some of their columns."""
    table = pa.Table.from_batches([old])
    for column in targets:
        place = old.schema.get_field_index(column.name)
        table = table.set_column(place, column.name, answer.column(column.name))
    return ingest.conform(relation, table)


def _removed(rows: pa.RecordBatch) -> Delta:
    return Delta(rows, np.full(rows.num_rows, -1, dtype=np.int64))


def refuse_nulls(
    relation: Relation, rows: pa.RecordBatch, targets: Sequence[Column], places: Sequence[syntax.Node]
) -> None:
    """Raises NullRefused for a NULL where none may be, at the place that gives the value."""
    for name in relation.not_null:
        if rows.column(name).null_count:
            number = next((i for i, column in enumerate(targets) if column.name == name), None)
            at = places[-1] if number is None else places[number]
            hint = f"name {name} in INSERT INTO …" if number is None else None
            raise NullRefused(f'column "{name}" cannot be NULL', at.span, hint=hint)


def _keys(relation: Relation, rows: pa.RecordBatch) -> Words:
    return key_words([rows.column(name) for name in relation.primary_key], rows.num_rows)


def _index(words: Words) -> KeyIndex:
    index = KeyIndex()
    index.insert(words)
    return index


def _refuse_same_key(statement: syntax.Update, relation: Relation, others: Words, new: Words) -> None:
    """Raise unless the keys of changed rows are new, and no two are the same."""
    index = _index(others)
    slots = index.insert(new)
    if (slots < len(others)).any() or len(np.unique(slots)) < len(slots):
        raise SqlError(
            f'two rows of "{relation.name}" would have the same PRIMARY KEY', statement.span,
            hint="nothing was changed; give each row a key of its own",
        )  # fmt: skip
