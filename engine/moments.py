"""Which versions matter to a question: those at which something that it reads was written.

A version between two of these has the answer of the one before it. This is looked up in the indexes of the log; no rows
are read, and nothing is asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headwater.executor.clocks import ticks
from headwater.parser import syntax
from headwater.planner import Catalog, Plan, Relation, plan_snapshot, walk_plan
from headwater.planner.logical import Arrivals, Now, Source
from headwater.storage import Log

_BACK_FIRST = 64  # versions to look at first on the way back; twice as many each time nothing is found


@dataclass(frozen=True, slots=True)
class Reads:
    """What a question reads: the logs of sources; the ticks of the clock; or the time of every commit."""

    logs: frozenset[int] = frozenset()
    ticks: bool = False
    every_commit: bool = False

    def __or__(self, other: Reads) -> Reads:
        return Reads(self.logs | other.logs, self.ticks or other.ticks, self.every_commit or other.every_commit)


def reads_of(query: syntax.Query, catalog: Catalog) -> Reads:
    """What the answer to a snapshot query is made of. Raises SqlError for names that are not there."""
    inputs = plan_snapshot(query, catalog).inputs
    plans = [i.plan if i.relation is None or i.relation.plan is None else i.relation.plan for i in inputs]
    nodes = [node for plan in plans for node in walk_plan(plan)]
    arrivals = [node for node in nodes if isinstance(node, Arrivals)]
    return Reads(
        frozenset(n.id for n in nodes if isinstance(n, Source)) | {id for node in arrivals for id in node.ids},
        ticks=bool(arrivals),
        every_commit=any(isinstance(node, Now) for node in nodes),
    )


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
