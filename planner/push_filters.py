"""Predicate pushdown: each condition as near to the log as it can go, so that fewer rows are carried and kept.

A condition moves down through projections that only choose and rename columns, through windows that it does not name,
through temporal filters, to the side of a join that it speaks about, to all sides of a union, and through a GROUP BY or
window functions whose keys are all it reads. It stays above `StreamTime`: a row moves stream time even when it is
filtered out.
"""

from __future__ import annotations

from headwater.planner.logical import (
    Aggregate,
    AsofJoin,
    Expression,
    Filter,
    Foremost,
    Join,
    LookupJoin,
    OnTime,
    Over,
    Plan,
    Project,
    SessionAssign,
    TemporalFilter,
    TemporalJoin,
    TopK,
    Union,
    Unnest,
    WindowAssign,
    WithinJoin,
)
from headwater.planner.rewrite import Shared, bottom_up, conditions_of, filtered, renamed, with_inputs
from headwater.values import WINDOWEND, WINDOWSTART

# Types with values that are equal, and one group, but can be told apart: 0.0 and -0.0, 1 month and 30 days.
LOOSE_TYPES = ("FLOAT", "DOUBLE", "INTERVAL", "TIME WITH TIME ZONE")


def push_filters(plan: Plan, shared: Shared) -> Plan:
    """`plan` with every condition moved down as far as it goes."""

    def change(node: Plan) -> Plan:
        if not isinstance(node, Filter):
            return node
        conditions = conditions_of(node.predicate)
        if len(conditions) == 1 and not _moves(conditions[0], node.source, shared):
            return node
        result = node.source
        for condition in conditions:
            result = _placed(condition, result, shared)
        return result

    return bottom_up(plan, change, shared)


def _moves(condition: Expression, plan: Plan, shared: Shared) -> bool:
    """Whether `condition` can be applied below `plan`."""
    return (isinstance(plan, Union) and plan not in shared) or _below(condition, plan, shared) is not None


def _placed(condition: Expression, plan: Plan, shared: Shared) -> Plan:
    """`plan` with `condition` in it, as low as it goes."""
    if isinstance(plan, Union) and plan not in shared:
        return with_inputs(plan, tuple(_placed(condition, source, shared) for source in plan.sources))
    below = _below(condition, plan, shared)
    if below is None:
        return filtered(plan, [condition])
    place, moved = below
    inputs = list(plan.inputs)
    inputs[place] = _placed(moved, inputs[place], shared)
    return with_inputs(plan, tuple(inputs))


def _below(condition: Expression, plan: Plan, shared: Shared) -> tuple[int, Expression] | None:
    """The input of `plan` that `condition` can be applied to instead, and how it reads there; None if it must stay."""
    reads = set(condition.reads)
    if plan in shared or not reads:
        return None
    match plan:
        case Filter() if _moves(condition, plan.source, shared):
            return 0, condition
        case Project():
            names = {name: e.reads[0] for name, e in plan.items if e.is_column}
            return (0, renamed(condition, names)) if reads <= names.keys() else None
        case TemporalFilter():
            return 0, condition
        case WindowAssign() if not reads & {WINDOWSTART, WINDOWEND}:
            return 0, condition
        case (
            Aggregate(keys=groups)
            | Over(partition=groups)
            | TopK(partition=groups)
            | Foremost(partition=groups)
            | SessionAssign(keys=groups)
        ) if reads <= set(groups):
            types = [c.type for c in plan.columns if c.name in reads]
            return None if any(loose in t for t in types for loose in LOOSE_TYPES) else (0, condition)
        case OnTime():
            return 0, condition
        case Unnest():
            return (0, condition) if reads <= set(plan.source.names) else None
        case AsofJoin() | LookupJoin():
            return (0, condition) if reads <= set(plan.left.names) else None
        case Join() | TemporalJoin() | WithinJoin():
            for place, side in enumerate((plan.left, plan.right)):
                if reads <= set(side.names):
                    return place, condition
    return None
