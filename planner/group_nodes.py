"""Nodes of a logical plan for groups of rows, and for set operations. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.planner.nodes import Clocked, Moment, PlanNode, Unary
from headwater.values import Column

if TYPE_CHECKING:
    from headwater.planner.logical import Plan


@dataclass(frozen=True)
class AggregateCall:
    """One aggregate: `function` over the input column `argument` (None for count(*)); its result column and type.

    `distinct` says that it takes each value of a group once.
    """

    name: str
    function: str
    argument: str | None
    type: str
    distinct: bool = False


@dataclass(frozen=True)
class RecomputedCall:
    """One aggregate that takes all rows of a group to compute: DuckDB's SQL for it, which reads `reads`; its type.

    PLACE among `reads` is the number of the row in an order of all columns that calls read.
    """

    sql: str
    type: str
    reads: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its result column."""
        return self.sql


@dataclass(frozen=True, eq=False)
class Aggregate(Clocked):
    """One row per distinct value of `keys` with the aggregates of its rows; without keys, always exactly one row.

    With `closes`, a moment of the keys: once the clock, a `Watermark`, is there, no row comes to a group any more.
    """

    keys: tuple[str, ...]
    calls: tuple[AggregateCall, ...]
    recomputed: tuple[RecomputedCall, ...] = ()
    closes: Moment | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        types = {c.name: c.type for c in self.source.columns}
        keys = (Column(k, types[k]) for k in self.keys)
        folded = (Column(c.name, c.type) for c in self.calls)
        return (*keys, *folded, *(Column(c.name, c.type) for c in self.recomputed))

    @property
    def append_only(self) -> bool:
        return False

    @property
    def key(self) -> tuple[str, ...]:
        return self.keys

    def label(self) -> str:
        calls = ", ".join([*(c.name for c in self.calls), *(c.name for c in self.recomputed)])
        closes = "" if self.closes is None else f"; closed at {self.closes}"
        return f"by {', '.join(self.keys) or 'nothing'}: {calls or 'distinct rows'}{closes}"


@dataclass(frozen=True, eq=False)
class Union(PlanNode):
    """All rows of `sources`, which have the same columns.

    `in_order` says that they come in the order of the log: commit by commit, and within one source by source.
    """

    sources: tuple[Plan, ...]
    in_order: bool

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.sources[0].columns

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return self.sources

    def label(self) -> str:
        return f"of {len(self.sources)}{', in the order of the log' if self.in_order else ''}"


@dataclass(frozen=True, eq=False)
class Repeat(Unary):
    """Each row as often as its column `times` says, without that column."""

    times: str

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(c for c in self.source.columns if c.name != self.times)

    def label(self) -> str:
        return f"by {self.times}"
