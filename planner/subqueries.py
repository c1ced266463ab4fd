"""Subqueries in conditions become joins: EXISTS and IN semi joins, NOT EXISTS and NOT IN anti joins, values columns.

    WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND b.y > 2)   a SEMI JOIN (b WHERE y > 2) ON b.x = a.x
    WHERE a.x > (SELECT avg(x) FROM b)                           a CROSS JOIN (SELECT avg(x) FROM b) WHERE a.x > …
    WHERE a.x > (SELECT avg(x) FROM b WHERE b.k = a.k)           a LEFT JOIN (… GROUP BY b.k) ON b.k = a.k WHERE a.x > …

A subquery over tables is joined with a stream as a table is: each row of the stream meets it as it was then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import TypeVar

from headwater.errors import UnknownName, Unsupported
from headwater.parser import quote, syntax
from headwater.parser.syntax import Identifier
from headwater.planner.aggregates import is_grouped
from headwater.planner.expressions import bind_expression, bind_predicate, column_expression, conjuncts
from headwater.planner.from_items import BoundItem, aliased, prefixed
from headwater.planner.join_keys import KeyPair, key_pair, with_keys
from headwater.planner.joins import by_version, comparable, matched
from headwater.planner.lateral import dependent, with_empty
from headwater.planner.logical import Aggregate, Constant, Expression, Filter, Plan, Project
from headwater.planner.marks import compared, with_exists, with_in, with_quantified
from headwater.planner.match_joins import inner_join, lookup_join, outer_join
from headwater.planner.names import names_in
from headwater.planner.rewrite import predicate, tree_of
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.subquery_rows import (
    Binder,
    Rows,
    all_of,
    derived,
    has_subquery,
    never_null,
    of_no_rows,
    plain_select,
    reads_outer,
    renamed_rows,
    rows_of,
    widened,
)

T = TypeVar("T")

_VALUE = "$value"
_INTEGERS = frozenset("TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT".split())


def where(source: BoundItem, condition: syntax.Expression, binder: Binder, clause: str = "WHERE") -> BoundItem:
    """The rows of `source` for which the condition of a WHERE or HAVING holds."""
    parts = list(conjuncts(condition))
    plain = [part for part in parts if not has_subquery(part)]
    if plain:
        source = replace(source, plan=Filter(source.plan, bind_predicate(all_of(plain), source.scope, clause)))
    for part in parts:
        if has_subquery(part):
            source = _where_subquery(source, part, binder, clause)
    return source


def _where_subquery(source: BoundItem, condition: syntax.Expression, binder: Binder, clause: str) -> BoundItem:
    inner, negated = condition, False
    while isinstance(inner, syntax.Unary) and inner.operator == "NOT":
        inner, negated = inner.operand, not negated
    match inner:
        case syntax.Exists(query=query):
            rows = rows_of(query, source, binder, inner)
            return _matched(source, rows, rows.conditions, negated=negated)
        case syntax.In(operand=operand, choices=(syntax.Subquery(query=query),)) if not has_subquery(operand):
            negated = negated != inner.negated
            if not (negated and isinstance(operand, syntax.Row)):
                return _where_in(source, inner, query, negated, binder)
    source, inner = with_values(source, condition, binder)
    return replace(source, plan=Filter(source.plan, bind_predicate(inner, source.scope, clause)))


# ---------------------------------------------------------------- EXISTS and IN


def _matched(source: BoundItem, rows: Rows, conditions: Iterable[Expression], *, negated: bool) -> BoundItem:
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
    rows = rows_of(query, source, binder, node)
    pairs = compared(node, query, rows, source)
    equal = [predicate(syntax.Binary("=", tree_of(own.sql), tree_of(value.sql))) for own, value in pairs]
    found = _matched(source, rows, (*rows.conditions, *equal), negated=negated)
    if negated:
        for side, plan in zip(pairs[0], (source.plan, rows.item.plan), strict=True):
            if not never_null(plan, side):
                missing = predicate(syntax.Unary("IS NULL", tree_of(side.sql)))
                found = _matched(found, rows, (*rows.conditions, missing), negated=True)
    return found


# ---------------------------------------------------------------- values


def with_values(source: BoundItem, node: T, binder: Binder) -> tuple[BoundItem, T]:
    """`source` with a column for each subquery in `node` that stands for a value, and `node` reading these columns.

    Raises Unsupported for a subquery that stands for no value.
    """

    def change(inner: syntax.Node) -> syntax.Node | None:
        nonlocal source
        match inner:
            case syntax.Exists():
                source, value = with_exists(source, inner, binder)
                return value
            case syntax.In(operand=operand, choices=(syntax.Subquery(query=query),)):
                source, operand = with_values(source, operand, binder)
                source, value = with_in(source, replace(inner, operand=operand), query, binder)
                return value
            case syntax.Quantified(operand=operand, values=syntax.Subquery(query=query)):
                source, operand = with_values(source, operand, binder)
                source, value = with_quantified(source, replace(inner, operand=operand), query, binder)
                return value
            case syntax.Subquery(query=query):
                source, value = _with_value(source, query, binder, inner)
                return value
        return None

    changed = syntax.rewrite(node, change)
    return source, changed


def _with_value(
    source: BoundItem, query: syntax.Query, binder: Binder, at: syntax.Node
) -> tuple[BoundItem, syntax.Expression]:
    """`source` with the value of a subquery, and the expression that is this value."""
    select = plain_select(query)
    if select is not None and select.source is not None and select.where is not None and _is_total(select):
        item = binder.from_item(select.source)
        parts = list(conjuncts(select.where))
        tied = [part for part in parts if reads_outer(part, item.scope, source.scope)]
        if tied and all(_tie(part, item.scope) for part in tied):
            local = [part for part in parts if part not in tied]
            return _with_value_of_group(
                source, replace(select, where=all_of(local) if local else None), tied, item, binder
            )
    found = _with_value_of_key(source, query, binder, at) if select is not None and not is_grouped(select) else None
    if found is not None:
        return found
    try:
        rows = derived(query, source, binder, at)
    except Unsupported as error:
        if isinstance(error.__cause__, UnknownName):
            return _with_dependent_value(source, query, binder, at)
        raise
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
    pairs = [pair for part in tied if (pair := _tie(part, item.scope)) is not None]
    value = syntax.SelectItem(select.items[0].expression, Identifier(_VALUE))
    keys = tuple(syntax.SelectItem(own, Identifier(f"$key{i}")) for i, (own, _) in enumerate(pairs))
    grouped = replace(select, items=(value, *keys), group_by=tuple(own for own, _ in pairs))
    rows = renamed_rows(binder.select(grouped), source)
    result, *groups = rows.values
    joined_on = [
        comparable(bind_expression(outer, source.scope), group, part)
        for (_, outer), group, part in zip(pairs, groups, tied, strict=True)
    ]
    plan = outer_join("LEFT", source.plan, rows.item.plan, joined_on, [], by_version=by_version(source, rows.item))
    found = _column(result, select)
    empty = of_no_rows(select.items[0].expression)
    if empty is not None:
        is_missing = syntax.Unary("IS NULL", _column(groups[0], select))
        found = syntax.Case(None, ((is_missing, syntax.Cast(empty, result.type)),), found, span=select.span)
    return _widened(source, plan, rows), found


def _with_value_of_key(
    source: BoundItem, query: syntax.Query, binder: Binder, at: syntax.Node
) -> tuple[BoundItem, syntax.Expression] | None:
    """As `_with_value`, of the row whose key is tied to the row of `source`; None if the subquery is no such."""
    rows = rows_of(query, source, binder, at)
    pairs = [(c, key_pair(c, source.plan.columns, rows.item.plan.columns)) for c in rows.conditions]
    keys = [pair for _, pair in pairs if pair is not None]
    types = {c.name: c.type for c in rows.item.plan.columns}
    tied = {value.reads[0] for _, value in keys if value.is_column or _is_wider(value, types)}
    if not tied or rows.item.plan.key is None or not tied.issuperset(rows.item.plan.key) or len(rows.values) != 1:
        return None
    inner, (name,) = with_keys(rows.item.plan, rows.values, "v")
    plan = outer_join(
        "LEFT",
        source.plan,
        inner,
        keys,
        [c for c, pair in pairs if pair is None],
        by_version=by_version(source, rows.item),
    )
    value = column_expression(name, rows.values[0].type)
    return _widened(source, plan, replace(rows, values=(value,))), _column(value, at)


def _is_wider(value: Expression, types: dict[str, str]) -> bool:
    """Whether an expression is an integer column as a wider integer, so that different ones stay different."""
    column = value.reads[0]
    is_cast = value.sql == f"CAST({quote(column)} AS {value.type})"
    return is_cast and value.type in _INTEGERS and types[column] in _INTEGERS


def _with_dependent_value(
    source: BoundItem, query: syntax.Query, binder: Binder, at: syntax.Node
) -> tuple[BoundItem, syntax.Expression]:
    """As `_with_value`, of a subquery that has one row at most for each value that it reads of `source`."""
    found = dependent(source, query, binder, at)
    shown = [] if found is None else found.item.scope.visible()
    if found is None or len(shown) != 1 or not found.is_one_row:
        raise Unsupported(
            "a subquery that stands for a value gives one column of one row at most in a continuous query", at.span,
            hint="write (SELECT max(…) FROM …), ORDER BY … LIMIT 1, or a condition on a primary key",
        )  # fmt: skip
    alias = next(a for a in map("$v{}".format, count()) if not any(n.startswith(f"{a}.") for n in source.plan.names))
    right, then = prefixed(aliased(found.item, alias)), by_version(source, found.item)
    plan = lookup_join(source.plan, right.plan, found.keys(f"{alias}."), by_version=then)
    if found.empty is not None:
        plan = with_empty(plan, right, found, f"{alias}.")
    value = column_expression(right.scope.visible()[0].internal, shown[0].type)
    added = ScopeColumn(None, value.reads[0], value.reads[0], value.type, hidden=True)
    return widened(source, plan, (added,), then=then), _column(value, at)


def _tie(part: syntax.Expression, inner: Scope) -> tuple[syntax.Expression, syntax.Expression] | None:
    """The inner and the outer side of an equality; None for any other condition."""
    if isinstance(part, syntax.Binary) and part.operator == "=" and not has_subquery(part):
        for own, other in ((part.left, part.right), (part.right, part.left)):
            if _reads_only(own, inner) and not any(inner.has(name) for name in names_in(other)):
                return own, other
    return None


def _reads_only(node: syntax.Expression, scope: Scope) -> bool:
    names = list(names_in(node))
    return bool(names) and all(scope.has(name) for name in names)


def _is_total(select: syntax.Select) -> bool:
    """Whether a SELECT is one aggregate of all its rows."""
    return is_grouped(select) and not select.group_by and select.having is None and len(select.items) == 1


def _is_one_row(plan: Plan) -> bool:
    """Whether a plan has exactly one row at any time."""
    while isinstance(plan, Project):
        plan = plan.source
    return (isinstance(plan, Aggregate) and not plan.keys) or (isinstance(plan, Constant) and plan.count == 1)


def _widened(source: BoundItem, plan: Plan, rows: Rows) -> BoundItem:
    """`source` with the values of a subquery among its columns, which go by their internal names."""
    added = tuple(ScopeColumn(None, v.reads[0], v.reads[0], v.type, hidden=True) for v in rows.values)
    return widened(source, plan, added, then=by_version(source, rows.item))


def _column(value: Expression, at: syntax.Node) -> syntax.Expression:
    return syntax.Name((Identifier(value.reads[0], quoted=True),), span=at.span)
