"""A changelog as a relation: what CHANGES FROM and CHANGES OF are in a query that is kept, and in one that watches."""

from __future__ import annotations

from dataclasses import dataclass, field

from headwater.errors import SqlError, Unsupported
from headwater.parser import quote, syntax, unparse
from headwater.planner.expressions import column_expression
from headwater.planner.from_items import BoundItem
from headwater.planner.join_keys import own_items
from headwater.planner.logical import Arrivals, ChangeRows, Expression, Now, Project, Source, StreamSource, walk_plan
from headwater.planner.past_nodes import CHANGE_COLUMNS, TIME, VERSION, commit_times
from headwater.planner.scope import Scope, ScopeColumn
from headwater.values import ROWPARTITION, ROWTIME, Column

_KEPT = "CREATE TABLE … AS SELECT * FROM TABLE({}) has some"


@dataclass(frozen=True, eq=False)
class ChangeSource(StreamSource):
    """What happened to relation `id` since a point, a row per change. A circuit is given these rows: no log has them.

    They begin at `since`.
    """

    since: syntax.AsOf = field(kw_only=True)

    def label(self) -> str:
        return f"{super().label()} {unparse(syntax.Changes(self.since))}"


def changes_of(item: syntax.Relation) -> syntax.Changes | None:
    """The range of changes that an item of FROM asks for, if it does; CHANGES OF is CHANGES FROM EARLIEST."""
    if item.read_as != "CHANGES":
        if item.read_as == "TABLE" and item.changes is not None:
            raise SqlError(
                "TABLE(…) has no changes of its own", item.changes.span, hint=f"keep it: {_KEPT.format(item.name.text)}"
            )
        return item.changes
    if item.changes is not None:
        raise SqlError("CHANGES is said twice here", item.changes.span, hint="CHANGES OF begins at the earliest entry")
    return syntax.Changes(syntax.AsOf("earliest", span=item.span), span=item.span)


def with_change_columns(columns: tuple[Column, ...], item: syntax.Relation) -> tuple[Column, ...]:
    """The columns of a changelog. Raises SqlError where the relation has one of them itself."""
    taken = {c.name for c in CHANGE_COLUMNS}.intersection(c.name.lower() for c in columns)
    if taken:
        raise SqlError(
            f'"{item.name.text}" has a column "{min(taken)}" of its own, which its changes have too', item.span,
            hint=f"ask a view of it, in which the column has another name: CREATE VIEW … AS SELECT {min(taken)} AS …",
        )  # fmt: skip
    return (*CHANGE_COLUMNS, *columns)


def changes_as_stream(item: syntax.Relation, changes: syntax.Changes, table: BoundItem) -> BoundItem:
    """The changes of a table, for a query that is kept: the records of a stream with one partition.

    They happen when they are committed. Each commit is looked at by itself, so the records do not depend on steps.
    """
    name = item.name.text
    if changes.start.kind != "earliest" or changes.end is not None:
        raise Unsupported(
            "a query that is kept reads the changes of a table from the first one on", changes.span,
            hint=f"write FROM CHANGES OF {name} WHERE {VERSION} > …",
        )  # fmt: skip
    if table.is_stream or table.is_history:
        raise SqlError(f'"{name}" is a stream, whose records are its changes', item.span, hint=f"write FROM {name}")
    if any(isinstance(node, Now | Arrivals) for node in walk_plan(table.plan)):
        raise Unsupported(
            f'"{name}" changes by the passing of time alone, and a query can keep what commits change', item.span,
            hint=f"watch it: SELECT … FROM CHANGES OF {name} EMIT CHANGES",
        )  # fmt: skip
    shown = tuple((c.name, column_expression(c.internal, c.type)) for c in table.scope.columns if not c.hidden)
    with_change_columns(tuple(Column(c, e.type) for c, e in shown), item)
    source = table.plan if all(e.reads == (c,) for c, e in shown) else Project(table.plan, shown)
    leaves = (leaf for leaf in walk_plan(source) if isinstance(leaf, Source))
    rows = ChangeRows(source, commit_times(leaves))
    time = Expression(f"coalesce({quote(TIME)}, TIMESTAMP '1970-01-01')", "TIMESTAMP", (TIME,))
    partition = Expression("CAST(0 AS INTEGER)", "INTEGER")
    plan = Project(rows, (*own_items(rows), (ROWTIME, time), (ROWPARTITION, partition)))
    scope = Scope(tuple(ScopeColumn(name, c.name, c.name, c.type, c not in rows.columns) for c in plan.columns))
    return BoundItem(plan, scope, ROWTIME, ROWPARTITION)
