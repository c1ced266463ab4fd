"""Subqueries in conditions become joins: EXISTS and IN semi joins, NOT EXISTS and NOT IN anti joins, values columns.

    WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND b.y > 2)   a SEMI JOIN (b WHERE y > 2) ON b.x = a.x
    WHERE a.x > (SELECT avg(x) FROM b)                           a CROSS JOIN (SELECT avg(x) FROM b) WHERE a.x > …
    WHERE a.x > (SELECT avg(x) FROM b WHERE b.k = a.k)           a LEFT JOIN (… GROUP BY b.k) ON b.k = a.k WHERE a.x > …

A subquery over tables is joined with a stream as a table is: each row of the stream meets it as it was then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import count
from typing import Protocol, TypeVar

from headwater.errors import SqlError, UnknownName, Unsupported
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.aggregate_calls import is_aggregate
from headwater.planner.aggregates import is_grouped
from headwater.planner.expressions import bind_expression, bind_predicate, column_expression, conjuncts
from headwater.planner.from_items import BoundItem
from headwater.planner.join_keys import KeyPair, key_pair
from headwater.planner.joins import by_version, comparable, matched
from headwater.planner.logical import Aggregate, Constant, Expression, Filter, Plan, Project, TableSource
from headwater.planner.match_joins import inner_join, outer_join
from headwater.planner.names import names_in, with_names
from headwater.planner.rewrite import predicate, tree_of
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.select_list import expand_items
from headwater.planner.sql_types import constant_value

T = TypeVar("T")

_NULL = syntax.Literal("null", "NULL")
_VALUE = "$value"


class Binder(Protocol):
    """What binds the parts of a subquery."""

    def inner(self, query: syntax.Query, at: syntax.Node) -> BoundItem:
        """A query inside another one."""

    def select(self, select: syntax.Select) -> BoundItem:
        """A SELECT."""

    def from_item(self, item: syntax.FromItem) -> BoundItem:
        """An item of FROM."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a subquery: its columns as they were written, and the conditions that tie it to the outer query."""

    item: BoundItem
    values: tuple[Expression, ...]
    conditions: tuple[Expression, ...] = ()


def where(source: BoundItem, condition: syntax.Expression, binder: Binder, clause: str = "WHERE") -> BoundItem:
    """The rows of `source` for which the condition of a WHERE or HAVING holds."""
    parts = list(conjuncts(condition))
    plain = [part for part in parts if not has_subquery(part)]
    if plain:
        source = replace(source, plan=Filter(source.plan, bind_predicate(_all(plain), source.scope, clause)))
    for part in parts:
        if has_subquery(part):
            source = _where_subquery(source, part, binder, clause)
    return source


def has_subquery(node: syntax.Node) -> bool:
    """Whether a query stands somewhere in `node`."""
    return any(isinstance(inner, syntax.Subquery | syntax.Exists) for inner in syntax.walk(node))


def _all(parts: Iterable[syntax.Expression]) -> syntax.Expression:
    return reduce(lambda a, b: syntax.Binary("AND", a, b, span=a.span), parts)


def _where_subquery(source: BoundItem, condition: syntax.Expression, binder: Binder, clause: str) -> BoundItem:
    inner, negated = condition, False
    while isinstance(inner, syntax.Unary) and inner.operator == "NOT":
        inner, negated = inner.operand, not negated
    match inner:
        case syntax.Exists(query=query):
            rows = _rows(query, source, binder, inner)
            return _matched(source, rows, rows.conditions, negated=negated)
        case syntax.In(operand=operand, choices=(syntax.Subquery(query=query),)) if not has_subquery(operand):
            return _where_in(source, inner, query, negated != inner.negated, binder)
    source, inner = with_values(source, condition, binder)
    return replace(source, plan=Filter(source.plan, bind_predicate(inner, source.scope, clause)))


# ---------------------------------------------------------------- EXISTS and IN


def _matched(source: BoundItem, rows: _Rows, conditions: Iterable[Expression], *, negated: bool) -> BoundItem:
    keys: list[KeyPair] = []
    rest: list[Expression] = []
    for condition in conditions:
        pair = key_pair(condition, source.plan.columns, rows.item.plan.columns)
        if pair is None:
            rest.append(condition)
        else:
            keys.append(pair)
    return matched(source, rows.item.plan, keys, rest, negated=negated, then=by_version(source, rows.item))


def _where_in(source: BoundItem, node: syntax.In, query: syntax.Query, negated: bool, binder: Binder) -> BoundItem:
    """`x IN (…)`: some row equals x. `x NOT IN (…)`: no row equals x or is NULL, and there is none if x is NULL."""
    rows = _rows(query, source, binder, node)
    operands = node.operand.items if isinstance(node.operand, syntax.Row) else (node.operand,)
    if len(operands) != len(rows.values):
        raise SqlError(
            f"the subquery gives {len(rows.values)} columns, and IN compares {len(operands)}", query.span,
            hint="select as many as stand before IN",
        )  # fmt: skip
    if negated and len(operands) > 1:
        raise Unsupported(
            "NOT IN of several columns is not supported in a continuous query", node.span, hint="write NOT EXISTS (…)"
        )
    pairs = [
        comparable(bind_expression(operand, source.scope), value, operand)
        for operand, value in zip(operands, rows.values, strict=True)
    ]
    equal = [predicate(syntax.Binary("=", tree_of(own.sql), tree_of(value.sql))) for own, value in pairs]
    found = _matched(source, rows, (*rows.conditions, *equal), negated=negated)
    if negated:
        for side, plan in zip(pairs[0], (source.plan, rows.item.plan), strict=True):
            if not _never_null(plan, side):
                missing = predicate(syntax.Unary("IS NULL", tree_of(side.sql)))
                found = _matched(found, rows, (*rows.conditions, missing), negated=True)
    return found


def _never_null(plan: Plan, value: Expression) -> bool:
    """Whether `value` is a column of a primary key."""
    match plan:
        case TableSource():
            return value.is_column and value.reads[0] in plan.primary_key
        case Filter():
            return _never_null(plan.source, value)
        case Project():
            items = dict(plan.items)
            return value.is_column and _never_null(plan.source, items[value.reads[0]])
    return False


# ---------------------------------------------------------------- values


def with_values(source: BoundItem, node: T, binder: Binder) -> tuple[BoundItem, T]:
    """`source` with a column for each subquery in `node` that stands for a value, and `node` reading these columns.

    Raises Unsupported for a subquery that stands for no value.
    """

    def change(inner: syntax.Node) -> syntax.Node | None:
        nonlocal source
        match inner:
            case syntax.Exists():
                raise _refused("EXISTS", inner)
            case syntax.In(choices=(syntax.Subquery(),)):
                raise _refused("IN with a subquery", inner)
            case syntax.Quantified(values=syntax.Subquery()):
                raise Unsupported(
                    f"{inner.quantifier} with a subquery is not supported in a continuous query", inner.span,
                    hint="write IN or EXISTS",
                )  # fmt: skip
            case syntax.Subquery(query=query):
                source, value = _with_value(source, query, binder, inner)
                return value
        return None

    changed = syntax.rewrite(node, change)
    return source, changed


def _refused(what: str, at: syntax.Node) -> Unsupported:
    return Unsupported(
        f"{what} is supported in WHERE and HAVING alone in a continuous query, as a condition of its own", at.span,
        hint="join it to others with AND",
    )  # fmt: skip


def _with_value(
    source: BoundItem, query: syntax.Query, binder: Binder, at: syntax.Node
) -> tuple[BoundItem, syntax.Expression]:
    """`source` with the value of a subquery, and the expression that is this value."""
    select = _plain_select(query)
    if select is not None and select.source is not None and select.where is not None and _is_total(select):
        item = binder.from_item(select.source)
        parts = list(conjuncts(select.where))
        tied = [part for part in parts if _reads_outer(part, item.scope, source.scope)]
        if tied:
            local = [part for part in parts if part not in tied]
            return _with_value_of_group(
                source, replace(select, where=_all(local) if local else None), tied, item, binder
            )
    rows = _derived(query, source, binder, at)
    if rows.item.plan.key != () or len(rows.values) != 1:
        raise Unsupported(
            "a subquery that stands for a value is one aggregate of all rows in a continuous query", at.span,
            hint="write it without GROUP BY: (SELECT max(…) FROM …)",
        )  # fmt: skip
    right, then = rows.item.plan, by_version(source, rows.item)
    if _is_one_row(right):
        plan = inner_join(source.plan, right, [], [], by_version=then)
    else:
        plan = outer_join("LEFT", source.plan, right, [], [], by_version=then)
    return _widened(source, plan, rows), _column(rows.values[0], at)


def _with_value_of_group(
    source: BoundItem, select: syntax.Select, tied: list[syntax.Expression], item: BoundItem, binder: Binder
) -> tuple[BoundItem, syntax.Expression]:
    """As `_with_value`, of an aggregate of the rows that equalities tie to the row of `source`: one of a group."""
    pairs = [_tie(part, item.scope, source.scope) for part in tied]
    value = syntax.SelectItem(select.items[0].expression, Identifier(_VALUE))
    keys = tuple(syntax.SelectItem(own, Identifier(f"$key{i}")) for i, (own, _) in enumerate(pairs))
    grouped = replace(select, items=(value, *keys), group_by=tuple(own for own, _ in pairs))
    rows = _renamed(binder.select(grouped), source)
    result, *groups = rows.values
    joined_on = [
        comparable(bind_expression(outer, source.scope), group, part)
        for (_, outer), group, part in zip(pairs, groups, tied, strict=True)
    ]
    plan = outer_join("LEFT", source.plan, rows.item.plan, joined_on, [], by_version=by_version(source, rows.item))
    found = _column(result, select)
    empty = _of_no_rows(select.items[0].expression)
    if empty is not None:
        is_missing = syntax.Unary("IS NULL", _column(groups[0], select))
        found = syntax.Case(None, ((is_missing, syntax.Cast(empty, result.type)),), found, span=select.span)
    return _widened(source, plan, rows), found


def _tie(part: syntax.Expression, inner: Scope, outer: Scope) -> tuple[syntax.Expression, syntax.Expression]:
    """The inner and the outer side of an equality. Raises Unsupported for any other condition."""
    if isinstance(part, syntax.Binary) and part.operator == "=" and not has_subquery(part):
        for own, other in ((part.left, part.right), (part.right, part.left)):
            if _reads_only(own, inner) and not any(inner.has(name) for name in names_in(other)):
                return own, other
    raise Unsupported(
        "a subquery that stands for a value reads the query around it in equalities alone", part.span,
        hint="write column = outer column",
    )  # fmt: skip


def _reads_only(node: syntax.Expression, scope: Scope) -> bool:
    names = list(names_in(node))
    return bool(names) and all(scope.has(name) for name in names)


def _of_no_rows(expression: syntax.Expression) -> syntax.Expression | None:
    """The value of an expression of aggregates over no rows; None if it is NULL."""

    def change(node: syntax.Node) -> syntax.Node | None:
        if is_aggregate(node):
            assert isinstance(node, syntax.Call)
            return syntax.Literal("number", "0") if node.name.lower() == "count" else _NULL
        return None

    found = constant_value(unparse(syntax.rewrite(expression, change)))
    return None if found is None or found[0] is None else syntax.Literal("string", found[0])


def _is_total(select: syntax.Select) -> bool:
    """Whether a SELECT is one aggregate of all its rows."""
    return is_grouped(select) and not select.group_by and select.having is None and len(select.items) == 1


def _is_one_row(plan: Plan) -> bool:
    """Whether a plan has exactly one row at any time."""
    while isinstance(plan, Project):
        plan = plan.source
    return (isinstance(plan, Aggregate) and not plan.keys) or (isinstance(plan, Constant) and plan.count == 1)


def _widened(source: BoundItem, plan: Plan, rows: _Rows) -> BoundItem:
    """`source` with the values of a subquery among its columns, which go by their internal names."""
    added = tuple(ScopeColumn(None, v.reads[0], v.reads[0], v.type, hidden=True) for v in rows.values)
    widened = replace(source, plan=plan, scope=Scope((*source.scope.columns, *added)))
    if by_version(source, rows.item):
        return widened
    return replace(widened, time=None, partition=None, stream_time=None, is_history=False)


def _column(value: Expression, at: syntax.Node) -> syntax.Expression:
    return syntax.Name((Identifier(value.reads[0], quoted=True),), span=at.span)


# ---------------------------------------------------------------- the rows of a subquery


def _rows(query: syntax.Query, outer: BoundItem, binder: Binder, at: syntax.Node) -> _Rows:
    """The rows of a subquery, of which WHERE may read the columns of the query around it."""
    select = _plain_select(query)
    if select is None or select.source is None or is_grouped(select) or select.distinct or select.window is not None:
        return _derived(query, outer, binder, at)
    item = binder.from_item(select.source)
    parts = list(conjuncts(select.where)) if select.where is not None else []
    tied = [part for part in parts if _reads_outer(part, item.scope, outer.scope)]
    local = [part for part in parts if part not in tied]
    if local:
        item = where(item, _all(local), binder)
    rows = _renamed(item, outer)
    conditions = tuple(_over_both(part, rows.item.scope, outer.scope) for part in tied)
    values = tuple(e for _, e in expand_items(select.items, rows.item.scope))
    return _Rows(rows.item, values, conditions)


def _plain_select(query: syntax.Query) -> syntax.Select | None:
    """The SELECT that a query is, if it is no more than that."""
    rest = query.ctes or query.order_by or query.limit is not None or query.offset is not None or query.as_of
    if rest or not isinstance(query.body, syntax.Select) or query.body.qualify is not None:
        return None
    return query.body


def _derived(query: syntax.Query, outer: BoundItem, binder: Binder, at: syntax.Node) -> _Rows:
    """The rows of a subquery that reads nothing of the query around it."""
    try:
        return _renamed(binder.inner(query, at), outer)
    except UnknownName as error:
        names = [name for name in names_in(query) if name.span.start == (error.span.start if error.span else None)]
        if any(outer.scope.has(name) for name in names):
            raise Unsupported(
                "a subquery with groups, DISTINCT or LIMIT cannot read the query around it in a continuous query yet",
                error.span, hint="write a plain SELECT … FROM … WHERE …",
            ) from error  # fmt: skip
        raise


def _renamed(item: BoundItem, outer: BoundItem) -> _Rows:
    """The rows of a subquery, with names that the query around it does not have."""
    taken = outer.plan.names
    prefix = next(p for p in map("$q{}.".format, count()) if not any(name.startswith(p) for name in taken))
    items = tuple((f"{prefix}{c.name}", column_expression(c.name, c.type)) for c in item.plan.columns)
    scope = Scope(tuple(replace(c, internal=f"{prefix}{c.internal}") for c in item.scope.columns))
    values = tuple(column_expression(c.internal, c.type) for c in scope.visible())
    time, partition = (None if name is None else f"{prefix}{name}" for name in (item.time, item.partition))
    plan = Project(item.plan, items)
    renamed = replace(item, plan=plan, scope=scope, time=time, partition=partition, stream_time=None, is_join=False)
    return _Rows(renamed, values)


def _reads_outer(part: syntax.Expression, inner: Scope, outer: Scope) -> bool:
    """Whether a condition, but for subqueries in it, names a column of the query around it."""

    def leave_out(node: syntax.Node) -> syntax.Node | None:
        return _NULL if isinstance(node, syntax.Subquery | syntax.Exists) else None

    return any(not _means(name, inner) and outer.has(name) for name in names_in(syntax.rewrite(part, leave_out)))


def _means(name: syntax.Name, scope: Scope) -> bool:
    """Whether `name` means a column of `scope`, or several."""
    own = [c for c in scope.columns if len(name.parts) == 1 and c.name.lower() == name.parts[0].text.lower()]
    return bool(own) or scope.has(name)


def _over_both(part: syntax.Expression, inner: Scope, outer: Scope) -> Expression:
    """A condition over the columns of a subquery and of the query around it; the subquery's own come first."""
    if has_subquery(part):
        raise Unsupported("a subquery cannot stand in a condition on the query around it", part.span)

    def change(name: syntax.Name) -> syntax.Name:
        column, fields = (outer if not _means(name, inner) and outer.has(name) else inner).resolve(name)
        return syntax.Name((Identifier(column.internal, quoted=True), *fields), span=name.span)

    names = tuple(ScopeColumn(None, c.internal, c.internal, c.type) for c in (*inner.columns, *outer.columns))
    return bind_predicate(with_names(part, change), Scope(names), "WHERE")
