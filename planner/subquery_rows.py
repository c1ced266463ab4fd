"""The rows of a subquery: its columns, and the conditions that tie them to the query around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import count
from typing import Protocol

from headwater.errors import UnknownName, Unsupported
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.aggregate_calls import is_aggregate
from headwater.planner.aggregates import is_grouped
from headwater.planner.expressions import bind_predicate, column_expression, conjuncts
from headwater.planner.from_items import BoundItem
from headwater.planner.logical import Expression, Filter, Plan, Project, TableSource
from headwater.planner.names import names_in, with_names
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.select_list import expand_items
from headwater.planner.sql_types import constant_value
from headwater.planner.user_functions import declared, has_user_call

NULL = syntax.Literal("null", "NULL")


class Binder(Protocol):
    """What binds the parts of a subquery; `ctes` are the queries that FROM can name besides relations."""

    ctes: dict[str, BoundItem]

    def inner(self, query: syntax.Query, at: syntax.Node) -> BoundItem:
        """A query inside another one."""

    def select(self, select: syntax.Select) -> BoundItem:
        """A SELECT."""

    def selected(self, select: syntax.Select, source: BoundItem) -> BoundItem:
        """A SELECT over the rows of its FROM."""

    def from_item(self, item: syntax.FromItem) -> BoundItem:
        """An item of FROM."""

    def where(self, source: BoundItem, condition: syntax.Expression) -> BoundItem:
        """The rows for which a condition holds, in which subqueries may stand."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a subquery: its columns as they were written, and the conditions that tie it to the outer query."""

    item: BoundItem
    values: tuple[Expression, ...]
    conditions: tuple[Expression, ...] = ()


def has_subquery(node: syntax.Node) -> bool:
    """Whether a query stands somewhere in `node`."""
    return any(isinstance(inner, syntax.Subquery | syntax.Exists) for inner in syntax.walk(node))


def all_of(parts: Iterable[syntax.Expression]) -> syntax.Expression:
    """The conditions joined by AND."""
    return reduce(lambda a, b: syntax.Binary("AND", a, b, span=a.span), parts)


def rows_of(query: syntax.Query, outer: BoundItem, binder: Binder, at: syntax.Node) -> Rows:
    """The rows of a subquery, of which WHERE may read the columns of the query around it."""
    select = plain_select(query)
    if select is None or select.source is None or is_grouped(select) or select.distinct or select.window is not None:
        return derived(query, outer, binder, at)
    item = binder.from_item(select.source)
    parts = list(conjuncts(select.where)) if select.where is not None else []
    tied = [part for part in parts if reads_outer(part, item.scope, outer.scope)]
    local = [part for part in parts if part not in tied]
    if local:
        item = binder.where(item, all_of(local))
    rows = renamed_rows(item, outer)
    conditions = tuple(_over_both(part, rows.item.scope, outer.scope) for part in tied)
    values = tuple(e for _, e in expand_items(select.items, rows.item.scope))
    return Rows(rows.item, values, conditions)


def plain_select(query: syntax.Query) -> syntax.Select | None:
    """The SELECT that a query is, if it is no more than that."""
    rest = query.ctes or query.order_by or query.limit is not None or query.offset is not None or query.as_of
    if rest or not isinstance(query.body, syntax.Select) or query.body.qualify is not None:
        return None
    return query.body


def derived(query: syntax.Query, outer: BoundItem, binder: Binder, at: syntax.Node) -> Rows:
    """The rows of a subquery that reads nothing of the query around it; Unsupported, from UnknownName, if it does."""
    try:
        return renamed_rows(binder.inner(query, at), outer)
    except UnknownName as error:
        names = [name for name in names_in(query) if name.span.start == (error.span.start if error.span else None)]
        if any(outer.scope.has(name) for name in names):
            raise Unsupported(
                "a subquery with groups, DISTINCT or LIMIT cannot read the query around it in a continuous query yet",
                error.span, hint="write a plain SELECT … FROM … WHERE …",
            ) from error  # fmt: skip
        raise


def renamed_rows(item: BoundItem, outer: BoundItem) -> Rows:
    """The rows of a subquery, with names that the query around it does not have."""
    taken = outer.plan.names
    prefix = next(p for p in map("$q{}.".format, count()) if not any(name.startswith(p) for name in taken))
    items = tuple((f"{prefix}{c.name}", column_expression(c.name, c.type)) for c in item.plan.columns)
    scope = Scope(tuple(replace(c, internal=f"{prefix}{c.internal}") for c in item.scope.columns))
    values = tuple(column_expression(c.internal, c.type) for c in scope.visible())
    time, partition = (None if name is None else f"{prefix}{name}" for name in (item.time, item.partition))
    plan = Project(item.plan, items)
    renamed = replace(item, plan=plan, scope=scope, time=time, partition=partition, stream_time=None, is_join=False)
    return Rows(renamed, values)


def reads_outer(part: syntax.Expression, inner: Scope, outer: Scope) -> bool:
    """Whether a condition, but for subqueries in it, names a column of the query around it."""

    def leave_out(node: syntax.Node) -> syntax.Node | None:
        return NULL if isinstance(node, syntax.Subquery | syntax.Exists) else None

    return any(not means(name, inner) and outer.has(name) for name in names_in(syntax.rewrite(part, leave_out)))


def means(name: syntax.Name, scope: Scope) -> bool:
    """Whether `name` means a column of `scope`, or several."""
    own = [c for c in scope.columns if len(name.parts) == 1 and c.name.lower() == name.parts[0].text.lower()]
    return bool(own) or scope.has(name)


def _over_both(part: syntax.Expression, inner: Scope, outer: Scope) -> Expression:
    """A condition over the columns of a subquery and of the query around it; the subquery's own come first."""
    if has_subquery(part):
        raise Unsupported("a subquery cannot stand in a condition on the query around it", part.span)

    def change(name: syntax.Name) -> syntax.Name:
        column, fields = (outer if not means(name, inner) and outer.has(name) else inner).resolve(name)
        return syntax.Name((Identifier(column.internal, quoted=True), *fields), span=name.span)

    names = tuple(ScopeColumn(None, c.internal, c.internal, c.type) for c in (*inner.columns, *outer.columns))
    return bind_predicate(with_names(part, change), Scope(names), "WHERE")


def never_null(plan: Plan, value: Expression) -> bool:
    """Whether `value` is a column of a primary key."""
    match plan:
        case TableSource():
            return value.is_column and value.reads[0] in plan.primary_key
        case Filter():
            return never_null(plan.source, value)
        case Project():
            items = dict(plan.items)
            return value.is_column and never_null(plan.source, items[value.reads[0]])
    return False


def widened(source: BoundItem, plan: Plan, added: tuple[ScopeColumn, ...], *, then: bool) -> BoundItem:
    """`source` with the columns `added` by a join; a stream stays one if each row met a table as it was `then`."""
    wider = replace(source, plan=plan, scope=Scope((*source.scope.columns, *added)))
    return wider if then else replace(wider, time=None, partition=None, stream_time=None, is_history=False)


def of_no_rows(expression: syntax.Expression) -> syntax.Expression | None:
    """The value of an expression of aggregates over no rows; None if it is NULL."""

    def change(node: syntax.Node) -> syntax.Node | None:
        if not isinstance(node, syntax.Call) or not is_aggregate(node):
            return None
        own = declared(node.name)
        if own is not None:
            return replace(node, arguments=(syntax.Cast(NULL, f"{own.row_type}[]"),))
        return syntax.Literal("number", "0") if node.name.lower() == "count" else NULL

    rewritten = syntax.rewrite(expression, change)
    for name in names_in(rewritten):
        raise Unsupported(
            "beside an aggregate of all rows there can be no column here in a continuous query", name.span,
            hint="combine the two in the query around it",
        )  # fmt: skip
    if has_user_call(rewritten):
        return rewritten  # which only a step can compute
    found = constant_value(unparse(rewritten))
    return None if found is None or found[0] is None else syntax.Literal("string", found[0])
