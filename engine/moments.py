"""Which versions matter to a question: those that wrote something of what it reads, or gave a name another meaning.

A version between two of these has the answer of the one before it. This is looked up in the indexes of the log; no rows
are read, and nothing is asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from headwater.engine.positions import Points
from headwater.errors import SqlError
from headwater.executor.clocks import ticks
from headwater.parser import syntax
from headwater.planner import Catalog, Input, Plan, Relation, SnapshotQuery, plan_snapshot, walk_plan
from headwater.planner.logical import Arrivals, Now, Source
from headwater.storage import Log

_BACK_FIRST = 64  # versions to look at first on the way back; twice as many each time nothing is found


@dataclass(frozen=True, slots=True)
class Reads:
    """What a question reads: the logs of sources; the ticks of the clock; or the time of every commit.

    `turns` are the versions at which a definition made it another question.
    """

    logs: frozenset[int] = frozenset()
    ticks: bool = False
    every_commit: bool = False
    turns: frozenset[int] = frozenset()

    def __or__(self, other: Reads) -> Reads:
        return Reads(
            self.logs | other.logs,
            self.ticks or other.ticks,
            self.every_commit or other.every_commit,
            self.turns | other.turns,
        )


def reads_of(query: syntax.Query, catalog: Catalog) -> Reads:
    """What the answer to a snapshot query is made of. Raises SqlError for names that are not there."""
    return _reads(plan_snapshot(query, catalog).inputs)


def _reads(inputs: tuple[Input, ...]) -> Reads:
    plans = [i.plan if i.relation is None or i.relation.plan is None else i.relation.plan for i in inputs]
    nodes = [node for plan in plans for node in walk_plan(plan)]
    arrivals = [node for node in nodes if isinstance(node, Arrivals)]
    return Reads(
        frozenset(n.id for n in nodes if isinstance(n, Source)) | {id for node in arrivals for id in node.ids},
        ticks=bool(arrivals),
        every_commit=any(isinstance(node, Now) for node in nodes),
    )


def reads_at_all_times(query: syntax.Query, points: Points) -> Reads:
    """What the answer is made of at any version, where names mean what they meant then."""
    reads = reads_of(query, points.present)
    meanings = [(version, _meaning(query, points, version)) for version in points.catalogs.versions()]
    turns = set[int]()
    for (_, before), (version, after) in pairwise(meanings):
        if before != after:
            turns.add(version)
            reads |= _reads(before.inputs if before else ()) | _reads(after.inputs if after else ())
    return replace(reads, turns=frozenset(turns))


def _meaning(query: syntax.Query, points: Points, version: int) -> SnapshotQuery | None:
    """What a query asks as of a version; None where a name that it needs meant something else."""
    try:
        return plan_snapshot(query, points.catalogs.at(version).before(points.present))
    except SqlError:
        return None


def relations_of(query: syntax.Query, catalog: Catalog) -> list[Relation]:
    """The relations that a snapshot query names, itself or through a view."""
    return [i.relation for i in plan_snapshot(query, catalog).inputs if i.relation is not None]


def plans_of(query: syntax.Query, catalog: Catalog) -> list[Plan]:
    """The plans of what a snapshot query reads."""
    return [i.plan for i in plan_snapshot(query, catalog).inputs]


def moments(reads: Reads, log: Log, after: int, upto: int) -> Iterator[int]:
    """The versions in (after, upto] that wrote something of what is read, the oldest first."""
    if reads.every_commit:
        yield from range(after + 1, upto + 1)
        return
    written: list[Iterable[int]] = [
        (version for version, _ in log.extents(id, max(after, log.start(id).version), upto)) for id in reads.logs
    ]
    if reads.ticks:
        written.append(ticks(log, after, upto))
    written.append(sorted(version for version in reads.turns if after < version <= upto))
    last = after
    for version in heapq.merge(*written):
        if version > last:
            yield version
            last = version


def moments_before(reads: Reads, log: Log, upto: int) -> Iterator[int]:
    """The versions up to `upto` that wrote something of what is read, the youngest first."""
    length = _BACK_FIRST
    while upto > 0:
        after = max(upto - length, 0)
        yield from reversed(list(moments(reads, log, after, upto)))
        upto, length = after, 2 * length
