"""Nodes of a logical plan for sessions, runs of rows without long gaps. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.planner.group_nodes import AggregateCall
from headwater.planner.nodes import PlanNode, duration
from headwater.planner.time_nodes import Watermark
from headwater.values import WINDOWEND, WINDOWSTART, Column

if TYPE_CHECKING:
    from headwater.planner.logical import Plan


@dataclass(frozen=True, eq=False)
class SessionAssign(PlanNode):
    """Each row with the bounds of its session: WINDOWSTART, the time of its first row, and WINDOWEND, that of its last.

    A session has the rows of one value of `keys`, in the order of `time`, with no more than `gap_us` between two. Where
    there is a `watermark`, no row will come that is further behind it than `late_us`.
    """

    source: Plan
    watermark: Watermark | None
    keys: tuple[str, ...]
    time: str
    gap_us: int
    late_us: int

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.source.columns, Column(WINDOWSTART, "TIMESTAMP"), Column(WINDOWEND, "TIMESTAMP"))

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.source,) if self.watermark is None else (self.source, self.watermark)

    @property
    def append_only(self) -> bool:
        return False

    @property
    def reach_us(self) -> int:
        """A session that ends further back than this before the watermark stays as it is."""
        return self.late_us + self.gap_us

    def label(self) -> str:
        ends = "" if self.watermark is None else f", done {duration(self.reach_us)} before the watermark"
        return f"of each {', '.join(self.keys) or 'row'}, gap {duration(self.gap_us)}, on {self.time}{ends}"


@dataclass(frozen=True, eq=False)
class SessionAggregate(PlanNode):
    """One row per session with the aggregates of its rows: an `Aggregate` by the bounds that a `SessionAssign` gives.

    `keys` are those of the groups, with WINDOWSTART and WINDOWEND among them. The source only grows, and of each call
    the results of two parts can be added up, so that no rows are kept.
    """

    source: Plan
    watermark: Watermark
    keys: tuple[str, ...]
    calls: tuple[AggregateCall, ...]
    time: str
    gap_us: int
    late_us: int

    @property
    def columns(self) -> tuple[Column, ...]:
        types = {c.name: c.type for c in self.source.columns}
        keys = (Column(k, types.get(k, "TIMESTAMP")) for k in self.keys)
        return (*keys, *(Column(c.name, c.type) for c in self.calls))

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.source, self.watermark)

    @property
    def append_only(self) -> bool:
        return False

    @property
    def key(self) -> tuple[str, ...]:
        return self.keys

    @property
    def group_keys(self) -> tuple[str, ...]:
        """The keys but for the bounds."""
        return tuple(key for key in self.keys if key not in (WINDOWSTART, WINDOWEND))

    @property
    def reach_us(self) -> int:
        """A session that ends further back than this before the watermark stays as it is."""
        return self.late_us + self.gap_us

    def label(self) -> str:
        calls = ", ".join(c.name for c in self.calls)
        by = f"by {', '.join(self.keys)}: {calls or 'distinct rows'}"
        return f"{by}; gap {duration(self.gap_us)} on {self.time}, done {duration(self.reach_us)} before the watermark"
