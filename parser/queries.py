"""The syntax of queries: SELECT and what stands around it, what FROM can read, and points of the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from headwater.parser.expressions import Call, Expression, Name, OrderItem, SelectItem, WindowSpec
from headwater.parser.nodes import Identifier, Node

# ---------------------------------------------------------------- points of the log


@dataclass(frozen=True)
class AsOf(Node):
    """A point of the log: OFFSET n | OFFSET (key => n, …) | VERSION n | TIMESTAMP '…' | '5 minutes ago'.

    `kind` is 'offset', 'offsets', 'version', 'timestamp', 'ago', 'earliest', 'latest' or 'column'. For 'offsets',
    `positions` holds pairs of a partition number or a relation's name, and an offset. For 'column', which is a point
    of its own for each row (FOR SYSTEM_TIME AS OF o.ts), it is `column`. Otherwise `value` is the literal's text.
    """

    kind: str
    value: str = ""
    positions: tuple[tuple[int | str, int], ...] = ()
    column: Name | None = None


@dataclass(frozen=True)
class Changes(Node):
    """CHANGES FROM point [TO point]: what changed between two points of the log, or since one."""

    start: AsOf
    end: AsOf | None = None


# ---------------------------------------------------------------- FROM


@dataclass(frozen=True)
class Relation(Node):
    """A relation by name in FROM, possibly as of a point of the log.

    `columns` are names given to its columns by the alias. `read_as` is 'TABLE' for TABLE(stream) and 'CHANGES' for
    CHANGES OF table. `changes` is CHANGES FROM; `start` is FROM OFFSET n, from where a continuous query reads it.
    """

    name: Identifier
    alias: Identifier | None = None
    as_of: AsOf | None = None
    columns: tuple[Identifier, ...] = ()
    read_as: str | None = None
    changes: Changes | None = None
    start: AsOf | None = None


@dataclass(frozen=True)
class Derived(Node):
    """A subquery in FROM; a `lateral` one may name columns of what stands before it."""

    query: Query
    alias: Identifier | None = None
    columns: tuple[Identifier, ...] = ()
    lateral: bool = False


@dataclass(frozen=True)
class TableFunction(Node):
    """A function in FROM: UNNEST(list), generate_series(1, 10). `ordinality` adds a column that counts its rows."""

    call: Call
    alias: Identifier | None = None
    columns: tuple[Identifier, ...] = ()
    lateral: bool = False
    ordinality: bool = False


@dataclass(frozen=True)
class WindowFunction(Node):
    """TUMBLE(t, ts, size), HOP(t, ts, step, size), CUMULATE(t, ts, step, size) or SESSION(t, ts, gap) in FROM.

    It gives the rows of `source` with `window_start` and `window_end`. Lengths are in microseconds; `size_us` is the
    gap of a SESSION. `partition_by` is what Flink writes after the relation of a SESSION.
    """

    kind: str
    source: Relation | Derived
    time: Name
    size_us: int
    step_us: int | None = None
    partition_by: tuple[Expression, ...] = ()
    alias: Identifier | None = None


@dataclass(frozen=True)
class Within(Node):
    """WITHIN 10 SECONDS, or WITHIN (before, after) [GRACE PERIOD …]: how far apart two events may be, in µs."""

    before_us: int
    after_us: int
    grace_us: int | None = None


@dataclass(frozen=True)
class Join(Node):
    """`kind` is INNER, LEFT, RIGHT, FULL, SEMI, ANTI, CROSS, POSITIONAL, ASOF, 'ASOF LEFT' …

    Exactly one of `on`, `using` and `natural` is given, but for CROSS and POSITIONAL, which have none.
    """

    kind: str
    left: FromItem
    right: FromItem
    on: Expression | None = None
    using: tuple[Identifier, ...] = ()
    natural: bool = False
    within: Within | None = None


FromItem: TypeAlias = Relation | Derived | TableFunction | WindowFunction | Join


@dataclass(frozen=True)
class Window(Node):
    """WINDOW TUMBLING (SIZE …), where `advance_us` equals `size_us`, HOPPING (SIZE …, ADVANCE BY …) or SESSION (gap).

    For SESSION both `size_us` and `advance_us` are the gap.
    """

    kind: str
    size_us: int
    advance_us: int
    grace_us: int | None = None
    retention_us: int | None = None


# ---------------------------------------------------------------- queries


@dataclass(frozen=True)
class NamedWindow(Node):
    """`name AS (…)` in the WINDOW clause after HAVING."""

    name: Identifier
    spec: WindowSpec


@dataclass(frozen=True)
class Select(Node):
    """One SELECT … FROM … WHERE … GROUP BY … HAVING … QUALIFY block; `window` stands after FROM, as in ksqlDB.

    `partition_by` is ksqlDB's PARTITION BY, the key of the stream that the query makes.
    """

    items: tuple[SelectItem, ...]
    source: FromItem | None = None
    window: Window | None = None
    where: Expression | None = None
    group_by: tuple[Expression, ...] = ()
    having: Expression | None = None
    distinct: bool = False
    distinct_on: tuple[Expression, ...] = ()
    partition_by: tuple[Expression, ...] = ()
    windows: tuple[NamedWindow, ...] = ()
    qualify: Expression | None = None


@dataclass(frozen=True)
class Values(Node):
    """VALUES (…), (…) as a query."""

    rows: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True)
class SetOperation(Node):
    """`operator` is UNION, INTERSECT or EXCEPT; `all` keeps duplicates; `by_name` matches columns by their names."""

    operator: str
    left: QueryBody
    right: QueryBody
    all: bool = False
    by_name: bool = False


QueryBody: TypeAlias = "Select | Values | SetOperation | Query"


@dataclass(frozen=True)
class CommonTable(Node):
    """One `name AS (query)` of WITH; `materialized` is None where it was not said."""

    name: Identifier
    columns: tuple[Identifier, ...]
    query: Query
    materialized: bool | None = None


@dataclass(frozen=True)
class Query(Node):
    """A whole query: body, order, limit, and what it is asked for.

    `as_of`, written last, holds for every relation in the query. `emit` is 'CHANGES', 'FINAL' or None (a snapshot).
    """

    body: QueryBody
    ctes: tuple[CommonTable, ...] = ()
    recursive: bool = False
    order_by: tuple[OrderItem, ...] = ()
    limit: Expression | None = None
    offset: Expression | None = None
    as_of: AsOf | None = None
    emit: str | None = None
