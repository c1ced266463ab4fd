"""WINDOW SESSION, bound: the rows of a stream with the bounds of their sessions, one run of sessions for each group.

As in ksqlDB, WINDOWSTART is the time of the first row of a session and WINDOWEND that of its last, and a row that is
just the gap away still belongs to it. A record is late when the stream time of its partition has passed its own time,
the gap and the grace: one that comes later makes no session of its own, and joins none.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import Unsupported
from headwater.parser import syntax
from headwater.planner.aggregates import group_expressions
from headwater.planner.expressions import bind_expression
from headwater.planner.from_items import BoundItem, prefixed
from headwater.planner.join_keys import with_keys
from headwater.planner.logical import OnTime, Plan, SessionAssign, StreamTime, Watermark, walk_plan
from headwater.planner.names import names_in
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.window_functions import check_gap, grace_of
from headwater.values import WINDOWEND, WINDOWSTART

_BOUNDS = (WINDOWSTART, WINDOWEND)


def with_sessions(source: BoundItem, select: syntax.Select, window: syntax.Window) -> BoundItem:
    """The rows of a stream with its stream time that are not late, with the bounds of their sessions."""
    assert source.time and source.stream_time
    check_gap(window.size_us, window.span)
    groups = group_expressions(select, source.scope)
    if groups is None:
        raise Unsupported(
            "several groupings of a SESSION window are not supported: each has sessions of its own", window.span,
            hint="write a query for each, and UNION ALL",
        )  # fmt: skip
    keys = tuple(bind_expression(group, source.scope) for group in groups if not _is_of_window(group, source.scope))
    grace = grace_of(window)
    late_us = window.size_us + grace
    on_time = OnTime(source.plan, source.time, source.stream_time, late_us)
    keyed, names = with_keys(on_time, keys, "session")
    timed = next(node for node in walk_plan(source.plan) if isinstance(node, StreamTime))
    watermark = Watermark(timed.source, timed.time, timed.partition, source.partitions)
    return with_bounds(source, SessionAssign(keyed, watermark, names, source.time, window.size_us, late_us))


def with_bounds(source: BoundItem, plan: Plan) -> BoundItem:
    """`source` with the bounds of windows, which `plan` has."""
    bounds = tuple(ScopeColumn(None, n, n, "TIMESTAMP", hidden=True) for n in _BOUNDS)
    return replace(source, plan=plan, scope=Scope((*source.scope.columns, *bounds)), is_join=False)


def without_bounds(source: BoundItem) -> BoundItem:
    """`source`, in which the bounds of windows that its rows were of go by its alias alone: t.WINDOWSTART."""
    own = [c for c in source.scope.columns if c.name.upper() in _BOUNDS]
    if not own:
        return source
    source = prefixed(source)
    columns = tuple(replace(c, merged=c.name.upper() in _BOUNDS) for c in source.scope.columns)
    return replace(source, scope=Scope(columns))


def _is_of_window(expression: syntax.Expression, scope: Scope) -> bool:
    """Whether an expression names a bound of the window, which are keys in any case; `scope` is without them."""
    names = (name for name in names_in(expression) if not scope.has(name))
    return any(name.parts[-1].text.upper() in _BOUNDS for name in names)
