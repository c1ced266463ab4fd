"""Rows that only counts are asked of: those that are equal go through hopping windows as one.

`SELECT k, count(*) … WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 2 SECONDS) GROUP BY k` needs five rows for each row,
and all that it asks of them is how many there are. Rows of one key and one step of the window are in the same windows.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.planner.logical import Aggregate, Filter, Plan, Project, WindowAssign
from headwater.planner.rewrite import Shared, bottom_up


def merge_rows(plan: Plan, shared: Shared) -> Plan:
    """`plan` with equal rows as one below each GROUP BY that only counts the rows of hopping windows."""

    def change(node: Plan) -> Plan:
        if isinstance(node, Aggregate) and not node.recomputed and all(c.argument is None for c in node.calls):
            return replace(node, source=_merged(node.source, set(node.keys), shared))
        return node

    return bottom_up(plan, change, shared)


def _merged(node: Plan, needed: set[str], shared: Shared) -> Plan:
    """`node`, of which the columns `needed` are read, with its windows merged if there are any right below."""
    if node in shared:
        return node
    match node:
        case Project():
            reads = {name for item, expression in node.items if item in needed for name in expression.reads}
            items = tuple(item for item in node.items if item[0] in needed)
            merged = _merged(node.source, reads, shared)
            return node if merged == node.source else replace(node, source=merged, items=items or node.items[:1])
        case Filter():
            return replace(node, source=_merged(node.source, needed | set(node.predicate.reads), shared))
        case WindowAssign() if node.size_us > node.advance_us and not node.is_cumulative and node.source.append_only:
            return replace(node, kept=tuple(name for name in node.source.names if name in needed))
    return node
