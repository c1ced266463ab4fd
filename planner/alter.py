"""ALTER … ADD COLUMN: from the statement to the relation as it will be."""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import NameTaken, SqlError, Unsupported
from headwater.parser import syntax
from headwater.planner.catalog import Catalog, Relation
from headwater.planner.create import column_of
from headwater.values import Column


def altered(statement: syntax.Alter, catalog: Catalog) -> Relation:
    """The relation with the columns that `statement` adds, which are NULL in the rows there are. Raises SqlError."""
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
        relation = replace(relation, columns=(*relation.columns, _added(action, relation)))
    return relation


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
    if definition.checks:
        raise Unsupported("a CHECK is made with its relation", definition.checks[0].span, hint="leave it out")
    column = column_of(definition)
    taken = next((c.name for c in relation.columns if c.name.lower() == column.name.lower()), None)
    if taken is not None:
        raise NameTaken(f'"{relation.name}" has a column "{taken}" already', definition.name.span)
    return column
