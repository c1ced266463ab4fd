"""A continuous query that is watched: pulls what changed, at the pace of whoever asks.

A subscription has a circuit of its own and a place in the log; nothing is queued for it, so a slow reader costs no
memory and misses nothing: it sees fewer, larger steps. Derived tables are read from their changelogs, not computed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from itertools import takewhile

import numpy as np
import pyarrow as pa

from headwater.engine.change_feed import ChangeFeed
from headwater.engine.changelogs import steps_of
from headwater.engine.pipeline import Pipeline
from headwater.engine.result import Change, ChangeBatch
from headwater.engine.stops import stop_of
from headwater.errors import OutOfRange, PositionGone, QueryFailed, StorageError, Unsupported
from headwater.executor.circuit import Circuit
from headwater.executor.clocks import commit_time
from headwater.executor.feed import Cut, Leaf, read_rows, with_weights
from headwater.executor.past import circuit_at
from headwater.executor.ranges import resumed
from headwater.executor.state import consolidate
from headwater.parser import syntax
from headwater.planner import BoundQuery, Catalog, Relation, bind_query, walk_plan
from headwater.planner.change_rows import ChangeSource
from headwater.planner.logical import Changelog, StreamSource, joins_by_version
from headwater.planner.sql_types import arrow_schema
from headwater.values import Column, Delta, Weights, concat_deltas

_WAIT_SECONDS = 0.5  # at most, before a look at whether the subscription is closed or a query has stopped


class Subscription:
    """The changes of a query, from its present content on. Iterate over it, or `poll`; `close` when done.

    In asyncio: `async for`, or `poll_async`. The reader sets the pace: what it is slow to take is in the log.

    First come the rows there are now, as additions, unless `skip` is called; then every step's changes, consolidated.
    With `from_version` only what changed after that version comes. `start_of` says where CHANGES FROM begins.
    `is_append_only` says that rows are never removed, `key` which columns tell rows apart, if some do. Windows close
    after a silence of `idle_us`; None is never.

    What came up to a batch adds up to the answer AS OF the batch's version, so that is where to go on from. `version`
    is that of the last look, which may be later than the last batch, if nothing changed; None before the first look.

    >>> import headwater
    >>> with headwater.connect() as db:
    ...     db.execute("CREATE STREAM s (k INTEGER); INSERT INTO s VALUES (1), (2), (3)")
    ...     [change.row for change in db.subscribe("SELECT k FROM s LIMIT 2")]
    [(1,), (2,)]
    """

    def __init__(
        self,
        pipeline: Pipeline,
        query: syntax.Query,
        *,
        start_of: Callable[[ChangeSource], Cut],
        idle_us: int | None = None,
        from_version: int | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._query = _bind(query, pipeline.catalog, idle_us, resumes=from_version is not None)
        for relation in self._named():
            pipeline.check_running(relation, from_version)
        self.columns: tuple[Column, ...] = self._query.columns
        self.is_append_only = self._query.plan.append_only
        self.key = _shown_key(self._query)
        self.order_by = query.order_by
        self._is_whole = from_version is None
        self._left = self._query.limit
        self.finished = self._left == 0
        self._circuit = Circuit([self._query.plan], keep=False)
        leaves, derived = self._circuit.leaves, {relation.id: relation for relation in pipeline.derived()}
        sources = [leaf for leaf in leaves if isinstance(leaf, ChangeSource)]
        self._feeds = {leaf: _feed(pipeline, leaf, start_of(leaf)) for leaf in sources}
        written = [leaf for leaf in leaves if leaf.id in derived]
        self._alone = derived[written[0].id] if _is_one_stream(leaves) and written else None
        self._stored = [leaf for leaf in written if leaf not in self._feeds and self._alone is None]
        self._follows_steps = bool(written) and self._alone is None
        errors = {id for relation in derived.values() for id in relation.outlets}
        self._waits = bool(written or self._read()) or any(leaf.id in errors for leaf in leaves)
        self.version = from_version
        self._stored_version = 0
        self._looked = -1  # the log's version at the last look, −1 before the first
        self._lock = threading.Lock()
        self._kept: ChangeBatch | None = None  # what a poll has found whose task was cancelled
        if from_version is not None:
            self._resume(from_version)

    def _resume(self, version: int) -> None:
        """Goes to where what came up to a version has come."""
        log, plan = self._pipeline.log, self._query.plan
        self._pipeline.catch_up()
        if not 0 <= version <= log.version:
            raise OutOfRange(f"version {version} is not there: they go from 0 to {log.version}")
        try:
            if self._feeds:
                given: dict[Leaf, Delta] = {leaf: feed.upto(version) for leaf, feed in self._feeds.items()}
                self._circuit.advance(log, Cut(version), given)
            else:
                self._circuit = resumed(log, plan, Cut(version))
        except PositionGone as gone:
            raise OutOfRange(
                "a client cannot go on from this version: retention has taken what came after it",
                hint=f"the earliest is version {gone.earliest}; or begin with what is there now, without from_version",
            ) from gone

    def poll(self, timeout: float | None = None) -> ChangeBatch | None:
        """The next changes, waiting up to `timeout` seconds (None: for ever) for some; None if there were none.

        None as well once this subscription, or the database, is closed.
        """
        kept, self._kept = self._kept, None
        return kept or self._poll(timeout)

    async def poll_async(self, timeout: float | None = None) -> ChangeBatch | None:
        """`poll` for asyncio. If the task that waits is cancelled, nothing is lost: the next poll has what it found."""

        def attempt() -> tuple[ChangeBatch | None, float]:
            is_over = self.finished or self._pipeline.is_closed
            return self.poll(0), 0.0 if is_over else _WAIT_SECONDS

        return await self._pipeline.sleepers.first(attempt, self._keep, timeout)

    def _keep(self, batch: ChangeBatch) -> None:
        self._kept = batch

    def _poll(self, timeout: float | None) -> ChangeBatch | None:
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
                if self._looked < 0 and self._feeds:
                    raise _too_early(next(iter(self._feeds)), gone) from gone
                raise QueryFailed(
                    "this query fell so far behind that retention took what it had not read yet",
                    hint="watch it again: it begins with what is there now",
                ) from gone

    @property
    def adds_up(self) -> bool:
        """Whether the changes add up to what the query gives, as they begin with the rows there are."""
        return self._is_whole and not self._feeds

    @property
    def behind(self) -> int:
        """How many versions there are that have not been looked at."""
        return self._pipeline.log.version - max(self._looked, 0)

    def skip(self) -> None:
        """Goes past what there is now: only later changes come."""
        with self._lock:
            if self._feeds:
                return  # which say themselves where they begin
            self._is_whole = False
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
            left = _WAIT_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return None
            self._pipeline.log.wait(self._looked, min(left, _WAIT_SECONDS))
        return None

    def _advance(self) -> ChangeBatch | None:
        """Moves to the present, and gives what changed on the way, if anything."""
        log = self._pipeline.log
        version = log.version
        if version == self._looked:
            return None
        self._check_sources()
        if self._waits:
            self._pipeline.catch_up(version)
        written, given, limit = None, dict[Leaf, Delta](), self._limit()
        if self._follows_steps:
            # Source relations are read as far as the last step read them, so that all inputs stand at one point.
            with self._pipeline.lock:
                written, limit = self._pipeline.last_step
                given = {leaf: self._stored_delta(leaf, written, limit) for leaf in self._stored}
            self._stored_version = written
        before, to = self._circuit.version, limit
        if self.is_append_only and not self._follows_steps and not self._feeds:
            to = self._circuit.step_end(log, limit)  # a long log comes in pieces
        looked, to = version if to >= limit else to, max(to, before)
        given |= {leaf: feed.upto(self._standing(leaf.id, to), written) for leaf, feed in self._feeds.items()}
        changes = self._circuit.advance(log, Cut(to), given)[self._query.plan]
        self._looked, self.version = looked, self._input_version(before, to)
        return self._batch(self.version, changes)

    def _standing(self, id: int, version: int) -> int:
        """Where a relation stands at a version: one whose query stopped before, there."""
        stop = self._pipeline.stopped.get(id)
        return version if stop is None else min(version, stop.version)

    def _limit(self) -> int:
        """Up to where to read: where queries stand still that this one computes itself, it does, too."""
        version = self._pipeline.log.version
        if self._alone is not None:
            return version
        return min((self._standing(r.id, version) for r in self._read()), default=version)

    def _input_version(self, before: int, to: int) -> int:
        """The version of the input that the changes up to a version of what is read stand for."""
        if self._alone is None:
            read = self._query.reads
            return max((self._standing(id, to) for id in read), default=to)  # all that is read may stand still
        steps = takewhile(lambda step: step[0] <= to, steps_of(self._pipeline.log, self._alone, before))
        return max((read for _, read in steps), default=self.version or 0)

    def _read(self) -> list[Relation]:
        """The derived relations that the query names."""
        return [relation for relation in self._named() if relation.is_derived]

    def _named(self) -> list[Relation]:
        """The relations that the query names, and that queries write."""
        return [r for r in self._pipeline.catalog.ordered() if r.has_query and r.id in self._query.reads]

    def _check_running(self) -> None:
        """Raises QueryFailed once all changes of a query that stopped have been seen."""
        for relation in self._named():
            stop = stop_of(relation, self._pipeline.stopped, self._pipeline.log)
            if stop is not None and (relation.is_derived or stop.version <= self._looked):
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

    def _stored_delta(self, leaf: Leaf, written: int, to: int) -> Delta:
        """What a stored relation's log gained since the last look; at the first one, all that a table holds."""
        if isinstance(leaf, Changelog) and self._looked < 0:
            return self._content(next(r for r in self._pipeline.derived() if r.id == leaf.id), to)
        rows = read_rows(self._pipeline.log, leaf, self._stored_version, Cut(written))
        return Delta(rows) if isinstance(leaf, StreamSource) else with_weights(rows)

    def _content(self, relation: Relation, version: int) -> Delta:
        """What a derived table held at the end of the last step, which read up to a version."""
        if self._pipeline.circuit.version == version or relation.id in self._pipeline.stopped:
            return self._pipeline.content(relation)
        root = relation.content()  # a reader is ahead of the steps that the writer has committed
        return circuit_at(self._pipeline.log, [root], Cut(version)).content(root)

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
        time_us = commit_time(self._pipeline.log, version) or 0
        at = datetime.fromtimestamp(time_us / 1e6, UTC).replace(tzinfo=None)
        return ChangeBatch(version, at, self.columns, rows, weights)

    def __iter__(self) -> Iterator[Change]:
        while True:
            batch = self.poll()
            if batch is None:
                return
            yield from batch

    async def __aiter__(self) -> AsyncIterator[Change]:
        while (batch := await self.poll_async()) is not None:
            for change in batch:
                yield change

    def arrow_batches(self) -> Iterator[pa.RecordBatch]:
        """The changes as Arrow batches, each those of one step, with `_op` and `_version` in front of the columns."""
        while (batch := self.poll()) is not None:
            yield batch.arrow()

    def close(self) -> None:
        """Ends the subscription; a `poll` under way, in another thread or task, returns None."""
        self.finished = True
        self._pipeline.sleepers.wake()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bind(query: syntax.Query, catalog: Catalog, idle_us: int | None, *, resumes: bool) -> BoundQuery:
    """Reads derived relations from their logs, unless a stream is joined with one, which needs each of its versions, or
    the query `resumes` at a version that need not be one at which a step ended.
    """
    bound = bind_query(query, catalog, stored=not resumes, watched=True, idle_us=idle_us)
    if not any(joins_by_version(bound.plan)):
        return bound
    if any(isinstance(node, ChangeSource) for node in walk_plan(bound.plan)):
        raise Unsupported(
            "changes beside a join of a stream with a table are not supported yet", query.span,
            hint="keep the join, CREATE STREAM … AS SELECT …, and watch what it gives",
        )  # fmt: skip
    return bind_query(query, catalog, watched=True, idle_us=idle_us)


def _shown_key(query: BoundQuery) -> tuple[str, ...] | None:
    """The columns of which no two rows have the same values, where they are known and all shown."""
    key, shown = query.plan.key, {column.name for column in query.columns}
    return tuple(key) if key is not None and shown.issuperset(key) else None


def _feed(pipeline: Pipeline, leaf: ChangeSource, start: Cut) -> ChangeFeed:
    try:
        return ChangeFeed(pipeline.log, pipeline.catalog.by_id(leaf.id), leaf, start)
    except PositionGone as gone:
        raise _too_early(leaf, gone) from gone


def _too_early(leaf: ChangeSource, gone: PositionGone) -> OutOfRange:
    return OutOfRange(
        "these changes begin at a point that is no more: retention has taken what came after it", leaf.since.span,
        hint=f"the earliest is CHANGES FROM VERSION {gone.earliest}, or EARLIEST",
    )  # fmt: skip


def _is_one_stream(leaves: tuple[Leaf, ...]) -> bool:
    """Whether what is read is the log of one stream, which need not be kept in step with others."""
    return len(leaves) == 1 and isinstance(leaves[0], StreamSource) and not isinstance(leaves[0], ChangeSource)


def _unit_weights(delta: Delta) -> tuple[pa.RecordBatch, Weights]:
    """Rows of weight ±n as n rows of weight ±1, removals first."""
    weights = delta.weight_array
    order = np.argsort(weights > 0, kind="stable")
    places = np.repeat(order, np.abs(weights[order]))
    return delta.rows.take(pa.array(places)), np.sign(weights[places])
