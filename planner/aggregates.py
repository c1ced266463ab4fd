"""Binding of GROUP BY: finds the aggregate calls of a SELECT, and what is left is computed from groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from headwater.errors import SqlError, TypeProblem, UnknownName
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.aggregate_calls import AggregateCalls, has_aggregate, is_aggregate, is_grouping_call
from headwater.planner.expressions import bind_expression, column_expression, refuse_call
from headwater.planner.grouping_sets import GroupingCall, grouped_by_sets, sets_of
from headwater.planner.logical import Aggregate, AggregateCall, Expression, Plan, Project
from headwater.planner.names import NONE, Bound, bound_by, is_bound, names_in
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.select_list import named

T = TypeVar("T")


@dataclass(frozen=True)
class Grouping:
    """A bound GROUP BY: the plan of the groups, what can be named above it, and what is left to select from them."""

    plan: Plan
    scope: Scope
    select: syntax.Select


def is_grouped(select: syntax.Select) -> bool:
    """Whether the SELECT has groups: a GROUP BY, a HAVING, or an aggregate in its select list."""
    return bool(select.group_by) or select.having is not None or any(has_aggregate(i.expression) for i in select.items)


def bind_grouping(select: syntax.Select, source: Plan, scope: Scope, window: tuple[str, ...]) -> Grouping:
    """GROUP BY, the aggregates, HAVING and the select list of `select` over `source`.

    `window` are the names of the window bounds, which are keys of every windowed grouping.
    """
    builder = _GroupingBuilder(scope, window)
    for expressions in sets_of(_group_expressions(select)):
        builder.add_set([_group_expression(expression, select, scope) for expression in expressions])
    _refuse_star(select)
    items = tuple(replace(item, expression=builder.over_groups(item.expression)) for item in named(select.items, scope))
    having = builder.over_groups(with_aliases(select.having, select, scope))
    qualify = builder.over_groups(with_aliases(select.qualify, select, scope))
    windows = builder.over_groups(select.windows)

    plan = builder.plan(source)
    groups = Scope(tuple(ScopeColumn(None, c.name, c.name, c.type) for c in plan.columns))
    rest = replace(select, items=items, group_by=(), having=having, qualify=qualify, windows=windows)
    return Grouping(plan, groups, rest)


def group_expressions(select: syntax.Select, scope: Scope) -> tuple[syntax.Expression, ...] | None:
    """What a SELECT groups by, with ordinals and aliases replaced; None where it groups in several ways at once."""
    sets = sets_of(_group_expressions(select))
    return tuple(_group_expression(e, select, scope) for e in sets[0]) if len(sets) == 1 else None


def _group_expressions(select: syntax.Select) -> tuple[syntax.Expression, ...]:
    """The items of GROUP BY; ALL is everything in the select list that holds no aggregate."""
    if not any(isinstance(item, syntax.All) for item in select.group_by):
        return select.group_by
    _refuse_star(select)
    return tuple(item.expression for item in select.items if not has_aggregate(item.expression))


def _refuse_star(select: syntax.Select) -> None:
    for item in select.items:
        if isinstance(item.expression, syntax.Star):
            raise SqlError("* cannot stand in a SELECT with GROUP BY", item.span, hint="name the columns")


def _group_expression(expression: syntax.Expression, select: syntax.Select, scope: Scope) -> syntax.Expression:
    """A GROUP BY item with ordinals and aliases of the select list replaced by what they stand for."""
    if isinstance(expression, syntax.Literal) and expression.kind == "number":
        if not expression.text.isdigit() or not 1 <= int(expression.text) <= len(select.items):
            raise SqlError(
                f"GROUP BY {expression.text} is not a place in the select list",
                expression.span,
                hint=f"1 to {len(select.items)}",
            )
        return select.items[int(expression.text) - 1].expression
    return with_aliases(expression, select, scope)


def with_aliases(expression: T, select: syntax.Select, scope: Scope) -> T:
    """With names that are no column replaced by the select item of that alias."""
    aliases = {i.alias.text.lower(): i.expression for i in select.items if i.alias is not None}

    def change(node: syntax.Node) -> syntax.Node | None:
        if isinstance(node, syntax.Name) and len(node.parts) == 1 and not scope.has(node):
            return aliases.get(node.parts[0].text.lower())
        return None

    return syntax.rewrite(expression, change)


class _GroupingBuilder:
    """Collects keys and aggregate calls, each once; `over_groups` rewrites an expression to read their results."""

    def __init__(self, scope: Scope, window: tuple[str, ...]) -> None:
        self.scope = scope
        self.keys: dict[str, tuple[str, Expression]] = {}  # by SQL text: (column name, expression)
        self.calls = AggregateCalls(scope)
        self.window = window
        self.sets: list[tuple[str, ...]] = []
        self.groupings: dict[str, GroupingCall] = {}
        for name in window:
            self.keys[column_expression(name, "TIMESTAMP").sql] = (name, column_expression(name, "TIMESTAMP"))

    def add_set(self, expressions: list[syntax.Expression]) -> None:
        """Groups by these expressions, besides other sets; without ROLLUP and its like there is one set."""
        self.sets.append(tuple(dict.fromkeys((*self.window, *(self._key(e) for e in expressions)))))

    def _key(self, expression: syntax.Expression) -> str:
        if has_aggregate(expression):
            raise TypeProblem("GROUP BY cannot hold an aggregate", expression.span)
        bound = bind_expression(expression, self.scope)
        if bound.sql not in self.keys:
            name = bound.reads[0] if bound.is_column else unparse(expression)
            self.keys[bound.sql] = (name, bound)
        return self.keys[bound.sql][0]

    def over_groups(self, expression: T, bound: Bound = NONE) -> T:
        """Syntax with keys and aggregates replaced by names of the aggregate's columns."""

        def change(node: syntax.Node) -> syntax.Node | None:
            if isinstance(node, syntax.Name) and is_bound(node, bound):
                return node
            if isinstance(node, syntax.Lambda):
                return replace(node, body=self.over_groups(node.body, bound_by(node, bound)))
            if isinstance(node, syntax.Call) and is_aggregate(node):
                return _column(self.calls.column(node), node)
            if isinstance(node, syntax.Call) and node.over is not None:
                return None
            if isinstance(node, syntax.Call) and is_grouping_call(node):
                return _column(self.grouping(node), node)
            if isinstance(node, syntax.Call):
                refuse_call(node)
            if isinstance(node, syntax.Subquery | syntax.Exists):
                return node
            key = self.key_of(node)
            if key is not None:
                return _column(key, node)
            if isinstance(node, syntax.Name):
                column, _ = self.scope.resolve(node)
                raise UnknownName(
                    f'column "{column.name}" is neither in GROUP BY nor inside an aggregate',
                    node.span, hint=f"add it to GROUP BY, or write max({column.name})",
                )  # fmt: skip
            return None

        return syntax.rewrite(expression, change)

    def key_of(self, node: syntax.Node) -> str | None:
        """The key column that `node` is, if it is a grouping expression."""
        if not isinstance(node, syntax.Expression) or isinstance(node, syntax.Literal) or has_aggregate(node):
            return None
        names = list(names_in(node))
        if not names or not all(self.scope.has(n) for n in names):
            return None
        if not isinstance(node, syntax.Name) and all(key.is_column for _, key in self.keys.values()):
            return None
        found = self.keys.get(bind_expression(node, self.scope).sql)
        return found[0] if found else None

    def grouping(self, call: syntax.Call) -> str:
        """The column of GROUPING(a, b)."""
        keys = [self.key_of(argument) for argument in call.arguments]
        for key, argument in zip(keys, call.arguments, strict=True):
            if key is None:
                raise SqlError(f"{call.name}() takes what GROUP BY names", argument.span, hint="add it to GROUP BY")
        if not keys:
            raise SqlError(f"{call.name}() takes what GROUP BY names", call.span, hint=f"write {call.name}(column)")
        found = GroupingCall(tuple(key for key in keys if key is not None))
        self.groupings[found.name] = found
        return found.name

    def plan(self, source: Plan) -> Plan:
        """The groups: by each of the sets, if there are several."""
        whole = self._aggregate(source)
        if len(self.sets) == 1 and not self.groupings:
            return whole
        return grouped_by_sets(whole, tuple(self.sets), tuple(self.groupings.values()))

    def _aggregate(self, source: Plan) -> Aggregate:
        """The aggregate by all keys, over a projection to just the keys and arguments."""
        calls, recomputed = tuple(self.calls.folded.values()), tuple(self.calls.recomputed.values())
        if not self.keys and not calls and not recomputed:
            calls = (AggregateCall("count(*)", "count", None, "BIGINT"),)
        items = dict(self.keys.values()) | self.calls.arguments
        if not items:
            first = source.columns[0]
            items = {first.name: column_expression(first.name, first.type)}
        keys = tuple(name for name, _ in self.keys.values())
        return Aggregate(Project(source, tuple(items.items())), keys, calls, recomputed)


def _column(name: str, at: syntax.Node) -> syntax.Name:
    return syntax.Name((Identifier(name, quoted=True),), span=at.span)
