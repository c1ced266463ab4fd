"""What each operator of a plan keeps between steps, with what that grows, and what bounds it.

For EXPLAIN: from a plan's nodes alone, before any row was seen. State is bounded when it follows the rows of a table,
which its owner can remove, or is as large as the query makes it; it is not when it grows with a stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.planner.duckdb_errors import with_users_names
from headwater.planner.logical import (
    Aggregate,
    AsofJoin,
    Changelog,
    ChangeRows,
    Constant,
    Foremost,
    Join,
    LookupJoin,
    Moment,
    Now,
    OuterJoin,
    Over,
    Plan,
    Recursion,
    RecursiveRef,
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
    Watermark,
    WithinJoin,
    WithinOuter,
    duration,
    walk_plan,
)
from headwater.planner.user_functions import declared
from headwater.values import WINDOWEND, WINDOWSTART

_LONG_GRACE_US = 86_400_000_000  # a wait that a user may not have meant


@dataclass(frozen=True, slots=True)
class OperatorState:
    """What an operator keeps. `cost` is that of one input row; `remedy` is what would bound a state without a bound."""

    what: str
    grows_with: str
    cost: str
    bounded_by: str | None
    remedy: str | None = None


def state_of(node: Plan) -> OperatorState | None:
    """What the operator of `node` keeps; None for one that keeps nothing."""
    match node:
        case TableSource(primary_key=key) if key:
            return OperatorState("one row per key", "each new key", "O(1) per row", f"the rows of {node.name}")
        case StreamTime() | Watermark() | Silence():
            return OperatorState("one time per partition", "each new partition", "O(1) per row", "the partitions")
        case StreamOutput():
            return OperatorState("one offset per partition", "each new partition", "O(1) per row", "the partitions")
        case Aggregate():
            return _of_aggregate(node)
        case TemporalFilter():
            return _of_temporal_filter(node)
        case Join() | LookupJoin():
            return _of_join(node)
        case TemporalJoin():
            return _of_temporal(node)
        case AsofJoin():
            return _of_asof(node)
        case SemiJoin(by_version=False, source=source):
            return _of_matches((source,))
        case OuterJoin(by_version=False, sides=sides):
            return _of_matches(sides)
        case SessionAggregate():
            bound = f"the gap and the GRACE PERIOD: {duration(node.reach_us)} before the watermark"
            return OperatorState("one row per session that can change", "each new session", "O(1) per row", bound)
        case SessionAssign():
            return _of_sessions(node)
        case WithinJoin(span=span):
            cost = "O(matches) per row" if node.left_keys else "O(rows near its time) per row"
            bound = f"WITHIN and its GRACE PERIOD: {duration(span.reach_us)} before the watermark"
            return OperatorState("the rows of both sides that can have a match", "each row of them", cost, bound)
        case WithinOuter(span=span):
            bound = f"WITHIN and its GRACE PERIOD: {duration(span.reach_us)} before the watermark"
            return OperatorState("the rows without a match so far", "each of them", "O(1) per row", bound)
        case Over():
            return _of_over(node)
        case Foremost():
            return _of_foremost(node)
        case TopK():
            return _of_top_k(node)
        case Recursion():
            return _of_recursion(node)
    return None


def keeps_state(plan: Plan) -> bool:
    """Whether any operator of `plan` keeps something."""
    return any(state_of(node) is not None for node in walk_plan(plan))


def _of_aggregate(node: Aggregate) -> OperatorState:
    row = "one row per group" if node.keys else "one row"
    kept = []
    if any(c.function in ("min", "max") for c in node.calls) and not node.source.append_only:
        kept.append("every value of min/max")
    if any(c.distinct for c in node.calls):
        kept.append("every distinct value")
    keeps_values = bool(kept)
    kept += [f"the state of {f.name}()" for f in dict.fromkeys(declared(c.function) for c in node.calls) if f]
    what = ", and ".join([row, *kept])
    bound = rows_bounded_by(node.source)
    if node.closes is not None:
        bound = f"the time that windows are open: they are forgotten {duration(node.closes.after_us)} after their end"
    if node.recomputed:
        cost = f"O(rows of {'its group' if node.keys else 'the whole table'}) per step"
        return OperatorState(
            "the rows of each group", "each row", cost, bound, None if bound else "a bound on what it reads"
        )
    if not node.keys and not keeps_values:
        return OperatorState(what, "nothing", "O(1) per row", "the one group")
    if not node.keys:
        return OperatorState(what, "each value", "O(1) per row", bound, None if bound else "a bound on what it reads")
    values = [key for key in node.keys if key not in (WINDOWSTART, WINDOWEND)]
    named = f"value of {', '.join(values)}" if values else ""
    remedy = None if bound else "a WINDOW, whose groups are forgotten after its GRACE PERIOD"
    if len(values) == len(node.keys):
        return OperatorState(what, f"each new {named}", "O(1) per row", bound, remedy)
    grows = f"each new window and {named}" if values else "each new window"
    return OperatorState(what, grows, "O(1) per row", bound, remedy)


def _of_temporal_filter(node: TemporalFilter) -> OperatorState:
    kept = []
    if node.visible_from is not None:
        kept.append(f"rows that wait for {node.visible_from}")
    if node.visible_until is not None:
        kept.append(f"rows that are there until {node.visible_until}")
    return OperatorState(", and ".join(kept), "each row of them", "O(1) per row", "the time until then")


def _of_join(node: Join | LookupJoin) -> OperatorState:
    kept = (node.right,) if node.by_version else (node.left, node.right)
    bounds = [rows_bounded_by(side) for side in kept]
    what = "the rows of the right side" if node.by_version else "the rows of both sides"
    cost = "O(matches) per row" if node.left_keys else "O(rows of the other side) per row"
    if isinstance(node, LookupJoin):
        cost = "O(1) per row" if node.by_version else "O(1) per left row, and O(matches) per right row"
    if all(bound is not None for bound in bounds):
        bounded_by = " and ".join(dict.fromkeys(bound for bound in bounds if bound is not None))
        return OperatorState(f"{what}, by key", "each row of them", cost, bounded_by)
    remedy = "a bound on what it reads; between two streams WITHIN"
    return OperatorState(f"{what}, by key", "each row of them", cost, None, remedy)


def _of_temporal(node: TemporalJoin) -> OperatorState:
    is_unique = node.right.key is not None and set(node.right.key) <= set(node.right_keys)
    cost = "O(log versions) per row" if is_unique else "O(versions with its key) per row"
    what = "all rows that the right side ever had, by key and time"
    return OperatorState(what, "each change of a row of it", cost, None, "a right side that seldom changes")


def _of_asof(node: AsofJoin) -> OperatorState:
    what, grows = "the rows of both sides, by key and time", "each row of them"
    cost = "O(log rows) per left row, and per right row O(left rows up to the next right row)"
    bounds = [rows_bounded_by(side) for side in node.inputs]
    if all(bound is not None for bound in bounds):
        bounded_by = " and ".join(dict.fromkeys(bound for bound in bounds if bound is not None))
        return OperatorState(what, grows, cost, bounded_by)
    return OperatorState(what, grows, cost, None, "a bound on what it reads")


def _of_matches(sides: tuple[Plan, ...]) -> OperatorState:
    what = f"a count of matches per row of {'both sides' if len(sides) > 1 else 'the side that is whole'}"
    bounds = [rows_bounded_by(side) for side in sides]
    if all(bound is not None for bound in bounds):
        bounded_by = " and ".join(dict.fromkeys(bound for bound in bounds if bound is not None))
        return OperatorState(what, "each row of them", "O(1) per row", bounded_by)
    return OperatorState(what, "each row of them", "O(1) per row", None, "a bound on what it reads")


def _of_sessions(node: SessionAssign) -> OperatorState:
    what, cost = "the rows of sessions that can change", "O(rows of its session) per step"
    if node.watermark is not None:
        bound = f"the gap and the GRACE PERIOD: {duration(node.reach_us)} before the watermark"
        return OperatorState(what, "each row of them", cost, bound)
    bounded_by = rows_bounded_by(node.source)
    remedy = None if bounded_by else "WINDOW SESSION after FROM, which knows late rows"
    return OperatorState("all rows, with their sessions", "each row", cost, bounded_by, remedy)


def _of_over(node: Over) -> OperatorState:
    bound = rows_bounded_by(node.source)
    cost = f"O(rows of {'its partition' if node.partition else 'the whole table'}) per step"
    remedy = None if bound else "a bound on what it reads"
    return OperatorState("the rows of each partition, and their values", "each row", cost, bound, remedy)


def _of_foremost(node: Foremost) -> OperatorState:
    what = f"the rows of rank 1{' of each partition' if node.partition else ''}"
    grows = (
        f"each new value of {', '.join(node.partition)}, and rows that are equal" if node.partition else "equal rows"
    )
    bound = rows_bounded_by(node)
    return OperatorState(what, grows, "O(1) per row", bound, None if bound else "a bound on what it reads")


def _of_top_k(node: TopK) -> OperatorState:
    first = f"the first {node.offset + node.limit} rows{' of each partition' if node.partition else ''}"
    bound, cost = rows_bounded_by(node), "O(rows that are kept of its partition) per step"
    if node.source.append_only:
        grows = f"each new value of {', '.join(node.partition)}" if node.partition else "nothing"
        return OperatorState(first, grows, cost, bound, None if bound else "a bound on what it reads")
    bound = rows_bounded_by(node.source)
    remedy = None if bound else "a bound on what it reads"
    return OperatorState(f"all rows, and {first}", "each row", cost, bound, remedy)


def _of_recursion(node: Recursion) -> OperatorState:
    what = "each row with its derivations by level" if node.distinct else "what its recursive term keeps"
    bound, cost = rows_bounded_by(node), "O(rows whose derivations change) per row"
    return OperatorState(what, "each row that it derives", cost, bound, None if bound else "a bound on what it reads")


def rows_bounded_by(plan: Plan) -> str | None:
    """What bounds how many rows `plan` has at any time: the rows of tables; None where a stream lets them grow."""
    match plan:
        case StreamSource() | StreamOutput() | ChangeRows():
            return None
        case TableSource() | Changelog() | RecursiveRef():
            return f"the rows of {plan.name}"
        case Constant():
            return "its constants"
        case Aggregate(keys=()) | Watermark() | Now():
            return "one row"
        case TopK(partition=()):
            return f"{plan.limit} rows"
        case TemporalFilter(visible_until=Moment() as until):
            return f"the time until {until}"
        case Join(by_version=True) | LookupJoin() | AsofJoin() | TemporalJoin():
            return rows_bounded_by(plan.left)
        case OuterJoin():
            return rows_bounded_by(plan.joined)  # in which the sides stand
        case SemiJoin():
            return rows_bounded_by(plan.source)
    inputs = (plan.base, *plan.outside) if isinstance(plan, Recursion) else plan.inputs
    bounds = [rows_bounded_by(source) for source in inputs]
    if any(bound is None for bound in bounds):
        return None
    return " and ".join(dict.fromkeys(bound for bound in bounds if bound is not None))


def warnings(plan: Plan) -> list[str]:
    """A sentence for each state of `plan` that nothing bounds, with what would, and for a long wait."""
    found = []
    for node in walk_plan(plan):
        if isinstance(node, TemporalFilter) and node.is_final and node.visible_from is not None:
            grace_us = node.visible_from.after_us
            if grace_us >= _LONG_GRACE_US:
                found.append(
                    f"EMIT FINAL shows a window {duration(grace_us)} after its end: that is its GRACE PERIOD, "
                    "and without one a window takes late rows for a day"
                )
        state = state_of(node)
        if state is not None and state.bounded_by is None:
            name = f"{type(node).__name__} {with_users_names(node.label())}"
            found.append(
                f"nothing bounds the state of {name}: it grows with {state.grows_with}; what would: {state.remedy}"
            )
    return found
