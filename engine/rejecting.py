"""Assertions that REJECT: what would break one is refused before it is committed, so no version ever violates it.

A circuit of their plans stands behind the last commit. When the turn of a commit has come (storage/pending.py), the
circuit takes a step with its rows. If rows come out that violate an assertion, the commit is refused, and the circuit
takes the step back; the next one in the group is looked at as if it had never been. Where all that they read are
tables, taking back is another step; rows of a stream cannot be taken out again, so then a circuit is made anew, from
the nearest image: by those who wait to commit, not while their turn has come, when nobody else could.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from headwater.engine.own_writes import delta_of
from headwater.engine.pipeline import Pipeline
from headwater.errors import AssertionViolated, HeadwaterError, SqlError
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut, Leaf
from headwater.executor.past import circuit_at
from headwater.executor.row_errors import json_of
from headwater.parser import syntax
from headwater.planner import Catalog, Relation
from headwater.planner.error_streams import sources_of
from headwater.planner.logical import Plan, TableSource, walk_plan
from headwater.storage import Append, Log, Pending
from headwater.values import Delta, concat_deltas

SHOWN = 3  # so many of the rows that would violate an assertion are told of

Changes = dict[Plan, list[Delta]]


@dataclass(frozen=True)
class _Guards:
    """The assertions of a catalog that REJECT, and the ids of the logs that they read."""

    catalog: Catalog
    assertions: tuple[Relation, ...]
    sources: frozenset[int]

    @property
    def roots(self) -> list[Plan]:
        """Their plans, and the tables with a key, so that a step tells what rows it has replaced."""
        plans = [guard.content() for guard in self.assertions]
        return [*plans, *(node for plan in plans for node in walk_plan(plan) if _has_key(node))]


class NotReady(HeadwaterError):
    """The circuit has to be made before a commit can be looked at: `Sentry.prepare` does it."""


@dataclass(frozen=True)
class _Standing:
    """A circuit, and the group of commits from which the last rows were that it took before these were true."""

    assertions: tuple[Relation, ...]
    circuit: Circuit
    pending: Pending | None = None

    def is_behind(self, guards: _Guards, pending: Pending) -> bool:
        """Whether all it has taken are commits that are published or pending."""
        taken = self.pending
        return self.assertions == guards.assertions and (taken is None or taken is pending or taken.are_made)


class Sentry:
    """Looks at what is to be committed. `look` is for the thread whose turn it is, the rest for any."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._log = pipeline.log
        self._guards = _Guards(Catalog(), (), frozenset())
        self._standing: _Standing | None = None
        self._making = Lock()

    @property
    def has_guards(self) -> bool:
        """Whether there are assertions that could refuse anything."""
        return bool(self._known().assertions)

    def concerns(self, streams: Set[int]) -> bool:
        """Whether an assertion could refuse rows of any of these relations."""
        return not self._known().sources.isdisjoint(streams)

    def prepare(self) -> None:
        """Makes the circuit, unless there is one that can be used."""
        with self._making:
            guards, standing = self._known(), self._standing
            if standing is None or standing.assertions != guards.assertions:
                circuit = circuit_at(self._log, guards.roots, Cut(self._log.version))
                self._standing = _Standing(guards.assertions, circuit)

    def look(self, appends: Sequence[Append], pending: Pending) -> None:
        """Takes up rows that are committed next. Raises AssertionViolated if an assertion would be violated then, or
        NotReady; then it has not taken them.
        """
        guards, standing = self._known(), self._standing
        if standing is None or not standing.is_behind(guards, pending):
            self._standing = None
            raise NotReady("the assertions have to be computed first")
        circuit = standing.circuit
        if standing.pending is not pending:
            self._standing = replace(standing, pending=pending)
        try:
            self._follow(circuit, guards, pending)
            given, changes = self._take(circuit, appends, pending)
            broken = next((guard for guard in guards.assertions if circuit.row_count(guard.content())), None)
            if broken is None:
                circuit.version += 1
                return
            error = AssertionViolated(
                f'this would break the assertion "{broken.name}": {_rows_said(broken, circuit)}',
                hint="nothing was written; SHOW ASSERTIONS tells what it demands",
            )
            if not _take_back(circuit, changes, given, self._log):
                self._standing = None
        except BaseException:
            self._standing = None
            raise
        raise error

    def _follow(self, circuit: Circuit, guards: _Guards, pending: Pending) -> None:
        """Brings the circuit behind all commits that are published or pending."""
        version = self._log.version
        if circuit.version < version:
            if any(True for id in guards.sources for _ in self._log.extents(id, circuit.version, version)):
                circuit.advance(self._log, Cut(version))
            circuit.version = version
        for number, (version, appends) in enumerate(pending.commits):
            if version > circuit.version:
                if any(append.stream in guards.sources for append in appends):
                    self._take(circuit, appends, pending, number)
                circuit.version = version

    def _take(
        self, circuit: Circuit, appends: Sequence[Append], pending: Pending, number: int | None = None
    ) -> tuple[dict[Leaf, Delta], Changes]:
        """Takes a step with rows that come behind so many of the pending ones; gives them, and what changed."""
        before = [append for _, rows in pending.commits[:number] for append in rows]
        given = {leaf: delta_of(leaf, appends, self._log, self._log.version, before) for leaf in circuit.leaves}
        return given, circuit.advance(self._log, Cut(circuit.version), given)

    def _known(self) -> _Guards:
        catalog = self._pipeline.catalog
        if self._guards.catalog is not catalog:
            guards = tuple(relation for relation in catalog.ordered() if relation.reaction == "REJECT")
            read = frozenset(id for guard in guards for id in sources_of(guard.plan))
            self._guards = _Guards(catalog, guards, read)
        return self._guards


def refuse_violated(assertion: Relation, log: Log, at: syntax.Node) -> None:
    """Raises SqlError if an assertion that is to REJECT is violated by what there is."""
    circuit = circuit_at(log, [assertion.content()], Cut(log.version))
    if circuit.row_count(assertion.content()):
        raise SqlError(
            f'"{assertion.name}" is violated already: {_rows_said(assertion, circuit)}', at.span,
            hint="mend that first; ON VIOLATION ALERT would tell when it is over",
        )  # fmt: skip


def _has_key(node: Plan) -> bool:
    return isinstance(node, TableSource) and bool(node.primary_key)


def _take_back(circuit: Circuit, changes: Changes, given: dict[Leaf, Delta], log: Log) -> bool:
    """Undoes a step; False where that cannot be, and the circuit is of no use any more."""
    if not all(isinstance(leaf, TableSource) for leaf in circuit.leaves):
        return False
    back = {leaf: _undone(delta, changes[leaf] if _has_key(leaf) else [delta]) for leaf, delta in given.items()}
    circuit.advance(log, Cut(circuit.version), back)
    return True


def _undone(given: Delta, changes: Sequence[Delta]) -> Delta:
    """The rows for the log of a table that take back a change of it: first away with what came, then what was there."""
    schema = given.rows.schema
    delta = concat_deltas(schema, changes)
    weights = -np.asarray(delta.weight_array)
    order = np.argsort(weights, kind="stable")
    return Delta(delta.rows.take(order), weights[order])


def _rows_said(assertion: Relation, circuit: Circuit) -> str:
    """A few of the rows that violate an assertion, as JSON."""
    rows = circuit.rows(assertion.content())
    shown = ", ".join(json_of(assertion.columns, rows.slice(0, SHOWN)).to_pylist())
    return shown if rows.num_rows <= SHOWN else f"{shown} and {rows.num_rows - SHOWN:,} more rows"
