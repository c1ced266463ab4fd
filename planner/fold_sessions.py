"""Groups of sessions, folded: one row per session is kept instead of all its rows, where every aggregate allows it.

When two sessions become one, so do their counts, sums, averages and extremes. What has to see all rows of a session
(a median, a distinct count) is left as it is: its rows are taken back and given anew.
"""

from __future__ import annotations

from headwater.planner.expressions import column_expression
from headwater.planner.logical import Aggregate, Plan, Project, SessionAggregate, SessionAssign
from headwater.planner.rewrite import Shared, bottom_up
from headwater.values import WINDOWEND, WINDOWSTART

_BOUNDS = {WINDOWSTART, WINDOWEND}


def fold_sessions(plan: Plan, shared: Shared) -> Plan:
    """`plan` with aggregates of sessions folded."""

    def change(node: Plan) -> Plan:
        match node:
            case Aggregate(source=Project(source=SessionAssign() as assigned) as source, recomputed=()):
                if source in shared or assigned in shared:
                    return node
                return _folded(node, source, assigned) or node
        return node

    return bottom_up(plan, change, shared)


def _folded(node: Aggregate, source: Project, assigned: SessionAssign) -> SessionAggregate | None:
    """The aggregate in one, if its rows and calls are such."""
    items = tuple(item for item in source.items if item[0] not in _BOUNDS)
    if assigned.watermark is None or not assigned.source.append_only or not set(node.keys) >= _BOUNDS:
        return None
    if any(call.distinct for call in node.calls) or any(_BOUNDS & set(e.reads) for _, e in items):
        return None
    if assigned.time not in {name for name, _ in items}:
        items = (*items, (assigned.time, column_expression(assigned.time, "TIMESTAMP")))
    elif dict(items)[assigned.time] != column_expression(assigned.time, "TIMESTAMP"):
        return None
    rows = Project(assigned.source, items)
    return SessionAggregate(
        rows, assigned.watermark, node.keys, node.calls, assigned.time, assigned.gap_us, assigned.late_us
    )
