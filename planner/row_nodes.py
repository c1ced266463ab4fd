"""Nodes of a logical plan that make rows: of constants, and of lists. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.planner.nodes import PlanNode, SortKey, Unary
from headwater.values import Column


@dataclass(frozen=True, eq=False)
class Constant(PlanNode):
    """A leaf: the rows of VALUES, `count` of them, which have always been there. `sql` is the whole of it."""

    sql: str
    fields: tuple[Column, ...]
    count: int

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.fields

    @property
    def key(self) -> tuple[str, ...] | None:
        return () if self.count == 1 else None

    def label(self) -> str:
        return self.sql


@dataclass(frozen=True, eq=False)
class Unnest(Unary):
    """Each row once for each element of its column `items`, without that column, and with the element as `element`.

    `place` names a column with the place of the element in its list, from 1. A row whose list is NULL or empty is left
    out or, if `outer`, stands once with NULL for both.
    """

    items: str
    element: Column
    place: str | None
    outer: bool

    @property
    def columns(self) -> tuple[Column, ...]:
        kept = tuple(c for c in self.source.columns if c.name != self.items)
        places = () if self.place is None else (Column(self.place, "BIGINT"),)
        return (*kept, self.element, *places)

    def label(self) -> str:
        place = f", {self.place}" if self.place else ""
        return f"{'outer ' if self.outer else ''}{self.items} AS {self.element.name}{place}"


@dataclass(frozen=True, eq=False)
class Foremost(Unary):
    """Of each partition the rows that no other one is before in an order: those whose rank is 1, however many."""

    partition: tuple[str, ...]
    order: tuple[SortKey, ...]

    @property
    def append_only(self) -> bool:
        return False

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.source.key

    def label(self) -> str:
        each = f"of each {', '.join(self.partition)} " if self.partition else ""
        return f"{each}by {', '.join(str(key) for key in self.order)}"
