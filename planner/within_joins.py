"""JOIN … WITHIN, bound: two streams whose rows match when their times are near each other, as in ksqlDB.

A row on the right is near one on the left from `before` before it to `after` after it, both ends included. A record is
late, and takes no part in the join, when the stream time of its partition has passed the last time that is near to it,
and the grace. So the pairs follow from the log alone, and what a join keeps is bounded by the watermarks of its inputs.

The result is a stream. A pair happens at the later of its two times, and is in the partition of its left row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from headwater.errors import SqlError, Unsupported
from headwater.parser import syntax
from headwater.planner.expressions import column_expression
from headwater.planner.from_items import BoundItem
from headwater.planner.join_keys import KeyPair, own_items, with_keys
from headwater.planner.logical import (
    STREAM_TIME,
    Expression,
    OnTime,
    Plan,
    Project,
    Span,
    StreamTime,
    Watermark,
    WithinJoin,
    WithinOuter,
)
from headwater.planner.rewrite import filtered
from headwater.planner.scope import Scope
from headwater.planner.window_functions import grace_of

Kind = Literal["LEFT", "RIGHT", "FULL"]


def check_within(item: syntax.Join, left: BoundItem, right: BoundItem) -> None:
    """Raises SqlError where WITHIN stands in a join that cannot have it."""
    assert item.within is not None
    if item.kind not in ("INNER", "LEFT", "RIGHT", "FULL", "ANTI"):
        raise Unsupported(
            f"{item.kind} JOIN … WITHIN is not supported", item.within.span,
            hint="use JOIN, which gives a row once for each match, or ANTI JOIN for those without one",
        )  # fmt: skip
    for side in (left, right):
        if side.time is None or side.partition is None:
            raise SqlError(
                "WITHIN joins two streams, and one side of this join is a table", item.within.span,
                hint="leave out WITHIN: a stream's row meets a table as it is then",
            )  # fmt: skip


def within_join(
    kind: Kind | None,
    within: syntax.Within,
    left: BoundItem,
    right: BoundItem,
    keys: list[KeyPair],
    rest: list[Expression],
    scope: Scope,
) -> BoundItem:
    """The pairs that satisfy the conditions and are near in time, and of the sides that `kind` keeps what has none."""
    assert left.time and right.time and left.partition and right.partition
    grace = grace_of(within)
    span = Span(within.before_us, within.after_us, grace)
    on_time = _on_time(left, span.after_us + grace), _on_time(right, span.before_us + grace)
    (one, one_keys), (two, two_keys) = (
        with_keys(plan, tuple(pair[place] for pair in keys), name)
        for place, (plan, name) in enumerate(zip(on_time, "lr", strict=True))
    )
    times, partitions = (left.time, right.time), (left.partition, right.partition)
    watermarks = _watermark(left), _watermark(right)
    plan: Plan = WithinJoin(one, two, watermarks, one_keys, two_keys, times, partitions, span, in_order=True)
    plan = filtered(plan, rest)
    if kind is not None:
        reads = {name for e in [*rest, *(e for pair in keys for e in pair)] for name in e.reads} | {*times}
        whole = {"LEFT": (0,), "RIGHT": (1,), "FULL": (0, 1)}[kind]
        on = tuple(name for i in whole for name in on_time[i].names if name in reads)
        sides, others = tuple(on_time[i] for i in whole), tuple(watermarks[1 - i] for i in whole)
        plan = WithinOuter(plan, whole, sides, others, tuple(times[i] for i in whole), span, on)
    return _as_stream(plan, left, right, scope)


def within_anti_join(
    within: syntax.Within, left: BoundItem, right: BoundItem, keys: list[KeyPair], rest: list[Expression], scope: Scope
) -> BoundItem:
    """The rows of the left side that have no match, each once nothing can match it any more."""
    assert left.time and right.time and left.partition
    found = within_join("LEFT", within, left, right, keys, rest, scope)
    alone = Expression(f"{column_expression(right.time, 'TIMESTAMP').sql} IS NULL", "BOOLEAN", (right.time,))
    plan = Project(filtered(found.plan, [alone]), own_items(left.plan))
    return replace(left, plan=plan, is_join=True)


def _on_time(side: BoundItem, allowed_us: int) -> OnTime:
    assert side.time and side.partition
    return OnTime(StreamTime(side.plan, side.time, side.partition), side.time, STREAM_TIME, allowed_us)


def _watermark(side: BoundItem) -> Watermark:
    assert side.time and side.partition
    return Watermark(side.plan, side.time, side.partition, side.partitions)


def _as_stream(plan: Plan, left: BoundItem, right: BoundItem, scope: Scope) -> BoundItem:
    """A stream of the rows of `plan`, with the event time and the partition of each."""
    time, partition = f"$later.{left.time}.{right.time}", f"$partition.{left.partition}.{right.partition}"
    later = _of_both("greatest", "TIMESTAMP", left.time, right.time)
    first = _of_both("coalesce", "INTEGER", left.partition, right.partition)
    timed = Project(plan, (*own_items(plan), (time, later), (partition, first)))
    partitions = max(left.partitions, right.partitions)
    return BoundItem(timed, scope, time, partition, is_join=True, partitions=partitions)


def _of_both(function: str, type_name: str, left: str | None, right: str | None) -> Expression:
    """A function of a column of each side, of which one is NULL where that side has no row."""
    assert left and right
    columns = ", ".join(column_expression(name, type_name).sql for name in (left, right))
    return Expression(f"{function}({columns})", type_name, (left, right))
