"""The logical plan: relational algebra over deltas, each node knowing its columns, its key and whether it only grows.

Nodes are values: two equal nodes are the same computation, and the executor builds one operator for both. That is how
running queries share work, and how the state of an operator is found again in a checkpoint (`Node.digest`).
A plan is derived from the logs alone: its leaves are `StreamSource`, `TableSource` and `Changelog`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from headwater.planner.group_nodes import Aggregate, AggregateCall, RecomputedCall, Repeat, Union
from headwater.planner.lookup_nodes import LookupJoin
from headwater.planner.nodes import (
    EVENT_TIME,
    OVER_PARTITION,
    PARTITION,
    PLACE,
    STREAM_TIME,
    WATERMARK,
    Changelog,
    Clocked,
    Expression,
    Moment,
    PlanNode,
    SortKey,
    Source,
    StreamSource,
    TableSource,
    Unary,
    duration,
)
from headwater.planner.past_nodes import AsofJoin, ChangeRows, CommitTimes, TemporalJoin
from headwater.planner.recursion_nodes import LEVEL, Recursion, RecursiveRef
from headwater.planner.row_nodes import Constant, Foremost, Unnest
from headwater.planner.session_nodes import SessionAggregate, SessionAssign
from headwater.planner.time_nodes import Arrivals, Now, Silence, StreamTime, TemporalFilter, Watermark
from headwater.planner.window_nodes import WindowAssign
from headwater.planner.within_nodes import OnTime, Span, WithinJoin, WithinOuter
from headwater.values import ROWOFFSET, Column

__all__ = [
    "EVENT_TIME",
    "LEVEL",
    "OVER_PARTITION",
    "PARTITION",
    "PLACE",
    "STREAM_TIME",
    "WATERMARK",
    "Aggregate",
    "AggregateCall",
    "Arrivals",
    "AsofJoin",
    "ChangeRows",
    "Changelog",
    "Checked",
    "Clocked",
    "CommitTimes",
    "Constant",
    "Expression",
    "Filter",
    "Foremost",
    "Join",
    "LookupJoin",
    "Moment",
    "Now",
    "OnTime",
    "OuterJoin",
    "Over",
    "Plan",
    "PlanNode",
    "Project",
    "RecomputedCall",
    "Recursion",
    "RecursiveRef",
    "Repeat",
    "SemiJoin",
    "SessionAggregate",
    "SessionAssign",
    "Silence",
    "SortKey",
    "Source",
    "Span",
    "StreamOutput",
    "StreamSource",
    "StreamTime",
    "TableSource",
    "TemporalFilter",
    "TemporalJoin",
    "TopK",
    "Unary",
    "Union",
    "Unnest",
    "Watermark",
    "WindowAssign",
    "WindowCall",
    "WithinJoin",
    "WithinOuter",
    "duration",
    "has_order_of_log",
    "joins_by_version",
    "walk_plan",
]


@dataclass(frozen=True, eq=False)
class Filter(Unary):
    """The rows for which `predicate` is true; NULL counts as false."""

    predicate: Expression

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.source.key

    def label(self) -> str:
        return self.predicate.sql


@dataclass(frozen=True, eq=False)
class Checked(Filter):
    """A filter that a CHECK is: the rows that it leaves out are told of. `predicate` is never NULL."""

    @property
    def violated(self) -> Expression:
        """What is true of the rows that it leaves out."""
        return Expression(f"NOT {self.predicate.sql}", "BOOLEAN", self.predicate.reads)


@dataclass(frozen=True, eq=False)
class Project(Unary):
    """New columns computed row by row: pairs of output name and expression."""

    items: tuple[tuple[str, Expression], ...]

    def __post_init__(self) -> None:
        assert len({name for name, _ in self.items}) == len(self.items), self.items

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(Column(name, e.type) for name, e in self.items)

    @property
    def key(self) -> tuple[str, ...] | None:
        below = self.source.key
        if below is None:
            return None
        kept = {e.reads[0]: name for name, e in reversed(self.items) if e.is_column}
        return tuple(kept[k] for k in below) if all(k in kept for k in below) else None

    def label(self) -> str:
        return ", ".join(
            e.sql if e.is_column and e.reads[0] == name else f"{e.sql} AS {name}" for name, e in self.items
        )


@dataclass(frozen=True, eq=False)
class Join(PlanNode):
    """Inner join on equal keys (NULL never matches); the names of both sides are distinct.

    `by_version` is the stream–table join: each row of the left stream meets the right table as it stands at the
    version that committed the row, and later changes of the table produce nothing.
    """

    left: Plan
    right: Plan
    left_keys: tuple[str, ...]
    right_keys: tuple[str, ...]
    by_version: bool

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.left.columns, *self.right.columns)

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.left, self.right)

    @property
    def append_only(self) -> bool:
        return self.by_version or (self.left.append_only and self.right.append_only)

    @property
    def key(self) -> tuple[str, ...] | None:
        if self.by_version:
            return None
        left, right = self.left.key, self.right.key
        return None if left is None or right is None else (*left, *right)

    def label(self) -> str:
        kind = "stream–table" if self.by_version else "inner"
        pairs = " AND ".join(f"{a} = {b}" for a, b in zip(self.left_keys, self.right_keys, strict=True))
        return f"{kind} ON {pairs}" if pairs else f"{kind}, every row with every row"


@dataclass(frozen=True)
class WindowCall:
    """One function OVER the rows of a partition: its result column `name`, its type, and DuckDB's SQL for it.

    The SQL reads `reads`, OVER_PARTITION, and PLACE, which decides between rows that `order`, that of OVER, leaves
    equal. `exact` says that the values do not depend on the order in which floats are added up.
    """

    name: str
    function: str
    sql: str
    type: str
    reads: tuple[str, ...]
    order: tuple[SortKey, ...]
    exact: bool


@dataclass(frozen=True, eq=False)
class Over(Unary):
    """Each row with the values of window functions over the rows that have its value of `partition`; () means all."""

    partition: tuple[str, ...]
    calls: tuple[WindowCall, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.source.columns, *(Column(c.name, c.type) for c in self.calls))

    @property
    def append_only(self) -> bool:
        return False

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.source.key

    def label(self) -> str:
        return f"by {', '.join(self.partition) or 'nothing'}: {', '.join(c.sql for c in self.calls)}"


@dataclass(frozen=True, eq=False)
class TopK(Unary):
    """Of each partition, in order, `limit` rows after the first `offset`; `number` names a column with their places.

    Rows that `order` leaves equal are ordered by all their columns.
    """

    partition: tuple[str, ...]
    order: tuple[SortKey, ...]
    limit: int
    offset: int = 0
    number: str | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.source.columns if self.number is None else (*self.source.columns, Column(self.number, "BIGINT"))

    @property
    def append_only(self) -> bool:
        return False

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.partition if self.limit == 1 else self.source.key

    def label(self) -> str:
        parts = [f"{self.limit}{f' after {self.offset}' if self.offset else ''}"]
        parts += [f"of each {', '.join(self.partition)}"] if self.partition else []
        parts += [f"by {', '.join(str(key) for key in self.order) or 'all columns'}"]
        return " ".join([*parts, *([f"as {self.number}"] if self.number else [])])


@dataclass(frozen=True, eq=False)
class SemiJoin(Unary):
    """The rows of `source` that stand in `joined`, or if `negated` (an anti join) those that do not.

    `joined` is an inner join of `source` that has its columns; `on` are those that decide on a match.
    """

    joined: Plan
    on: tuple[str, ...]
    negated: bool
    by_version: bool

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.source, self.joined)

    @property
    def append_only(self) -> bool:
        return self.by_version

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.source.key

    def label(self) -> str:
        kind = f"{'anti' if self.negated else 'semi'}{', stream–table' if self.by_version else ''}"
        return f"{kind}, a match by {', '.join(self.on) or 'nothing'}"


@dataclass(frozen=True, eq=False)
class OuterJoin(PlanNode):
    """The rows of `joined`, and those of each of `sides` that do not stand in it, with NULL in all other columns.

    `joined` is the inner join, which has the columns of both sides; `on` are those that decide on a match.
    """

    kind: Literal["LEFT", "RIGHT", "FULL"]
    joined: Plan
    sides: tuple[Plan, ...]
    on: tuple[str, ...]
    by_version: bool

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.joined.columns

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.joined, *self.sides)

    @property
    def append_only(self) -> bool:
        return self.by_version

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.joined.key if len(self.sides) == 1 else None

    def label(self) -> str:
        kind = f"{self.kind.lower()}{', stream–table' if self.by_version else ''}"
        return f"{kind}, a match by {', '.join(self.on) or 'nothing'}"


@dataclass(frozen=True, eq=False)
class StreamOutput(Unary):
    """A derived stream: gives each row its offset in the stream's own log. Reads ROWTIME and ROWPARTITION."""

    id: int
    name: str

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.source.columns, Column(ROWOFFSET, "BIGINT"))

    def label(self) -> str:
        return f"{self.name} #{self.id}"


Plan: TypeAlias = (
    StreamSource | TableSource | Changelog | Filter | Project | StreamTime | Watermark | WindowAssign | Aggregate | Join
    | AsofJoin | TemporalJoin | CommitTimes | Constant | Unnest | Foremost | LookupJoin | Over | SemiJoin | OuterJoin
    | TopK | Union | Repeat | StreamOutput | TemporalFilter | Now | Arrivals | Silence | Recursion | RecursiveRef
    | OnTime | WithinJoin | WithinOuter | SessionAssign | SessionAggregate | ChangeRows
)  # fmt: skip


def walk_plan(plan: Plan) -> Iterator[Plan]:
    """`plan` and everything below it, outermost first. What stands in it more than once comes once, where it is first.

    Both sides of n outer joins in a row stand in them twice: as a tree such a plan has 2ⁿ nodes.
    """
    seen: set[Plan] = set()
    waiting = [plan]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            yield node
            waiting += reversed(node.inputs)


def joins_by_version(plan: Plan) -> Iterator[Join | LookupJoin | TemporalJoin]:
    """The joins in `plan` of a stream with a table at the version of each of the stream's rows, or before it."""
    for node in walk_plan(plan):
        if isinstance(node, TemporalJoin) or (isinstance(node, Join | LookupJoin) and node.by_version):
            yield node


def has_order_of_log(plan: Plan) -> bool:
    """Whether the order of the rows of `plan` is that in which commits came."""
    return any(
        isinstance(node, ChangeRows) or (isinstance(node, Union | WithinJoin) and node.in_order)
        for node in walk_plan(plan)
    )
