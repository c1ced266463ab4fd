"""Projection pushdown: a plan that reads and carries only the columns that its output needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from headwater.planner.join_keys import own_items
from headwater.planner.logical import (
    PARTITION,
    STREAM_TIME,
    Aggregate,
    AsofJoin,
    Changelog,
    CommitTimes,
    Constant,
    Filter,
    Join,
    LookupJoin,
    OuterJoin,
    Over,
    Plan,
    Project,
    Repeat,
    SemiJoin,
    StreamOutput,
    StreamSource,
    StreamTime,
    TableSource,
    TemporalJoin,
    TopK,
    Union,
    Unnest,
    Watermark,
    WindowAssign,
)
from headwater.planner.rewrite import Shared
from headwater.values import WINDOWEND, WINDOWSTART


def prune(plan: Plan, shared: Shared = frozenset()) -> Plan:
    """The same plan, with the same output columns, without columns that nothing reads."""
    return _prune(plan, set(plan.names), shared)


def _prune(node: Plan, needed: Iterable[str], shared: Shared) -> Plan:
    """`node` with at least the columns `needed`, in their old order."""
    if node in shared:
        return node
    needed = set(needed)
    match node:
        case StreamSource():
            fields = tuple(c for c in node.fields if c.name in needed) or node.fields[:1]
            return replace(node, fields=fields)
        case TableSource() | Changelog() | CommitTimes() | Constant():
            return node  # its rows are identified by all their columns
        case Filter():
            return replace(node, source=_prune(node.source, needed | set(node.predicate.reads), shared))
        case Project():
            items = tuple(item for item in node.items if item[0] in needed) or node.items[:1]
            reads = {name for _, expression in items for name in expression.reads}
            return replace(node, source=_prune(node.source, reads, shared), items=items)
        case StreamTime():
            return replace(
                node, source=_prune(node.source, needed - {STREAM_TIME} | {node.time, node.partition}, shared)
            )
        case Watermark():
            return replace(node, source=_prune(node.source, {node.time, node.partition}, shared))
        case WindowAssign():
            own = {WINDOWSTART, WINDOWEND}
            return replace(node, source=_prune(node.source, needed - own | {node.time, node.stream_time}, shared))
        case Aggregate():
            reads = {*node.keys, *(call.argument for call in node.calls if call.argument is not None)}
            reads |= {name for call in node.recomputed for name in call.reads}
            return replace(node, source=_prune(node.source, reads, shared))
        case LookupJoin() if not needed & set(node.right.names):
            return _prune(node.left, needed, shared)
        case Join() | LookupJoin():
            left = _prune(node.left, needed & set(node.left.names) | set(node.left_keys), shared)
            right = _prune(node.right, needed & set(node.right.names) | set(node.right_keys), shared)
            return replace(node, left=left, right=right)
        case Unnest():
            place = node.place if node.place in needed else None
            source = _prune(node.source, needed - {node.element.name, node.place} | {node.items}, shared)
            return replace(node, source=source, place=place)
        case TemporalJoin():
            left = _prune(node.left, needed & set(node.left.names) | {*node.left_keys, node.time}, shared)
            right = _prune(node.right, needed & set(node.right.names) | set(node.right_keys), shared)
            return replace(node, left=left, right=right)
        case AsofJoin():
            left = _prune(node.left, needed & set(node.left.names) | {*node.left_keys, node.left_time}, shared)
            right = _prune(node.right, needed & set(node.right.names) | {*node.right_keys, node.right_time}, shared)
            return replace(node, left=left, right=right)
        case SemiJoin():
            kept = needed | set(node.on) or {node.names[0]}
            return replace(node, source=_only(node.source, kept, shared), joined=_prune(node.joined, kept, shared))
        case OuterJoin():
            kept = needed | set(node.on)
            kept |= {side.names[0] for side in node.sides if not kept & set(side.names)}
            sides = tuple(_only(side, kept & set(side.names), shared) for side in node.sides)
            return replace(node, joined=_prune(node.joined, kept, shared), sides=sides)
        case Over():
            calls = tuple(call for call in node.calls if call.name in needed)
            reads = {*node.partition, *(name for call in calls for name in call.reads)}
            source = _prune(node.source, needed & set(node.source.names) | reads, shared)
            return replace(node, source=source, calls=calls) if calls else source
        case TopK():
            reads = {*node.partition, *(key.column for key in node.order)}
            number = node.number if node.number in needed else None
            return replace(node, source=_prune(node.source, needed - {node.number} | reads, shared), number=number)
        case Union():
            kept = needed or {node.names[0]}
            sources = tuple(_only(source, kept, shared) for source in node.sources)
            return Union(sources, node.in_order and PARTITION in needed)
        case Repeat():
            return replace(node, source=_prune(node.source, needed | {node.times}, shared))
        case StreamOutput():
            return replace(node, source=_prune(node.source, set(node.source.names), shared))


def _only(node: Plan, needed: set[str], shared: Shared) -> Plan:
    """`node` with just the columns `needed`: those that its rows are told apart by in a join."""
    pruned = _prune(node, needed, shared)
    if set(pruned.names) == needed:
        return pruned
    return Project(pruned, tuple(item for item in own_items(pruned) if item[0] in needed))
