"""What all nodes of a logical plan have, its leaves, and its expressions. `logical.py` is the module to import."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING

from headwater.values import Column

if TYPE_CHECKING:
    from headwater.planner.logical import Plan

# Hidden columns of a stream's rows below its output: when the row happened, the partition that it is in, and the stream
# time of that partition before the row.
EVENT_TIME = "$rowtime"
PARTITION = "$rowpartition"
STREAM_TIME = "$streamtime"

# The one column of a `Watermark`, and of `Now`; when rows of a partition were committed.
WATERMARK = "$watermark"
NOW = "$now"
ARRIVED = "$arrived"

# The columns of `CommitTimes`.
COMMITTED = "$committed"
AT_VERSION = "$version"

# Hidden columns that window functions and recomputed aggregates read: the number of a row's partition, and of the row
# in an order of all columns.
OVER_PARTITION = "$partition"
PLACE = "$place"


@dataclass(frozen=True)
class Expression:
    """A bound expression: DuckDB SQL over the input's column names, its SQL type, and the columns that it reads."""

    sql: str
    type: str
    reads: tuple[str, ...] = ()
    is_column: bool = False  # the expression is the one column in `reads`, unchanged

    def __str__(self) -> str:
        return self.sql


@dataclass(frozen=True)
class SortKey:
    """A column to order by. NaN is above all numbers; rows that no key tells apart are ordered by their columns."""

    column: str
    descending: bool = False
    nulls_first: bool = False

    def __str__(self) -> str:
        return f"{self.column}{' DESC' if self.descending else ''}{' NULLS FIRST' if self.nulls_first else ''}"


@dataclass(frozen=True, eq=False)
class PlanNode:
    """Base of all nodes. `columns` are the output columns in order, `append_only` says that no row is ever removed.

    `key` names columns that identify a row of the output at any time (() for at most one row), or is None.
    """

    def __eq__(self, other: object) -> bool:
        """Nodes are equal if all of their fields are: known from one number, since parts can be shared many times over.

        A comparison field by field would go through a part once for each way that leads to it.
        """
        return self is other or (isinstance(other, PlanNode) and self._content == other._content)

    def __hash__(self) -> int:
        return hash(self._content)

    @cached_property
    def _content(self) -> bytes:
        """A digest of all fields."""
        told = [type(self).__name__, *(_told(getattr(self, field.name)) for field in fields(self))]
        return hashlib.blake2b(", ".join(told).encode(), digest_size=16).digest()

    @property
    def columns(self) -> tuple[Column, ...]:
        raise NotImplementedError

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return ()

    @property
    def append_only(self) -> bool:
        return all(node.append_only for node in self.inputs)

    @property
    def key(self) -> tuple[str, ...] | None:
        return None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the output columns, in order."""
        return tuple(c.name for c in self.columns)

    @cached_property
    def digest(self) -> str:
        """A name for the computation, stable over restarts: equal nodes have equal digests."""
        inputs = "".join(node.digest for node in self.inputs)
        return hashlib.blake2b(f"{type(self).__name__} {self.label()} {inputs}".encode(), digest_size=12).hexdigest()

    def label(self) -> str:
        """Everything that distinguishes this node from others with the same inputs, on one line."""
        raise NotImplementedError


def _told(value: object) -> str:
    """The value of a field as text that no other value has."""
    if isinstance(value, PlanNode):
        return value._content.hex()
    if isinstance(value, tuple):
        return f"({', '.join(map(_told, value))})"
    return repr(value)


def duration(microseconds: int) -> str:
    """A length of time in the largest unit that divides it: `90 minutes`, `1 day`."""
    for unit, length in (
        ("day", 86_400_000_000),
        ("hour", 3_600_000_000),
        ("minute", 60_000_000),
        ("second", 1_000_000),
    ):
        if microseconds and microseconds % length == 0:
            count = microseconds // length
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{microseconds / 1000:.15g} milliseconds"


@dataclass(frozen=True, eq=False)
class Source(PlanNode):
    """A leaf: the log of relation `id`, of which it reads `fields`."""

    id: int
    name: str
    fields: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.fields

    @property
    def append_only(self) -> bool:
        return False

    def label(self) -> str:
        return f"{self.name} #{self.id} [{', '.join(self.names)}]"


@dataclass(frozen=True, eq=False)
class StreamSource(Source):
    """The records of a stream's log, in commit order; `fields` are some of its columns and pseudo-columns.

    Of the partitions in `start`, pairs with an offset, only the records from there on.
    """

    start: tuple[tuple[int, int], ...] = ()

    def label(self) -> str:
        begin = ", ".join(f"{partition} => {offset}" for partition, offset in self.start)
        return f"{super().label()} from {begin}" if begin else super().label()

    @property
    def append_only(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class TableSource(Source):
    """A source table: with a primary key, each row of its log replaces the one before; without, rows are added."""

    primary_key: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.primary_key or None

    def label(self) -> str:
        return f"{super().label()} key {', '.join(self.primary_key) or 'none'}"


@dataclass(frozen=True, eq=False)
class Changelog(Source):
    """The stored changelog of a derived table, read from its log instead of computed."""

    unique: tuple[str, ...] | None

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.unique


@dataclass(frozen=True, eq=False)
class Unary(PlanNode):
    """A node with one input, whose columns it keeps unless it says otherwise."""

    source: Plan

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.source.columns

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.source,)


@dataclass(frozen=True, eq=False)
class Clocked(Unary):
    """A node that may have a second input, `clock`, which tells it how far time is."""

    clock: Plan | None = field(default=None, kw_only=True)

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.source,) if self.clock is None else (self.source, self.clock)

    @property
    def append_only(self) -> bool:
        return self.source.append_only


@dataclass(frozen=True)
class Moment:
    """A moment of each row: so many microseconds after the time in one of its columns."""

    column: str
    after_us: int = 0

    def __str__(self) -> str:
        return f"{self.column} + {duration(self.after_us)}" if self.after_us else self.column
