"""VALUES, and SELECT without FROM: relations that nothing changes."""

from __future__ import annotations

from headwater.errors import SqlError, TypeProblem
from headwater.parser import syntax, unparse
from headwater.planner.expressions import bind_expression
from headwater.planner.from_items import BoundItem, table_item
from headwater.planner.logical import Constant
from headwater.planner.scope import Scope
from headwater.planner.sql_types import values_columns
from headwater.values import Column

# What a SELECT without FROM reads: a row in which nothing can be named.
ONE_ROW = BoundItem(Constant("VALUES (true)", (Column("$one", "BOOLEAN"),), 1), Scope(()), is_join=True)


def values(body: syntax.Values) -> BoundItem:
    """The rows of VALUES, whose columns are col0, col1 …"""
    width = len(body.rows[0])
    for row in body.rows:
        if len(row) != width:
            last = row[-1] if row else body
            raise TypeProblem(
                f"a row of VALUES has {len(row)} values, and the first one has {width}", last.span,
                hint="give each row as many values",
            )  # fmt: skip
        for value in row:
            if not isinstance(value, syntax.Literal):
                bind_expression(value, Scope(()))  # that it is a constant
    sql = unparse(body)
    return table_item(Constant(sql, values_columns(sql, body.span), len(body.rows)))


def without_from(select: syntax.Select) -> BoundItem:
    """What a SELECT without FROM reads. Raises SqlError where it speaks of columns as if there were some."""
    for item in select.items:
        if isinstance(item.expression, syntax.Star):
            raise SqlError("* stands for the columns of FROM, and there is none", item.span, hint="add FROM …")
    return ONE_ROW
