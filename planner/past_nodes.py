"""Nodes of a logical plan for joins with what was at another time. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headwater.planner.nodes import PlanNode
from headwater.values import Column

if TYPE_CHECKING:
    from headwater.planner.logical import Plan

Comparison = Literal[">=", ">", "<=", "<"]


@dataclass(frozen=True)
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

    __hash__ = PlanNode.__hash__

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
