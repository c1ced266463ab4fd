"""TUMBLE, HOP, CUMULATE and SESSION in FROM: the rows of a relation, each once per window that holds its time.

    SELECT window_start, count(*) FROM TUMBLE(bid, at, INTERVAL 10 SECONDS) GROUP BY window_start

They compute: unlike WINDOW after FROM they know no stream time, and no row is too late for them. So the relation may be
a table, and the time any column; rows without a time are left out. Windows start at multiples of their step since 1970,
those of CUMULATE at multiples of their size; a session, of each value of PARTITION BY, lasts from its first row until
the gap after its last one, as in Flink.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from headwater.errors import Span, SqlError, TypeProblem
from headwater.parser import parse_statement, syntax
from headwater.planner.expressions import bind_expression, column_expression
from headwater.planner.from_items import BoundItem, aliased, prefixed
from headwater.planner.join_keys import with_keys
from headwater.planner.logical import (
    STREAM_TIME,
    Expression,
    Filter,
    Plan,
    Project,
    SessionAssign,
    WindowAssign,
)
from headwater.planner.scope import Scope, ScopeColumn
from headwater.values import WINDOWEND, WINDOWSTART

DEFAULT_GRACE_US = 24 * 3600 * 1_000_000  # a window without GRACE PERIOD stays open for a day, as in ksqlDB

START, END = "window_start", "window_end"
TIME = "$windowtime"

_NEVER_LATE = Expression("CAST(NULL AS TIMESTAMP)", "TIMESTAMP")  # the stream time of a partition before its first row
_TIMES = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE")


def grace_of(window: syntax.Window | syntax.Within) -> int:
    """For how long after its end a window, or a span of WITHIN, takes rows, in µs."""
    return DEFAULT_GRACE_US if window.grace_us is None else window.grace_us


def check_lengths(size_us: int, advance_us: int, at: Span) -> None:
    """Raises SqlError for windows that hold nothing, or that leave rows between them."""
    if size_us <= 0 or advance_us <= 0:
        raise SqlError("a window's SIZE and ADVANCE BY must be longer than nothing", at)
    if advance_us > size_us:
        raise SqlError("ADVANCE BY must not be longer than SIZE", at, hint="rows between two windows would be lost")


def check_gap(gap_us: int, at: Span) -> None:
    """Raises SqlError for a gap of sessions in which nothing fits."""
    if gap_us <= 0:
        raise SqlError("the gap of a SESSION must be longer than nothing", at)


def windowed_item(item: syntax.WindowFunction, source: BoundItem) -> BoundItem:
    """The function as an item of FROM in a continuous query, over its bound `source`."""
    step_us = _checked_step(item)
    time = bind_expression(item.time, source.scope)
    if time.type not in _TIMES:
        raise TypeProblem(
            f"a window needs a time, and this is {time.type}", item.time.span, hint="cast it to TIMESTAMP"
        )
    alias = item.alias.text if item.alias else source.scope.columns[0].relation
    own = prefixed(aliased(source, alias))
    assert isinstance(own.plan, Project)
    starts, ends = f"{alias}.{START}", f"{alias}.{END}"
    if {starts, ends} & set(own.plan.names):
        raise SqlError(f'"{alias}" has a column {START} or {END} already', item.span, hint="give it another name")
    stamp = time if time.type == "TIMESTAMP" else Expression(f"CAST({time.sql} AS TIMESTAMP)", "TIMESTAMP", time.reads)
    timed = Filter(source.plan, Expression(f"{time.sql} IS NOT NULL", "BOOLEAN", time.reads))
    plan = Project(timed, (*own.plan.items, (TIME, stamp), (STREAM_TIME, _NEVER_LATE)))
    assigned: Plan
    if item.kind == "SESSION":
        keyed, keys = with_keys(plan, tuple(bind_expression(key, own.scope) for key in item.partition_by), "session")
        assigned = SessionAssign(keyed, None, keys, TIME, item.size_us, 0)
    else:
        assigned = WindowAssign(plan, TIME, STREAM_TIME, item.size_us, step_us, 0, item.kind == "CUMULATE")
    start, end = (column_expression(bound, "TIMESTAMP") for bound in (WINDOWSTART, WINDOWEND))
    if item.kind == "SESSION":
        end = Expression(f"{end.sql} + to_microseconds({item.size_us})", "TIMESTAMP", end.reads)
    shown = (*((c.name, column_expression(c.name, c.type)) for c in own.plan.columns), (starts, start), (ends, end))
    columns = tuple(ScopeColumn(alias, n, i, "TIMESTAMP") for n, i in ((START, starts), (END, ends)))
    found = replace(own, plan=Project(assigned, shown), scope=Scope((*own.scope.columns, *columns)), is_join=True)
    # Sessions grow, so the rows of a stream change, and are a table.
    return replace(found, time=None, partition=None, is_history=False) if item.kind == "SESSION" else found


def _checked_step(item: syntax.WindowFunction) -> int:
    """How far apart the windows of a function begin, or end. Raises SqlError where its lengths do not fit."""
    step_us = item.step_us or item.size_us
    if item.kind == "SESSION":
        check_gap(item.size_us, item.span)
    check_lengths(item.size_us, step_us, item.span)
    if item.kind == "CUMULATE" and item.size_us % step_us:
        raise SqlError("the size of CUMULATE must be a multiple of its step", item.span)
    if item.partition_by and item.kind != "SESSION":
        raise SqlError(f"{item.kind} has no PARTITION BY: its windows are the same for all rows", item.span)
    return step_us


# ---------------------------------------------------------------- snapshot queries

_QUERIES = {
    "TUMBLE": """
        SELECT *, {bucket} AS window_start, {bucket} + {size} AS window_end
        FROM its_source WHERE its_time IS NOT NULL""",
    "HOP": """
        SELECT * EXCLUDE ("$start"), "$start" AS window_start, "$start" + {size} AS window_end
        FROM (SELECT *, unnest(list_filter(list_transform(range({count}), LAMBDA i: {bucket} - i * {step}),
                                           LAMBDA w: w + {size} > CAST(its_time AS TIMESTAMP))) AS "$start"
              FROM its_source WHERE its_time IS NOT NULL) AS hops""",
    "CUMULATE": """
        SELECT *, {whole} AS window_start,
               unnest(list_filter(list_transform(range(1, {count} + 1), LAMBDA i: {whole} + i * {step}),
                                  LAMBDA w: w > CAST(its_time AS TIMESTAMP))) AS window_end
        FROM its_source WHERE its_time IS NOT NULL""",
    "SESSION": """
        SELECT * EXCLUDE ("$time", "$key", "$begins", "$number"),
               min("$time") OVER (PARTITION BY "$key", "$number") AS window_start,
               max("$time") OVER (PARTITION BY "$key", "$number") + {size} AS window_end
        FROM (SELECT *, sum("$begins") OVER (PARTITION BY "$key" ORDER BY "$time") AS "$number"
              FROM (SELECT *, CASE WHEN lag("$time") OVER (PARTITION BY "$key" ORDER BY "$time") >= "$time" - {size}
                                   THEN 0 ELSE 1 END AS "$begins"
                    FROM (SELECT *, CAST(its_time AS TIMESTAMP) AS "$time", its_key AS "$key"
                          FROM its_source WHERE its_time IS NOT NULL) AS timed) AS begun) AS numbered""",
}
_ONE = syntax.Literal("number", "1")


def windowed_query(item: syntax.WindowFunction) -> syntax.Derived:
    """The function as a subquery that DuckDB understands."""
    step_us = _checked_step(item)
    key = syntax.Row(item.partition_by) if len(item.partition_by) > 1 else next(iter(item.partition_by), _ONE)

    def change(node: syntax.Node) -> syntax.Node | None:
        match node:
            case syntax.Relation(name=name) if name.text == "its_source":
                return item.source
            case syntax.Name(parts=(part,)) if part.text == "its_time":
                return item.time
            case syntax.Name(parts=(part,)) if part.text == "its_key":
                return key
        return None

    query = syntax.rewrite(_template(item.kind, item.size_us, step_us), change)
    return syntax.Derived(query, item.alias or _alias_of(item.source), span=item.span)


@cache
def _template(kind: str, size_us: int, step_us: int) -> syntax.Query:
    def bucket(length: int) -> str:
        return f"time_bucket(to_microseconds({length}), CAST(its_time AS TIMESTAMP), CAST('1970-01-01' AS TIMESTAMP))"

    sql = _QUERIES[kind].format(
        bucket=bucket(step_us),
        whole=bucket(size_us),
        size=f"to_microseconds({size_us})",
        step=f"to_microseconds({step_us})",
        count=-(-size_us // step_us),
    )
    query = parse_statement(sql)
    assert isinstance(query, syntax.Query)
    return query


def _alias_of(source: syntax.Relation | syntax.Derived) -> syntax.Identifier | None:
    return source.alias or (source.name if isinstance(source, syntax.Relation) else None)
