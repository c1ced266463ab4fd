"""Nodes of a logical plan for WITH RECURSIVE. `logical.py` is the module to import."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from headwater.planner.nodes import PlanNode
from headwater.values import Column

if TYPE_CHECKING:
    from headwater.planner.logical import Plan

# Hidden column of the rows of a recursion: after how many rounds of the recursive term a row is there, 0 for the base.
LEVEL = "$level"

# Rows of the last level and deeper are taken for the sign of a recursion that does not end.
LEVELS_MAX = 10_000


@dataclass(frozen=True, eq=False)
class RecursiveRef(PlanNode):
    """A leaf of a recursive term: the rows of the recursion `name` around it, which have `fields`, with their LEVEL."""

    name: str
    fields: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.fields, Column(LEVEL, "BIGINT"))

    @property
    def append_only(self) -> bool:
        return False

    def label(self) -> str:
        return f"{self.name} [{', '.join(f'{c.name} {c.type}' for c in self.fields)}]"


@dataclass(frozen=True, eq=False)
class Recursion(PlanNode):
    """The least rows that hold those of `base` and all that `body` makes of them; with `distinct` each row once.

    `body` reads these rows by one `reference`, of which it is a linear function: what it makes of several rows is what
    it makes of each. It has the columns of `base`, and the LEVEL of the row that it was made of.
    """

    name: str
    base: Plan
    body: Plan
    distinct: bool

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.base.columns

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.base, self.body)

    @cached_property
    def reference(self) -> RecursiveRef:
        """The leaf of `body` that stands for the rows of the recursion."""
        return RecursiveRef(self.name, self.base.columns)

    @cached_property
    def outside(self) -> tuple[Plan, ...]:
        """The largest parts of `body` that do not read the reference: what the recursion is computed from beside."""
        return tuple(dict.fromkeys(_outside(self.body, self.reference)))

    @property
    def append_only(self) -> bool:
        return all(node.append_only for node in (self.base, *self.outside)) and _only_adds(self.body, self.reference)

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.names if self.distinct else None

    def label(self) -> str:
        return f"{self.name}, {'UNION' if self.distinct else 'UNION ALL'}"


def reads(plan: Plan, reference: RecursiveRef) -> bool:
    """Whether `plan` reads the rows that `reference` stands for; a recursion in it may mean its own by that name."""
    seen: set[Plan] = set()
    waiting = [plan]
    while waiting:
        node = waiting.pop()
        if node == reference:
            return True
        if node not in seen:
            seen.add(node)
            is_own = isinstance(node, Recursion) and node.reference == reference
            waiting += node.inputs[:1] if is_own else node.inputs
    return False


def _outside(plan: Plan, reference: RecursiveRef) -> Iterator[Plan]:
    if not reads(plan, reference):
        yield plan
    else:
        for node in plan.inputs:
            yield from _outside(node, reference)


def _only_adds(plan: Plan, reference: RecursiveRef) -> bool:
    """Whether more rows of the reference, or of what is beside it, never make `plan` have fewer."""
    if plan == reference or not reads(plan, reference):
        return True
    return type(plan).__name__ in _MONOTONE and all(_only_adds(node, reference) for node in plan.inputs)


_MONOTONE = ("Filter", "Project", "Join", "Union", "Unnest")
