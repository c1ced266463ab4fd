"""Queries that come to where the others are: new ones, from the first record on, and those that stood still."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from headwater.engine.budgets import budget_of
from headwater.engine.stops import failed
from headwater.errors import PositionGone, QueryFailed
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.executor.past import circuit_at
from headwater.executor.trouble import Trouble
from headwater.planner import Catalog, Plan, Relation, walk_plan
from headwater.planner.logical import Source
from headwater.progress import task
from headwater.storage import Log
from headwater.values import Delta

ROUNDS = 8  # in each, relations catch up with what came during the one before

Changes = dict[Plan, list[Delta]]  # of each root of a circuit, a delta per step


class Moved(NamedTuple):
    """A circuit that was moved, what it gave on the way, and what went wrong; what it gave in pieces, if it matters."""

    circuit: Circuit
    changes: Changes
    trouble: Trouble
    pieces: Sequence[Changes] = ()


class CatchingUp:
    """Relations on their way to where the others are, beside them: their circuit, what it gave so far, what failed.

    It reads the log and changes nothing, so those that run go on meanwhile.
    """

    def __init__(
        self, log: Log, circuit: Circuit, relations: Sequence[Relation], catalog: Catalog, state_limit: int | None
    ) -> None:
        self.circuit = circuit
        self.changes: Changes = {root: [] for root in circuit.roots}
        self.trouble = Trouble()
        self._log = log
        self._derived = [r for r in relations if r.is_derived]
        self._budgets = {r.id: budget_of(r, circuit, catalog, state_limit) for r in self._derived}

    @property
    def moved(self) -> Moved:
        """The circuit with what it gave so far."""
        return Moved(self.circuit, self.changes, self.trouble)

    def follow(self, position: Callable[[], int]) -> None:
        """Comes to about where the others are, whose `position` moves on meanwhile: what is left is little."""
        for _ in range(ROUNDS):
            frontier = position()
            if self.circuit.version < frontier:
                self.reach(frontier)

    def reach(self, frontier: int) -> None:
        """Moves to a version, in steps. Raises QueryFailed for a query that cannot come there."""
        begun = self.circuit.version
        with task("backfilling") as tell:
            while self._step(frontier):
                tell(self.circuit.version - begun, frontier - begun)

    def _step(self, frontier: int) -> bool:
        """Moves on by a step; False once there is none left."""
        to = self.circuit.step_end(self._log, frontier)
        for root, deltas in self.circuit.advance(self._log, Cut(to), trouble=self.trouble).items():
            self.changes[root] += deltas
        for stop in failed(self._derived, self.trouble, self._budgets, to):
            name = next(r.name for r in self._derived if r.id == stop.id)
            raise QueryFailed(f'"{name}" fails on the rows there are: {stop.cause}', hint=stop.hint)
        return to < frontier


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
