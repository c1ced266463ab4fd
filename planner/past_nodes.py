"""Nodes of a logical plan for joins with what was at another time. `logical.py` is the module to import."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headwater.planner.nodes import AT_VERSION, COMMITTED, PlanNode, Source
from headwater.values import Column

if TYPE_CHECKING:
    from headwater.planner.logical import Plan

Comparison = Literal[">=", ">", "<=", "<"]

# What a row that is a change has before the columns of what has changed.
OP, VERSION, TIME = "_op", "_version", "_time"
CHANGE_COLUMNS = (Column(OP, "VARCHAR"), Column(VERSION, "BIGINT"), Column(TIME, "TIMESTAMP"))


@dataclass(frozen=True, eq=False)
class AsofJoin(PlanNode):
    """Each left row with one right row of equal keys: the one whose `right_time` is nearest to `left_time`.

    `comparison` is how the left time stands to the right: with >= and > the right row is the last one before, with <=
    and < the first one after. Of several right rows with that time it is the first in an order of all their columns.
    NULL matches nothing; a left row without a match is left out or, if `outer`, has NULL for all right columns.
    """

    left: Plan
    right: Plan
    left_keys: tuple[str, ...]
    right_keys: tuple[str, ...]
    left_time: str
    right_time: str
    comparison: Comparison
    outer: bool

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.left.columns, *self.right.columns)

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.left, self.right)

    @property
    def append_only(self) -> bool:
        return False  # a nearer row may come

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.left.key

    def label(self) -> str:
        pairs = [f"{a} = {b}" for a, b in zip(self.left_keys, self.right_keys, strict=True)]
        nearest = f"{self.left_time} {self.comparison} {self.right_time}"
        return f"{'left' if self.outer else 'inner'} ON {' AND '.join([*pairs, nearest])}"


@dataclass(frozen=True, eq=False)
class CommitTimes(Source):
    """A leaf: for each commit to the log of relation `id` one row, its time in µs since the epoch, and its version."""

    @property
    def append_only(self) -> bool:
        return True

    def label(self) -> str:
        return f"{self.name} #{self.id}"


def commit_times(leaves: Iterable[Source]) -> tuple[CommitTimes, ...]:
    """The leaves that have the commits to the logs that `leaves` read, each log once."""
    sources = {leaf.id: leaf for leaf in leaves}
    fields = (Column(COMMITTED, "BIGINT"), Column(AT_VERSION, "BIGINT"))
    return tuple(CommitTimes(id, sources[id].name, fields) for id in sorted(sources))


@dataclass(frozen=True, eq=False)
class TemporalJoin(PlanNode):
    """Each row of the left stream with the rows of the right table with equal keys that were there at its `time`.

    A row of the table is there from the time of the commit that added it to that of the commit that removed it. What is
    known of the table are the commits before that of the stream's row; later ones produce nothing. `clocks` are the
    `CommitTimes` of all that the table is computed from.
    """

    left: Plan
    right: Plan
    clocks: tuple[Plan, ...]
    left_keys: tuple[str, ...]
    right_keys: tuple[str, ...]
    time: str

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.left.columns, *self.right.columns)

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.left, self.right, *self.clocks)

    @property
    def append_only(self) -> bool:
        return True

    def label(self) -> str:
        pairs = " AND ".join(f"{a} = {b}" for a, b in zip(self.left_keys, self.right_keys, strict=True))
        return f"ON {pairs or 'nothing'}, as of {self.time}"


@dataclass(frozen=True, eq=False)
class ChangeRows(PlanNode):
    """The changes of a table as rows that are only ever added: what a commit has removed, and then what it has added.

    `clocks` are the `CommitTimes` of all that the table is computed from.
    """

    source: Plan
    clocks: tuple[Plan, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*CHANGE_COLUMNS, *self.source.columns)

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.source, *self.clocks)

    @property
    def append_only(self) -> bool:
        return True

    def label(self) -> str:
        return "a row per change, by commit"
