"""Queries that come to where the others are: new ones, from the first record on, and those that stood still."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.engine.budgets import budget_of
from headwater.engine.stops import failed
from headwater.errors import PositionGone, QueryFailed
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.executor.past import circuit_at
from headwater.executor.trouble import Trouble
from headwater.planner import Catalog, Plan, Relation, walk_plan
from headwater.planner.logical import Source
from headwater.storage import Log
from headwater.values import Delta

Changes = dict[Plan, list[Delta]]  # of each root of a circuit, a delta per step


def caught_up(
    log: Log, circuit: Circuit, relations: Sequence[Relation], catalog: Catalog, state_limit: int | None, frontier: int
) -> tuple[Changes, Trouble]:
    """Brings a circuit of `relations` to a version; gives its changes, and the rows that failed.

    Raises QueryFailed for one that cannot come there.
    """
    changes: Changes = {root: [] for root in circuit.roots}
    trouble, derived = Trouble(), [r for r in relations if r.is_derived]
    budgets = {r.id: budget_of(r, circuit, catalog, state_limit) for r in derived}
    while True:
        to = circuit.step_end(log, frontier)
        for root, deltas in circuit.advance(log, Cut(to), trouble=trouble).items():
            changes[root] += deltas
        for stop in failed(derived, trouble, budgets, to):
            name = next(r.name for r in derived if r.id == stop.id)
            raise QueryFailed(f'"{name}" fails on the rows there are: {stop.cause}', hint=stop.hint)
        if to >= frontier:
            return changes, trouble


def stopped_circuit(log: Log, roots: Sequence[Plan], version: int) -> Circuit:
    """What queries were when they stopped at a version. Raises QueryFailed where retention has taken that."""
    try:
        return circuit_at(log, roots, Cut(version))
    except PositionGone as gone:
        raise QueryFailed(
            f"retention has taken what is needed to go on from version {version}", hint="CREATE OR REPLACE … AS …"
        ) from gone


def right_up_to(plan: Plan, log: Log, after: int, upto: int) -> int:
    """The last version before the first one in (after, upto] that has input for a plan."""
    leaves = {leaf.id for leaf in walk_plan(plan) if isinstance(leaf, Source)}
    firsts = [version for leaf in leaves for version, _ in log.extents(leaf, after, upto)]
    return min(firsts, default=upto + 1) - 1
