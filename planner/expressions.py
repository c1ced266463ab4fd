"""Binding of expressions: names become columns of the input, DuckDB says the type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headwater.errors import TypeProblem, Unsupported
from headwater.parser import quote, syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.logical import Expression
from headwater.planner.names import NONE, Bound, bound_by, is_bound
from headwater.planner.scope import Scope
from headwater.planner.sql_types import aggregate_functions, row_type_of, volatile_functions
from headwater.planner.user_functions import is_user_aggregate
from headwater.values import Column

NOW_NAMES = frozenset({"now", "current_timestamp", "localtimestamp", "transaction_timestamp", "get_current_timestamp"})


def column_expression(name: str, type_name: str) -> Expression:
    """The expression that is the column `name`."""
    return Expression(quote(name), type_name, (name,), is_column=True)


def bind_expression(expression: syntax.Expression, scope: Scope) -> Expression:
    """`expression` over the columns of `scope`. Raises UnknownName, TypeProblem or Unsupported at its place."""
    reads: dict[str, Column] = {}
    resolved = _resolve(expression, scope, reads)
    if isinstance(expression, syntax.Name) and isinstance(resolved, syntax.Name):
        (column,) = reads.values()
        return column_expression(column.name, column.type)
    sql = unparse(resolved)
    type_name = row_type_of(sql, tuple(reads.values()), expression.span)
    if type_name == '"NULL"':
        sql, type_name = f"CAST({sql} AS INTEGER)", "INTEGER"  # as in a table that DuckDB makes of a query
    return Expression(sql, type_name, tuple(reads))


def bind_predicate(expression: syntax.Expression, scope: Scope, clause: str) -> Expression:
    """A boolean expression for WHERE, HAVING or ON."""
    bound = bind_expression(expression, scope)
    if bound.type == "BOOLEAN":
        return bound
    raise TypeProblem(
        f"{clause} needs a condition, and this is {bound.type}", expression.span, hint="compare it with something"
    )


def _resolve(
    expression: syntax.Expression, scope: Scope, reads: dict[str, Column], bound: Bound = NONE
) -> syntax.Expression:
    """`expression` with names replaced by those of columns, which are collected in `reads`."""

    def change(node: syntax.Node) -> syntax.Node | None:
        match node:
            case syntax.Name() if is_bound(node, bound):
                return node
            case syntax.Name():
                return _column(node, scope, reads)
            case syntax.Lambda():
                return replace(node, body=_resolve(node.body, scope, reads, bound_by(node, bound)))
            case syntax.Call():
                refuse_call(node)
            case syntax.Subquery() | syntax.Exists():
                raise Unsupported("a subquery in an expression is not supported in a continuous query yet", node.span)
            case syntax.Star():
                raise TypeProblem("* stands for columns and has no value of its own", node.span)
        return None

    return syntax.rewrite(expression, change)


def _column(name: syntax.Name, scope: Scope, reads: dict[str, Column]) -> syntax.Expression:
    """The column that `name` means, or the field of a struct in it."""
    column, fields = scope.resolve(name)
    reads[column.internal] = Column(column.internal, column.type)
    result: syntax.Expression = syntax.Name((Identifier(column.internal, quoted=True),), span=name.span)
    for part in fields:
        result = syntax.Call("struct_extract", (result, syntax.Literal("string", part.text)), span=name.span)
    return result


def refuse_call(call: syntax.Call) -> None:
    """Raises for a call that is no function of one row's values."""
    name = call.name.lower()
    if call.over is not None:
        raise TypeProblem(
            f"{name}() OVER cannot stand here", call.span, hint="use it in SELECT or QUALIFY, or around a subquery"
        )
    if name in aggregate_functions() or call.within_group or is_user_aggregate(call):
        raise TypeProblem(
            f"{name.partition('$')[0]}() is an aggregate and cannot stand here",
            call.span, hint="use it in SELECT or HAVING",
        )  # fmt: skip
    if name in NOW_NAMES:
        raise Unsupported(
            f"{name}() stands in WHERE alone in a continuous query: ts > {name}() - INTERVAL 5 MINUTES, and the like",
            call.span, hint="use ROWTIME, the time of the row",
        )  # fmt: skip
    if name in volatile_functions():
        raise Unsupported(
            f"{name}() has another value each time, so the result would not follow from the log",
            call.span, hint="use ROWTIME, the time of the row",
        )  # fmt: skip


def conjuncts(expression: syntax.Expression) -> Iterator[syntax.Expression]:
    """The conditions that AND joins, left to right."""
    if isinstance(expression, syntax.Binary) and expression.operator == "AND":
        yield from conjuncts(expression.left)
        yield from conjuncts(expression.right)
    else:
        yield expression
