"""The queries of a database that another process writes: moved along its log, and never committed."""

from __future__ import annotations

from collections.abc import Callable

from headwater.engine.pipeline import Pipeline
from headwater.engine.stops import NOTE, failed, stops_of, with_dependents
from headwater.executor.feed import Cut
from headwater.executor.trouble import Trouble
from headwater.planner import Catalog
from headwater.storage import Log


class Follower(Pipeline):
    """A pipeline over a log that is open for reading only.

    It computes for itself what the writer's queries have not committed yet, so a query sees every commit there was when
    it began. `catalog` gives the catalog as it is in the log.
    """

    def __init__(self, log: Log, catalog: Callable[[], Catalog]) -> None:
        super().__init__(log, catalog(), background=False)
        self._read_catalog = catalog
        self._definitions = self._count_definitions()

    def catch_up(self, version: int | None = None) -> None:
        """Takes up what the writer has committed, definitions included."""
        with self.lock:
            self.log.refresh()
            count = self._count_definitions()
            if count != self._definitions:
                self.catalog = self._read_catalog()
                self.stopped = stops_of(self.log, self.catalog)
                self._definitions, self._circuit = count, None
            while self.step():
                pass

    def known(self) -> Catalog:
        """The catalog as the writer has committed it by now."""
        self.catch_up()
        return self.catalog

    def step(self) -> bool:
        """Takes new commits through all queries; False if there were none."""
        circuit = self.circuit
        if circuit.version >= self.log.version:
            return False
        began, trouble, running = circuit.version, Trouble(), self.running()
        circuit.advance(self.log, Cut(circuit.step_end(self.log, self.log.version)), trouble=trouble)
        stops = with_dependents(failed(running, trouble, {}, began), running, self.catalog)
        if stops:  # as the writer will find, too; until then it is this process that says so
            self._stop(stops, circuit)
        for version, step in self.log.notes("step", self.last_step[0]):
            self.last_step = version, step["to"]
        return True

    def tick(self, due: int | None) -> bool:
        """Time passes when the writer says so."""
        return False

    def _count_definitions(self) -> int:
        return sum(1 for key in ("ddl", NOTE) for _ in self.log.kept(key))
