"""now() in the WHERE of a continuous query: which rows are there depends on the time, and it is the clock that decides.

    ts > now() - INTERVAL 5 MINUTES               visible until ts + 5 minutes
    ts <= now()                                   visible from ts
    now() BETWEEN opens AND closes                visible from opens, until just after closes

The time is that of commits, so a table at a version follows from the log up to there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce

from headwater.errors import TypeProblem, Unsupported
from headwater.parser import syntax
from headwater.parser.durations import of_interval
from headwater.planner.expressions import NOW_NAMES, bind_expression, conjuncts
from headwater.planner.from_items import BoundItem
from headwater.planner.join_keys import own_items
from headwater.planner.logical import Expression, Filter, Join, Moment, Now, Plan, Project, TemporalFilter, walk_plan
from headwater.planner.scope import Scope

_TIMES = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE")
_FROM, _UNTIL = "$visible_from", "$visible_until"
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def with_now(source: BoundItem, condition: syntax.Expression) -> tuple[BoundItem, syntax.Expression | None]:
    """`source` under those of the conditions of a WHERE that speak of now(), which make it a table; and the others.

    Raises Unsupported for one that does not say from when, or until when, a row is there.
    """
    parts = list(conjuncts(condition))
    timed = [part for part in parts if has_now(part, source.scope)]
    if not timed:
        return source, condition
    begins: list[Expression] = []
    ends: list[Expression] = []
    for part in timed:
        for comparison in _comparisons(part):
            _add_moment(comparison, source.scope, begins, ends)
    moments = {name: found for name, found in ((_FROM, begins), (_UNTIL, ends)) if found}
    items = [(name, _combined(name, found)) for name, found in moments.items()]
    rows: Plan = source.plan
    for moment in (m for found in moments.values() if len(found) > 1 for m in found):
        rows = Filter(rows, Expression(f"{moment.sql} IS NOT NULL", "BOOLEAN", moment.reads))
    visible_from, visible_until = (Moment(name) if name in moments else None for name in (_FROM, _UNTIL))
    plan = TemporalFilter(Project(rows, (*own_items(rows), *items)), visible_from, visible_until, clock=Now())
    rest = [part for part in parts if part not in timed]
    table = replace(source, plan=plan, time=None, partition=None, stream_time=None, is_history=False)
    return table, reduce(lambda a, b: syntax.Binary("AND", a, b, span=a.span), rest) if rest else None


def refuse_join_with_now(plan: Plan, at: syntax.Node) -> None:
    """Raises Unsupported where rows of a stream would meet a table as of their version that follows a clock."""
    for node in walk_plan(plan):
        if isinstance(node, Join) and node.by_version and any(isinstance(n, Now) for n in walk_plan(node.right)):
            raise Unsupported(
                "a stream cannot be joined with rows that come and go by now()", at.span,
                hint="join the stream with the whole table, and write the condition on now() in the WHERE of the join",
            )  # fmt: skip


def has_now(node: syntax.Node, scope: Scope) -> bool:
    """Whether the present time stands somewhere in `node`."""
    return any(_is_now(inner, scope) for inner in syntax.walk(node))


def _is_now(node: syntax.Node, scope: Scope) -> bool:
    match node:
        case syntax.Call(arguments=(), over=None):
            return node.name.lower() in NOW_NAMES
        case syntax.Name(parts=(part,)) if not part.quoted:
            return part.text.lower() in NOW_NAMES and not scope.has(node)
    return False


def _comparisons(part: syntax.Expression) -> Iterator[syntax.Expression]:
    """BETWEEN as the two comparisons that it is; anything else as it is."""
    if isinstance(part, syntax.Between) and not part.negated:
        yield syntax.Binary(">=", part.operand, part.low, span=part.span)
        yield syntax.Binary("<=", part.operand, part.high, span=part.span)
    else:
        yield part


def _add_moment(comparison: syntax.Expression, scope: Scope, begins: list[Expression], ends: list[Expression]) -> None:
    """Adds the moment from which, or until which, a comparison with now() is true."""
    if not isinstance(comparison, syntax.Binary) or comparison.operator not in _TURNED:
        raise _refused(comparison)
    left, right, operator = comparison.left, comparison.right, comparison.operator
    if has_now(left, scope):
        left, right, operator = right, left, _TURNED[operator]
    offset_us = _offset(right, scope)
    if has_now(left, scope) or offset_us is None:
        raise _refused(comparison)
    time = bind_expression(left, scope)
    if time.type not in _TIMES:
        raise TypeProblem(f"now() is compared with a time, and this is {time.type}", left.span, hint="cast it")
    # left < now() + offset is now() > left - offset; a microsecond is the smallest step of a TIMESTAMP
    shift_us = -offset_us + (1 if operator in ("<", ">=") else 0)
    sql = f"CAST({time.sql} AS TIMESTAMP)" if time.type != "TIMESTAMP" else time.sql
    sql = f"({sql} + to_microseconds({shift_us}))" if shift_us else sql
    moment = Expression(sql, "TIMESTAMP", time.reads, is_column=time.is_column and sql == time.sql)
    (begins if operator in ("<", "<=") else ends).append(moment)


def _offset(expression: syntax.Expression, scope: Scope) -> int | None:
    """How far from now() a time is in µs, if it is now() with fixed lengths added and taken away."""
    if _is_now(expression, scope):
        return 0
    match expression:
        case syntax.Binary(operator="+", left=syntax.Interval() as length, right=time):
            sign = 1
        case syntax.Binary(operator="+" | "-" as operator, left=time, right=syntax.Interval() as length):
            sign = 1 if operator == "+" else -1
        case _:
            return None
    rest = _offset(time, scope)
    return None if rest is None else rest + sign * of_interval(length)


def _combined(name: str, moments: list[Expression]) -> Expression:
    """The last moment from which all are true, or the first at which one is not any more; NULLs are left out before."""
    if len(moments) == 1:
        return moments[0]
    function = "greatest" if name == _FROM else "least"
    reads = tuple(dict.fromkeys(read for moment in moments for read in moment.reads))
    return Expression(f"{function}({', '.join(moment.sql for moment in moments)})", "TIMESTAMP", reads)


def _refused(at: syntax.Node) -> Unsupported:
    return Unsupported(
        "now() is compared in WHERE with a time, as a condition of its own, in a continuous query", at.span,
        hint="write ts > now() - INTERVAL 5 MINUTES, or ts <= now(), and join conditions with AND",
    )  # fmt: skip
