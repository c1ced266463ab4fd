"""When the windows of a WINDOW clause are over: what the clock of their stream does to groups, and to what is shown.

the watermark passes     what happens
WINDOWEND + grace        no row comes to the window any more; its groups are forgotten; EMIT FINAL shows it. A session
                         ends with its last row: one within the gap makes it longer, and is late by gap and grace
WINDOWEND + RETENTION    its rows go
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headwater.errors import SqlError, Unsupported
from headwater.parser import syntax
from headwater.planner.from_items import BoundItem
from headwater.planner.join_keys import own_items
from headwater.planner.logical import (
    EVENT_TIME,
    PARTITION,
    Arrivals,
    ChangeRows,
    Expression,
    Moment,
    Plan,
    Project,
    Silence,
    StreamSource,
    StreamTime,
    TemporalFilter,
    Watermark,
    duration,
    walk_plan,
)
from headwater.planner.window_functions import grace_of
from headwater.values import WINDOWEND


@dataclass(frozen=True, slots=True)
class Closing:
    """The clock by which windows close, and how long after their end, and how long they stay.

    WINDOWEND is the moment after a window, or that of a session's last row: `has_end` says that it is in the window.
    """

    clock: Plan
    after_us: int
    has_end: bool
    retention_us: int | None

    @property
    def closes(self) -> Moment:
        """When no row comes to a window any more."""
        return Moment(WINDOWEND, self.after_us)

    def shown(self, plan: Plan, *, is_final: bool) -> Plan:
        """The groups of `plan` that are to be seen: those of windows that are closed, if `is_final`, and still kept."""
        goes = None if self.retention_us is None else Moment(WINDOWEND, self.retention_us)
        if not is_final and goes is None:
            return plan
        return TemporalFilter(plan, self.closes if is_final else None, goes, is_final, clock=self.clock)

    def records(self, groups: BoundItem) -> BoundItem:
        """Groups of closed windows as the records of a stream: each happens at the last moment of its window.

        So a window that is longer takes those that lie in it. There is one partition: all partitions of the stream
        below close a window, and windows come in the order of their ends.
        """
        last = f'"{WINDOWEND}"' if self.has_end else f'"{WINDOWEND}" - to_microseconds(1)'
        time = (EVENT_TIME, Expression(last, "TIMESTAMP", (WINDOWEND,)))
        partition = (PARTITION, Expression("CAST(0 AS INTEGER)", "INTEGER"))
        plan = Project(groups.plan, (*own_items(groups.plan), time, partition))
        return replace(groups, plan=plan, time=EVENT_TIME, partition=PARTITION)


def closing_of(source: BoundItem, window: syntax.Window) -> Closing:
    """How windows over `source`, which has its stream time, close. Raises SqlError for too short a RETENTION."""
    assert source.time is not None and source.partition is not None
    grace_us = grace_of(window)
    if window.retention_us is not None and window.retention_us < grace_us:
        said = "the GRACE PERIOD, which is" if window.grace_us is not None else "the GRACE PERIOD, which without one is"
        raise SqlError(
            f"the RETENTION of a window must not be shorter than {said} {duration(grace_us)}", window.span,
            hint=f"keep it for longer, or write GRACE PERIOD {duration(window.retention_us).upper()}",
        )  # fmt: skip
    assert isinstance(source.plan, StreamTime)
    clock = Watermark(source.plan, source.time, source.partition, source.partitions, clock=source.plan.clock)
    return Closing(clock, _after_us(window), window.kind == "SESSION", window.retention_us)


def silence_of(source: BoundItem, window: syntax.Window, idle_us: int) -> Silence:
    """What closes the windows over a stream once nothing has come for `idle_us`."""
    assert source.time is not None and source.partition is not None
    if any(isinstance(node, ChangeRows) for node in walk_plan(source.plan)):
        raise Unsupported(
            "an idle_timeout is about the partitions of streams, and these are changes of a table", window.span,
            hint="leave it out: windows close as later changes come",
        )  # fmt: skip
    leaves = [leaf for leaf in walk_plan(source.plan) if isinstance(leaf, StreamSource)]
    ids = tuple(sorted({leaf.id for leaf in leaves}))
    close_us = _after_us(window) if window.kind == "SESSION" else window.size_us + grace_of(window)
    clock = Arrivals(ids, _starts(leaves))
    return Silence(source.plan, source.time, source.partition, source.partitions, idle_us, close_us, clock=clock)


def _starts(leaves: Sequence[StreamSource]) -> tuple[tuple[int, int, int], ...]:
    """Where streams are begun, of one that is read more than once the earliest: stream, partition and offset."""
    begins: dict[tuple[int, int], int] = {}
    for leaf in leaves:
        for partition, offset in leaf.start:
            others = [dict(other.start).get(partition, 0) for other in leaves if other.id == leaf.id]
            begins[leaf.id, partition] = min(offset, *others)
    return tuple((id, partition, offset) for (id, partition), offset in sorted(begins.items()) if offset)


def _after_us(window: syntax.Window) -> int:
    """How long after its WINDOWEND a window can still change, in µs."""
    return 2 * window.size_us + grace_of(window) + 1 if window.kind == "SESSION" else grace_of(window)


def final_select(query: syntax.Query) -> syntax.Select:
    """The windowed SELECT that EMIT FINAL is of. Raises SqlError for something that has no end."""
    if not isinstance(query.body, syntax.Select) or query.body.window is None:
        raise SqlError(
            "EMIT FINAL gives each window when it has closed, and this query has no WINDOW of its own", query.span,
            hint="add WINDOW TUMBLING (SIZE …) after FROM, or write EMIT CHANGES",
        )  # fmt: skip
    return query.body
