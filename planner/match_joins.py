"""Joins of plans: inner joins by key, and semi, anti and outer joins, which are made of an inner join.

A condition of an outer join decides which rows match, and not which rows there are. So it filters the inner join below,
where all rewrites of inner joins apply to it; what stands above only asks which rows are in there.
"""

from __future__ import annotations

from typing import Literal

from headwater.planner.expressions import column_expression
from headwater.planner.join_keys import KeyPair, own_items, restored, with_keys
from headwater.planner.logical import Aggregate, Expression, Join, LookupJoin, OuterJoin, Plan, Project, SemiJoin
from headwater.planner.rewrite import filtered

Kind = Literal["LEFT", "RIGHT", "FULL"]

FOUND = "$found"  # a column of nothing but true, where no other is needed


def inner_join(left: Plan, right: Plan, keys: list[KeyPair], rest: list[Expression], *, by_version: bool) -> Plan:
    """The pairs of rows with equal keys for which the other conditions hold, with all columns of both sides."""
    left, left_keys = with_keys(left, tuple(k[0] for k in keys), "l")
    right, right_keys = with_keys(right, tuple(k[1] for k in keys), "r")
    return filtered(Join(left, right, left_keys, right_keys, by_version), rest)


def outer_join(
    kind: Kind, left: Plan, right: Plan, keys: list[KeyPair], rest: list[Expression], *, by_version: bool
) -> Plan:
    """The inner join, and the rows of the left side, the right side or both that have no match in it."""
    joined = inner_join(left, right, keys, rest, by_version=by_version)
    sides = {"LEFT": (left,), "RIGHT": (right,), "FULL": (left, right)}[kind]
    own = tuple(name for side in sides for name in side.names)
    decisive = _read(own, [expression for pair in keys for expression in pair] + rest)
    return restored(OuterJoin(kind, joined, sides, decisive, by_version), left, right)


def lookup_join(left: Plan, right: Plan, keys: list[KeyPair], *, by_version: bool) -> Plan:
    """Each row of `left` with the row of `right` of equal keys, which are unique there, or with NULL."""
    left_plan, left_keys = with_keys(left, tuple(k[0] for k in keys), "l")
    right_plan, right_keys = with_keys(right, tuple(k[1] for k in keys), "r")
    return restored(LookupJoin(left_plan, right_plan, left_keys, right_keys, by_version), left, right)


def semi_join(
    left: Plan, right: Plan, keys: list[KeyPair], rest: list[Expression], *, negated: bool, by_version: bool
) -> Plan:
    """The rows of `left` that have a match in `right`, or if `negated` those that have none; each as often as it is.

    Of the right side only distinct values are kept. Where equal keys are all of the condition, a row has one match at
    most, and a semi join is an inner join.
    """
    right = filtered(right, [c for c in rest if set(c.reads) <= set(right.names)])
    rest = [c for c in rest if not set(c.reads) <= set(right.names)]
    right, right_keys = with_keys(right, tuple(k[1] for k in keys), "r")
    right = distinct(right, tuple(dict.fromkeys((*right_keys, *_read(right.names, rest)))))
    types = {c.name: c.type for c in right.columns}
    keys = [(own, column_expression(name, types[name])) for (own, _), name in zip(keys, right_keys, strict=True)]
    joined = inner_join(left, right, keys, rest, by_version=by_version)
    if not negated and not rest:
        return Project(joined, own_items(left))
    return SemiJoin(left, joined, _read(left.names, [own for own, _ in keys] + rest), negated, by_version)


def distinct(plan: Plan, names: tuple[str, ...]) -> Plan:
    """The distinct values of some columns of `plan`; of no columns one row, if there are any."""
    if not names:
        plan = Project(plan, ((FOUND, Expression("true", "BOOLEAN")),))
        return Aggregate(plan, (FOUND,), ())
    if plan.key is not None and set(plan.key) <= set(names):
        return plan
    return Aggregate(Project(plan, tuple(item for item in own_items(plan) if item[0] in names)), names, ())


def _read(names: tuple[str, ...], expressions: list[Expression]) -> tuple[str, ...]:
    """Those of `names` that the expressions read."""
    reads = {name for expression in expressions for name in expression.reads}
    return tuple(name for name in names if name in reads)
