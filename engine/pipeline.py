"""The running queries of a database: one circuit that moves along the log in steps and commits what it gives.

A step reads the commits since the last one, runs them through all queries, and commits their output together with how
far it read. After a crash the circuit is brought to where the last step's commit says, without writing anything again;
a digest of every table, committed with each step, must then agree.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from headwater.errors import CorruptLog, PositionGone, QueryFailed, StorageError
from headwater.executor.circuit import Circuit, stored_changes
from headwater.executor.clocks import TICK
from headwater.executor.feed import Cut
from headwater.executor.keys import Words, mix, row_words
from headwater.executor.past import circuit_at, image_is_due, save_image
from headwater.executor.state import consolidated
from headwater.planner import Catalog, Plan, Relation
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Append, Commit, Log
from headwater.values import ROWOFFSET, ROWPARTITION, Delta, Weights, concat_deltas

logger = logging.getLogger("headwater")


class Pipeline:
    """The circuit of all derived relations and source tables, and the thread that moves it.

    `lock` guards the circuit and the catalog. Whoever asks for the state now first calls `catch_up`, so a query sees
    every commit that was acknowledged before it began.
    """

    def __init__(
        self,
        log: Log,
        catalog: Catalog,
        *,
        background: bool,
        now_us: Callable[[], int] = lambda: 0,
        idle: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`now_us` is the clock of the log. `idle` is called by the thread between steps, and gives the seconds after
        which to call it at the latest.
        """
        self.lock = threading.RLock()
        self.log = log
        self.catalog = catalog
        self.last_step = (0, 0)  # (version up to which derived logs are read, version up to which their input was)
        self._digests: dict[int, int] = {}  # id of a derived table → digest of its content
        self._rows_since_image = 0
        self._circuit: Circuit | None = None
        self._failure: BaseException | None = None  # of the last try to move, to `_failed_at` at least
        self._failed_at = 0
        self._moved = threading.Condition(self.lock)
        self._now_us = now_us
        self._idle = idle
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="headwater-steps", daemon=True) if background else None

    def start(self) -> None:
        """Brings the circuit to where the log says it was, and starts the thread."""
        with self.lock:
            self._recover()
        if self._thread is not None:
            self._thread.start()

    def close(self) -> None:
        """Stops after the step that is under way. The log must be closed by the caller, before or after."""
        with self.lock:
            self._closed = True
            self._moved.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def join(self) -> None:
        """Waits for the thread to end; the log has been closed, which wakes it."""
        if self._thread is not None and self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    # ---------------------------------------------------------------- moving

    @property
    def circuit(self) -> Circuit:
        """The circuit; call with `lock` held."""
        if self._circuit is None:
            self._recover()
        assert self._circuit is not None
        return self._circuit

    def catch_up(self, version: int | None = None) -> None:
        """Returns when everything up to `version` (default: committed before the call) has gone through all queries."""
        target = self.log.version if version is None else version
        if self._thread is None or threading.current_thread() is self._thread:
            while self._position < target:
                self.step()
            if self.tick(self.due):
                self.catch_up()
            return
        with self.lock:
            while not self._closed and self._position < target:
                if self._failure is not None and target <= self._failed_at:
                    raise QueryFailed(f"the continuous queries stopped: {self._failure}") from self._failure
                self._moved.wait(0.5)
            if self._closed:
                raise StorageError("the database is closed")

    @property
    def _position(self) -> int:
        return -1 if self._circuit is None else self._circuit.version

    def step(self) -> bool:
        """Takes the new input through all queries and commits what comes out; False if there was none."""
        with self.lock:
            circuit = self.circuit
            if circuit.version >= self.log.version:
                return False
            to = circuit.step_end(self.log, self.log.version)
            rows = self._input_rows(circuit.version, to)
            if not rows and not circuit.is_due(self.log, to):
                circuit.version = to
                self.last_step = (to, to)
                self._moved.notify_all()
                return True
            try:
                changes = circuit.advance(self.log, Cut(to))
                if rows or any(changes.values()):
                    self._commit(changes, to)
                else:
                    self.last_step = (to, to)
            except BaseException:
                self._circuit = None  # it is ahead of the log; the next step recovers it
                raise
            self._rows_since_image += rows
            if image_is_due(self._rows_since_image, circuit.state_rows):
                self.checkpoint()
            self._moved.notify_all()
            return True

    @property
    def due(self) -> int | None:
        """When, in µs since 1970, the next thing follows from time alone; None if nothing does."""
        with self.lock:
            return None if self._circuit is None else self._circuit.due

    def tick(self, due: int | None) -> bool:
        """Commits that time has passed, once it is `due`; False if it is not. What follows comes with the next step."""
        if due is None or due > self._now_us():
            return False
        self.log.commit([], {TICK: True})
        return True

    def _input_rows(self, after: int, upto: int) -> int:
        """How many rows the circuit's sources gained in the versions (after, upto]."""
        ids = {leaf.id for leaf in self.circuit.leaves}
        begins = {id: max(after, self.log.start(id).version) for id in ids}
        return sum(self.log.row_count(id, upto) - self.log.row_count(id, begins[id]) for id in ids)

    def _commit(self, changes: dict[Plan, list[Delta]], to: int) -> None:
        appends: list[Append] = []
        for relation in self.derived():
            assert relation.plan is not None
            appends += self._output(relation, changes[relation.plan])
        commit = self.log.commit(appends, {"step": {"to": to, "digests": self._recorded_digests()}})
        self.last_step = (commit.version, to)

    def _output(self, relation: Relation, deltas: Sequence[Delta]) -> list[Append]:
        """What a derived relation's log gains; counts it into the digest of a table."""
        assert relation.plan is not None
        delta = concat_deltas(arrow_schema(relation.plan.columns), deltas)
        if not len(delta):
            return []
        if relation.is_stream:
            return _by_partition(relation, delta.rows)
        delta, words = consolidated(delta)
        digest = self._digests.get(relation.id, 0) + content_digest(words, delta.weight_array)
        self._digests[relation.id] = digest % 2**64
        return [Append(relation.id, 0, stored_changes(delta), relation.log.compression)] if len(delta) else []

    def _recorded_digests(self) -> dict[str, int]:
        return {str(id): digest for id, digest in self._digests.items()}

    def checkpoint(self) -> int:
        """Saves an image of all state; gives the version that published it."""
        with self.lock:
            image = save_image(
                self.log, self.circuit, {"last_step": self.last_step, "digests": self._recorded_digests()}
            )
            self._rows_since_image = 0
            return image.version

    def _run(self) -> None:
        while not self._closed:
            seen = self.log.version
            try:
                while self.step():
                    pass
                due = self.due
                self.tick(due)
                self._failure = None
            except Exception as error:
                due = None
                with self.lock:
                    self._failure, self._failed_at = error, seen  # who waits is told; the next commit is the next try
                    self._moved.notify_all()
            try:
                self.log.wait(seen, self._seconds_until(due))
            except StorageError:
                return

    def _seconds_until(self, due: int | None) -> float | None:
        """How long the thread may sleep; a clock that is set anew is noticed within an hour."""
        until = None if due is None else min(max(due - self._now_us(), 0) / 1e6, 3600.0)
        return min((seconds for seconds in (until, self._idle()) if seconds is not None), default=None)

    # ---------------------------------------------------------------- catalog

    def known(self) -> Catalog:
        """The catalog as it is now."""
        return self.catalog

    def derived(self) -> list[Relation]:
        """The relations that a continuous query writes, in the order of their making."""
        return [r for r in self.catalog.ordered() if r.is_derived]

    def roots(self) -> list[Plan]:
        """The plans of all that the circuit keeps."""
        return [r.content() for r in self.catalog.ordered() if r.is_derived or not r.is_stream]

    def define(self, catalog: Catalog, made: Sequence[Relation], note: dict[str, Any]) -> int:
        """Makes `catalog` the catalog, in one commit with the rows so far of the relations in it that were `made`, or
        changed; gives how many rows.
        """
        with self.lock:
            # The steps are run here, not waited for: waiting would let go of the lock, and of the catalog with it.
            while self.step():
                pass
            parts, appends = [self.circuit], list[Append]()
            frontier = self.circuit.version
            roots = [r.content() for r in made if r.is_derived or not r.is_stream]
            if roots:
                fresh = Circuit(roots)
                changes = fresh.advance(self.log, Cut(frontier))
                parts.insert(0, fresh)
                for relation in made:
                    appends += self._output(relation, changes[relation.plan]) if relation.plan is not None else []
            try:
                commit = self._rename(catalog, {**note, "frontier": frontier}, appends)
            except BaseException:
                for relation in made:
                    self._digests.pop(relation.id, None)
                raise
            self._circuit = Circuit(self.roots(), parts=parts)
            self.last_step = (commit.version, frontier)
            return sum(append.rows.num_rows for append in appends)

    def rename(self, catalog: Catalog, note: dict[str, Any]) -> None:
        """Makes `catalog`, in which there are no relations that were not there before, the catalog, in one commit."""
        with self.lock:
            self._rename(catalog, note, [])
            self._circuit = Circuit(self.roots(), parts=[self.circuit])

    def _rename(self, catalog: Catalog, note: dict[str, Any], appends: Sequence[Append]) -> Commit:
        commit = self.log.commit(appends, {"ddl": note}, keep=True)
        self.catalog = catalog
        present = {relation.id for relation in catalog.relations.values()}
        self._digests = {id: digest for id, digest in self._digests.items() if id in present}
        return commit

    # ---------------------------------------------------------------- recovery

    def _recover(self) -> None:
        """Brings the circuit to the end of the last step, through the same steps, and compares the digests."""
        images = self.log.images()
        digests, steps, begin = dict[str, int](), list[int](), 0
        if images:
            note, begin = images[-1].note, images[-1].version
            digests, self.last_step = note["digests"], tuple(note["last_step"])
        for version, step in self.log.notes("step", begin):
            digests, self.last_step = step["digests"], (version, step["to"])
            steps.append(step["to"])
        created = _frontiers(self.log)
        frontier = max([self.last_step[1], *(created.get(r.id, 0) for r in self.derived())])
        stops = sorted({*steps, *created.values()})
        try:
            self._circuit = circuit_at(self.log, self.roots(), Cut(frontier), stops)
        except PositionGone as gone:
            raise CorruptLog(
                "no image of the running queries can be read, and retention has taken what they were computed from",
                hint="restore the images from a copy",
            ) from gone
        self._rows_since_image = self._input_rows(images[-1].note["frontier"] if images else 0, frontier)
        self._check(digests)

    def _check(self, digests: dict[str, int]) -> None:
        """Compare the digests of all tables with the recorded ones. After a repair, which says that rows were given up,
        they may differ: then a table goes on from what is left, or from an image that still counts the lost rows.
        """
        assert self._circuit is not None
        is_repaired = any("rows" in note for _, note in self.log.kept("repair"))
        for relation in self.derived():
            if relation.is_stream:
                continue
            assert relation.plan is not None
            content = self._circuit.content(relation.plan)
            found = content_digest(row_words(content.rows), content.weight_array)
            self._digests[relation.id] = found
            if digests.get(str(relation.id), found) == found:
                continue
            if is_repaired:
                logger.warning('"%s" goes on without the rows that a repair gave up', relation.name)
            else:
                raise CorruptLog(
                    f'the rows of "{relation.name}", computed again from the log, are not those that were recorded',
                    hint="keep the directory as it is and report this",
                )


def _frontiers(log: Log) -> dict[int, int]:
    """The version of their input at which relations were made, by their ids."""
    notes = [note for _, note in log.kept("ddl") if "frontier" in note]
    return {made["id"]: note["frontier"] for note in notes for made in note.get("replace", [note]) if "id" in made}


def content_digest(words: Words, weights: Weights) -> int:
    """A digest of a multiset of rows, whatever their order: the sum of their hashes times their weights."""
    hashed = mix(words[:, 0] + mix(words[:, 1] + np.uint64(1)))
    return int((hashed * weights.astype(np.uint64)).sum(dtype=np.uint64))


def _by_partition(relation: Relation, rows: pa.RecordBatch) -> list[Append]:
    """The rows of a derived stream as appends to its partitions."""
    partitions = rows.column(ROWPARTITION).to_numpy(zero_copy_only=False)
    stored = rows.drop_columns([ROWPARTITION, ROWOFFSET])
    return [
        Append(
            relation.id,
            partition,
            stored.take(pa.array(np.flatnonzero(partitions == partition))),
            relation.log.compression,
        )
        for partition in np.unique(partitions).tolist()
    ]
