"""DIFF: the rows in which a stream or table here differs from the one of this name in another database.

In: two databases, both brought up to date; out: the rows that only one of them has, and which one. A row of a table is
told by its values, and comes as often as one side has it more often than the other. A record of a stream is told by its
partition and offset, too. What two logs have in common, as a fork and its original do, is not read.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.result import Result
from headwater.errors import SqlError, TypeProblem, UnknownName, suggestion
from headwater.executor.feed import Cut, read_chunks, rows_of
from headwater.executor.snapshot import SnapshotReader
from headwater.parser import parse_statement, quote, syntax
from headwater.planner import Relation
from headwater.planner.logical import StreamSource
from headwater.storage import Log, common_version
from headwater.values import ROWOFFSET, ROWPARTITION, Column

_PLACE = (Column(ROWPARTITION, "INTEGER"), Column(ROWOFFSET, "BIGINT"))


@dataclass(frozen=True)
class Side:
    """One of two databases that are compared, and what to call it."""

    pipeline: Pipeline
    reader: Reader
    name: str

    @property
    def log(self) -> Log:
        return self.pipeline.log

    def find(self, statement: syntax.Diff) -> Relation:
        """The relation that is compared. Raises SqlError if there is none of that name and kind."""
        self.pipeline.catch_up()
        catalog, name = self.pipeline.catalog, statement.name
        relation = catalog.get(name.text)
        if relation is None:
            hint = suggestion(name.text, (r.name for r in catalog.ordered()), "streams and tables")
            raise UnknownName(f'there is no stream or table "{name.text}" in {self.name}', name.span, hint=hint)
        if relation.kind != statement.kind:
            what = f'"{relation.name}" is a {relation.kind.lower()} in {self.name}'
            raise SqlError(what, name.span, hint=f"DIFF {relation.kind} {relation.name} WITH …")
        return relation


@dataclass(frozen=True)
class _Rows:
    """Rows that are compared: their columns, and those among them that say which belong next to each other."""

    table: pa.Table
    columns: tuple[Column, ...]
    order: tuple[str, ...]


def difference(statement: syntax.Diff, here: Side, there: Side) -> Result:
    """The answer to DIFF. Raises SqlError if one side has no such relation, or if the rows cannot be compared."""
    ours, theirs = here.find(statement), there.find(statement)
    if ours.is_stream:
        after = _common_beginning(ours, theirs, here.log, there.log)
        rows = _records(ours, here, after), _records(theirs, there, after)
    else:
        rows = _content(ours, here), _content(theirs, there)
    _check_types(rows[0], rows[1], statement, there.name)
    reader = SnapshotReader()
    try:
        tables = {"here": (rows[0].table, rows[0].columns), "there": (rows[1].table, rows[1].columns)}
        return Result(*reader.run(_sql(*rows), tables, statement))
    finally:
        reader.close()


def _content(relation: Relation, side: Side) -> _Rows:
    """The rows that a table has now."""
    query = parse_statement(f"SELECT * FROM {quote(relation.name)}")
    assert isinstance(query, syntax.Query)
    result = side.reader.query(query)
    return _Rows(result.arrow(), result.columns, relation.key or ())


def _records(relation: Relation, side: Side, after: int) -> _Rows:
    """The records of a stream that were committed after a version, with their places."""
    columns = (*_PLACE, *relation.columns)
    leaf = StreamSource(relation.id, relation.name, columns)
    rows = rows_of(read_chunks(side.log, leaf, after, Cut(side.log.version)), leaf)
    return _Rows(pa.Table.from_batches([rows]), columns, (ROWPARTITION, ROWOFFSET))


def _common_beginning(ours: Relation, theirs: Relation, here: Log, there: Log) -> int:
    """The version up to which a stream is the same on both sides, and need not be read."""
    if ours.id != theirs.id or here.start(ours.id) != there.start(theirs.id):
        return 0  # another stream of the same name, or retention has taken more of one
    version = common_version(here, there)
    return version if version >= here.start(ours.id).version else 0


def _check_types(ours: _Rows, theirs: _Rows, statement: syntax.Diff, name: str) -> None:
    types = {column.name: column.type for column in ours.columns}
    for column in theirs.columns:
        if types.get(column.name, column.type) != column.type:
            raise TypeProblem(
                f'column "{column.name}" is {types[column.name]} here and {column.type} in {name}, '
                "so the rows cannot be compared",
                statement.name.span,
            )


def _sql(ours: _Rows, theirs: _Rows) -> str:
    """The query over `here` and `there`. Of a column that one side does not have, its rows have NULL."""
    names = list(dict.fromkeys(column.name for rows in (ours, theirs) for column in rows.columns))
    order = [name for name in ours.order if name in theirs.order] or names
    sides = []
    for rows in (ours, theirs):
        own = {column.name for column in rows.columns}
        items = [quote(name) if name in own else f"NULL AS {quote(name)}" for name in names]
        sides.append(f"SELECT {', '.join(items)} FROM {('here', 'there')[rows is theirs]}")
    here, there = sides
    by = ", ".join([*map(quote, order), "_in", *map(quote, names)])
    return (
        f"SELECT 'here' AS _in, * FROM ({here} EXCEPT ALL {there}) "
        f"UNION ALL SELECT 'there', * FROM ({there} EXCEPT ALL {here}) ORDER BY {by}"
    )
