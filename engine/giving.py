"""What a step gives: the rows of all its queries, and the logs into which they go.

Of several queries that insert into one stream, the rows come in the order of the commits that they follow from,
whatever a step has read at once: such a step moves in pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from headwater.engine import assertions, ingest
from headwater.engine.catching_up import Moved
from headwater.engine.failed_rows import FailedRows
from headwater.engine.outputs import Digests
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.executor.trouble import Trouble
from headwater.planner import Catalog, Relation
from headwater.planner.error_streams import sources_of
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Append, Log
from headwater.values import concat_deltas


@dataclass(frozen=True)
class Given:
    """What the logs gain by a step, and into which ones each query has put something besides its own."""

    appends: list[Append] = field(default_factory=list)
    into: list[tuple[Relation, set[int]]] = field(default_factory=list)


def given(
    relations: Sequence[Relation], catalog: Catalog, moved: Moved, to: int, digests: Digests, failed_rows: FailedRows
) -> Given:
    """What queries gave on the way to version `to`: their rows, those that failed, and alerts."""
    found, log = Given(), failed_rows.log
    for relation in relations:
        if relation.plan is not None:
            own = [] if relation.insertion else digests.output(relation, moved.changes[relation.plan])
            own += failed_rows.appends(relation, moved.trouble, catalog, to)
            own += assertions.alerts(relation, moved.circuit, moved.changes, log, to)
            found.appends.extend(own)
            found.into.append((relation, {append.stream for append in own}))
    for stream, rows in _inserted(relations, catalog, moved, found).items():
        target = catalog.by_id(stream)
        found.appends.extend(ingest.appends(target, pa.concat_batches(rows), log, log.time_of(to)))
    return found


def _inserted(
    relations: Iterable[Relation], catalog: Catalog, moved: Moved, found: Given
) -> dict[int, list[pa.RecordBatch]]:
    """What queries insert, by the id of the stream, in order."""
    inserting = [(r, r.plan, r.insertion.stream) for r in relations if r.plan is not None and r.insertion is not None]
    inserted: dict[int, list[pa.RecordBatch]] = {}
    for changes in moved.pieces or (moved.changes,):
        for relation, plan, stream in inserting:
            rows = concat_deltas(arrow_schema(plan.columns), changes[plan]).rows
            if rows.num_rows:
                inserted.setdefault(stream, []).append(ingest.fitted(rows, catalog.by_id(stream)))
                found.into.append((relation, {stream}))
    return inserted


def move(circuit: Circuit, running: Iterable[Relation], log: Log, to: int) -> Moved:
    """Moves a circuit to a version, in pieces where the order of what its queries insert depends on that."""
    trouble = Trouble()
    ends = _pieces(running, log, circuit.version, to)
    pieces = [circuit.advance(log, Cut(end), trouble=trouble) for end in ends]
    changes = {root: [delta for piece in pieces for delta in piece[root]] for root in circuit.roots}
    return Moved(circuit, changes, trouble, pieces)


def _pieces(running: Iterable[Relation], log: Log, after: int, upto: int) -> list[int]:
    """Where to cut (after, upto]: behind each commit after which another one of several queries has rows to insert into
    the same stream, or several have.
    """
    inserting: dict[int, list[Relation]] = {}
    for relation in running:
        if relation.insertion is not None:
            inserting.setdefault(relation.insertion.stream, []).append(relation)
    ends: set[int] = set()
    for queries in inserting.values():
        if len(queries) > 1:
            ends |= _turns(queries, log, after, upto)
    return [*sorted(ends - {upto}), upto]


def _turns(queries: Sequence[Relation], log: Log, after: int, upto: int) -> set[int]:
    """The last versions in (after, upto] before others of the queries read something, or several do."""
    readers: dict[int, set[int]] = {}
    for query in queries:
        for source in sources_of(query.plan):
            for version, _ in log.extents(source, after, upto):
                readers.setdefault(version, set()).add(query.id)
    ends, before = set[int](), set[int]()
    for version, now in sorted(readers.items()):
        if before and (now != before or len(now) > 1):
            ends.add(version - 1)
        before = now
    return ends
