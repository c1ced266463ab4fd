"""Binding of GROUP BY: finds the aggregate calls of a SELECT, and what is left is computed from groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from headwater.errors import SqlError, TypeProblem, UnknownName, Unsupported
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.expressions import AGGREGATES, bind_expression, bind_predicate, column_expression, refuse_call
from headwater.planner.logical import Aggregate, AggregateCall, Expression, Plan, Project
from headwater.planner.names import NONE, Bound, bound_by, is_bound, names_in
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.select_list import named
from headwater.planner.sql_types import type_of
from headwater.values import Column

T = TypeVar("T")

SUMMABLE = "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT BOOLEAN FLOAT DOUBLE".split()
NOT_ORDERED = ("STRUCT", "MAP", "UNION", "BIT")


@dataclass(frozen=True)
class Grouping:
    """A bound GROUP BY: the plan of the groups, what can be named above it, and what is left to select from them."""

    plan: Plan
    scope: Scope
    select: syntax.Select


def is_grouped(select: syntax.Select) -> bool:
    """Whether the SELECT has groups: a GROUP BY, a HAVING, or an aggregate in its select list."""
    return bool(select.group_by) or select.having is not None or any(_has_aggregate(i.expression) for i in select.items)


def _has_aggregate(node: syntax.Node) -> bool:
    if isinstance(node, syntax.Subquery | syntax.Exists):
        return False
    return is_aggregate(node) or any(_has_aggregate(child) for child in syntax.children(node))


def is_aggregate(node: syntax.Node) -> bool:
    """Whether a node is the call of an aggregate, and not of a window function."""
    return isinstance(node, syntax.Call) and node.name.lower() in AGGREGATES and node.over is None


def bind_grouping(select: syntax.Select, source: Plan, scope: Scope, window: tuple[str, ...]) -> Grouping:
    """GROUP BY, the aggregates, HAVING and the select list of `select` over `source`.

    `window` are the names of the window bounds, which are keys of every windowed grouping.
    """
    builder = _GroupingBuilder(scope, window)
    for expression in _group_expressions(select):
        builder.add_key(_group_expression(expression, select, scope))
    _refuse_star(select)
    items = tuple(replace(item, expression=builder.over_groups(item.expression)) for item in named(select.items, scope))
    having = builder.over_groups(with_aliases(select.having, select, scope))
    qualify = builder.over_groups(with_aliases(select.qualify, select, scope))
    windows = builder.over_groups(select.windows)

    plan: Plan = builder.aggregate(source)
    groups = Scope(tuple(ScopeColumn(None, c.name, c.name, c.type) for c in plan.columns))
    rest = replace(select, items=items, group_by=(), having=having, qualify=qualify, windows=windows)
    return Grouping(plan, groups, rest)


def _group_expressions(select: syntax.Select) -> tuple[syntax.Expression, ...]:
    """The items of GROUP BY; ALL is everything in the select list that holds no aggregate."""
    if not any(isinstance(item, syntax.All) for item in select.group_by):
        return select.group_by
    _refuse_star(select)
    return tuple(item.expression for item in select.items if not _has_aggregate(item.expression))


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
        self.calls: dict[str, AggregateCall] = {}
        self.arguments: dict[str, Expression] = {}
        for name in window:
            self.keys[column_expression(name, "TIMESTAMP").sql] = (name, column_expression(name, "TIMESTAMP"))

    def add_key(self, expression: syntax.Expression) -> None:
        if _has_aggregate(expression):
            raise TypeProblem("GROUP BY cannot hold an aggregate", expression.span)
        bound = bind_expression(expression, self.scope)
        if bound.sql not in self.keys:
            name = bound.reads[0] if bound.is_column else unparse(expression)
            self.keys[bound.sql] = (name, bound)

    def over_groups(self, expression: T, bound: Bound = NONE) -> T:
        """Syntax with keys and aggregates replaced by names of the aggregate's columns."""

        def change(node: syntax.Node) -> syntax.Node | None:
            if isinstance(node, syntax.Name) and is_bound(node, bound):
                return node
            if isinstance(node, syntax.Lambda):
                return replace(node, body=self.over_groups(node.body, bound_by(node, bound)))
            if isinstance(node, syntax.Call) and is_aggregate(node):
                return _column(self.call(node), node)
            if isinstance(node, syntax.Call) and node.over is not None:
                return None
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
        if not isinstance(node, syntax.Expression) or isinstance(node, syntax.Literal) or _has_aggregate(node):
            return None
        names = list(names_in(node))
        if not names or not all(self.scope.has(n) for n in names):
            return None
        if not isinstance(node, syntax.Name) and all(key.is_column for _, key in self.keys.values()):
            return None
        found = self.keys.get(bind_expression(node, self.scope).sql)
        return found[0] if found else None

    def call(self, call: syntax.Call) -> str:
        """The result column of an aggregate call."""
        function = call.name.lower()
        if call.distinct and function not in ("min", "max"):
            raise Unsupported(f"{function}(DISTINCT …) is not supported in a continuous query yet", call.span)
        if call.order_by:
            raise Unsupported("ORDER BY inside an aggregate is not supported in a continuous query yet", call.span)
        star = not call.arguments or isinstance(call.arguments[0], syntax.Star)
        if len(call.arguments) > 1 or (star and function != "count"):
            raise TypeProblem(f"{function}() takes one argument", call.span)
        argument = None if star else bind_expression(call.arguments[0], self.scope)
        if call.filter is not None:
            argument = self._filtered(argument, bind_predicate(call.filter, self.scope, "FILTER"), call)
        name = f"{function}({argument.sql if argument else '*'})"
        if name not in self.calls:
            self.calls[name] = AggregateCall(
                name, function, self._argument(argument), _result_type(function, argument, call)
            )
        return name

    def _argument(self, argument: Expression | None) -> str | None:
        if argument is None:
            return None
        name = argument.reads[0] if argument.is_column else argument.sql
        self.arguments[name] = argument
        return name

    def _filtered(self, argument: Expression | None, condition: Expression, call: syntax.Call) -> Expression:
        sql = f"CASE WHEN {condition.sql} THEN {argument.sql if argument else '1'} END"
        reads = tuple(dict.fromkeys((*(argument.reads if argument else ()), *condition.reads)))
        return Expression(sql, argument.type if argument else "INTEGER", reads)

    def aggregate(self, source: Plan) -> Aggregate:
        """The aggregate over a projection to just the keys and arguments."""
        if not self.keys and not self.calls:
            self.calls["count(*)"] = AggregateCall("count(*)", "count", None, "BIGINT")
        items = dict(self.keys.values()) | self.arguments
        if not items:
            first = source.columns[0]
            items = {first.name: column_expression(first.name, first.type)}
        keys = tuple(name for name, _ in self.keys.values())
        return Aggregate(Project(source, tuple(items.items())), keys, tuple(self.calls.values()))


def _column(name: str, at: syntax.Node) -> syntax.Name:
    return syntax.Name((Identifier(name, quoted=True),), span=at.span)


def _result_type(function: str, argument: Expression | None, call: syntax.Call) -> str:
    if argument is None:
        return "BIGINT"
    base = argument.type.partition("(")[0]
    fits = True
    if function in ("sum", "avg"):
        fits = argument.type in SUMMABLE or base == "DECIMAL"
    elif function in ("min", "max"):
        fits = not (argument.type.endswith("]") or base in NOT_ORDERED)
    if not fits:
        type_of(f"{function}(a)", (Column("a", argument.type),), call.span)  # DuckDB's own complaint comes first
        raise Unsupported(f"{function}({argument.type}) is not supported in a continuous query yet", call.span)
    return type_of(f"{function}(a)", (Column("a", argument.type),), call.span)
