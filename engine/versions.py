"""IF VERSION = n of INSERT, UPDATE and DELETE: refused if what they are about was written after that version.

In a table with a primary key that is about the rows of the keys that are given, by the rows of an INSERT or the WHERE
of the others; else about the whole relation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import pyarrow as pa

from headwater.engine.reads import Key, Reads
from headwater.errors import SqlError
from headwater.parser import syntax
from headwater.planner import Relation
from headwater.planner.key_constants import key_constants
from headwater.planner.sql_types import arrow_schema

Change: TypeAlias = syntax.Insert | syntax.Update | syntax.Delete


def require(
    reads: Reads, statement: Change, relation: Relation, latest: int, rows: pa.RecordBatch | None = None
) -> None:
    """Notes in `reads` what a statement wants to be as it was at its version, if it names one; `rows` are those of an
    INSERT. Raises SqlError for a version that is not there yet.
    """
    version = statement.if_version
    if version is None:
        return
    if version > latest:
        raise SqlError(
            f"there is no version {version} yet: the last is {latest}", statement.span,
            hint="IF VERSION = the version as of which something was read",
        )  # fmt: skip
    keys = _keys_of(relation, rows) if rows is not None else _keys_in(statement, relation)
    for key in keys:
        reads.add(relation.id, version, key)
    if not keys and (rows is None or rows.num_rows):
        reads.add(relation.id, version)


def _keys_of(relation: Relation, rows: pa.RecordBatch) -> Sequence[Key]:
    columns = [rows.column(name) for name in relation.primary_key]
    return [dict(zip(relation.primary_key, values, strict=True)) for values in zip(*columns, strict=True)]


def _keys_in(statement: Change, relation: Relation) -> Sequence[Key]:
    if isinstance(statement, syntax.Insert):
        return []
    select = syntax.Select((), syntax.Relation(statement.relation), where=statement.where)
    schema = arrow_schema(relation.columns)
    key = {name: pa.scalar(value, schema.field(name).type) for name, value in key_constants(select, relation)}
    return [key] if key and relation.primary_key else []
