"""Assertions that REJECT: what would break one is refused before it is committed, so no version ever violates it.

A circuit of their plans stands at the present. Who writes to what they read does so alone: the circuit takes a step
with the rows that are to be committed. If rows come out that violate an assertion, it takes the step back. Where all
that they read are tables, that is another step; rows of a stream cannot be taken out again, so then a circuit is made
anew, from the nearest image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headwater.engine.own_writes import delta_of
from headwater.engine.pipeline import Pipeline
from headwater.errors import AssertionViolated, SqlError
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut, Leaf
from headwater.executor.past import circuit_at
from headwater.executor.row_errors import json_of
from headwater.parser import syntax
from headwater.planner import Catalog, Relation
from headwater.planner.error_streams import sources_of
from headwater.planner.logical import Plan, TableSource, walk_plan
from headwater.storage import Append, Commit, Log
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


class Sentry:
    """Looks at what is to be committed. `concerns` is for any thread, `commit` for the one that writes alone."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._log = pipeline.log
        self._guards = _Guards(Catalog(), (), frozenset())
        self._circuit: tuple[tuple[Relation, ...], Circuit] | None = None  # of which assertions

    @property
    def has_guards(self) -> bool:
        """Whether there are assertions that could refuse anything."""
        return bool(self._known().assertions)

    def concerns(self, appends: Sequence[Append]) -> bool:
        """Whether an assertion could refuse any of these rows."""
        sources = self._known().sources
        return bool(sources) and any(append.stream in sources for append in appends)

    def commit(self, appends: Sequence[Append], commit: Callable[[], Commit]) -> Commit:
        """Commits rows. Raises AssertionViolated if an assertion would be violated then, and nothing is written."""
        guards = self._known()
        circuit = self._present(guards)
        self._circuit = None  # until it is known to be right
        given = {leaf: delta_of(leaf, appends, self._log, self._log.version) for leaf in circuit.leaves}
        changes = circuit.advance(self._log, Cut(self._log.version), given)
        broken = next((guard for guard in guards.assertions if circuit.row_count(guard.content())), None)
        if broken is not None:
            error = AssertionViolated(
                f'this would break the assertion "{broken.name}": {_rows_said(broken, circuit)}',
                hint="nothing was written; SHOW ASSERTIONS tells what it demands",
            )
            if _take_back(circuit, changes, given, self._log):
                self._circuit = guards.assertions, circuit
            raise error
        done = commit()
        circuit.version = done.version
        self._circuit = guards.assertions, circuit
        return done

    def _known(self) -> _Guards:
        catalog = self._pipeline.catalog
        if self._guards.catalog is not catalog:
            guards = tuple(relation for relation in catalog.ordered() if relation.reaction == "REJECT")
            read = frozenset(id for guard in guards for id in sources_of(guard.plan))
            self._guards = _Guards(catalog, guards, read)
        return self._guards

    def _present(self, guards: _Guards) -> Circuit:
        """The circuit, as of now."""
        version = self._log.version
        if self._circuit is None or self._circuit[0] != guards.assertions:
            return circuit_at(self._log, guards.roots, Cut(version))
        circuit = self._circuit[1]
        if any(True for id in guards.sources for _ in self._log.extents(id, circuit.version, version)):
            circuit.advance(self._log, Cut(version))
        circuit.version = version
        return circuit


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
