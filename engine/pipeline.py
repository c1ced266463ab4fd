"""The running queries of a database: one circuit that moves along the log in steps and commits what it gives.

A step reads the commits since the last one, runs them through all queries, and commits their output together with how
far it read. After a crash the circuit is brought to where the last step's commit says, without writing anything again;
a digest of every table, committed with each step, must then agree.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from headwater.engine import assertions
from headwater.engine.asynchronous import Sleepers
from headwater.engine.background import Background
from headwater.engine.budgets import Budgets
from headwater.engine.catching_up import CatchingUp, Moved, right_up_to, stopped_circuit
from headwater.engine.checkpoints import Checkpoints
from headwater.engine.failed_rows import NOTE as FAILED_ROWS
from headwater.engine.failed_rows import FailedRows
from headwater.engine.feeding import NOTE as HOPS
from headwater.engine.feeding import Feeding
from headwater.engine.gate import Gate
from headwater.engine.giving import given, move
from headwater.engine.outputs import Digests, created_at
from headwater.engine.recovery import again, checked, named, recorded
from headwater.engine.stops import (
    NOTE,
    Stop,
    failed,
    refuse_stopped,
    resumed_with,
    stop_note,
    stop_of,
    stops_of,
    with_dependents,
)
from headwater.errors import QueryFailed, StorageError
from headwater.executor.circuit import Circuit
from headwater.executor.clocks import TICK
from headwater.executor.past import save_image
from headwater.planner import Catalog, Plan, Relation
from headwater.planner.error_streams import sources_of
from headwater.progress import task
from headwater.storage import Append, Commit, Log
from headwater.values import Delta


class Pipeline:
    """The circuit of all derived relations and source tables, and the thread that moves it.

    The catalog is seen from the clock of these queries; source tables are kept by the database's own.

    `lock` guards the circuit and the catalog. Whoever asks for the state now first calls `catch_up`, so a query sees
    every commit that was acknowledged before it began. Who changes the catalog holds `defining` all the while, and
    takes `lock` after it: only the end of a definition holds up the steps. Where there are loops of queries, that end
    passes `gate` alone, between the two: what is written has its turn before what is defined, or after.
    """

    def __init__(
        self,
        log: Log,
        catalog: Catalog,
        *,
        background: bool,
        now_us: Callable[[], int] = lambda: 0,
        idle: Callable[[], float | None] = lambda: None,
        gate: Gate | None = None,
    ) -> None:
        """`now_us` is the clock of the log. `idle` is called by the thread between steps, and gives the seconds after
        which to call it at the latest. All pipelines of a log have one `gate`.
        """
        self.lock = threading.RLock()
        self.defining = threading.RLock()
        self.gate = gate or Gate()
        self.log = log
        self.sleepers = Sleepers(log)
        self.catalog = catalog
        self.last_step = (0, 0)  # (version up to which derived logs are read, version up to which their input was)
        self.stopped = stops_of(log, catalog)
        self._digests = Digests()
        self.failed_rows = FailedRows(log, named(FAILED_ROWS, catalog.clock))
        self.feeding = Feeding(log, named(HOPS, catalog.clock))
        self.budgets = Budgets()
        self._checkpoints = Checkpoints(log, background=background)
        self._circuit: Circuit | None = None
        self._failure: BaseException | None = None  # of the last try to move, to `_failed_at` at least
        self._failed_at = 0
        self._moved = threading.Condition(self.lock)
        self._now_us = now_us
        self.beside: Callable[[], None] = lambda: None  # moves what has to move before somebody asks for the present
        self.changed: Callable[[], None] = lambda: None  # tells the other clocks of another catalog
        self._closed = False
        self._thread = Background(self, log, now_us, idle, "headwater-steps") if background else None

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
        """Waits for the threads to end; the log has been closed, which wakes them."""
        if self._thread is not None:
            self._thread.join()
        self._checkpoints.join()

    # ---------------------------------------------------------------- moving

    @property
    def circuit(self) -> Circuit:
        """The circuit; call with `lock` held."""
        if self._circuit is None:
            self._recover()
        assert self._circuit is not None
        return self._circuit

    def catch_up(self, version: int | None = None) -> None:
        """Returns when everything up to `version` (default: committed before the call) has gone through all queries,
        with what came of it in loops, and these are at rest.
        """
        if version is None:
            self.beside()
        target = self.log.version if version is None else version
        self._reach(target)
        for _ in range(self._levels() if self.feeding.last > target else 0):
            self._reach(max(target, self.feeding.last))  # what was written on the way is the input of other queries

    def _levels(self) -> int:
        with self.lock:
            return self.feeding.levels(self.derived(), {leaf.id for leaf in self.circuit.leaves})

    def _reach(self, target: int) -> None:
        if self._thread is None or self._thread.is_this():
            while self.feeding.rested(self.position) < target:
                self.step()
            if self.tick(self.due):
                self.catch_up()
            return
        with self.lock, task("catching up") as tell:
            begun = self.position
            while not self._closed and self.feeding.rested(self.position) < target:
                if self._failure is not None and target <= self._failed_at:
                    raise QueryFailed(f"the continuous queries stopped: {self._failure}") from self._failure
                tell(self.position - begun, target - begun)
                self._moved.wait(0.5)
            if self._closed:
                raise StorageError("the database is closed")

    @property
    def position(self) -> int:
        """The version up to which all running queries have read, −1 before the first look. Needs no lock."""
        return -1 if (circuit := self._circuit) is None else circuit.version

    def step(self) -> bool:
        """Takes the new input through all queries and commits what comes out; False if there was none."""
        with self.lock:
            circuit = self.circuit
            if circuit.version >= self.log.version:
                return False
            to = circuit.step_end(self.log, self.log.version)
            to = assertions.step_end(self.running(), self.log, circuit.version, to)
            began = circuit.version
            rows = self._input_rows(began, to)
            if not rows and not circuit.is_due(self.log, to) and not self._is_new:
                circuit.version = to
                self._skip(to)
                self._moved.notify_all()
                return True
            try:
                with self._checkpoints.slices.step():
                    asked = {id for query in self.running() for id in sources_of(query.content())}
                    self._commit(circuit, to, has_input=self._input_rows(began, to, asked) > 0)
            except BaseException:
                self._circuit = None  # it is ahead of the log; the next step recovers it
                raise
            self._checkpoints.count(rows, self.circuit, self._image_note())
            self._moved.notify_all()
            return True

    @property
    def _is_new(self) -> bool:
        """Whether these are queries of a clock that has made no step: what they give for no rows is still to come."""
        return self.catalog.clock > 0 and not self.last_step[0]

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

    def _input_rows(self, after: int, upto: int, relations: Set[int] | None = None) -> int:
        """How many rows the circuit's sources, or only some `relations`, gained in the versions (after, upto]."""
        ids = {leaf.id for leaf in self.circuit.leaves} if relations is None else relations
        begins = {id: max(after, self.log.start(id).version) for id in ids}
        return sum(self.log.row_count(id, upto) - self.log.row_count(id, begins[id]) for id in ids)

    def _commit(self, circuit: Circuit, to: int, *, has_input: bool) -> None:
        """Moves the circuit to version `to`, and commits what comes out, without the queries that fail on the way.

        Where no query has got any input, and nothing comes of the time that has passed, there is nothing to commit.
        """
        began, running = circuit.version, self.running()
        moved = move(circuit, running, self.log, to)
        stops = failed(running, moved.trouble, self.budgets.of(running, circuit, self.catalog), began)
        stops += self.feeding.runaways(running, self.catalog, moved, began)
        stops = with_dependents(stops, running, self.catalog)
        plans = {r.id: r.content() for r in running} if stops else {}
        stops = [replace(s, version=right_up_to(plans[s.id], self.log, began, to)) for s in stops]
        gone = {stop.id for stop in stops}
        going = [r for r in running if r.id not in gone]
        appends, hops = self._given(going, self.catalog, moved, to)
        pauses = assertions.pauses(going, self.catalog, circuit, moved.changes, to)
        stops += with_dependents(pauses, going, self.catalog)
        self._digests.forget(stop.id for stop in stops)
        if has_input or appends or stops:
            self._commit_step(appends, to, hops, {NOTE: stop_note(stops)} if stops else {})
        else:
            self._skip(to)
        if stops:
            self._stop(stops, circuit)

    def _skip(self, to: int) -> None:
        """Notes that up to version `to` there was nothing to commit."""
        self.last_step = (max(self.last_step[0], to), to)  # a step can be committed behind what the next one reads
        self.feeding.skip(to)

    def _commit_step(self, appends: Sequence[Append], to: int, hops: dict[int, int], more: dict[str, Any]) -> None:
        """Commits the output of a step that brought all running queries to version `to`; `more` is kept for ever."""
        step = {named("step", self.catalog.clock): {"to": to, "digests": self._digests.note()}}
        commit = self.log.commit(appends, {**step, **self._counted(hops), **more}, keep=bool(more))
        self._took(commit, appends, to, hops)

    def _counted(self, hops: dict[int, int]) -> dict[str, Any]:
        return {**self.failed_rows.note(), **self.feeding.note(hops)}

    def _took(self, commit: Commit, appends: Sequence[Append], to: int, hops: dict[int, int]) -> None:
        began, self.last_step = self.last_step[1], (commit.version, to)
        self.feeding.take(appends, commit, hops, {relation.id for relation in self.derived()}, began)

    def _stop(self, stops: Sequence[Stop], circuit: Circuit) -> None:
        self.stopped |= {stop.id: stop for stop in stops}
        self._circuit = Circuit(self.roots(), parts=[circuit])

    def _given(
        self, relations: Sequence[Relation], catalog: Catalog, moved: Moved, to: int
    ) -> tuple[list[Append], dict[int, int]]:
        """What the logs of derived relations gain by a step that read up to version `to`, and those of their errors and
        alerts; and the hops of what is not read yet after it.
        """
        found = given(relations, catalog, moved, to, self._digests, self.failed_rows)
        return found.appends, self.feeding.following(found.into, catalog, to)

    def limit_state(self, nbytes: int | None) -> None:
        """Lets queries that do not say themselves hold at most so many bytes of state, from the next step on."""
        if nbytes != self.budgets.limit:
            with self.lock:
                self.budgets.limit_to(nbytes)

    def checkpoint(self) -> int:
        """Saves an image of all state; gives the version that published it. Steps go on meanwhile."""
        with self.lock:
            states, note = self.circuit.states.frozen(), self._image_note()
            self._checkpoints.rows = 0
        return save_image(self.log, states, note, self._checkpoints.slices.pause()).version

    def _image_note(self) -> dict[str, Any]:
        note = {"last_step": self.last_step, "digests": self._digests.note(), **self.failed_rows.note()}
        return {**note, "clock": self.catalog.clock} if self.catalog.clock else note

    def tried(self, version: int, failure: Exception | None) -> None:
        """Hears from the thread how far it came, so that who waits is told of a failure."""
        if failure is None:
            self._failure = None
            return
        with self.lock:
            self._failure, self._failed_at = failure, version
            self._moved.notify_all()

    # ---------------------------------------------------------------- catalog

    def content(self, relation: Relation) -> Delta:
        """The rows of a derived table; call with `lock` held. Of one that stands still, what it was then."""
        stop = self.stopped.get(relation.id)
        circuit = self.circuit if stop is None else stopped_circuit(self.log, [relation.content()], stop.version)
        return circuit.content(relation.content())

    def check_running(self, relation: Relation, version: int | None = None) -> None:
        """Raises QueryFailed if a query stopped before what is asked of it: the present, or a version."""
        stop = stop_of(relation, self.stopped, self.log)
        if stop is not None and stop.state == "failed" and (version is None or version > stop.version):
            raise stop.error(relation, self.catalog)

    def derived(self) -> list[Relation]:
        """The relations that a continuous query writes, in the order of their making."""
        return [r for r in self.catalog.ordered() if r.is_derived]

    def running(self) -> list[Relation]:
        """The derived relations whose queries have not stopped, in the order of their making."""
        return [r for r in self.derived() if r.id not in self.stopped]

    def roots(self) -> list[Plan]:
        """The plans of all that the circuit keeps."""
        kept = [r for r in self.catalog.ordered() if r.is_derived or not (r.is_stream or self.catalog.clock)]
        return [r.content() for r in kept if r.id not in self.stopped]

    def coming(self, made: Sequence[Relation], catalog: Catalog) -> CatchingUp:
        """Those of the relations `made` that the circuit will keep, brought to about where it is. Holds up no steps."""
        roots = [r.content() for r in made if r.is_derived or not r.is_stream]
        coming = CatchingUp(self.log, Circuit(roots), made, catalog, self.budgets.limit)
        coming.follow(lambda: self.position)
        return coming

    def define(self, catalog: Catalog, made: Sequence[Relation], note: dict[str, Any]) -> int:
        """Makes `catalog` the catalog, in one commit with the rows so far of the relations in it that were `made`, or
        changed; gives how many rows. They are computed beside the running circuit, which then takes them up.
        """
        coming = self.coming(made, catalog)
        if self.feeding.loops(self.catalog).streams:
            self.catch_up()  # while others may still write: what is left to do alone is little
        with self._changing(catalog):
            # The steps are run here, not waited for: waiting would let go of the lock, and of the catalog with it.
            while self.step():
                pass
            refuse_stopped(made, self.catalog, self.stopped)
            frontier, counted = self.circuit.version, self.failed_rows.note()
            try:
                coming.reach(frontier)
                appends, hops = self._given(made, catalog, coming.moved, frontier)
                commit = self._rename(catalog, {**note, "frontier": frontier}, appends, hops)
            except BaseException:
                self._digests.forget(relation.id for relation in made)
                self.failed_rows.restore(counted)
                raise
            self._circuit = Circuit(self.roots(), parts=[coming.circuit, self.circuit])
            self._took(commit, appends, frontier, hops)
            ids = {r.id if r.insertion is None else r.insertion.stream for r in made}
            return sum(append.rows.num_rows for append in appends if append.stream in ids)

    def halt(self, stops: Sequence[Stop]) -> list[Relation]:
        """Lets queries stand still where the circuit is, and those that read them; gives them all."""
        stops = with_dependents(stops, self.running(), self.catalog)
        stopped = [r for r in self.running() if r.id in {stop.id for stop in stops}]
        if stops:
            self.log.commit([], {NOTE: stop_note(stops)}, keep=True)
            self._digests.forget(stop.id for stop in stops)
            self._stop(stops, self.circuit)
        return stopped

    def resume(self, wanted: Sequence[Relation]) -> list[Relation]:
        """Lets queries that stand still catch up and go on, and those that stopped because of them; gives them all.

        Raises QueryFailed for one that fails again; then nothing has changed.
        """
        while self.step():
            pass
        going = resumed_with(wanted, self.stopped, self.catalog)
        if not going:
            return []
        parts, appends, frontier = [self.circuit], list[Append](), self.circuit.version
        hops: dict[int, int] = {}
        counted = self.failed_rows.note()
        try:
            for version in sorted({self.stopped[r.id].version for r in going}):
                members = [r for r in going if self.stopped[r.id].version == version]
                circuit = stopped_circuit(self.log, [r.content() for r in members], version)
                self._digests.take(members, circuit)
                coming = CatchingUp(self.log, circuit, members, self.catalog, self.budgets.limit)
                coming.reach(frontier)
                own, counted_on = self._given(members, self.catalog, coming.moved, frontier)
                appends += own
                hops |= counted_on
                parts.insert(0, circuit)
            self._commit_step(appends, frontier, hops, {NOTE: {"resume": [r.id for r in going]}})
        except BaseException:
            self.failed_rows.restore(counted)
            self._digests.forget(relation.id for relation in going)
            raise
        self.stopped = {id: stop for id, stop in self.stopped.items() if id not in {r.id for r in going}}
        self._circuit = Circuit(self.roots(), parts=parts)
        return going

    def rename(self, catalog: Catalog, note: dict[str, Any]) -> None:
        """Makes `catalog`, in which there are no relations that were not there before, the catalog, in one commit."""
        with self._changing(catalog):
            self._rename(catalog, note, [], self.feeding.hops)
            self._circuit = Circuit(self.roots(), parts=[self.circuit])

    @contextmanager
    def _changing(self, catalog: Catalog) -> Iterator[None]:
        """Inside, nobody else moves the circuit or, where there are loops, writes: not before all clocks follow."""
        with self.feeding.turn(self.gate, self.catalog, catalog):
            with self.lock:
                yield
            self.changed()

    def _rename(
        self, catalog: Catalog, note: dict[str, Any], appends: Sequence[Append], hops: dict[int, int]
    ) -> Commit:
        commit = self.log.commit(appends, {"ddl": note, **self._counted(hops)}, keep=True)
        self.catalog = catalog
        present = {relation.id for relation in catalog.relations.values()}
        self.stopped = {id: stop for id, stop in self.stopped.items() if id in present}
        self.failed_rows.forget(present)
        self._digests.forget(self._digests.known.keys() - present)
        return commit

    # ---------------------------------------------------------------- recovery

    def _recover(self) -> None:
        """Brings the circuit to the end of the last step, through the same steps, and compares the digests."""
        known = recorded(self.log, clock=self.catalog.clock)
        self.last_step = known.last_step
        self.failed_rows.restore(known.failed_rows)
        created = {} if self.catalog.clock else created_at(self.log)
        frontier = max([self.last_step[1], *(created.get(r.id, 0) for r in self.running())])
        stops = sorted({*known.steps, *created.values()})
        self._circuit = Circuit(self.roots()) if self._is_new else again(self.log, self.roots(), frontier, stops)
        self.feeding.restore(frontier)
        self._checkpoints.rows = self._input_rows(known.frontier, frontier)
        self._digests = Digests(checked(self.running(), self._circuit, known.digests, self.log))
