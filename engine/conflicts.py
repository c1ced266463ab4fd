"""INSERT … ON CONFLICT: what is to be inserted, given the rows that have these keys already.

In a table with a primary key a row that is inserted replaces the one of its key. So DO NOTHING inserts the rows of new
keys alone, and DO UPDATE besides them, in place of the others, the rows that are there with what SET changes in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from headwater.engine.changes import ROW_NUMBER, Asked, assigned, numbered, refuse_nulls, with_values
from headwater.errors import SqlError
from headwater.executor.key_index import KeyIndex
from headwater.executor.keys import key_words
from headwater.parser import quote, syntax
from headwater.planner import Relation
from headwater.planner.conflicts import EXCLUDED, refuse_conflict, set_columns
from headwater.planner.key_constants import Key
from headwater.planner.qualified import with_short_names
from headwater.planner.sql_types import arrow_schema
from headwater.values import Column

KEYS_MAX = 64  # so many rows are looked up by their keys; for more the table is read


@dataclass(frozen=True)
class Resolved:
    """The rows to insert, the last `updated` of which change one that is there."""

    rows: pa.RecordBatch
    updated: int = 0


def resolved(statement: syntax.Insert, relation: Relation, rows: pa.RecordBatch, seen: Asked) -> Resolved:
    """What to insert of `rows`, by the statement's ON CONFLICT and what `seen` has. Nobody else may write meanwhile."""
    clause = statement.on_conflict
    if clause is None:
        return Resolved(rows)
    refuse_conflict(clause, relation)
    targets = set_columns(clause, relation) if clause.assignments else ()
    words = key_words([rows.column(name) for name in relation.primary_key], rows.num_rows)
    given = KeyIndex()
    slots = given.insert(words)
    first = np.unique(slots, return_index=True)[1]
    if clause.assignments and len(first) < len(slots):
        raise SqlError(
            "two of the rows have the same PRIMARY KEY, and ON CONFLICT DO UPDATE changes a row once", statement.span,
            hint="insert them one after the other, or one for each key",
        )  # fmt: skip
    rows = rows.take(pa.array(first))
    keys = _keys(relation, rows)
    old = pa.concat_batches([seen.row(relation, key) for key in keys]) if keys else seen.present_rows(relation)
    there = KeyIndex()
    there.insert(key_words([old.column(name) for name in relation.primary_key], old.num_rows))
    places = there.find(words[first])
    fresh = rows.take(pa.array(np.flatnonzero(places < 0)))
    met = np.flatnonzero(places >= 0)
    if not clause.assignments or not len(met):
        return Resolved(fresh)
    old, excluded = old.take(pa.array(places[met])), rows.take(pa.array(met))
    changed = _changed(statement, clause, relation, targets, old, excluded, seen)
    return Resolved(pa.concat_batches([fresh, changed]), changed.num_rows)


def _changed(
    statement: syntax.Insert,
    clause: syntax.OnConflict,
    relation: Relation,
    targets: Sequence[Column],
    old: pa.RecordBatch,
    excluded: pa.RecordBatch,
    seen: Asked,
) -> pa.RecordBatch:
    """The rows of `old` that DO UPDATE means, as they will be. Beside each is the one that was to be inserted."""
    fields = ", ".join(f"{quote(c.name)} {c.type}" for c in relation.columns)
    column = Column(EXCLUDED, f"STRUCT({fields})")
    beside = pa.StructArray.from_arrays(excluded.columns, fields=list(arrow_schema(relation.columns)))
    wide = replace(relation, columns=(*relation.columns, column))
    source = syntax.Relation(statement.relation)
    select = syntax.Select(assigned(clause.assignments, targets), source, where=clause.where, span=clause.span)
    answer = numbered(with_short_names(select), wide, old.append_column(EXCLUDED, beside), seen)
    answer = answer.sort_by(ROW_NUMBER)
    changed = with_values(relation, old.take(answer.column(ROW_NUMBER).combine_chunks()), answer, targets)
    refuse_nulls(relation, changed, targets, [a.value for a in clause.assignments])
    return changed


def _keys(relation: Relation, rows: pa.RecordBatch) -> Sequence[Key]:
    """The keys to look up; none where the whole table is to be read."""
    columns = [rows.column(name) for name in relation.primary_key]
    can_be_looked_up = all(pa.types.is_integer(c.type) or pa.types.is_string(c.type) for c in columns)
    if not can_be_looked_up or not 0 < rows.num_rows <= KEYS_MAX:
        return ()
    return [
        tuple(zip(relation.primary_key, (value.as_py() for value in values), strict=True))
        for values in zip(*columns, strict=True)
    ]
