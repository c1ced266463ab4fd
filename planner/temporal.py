"""JOIN table FOR SYSTEM_TIME AS OF stream.ts, bound: each row of the stream meets the table as it was at that time.

A table has no event time, so its past is that of its commits: `ts` is compared with the times at which changes of the
table were committed. The result is a stream.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import SqlError, TypeProblem, Unsupported
from headwater.parser import syntax
from headwater.planner.expressions import bind_expression
from headwater.planner.from_items import BoundItem, prefixed
from headwater.planner.join_keys import restored, with_keys
from headwater.planner.joins import condition_of, merged, natural, refuse_same_alias
from headwater.planner.logical import Expression, OuterJoin, Plan, Source, TemporalJoin, walk_plan
from headwater.planner.past_nodes import commit_times
from headwater.planner.rewrite import filtered
from headwater.planner.scope import Scope


def without_time_of_row(item: syntax.FromItem) -> tuple[syntax.FromItem, syntax.AsOf | None]:
    """An item of FROM without its FOR SYSTEM_TIME AS OF a column, and that, if it has one."""
    match item:
        case syntax.Relation(as_of=syntax.AsOf(kind="column") as time):
            return replace(item, as_of=None), time
        case syntax.Derived(query=syntax.Query(as_of=syntax.AsOf(kind="column") as time) as query):
            return replace(item, query=replace(query, as_of=None)), time
    return item, None


def temporal_joined(item: syntax.Join, first: BoundItem, second: BoundItem, as_of: syntax.AsOf) -> BoundItem:
    """The join of a stream and a table as of a time that each row of the stream names."""
    if item.kind not in ("INNER", "LEFT"):
        raise Unsupported(
            f"{item.kind} JOIN cannot look up a table as of a column", item.span, hint="use JOIN or LEFT JOIN"
        )
    left, right = prefixed(first), prefixed(second)
    refuse_same_alias(item, left, right)
    if not left.is_stream:
        raise SqlError(
            "the left side is no stream, whose rows could each look up a table as of a time", as_of.span,
            hint="use ASOF JOIN with a column of the right side that says when its row was so",
        )  # fmt: skip
    if right.is_stream or right.is_history:
        raise SqlError(
            "FOR SYSTEM_TIME AS OF a column looks up a table, and this is a stream", as_of.span,
            hint="use ASOF JOIN, or keep the latest rows of the stream as a table",
        )  # fmt: skip
    time = _time(as_of, left.scope)
    shared = item.using or (natural(item, left.scope, right.scope) if item.natural else ())
    keys, rest = condition_of(item, shared, left.scope, right.scope)
    left_plan, (*left_keys, time_name) = with_keys(left.plan, (*(k[0] for k in keys), time), "l")
    right_plan, right_keys = with_keys(right.plan, tuple(k[1] for k in keys), "r")
    clocks = commit_times(leaf for leaf in walk_plan(right_plan) if isinstance(leaf, Source))
    plan: Plan = filtered(TemporalJoin(left_plan, right_plan, clocks, tuple(left_keys), right_keys, time_name), rest)
    if item.kind == "LEFT":
        decisive = {name for e in (time, *(k[0] for k in keys), *rest) for name in e.reads}
        on = tuple(name for name in left.plan.names if name in decisive)
        plan = restored(OuterJoin("LEFT", plan, (left.plan,), on, by_version=True), left.plan, right.plan)
    return replace(left, plan=plan, scope=merged(left.scope, right.scope, shared), is_join=True)


def _time(as_of: syntax.AsOf, scope: Scope) -> Expression:
    assert as_of.column is not None
    time = bind_expression(as_of.column, scope)
    if time.type == "TIMESTAMP":
        return time
    if time.type.startswith("TIMESTAMP") or time.type == "DATE":
        return Expression(f"CAST({time.sql} AS TIMESTAMP)", "TIMESTAMP", time.reads)
    raise TypeProblem(f"AS OF takes a time, and this is {time.type}", as_of.column.span, hint="name a TIMESTAMP")
