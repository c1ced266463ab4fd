"""Items of FROM, bound: the plan of each, what can be named in it, and how aliases make new ones of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headwater.errors import SqlError
from headwater.parser.syntax import Identifier
from headwater.planner.expressions import column_expression
from headwater.planner.logical import EVENT_TIME, PARTITION, Plan, Project
from headwater.planner.scope import Scope, ScopeColumn
from headwater.values import ROWPARTITION, ROWTIME

CARRIED = {EVENT_TIME: ROWTIME, PARTITION: ROWPARTITION}  # hidden columns of a stream's plan, and what they are called


@dataclass(frozen=True)
class BoundItem:
    """A bound FROM item: its plan, what can be named, and for a stream the columns of its event time and partition.

    `partitions` is how many a stream has. The columns of a join go by `alias.column` in its plan. A history has all
    rows of streams but no order of them: it is what two streams joined over their whole past give.
    """

    plan: Plan
    scope: Scope
    time: str | None = None
    partition: str | None = None
    stream_time: str | None = None
    is_join: bool = False
    is_history: bool = False
    partitions: int = 1

    @property
    def is_stream(self) -> bool:
        return self.time is not None


def table_item(plan: Plan) -> BoundItem:
    """The result of a query that is a table."""
    return BoundItem(plan, Scope(tuple(ScopeColumn(None, c.name, c.name, c.type) for c in plan.columns)))


def stream_item(plan: Plan, partitions: int) -> BoundItem:
    """The result of a query that is a stream: event time and partition go by the names of pseudo-columns, if free."""
    shown = [ScopeColumn(None, c.name, c.name, c.type) for c in plan.columns if c.name not in CARRIED]
    taken = {column.name.upper() for column in shown}
    types = {c.name: c.type for c in plan.columns}
    hidden = [ScopeColumn(None, n, c, types[c], hidden=True) for c, n in CARRIED.items() if n not in taken]
    return BoundItem(plan, Scope((*shown, *hidden)), EVENT_TIME, PARTITION, partitions=partitions)


def aliased(source: BoundItem, alias: str | None, names: tuple[Identifier, ...] = ()) -> BoundItem:
    """`source` under an alias, which may give its first columns other `names`."""
    shown = [c for c in source.scope.columns if not c.hidden]
    if len(names) > len(shown):
        raise SqlError(
            f'"{alias}" has {len(shown)} columns, and here are {len(names)} names', names[len(shown)].span,
            hint=f"columns: {', '.join(c.name for c in shown)}",
        )  # fmt: skip
    called = {c.internal: i.text for c, i in zip(shown, names, strict=False)}
    columns = tuple(replace(c, relation=alias, name=called.get(c.internal, c.name)) for c in source.scope.columns)
    return replace(source, scope=Scope(columns), is_join=False)


def prefixed(source: BoundItem) -> BoundItem:
    """One side of a join, with its columns renamed to `alias.column` so that both sides' names are distinct."""
    if source.is_join:
        return source
    internal = {c.internal: f"{c.relation}.{c.internal}" for c in source.scope.columns}
    items = tuple(
        (internal[c.name], column_expression(c.name, c.type)) for c in source.plan.columns if c.name in internal
    )
    columns = tuple(replace(c, internal=internal[c.internal]) for c in source.scope.columns)
    time, partition = internal.get(source.time or ""), internal.get(source.partition or "")
    plan = Project(source.plan, items)
    return replace(source, plan=plan, scope=Scope(columns), time=time, partition=partition, stream_time=None)
