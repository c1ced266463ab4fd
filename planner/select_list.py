"""The select list: stars become columns, every output column gets a name of its own."""

from __future__ import annotations

from dataclasses import replace

from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.expressions import bind_expression, column_expression
from headwater.planner.logical import Expression
from headwater.planner.scope import Scope, ScopeColumn


def expand_items(items: tuple[syntax.SelectItem, ...], scope: Scope) -> tuple[tuple[str, Expression], ...]:
    """The select list with stars expanded: unique output names and bound expressions."""
    named: list[tuple[str, Expression]] = []
    for item in items:
        if isinstance(item.expression, syntax.Star):
            named.extend(_expand_star(item.expression, scope))
        else:
            named.append((output_name(item, scope), bind_expression(item.expression, scope)))
    return unique_names(tuple(named))


def named(items: tuple[syntax.SelectItem, ...], scope: Scope) -> tuple[syntax.SelectItem, ...]:
    """The select list with the name of each item said by AS, so that its expression can be replaced."""
    return tuple(
        item
        if item.alias is not None or isinstance(item.expression, syntax.Star)
        else replace(item, alias=Identifier(output_name(item, scope), quoted=True))
        for item in items
    )


def _expand_star(star: syntax.Star, scope: Scope) -> list[tuple[str, Expression]]:
    columns = scope.visible(star.relation)
    excluded = {_member(i, columns).name for i in star.exclude}
    replaced = {_member(r.alias, columns).name: r.expression for r in star.replace if r.alias is not None}
    return [
        (
            c.name,
            bind_expression(replaced[c.name], scope) if c.name in replaced else column_expression(c.internal, c.type),
        )
        for c in columns
        if c.name not in excluded
    ]


def _member(identifier: Identifier, columns: list[ScopeColumn]) -> ScopeColumn:
    column, _ = Scope(tuple(columns)).resolve(syntax.Name((identifier,), span=identifier.span))
    return column


def output_name(item: syntax.SelectItem, scope: Scope | None = None) -> str:
    """The name of an output column: its alias, the column's own name as `scope` spells it, or the expression's text."""
    if item.alias is not None:
        return item.alias.text
    if not isinstance(item.expression, syntax.Name):
        return unparse(item.expression)
    if scope is not None and scope.has(item.expression):
        column, fields = scope.resolve(item.expression)
        return fields[-1].text if fields else column.name
    return item.expression.parts[-1].text


def unique_names(items: tuple[tuple[str, Expression], ...]) -> tuple[tuple[str, Expression], ...]:
    """Repeated names get a number, as DuckDB does: id, id_1."""
    seen: set[str] = set()
    result = []
    for name, expression in items:
        unique, n = name, 0
        while unique.lower() in seen:
            n += 1
            unique = f"{name}_{n}"
        seen.add(unique.lower())
        result.append((unique, expression))
    return tuple(result)
