"""ALTER … ADD COLUMN and ADD CHECK: from the statement to the relation as it will be."""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import NameTaken, SqlError, Unsupported
from headwater.parser import parse_statement, quote, syntax, unparse
from headwater.planner.catalog import Catalog, Relation
from headwater.planner.checks import checks_of
from headwater.planner.create import column_of
from headwater.values import Column


def altered(statement: syntax.Alter, catalog: Catalog) -> Relation:
    """The relation with the columns and checks that `statement` adds; the columns are NULL in the rows there are.
    Raises SqlError.
    """
    relation = catalog.find(statement.name)
    if relation.kind != statement.kind:
        kind = relation.kind
        raise SqlError(
            f'"{relation.name}" is a {kind.lower()}', statement.name.span, hint=f"ALTER {kind} {relation.name} …"
        )
    owner = catalog.owner(relation.name)
    if relation.has_query or owner is not None:
        where, made_by = "query", f"{relation.kind} {relation.name} AS SELECT"
        if owner is not None:
            where, made_by = "pipeline", f"PIPELINE {owner.pipeline}"
        raise SqlError(
            f'the columns of "{relation.name}" come from its {where}', statement.name.span,
            hint=f"CREATE OR REPLACE {made_by} …",
        )  # fmt: skip
    for action in statement.actions:
        if not isinstance(action, syntax.AddCheck):
            relation = replace(relation, columns=(*relation.columns, _added(action, relation)))
    clauses = added_checks(statement)
    if clauses:
        _refuse_checking(relation, clauses[0], catalog)
    made = checks_of(clauses, relation.name, relation.columns, relation.not_null, catalog)
    own = next((clause for clause, check in zip(clauses, made, strict=True) if check.into == relation.id), None)
    if own is not None:
        raise SqlError(f'rows that violate it cannot go into "{relation.name}" itself', own.span)
    return replace(relation, checks=(*relation.checks, *made))


def added_checks(statement: syntax.Alter) -> list[syntax.Check]:
    """The CHECK clauses of an ALTER, in their order."""
    clauses: list[syntax.Check] = []
    for action in statement.actions:
        if isinstance(action, syntax.AddColumn):
            clauses += action.column.checks
        elif isinstance(action, syntax.AddCheck):
            clauses.append(action.check)
    return clauses


def violating_check(clause: syntax.Check, before: Relation, after: Relation) -> syntax.Query:
    """A query for a row that a relation has before an ALTER, and that violates a check that it adds."""
    new = "".join(f", CAST(NULL AS {c.type}) AS {quote(c.name)}" for c in after.columns[len(before.columns) :])
    source = f"(SELECT *{new} FROM {quote(before.name)}) AS {quote(before.name)}"
    query = parse_statement(f"SELECT * FROM {source} WHERE NOT coalesce({unparse(clause.condition)}, TRUE) LIMIT 1")
    assert isinstance(query, syntax.Query)
    return query


def _added(action: syntax.Node, relation: Relation) -> Column:
    if not isinstance(action, syntax.AddColumn):
        what = "DROP COLUMN" if isinstance(action, syntax.DropColumn) else "RENAME"
        raise Unsupported(f"ALTER … {what} is not supported yet", action.span, hint="ADD COLUMN name type")
    definition = action.column
    if definition.key or definition.primary_key or definition.not_null:
        raise SqlError(
            f'the rows there are have no "{definition.name.text}": it cannot be a key, nor NOT NULL',
            definition.span, hint=f"ADD COLUMN {definition.name.text} {definition.type}",
        )  # fmt: skip
    column = column_of(definition)
    taken = next((c.name for c in relation.columns if c.name.lower() == column.name.lower()), None)
    if taken is not None:
        raise NameTaken(f'"{relation.name}" has a column "{taken}" already', definition.name.span)
    return column


def _refuse_checking(relation: Relation, clause: syntax.Check, catalog: Catalog) -> None:
    """Raises SqlError for a relation that cannot get a check: rows that go there have nowhere else to go."""
    if relation.files is not None:
        raise Unsupported("a CHECK of a stream of files is made with the stream", clause.span, hint="leave it out")
    for other in catalog.ordered():
        dead_letter = None if other.queue is None else other.queue.dead_letter
        if relation.id in {other.errors_into, dead_letter, *(check.into for check in other.checks)}:
            raise SqlError(
                f'"{relation.name}" cannot have a CHECK: it takes what "{other.name}" has no use for', clause.span,
                hint=f"DROP {other.made_as} {other.name}; first",
            )  # fmt: skip
