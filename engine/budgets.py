"""How much state a query holds, and how much it may hold.

A query's own state is that of its operators, and of its rows; what the tables and the queries that it reads hold is
theirs. The limit is WITH (state_limit = …) of the query, else that of the database, else there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headwater.executor.circuit import Circuit
from headwater.executor.operators import Stateful
from headwater.planner import Catalog, Plan, Relation, walk_plan
from headwater.planner.logical import TableSource
from headwater.planner.state_bounds import state_of

SHOWN = 3  # so many of what holds most are named


@dataclass(frozen=True)
class Holding:
    """Something that holds state for a query: an operator, or (without a node) the rows of its table."""

    node: Plan | None
    state: Stateful

    @property
    def name(self) -> str:
        return "the rows of the table" if self.node is None else f"{type(self.node).__name__} {self.node.label()}"


@dataclass(frozen=True)
class Budget:
    """What a query holds, and its limit in bytes."""

    holdings: tuple[Holding, ...]
    limit: int | None

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return sum(holding.state.nbytes for holding in self.holdings)

    @property
    def is_kept(self) -> bool:
        """Whether no more is held than may be."""
        return self.limit is None or self.nbytes <= self.limit

    def complaint(self) -> str:
        """What is wrong with a budget that is not kept."""
        assert self.limit is not None
        parts = ", ".join(f"{size(h.state.nbytes)} in {h.name}" for h in self._largest()[:SHOWN])
        return f"its state has {size(self.nbytes)}, and its limit is {size(self.limit)}: {parts}"

    def remedy(self) -> str | None:
        """What would bound the operator that holds most."""
        states = (state_of(h.node) for h in self._largest() if h.node is not None)
        state = next((state for state in states if state is not None), None)
        if state is None:
            return None
        if state.bounded_by is not None:
            return f"it grows with {state.grows_with}, bounded by {state.bounded_by}"
        return f"it grows with {state.grows_with}; what would bound it: {state.remedy}"

    def _largest(self) -> list[Holding]:
        return sorted(self.holdings, key=lambda holding: -holding.state.nbytes)


def budget_of(relation: Relation, circuit: Circuit, catalog: Catalog, default: int | None) -> Budget:
    """What a running query holds in a circuit; `default` is the limit of the database."""
    assert relation.plan is not None
    read = [r.plan for r in catalog.relations.values() if r.id in relation.reads and r.plan is not None]
    others = {node for plan in read for node in walk_plan(plan)}
    holdings = [
        Holding(node, operator)
        for node, operator in circuit.operators_of(relation.plan)
        if isinstance(operator, Stateful) and node not in others and not isinstance(node, TableSource)
    ]
    table = circuit.kept_table(relation.plan)
    if table is not None:
        holdings.append(Holding(None, table))
    return Budget(tuple(holdings), relation.state_limit if relation.state_limit is not None else default)


class Budgets:
    """The budgets of the running queries that have a limit."""

    def __init__(self) -> None:
        self.limit: int | None = None  # bytes that the state of a query may have, where it does not say itself
        self._known: tuple[Circuit, dict[int, Budget]] | None = None

    def limit_to(self, nbytes: int | None) -> None:
        """Makes `nbytes` the limit of queries that do not say themselves."""
        self.limit, self._known = nbytes, None

    def of(self, running: Iterable[Relation], circuit: Circuit, catalog: Catalog) -> dict[int, Budget]:
        """The budgets by the ids of their relations, where `running` are all that the circuit runs."""
        if self._known is None or self._known[0] is not circuit:
            limited = [r for r in running if self.limit is not None or r.state_limit is not None]
            self._known = (circuit, {r.id: budget_of(r, circuit, catalog, self.limit) for r in limited})
        return self._known[1]


def size(nbytes: int) -> str:
    """A number of bytes for people: `12.3 MB`."""
    number, unit = float(nbytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.3g} {unit}" if number < 999.5 else f"{number:.0f} {unit}"
