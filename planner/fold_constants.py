"""Constant folding: what a query computes from constants alone is computed once, when it is planned.

DuckDB computes it, and the type stays what it was. A condition that is always true is dropped. An expression that fails
is left as it is, so that its rows fail when they come, as they would have.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from headwater.parser import syntax, unparse
from headwater.planner.logical import Expression, Filter, Plan, Project
from headwater.planner.rewrite import Shared, bottom_up, reads_of, tree_of
from headwater.planner.sql_types import constant_value

# Types whose text says all of the value.
FOLDABLE = ("INTEGER", "BIGINT", "HUGEINT", "VARCHAR", "DATE", "TIME", "TIMESTAMP", "SMALLINT", "TINYINT")

_TRUE, _FALSE = syntax.Literal("boolean", "true"), syntax.Literal("boolean", "false")


def fold_constants(plan: Plan, shared: Shared) -> Plan:
    """`plan` with constants computed in its conditions and projections."""

    def change(node: Plan) -> Plan:
        match node:
            case Filter():
                condition = folded(node.predicate)
                return node.source if tree_of(condition.sql) == _TRUE else replace(node, predicate=condition)
            case Project():
                return replace(node, items=tuple((name, folded(e)) for name, e in node.items))
        return node

    return bottom_up(plan, change, shared)


@lru_cache(maxsize=4096)
def folded(expression: Expression) -> Expression:
    """`expression` with the constants in it computed."""
    if expression.is_column:
        return expression
    before = tree_of(expression.sql)
    tree = _folded(before)
    return expression if tree == before else replace(expression, sql=unparse(tree), reads=reads_of(tree))


def _folded(tree: syntax.Expression) -> syntax.Expression:
    def change(node: syntax.Node) -> syntax.Node | None:
        if isinstance(node, syntax.Binary) and node.operator in ("AND", "OR"):
            return _logic(node)
        if isinstance(node, syntax.Unary | syntax.Binary | syntax.Between | syntax.Case | syntax.Call):
            return None if reads_of(node) else _constant(node)
        return None

    return syntax.rewrite(tree, change)


def _logic(node: syntax.Binary) -> syntax.Expression:
    """AND and OR with a side that is known: `x AND true` is x, `x AND false` is false, also where x is NULL."""
    left, right = _folded(node.left), _folded(node.right)
    neutral, decisive = (_TRUE, _FALSE) if node.operator == "AND" else (_FALSE, _TRUE)
    if decisive in (left, right):
        return decisive
    if left == neutral:
        return right
    if right == neutral:
        return left
    return replace(node, left=left, right=right)


@lru_cache(maxsize=4096)
def _constant(tree: syntax.Expression) -> syntax.Expression | None:
    """The value of an expression without columns as a literal of the same type, if it can be written as one."""
    if isinstance(tree, syntax.Unary) and isinstance(tree.operand, syntax.Literal):
        return None  # -1 is written no shorter
    found = constant_value(unparse(tree))
    if found is None:
        return None
    text, type_name = found
    if type_name == "BOOLEAN" and text is not None:
        return _TRUE if text == "true" else _FALSE
    if type_name not in FOLDABLE and not type_name.startswith("DECIMAL"):
        return None
    literal = syntax.Literal("null", "NULL") if text is None else syntax.Literal("string", text)
    return syntax.Cast(literal, type_name)
