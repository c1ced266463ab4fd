"""Projection pushdown: a plan that reads and carries only the columns that its output needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from headwater.planner.join_keys import own_items
from headwater.planner.logical import (
    PARTITION,
    STREAM_TIME,
    Aggregate,
    Arrivals,
    AsofJoin,
    Changelog,
    ChangeRows,
    CommitTimes,
    Constant,
    Filter,
    Foremost,
    Join,
    LookupJoin,
    Now,
    OnTime,
    OuterJoin,
    Over,
    Plan,
    Project,
    Recursion,
    RecursiveRef,
    Repeat,
    SemiJoin,
    SessionAggregate,
    SessionAssign,
    Silence,
    StreamOutput,
    StreamSource,
    StreamTime,
    TableSource,
    TemporalFilter,
    TemporalJoin,
    TopK,
    Union,
    Unnest,
    Watermark,
    WindowAssign,
    WithinJoin,
    WithinOuter,
    walk_plan,
)
from headwater.planner.rewrite import Shared, with_inputs
from headwater.values import WINDOWEND, WINDOWSTART


def prune(plan: Plan, shared: Shared = frozenset()) -> Plan:
    """The same plan, with the same output columns, without columns that nothing reads."""
    return _prune(plan, plan.names, _Pruning(shared))


@dataclass(frozen=True, slots=True)
class _Pruning:
    """One run over a plan: what stays as it is, and what nodes have become that are asked for so many columns."""

    shared: Shared
    done: dict[tuple[Plan, frozenset[str]], Plan] = field(default_factory=dict)


def _prune(node: Plan, needed: Iterable[str], run: _Pruning) -> Plan:
    """`node` with at least the columns `needed`, in their old order."""
    asked = node, frozenset(needed)
    if node in run.shared:
        return node
    if asked not in run.done:
        run.done[asked] = _pruned(node, set(needed), run)
    return run.done[asked]


def _pruned(node: Plan, needed: set[str], run: _Pruning) -> Plan:
    match node:
        case Now() | Arrivals():
            return node
        case StreamSource():
            fields = tuple(c for c in node.fields if c.name in needed) or node.fields[:1]
            return replace(node, fields=fields)
        case TableSource() | Changelog() | RecursiveRef() | CommitTimes() | Constant():
            return node  # its rows are identified by all their columns
        case Filter():
            return replace(node, source=_prune(node.source, needed | set(node.predicate.reads), run))
        case Project():
            items = tuple(item for item in node.items if item[0] in needed) or node.items[:1]
            reads = {name for _, expression in items for name in expression.reads}
            return replace(node, source=_prune(node.source, reads, run), items=items)
        case StreamTime():
            return _clocked(node, needed - {STREAM_TIME} | {node.time, node.partition}, run)
        case Watermark() | Silence():
            return _clocked(node, {node.time, node.partition}, run)
        case WindowAssign():
            own = {WINDOWSTART, WINDOWEND}
            return replace(node, source=_prune(node.source, needed - own | {node.time, node.stream_time}, run))
        case Aggregate():
            reads = {*node.keys, *(call.argument for call in node.calls if call.argument is not None)}
            reads |= {name for call in node.recomputed for name in call.reads}
            return _clocked(node, reads, run)
        case TemporalFilter():
            moments = (node.visible_from, node.visible_until)
            return _clocked(node, needed | {moment.column for moment in moments if moment is not None}, run)
        case LookupJoin() if not needed & set(node.right.names):
            return _prune(node.left, needed, run)
        case Join() | LookupJoin():
            return _joined(node, needed, run)
        case ChangeRows():
            return replace(node, source=_prune(node.source, node.source.names, run))  # a change of any column is one
        case Unnest():
            place = node.place if node.place in needed else None
            source = _prune(node.source, needed - {node.element.name, node.place} | {node.items}, run)
            return replace(node, source=source, place=place)
        case TemporalJoin():
            return _joined(node, needed | {node.time}, run)
        case AsofJoin():
            return _joined(node, needed | {node.left_time, node.right_time}, run)
        case SemiJoin():
            kept = needed | set(node.on) or {node.names[0]}
            return replace(node, source=_only(node.source, kept, run), joined=_prune(node.joined, kept, run))
        case OuterJoin():
            kept = needed | set(node.on)
            kept |= {side.names[0] for side in node.sides if not kept & set(side.names)}
            sides = tuple(_only(side, kept & set(side.names), run) for side in node.sides)
            return replace(node, joined=_prune(node.joined, kept, run), sides=sides)
        case OnTime():
            return replace(node, source=_prune(node.source, needed | {node.time, node.stream_time}, run))
        case SessionAggregate():
            reads = {*node.group_keys, node.time, *(call.argument for call in node.calls if call.argument is not None)}
            source = _prune(node.source, reads, run)
            return replace(node, source=source, watermark=_beside(node.watermark, source))
        case SessionAssign():
            kept = needed - {WINDOWSTART, WINDOWEND} | {*node.keys, node.time}
            source = _prune(node.source, kept, run)
            watermark = None if node.watermark is None else _beside(node.watermark, source)
            return replace(node, source=source, watermark=watermark)
        case WithinJoin():
            kept = needed | {*node.times, *node.left_keys, *node.right_keys}
            left, right = (_prune(side, kept & set(side.names), run) for side in (node.left, node.right))
            one, two = (_beside(*pair) for pair in zip(node.watermarks, (left, right), strict=True))
            in_order = node.in_order and set(node.partitions) <= needed
            return replace(node, left=left, right=right, watermarks=(one, two), in_order=in_order)
        case WithinOuter():
            kept = needed | set(node.on)
            sides = tuple(_only(side, kept & set(side.names), run) for side in node.sides)
            joined = _prune(node.joined, kept, run)
            inner = next(below for below in walk_plan(joined) if isinstance(below, WithinJoin))
            watermarks = tuple(inner.watermarks[1 - place] for place in node.whole)
            return replace(node, joined=joined, sides=sides, watermarks=watermarks)
        case Over():
            calls = tuple(call for call in node.calls if call.name in needed)
            reads = {*node.partition, *(name for call in calls for name in call.reads)}
            source = _prune(node.source, needed & set(node.source.names) | reads, run)
            return replace(node, source=source, calls=calls) if calls else source
        case Foremost():
            reads = {*node.partition, *(key.column for key in node.order)}
            return replace(node, source=_prune(node.source, needed | reads, run))
        case TopK():
            reads = {*node.partition, *(key.column for key in node.order)}
            number = node.number if node.number in needed else None
            return replace(node, source=_prune(node.source, needed - {node.number} | reads, run), number=number)
        case Union():
            kept = needed or {node.names[0]}
            sources = tuple(_only(source, kept, run) for source in node.sources)
            return Union(sources, node.in_order and PARTITION in needed)
        case Recursion():
            base, body = (_prune(part, part.names, run) for part in node.inputs)
            return replace(node, base=base, body=body)
        case Repeat():
            return replace(node, source=_prune(node.source, needed | {node.times}, run))
        case StreamOutput():
            return replace(node, source=_prune(node.source, set(node.source.names), run))


def _joined(node: Join | LookupJoin | TemporalJoin | AsofJoin, needed: set[str], run: _Pruning) -> Plan:
    """`node` with its sides pruned to what of `needed`, and of its keys, each of them has."""
    kept = needed | {*node.left_keys, *node.right_keys}
    left, right = (_prune(side, kept & set(side.names), run) for side in (node.left, node.right))
    return replace(node, left=left, right=right)


def _clocked(
    node: Aggregate | StreamTime | Watermark | Silence | TemporalFilter, needed: Iterable[str], run: _Pruning
) -> Plan:
    """`node` with a pruned source and clock. A clock is read from the very rows that `source` reads where they are the
    same, so that they are read once.
    """
    source = _prune(node.source, needed, run)
    if node.clock is None:
        return with_inputs(node, (source,))
    clock = _prune(node.clock, node.clock.names, run)
    if isinstance(clock, Watermark | Silence):
        for below in walk_plan(source):
            if type(below) is type(clock.source) and _same(replace(clock, source=below), clock, run):
                clock = replace(clock, source=below)
                break
    return with_inputs(node, (source, clock))


def _same(one: Plan, other: Plan, run: _Pruning) -> bool:
    """Whether two plans are one computation, but for columns that their output does not need."""
    return _prune(one, one.names, run) == _prune(other, other.names, run)


def _beside(watermark: Watermark, side: Plan) -> Watermark:
    """The watermark of a stream, from the same rows as the stream time in `side`, so that they are read once."""
    timed = next(node for node in walk_plan(side) if isinstance(node, StreamTime))
    return replace(watermark, source=timed.source)


def _only(node: Plan, needed: set[str], run: _Pruning) -> Plan:
    """`node` with just the columns `needed`: those that its rows are told apart by in a join."""
    pruned = _prune(node, needed, run)
    if set(pruned.names) == needed:
        return pruned
    return Project(pruned, tuple(item for item in own_items(pruned) if item[0] in needed))
