"""Into what rows can be put, and for which of its columns they have values."""

from __future__ import annotations

from headwater.errors import SqlError
from headwater.parser import syntax
from headwater.planner.alerts import FIRST_ID as FIRST_ALERT_ID
from headwater.planner.catalog import Catalog, Relation
from headwater.planner.scope import Scope, ScopeColumn
from headwater.values import ROWTIME, Column


def target_named(name: syntax.Identifier, catalog: Catalog) -> Relation:
    """The stream or table that `name` refers to, into which rows can be put. Raises SqlError for any other: rows of a
    derived relation come from its query alone, of a stream of files from these, of a queue from what is received.
    """
    relation, span = catalog.find_target(name), name.span
    if relation.queue is not None:
        raise SqlError(f'"{relation.name}" is a queue', span, hint="RECEIVE, ACK and NACK change what it holds")
    if relation.files is not None:
        raise SqlError(
            f'the rows of "{relation.name}" come from files', span, hint=f"add them to {relation.files.path}"
        )
    if relation.reaction is not None:
        raise SqlError(
            f'"{relation.name}" has the rows that violate an assertion', span, hint="change what the assertion reads"
        )
    if relation.has_query or relation.errors_of is not None:
        from_what = "an assertion" if relation.id >= FIRST_ALERT_ID else "a query that fails"
        raise SqlError(
            f'the rows of "{relation.name}" come from {"its query" if relation.has_query else from_what}',
            span,
            hint="change the streams and tables it reads",
        )
    return relation


def targets_of(names: tuple[syntax.Identifier, ...], relation: Relation) -> tuple[Column, ...]:
    """The columns that values are given for, by their names, in order."""
    known = [ScopeColumn(None, c.name, c.name, c.type) for c in relation.columns]
    if relation.is_stream and relation.timestamp is None:
        known.append(ScopeColumn(None, ROWTIME, ROWTIME, "TIMESTAMP", hidden=True))
    scope = Scope(tuple(known))
    found = [scope.resolve(syntax.Name((i,), span=i.span))[0] for i in names]
    for i, column in enumerate(found):
        if column in found[:i]:
            raise SqlError(f'column "{column.name}" is named twice', names[i].span)
    return tuple(Column(c.name, c.type) for c in found)
