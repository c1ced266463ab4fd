"""ON CONFLICT, looked at before anything is read: about which tables it is, and what may stand in it."""

from __future__ import annotations

from headwater.errors import SqlError
from headwater.parser import syntax
from headwater.planner.catalog import Relation
from headwater.planner.targets import targets_of
from headwater.values import Column

EXCLUDED = "excluded"  # what the row that was to be inserted is called


def refuse_conflict(clause: syntax.OnConflict, relation: Relation) -> None:
    """Raises SqlError where an ON CONFLICT is not about the key of a table."""
    if not relation.primary_key:
        kind = "stream" if relation.is_stream else "table without a PRIMARY KEY"
        raise SqlError(
            f'"{relation.name}" is a {kind}, where no two rows are in conflict', clause.span,
            hint="leave ON CONFLICT out, or declare a table with a PRIMARY KEY",
        )  # fmt: skip
    if clause.columns and {c.name for c in targets_of(clause.columns, relation)} != set(relation.primary_key):
        key = ", ".join(relation.primary_key)
        raise SqlError(
            f'what rows of "{relation.name}" can be in conflict about is its PRIMARY KEY', clause.columns[0].span,
            hint=f"write ON CONFLICT ({key})",
        )  # fmt: skip


def set_columns(clause: syntax.OnConflict, relation: Relation) -> tuple[Column, ...]:
    """The columns that DO UPDATE sets. Raises SqlError for what cannot be set."""
    if EXCLUDED in (relation.name.lower(), *(c.name.lower() for c in relation.columns)):
        raise SqlError(
            f'"{EXCLUDED}" is the row that was to be inserted, and a name in "{relation.name}" as well', clause.span,
            hint="give the column or table another name",
        )  # fmt: skip
    targets = targets_of(tuple(a.column for a in clause.assignments), relation)
    for assignment, column in zip(clause.assignments, targets, strict=True):
        if column.name in relation.primary_key:
            raise SqlError(
                f'"{column.name}" is of the PRIMARY KEY, which both rows have', assignment.column.span,
                hint="leave it out, or UPDATE the key of a row",
            )  # fmt: skip
    return targets
