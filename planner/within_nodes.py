"""Nodes of a logical plan for rows near each other in time: JOIN … WITHIN. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.planner.nodes import PlanNode, Unary, duration
from headwater.values import Column

if TYPE_CHECKING:
    from headwater.planner.logical import Plan
    from headwater.planner.time_nodes import Watermark


@dataclass(frozen=True)
class Span:
    """How far apart the times of two rows may be, and how late a row may come. In microseconds.

    A row on the right is near one on the left if left − `before_us` <= right <= left + `after_us`.
    """

    before_us: int
    after_us: int
    grace_us: int

    @property
    def reach_us(self) -> int:
        """What lies further back than this before the watermark of a stream meets no row of it that is yet to come."""
        return self.before_us + self.after_us + self.grace_us


@dataclass(frozen=True, eq=False)
class OnTime(Unary):
    """The rows that are not late: those whose partition's stream time before them is `time` + `allowed_us` at most."""

    time: str
    stream_time: str
    allowed_us: int

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(c for c in self.source.columns if c.name != self.stream_time)

    def label(self) -> str:
        return f"by {self.time}, at most {duration(self.allowed_us)} behind stream time"


@dataclass(frozen=True, eq=False)
class WithinJoin(PlanNode):
    """Pairs of rows of two streams with equal keys (NULL never matches) and times near each other.

    What no row that is yet to come can be near to, by the watermark of the other stream, is forgotten. `in_order` says
    that pairs come in the order in which records completed them; `partitions` are the columns for which that matters.
    """

    left: Plan
    right: Plan
    watermarks: tuple[Watermark, ...]  # of the left and of the right stream
    left_keys: tuple[str, ...]
    right_keys: tuple[str, ...]
    times: tuple[str, str]
    partitions: tuple[str, str]
    span: Span
    in_order: bool

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.left.columns, *self.right.columns)

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.left, self.right, *self.watermarks)

    @property
    def append_only(self) -> bool:
        return True

    def label(self) -> str:
        pairs = [f"{a} = {b}" for a, b in zip(self.left_keys, self.right_keys, strict=True)]
        left, right = self.times
        near = f"{right} from {duration(self.span.before_us)} before {left} to {duration(self.span.after_us)} after it"
        order = ", in the order of the log" if self.in_order else ""
        return f"ON {' AND '.join([*pairs, near])}, grace {duration(self.span.grace_us)}{order}"


@dataclass(frozen=True, eq=False)
class WithinOuter(PlanNode):
    """The pairs of `joined`, and each row of `sides` that stands in none of them once nothing can match it any more.

    `whole` are the places of the sides, left 0 and right 1; `watermarks` are those of the stream on the other side of
    each; `on` are the columns that decide on a match.
    """

    joined: Plan
    whole: tuple[int, ...]
    sides: tuple[Plan, ...]
    watermarks: tuple[Watermark, ...]
    times: tuple[str, ...]
    span: Span
    on: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.joined.columns

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.joined, *self.sides, *self.watermarks)

    @property
    def append_only(self) -> bool:
        return True

    def label(self) -> str:
        kind = "full" if len(self.whole) > 1 else ("left", "right")[self.whole[0]]
        return f"{kind}, a match by {', '.join(self.on)}, {duration(self.span.reach_us)} before the watermark"
