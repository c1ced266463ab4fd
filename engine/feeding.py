"""What steps write into the streams of users: errors, and the rows of INSERT … SELECT, which the next steps read.

Where rows go round in a loop, each round is a step. How often a record was inserted since something came from outside,
its hops, is counted for all that a step writes into a stream, and noted with it until it is read, under a name of its
own for each clock:

    hops    {id of a stream of a loop: hops of the records that the step wrote into it, …}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from headwater.engine.catching_up import Moved
from headwater.engine.counts import counted
from headwater.engine.gate import Gate
from headwater.engine.stops import Stop
from headwater.planner import Catalog, Relation, checked_nodes
from headwater.planner.loops import Loops, circle_of, loops_of
from headwater.storage import Append, Commit, Log

NOTE = "hops"


class Feeding:
    """What a pipeline's steps have written into streams of users, and nobody has read yet."""

    def __init__(self, log: Log, name: str = NOTE) -> None:
        self._log = log
        self._name = name
        self.last = 0  # the last version in which a step wrote into a stream of users
        self.hops: dict[int, int] = {}  # of the unread records of the loops, by the ids of their streams
        self._written = 0  # the version in which these were written
        self._rested = -1  # the version that was read when the loops were last at rest
        self._known: tuple[Catalog, Loops] = (Catalog(), Loops())

    def loops(self, catalog: Catalog) -> Loops:
        """The loops that there are in a catalog."""
        if self._known[0] is not catalog:
            self._known = (catalog, loops_of(catalog))
        return self._known[1]

    def turn(self, gate: Gate, *catalogs: Catalog) -> AbstractContextManager[None]:
        """Inside, nobody writes, if one of the catalogs has loops."""
        return gate.alone() if any(self.loops(catalog).streams for catalog in catalogs) else nullcontext()

    def is_behind(self, running: Iterable[Relation], loops: Loops, position: int) -> bool:
        """Whether the queries that run, which have read up to version `position`, have yet to read what can come into a
        loop. Nobody may be about to write what they give.
        """
        streams = set[int]().union(*(loops.read.get(relation.id, ()) for relation in running))
        read = {id: max(position, self._log.start(id).version) for id in streams}
        return any(self._log.row_count(id) > self._log.row_count(id, version) for id, version in read.items())

    def rested(self, position: int) -> int:
        """The version up to which all is read, with what came of it in loops, where `position` is read as such."""
        return self._rested if self.hops else position

    def runaways(self, running: Iterable[Relation], catalog: Catalog, moved: Moved, began: int) -> list[Stop]:
        """The queries that stop, as their rows have come round too often, in a step that began at a version."""
        stops = []
        for relation in running if self.hops else ():
            limit = None if relation.insertion is None else relation.insertion.max_hops
            if limit is not None and self._hops_of(relation, catalog) > limit and _gives_rows(relation, moved):
                circle = " → ".join(circle_of(relation, catalog) or [relation.name])
                times = counted(limit, "time")
                cause = f"rows have gone round {times}, which is its max_hops, and do not come to rest: {circle}"
                hint = "let the query leave out rows that are done, or make it anew with a higher max_hops"
                stops.append(Stop(relation.id, "failed", began, cause, hint))
        return stops

    def following(self, into: Iterable[tuple[Relation, Set[int]]], catalog: Catalog, to: int) -> dict[int, int]:
        """The hops of what is not read yet after a step that reads up to version `to`, in which queries put something
        `into` streams.
        """
        loops = self.loops(catalog).streams
        hops = {} if to >= self._written else dict(self.hops)
        for relation, streams in into if loops else ():
            for stream in loops & relation.outlets & streams:
                hops[stream] = max(hops.get(stream, 0), self._hops_of(relation, catalog))
        return hops

    def note(self, hops: dict[int, int]) -> dict[str, Any]:
        """What a commit has to say of the records that it writes, so that they are counted on in another process."""
        return {self._name: {str(id): count for id, count in hops.items()}} if hops or self.hops else {}

    def take(self, appends: Sequence[Append], commit: Commit, hops: dict[int, int], own: set[int], began: int) -> None:
        """Notes what a step that began at a version has committed: `own` are the logs that it alone writes."""
        if any(append.stream not in own for append in appends):
            self.last = commit.version
        if hops and not self.hops:
            self._rested = began
        self.hops, self._written = hops, commit.version

    def skip(self, to: int) -> None:
        """Notes that up to a version there was nothing for any query."""
        if to >= self._written:
            self.hops = {}

    def restore(self, frontier: int) -> None:
        """Takes the counts from the log, of what was written after a version."""
        found = self._log.note_before(self._name, self._log.version)
        self._written, noted = found if found is not None else (0, {})
        self.hops = {int(id): count for id, count in noted.items()} if self._written > frontier else {}
        self._rested = -1

    def levels(self, derived: Iterable[Relation], read: set[int]) -> int:
        """In how many steps at most, what is `read` being read, all is done that comes of a commit without loops."""
        return 1 + len(read.intersection(id for relation in derived for id in relation.outlets))

    def _hops_of(self, relation: Relation, catalog: Catalog) -> int:
        """How often a row will have been inserted that the relation's query gives in this step."""
        return 1 + max((self.hops.get(id, 0) for id in self.loops(catalog).read.get(relation.id, ())), default=0)


def _gives_rows(relation: Relation, moved: Moved) -> bool:
    """Whether a query has given rows in a step, or has some that go elsewhere."""
    assert relation.plan is not None
    if any(len(delta) for delta in moved.changes[relation.plan]) or moved.trouble.errors(relation.plan).num_rows:
        return True
    return any(moved.trouble.violating(node) is not None for node in checked_nodes(relation))
