"""Nodes of a logical plan that look one row up for each other one. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.planner.nodes import PlanNode
from headwater.values import Column

if TYPE_CHECKING:
    from headwater.planner.logical import Plan


@dataclass(frozen=True, eq=False)
class LookupJoin(PlanNode):
    """Each left row with the right row of equal keys, of which there is at most one, or else with NULL.

    A left join whose right side has unique keys; `by_version` as for `Join`.
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
        return self.by_version

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.left.key

    def label(self) -> str:
        kind = "stream–table, " if self.by_version else ""
        pairs = " AND ".join(f"{a} = {b}" for a, b in zip(self.left_keys, self.right_keys, strict=True))
        return f"{kind}one row at most ON {pairs}" if pairs else f"{kind}the one row, if any"
