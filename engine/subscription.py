"""A continuous query that is watched: pulls what changed, at the pace of whoever asks.

A subscription has a circuit of its own and a place in the log; nothing is queued for it, so a slow reader costs no
memory and misses nothing: it sees fewer, larger steps. Derived tables are read from their changelogs, not computed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from headwater.engine.pipeline import Pipeline
from headwater.engine.result import Change, ChangeBatch
from headwater.errors import PositionGone, QueryFailed, StorageError
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut, Leaf, read_rows, with_weights
from headwater.executor.state import consolidate
from headwater.parser import syntax
from headwater.planner import BoundQuery, Catalog, Relation, bind_query
from headwater.planner.logical import Changelog, StreamSource, joins_by_version
from headwater.planner.sql_types import arrow_schema
from headwater.values import Column, Delta, Weights, concat_deltas


class Subscription:
    """The changes of a query, from its present content on. Iterate over it, or `poll`; `close` when done.

    First come the rows there are now, as additions, unless `skip` is called; then every step's changes, consolidated.
    `is_append_only` says that rows are never removed. Windows close after a silence of `idle_us`; None is never.
    """

    def __init__(self, pipeline: Pipeline, query: syntax.Query, idle_us: int | None = None) -> None:
        self._pipeline = pipeline
        self._query = _bind(query, pipeline.catalog, idle_us)
        for relation in self._read():
            pipeline.check_running(relation)
        self.columns: tuple[Column, ...] = self._query.columns
        self.is_append_only = self._query.plan.append_only
        self._left = self._query.limit
        self.finished = self._left == 0
        self._circuit = Circuit([self._query.plan], keep=False)
        self._written = _written_leaves(self._circuit.leaves, pipeline)
        self._stored = _stored_leaves(self._circuit.leaves, self._written)
        self._stored_version = 0
        self._looked = -1  # the log's version at the last look, −1 before the first
        self._lock = threading.Lock()

    def poll(self, timeout: float | None = None) -> ChangeBatch | None:
        """The next changes, waiting up to `timeout` seconds (None: for ever) for some; None if there were none.

        None as well once this subscription, or the database, is closed.
        """
        with self._lock:
            try:
                return self._next(None if timeout is None else time.monotonic() + timeout)
            except StorageError:
                if not self._pipeline.is_closed:
                    raise
                self.finished = True
                return None
            except PositionGone as gone:
                self.finished = True
                raise QueryFailed(
                    "this query fell so far behind that retention took what it had not read yet",
                    hint="watch it again: it begins with what is there now",
                ) from gone

    def skip(self) -> None:
        """Goes past what there is now: only later changes come."""
        with self._lock:
            left, self._left = self._left, None
            while not self.finished and self._looked < self._pipeline.log.version:
                self._advance()
            self._left = left

    def _next(self, deadline: float | None) -> ChangeBatch | None:
        while not self.finished:
            batch = self._advance()
            if batch is not None:
                return batch
            if self._looked < self._pipeline.log.version:
                continue
            if self._pipeline.tick(self._circuit.due):
                continue
            self._check_running()
            left = 0.5 if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return None
            self._pipeline.log.wait(self._looked, min(left, 0.5))
        return None

    def _advance(self) -> ChangeBatch | None:
        """Moves to the present, and gives what changed on the way, if anything."""
        log = self._pipeline.log
        version = log.version
        if version == self._looked:
            return None
        self._check_sources()
        if self._written:
            self._pipeline.catch_up(version)
        if self.is_append_only and not self._stored:
            version = self._circuit.step_end(log, log.version)  # a long log comes in pieces
        stored_to = read_to = version
        given: dict[Leaf, Delta] = {}
        if self._stored:
            # Source relations are read as far as the last step read them, so that all inputs stand at one point.
            with self._pipeline.lock:
                stored_to, read_to = self._pipeline.last_step
                given = {leaf: self._stored_delta(leaf, stored_to) for leaf in self._stored}
        changes = self._circuit.advance(log, Cut(max(read_to, self._circuit.version)), given)[self._query.plan]
        self._looked, self._stored_version = version, stored_to
        return self._batch(stored_to, changes)

    def _read(self) -> list[Relation]:
        """The derived relations that the query names."""
        return [r for r in self._pipeline.derived() if r.id in self._query.reads]

    def _check_running(self) -> None:
        """Raises QueryFailed once all changes of a query that stopped have been seen."""
        for relation in self._read():
            if relation.id in self._pipeline.stopped:
                try:
                    self._pipeline.check_running(relation)
                except QueryFailed:
                    self.finished = True
                    raise

    def _check_sources(self) -> None:
        """Raises QueryFailed once a relation that the query names is gone."""
        present = self._pipeline.catalog.ids
        if not present.issuperset((*self._query.reads, *self._query.functions)):
            self.finished = True
            raise QueryFailed("a stream, table or function that this query names was dropped or replaced")

    def _stored_delta(self, leaf: Leaf, stored_to: int) -> Delta:
        """What a stored relation's log gained since the last look; at the first one, all that a table holds."""
        if isinstance(leaf, Changelog) and self._looked < 0:
            return self._pipeline.content(next(r for r in self._pipeline.derived() if r.id == leaf.id))
        rows = read_rows(self._pipeline.log, leaf, self._stored_version, Cut(stored_to))
        return Delta(rows) if isinstance(leaf, StreamSource) else with_weights(rows)

    def _batch(self, version: int, changes: list[Delta]) -> ChangeBatch | None:
        plan = self._query.plan
        delta = concat_deltas(arrow_schema(plan.columns), changes)
        delta = consolidate(delta).select([c.name for c in self.columns])
        if not len(delta):
            return None
        rows, weights = _unit_weights(delta)
        if self._left is not None:
            rows, weights = rows.slice(0, self._left), weights[: self._left]
            self._left -= rows.num_rows
            self.finished = self._left == 0
        at = datetime.fromtimestamp(self._pipeline.log.time_of(version) / 1e6, UTC).replace(tzinfo=None)
        return ChangeBatch(version, at, self.columns, rows, weights)

    def __iter__(self) -> Iterator[Change]:
        while True:
            batch = self.poll()
            if batch is None:
                return
            yield from batch

    def close(self) -> None:
        """Ends the subscription; a `poll` under way in another thread returns None."""
        self.finished = True

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bind(query: syntax.Query, catalog: Catalog, idle_us: int | None) -> BoundQuery:
    """Reads derived relations from their logs, unless a stream is joined with one: that needs each of its versions."""
    bound = bind_query(query, catalog, stored=True, idle_us=idle_us)
    if any(joins_by_version(bound.plan)):
        return bind_query(query, catalog, idle_us=idle_us)
    return bound


def _written_leaves(leaves: tuple[Leaf, ...], pipeline: Pipeline) -> list[Leaf]:
    """The leaves that read what queries wrote."""
    derived = {id for r in pipeline.derived() for id in (r.id, r.errors_into)}
    return [leaf for leaf in leaves if leaf.id in derived]


def _stored_leaves(leaves: tuple[Leaf, ...], written: list[Leaf]) -> list[Leaf]:
    """Of the leaves that queries wrote, those to keep in step with others; a stream that is read alone is not."""
    return [] if len(leaves) == 1 and isinstance(leaves[0], StreamSource) else written


def _unit_weights(delta: Delta) -> tuple[pa.RecordBatch, Weights]:
    """Rows of weight ±n as n rows of weight ±1, removals first."""
    weights = delta.weight_array
    order = np.argsort(weights > 0, kind="stable")
    places = np.repeat(order, np.abs(weights[order]))
    return delta.rows.take(pa.array(places)), np.sign(weights[places])
