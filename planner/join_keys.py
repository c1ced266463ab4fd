"""Join key extraction: an equality between the two sides of a join that stands above it becomes a key of the join.

So `a, b WHERE a.id = b.id` is looked up by key, as `a JOIN b ON a.id = b.id` is, instead of pairing each row with each
other one. Each side is compared in the type in which DuckDB compares the two.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import TypeProblem
from headwater.parser import syntax, unparse
from headwater.planner.expressions import column_expression
from headwater.planner.logical import Expression, Filter, Join, Plan, Project
from headwater.planner.rewrite import Shared, bottom_up, conditions_of, filtered, reads_of, tree_of
from headwater.planner.sql_types import common_type, type_of
from headwater.values import Column

KeyPair = tuple[Expression, Expression]
Columns = tuple[Column, ...]


def extract_join_keys(plan: Plan, shared: Shared) -> Plan:
    """`plan` with equalities between the sides of a join as its keys."""

    def change(node: Plan) -> Plan:
        conditions: list[Expression] = []
        below: Plan = node
        while isinstance(below, Filter):
            conditions = [*conditions_of(below.predicate), *conditions]
            below = below.source
        if not conditions or not isinstance(below, Join) or below in shared:
            return node
        sides = below.left.columns, below.right.columns
        pairs = {c: pair for c in conditions if (pair := key_pair(c, *sides)) is not None}
        if not pairs:
            return node
        return restored(
            filtered(_joined(below, list(pairs.values())), (c for c in conditions if c not in pairs)), below
        )

    return bottom_up(plan, change, shared)


def key_pair(condition: Expression, left_columns: Columns, right_columns: Columns) -> KeyPair | None:
    """The two sides of an equality between columns of the left and the right, in one type; None if it is no such."""
    tree = tree_of(condition.sql)
    if not (isinstance(tree, syntax.Binary) and tree.operator == "="):
        return None
    for a, b in ((tree.left, tree.right), (tree.right, tree.left)):
        left, right = _side(a, left_columns), _side(b, right_columns)
        if left is not None and right is not None:
            return same_type(left, right, tree)
    return None


def _side(tree: syntax.Expression, columns: Columns) -> Expression | None:
    """The expression, if it reads columns of this side and nothing else."""
    reads = reads_of(tree)
    own = tuple(c for c in columns if c.name in reads)
    if not reads or len(own) < len(reads):
        return None
    sql = unparse(tree)
    return Expression(sql, type_of(sql, own, tree.span), reads, is_column=isinstance(tree, syntax.Name))


def same_type(a: Expression, b: Expression, at: syntax.Node) -> KeyPair | None:
    """Both in the type in which DuckDB compares them; None where that is a matter of parsing text."""
    if a.type == b.type:
        return a, b
    if "VARCHAR" in (a.type, b.type):
        return None
    try:
        common = common_type(a.type, b.type, at.span)
    except TypeProblem:
        return None
    return _as_type(a, common), _as_type(b, common)


def _as_type(e: Expression, type_name: str) -> Expression:
    return e if e.type == type_name else Expression(f"CAST({e.sql} AS {type_name})", type_name, e.reads)


def _joined(join: Join, pairs: list[KeyPair]) -> Join:
    """`join` with more keys."""
    left, left_keys = with_keys(join.left, tuple(pair[0] for pair in pairs), "l")
    right, right_keys = with_keys(join.right, tuple(pair[1] for pair in pairs), "r")
    return replace(
        join,
        left=left,
        right=right,
        left_keys=(*join.left_keys, *left_keys),
        right_keys=(*join.right_keys, *right_keys),
    )


def with_keys(plan: Plan, keys: tuple[Expression, ...], side: str) -> tuple[Plan, tuple[str, ...]]:
    """`plan` with a column for each join key that is not one already, and the names of the key columns."""
    names = tuple(k.reads[0] if k.is_column else f"${side}{i}.{k.sql}" for i, k in enumerate(keys))
    added = tuple((n, k) for n, k in zip(names, keys, strict=True) if not k.is_column and n not in plan.names)
    if not added:
        return plan, names
    return Project(plan, (*own_items(plan), *added)), names


def own_items(plan: Plan) -> tuple[tuple[str, Expression], ...]:
    """The items of a projection to all columns of `plan`."""
    return tuple((c.name, column_expression(c.name, c.type)) for c in plan.columns)


def restored(plan: Plan, *before: Plan) -> Plan:
    """`plan` with the columns of `before` alone.

    What a join has besides are keys that were computed for it. After an outer join they are NULL in rows without a
    match, and no longer what they are called.
    """
    items = tuple(item for node in before for item in own_items(node))
    return plan if plan.names == tuple(name for name, _ in items) else Project(plan, items)
