"""Queries with a clock of their own: each clock is a pipeline of its own along the same log.

Such a query reads the logs of what others write, and writes its own log in commits of its own. To all others it is a
source, which they read when its rows are committed. So it may be slow and holds nobody up; and as all that it reads and
writes is in the log, it gives what it would give as a part of the database's own circuit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from headwater.engine.pipeline import Pipeline
from headwater.planner import Relation
from headwater.planner.loops import Loops


class Apart:
    """The pipelines of all clocks but the database's own, whose pipeline is `main`."""

    def __init__(self, main: Pipeline, *, background: bool, now_us: Callable[[], int]) -> None:
        self.main = main
        main.changed = self.follow
        self._background = background
        self._now_us = now_us
        if not background:
            main.beside = self.move
        self._pipelines: dict[int, Pipeline] = {}

    def follow(self) -> None:
        """Begins and ends pipelines as the catalog says. One that begins reads from the first record on."""
        catalog = self.main.catalog
        clocks = {relation.clock for relation in catalog.relations.values()} - {catalog.clock}
        for clock in self._pipelines.keys() - clocks:
            self._pipelines.pop(clock).close()
        for clock, pipeline in self._pipelines.items():
            with pipeline.lock:
                pipeline.catalog = catalog.in_clock(clock)
        for clock in sorted(clocks - self._pipelines.keys()):
            seen = catalog.in_clock(clock)
            pipeline = Pipeline(
                self.main.log, seen, background=self._background, now_us=self._now_us, gate=self.main.gate
            )
            pipeline.limit_state(self.main.budgets.limit)
            pipeline.start()
            self._pipelines[clock] = pipeline

    @property
    def all(self) -> list[Pipeline]:
        """The pipelines of all clocks, the database's own first."""
        return [self.main, *self._others()]

    def _others(self) -> list[Pipeline]:
        return list(self._pipelines.values())

    def of(self, relation: Relation) -> Pipeline:
        """The pipeline that runs the query of a relation."""
        return self._pipelines.get(relation.clock, self.main)

    def move(self) -> None:
        """Moves all, where no thread does."""
        for pipeline in self._others():
            pipeline.catch_up()

    def settle(self) -> None:
        """Returns when nothing follows any more from what is committed, in any clock."""
        version = -1
        while version != self.main.log.version:
            version = self.main.log.version
            self.main.catch_up()
            self.move()

    def loops(self) -> Loops:
        """The loops that there are now, in all clocks."""
        return self.main.feeding.loops(self.main.catalog)

    def rest(self) -> None:
        """Returns when the loops are at rest, in all clocks."""
        while behind := self.behind():
            for pipeline in behind:
                pipeline.catch_up()

    def behind(self) -> list[Pipeline]:
        """The pipelines that have yet to read what can come into a loop, at one moment."""
        loops = self.loops()
        clocks = {r.clock for r in self.main.catalog.relations.values() if loops.read.get(r.id)}
        concerned = [pipeline for pipeline in self.all if pipeline.catalog.clock in clocks]
        with ExitStack() as held:
            for pipeline in concerned:
                held.enter_context(pipeline.lock)
            return [p for p in concerned if p.feeding.is_behind(p.running(), loops, p.position)]

    def limit_state(self, nbytes: int | None) -> None:
        """See `Pipeline.limit_state`."""
        for pipeline in self.all:
            pipeline.limit_state(nbytes)

    def close(self) -> None:
        """See `Pipeline.close`."""
        for pipeline in self._others():
            pipeline.close()

    def join(self) -> None:
        """See `Pipeline.join`."""
        for pipeline in self._others():
            pipeline.join()
